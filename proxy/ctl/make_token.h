/* make_token.h - ocspctl token: a new token, and the block that lets it in.
 *
 * No server is asked: the token is 256 bits of the kernel's randomness, and the daemon
 * is given its hash alone.
 */
#ifndef PROXY_CTL_MAKE_TOKEN_H
#define PROXY_CTL_MAKE_TOKEN_H

#include "proxy/ctl/args.h"

/* With --token-file the token goes into that file, which must not be there yet (mode
 * 0600), and the block alone to out; else both to out.  An exit code; what is wrong goes
 * to err. */
int make_token(const struct args *a, FILE *out, FILE *err);

#endif
