/* template_expr.c - chat template, tokens to nodes: expressions.
 *
 * Recursive descent, one function a level of precedence, in Jinja's order: conditional, or, and,
 * not, comparison, + -, ~, * / // %, **, sign, then what follows a value (.x [x] (x)) and filters
 * and tests. Every way down passes ew__tmpl_enter, which bounds the depth; operators of one level
 * are loops, not recursion. */
#include "model/template_int.h"

#include <stdlib.h>
#include <string.h>

static int parse_or(struct parser *p, struct node **out);
static int parse_unary(struct parser *p, bool with_filters, struct node **out);
static int parse_primary(struct parser *p, struct node **out);
static int parse_args(struct parser *p, struct node **out);

static int leave(struct parser *p, int code)
{
    p->depth--;
    return code;
}

static bool is_type(struct parser *p, enum token_type type)
{
    return ew__tmpl_peek(p)->type == (uint32_t)type;
}

/* A node of `type` with the two operands. */
static int join(struct parser *p, enum node_type type, struct node *a, struct node *b,
                struct node **out)
{
    struct node *node;
    int code = ew__tmpl_node(p, type, &node);
    if (code)
        return code;
    if (a)
        node->line = a->line; /* not where it ends */
    node->a = a;
    node->b = b;
    *out = node;
    return 0;
}

/* ---- strings and numbers ---- */

static uint32_t hex(const char *s, size_t digits, size_t left, bool *ok)
{
    uint32_t c = 0;
    *ok = left >= digits;
    for (size_t i = 0; i < digits && *ok; i++) {
        char h = s[i];
        int d = h >= '0' && h <= '9'   ? h - '0'
                : h >= 'a' && h <= 'f' ? h - 'a' + 10
                : h >= 'A' && h <= 'F' ? h - 'A' + 10
                                       : -1;
        *ok = d >= 0;
        c = c * 16 + (uint32_t)d;
    }
    return c;
}

/* One escape after the backslash at s[0], n > 1 bytes left: writes what it stands for, returns the
 * bytes it took, 0 when malformed. What isn't an escape stands for itself, as in Python. */
static size_t unescape(const char *s, size_t n, char *out, size_t *wrote)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    const char *simple = s[1] ? strchr(from, s[1]) : NULL;
    *wrote = 1;
    if (simple) {
        *out = to[simple - from];
        return 2;
    }
    if (s[1] == '\n') {
        *wrote = 0;
        return 2;
    }
    if (s[1] >= '0' && s[1] <= '7') {
        uint32_t c = 0;
        size_t i = 1;
        for (; i < n && i < 4 && s[i] >= '0' && s[i] <= '7'; i++)
            c = c * 8 + (uint32_t)(s[i] - '0');
        *wrote = ew__tmpl_encode(c, out);
        return i;
    }
    size_t digits = s[1] == 'x' ? 2 : s[1] == 'u' ? 4 : s[1] == 'U' ? 8 : 0;
    if (digits) {
        bool ok;
        uint32_t c = hex(s + 2, digits, n - 2, &ok);
        if (!ok || c > 0x10ffff)
            return 0;
        *wrote = ew__tmpl_encode(c, out);
        return 2 + digits;
    }
    out[0] = '\\';
    return 1;
}

static int parse_string(struct parser *p, struct node *node)
{
    size_t room = 0;
    for (uint32_t i = p->at; p->tokens[i].type == TOKEN_STRING; i++)
        room += p->tokens[i].text.bytes;
    char *text = ew__tmpl_alloc(&p->tmpl->arena, room + 4, p->err);
    if (!text)
        return p->err->code;
    size_t used = 0;
    for (; is_type(p, TOKEN_STRING); p->at++) { /* adjacent strings are one */
        struct ew_str s = p->tokens[p->at].text;
        for (size_t i = 0; i < s.bytes;) {
            if (s.data[i] != '\\') {
                text[used++] = s.data[i++];
                continue;
            }
            size_t wrote = 0;
            size_t took = unescape(s.data + i, s.bytes - i, text + used, &wrote);
            if (!took)
                return ew__tmpl_parse_fail(p, p->tokens[p->at].line, EW_EFORMAT,
                                           "a malformed escape in a string");
            i += took;
            used += wrote;
        }
    }
    node->value = value_str(text, used);
    return 0;
}

static int parse_number(struct parser *p, struct node *node)
{
    struct token *t = &p->tokens[p->at++];
    char text[64];
    size_t n = 0;
    for (size_t i = 0; i < t->text.bytes && n < sizeof text - 1; i++)
        if (t->text.data[i] != '_')
            text[n++] = t->text.data[i];
    text[n] = '\0';
    if (t->type == TOKEN_FLOAT) {
        node->value = value_float(strtod(text, NULL));
        return 0;
    }
    int64_t i = 0;
    for (size_t k = 0; k < n; k++)
        if (__builtin_mul_overflow(i, 10, &i) || __builtin_add_overflow(i, text[k] - '0', &i))
            return ew__tmpl_parse_fail(p, t->line, EW_EUNSUPPORTED, "an integer beyond 64 bits");
    node->value = value_int(i);
    return 0;
}

/* ---- values ---- */

static int parse_name(struct parser *p, struct node *node)
{
    struct ew_str name = p->tokens[p->at++].text;
    node->type = N_CONST;
    if (ew_str_is(name, "true") || ew_str_is(name, "True")) {
        node->value = value_bool(true);
    } else if (ew_str_is(name, "false") || ew_str_is(name, "False")) {
        node->value = value_bool(false);
    } else if (ew_str_is(name, "none") || ew_str_is(name, "None")) {
        node->value = value_none();
    } else {
        node->type = N_NAME;
        p->tmpl->reads_tools |= ew_str_is(name, "tools");
        return ew__tmpl_symbol(p, name, &node->symbol);
    }
    return 0;
}

/* After "[" or "{": items up to the closing bracket; a dict's are key, value, key, ... */
static int parse_items(struct parser *p, bool pairs, struct node *node)
{
    struct node **tail = &node->a;
    const char *close = pairs ? "}" : "]";
    while (!ew__tmpl_skip_op(p, close)) {
        int code = node->a ? ew__tmpl_expect_op(p, ",") : 0;
        if (code)
            return code;
        if (node->a && ew__tmpl_skip_op(p, close))
            return 0;
        if ((code = ew__tmpl_parse_expr(p, tail)))
            return code;
        tail = &(*tail)->next;
        if (!pairs)
            continue;
        if ((code = ew__tmpl_expect_op(p, ":")) || (code = ew__tmpl_parse_expr(p, tail)))
            return code;
        tail = &(*tail)->next;
    }
    return 0;
}

static int parse_value(struct parser *p, struct node **out)
{
    struct token *t = ew__tmpl_peek(p);
    int code = ew__tmpl_node(p, N_CONST, out);
    if (code)
        return code;
    if (t->type == TOKEN_NAME)
        return parse_name(p, *out);
    if (t->type == TOKEN_STRING)
        return parse_string(p, *out);
    if (t->type == TOKEN_INT || t->type == TOKEN_FLOAT)
        return parse_number(p, *out);
    if (ew__tmpl_skip_op(p, "(")) {
        code = ew__tmpl_parse_tuple(p, TUPLE_PARENS, out);
        return code ? code : ew__tmpl_expect_op(p, ")");
    }
    if (ew__tmpl_skip_op(p, "[")) {
        (*out)->type = N_LIST;
        return parse_items(p, false, *out);
    }
    if (ew__tmpl_skip_op(p, "{")) {
        (*out)->type = N_DICT;
        return parse_items(p, true, *out);
    }
    return ew__tmpl_unexpected(p);
}

static int parse_primary(struct parser *p, struct node **out)
{
    int code = ew__tmpl_enter(p);
    return code ? code : leave(p, parse_value(p, out));
}

/* ---- what follows a value ---- */

/* After "[": one index or a slice with up to three parts. */
static int parse_index(struct parser *p, struct node **out)
{
    struct node *part[3] = {NULL};
    int code, at = 0;
    bool slice = false;
    for (;;) {
        if (!ew__tmpl_is_op(p, ":") && !ew__tmpl_is_op(p, "]") && !ew__tmpl_is_op(p, ",")) {
            if ((code = ew__tmpl_parse_expr(p, &part[at])))
                return code;
        }
        if (at == 2 || !ew__tmpl_skip_op(p, ":"))
            break;
        slice = true;
        at++;
    }
    if (!slice) {
        *out = part[0];
        return part[0] ? 0 : ew__tmpl_unexpected(p);
    }
    if ((code = join(p, N_SLICE, part[0], part[1], out)))
        return code;
    (*out)->c = part[2];
    return 0;
}

static int parse_attr(struct parser *p, struct node **node)
{
    struct token *t = &p->tokens[p->at++]; /* the dot */
    struct node *key;
    int code;
    if (is_type(p, TOKEN_INT)) {
        if ((code = ew__tmpl_node(p, N_CONST, &key)) || (code = parse_number(p, key)))
            return code;
        return join(p, N_ITEM, *node, key, node);
    }
    struct ew_str name;
    if ((code = ew__tmpl_expect_name(p, &name)) || (code = join(p, N_ATTR, *node, NULL, node)))
        return code;
    (*node)->value = value_str(name.data, name.bytes);
    (*node)->line = t->line;
    return 0;
}

static int parse_call(struct parser *p, struct node **node)
{
    struct node *args = NULL;
    int code = parse_args(p, &args);
    return code ? code : join(p, N_CALL, *node, args, node);
}

int ew__tmpl_parse_postfix(struct parser *p, struct node **node)
{
    for (;;) {
        int code = 0;
        if (ew__tmpl_is_op(p, ".")) {
            code = parse_attr(p, node);
        } else if (ew__tmpl_skip_op(p, "[")) {
            struct node *index = NULL;
            code = parse_index(p, &index);
            if (!code)
                code = ew__tmpl_expect_op(p, "]");
            if (!code)
                code = join(p, N_ITEM, *node, index, node);
        } else if (ew__tmpl_is_op(p, "(")) {
            code = parse_call(p, node);
        } else {
            return 0;
        }
        if (code)
            return code;
    }
}

/* "(a, b=c)", the bracket included. */
static int parse_args(struct parser *p, struct node **out)
{
    struct node **tail = out;
    bool named = false;
    int code = ew__tmpl_expect_op(p, "(");
    while (!code && !ew__tmpl_skip_op(p, ")")) {
        if (*out && (code = ew__tmpl_expect_op(p, ",")))
            return code;
        if (*out && ew__tmpl_skip_op(p, ")"))
            return 0;
        struct token *t = ew__tmpl_peek(p);
        if (ew__tmpl_is_op(p, "*") || ew__tmpl_is_op(p, "**"))
            return ew__tmpl_parse_fail(p, t->line, EW_EUNSUPPORTED, "unpacking in a call");
        if (t->type == TOKEN_NAME && t[1].type == TOKEN_OP && ew_str_is(t[1].text, "=")) {
            if ((code = ew__tmpl_node(p, N_KWARG, tail)))
                return code;
            (*tail)->value = value_str(t->text.data, t->text.bytes);
            p->at += 2;
            code = ew__tmpl_parse_expr(p, &(*tail)->a);
            named = true;
        } else if (named) {
            return ew__tmpl_parse_fail(p, t->line, EW_EFORMAT,
                                       "an argument without a name after one with a name");
        } else {
            code = ew__tmpl_parse_expr(p, tail);
        }
        if (!code)
            tail = &(*tail)->next;
    }
    return code;
}

static int parse_filter(struct parser *p, struct node **node)
{
    struct ew_str name;
    struct node *input = *node, *args = NULL;
    int code = ew__tmpl_expect_name(p, &name);
    if (code || (code = ew__tmpl_node(p, N_FILTER, node)))
        return code;
    (*node)->value = value_str(name.data, name.bytes);
    (*node)->builtin = ew__tmpl_find_filter(name); /* NULL is an error once it is reached */
    (*node)->a = input;
    if (ew__tmpl_is_op(p, "(") && (code = parse_args(p, &args)))
        return code;
    (*node)->b = args;
    return 0;
}

/* After "is". */
static int parse_test(struct parser *p, struct node **node)
{
    bool negated = ew__tmpl_skip_name(p, "not");
    struct ew_str name;
    struct node *input = *node, *args = NULL;
    int code = ew__tmpl_expect_name(p, &name);
    if (code || (code = ew__tmpl_node(p, N_TEST, node)))
        return code;
    struct node *test = *node;
    test->value = value_str(name.data, name.bytes);
    test->builtin = ew__tmpl_find_test(name);
    test->a = input;
    struct token *t = ew__tmpl_peek(p);
    bool ends = ew__tmpl_is_name(p, "else") || ew__tmpl_is_name(p, "or") ||
                ew__tmpl_is_name(p, "and") || ew__tmpl_is_name(p, "if");
    if (ew__tmpl_is_op(p, "(")) {
        code = parse_args(p, &args);
    } else if ((t->type == TOKEN_NAME && !ends) || t->type == TOKEN_STRING ||
               t->type == TOKEN_INT || t->type == TOKEN_FLOAT || ew__tmpl_is_op(p, "[") ||
               ew__tmpl_is_op(p, "{")) {
        code = parse_primary(p, &args);
        if (!code)
            code = ew__tmpl_parse_postfix(p, &args);
    }
    test->b = args;
    return code || !negated ? code : join(p, N_NOT, test, NULL, node);
}

int ew__tmpl_parse_filters(struct parser *p, struct node *node, bool inlined, struct node **out)
{
    int code = 0;
    *out = node;
    while (!code) {
        if (inlined || ew__tmpl_skip_op(p, "|")) {
            inlined = false;
            code = parse_filter(p, out);
        } else if (ew__tmpl_skip_name(p, "is")) {
            code = parse_test(p, out);
        } else if (ew__tmpl_is_op(p, "(")) {
            code = parse_call(p, out);
        } else {
            break;
        }
    }
    return code;
}

/* ---- operators ---- */

static int parse_signed(struct parser *p, struct node **out)
{
    bool minus = ew__tmpl_skip_op(p, "-");
    if (!minus)
        p->at++;
    struct node *operand = NULL;
    int code = parse_unary(p, false, &operand);
    return code ? code : join(p, minus ? N_NEGATE : N_PLUS, operand, NULL, out);
}

static int parse_unary(struct parser *p, bool with_filters, struct node **out)
{
    int code = ew__tmpl_enter(p);
    if (code)
        return code;
    code = ew__tmpl_is_op(p, "-") || ew__tmpl_is_op(p, "+") ? parse_signed(p, out)
                                                            : parse_primary(p, out);
    if (!code)
        code = ew__tmpl_parse_postfix(p, out);
    if (!code && with_filters)
        code = ew__tmpl_parse_filters(p, *out, false, out);
    return leave(p, code);
}

static int parse_pow(struct parser *p, struct node **out)
{
    int code = parse_unary(p, true, out);
    while (!code && ew__tmpl_skip_op(p, "**")) {
        struct node *right = NULL;
        code = parse_unary(p, true, &right);
        if (!code)
            code = join(p, N_BINARY, *out, right, out);
        if (!code)
            (*out)->op = OP_POW;
    }
    return code;
}

struct op_name {
    const char *text;
    enum tmpl_op op;
};

static int find_op(struct parser *p, const struct op_name *ops, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ew__tmpl_skip_op(p, ops[i].text))
            return (int)ops[i].op;
    return -1;
}

static int parse_product(struct parser *p, struct node **out)
{
    static const struct op_name ops[] = {
        {"*", OP_MUL}, {"/", OP_DIV}, {"//", OP_FLOORDIV}, {"%", OP_MOD}};
    int op, code = parse_pow(p, out);
    while (!code && (op = find_op(p, ops, EW_COUNT(ops))) >= 0) {
        struct node *right = NULL;
        code = parse_pow(p, &right);
        if (!code)
            code = join(p, N_BINARY, *out, right, out);
        if (!code)
            (*out)->op = (uint8_t)op;
    }
    return code;
}

static int parse_concat(struct parser *p, struct node **out)
{
    int code = parse_product(p, out);
    if (code || !ew__tmpl_is_op(p, "~"))
        return code;
    if ((code = join(p, N_CONCAT, *out, NULL, out)))
        return code;
    struct node **tail = &(*out)->a->next;
    while (!code && ew__tmpl_skip_op(p, "~")) {
        code = parse_product(p, tail);
        if (!code)
            tail = &(*tail)->next;
    }
    return code;
}

static int parse_sum(struct parser *p, struct node **out)
{
    static const struct op_name ops[] = {{"+", OP_ADD}, {"-", OP_SUB}};
    int op, code = parse_concat(p, out);
    while (!code && (op = find_op(p, ops, EW_COUNT(ops))) >= 0) {
        struct node *right = NULL;
        code = parse_concat(p, &right);
        if (!code)
            code = join(p, N_BINARY, *out, right, out);
        if (!code)
            (*out)->op = (uint8_t)op;
    }
    return code;
}

static int find_comparison(struct parser *p)
{
    static const struct op_name ops[] = {{"==", OP_EQ}, {"!=", OP_NE}, {"<", OP_LT},
                                         {"<=", OP_LE}, {">", OP_GT},  {">=", OP_GE}};
    int op = find_op(p, ops, EW_COUNT(ops));
    if (op >= 0)
        return op;
    if (ew__tmpl_skip_name(p, "in"))
        return OP_IN;
    struct token *t = ew__tmpl_peek(p);
    if (ew__tmpl_is_name(p, "not") && t[1].type == TOKEN_NAME && ew_str_is(t[1].text, "in")) {
        p->at += 2;
        return OP_NOT_IN;
    }
    return -1;
}

static int parse_comparison(struct parser *p, struct node **out)
{
    struct node **tail = NULL;
    int op, code = parse_sum(p, out);
    while (!code && (op = find_comparison(p)) >= 0) {
        if (!tail) {
            if ((code = join(p, N_COMPARE, *out, NULL, out)))
                return code;
            tail = &(*out)->b;
        }
        struct node *right = NULL;
        code = parse_sum(p, &right);
        if (!code)
            code = join(p, N_OPERAND, right, NULL, tail);
        if (code)
            return code;
        (*tail)->op = (uint8_t)op;
        tail = &(*tail)->next;
    }
    return code;
}

static int parse_not(struct parser *p, struct node **out)
{
    if (!ew__tmpl_is_name(p, "not"))
        return parse_comparison(p, out);
    p->at++;
    int code = ew__tmpl_enter(p);
    if (code)
        return code;
    struct node *operand = NULL;
    code = leave(p, parse_not(p, &operand));
    return code ? code : join(p, N_NOT, operand, NULL, out);
}

static int parse_and(struct parser *p, struct node **out)
{
    int code = parse_not(p, out);
    while (!code && ew__tmpl_skip_name(p, "and")) {
        struct node *right = NULL;
        code = parse_not(p, &right);
        if (!code)
            code = join(p, N_AND, *out, right, out);
    }
    return code;
}

static int parse_or(struct parser *p, struct node **out)
{
    int code = parse_and(p, out);
    while (!code && ew__tmpl_skip_name(p, "or")) {
        struct node *right = NULL;
        code = parse_and(p, &right);
        if (!code)
            code = join(p, N_OR, *out, right, out);
    }
    return code;
}

static int parse_cond(struct parser *p, struct node **out)
{
    int code = parse_or(p, out);
    while (!code && ew__tmpl_skip_name(p, "if")) {
        struct node *test = NULL, *other = NULL;
        code = parse_or(p, &test);
        if (!code && ew__tmpl_skip_name(p, "else"))
            code = ew__tmpl_parse_expr(p, &other);
        if (!code)
            code = join(p, N_COND, test, *out, out);
        if (!code)
            (*out)->c = other;
    }
    return code;
}

int ew__tmpl_parse_expr(struct parser *p, struct node **out)
{
    int code = ew__tmpl_enter(p);
    return code ? code : leave(p, parse_cond(p, out));
}

static bool tuple_ends(struct parser *p)
{
    return is_type(p, TOKEN_PRINT_END) || is_type(p, TOKEN_BLOCK_END) || ew__tmpl_is_op(p, ")") ||
           ew__tmpl_is_name(p, "recursive");
}

static int parse_tuple_items(struct parser *p, unsigned flags, struct node **out)
{
    struct node *first = NULL, **tail = &first;
    bool comma = false;
    int code = 0;
    while (!tuple_ends(p)) {
        code = flags & TUPLE_NO_COND ? parse_or(p, tail) : ew__tmpl_parse_expr(p, tail);
        if (code)
            return code;
        tail = &(*tail)->next;
        if (!ew__tmpl_skip_op(p, ","))
            break;
        comma = true;
    }
    if (first && !comma) {
        *out = first;
        return 0;
    }
    if (!first && !(flags & TUPLE_PARENS))
        return ew__tmpl_unexpected(p);
    return join(p, N_TUPLE, first, NULL, out);
}

int ew__tmpl_parse_tuple(struct parser *p, unsigned flags, struct node **out)
{
    int code = ew__tmpl_enter(p);
    return code ? code : leave(p, parse_tuple_items(p, flags, out));
}
