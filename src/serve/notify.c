/* notify.c - sd_notify(3) and sd_listen_fds(3), as far as a server needs them. */
#include "serve/notify.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* "/run/…" or "@name" in the abstract namespace. */
static bool address_of(const char *name, struct sockaddr_un *address, socklen_t *bytes)
{
    size_t length = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || length < 2 || length >= sizeof address->sun_path)
        return false;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, name, length);
    if (name[0] == '@')
        address->sun_path[0] = '\0';
    *bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    return true;
}

static void tell(const char *text)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address;
    socklen_t bytes;
    if (!name || !address_of(name, &address, &bytes))
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    ssize_t n;
    do
        n = sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
                   (const struct sockaddr *)&address, bytes);
    while (n < 0 && errno == EINTR);
    close(fd);
}

void ew_notify_ready(void)
{
    tell("READY=1");
}

/* Type=notify-reload wants to know when; CLOCK_MONOTONIC, which is ew_clock_real. */
void ew_notify_reloading(void)
{
    char text[80];
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             ew_clock_now_ns(&ew_clock_real) / 1000);
    tell(text);
}

void ew_notify_stopping(void)
{
    tell("STOPPING=1");
}

void ew_notify_status(const char *format, ...)
{
    char text[EW_NOTIFY_STATUS_MAX] = "STATUS=";
    size_t start = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + start, sizeof text - start, format, args);
    va_end(args);
    for (char *c = text + start; *c; c++)
        if (*c == '\n') /* would start another field */
            *c = ' ';
    tell(text);
}

void ew_notify_watchdog(void)
{
    tell("WATCHDOG=1");
}

/* Whether the variable names this process; a child of ours, that inherited it, is another. */
static bool is_ours(const char *variable, bool unset_is_ours)
{
    const char *text = getenv(variable);
    char *end;
    if (!text)
        return unset_is_ours;
    long pid = strtol(text, &end, 10);
    return end != text && !*end && pid == (long)getpid();
}

double ew_notify_watchdog_s(void)
{
    const char *text = getenv("WATCHDOG_USEC");
    char *end;
    double us = text ? strtod(text, &end) : 0;
    if (!text || end == text || *end || !(us > 0) || !is_ours("WATCHDOG_PID", true))
        return 0;
    return us / 2e6;
}

int ew_notify_listen_fd(void)
{
    const char *text = getenv("LISTEN_FDS");
    char *end;
    long count = text ? strtol(text, &end, 10) : 0;
    bool given = text && end != text && !*end && count > 0 && is_ours("LISTEN_PID", false);
    int listening = 0;
    socklen_t bytes = sizeof listening;
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    if (!given || getsockopt(EW_NOTIFY_FD_FIRST, SOL_SOCKET, SO_ACCEPTCONN, &listening, &bytes) ||
        !listening)
        return -1;
    fcntl(EW_NOTIFY_FD_FIRST, F_SETFD, FD_CLOEXEC);
    return EW_NOTIFY_FD_FIRST;
}
