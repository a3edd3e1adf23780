/* test_args.c - every type, form and mistake of a command line, and the help text. */
#include "base/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const kinds[] = {"fast", "exact", NULL};

/* One of each type; reset by parse(). */
static struct {
    bool json, verbose;
    int threads, kind;
    uint64_t seed;
    float temp;
    double target;
    const char *system, *isa;
    struct ew_arg_list stop;
} got;

static const struct ew_opt options[] = {
    {"json", 'j', NULL, "print JSON", .flag = &got.json},
    {"verbose", 'v', NULL, "say more", .flag = &got.verbose},
    {"threads", 't', "N", "compute with N threads", .integer = &got.threads, .min = 1, .max = 256},
    {"seed", 0, "N", "same seed, same text", .u64 = &got.seed},
    {"temp", 0, "X", "temperature\n0: always the likeliest", .f32 = &got.temp, .max = 10},
    {"a-name-that-is-long", 0, "SECONDS", "target", .f64 = &got.target},
    {"system", 's', "TEXT", "system prompt", .text = &got.system, .elsewhere = "role thread"},
    {"isa", 0, "NAME", "instruction set", .text = &got.isa, .choices = kinds},
    {"kind", 0, "NAME", "which", .choice = &got.kind, .choices = kinds},
    {"stop", 0, "TEXT", "stop there", .list = &got.stop},
    {0},
};

static struct ew_args args = {.command = "try",
                              .words_usage = "MODEL [PROMPT]",
                              .about = "Tries things.",
                              .options = options,
                              .examples = "  edgewise try it\n",
                              .words_min = 1,
                              .words_max = 2};
static struct ew_err err;
static char *argv_last[32];

/* Splits `line` at spaces into argv; '_' stands for a space inside a word. */
static int parse(const char *line)
{
    static char copy[256];
    int argc = 0;
    memset(&got, 0, sizeof got);
    memset(&err, 0, sizeof err);
    snprintf(copy, sizeof copy, "try %s", line);
    for (char *at = copy; *at;) {
        argv_last[argc++] = at;
        at += strcspn(at, " ");
        if (*at)
            *at++ = '\0';
    }
    for (int i = 0; i < argc; i++)
        for (char *c = argv_last[i]; (c = strchr(c, '_'));)
            *c = ' ';
    argv_last[argc] = NULL;
    return ew_args_parse(&args, argc, argv_last, &err);
}

static void test_each_type_is_read_in_both_long_forms(void **state)
{
    (void)state;
    assert_int_equal(parse("--threads 4 --seed=18446744073709551615 --temp 0.5 "
                           "--a-name-that-is-long=1e-3 --json --system a_b --kind exact "
                           "--isa=fast model"),
                     0);
    assert_int_equal(got.threads, 4);
    assert_true(got.seed == UINT64_MAX);
    assert_true(got.temp == 0.5f && got.target == 1e-3);
    assert_true(got.json && !got.verbose);
    assert_string_equal(got.system, "a b");
    assert_string_equal(got.isa, "fast");
    assert_int_equal(got.kind, 1);
    assert_int_equal(args.word_count, 1);
    assert_string_equal(args.words[0], "model");
    assert_null(args.words[1]);
}

static void test_letters_cluster_and_take_values(void **state)
{
    (void)state;
    assert_int_equal(parse("-jv -t8 m"), 0);
    assert_true(got.json && got.verbose);
    assert_int_equal(got.threads, 8);
    assert_int_equal(parse("-jt 2 m"), 0);
    assert_int_equal(got.threads, 2);
    assert_int_equal(parse("-jx m"), EW_EINVAL);
    assert_string_equal(err.text, "there is no option -x");
}

static void test_words_keep_their_order_around_options(void **state)
{
    (void)state;
    assert_int_equal(parse("model -j prompt -t 3"), 0);
    assert_string_equal(args.words[0], "model");
    assert_string_equal(args.words[1], "prompt");
    assert_int_equal(got.threads, 3);
}

static void test_after_two_dashes_everything_is_a_word(void **state)
{
    (void)state;
    assert_int_equal(parse("-j -- --json -t"), 0);
    assert_int_equal(args.word_count, 2);
    assert_string_equal(args.words[0], "--json");
    assert_string_equal(args.words[1], "-t");
}

static void test_a_dash_and_negative_numbers_are_words(void **state)
{
    (void)state;
    assert_int_equal(parse("- -5"), 0);
    assert_string_equal(args.words[0], "-");
    assert_string_equal(args.words[1], "-5");
    assert_int_equal(parse("-.5"), 0);
}

static void test_a_list_collects_and_is_limited(void **state)
{
    (void)state;
    assert_int_equal(parse("m --stop a --stop=b --stop="), 0);
    assert_int_equal(got.stop.count, 3);
    assert_string_equal(got.stop.items[1], "b");
    assert_string_equal(got.stop.items[2], "");
    char *many[2 * EW_ARGS_LIST_MAX + 4] = {"try"};
    int argc = 1;
    for (int i = 0; i <= EW_ARGS_LIST_MAX; i++) {
        many[argc++] = "--stop";
        many[argc++] = "x";
    }
    got.stop.count = 0;
    assert_int_equal(ew_args_parse(&args, argc, many, &err), EW_EINVAL);
    assert_string_equal(err.text, "--stop was given more than 32 times");
}

static void test_each_mistake_has_its_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"m --treads 4", "there is no option --treads; did you mean --threads?"},
        {"m --role x", "there is no option --role; did you mean --system?"},
        {"m --thread=x", "there is no option --thread; did you mean --system?"},
        {"m --rol x", "there is no option --rol"},
        {"m --zzzzzz", "there is no option --zzzzzz"},
        {"m --hlep", "there is no option --hlep; did you mean --help?"},
        {"m --threads", "--threads needs a value: --threads N"},
        {"m -t", "--threads needs a value: --threads N"},
        {"m --threads=0", "--threads takes a whole number from 1 to 256, not '0'"},
        {"m --threads 257", "--threads takes a whole number from 1 to 256, not '257'"},
        {"m --threads 4x", "--threads takes a whole number from 1 to 256, not '4x'"},
        {"m --threads=", "--threads takes a whole number from 1 to 256, not ''"},
        {"m --threads 99999999999999999999",
         "--threads takes a whole number from 1 to 256, not '99999999999999999999'"},
        {"m --seed -1", "--seed takes a whole number, not '-1'"},
        {"m --seed 18446744073709551616",
         "--seed takes a whole number, not '18446744073709551616'"},
        {"m --seed 1.5", "--seed takes a whole number, not '1.5'"},
        {"m --temp hot", "--temp takes a number from 0 to 10, not 'hot'"},
        {"m --temp -0.1", "--temp takes a number from 0 to 10, not '-0.1'"},
        {"m --temp nan", "--temp takes a number from 0 to 10, not 'nan'"},
        {"m --a-name-that-is-long inf", "--a-name-that-is-long takes a number, not 'inf'"},
        {"m --json=yes", "--json takes no value"},
        {"m --kind slow", "--kind is one of fast, exact, not 'slow'"},
        {"m --isa slow", "--isa is one of fast, exact, not 'slow'"},
        {"", "something is missing: edgewise try MODEL [PROMPT]"},
        {"a b c", "'c' is one word too many: edgewise try MODEL [PROMPT]"},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        assert_int_equal(parse(cases[i].line), EW_EINVAL);
        assert_string_equal(err.text, cases[i].says);
    }
}

static void test_help_wins_over_what_comes_after_it(void **state)
{
    (void)state;
    assert_int_equal(parse("--help --nonsense"), 1);
    assert_int_equal(parse("-jh"), 1);
    assert_int_equal(parse("--nonsense --help"), EW_EINVAL);
}

static void test_help_is_the_table_in_columns(void **state)
{
    (void)state;
    char text[2048];
    size_t bytes = ew_args_help(&args, text, sizeof text);
    assert_int_equal(bytes, strlen(text));
    assert_string_equal(text, "usage: edgewise try MODEL [PROMPT] [OPTIONS]\n"
                              "\n"
                              "Tries things.\n"
                              "\n"
                              "options:\n"
                              "  -j, --json              print JSON\n"
                              "  -v, --verbose           say more\n"
                              "  -t, --threads N         compute with N threads\n"
                              "      --seed N            same seed, same text\n"
                              "      --temp X            temperature\n"
                              "                          0: always the likeliest\n"
                              "      --a-name-that-is-long SECONDS\n"
                              "                          target\n"
                              "  -s, --system TEXT       system prompt\n"
                              "      --isa NAME          instruction set\n"
                              "      --kind NAME         which\n"
                              "      --stop TEXT         stop there\n"
                              "  -h, --help              this text\n"
                              "\n"
                              "examples:\n"
                              "  edgewise try it\n");
}

static void test_help_is_cut_at_the_end_of_the_buffer(void **state)
{
    (void)state;
    char text[40];
    text[39] = '!';
    assert_int_equal(ew_args_help(&args, text, 39), 38);
    assert_int_equal(text[38], '\0');
    assert_int_equal(text[39], '!');
}

static void test_nearest_guesses_only_when_it_is_near(void **state)
{
    (void)state;
    static const char *const names[] = {"pull", "run", "bench", "tokenize"};
    assert_string_equal(ew_args_nearest("rnu", names, 4), "run");
    assert_string_equal(ew_args_nearest("pul", names, 4), "pull");
    assert_string_equal(ew_args_nearest("token", names, 4), "tokenize");
    assert_string_equal(ew_args_nearest("tokenise", names, 4), "tokenize");
    assert_null(ew_args_nearest("serve", names, 4));
    assert_null(ew_args_nearest("", names, 4));
    assert_null(ew_args_nearest("x", names, 0));
}

static void test_read_turns_outcomes_into_exit_status(void **state)
{
    (void)state;
    int status = 77;
    char *good[] = {"try", "m", NULL}, *bad[] = {"try", "--bad", NULL};
    assert_false(ew_args_read(&args, 2, good, &status));
    assert_true(ew_args_read(&args, 2, bad, &status));
    assert_int_equal(status, 2);
    assert_int_equal(ew_args_wrong(&args, "no %s", "way"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_type_is_read_in_both_long_forms),
        cmocka_unit_test(test_letters_cluster_and_take_values),
        cmocka_unit_test(test_words_keep_their_order_around_options),
        cmocka_unit_test(test_after_two_dashes_everything_is_a_word),
        cmocka_unit_test(test_a_dash_and_negative_numbers_are_words),
        cmocka_unit_test(test_a_list_collects_and_is_limited),
        cmocka_unit_test(test_each_mistake_has_its_sentence),
        cmocka_unit_test(test_help_wins_over_what_comes_after_it),
        cmocka_unit_test(test_help_is_the_table_in_columns),
        cmocka_unit_test(test_help_is_cut_at_the_end_of_the_buffer),
        cmocka_unit_test(test_nearest_guesses_only_when_it_is_near),
        cmocka_unit_test(test_read_turns_outcomes_into_exit_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
