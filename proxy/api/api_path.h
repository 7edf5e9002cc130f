/* api_path.h - the path of a request, segment by segment.  Pure functions, any thread. */
#ifndef PROXY_API_API_PATH_H
#define PROXY_API_API_PATH_H

#include "cache/base/bytes.h"

/* Does path begin with name, up to the end of a segment?  *rest: what follows. */
bool path_begins(struct bytes path, const char *name, struct bytes *rest);
/* Take the next "/segment" from *rest; false when there is none or it is empty. */
bool path_segment(struct bytes *rest, struct bytes *segment);

#endif
