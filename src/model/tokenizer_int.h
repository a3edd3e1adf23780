/* tokenizer_int.h - what tokenizer.c (use) and tokenizer_open.c (reading the file) share. */
#ifndef EW_TOKENIZER_INT_H
#define EW_TOKENIZER_INT_H

#include "model/bpe.h"
#include "model/special.h"
#include "model/spm.h"
#include "model/tokenizer.h"

#include <pthread.h>
#include <stdatomic.h>

/* tokenizer.ggml.token_type */
enum ew_token_kind {
    EW_TOKEN_UNDEFINED,
    EW_TOKEN_NORMAL,
    EW_TOKEN_UNKNOWN,
    EW_TOKEN_CONTROL,
    EW_TOKEN_USER,
    EW_TOKEN_UNUSED,
    EW_TOKEN_BYTE
};

enum ew_tokenizer_family { EW_TOKENIZER_BPE, EW_TOKENIZER_SPM };

#define EW_TOKENIZER_ENDS_MAX 64

struct ew_tokenizer {
    enum ew_tokenizer_family family;
    struct ew_vocab vocab;
    struct ew_bpe bpe; /* of its family only */
    struct ew_spm spm;
    struct ew_special special;
    uint8_t *kinds; /* enum ew_token_kind, [vocab] */
    int32_t bos, eos, unknown;
    bool adds_bos, adds_eos, adds_space;
    bool strips_after_special;
    int32_t ends[EW_TOKENIZER_ENDS_MAX];
    size_t end_count;

    /* The bytes of tokens, worked out when first asked for: what a token needs is at its word's
     * offset, and sizes[token] is its bytes + 1 once it's there. Both are pages of zeros until
     * touched. Filled under the lock, published by the release of its size. */
    char *pieces;
    _Atomic uint16_t *sizes;
    struct gr_trie *trie; /* of grammar_trie.c; NULL until a grammar is opened; under the lock */
    pthread_mutex_t lock;
};

#endif
