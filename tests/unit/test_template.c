/* test_template.c - chat templates: what they print, what they are told, and that nothing in one
 * gets out of its bounds. tests/reference/template.sh compares far more of the language with
 * Python's jinja2; here is what must hold without it. */
#include "base/buf.h"
#include "base/clock.h"
#include "model/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef EW_SANITIZED
enum { TIMED = 0 };
#else
enum { TIMED = 1 };
#endif
enum { OUTPUT_BYTES_MAX = 1 << 20 };

static int render_bytes(const char *source, size_t bytes, const char *context, struct ew_buf *out,
                        struct ew_err *err)
{
    struct ew_template *tmpl = NULL;
    int code = ew_template_open(&tmpl, source, bytes, err);
    if (!code)
        code = ew_template_render(tmpl, context, strlen(context), out, err);
    ew_template_close(&tmpl);
    assert_null(tmpl);
    return code;
}

static int render(const char *source, const char *context, struct ew_buf *out, struct ew_err *err)
{
    return render_bytes(source, strlen(source), context, out, err);
}

struct row {
    const char *source, *context, *wanted;
};

static void expect_texts(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct ew_buf out;
        struct ew_err err = {0};
        ew_buf_init(&out, OUTPUT_BYTES_MAX);
        if (render(rows[i].source, rows[i].context, &out, &err))
            fail_msg("%s: %s", rows[i].source, err.text);
        assert_string_equal(ew_buf_cstr(&out), rows[i].wanted);
        ew_buf_fini(&out);
    }
}

/* wanted: how the error begins. */
static void expect_errors(const struct row *rows, size_t count, int code)
{
    for (size_t i = 0; i < count; i++) {
        struct ew_buf out;
        struct ew_err err = {0};
        ew_buf_init(&out, OUTPUT_BYTES_MAX);
        assert_int_equal(ew_buf_text(&out, "before", NULL), 0);
        int got = render(rows[i].source, rows[i].context, &out, &err);
        if (got != code || err.code != code ||
            strncmp(err.text, rows[i].wanted, strlen(rows[i].wanted)) != 0)
            fail_msg("%s: %d '%s', wanted %d '%s'", rows[i].source, got, err.text, code,
                     rows[i].wanted);
        assert_null(strchr(err.text, '\n'));
        assert_string_equal(ew_buf_cstr(&out), "before"); /* no half a text */
        ew_buf_fini(&out);
    }
}

static void test_values_print_as_in_python(void **state)
{
    static const struct row rows[] = {
        {"{{ a }} {{ b }} {{ c }} {{ d }}", "{\"a\":1,\"b\":1.5,\"c\":true,\"d\":null}",
         "1 1.5 True None"},
        {"{{ a }}|{{ missing }}|{{ a.missing }}", "{\"a\":[1,\"it's\",{\"k\":[]}]}",
         "[1, \"it's\", {'k': []}]||"},
        {"{{ a }} {{ 1e16 }} {{ 0.1 + 0.2 }} {{ 1 / 2 }} {{ 7 // -2 }} {{ -7 % 3 }}",
         "{\"a\":1e-7}", "1e-07 1e+16 0.30000000000000004 0.5 -4 2"},
        {"{{ a }} {{ a | length }} {{ a[1] }} {{ a[::-1] }}", "{\"a\":\"\\u00e9\\ud83d\\ude42x\"}",
         "é🙂x 3 🙂 x🙂é"},
        {"{{ a | tojson }} {{ a | tojson(indent=1) }}", "{\"a\":{\"k\":[\"<é>\\n\",2.0]}}",
         "{\"k\": [\"<é>\\n\", 2.0]} {\n \"k\": [\n  \"<é>\\n\",\n  2.0\n ]\n}"},
    };
    (void)state;
    expect_texts(rows, EW_COUNT(rows));
}

static void test_white_space_is_that_of_transformers(void **state)
{
    static const struct row rows[] = {
        {"a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "{}", "a\n  b\nc"},
        {"a \n {{- 1 }} \n {{ 2 -}} \n b", "{}", "a1 \n 2b"},
        {"  {# c #}\nx  {#- c -#}  y", "{}", "xy"},
        {"x  {%+ if true %}y{% endif +%}\nz", "{}", "x  y\nz"},
        {"{% raw %}{{ a }}{% endraw %}\r\nb\r", "{}", "{{ a }}b"},
    };
    (void)state;
    expect_texts(rows, EW_COUNT(rows));
}

static void test_statements_do_what_jinja_says(void **state)
{
    static const struct row rows[] = {
        {"{% for x in a %}{{ loop.index }}{{ x }}{{ ',' if not loop.last }}{% else %}-{% endfor %}",
         "{\"a\":[\"p\",\"q\"]}", "1p,2q"},
        {"{% for x in a %}x{% else %}-{% endfor %}", "{\"a\":[]}", "-"},
        {"{% for k, v in a.items() if v > 1 %}{{ k }}{{ v }}{% endfor %}",
         "{\"a\":{\"x\":1,\"y\":2}}", "y2"},
        {"{% set ns = namespace(n=0) %}{% for x in range(9) %}{% if x == 6 %}{% break %}{% endif %}"
         "{% if x % 2 %}{% continue %}{% endif %}{% set ns.n = ns.n + x %}{% endfor %}{{ ns.n }}",
         "{}", "6"},
        {"{% set a = 1 %}{% for x in [1] %}{% set a = 2 %}{{ a }}{% endfor %}{{ a }}", "{}", "21"},
        {"{% macro m(x, y='z') %}[{{ x }}{{ y }}{{ caller() if caller }}]{% endmacro %}"
         "{{ m(1) }}{{ m(y=2, x=3) }}{% call m('a') %}b{% endcall %}",
         "{}", "[1z][32][azb]"},
        {"{% set x %}<{{ 1 }}>{% endset %}{{ x }}{% filter upper %}a{% endfilter %}", "{}", "<1>A"},
        {"{% generation %}said{% endgeneration %}", "{}", "said"},
        {"{{ tools is none }}{{ documents is none }}{{ other is defined }}", "{}", "TrueTrueFalse"},
    };
    (void)state;
    expect_texts(rows, EW_COUNT(rows));
}

static void test_time_comes_from_the_context_alone(void **state)
{
    static const struct row rows[] = {
        {"{{ strftime_now is defined }}", "{}", "False"},
        {"{{ strftime_now('%d %b %Y') }}", "{\"strftime_now\":\"2024-02-29\"}", "29 Feb 2024"},
        {"{{ strftime_now('%A %H:%M:%S %j') }}", "{\"strftime_now\":\"2024-12-31T23:59:58\"}",
         "Tuesday 23:59:58 366"},
    };
    static const struct row errors[] = {
        {"{{ strftime_now('%d') }}", "{}", "chat template, line 1: 'strftime_now' is undefined"},
        {"{{ strftime_now('%d') }}", "{\"strftime_now\":\"2023-02-29\"}",
         "chat template, line 1: strftime_now of the context"},
    };
    (void)state;
    expect_texts(rows, EW_COUNT(rows));
    expect_errors(errors, EW_COUNT(errors), EW_EINVAL);
}

static void test_chatml_is_what_models_without_a_template_get(void **state)
{
    static const struct row rows[] = {
        {ew_template_chatml,
         "{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":"
         "[{\"type\":\"text\",\"text\":\"u\"}]}],\"add_generation_prompt\":true}",
         "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n"},
        {ew_template_chatml, "{\"messages\":[]}", ""},
    };
    (void)state;
    expect_texts(rows, EW_COUNT(rows));
}

static void test_errors_of_the_source_name_their_line(void **state)
{
    static const struct row malformed[] = {
        {"a\nb\n{{ 1 + }}", "{}", "chat template, line 3: the tag ends too early"},
        {"\n{% if x %}", "{}", "chat template, line 2: no 'endif'"},
        {"{% endif %}", "{}", "chat template, line 1: unknown tag 'endif'"},
        {"\n{{ 'a }}", "{}", "chat template, line 2: a string without its closing quote"},
        {"\n{{ a", "{}", "chat template, line 2: '{{' without its '}}'"},
        {"{# a", "{}", "chat template, line 1: '{#' without its '#}'"},
        {"{{ (1] }}", "{}", "chat template, line 1: a closing bracket"},
        {"{{ a b }}", "{}", "chat template, line 1: unexpected 'b'"},
        {"{% break %}", "{}", "chat template, line 1: 'break' outside of a loop"},
        {"{{ '\\xzz' }}", "{}", "chat template, line 1: a malformed escape"},
        {"{{ a ! }}", "{}", "chat template, line 1: a character"},
    };
    static const struct row unsupported[] = {
        {"{% include 'x' %}", "{}", "chat template, line 1: unknown tag 'include'"},
        {"\n\n{{ 1 | foo }}", "{}", "chat template, line 3: unknown filter 'foo'"},
        {"{{ 1 is foo }}", "{}", "chat template, line 1: unknown test 'foo'"},
        {"{{ f(*a) }}", "{}", "chat template, line 1: unpacking in a call"},
    };
    (void)state;
    expect_errors(malformed, 2, EW_EFORMAT);
    expect_errors(malformed + 3, EW_COUNT(malformed) - 3, EW_EFORMAT);
    expect_errors(malformed + 2, 1, EW_EUNSUPPORTED);
    expect_errors(unsupported, EW_COUNT(unsupported), EW_EUNSUPPORTED);
}

static void test_errors_of_a_render_name_their_line(void **state)
{
    static const struct row rows[] = {
        {"\n{{ raise_exception('roles\nalternate') }}", "{}",
         "chat template, line 2: roles alternate"},
        {"{{ a.b.c }}", "{\"a\":{}}", "chat template, line 1: 'b' is undefined"},
        {"x\n\n{{ 'a' + b }}", "{\"b\":null}",
         "chat template, line 3: '+' of 'str' and 'NoneType'"},
        {"{{ 1 // 0 }}", "{}", "chat template, line 1: division by zero"},
        {"{{ 9223372036854775807 + 1 }}", "{}", "chat template, line 1: an integer beyond 64 bits"},
        {"{{ (-9223372036854775807 - 1) // -1 }}", "{}",
         "chat template, line 1: an integer beyond"},
        {"{{ a.update({}) }}", "{\"a\":{}}", "chat template, line 1: a method that would change"},
        {"{{ a | tojson }}", "{}", "chat template, line 1: tojson"},
        {"{% for a, b in [[1]] %}{% endfor %}", "{}", "chat template, line 1: 1 values for 2"},
    };
    (void)state;
    expect_errors(rows, EW_COUNT(rows), EW_EINVAL);
}

static void test_a_broken_context_is_an_error(void **state)
{
    static const char *const contexts[] = {
        "",
        "[]",
        "1",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":01}",
        "{\"a\":1}x",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":tru}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":-}",
        "{\"a\":1.}",
        "{\"a\":1e}",
        "{\"a\":\"",
        "{\"a\":\"\\",
        "{\"a\":NaN}",
        "{1:2}",
    };
    (void)state;
    for (size_t i = 0; i < EW_COUNT(contexts); i++) {
        struct row row = {"x", contexts[i], "chat template's context"};
        expect_errors(&row, 1, EW_EINVAL);
    }
}

/* `before` times n, `middle`, `after` times n. */
static char *nested(const char *before, const char *middle, const char *after, size_t n)
{
    struct ew_buf buf;
    ew_buf_init(&buf, 64 << 20);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ew_buf_text(&buf, before, NULL), 0);
    assert_int_equal(ew_buf_text(&buf, middle, NULL), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ew_buf_text(&buf, after, NULL), 0);
    return buf.data;
}

static void test_depth_is_bounded(void **state)
{
    static const struct {
        const char *open, *before, *middle, *after, *close;
    } shapes[] = {
        {"", "{% if 1 %}", "", "{% endif %}", ""},
        {"", "{% for x in [1] %}", "", "{% endfor %}", ""},
        {"", "{% macro m() %}", "", "{% endmacro %}", ""},
        {"", "{% set x %}", "", "{% endset %}", ""},
        {"{{ ", "(", "1", ")", " }}"},
        {"{{ ", "[", "1", "]", " }}"},
        {"{{ ", "- ", "1", "", " }}"},
        {"{{ ", "not ", "1", "", " }}"},
        {"{{ ", "1 if 1 else ", "1", "", " }}"},
        {"{{ 1", "", "", " | abs", " }}"},
        {"{{ 1", "", "", " + 1", " }}"},
        {"{% for ", "(", "x", ")", " in [1] %}{% endfor %}"},
    };
    (void)state;
    for (size_t i = 0; i < EW_COUNT(shapes); i++) {
        char *inside = nested(shapes[i].before, shapes[i].middle, shapes[i].after, 5000);
        struct ew_buf source, out;
        struct ew_err err = {0};
        ew_buf_init(&source, 1 << 20);
        ew_buf_init(&out, OUTPUT_BYTES_MAX);
        assert_int_equal(
            ew_buf_printf(&source, NULL, "%s%s%s", shapes[i].open, inside, shapes[i].close), 0);
        int code = render(source.data, "{}", &out, &err);
        if (code != EW_ELIMIT)
            fail_msg("%s: %d %s", shapes[i].before, code, err.text);
        ew_buf_fini(&out);
        ew_buf_fini(&source);
        free(inside);
    }
}

static void test_endless_templates_end(void **state)
{
    static const struct row rows[] = {
        {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{}",
         "chat template, line 1: nested deeper than"},
        {"{% set r = range(99999) %}{% for a in r %}{% for b in r %}{% endfor %}{% endfor %}", "{}",
         "chat template, line 1: more than"},
        {"{% set ns = namespace(s='aaaaaaaa') %}{% for a in range(99) %}"
         "{% set ns.s = ns.s + ns.s %}{% endfor %}",
         "{}", "chat template, line 1: values need more than"},
        {"{% set s = 'a' * 999999 %}{% for i in range(99999) %}{% set x = s.startswith(s) %}"
         "{% endfor %}",
         "{}", "chat template, line 1: more than"},
        {"{% set s = 'a' * 999999 %}{{ s.strip('b' * 999999 ~ 'a') }}", "{}",
         "chat template, line 1: more than"},
        {"{% set s = 'a' * 999999 %}{% set d = {s: 1} %}{% for i in range(99999) %}"
         "{% set x = d[s] %}{% endfor %}",
         "{}", "chat template, line 1: more than"},
        {"{{ 'a' * 999999999999 }}", "{}", "chat template, line 1: "},
        {"{{ [1] * 999999999999 }}", "{}", "chat template, line 1: "},
        {"{{ range(999999999) }}", "{}", "chat template, line 1: a range of more than"},
        {"{% for a in range(99999) %}0123456789012345678901234567890123456789{% endfor %}", "{}",
         "chat template, line 1: the text grows too long"},
        {"{% set l = [] %}{% set _ = l.append(l) %}{{ l }}", "{}",
         "chat template, line 1: values nested deeper than"},
        {"{% set l = [] %}{% set _ = l.append(l) %}{{ l | tojson }}", "{}",
         "chat template, line 1: values nested deeper than"},
        {"{% set l = [] %}{% set m = [l] %}{% set _ = l.append(m) %}{{ l == m }}", "{}",
         "chat template, line 1: values nested deeper than"},
    };
    (void)state;
    expect_errors(rows, EW_COUNT(rows), EW_ELIMIT);
}

static void test_operator_chains_do_not_nest_the_parser(void **state)
{
    (void)state;
    char *chain = nested("1 + ", "1", "", 400); /* as wide as a render may be deep */
    struct ew_buf source, out;
    struct ew_err err = {0};
    ew_buf_init(&source, 1 << 20);
    ew_buf_init(&out, OUTPUT_BYTES_MAX);
    assert_int_equal(ew_buf_printf(&source, NULL, "{{ %s }}", chain), 0);
    assert_int_equal(render(source.data, "{}", &out, &err), 0);
    assert_string_equal(out.data, "401");
    free(chain);
    ew_buf_fini(&source);
    ew_buf_fini(&out);
}

static void test_bytes_that_are_not_text_pass_through(void **state)
{
    static const char source[] = "a\0b{{ x }}\xff{{ '\xc3' | upper }}\xe4\xb8";
    static const char wanted[] = "a\0b\xc3\xff\xc3\xe4\xb8";
    struct ew_buf out;
    struct ew_err err = {0};
    (void)state;
    ew_buf_init(&out, OUTPUT_BYTES_MAX);
    assert_int_equal(render_bytes(source, sizeof source - 1, "{\"x\":\"\xc3\"}", &out, &err), 0);
    assert_int_equal(out.bytes, sizeof wanted - 1);
    assert_memory_equal(out.data, wanted, sizeof wanted - 1);
    ew_buf_fini(&out);
}

static void test_one_template_renders_many_times(void **state)
{
    struct ew_template *tmpl = NULL;
    struct ew_buf out;
    const char *source = "{% set n = n + 1 %}{{ n }}";
    (void)state;
    ew_buf_init(&out, OUTPUT_BYTES_MAX);
    assert_int_equal(ew_template_open(&tmpl, source, strlen(source), NULL), 0);
    for (int i = 0; i < 3; i++) /* what one render sets, the next doesn't see */
        assert_int_equal(ew_template_render(tmpl, "{\"n\":1}", 7, &out, NULL), 0);
    assert_string_equal(out.data, "222");
    ew_template_close(&tmpl);
    ew_template_close(&tmpl);
    ew_buf_fini(&out);
}

/* A chat of 20 messages is to be parsed and rendered in less than a millisecond each; the test
 * allows ten times that, for machines that are slow or busy. */
static void test_a_chat_of_20_messages_is_quick(void **state)
{
    struct ew_buf context, out;
    uint64_t best_ns = UINT64_MAX;
    (void)state;
    if (!TIMED) {
        print_message("not timed: a sanitizer slows everything down\n");
        skip();
    }
    ew_buf_init(&context, 1 << 20);
    ew_buf_init(&out, OUTPUT_BYTES_MAX);
    assert_int_equal(ew_buf_text(&context, "{\"messages\":[", NULL), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(ew_buf_printf(&context, NULL, "%s{\"role\":\"%s\",\"content\":\"%0200d\"}",
                                       i ? "," : "", i % 2 ? "assistant" : "user", i),
                         0);
    assert_int_equal(ew_buf_text(&context, "]}", NULL), 0);
    for (int i = 0; i < 50; i++) {
        struct ew_err err = {0};
        uint64_t start = ew_clock_now_ns(&ew_clock_real);
        ew_buf_clear(&out);
        assert_int_equal(render(ew_template_chatml, context.data, &out, &err), 0);
        uint64_t took = ew_clock_now_ns(&ew_clock_real) - start;
        best_ns = took < best_ns ? took : best_ns;
    }
    assert_true(best_ns < 10 * EW_NS_PER_MS);
    ew_buf_fini(&context);
    ew_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_print_as_in_python),
        cmocka_unit_test(test_white_space_is_that_of_transformers),
        cmocka_unit_test(test_statements_do_what_jinja_says),
        cmocka_unit_test(test_time_comes_from_the_context_alone),
        cmocka_unit_test(test_chatml_is_what_models_without_a_template_get),
        cmocka_unit_test(test_errors_of_the_source_name_their_line),
        cmocka_unit_test(test_errors_of_a_render_name_their_line),
        cmocka_unit_test(test_a_broken_context_is_an_error),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_endless_templates_end),
        cmocka_unit_test(test_operator_chains_do_not_nest_the_parser),
        cmocka_unit_test(test_bytes_that_are_not_text_pass_through),
        cmocka_unit_test(test_one_template_renders_many_times),
        cmocka_unit_test(test_a_chat_of_20_messages_is_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
