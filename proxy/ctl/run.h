/* run.h - what every command of ocspctl works with, and the calls that it makes.
 *
 * Each ends with an exit code of args.h; what went wrong has been told on standard error
 * by then.
 */
#ifndef PROXY_CTL_RUN_H
#define PROXY_CTL_RUN_H

#include "proxy/ctl/args.h"
#include "proxy/ctl/client.h"
#include "proxy/ctl/table.h"

struct run {
	const struct args *args;
	struct client *client;
	struct show show;
};

/* The server has answered, but with an error: say which, and find its exit code. */
int run_server_error(const struct reply *r);
/* One call.  0: *r is to be looked at, its body the caller's; else an exit code. */
int run_call(const struct run *run, const char *method, const char *path,
    const json_t *body, struct reply *r);
/* The same, path (freed here; NULL: out of memory) and an answer of 2xx; body may be NULL
 * where nobody wants it. */
int run_ask(const struct run *run, const char *method, char *path, json_t **body);
void run_print_json(const struct run *run, const json_t *value);
int run_no_memory(void);

#endif
