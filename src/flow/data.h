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

#endif
