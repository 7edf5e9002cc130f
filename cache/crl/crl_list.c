/* A list and its number.  Numbers have up to 160 bits: they are compared as octets, and
 * printed by division of these. */
#include "cache/crl/crl_list.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

void crl_list_free(struct crl_list *l)
{
	if (l != NULL)
		crl_entries_free(l->entries, l->mapped);
	free(l);
}

bool crl_facts_have_point(const struct crl_facts *f, struct bytes url)
{
	uint64_t hash = f->points_n > 0 ? XXH3_64bits(url.p, url.n) : 0;

	for (size_t i = 0; i < f->points_n; i++)
		if (f->point[i] == hash)
			return true;
	return false;
}

void crl_facts_add_point(struct crl_facts *f, struct bytes url)
{
	if (f->points_n < CRL_POINTS_MAX)
		f->point[f->points_n++] = XXH3_64bits(url.p, url.n);
}

int crl_number_cmp(const struct crl_facts *a, const struct crl_facts *b)
{
	return memcmp(a->number, b->number, sizeof a->number);
}

void crl_number_text(const struct crl_facts *f, char out[CRL_NUMBER_TEXT_MAX])
{
	uint8_t rest[CRL_NUMBER_MAX];
	char digits[CRL_NUMBER_TEXT_MAX];
	char *p = digits + sizeof digits - 1;
	bool more = f->has_number;

	memcpy(rest, f->number, sizeof rest);
	*p = '\0';
	while (more) { /* divide by ten, octet by octet */
		unsigned r = 0;

		more = false;
		for (size_t i = 0; i < sizeof rest; i++) {
			r = r << 8 | rest[i];
			rest[i] = (uint8_t)(r / 10);
			r %= 10;
			more = more || rest[i] != 0;
		}
		assert(p > digits);
		*--p = (char)('0' + r);
	}
	memcpy(out, p, (size_t)(digits + sizeof digits - p));
}

void crl_number_hex(const struct crl_facts *f, char out[CRL_NUMBER_HEX_MAX])
{
	size_t i = 0;

	out[0] = '\0';
	if (!f->has_number)
		return;
	while (i < sizeof f->number - 1 && f->number[i] == 0)
		i++;
	memcpy(out, "0x", 3);
	for (out += 2; i < sizeof f->number; i++, out += 2)
		snprintf(out, 3, "%02X", f->number[i]);
}

bool crl_number_is_back(const struct crl_facts *f, const struct crl_facts *held)
{
	return f->has_number && held->has_number &&
	       memcmp(f->key_sha256, held->key_sha256, sizeof f->key_sha256) == 0 &&
	       crl_number_cmp(f, held) < 0;
}
