/* config.h - edgewise.yaml: what a server is and whom it serves.
 *
 * The schema is libcyaml's; unknown keys, wrong types and values out of range are errors that name
 * file and line. docs/CONFIG.md tells every key; a test holds it against this file. Durations are
 * text with a unit ("10s", "500ms", "2m", "1h", "7d"), sizes too ("512M", "2G"); the struct has
 * them as numbers. */
#ifndef EW_CONFIG_H
#define EW_CONFIG_H

#include "base/buf.h"
#include "flow/decision.h"

/* Well above what is written by hand. */
#define EW_CONFIG_BYTES_MAX (1u << 20) /* of the file */
enum {
    EW_CONFIG_DEVICES_MAX = 1000, /* the built-in engine, and others */
    EW_CONFIG_CLOUDS_MAX = 32,
    EW_CONFIG_LIMITS_MAX = 8,  /* of one device, cloud or client */
    EW_CONFIG_NAMES_MAX = 256, /* entries of a cloud's map of models */
    EW_CONFIG_MODELS_MAX = 64,
    EW_CONFIG_ORIGINS_MAX = 64,
    EW_CONFIG_CLIENTS_MAX = 1024,
    EW_CONFIG_LIST_MAX = 4096, /* what the reader takes of any list before it is told it's long */
    EW_CONFIG_TEXT_MAX = 1024, /* bytes of a value */
    EW_CONFIG_KEY_MAX = 256,   /* bytes of a client's key */
};

/* What a device or a cloud speaks: src/api/dialect.h. */
enum ew_config_api { EW_API_OPENAI, EW_API_ANTHROPIC, EW_API_OLLAMA };

/* At most so much in any stretch of `per_s`; one of the four is set, the others are 0. */
struct ew_config_limit {
    uint32_t requests, tokens;
    double joules, cents;
    double per_s;
};

/* Without `url` the built-in engine with one or more models, else another engine. */
struct ew_config_device {
    char *name;
    char **models; /* the engine's: catalog names or paths; another's: none: it is asked for them */
    unsigned model_count;
    uint32_t concurrency; /* streams computed together; another's: requests at once, 0: no limit */
    double weight;        /* of the selection; default 1 */
    double quality;       /* of its models, 0..1; NAN: by the capability table, if at all */
    struct ew_config_limit limits[EW_CONFIG_LIMITS_MAX];
    unsigned limit_count;
    /* Of another engine. */
    char *url; /* "http://10.0.0.5:8080/v1"; NULL: the built-in engine */
    enum ew_config_api api;
    char *key_env, *key_file; /* where its key is; NULL: it wants none */
    char *key_at;             /* where that stands, as "front.yaml:4: devices[0].key_env" */
    char *ca;                 /* PEM file of the authority of its certificate */
    /* Of the built-in engine. */
    int threads;          /* 0: all usable cores */
    uint32_t ctx;         /* positions of one stream; 0: 4096 or the model's */
    uint64_t memory_max;  /* all models together; 0: what the machine has available */
    double idle_unload_s; /* 0: never; the first model of the list stays loaded anyway */
    char *profile;        /* whose watts are taken; NULL: none */
    double watts;         /* or: this many; 0: not given */
};

/* What a requested model is called at a cloud; "*" stands for all others. */
struct ew_config_name {
    char *asked, *there;
};

struct ew_config_cloud {
    char *name;
    enum ew_config_api api;
    char *url; /* left out in the file: the documented address of that API */
    char *key_env, *key_file, *key_at;
    char *ca;
    struct ew_config_name *names;
    unsigned name_count;
    char *price;          /* "openai/gpt-5.4-mini" of the price table; NULL: unknown */
    uint32_t concurrency; /* 0: no limit */
    double weight, quality;
    struct ew_config_limit limits[EW_CONFIG_LIMITS_MAX]; /* budgets too: as cents */
    unsigned limit_count;
};

enum ew_config_midstream { EW_MIDSTREAM_ERROR, EW_MIDSTREAM_CONTINUE };
/* What keeps a conversation at the place that answered it before. */
enum ew_config_sticky { EW_STICKY_PREFIX, EW_STICKY_SESSION, EW_STICKY_OFF };

struct ew_config_client {
    char *name;
    char *key_hash;        /* sha256 of the key, 64 hexadecimal digits */
    bool edge_only;        /* its requests never reach a cloud */
    bool degrade;          /* a smaller model is better than none */
    double quality_min;    /* NAN: any */
    uint32_t requests_max; /* waiting and running at once; 429 beyond; 0: no limit of its own */
    struct ew_config_limit limits[EW_CONFIG_LIMITS_MAX]; /* 429 beyond each */
    unsigned limit_count;
};

struct ew_config {
    char *file;       /* where it came from; NULL: made of options */
    char version[17]; /* of its text: the first 16 digits of its sha256 */
    char *listen;     /* "127.0.0.1:8080", "[::1]:0" */
    char *tls_certificate, *tls_key;
    bool insecure; /* a public address without keys is meant */
    char *ledger;  /* path; NULL: $XDG_DATA_HOME/edgewise/ledger.db; "" none */
    bool ledger_durable, ledger_prompts;
    uint32_t ledger_keep_days;
    struct ew_config_device *devices;
    unsigned device_count;
    struct ew_config_cloud *clouds;
    unsigned cloud_count;
    enum ew_select select;
    enum ew_on_full on_full;
    double alpha; /* U = alpha Q + (1 - alpha) R; default .5 */
    enum ew_config_midstream midstream;
    enum ew_config_sticky sticky;
    double sticky_s;              /* how long a conversation is remembered; default 600 */
    double quality_min;           /* NAN: any */
    double battery_min;           /* 0..1; NAN: batteries don't matter */
    double temperature_max_c;     /* NAN: temperatures don't matter */
    double probe_s;               /* between two looks at a device; default 5 */
    double connect_timeout_s;     /* default 2 */
    double first_token_timeout_s; /* default 30 */
    double stall_timeout_s;       /* default 15 */
    char *prices;                 /* file of the price table; NULL: the one inside the program */
    char
        *join_secret; /* file with the secret that join tokens are made with; NULL: none may join */
    uint32_t queue_max;       /* requests that wait; default 64 */
    double queue_timeout_s;   /* default 60 */
    double request_timeout_s; /* from arrival to the end; default 600 */
    double drain_timeout_s;   /* default 30 */
    double tariff_cents_per_kwh;
    uint64_t body_bytes_max; /* default 16M */
    int connections_max;     /* default 10000 */
    char **cors_origins;     /* "*" or exact ones; none: CORS is off */
    unsigned cors_count;
    struct ew_config_client *clients;
    unsigned client_count;
};

/* Paths in a file are relative to it. */
int ew_config_open(struct ew_config **gives, const char *path, struct ew_err *err);
int ew_config_parse(struct ew_config **gives, const char *text, size_t bytes, const char *file,
                    struct ew_err *err);
/* All defaults and no device, for a server made of options alone. */
int ew_config_default(struct ew_config **gives, struct ew_err *err);
void ew_config_close(struct ew_config **config);

/* For options that override the file: a copy of the text replaces what is there; NULL: nothing. */
int ew_config_set_text(char **field, const char *text, struct ew_err *err);
/* The device's models; where there is no device, it is made, with the name "here". */
int ew_config_set_models(struct ew_config *config, char *const *models, unsigned count,
                         struct ew_err *err);
/* "*" or one origin more. */
int ew_config_add_origin(struct ew_config *config, const char *origin, struct ew_err *err);
/* The device that is the built-in engine; NULL: there is none. */
const struct ew_config_device *ew_config_engine(const struct ew_config *config);

/* What holds for file and options together: an address that is one, keys where it is public, a
 * model to serve or somebody else who does. The rest was checked when the file was read. */
int ew_config_check(const struct ew_config *config, struct ew_err *err);

/* "10s", "500ms", "1.5h" -> seconds; "512M" -> bytes. The error says what was expected. */
int ew_config_duration(const char *text, double *seconds, struct ew_err *err);
int ew_config_size(const char *text, uint64_t *bytes, struct ew_err *err);
/* The listen address taken apart; `is_public` is every address but loopback. */
int ew_config_address(const char *listen, char *host, size_t size, int *port, bool *is_public,
                      struct ew_err *err);

/* Name of the client whose key this is, in constant time; NULL: nobody's. */
const struct ew_config_client *ew_config_client(const struct ew_config *config, const char *key);
/* What `key_hash` is for a key. */
int ew_config_key_hash(const char *key, char hex[65], struct ew_err *err);

/* The JSON Schema (draft 2020-12) of the file, for editors. */
int ew_config_schema(struct ew_buf *out, struct ew_err *err);

#endif
