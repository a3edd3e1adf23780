/* config_keys.h - every key of edgewise.yaml, once: for config*.c alone.
 *
 * A row says what a key is called, what kind of value it takes, where that goes, its range, what it
 * is when left out, and what it means. Of these rows are made: what libcyaml reads into, its
 * schema, the values' checks and defaults, the published JSON Schema, and (by a test) the tables of
 * docs/CONFIG.md. All scalars are read as text: a duration isn't YAML's to know, and one sentence
 * for all kinds says what was expected.
 *
 * X(raw, target, key, KIND, field, min, max, preset, meaning): struct `raw` is what libcyaml fills,
 * struct `target` has the field. preset NULL: nothing, and the meaning tells what that is. */
#ifndef EW_CONFIG_KEYS_H
#define EW_CONFIG_KEYS_H

#include "flow/config.h"
#include "flow/data.h"

enum ew_config_kind {
    EW_CONFIG_TEXT,
    EW_CONFIG_NAME,     /* letters, digits, dot, dash, underscore; max bytes */
    EW_CONFIG_PATH,     /* of a file, relative to the configuration's */
    EW_CONFIG_LEDGER,   /* a path, or "none" */
    EW_CONFIG_HASH,     /* 64 hexadecimal digits */
    EW_CONFIG_WHOLE,    /* uint32_t or int */
    EW_CONFIG_REAL,     /* double */
    EW_CONFIG_BOOL,     /* bool */
    EW_CONFIG_DURATION, /* double, seconds */
    EW_CONFIG_DAYS,     /* a duration of whole days, uint32_t */
    EW_CONFIG_SIZE,     /* uint64_t, bytes */
    EW_CONFIG_MAYBE,    /* double, NAN when left out */
    EW_CONFIG_URL,      /* http:// or https://, without a key in it */
    EW_CONFIG_ENV,      /* name of an environment variable */
    EW_CONFIG_FULL,     /* enum ew_on_full */
    EW_CONFIG_SELECT,   /* enum ew_select */
    EW_CONFIG_API,      /* enum ew_config_api */
    EW_CONFIG_MIDSTREAM,
    EW_CONFIG_STICKY,
    EW_CONFIG_MODEL, /* catalog name or path; becomes a list of one */
    EW_CONFIG_LIST,  /* of texts; max entries */
    EW_CONFIG_MAP,   /* of texts by free keys; max entries; libcyaml passes it over */
    EW_CONFIG_KINDS
};

struct ew_config_key {
    const char *name;
    enum ew_config_kind kind;
    size_t raw, field; /* offsets */
    double min, max;
    const char *preset, *meaning;
};

#define EW_CONFIG_TOP_KEYS(X, raw, target)                                                         \
    X(raw, target, listen, TEXT, listen, 0, 0, "127.0.0.1:8080",                                   \
      "address and port; port 0 picks a free one. Every address but loopback needs clients")       \
    X(raw, target, insecure, BOOL, insecure, 0, 0, "false",                                        \
      "serve a public address without keys: whoever reaches the port may use it")                  \
    X(raw, target, ledger, LEDGER, ledger, 0, 0, NULL,                                             \
      "SQLite file of the account, or none; left out: edgewise/ledger.db in $XDG_DATA_HOME")       \
    X(raw, target, prices, PATH, prices, 0, 0, NULL,                                               \
      "price table of clouds; left out: the one inside the program")

#define EW_CONFIG_TLS_KEYS(X, raw, target)                                                         \
    X(raw, target, certificate, PATH, tls_certificate, 0, 0, NULL,                                 \
      "PEM file of the certificate and its chain")                                                 \
    X(raw, target, key, PATH, tls_key, 0, 0, NULL, "PEM file of its private key")

#define EW_CONFIG_ACCOUNTING_KEYS(X, raw, target)                                                  \
    X(raw, target, durable, BOOL, ledger_durable, 0, 0, "false",                                   \
      "an answer ends only when its row is safe on the disk")                                      \
    X(raw, target, keep, DAYS, ledger_keep_days, 0, 36500, "0",                                    \
      "rows older than that are deleted; 0: never")                                                \
    X(raw, target, prompts, BOOL, ledger_prompts, 0, 0, "false", "keep the text of prompts, too")

#define EW_CONFIG_JOIN_KEYS(X, raw, target)                                                        \
    X(raw, target, secret, PATH, join_secret, 0, 0, NULL,                                          \
      "file with the secret that join tokens are made with")

#define EW_CONFIG_DEVICE_KEYS(X, raw, target)                                                      \
    X(raw, target, name, NAME, name, 1, 63, "here",                                                \
      "how answers and the ledger call it; required beside a url")                                 \
    X(raw, target, url, URL, url, 0, 0, NULL,                                                      \
      "where another engine answers; left out: the engine built in")                               \
    X(raw, target, api, API, api, 0, 0, "openai", "what it speaks; only with url")                 \
    X(raw, target, model, MODEL, models, 0, 0, NULL,                                               \
      "catalog name or path; short for models: [M]")                                               \
    X(raw, target, models, LIST, models, 1, EW_CONFIG_MODELS_MAX, NULL,                            \
      "of the engine: catalog names or paths, the first is loaded at start and stays, others "     \
      "when "                                                                                      \
      "asked for. With url: what may be asked of it; left out: what it says that it has")          \
    X(raw, target, weight, REAL, weight, 1e-3, 1e6, "1",                                           \
      "twice the weight, twice the share, where the selection goes by weight")                     \
    X(raw, target, concurrency, WHOLE, concurrency, 1, 100000, NULL,                               \
      "requests at once. Of the engine: answers of one model computed together, 64 at most; left " \
      "out: 16. With url: left out: no limit")                                                     \
    X(raw, target, quality, MAYBE, quality, 0, 1, NULL,                                            \
      "share of questions that its models answer right; left out: by the table of qualities")      \
    X(raw, target, key_env, ENV, key_env, 0, 0, NULL,                                              \
      "environment variable that has its key; only with url")                                      \
    X(raw, target, key_file, PATH, key_file, 0, 0, NULL, "or: file that has it; only with url")    \
    X(raw, target, ca, PATH, ca, 0, 0, NULL,                                                       \
      "PEM file of the authority that signed its certificate; only with an https url")             \
    X(raw, target, threads, WHOLE, threads, 1, 256, NULL,                                          \
      "of the engine; left out: all usable cores")                                                 \
    X(raw, target, ctx, WHOLE, ctx, 16, 1 << 20, NULL,                                             \
      "of the engine: positions of one conversation; left out: 4096, or the model's if that is "   \
      "less")                                                                                      \
    X(raw, target, memory, SIZE, memory_max, 16 << 20, 1ull << 50, NULL,                           \
      "of the engine: all models together; left out: what the machine has available")              \
    X(raw, target, idle_unload, DURATION, idle_unload_s, 0, 365 * 86400.0, "0",                    \
      "of the engine: a model that isn't the first is unloaded when nobody asked for so long; 0: " \
      "never")                                                                                     \
    X(raw, target, profile, TEXT, profile, 0, 0, NULL,                                             \
      "device profile, by name or file: its watts, and with url the speeds to start from")         \
    X(raw, target, watts, REAL, watts, 1e-3, 1e4, NULL,                                            \
      "or: this many at all times. Without either, energy is unknown")

#define EW_CONFIG_CLOUD_KEYS(X, raw, target)                                                       \
    X(raw, target, name, NAME, name, 1, 63, NULL, "how answers and the ledger call it; required")  \
    X(raw, target, api, API, api, 0, 0, "openai", "what it speaks")                                \
    X(raw, target, url, URL, url, 0, 0, NULL,                                                      \
      "left out: https://api.openai.com/v1 or https://api.anthropic.com/v1; ollama has none")      \
    X(raw, target, key_env, ENV, key_env, 0, 0, NULL, "environment variable that has its key")     \
    X(raw, target, key_file, PATH, key_file, 0, 0, NULL, "or: file that has it")                   \
    X(raw, target, ca, PATH, ca, 0, 0, NULL,                                                       \
      "PEM file of the authority that signed its certificate; left out: those of the system")      \
    X(raw, target, models, MAP, names, 1, EW_CONFIG_NAMES_MAX, NULL,                               \
      "what a model that is asked for is called there; \"*\" is every other. Left out: it has "    \
      "every model, by its own name")                                                              \
    X(raw, target, price, TEXT, price, 0, 0, NULL,                                                 \
      "name in the price table, as openai/gpt-5.4-mini; left out: costs are unknown")              \
    X(raw, target, weight, REAL, weight, 1e-3, 1e6, "1",                                           \
      "twice the weight, twice the share, where the selection goes by weight")                     \
    X(raw, target, concurrency, WHOLE, concurrency, 1, 100000, NULL,                               \
      "requests at once; left out: no limit")                                                      \
    X(raw, target, quality, MAYBE, quality, 0, 1, NULL,                                            \
      "share of questions that it answers right; left out: by the table of qualities")

#define EW_CONFIG_BUDGET_KEYS(X, raw, target)                                                      \
    X(raw, target, usd, REAL, cents, 1e-4, 1e9, NULL, "so many dollars; required")                 \
    X(raw, target, per, DURATION, per_s, 1, 366 * 86400.0, NULL,                                   \
      "in any stretch of that length; required")

#define EW_CONFIG_POLICY_KEYS(X, raw, target)                                                      \
    X(raw, target, select, SELECT, select, 0, 0, "load-aware",                                     \
      "which device answers, among several that can")                                              \
    X(raw, target, on_full, FULL, on_full, 0, 0, NULL,                                             \
      "what happens to a request when all devices are busy: it waits, is refused with 503, or a "  \
      "cloud answers; left out: cloud where there are clouds, else queue")                         \
    X(raw, target, alpha, REAL, alpha, 0, 1, "0.5",                                                \
      "utility is alpha times quality, and the rest responsiveness")                               \
    X(raw, target, tariff_cents_per_kwh, REAL, tariff_cents_per_kwh, 0, 1e6, "25",                 \
      "price of electricity")                                                                      \
    X(raw, target, midstream, MIDSTREAM, midstream, 0, 0, "error",                                 \
      "when a device fails in the middle of a streamed answer: tell the client, or continue on "   \
      "another")                                                                                   \
    X(raw, target, sticky, STICKY, sticky, 0, 0, "prefix",                                         \
      "what keeps a conversation where it was answered before: its beginning, its session, or "    \
      "nothing")                                                                                   \
    X(raw, target, sticky_for, DURATION, sticky_s, 1, 30 * 86400.0, "10m",                         \
      "so long after its latest request")                                                          \
    X(raw, target, min_quality, MAYBE, quality_min, 0, 1, NULL,                                    \
      "worse models don't answer, unless a request says another Q; left out: any may")             \
    X(raw, target, min_battery, MAYBE, battery_min, 0, 1, NULL,                                    \
      "devices with less charge, and not plugged in, are spared; left out: none is")               \
    X(raw, target, max_temperature_c, MAYBE, temperature_max_c, 1, 200, NULL,                      \
      "hotter devices are spared; left out: none is")                                              \
    X(raw, target, probe, DURATION, probe_s, 0.1, 3600, "5s", "between two looks at a device")

#define EW_CONFIG_QUEUE_KEYS(X, raw, target)                                                       \
    X(raw, target, max, WHOLE, queue_max, 0, 100000, "64", "requests that wait; 503 to more")      \
    X(raw, target, timeout, DURATION, queue_timeout_s, 0.001, 86400, "60s",                        \
      "the longest that one waits before it is refused with 503")

#define EW_CONFIG_TIMEOUTS_KEYS(X, raw, target)                                                    \
    X(raw, target, connect, DURATION, connect_timeout_s, 0.001, 3600, "2s",                        \
      "until a device or cloud has taken the connection")                                          \
    X(raw, target, first_token, DURATION, first_token_timeout_s, 0.001, 86400, "30s",              \
      "from there to the first token of its answer")                                               \
    X(raw, target, stall, DURATION, stall_timeout_s, 0.001, 86400, "15s",                          \
      "between two pieces of its answer")                                                          \
    X(raw, target, request, DURATION, request_timeout_s, 0.001, 7 * 86400.0, "10m",                \
      "from a request's arrival to the end of its answer")                                         \
    X(raw, target, drain, DURATION, drain_timeout_s, 0, 86400, "30s",                              \
      "what is under way at SIGTERM may take so long to end")

#define EW_CONFIG_LIMITS_KEYS(X, raw, target)                                                      \
    X(raw, target, body, SIZE, body_bytes_max, 1024, 1 << 30, "16M",                               \
      "the largest body of a request; 413 to larger ones")                                         \
    X(raw, target, connections, WHOLE, connections_max, 1, 1000000, "10000",                       \
      "open connections; 503 to more")

#define EW_CONFIG_CORS_KEYS(X, raw, target)                                                        \
    X(raw, target, origins, LIST, cors_origins, 1, EW_CONFIG_ORIGINS_MAX, NULL,                    \
      "web pages that may ask: https://app.example, or \"*\" for all; left out: none")

#define EW_CONFIG_CLIENT_KEYS(X, raw, target)                                                      \
    X(raw, target, name, NAME, name, 1, 63, NULL, "how the ledger calls it; required")             \
    X(raw, target, key_hash, HASH, key_hash, 0, 0, NULL,                                           \
      "sha256 of its key, as edgewise serve --new-key NAME prints it; required")                   \
    X(raw, target, requests, WHOLE, requests_max, 1, 100000, NULL,                                 \
      "waiting and running at once, 429 to more; left out: no limit of its own")                   \
    X(raw, target, edge_only, BOOL, edge_only, 0, 0, "false", "its requests never reach a cloud")  \
    X(raw, target, degrade, BOOL, degrade, 0, 0, "false",                                          \
      "a smaller model may answer when the one asked for is out of reach")                         \
    X(raw, target, min_quality, MAYBE, quality_min, 0, 1, NULL,                                    \
      "worse models don't answer it, and its requests may raise this, not lower it; left out: as " \
      "policy.min_quality says")

#define EW_CONFIG_LIMIT_KEYS(X, raw, target)                                                       \
    X(raw, target, requests, WHOLE, requests, 1, 1000000, NULL, "so many requests at most, or")    \
    X(raw, target, tokens, WHOLE, tokens, 1, 1000000000, NULL,                                     \
      "so many tokens, of prompts and answers together, or")                                       \
    X(raw, target, joules, REAL, joules, 1e-3, 1e12, NULL, "so many joules, or")                   \
    X(raw, target, cents, REAL, cents, 1e-3, 1e9, NULL,                                            \
      "so many cents, of electricity and of clouds")                                               \
    X(raw, target, per, DURATION, per_s, 1, 366 * 86400.0, NULL,                                   \
      "in any stretch of that length; required")

/* ---- what libcyaml reads into ---- */

#define EW_CONFIG_RAW_TEXT(key)      char *key;
#define EW_CONFIG_RAW_NAME(key)      char *key;
#define EW_CONFIG_RAW_PATH(key)      char *key;
#define EW_CONFIG_RAW_LEDGER(key)    char *key;
#define EW_CONFIG_RAW_HASH(key)      char *key;
#define EW_CONFIG_RAW_WHOLE(key)     char *key;
#define EW_CONFIG_RAW_REAL(key)      char *key;
#define EW_CONFIG_RAW_BOOL(key)      char *key;
#define EW_CONFIG_RAW_DURATION(key)  char *key;
#define EW_CONFIG_RAW_DAYS(key)      char *key;
#define EW_CONFIG_RAW_SIZE(key)      char *key;
#define EW_CONFIG_RAW_MAYBE(key)     char *key;
#define EW_CONFIG_RAW_URL(key)       char *key;
#define EW_CONFIG_RAW_ENV(key)       char *key;
#define EW_CONFIG_RAW_FULL(key)      char *key;
#define EW_CONFIG_RAW_SELECT(key)    char *key;
#define EW_CONFIG_RAW_API(key)       char *key;
#define EW_CONFIG_RAW_MIDSTREAM(key) char *key;
#define EW_CONFIG_RAW_STICKY(key)    char *key;
#define EW_CONFIG_RAW_MODEL(key)     char *key;
#define EW_CONFIG_RAW_MAP(key)       char *key; /* never filled */
#define EW_CONFIG_RAW_LIST(key)                                                                    \
    char **key;                                                                                    \
    unsigned key##_count;
#define EW_CONFIG_RAW(raw, target, key, kind, ...) EW_CONFIG_RAW_##kind(key)

struct ew_config_raw_tls {
    EW_CONFIG_TLS_KEYS(EW_CONFIG_RAW, , )
};
struct ew_config_raw_accounting {
    EW_CONFIG_ACCOUNTING_KEYS(EW_CONFIG_RAW, , )
};
struct ew_config_raw_join {
    EW_CONFIG_JOIN_KEYS(EW_CONFIG_RAW, , )
};
struct ew_config_raw_limit {
    EW_CONFIG_LIMIT_KEYS(EW_CONFIG_RAW, , )
};
struct ew_config_raw_device {
    EW_CONFIG_DEVICE_KEYS(EW_CONFIG_RAW, , )
    struct ew_config_raw_limit *limits;
    unsigned limits_count;
};
/* One mapping or a list of them: not for libcyaml, so these texts are the tree's. */
struct ew_config_raw_budget {
    EW_CONFIG_BUDGET_KEYS(EW_CONFIG_RAW, , )
};
struct ew_config_raw_cloud {
    EW_CONFIG_CLOUD_KEYS(EW_CONFIG_RAW, , )
    struct ew_config_raw_limit *limits;
    unsigned limits_count;
};
struct ew_config_raw_queue {
    EW_CONFIG_QUEUE_KEYS(EW_CONFIG_RAW, , )
};
struct ew_config_raw_timeouts {
    EW_CONFIG_TIMEOUTS_KEYS(EW_CONFIG_RAW, , )
};
struct ew_config_raw_policy {
    EW_CONFIG_POLICY_KEYS(EW_CONFIG_RAW, , )
    struct ew_config_raw_queue *queue;
    struct ew_config_raw_timeouts *timeouts;
};
struct ew_config_raw_limits {
    EW_CONFIG_LIMITS_KEYS(EW_CONFIG_RAW, , )
};
struct ew_config_raw_cors {
    EW_CONFIG_CORS_KEYS(EW_CONFIG_RAW, , )
};
struct ew_config_raw_client {
    EW_CONFIG_CLIENT_KEYS(EW_CONFIG_RAW, , )
    struct ew_config_raw_limit *limits;
    unsigned limits_count;
};
struct ew_config_raw {
    EW_CONFIG_TOP_KEYS(EW_CONFIG_RAW, , )
    struct ew_config_raw_tls *tls;
    struct ew_config_raw_accounting *accounting;
    struct ew_config_raw_join *join;
    struct ew_config_raw_device *devices;
    unsigned devices_count;
    struct ew_config_raw_cloud *clouds;
    unsigned clouds_count;
    struct ew_config_raw_policy *policy;
    struct ew_config_raw_limits *limits;
    struct ew_config_raw_cors *cors;
    struct ew_config_raw_client *clients;
    unsigned clients_count;
};

extern const cyaml_schema_value_t ew_config_raw_schema;

/* The mappings, in the order of the page: parents before their children. */
enum ew_config_section_id {
    EW_CONFIG_TOP,
    EW_CONFIG_TLS,
    EW_CONFIG_ACCOUNTING,
    EW_CONFIG_JOIN,
    EW_CONFIG_DEVICE,
    EW_CONFIG_DEVICE_LIMIT,
    EW_CONFIG_CLOUD,
    EW_CONFIG_CLOUD_LIMIT,
    EW_CONFIG_BUDGET,
    EW_CONFIG_POLICY,
    EW_CONFIG_QUEUE,
    EW_CONFIG_TIMEOUTS,
    EW_CONFIG_LIMITS,
    EW_CONFIG_CORS,
    EW_CONFIG_CLIENT,
    EW_CONFIG_CLIENT_LIMIT,
    EW_CONFIG_SECTIONS
};
struct ew_config_section {
    const char *name; /* "queue"; "" on top */
    enum ew_config_section_id parent;
    unsigned list_max; /* > 0: it is a list of such mappings */
    bool alone;        /* one of them may stand without a list */
    const struct ew_config_key *keys;
    size_t key_count;
    const char *meaning;
};
extern const struct ew_config_section ew_config_sections[EW_CONFIG_SECTIONS];

/* The words of a kind that has some, by the value of its enum, NULL behind the last; else NULL. */
const char *const *ew_config_words(enum ew_config_kind kind);
/* What a value of that kind has to be: "a whole number from 1 to 256". */
void ew_config_expects(const struct ew_config_key *key, char *text, size_t size);
/* Text -> field of `target`; texts are malloc'ed. Not for MODEL, LIST and MAP. `base`: the folder
 * of the file, with its slash. The error is what was expected, and what was there. */
int ew_config_take(void *target, const struct ew_config_key *key, const char *text,
                   const char *base, struct ew_err *err);
/* A path below `base` unless it is absolute; malloc'ed. */
int ew_config_resolve(char **gives, const char *path, const char *base, struct ew_err *err);
/* sha256 as 64 hexadecimal digits. */
int ew_config_text_hash(struct ew_str text, char hex[65], struct ew_err *err);
/* Names of models and profiles stay as they are; paths of their files are resolved. */
bool ew_config_is_path(const char *word);

#endif
