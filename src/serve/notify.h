/* notify.h - what systemd wants to hear, and the socket that it may hand over.
 *
 * The protocol of sd_notify(3) is a datagram; doing it here saves a library for forty lines. Where
 * $NOTIFY_SOCKET isn't set, nothing happens; a message that can't be sent is lost: serving doesn't
 * depend on who listens. */
#ifndef EW_NOTIFY_H
#define EW_NOTIFY_H

#include "base/err.h"

/* The first sockets that systemd hands over (LISTEN_FDS) start there: sd_listen_fds(3). */
enum { EW_NOTIFY_FD_FIRST = 3, EW_NOTIFY_STATUS_MAX = 512 };

void ew_notify_ready(void);
void ew_notify_reloading(void); /* then ew_notify_ready again, also when the reload failed */
void ew_notify_stopping(void);
/* One line for `systemctl status`. */
void ew_notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* WATCHDOG=1, to be sent every ew_notify_watchdog_s(): half of what systemd waits before it ends
 * us. 0: it doesn't. */
void ew_notify_watchdog(void);
double ew_notify_watchdog_s(void);

/* The socket that listens already, by socket activation; close-on-exec now. -1: none. Takes
 * LISTEN_FDS and LISTEN_PID out of the environment. */
int ew_notify_listen_fd(void);

#endif
