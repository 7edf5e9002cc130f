/* watch_texts.h - the texts of one entry, within its bounds (watch_cert.h).
 *
 * One for each reader, emptied for each entry; all is copied, so that what it lays out is
 * borrowed until the next reset.  Large (400 KiB): never on a stack.
 */
#ifndef CACHE_WATCH_WATCH_TEXTS_H
#define CACHE_WATCH_WATCH_TEXTS_H

#include "cache/watch/watch_cert.h"

struct watch_texts {
	struct bytes names[WATCH_TEXTS_MAX], labels[WATCH_TEXTS_MAX];
	struct bytes crl[WATCH_URLS_MAX];
	size_t names_n, labels_n, crl_n;
	uint64_t names_more;
	size_t name_octets, label_octets;
	char name_room[WATCH_TEXT_MAX], label_room[WATCH_TEXT_MAX];
	char crl_room[WATCH_URLS_MAX][WATCH_URL_MAX];
	char dn[WATCH_DN_MAX]; /* for whoever has one */
};

void watch_texts_reset(struct watch_texts *t);
/* Valid UTF-8; an empty one is passed over. */
void watch_texts_name(struct watch_texts *t, struct bytes text);
bool watch_texts_label(struct watch_texts *t, struct bytes text); /* false: no room */
/* http or https, in printable ASCII?  More is seen by whoever fetches it. */
bool watch_url_is_fetchable(struct bytes url);
/* Passed over unless it is fetchable. */
void watch_texts_url(struct watch_texts *t, struct bytes text);
/* Into c; names that labels left no room for are counted. */
void watch_texts_end(struct watch_texts *t, struct watch_cert *c);

#endif
