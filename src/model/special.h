/* special.h - finds the tokens that are taken from the text whole, before anything is merged:
 * "<|im_end|>", and what a model's makers defined so (gemma: runs of newlines, HTML tags).
 *
 * The longest token of all is looked for first, leftmost first, in all of the text; then the next
 * shorter one in what remains, and so on; of equally long ones the leftmost. That is not the same
 * as the longest match from left to right, but it's what the files in circulation are used with.
 *
 * All occurrences are found in one walk of a trie. Then lengths are gone through downwards; a token
 * that is shorter than all taken so far overlaps one exactly if its first or last byte is taken. */
#ifndef EW_SPECIAL_H
#define EW_SPECIAL_H

#include "model/vocab.h"

enum ew_special_kind {
    EW_SPECIAL_ALWAYS, /* user-defined tokens */
    EW_SPECIAL_ASKED   /* control tokens: only with EW_TOKENIZE_SPECIAL */
};

struct ew_special {
    const struct ew_vocab *vocab; /* borrowed */
    struct ew_special_node *nodes;
    uint32_t count, capacity;
    int32_t roots[256];
};

struct ew_special_match {
    uint32_t at;
    int32_t token;
};

struct ew_special_matches {
    struct ew_special_match *list; /* owned, ascending, not overlapping */
    size_t count, capacity;
};

void ew_special_init(struct ew_special *special, const struct ew_vocab *vocab);
void ew_special_fini(struct ew_special *special);
int ew_special_add(struct ew_special *special, uint32_t id, enum ew_special_kind kind,
                   struct ew_err *err);
/* kind: EW_SPECIAL_ASKED finds both. */
int ew_special_find(const struct ew_special *special, struct ew_str text, enum ew_special_kind kind,
                    struct ew_special_matches *out, struct ew_err *err);
void ew_special_matches_fini(struct ew_special_matches *matches);

#endif
