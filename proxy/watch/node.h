/* node.h - who this node is, for others that share a store with it: 16 random octets, in
 * hexadecimal in STATE/node, made once.
 *
 * A machine that was copied with its state directory has the same: remove the file there.
 */
#ifndef PROXY_WATCH_NODE_H
#define PROXY_WATCH_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NODE_N 16

/* Read, or made and durable.  False with a line in why: file, cause, remedy. */
bool node_id(uint8_t id[NODE_N], const char *state_directory, char *why, size_t why_n);

#endif
