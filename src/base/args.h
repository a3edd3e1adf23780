/* args.h - a command's options, declared once: parsing, checking and --help come from one table.
 *
 *     int threads = 0;
 *     bool json = false;
 *     const struct ew_opt options[] = {
 *         {"threads", 't', "N", "use N threads", .integer = &threads, .min = 1, .max = 256},
 *         {"json", 0, NULL, "print the result as JSON", .flag = &json},
 *         {0},
 *     };
 *     struct ew_args args = {.command = "bench", .words_usage = "MODEL", .words_min = 1,
 *                            .words_max = 1, .about = "Measures this device.", .options = options,
 *                            .examples = "  edgewise bench smollm2-135m --threads 2\n"};
 *     int status;
 *     if (ew_args_read(&args, argc, argv, &status))
 *         return status;
 *     use(args.words[0], threads, json);
 *
 * Understood: --name value, --name=value, -t value, -tvalue, -ab for two flags, -- before words
 * that start with a dash. An option's type is the pointer that is set; what isn't given keeps the
 * value it had. Everything borrows from argv and from the table. */
#ifndef EW_ARGS_H
#define EW_ARGS_H

#include "base/err.h"

/* Enough for stop strings and logit biases typed by hand. */
#define EW_ARGS_LIST_MAX 32

struct ew_arg_list {
    const char *items[EW_ARGS_LIST_MAX];
    size_t count;
};

struct ew_opt {
    const char *name;  /* without the dashes */
    char letter;       /* 0: has none */
    const char *value; /* how --help calls the value: "N"; NULL for a flag */
    const char *help;  /* '\n' starts another line; name the default here */

    bool *flag;
    int *integer;
    uint64_t *u64;
    float *f32;
    double *f64;
    const char **text;
    struct ew_arg_list *list; /* may be given many times */
    int *choice;              /* index into choices */

    const char *const *choices; /* NULL-terminated; with `text` they limit what it may be */
    const char *elsewhere;      /* what other programs call it, blanks between: "host bind" */
    double min, max;            /* of numbers, both included; both 0: no limit */
};

struct ew_args {
    const char *command;          /* "run": usage says "edgewise run" */
    const char *words_usage;      /* what follows it: "MODEL [PROMPT]" */
    const char *about;            /* a sentence or a paragraph, lines broken by the author */
    const struct ew_opt *options; /* ends with {0}; NULL: none but --help */
    const char *examples;         /* whole lines, indented by two */
    int words_min, words_max;     /* words that aren't options; words_max < 0: any number */

    char **words; /* out: the words, in order (argv is reordered); after them NULL */
    int word_count;
};

/* 0, 1 when --help was asked for (the rest isn't checked then), or EW_EINVAL. */
int ew_args_parse(struct ew_args *args, int argc, char **argv, struct ew_err *err);

/* The help text as it is printed, into a caller's buffer of `max` bytes; gives its length. */
size_t ew_args_help(const struct ew_args *args, char *text, size_t max);

/* What commands call: parse, and print help (stdout) or the error (stderr). True: the command is
 * over and *status is its exit status. */
bool ew_args_read(struct ew_args *args, int argc, char **argv, int *status);

/* A wrong use found later ("--top-p needs --temp above 0"): prints the sentence and where to look,
 * and returns exit status 2. */
int ew_args_wrong(const struct ew_args *args, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The name most like `word`, or NULL when none is near enough to be what was meant. */
const char *ew_args_nearest(const char *word, const char *const *names, size_t count);

#endif
