/* data_place.c - where in a YAML text something stands, and what: for checks that follow the
 * schema's, and for what no schema can say.
 *
 * The text is parsed anew by libyaml, which keeps lines; errors pay for it, and who needs the
 * tree. */
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

/* The node at the path, NULL where there is none; *line is that of the last part that is there. */
static yaml_node_t *walk(yaml_document_t *document, const char *path, size_t *line)
{
    yaml_node_t *node = yaml_document_get_root_node(document);
    *line = 1;
    while (node && *path) {
        if (*path == '[') {
            char *end;
            node = item(document, node, strtoul(path + 1, &end, 10), line);
            path = *end == ']' ? end + 1 : end;
        } else {
            path += *path == '.';
            size_t bytes = strcspn(path, ".[");
            node = field(document, node, path, bytes, line);
            path += bytes;
        }
    }
    return node;
}

size_t ew_data_line_at(struct ew_str text, const char *path)
{
    yaml_document_t document;
    size_t line = 1;
    if (!load(&document, text))
        return line;
    walk(&document, path, &line);
    yaml_document_delete(&document);
    return line;
}

/* ---- trees ---- */

struct ew_data_tree {
    yaml_document_t document;
};

int ew_data_tree_open(struct ew_data_tree **gives, struct ew_str text, struct ew_err *err)
{
    *gives = malloc(sizeof **gives);
    if (!*gives)
        return ew_fail(err, EW_ENOMEM, "no memory for a tree of YAML");
    if (load(&(*gives)->document, text))
        return 0;
    free(*gives);
    *gives = NULL;
    return ew_fail(err, EW_EFORMAT, "this is no YAML");
}

void ew_data_tree_close(struct ew_data_tree **tree)
{
    if (*tree)
        yaml_document_delete(&(*tree)->document);
    free(*tree);
    *tree = NULL;
}

enum ew_data_kind ew_data_tree_kind(struct ew_data_tree *tree, const char *path, size_t *count)
{
    size_t line;
    const yaml_node_t *node = walk(&tree->document, path, &line);
    *count = 0;
    if (!node || node->type == YAML_NO_NODE)
        return EW_DATA_NOTHING;
    if (node->type == YAML_SCALAR_NODE)
        return EW_DATA_VALUE;
    *count = node->type == YAML_MAPPING_NODE
                 ? (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start)
                 : (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    return node->type == YAML_MAPPING_NODE ? EW_DATA_MAP : EW_DATA_LIST;
}

static const char *scalar(const yaml_node_t *node)
{
    if (!node || node->type != YAML_SCALAR_NODE ||
        strlen((const char *)node->data.scalar.value) != node->data.scalar.length)
        return NULL;
    return (const char *)node->data.scalar.value;
}

bool ew_data_tree_pair(struct ew_data_tree *tree, const char *path, size_t index,
                       struct ew_data_pair *pair)
{
    size_t line;
    const yaml_node_t *node = walk(&tree->document, path, &line);
    if (!node || node->type != YAML_MAPPING_NODE ||
        index >= (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start))
        return false;
    const yaml_node_pair_t *at = node->data.mapping.pairs.start + index;
    const yaml_node_t *key = yaml_document_get_node(&tree->document, at->key);
    pair->key = scalar(key);
    pair->value = scalar(yaml_document_get_node(&tree->document, at->value));
    pair->line = key ? key->start_mark.line + 1 : line;
    return true;
}
