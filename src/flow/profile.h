/* profile.h - what is known of a device: speeds, watts, price, each with its source.
 *
 * data/devices/NAME.yaml, inside the binary, or a file of that form. What a profile doesn't say is
 * a NULL pointer, and what follows from it is unknown. */
#ifndef EW_PROFILE_H
#define EW_PROFILE_H

#include "base/err.h"

struct ew_profile_ttft {
    uint32_t prompt; /* tokens */
    double ms;
};

/* One model as measured on the device. */
struct ew_profile_row {
    char *model, *quantization, *engine;
    char *mode;        /* power mode; NULL: the only one, or not told */
    uint32_t ctx, gen; /* of the measurement; 0: not told */
    double *prefill_tokens_per_s, *decode_tokens_per_s;
    double *decode_tokens_per_j, *decode_j_per_token, *decode_watts; /* any of them gives watts */
    double *prefill_watts;
    struct ew_profile_ttft *ttft;
    unsigned ttft_count;
    char *rail; /* what the watts include; NULL: no watts */
    char *source, *as_of;
};

/* Of the device whatever the model. */
struct ew_profile_watts {
    double *idle, *prefill, *decode;
    char *rail, *source, *as_of;
};

struct ew_profile {
    char *name, *title;
    uint32_t memory_gb; /* 0: not told */
    double *price_usd;
    char *price_source, *price_as_of;
    struct ew_profile_watts *watts;
    struct ew_profile_row *rows;
    unsigned rows_count;
};

/* A name ("n150") or a path to a YAML file. EW_ENOTFOUND tells the names. */
int ew_profile_open(struct ew_profile **gives, const char *name, struct ew_err *err);
int ew_profile_parse(struct ew_profile **gives, const char *text, size_t bytes, const char *file,
                     struct ew_err *err);
void ew_profile_close(struct ew_profile **profile);
/* The names inside the binary; NULL behind the last. The text lasts until the next call. */
const char *ew_profile_name(size_t index);

/* Watts by phase; NAN: unknown. Of the model's row where the profile has one (the first, whatever
 * its mode), else of the device, else the mean of its rows. A prefill that nobody measured is taken
 * to draw what decoding draws. */
struct ew_profile_power {
    double idle, prefill, decode;
    bool prefill_is_decode; /* nobody measured the prefill */
    char how[96];           /* whose watts, and what they include */
};
struct ew_profile_power ew_profile_power(const struct ew_profile *profile, const char *model);

#endif
