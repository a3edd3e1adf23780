/* template.h - the chat template of a model: the subset of Jinja that published templates use,
 * interpreted by us.
 *
 * A template is untrusted input. It is parsed once, at open, without recursion deeper than a named
 * limit; a render is bounded in steps, output bytes and depth, and can reach nothing but what it is
 * given. Read-only once open: threads share one. */
#ifndef EW_TEMPLATE_H
#define EW_TEMPLATE_H

#include "base/buf.h"

struct ew_template;

int ew_template_open(struct ew_template **gives, const char *source, size_t bytes,
                     struct ew_err *err);
void ew_template_close(struct ew_template **tmpl);

/* context: one JSON object, text: {"messages": [...], "add_generation_prompt": true,
 * "bos_token": "<s>", "eos_token": "</s>", "tools": [...]}. Output is appended to out (its max is
 * the bound). Errors name the template's line; raise_exception's message is passed on. */
int ew_template_render(const struct ew_template *tmpl, const char *context, size_t bytes,
                       struct ew_buf *out, struct ew_err *err);

/* What a model without a template gets. */
extern const char ew_template_chatml[];

#endif
