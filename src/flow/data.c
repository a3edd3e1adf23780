/* data.c - data files: from the binary, from disk, and YAML by schema with errors that have lines.
 *
 * libcyaml reports through a log callback: first what is wrong, then where, innermost first. The
 * first of each makes our sentence. */
#include "flow/data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ew_str ew_data_embedded(const char *name)
{
    for (const struct ew_embed *file = ew_embed_files; file->name; file++)
        if (strcmp(file->name, name) == 0)
            return (struct ew_str){file->data, file->bytes};
    return (struct ew_str){NULL, 0};
}

const struct ew_embed *ew_data_file(size_t index)
{
    const struct ew_embed *file = ew_embed_files;
    while (file->name && index-- > 0)
        file++;
    return file->name ? file : NULL;
}

struct story {
    char what[160];
    unsigned long line;
};

static void listen(cyaml_log_t level, void *context, const char *format, va_list args)
{
    struct story *story = context;
    char text[256];
    (void)level;
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    const char *line = strstr(text, "line: ");
    if (line && !story->line)
        story->line = strtoul(line + strlen("line: "), NULL, 10);
    const char *what = text;
    while (*what == ' ')
        what++;
    if (strncmp(what, "Load: ", 6) == 0)
        what += 6;
    if (!story->what[0] && strncmp(what, "Backtrace", 9) != 0 && strncmp(what, "in ", 3) != 0)
        snprintf(story->what, sizeof story->what, "%.150s", what);
}

static cyaml_config_t config(struct story *story)
{
    return (cyaml_config_t){
        .log_fn = listen,
        .log_ctx = story,
        .mem_fn = cyaml_mem,
        .log_level = CYAML_LOG_ERROR,
        .flags = CYAML_CFG_NO_ALIAS, /* aliases can make a small file large */
    };
}

/* libcyaml places a key that it doesn't want at the value before it; the text has it further on
 * (one that was there already, behind that line). */
static unsigned long exact_line(struct ew_str text, const struct story *story)
{
    static const char unexpected[] = "Unexpected key: ", again[] = "Mapping field already seen: ";
    const char *at = text.data, *end = text.data + text.bytes, *key = NULL;
    unsigned long line = 1, from = story->line;
    if (strncmp(story->what, unexpected, sizeof unexpected - 1) == 0)
        key = story->what + sizeof unexpected - 1;
    else if (strncmp(story->what, again, sizeof again - 1) == 0)
        key = story->what + sizeof again - 1, from++;
    if (!key)
        return story->line ? story->line : 1;
    for (; at && line < from; line++) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    const char *found = at ? memmem(at, (size_t)(end - at), key, strlen(key)) : NULL;
    for (; found && at < found; at++)
        line += *at == '\n';
    return found ? line : story->line;
}

/* "Expecting SEQUENCE, got event: SCALAR", in words of people who write YAML. */
static void reword(char *what, size_t size)
{
    static const char expecting[] = "Expecting ", got[] = ", got event: ";
    static const struct {
        const char *theirs, *ours;
    } words[] = {{"MAPPING_START", "keys with values"},
                 {"MAPPING", "keys with values (key: value)"},
                 {"SEQUENCE_START", "a list"},
                 {"SEQUENCE", "a list (lines that start with -, or [a, b])"},
                 {"STRING", "one value"},
                 {"SCALAR", "one value or nothing"}};
    const char *wanted = what + sizeof expecting - 1, *there = strstr(what, got);
    const char *is[2] = {NULL, NULL};
    for (size_t i = EW_COUNT(words); there && i-- > 0;) {
        if (strncmp(wanted, words[i].theirs, strlen(words[i].theirs)) == 0)
            is[0] = words[i].ours;
        if (strncmp(there + sizeof got - 1, words[i].theirs, strlen(words[i].theirs)) == 0)
            is[1] = words[i].ours;
    }
    if (strncmp(what, expecting, sizeof expecting - 1) == 0 && is[0] && is[1])
        snprintf(what, size, "it takes %s, not %s", is[0], is[1]);
}

int ew_data_yaml_list(struct ew_str text, const char *name, const cyaml_schema_value_t *schema,
                      void **gives, unsigned *count, struct ew_err *err)
{
    struct story story = {0};
    cyaml_config_t how = config(&story);
    *gives = NULL;
    cyaml_err_t rc =
        cyaml_load_data((const uint8_t *)text.data, text.bytes, &how, schema, gives, count);
    if (rc == CYAML_OK)
        return *gives ? 0 : ew_fail(err, EW_EFORMAT, "%s is empty", name);
    *gives = NULL;
    reword(story.what, sizeof story.what);
    return ew_fail(err, EW_EFORMAT, "%s:%lu: %s", name, exact_line(text, &story),
                   story.what[0] ? story.what : cyaml_strerror(rc));
}

int ew_data_yaml(struct ew_str text, const char *name, const cyaml_schema_value_t *schema,
                 void **gives, struct ew_err *err)
{
    return ew_data_yaml_list(text, name, schema, gives, NULL, err);
}

void ew_data_free(const cyaml_schema_value_t *schema, void *data, unsigned count)
{
    struct story story = {0};
    cyaml_config_t how = config(&story);
    if (data)
        cyaml_free(&how, schema, data, count);
}

size_t ew_data_line(struct ew_str text, const char *what)
{
    const char *at = memmem(text.data, text.bytes, what, strlen(what));
    size_t line = at ? 1 : 0;
    for (const char *c = text.data; at && c < at; c++)
        line += *c == '\n';
    return line;
}
