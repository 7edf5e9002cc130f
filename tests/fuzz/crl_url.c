/* An item of crl is refused with a remedy, or all that it stands for can be made: URLs of
 * its places' texts, as many digits as asked for, each list's another one. */
#include "conf/crl_url.h"

#include <stdlib.h>

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x))                                                                \
			abort();                                                         \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_url(const struct crl_item *i, size_t list, size_t place)
{
	const struct crl_pattern *p = &i->place[place];
	char *url = crl_item_url(i, list, place);
	size_t n;

	MUST(url != NULL);
	n = strlen(url);
	MUST(n >= p->before.n + p->after.n + (size_t)p->width);
	MUST(memcmp(url, p->before.p, p->before.n) == 0);
	MUST(
	    p->after.n == 0 || memcmp(url + n - p->after.n, p->after.p, p->after.n) == 0);
	MUST(strpbrk(url, "{}") == NULL && strstr(url, " | ") == NULL);
	url[n - p->after.n] = '\0';
	if (p->ranged)
		MUST(strtoul(url + p->before.n, NULL, 10) == p->first + list);
	free(url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = strndup((const char *)data, n);
	struct crl_item i;
	const char *why;

	MUST(text != NULL);
	why = crl_item_parse(text, &i);
	if (why != NULL) {
		MUST(strstr(why, "; ") != NULL);
	} else {
		MUST(i.lists_n >= 1 && i.places_n >= 1 && i.places_n <= CRL_PLACES_MAX);
		MUST(i.ranged || i.lists_n == 1);
		for (size_t p = 0; p < i.places_n; p++) {
			check_url(&i, 0, p);
			check_url(&i, i.lists_n - 1, p);
		}
	}
	free(text);
	return 0;
}
