/* data.h - the data files inside the binary, and YAML by schema.
 *
 * The schema is libcyaml's: an unknown key, a missing field or a wrong type is an error
 * that names the file and the line. */
#ifndef EW_DATA_H
#define EW_DATA_H

#include "base/buf.h"
#include "base/embed.h"

#include <cyaml/cyaml.h>

/* No data file of ours is near it, and parsing stays instant. */
#define EW_DATA_BYTES_MAX (4u << 20)

/* An embedded file's text by its name ("data/prices.csv"); .data NULL where there is none. */
struct ew_str ew_data_embedded(const char *name);
const struct ew_embed *ew_data_file(size_t index); /* by name, sorted; NULL behind the last */
/* Text -> the schema's struct; the caller gives it back to ew_data_free with the same schema.
 * `name` is what errors call the file. */
int ew_data_yaml(struct ew_str text, const char *name, const cyaml_schema_value_t *schema,
                 void **gives, struct ew_err *err);
/* A sequence on top: its entries and their number. */
int ew_data_yaml_list(struct ew_str text, const char *name, const cyaml_schema_value_t *schema,
                      void **gives, unsigned *count, struct ew_err *err);
void ew_data_free(const cyaml_schema_value_t *schema, void *data, unsigned count);

/* 1-based line on which `what` is first found; 0: nowhere. For checks that follow the schema's. */
size_t ew_data_line(struct ew_str text, const char *what);
/* The line of "clients[1].key_hash", or of the last part of the path that is there. */
size_t ew_data_line_at(struct ew_str text, const char *path);

/* A YAML text as it stands, for what no schema can say: mappings with keys of the writer's, one
 * thing or a list of them. Paths as above; texts are the tree's. */
struct ew_data_tree;
enum ew_data_kind { EW_DATA_NOTHING, EW_DATA_VALUE, EW_DATA_LIST, EW_DATA_MAP };
struct ew_data_pair {
    const char *key, *value; /* NULL: not one value, or one with a NUL inside */
    size_t line;             /* of the key */
};
int ew_data_tree_open(struct ew_data_tree **gives, struct ew_str text, struct ew_err *err);
void ew_data_tree_close(struct ew_data_tree **tree);
/* What stands at the path; *count: its entries. */
enum ew_data_kind ew_data_tree_kind(struct ew_data_tree *tree, const char *path, size_t *count);
/* The entry of that index of the mapping at the path; false: there is none. */
bool ew_data_tree_pair(struct ew_data_tree *tree, const char *path, size_t index,
                       struct ew_data_pair *pair);

#endif
