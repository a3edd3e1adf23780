/* logits_driver.c - the logits that the engine gives, for a reference in another language to judge.
 *
 *     logits_driver MODEL [--threads N] [--isa NAME] [--chunk N] [--ctx N] [--from I] <IDS >FLOATS
 *
 * Each line of stdin is one sequence of token ids; out come, for each, the logits that follow its
 * tokens from index I (0) on, vocab floats a token, in the machine's byte order. Sees the engine
 * through edgewise.h alone, as any program does.
 *
 * Limits: TOKENS_MAX ids a line. Exit status 1 and a sentence on stderr when something fails. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise.h"

enum { TOKENS_MAX = 1 << 16, LINE_BYTES = TOKENS_MAX * 8 };

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "logits_driver: %s\n", why);
    exit(1);
}

static long number(const char *text)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < 0 || value > INT32_MAX)
        give_up("a number was expected");
    return value;
}

struct options {
    struct ew_model_params model;
    struct ew_session_params session;
    size_t from;
};

static void parse(struct options *out, int argc, char **argv)
{
    for (int i = 2; i < argc; i += 2) {
        if (i + 1 == argc)
            give_up("an option lacks its value");
        if (!strcmp(argv[i], "--isa"))
            out->model.isa = argv[i + 1];
        else if (!strcmp(argv[i], "--threads"))
            out->model.threads = (int)number(argv[i + 1]);
        else if (!strcmp(argv[i], "--chunk"))
            out->session.chunk = (uint32_t)number(argv[i + 1]);
        else if (!strcmp(argv[i], "--ctx"))
            out->model.ctx = (uint32_t)number(argv[i + 1]);
        else if (!strcmp(argv[i], "--from"))
            out->from = (size_t)number(argv[i + 1]);
        else
            give_up("unknown option");
    }
}

static size_t read_ids(const char *line, int32_t *tokens)
{
    size_t n = 0;
    for (char *end; *line && *line != '\n'; line = end) {
        long id = strtol(line, &end, 10);
        if (end == line || n == TOKENS_MAX)
            give_up(n == TOKENS_MAX ? "too many tokens in a line" : "not a token id");
        tokens[n++] = (int32_t)id;
        end += strspn(end, " \r");
    }
    return n;
}

static int print(void *user, size_t index, const float *logits, uint32_t vocab)
{
    (void)user;
    (void)index;
    return fwrite(logits, sizeof *logits, vocab, stdout) == vocab ? 0 : EW_EIO;
}

int main(int argc, char **argv)
{
    static int32_t tokens[TOKENS_MAX];
    static char line[LINE_BYTES];
    struct options options = {0};
    struct ew_err err = {0};
    struct ew_model *model = NULL;
    struct ew_session *session = NULL;

    if (argc < 2)
        give_up("MODEL is missing");
    parse(&options, argc, argv);
    if (ew_model_open(&model, argv[1], &options.model, &err) ||
        ew_session_open(&session, model, &options.session, &err))
        give_up(err.text);
    while (fgets(line, sizeof line, stdin)) {
        size_t n = read_ids(line, tokens);
        ew_session_rewind(session, 0);
        if (n && ew_session_score(session, tokens, n, options.from, print, NULL, &err))
            give_up(err.text);
    }
    ew_session_close(&session);
    ew_model_close(&model);
    return fflush(stdout) ? 1 : 0;
}
