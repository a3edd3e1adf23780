/* grammar.h - what an answer may be, as the batch asks: which tokens may come next.
 *
 * A schema (schema.c) becomes rules, each a deterministic automaton over bytes that calls other
 * rules where a schema refers to another or may nest without end; so an answer in the making is a
 * few stacks of automaton states. ew_grammar_open and close are of edgewise.h. A grammar is
 * immutable but for its masks, which are kept under a lock as they are first computed: any thread
 * may use it. A state is plain memory of its owner: copied by assignment, never freed.
 *
 * Every text that the grammar allows matches the schema; not every text that matches the schema is
 * allowed. No path leads to a dead end: whatever was chosen so far, the text can be completed.
 *
 *     ew_grammar_start(g, &state);
 *     while (!ew_grammar_done(g, &state)) {
 *         ew_grammar_mask(g, &state, bits);
 *         token = …one whose bit is set…;
 *         if (is_end(token)) break;
 *         ew_grammar_accept(g, &state, token, err);
 *     } */
#ifndef EW_GRAMMAR_H
#define EW_GRAMMAR_H

#include "model/tokenizer.h"

enum {
    EW_GRAMMAR_DEPTH_MAX = 64, /* rules inside each other: objects and arrays of a text */
    EW_GRAMMAR_PATHS_MAX = 16  /* ways to read the text so far that are followed at once */
};

struct ew_grammar_frame {
    uint16_t state; /* of the automaton */
    uint16_t count; /* of items, where the state counts them */
};

struct ew_grammar_path {
    uint32_t depth; /* frames */
    struct ew_grammar_frame frames[EW_GRAMMAR_DEPTH_MAX];
};

struct ew_grammar_state {
    uint32_t count;
    struct ew_grammar_path paths[EW_GRAMMAR_PATHS_MAX];
};

struct ew_grammar;

/* What ew_grammar_open of edgewise.h does, once it has the model's tokenizer, which is borrowed
 * until the grammar is closed. */
int ew_grammar_make(struct ew_grammar **gives, const struct ew_tokenizer *tokenizer,
                    const struct ew_grammar_params *params, struct ew_err *err);

void ew_grammar_start(const struct ew_grammar *grammar, struct ew_grammar_state *state);
/* bits: one for each token of the vocabulary, [(vocab + 31) / 32], set for tokens that may come
 * next. Tokens that end an answer are allowed exactly where the text may end. At least one bit is
 * set. */
void ew_grammar_mask(const struct ew_grammar *grammar, const struct ew_grammar_state *state,
                     uint32_t *bits);
/* EW_EINVAL: the token isn't allowed here, the state is as it was. An end token changes nothing. */
int ew_grammar_accept(const struct ew_grammar *grammar, struct ew_grammar_state *state,
                      int32_t token, struct ew_err *err);
/* The text is complete and nothing may follow. */
bool ew_grammar_done(const struct ew_grammar *grammar, const struct ew_grammar_state *state);

#endif
