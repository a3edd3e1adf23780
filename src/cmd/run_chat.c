/* run_chat.c - a line from the user, an answer, and again; with history and editing by libedit.
 *
 * The whole conversation goes through the model's template at each turn, and the tokens are
 * compared with those the session holds: the common beginning is kept, the rest is computed. ^C
 * stops the answer under way, or empties the line; what was said until then stays. */
#include "cmd/run_chat.h"

#include <errno.h>
#include <histedit.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/term.h"
#include "cmd/engine_options.h"
#include "cmd/run_print.h"

enum { HISTORY_LINES = 1000, MESSAGES_MAX = 4096 };

struct chat {
    const struct ew_model *model;
    struct ew_session *session;
    struct ew_answer_params how;
    struct ew_message messages[MESSAGES_MAX]; /* content is ours */
    size_t count;
    int32_t *past; /* tokens the session holds */
    size_t past_count;
    struct ew_answer answer;
    EditLine *line;
    History *history;
    char history_path[PATH_MAX];
};

static char *prompt_text(EditLine *line)
{
    (void)line;
    static char text[] = "> ";
    return text;
}

static void open_history(struct chat *c)
{
    HistEvent event;
    struct ew_err ignored;
    char dir[PATH_MAX - 16];
    c->history = history_init();
    if (!c->history)
        return;
    history(c->history, &event, H_SETSIZE, HISTORY_LINES);
    history(c->history, &event, H_SETUNIQUE, 1);
    el_set(c->line, EL_HIST, history, c->history);
    if (ew_file_dir(EW_FILE_DATA, dir, sizeof dir, &ignored) || ew_file_mkdirs(dir, &ignored))
        return;
    snprintf(c->history_path, sizeof c->history_path, "%s/history", dir);
    history(c->history, &event, H_LOAD, c->history_path);
}

static void save_history(struct chat *c)
{
    HistEvent event;
    if (c->history_path[0])
        history(c->history, &event, H_SAVE, c->history_path);
}

static void close_history(struct chat *c)
{
    if (c->history)
        history_end(c->history);
}

static int say(struct chat *c, const char *role, const char *content, struct ew_err *err)
{
    if (c->count == MESSAGES_MAX)
        return ew_fail(err, EW_ELIMIT, "%d messages in one conversation: /clear starts a new one",
                       MESSAGES_MAX);
    char *copy = strdup(content);
    if (!copy)
        return ew_fail(err, EW_ENOMEM, "no memory for a message of %zu bytes", strlen(content));
    c->messages[c->count++] = (struct ew_message){.role = role, .content = copy};
    return 0;
}

static void take_back(struct chat *c, size_t count)
{
    while (c->count > count)
        free((char *)(uintptr_t)c->messages[--c->count].content);
}

/* Keeps what the session has of these tokens and answers after the rest. */
static int answer_turn(struct chat *c, struct ew_err *err)
{
    int32_t *tokens;
    size_t count, same = 0;
    int failed = ew_answer_chat(c->model, c->messages, c->count, &tokens, &count, err);
    if (failed)
        return failed;
    while (same < c->past_count && same + 1 < count && tokens[same] == c->past[same])
        same++;
    ew_session_rewind(c->session, same);
    ew_engine_cancel_on_interrupt(c->session);
    failed =
        ew_answer_make(&c->answer, c->model, c->session, tokens + same, count - same, &c->how, err);
    ew_engine_cancel_on_interrupt(NULL);
    c->answer.usage.prompt_tokens += (uint32_t)same;
    c->answer.usage.cached_tokens = (uint32_t)same;
    c->past_count = 0;
    size_t all = count + c->answer.token_count, length = ew_session_length(c->session);
    int32_t *past = realloc(tokens, all * sizeof *past);
    if (!past) {
        free(tokens);
        return ew_fail(err, EW_ENOMEM, "no memory for %zu tokens", all);
    }
    memcpy(past + count, c->answer.tokens, c->answer.token_count * sizeof *past);
    free(c->past);
    c->past = past;
    c->past_count = all < length ? all : length;
    return failed;
}

static int turn(struct chat *c, const char *text, struct ew_err *err)
{
    size_t before = c->count;
    int failed = say(c, "user", text, err);
    if (!failed)
        failed = answer_turn(c, err);
    putchar('\n');
    fflush(stdout);
    if (!failed)
        failed = say(c, "assistant", ew_buf_cstr(&c->answer.text), err);
    if (failed) {
        take_back(c, before);
        return failed;
    }
    bool dim = ew_term_colors(STDERR_FILENO);
    fputs(dim ? "\033[2m" : "", stderr);
    ew_run_print_line(stderr, &c->answer);
    fputs(dim ? "\033[0m" : "", stderr);
    return 0;
}

static const char help[] = "  /clear         forget the conversation\n"
                           "  /system TEXT   start again with a system message\n"
                           "  /exit, ^D      leave\n"
                           "  ^C             stop the answer, or empty the line\n";

/* True: the line was a command. */
static bool command(struct chat *c, const char *text, bool *leave, struct ew_err *err)
{
    if (text[0] != '/')
        return false;
    bool system = strncmp(text, "/system ", 8) == 0, clear = strcmp(text, "/clear") == 0;
    *leave = strcmp(text, "/exit") == 0 || strcmp(text, "/bye") == 0;
    if (system || clear) {
        take_back(c, system ? 0 : c->count && strcmp(c->messages[0].role, "system") == 0);
        if (system && say(c, "system", text + 8, err))
            fprintf(stderr, "%s\n", err->text);
        fputs("a new conversation\n", stderr);
    } else if (!*leave) {
        fputs(help, stderr);
    }
    return true;
}

static void loop(struct chat *c, struct ew_err *err)
{
    bool leave = false;
    while (!leave) {
        int bytes;
        errno = 0;
        const char *read = el_gets(c->line, &bytes);
        if (!read && errno == EINTR) {
            el_reset(c->line);
            putchar('\n');
            continue;
        }
        if (!read || bytes <= 0)
            break;
        char *text = strndup(read, strcspn(read, "\n"));
        HistEvent event;
        if (c->history && text && text[0]) {
            history(c->history, &event, H_ENTER, text);
            save_history(c); /* now: a terminal that is closed leaves no time for it */
        }
        if (text && text[0] && !command(c, text, &leave, err) && turn(c, text, err))
            fprintf(stderr, "edgewise run: %s%s\n", err->text,
                    err->code == EW_ECONTEXT ? "; /clear starts again" : "");
        free(text);
    }
    fputc('\n', stderr);
}

int ew_run_chat(const struct ew_model *model, struct ew_session *session, const char *system,
                const struct ew_answer_params *params, struct ew_err *err)
{
    setlocale(LC_CTYPE, "");
    struct chat *c = calloc(1, sizeof *c);
    if (!c)
        return ew_fail(err, EW_ENOMEM, "no memory for a conversation");
    c->model = model;
    c->session = session;
    c->how = *params;
    ew_answer_init(&c->answer);
    int failed = system ? say(c, "system", system, err) : 0;
    c->line = failed ? NULL : el_init("edgewise", stdin, stdout, stderr);
    if (!failed && !c->line)
        failed = ew_fail(err, EW_EIO, "the terminal can't be used for editing");
    if (!failed) {
        el_set(c->line, EL_PROMPT, prompt_text);
        el_set(c->line, EL_EDITOR, "emacs");
        open_history(c);
        ew_engine_cancel_on_interrupt(NULL);
        struct ew_model_info info;
        ew_model_describe(model, &info);
        fprintf(stderr, "%s; /help tells what else can be typed, ^D ends\n", info.name);
        loop(c, err);
        close_history(c);
    }
    if (c->line)
        el_end(c->line);
    take_back(c, 0);
    ew_answer_fini(&c->answer);
    free(c->past);
    free(c);
    return failed;
}
