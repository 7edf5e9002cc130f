/* call_alarms.c - one line of JSON for each alarm that stands. */
#include "proxy/api/call_alarms.h"

#include "proxy/base/alarms.h"

struct printing {
	const struct access *access;
	const struct inventory *v;
	struct json_line *out;
	size_t n;
	char node[ALARM_NODE_MAX];
};

static void put_member(struct json_line *l, const char *name, const char *text)
{
	json_put(l, name);
	json_put_text(l, text);
}

static void print(void *arg, const struct alarm_seen *s)
{
	struct printing *p = arg;

	if (access_is_narrow(p->access) &&
	    (s->issuer[0] == '\0' || !access_issuer_watched(p->access, p->v, s->issuer)))
		return;
	json_put(p->out, p->n++ == 0 ? "[\n" : ",\n");
	put_member(p->out, "{\"alarm\":", alarm_row(s->alarm)->name);
	put_member(p->out, ",\"issuer\":", s->issuer[0] != '\0' ? s->issuer : NULL);
	put_member(p->out, ",\"subject\":", s->subject);
	json_put(p->out, ",\"since\":");
	json_put_time(p->out, s->since);
	put_member(p->out, ",\"node\":", p->node);
	put_member(p->out, ",\"detail\":", s->detail);
	json_put(p->out, "}");
}

void call_alarms(const struct access *a, const struct inventory *v, struct json_line *out)
{
	struct printing p = {.access = a, .v = v, .out = out};

	alarms_node(p.node);
	if (!alarms_each(print, &p))
		out->failed = true;
	json_put(out, p.n == 0 ? "[]\n" : "\n]\n");
}
