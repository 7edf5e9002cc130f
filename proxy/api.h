/* api.h - the API's thread: http1 and conn with another router, JSON in and out.
 *
 * It answers nothing by itself but errors and /healthz: each call goes to the keeper as a
 * struct call (proxy/ops.h) and its connection is parked meanwhile.
 */
#ifndef PROXY_API_H
#define PROXY_API_H

#include "proxy/shared.h"

struct api;

struct api *api_new(
    struct shared *shared, int fd, char *why, size_t why_n); /* fd handed over */
struct inbox *api_inbox(struct api *a);
int api_start(struct api *a);
void api_reload(struct api *a); /* any thread, as the next two */
void api_drain(struct api *a);
void api_stop(struct api *a);
void api_join(struct api *a);
void api_free(struct api *a);

#endif
