/* grammar.c - the door of the grammar; the automaton behind it isn't there yet, so that every
 * schema is refused as unsupported. */
#include "model/grammar.h"

#include <stdlib.h>

struct ew_grammar {
    const struct ew_tokenizer *tokenizer;
};

int ew_grammar_make(struct ew_grammar **gives, const struct ew_tokenizer *tokenizer,
                    const struct ew_grammar_params *params, struct ew_err *err)
{
    (void)tokenizer;
    (void)params;
    *gives = NULL;
    return ew_fail(err, EW_EUNSUPPORTED, "schemas aren't supported yet");
}

void ew_grammar_close(struct ew_grammar **grammar)
{
    free(*grammar);
    *grammar = NULL;
}

void ew_grammar_start(const struct ew_grammar *grammar, struct ew_grammar_state *state)
{
    (void)grammar;
    state->count = 0;
}

void ew_grammar_mask(const struct ew_grammar *grammar, const struct ew_grammar_state *state,
                     uint32_t *bits)
{
    (void)state;
    for (uint32_t i = 0; i < (ew_tokenizer_vocab(grammar->tokenizer) + 31) / 32; i++)
        bits[i] = UINT32_MAX;
}

int ew_grammar_accept(const struct ew_grammar *grammar, struct ew_grammar_state *state,
                      int32_t token, struct ew_err *err)
{
    (void)grammar;
    (void)state;
    return ew_fail(err, EW_EINVAL, "token %d isn't allowed here", token);
}

bool ew_grammar_done(const struct ew_grammar *grammar, const struct ew_grammar_state *state)
{
    (void)grammar;
    return state->count == 0;
}
