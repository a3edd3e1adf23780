/* data_place.c - where in a YAML text something stands: for checks that follow the schema's.
 *
 * The text is parsed anew by libyaml, which keeps lines; only errors pay for it. */
#include "flow/data.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

static bool load(yaml_document_t *document, struct ew_str text)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return false;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.data, text.bytes);
    bool loaded = yaml_parser_load(&parser, document);
    yaml_parser_delete(&parser);
    return loaded;
}

static bool is_key(const yaml_node_t *node, const char *name, size_t bytes)
{
    return node && node->type == YAML_SCALAR_NODE && node->data.scalar.length == bytes &&
           memcmp(node->data.scalar.value, name, bytes) == 0;
}

/* The entry `name` of a mapping; its key's line goes to *line. */
static yaml_node_t *field(yaml_document_t *document, const yaml_node_t *node, const char *name,
                          size_t bytes, size_t *line)
{
    if (!node || node->type != YAML_MAPPING_NODE)
        return NULL;
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(document, pair->key);
        if (is_key(key, name, bytes)) {
            *line = key->start_mark.line + 1;
            return yaml_document_get_node(document, pair->value);
        }
    }
    return NULL;
}

static yaml_node_t *item(yaml_document_t *document, const yaml_node_t *node, size_t index,
                         size_t *line)
{
    if (!node || node->type != YAML_SEQUENCE_NODE ||
        index >= (size_t)(node->data.sequence.items.top - node->data.sequence.items.start))
        return NULL;
    yaml_node_t *found = yaml_document_get_node(document, node->data.sequence.items.start[index]);
    if (found)
        *line = found->start_mark.line + 1;
    return found;
}

size_t ew_data_line_at(struct ew_str text, const char *path)
{
    yaml_document_t document;
    size_t line = 1;
    if (!load(&document, text))
        return line;
    const yaml_node_t *node = yaml_document_get_root_node(&document);
    while (node && *path) {
        if (*path == '[') {
            char *end;
            node = item(&document, node, strtoul(path + 1, &end, 10), &line);
            path = *end == ']' ? end + 1 : end;
        } else {
            path += *path == '.';
            size_t bytes = strcspn(path, ".[");
            node = field(&document, node, path, bytes, &line);
            path += bytes;
        }
    }
    yaml_document_delete(&document);
    return line;
}
