/* pace.c - one question to the kernel, and what follows from it. */
#include "proxy/http/pace.h"

#include <assert.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

int64_t pace_owed(int fd)
{
	int n = 0;

	return ioctl(fd, SIOCOUTQ, &n) == 0 && n > 0 ? n : 0;
}

bool pace_look(
    struct pace *p, int fd, int64_t now_ms, int64_t timeout_ms, int64_t bytes_a_second)
{
	int64_t owed = pace_owed(fd), taken = p->owed - owed;

	assert(bytes_a_second >= 0 && p->looked_ms <= now_ms);
	if (taken > 0 && bytes_a_second > 0)
		p->since_ms += taken * 1000 / bytes_a_second;
	if ((taken > 0 && bytes_a_second == PACE_ANY) || p->since_ms > now_ms)
		p->since_ms = now_ms;
	p->owed = owed;
	p->looked_ms = now_ms;
	return now_ms - p->since_ms < timeout_ms;
}
