/* version.h - what this release calls itself. */
#ifndef PROXY_BASE_VERSION_H
#define PROXY_BASE_VERSION_H

#define OCSPCACHED_VERSION "0.1.0"
/* No right clock is before this: 2026-11-01, when the release was under way (T20). Set by
 * hand and not by the compiler, so that one source gives one binary. */
#define OCSPCACHED_RELEASED INT64_C(1793491200)

#endif
