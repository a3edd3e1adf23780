/* template_tests.c - chat template: what can stand after "is". */
#include "model/template_int.h"

#include <math.h>

static int run_defined(struct render *r, const struct call *call, struct value *out)
{
    (void)r;
    *out = value_bool(call->self.kind != V_UNDEFINED);
    return 0;
}

static int run_undefined(struct render *r, const struct call *call, struct value *out)
{
    (void)r;
    *out = value_bool(call->self.kind == V_UNDEFINED);
    return 0;
}

static int run_none(struct render *r, const struct call *call, struct value *out)
{
    (void)r;
    *out = value_bool(call->self.kind == V_NONE);
    return 0;
}

static int run_string(struct render *r, const struct call *call, struct value *out)
{
    (void)r;
    *out = value_bool(call->self.kind == V_STR);
    return 0;
}

static int run_number(struct render *r, const struct call *call, struct value *out)
{
    double f;
    (void)r;
    *out = value_bool(ew__tmpl_number(&call->self, &f));
    return 0;
}

static int run_integer(struct render *r, const struct call *call, struct value *out)
{
    (void)r;
    *out = value_bool(call->self.kind == V_INT);
    return 0;
}

static int run_float(struct render *r, const struct call *call, struct value *out)
{
    (void)r;
    *out = value_bool(call->self.kind == V_FLOAT);
    return 0;
}

static int run_boolean(struct render *r, const struct call *call, struct value *out)
{
    (void)r;
    *out = value_bool(call->self.kind == V_BOOL);
    return 0;
}

static int run_true(struct render *r, const struct call *call, struct value *out)
{
    (void)r;
    *out = value_bool(call->self.kind == V_BOOL && call->self.b);
    return 0;
}

static int run_false(struct render *r, const struct call *call, struct value *out)
{
    (void)r;
    *out = value_bool(call->self.kind == V_BOOL && !call->self.b);
    return 0;
}

static int run_mapping(struct render *r, const struct call *call, struct value *out)
{
    (void)r;
    *out = value_bool(call->self.kind == V_DICT);
    return 0;
}

/* Has a length and items by position or key; undefined counts as empty, as in Jinja. */
static int run_sequence(struct render *r, const struct call *call, struct value *out)
{
    uint32_t kind = call->self.kind;
    (void)r;
    *out = value_bool(kind == V_STR || kind == V_LIST || kind == V_TUPLE || kind == V_DICT ||
                      kind == V_UNDEFINED);
    return 0;
}

static int run_iterable(struct render *r, const struct call *call, struct value *out)
{
    uint32_t kind = call->self.kind;
    (void)r;
    *out = value_bool(kind == V_STR || kind == V_LIST || kind == V_TUPLE || kind == V_DICT ||
                      kind == V_UNDEFINED || kind == V_ITER || kind == V_LOOP);
    return 0;
}

static int run_callable(struct render *r, const struct call *call, struct value *out)
{
    uint32_t kind = call->self.kind;
    (void)r;
    *out = value_bool(kind == V_MACRO || kind == V_FUNC || kind == V_METHOD ||
                      kind == V_UNDEFINED || kind == V_LOOP);
    return 0;
}

static int run_equal(struct render *r, const struct call *call, struct value *out)
{
    bool same = false;
    int code = ew__tmpl_equal(r, &call->self, &call->argv[0], &same);
    *out = value_bool(same);
    return code;
}

static int run_unequal(struct render *r, const struct call *call, struct value *out)
{
    int code = run_equal(r, call, out);
    *out = value_bool(!out->b);
    return code;
}

static int run_sameas(struct render *r, const struct call *call, struct value *out)
{
    *out = value_bool(false);
    return call->self.kind == call->argv[0].kind ? run_equal(r, call, out) : 0;
}

static int order(struct render *r, const struct call *call, int *out)
{
    const struct value *a = &call->self, *b = &call->argv[0];
    if (a->kind == V_UNDEFINED || b->kind == V_UNDEFINED)
        return ew__tmpl_undefined(r, a->kind == V_UNDEFINED ? a : b);
    return ew__tmpl_compare(r, a, b, out);
}

static int run_less(struct render *r, const struct call *call, struct value *out)
{
    int by = 0, code = order(r, call, &by);
    *out = value_bool(by < 0);
    return code;
}

static int run_less_equal(struct render *r, const struct call *call, struct value *out)
{
    int by = 0, code = order(r, call, &by);
    *out = value_bool(by <= 0);
    return code;
}

static int run_greater(struct render *r, const struct call *call, struct value *out)
{
    int by = 0, code = order(r, call, &by);
    *out = value_bool(by > 0);
    return code;
}

static int run_greater_equal(struct render *r, const struct call *call, struct value *out)
{
    int by = 0, code = order(r, call, &by);
    *out = value_bool(by >= 0);
    return code;
}

static int run_in(struct render *r, const struct call *call, struct value *out)
{
    bool in = false;
    int code = ew__tmpl_contains(r, &call->argv[0], &call->self, &in);
    *out = value_bool(in);
    return code;
}

/* self % divisor == rest */
static int divides(struct render *r, const struct call *call, const struct value *divisor,
                   int64_t rest, struct value *out)
{
    struct value left, want = value_int(rest);
    bool same = false;
    if (call->self.kind == V_STR) /* there % would format */
        return TYPE_FAIL(r, "a string isn't a number");
    int code = ew__tmpl_binary(r, OP_MOD, &call->self, divisor, &left);
    if (!code)
        code = ew__tmpl_equal(r, &left, &want, &same);
    *out = value_bool(same);
    return code;
}

static int run_odd(struct render *r, const struct call *call, struct value *out)
{
    struct value two = value_int(2);
    return divides(r, call, &two, 1, out);
}

static int run_even(struct render *r, const struct call *call, struct value *out)
{
    struct value two = value_int(2);
    return divides(r, call, &two, 0, out);
}

static int run_divisibleby(struct render *r, const struct call *call, struct value *out)
{
    return divides(r, call, &call->argv[0], 0, out);
}

static int cased(struct render *r, const struct call *call, bool upper, struct value *out)
{
    struct value text;
    int code = ew__tmpl_str(r, &call->self, &text);
    if (!code)
        code = ew__tmpl_step_bytes(r, text.bytes);
    bool any = false, holds = true;
    for (size_t at = 0; !code && at < text.bytes && holds;) {
        uint32_t c;
        at += ew__tmpl_decode(text.s + at, text.bytes - at, &c);
        if (ew__tmpl_is_cased(c)) {
            any = true;
            holds = upper ? ew__tmpl_lower(c) != c : ew__tmpl_lower(c) == c;
        }
    }
    *out = value_bool(any && holds);
    return code;
}

static int run_lower(struct render *r, const struct call *call, struct value *out)
{
    return cased(r, call, false, out);
}

static int run_upper(struct render *r, const struct call *call, struct value *out)
{
    return cased(r, call, true, out);
}

static int run_filter(struct render *r, const struct call *call, struct value *out)
{
    (void)r;
    *out = value_bool(call->self.kind == V_STR && ew__tmpl_find_filter(value_text(&call->self)));
    return 0;
}

static int run_test(struct render *r, const struct call *call, struct value *out)
{
    (void)r;
    *out = value_bool(call->self.kind == V_STR && ew__tmpl_find_test(value_text(&call->self)));
    return 0;
}

const struct builtin *ew__tmpl_find_test(struct ew_str name)
{
    static const struct builtin rows[] = {
        {"defined", run_defined, "", 0},
        {"undefined", run_undefined, "", 0},
        {"none", run_none, "", 0},
        {"string", run_string, "", 0},
        {"number", run_number, "", 0},
        {"integer", run_integer, "", 0},
        {"float", run_float, "", 0},
        {"boolean", run_boolean, "", 0},
        {"true", run_true, "", 0},
        {"false", run_false, "", 0},
        {"mapping", run_mapping, "", 0},
        {"sequence", run_sequence, "", 0},
        {"iterable", run_iterable, "", 0},
        {"callable", run_callable, "", 0},
        {"equalto", run_equal, "other", 1},
        {"eq", run_equal, "other", 1},
        {"==", run_equal, "other", 1},
        {"ne", run_unequal, "other", 1},
        {"!=", run_unequal, "other", 1},
        {"sameas", run_sameas, "other", 1},
        {"lt", run_less, "other", 1},
        {"lessthan", run_less, "other", 1},
        {"<", run_less, "other", 1},
        {"le", run_less_equal, "other", 1},
        {"<=", run_less_equal, "other", 1},
        {"gt", run_greater, "other", 1},
        {"greaterthan", run_greater, "other", 1},
        {">", run_greater, "other", 1},
        {"ge", run_greater_equal, "other", 1},
        {">=", run_greater_equal, "other", 1},
        {"in", run_in, "seq", 1},
        {"odd", run_odd, "", 0},
        {"even", run_even, "", 0},
        {"divisibleby", run_divisibleby, "num", 1},
        {"lower", run_lower, "", 0},
        {"upper", run_upper, "", 0},
        {"filter", run_filter, "", 0},
        {"test", run_test, "", 0},
    };
    return ew__tmpl_find_in(rows, EW_COUNT(rows), name);
}
