/* tools.h - tools to words, and a model's words back to tool calls.
 *
 * Models write calls as their template taught them: <tool_call>{"name": …, "arguments": {…}}
 * </tool_call> (Hermes, Qwen), or that object alone, fenced as code or not. Text is pushed as
 * it comes; what may be the start of a call is held back, what can't be any more is passed on.
 * Nothing is lost: a call that is malformed is text again. */
#ifndef EW_TOOLS_H
#define EW_TOOLS_H

#include "flow/reply.h"

enum { EW_TOOLS_ID_BYTES = 32 };

struct ew_tools;
struct ew_rng;

/* The request's tools are borrowed for the call. */
int ew_tools_open(struct ew_tools **gives, const struct ew_request *request, struct ew_err *err);
void ew_tools_close(struct ew_tools **tools);
/* What the ids of calls are drawn from; before the first push. Without it, the request's seed: the
 * choices of one request would have the same ids. */
void ew_tools_seed(struct ew_tools *tools, uint64_t seed);
/* Appends to `text` what is plain text; new calls are at [*count_before, ew_tools_count). */
int ew_tools_push(struct ew_tools *tools, const char *text, size_t bytes, struct ew_buf *plain,
                  struct ew_err *err);
int ew_tools_flush(struct ew_tools *tools, struct ew_buf *plain, struct ew_err *err);
size_t ew_tools_count(const struct ew_tools *tools);
/* Valid until the next push; the texts in it until close. */
const struct ew_reply_call *ew_tools_calls(const struct ew_tools *tools);

/* "call_" and 24 characters. */
void ew_tools_draw_id(struct ew_rng *rng, char id[EW_TOOLS_ID_BYTES]);

/* The schema that a call must match, and the text around it, as ew_grammar_open wants them: of the
 * tool that was named, else of any. By its arguments, too, or by the name alone: parameters may be
 * such that no grammar holds them. EW_ENOTFOUND: the named tool isn't among them. */
enum ew_tools_hold { EW_TOOLS_HOLD_ARGUMENTS, EW_TOOLS_HOLD_NAMES };
int ew_tools_schema(const struct ew_request *request, enum ew_tools_hold hold,
                    struct ew_buf *schema, const char **before, const char **after,
                    struct ew_err *err);
/* The messages with a system message that tells of the tools, for models whose template doesn't;
 * calls and results among the messages become words, too. */
int ew_tools_in_words(const struct ew_request *request, struct ew_buf *messages,
                      struct ew_err *err);

#endif
