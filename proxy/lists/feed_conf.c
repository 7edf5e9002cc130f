/* feed_conf.c - what a start and a reload make of the configuration: issuers, their
 * certificates, their lists.
 *
 * Out of memory, an issuer keeps the lists that it has, and all is tried again after
 * FEED_RETRY_MS: a list is never out of force for want of memory.
 */
#include "proxy/lists/feed_list.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <xxhash.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"

#define BUCKETS_MIN         64
#define AGE_WITH_OCSP_MS    (7 * FEED_DAY_MS) /* CA/B BR 4.9.7 (R114) */
#define AGE_WITHOUT_OCSP_MS (4 * FEED_DAY_MS)

static void list_comes(struct feed_list *l)
{
	LIST_REMOVE(l, link);
	assert(feed_is_gone(l));
	l->conf = FEED_LISTED;
	l->open.looked = false;
	l->ask.state = FEED_CLOSED;
	feed_open_again(l);
}

/* others: lists come that are not in force. */
static void list_gone(struct feed_list *l, bool others)
{
	const struct crl_shard *s = feed_in_force(l);

	assert(!feed_is_gone(l));
	l->conf = FEED_GONE;
	if (s != NULL && others)
		l->conf = feed_all_told(l) ? FEED_KEPT : FEED_KEPT_UNTOLD;
	if (feed_is_kept(l))
		log_info("crl_kept", "issuer=%s url=%s entries=%zu until=%s",
		    l->issuer->name, feed_url(l), s->n,
		    "the lists that came are in force");
	else if (s != NULL)
		log_warn("crl_dropped", "issuer=%s url=%s entries=%zu reason=%s",
		    l->issuer->name, feed_url(l), s->n, "configuration");
	feed_stop_fetch(l);
	feed_drop_stuck(l);
	feed_watch_no_more(l);
	l->retry_ms = l->alarm_ms = INT64_MAX;
	l->held.at = FEED_FLOWS;
	feed_due(l);
	LIST_INSERT_HEAD(&l->issuer->gone, l, link);
}

void feed_forget_gone(struct feed_issuer *i)
{
	struct feed_list *l, *next;

	for (l = LIST_FIRST(&i->gone); l != NULL; l = next) {
		next = LIST_NEXT(l, link);
		if (l->works > 0 || l->place >= 0)
			continue;
		LIST_REMOVE(l, link);
		feed_list_free(l);
	}
}

static bool one_comes(struct feed_list *const *list, size_t n)
{
	for (size_t k = 0; k < n; k++)
		if (feed_is_gone(list[k]))
			return true;
	return false;
}

static bool one_goes(const struct feed_issuer *i, struct feed_list *const *list, size_t n)
{
	for (size_t k = 0; k < i->n; k++)
		if (feed_list_find(list, n, i->list[k]->id) == NULL)
			return true;
	return false;
}

/* Those that come; relieve: as others go.  Do they leave something to be relieved? */
static bool bring(struct feed_list *const *list, size_t n, bool relieve)
{
	bool some = false;

	for (size_t k = 0; k < n; k++) {
		if (!feed_is_gone(list[k]))
			continue;
		list_comes(list[k]);
		if (!relieve || feed_in_force(list[k]) != NULL)
			continue;
		list[k]->conf = FEED_RELIEVING;
		some = true;
	}
	return some;
}

static void take_lists(struct feed_issuer *i, struct feed_list **list, size_t n)
{
	bool others = bring(list, n, one_goes(i, list, n));

	i->rearrange |= n != i->n;
	for (size_t k = 0; k < i->n; k++) {
		i->rearrange |= k >= n || list[k] != i->list[k];
		if (feed_list_find(list, n, i->list[k]->id) == NULL)
			list_gone(i->list[k], others);
	}
	free(i->list);
	i->list = list;
	i->n = n;
	feed_drop_kept(i, "configuration");
}

/* Before the lists are taken, the set says that one is unopened, or they are those that
 * they were. */
bool feed_set_lists(struct feed_issuer *i, const struct issuer *c)
{
	struct feed_wanted all;

	if (!feed_wanted(i, c, &all))
		return false;
	if (one_comes(all.list, all.n) && !feed_say(i, true)) {
		free(all.list);
		return false;
	}
	take_lists(i, all.list, all.n);
	feed_forget_joins(i);
	feed_park(i);
	return feed_say(i, feed_is_unopened(i));
}

void feed_begin_lists(struct feed_issuer *i)
{
	feed_next(i);
	for (size_t k = 0; k < i->n; k++) {
		feed_watch_age(i->list[k]);
		feed_open(i->list[k]);
	}
	feed_watch_part(i);
}

static struct feed_ca *ca_new(const struct issuer *c)
{
	struct feed_ca *ca = calloc(1, sizeof *ca);
	X509 **certificates = calloc(c->ca_n, sizeof *certificates);
	struct issuer_spec spec = {.name = c->name,
	    .certificates = certificates,
	    .certificates_n = c->ca_n,
	    .rules = c->rules};
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	const uint8_t rules[2] = {(uint8_t)c->rules.profile, c->rules.allow_sha1};
	size_t clash[2];
	bool ok = ca != NULL && certificates != NULL && md != NULL &&
		  EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
		  EVP_DigestUpdate(md, rules, sizeof rules) == 1;

	for (size_t k = 0; ok && k < c->ca_n; k++) {
		certificates[k] = c->ca[k].certificate;
		ok = EVP_DigestUpdate(md, c->ca[k].sha256, sizeof c->ca[k].sha256) == 1;
	}
	ok = ok && EVP_DigestFinal_ex(md, ca->id, NULL) == 1 &&
	     issuers_new(&ca->set, &spec, 1, clash) == ERR_OK;
	EVP_MD_CTX_free(md);
	free(certificates);
	if (!ok) {
		free(ca);
		return NULL;
	}
	ca->refs = 1;
	ca->issuer = issuers_at(ca->set, 0);
	return ca;
}

/* Other certificates or rules: what is in force is verified by them again, and goes only
 * where they do not vouch for it.  False: out of memory, and nothing has changed. */
static bool set_ca(struct feed_issuer *i, const struct issuer *c)
{
	struct feed_ca *ca = ca_new(c), *old = i->ca;

	if (ca == NULL)
		return false;
	if (old != NULL && memcmp(old->id, ca->id, sizeof ca->id) == 0) {
		feed_ca_unref(ca);
		return true;
	}
	i->ca = ca;
	feed_ca_unref(old);
	for (size_t k = 0; k < i->n; k++) {
		feed_open_again(i->list[k]);
		feed_sites_read_again(i->list[k], false);
	}
	return true;
}

static int64_t age_alarm_of(const struct conf_issuer *o, const struct issuer *c)
{
	if (o->crl_age_alarm_ms > 0)
		return o->crl_age_alarm_ms;
	if (c->rules.profile != PROFILE_PUBLIC)
		return 0;
	return c->ocsp_n > 0 ? AGE_WITH_OCSP_MS : AGE_WITHOUT_OCSP_MS;
}

/* is, o: what the configuration says of it; NULL: nothing.  False: out of memory for some
 * of it. */
static bool configure(
    struct feed_issuer *i, const struct issuer *is, const struct conf_issuer *o)
{
	bool done;

	i->configured = is != NULL;
	feed_forget_gone(i);
	if (is != NULL) {
		i->interval_ms = o->crl_interval_ms;
		i->age_alarm_ms = age_alarm_of(o, is);
		i->absent = is->rules.absent;
	}
	i->need_watched = is != NULL && is->rules.need_watched;
	for (int from = 0; from < LEARNT_COUNT; from++) {
		i->learns[from] = is != NULL && is->rules.learns[from];
		if (!i->learns[from])
			feed_learnt_clear(&i->learnt[from]);
	}
	if (is != NULL && !set_ca(i, is))
		return false;
	done = feed_set_lists(i, is);
	/* what was refused may be taken now: crl-max-size */
	for (size_t k = 0; k < i->n; k++)
		feed_sites_read_again(i->list[k], true);
	feed_begin_lists(i);
	return done;
}

/* False: out of memory. */
static bool make_bucket_room(struct crl_feed *f)
{
	size_t n = f->buckets == 0 ? BUCKETS_MIN : f->buckets * 2;
	struct feed_issuer **bucket, *i;

	if (f->issuers_n < f->buckets)
		return true;
	bucket = calloc(n, sizeof(struct feed_issuer *));
	if (bucket == NULL)
		return f->buckets > 0; /* longer chains, nothing worse */
	LIST_FOREACH(i, &f->issuers, link) {
		i->next = bucket[i->hash & (n - 1)];
		bucket[i->hash & (n - 1)] = i;
	}
	free(f->bucket);
	f->bucket = bucket;
	f->buckets = n;
	return true;
}

static struct feed_issuer *issuer_get(struct crl_feed *f, const char *name)
{
	struct feed_issuer *i = feed_issuer_find(f, name);
	struct crl_slot *slot;

	if (i != NULL || strlen(name) >= sizeof i->name)
		return i;
	slot = crl_slots_of(f->slots, name);
	i = slot != NULL && make_bucket_room(f) ? calloc(1, sizeof *i) : NULL;
	if (i == NULL)
		return NULL;
	i->slot = slot;
	strcpy(i->name, name);
	i->hash = XXH3_64bits(name, strlen(name));
	i->next = f->bucket[i->hash & (f->buckets - 1)];
	f->bucket[i->hash & (f->buckets - 1)] = i;
	f->issuers_n++;
	i->feed = f;
	i->interval_ms = INT64_C(300000);
	f->unopened++;
	TAILQ_INIT(&i->queue);
	TAILQ_INIT(&i->waits);
	LIST_INSERT_HEAD(&f->issuers, i, link);
	return i;
}

void crl_feed_reload(struct crl_feed *f, const struct conf *c)
{
	struct feed_issuer *i;
	bool done = true;

	f->conf = c;
	if (f->cancelled)
		return;
	LIST_FOREACH(i, &f->issuers, link)
		i->configured = false;
	for (size_t n = 0; n < issuers_count(c->issuers); n++) {
		/* the two have the same order */
		i = issuer_get(f, issuers_at(c->issuers, n)->name);
		done &=
		    i != NULL && configure(i, issuers_at(c->issuers, n), &c->issuer[n]);
	}
	LIST_FOREACH(i, &f->issuers, link)
		if (!i->configured)
			done &= configure(i, NULL, NULL);
	f->reload_ms = INT64_MAX;
	if (!done) {
		f->reload_ms = clock_mono_ms() + FEED_RETRY_MS;
		log_error("crl_reload_failed", "err=%s retry_ms=%d", err_label(ERR_NOMEM),
		    FEED_RETRY_MS);
	}
	feed_arm(f);
	feed_wake_all(f);
}

void crl_feed_start(struct crl_feed *f)
{
	crl_feed_reload(f, f->conf);
}

struct crl_slot *crl_feed_slot(struct crl_feed *f, const char *issuer)
{
	struct feed_issuer *i = issuer_get(f, issuer);

	return i == NULL ? NULL : i->slot;
}
