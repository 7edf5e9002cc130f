/* barrier.c - rounds of messages, one at a time, and who waits for which. */
#include "proxy/base/barrier.h"

#include <assert.h>
#include <stdlib.h>

/* One message of a round; goes to its reader and comes back. */
struct probe {
	struct msg msg;
	struct barrier *barrier;
};

struct barrier {
	struct shared *shared;
	struct inbox *own;
	struct barrier_want *waiting, **waiting_end, *current;
	struct probe probes[SHARED_READERS_MAX];
	unsigned probes_out;
};

static void round_start(struct barrier *b);

static void wants_run(struct barrier_want *w)
{
	for (struct barrier_want *next; w != NULL; w = next) {
		next = w->_next;
		w->done(w);
	}
}

static void round_end(struct barrier *b)
{
	struct barrier_want *w = b->current;

	b->current = NULL;
	wants_run(w);
	if (b->waiting != NULL && b->current == NULL)
		round_start(b);
}

static void probe_back(void *arg, struct msg *m)
{
	struct barrier *b = ((struct probe *)m)->barrier;

	(void)arg;
	assert(b->current != NULL && b->probes_out > 0);
	if (--b->probes_out == 0)
		round_end(b);
}

static void probe_at_reader(void *arg, struct msg *m)
{
	struct probe *p = (struct probe *)m;

	(void)arg;
	p->msg.run = probe_back;
	inbox_post(p->barrier->own, &p->msg);
}

static void round_start(struct barrier *b)
{
	assert(b->current == NULL && b->probes_out == 0 && b->waiting != NULL);
	b->current = b->waiting;
	b->waiting = NULL;
	b->waiting_end = &b->waiting;
	b->probes_out = b->shared->readers_n;
	if (b->probes_out == 0) {
		round_end(b);
		return;
	}
	for (unsigned i = 0; i < b->shared->readers_n; i++) {
		b->probes[i].barrier = b;
		b->probes[i].msg.run = probe_at_reader;
		inbox_post(b->shared->readers[i], &b->probes[i].msg);
	}
}

void barrier_pass(struct barrier *b, struct barrier_want *w)
{
	assert(w->done != NULL);
	w->_next = NULL;
	*b->waiting_end = w;
	b->waiting_end = &w->_next;
	if (b->current == NULL)
		round_start(b);
}

struct barrier *barrier_new(struct shared *shared, struct inbox *own)
{
	struct barrier *b = calloc(1, sizeof *b);

	if (b == NULL)
		return NULL;
	b->shared = shared;
	b->own = own;
	b->waiting_end = &b->waiting;
	return b;
}

void barrier_free(struct barrier *b)
{
	if (b == NULL)
		return;
	wants_run(b->current);
	wants_run(b->waiting);
	free(b);
}
