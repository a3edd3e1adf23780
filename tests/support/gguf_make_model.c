/* gguf_make_model.c - whole tiny models for tests: two vocabularies and a llama. */
#include <stdio.h>
#include <string.h>

#include "support/gguf_make.h"

enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, BYTE = 6 }; /* token types of GGUF files */

/* UTF-8 of a code point below U+0800; bytes written. */
static size_t utf8(unsigned code, char out[2])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    out[0] = (char)(0xc0 | code >> 6);
    out[1] = (char)(0x80 | (code & 0x3f));
    return 2;
}

/* The letter that byte-level BPE writes for a byte: itself where printable, else U+0100 onwards. */
static unsigned byte_letter(unsigned byte)
{
    unsigned next = 0x100;
    for (unsigned b = 0; b < 256; b++) {
        bool printable = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        if (b == byte)
            return printable ? b : next;
        next += !printable;
    }
    return 0;
}

void gguf_make_bpe(struct gguf_make *m)
{
    static const char *const words[] = {"he", "ll", "hell", "hello"};
    static const char *const controls[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    static const char *const merges[] = {"h e", "l l", "he ll", "hell o"};
    int32_t types[GGUF_MAKE_BPE_VOCAB];
    size_t n = 0;
    gguf_make_string(m, "tokenizer.ggml.model", "gpt2");
    gguf_make_string(m, "tokenizer.ggml.pre", "gpt-2");
    gguf_make_strings(m, "tokenizer.ggml.tokens", NULL, 0);
    for (unsigned b = 0; b < 256; b++) {
        char letter[2];
        size_t bytes = utf8(byte_letter(b), letter);
        gguf_make_push(m, "tokenizer.ggml.tokens", letter, bytes);
        types[n++] = NORMAL;
    }
    for (size_t i = 0; i < EW_COUNT(words); i++, types[n++] = NORMAL)
        gguf_make_push(m, "tokenizer.ggml.tokens", words[i], strlen(words[i]));
    for (size_t i = 0; i < EW_COUNT(controls); i++, types[n++] = CONTROL)
        gguf_make_push(m, "tokenizer.ggml.tokens", controls[i], strlen(controls[i]));
    gguf_make_i32s(m, "tokenizer.ggml.token_type", types, n);
    gguf_make_strings(m, "tokenizer.ggml.merges", merges, EW_COUNT(merges));
    gguf_make_u32(m, "tokenizer.ggml.bos_token_id", 256 + EW_COUNT(words));
    gguf_make_u32(m, "tokenizer.ggml.eos_token_id", 256 + EW_COUNT(words));
    gguf_make_bool(m, "tokenizer.ggml.add_bos_token", false);
}

void gguf_make_spm(struct gguf_make *m)
{
    static const char *const pieces[] = {"▁",  "h",  "e",    "l",     "o",      "▁h",
                                         "he", "ll", "hell", "hello", "▁hello", "lo"};
    static const char *const first[] = {"<unk>", "<s>", "</s>"};
    int32_t types[GGUF_MAKE_SPM_VOCAB];
    float scores[GGUF_MAKE_SPM_VOCAB];
    size_t n = 0;
    gguf_make_string(m, "tokenizer.ggml.model", "llama");
    gguf_make_string(m, "tokenizer.ggml.pre", "default");
    gguf_make_strings(m, "tokenizer.ggml.tokens", first, EW_COUNT(first));
    for (; n < EW_COUNT(first); n++) {
        types[n] = n ? CONTROL : UNKNOWN;
        scores[n] = 0;
    }
    for (int b = 0; b < 256; b++, n++) {
        char name[8];
        int bytes = snprintf(name, sizeof name, "<0x%02X>", b);
        gguf_make_push(m, "tokenizer.ggml.tokens", name, (size_t)bytes);
        types[n] = BYTE;
        scores[n] = 0;
    }
    for (size_t i = 0; i < EW_COUNT(pieces); i++, n++) {
        gguf_make_push(m, "tokenizer.ggml.tokens", pieces[i], strlen(pieces[i]));
        types[n] = NORMAL;
        scores[n] = -(float)(EW_COUNT(pieces) - i); /* longer pieces come later and win */
    }
    gguf_make_f32s(m, "tokenizer.ggml.scores", scores, n);
    gguf_make_i32s(m, "tokenizer.ggml.token_type", types, n);
    gguf_make_u32(m, "tokenizer.ggml.unknown_token_id", 0);
    gguf_make_u32(m, "tokenizer.ggml.bos_token_id", 1);
    gguf_make_u32(m, "tokenizer.ggml.eos_token_id", 2);
    gguf_make_bool(m, "tokenizer.ggml.add_bos_token", true);
}

struct gguf_make_shape gguf_make_shape_tiny(void)
{
    return (struct gguf_make_shape){.layers = 2,
                                    .embedding = 64,
                                    .heads = 4,
                                    .kv_heads = 2,
                                    .feed_forward = 96,
                                    .ctx = 256,
                                    .type = EW_TYPE_F32};
}

static void matrix(struct gguf_make *m, int layer, const char *name, uint32_t type, uint64_t cols,
                   uint64_t rows)
{
    char full[64];
    snprintf(full, sizeof full, "blk.%d.%s.weight", layer, name);
    if (rows)
        gguf_make_random(m, full, type, cols, rows, 0.25f);
    else
        gguf_make_constant(m, full, cols, 1);
}

void gguf_make_llama(struct gguf_make *m, const struct gguf_make_shape *s)
{
    uint32_t kv = s->embedding / s->heads * s->kv_heads;
    gguf_make_string(m, "general.architecture", "llama");
    gguf_make_string(m, "general.name", "tiny");
    gguf_make_u32(m, "llama.block_count", s->layers);
    gguf_make_u32(m, "llama.context_length", s->ctx);
    gguf_make_u32(m, "llama.embedding_length", s->embedding);
    gguf_make_u32(m, "llama.feed_forward_length", s->feed_forward);
    gguf_make_u32(m, "llama.attention.head_count", s->heads);
    gguf_make_u32(m, "llama.attention.head_count_kv", s->kv_heads);
    gguf_make_u32(m, "llama.rope.dimension_count", s->embedding / s->heads);
    gguf_make_f32(m, "llama.rope.freq_base", 10000);
    gguf_make_f32(m, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    gguf_make_bpe(m);
    gguf_make_random(m, "token_embd.weight", s->type, s->embedding, GGUF_MAKE_BPE_VOCAB, 0.5f);
    gguf_make_constant(m, "output_norm.weight", s->embedding, 1);
    for (int i = 0; i < (int)s->layers; i++) {
        matrix(m, i, "attn_norm", EW_TYPE_F32, s->embedding, 0);
        matrix(m, i, "attn_q", s->type, s->embedding, s->embedding);
        matrix(m, i, "attn_k", s->type, s->embedding, kv);
        matrix(m, i, "attn_v", s->type, s->embedding, kv);
        matrix(m, i, "attn_output", s->type, s->embedding, s->embedding);
        matrix(m, i, "ffn_norm", EW_TYPE_F32, s->embedding, 0);
        matrix(m, i, "ffn_gate", s->type, s->embedding, s->feed_forward);
        matrix(m, i, "ffn_up", s->type, s->embedding, s->feed_forward);
        matrix(m, i, "ffn_down", s->type, s->feed_forward, s->embedding);
    }
}
