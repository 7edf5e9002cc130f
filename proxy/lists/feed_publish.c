/* feed_publish.c - a list comes into force, with a word on what is odd about it. */
#include "proxy/lists/feed_list.h"

#include <assert.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"

static void log_entries(const struct feed_work *w, const char *warning, uint64_t n)
{
	if (n > 0)
		log_warn("crl_warning", "issuer=%s url=%s warning=%s entries=%llu",
		    w->issuer->name, feed_url(w->list), warning, (unsigned long long)n);
}

static void log_warnings(const struct feed_work *w)
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = {
	    {CRL_WARN_DUPLICATE, "duplicate_serial"},
	    {CRL_WARN_LATER, "entry_after_this_update"},
	    {CRL_WARN_EMPTY, "empty_revoked_certificates"},
	    {CRL_WARN_SHA1, "sha1_signature"},
	    {CRL_WARN_NONUMBER, "no_crl_number"},
	    {CRL_WARN_NAME, "issuer_encoded_otherwise"},
	};
	unsigned warnings = w->job.facts.warnings;

	for (size_t n = 0; n < sizeof names / sizeof names[0]; n++)
		if ((warnings & names[n].bit) != 0)
			log_warn("crl_warning", "issuer=%s url=%s warning=%s",
			    w->issuer->name, feed_url(w->list), names[n].name);
	log_entries(w, "odd_entries", w->job.facts.odd);
	log_entries(w, "entries_left_out", w->job.facts.left_out);
	/* RFC 5280 section 5.2.3: another list has another number (R95) */
	if (warnings & CRL_WARN_REUSED)
		log_warn("crl_number_reused", "issuer=%s url=%s", w->issuer->name,
		    feed_url(w->list));
}

static void log_in_force(const struct feed_work *w)
{
	const struct crl_facts *f = &w->job.facts;
	char number[CRL_NUMBER_TEXT_MAX], hex[CRL_NUMBER_HEX_MAX];

	crl_number_text(f, number);
	crl_number_hex(f, hex);
	log_info("crl_in_force",
	    "issuer=%s url=%s crl_number=%s crl_number_hex=%s entries=%llu from=%s "
	    "fetch_ms=%lld read_ms=%lld diff_ms=%lld",
	    w->issuer->name, feed_url(w->list), number, hex,
	    (unsigned long long)f->entries,
	    w->job.kind == CRL_JOB_OPEN ? "state" : "fetch",
	    (long long)(w->fetch_us / 1000),
	    (long long)((w->job.us - w->job.diff_us) / 1000),
	    (long long)(w->job.diff_us / 1000));
}

void feed_publish(struct feed_work *w)
{
	struct feed_list *l = w->list;

	assert(w->job.error == ERR_OK && l->place >= 0 && !feed_is_gone(l));
	/* what could not be read is current no more */
	if (!l->open.looked && l->told.state != FEED_UNKNOWN) {
		if (l->open.state == FEED_TO_OPEN)
			l->open.state = FEED_OPENED;
		l->retry_ms = INT64_MAX;
	}
	l->open.looked = true;
	feed_watch_comes(w);
	feed_swap(w);
	l->drop = false;
	l->tell.seen_at_ms = clock_now_ms();
	if (l->tell.untold_since_ms == 0 || feed_all_told(l))
		l->tell.untold_since_ms = l->tell.seen_at_ms;
	log_in_force(w);
	log_warnings(w);
	feed_watch_age(l);
	feed_watch_part(l->issuer);
	feed_settle(w);
}
