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

static void put_enum(struct ew_jsonw *json, const char *a, const char *b)
{
    ew_jsonw_key(json, "enum");
    ew_jsonw_array(json);
    ew_jsonw_text(json, a);
    ew_jsonw_text(json, b);
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
    case EW_CONFIG_FULL:
        put_enum(json, "queue", "reject");
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

/* Sections nest two deep, and a section's children stand behind it in the table. */
static void put_section(struct ew_jsonw *json, enum ew_config_section_id id)
{
    const struct ew_config_section *section = &ew_config_sections[id];
    ew_jsonw_put_text(json, "type", "object");
    ew_jsonw_put_bool(json, "additionalProperties", false);
    ew_jsonw_key(json, "properties");
    ew_jsonw_object(json);
    for (size_t i = 0; i < section->key_count; i++) {
        ew_jsonw_key(json, section->keys[i].name);
        ew_jsonw_object(json);
        ew_jsonw_put_text(json, "description", section->keys[i].meaning);
        put_type(json, &section->keys[i]);
        put_preset(json, &section->keys[i]);
        ew_jsonw_end(json);
    }
    for (int child = id + 1; child < EW_CONFIG_SECTIONS; child++) {
        const struct ew_config_section *sub = &ew_config_sections[child];
        if (sub->parent != id)
            continue;
        ew_jsonw_key(json, sub->name);
        ew_jsonw_object(json);
        ew_jsonw_put_text(json, "description", sub->meaning);
        if (sub->list_max) {
            ew_jsonw_put_text(json, "type", "array");
            ew_jsonw_put_int(json, "maxItems", sub->list_max);
            ew_jsonw_key(json, "items");
            ew_jsonw_object(json);
        }
        put_section(json, (enum ew_config_section_id)child);
        if (sub->list_max)
            ew_jsonw_end(json);
        ew_jsonw_end(json);
    }
    ew_jsonw_end(json);
    if (id == EW_CONFIG_CLIENT) {
        ew_jsonw_key(json, "required");
        ew_jsonw_array(json);
        ew_jsonw_text(json, "name");
        ew_jsonw_text(json, "key_hash");
        ew_jsonw_end(json);
    }
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
