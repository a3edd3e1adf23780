/* config_keys.c - the tables that config_keys.h's rows make: libcyaml's schema, and ours. */
#include "flow/config_keys.h"

#include <stddef.h>

/* ---- libcyaml's ---- */

static const cyaml_schema_value_t text_schema = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0, EW_CONFIG_TEXT_MAX),
};

/* Everything is optional here: what is required is said in our own words. */
#define MAYBE (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define FIELD_TEXT(raw, key)                                                                       \
    CYAML_FIELD_STRING_PTR(#key, MAYBE, struct raw, key, 0, EW_CONFIG_TEXT_MAX),
#define FIELD_NAME     FIELD_TEXT
#define FIELD_PATH     FIELD_TEXT
#define FIELD_LEDGER   FIELD_TEXT
#define FIELD_HASH     FIELD_TEXT
#define FIELD_WHOLE    FIELD_TEXT
#define FIELD_REAL     FIELD_TEXT
#define FIELD_BOOL     FIELD_TEXT
#define FIELD_DURATION FIELD_TEXT
#define FIELD_DAYS     FIELD_TEXT
#define FIELD_SIZE     FIELD_TEXT
#define FIELD_FULL     FIELD_TEXT
#define FIELD_MODEL    FIELD_TEXT
#define FIELD_LIST(raw, key)                                                                       \
    CYAML_FIELD_SEQUENCE(#key, MAYBE, struct raw, key, &text_schema, 0, EW_CONFIG_LIST_MAX),
#define FIELD(raw, target, key, kind, ...) FIELD_##kind(raw, key)

static const cyaml_schema_field_t tls_fields[] = {
    EW_CONFIG_TLS_KEYS(FIELD, ew_config_raw_tls, ) CYAML_FIELD_END,
};
static const cyaml_schema_field_t accounting_fields[] = {
    EW_CONFIG_ACCOUNTING_KEYS(FIELD, ew_config_raw_accounting, ) CYAML_FIELD_END,
};
static const cyaml_schema_field_t device_fields[] = {
    EW_CONFIG_DEVICE_KEYS(FIELD, ew_config_raw_device, ) CYAML_FIELD_END,
};
static const cyaml_schema_value_t device_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ew_config_raw_device, device_fields),
};
static const cyaml_schema_field_t queue_fields[] = {
    EW_CONFIG_QUEUE_KEYS(FIELD, ew_config_raw_queue, ) CYAML_FIELD_END,
};
static const cyaml_schema_field_t timeouts_fields[] = {
    EW_CONFIG_TIMEOUTS_KEYS(FIELD, ew_config_raw_timeouts, ) CYAML_FIELD_END,
};
static const cyaml_schema_field_t policy_fields[] = {
    EW_CONFIG_POLICY_KEYS(FIELD, ew_config_raw_policy, )
        CYAML_FIELD_MAPPING_PTR("queue", MAYBE, struct ew_config_raw_policy, queue, queue_fields),
    CYAML_FIELD_MAPPING_PTR("timeouts", MAYBE, struct ew_config_raw_policy, timeouts,
                            timeouts_fields),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t limits_fields[] = {
    EW_CONFIG_LIMITS_KEYS(FIELD, ew_config_raw_limits, ) CYAML_FIELD_END,
};
static const cyaml_schema_field_t cors_fields[] = {
    EW_CONFIG_CORS_KEYS(FIELD, ew_config_raw_cors, ) CYAML_FIELD_END,
};
static const cyaml_schema_field_t client_limit_fields[] = {
    EW_CONFIG_CLIENT_LIMIT_KEYS(FIELD, ew_config_raw_client_limit, ) CYAML_FIELD_END,
};
static const cyaml_schema_value_t client_limit_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ew_config_raw_client_limit, client_limit_fields),
};
static const cyaml_schema_field_t client_fields[] = {
    EW_CONFIG_CLIENT_KEYS(FIELD, ew_config_raw_client, )
        CYAML_FIELD_SEQUENCE("limits", MAYBE, struct ew_config_raw_client, limits,
                             &client_limit_schema, 0, EW_CONFIG_LIST_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t client_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ew_config_raw_client, client_fields),
};
static const cyaml_schema_field_t top_fields[] = {
    EW_CONFIG_TOP_KEYS(FIELD, ew_config_raw, )
        CYAML_FIELD_MAPPING_PTR("tls", MAYBE, struct ew_config_raw, tls, tls_fields),
    CYAML_FIELD_MAPPING_PTR("accounting", MAYBE, struct ew_config_raw, accounting,
                            accounting_fields),
    CYAML_FIELD_SEQUENCE("devices", MAYBE, struct ew_config_raw, devices, &device_schema, 0,
                         EW_CONFIG_LIST_MAX),
    CYAML_FIELD_MAPPING_PTR("policy", MAYBE, struct ew_config_raw, policy, policy_fields),
    CYAML_FIELD_MAPPING_PTR("limits", MAYBE, struct ew_config_raw, limits, limits_fields),
    CYAML_FIELD_MAPPING_PTR("cors", MAYBE, struct ew_config_raw, cors, cors_fields),
    CYAML_FIELD_SEQUENCE("clients", MAYBE, struct ew_config_raw, clients, &client_schema, 0,
                         EW_CONFIG_LIST_MAX),
    CYAML_FIELD_END,
};
const cyaml_schema_value_t ew_config_raw_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct ew_config_raw, top_fields),
};

/* ---- ours ---- */

#define KEY(raw, target, key, kind, field, min, max, preset, meaning)                              \
    {                                                                                              \
        #key,                                                                                      \
        EW_CONFIG_##kind,                                                                          \
        offsetof(struct raw, key),                                                                 \
        offsetof(struct target, field),                                                            \
        min,                                                                                       \
        max,                                                                                       \
        preset,                                                                                    \
        meaning},

static const struct ew_config_key top_keys[] = {EW_CONFIG_TOP_KEYS(KEY, ew_config_raw, ew_config)};
static const struct ew_config_key tls_keys[] = {
    EW_CONFIG_TLS_KEYS(KEY, ew_config_raw_tls, ew_config)};
static const struct ew_config_key accounting_keys[] = {
    EW_CONFIG_ACCOUNTING_KEYS(KEY, ew_config_raw_accounting, ew_config)};
static const struct ew_config_key device_keys[] = {
    EW_CONFIG_DEVICE_KEYS(KEY, ew_config_raw_device, ew_config_device)};
static const struct ew_config_key policy_keys[] = {
    EW_CONFIG_POLICY_KEYS(KEY, ew_config_raw_policy, ew_config)};
static const struct ew_config_key queue_keys[] = {
    EW_CONFIG_QUEUE_KEYS(KEY, ew_config_raw_queue, ew_config)};
static const struct ew_config_key timeouts_keys[] = {
    EW_CONFIG_TIMEOUTS_KEYS(KEY, ew_config_raw_timeouts, ew_config)};
static const struct ew_config_key limits_keys[] = {
    EW_CONFIG_LIMITS_KEYS(KEY, ew_config_raw_limits, ew_config)};
static const struct ew_config_key cors_keys[] = {
    EW_CONFIG_CORS_KEYS(KEY, ew_config_raw_cors, ew_config)};
static const struct ew_config_key client_keys[] = {
    EW_CONFIG_CLIENT_KEYS(KEY, ew_config_raw_client, ew_config_client)};

static const struct ew_config_key client_limit_keys[] = {
    EW_CONFIG_CLIENT_LIMIT_KEYS(KEY, ew_config_raw_client_limit, ew_config_limit)};

#define SECTION(name, parent, list_max, keys, meaning)                                             \
    {                                                                                              \
        name, parent, list_max, keys, EW_COUNT(keys), meaning                                      \
    }

const struct ew_config_section ew_config_sections[EW_CONFIG_SECTIONS] = {
    [EW_CONFIG_TOP] =
        SECTION("", EW_CONFIG_TOP, 0, top_keys, "what a server is and whom it serves"),
    [EW_CONFIG_TLS] =
        SECTION("tls", EW_CONFIG_TOP, 0, tls_keys, "both, and the server speaks HTTPS alone"),
    [EW_CONFIG_ACCOUNTING] =
        SECTION("accounting", EW_CONFIG_TOP, 0, accounting_keys, "how the ledger is kept"),
    [EW_CONFIG_DEVICE] = SECTION("devices", EW_CONFIG_TOP, EW_CONFIG_DEVICES_MAX, device_keys,
                                 "who computes: one, the built-in engine"),
    [EW_CONFIG_POLICY] =
        SECTION("policy", EW_CONFIG_TOP, 0, policy_keys, "who is served when, and at what price"),
    [EW_CONFIG_QUEUE] =
        SECTION("queue", EW_CONFIG_POLICY, 0, queue_keys, "where requests wait for a stream"),
    [EW_CONFIG_TIMEOUTS] =
        SECTION("timeouts", EW_CONFIG_POLICY, 0, timeouts_keys, "after which we give up"),
    [EW_CONFIG_LIMITS] =
        SECTION("limits", EW_CONFIG_TOP, 0, limits_keys, "of what the network may send"),
    [EW_CONFIG_CORS] =
        SECTION("cors", EW_CONFIG_TOP, 0, cors_keys, "pages in browsers that may ask"),
    [EW_CONFIG_CLIENT] = SECTION("clients", EW_CONFIG_TOP, EW_CONFIG_CLIENTS_MAX, client_keys,
                                 "who may ask; with any, every request needs a key"),
    [EW_CONFIG_CLIENT_LIMIT] =
        SECTION("limits", EW_CONFIG_CLIENT, EW_CONFIG_LIMITS_MAX, client_limit_keys,
                "of what a client may use in a stretch of time; 429 beyond"),
};
