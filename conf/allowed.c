/* allowed.c - networks that URLs may lead to besides public ones: of those that were
 * learnt, and of webhooks. */
#include <stdlib.h>

#include "conf/fault.h"

/* In *out, as many.  False: no memory. */
static bool check(
    const struct draft *d, enum option_id id, char **text, size_t n, struct network **out)
{
	*out = calloc(n + 1, sizeof **out);
	if (*out == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		const char *why = network_parse(text[i], &(*out)[i]);

		if (why != NULL)
			fault_value(d, &d->settings->global, id, i, text[i], why);
	}
	return true;
}

bool draft_check_allowed(const struct draft *d)
{
	struct conf *c = d->conf;

	return check(d, OPTION_allow_address, c->allow_address, c->allow_address_n,
		   &c->allowed) &&
	       check(d, OPTION_webhook_allow_address, c->webhook_allow_address,
		   c->webhook_allow_address_n, &c->webhook_allowed);
}
