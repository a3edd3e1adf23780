/* template.h - the chat template of a model: the subset of Jinja that published templates use,
 * interpreted by us.
 *
 * A template is untrusted input. It is parsed once, at open, without recursion deeper than a named
 * limit; a render is bounded in steps, output bytes, memory and depth, and can reach nothing but
 * what it is given. Read-only once open: threads share one.
 *
 * The language is that of transformers' chat templates: Jinja's statements (if, for, set, macro,
 * call, filter, with, raw, generation, break, continue), expressions, tests and most filters, with
 * trim_blocks and lstrip_blocks on, output not escaped. Not there: include, import, extends, block,
 * recursive loops, *args in calls, integers beyond 64 bits. Unlike transformers, a template may
 * append to a list and pop from it, and the filter safe changes nothing (Jinja escapes what is
 * then added to it). Unknown tags are errors of open; unknown filters and tests only when they are
 * reached. Errors: EW_EFORMAT and EW_EUNSUPPORTED for the template, EW_EINVAL for what doesn't fit
 * the conversation (raise_exception too), EW_ELIMIT. */
#ifndef EW_TEMPLATE_H
#define EW_TEMPLATE_H

#include "base/buf.h"

struct ew_template;

int ew_template_open(struct ew_template **gives, const char *source, size_t bytes,
                     struct ew_err *err);
void ew_template_close(struct ew_template **tmpl);

/* context: one JSON object, text: {"messages": [...], "add_generation_prompt": true,
 * "bos_token": "<s>", "eos_token": "</s>", "tools": [...]}. Output is appended to out (its max is
 * the bound), or on an error nothing is. Errors name the template's line; raise_exception's message
 * is passed on. What templates expect to be there: tools and documents are none unless given, as in
 * transformers. The function strftime_now is there if "strftime_now": "YYYY-MM-DD HH:MM:SS" is, the
 * local time that it formats: no clock is read here, so the same context gives the same text. */
int ew_template_render(const struct ew_template *tmpl, const char *context, size_t bytes,
                       struct ew_buf *out, struct ew_err *err);

/* A conversation in JSON: messages an array as OpenAI's API has it, tools an array or (data NULL)
 * none. A last message of the assistant is continued: no new turn is opened. EW_EINVAL tells the
 * byte, or the message, where it isn't what it must be. */
struct ew_template_chat {
    struct ew_str messages, tools;
    struct ew_str bos, eos; /* tokens, as the vocabulary writes them */
};
int ew_template_chat(const struct ew_template *tmpl, const struct ew_template_chat *chat,
                     struct ew_buf *out, struct ew_err *err);
/* Whether any expression of the template looks at the variable tools. */
bool ew_template_reads_tools(const struct ew_template *tmpl);

/* What a model without a template gets. */
extern const char ew_template_chatml[];

#endif
