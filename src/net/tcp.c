/* tcp.c - see tcp.h. */
#include "net/tcp.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum {
    KEEPALIVE_IDLE_S = 60, /* also what keeps a NAT's entry alive: they forget after minutes */
    KEEPALIVE_STEP_S = 10,
    KEEPALIVE_STEPS = 6,
};

/* Half a minute, as long as a first token is waited for. */
enum { WATCH_IDLE_S = 10, WATCH_STEP_S = 5, WATCH_STEPS = 4 };

static void set_keepalive(int fd, int idle_s, int step_s, int steps)
{
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &step_s, sizeof step_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &steps, sizeof steps);
}

void ew_tcp_set_options(int fd)
{
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    set_keepalive(fd, KEEPALIVE_IDLE_S, KEEPALIVE_STEP_S, KEEPALIVE_STEPS);
}

void ew_tcp_watch(int fd)
{
    const unsigned unanswered_ms = (WATCH_IDLE_S + WATCH_STEP_S * WATCH_STEPS) * 1000;
    set_keepalive(fd, WATCH_IDLE_S, WATCH_STEP_S, WATCH_STEPS);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms, sizeof unanswered_ms);
}
