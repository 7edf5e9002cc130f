/* watch_reader.c - what every reader hands out goes through here, and is counted. */
#include "cache/watch/watch_reader.h"

bool watch_out_cert(struct watch_out *out, const struct watch_cert *c)
{
	out->count.certificates++;
	if (out->want->each(out->want->arg, c))
		return true;
	out->error.line = c->line;
	return watch_refuse(&out->error, WATCH_STOPPED, "stopped");
}

bool watch_out_bad(struct watch_out *out, uint64_t line)
{
	if (out->error.code == WATCH_STOPPED || out->error.code == WATCH_NOMEM)
		return false;
	out->error.line = line;
	if (out->want->bad == NULL || !out->want->bad(out->want->arg, &out->error))
		return false;
	out->count.bad++;
	return true;
}
