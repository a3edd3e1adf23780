/* main.c - the table of subcommands, and what holds for all: standard streams that are there, and
 * no success when what was printed got lost. */
#include "base/args.h"
#include "base/err.h"
#include "cmd/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help; /* one line */
};

/* In the order in which a newcomer meets them. */
static const struct command commands[] = {
    {"pull", ew_cmd_pull, "fetch a model of the catalog and verify it"},

    {"run", ew_cmd_run, "chat with a model or complete a text in the terminal"},

    {"bench", ew_cmd_bench, "measure this device: speed, latency, energy, memory"},

    {"eval", ew_cmd_eval, "measure the quality of a model's answers"},

    {"pcr", ew_cmd_pcr, "weigh quality and responsiveness against cost"},

    {"serve", ew_cmd_serve, "answer over HTTP, as OpenAI and Ollama do"},

    {"ledger", ew_cmd_ledger, "ask what was served: rows, sums, CSV, JSON"},

    {"tokenize", ew_cmd_tokenize, "text to token ids, and back"},

    {"doctor", ew_cmd_doctor, "say what this machine has and what is wrong with it"},

    {NULL, NULL, NULL},
};

static void print_help(void)
{
    puts("edgewise - answers language-model requests on the device you own, and says what it cost\n"
         "\n"
         "usage: edgewise COMMAND [ARGUMENTS]\n"
         "       edgewise COMMAND --help\n"
         "\n"
         "commands:");
    for (const struct command *c = commands; c->name; c++)
        printf("  %-10s %s\n", c->name, c->help);
    puts("\n"
         "  --help, -h     this text\n"
         "  --version      the version, one line\n"
         "\n"
         "exit status: 0 done, 1 failed, 2 called wrongly");
}

static int unknown(const char *word)
{
    const char *names[EW_COUNT(commands)] = {NULL};
    size_t count = 0;
    for (const struct command *c = commands; c->name; c++)
        names[count++] = c->name;
    const char *near = ew_args_nearest(word, names, count);
    fprintf(stderr, "edgewise: there is no %s '%s'", word[0] == '-' ? "option" : "command", word);
    if (near)
        fprintf(stderr, "; did you mean '%s'?", near);
    fputs("\ntry 'edgewise --help'\n", stderr);
    return 2;
}

/* A stream that the caller closed would become the next file we open, and messages would be
 * written into a model. /dev/null, opened the wrong way round, keeps the place and still fails. */
static void keep_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
            return;
}

/* A file larger than `ulimit -f` allows is an error of the write, not a signal. */
static void outlive_limits(void)
{
    signal(SIGXFSZ, SIG_IGN);
}

/* A full disk shows itself only now. */
static int finish(int status)
{
    errno = 0;
    bool lost = fflush(stdout) != 0;
    if ((!lost && !ferror(stdout)) || status)
        return status;
    fprintf(stderr, "edgewise: standard output can't be written%s%s\n", errno ? ": " : "",
            errno ? strerror(errno) : "");
    return 1;
}

static int dispatch(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    if (!*word) {
        fputs("usage: edgewise COMMAND [ARGUMENTS]\ntry 'edgewise --help'\n", stderr);
        return 2;
    }
    for (const struct command *c = commands; c->name; c++)
        if (strcmp(word, c->name) == 0)
            return c->run(argc - 1, argv + 1);
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
        return print_help(), 0;
    if (strcmp(word, "--version") == 0)
        return puts("edgewise " EW_VERSION), 0;
    return unknown(word);
}

int main(int argc, char **argv)
{
    /* `edgewise ... | head -1` ends quietly, also where whoever started us ignores the signal. */
    signal(SIGPIPE, SIG_DFL);
    keep_streams();
    outlive_limits();
    return finish(dispatch(argc, argv));
}
