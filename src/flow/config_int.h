/* config_int.h - the reader of edgewise.yaml that config.c and config_fleet.c share.
 *
 * It keeps where it is as a path ("clients[1].key_hash"); only an error turns that into a line. */
#ifndef EW_CONFIG_INT_H
#define EW_CONFIG_INT_H

#include "flow/config_keys.h"

#include <limits.h>

enum {
    EW_CONFIG_AT_BYTES = 96,
    EW_CONFIG_WHERE_BYTES = PATH_MAX + EW_CONFIG_AT_BYTES + 96,
    EW_CONFIG_STREAMS = 16, /* of the built-in engine, where nothing is said */
};

struct ew_config_reader {
    struct ew_str text;
    const char *file; /* as errors call it */
    char base[PATH_MAX];
    char at[EW_CONFIG_AT_BYTES]; /* the mapping under the pen: "policy.queue" */
    struct ew_err *err;
};

/* "FILE:LINE: PATH: sentence", the path being `at` and the key; gives EW_EFORMAT. */
int ew_config_wrong(struct ew_config_reader *reader, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same on a line that is known. */
int ew_config_wrong_on(struct ew_config_reader *reader, size_t line, const char *key,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Where the key stands, as errors begin: for what is found wrong later. */
int ew_config_keep_where(const struct ew_config_reader *reader, const char *key, char **gives);

/* What the keys of the section are when they are left out. */
int ew_config_presets(void *target, enum ew_config_section_id id, struct ew_err *err);
/* All scalars of a section that are there; raw NULL: the section isn't in the file. */
int ew_config_take_section(struct ew_config_reader *reader, void *target, const void *raw,
                           enum ew_config_section_id id);
int ew_config_take_list(struct ew_config_reader *reader, char ***field, unsigned *count,
                        char *const *raw, unsigned raw_count, const char *key, unsigned max);
/* `limits` of the mapping under the pen. */
int ew_config_take_limits(struct ew_config_reader *reader, struct ew_config_limit *limits,
                          unsigned *count, const struct ew_config_raw_limit *raw,
                          unsigned raw_count);

int ew_config_take_devices(struct ew_config_reader *reader, struct ew_config *config,
                           const struct ew_config_raw *raw);
/* After the devices: names are unique among both. */
int ew_config_take_clouds(struct ew_config_reader *reader, struct ew_config *config,
                          const struct ew_config_raw *raw);
void ew_config_free_fleet(struct ew_config *config);
/* Whether one of the first devices and clouds has that name; `place` says which. */
bool ew_config_name_taken(const struct ew_config *config, const char *name, unsigned devices,
                          unsigned clouds, char place[32]);

#endif
