/* json_leaf.h - a value of jansson's that is neither object nor array, written again. */
#ifndef EW_JSON_LEAF_H
#define EW_JSON_LEAF_H

#include <jansson.h>

#include "base/jsonw.h"

/* What isn't one, or isn't there (NULL), is null. */
void ew_json_leaf(struct ew_jsonw *json, const json_t *value);

#endif
