/* config_schema.c - the JSON Schema of edgewise.yaml, from the rows that also read it. */
#include "flow/config_keys.h"

#include "base/jsonw.h"

#include <string.h>

static void put_pattern(struct ew_jsonw *json, const char *pattern)
{
    ew_jsonw_put_text(json, "type", "string");
    ew_jsonw_put_text(json, "pattern", pattern);
}

/* What may be written as a number, too: YAML editors see 0 and 4096 as numbers. */
static void put_text_or_number(struct ew_jsonw *json, const char *pattern)
{
    ew_jsonw_key(json, "type");
    ew_jsonw_array(json);
    ew_jsonw_text(json, "string");
    ew_jsonw_text(json, "integer");
    ew_jsonw_end(json);
    ew_jsonw_put_text(json, "pattern", pattern);
}

static void put_enum(struct ew_jsonw *json, const char *const *words)
{
    ew_jsonw_key(json, "enum");
    ew_jsonw_array(json);
    for (; *words; words++)
        ew_jsonw_text(json, *words);
    ew_jsonw_end(json);
}

static void put_map(struct ew_jsonw *json, const struct ew_config_key *key)
{
    ew_jsonw_put_text(json, "type", "object");
    ew_jsonw_put_int(json, "maxProperties", (int64_t)key->max);
    ew_jsonw_key(json, "additionalProperties");
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "type", "string");
    ew_jsonw_put_int(json, "minLength", 1);
    ew_jsonw_end(json);
}

static void put_list(struct ew_jsonw *json, const struct ew_config_key *key)
{
    ew_jsonw_put_text(json, "type", "array");
    ew_jsonw_put_int(json, "maxItems", (int64_t)key->max);
    ew_jsonw_put_bool(json, "uniqueItems", true);
    ew_jsonw_key(json, "items");
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "type", "string");
    ew_jsonw_end(json);
}

static void put_number(struct ew_jsonw *json, const char *type, const struct ew_config_key *key)
{
    ew_jsonw_put_text(json, "type", type);
    ew_jsonw_put_real(json, "minimum", key->min);
    ew_jsonw_put_real(json, "maximum", key->max);
}

static void put_type(struct ew_jsonw *json, const struct ew_config_key *key)
{
    switch (key->kind) {
    case EW_CONFIG_NAME:
        put_pattern(json, "^[A-Za-z0-9._-]{1,63}$");
        break;
    case EW_CONFIG_HASH:
        put_pattern(json, "^[0-9a-fA-F]{64}$");
        break;
    case EW_CONFIG_WHOLE:
        put_number(json, "integer", key);
        break;
    case EW_CONFIG_REAL:
    case EW_CONFIG_MAYBE:
        put_number(json, "number", key);
        break;
    case EW_CONFIG_BOOL:
        ew_jsonw_put_text(json, "type", "boolean");
        break;
    case EW_CONFIG_DURATION:
    case EW_CONFIG_DAYS:
        put_text_or_number(json, "^(0|[0-9]+(\\.[0-9]+)? *(ms|s|m|h|d))$");
        break;
    case EW_CONFIG_SIZE:
        put_text_or_number(json, "^[0-9]+(\\.[0-9]+)? *[KMGT]?$");
        break;
    case EW_CONFIG_URL:
        put_pattern(json, "^https?://[^@?#]+$");
        break;
    case EW_CONFIG_ENV:
        put_pattern(json, "^[A-Za-z_][A-Za-z0-9_]*$");
        break;
    case EW_CONFIG_FULL:
    case EW_CONFIG_SELECT:
    case EW_CONFIG_API:
    case EW_CONFIG_MIDSTREAM:
    case EW_CONFIG_STICKY:
        put_enum(json, ew_config_words(key->kind));
        break;
    case EW_CONFIG_MAP:
        put_map(json, key);
        break;
    case EW_CONFIG_LIST:
        put_list(json, key);
        break;
    default:
        ew_jsonw_put_text(json, "type", "string");
        ew_jsonw_put_int(json, "minLength", 1);
    }
}

static void put_preset(struct ew_jsonw *json, const struct ew_config_key *key)
{
    bool plain =
        key->kind == EW_CONFIG_BOOL || key->kind == EW_CONFIG_WHOLE || key->kind == EW_CONFIG_REAL;
    if (!key->preset)
        return;
    ew_jsonw_key(json, "default");
    if (plain)
        ew_jsonw_raw(json, (struct ew_str){key->preset, strlen(key->preset)});
    else
        ew_jsonw_text(json, key->preset);
}

static void put_required(struct ew_jsonw *json, enum ew_config_section_id id)
{
    static const char *const required[EW_CONFIG_SECTIONS][3] = {
        [EW_CONFIG_CLOUD] = {"name"},
        [EW_CONFIG_DEVICE_LIMIT] = {"per"},
        [EW_CONFIG_CLOUD_LIMIT] = {"per"},
        [EW_CONFIG_BUDGET] = {"usd", "per"},
        [EW_CONFIG_CLIENT] = {"name", "key_hash"},
        [EW_CONFIG_CLIENT_LIMIT] = {"per"}};
    if (!required[id][0])
        return;
    ew_jsonw_key(json, "required");
    ew_jsonw_array(json);
    for (size_t i = 0; required[id][i]; i++)
        ew_jsonw_text(json, required[id][i]);
    ew_jsonw_end(json);
}

static void put_keys(struct ew_jsonw *json, const struct ew_config_section *section)
{
    for (size_t i = 0; i < section->key_count; i++) {
        ew_jsonw_key(json, section->keys[i].name);
        ew_jsonw_object(json);
        ew_jsonw_put_text(json, "description", section->keys[i].meaning);
        put_type(json, &section->keys[i]);
        put_preset(json, &section->keys[i]);
        ew_jsonw_end(json);
    }
}

static void put_section(struct ew_jsonw *json, enum ew_config_section_id id);

/* A list of mappings: an array; where one may stand alone, either. */
static void put_items(struct ew_jsonw *json, enum ew_config_section_id id)
{
    const struct ew_config_section *section = &ew_config_sections[id];
    if (section->alone) {
        ew_jsonw_key(json, "oneOf");
        ew_jsonw_array(json);
        ew_jsonw_object(json);
        put_section(json, id);
        ew_jsonw_end(json);
        ew_jsonw_object(json);
    }
    ew_jsonw_put_text(json, "type", "array");
    ew_jsonw_put_int(json, "maxItems", section->list_max);
    ew_jsonw_key(json, "items");
    ew_jsonw_object(json);
    put_section(json, id);
    ew_jsonw_end(json);
    if (section->alone) {
        ew_jsonw_end(json);
        ew_jsonw_end(json);
    }
}

/* Sections nest two deep, and a section's children stand behind it in the table. */
static void put_section(struct ew_jsonw *json, enum ew_config_section_id id)
{
    ew_jsonw_put_text(json, "type", "object");
    ew_jsonw_put_bool(json, "additionalProperties", false);
    ew_jsonw_key(json, "properties");
    ew_jsonw_object(json);
    put_keys(json, &ew_config_sections[id]);
    for (int child = id + 1; child < EW_CONFIG_SECTIONS; child++) {
        const struct ew_config_section *sub = &ew_config_sections[child];
        if (sub->parent != id)
            continue;
        ew_jsonw_key(json, sub->name);
        ew_jsonw_object(json);
        ew_jsonw_put_text(json, "description", sub->meaning);
        if (sub->list_max)
            put_items(json, (enum ew_config_section_id)child);
        else
            put_section(json, (enum ew_config_section_id)child);
        ew_jsonw_end(json);
    }
    ew_jsonw_end(json);
    put_required(json, id);
}

int ew_config_schema(struct ew_buf *out, struct ew_err *err)
{
    struct ew_jsonw json;
    ew_jsonw_init(&json, out, EW_JSONW_PRETTY);
    ew_jsonw_object(&json);
    ew_jsonw_put_text(&json, "$schema", "https://json-schema.org/draft/2020-12/schema");
    ew_jsonw_put_text(&json, "title", "edgewise.yaml");
    ew_jsonw_put_text(&json, "description", ew_config_sections[EW_CONFIG_TOP].meaning);
    put_section(&json, EW_CONFIG_TOP);
    ew_jsonw_end(&json);
    return ew_jsonw_finish(&json, err);
}
