/* tokenizer.h - text to token ids and back, by the vocabulary that the GGUF file carries.
 *
 * Two families: byte-level BPE ("gpt2" files, bpe.c) and SentencePiece ("llama" files, spm.c);
 * tokenizer.c holds the vocabulary, the special tokens and the door. Read-only once open: threads
 * share one. Encode is O(n log n); ew_tokenizer_encode allocates its working memory and frees it.
 * Invalid UTF-8 in the text is replaced by U+FFFD as base/utf8.h says, which is also what
 * Python's bytes.decode("utf-8", "replace") does. A word given twice, arrays of the wrong kind or
 * length, ids beyond the vocabulary and merges that make no word are refused. */
#ifndef EW_TOKENIZER_H
#define EW_TOKENIZER_H

#include "model/gguf.h"

struct ew_tokenizer;

int ew_tokenizer_open(struct ew_tokenizer **gives, const struct ew_gguf *gguf, struct ew_err *err);
void ew_tokenizer_close(struct ew_tokenizer **tokenizer);

/* flags: EW_TOKENIZE_* of edgewise.h; contract as ew_model_tokenize. */
int ew_tokenizer_encode(const struct ew_tokenizer *tokenizer, const char *text, size_t bytes,
                        unsigned flags, int32_t *tokens, size_t capacity, size_t *count,
                        struct ew_err *err);
/* The bytes a token adds to an answer: control tokens "" ; SentencePiece's space mark is a space,
 * a byte token one byte. Valid as long as the tokenizer. NULL-safe for ids out of range: "". */
struct ew_str ew_tokenizer_bytes(const struct ew_tokenizer *tokenizer, int32_t token);
/* As the vocabulary writes it, controls too ("<|im_end|>"). */
struct ew_str ew_tokenizer_name(const struct ew_tokenizer *tokenizer, int32_t token);

uint32_t ew_tokenizer_vocab(const struct ew_tokenizer *tokenizer);
int32_t ew_tokenizer_bos(const struct ew_tokenizer *tokenizer); /* -1: none */
int32_t ew_tokenizer_eos(const struct ew_tokenizer *tokenizer); /* -1: none */
bool ew_tokenizer_adds_bos(const struct ew_tokenizer *tokenizer);
/* Ends an answer: eos, eot, and control tokens known to end a turn (<|im_end|>, <end_of_turn>,
 * <|eot_id|>, <|end|>, <|endoftext|> …). */
bool ew_tokenizer_is_end(const struct ew_tokenizer *tokenizer, int32_t token);

#endif
