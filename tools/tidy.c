/* tidy.c - judges the tree: layers, lengths, banned calls, plates, tests.
 *
 *     tidy [ROOT]        prints path:line: sentence for each fault; exit status 1 when there is one
 *
 * It reads text, not C: comments and strings are blanked first, a function is what stands between
 * a brace in column 0 and the next one that closes in column 0 (clang-format keeps it so). That is
 * enough for rules which exist to keep the tree readable by text tools, and needs no parser.
 *
 * Limits: FILES_MAX files of BYTES_MAX bytes. Everything is read once and kept. */
#include <ctype.h>
#include <dirent.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    FILES_MAX = 4000,
    BYTES_MAX = 8 << 20,
    PATH_BYTES = 300,
    FILE_LINES_MAX = 799,
    FUNCTION_LINES_MAX = 70,
    LINE_COLUMNS_MAX = 100,
    RULES_MAX = 64,
    WORDS_MAX = 80,
    WORD_BYTES = 40,
};

struct file {
    char path[PATH_BYTES]; /* from the root: "src/base/err.c" */
    char *text;            /* NUL-terminated */
    char *code;            /* the same, comments and strings blanked; NULL for what isn't C */
    size_t bytes;
};

static struct file files[FILES_MAX];
static int file_count, faults;

__attribute__((format(printf, 3, 4))) static void fault(const struct file *file, int line,
                                                        const char *format, ...)
{
    va_list list;
    printf("%s:%d: ", file->path, line);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
    faults++;
}

static _Noreturn void give_up(const char *what, const char *path)
{
    fprintf(stderr, "tidy: %s: %s\n", path, what);
    exit(2);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool ends_with(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool is_c(const char *path)
{
    return ends_with(path, ".c") || ends_with(path, ".h");
}

/* ---- reading the tree ---- */

static char *read_text(const char *path, size_t *bytes)
{
    FILE *in = fopen(path, "rb");
    if (!in)
        return NULL;
    char *text = malloc(BYTES_MAX + 1);
    if (!text)
        give_up("no memory", path);
    *bytes = fread(text, 1, BYTES_MAX + 1, in);
    fclose(in);
    if (*bytes > BYTES_MAX)
        give_up("too long to read", path);
    text[*bytes] = '\0';
    char *fits = realloc(text, *bytes + 1);
    return fits ? fits : text;
}

/* Where a comment, string or character constant that starts at `at` ends; `at` when none does. */
static const char *skip_token(const char *at)
{
    if (at[0] == '/' && at[1] == '*') {
        const char *end = strstr(at + 2, "*/");
        return end ? end + 2 : at + strlen(at);
    }
    if (at[0] == '/' && at[1] == '/')
        return at + strcspn(at, "\n");
    if (*at != '"' && *at != '\'')
        return at;
    char quote = *at++;
    while (*at && *at != quote && *at != '\n')
        at += *at == '\\' && at[1] ? 2 : 1;
    return *at == quote ? at + 1 : at;
}

static char *blank_comments(const char *text, size_t bytes)
{
    char *code = malloc(bytes + 1);
    if (!code)
        give_up("no memory", "");
    const char *from = text;
    while (*from) {
        const char *end = skip_token(from);
        if (end == from) {
            code[from - text] = *from;
            from++;
        }
        for (; from < end; from++)
            code[from - text] = *from == '\n' ? '\n' : ' ';
    }
    code[bytes] = '\0';
    return code;
}

static void add_file(const char *root, const char *path)
{
    if (file_count == FILES_MAX)
        give_up("more files than tidy has room for", path);
    char full[2 * PATH_BYTES];
    struct file *file = &files[file_count++];
    snprintf(full, sizeof full, "%s/%s", root, path);
    snprintf(file->path, sizeof file->path, "%s", path);
    file->text = read_text(full, &file->bytes);
    if (!file->text)
        give_up("can't be read", full);
    if (is_c(path))
        file->code = blank_comments(file->text, file->bytes);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Sorted, so that two runs say the same in the same order. Depth is bounded by PATH_BYTES. */
static void walk(const char *root, const char *folder)
{
    char full[2 * PATH_BYTES], path[PATH_BYTES];
    struct dirent **entries;
    snprintf(full, sizeof full, "%s/%s", root, folder);
    int count = scandir(full, &entries, NULL, by_name);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        struct stat about;
        if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
            give_up("path too long", path);
        snprintf(full, sizeof full, "%s/%s", root, path);
        if (name[0] != '.' && stat(full, &about) == 0) {
            if (S_ISDIR(about.st_mode))
                walk(root, path);
            else if (is_c(name) || ends_with(name, ".sh") || ends_with(name, ".py"))
                add_file(root, path);
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static const struct file *find_file(const char *path)
{
    for (int i = 0; i < file_count; i++)
        if (strcmp(files[i].path, path) == 0)
            return &files[i];
    return NULL;
}

/* ---- text: lines, blanks, length ---- */

static bool is_generated(const struct file *file)
{
    const char *end = strstr(file->text, "*/"), *word = strstr(file->text, "generated");
    return end && word && word < end;
}

static int columns(const char *line, size_t bytes)
{
    int n = 0;
    for (size_t i = 0; i < bytes; i++)
        n += ((unsigned char)line[i] & 0xc0) != 0x80; /* continuation bytes of UTF-8 */
    return n;
}

static void check_lines(const struct file *file)
{
    int line = 0;
    bool is_c_file = file->code != NULL;
    for (const char *at = file->text; *at;) {
        size_t bytes = strcspn(at, "\n");
        line++;
        if (memchr(at, '\t', bytes))
            fault(file, line, "a tab; indent by 4 spaces");
        if (bytes && (at[bytes - 1] == ' ' || at[bytes - 1] == '\r'))
            fault(file, line, "blanks at the end of the line");
        if (is_c_file && columns(at, bytes) > LINE_COLUMNS_MAX && !is_generated(file))
            fault(file, line, "%d columns, at most %d", columns(at, bytes), LINE_COLUMNS_MAX);
        at += bytes;
        if (!*at)
            fault(file, line, "no newline at the end of the file");
        else
            at++;
    }
    if (strlen(file->text) != file->bytes)
        fault(file, line, "a NUL byte");
    if (is_c_file && line > FILE_LINES_MAX && !is_generated(file))
        fault(file, line, "%d lines, at most %d", line, FILE_LINES_MAX);
}

static void check_plate(const struct file *file)
{
    char wanted[PATH_BYTES];
    snprintf(wanted, sizeof wanted, "/* %s - ", base_name(file->path));
    if (!starts_with(file->text, wanted))
        fault(file, 1, "no plate at the door: the file starts with '%s...'", wanted);
}

/* TODO(name) says whom to ask; a bare one is nobody's. */
static void check_promises(const struct file *file)
{
    static const char *const words[] = {"TODO", "FIXME", "XXX"};
    int line = 1;
    for (const char *at = file->text; *at; at++) {
        line += *at == '\n';
        for (size_t i = 0; i < 3; i++)
            if (starts_with(at, words[i]) &&
                (at == file->text || !isalnum((unsigned char)at[-1])) &&
                !isalnum((unsigned char)at[strlen(words[i])]) && at[strlen(words[i])] != '(' &&
                at[strlen(words[i])] != '"')
                fault(file, line, "%s without a name: write %s(name)", words[i], words[i]);
    }
}

/* ---- code: functions, calls, includes ---- */

static void check_functions(const struct file *file)
{
    int line = 0, start = 0;
    for (const char *at = file->code; *at;) {
        size_t bytes = strcspn(at, "\n");
        line++;
        if (*at == '{')
            start = line;
        if (*at == '}' && start) {
            int lines = line - start + 1;
            if (lines > FUNCTION_LINES_MAX && !is_generated(file))
                fault(file, start, "a function of %d lines, at most %d", lines, FUNCTION_LINES_MAX);
            start = 0;
        }
        if (*at == '#' && start && starts_with(at + 1 + strspn(at + 1, " "), "if"))
            fault(file, line, "#if inside a function; variants are files or tables");
        at += bytes + (at[bytes] == '\n');
    }
}

static void check_calls(const struct file *file)
{
    static const char *const banned[] = {"sprintf", "vsprintf", "strcpy", "strcat", "strtok",
                                         "strncpy", "atoi",     "atol",   "atoll",  "atof",
                                         "gets",    "sscanf",   "alloca"};
    int line = 1;
    for (const char *at = file->code; *at;) {
        line += *at == '\n';
        if (!isalpha((unsigned char)*at) && *at != '_') {
            at++;
            continue;
        }
        size_t bytes = 1;
        while (isalnum((unsigned char)at[bytes]) || at[bytes] == '_')
            bytes++;
        if (at[bytes] == '(')
            for (size_t i = 0; i < sizeof banned / sizeof banned[0]; i++)
                if (strlen(banned[i]) == bytes && memcmp(banned[i], at, bytes) == 0)
                    fault(file, line, "%s() is banned", banned[i]);
        at += bytes;
    }
}

/* One line of layers.txt. */
struct rule {
    char left[WORDS_MAX][WORD_BYTES], right[WORDS_MAX][WORD_BYTES];
    int left_count, right_count;
    bool system; /* "<>": about <headers> */
};

static struct rule rules[RULES_MAX];
static int rule_count;

static int split_words(const char *at, const char *end, char words[][WORD_BYTES], bool *angle)
{
    int count = 0;
    while (at < end) {
        at += strspn(at, " ");
        size_t bytes = strcspn(at, " :\n");
        if (at >= end || !bytes)
            break;
        if (bytes == 2 && angle && memcmp(at, "<>", 2) == 0)
            *angle = true;
        else if (count == WORDS_MAX || bytes >= WORD_BYTES)
            give_up("a line with too many or too long words", "tools/layers.txt");
        else
            snprintf(words[count++], WORD_BYTES, "%.*s", (int)bytes, at);
        at += bytes;
    }
    return count;
}

static void read_layers(const char *root)
{
    char path[2 * PATH_BYTES];
    size_t bytes;
    snprintf(path, sizeof path, "%s/tools/layers.txt", root);
    char *text = read_text(path, &bytes);
    if (!text)
        give_up("can't be read", path);
    for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        const char *end = at + strcspn(at, "\n"), *colon = at + strcspn(at, ":\n");
        if (*at == '#' || *at == '\n')
            continue;
        if (*colon != ':' || rule_count == RULES_MAX)
            give_up("a line that isn't ROOM: WORDS, or too many lines", path);
        struct rule *rule = &rules[rule_count++];
        rule->left_count = split_words(at, colon, rule->left, &rule->system);
        rule->right_count = split_words(colon + 1, end, rule->right, NULL);
    }
    free(text);
}

static bool has_word(char words[][WORD_BYTES], int count, const char *word)
{
    for (int i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0)
            return true;
    return false;
}

static struct rule *find_rule(const char *room, bool system)
{
    for (int i = 0; i < rule_count; i++)
        if (rules[i].system == system && has_word(rules[i].left, rules[i].left_count, room))
            return &rules[i];
    return NULL;
}

/* "src/kernels/x86/dot.c" and "kernels/x86/dot.h" -> "kernels"; "edgewise.h" -> "edgewise.h" */
static void room_of(const char *path, char room[WORD_BYTES])
{
    if (starts_with(path, "src/"))
        path += 4;
    snprintf(room, WORD_BYTES, "%.*s", (int)strcspn(path, "/"), path);
}

static void check_include(const struct file *file, int line, const char *name, bool system)
{
    char room[WORD_BYTES], target[WORD_BYTES], path[2 * PATH_BYTES];
    room_of(file->path, room);
    struct rule *rule = find_rule(room, system);
    if (system) {
        if (rule && !has_word(rule->right, rule->right_count, name))
            fault(file, line, "%s may not include <%s>", room, name);
        return;
    }
    room_of(name, target);
    if (!strchr(name, '/'))
        snprintf(path, sizeof path, "include/%s", name);
    else
        snprintf(path, sizeof path, "src/%s", name);
    if (!find_file(path))
        fault(file, line, "\"%s\" isn't there: name it from src/, as in \"base/err.h\"", name);
    else if (!rule)
        fault(file, line, "room %s isn't in tools/layers.txt", room);
    else if (strcmp(room, target) != 0 && !has_word(rule->right, rule->right_count, target))
        fault(file, line, "%s may not include %s", room, target);
}

static void check_includes(const struct file *file)
{
    int line = 1;
    for (const char *at = file->text; *at; at += strcspn(at, "\n"), at += *at == '\n', line++) {
        char name[PATH_BYTES];
        const char *word = at + (*at == '#');
        word += strspn(word, " ");
        if (*at != '#' || !starts_with(word, "include") || file->code[at - file->text] != '#')
            continue;
        word += strlen("include");
        word += strspn(word, " ");
        if (*word != '"' && *word != '<')
            continue;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 1, "\">\n"), word + 1);
        check_include(file, line, name, *word == '<');
    }
}

/* ---- the whole ---- */

static bool is_variant(const char *path)
{
    return strstr(path, "/x86/") || strstr(path, "/arm/");
}

/* A name says where a thing is only while it is the only one. */
static void check_unique_names(void)
{
    for (int i = 0; i < file_count; i++)
        for (int j = 0; j < i; j++)
            if (files[i].code && files[j].code && !is_variant(files[i].path) &&
                starts_with(files[i].path, "src/") && starts_with(files[j].path, "src/") &&
                strcmp(base_name(files[i].path), base_name(files[j].path)) == 0)
                fault(&files[i], 1, "has the name of %s", files[j].path);
}

static bool names_file(const char *text, const char *name)
{
    for (const char *at = text; (at = strstr(at, name)); at++)
        if (at == text || (!isalnum((unsigned char)at[-1]) && at[-1] != '_'))
            return true;
    return false;
}

/* tests/unit/test_<name>.c, or a unit or kernel test that names the file: "also meter_null.c". */
static bool has_test(const struct file *file)
{
    char path[2 * PATH_BYTES];
    const char *name = base_name(file->path);
    snprintf(path, sizeof path, "tests/unit/test_%s", name);
    if (find_file(path))
        return true;
    for (int i = 0; i < file_count; i++)
        if ((starts_with(files[i].path, "tests/kcheck/") ||
             starts_with(files[i].path, "tests/unit/test_")) &&
            names_file(files[i].text, name))
            return true;
    return false;
}

/* Lines `path: why` of tests/untested.txt; a path that ends with / excuses a folder. */
static bool is_excused(const char *list, const char *path)
{
    for (const char *at = list; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        size_t bytes = strcspn(at, ":\n");
        if (*at == '#' || !bytes || at[bytes] != ':' || strspn(at + bytes + 1, " ") == 0)
            continue;
        if (at[bytes - 1] == '/' ? strncmp(path, at, bytes) == 0
                                 : strlen(path) == bytes && memcmp(path, at, bytes) == 0)
            return true;
    }
    return false;
}

static void check_excuses(const char *list)
{
    static struct file about = {.path = "tests/untested.txt"};
    int line = 1;
    for (const char *at = list; *at; at += strcspn(at, "\n"), at += *at == '\n', line++) {
        size_t bytes = strcspn(at, ":\n");
        char path[PATH_BYTES];
        if (*at == '#' || *at == '\n')
            continue;
        snprintf(path, sizeof path, "%.*s", (int)bytes, at);
        if (at[bytes] != ':' || strcspn(at + bytes + 1, "\n") < 4)
            fault(&about, line, "no reason: write 'path: why not'");
        else if (path[bytes - 1] == '/')
            continue;
        else if (!find_file(path))
            fault(&about, line, "%s isn't there any more", path);
        else if (has_test(find_file(path)))
            fault(&about, line, "%s has a test now", path);
    }
}

static void check_tests(const char *root)
{
    char path[2 * PATH_BYTES];
    size_t bytes;
    snprintf(path, sizeof path, "%s/tests/untested.txt", root);
    char *list = read_text(path, &bytes);
    for (int i = 0; i < file_count; i++)
        if (starts_with(files[i].path, "src/") && strcmp(files[i].path, "src/main.c") != 0 &&
            ends_with(files[i].path, ".c") && !has_test(&files[i]) &&
            !is_excused(list ? list : "", files[i].path))
            fault(&files[i], 1,
                  "no tests/unit/test_%s, no test that names it, no line in tests/untested.txt",
                  base_name(files[i].path));
    if (list)
        check_excuses(list);
    free(list);
}

int main(int argc, char **argv)
{
    static const char *const folders[] = {"include", "src", "tests", "tools"};
    const char *root = argc > 1 ? argv[1] : ".";
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        walk(root, folders[i]);
    read_layers(root);
    for (int i = 0; i < file_count; i++) {
        const struct file *file = &files[i];
        check_lines(file);
        if (!file->code)
            continue;
        check_plate(file);
        check_promises(file);
        check_functions(file);
        check_calls(file);
        if (starts_with(file->path, "src/"))
            check_includes(file);
    }
    check_unique_names();
    check_tests(root);
    for (int i = 0; i < file_count; i++) {
        free(files[i].text);
        free(files[i].code);
    }
    printf("tidy: %d files, %d faults\n", file_count, faults);
    return faults > 0;
}
