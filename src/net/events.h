/* events.h - the bytes of a stream into its events: Server-Sent Events, or a JSON text a line.
 *
 *     ew_events_init(&events, EW_EVENTS_SSE);
 *     ew_events_push(&events, bytes, count, take, me, &err);      as they come, in any pieces
 *     ew_events_cut(&events), ew_events_fini(&events)
 *
 * However the bytes are cut, the same events are handed over. Bounded: a line or an event that
 * doesn't end within EW_EVENTS_BYTES_MAX is an error, not memory. SSE is as WHATWG's HTML standard
 * reads it: lines end with CR, LF, or both; comments are passed over, lines of data joined by LF,
 * events without data dropped, their names told; id and retry are ignored. Of JSON texts, a line
 * each, empty lines are passed over. Pure. */
#ifndef EW_EVENTS_H
#define EW_EVENTS_H

#include "base/buf.h"

#define EW_EVENTS_BYTES_MAX (4u << 20)

enum ew_events_form { EW_EVENTS_SSE, EW_EVENTS_LINES };

struct ew_events {
    enum ew_events_form form;
    struct ew_buf line, data;
    char name[32]; /* of the event that is being read; "" none; longer ones are cut */
    bool begun, skip_lf, has_data;
};

void ew_events_init(struct ew_events *events, enum ew_events_form form);
void ew_events_fini(struct ew_events *events);
/* Calls `take` for each whole event; what it returns, unless 0, ends the push and is returned.
 * EW_ELIMIT: an event is too long. Data and name are valid during the call. After an error nothing
 * more may be pushed. */
int ew_events_push(struct ew_events *events, const char *bytes, size_t count,
                   int (*take)(void *user, const char *name, struct ew_str data,
                               struct ew_err *err),
                   void *user, struct ew_err *err);
/* The stream has ended: true when it ended in the midst of an event, whose bytes are dropped. */
bool ew_events_cut(const struct ew_events *events);

#endif
