/* sampling_options.h - the options that say how the next token is chosen. */
#ifndef EW_SAMPLING_OPTIONS_H
#define EW_SAMPLING_OPTIONS_H

#include "base/args.h"

struct ew_sampling_options {
    struct ew_sampling how;
    struct ew_bias bias[EW_ARGS_LIST_MAX];
    struct ew_arg_list biases;
};

/* What a conversation starts with: small models repeat themselves for ever when they always take
 * the likeliest token. The same seed still gives the same answer. */
struct ew_sampling_options ew_sampling_options_default(void);

/* Rows for a command's option table. */
#define EW_SAMPLING_OPTIONS(o)                                                                     \
    {"temp",                                                                                       \
     0,                                                                                            \
     "X",                                                                                          \
     "temperature; 0 takes the likeliest token always (0.7)",                                      \
     .f32 = &(o)->how.temperature,                                                                 \
     .min = 0,                                                                                     \
     .max = 100},                                                                                  \
        {"top-k",                                                                                  \
         0,                                                                                        \
         "N",                                                                                      \
         "only the N likeliest tokens; 0: all (0)",                                                \
         .integer = &(o)->how.top_k,                                                               \
         .min = 0,                                                                                 \
         .max = 1 << 20},                                                                          \
        {"top-p",                                                                                  \
         0,                                                                                        \
         "X",                                                                                      \
         "only the likeliest that make up X together (0.9)",                                       \
         .f32 = &(o)->how.top_p,                                                                   \
         .min = 0,                                                                                 \
         .max = 1},                                                                                \
        {"min-p",                                                                                  \
         0,                                                                                        \
         "X",                                                                                      \
         "only tokens at least X times as likely as the likeliest (0)",                            \
         .f32 = &(o)->how.min_p,                                                                   \
         .min = 0,                                                                                 \
         .max = 1},                                                                                \
        {"repeat-penalty",                                                                         \
         0,                                                                                        \
         "X",                                                                                      \
         "divides the logits of tokens already used (1)",                                          \
         .f32 = &(o)->how.repeat_penalty,                                                          \
         .min = 0.01,                                                                              \
         .max = 100},                                                                              \
        {"frequency-penalty",                                                                      \
         0,                                                                                        \
         "X",                                                                                      \
         "lowers a token by X for each use (0)",                                                   \
         .f32 = &(o)->how.frequency_penalty,                                                       \
         .min = -100,                                                                              \
         .max = 100},                                                                              \
        {"presence-penalty",                                                                       \
         0,                                                                                        \
         "X",                                                                                      \
         "lowers a used token by X once (0)",                                                      \
         .f32 = &(o)->how.presence_penalty,                                                        \
         .min = -100,                                                                              \
         .max = 100},                                                                              \
        {"logit-bias", 0, "ID=X", "adds X to a token's logit; may be repeated",                    \
         .list = &(o)->biases},                                                                    \
    {                                                                                              \
        "seed", 0, "N", "same seed, same answer (0)", .u64 = &(o)->how.seed                        \
    }

/* Reads the biases, "42=-100"; `how` is complete then and points into the options. */
int ew_sampling_options_check(struct ew_sampling_options *options, struct ew_err *err);

#endif
