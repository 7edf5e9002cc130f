/* ccadb_place.c - a place's life, counted. */
#include "proxy/lists/ccadb_place.h"

#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/http/fetch.h"

void ccadb_place_unref(struct ccadb_place *p)
{
	if (p == NULL || --p->refs > 0)
		return;
	ccadb_file_drop(&p->file);
	free(p->name);
	free(p);
}

void ccadb_place_gone(struct ccadb_place *p)
{
	if (p->fetch != NULL)
		fetch_cancel(p->fetch);
	p->fetch = NULL;
	p->source = NULL;
	ccadb_place_unref(p);
}

struct ccadb_place *ccadb_place_new(
    struct ccadb_source *s, const char *name, const char *state_directory)
{
	struct ccadb_place *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->refs = 1;
	p->source = s;
	p->name = strdup(name);
	p->due_ms = clock_mono_ms();
	p->file.name = p->name;
	p->file.local = strstr(name, "://") == NULL;
	p->file.look = true;
	p->file.fd = -1;
	if (p->name == NULL || !ccadb_file_place(&p->file, state_directory)) {
		ccadb_place_unref(p);
		return NULL;
	}
	return p;
}

void ccadb_place_take_back(struct ccadb_place *p, struct ccadb_file *f)
{
	struct ccadb_file was = p->file;

	p->file = *f;
	if (f->fd < 0) {
		p->file.fd = was.fd;
		memcpy(p->file.fresh, was.fresh, sizeof was.fresh);
		p->file.asked = was.asked;
	}
	f->fd = -1;
	f->fresh[0] = '\0';
}
