/* template_call.c - chat template: calls of macros, functions, methods, filters and tests. */
#include "model/template_int.h"

#include <string.h>

const struct builtin *ew__tmpl_find_in(const struct builtin *rows, size_t count, struct ew_str name)
{
    for (size_t i = 0; i < count; i++)
        if (ew_str_is(name, rows[i].name))
            return &rows[i];
    return NULL;
}

int ew__tmpl_arg_int(struct render *r, const struct value *v, int64_t fallback, int64_t *out)
{
    *out = fallback;
    if (v->kind == V_UNSET || v->kind == V_NONE || ew__tmpl_integer(v, out))
        return 0;
    return v->kind == V_UNDEFINED ? ew__tmpl_undefined(r, v)
                                  : TYPE_FAIL(r, "'%s' where an integer belongs", ew__tmpl_kind(v));
}

int ew__tmpl_arg_str(struct render *r, const struct value *v, const char *fallback,
                     struct ew_str *out)
{
    if ((v->kind == V_UNSET || v->kind == V_NONE) && fallback) {
        *out = (struct ew_str){fallback, strlen(fallback)};
        return 0;
    }
    *out = value_text(v);
    if (v->kind == V_STR)
        return 0;
    return v->kind == V_UNDEFINED ? ew__tmpl_undefined(r, v)
                                  : TYPE_FAIL(r, "'%s' where a string belongs", ew__tmpl_kind(v));
}

bool ew__tmpl_arg_flag(const struct value *v, bool fallback)
{
    return v->kind == V_UNSET ? fallback : ew__tmpl_truth(v);
}

const struct value *ew__tmpl_kwarg(const struct call *call, const char *name)
{
    for (uint32_t i = 0; i < call->kwarg_count; i++)
        if (ew_str_is(value_text(&call->kwargs[i].name), name))
            return &call->kwargs[i].value;
    return NULL;
}

/* Position of a name among "a b c", -1 if it isn't there; NULL counts them. */
static int param_index(const char *params, const struct ew_str *name)
{
    int index = 0;
    while (*params) {
        size_t n = strcspn(params, " ");
        if (name && n == name->bytes && memcmp(params, name->data, n) == 0)
            return index;
        params += n + (params[n] == ' ');
        index++;
    }
    return name ? -1 : index;
}

int ew__tmpl_invoke(struct render *r, const struct builtin *builtin, struct call *call,
                    struct value *out)
{
    if (builtin->params[0] == '*')
        return builtin->run(r, call, out);
    uint32_t count = (uint32_t)param_index(builtin->params, NULL);
    if (call->count > count)
        return TYPE_FAIL(r, "%s: %u arguments, at most %u", builtin->name, call->count, count);
    for (uint32_t i = 0; i < call->count; i++)
        call->argv[i] = call->args[i];
    for (uint32_t i = 0; i < call->kwarg_count; i++) {
        struct ew_str name = value_text(&call->kwargs[i].name);
        int at = param_index(builtin->params, &name);
        int shown = name.bytes < 40 ? (int)name.bytes : 40;
        if (at < 0 || call->argv[at].kind != V_UNSET)
            return TYPE_FAIL(r, "%s: %s argument '%.*s'", builtin->name,
                             at < 0 ? "unknown" : "repeated", shown, name.data);
        call->argv[at] = call->kwargs[i].value;
    }
    for (uint32_t i = 0; i < builtin->required; i++)
        if (call->argv[i].kind == V_UNSET)
            return TYPE_FAIL(r, "%s: needs %u arguments", builtin->name, builtin->required);
    return builtin->run(r, call, out);
}

int ew__tmpl_call(struct render *r, const struct value *callee, struct call *call,
                  struct value *out)
{
    switch (callee->kind) {
    case V_FUNC:
        return ew__tmpl_invoke(r, callee->func, call, out);
    case V_METHOD:
        call->self = callee->method->self;
        return ew__tmpl_invoke(r, callee->method->builtin, call, out);
    case V_MACRO:
        return ew__tmpl_call_macro(r, callee->macro, call, out);
    case V_UNDEFINED:
        return ew__tmpl_undefined(r, callee);
    default:
        return TYPE_FAIL(r, "'%s' can't be called", ew__tmpl_kind(callee));
    }
}

/* Binds one parameter: by position, by name, its default, or undefined. */
static int bind_param(struct render *r, const struct node *param, uint32_t index,
                      const struct call *call, uint32_t *used)
{
    struct value value = value_undefined(param->value.s, param->value.bytes);
    int code = 0;
    if (index < call->count) {
        value = call->args[index];
    } else {
        bool given = false;
        for (uint32_t i = 0; i < call->kwarg_count && !given; i++) {
            struct ew_str name = value_text(&call->kwargs[i].name);
            given = name.bytes == param->value.bytes &&
                    memcmp(name.data, param->value.s, name.bytes) == 0;
            if (given)
                value = call->kwargs[i].value;
        }
        *used += given;
        if (!given && param->b)
            code = ew__tmpl_eval(r, param->b, &value);
    }
    return code ? code : ew__tmpl_scope_set(r, param->symbol, &value);
}

static int run_macro(struct render *r, const struct macro *macro, const struct call *call,
                     struct value *out)
{
    const struct node *node = macro->node;
    const struct node *param = node->type == N_CALL_BLOCK ? node->b : node->a;
    const struct value *caller = ew__tmpl_kwarg(call, "caller");
    struct value none = value_undefined("caller", 6);
    uint32_t index = 0, used = caller != NULL;
    int code = ew__tmpl_scope_set(r, SYMBOL_CALLER, caller ? caller : &none);
    for (; param && !code; param = param->next)
        code = bind_param(r, param, index++, call, &used);
    if (code)
        return code;
    if (call->count > index || used != call->kwarg_count)
        return TYPE_FAIL(r, "a macro was called with arguments that it doesn't take");
    return ew__tmpl_capture(r, node->c, out);
}

int ew__tmpl_call_macro(struct render *r, const struct macro *macro, const struct call *call,
                        struct value *out)
{
    struct scope *outer = r->scope, *scope;
    r->scope = macro->scope;
    int code = ew__tmpl_scope_push(r, &scope);
    if (!code)
        code = run_macro(r, macro, call, out);
    r->scope = outer;
    return code;
}
