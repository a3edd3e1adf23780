/* relay.h - one try at another place: its answer becomes our client's.
 *
 *     ew_relay_begin(x)        asks; what comes is told to the client as it comes
 *     ew_exchange_relayed(x)   is called once, when it is over (exchange.c)
 *     ew_relay_close(x)        frees it; cancels what is under way
 *
 * Until the first token has come nothing is sent to the client, so that another place can take over
 * unseen; what came before it (a role, a comment) is held back, bounded. After it there is no way
 * back. Where client and place both speak OpenAI's, the place's own JSON is passed on; else it is
 * read into deltas and written anew. A client that reads slowly pauses the place's connection. */
#ifndef EW_RELAY_H
#define EW_RELAY_H

#include "api/dialect.h"
#include "net/events.h"
#include "net/upstream.h"

enum {
    EW_RELAY_HELD_MAX = 256 << 10,       /* bytes held back before the first token */
    EW_RELAY_UNSENT_MAX = 64 << 10,      /* bytes that a slow client leaves unread, before the place
                                            is slowed, too: what came in one piece on top of it */
    EW_RELAY_ERROR_BYTES_MAX = 64 << 10, /* of an answer that is an error */
    EW_RELAY_EVENTS_MAX = 1 << 20,       /* of a stream: an answer that never ends has an end */
};

struct ew_exchange;

/* How it ended. */
enum ew_relay_end {
    EW_RELAY_RUNS,
    EW_RELAY_GOOD,
    EW_RELAY_FAILED, /* of transport, 5xx, nonsense: another place may do better */
    EW_RELAY_BUSY,   /* it is well, and wants to be asked later */
    EW_RELAY_UNFIT,  /* it can't: context, model, feature, our key */
    EW_RELAY_WRONG,  /* the request is wrong, wherever it goes */
};

struct ew_relay {
    struct ew_exchange *x;
    struct ew_upstream_call *call;
    struct ew_answer *answer;
    struct ew_events events;
    struct ew_buf body;   /* that was sent */
    struct ew_buf whole;  /* that came, not streamed; or an error */
    bool streams, passes; /* passes: EW_ANSWER_TEXT */
    bool told_start, told_end, paused;
    bool sent; /* the place had the whole request */
    int status;
    double retry_after_s;
    enum ew_relay_end end;
    struct ew_fault fault; /* unless GOOD; without addresses, for clients */
    char why[360];         /* the same with them, where there are any: ew_relay_why */
    /* What is known of the answer. */
    struct ew_answer_news news; /* of the whole, or what a stream's last events told */
    bool has_usage;
    uint32_t prompt_tokens, cached_tokens, output_tokens, pieces;
    uint64_t begun_ns, first_ns,
        last_ns; /* last: of a stream's latest bytes, of all else the head, then its end */
    uint64_t events_seen;
    struct ew_answer_extra extra;
    enum ew_finish finish;
    struct ew_usage usage; /* once settled */
    bool settled;
};

/* 0; else it couldn't even be asked: x->relay->end and fault say why, or x->relay is NULL for want
 * of memory. */
int ew_relay_begin(struct ew_exchange *exchange);
/* No more is heard of it; what it was stays. */
void ew_relay_stop(struct ew_relay *relay);
void ew_relay_close(struct ew_exchange *exchange);
/* It is over, and another place is tried: anew, or going on where it broke off in the midst. */
void ew_relay_again(struct ew_exchange *exchange);
void ew_relay_set_aside(struct ew_exchange *exchange);
/* The client reads again. */
void ew_relay_resume(struct ew_relay *relay);
/* First token and stalls have their time. True: it has just ended. */
bool ew_relay_tick(struct ew_relay *relay, uint64_t now_ns);
/* Not streamed: the client's body, into x->out. */
int ew_relay_compose(struct ew_exchange *exchange, const struct ew_reply *reply,
                     struct ew_err *err);
/* What went wrong, for log and ledger. */
static inline const char *ew_relay_why(const struct ew_relay *relay)
{
    return *relay->why ? relay->why : relay->fault.message;
}
struct ew_usage ew_relay_usage(const struct ew_exchange *exchange); /* so far */
/* The visit ends: what it took stays as it is. */
void ew_relay_settle(struct ew_exchange *exchange);

#endif
