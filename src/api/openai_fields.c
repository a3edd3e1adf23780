/* openai_fields.c - the fields that chat and legacy completions have in common, with the bounds
 * that OpenAI documents; and those that the field's other servers added: top_k, min_p,
 * repeat_penalty (also as repetition_penalty), repeat_last_n. Fields not named here are ignored. */
#include "api/openai_int.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>

#define PENALTY_RANGE ((struct ew_read_range){-2, 2})
#define REPEAT_RANGE  ((struct ew_read_range){0.01, 100}) /* what the engine's sampler takes */
#define BIAS_RANGE    ((struct ew_read_range){-100, 100})
#define TOKENS_RANGE  ((struct ew_read_range){1, INT32_MAX})
#define SEED_RANGE    ((struct ew_read_range){(double)INT64_MIN, (double)INT64_MAX})
#define TOP_K_RANGE   ((struct ew_read_range){-1, INT32_MAX})
#define LAST_N_RANGE  ((struct ew_read_range){-1, INT32_MAX}) /* -1: all */

static void read_sampling(struct ew_read *in, const json_t *root)
{
    struct ew_sampling *s = &in->request->sampling;
    const struct {
        const char *key;
        struct ew_read_range range;
        float *out;
    } numbers[] = {
        {"temperature", {0, 2}, &s->temperature},
        {"top_p", {0, 1}, &s->top_p},
        {"min_p", {0, 1}, &s->min_p},
        {"presence_penalty", PENALTY_RANGE, &s->presence_penalty},
        {"frequency_penalty", PENALTY_RANGE, &s->frequency_penalty},
        {"repetition_penalty", REPEAT_RANGE, &s->repeat_penalty},
        {"repeat_penalty", REPEAT_RANGE, &s->repeat_penalty},
    };
    for (size_t i = 0; i < EW_COUNT(numbers); i++)
        ew_read_number(in, root, "", numbers[i].key, numbers[i].range, numbers[i].out);
    int64_t top_k = 0, seed = 0, last = s->penalty_last;
    ew_read_int(in, root, "", "top_k", TOP_K_RANGE, &top_k);
    ew_read_int(in, root, "", "repeat_last_n", LAST_N_RANGE, &last);
    s->top_k = top_k > 0 ? (int)top_k : 0; /* -1 is "off", too, to some servers */
    s->penalty_last = (int)last;
    in->request->has_seed = ew_read_get(in, root, "seed") != NULL;
    ew_read_int(in, root, "", "seed", SEED_RANGE, &seed);
    s->seed = (uint64_t)seed;
}

static void add_stop(struct ew_read *in, const json_t *value, const char *path)
{
    const char *text = ew_read_string(in, value, path);
    if (text && *text) /* an empty one would stop everything: no client means that */
        in->request->stops[in->request->stop_count++] = text;
}

void ew_openai_stops_read(struct ew_read *in, const json_t *object, const char *where)
{
    const json_t *stop = ew_read_get(in, object, "stop");
    char path[EW_READ_PATH_BYTES];
    if (!stop)
        return;
    ew_read_path(path, where, "stop");
    if (json_is_string(stop)) {
        add_stop(in, stop, path);
        return;
    }
    if (!json_is_array(stop)) {
        ew_read_wrong_type(in, path, "one of a string or array of strings", stop);
        return;
    }
    stop = ew_read_array(in, object, where, "stop", EW_REQUEST_STOPS_MAX);
    for (size_t i = 0; stop && i < json_array_size(stop); i++) {
        snprintf(path, sizeof path, "%.40s%sstop[%zu]", where, *where ? "." : "", i);
        add_stop(in, json_array_get(stop, i), path);
    }
}

static bool token_of(const char *text, int32_t *token)
{
    char *end;
    errno = 0;
    long id = isdigit((unsigned char)*text) ? strtol(text, &end, 10) : -1;
    if (id < 0 || id > INT32_MAX || errno || *end)
        return false;
    *token = (int32_t)id;
    return true;
}

static void read_bias(struct ew_read *in, const json_t *root)
{
    const json_t *object = ew_read_object(in, root, "", "logit_bias");
    size_t count = object ? json_object_size(object) : 0;
    if (count == 0)
        return;
    if (count > EW_REQUEST_BIAS_MAX) {
        ew_read_fail(in, "object_above_max_properties", "logit_bias",
                     "Invalid 'logit_bias': too many properties. Expected an object with at most "
                     "%d properties, but got an object with %zu properties instead.",
                     EW_REQUEST_BIAS_MAX, count);
        return;
    }
    struct ew_bias *bias = ew_read_alloc(in, count, sizeof *bias), *next = bias;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        if (ew_read_failed(in))
            return;
        if (!token_of(key, &next->token))
            ew_read_fail(in, "invalid_value", "logit_bias",
                         "Invalid key in 'logit_bias': %.32s. You should only be submitting "
                         "non-negative integers.",
                         key);
        else if (json_is_null(value))
            ew_read_wrong_type(in, "logit_bias", "a decimal for each token", value);
        ew_read_number(in, object, "logit_bias", key, BIAS_RANGE, &next->add);
        next++;
    }
    in->request->sampling.bias = bias;
    in->request->sampling.bias_count = count;
}

static void read_stream(struct ew_read *in, const json_t *root)
{
    struct ew_request *request = in->request;
    ew_read_flag(in, root, "", "stream", &request->stream);
    const json_t *options = ew_read_object(in, root, "", "stream_options");
    if (!options)
        return;
    if (!request->stream)
        ew_read_fail(in, NULL, "stream_options",
                     "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    ew_read_flag(in, options, "stream_options", "include_usage", &request->include_usage);
}

void ew_openai_fields_read(struct ew_read *in, const json_t *root)
{
    struct ew_request *request = in->request;
    request->sampling =
        (struct ew_sampling){.temperature = 1, .top_p = 1, .repeat_penalty = 1, .penalty_last = -1};
    request->keep_alive_s = NAN;
    request->model = ew_read_text(in, root, "", "model");
    if (!request->model || !*request->model)
        ew_read_fail(in, NULL, NULL, "you must provide a model parameter");
    read_stream(in, root);
    int64_t n = 1, max_tokens = 0;
    ew_read_int(in, root, "", "n", (struct ew_read_range){1, EW_REQUEST_CHOICES_MAX}, &n);
    request->n = (uint32_t)n;
    ew_read_int(in, root, "", "max_tokens", TOKENS_RANGE, &max_tokens);
    request->max_tokens = (uint32_t)max_tokens;
    ew_openai_stops_read(in, root, "");
    read_sampling(in, root);
    read_bias(in, root);
    request->user = ew_read_text(in, root, "", "user");
}
