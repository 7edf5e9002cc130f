/* The names of statuses and reasons: the API's and RFC 5280's. */
#include "cache/base/facts.h"

#include <assert.h>
#include <stddef.h>

const char *status_name(enum status s)
{
	static const char *const name[] = {
	    [STATUS_NONE] = "none",
	    [STATUS_GOOD] = "good",
	    [STATUS_REVOKED] = "revoked",
	    [STATUS_UNKNOWN] = "unknown",
	};

	assert(s <= STATUS_UNKNOWN);
	return name[s];
}

const char *reason_name(int reason)
{
	static const char *const name[] = {
	    [0] = "unspecified",
	    [1] = "keyCompromise",
	    [2] = "cACompromise",
	    [3] = "affiliationChanged",
	    [4] = "superseded",
	    [5] = "cessationOfOperation",
	    [REASON_CERTIFICATE_HOLD] = "certificateHold",
	    /* 7 is not used */
	    [8] = "removeFromCRL",
	    [9] = "privilegeWithdrawn",
	    [10] = "aACompromise",
	};

	if (reason < 0 || (size_t)reason >= sizeof name / sizeof name[0])
		return NULL;
	return name[reason];
}
