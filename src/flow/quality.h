/* quality.h - how well models do, as others measured and published it: data/quality.yaml.
 *
 * Each row says by whom, when and how; the weights were not quantised, so the score is an upper
 * bound of what a quantised file reaches. */
#ifndef EW_QUALITY_H
#define EW_QUALITY_H

#include "base/buf.h"

struct ew_quality {
    char *model; /* as the catalog names it */
    char *title, *benchmark;
    double score;   /* Pass@1, 0..1 */
    char *protocol; /* "0-shot" */
    char *source, *as_of;
};

struct ew_quality_table;

int ew_quality_open(struct ew_quality_table **gives, struct ew_err *err);
int ew_quality_parse(struct ew_quality_table **gives, struct ew_str text, const char *file,
                     struct ew_err *err);
void ew_quality_close(struct ew_quality_table **table);

/* NULL where nobody published a score. `model` is a catalog name, or the path of a file that is
 * called like one ("models/smollm2-135m.gguf"). */
const struct ew_quality *ew_quality_find(const struct ew_quality_table *table, const char *model,
                                         const char *benchmark);

#endif
