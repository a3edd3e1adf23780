/* write.h - what the writers of all wires share: one text that is written whole or not at all, and
 * our extension, which tells where an answer was made and what it took. Family-private. */
#ifndef EW_WRITE_H
#define EW_WRITE_H

#include "api/wire.h"
#include "base/jsonw.h"

/* One answer, or one event of a stream, being written: undone when the buffer is full. */
struct ew_write {
    struct ew_jsonw json;
    struct ew_buf *out;
    size_t before;
};
void ew_write_begin(struct ew_write *text, struct ew_buf *out);
/* Ends with a newline. */
int ew_write_end(struct ew_write *text);
/* For those that add something behind the JSON: passes rc on, and undoes the text unless it's 0. */
int ew_write_undo(struct ew_write *text, int rc);

/* The keys device, energy_j, energy_kind, cost_cents, ttft_ms and tokens_per_s; and estimated,
 * where the counts of tokens are. */
void ew_write_extension(struct ew_jsonw *json, const struct ew_reply *reply);
void ew_write_logprob(struct ew_jsonw *json, float logprob);
/* Opens the object of one token: token, logprob, bytes. */
void ew_write_token(struct ew_jsonw *json, const struct ew_reply_token *token);

#endif
