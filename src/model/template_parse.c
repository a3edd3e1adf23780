/* template_parse.c - chat template, tokens to nodes: statements, and the helpers of both halves of
 * the parser.
 *
 * Tags that reach outside the template (include, import, extends, block) are refused here, as are
 * all that aren't known. Unknown filters and tests are errors only where they are reached: a
 * template may use one in a branch that never runs. */
#include "model/template_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int parse_body(struct parser *p, const char *const *ends, struct node **out);

int ew__tmpl_parse_fail(struct parser *p, uint32_t line, int code, const char *format, ...)
{
    char text[sizeof p->err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return ew_fail(p->err, code, "chat template, line %u: %s", line, text);
}

struct token *ew__tmpl_peek(struct parser *p)
{
    return &p->tokens[p->at];
}

bool ew__tmpl_is_op(struct parser *p, const char *op)
{
    struct token *t = ew__tmpl_peek(p);
    return t->type == TOKEN_OP && ew_str_is(t->text, op);
}

bool ew__tmpl_is_name(struct parser *p, const char *name)
{
    struct token *t = ew__tmpl_peek(p);
    return t->type == TOKEN_NAME && ew_str_is(t->text, name);
}

bool ew__tmpl_skip_op(struct parser *p, const char *op)
{
    bool is = ew__tmpl_is_op(p, op);
    p->at += is;
    return is;
}

bool ew__tmpl_skip_name(struct parser *p, const char *name)
{
    bool is = ew__tmpl_is_name(p, name);
    p->at += is;
    return is;
}

int ew__tmpl_unexpected(struct parser *p)
{
    struct token *t = ew__tmpl_peek(p);
    if (t->type == TOKEN_END)
        return ew__tmpl_parse_fail(p, t->line, EW_EFORMAT, "the template ends too early");
    if (t->type == TOKEN_BLOCK_END || t->type == TOKEN_PRINT_END)
        return ew__tmpl_parse_fail(p, t->line, EW_EFORMAT, "the tag ends too early");
    int shown = t->text.bytes < 40 ? (int)t->text.bytes : 40;
    return ew__tmpl_parse_fail(p, t->line, EW_EFORMAT, "unexpected '%.*s'", shown, t->text.data);
}

int ew__tmpl_expect_op(struct parser *p, const char *op)
{
    return ew__tmpl_skip_op(p, op) ? 0 : ew__tmpl_unexpected(p);
}

int ew__tmpl_expect_name(struct parser *p, struct ew_str *name)
{
    if (ew__tmpl_peek(p)->type != TOKEN_NAME)
        return ew__tmpl_unexpected(p);
    *name = p->tokens[p->at++].text;
    return 0;
}

int ew__tmpl_enter(struct parser *p)
{
    if (p->depth == TMPL_PARSE_DEPTH_MAX)
        return ew__tmpl_parse_fail(p, ew__tmpl_peek(p)->line, EW_ELIMIT, "nested deeper than %d",
                                   TMPL_PARSE_DEPTH_MAX);
    p->depth++;
    return 0;
}

int ew__tmpl_node(struct parser *p, enum node_type type, struct node **out)
{
    struct node *node = ew__tmpl_alloc(&p->tmpl->arena, sizeof *node, p->err);
    if (!node)
        return p->err->code;
    node->type = (uint8_t)type;
    node->line = ew__tmpl_peek(p)->line;
    *out = node;
    return 0;
}

int ew__tmpl_symbol(struct parser *p, struct ew_str name, uint32_t *out)
{
    struct ew_template *t = p->tmpl;
    for (uint32_t i = 0; i < t->symbol_count; i++)
        if (t->symbols[i].bytes == name.bytes &&
            !memcmp(t->symbols[i].data, name.data, name.bytes)) {
            *out = i;
            return 0;
        }
    if (t->symbol_count == TMPL_SYMBOLS_MAX)
        return ew__tmpl_parse_fail(p, ew__tmpl_peek(p)->line, EW_ELIMIT, "more than %d variables",
                                   TMPL_SYMBOLS_MAX);
    *out = t->symbol_count;
    t->symbols[t->symbol_count++] = name;
    return 0;
}

/* ---- the pieces of statements ---- */

static int end_tag(struct parser *p)
{
    if (ew__tmpl_peek(p)->type != TOKEN_BLOCK_END)
        return ew__tmpl_unexpected(p);
    p->at++;
    return 0;
}

/* "%} body {% end %}", the name of the end read, its "%}" too. */
static int parse_block(struct parser *p, const char *end, struct node **out)
{
    const char *const ends[] = {end, NULL};
    int code = end_tag(p);
    if (code || (code = parse_body(p, ends, out)))
        return code;
    p->at++;
    return end_tag(p);
}

static int parse_target_one(struct parser *p, struct node **out)
{
    struct ew_str name;
    if (ew__tmpl_skip_op(p, "(")) {
        int code = ew__tmpl_enter(p);
        if (code)
            return code;
        code = ew__tmpl_parse_target(p, out);
        p->depth--;
        return code ? code : ew__tmpl_expect_op(p, ")");
    }
    struct token *t = ew__tmpl_peek(p);
    int code = ew__tmpl_expect_name(p, &name);
    if (code || (code = ew__tmpl_node(p, N_NAME, out)))
        return code;
    static const char *const constants[] = {"true", "false", "none", "True", "False", "None"};
    for (size_t i = 0; i < EW_COUNT(constants); i++)
        if (ew_str_is(name, constants[i]))
            return ew__tmpl_parse_fail(p, t->line, EW_EFORMAT, "%s can't be assigned to",
                                       constants[i]);
    if ((code = ew__tmpl_symbol(p, name, &(*out)->symbol)) || !ew__tmpl_skip_op(p, "."))
        return code;
    struct node *space = *out;
    if ((code = ew__tmpl_expect_name(p, &name)) || (code = ew__tmpl_node(p, N_ATTR, out)))
        return code;
    (*out)->a = space;
    (*out)->value = value_str(name.data, name.bytes);
    return 0;
}

/* "a", "a.b" or "a, b": what set and for assign to. */
int ew__tmpl_parse_target(struct parser *p, struct node **out)
{
    int code = parse_target_one(p, out);
    if (code || !ew__tmpl_is_op(p, ","))
        return code;
    struct node *first = *out, **tail = &first->next;
    if ((code = ew__tmpl_node(p, N_TUPLE, out)))
        return code;
    (*out)->a = first;
    while (ew__tmpl_skip_op(p, ",") && ew__tmpl_peek(p)->type == TOKEN_NAME &&
           !ew__tmpl_is_name(p, "in")) {
        if ((code = parse_target_one(p, tail)))
            return code;
        tail = &(*tail)->next;
    }
    return 0;
}

int ew__tmpl_parse_params(struct parser *p, struct node **out)
{
    struct node **tail = out;
    int code = ew__tmpl_expect_op(p, "(");
    while (!code && !ew__tmpl_skip_op(p, ")")) {
        struct ew_str name;
        if (*out && (code = ew__tmpl_expect_op(p, ",")))
            return code;
        if ((code = ew__tmpl_expect_name(p, &name)) || (code = ew__tmpl_node(p, N_NAME, tail)) ||
            (code = ew__tmpl_symbol(p, name, &(*tail)->symbol)))
            return code;
        (*tail)->value = value_str(name.data, name.bytes);
        if (ew__tmpl_skip_op(p, "="))
            code = ew__tmpl_parse_expr(p, &(*tail)->b);
        tail = &(*tail)->next;
    }
    return code;
}

/* ---- statements: each after its name ---- */

/* if and its elifs are a chain over c, so that many elifs don't nest. */
static int parse_if(struct parser *p, struct node *node)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    for (;;) {
        int code = ew__tmpl_parse_tuple(p, TUPLE_NO_COND, &node->a);
        if (code || (code = end_tag(p)) || (code = parse_body(p, ends, &node->b)))
            return code;
        if (ew__tmpl_skip_name(p, "elif")) {
            if ((code = ew__tmpl_node(p, N_IF, &node->c)))
                return code;
            node = node->c;
            continue;
        }
        if (ew__tmpl_skip_name(p, "else"))
            return parse_block(p, "endif", &node->d);
        p->at++;
        return end_tag(p);
    }
}

static int parse_for(struct parser *p, struct node *node)
{
    static const char *const ends[] = {"else", "endfor", NULL};
    int code = ew__tmpl_parse_target(p, &node->a);
    if (code)
        return code;
    if (!ew__tmpl_skip_name(p, "in"))
        return ew__tmpl_unexpected(p);
    if ((code = ew__tmpl_parse_tuple(p, TUPLE_NO_COND, &node->b)))
        return code;
    if (ew__tmpl_skip_name(p, "if") && (code = ew__tmpl_parse_expr(p, &node->e)))
        return code;
    if (ew__tmpl_is_name(p, "recursive"))
        return ew__tmpl_parse_fail(p, node->line, EW_EUNSUPPORTED, "recursive loops");
    if ((code = end_tag(p)))
        return code;
    p->loops++;
    code = parse_body(p, ends, &node->c);
    p->loops--;
    if (code)
        return code;
    if (ew__tmpl_skip_name(p, "else"))
        return parse_block(p, "endfor", &node->d);
    p->at++;
    return end_tag(p);
}

static int parse_set(struct parser *p, struct node *node)
{
    int code = ew__tmpl_parse_target(p, &node->a);
    if (code)
        return code;
    if (ew__tmpl_skip_op(p, "=")) {
        code = ew__tmpl_parse_tuple(p, 0, &node->b);
        return code ? code : end_tag(p);
    }
    node->type = N_SET_BLOCK;
    struct node *piped = NULL;
    if ((code = ew__tmpl_node(p, N_PIPED, &piped)) ||
        (code = ew__tmpl_parse_filters(p, piped, false, &node->b)))
        return code;
    return parse_block(p, "endset", &node->c);
}

static int parse_macro(struct parser *p, struct node *node)
{
    struct ew_str name;
    int code = ew__tmpl_expect_name(p, &name);
    if (code || (code = ew__tmpl_symbol(p, name, &node->symbol)) ||
        (code = ew__tmpl_parse_params(p, &node->a)))
        return code;
    node->value = value_str(name.data, name.bytes);
    uint32_t loops = p->loops; /* break can't leave a macro */
    p->loops = 0;
    code = parse_block(p, "endmacro", &node->c);
    p->loops = loops;
    return code;
}

static int parse_call_block(struct parser *p, struct node *node)
{
    int code = ew__tmpl_is_op(p, "(") ? ew__tmpl_parse_params(p, &node->b) : 0;
    if (code || (code = ew__tmpl_parse_expr(p, &node->a)))
        return code;
    if (node->a->type != N_CALL)
        return ew__tmpl_parse_fail(p, node->line, EW_EFORMAT, "'call' without a call");
    uint32_t loops = p->loops;
    p->loops = 0;
    code = parse_block(p, "endcall", &node->c);
    p->loops = loops;
    return code;
}

static int parse_filter_block(struct parser *p, struct node *node)
{
    struct node *piped = NULL;
    int code = ew__tmpl_node(p, N_PIPED, &piped);
    if (code || (code = ew__tmpl_parse_filters(p, piped, true, &node->b)))
        return code;
    return parse_block(p, "endfilter", &node->c);
}

static int parse_with(struct parser *p, struct node *node)
{
    struct node **tail = &node->a;
    while (ew__tmpl_peek(p)->type != TOKEN_BLOCK_END) {
        int code = node->a ? ew__tmpl_expect_op(p, ",") : 0;
        if (code || (code = ew__tmpl_node(p, N_SET, tail)) ||
            (code = parse_target_one(p, &(*tail)->a)) || (code = ew__tmpl_expect_op(p, "=")) ||
            (code = ew__tmpl_parse_expr(p, &(*tail)->b)))
            return code;
        tail = &(*tail)->next;
    }
    return parse_block(p, "endwith", &node->c);
}

/* The assistant's part of a training text: transformers marks it, here it is only passed on. */
static int parse_generation(struct parser *p, struct node *node)
{
    return parse_block(p, "endgeneration", &node->c);
}

static int parse_jump(struct parser *p, struct node *node)
{
    if (!p->loops)
        return ew__tmpl_parse_fail(p, node->line, EW_EFORMAT, "'%s' outside of a loop",
                                   node->type == N_BREAK ? "break" : "continue");
    return end_tag(p);
}

static int parse_statement(struct parser *p, struct node **out)
{
    static const struct {
        const char *name;
        enum node_type type;
        int (*parse)(struct parser *p, struct node *node);
    } statements[] = {
        {"if", N_IF, parse_if},
        {"for", N_FOR, parse_for},
        {"set", N_SET, parse_set},
        {"macro", N_MACRO, parse_macro},
        {"call", N_CALL_BLOCK, parse_call_block},
        {"filter", N_FILTER_BLOCK, parse_filter_block},
        {"with", N_WITH, parse_with},
        {"generation", N_WITH, parse_generation},
        {"break", N_BREAK, parse_jump},
        {"continue", N_CONTINUE, parse_jump},
    };
    struct ew_str name = {0};
    struct token *t = ew__tmpl_peek(p);
    int code = ew__tmpl_expect_name(p, &name);
    if (code)
        return code;
    for (size_t i = 0; i < EW_COUNT(statements); i++)
        if (ew_str_is(name, statements[i].name)) {
            if ((code = ew__tmpl_enter(p)) || (code = ew__tmpl_node(p, statements[i].type, out)))
                return code;
            (*out)->line = t->line;
            code = statements[i].parse(p, *out);
            p->depth--;
            return code;
        }
    int shown = name.bytes < 40 ? (int)name.bytes : 40;
    return ew__tmpl_parse_fail(p, t->line, EW_EUNSUPPORTED, "unknown tag '%.*s'", shown, name.data);
}

static bool at_end(struct parser *p, const char *const *ends)
{
    for (; ends && *ends; ends++)
        if (ew__tmpl_is_name(p, *ends))
            return true;
    return false;
}

/* Up to a tag named in `ends`: that name is then the next token. NULL: up to the end. */
static int parse_body(struct parser *p, const char *const *ends, struct node **out)
{
    struct node **tail = out;
    for (;;) {
        struct token *t = ew__tmpl_peek(p);
        int code;
        if (t->type == TOKEN_END)
            return ends ? ew__tmpl_parse_fail(p, t->line, EW_EFORMAT, "no '%s' for a block",
                                              ends[1] && ends[2] ? ends[2]
                                              : ends[1]          ? ends[1]
                                                                 : ends[0])
                        : 0;
        if (t->type == TOKEN_DATA) {
            if ((code = ew__tmpl_node(p, N_DATA, tail)))
                return code;
            (*tail)->value = value_str(t->text.data, t->text.bytes);
            p->at++;
        } else if (t->type == TOKEN_PRINT_BEGIN) {
            if ((code = ew__tmpl_node(p, N_PRINT, tail)))
                return code;
            p->at++;
            if ((code = ew__tmpl_parse_tuple(p, 0, &(*tail)->a)))
                return code;
            if (ew__tmpl_peek(p)->type != TOKEN_PRINT_END)
                return ew__tmpl_unexpected(p);
            p->at++;
        } else {
            p->at++; /* block begins */
            if (at_end(p, ends))
                return 0;
            if ((code = parse_statement(p, tail)))
                return code;
        }
        tail = &(*tail)->next;
    }
}

int ew__tmpl_parse(struct parser *p)
{
    p->tmpl->symbols =
        ew__tmpl_alloc(&p->tmpl->arena, TMPL_SYMBOLS_MAX * sizeof *p->tmpl->symbols, p->err);
    if (!p->tmpl->symbols)
        return p->err->code;
    static const char *const fixed[] = {[SYMBOL_LOOP] = "loop", [SYMBOL_CALLER] = "caller"};
    for (uint32_t i = 0; i < EW_COUNT(fixed); i++) {
        uint32_t at;
        int code = ew__tmpl_symbol(p, (struct ew_str){fixed[i], strlen(fixed[i])}, &at);
        if (code)
            return code;
    }
    return parse_body(p, NULL, &p->tmpl->body);
}
