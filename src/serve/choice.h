/* choice.h - one answer's tokens become text: whole characters, and nothing of a stop string.
 *
 * Pure: bytes of tokens in, a piece out, whose text may be shown and whose tokens are those that
 * the text shown so far covers. What may be the start of a stop string, or half a character, is
 * held back with its tokens. A piece grows until its reader clears it. */
#ifndef EW_CHOICE_H
#define EW_CHOICE_H

#include "base/stop.h"
#include "base/utf8.h"

/* An answer is bounded by its context; this only bounds what a strange vocabulary could do. */
#define EW_CHOICE_TEXT_MAX (32u << 20)

struct ew_choice_token {
    int32_t id;
    float logprob;
    uint32_t top_count; /* in the piece's `top`, one token's after another's */
};

struct ew_piece {
    struct ew_buf text;
    struct ew_buf tokens, top; /* of ew_choice_token, ew_token_logprob; with logprobs only */
};
void ew_piece_init(struct ew_piece *piece);
void ew_piece_fini(struct ew_piece *piece);
void ew_piece_clear(struct ew_piece *piece);

struct ew_choice {
    struct ew_utf8_stream utf8;
    struct ew_stop stop;
    struct ew_buf chars;    /* of the newest token, before the stop strings saw them */
    struct ew_piece held;   /* tokens whose text isn't shown yet (text unused) */
    struct ew_buf ends;     /* of the held tokens: bytes pushed by the end of each, uint64_t */
    uint64_t pushed, shown; /* bytes of tokens; bytes of text */
    bool keep_tokens;
};

enum ew_choice_tokens { EW_CHOICE_DROP_TOKENS, EW_CHOICE_KEEP_TOKENS };

/* The strings are borrowed until fini. */
int ew_choice_init(struct ew_choice *choice, const char *const *stops, size_t count,
                   enum ew_choice_tokens tokens, struct ew_err *err);
void ew_choice_fini(struct ew_choice *choice);
/* One token; event->top is copied. choice->stop.met says that the text has ended. */
int ew_choice_push(struct ew_choice *choice, const char *bytes, size_t count,
                   const struct ew_stream_event *event, struct ew_piece *out, struct ew_err *err);
/* No more tokens: what was held back is shown after all, unless a stop string was met. */
int ew_choice_flush(struct ew_choice *choice, struct ew_piece *out, struct ew_err *err);

#endif
