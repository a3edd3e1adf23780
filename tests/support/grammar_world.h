/* grammar_world.h - grammars over a small vocabulary that has every byte, for tests.
 *
 *     struct grammar_world w;
 *     grammar_world_open(&w);
 *     struct ew_grammar *g = grammar_world_make(&w, "{\"type\":\"null\"}");
 *     assert_int_equal(grammar_world_read(&w, g, "null"), GRAMMAR_READ);
 *     ew_grammar_close(&g);
 *     grammar_world_close(&w); */
#ifndef GRAMMAR_WORLD_H
#define GRAMMAR_WORLD_H

#include "model/grammar.h"
#include "support/gguf_make.h"

struct grammar_world {
    struct gguf_make make;
    struct gguf_make_file file;
    struct ew_gguf *gguf;
    struct ew_tokenizer *tokenizer;
    int32_t of_byte[256]; /* tokens */
    int32_t end;          /* a token that ends an answer */
};

void grammar_world_open(struct grammar_world *w);
void grammar_world_close(struct grammar_world *w);
/* Fails the test when the schema can't be opened; NULL: any object. */
struct ew_grammar *grammar_world_make(const struct grammar_world *w, const char *schema);
/* GRAMMAR_READ: the whole text, and it may end there; its length: it was read and may not end;
 * else how many bytes of it were. On the way the mask must allow exactly the bytes that are
 * accepted, and end tokens exactly where accept takes them. */
enum { GRAMMAR_READ = -1 };
int grammar_world_read(const struct grammar_world *w, const struct ew_grammar *g, const char *text);

#endif
