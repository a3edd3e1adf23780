/* resolve.c - getaddrinfo on threads of its own; resolve.h says why.
 *
 * A job is the loop's, then a thread's, then the loop's again: the lists it stands in are guarded
 * by the mutex, the job itself is only ever touched by whoever took it off one. A thread can't be
 * called back from getaddrinfo; so threads are detached, and the last one out frees the rest.
 * Limits: THREADS_MAX names at a time (a dead name server holds one for ten seconds and more). */
#include "net/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum {
    THREADS_MAX = 4,
    STACK_BYTES = 512 << 10, /* nsswitch's modules are not ours to trust with less */
};

struct job {
    char host[EW_RESOLVE_HOST_BYTES], port[EW_RESOLVE_PORT_BYTES];
    struct ew_resolved resolved;
    ew_resolve_fn *done;
    void *user;
    TAILQ_ENTRY(job) link;
};
TAILQ_HEAD(jobs, job);

struct ew_resolver {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct jobs waiting, finished;
    int waiting_count, thread_count, sleeping;
    bool closed;
    struct ew_loop_wake *wake;
};

static void take_addresses(struct ew_resolved *out, const struct addrinfo *found)
{
    for (; found && out->count < EW_RESOLVE_ADDRESSES_MAX; found = found->ai_next) {
        struct ew_resolve_address *address = &out->addresses[out->count];
        if (found->ai_addrlen > sizeof address->to)
            continue;
        memcpy(&address->to, found->ai_addr, found->ai_addrlen);
        address->bytes = found->ai_addrlen;
        out->count++;
    }
}

static void look_up(const char *host, const char *port, int flags, struct ew_resolved *out)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags};
    struct addrinfo *found = NULL;
    memset(out, 0, sizeof *out);
    int code = getaddrinfo(host, port, &hints, &found);
    if (code == 0) {
        take_addresses(out, found);
        freeaddrinfo(found);
    }
    if (out->count == 0) {
        char text[100];
        const char *why = code == EAI_SYSTEM ? strerror_r(errno, text, sizeof text)
                          : code             ? gai_strerror(code)
                                             : "no address";
        snprintf(out->why, sizeof out->why, "%s", why);
    }
}

bool ew_resolver_digits(const char *host, const char *port, struct ew_resolved *out)
{
    look_up(host, port, AI_NUMERICHOST, out);
    return out->count > 0;
}

/* ---- the threads ---- */

static void free_jobs(struct jobs *jobs)
{
    for (struct job *job; (job = TAILQ_FIRST(jobs)) != NULL;) {
        TAILQ_REMOVE(jobs, job, link);
        free(job);
    }
}

static void free_all(struct ew_resolver *resolver)
{
    free_jobs(&resolver->waiting);
    free_jobs(&resolver->finished);
    pthread_cond_destroy(&resolver->work);
    pthread_mutex_destroy(&resolver->mutex);
    free(resolver);
}

/* With the mutex held; NULL when there will be no more. */
static struct job *next_job(struct ew_resolver *resolver)
{
    resolver->sleeping++;
    while (!resolver->closed && TAILQ_EMPTY(&resolver->waiting))
        pthread_cond_wait(&resolver->work, &resolver->mutex);
    resolver->sleeping--;
    if (resolver->closed)
        return NULL;
    struct job *job = TAILQ_FIRST(&resolver->waiting);
    TAILQ_REMOVE(&resolver->waiting, job, link);
    resolver->waiting_count--;
    return job;
}

static void *work(void *user)
{
    struct ew_resolver *resolver = user;
    pthread_mutex_lock(&resolver->mutex);
    for (struct job *job; (job = next_job(resolver)) != NULL;) {
        pthread_mutex_unlock(&resolver->mutex);
        look_up(job->host, job->port, 0, &job->resolved);
        pthread_mutex_lock(&resolver->mutex);
        TAILQ_INSERT_TAIL(&resolver->finished, job, link);
        if (!resolver->closed)
            ew_loop_wake(resolver->wake); /* with the mutex held: close can't be freeing it */
    }
    bool last = --resolver->thread_count == 0;
    pthread_mutex_unlock(&resolver->mutex);
    if (last)
        free_all(resolver);
    return NULL;
}

/* With the mutex held. Signals are for the loop's thread. */
static int start_thread(struct ew_resolver *resolver)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_attr_init(&attributes) != 0)
        return -1;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&thread, &attributes, work, resolver);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    resolver->thread_count += code == 0;
    return code;
}

/* ---- the loop's side ---- */

static void on_wake(void *user)
{
    struct ew_resolver *resolver = user;
    for (;;) {
        pthread_mutex_lock(&resolver->mutex);
        struct job *job = TAILQ_FIRST(&resolver->finished);
        if (job)
            TAILQ_REMOVE(&resolver->finished, job, link);
        pthread_mutex_unlock(&resolver->mutex);
        if (!job)
            return;
        job->done(job->user, &job->resolved);
        free(job);
    }
}

int ew_resolver_open(struct ew_resolver **gives, struct ew_loop *loop, struct ew_err *err)
{
    *gives = NULL;
    struct ew_resolver *resolver = calloc(1, sizeof *resolver);
    if (!resolver)
        return ew_fail(err, EW_ENOMEM, "no memory for a resolver");
    TAILQ_INIT(&resolver->waiting);
    TAILQ_INIT(&resolver->finished);
    pthread_mutex_init(&resolver->mutex, NULL);
    pthread_cond_init(&resolver->work, NULL);
    int code = ew_loop_wake_open(&resolver->wake, loop, on_wake, resolver, err);
    if (code != 0)
        free_all(resolver);
    else
        *gives = resolver;
    return code;
}

void ew_resolver_close(struct ew_resolver **owned)
{
    struct ew_resolver *resolver = *owned;
    if (!resolver)
        return;
    *owned = NULL;
    pthread_mutex_lock(&resolver->mutex);
    resolver->closed = true;
    bool last = resolver->thread_count == 0;
    ew_loop_wake_close(&resolver->wake);
    pthread_cond_broadcast(&resolver->work);
    pthread_mutex_unlock(&resolver->mutex);
    if (last)
        free_all(resolver);
}

int ew_resolver_ask(struct ew_resolver *resolver, const char *host, const char *port,
                    ew_resolve_fn *done, void *user, struct ew_err *err)
{
    EW_ASSERT(strlen(host) < EW_RESOLVE_HOST_BYTES && strlen(port) < EW_RESOLVE_PORT_BYTES);
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return ew_fail(err, EW_ENOMEM, "no memory to look a name up");
    snprintf(job->host, sizeof job->host, "%s", host);
    snprintf(job->port, sizeof job->port, "%s", port);
    job->done = done;
    job->user = user;
    int code = 0;
    pthread_mutex_lock(&resolver->mutex);
    if (resolver->waiting_count == EW_RESOLVE_WAITING_MAX)
        code = ew_fail(err, EW_ELIMIT, "%d names wait to be looked up already",
                       EW_RESOLVE_WAITING_MAX);
    /* Each that sleeps takes one of those that wait. */
    else if (resolver->sleeping <= resolver->waiting_count &&
             resolver->thread_count < THREADS_MAX && start_thread(resolver) != 0 &&
             resolver->thread_count == 0)
        code = ew_fail(err, EW_EIO, "no thread can be had to look a name up");
    if (code == 0) {
        TAILQ_INSERT_TAIL(&resolver->waiting, job, link);
        resolver->waiting_count++;
        pthread_cond_signal(&resolver->work);
    }
    pthread_mutex_unlock(&resolver->mutex);
    if (code != 0)
        free(job);
    return code;
}
