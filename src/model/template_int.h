/* template_int.h - what the files of the chat template share; schema.c, which reads its JSON with
 * template_json.c, includes it too, nobody else.
 *
 * The way of a template: source -> tokens (template_lex.c) -> nodes (template_parse.c for
 * statements, template_expr.c for expressions) -> text (template_exec.c runs statements,
 * template_eval.c computes expressions). template_chat.c puts conversations in. Values live in
 * template_value.c; what a template can call are the tables of template_filters.c, template_seq.c,
 * template_tests.c, template_methods.c and template_globals.c. Nodes and values are taken from an
 * arena that is freed as one, so nothing here frees a value, and a template can't make one outlive
 * its render. */
#ifndef EW_TEMPLATE_INT_H
#define EW_TEMPLATE_INT_H

#include "base/buf.h"
#include "model/template.h"

/* The limits. The largest published template is 30 KB, nests 12 deep and renders a long chat in
 * some ten thousand steps; each limit leaves at least an order of magnitude above that. */
enum {
    TMPL_SOURCE_BYTES_MAX = 1 << 20,
    TMPL_PARSE_BYTES_MAX = 64 << 20,  /* nodes and tokens of one template */
    TMPL_PARSE_DEPTH_MAX = 100,       /* blocks and parentheses inside each other */
    TMPL_RENDER_DEPTH_MAX = 500,      /* nodes under evaluation, macros included: the C stack */
    TMPL_VALUE_DEPTH_MAX = 100,       /* lists and objects inside each other */
    TMPL_STEPS_MAX = 20000000,        /* about a second */
    TMPL_VALUE_BYTES_MAX = 128 << 20, /* of a render, its context's included */
    TMPL_SYMBOLS_MAX = 1000,          /* names of variables */
    TMPL_RANGE_MAX = 100000,          /* as the sandbox of Jinja */
    TMPL_PARAMS_MAX = 5,              /* of a filter, test, method or function */
    TMPL_STEP_BYTES = 64              /* bytes looked at that count as one step */
};

struct tmpl_chunk;
struct tmpl_arena {
    struct tmpl_chunk *chunks;
    size_t used, max; /* bytes */
};
/* Zeroed memory; NULL, and err, above the arena's max. */
void *ew__tmpl_alloc(struct tmpl_arena *arena, size_t bytes, struct ew_err *err);
void ew__tmpl_free(struct tmpl_arena *arena);

/* ---- values ---- */

enum value_kind {
    V_UNSET, /* a parameter that wasn't given; never seen by a template */
    V_UNDEFINED,
    V_NONE,
    V_BOOL,
    V_INT,
    V_FLOAT,
    V_STR,
    V_LIST,
    V_TUPLE,
    V_ITER, /* what map and its like give: walked once, true even when empty */
    V_DICT,
    V_SPACE, /* namespace() */
    V_LOOP,
    V_MACRO,
    V_FUNC,
    V_METHOD
};

struct value {
    uint32_t kind;
    uint32_t bytes; /* V_STR; V_UNDEFINED: of its name */
    union {
        bool b;
        int64_t i;
        double f;
        const char *s; /* V_STR, V_UNDEFINED; not NUL-terminated */
        struct list *list;
        struct dict *dict;
        struct loop *loop;
        const struct macro *macro;
        const struct builtin *func;
        const struct method *method;
    };
};

struct list {
    struct value *items;
    uint32_t count, capacity;
    uint32_t taken; /* V_ITER: items already walked */
};

struct pair {
    struct value key, value;
};

struct dict { /* keeps the order of insertion, as Python's */
    struct pair *pairs;
    uint32_t count, capacity;
    uint32_t *index; /* hash table of position + 1; NULL while small */
    uint32_t index_size;
};

struct method {
    struct value self;
    const struct builtin *builtin;
};

struct macro {
    const struct node *node;
    struct scope *scope; /* where it was defined */
};

struct loop {
    const struct value *items;
    uint32_t count, at;
    struct value changed; /* what loop.changed() saw last */
};

struct kwarg {
    struct value name, value;
};

/* One call as a builtin sees it: its parameters in the order of its table row (V_UNSET when not
 * given), or for a variadic one ("*") all that was given. */
struct render;
struct call {
    struct value self;
    struct value argv[TMPL_PARAMS_MAX];
    const struct value *args;
    const struct kwarg *kwargs;
    uint32_t count, kwarg_count;
};

struct builtin {
    const char *name;
    int (*run)(struct render *r, const struct call *call, struct value *out);
    const char *params; /* names, separated by a space; "*": variadic */
    uint32_t required;
};

/* ---- nodes ---- */

enum node_type {
    /* expressions */
    N_CONST,
    N_NAME,
    N_LIST,
    N_TUPLE,
    N_DICT,
    N_COND,
    N_OR,
    N_AND,
    N_NOT,
    N_COMPARE,
    N_OPERAND,
    N_BINARY,
    N_CONCAT,
    N_NEGATE,
    N_PLUS,
    N_FILTER,
    N_TEST,
    N_CALL,
    N_KWARG,
    N_ATTR,
    N_ITEM,
    N_SLICE,
    N_PIPED, /* what a filter block or a filtered set feeds into its first filter */
    /* statements */
    N_DATA,
    N_PRINT,
    N_IF,
    N_FOR,
    N_SET,
    N_SET_BLOCK,
    N_MACRO,
    N_CALL_BLOCK,
    N_FILTER_BLOCK,
    N_WITH,
    N_BREAK,
    N_CONTINUE
};

/*             a          b            c            d          e
 * COND        test       then         else or NULL
 * COMPARE     left       OPERAND chain (op, a)
 * BINARY      left       right                                         op
 * FILTER,TEST input      arguments                                     builtin, value: name
 * CALL        callee     arguments
 * ATTR        object                                                   value: name
 * ITEM        object     index
 * SLICE       start      stop         step         (each may be NULL)
 * LIST..DICT  items chain (DICT: key, value, key, ...)
 * IF          test       body         elif or NULL else body
 * FOR         target     iterable     body         else body  filter or NULL
 * SET         target     value
 * SET_BLOCK   target     filter       body
 * MACRO       parameters              body                             symbol
 *             (NAME; b is its default)
 * CALL_BLOCK  call       parameters   body
 * FILTER_BLOCK           filter       body
 * WITH        SET chain               body */
struct node {
    uint8_t type, op;
    uint32_t line;
    uint32_t symbol; /* N_NAME, N_MACRO */
    const struct builtin *builtin;
    struct value value;
    struct node *a, *b, *c, *d, *e;
    struct node *next; /* the one after it in a chain */
};

/* Operators and punctuation: a character, or two of them as (first << 8 | second) where the parser
 * needs them apart; nodes keep the small number below. */
enum tmpl_op {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_FLOORDIV,
    OP_MOD,
    OP_POW,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,
    OP_NOT_IN
};

enum token_type {
    TOKEN_END,
    TOKEN_DATA,
    TOKEN_PRINT_BEGIN,
    TOKEN_PRINT_END,
    TOKEN_BLOCK_BEGIN,
    TOKEN_BLOCK_END,
    TOKEN_NAME,
    TOKEN_STRING, /* between its quotes, escapes still in it */
    TOKEN_INT,
    TOKEN_FLOAT,
    TOKEN_OP
};

struct token {
    uint32_t type;
    uint32_t line;
    struct ew_str text;
};

struct ew_template {
    struct tmpl_arena arena;
    struct node *body;
    struct ew_str *symbols; /* names of variables; nodes refer to them by number */
    uint32_t symbol_count;
    bool reads_tools;
};

struct parser {
    struct ew_template *tmpl;
    struct token *tokens; /* of the arena of tokens */
    uint32_t token_count, at;
    uint32_t depth, loops;     /* loops: open around what is being parsed */
    struct tmpl_arena scratch; /* tokens; freed after the parse */
    struct ew_err *err;
};

/* "chat template, line N: ..." */
int ew__tmpl_parse_fail(struct parser *p, uint32_t line, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
int ew__tmpl_lex(struct parser *p, struct ew_str source);
int ew__tmpl_parse(struct parser *p);
/* Expressions. flags of parse_tuple: what may stand in it. */
enum { TUPLE_NO_COND = 1, TUPLE_PARENS = 2 };
int ew__tmpl_parse_expr(struct parser *p, struct node **out);
int ew__tmpl_parse_tuple(struct parser *p, unsigned flags, struct node **out);
int ew__tmpl_parse_target(struct parser *p, struct node **out);
int ew__tmpl_parse_params(struct parser *p, struct node **out);
/* "| a | b(c)" around `node`; `inlined`: the first name stands without a bar. */
int ew__tmpl_parse_filters(struct parser *p, struct node *node, bool inlined, struct node **out);
int ew__tmpl_parse_postfix(struct parser *p, struct node **node);
int ew__tmpl_enter(struct parser *p); /* one level deeper, or an error */
struct token *ew__tmpl_peek(struct parser *p);
bool ew__tmpl_is_op(struct parser *p, const char *op);
bool ew__tmpl_is_name(struct parser *p, const char *name);
bool ew__tmpl_skip_op(struct parser *p, const char *op);
bool ew__tmpl_skip_name(struct parser *p, const char *name);
int ew__tmpl_expect_op(struct parser *p, const char *op);
int ew__tmpl_expect_name(struct parser *p, struct ew_str *name);
int ew__tmpl_unexpected(struct parser *p);
int ew__tmpl_node(struct parser *p, enum node_type type, struct node **out);
int ew__tmpl_symbol(struct parser *p, struct ew_str name, uint32_t *out);

/* Symbols that every template has. */
enum { SYMBOL_LOOP, SYMBOL_CALLER };

/* ---- a render ---- */

/* What running a statement may return besides 0 and errors. */
enum { FLOW_BREAK = 1, FLOW_CONTINUE = 2 };

struct binding {
    uint32_t symbol;
    struct value value;
};

struct scope {
    struct scope *parent; /* NULL: the next is the table of globals */
    struct binding *bindings;
    uint32_t count, capacity;
};

struct render {
    const struct ew_template *tmpl;
    struct ew_buf *out;
    struct tmpl_arena arena;
    struct ew_err err;
    uint64_t steps;
    uint32_t depth, line;
    struct value *globals; /* one a symbol */
    struct scope *scope;
    struct value piped;
    struct ew_str now; /* what strftime_now formats */
};

int ew__tmpl_fail(struct render *r, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A type error: EW_EINVAL, since what is wrong is nearly always the conversation. */
#define TYPE_FAIL(r, ...) ew__tmpl_fail(r, EW_EINVAL, __VA_ARGS__)
void *ew__tmpl_take(struct render *r, size_t bytes); /* from the arena; NULL and r->err */
int ew__tmpl_step(struct render *r, uint64_t count);
int ew__tmpl_step_bytes(struct render *r, size_t bytes);
int ew__tmpl_step_key(struct render *r, const struct value *key); /* looked up in a dict */

/* What ew_template_render does once its context is read: root is a dict. Frees the arena. */
int ew__tmpl_render(struct render *r, const struct dict *context, struct ew_err *err);
int ew__tmpl_run(struct render *r, const struct node *chain); /* statements */
int ew__tmpl_eval(struct render *r, const struct node *node, struct value *out);
int ew__tmpl_call_macro(struct render *r, const struct macro *macro, const struct call *call,
                        struct value *out);
/* Puts what was given where the row's parameters are, and runs it. */
int ew__tmpl_invoke(struct render *r, const struct builtin *builtin, struct call *call,
                    struct value *out);
int ew__tmpl_call(struct render *r, const struct value *callee, struct call *call,
                  struct value *out);
int ew__tmpl_arg_int(struct render *r, const struct value *v, int64_t fallback, int64_t *out);
int ew__tmpl_arg_str(struct render *r, const struct value *v, const char *fallback,
                     struct ew_str *out);
bool ew__tmpl_arg_flag(const struct value *v, bool fallback);
/* What was given as the argument `name`, or NULL. */
const struct value *ew__tmpl_kwarg(const struct call *call, const char *name);
/* A call node; caller (may be NULL) is passed on to a macro. */
int ew__tmpl_eval_call(struct render *r, const struct node *node, const struct value *caller,
                       struct value *out);
int ew__tmpl_lookup(struct render *r, uint32_t symbol, struct value *out);
int ew__tmpl_assign(struct render *r, const struct node *target, const struct value *value);
int ew__tmpl_undefined(struct render *r, const struct value *v);
/* Runs statements with their output going to a string. */
int ew__tmpl_capture(struct render *r, const struct node *body, struct value *out);
int ew__tmpl_binary(struct render *r, enum tmpl_op op, const struct value *a, const struct value *b,
                    struct value *out);
int ew__tmpl_slice(struct render *r, const struct value *object, const struct value bounds[3],
                   struct value *out);
int ew__tmpl_get_attr(struct render *r, const struct value *object, struct ew_str name,
                      struct value *out);
int ew__tmpl_get_item(struct render *r, const struct value *object, const struct value *key,
                      struct value *out);
int ew__tmpl_scope_push(struct render *r, struct scope **scope);
int ew__tmpl_scope_set(struct render *r, uint32_t symbol, const struct value *value);

/* ---- template_value.c ---- */

static inline struct value value_none(void)
{
    return (struct value){.kind = V_NONE};
}
static inline struct value value_bool(bool b)
{
    return (struct value){.kind = V_BOOL, .b = b};
}
static inline struct value value_int(int64_t i)
{
    return (struct value){.kind = V_INT, .i = i};
}
static inline struct value value_float(double f)
{
    return (struct value){.kind = V_FLOAT, .f = f};
}
static inline struct value value_str(const char *s, size_t bytes)
{
    return (struct value){.kind = V_STR, .bytes = (uint32_t)bytes, .s = s};
}
static inline struct value value_undefined(const char *name, size_t bytes)
{
    return (struct value){.kind = V_UNDEFINED, .bytes = (uint32_t)bytes, .s = name};
}
static inline struct ew_str value_text(const struct value *v)
{
    return (struct ew_str){v->s, v->bytes};
}

const char *ew__tmpl_kind(const struct value *v); /* "str", "list", ... */
bool ew__tmpl_truth(const struct value *v);
bool ew__tmpl_number(const struct value *v, double *out);   /* int, float or bool */
bool ew__tmpl_integer(const struct value *v, int64_t *out); /* int or bool */
int ew__tmpl_equal(struct render *r, const struct value *a, const struct value *b, bool *out);
int ew__tmpl_compare(struct render *r, const struct value *a, const struct value *b, int *out);
int ew__tmpl_contains(struct render *r, const struct value *object, const struct value *item,
                      bool *out);
int ew__tmpl_copy(struct render *r, const char *data, size_t bytes, struct value *out);
int ew__tmpl_list(struct render *r, enum value_kind kind, uint32_t capacity, struct value *out);
int ew__tmpl_push(struct render *r, struct list *list, const struct value *item);
int ew__tmpl_dict(struct render *r, enum value_kind kind, struct value *out);
int ew__tmpl_put(struct render *r, struct dict *dict, const struct value *key,
                 const struct value *value);
/* NULL when it isn't there. */
struct value *ew__tmpl_get(const struct dict *dict, const struct value *key);
struct value *ew__tmpl_get_name(const struct dict *dict, const char *name, size_t bytes);
/* The items one would walk over; an iterator is walked to its end by this. */
int ew__tmpl_items(struct render *r, const struct value *v, const struct value **items,
                   uint32_t *count);
int ew__tmpl_length(struct render *r, const struct value *v, int64_t *out);
/* str(v) and repr(v) of Python, appended. */
int ew__tmpl_print(struct render *r, const struct value *v, struct ew_buf *out);
int ew__tmpl_repr(struct render *r, const struct value *v, struct ew_buf *out, uint32_t depth);
int ew__tmpl_str(struct render *r, const struct value *v, struct value *out); /* str(v) */
void ew__tmpl_format_float(double f, char text[32]);
/* A buffer for text under way, and its end: the text moves to the arena, the buffer is freed.
 * `code` is what the writing returned. */
void ew__tmpl_text_begin(struct render *r, struct ew_buf *buf);
int ew__tmpl_text_end(struct render *r, struct ew_buf *buf, int code, struct value *out);
int ew__tmpl_add(struct render *r, struct ew_buf *buf, const void *data, size_t bytes);

/* ---- template_text.c: Unicode ---- */

/* Bytes of the character at s (n > 0), and which it is; a byte that isn't UTF-8 stands alone. */
size_t ew__tmpl_decode(const char *s, size_t n, uint32_t *out);
size_t ew__tmpl_encode(uint32_t c, char out[4]);
size_t ew__tmpl_count(struct ew_str s);                /* characters */
size_t ew__tmpl_offset(struct ew_str s, size_t index); /* byte where character `index` begins */
bool ew__tmpl_is_space(uint32_t c);
bool ew__tmpl_is_printable(uint32_t c);
bool ew__tmpl_is_cased(uint32_t c);
uint32_t ew__tmpl_upper(uint32_t c);
uint32_t ew__tmpl_lower(uint32_t c);
enum tmpl_case { CASE_UPPER, CASE_LOWER, CASE_CAPITALIZE, CASE_TITLE, CASE_TITLE_WORDS };
int ew__tmpl_case(struct render *r, struct ew_str s, enum tmpl_case how, struct value *out);
enum { STRIP_LEFT = 1, STRIP_RIGHT = 2 };
/* chars NULL: white space. The caller accounts for it, by step_strip where there are chars. */
int ew__tmpl_step_strip(struct render *r, struct ew_str s, struct ew_str chars);
struct ew_str ew__tmpl_strip(struct ew_str s, const struct ew_str *chars, unsigned sides);
int ew__tmpl_replace(struct render *r, struct ew_str s, struct ew_str from, struct ew_str to,
                     int64_t count, struct value *out);
int ew__tmpl_splitlines(struct render *r, struct ew_str s, bool keep_ends, struct value *out);
const char *ew__tmpl_find(struct ew_str s, struct ew_str what); /* NULL: not there */

/* ---- template_json.c ---- */

/* what: names the text in errors, which tell the byte, too. */
int ew__tmpl_json_parse(struct render *r, const char *what, struct ew_str text, struct value *out);
struct tmpl_json {
    bool ensure_ascii, sort_keys, pretty;
    struct ew_str indent, item_separator, key_separator;
};
int ew__tmpl_json_dump(struct render *r, const struct value *v, const struct tmpl_json *how,
                       struct ew_buf *out, uint32_t depth);

/* ---- what can be called: NULL when there is no such name ---- */

const struct builtin *ew__tmpl_find_filter(struct ew_str name);
const struct builtin *ew__tmpl_find_seq_filter(struct ew_str name);
const struct builtin *ew__tmpl_find_test(struct ew_str name);
const struct builtin *ew__tmpl_find_method(enum value_kind kind, struct ew_str name);
const struct builtin *ew__tmpl_find_global(struct ew_str name);
const struct builtin *ew__tmpl_find_loop_method(struct ew_str name);
const struct builtin *ew__tmpl_find_in(const struct builtin *rows, size_t count,
                                       struct ew_str name);
/* "%s" % x and "{}".format(x). */
int ew__tmpl_percent(struct render *r, struct ew_str format, const struct value *args,
                     struct value *out);
int ew__tmpl_braces(struct render *r, const struct call *call, struct value *out);

#endif
