/* pace.h - is what somebody is sent still taken?
 *
 * A socket becomes writable when a third of its buffer is free, and that may be a
 * megabyte: from who reads steadily but slowly there is no sign for a minute.  So
 * progress is not what could be written, but what the kernel owes less than it did
 * (SIOCOUTQ), looked at PACE_LOOKS times in a timeout while somebody owes us a sign:
 * never for a write that goes through.
 *
 * What is taken puts the deadline off for as long as it may take at the least pace, to a
 * whole timeout from now at most.  Who takes nothing is cut off after the timeout, who is
 * slower than the pace after some of them, and who is not is never.
 *
 * On a unix socket the kernel counts its buffers and not their bytes: what is read of a
 * buffer counts when all of it has been.
 *
 * A value; the thread of the socket.
 */
#ifndef PROXY_HTTP_PACE_H
#define PROXY_HTTP_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes in a second.  Who is sent a list or a snapshot holds it: a trickle would keep one
 * that was replaced on the disk, or in memory, for days. */
#define PACE_HOLDING (16 * 1024)
/* Who is sent an answer holds a connection and what the kernel has for it: slow enough
 * for any line that carries TLS at all. */
#define PACE_ANSWER 1024
#define PACE_ANY    0 /* a byte is enough */

#define PACE_LOOKS 4 /* in a timeout */

struct pace {
	int64_t since_ms; /* the timeout runs from here */
	int64_t looked_ms;
	int64_t owed; /* what the kernel had at the last look, and what it got since */
};

/* From now on something is owed.  What the kernel has already is only found out by the
 * first look, unless it is put into p->owed. */
static inline void pace_begin(struct pace *p, int64_t now_ms)
{
	*p = (struct pace){now_ms, now_ms, 0};
}

/* The kernel took n bytes. */
static inline void pace_gave(struct pace *p, size_t n)
{
	p->owed += (int64_t)n;
}

/* When to look next. */
static inline int64_t pace_due(const struct pace *p, int64_t timeout_ms)
{
	return p->looked_ms + timeout_ms / PACE_LOOKS;
}

/* What the kernel of fd owes, in bytes; 0 where it cannot say. */
int64_t pace_owed(int fd);
/* Look: false when the time is up.  p->owed is what is owed. */
bool pace_look(
    struct pace *p, int fd, int64_t now_ms, int64_t timeout_ms, int64_t bytes_a_second);

#endif
