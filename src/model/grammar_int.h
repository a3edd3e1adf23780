/* grammar_int.h - what the files of the grammar share; nobody else includes it.
 *
 * The way of a schema: text -> values (template_json.c) -> a nondeterministic automaton over bytes
 * for each rule (schema*.c by the pieces of grammar_build.c) -> deterministic ones (grammar_dfa.c)
 * -> paths through them (grammar_walk.c) -> tokens (grammar.c, by the trie of grammar_trie.c).
 * Building is backwards: each piece is told what comes after it, and gives where it begins. */
#ifndef EW_GRAMMAR_INT_H
#define EW_GRAMMAR_INT_H

#include "base/buf.h"
#include "model/grammar.h"

/* The limits. OpenAI's own are 5000 properties, 120,000 characters, 1000 enum values; all of these
 * together keep a grammar below 64 MB and its making below a second. */
enum {
    GRAMMAR_SCHEMA_BYTES_MAX = 1 << 20,
    GRAMMAR_VALUE_BYTES_MAX = 24 << 20, /* of the schema, parsed */
    GRAMMAR_NODES_MAX = 400000,         /* of all nondeterministic automata */
    GRAMMAR_STATES_MAX = 40000,         /* of all deterministic ones */
    GRAMMAR_TABLE_MAX = 12 << 20,       /* states times classes of bytes */
    GRAMMAR_SETS_MAX = 3 << 20,         /* nodes that states stand for */
    GRAMMAR_WORK_MAX = 60 << 20,        /* nodes looked at while states are made */
    GRAMMAR_RULES_MAX = 4096,
    GRAMMAR_ALTERNATIVES_MAX = 4096, /* of anyOf and oneOf, multiplied out */
    GRAMMAR_ENUM_MAX = 10000,        /* values of one enum */
    GRAMMAR_MASKS = 64               /* kept by one grammar */
};
#define GRAMMAR_NO_MAX 0xffffu

/* ---- grammar_build.c ---- */

enum gr_kind {
    GR_FAIL, /* node 0: nothing matches */
    GR_RANGE,
    GR_SPLIT,
    GR_CALL,
    GR_ACCEPT
};

struct gr_node {
    uint8_t kind, lo, hi; /* GR_RANGE: a byte of lo to hi, then a */
    uint32_t a, b;        /* GR_SPLIT: either; GR_CALL: rule b, then a */
};

struct gr_rule {
    uint32_t node; /* where it begins; 0: not built yet */
    uint16_t start;
    bool repeat; /* between min and max times the rule `inner` */
    bool thin;   /* small, and called from many places: masks look at the rule below it too */
    uint16_t inner, min, max;
};

/* The first failure sticks: pieces then give node 0, and the end is told once. */
struct gr_builder {
    struct gr_node *nodes;
    uint32_t node_count, node_capacity;
    struct gr_rule *rules;
    uint32_t rule_count;
    int code;
    struct ew_err err;
    uint32_t any, object, array, string, character, number, integer, newline; /* rules */
};

int ew__gr_init(struct gr_builder *b, struct ew_err *err);
void ew__gr_fini(struct gr_builder *b);
uint32_t ew__gr_fail(struct gr_builder *b, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
uint32_t ew__gr_range(struct gr_builder *b, unsigned lo, unsigned hi, uint32_t next);
uint32_t ew__gr_union(struct gr_builder *b, uint32_t x, uint32_t y);
/* Matches nothing by itself: both ways are set later. What a loop needs. */
uint32_t ew__gr_fork(struct gr_builder *b);
void ew__gr_join(struct gr_builder *b, uint32_t fork, uint32_t x, uint32_t y);
uint32_t ew__gr_call(struct gr_builder *b, uint32_t rule, uint32_t next);
uint32_t ew__gr_accept(struct gr_builder *b);
uint32_t ew__gr_text(struct gr_builder *b, const char *text, size_t bytes, uint32_t next);
/* Numbers of n digits each, or sequences of UTF-8 bytes: between lo and hi, each byte of what
 * follows the first one between least and most. */
uint32_t ew__gr_between(struct gr_builder *b, const unsigned char *lo, const unsigned char *hi,
                        size_t n, unsigned least, unsigned most, uint32_t next);
/* Characters lo to hi as a string holds them: escaped where they must be. */
uint32_t ew__gr_points(struct gr_builder *b, uint32_t lo, uint32_t hi, uint32_t next);
/* Nothing, a space, or a new line with an indent. */
uint32_t ew__gr_space(struct gr_builder *b, uint32_t next);
uint32_t ew__gr_one_space(struct gr_builder *b, uint32_t next); /* nothing or a space */
uint32_t ew__gr_rule(struct gr_builder *b);
uint32_t ew__gr_repeat(struct gr_builder *b, uint32_t inner, uint64_t min, uint64_t max);
/* The rules that JSON itself has. */
void ew__gr_json(struct gr_builder *b);

/* ---- schema.c: from a schema to nodes; gives where a value begins ---- */

int ew__schema_build(struct gr_builder *b, const struct ew_grammar_params *params,
                     struct ew_err *err);

/* ---- grammar_dfa.c ---- */

enum { GR_HAS_BYTES = 1, GR_HAS_CALLS = 2, GR_ACCEPTS = 4, GR_REPEATS = 8, GR_THIN = 16 };

struct gr_state {
    uint8_t flags;
    uint8_t need; /* rules that must still be called, inside each other, until it accepts */
    uint16_t call_count;
    uint32_t calls; /* the first in the list */
    uint16_t inner, min, max;
};

struct gr_call {
    uint16_t start, after; /* states */
};

struct gr_dfa {
    uint8_t classes[256]; /* byte -> class; ascending */
    uint32_t class_count;
    struct gr_state *states; /* 0: dead */
    uint16_t *next;          /* [state][class] */
    uint32_t state_count;
    struct gr_call *calls;
    uint32_t call_count;
    uint16_t root;
    uint16_t character; /* where that rule begins */
    uint16_t inside;    /* of a string: behind its first quote */
};

int ew__gr_determine(struct gr_dfa *dfa, struct gr_builder *b, struct ew_err *err);
void ew__gr_dfa_fini(struct gr_dfa *dfa);

/* ---- grammar_trie.c: the vocabulary, byte by byte ---- */

enum { GR_TOKEN_BYTES_MAX = 255 }; /* longer tokens, if there were any, are never allowed */

/* Nodes in the order of a walk that goes down first; node 0 is the root. */
struct gr_trie {
    uint32_t *end;    /* the first node behind this one's subtree */
    int32_t *token;   /* whose bytes lead here; -1: none */
    uint8_t *byte;    /* that leads here */
    uint8_t *depth;   /* bytes from the root */
    int32_t *same;    /* of a token: another of the same bytes, or -1 */
    uint32_t longest; /* bytes of a token */
    /* Tokens that are whole characters which a string holds as they are, few characters first; how
     * many have at most so many characters; and a tree of all other tokens. */
    int32_t *plain;
    uint32_t plain_upto[GR_TOKEN_BYTES_MAX + 1];
    struct gr_trie *rest;
};

/* Made when first asked for, kept by the tokenizer. */
int ew__gr_trie_get(const struct gr_trie **out, const struct ew_tokenizer *tokenizer,
                    struct ew_err *err);
void ew__gr_trie_close(struct gr_trie **trie);

/* ---- grammar_walk.c ---- */

#define GR_BELOW_END  UINT32_MAX        /* below the first rule of all */
#define GR_BELOW_BASE (UINT32_MAX - 1u) /* below what a mask is computed for */

struct gr_top {
    uint32_t below; /* a frame of the walk */
    uint16_t state, count;
    uint32_t depth; /* frames below */
};

struct gr_below {
    uint32_t below;
    uint16_t state, count;
};

enum { GR_FRAMES_MAX = 8192, GR_READY_MAX = 64 };

struct gr_walk {
    const struct gr_dfa *dfa;
    struct gr_below *frames; /* [GR_FRAMES_MAX] */
    uint32_t frame_count;
    uint32_t reach; /* the deepest that anything got, and would have to get */
    bool ended;     /* the text may end here */
    bool left;      /* the base may end here */
};

/* All states that a byte can be read in, after the calls and returns that need none. */
uint32_t ew__gr_expand(struct gr_walk *w, const struct gr_top *tops, uint32_t count,
                       struct gr_top ready[GR_READY_MAX]);
/* What they become by a byte of this class; at most EW_GRAMMAR_PATHS_MAX. */
uint32_t ew__gr_step(struct gr_walk *w, const struct gr_top *ready, uint32_t count, uint32_t class,
                     struct gr_top *tops);
/* Frames [0, count) become frames of the walk, the last of them a top. */
struct gr_top ew__gr_load(struct gr_walk *w, const struct ew_grammar_frame *frames, uint32_t count,
                          uint32_t below);
void ew__gr_store(const struct gr_walk *w, const struct gr_top *top, struct ew_grammar_path *path);

#endif
