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

/* libcyaml places an unexpected key at the value before it; the text has it further on. */
static unsigned long exact_line(struct ew_str text, const struct story *story)
{
    static const char unexpected[] = "Unexpected key: ";
    const char *at = text.data, *end = text.data + text.bytes;
    unsigned long line = 1;
    if (strncmp(story->what, unexpected, sizeof unexpected - 1) != 0)
        return story->line;
    for (; at && line < story->line; line++) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    const char *key = story->what + sizeof unexpected - 1;
    const char *found = at ? memmem(at, (size_t)(end - at), key, strlen(key)) : NULL;
    for (; found && at < found; at++)
        line += *at == '\n';
    return found ? line : story->line;
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
