/* bad_files_model.c - good GGUF that isn't a good model. */
#include <math.h>
#include <string.h>

#include "support/bad_files.h"

void bad_files_start_model(struct gguf_make *m, const char *family)
{
    struct gguf_make_shape shape = gguf_make_shape_tiny();
    gguf_make_init(m);
    gguf_make_llama(m, &shape);
    if (strcmp(family, "SentencePiece") == 0) {
        gguf_make_drop(m, "tokenizer.ggml.merges");
        gguf_make_spm(m);
        gguf_make_random(m, "token_embd.weight", EW_TYPE_F32, shape.embedding, GGUF_MAKE_SPM_VOCAB,
                         0.5f);
    }
}

#define DO(name, statement)                                                                        \
    static void name(struct gguf_make *m)                                                          \
    {                                                                                              \
        statement;                                                                                 \
    }

/* ---- hyperparameters ---- */

DO(no_architecture, gguf_make_drop(m, "general.architecture"))
DO(odd_architecture, gguf_make_string(m, "general.architecture", "mamba"))
DO(architecture_u32, gguf_make_u32(m, "general.architecture", 3))
DO(no_layers_key, gguf_make_drop(m, "llama.block_count"))
DO(layers_0, gguf_make_u32(m, "llama.block_count", 0))
DO(layers_huge, gguf_make_u32(m, "llama.block_count", UINT32_MAX))
DO(layers_u64, gguf_make_u64(m, "llama.block_count", (uint64_t)1 << 32))
DO(layers_negative, gguf_make_i32(m, "llama.block_count", -1))
DO(layers_text, gguf_make_string(m, "llama.block_count", "2"))
DO(embedding_0, gguf_make_u32(m, "llama.embedding_length", 0))
DO(feed_forward_0, gguf_make_u32(m, "llama.feed_forward_length", 0))
DO(ctx_0, gguf_make_u32(m, "llama.context_length", 0))
DO(ctx_huge, gguf_make_u32(m, "llama.context_length", UINT32_MAX))
DO(heads_0, gguf_make_u32(m, "llama.attention.head_count", 0))
DO(heads_5, gguf_make_u32(m, "llama.attention.head_count", 5);
   gguf_make_u32(m, "llama.attention.head_count_kv", 5))
DO(kv_heads_0, gguf_make_u32(m, "llama.attention.head_count_kv", 0))
DO(kv_heads_3, gguf_make_u32(m, "llama.attention.head_count_kv", 3))
DO(kv_heads_8, gguf_make_u32(m, "llama.attention.head_count_kv", 8))
DO(kv_heads_array, gguf_make_i32s(m, "llama.attention.head_count_kv", (const int32_t[]){2, 1}, 2))
DO(key_length_0, gguf_make_u32(m, "llama.attention.key_length", 0))
DO(key_length_12, gguf_make_u32(m, "llama.attention.key_length", 12))
DO(value_length_8, gguf_make_u32(m, "llama.attention.value_length", 8))
DO(rope_32, gguf_make_u32(m, "llama.rope.dimension_count", 32))
DO(rope_odd, gguf_make_u32(m, "llama.rope.dimension_count", 7))
DO(rope_base_0, gguf_make_f32(m, "llama.rope.freq_base", 0))
DO(rope_base_nan, gguf_make_f32(m, "llama.rope.freq_base", NAN))
DO(rope_scaling_odd, gguf_make_string(m, "llama.rope.scaling.type", "cubic"))
DO(rope_factor_inf, gguf_make_f32(m, "llama.rope.scaling.factor", INFINITY))
DO(eps_missing, gguf_make_drop(m, "llama.attention.layer_norm_rms_epsilon"))
DO(eps_nan, gguf_make_f32(m, "llama.attention.layer_norm_rms_epsilon", NAN))
DO(eps_negative, gguf_make_f32(m, "llama.attention.layer_norm_rms_epsilon", -1))
DO(eps_0, gguf_make_f32(m, "llama.attention.layer_norm_rms_epsilon", 0))

static void rope_freqs_0(struct gguf_make *m)
{
    gguf_make_constant(m, "rope_freqs.weight", 8, 0);
}

static void rope_freqs_short(struct gguf_make *m)
{
    gguf_make_constant(m, "rope_freqs.weight", 4, 1);
}

/* ---- tensors that the hyperparameters ask for ---- */

DO(no_embedding, gguf_make_drop_tensor(m, "token_embd.weight"))
DO(no_norm, gguf_make_drop_tensor(m, "blk.1.ffn_norm.weight"))
DO(no_matrix, gguf_make_drop_tensor(m, "blk.1.attn_k.weight"))
DO(layers_1, gguf_make_u32(m, "llama.block_count", 1))
DO(odd_bias, gguf_make_constant(m, "blk.0.ffn_up.bias", 96, 1))
DO(layers_3, gguf_make_u32(m, "llama.block_count", 3))
DO(embedding_narrow, gguf_make_random(m, "token_embd.weight", EW_TYPE_F32, 32, 263, 1))
DO(embedding_short, gguf_make_random(m, "token_embd.weight", EW_TYPE_F32, 64, 262, 1))
DO(output_short, gguf_make_random(m, "output.weight", EW_TYPE_F32, 64, 200, 1))
DO(matrix_turned, gguf_make_random(m, "blk.0.ffn_up.weight", EW_TYPE_F32, 96, 64, 1))
DO(matrix_flat, gguf_make_random(m, "blk.0.attn_q.weight", EW_TYPE_F32, 64, 0, 1))
DO(norm_long, gguf_make_constant(m, "output_norm.weight", 65, 1))
DO(norm_q8, gguf_make_random(m, "output_norm.weight", EW_TYPE_Q8_0, 64, 0, 1))
DO(bias_short, gguf_make_constant(m, "blk.0.attn_q.bias", 63, 0))

static void matrix_solid(struct gguf_make *m)
{
    uint64_t shape[3] = {64, 64, 2};
    gguf_make_tensor(m, "blk.0.attn_q.weight", EW_TYPE_F32, 3, shape, NULL);
}

/* ---- weights that aren't numbers ---- */

/* Bytes 2 .. 3 or 0 .. 1 of a float, a scale or an offset. */
static void spoil(struct gguf_make *m, const char *name, size_t at, uint16_t bits)
{
    struct gguf_make_tensor *t = gguf_make_find(m, name);
    EW_ASSERT(t && at + sizeof bits <= t->data.bytes);
    memcpy(t->data.data + at, &bits, sizeof bits);
}

/* A number in row 5 of a matrix of any type is replaced. */
static void spoil_matrix(struct gguf_make *m, enum ew_type type, size_t at, uint16_t bits)
{
    static const char name[] = "blk.1.ffn_up.weight";
    const struct ew_type_info *info = ew_type_describe(type);
    gguf_make_random(m, name, type, 64, 96, 0.25f);
    size_t row = 64 / (size_t)info->weights * (size_t)info->bytes;
    spoil(m, name, 5 * row + row / 2 + at, bits);
}

/* The embedding stays in the file where there is a head of its own. */
static void spoil_embedding(struct gguf_make *m, uint16_t bits)
{
    gguf_make_random(m, "output.weight", EW_TYPE_F32, 64, GGUF_MAKE_BPE_VOCAB, 0.25f);
    spoil(m, "token_embd.weight", 9 * 64 * sizeof(float) + 2, bits);
}

DO(f32_nan, spoil_matrix(m, EW_TYPE_F32, 2, 0x7fc0))
DO(f32_infinite, spoil_matrix(m, EW_TYPE_F32, 2, 0xff80))
DO(f16_infinite, spoil_matrix(m, EW_TYPE_F16, 0, 0x7c00))
DO(bf16_nan, spoil_matrix(m, EW_TYPE_BF16, 0, 0xffff))
DO(q8_0_nan, spoil_matrix(m, EW_TYPE_Q8_0, 0, 0x7e00))
DO(q4_0_infinite, spoil_matrix(m, EW_TYPE_Q4_0, 0, 0xfc00))
DO(q4_1_nan, spoil_matrix(m, EW_TYPE_Q4_1, 2, 0xfe01))
DO(q5_0_nan, spoil_matrix(m, EW_TYPE_Q5_0, 0, 0x7c01))
DO(q5_1_infinite, spoil_matrix(m, EW_TYPE_Q5_1, 2, 0x7c00))
DO(norm_nan, spoil(m, "blk.0.attn_norm.weight", 10, 0x7fc0))
DO(tied_nan, spoil(m, "token_embd.weight", 7 * 64 * sizeof(float) + 2, 0x7fc0))
DO(embedding_nan, spoil_embedding(m, 0x7fc0))
DO(embedding_infinite, spoil_embedding(m, 0x7f80))
DO(norm_great, gguf_make_constant(m, "output_norm.weight", 64, 3e38f))

/* ---- chat template ---- */

DO(template_u32, gguf_make_u32(m, "tokenizer.chat_template", 1))
DO(template_open, gguf_make_string(m, "tokenizer.chat_template", "{% if messages %}no end"))
DO(template_noise, gguf_make_string(m, "tokenizer.chat_template", "{{ \"\\x\" ~ }} %}{% \033[2J"))

/* ---- vocabulary ---- */

/* A token of the vocabulary replaced by as many other bytes. */
static void replace_token(struct gguf_make *m, const char *was, const char *now)
{
    for (size_t i = 0; i < m->pair_count; i++) {
        if (strcmp(ew_buf_cstr(&m->pairs[i].key), "tokenizer.ggml.tokens") != 0)
            continue;
        struct ew_buf *value = &m->pairs[i].value;
        char *at = memmem(value->data, value->bytes, was, strlen(was));
        EW_ASSERT(at && strlen(was) == strlen(now));
        memcpy(at, now, strlen(now));
    }
}

static const char tokens[] = "tokenizer.ggml.tokens", merges[] = "tokenizer.ggml.merges",
                  scores[] = "tokenizer.ggml.scores", types[] = "tokenizer.ggml.token_type";

DO(no_model, gguf_make_drop(m, "tokenizer.ggml.model"))
DO(odd_model, gguf_make_string(m, "tokenizer.ggml.model", "wordpiece\033[2J"))
DO(odd_pre, gguf_make_string(m, "tokenizer.ggml.pre", "pre-9"))
DO(no_tokens, gguf_make_drop(m, tokens))
DO(tokens_empty, gguf_make_array(m, tokens, EW_GGUF_STRING, 0, NULL, 0))
DO(tokens_u8, gguf_make_array(m, tokens, EW_GGUF_U8, 3, "abc", 3))
DO(tokens_fewer, gguf_make_strings(m, tokens, (const char *const[]){"a", "b"}, 2))
DO(token_twice, replace_token(m, "hello", "<|im_"); gguf_make_push(m, tokens, "<|im_", 5))
DO(types_i8, gguf_make_array(m, types, EW_GGUF_I8, 3, "\1\1\1", 3))
DO(types_f32, gguf_make_f32s(m, types, (const float[]){1, 1}, 2))
DO(types_short, gguf_make_i32s(m, types, (const int32_t[]){1, 1}, 2))
DO(bos_beyond, gguf_make_u32(m, "tokenizer.ggml.bos_token_id", GGUF_MAKE_BPE_VOCAB))
DO(bos_negative, gguf_make_i32(m, "tokenizer.ggml.bos_token_id", -5))
DO(eos_huge, gguf_make_u32(m, "tokenizer.ggml.eos_token_id", UINT32_MAX))
DO(eot_beyond, gguf_make_u32(m, "tokenizer.ggml.eot_token_id", 1 << 30))
DO(add_bos_u8, gguf_make_value(m, "tokenizer.ggml.add_bos_token", EW_GGUF_U8, "\1", 1))
DO(no_merges, gguf_make_drop(m, merges))
DO(merges_i32, gguf_make_i32s(m, merges, (const int32_t[]){1}, 1))
DO(merge_alone, gguf_make_push(m, merges, "hello", 5))
DO(merge_empty, gguf_make_push(m, merges, "", 0))
DO(merge_nothing, gguf_make_push(m, merges, " ", 1))
DO(merge_unknown, gguf_make_push(m, merges, "o w", 3))

static void token_long(struct gguf_make *m)
{
    static char token[4097];
    memset(token, 't', sizeof token);
    gguf_make_push(m, tokens, token, sizeof token);
}

/* 300 control tokens of 4000 bytes. */
static void specials_long(struct gguf_make *m)
{
    static int32_t kinds[GGUF_MAKE_BPE_VOCAB + 300];
    char token[4000];
    for (int i = 0; i < GGUF_MAKE_BPE_VOCAB + 300; i++)
        kinds[i] = i < GGUF_MAKE_BPE_VOCAB ? 1 : 3;
    memset(token, 's', sizeof token);
    for (int i = 0; i < 300; i++) {
        token[0] = (char)('A' + i / 20);
        token[1] = (char)('A' + i % 20);
        gguf_make_push(m, tokens, token, sizeof token);
    }
    gguf_make_i32s(m, types, kinds, GGUF_MAKE_BPE_VOCAB + 300);
}

static void merge_long(struct gguf_make *m)
{
    static char rule[5000];
    memset(rule, 'm', sizeof rule);
    rule[2500] = ' ';
    gguf_make_push(m, merges, rule, sizeof rule);
}

DO(no_scores, gguf_make_drop(m, scores))
DO(scores_i8, gguf_make_array(m, scores, EW_GGUF_I8, 3, "\1\1\1", 3))
DO(scores_short, gguf_make_f32s(m, scores, (const float[]){0, 0}, 2))

static void score_nan(struct gguf_make *m)
{
    static float values[GGUF_MAKE_SPM_VOCAB];
    values[7] = NAN;
    gguf_make_f32s(m, scores, values, GGUF_MAKE_SPM_VOCAB);
}

#define UNSUPPORTED EW_EUNSUPPORTED
#define LIMIT       EW_ELIMIT
const struct bad_file bad_files_model[] = {
    {"Model", "no architecture", no_architecture, "general.architecture is missing", 0},
    {"Model", "unknown architecture", odd_architecture, "'mamba' is not supported", UNSUPPORTED},
    {"Model", "architecture as a number", architecture_u32, "is u32, must be a string", 0},
    {"Model", "layer count missing", no_layers_key, "llama.block_count is missing", 0},
    {"Model", "0 layers", layers_0, "llama.block_count is 0, allowed 1 to", 0},
    {"Model", "2^32 - 1 layers", layers_huge, "llama.block_count is 4294967295", 0},
    {"Model", "2^32 layers", layers_u64, "must be 0 to 4294967295", 0},
    {"Model", "-1 layers", layers_negative, "'llama.block_count' is -1", 0},
    {"Model", "layer count as text", layers_text, "is string, must be an integer", 0},
    {"Model", "embedding of 0", embedding_0, "llama.embedding_length is 0", 0},
    {"Model", "feed-forward of 0", feed_forward_0, "llama.feed_forward_length is 0", 0},
    {"Model", "context of 0", ctx_0, "llama.context_length is 0", 0},
    {"Model", "context of 2^32 - 1", ctx_huge, "llama.context_length is 4294967295", 0},
    {"Model", "0 heads", heads_0, "llama.attention.head_count is 0", 0},
    {"Model", "5 heads in an embedding of 64", heads_5, "64 is no multiple of", 0},
    {"Model", "0 key-value heads", kv_heads_0, "llama.attention.head_count_kv is 0", 0},
    {"Model", "4 heads on 3", kv_heads_3, "4 is no multiple of head_count_kv 3", 0},
    {"Model", "more key-value heads than heads", kv_heads_8, "no multiple of head_count_kv 8", 0},
    {"Model", "key-value heads that differ by layer", kv_heads_array, "by layer", UNSUPPORTED},
    {"Model", "head of 0", key_length_0, "heads of 0 numbers", 0},
    {"Model", "head of 12", key_length_12, "heads of 12 numbers", 0},
    {"Model", "values of another length", value_length_8, "value_length 8", UNSUPPORTED},
    {"Model", "rotates more than the head", rope_32, "rope.dimension_count is 32", 0},
    {"Model", "rotates an odd number", rope_odd, "rope.dimension_count 7 is odd", 0},
    {"Model", "rope base of 0", rope_base_0, "llama.rope.freq_base is 0", 0},
    {"Model", "rope base not a number", rope_base_nan, "llama.rope.freq_base is nan", 0},
    {"Model", "unknown rope scaling", rope_scaling_odd, "'cubic' is not supported", UNSUPPORTED},
    {"Model", "infinite rope factor", rope_factor_inf, "rope.scaling.factor is inf", 0},
    {"Model", "rope factors of 0", rope_freqs_0, "rope_freqs.weight: factor 0 is 0", 0},
    {"Model", "too few rope factors", rope_freqs_short, "rope_freqs.weight must be F32 of 8", 0},
    {"Model", "epsilon missing", eps_missing, "epsilon is missing", 0},
    {"Model", "epsilon not a number", eps_nan, "epsilon is nan", 0},
    {"Model", "negative epsilon", eps_negative, "epsilon is -1", 0},
    {"Model", "epsilon of 0", eps_0, "epsilon is missing or 0", 0},

    {"Weights", "embedding missing", no_embedding, "token_embd.weight is missing", 0},
    {"Weights", "norm missing", no_norm, "blk.1.ffn_norm.weight is missing", 0},
    {"Weights", "matrix missing", no_matrix, "blk.1.attn_k.weight is missing", 0},
    {"Weights", "fewer layers than the file says", layers_3, "blk.2.", 0},
    {"Weights", "embedding too narrow", embedding_narrow, "must be 64 x 263", 0},
    {"Weights", "embedding of fewer tokens", embedding_short, "64 x 262", 0},
    {"Weights", "head of fewer tokens", output_short, "output.weight is 64 x 200", 0},
    {"Weights", "matrix turned", matrix_turned, "blk.0.ffn_up.weight is 96 x 64", 0},
    {"Weights", "matrix of one row", matrix_flat, "blk.0.attn_q.weight is 64 x 1", 0},
    {"Weights", "matrix of three dimensions", matrix_solid, "(3 dims)", 0},
    {"Weights", "norm too long", norm_long, "output_norm.weight is 65", 0},
    {"Weights", "norm quantised", norm_q8, "type Q8_0, must be F32", 0},
    {"Weights", "more layers than the file says", layers_1, "'blk.1.attn_norm.weight' is none",
     UNSUPPORTED},
    {"Weights", "bias we don't add", odd_bias, "'blk.0.ffn_up.bias' is none", UNSUPPORTED},
    {"Weights", "bias too short", bias_short, "blk.0.attn_q.bias is 63", 0},

    {"Damaged weights", "F32 not a number", f32_nan, "'blk.1.ffn_up.weight': row 5 isn't", 0},
    {"Damaged weights", "F32 infinite", f32_infinite, "'blk.1.ffn_up.weight': row 5 isn't", 0},
    {"Damaged weights", "F16 infinite", f16_infinite, "row 5 isn't all numbers", 0},
    {"Damaged weights", "BF16 not a number", bf16_nan, "row 5 isn't all numbers", 0},
    {"Damaged weights", "Q8_0, scale not a number", q8_0_nan, "row 5 isn't all numbers", 0},
    {"Damaged weights", "Q4_0, infinite scale", q4_0_infinite, "row 5 isn't all numbers", 0},
    {"Damaged weights", "Q4_1, offset not a number", q4_1_nan, "row 5 isn't all numbers", 0},
    {"Damaged weights", "Q5_0, scale not a number", q5_0_nan, "row 5 isn't all numbers", 0},
    {"Damaged weights", "Q5_1, infinite offset", q5_1_infinite, "row 5 isn't all numbers", 0},
    {"Damaged weights", "norm not a number", norm_nan, "'blk.0.attn_norm.weight': row 0", 0},
    {"Damaged weights", "tied head not a number", tied_nan, "'token_embd.weight': row 7", 0},
    {"Damaged weights", "embedding not a number, in a prompt", embedding_nan, "no numbers", 0},
    {"Damaged weights", "infinite embedding, in a prompt", embedding_infinite, "no numbers", 0},
    {"Damaged weights", "norm of 3e38, in a prompt", norm_great, "computes no numbers", 0},

    {"Chat template", "a number", template_u32, "is u32, must be a string", 0},
    {"Chat template", "if without end", template_open, "tokenizer.chat_template: ", 0},
    {"Chat template", "noise", template_noise, "tokenizer.chat_template: ", 0},

    {"Vocabulary", "kind missing", no_model, "tokenizer.ggml.model is missing", 0},
    {"Vocabulary", "unknown kind", odd_model, "'wordpiece?[2J' isn't supported", UNSUPPORTED},
    {"Vocabulary", "unknown pre-tokenizer", odd_pre, "'pre-9' isn't supported", UNSUPPORTED},
    {"Vocabulary", "tokens missing", no_tokens, "tokenizer.ggml.tokens is missing", 0},
    {"Vocabulary", "no tokens", tokens_empty, "0 tokens", 0},
    {"Vocabulary", "tokens as numbers", tokens_u8, "must be an array of string", 0},
    {"Vocabulary", "fewer tokens than types", tokens_fewer, "263 entries for 2 tokens", 0},
    {"Vocabulary", "token twice", token_twice, "are the same word", 0},
    {"Vocabulary", "token of 4097 bytes", token_long, "4097 bytes, at most 4096", LIMIT},
    {"Vocabulary", "control tokens of 1.2 MB", specials_long, "special tokens of more", LIMIT},
    {"Vocabulary", "types as i8", types_i8, "is an array of i8, must be an array of i32", 0},
    {"Vocabulary", "types as f32", types_f32, "is an array of f32, must be an array of i32", 0},
    {"Vocabulary", "fewer types than tokens", types_short, "2 entries for 263 tokens", 0},
    {"Vocabulary", "bos beyond the vocabulary", bos_beyond, "bos_token_id is 263", 0},
    {"Vocabulary", "negative bos", bos_negative, "'tokenizer.ggml.bos_token_id' is -5", 0},
    {"Vocabulary", "eos of 2^32 - 1", eos_huge, "eos_token_id is 4294967295", 0},
    {"Vocabulary", "eot beyond the vocabulary", eot_beyond, "eot_token_id is 1073741824", 0},
    {"Vocabulary", "add_bos as a number", add_bos_u8, "is u8, must be a bool", 0},
    {"Vocabulary", "merges missing", no_merges, "tokenizer.ggml.merges is missing", 0},
    {"Vocabulary", "merges as numbers", merges_i32, "must be an array of string", 0},
    {"Vocabulary", "merge of one word", merge_alone, "entry 4 isn't two words", 0},
    {"Vocabulary", "empty merge", merge_empty, "entry 4 isn't two words", 0},
    {"Vocabulary", "merge of nothing", merge_nothing, "entry 4 isn't two words", 0},
    {"Vocabulary", "merge into no token", merge_unknown, "('o w') makes a word that", 0},
    {"Vocabulary", "merge of 5000 bytes", merge_long, "5000 bytes, at most", LIMIT},

    {"SentencePiece", "scores missing", no_scores, "tokenizer.ggml.scores is missing", 0},
    {"SentencePiece", "scores as i8", scores_i8, "is an array of i8, must be an array of f32", 0},
    {"SentencePiece", "fewer scores than tokens", scores_short, "2 scores for 271", 0},
    {"SentencePiece", "score not a number", score_nan, "entry 7 isn't a finite number", 0},
    {0},
};
