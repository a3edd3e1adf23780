/* dialect_openai_plain.h - OpenAI's answers as they nearly always are, read in one pass.
 *
 * A choice with text, usage of counts alone: that is all of what most chunks and answers have. What
 * has more in it that counts (calls, parts, several choices, an error, fields of our own devices)
 * isn't plain, and is read from a tree. Family-private. */
#ifndef EW_DIALECT_OPENAI_PLAIN_H
#define EW_DIALECT_OPENAI_PLAIN_H

#include "base/buf.h"

enum ew_openai_part { EW_OPENAI_WHOLE, EW_OPENAI_CHUNK };

/* Texts are as they were written, for ew_scan_unescape; .data NULL: absent, or null. */
struct ew_openai_plain {
    struct ew_str id, content, refusal, finish;
    int64_t created_s, index, prompt_tokens, output_tokens, cached_tokens; /* -1: absent, null */
    bool has_choices;  /* an array of them, which may be empty */
    bool has_choice;   /* one, */
    bool has_message;  /* with a message or delta that is an object */
    bool has_thoughts; /* in it */
    bool usage_is_object, usage_is_null;
};

/* False: it isn't plain, or isn't JSON. */
bool ew_openai_plain_read(struct ew_openai_plain *plain, struct ew_str text,
                          enum ew_openai_part part);

#endif
