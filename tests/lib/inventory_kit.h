/* inventory_kit.h - what the tests of the inventory share: certificates, drafts, lists.
 *
 * Header only, so that each test still links with the library alone.
 */
#ifndef TESTS_LIB_INVENTORY_KIT_H
#define TESTS_LIB_INVENTORY_KIT_H

#include <stdio.h>
#include <stdlib.h>

#include "cache/watch/watch_put.h"

static inline uint64_t kit_random(void)
{
	static uint64_t state = UINT64_C(88172645463325252);

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* One of few serials of many shapes: of 1 to 21 octets, padded, negative, with common
 * beginnings and ends. */
static inline struct serial kit_odd_serial(void)
{
	struct serial s = {.n = (uint8_t)(1 + kit_random() % SERIAL_MAX)};

	for (size_t i = 0; i < s.n; i++)
		s.octets[i] = (uint8_t)(kit_random() % 5 == 0 ? kit_random() % 3 : 1);
	if (kit_random() % 4 == 0)
		s.octets[0] = kit_random() % 2 == 0 ? 0 : 0xff;
	return s;
}

/* Serial number n, of 16 octets that are spread evenly. */
static inline struct serial kit_wide_serial(uint64_t n)
{
	struct serial s = {.n = 16};
	uint64_t a = (n + 1) * UINT64_C(0x9e3779b97f4a7c15);

	put_be(s.octets, a, 8);
	put_be(s.octets + 8, a ^ a >> 29, 8);
	s.octets[0] = (uint8_t)((s.octets[0] & 0x7f) | 1);
	return s;
}

/* A certificate with its texts in place. */
struct kit_cert {
	struct watch_cert cert;
	uint8_t aki[20];
	char dn[64];
	char text[4][64];
	struct bytes name[4], label[1];
	size_t label_n;
};

/* Of CA number ca, with no names yet; c stays where it is. */
static inline void kit_cert(struct kit_cert *c, unsigned ca, struct serial s)
{
	memset(c, 0, sizeof *c);
	memset(c->aki, (int)ca + 1, sizeof c->aki);
	snprintf(c->dn, sizeof c->dn, "CN=CA %u,O=Test", ca);
	c->cert = (struct watch_cert){.serial = s,
	    .aki = bytes_of(c->aki, sizeof c->aki),
	    .issuer_name = bytes_of(c->dn, strlen(c->dn)),
	    .not_before = 1700000000,
	    .not_after = 1707776000,
	    .names = c->name,
	    .labels = c->label};
}

static inline void kit_name(struct kit_cert *c, const char *name)
{
	char *to = c->text[c->cert.names_n];

	snprintf(to, sizeof c->text[0], "%s", name);
	c->name[c->cert.names_n++] = bytes_of(to, strlen(to));
}

static inline void kit_label(struct kit_cert *c, const char *label)
{
	c->label[0] = bytes_of(label, strlen(label));
	c->cert.labels_n = 1;
}

/* n certificates of CA number ca from serial number `from` on, each with a name of its
 * own and this label. */
static inline enum err kit_fill(
    struct watch_draft *d, unsigned ca, uint64_t from, size_t n, const char *label)
{
	enum err e = ERR_OK;

	for (size_t i = 0; e == ERR_OK && i < n; i++) {
		struct kit_cert c;
		char name[64];

		kit_cert(&c, ca, kit_wide_serial(from + i));
		snprintf(name, sizeof name, "h%zu.shop.example", (size_t)from + i);
		kit_name(&c, name);
		kit_label(&c, label);
		e = watch_draft_add(d, &c.cert);
	}
	return e;
}

/* All steps; *out: the list as it is then. */
static inline enum err kit_put(struct watch_db *db, const char *name, bool add,
    struct watch_draft *d, const struct watch_list *old, const struct watch_list **out)
{
	struct watch_point_draft *points =
	    watch_point_draft_new(&watch_points_none, NULL);
	struct watch_put *p;
	bool done = false;
	enum err e = watch_put_new(&p, db, name, WATCH_API, add, d);

	*out = NULL;
	while (e == ERR_OK && !done)
		e = watch_put_step(p, &done);
	if (e == ERR_OK)
		e = points != NULL ? watch_put_list(p, old, points, out) : ERR_NOMEM;
	watch_point_draft_free(points);
	watch_put_free(p);
	return e;
}

/* The same lists, entry for entry? */
static inline bool kit_same(const struct watch_list *a, const struct watch_list *b)
{
	return strcmp(a->name, b->name) == 0 && a->source == b->source &&
	       a->generation == b->generation && a->version == b->version &&
	       a->n == b->n && a->ranges_n == b->ranges_n &&
	       (a->n == 0 || memcmp(a->ranges, b->ranges,
				 a->ranges_n * sizeof a->ranges[0]) == 0) &&
	       (a->n == 0 ||
		   memcmp(a->entries, b->entries, a->n * sizeof a->entries[0]) == 0);
}

#endif
