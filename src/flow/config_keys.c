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
#define FIELD_NAME          FIELD_TEXT
#define FIELD_PATH          FIELD_TEXT
#define FIELD_LEDGER        FIELD_TEXT
#define FIELD_HASH          FIELD_TEXT
#define FIELD_WHOLE         FIELD_TEXT
#define FIELD_REAL          FIELD_TEXT
#define FIELD_BOOL          FIELD_TEXT
#define FIELD_DURATION      FIELD_TEXT
#define FIELD_DAYS          FIELD_TEXT
#define FIELD_SIZE          FIELD_TEXT
#define FIELD_MAYBE         FIELD_TEXT
#define FIELD_URL           FIELD_TEXT
#define FIELD_ENV           FIELD_TEXT
#define FIELD_FULL          FIELD_TEXT
#define FIELD_SELECT        FIELD_TEXT
#define FIELD_API           FIELD_TEXT
#define FIELD_MIDSTREAM     FIELD_TEXT
#define FIELD_STICKY        FIELD_TEXT
#define FIELD_MODEL         FIELD_TEXT
#define FIELD_MAP(raw, key) CYAML_FIELD_IGNORE(#key, CYAML_FLAG_OPTIONAL),
#define FIELD_LIST(raw, key)                                                                       \
    CYAML_FIELD_SEQUENCE(#key, MAYBE, struct raw, key, &text_schema, 0, EW_CONFIG_LIST_MAX),
#define FIELD(raw, target, key, kind, ...) FIELD_##kind(raw, key)

static const cyaml_schema_field_t tls_fields[] = {
    EW_CONFIG_TLS_KEYS(FIELD, ew_config_raw_tls, ) CYAML_FIELD_END,
};
static const cyaml_schema_field_t accounting_fields[] = {
    EW_CONFIG_ACCOUNTING_KEYS(FIELD, ew_config_raw_accounting, ) CYAML_FIELD_END,
};
static const cyaml_schema_field_t join_fields[] = {
    EW_CONFIG_JOIN_KEYS(FIELD, ew_config_raw_join, ) CYAML_FIELD_END,
};
static const cyaml_schema_field_t limit_fields[] = {
    EW_CONFIG_LIMIT_KEYS(FIELD, ew_config_raw_limit, ) CYAML_FIELD_END,
};
static const cyaml_schema_value_t limit_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ew_config_raw_limit, limit_fields),
};
#define FIELD_LIMITS(raw)                                                                          \
    CYAML_FIELD_SEQUENCE("limits", MAYBE, struct raw, limits, &limit_schema, 0, EW_CONFIG_LIST_MAX)
static const cyaml_schema_field_t device_fields[] = {
    EW_CONFIG_DEVICE_KEYS(FIELD, ew_config_raw_device, ) FIELD_LIMITS(ew_config_raw_device),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t device_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ew_config_raw_device, device_fields),
};
static const cyaml_schema_field_t cloud_fields[] = {
    EW_CONFIG_CLOUD_KEYS(FIELD, ew_config_raw_cloud, ) FIELD_LIMITS(ew_config_raw_cloud),
    CYAML_FIELD_IGNORE("budget", CYAML_FLAG_OPTIONAL),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t cloud_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ew_config_raw_cloud, cloud_fields),
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
static const cyaml_schema_field_t client_fields[] = {
    EW_CONFIG_CLIENT_KEYS(FIELD, ew_config_raw_client, ) FIELD_LIMITS(ew_config_raw_client),
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
    CYAML_FIELD_MAPPING_PTR("join", MAYBE, struct ew_config_raw, join, join_fields),
    CYAML_FIELD_SEQUENCE("devices", MAYBE, struct ew_config_raw, devices, &device_schema, 0,
                         EW_CONFIG_LIST_MAX),
    CYAML_FIELD_SEQUENCE("clouds", MAYBE, struct ew_config_raw, clouds, &cloud_schema, 0,
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
static const struct ew_config_key join_keys[] = {
    EW_CONFIG_JOIN_KEYS(KEY, ew_config_raw_join, ew_config)};
static const struct ew_config_key device_keys[] = {
    EW_CONFIG_DEVICE_KEYS(KEY, ew_config_raw_device, ew_config_device)};
static const struct ew_config_key cloud_keys[] = {
    EW_CONFIG_CLOUD_KEYS(KEY, ew_config_raw_cloud, ew_config_cloud)};
static const struct ew_config_key budget_keys[] = {
    EW_CONFIG_BUDGET_KEYS(KEY, ew_config_raw_budget, ew_config_limit)};
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
static const struct ew_config_key limit_keys[] = {
    EW_CONFIG_LIMIT_KEYS(KEY, ew_config_raw_limit, ew_config_limit)};

#define SECTION(name, parent, list_max, alone, keys, meaning)                                      \
    {                                                                                              \
        name, parent, list_max, alone, keys, EW_COUNT(keys), meaning                               \
    }
#define MAPPING(name, parent, keys, meaning)   SECTION(name, parent, 0, false, keys, meaning)
#define LIST(name, parent, max, keys, meaning) SECTION(name, parent, max, false, keys, meaning)

const struct ew_config_section ew_config_sections[EW_CONFIG_SECTIONS] = {
    [EW_CONFIG_TOP] = MAPPING("", EW_CONFIG_TOP, top_keys, "what a server is and whom it serves"),
    [EW_CONFIG_TLS] =
        MAPPING("tls", EW_CONFIG_TOP, tls_keys, "both, and the server speaks HTTPS alone"),
    [EW_CONFIG_ACCOUNTING] =
        MAPPING("accounting", EW_CONFIG_TOP, accounting_keys, "how the ledger is kept"),
    [EW_CONFIG_JOIN] = MAPPING("join", EW_CONFIG_TOP, join_keys, "devices may join by themselves"),
    [EW_CONFIG_DEVICE] = LIST("devices", EW_CONFIG_TOP, EW_CONFIG_DEVICES_MAX, device_keys,
                              "who computes: the built-in engine, and other engines by their url"),
    [EW_CONFIG_DEVICE_LIMIT] = LIST("limits", EW_CONFIG_DEVICE, EW_CONFIG_LIMITS_MAX, limit_keys,
                                    "of what a device is given in a stretch of time"),
    [EW_CONFIG_CLOUD] = LIST("clouds", EW_CONFIG_TOP, EW_CONFIG_CLOUDS_MAX, cloud_keys,
                             "who answers when no device can"),
    [EW_CONFIG_CLOUD_LIMIT] = LIST("limits", EW_CONFIG_CLOUD, EW_CONFIG_LIMITS_MAX, limit_keys,
                                   "of what a cloud is given in a stretch of time"),
    [EW_CONFIG_BUDGET] = SECTION("budget", EW_CONFIG_CLOUD, EW_CONFIG_LIMITS_MAX, true, budget_keys,
                                 "of the money that a cloud may cost"),
    [EW_CONFIG_POLICY] =
        MAPPING("policy", EW_CONFIG_TOP, policy_keys, "who is served when, by whom, at what price"),
    [EW_CONFIG_QUEUE] =
        MAPPING("queue", EW_CONFIG_POLICY, queue_keys, "where requests wait for a place"),
    [EW_CONFIG_TIMEOUTS] =
        MAPPING("timeouts", EW_CONFIG_POLICY, timeouts_keys, "after which we give up"),
    [EW_CONFIG_LIMITS] =
        MAPPING("limits", EW_CONFIG_TOP, limits_keys, "of what the network may send"),
    [EW_CONFIG_CORS] = MAPPING("cors", EW_CONFIG_TOP, cors_keys, "pages in browsers that may ask"),
    [EW_CONFIG_CLIENT] = LIST("clients", EW_CONFIG_TOP, EW_CONFIG_CLIENTS_MAX, client_keys,
                              "who may ask; with any, every request needs a key"),
    [EW_CONFIG_CLIENT_LIMIT] = LIST("limits", EW_CONFIG_CLIENT, EW_CONFIG_LIMITS_MAX, limit_keys,
                                    "of what a client may use in a stretch of time; 429 beyond"),
};
