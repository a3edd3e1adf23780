/* resolve.h - names into addresses by the system's own resolver, without holding up the loop.
 *
 *     ew_resolver_open(&resolver, loop, &err);
 *     ew_resolver_ask(resolver, "agx.local", "8080", done, me, &err);    done is called on the loop
 *     ew_resolver_close(&resolver);                                      nothing is called any more
 *
 * getaddrinfo is what reads /etc/hosts, asks for .local names and follows nsswitch.conf as every
 * other program here does, and it blocks: for that it has threads, few, begun when there is work.
 * One that hangs in it when the resolver is closed ends by itself. Addresses written in digits need
 * no thread: ew_resolver_digits. */
#ifndef EW_RESOLVE_H
#define EW_RESOLVE_H

#include "base/err.h"
#include "net/loop.h"

#include <sys/socket.h>

enum {
    EW_RESOLVE_HOST_BYTES = 256,
    EW_RESOLVE_PORT_BYTES = 6,
    EW_RESOLVE_ADDRESSES_MAX = 4, /* of a name; the rest is left out */
    EW_RESOLVE_WAITING_MAX = 256, /* names that wait for a thread */
};

struct ew_resolve_address {
    struct sockaddr_storage to;
    socklen_t bytes;
};

struct ew_resolved {
    struct ew_resolve_address addresses[EW_RESOLVE_ADDRESSES_MAX]; /* the best first */
    int count;                                                     /* 0: see why */
    char why[100];
};

struct ew_resolver;
/* Valid during the call. */
typedef void ew_resolve_fn(void *user, const struct ew_resolved *resolved);

int ew_resolver_open(struct ew_resolver **gives, struct ew_loop *loop, struct ew_err *err);
void ew_resolver_close(struct ew_resolver **resolver);
/* EW_ELIMIT: too many wait. `done` is never called inside this. */
int ew_resolver_ask(struct ew_resolver *resolver, const char *host, const char *port,
                    ew_resolve_fn *done, void *user, struct ew_err *err);
/* At once: true when the host is an address in digits (of IPv6 without brackets). */
bool ew_resolver_digits(const char *host, const char *port, struct ew_resolved *out);

#endif
