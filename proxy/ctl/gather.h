/* gather.h - certificates out of files, folders, lists of HAProxy's and servers.
 *
 * Of PEM only the blocks of certificates are decoded: a private key beside them is passed
 * over, and the memory of the file is wiped.  A folder is gone through as a watchlist's
 * is (watch_walk.h); files of it that hold no certificate are nothing, those over 1 MiB
 * are passed over.  A file that was named and is neither PEM nor DER is a crt-list, whose
 * paths are seen from its folder; a certificate's PATH.issuer is read too.
 */
#ifndef PROXY_CTL_GATHER_H
#define PROXY_CTL_GATHER_H

#include "proxy/ctl/found.h"
#include "proxy/ctl/progress.h"

struct gather {
	struct found *found;
	struct progress *progress;
	int64_t read; /* octets */
	bool nomem;
};

/* FILE, DIR or HOST:PORT; what is wrong with it becomes a note. */
void gather(struct gather *g, const char *what);

/* A text of PEM, or one certificate of DER: into the place that was begun.  False: there
 * was none. */
bool gather_text(struct found *f, struct bytes text);

#endif
