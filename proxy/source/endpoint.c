/* endpoint.c - evidence, and what follows from it. */
#include "proxy/source/endpoint.h"

bool endpoint_posts(const struct endpoint *p, int64_t now_ms)
{
	return now_ms < p->post_until_ms;
}

void endpoint_answered(struct endpoint *p, bool post, bool known, int64_t now_ms)
{
	if (!post) {
		p->get_answers = true;
	} else if (known || !p->get_answers) {
		p->get_answers = false;
		p->post_until_ms = now_ms + ENDPOINT_POST_MS;
	}
}

enum endpoint_word endpoint_word(const struct fetch_result *f, bool fair)
{
	switch (f->error) {
	case ERR_OK:
	case ERR_UP_SIZE:
		return f->status >= 500 ? ENDPOINT_SICK : ENDPOINT_FINE;
	case ERR_UP_TIMEOUT:
		if (!fair)
			return ENDPOINT_SILENT;
		/* fall through */
	case ERR_UP_CONNECT:
	case ERR_UP_TRUNCATED:
	case ERR_UP_HTTP:
		return f->reached ? ENDPOINT_SICK : ENDPOINT_AWAY;
	default:
		return ENDPOINT_SILENT;
	}
}

bool endpoint_has_answered(const struct endpoint *p)
{
	return p->vouched[0].whose != NULL;
}

bool endpoint_may_be_asked(
    const struct endpoint *p, const void *who, bool known, int64_t now_ms)
{
	if (p->failures == 0)
		return true;
	if ((p->probe != NULL && p->probe != who) || now_ms < p->retry_at_ms)
		return false;
	return known || !endpoint_has_answered(p);
}

static bool is_failing(const struct endpoint *p, const struct key *k)
{
	for (unsigned n = 0; n < p->failing_n; n++)
		if (key_equal(&p->failing[n], k))
			return true;
	return false;
}

static enum endpoint_change fall(struct endpoint *p, int64_t now_ms)
{
	if (p->failures == 0)
		p->failed_at_ms = now_ms;
	if (p->failures < INT32_MAX)
		p->failures++;
	p->epoch++;
	p->failing_n = 0;
	return ENDPOINT_FELL;
}

static enum endpoint_change sick(
    struct endpoint *p, const struct endpoint_news *news, int64_t now_ms)
{
	if (!news->known) /* as a probe it has shown that the way is open */
		return p->failures > 0 ? ENDPOINT_ROSE : ENDPOINT_AS_BEFORE;
	if (p->failures > 0)
		return fall(p, now_ms);
	if (!is_failing(p, news->key))
		p->failing[p->failing_n++] = *news->key;
	return p->failing_n == ENDPOINT_SEVERAL ? fall(p, now_ms) : ENDPOINT_AS_BEFORE;
}

enum endpoint_change endpoint_heard(
    struct endpoint *p, const struct endpoint_news *news, int64_t now_ms)
{
	bool in_time = news->epoch == p->epoch;

	switch (news->word) {
	case ENDPOINT_FINE:
		if (!news->known && !news->admitted && !(in_time && p->failures > 0))
			break;
		p->failing_n = 0;
		return p->failures > 0 ? ENDPOINT_ROSE : ENDPOINT_AS_BEFORE;
	case ENDPOINT_SICK:
		if (in_time)
			return sick(p, news, now_ms);
		break;
	case ENDPOINT_AWAY:
		if (in_time)
			return fall(p, now_ms);
		break;
	case ENDPOINT_SILENT:
		break;
	}
	return ENDPOINT_AS_BEFORE;
}

void endpoint_clear(struct endpoint *p)
{
	p->failing_n = 0;
	if (p->failures == 0)
		return;
	p->failures = 0;
	p->retry_at_ms = 0;
	p->probe = NULL;
	p->epoch++; /* what is under way was asked before */
}

void endpoint_vouch(struct endpoint *p, const struct key *k, void *whose)
{
	for (unsigned n = 0; n < ENDPOINT_VOUCHED; n++)
		if (p->vouched[n].whose != NULL && key_equal(&p->vouched[n].key, k))
			return;
	p->vouched[p->vouched_next] = (struct endpoint_vouched){*k, whose};
	p->vouched_next = (p->vouched_next + 1) % ENDPOINT_VOUCHED;
}

const struct endpoint_vouched *endpoint_vouched(struct endpoint *p)
{
	const struct endpoint_vouched *v;

	if (p->vouched[p->probed_next].whose == NULL)
		p->probed_next = 0;
	v = &p->vouched[p->probed_next];
	p->probed_next = (p->probed_next + 1) % ENDPOINT_VOUCHED;
	return v->whose != NULL ? v : NULL;
}
