/* crl_pace.c - six numbers in a line. */
#include "proxy/lists/crl_pace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/lists/crl_state.h"

#define NAME     "pace"
#define WORD     "this-update"
#define TEXT_MAX 256 /* the word, and six numbers of 20 digits at most */
#define AT_MAX   INT64_C(1000000000000) /* no date of a list is so far from 1970 */

void crl_pace_note(struct crl_pace *p, int64_t this_update)
{
	if (p->n > 0 && this_update == p->at[p->n - 1])
		return;
	if (p->n > 0 && this_update < p->at[p->n - 1])
		p->n = 0;
	if (p->n == CRL_PACE_INTERVALS + 1)
		memmove(p->at, p->at + 1, --p->n * sizeof p->at[0]);
	p->at[p->n++] = this_update;
}

static int by_length(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int64_t crl_pace_median_s(const struct crl_pace *p)
{
	int64_t interval[CRL_PACE_INTERVALS];

	if (p->n < CRL_PACE_INTERVALS + 1)
		return 0;
	for (size_t i = 0; i < CRL_PACE_INTERVALS; i++)
		interval[i] = p->at[i + 1] - p->at[i];
	qsort(interval, CRL_PACE_INTERVALS, sizeof interval[0], by_length);
	return interval[CRL_PACE_INTERVALS / 2];
}

/* Half a line has none, nor has one whose times are not in their order. */
static void parse(const char *text, struct crl_pace *p)
{
	char *end;

	*p = (struct crl_pace){0};
	if (strncmp(text, WORD, sizeof WORD - 1) != 0)
		return;
	for (text += sizeof WORD - 1; *text == ' '; text = end) {
		int64_t at = strtoll(text + 1, &end, 10);

		if (p->n > CRL_PACE_INTERVALS || at < -AT_MAX || at > AT_MAX ||
		    (p->n > 0 && at <= p->at[p->n - 1]))
			break;
		p->at[p->n++] = at;
	}
	if (strcmp(text, "\n") != 0)
		p->n = 0;
}

void crl_pace_read(const char *dir, struct crl_pace *p)
{
	char text[TEXT_MAX];

	parse(crl_state_text_read(dir, NAME, text, sizeof text) ? text : "", p);
}

void crl_pace_write(const char *dir, const struct crl_pace *p)
{
	char text[TEXT_MAX] = WORD;
	size_t n = sizeof WORD - 1;

	for (unsigned i = 0; i < p->n; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, " %" PRId64, p->at[i]);
	snprintf(text + n, sizeof text - n, "\n");
	crl_state_text_write(dir, NAME, text);
}
