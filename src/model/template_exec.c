/* template_exec.c - chat template: runs statements.
 *
 * Scopes are Jinja's: a loop, a macro, and the bodies of set, filter, call and with each have
 * their own; `if` has none; what a loop sets is gone with its iteration. A scope is found from the
 * innermost outwards, then comes the table of globals that the context filled. */
#include "model/template_int.h"

#include <string.h>

int ew__tmpl_scope_push(struct render *r, struct scope **scope)
{
    *scope = ew__tmpl_take(r, sizeof **scope);
    if (!*scope)
        return r->err.code;
    (*scope)->parent = r->scope;
    r->scope = *scope;
    return 0;
}

int ew__tmpl_scope_set(struct render *r, uint32_t symbol, const struct value *value)
{
    struct scope *scope = r->scope;
    if (!scope) {
        r->globals[symbol] = *value;
        return 0;
    }
    for (uint32_t i = 0; i < scope->count; i++)
        if (scope->bindings[i].symbol == symbol) {
            scope->bindings[i].value = *value;
            return 0;
        }
    if (scope->count == scope->capacity) {
        uint32_t capacity = scope->capacity ? scope->capacity * 2 : 4;
        struct binding *more = ew__tmpl_take(r, capacity * sizeof *more);
        if (!more)
            return r->err.code;
        if (scope->count)
            memcpy(more, scope->bindings, scope->count * sizeof *more);
        scope->bindings = more;
        scope->capacity = capacity;
    }
    scope->bindings[scope->count++] = (struct binding){symbol, *value};
    return 0;
}

int ew__tmpl_lookup(struct render *r, uint32_t symbol, struct value *out)
{
    uint32_t steps = 0;
    for (const struct scope *scope = r->scope; scope; scope = scope->parent, steps++)
        for (uint32_t i = 0; i < scope->count; i++)
            if (scope->bindings[i].symbol == symbol) {
                *out = scope->bindings[i].value;
                return 0;
            }
    *out = r->globals[symbol];
    return ew__tmpl_step(r, steps);
}

int ew__tmpl_capture(struct render *r, const struct node *body, struct value *out)
{
    struct ew_buf buf, *outer = r->out;
    ew__tmpl_text_begin(r, &buf);
    r->out = &buf;
    int code = ew__tmpl_run(r, body);
    r->out = outer;
    return ew__tmpl_text_end(r, &buf, code, out);
}

static int unpack(struct render *r, const struct node *target, const struct value *value)
{
    const struct value *items;
    uint32_t count, want = 0;
    int code = ew__tmpl_items(r, value, &items, &count);
    for (const struct node *n = target->a; n; n = n->next)
        want++;
    if (!code && want != count)
        code = TYPE_FAIL(r, "%u values for %u names", count, want);
    for (const struct node *n = target->a; n && !code; n = n->next)
        code = ew__tmpl_assign(r, n, items++);
    return code;
}

int ew__tmpl_assign(struct render *r, const struct node *target, const struct value *value)
{
    if (target->type == N_NAME)
        return ew__tmpl_scope_set(r, target->symbol, value);
    if (target->type == N_TUPLE) /* as deep as the parser let it be */
        return unpack(r, target, value);
    struct value space;
    int code = ew__tmpl_lookup(r, target->a->symbol, &space);
    if (code)
        return code;
    if (space.kind != V_SPACE)
        return TYPE_FAIL(r, "only a namespace's attributes can be set");
    return ew__tmpl_put(r, space.dict, &target->value, value);
}

static int run_if(struct render *r, const struct node *node)
{
    for (;;) {
        struct value test;
        int code = ew__tmpl_eval(r, node->a, &test);
        if (code)
            return code;
        if (ew__tmpl_truth(&test))
            return ew__tmpl_run(r, node->b);
        if (!node->c)
            return ew__tmpl_run(r, node->d);
        node = node->c;
    }
}

/* Those of the items for which the loop's filter is true. */
static int filter_items(struct render *r, const struct node *node, const struct value **items,
                        uint32_t *count)
{
    struct scope *scope;
    struct value kept, test;
    int code = ew__tmpl_list(r, V_LIST, 0, &kept);
    if (code || (code = ew__tmpl_scope_push(r, &scope)))
        return code;
    for (uint32_t i = 0; i < *count && !code; i++) {
        scope->count = 0;
        if (!(code = ew__tmpl_assign(r, node->a, &(*items)[i])) &&
            !(code = ew__tmpl_eval(r, node->e, &test)) && ew__tmpl_truth(&test))
            code = ew__tmpl_push(r, kept.list, &(*items)[i]);
    }
    r->scope = scope->parent;
    *items = kept.list->items;
    *count = kept.list->count;
    return code;
}

static int run_loop(struct render *r, const struct node *node, struct scope *scope,
                    struct loop *loop)
{
    struct value value = {.kind = V_LOOP, .loop = loop};
    int code = 0;
    for (; loop->at < loop->count && !code; loop->at++) {
        scope->count = 0; /* what an iteration sets ends with it */
        if ((code = ew__tmpl_assign(r, node->a, &loop->items[loop->at])) ||
            (code = ew__tmpl_scope_set(r, SYMBOL_LOOP, &value)) || (code = ew__tmpl_step(r, 1)))
            return code;
        code = ew__tmpl_run(r, node->c);
        if (code == FLOW_BREAK)
            return 0;
        if (code == FLOW_CONTINUE)
            code = 0;
    }
    return code;
}

static int run_for(struct render *r, const struct node *node)
{
    struct value iterable;
    const struct value *items;
    uint32_t count;
    int code = ew__tmpl_eval(r, node->b, &iterable);
    if (code || (code = ew__tmpl_items(r, &iterable, &items, &count)))
        return code;
    if (node->e && (code = filter_items(r, node, &items, &count)))
        return code;
    struct scope *scope;
    struct loop *loop = ew__tmpl_take(r, sizeof *loop);
    if (!loop)
        return r->err.code;
    if ((code = ew__tmpl_scope_push(r, &scope)))
        return code;
    *loop = (struct loop){.items = items, .count = count};
    code = count ? run_loop(r, node, scope, loop) : ew__tmpl_run(r, node->d);
    r->scope = scope->parent;
    return code;
}

static int run_set(struct render *r, const struct node *node)
{
    struct value value;
    int code = ew__tmpl_eval(r, node->b, &value);
    return code ? code : ew__tmpl_assign(r, node->a, &value);
}

/* The output of the body, through the filters in front of it. */
static int run_filtered(struct render *r, const struct node *node, struct value *out)
{
    struct scope *scope;
    struct value text, outer = r->piped;
    int code = ew__tmpl_scope_push(r, &scope);
    if (code)
        return code;
    code = ew__tmpl_capture(r, node->c, &text);
    r->scope = scope->parent;
    if (code)
        return code;
    r->piped = text;
    code = ew__tmpl_eval(r, node->b, out);
    r->piped = outer;
    return code;
}

static int run_block(struct render *r, const struct node *node)
{
    struct value value;
    int code = run_filtered(r, node, &value);
    if (code)
        return code;
    return node->type == N_SET_BLOCK ? ew__tmpl_assign(r, node->a, &value)
                                     : ew__tmpl_print(r, &value, r->out);
}

static int make_macro(struct render *r, const struct node *node, struct value *out)
{
    struct macro *macro = ew__tmpl_take(r, sizeof *macro);
    if (!macro)
        return r->err.code;
    *macro = (struct macro){node, r->scope};
    *out = (struct value){.kind = V_MACRO, .macro = macro};
    return 0;
}

static int run_macro(struct render *r, const struct node *node)
{
    struct value value;
    int code = make_macro(r, node, &value);
    return code ? code : ew__tmpl_scope_set(r, node->symbol, &value);
}

static int run_call_block(struct render *r, const struct node *node)
{
    struct value caller, value;
    int code = make_macro(r, node, &caller);
    if (code || (code = ew__tmpl_eval_call(r, node->a, &caller, &value)))
        return code;
    return ew__tmpl_print(r, &value, r->out);
}

static int run_with(struct render *r, const struct node *node)
{
    struct scope *scope, *outer = r->scope;
    int code = ew__tmpl_scope_push(r, &scope);
    for (const struct node *set = node->a; set && !code; set = set->next) {
        struct value value;
        r->scope = outer; /* the values don't see each other's names */
        code = ew__tmpl_eval(r, set->b, &value);
        r->scope = scope;
        if (!code)
            code = ew__tmpl_assign(r, set->a, &value);
    }
    if (!code)
        code = ew__tmpl_run(r, node->c);
    r->scope = outer;
    return code;
}

static int run_one(struct render *r, const struct node *node)
{
    struct value value;
    int code;
    switch (node->type) {
    case N_DATA:
        return ew__tmpl_add(r, r->out, node->value.s, node->value.bytes);
    case N_PRINT:
        code = ew__tmpl_eval(r, node->a, &value);
        return code ? code : ew__tmpl_print(r, &value, r->out);
    case N_IF:
        return run_if(r, node);
    case N_FOR:
        return run_for(r, node);
    case N_SET:
        return run_set(r, node);
    case N_SET_BLOCK:
    case N_FILTER_BLOCK:
        return run_block(r, node);
    case N_MACRO:
        return run_macro(r, node);
    case N_CALL_BLOCK:
        return run_call_block(r, node);
    case N_WITH:
        return run_with(r, node);
    case N_BREAK:
        return FLOW_BREAK;
    default:
        EW_ASSERT(node->type == N_CONTINUE);
        return FLOW_CONTINUE;
    }
}

int ew__tmpl_run(struct render *r, const struct node *chain)
{
    int code = 0;
    if (r->depth == TMPL_RENDER_DEPTH_MAX)
        return ew__tmpl_fail(r, EW_ELIMIT, "nested deeper than %d", TMPL_RENDER_DEPTH_MAX);
    r->depth++;
    for (const struct node *node = chain; node && !code; node = node->next) {
        r->line = node->line;
        code = ew__tmpl_step(r, 1);
        if (!code)
            code = run_one(r, node);
    }
    r->depth--;
    return code;
}
