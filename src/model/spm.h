/* spm.h - SentencePiece's byte-pair encoding with scores: "llama" files (llama 2, gemma, phi-3).
 *
 * Spaces become U+2581; then the pair of neighbours whose joined text is the word of the highest
 * score is joined, again and again; a character that is no word becomes its bytes, "<0xE2>". The
 * text isn't cut into words first. Read-only once open. */
#ifndef EW_SPM_H
#define EW_SPM_H

#include "model/merge.h"

struct ew_spm {
    const struct ew_vocab *vocab; /* borrowed */
    uint32_t *ranks;              /* [vocab]: the higher the score, the lower */
    int32_t byte_ids[256];        /* -1: none */
    int32_t unknown;              /* for a byte without a token; -1: dropped */
};

/* Fini also after a failure. */
int ew_spm_init(struct ew_spm *spm, const struct ew_gguf *gguf, const struct ew_vocab *vocab,
                int32_t unknown, struct ew_err *err);
void ew_spm_fini(struct ew_spm *spm);

enum ew_spm_prefix { EW_SPM_NO_PREFIX, EW_SPM_SPACE_PREFIX };

/* Valid UTF-8 in. */
int ew_spm_encode(const struct ew_spm *spm, struct ew_merge *merge, struct ew_str text,
                  enum ew_spm_prefix prefix, struct ew_ids *out, struct ew_err *err);
/* U+2581 are spaces again; at most word.bytes, returned. */
size_t ew_spm_decode(struct ew_str word, char *out);
/* The byte of "<0xE2>", -1: isn't such a word. */
int ew_spm_byte(struct ew_str word);

#endif
