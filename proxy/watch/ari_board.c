/* ari_board.c - a pointer behind a mutex. */
#include "proxy/watch/ari_board.h"

#include <pthread.h>
#include <stdlib.h>

struct ari_board {
	pthread_mutex_t lock;
	const struct ari_noticed *now;
};

struct ari_board *ari_board_new(void)
{
	struct ari_board *b = calloc(1, sizeof *b);

	if (b == NULL)
		return NULL;
	pthread_mutex_init(&b->lock, NULL);
	b->now = ari_noticed_ref(&ari_noticed_none);
	return b;
}

void ari_board_free(struct ari_board *b)
{
	if (b == NULL)
		return;
	ari_noticed_unref(b->now);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

void ari_board_put(struct ari_board *b, const struct ari_noticed *t)
{
	const struct ari_noticed *before;

	pthread_mutex_lock(&b->lock);
	before = b->now;
	b->now = t;
	pthread_mutex_unlock(&b->lock);
	ari_noticed_unref(before);
}

const struct ari_noticed *ari_board_get(const struct shared *shared)
{
	struct ari_board *b = shared->ari_board;
	const struct ari_noticed *t;

	if (b == NULL)
		return ari_noticed_ref(&ari_noticed_none);
	pthread_mutex_lock(&b->lock);
	t = ari_noticed_ref(b->now);
	pthread_mutex_unlock(&b->lock);
	return t;
}
