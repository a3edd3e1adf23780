/* bpe.h - byte-level byte-pair encoding, as GPT-2 began it and llama 3, qwen and SmolLM do it.
 *
 * Vocabulary and merges are written in an alphabet of 256 printable characters, one a byte. A word
 * (pretok.h) is put into that alphabet; then the pair of neighbours that stands first in the list
 * of merges is joined, again and again. Read-only once open. */
#ifndef EW_BPE_H
#define EW_BPE_H

#include "model/merge.h"
#include "model/pretok.h"

/* Code points of the alphabet are below this. */
#define EW_BPE_POINTS 324

struct ew_bpe {
    const struct ew_vocab *vocab; /* borrowed */
    const struct ew_pretok_info *pretok;
    const char *text; /* borrowed: the merges, "left right", in the file */
    struct ew_word *merges;
    struct ew_index index;
    char letters[256][2]; /* of a byte, in UTF-8 */
    uint8_t letter_bytes[256];
    uint64_t letter_hashes[256];
    int16_t bytes_of[EW_BPE_POINTS]; /* -1: not of the alphabet */
};

/* Fini also after a failure. */
int ew_bpe_init(struct ew_bpe *bpe, const struct ew_gguf *gguf, const struct ew_vocab *vocab,
                const struct ew_pretok_info *pretok, struct ew_err *err);
void ew_bpe_fini(struct ew_bpe *bpe);

/* Valid UTF-8 in. A byte for which the vocabulary has no word gives no token: SmolLM2 lacks 21 of
 * them, and its own tokenizer drops them too. */
int ew_bpe_encode(const struct ew_bpe *bpe, struct ew_merge *merge, struct ew_str text,
                  struct ew_ids *out, struct ew_err *err);
/* The bytes that a word of the vocabulary stands for, at most word.bytes; returns how many. */
size_t ew_bpe_decode(const struct ew_bpe *bpe, struct ew_str word, char *out);

#endif
