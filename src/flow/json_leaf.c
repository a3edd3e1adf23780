/* json_leaf.c - see json_leaf.h. A real has the fewest digits that read back as the same. */
#include "flow/json_leaf.h"

void ew_json_leaf(struct ew_jsonw *json, const json_t *value)
{
    if (json_is_string(value))
        ew_jsonw_text(json, json_string_value(value));
    else if (json_is_integer(value))
        ew_jsonw_int(json, json_integer_value(value));
    else if (json_is_real(value))
        ew_jsonw_real(json, json_real_value(value));
    else if (json_is_boolean(value))
        ew_jsonw_bool(json, json_is_true(value));
    else
        ew_jsonw_null(json);
}
