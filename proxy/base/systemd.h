/* systemd.h - sd_notify(3)'s protocol by hand: one datagram to $NOTIFY_SOCKET, so that
 * libsystemd is no dependency.  Main thread: it reads the environment. */
#ifndef PROXY_BASE_SYSTEMD_H
#define PROXY_BASE_SYSTEMD_H

#include <stdint.h>

/* state: "READY=1", "RELOADING=1\nMONOTONIC_USEC=...", "STOPPING=1", "WATCHDOG=1",
 * "STATUS=...", several separated by '\n'.  0 also where no service manager asks for it;
 * -1 with errno otherwise. */
int systemd_notify(const char *state);

/* How often "WATCHDOG=1" is to be sent, in ms: half of what the service manager waits
 * ($WATCHDOG_USEC), as sd_watchdog_enabled(3) recommends.  0: no watchdog. */
int64_t systemd_watchdog_ms(void);

#endif
