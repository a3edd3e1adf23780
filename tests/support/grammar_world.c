/* grammar_world.c - grammars over a small vocabulary that has every byte, for tests. */
#include "support/grammar_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void stop(const char *what)
{
    fprintf(stderr, "grammar_world: %s\n", what);
    abort();
}

void grammar_world_open(struct grammar_world *w)
{
    struct ew_err err = {0};
    gguf_make_init(&w->make);
    gguf_make_bpe(&w->make);
    w->file = gguf_make_open(&w->make);
    if (ew_gguf_open(&w->gguf, w->file.path, &err) ||
        ew_tokenizer_open(&w->tokenizer, w->gguf, &err))
        stop(err.text);
    w->end = ew_tokenizer_eos(w->tokenizer);
    for (int32_t t = 0; t < (int32_t)ew_tokenizer_vocab(w->tokenizer); t++) {
        struct ew_str text = ew_tokenizer_bytes(w->tokenizer, t);
        if (text.bytes == 1)
            w->of_byte[(unsigned char)*text.data] = t;
    }
}

void grammar_world_close(struct grammar_world *w)
{
    ew_tokenizer_close(&w->tokenizer);
    ew_gguf_close(&w->gguf);
    gguf_make_close(&w->file);
    gguf_make_fini(&w->make);
}

struct ew_grammar *grammar_world_make(const struct grammar_world *w, const char *schema)
{
    struct ew_err err = {0};
    struct ew_grammar *g;
    const struct ew_grammar_params params = {.schema = schema,
                                             .schema_bytes = schema ? strlen(schema) : 0};
    if (ew_grammar_make(&g, w->tokenizer, &params, &err)) {
        fprintf(stderr, "%.300s\n", schema ? schema : "any object");
        stop(err.text);
    }
    return g;
}

static bool has(const uint32_t *bits, int32_t token)
{
    return bits[token / 32] >> (token % 32) & 1;
}

/* The mask says of each byte what accept does. */
static void check_mask(const struct grammar_world *w, const struct ew_grammar *g,
                       const struct ew_grammar_state *state, const uint32_t *bits)
{
    bool any = false;
    for (int byte = 0; byte < 256; byte++) {
        struct ew_grammar_state copy = *state;
        bool taken = !ew_grammar_accept(g, &copy, w->of_byte[byte], NULL);
        any |= taken;
        if (taken != has(bits, w->of_byte[byte]))
            stop("mask and accept differ");
        if (!taken && (copy.count != state->count ||
                       memcmp(copy.paths, state->paths, state->count * sizeof *state->paths)))
            stop("a refused token changed the state");
    }
    struct ew_grammar_state copy = *state;
    bool ends = !ew_grammar_accept(g, &copy, w->end, NULL);
    if (ends != has(bits, w->end))
        stop("mask and accept differ about the end");
    if (ew_grammar_done(g, state) != (ends && !any))
        stop("done isn't where the text may only end");
    if (!any && !ends)
        stop("a dead end");
}

int grammar_world_read(const struct grammar_world *w, const struct ew_grammar *g, const char *text)
{
    uint32_t bits[(GGUF_MAKE_BPE_VOCAB + 31) / 32];
    struct ew_grammar_state state;
    int at = 0;
    ew_grammar_start(g, &state);
    for (;; at++) {
        ew_grammar_mask(g, &state, bits);
        check_mask(w, g, &state, bits);
        if (!text[at])
            return has(bits, w->end) ? GRAMMAR_READ : at;
        if (ew_grammar_accept(g, &state, w->of_byte[(unsigned char)text[at]], NULL))
            return at;
    }
}
