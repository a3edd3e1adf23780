/* fuzz_gguf.c - any bytes as a model file: opened as far as a model without its weights' work.
 *
 * LLVMFuzzerTestOneInput is what libFuzzer calls (make fuzz, clang); unit/test_fuzz_gguf.c replays
 * a corpus through it in make check. What opens is used: every token decoded, a text encoded. */
#include <stdlib.h>
#include <string.h>

#include "model/arch.h"
#include "model/tokenizer.h"
#include "model/weights.h"
#include "support/gguf_make.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { TOKENS_MAX = 256 };

static void use_tokenizer(const struct ew_tokenizer *tokenizer)
{
    static const char text[] = "<|im_start|>hello \xe2\x96\x81 world\n\n1234 caf\xc3\xa9 \xff\xfe!";
    int32_t tokens[TOKENS_MAX];
    size_t count;
    struct ew_err err;
    volatile size_t sum = 0;
    for (unsigned flags = 0; flags < 4; flags++)
        if (ew_tokenizer_encode(tokenizer, text, sizeof text - 1, flags, tokens, TOKENS_MAX, &count,
                                &err) == 0)
            for (size_t i = 0; i < count; i++)
                EW_ASSERT(tokens[i] >= 0 && (uint32_t)tokens[i] < ew_tokenizer_vocab(tokenizer));
    for (int32_t i = -1; i <= (int32_t)ew_tokenizer_vocab(tokenizer); i++) {
        struct ew_str s = ew_tokenizer_bytes(tokenizer, i), name = ew_tokenizer_name(tokenizer, i);
        for (size_t k = 0; k < s.bytes; k++)
            sum += (unsigned char)s.data[k];
        for (size_t k = 0; k < name.bytes; k++)
            sum += (unsigned char)name.data[k];
        sum += ew_tokenizer_is_end(tokenizer, i);
    }
}

static void use_tensors(const struct ew_gguf *gguf)
{
    volatile uint64_t sum = 0;
    for (size_t i = 0; i < ew_gguf_tensors(gguf); i++) {
        const struct ew_tensor *t = ew_gguf_tensor_at(gguf, i);
        for (uint64_t k = 0; k < t->bytes; k++)
            sum += ((const uint8_t *)t->data)[k];
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct gguf_make_file file = gguf_make_open_bytes(data, bytes);
    struct ew_err err = {0};
    struct ew_gguf *gguf = NULL;
    struct ew_arch arch;
    struct ew_tokenizer *tokenizer = NULL;
    struct ew_weights weights = {0};
    int code = ew_gguf_open(&gguf, file.path, &err);
    EW_ASSERT(code == 0 || (code == err.code && *err.text && strlen(err.text) < sizeof err.text));
    if (code == 0) {
        use_tensors(gguf);
        if (ew_tokenizer_open(&tokenizer, gguf, &err) == 0)
            use_tokenizer(tokenizer);
        if (ew_arch_read(&arch, gguf, 0, &err) == 0 &&
            ew_weights_map(&weights, gguf, &arch, &err) == 0)
            ew_weights_fini(&weights);
    }
    ew_tokenizer_close(&tokenizer);
    ew_gguf_close(&gguf);
    gguf_make_close(&file);
    return 0;
}
