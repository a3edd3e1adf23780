/* args.c - parses a command line by its table of options and writes --help from the same table.
 *
 * Not getopt_long: that has no types, no ranges, no help, no suggestions, and keeps its state in
 * globals. Limits: names of 63 bytes for suggestions; help of 16 KiB. */
#include "base/args.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_MAX_BYTES = 63,
    HELP_MAX = 16384,
    HELP_COLUMN = 26,  /* where explanations start */
    OPTIONS_MAX = 128, /* of one command; only suggestions stop there */
};

/* ---- suggestions ---- */

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

/* Edits (insert, delete, replace, swap of neighbours) that make b of a: "optimal string
 * alignment", three rows of the dynamic programme. */
static int edits(const char *a, const char *b)
{
    int rows[3][NAME_MAX_BYTES + 1];
    int na = (int)strlen(a), nb = (int)strlen(b);
    int *older = rows[0], *old = rows[1], *now = rows[2];
    for (int j = 0; j <= nb; j++)
        old[j] = j;
    for (int i = 1; i <= na; i++) {
        now[0] = i;
        for (int j = 1; j <= nb; j++) {
            now[j] = min_int(min_int(old[j], now[j - 1]) + 1, old[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = min_int(now[j], older[j - 2] + 1);
        }
        int *spare = older;
        older = old, old = now, now = spare;
    }
    return old[nb];
}

const char *ew_args_nearest(const char *word, const char *const *names, size_t count)
{
    size_t bytes = strlen(word);
    if (bytes == 0 || bytes > NAME_MAX_BYTES)
        return NULL;
    const char *best = NULL;
    int best_edits = 0;
    for (size_t i = 0; i < count; i++) {
        size_t name_bytes = strlen(names[i]);
        if (name_bytes > NAME_MAX_BYTES)
            continue;
        int n = edits(word, names[i]);
        /* A beginning is a good guess whatever its length; else one letter in three may be off. */
        if (bytes >= 3 && strncmp(word, names[i], bytes) == 0)
            n = 1;
        int allowed = 1 + (int)(name_bytes < bytes ? name_bytes : bytes) / 3;
        if (n <= allowed && (!best || n < best_edits)) {
            best = names[i];
            best_edits = n;
        }
    }
    return best;
}

/* ---- values ---- */

static int bad_value(const struct ew_opt *opt, const char *value, struct ew_err *err)
{
    const char *kind = opt->integer || opt->u64 ? "a whole number" : "a number";
    if (opt->min != 0 || opt->max != 0)
        return ew_fail(err, EW_EINVAL, "--%s takes %s from %.15g to %.15g, not '%.60s'", opt->name,
                       kind, opt->min, opt->max, value);
    return ew_fail(err, EW_EINVAL, "--%s takes %s, not '%.60s'", opt->name, kind, value);
}

static bool in_range(const struct ew_opt *opt, double x)
{
    return (opt->min == 0 && opt->max == 0) || (x >= opt->min && x <= opt->max);
}

static int take_whole(const struct ew_opt *opt, const char *value, struct ew_err *err)
{
    char *end;
    errno = 0;
    if (opt->u64) {
        unsigned long long n = strtoull(value, &end, 10);
        if (value[0] < '0' || value[0] > '9' || *end || errno || !in_range(opt, (double)n))
            return bad_value(opt, value, err);
        *opt->u64 = n;
        return 0;
    }
    long n = strtol(value, &end, 10);
    if (end == value || *end || errno || n < INT32_MIN || n > INT32_MAX ||
        !in_range(opt, (double)n))
        return bad_value(opt, value, err);
    *opt->integer = (int)n;
    return 0;
}

static int take_real(const struct ew_opt *opt, const char *value, struct ew_err *err)
{
    char *end;
    errno = 0;
    double x = strtod(value, &end);
    if (end == value || *end || !isfinite(x) || !in_range(opt, x))
        return bad_value(opt, value, err);
    if (opt->f32)
        *opt->f32 = (float)x;
    else
        *opt->f64 = x;
    return 0;
}

static int take_choice(const struct ew_opt *opt, const char *value, struct ew_err *err)
{
    char list[160] = "";
    size_t at = 0;
    for (int i = 0; opt->choices[i]; i++) {
        if (strcmp(value, opt->choices[i]) == 0) {
            if (opt->choice)
                *opt->choice = i;
            else
                *opt->text = value;
            return 0;
        }
        int n = snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", opt->choices[i]);
        at = n < 0 || at + (size_t)n >= sizeof list ? sizeof list - 1 : at + (size_t)n;
    }
    return ew_fail(err, EW_EINVAL, "--%s is one of %s, not '%.60s'", opt->name, list, value);
}

static int take_value(const struct ew_opt *opt, const char *value, struct ew_err *err)
{
    if (opt->integer || opt->u64)
        return take_whole(opt, value, err);
    if (opt->f32 || opt->f64)
        return take_real(opt, value, err);
    if (opt->choices)
        return take_choice(opt, value, err);
    if (opt->list) {
        if (opt->list->count == EW_ARGS_LIST_MAX)
            return ew_fail(err, EW_EINVAL, "--%s was given more than %d times", opt->name,
                           EW_ARGS_LIST_MAX);
        opt->list->items[opt->list->count++] = value;
        return 0;
    }
    EW_ASSERT(opt->text);
    *opt->text = value;
    return 0;
}

/* ---- the command line ---- */

struct cursor {
    struct ew_args *args;
    char **argv;
    int argc, at;
    bool help;
};

static const struct ew_opt *by_name(const struct ew_args *args, const char *name, size_t bytes)
{
    for (const struct ew_opt *opt = args->options; opt && opt->name; opt++)
        if (strlen(opt->name) == bytes && memcmp(opt->name, name, bytes) == 0)
            return opt;
    return NULL;
}

static const struct ew_opt *by_letter(const struct ew_args *args, char letter)
{
    for (const struct ew_opt *opt = args->options; opt && opt->name; opt++)
        if (opt->letter == letter)
            return opt;
    return NULL;
}

static bool lists_word(const char *words, const char *word)
{
    size_t bytes = strlen(word);
    for (size_t n; words && *words; words += n + (words[n] == ' ')) {
        n = strcspn(words, " ");
        if (n == bytes && memcmp(words, word, n) == 0)
            return true;
    }
    return false;
}

static int unknown_option(const struct ew_args *args, const char *name, size_t bytes,
                          struct ew_err *err)
{
    const char *names[OPTIONS_MAX] = {"help"};
    size_t count = 1;
    for (const struct ew_opt *opt = args->options; opt && opt->name; opt++)
        if (count < OPTIONS_MAX)
            names[count++] = opt->name;
    char word[NAME_MAX_BYTES + 1];
    snprintf(word, sizeof word, "%.*s", (int)bytes, name);
    const char *near = ew_args_nearest(word, names, count);
    for (const struct ew_opt *opt = args->options; opt && opt->name; opt++)
        if (lists_word(opt->elsewhere, word))
            near = opt->name;
    if (near)
        return ew_fail(err, EW_EINVAL, "there is no option --%s; did you mean --%s?", word, near);
    return ew_fail(err, EW_EINVAL, "there is no option --%s", word);
}

static int next_value(struct cursor *c, const struct ew_opt *opt, struct ew_err *err)
{
    if (c->at == c->argc)
        return ew_fail(err, EW_EINVAL, "--%s needs a value: --%s %s", opt->name, opt->name,
                       opt->value ? opt->value : "VALUE");
    return take_value(opt, c->argv[c->at++], err);
}

static int parse_long(struct cursor *c, const char *name, struct ew_err *err)
{
    size_t bytes = strcspn(name, "=");
    if (bytes == 4 && memcmp(name, "help", 4) == 0 && !name[4]) {
        c->help = true;
        return 0;
    }
    const struct ew_opt *opt = by_name(c->args, name, bytes);
    if (!opt)
        return unknown_option(c->args, name, bytes, err);
    if (opt->flag) {
        if (name[bytes])
            return ew_fail(err, EW_EINVAL, "--%s takes no value", opt->name);
        *opt->flag = true;
        return 0;
    }
    return name[bytes] ? take_value(opt, name + bytes + 1, err) : next_value(c, opt, err);
}

static int parse_short(struct cursor *c, const char *letters, struct ew_err *err)
{
    for (; *letters; letters++) {
        const struct ew_opt *opt = by_letter(c->args, *letters);
        if (!opt && *letters == 'h') {
            c->help = true;
            continue;
        }
        if (!opt)
            return ew_fail(err, EW_EINVAL, "there is no option -%c", *letters);
        if (!opt->flag)
            return letters[1] ? take_value(opt, letters + 1, err) : next_value(c, opt, err);
        *opt->flag = true;
    }
    return 0;
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] && !(word[1] >= '0' && word[1] <= '9') && word[1] != '.';
}

static int count_words(const struct ew_args *args, struct ew_err *err)
{
    const char *usage = args->words_usage ? args->words_usage : "";
    if (args->word_count < args->words_min)
        return ew_fail(err, EW_EINVAL, "something is missing: edgewise %s %s", args->command,
                       usage);
    if (args->words_max >= 0 && args->word_count > args->words_max)
        return ew_fail(err, EW_EINVAL, "'%.60s' is one word too many: edgewise %s %s",
                       args->words[args->words_max], args->command, usage);
    return 0;
}

int ew_args_parse(struct ew_args *args, int argc, char **argv, struct ew_err *err)
{
    struct cursor c = {.args = args, .argv = argv, .argc = argc, .at = 1};
    bool options_over = false;
    args->words = argv + (argc > 0);
    args->word_count = 0;
    while (c.at < argc && !c.help) {
        char *word = argv[c.at++];
        int failed = 0;
        if (options_over || !is_option(word))
            args->words[args->word_count++] = word; /* never ahead of c.at: nothing is lost */
        else if (strcmp(word, "--") == 0)
            options_over = true;
        else if (word[1] == '-')
            failed = parse_long(&c, word + 2, err);
        else
            failed = parse_short(&c, word + 1, err);
        if (failed)
            return failed;
    }
    if (c.help)
        return 1;
    if (argc > 0)
        args->words[args->word_count] = NULL; /* argv[argc] is NULL in C, so there is room */
    return count_words(args, err);
}

/* ---- help ---- */

struct page {
    char *text;
    size_t max, used;
};

__attribute__((format(printf, 2, 3))) static void put(struct page *page, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = vsnprintf(page->text + page->used, page->max - page->used, format, list);
    va_end(list);
    if (n > 0)
        page->used += (size_t)n < page->max - page->used ? (size_t)n : page->max - page->used - 1;
}

static void put_option(struct page *page, char letter, const char *name, const char *value,
                       const char *help)
{
    size_t start = page->used;
    if (letter)
        put(page, "  -%c, --%s", letter, name);
    else
        put(page, "      --%s", name);
    if (value)
        put(page, " %s", value);
    if (page->used - start > HELP_COLUMN - 2)
        put(page, "\n%*s", HELP_COLUMN, "");
    else
        put(page, "%*s", HELP_COLUMN - (int)(page->used - start), "");
    for (;;) {
        size_t bytes = strcspn(help, "\n");
        put(page, "%.*s\n", (int)bytes, help);
        if (!help[bytes])
            return;
        help += bytes + 1;
        put(page, "%*s", HELP_COLUMN, "");
    }
}

size_t ew_args_help(const struct ew_args *args, char *text, size_t max)
{
    struct page page = {text, max, 0};
    const char *words = args->words_usage;
    put(&page, "usage: edgewise %s%s%s [OPTIONS]\n", args->command, words ? " " : "",
        words ? words : "");
    if (args->about)
        put(&page, "\n%s\n", args->about);
    put(&page, "\noptions:\n");
    for (const struct ew_opt *opt = args->options; opt && opt->name; opt++)
        put_option(&page, opt->letter, opt->name, opt->value, opt->help ? opt->help : "");
    put_option(&page, by_letter(args, 'h') ? 0 : 'h', "help", NULL, "this text");
    if (args->examples)
        put(&page, "\nexamples:\n%s", args->examples);
    return page.used;
}

static void say_where(const struct ew_args *args, const char *sentence)
{
    fprintf(stderr, "edgewise %s: %s\ntry 'edgewise %s --help'\n", args->command, sentence,
            args->command);
}

bool ew_args_read(struct ew_args *args, int argc, char **argv, int *status)
{
    struct ew_err err = {0};
    int got = ew_args_parse(args, argc, argv, &err);
    *status = got < 0 ? 2 : 0;
    if (got < 0)
        say_where(args, err.text);
    if (got > 0) {
        static char text[HELP_MAX];
        fwrite(text, 1, ew_args_help(args, text, sizeof text), stdout);
    }
    return got != 0;
}

int ew_args_wrong(const struct ew_args *args, const char *format, ...)
{
    char sentence[512];
    va_list list;
    va_start(list, format);
    vsnprintf(sentence, sizeof sentence, format, list);
    va_end(list);
    say_where(args, sentence);
    return 2;
}
