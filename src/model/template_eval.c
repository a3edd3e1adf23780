/* template_eval.c - chat template: computes expressions.
 *
 * One function a node type; all pass ew__tmpl_eval, which counts steps and depth. Undefined names
 * print as nothing, are false and empty, and are an error in arithmetic, calls and attributes:
 * Jinja's default. */
#include "model/template_int.h"

#include <math.h>
#include <string.h>

int ew__tmpl_undefined(struct render *r, const struct value *v)
{
    int shown = v->bytes < 80 ? (int)v->bytes : 80;
    return TYPE_FAIL(r, "'%.*s' is undefined", shown, v->s);
}

/* ---- attributes and items ---- */

static int loop_attr(struct render *r, const struct value *object, struct ew_str name,
                     struct value *out)
{
    const struct loop *l = object->loop;
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {{"index", l->at + 1},
                   {"index0", l->at},
                   {"revindex", l->count - l->at},
                   {"revindex0", l->count - l->at - 1},
                   {"length", l->count},
                   {"depth", 1}, /* counts recursive loops */
                   {"depth0", 0}};
    for (size_t i = 0; i < EW_COUNT(numbers); i++)
        if (ew_str_is(name, numbers[i].name)) {
            *out = value_int(numbers[i].value);
            return 0;
        }
    bool first = l->at == 0, last = l->at + 1 == l->count;
    if (ew_str_is(name, "first"))
        *out = value_bool(first);
    else if (ew_str_is(name, "last"))
        *out = value_bool(last);
    else if (ew_str_is(name, "previtem") && !first)
        *out = l->items[l->at - 1];
    else if (ew_str_is(name, "nextitem") && !last)
        *out = l->items[l->at + 1];
    (void)r;
    return 0;
}

int ew__tmpl_get_attr(struct render *r, const struct value *object, struct ew_str name,
                      struct value *out)
{
    struct value self = *object; /* out may be the object */
    if (self.kind == V_UNDEFINED)
        return ew__tmpl_undefined(r, &self);
    *out = value_undefined(name.data, name.bytes);
    const struct builtin *builtin = ew__tmpl_find_method(self.kind, name);
    if (builtin) { /* methods come before a dict's keys, as in Jinja */
        struct method *method = ew__tmpl_take(r, sizeof *method);
        if (!method)
            return r->err.code;
        *method = (struct method){self, builtin};
        *out = (struct value){.kind = V_METHOD, .method = method};
        return 0;
    }
    if (self.kind == V_LOOP)
        return loop_attr(r, &self, name, out);
    if (self.kind == V_DICT || self.kind == V_SPACE) {
        const struct value *found = ew__tmpl_get_name(self.dict, name.data, name.bytes);
        if (found)
            *out = *found;
    }
    return 0;
}

static bool index_of(const struct value *key, int64_t count, int64_t *at)
{
    if (!ew__tmpl_integer(key, at))
        return false;
    if (*at < 0)
        *at += count;
    return *at >= 0 && *at < count;
}

int ew__tmpl_get_item(struct render *r, const struct value *object, const struct value *key,
                      struct value *out)
{
    struct value self = *object, name = *key;
    int64_t at;
    if (self.kind == V_UNDEFINED)
        return ew__tmpl_undefined(r, &self);
    if (self.kind == V_DICT) {
        const struct value *found = ew__tmpl_get(self.dict, &name);
        int code = ew__tmpl_step_key(r, &name);
        if (found || code) {
            *out = found ? *found : value_none();
            return code;
        }
    }
    if (name.kind == V_STR)
        return ew__tmpl_get_attr(r, &self, value_text(&name), out);
    *out = value_undefined("item", 4);
    if (self.kind == V_LIST || self.kind == V_TUPLE) {
        if (index_of(&name, self.list->count, &at))
            *out = self.list->items[at];
    } else if (self.kind == V_STR) {
        struct ew_str s = value_text(&self);
        if (index_of(&name, (int64_t)ew__tmpl_count(s), &at)) {
            uint32_t c;
            size_t from = ew__tmpl_offset(s, (size_t)at);
            size_t n = ew__tmpl_decode(s.data + from, s.bytes - from, &c);
            *out = value_str(s.data + from, n);
        }
        return ew__tmpl_step_bytes(r, s.bytes);
    }
    return 0;
}

/* The rules of Python for a slice of `count` items. */
static int slice_bounds(struct render *r, const struct value bounds[3], int64_t count,
                        int64_t *start, int64_t *stop, int64_t *step)
{
    int code = ew__tmpl_arg_int(r, &bounds[2], 1, step);
    if (code)
        return code;
    if (*step == 0)
        return TYPE_FAIL(r, "a slice with step 0");
    bool back = *step < 0;
    int64_t low = back ? -1 : 0, high = back ? count - 1 : count;
    bool has[2] = {bounds[0].kind != V_UNSET && bounds[0].kind != V_NONE,
                   bounds[1].kind != V_UNSET && bounds[1].kind != V_NONE};
    int64_t *ends[2] = {start, stop}, fallback[2] = {back ? high : low, back ? low : high};
    for (int i = 0; i < 2; i++) {
        if ((code = ew__tmpl_arg_int(r, &bounds[i], fallback[i], ends[i])))
            return code;
        if (!has[i])
            continue;
        if (*ends[i] < 0)
            *ends[i] += count;
        *ends[i] = *ends[i] < low ? low : *ends[i] > high ? high : *ends[i];
    }
    return 0;
}

int ew__tmpl_slice(struct render *r, const struct value *object, const struct value bounds[3],
                   struct value *out)
{
    struct value self = *object;
    const struct value *items = NULL;
    uint32_t count = 0;
    int64_t start, stop, step;
    if (self.kind == V_UNDEFINED)
        return ew__tmpl_undefined(r, &self);
    if (self.kind != V_STR && self.kind != V_LIST && self.kind != V_TUPLE)
        return TYPE_FAIL(r, "'%s' can't be sliced", ew__tmpl_kind(&self));
    if (self.kind == V_STR && bounds[2].kind == V_UNSET) { /* the common one, without a copy */
        struct ew_str s = value_text(&self);
        int code = ew__tmpl_step_bytes(r, s.bytes);
        if (code ||
            (code = slice_bounds(r, bounds, (int64_t)ew__tmpl_count(s), &start, &stop, &step)))
            return code;
        size_t from = ew__tmpl_offset(s, (size_t)start), to = ew__tmpl_offset(s, (size_t)stop);
        *out = value_str(s.data + from, to > from ? to - from : 0);
        return 0;
    }
    int code = ew__tmpl_items(r, &self, &items, &count);
    if (code || (code = slice_bounds(r, bounds, count, &start, &stop, &step)))
        return code;
    struct value list;
    if ((code = ew__tmpl_list(r, self.kind == V_TUPLE ? V_TUPLE : V_LIST, 0, &list)))
        return code;
    while (!code && (step > 0 ? start < stop : start > stop)) {
        code = ew__tmpl_push(r, list.list, &items[start]);
        if (__builtin_add_overflow(start, step, &start))
            break;
    }
    *out = list;
    if (self.kind != V_STR || code)
        return code;
    struct ew_buf buf;
    ew__tmpl_text_begin(r, &buf);
    for (uint32_t i = 0; i < list.list->count && !code; i++)
        code = ew__tmpl_add(r, &buf, list.list->items[i].s, list.list->items[i].bytes);
    return ew__tmpl_text_end(r, &buf, code, out);
}

/* ---- literals and names ---- */

static int eval_list(struct render *r, const struct node *node, struct value *out)
{
    struct value list;
    int code = ew__tmpl_list(r, node->type == N_TUPLE ? V_TUPLE : V_LIST, 0, &list);
    for (const struct node *n = node->a; n && !code; n = n->next) {
        struct value item;
        code = ew__tmpl_eval(r, n, &item);
        if (!code)
            code = ew__tmpl_push(r, list.list, &item);
    }
    *out = list;
    return code;
}

static int eval_dict(struct render *r, const struct node *node, struct value *out)
{
    struct value dict;
    int code = ew__tmpl_dict(r, V_DICT, &dict);
    for (const struct node *n = node->a; n && !code; n = n->next->next) {
        struct value key, value;
        code = ew__tmpl_eval(r, n, &key);
        if (!code)
            code = ew__tmpl_eval(r, n->next, &value);
        if (!code)
            code = ew__tmpl_put(r, dict.dict, &key, &value);
    }
    *out = dict;
    return code;
}

static int eval_item(struct render *r, const struct node *node, struct value *out)
{
    struct value object, key, bounds[3] = {{0}};
    int code = ew__tmpl_eval(r, node->a, &object);
    if (code)
        return code;
    if (node->b->type != N_SLICE) {
        code = ew__tmpl_eval(r, node->b, &key);
        return code ? code : ew__tmpl_get_item(r, &object, &key, out);
    }
    const struct node *parts[3] = {node->b->a, node->b->b, node->b->c};
    for (int i = 0; i < 3 && !code; i++)
        if (parts[i])
            code = ew__tmpl_eval(r, parts[i], &bounds[i]);
    return code ? code : ew__tmpl_slice(r, &object, bounds, out);
}

/* ---- logic ---- */

static int eval_cond(struct render *r, const struct node *node, struct value *out)
{
    struct value test;
    int code = ew__tmpl_eval(r, node->a, &test);
    if (code)
        return code;
    if (ew__tmpl_truth(&test))
        return ew__tmpl_eval(r, node->b, out);
    *out = value_undefined("inline if", 9);
    return node->c ? ew__tmpl_eval(r, node->c, out) : 0;
}

static int compare_one(struct render *r, uint8_t op, const struct value *a, const struct value *b,
                       bool *out)
{
    int order, code;
    if (op == OP_EQ || op == OP_NE) {
        code = ew__tmpl_equal(r, a, b, out);
        *out = *out == (op == OP_EQ);
        return code;
    }
    if (op == OP_IN || op == OP_NOT_IN) {
        code = ew__tmpl_contains(r, b, a, out);
        *out = *out == (op == OP_IN);
        return code;
    }
    if (a->kind == V_UNDEFINED || b->kind == V_UNDEFINED)
        return ew__tmpl_undefined(r, a->kind == V_UNDEFINED ? a : b);
    if ((code = ew__tmpl_compare(r, a, b, &order)))
        return code;
    *out = op == OP_LT   ? order < 0
           : op == OP_LE ? order <= 0
           : op == OP_GT ? order > 0
                         : order >= 0;
    return 0;
}

static int eval_compare(struct render *r, const struct node *node, struct value *out)
{
    struct value left, right;
    bool holds = true;
    int code = ew__tmpl_eval(r, node->a, &left);
    for (const struct node *n = node->b; n && !code && holds; n = n->next) {
        code = ew__tmpl_eval(r, n->a, &right);
        if (!code)
            code = compare_one(r, n->op, &left, &right, &holds);
        left = right;
    }
    *out = value_bool(holds);
    return code;
}

static int eval_and_or(struct render *r, const struct node *node, struct value *out)
{
    int code = ew__tmpl_eval(r, node->a, out);
    if (code || ew__tmpl_truth(out) == (node->type == N_OR))
        return code;
    return ew__tmpl_eval(r, node->b, out);
}

/* ---- arithmetic ---- */

static int integer_op(struct render *r, enum tmpl_op op, int64_t a, int64_t b, struct value *out)
{
    int64_t i = 0;
    bool over = false;
    switch (op) {
    case OP_ADD:
        over = __builtin_add_overflow(a, b, &i);
        break;
    case OP_SUB:
        over = __builtin_sub_overflow(a, b, &i);
        break;
    case OP_MUL:
        over = __builtin_mul_overflow(a, b, &i);
        break;
    case OP_POW:
        i = 1;
        if (a == 0 || a == 1 || a == -1) /* any power of these is one step */
            b = b > 2 ? 2 + (b & 1) : b;
        for (; b > 0 && !over; b--)
            over = __builtin_mul_overflow(i, a, &i);
        break;
    default: /* floor, as Python rounds; the least integer has no negative */
        over = b == -1 && a == INT64_MIN;
        if (over)
            break;
        i = a / b - (a % b != 0 && (a < 0) != (b < 0));
        if (op == OP_MOD)
            i = a - i * b;
    }
    *out = value_int(i);
    return over ? TYPE_FAIL(r, "an integer beyond 64 bits") : 0;
}

static int number_op(struct render *r, enum tmpl_op op, double a, double b, struct value *out)
{
    double f;
    switch (op) {
    case OP_ADD:
        f = a + b;
        break;
    case OP_SUB:
        f = a - b;
        break;
    case OP_MUL:
        f = a * b;
        break;
    case OP_DIV:
        f = a / b;
        break;
    case OP_FLOORDIV:
        f = floor(a / b);
        break;
    case OP_MOD:
        f = fmod(a, b);
        f = f != 0 && (f < 0) != (b < 0) ? f + b : f;
        break;
    default:
        f = pow(a, b);
        if (isnan(f) || isinf(f))
            return TYPE_FAIL(r, "a power that isn't a number");
    }
    *out = value_float(f);
    return 0;
}

static int add_lists(struct render *r, const struct value *a, const struct value *b,
                     struct value *out)
{
    const struct list *parts[2] = {a->list, b->list};
    uint32_t kind = a->kind;
    int code = ew__tmpl_list(r, kind, parts[0]->count + parts[1]->count, out);
    for (int k = 0; k < 2 && !code; k++)
        for (uint32_t i = 0; i < parts[k]->count && !code; i++)
            code = ew__tmpl_push(r, out->list, &parts[k]->items[i]);
    return code;
}

static int add_strings(struct render *r, const struct value *a, const struct value *b,
                       struct value *out)
{
    size_t bytes = (size_t)a->bytes + b->bytes;
    char *text = ew__tmpl_take(r, bytes + 1);
    if (!text)
        return r->err.code;
    memcpy(text, a->s, a->bytes);
    memcpy(text + a->bytes, b->s, b->bytes);
    *out = value_str(text, bytes);
    return ew__tmpl_step_bytes(r, bytes);
}

static int repeat(struct render *r, const struct value *v, int64_t times, struct value *out)
{
    int code = 0;
    times = times < 0 ? 0 : times;
    if (v->kind == V_STR) {
        struct ew_buf buf;
        ew__tmpl_text_begin(r, &buf);
        for (; times > 0 && v->bytes && !code; times--) {
            code = ew__tmpl_step(r, 1);
            if (!code)
                code = ew__tmpl_add(r, &buf, v->s, v->bytes);
        }
        return ew__tmpl_text_end(r, &buf, code, out);
    }
    struct value list;
    code = ew__tmpl_list(r, v->kind, 0, &list);
    for (uint32_t count = v->list->count; times > 0 && count && !code; times--)
        for (uint32_t i = 0; i < count && !code; i++)
            code = ew__tmpl_push(r, list.list, &v->list->items[i]);
    *out = list;
    return code;
}

static bool is_sequence(const struct value *v)
{
    return v->kind == V_STR || v->kind == V_LIST || v->kind == V_TUPLE;
}

int ew__tmpl_binary(struct render *r, enum tmpl_op op, const struct value *a, const struct value *b,
                    struct value *out)
{
    int64_t i, j;
    double x, y;
    if (op == OP_MOD && a->kind == V_STR)
        return ew__tmpl_percent(r, value_text(a), b, out);
    if (a->kind == V_UNDEFINED || b->kind == V_UNDEFINED)
        return ew__tmpl_undefined(r, a->kind == V_UNDEFINED ? a : b);
    bool ints = ew__tmpl_integer(a, &i) && ew__tmpl_integer(b, &j);
    if (ew__tmpl_number(a, &x) && ew__tmpl_number(b, &y)) {
        if (y == 0 && (op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD))
            return TYPE_FAIL(r, "division by zero");
        if (ints && op != OP_DIV && (op != OP_POW || j >= 0))
            return integer_op(r, op, i, j, out);
        return number_op(r, op, x, y, out);
    }
    if (op == OP_ADD && a->kind == b->kind && a->kind == V_STR)
        return add_strings(r, a, b, out);
    if (op == OP_ADD && a->kind == b->kind && is_sequence(a))
        return add_lists(r, a, b, out);
    if (op == OP_MUL && is_sequence(a) && ew__tmpl_integer(b, &j))
        return repeat(r, a, j, out);
    if (op == OP_MUL && is_sequence(b) && ew__tmpl_integer(a, &i))
        return repeat(r, b, i, out);
    static const char *const names[] = {"+", "-", "*", "/", "//", "%", "**"};
    return TYPE_FAIL(r, "'%s' of '%s' and '%s'", names[op], ew__tmpl_kind(a), ew__tmpl_kind(b));
}

static int eval_binary(struct render *r, const struct node *node, struct value *out)
{
    struct value a, b;
    int code = ew__tmpl_eval(r, node->a, &a);
    if (!code)
        code = ew__tmpl_eval(r, node->b, &b);
    r->line = node->line;
    return code ? code : ew__tmpl_binary(r, node->op, &a, &b, out);
}

static int eval_concat(struct render *r, const struct node *node, struct value *out)
{
    struct ew_buf buf;
    int code = 0;
    ew__tmpl_text_begin(r, &buf);
    for (const struct node *n = node->a; n && !code; n = n->next) {
        struct value v;
        code = ew__tmpl_eval(r, n, &v);
        if (!code)
            code = ew__tmpl_print(r, &v, &buf);
    }
    return ew__tmpl_text_end(r, &buf, code, out);
}

static int eval_sign(struct render *r, const struct node *node, struct value *out)
{
    struct value v, zero = value_int(0);
    int code = ew__tmpl_eval(r, node->a, &v);
    if (code)
        return code;
    if (v.kind == V_FLOAT) {
        *out = value_float(node->type == N_NEGATE ? -v.f : v.f);
        return 0;
    }
    if (v.kind != V_INT && v.kind != V_BOOL)
        return v.kind == V_UNDEFINED ? ew__tmpl_undefined(r, &v)
                                     : TYPE_FAIL(r, "a sign before '%s'", ew__tmpl_kind(&v));
    return ew__tmpl_binary(r, node->type == N_NEGATE ? OP_SUB : OP_ADD, &zero, &v, out);
}

/* ---- calls ---- */

/* The arguments of a call, and with `caller` one more of that name. */
static int eval_args(struct render *r, const struct node *args, const struct value *caller,
                     struct call *call)
{
    uint32_t positional = 0, named = caller != NULL;
    for (const struct node *n = args; n; n = n->next)
        *(n->type == N_KWARG ? &named : &positional) += 1;
    struct value *values = positional ? ew__tmpl_take(r, positional * sizeof *values) : NULL;
    struct kwarg *kwargs = named ? ew__tmpl_take(r, named * sizeof *kwargs) : NULL;
    if ((positional && !values) || (named && !kwargs))
        return r->err.code;
    *call = (struct call){.args = values, .kwargs = kwargs};
    for (const struct node *n = args; n; n = n->next) {
        bool is_named = n->type == N_KWARG;
        struct value v;
        int code = ew__tmpl_eval(r, is_named ? n->a : n, &v);
        if (code)
            return code;
        if (is_named)
            kwargs[call->kwarg_count++] = (struct kwarg){n->value, v};
        else
            values[call->count++] = v;
    }
    if (caller)
        kwargs[call->kwarg_count++] = (struct kwarg){value_str("caller", 6), *caller};
    return 0;
}

int ew__tmpl_eval_call(struct render *r, const struct node *node, const struct value *caller,
                       struct value *out)
{
    struct value callee;
    struct call call;
    int code = ew__tmpl_eval(r, node->a, &callee);
    if (!code)
        code = eval_args(r, node->b, caller, &call);
    r->line = node->line;
    return code ? code : ew__tmpl_call(r, &callee, &call, out);
}

static int eval_filter(struct render *r, const struct node *node, struct value *out)
{
    struct value input;
    struct call call;
    if (!node->builtin) {
        int shown = node->value.bytes < 40 ? (int)node->value.bytes : 40;
        return ew__tmpl_fail(r, EW_EUNSUPPORTED, "unknown %s '%.*s'",
                             node->type == N_FILTER ? "filter" : "test", shown, node->value.s);
    }
    int code = ew__tmpl_eval(r, node->a, &input);
    if (!code)
        code = eval_args(r, node->b, NULL, &call);
    if (code)
        return code;
    r->line = node->line;
    call.self = input;
    return ew__tmpl_invoke(r, node->builtin, &call, out);
}

static int eval_node(struct render *r, const struct node *node, struct value *out)
{
    struct value v;
    int code;
    switch (node->type) {
    case N_CONST:
        *out = node->value;
        return 0;
    case N_NAME:
        return ew__tmpl_lookup(r, node->symbol, out);
    case N_LIST:
    case N_TUPLE:
        return eval_list(r, node, out);
    case N_DICT:
        return eval_dict(r, node, out);
    case N_COND:
        return eval_cond(r, node, out);
    case N_OR:
    case N_AND:
        return eval_and_or(r, node, out);
    case N_NOT:
        code = ew__tmpl_eval(r, node->a, &v);
        *out = value_bool(!code && !ew__tmpl_truth(&v));
        return code;
    case N_COMPARE:
        return eval_compare(r, node, out);
    case N_BINARY:
        return eval_binary(r, node, out);
    case N_CONCAT:
        return eval_concat(r, node, out);
    case N_NEGATE:
    case N_PLUS:
        return eval_sign(r, node, out);
    case N_FILTER:
    case N_TEST:
        return eval_filter(r, node, out);
    case N_CALL:
        return ew__tmpl_eval_call(r, node, NULL, out);
    case N_ATTR:
        code = ew__tmpl_eval(r, node->a, &v);
        return code ? code : ew__tmpl_get_attr(r, &v, value_text(&node->value), out);
    case N_ITEM:
        return eval_item(r, node, out);
    default:
        EW_ASSERT(node->type == N_PIPED);
        *out = r->piped;
        return 0;
    }
}

int ew__tmpl_eval(struct render *r, const struct node *node, struct value *out)
{
    if (r->depth == TMPL_RENDER_DEPTH_MAX)
        return ew__tmpl_fail(r, EW_ELIMIT, "nested deeper than %d", TMPL_RENDER_DEPTH_MAX);
    r->depth++;
    r->line = node->line;
    int code = ew__tmpl_step(r, 1);
    if (!code)
        code = eval_node(r, node, out);
    r->depth--;
    return code;
}
