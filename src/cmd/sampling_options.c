/* sampling_options.c - biases as they are written on the command line. */
#include "cmd/sampling_options.h"

#include <stdlib.h>

static const float temperature = 0.7f, top_p = 0.9f;

struct ew_sampling_options ew_sampling_options_default(void)
{
    struct ew_sampling_options options = {.how = ew_sampling_default()};
    options.how.temperature = temperature;
    options.how.top_p = top_p;
    return options;
}

int ew_sampling_options_check(struct ew_sampling_options *options, struct ew_err *err)
{
    for (size_t i = 0; i < options->biases.count; i++) {
        const char *text = options->biases.items[i];
        char *end, *stop;
        long id = strtol(text, &end, 10);
        float add = *end == '=' ? strtof(end + 1, &stop) : 0.0f;
        if (end == text || *end != '=' || stop == end + 1 || *stop || id < 0 || id > INT32_MAX)
            return ew_fail(err, EW_EINVAL, "--logit-bias %s: must be TOKEN=NUMBER, as 42=-100",
                           text);
        options->bias[i] = (struct ew_bias){.token = (int32_t)id, .add = add};
    }
    options->how.bias = options->bias;
    options->how.bias_count = options->biases.count;
    return 0;
}
