/* pretok.h - cuts text into the words that byte-level BPE never merges across.
 *
 * Published as regular expressions, one kind a model family; here by hand, in one pass without
 * backtracking, because the engine takes no library and because a regular expression engine on
 * strangers' text is a way to be made slow. A word is never empty and the words add up to the
 * text, which must be valid UTF-8. */
#ifndef EW_PRETOK_H
#define EW_PRETOK_H

#include "base/buf.h"

enum ew_pretok_kind {
    EW_PRETOK_DEFAULT, /* files that name none */
    EW_PRETOK_GPT2,
    EW_PRETOK_SMOLLM, /* each digit alone, then as gpt-2 */
    EW_PRETOK_QWEN2,
    EW_PRETOK_LLAMA3 /* digits by three, otherwise as qwen2 */
};

struct ew_pretok_info {
    const char *name; /* tokenizer.ggml.pre */
    enum ew_pretok_kind kind;
    bool whole_words; /* a word that is in the vocabulary is that token, whatever merges say */
    bool adds_bos;    /* unless the file says otherwise */
};

/* NULL: not known. */
const struct ew_pretok_info *ew_pretok_info(struct ew_str name);

struct ew_pretok {
    enum ew_pretok_kind kind;
    const char *at, *end;
    const char *segment_end, *word_end; /* for the kinds that split in several passes */
};

void ew_pretok_init(struct ew_pretok *pretok, enum ew_pretok_kind kind, struct ew_str text);
/* False: no more words. */
bool ew_pretok_next(struct ew_pretok *pretok, struct ew_str *word);

#endif
