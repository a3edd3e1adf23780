/* sampling_options.c - biases as they are written on the command line. */
#include "cmd/sampling_options.h"

#include <stdlib.h>

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
