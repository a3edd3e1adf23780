/* ollama_fields.c - the fields that /api/chat and /api/generate have in common, with the defaults
 * that Ollama documents.
 *
 * Options that say how Ollama shall load or compute (num_ctx, num_thread, num_gpu, mirostat, …) are
 * ignored: the configuration says that here. Go's JSON knows one kind of number, so clients write
 * whole ones as 128.0, too. */
#include "api/ollama_int.h"
#include "api/openai_int.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#define WHOLE_RANGE ((struct ew_read_range){INT32_MIN, INT32_MAX})
#define SEED_RANGE  ((struct ew_read_range){(double)INT64_MIN, (double)INT64_MAX})
/* What the engine's sampler takes; Ollama itself has no bounds. */
#define TEMPERATURE_RANGE ((struct ew_read_range){0, 100})
#define PENALTY_RANGE     ((struct ew_read_range){-100, 100})
#define REPEAT_RANGE      ((struct ew_read_range){0.01, 100})

static void read_whole(struct ew_read *in, const json_t *options, const char *key,
                       struct ew_read_range range, int64_t *out)
{
    const json_t *value = ew_read_get(in, options, key);
    double x = json_real_value(value);
    /* Below 2^53 a whole number is meant. */
    if (json_is_real(value) && x == floor(x) && fabs(x) < 0x1p53 && x >= range.min &&
        x <= range.max)
        *out = (int64_t)x;
    else
        ew_read_int(in, options, "options", key, range, out);
}

static void read_options(struct ew_read *in, const json_t *root)
{
    const json_t *options = ew_read_object(in, root, "", "options");
    if (!options)
        return;
    struct ew_request *request = in->request;
    struct ew_sampling *s = &request->sampling;
    const struct {
        const char *key;
        struct ew_read_range range;
        float *out;
    } numbers[] = {
        {"temperature", TEMPERATURE_RANGE, &s->temperature},
        {"top_p", {0, 1}, &s->top_p},
        {"min_p", {0, 1}, &s->min_p},
        {"repeat_penalty", REPEAT_RANGE, &s->repeat_penalty},
        {"presence_penalty", PENALTY_RANGE, &s->presence_penalty},
        {"frequency_penalty", PENALTY_RANGE, &s->frequency_penalty},
    };
    for (size_t i = 0; i < EW_COUNT(numbers); i++)
        ew_read_number(in, options, "options", numbers[i].key, numbers[i].range, numbers[i].out);
    int64_t top_k = s->top_k, last = s->penalty_last, seed = -1, predict = 0, ctx = 0;
    read_whole(in, options, "top_k", WHOLE_RANGE, &top_k);
    read_whole(in, options, "repeat_last_n", WHOLE_RANGE, &last);
    read_whole(in, options, "seed", SEED_RANGE, &seed);
    read_whole(in, options, "num_predict", WHOLE_RANGE, &predict);
    read_whole(in, options, "num_ctx", WHOLE_RANGE, &ctx);
    s->top_k = top_k > 0 ? (int)top_k : 0;
    s->penalty_last = last < 0 ? -1 : (int)last;
    request->has_seed = seed != -1; /* Ollama's word for "any" */
    s->seed = (uint64_t)seed;
    request->max_tokens = predict > 0 ? (uint32_t)predict : 0;
    ew_openai_stops_read(in, options, "options");
}

static void read_format(struct ew_read *in, const json_t *root)
{
    const json_t *format = ew_read_get(in, root, "format");
    const char *word = json_string_value(format);
    if (json_is_object(format)) {
        in->request->format = EW_FORMAT_JSON_SCHEMA;
        in->request->schema = ew_read_json(in, format, "format");
    } else if (word && strcmp(word, "json") == 0) {
        in->request->format = EW_FORMAT_JSON_OBJECT;
    } else if (format && !(word && !*word)) {
        ew_read_fail(in, "invalid_value", "format",
                     "invalid format: expected \"json\" or a JSON schema");
    }
}

/* One number of a duration, without a sign; how many bytes it takes, 0: it is none. */
static size_t read_decimal(const char *text, double *out)
{
    double value = 0, scale = 1;
    size_t at = 0, digits = 0;
    for (bool fraction = false; isdigit((unsigned char)text[at]) || text[at] == '.'; at++) {
        if (text[at] == '.') {
            if (fraction)
                return 0;
            fraction = true;
            continue;
        }
        value = value * 10 + (text[at] - '0');
        scale *= fraction ? 10 : 1;
        digits++;
    }
    *out = value / scale;
    return digits ? at : 0;
}

/* As Go reads a duration: "5m", "1h30m", "-1s", "1.5h", "0". */
static bool read_duration(const char *text, double *out_s)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {
        {"ns", 1e-9}, {"us", 1e-6}, {"\xc2\xb5s", 1e-6}, {"\xce\xbcs", 1e-6},
        {"ms", 1e-3}, {"s", 1},     {"m", 60},           {"h", 3600},
    };
    bool negative = *text == '-';
    text += negative || *text == '+';
    *out_s = 0;
    if (strcmp(text, "0") == 0)
        return true;
    if (!*text)
        return false;
    while (*text) {
        double value = 0;
        size_t bytes = read_decimal(text, &value), unit = 0;
        text += bytes;
        while (unit < EW_COUNT(units) &&
               strncmp(text, units[unit].name, strlen(units[unit].name)) != 0)
            unit++;
        if (!bytes || unit == EW_COUNT(units))
            return false;
        text += strlen(units[unit].name);
        *out_s += value * units[unit].seconds;
    }
    *out_s = negative ? -*out_s : *out_s;
    return isfinite(*out_s);
}

static void read_keep_alive(struct ew_read *in, const json_t *root)
{
    const json_t *value = ew_read_get(in, root, "keep_alive");
    double *out_s = &in->request->keep_alive_s;
    *out_s = NAN;
    if (json_is_number(value)) {
        *out_s = json_number_value(value);
    } else if (value) {
        const char *text = ew_read_string(in, value, "keep_alive");
        if (text && !read_duration(text, out_s))
            ew_read_fail(in, "invalid_value", "keep_alive",
                         "invalid keep_alive: \"%.32s\" is no duration. Expected a number of "
                         "seconds, or a text as \"5m\" or \"1h30m\".",
                         text);
    }
}

static void read_logprobs(struct ew_read *in, const json_t *root)
{
    int64_t top = 0;
    ew_read_flag(in, root, "", "logprobs", &in->request->logprobs);
    ew_read_int(in, root, "", "top_logprobs", (struct ew_read_range){0, EW_LOGPROBS_MAX}, &top);
    in->request->top_logprobs = in->request->logprobs ? (int)top : 0;
}

/* true, or a level, would promise thoughts that no model here marks as such. */
static void refuse_thinking(struct ew_read *in, const json_t *root)
{
    const json_t *think = ew_read_get(in, root, "think");
    if (think && !json_is_false(think))
        ew_read_fail(in, "unsupported_value", "think", "\"%.64s\" does not support thinking",
                     in->request->model ? in->request->model : "");
}

void ew_ollama_refuse(struct ew_read *in, const json_t *object, const char *where, const char *key,
                      const char *why)
{
    const json_t *value = ew_read_get(in, object, key);
    char path[EW_READ_PATH_BYTES];
    ew_read_path(path, where, key);
    bool empty = json_is_array(value) ? json_array_size(value) == 0
                                      : json_is_string(value) && json_string_length(value) == 0;
    if (value && !empty)
        ew_read_fail(in, "unsupported_parameter", path, "'%s' is not supported: %s", path, why);
}

void ew_ollama_load_only(struct ew_read *in)
{
    in->request->load_only = true;
    in->request->stream = false;
}

void ew_ollama_fields_read(struct ew_read *in, const json_t *root)
{
    struct ew_request *request = in->request;
    request->sampling = (struct ew_sampling){.temperature = 0.8f,
                                             .top_k = 40,
                                             .top_p = 0.9f,
                                             .repeat_penalty = 1.1f,
                                             .penalty_last = 64};
    request->n = 1;
    request->stream = true;
    request->model = ew_read_text(in, root, "", "model");
    if (!request->model || !*request->model)
        ew_read_fail(in, "missing_required_parameter", "model", "model is required");
    ew_read_flag(in, root, "", "stream", &request->stream);
    read_options(in, root);
    read_format(in, root);
    read_keep_alive(in, root);
    read_logprobs(in, root);
    refuse_thinking(in, root);
}
