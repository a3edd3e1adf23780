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

void ew_tcp_set_options(int fd)
{
    const int on = 1, idle = KEEPALIVE_IDLE_S, step = KEEPALIVE_STEP_S, steps = KEEPALIVE_STEPS;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &step, sizeof step);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &steps, sizeof steps);
}
