/* profile.c - device profiles by schema, and the watts that follow from their rows. */
#include "flow/profile.h"

#include "base/file.h"
#include "flow/data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 512
#define ROWS_MAX 4096
#define TTFT_MAX 64

#define TEXT(type, field)                                                                          \
    CYAML_FIELD_STRING_PTR(#field, CYAML_FLAG_POINTER, struct type, field, 1, TEXT_MAX)
#define TEXT_OPTIONAL(type, field)                                                                 \
    CYAML_FIELD_STRING_PTR(#field, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct type, field,   \
                           1, TEXT_MAX)
#define REAL_OPTIONAL(type, field)                                                                 \
    CYAML_FIELD_FLOAT_PTR(#field, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct type, field)
#define UINT_OPTIONAL(type, field) CYAML_FIELD_UINT(#field, CYAML_FLAG_OPTIONAL, struct type, field)

static const cyaml_schema_field_t ttft_fields[] = {
    CYAML_FIELD_UINT("prompt", CYAML_FLAG_DEFAULT, struct ew_profile_ttft, prompt),
    CYAML_FIELD_FLOAT("ms", CYAML_FLAG_DEFAULT, struct ew_profile_ttft, ms),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t ttft_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ew_profile_ttft, ttft_fields),
};

static const cyaml_schema_field_t row_fields[] = {
    TEXT(ew_profile_row, model),
    TEXT(ew_profile_row, quantization),
    TEXT(ew_profile_row, engine),
    TEXT_OPTIONAL(ew_profile_row, mode),
    UINT_OPTIONAL(ew_profile_row, ctx),
    UINT_OPTIONAL(ew_profile_row, gen),
    REAL_OPTIONAL(ew_profile_row, prefill_tokens_per_s),
    REAL_OPTIONAL(ew_profile_row, decode_tokens_per_s),
    REAL_OPTIONAL(ew_profile_row, decode_tokens_per_j),
    REAL_OPTIONAL(ew_profile_row, decode_j_per_token),
    REAL_OPTIONAL(ew_profile_row, decode_watts),
    REAL_OPTIONAL(ew_profile_row, prefill_watts),
    CYAML_FIELD_SEQUENCE("ttft", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct ew_profile_row,
                         ttft, &ttft_schema, 1, TTFT_MAX),
    TEXT_OPTIONAL(ew_profile_row, rail),
    TEXT(ew_profile_row, source),
    TEXT(ew_profile_row, as_of),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t row_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ew_profile_row, row_fields),
};

static const cyaml_schema_field_t watts_fields[] = {
    REAL_OPTIONAL(ew_profile_watts, idle),
    REAL_OPTIONAL(ew_profile_watts, prefill),
    REAL_OPTIONAL(ew_profile_watts, decode),
    TEXT(ew_profile_watts, rail),
    TEXT(ew_profile_watts, source),
    TEXT(ew_profile_watts, as_of),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t profile_fields[] = {
    TEXT(ew_profile, name),
    TEXT(ew_profile, title),
    UINT_OPTIONAL(ew_profile, memory_gb),
    REAL_OPTIONAL(ew_profile, price_usd),
    TEXT_OPTIONAL(ew_profile, price_source),
    TEXT_OPTIONAL(ew_profile, price_as_of),
    CYAML_FIELD_MAPPING_PTR("watts", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct ew_profile,
                            watts, watts_fields),
    CYAML_FIELD_SEQUENCE("rows", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct ew_profile, rows,
                         &row_schema, 0, ROWS_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t profile_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct ew_profile, profile_fields),
};

static bool positive(const double *value)
{
    return !value || (isfinite(*value) && *value > 0);
}

/* A figure of 0 would be a lie for "unknown", and one without a rail says nothing. */
static const char *row_fault(const struct ew_profile_row *row)
{
    const double *figures[] = {row->prefill_tokens_per_s, row->decode_tokens_per_s,
                               row->decode_tokens_per_j,  row->decode_j_per_token,
                               row->decode_watts,         row->prefill_watts};
    for (size_t i = 0; i < EW_COUNT(figures); i++)
        if (!positive(figures[i]))
            return "a figure isn't above 0; leave out what isn't known";
    for (unsigned i = 0; i < row->ttft_count; i++)
        if (!positive(&row->ttft[i].ms))
            return "a TTFT isn't above 0";
    if (!row->rail && (row->decode_tokens_per_j || row->decode_j_per_token || row->decode_watts ||
                       row->prefill_watts))
        return "energy without a rail: say what was measured";
    return NULL;
}

int ew_profile_parse(struct ew_profile **gives, const char *text, size_t bytes, const char *file,
                     struct ew_err *err)
{
    struct ew_profile *profile = NULL;
    const char *fault = NULL;
    unsigned row = 0;
    *gives = NULL;
    int rc =
        ew_data_yaml((struct ew_str){text, bytes}, file, &profile_schema, (void **)&profile, err);
    if (rc)
        return rc;
    while (!fault && row < profile->rows_count)
        fault = row_fault(&profile->rows[row++]);
    const struct ew_profile_watts *watts = profile->watts;
    if (fault)
        rc = ew_fail(err, EW_EFORMAT, "%s: row %u (%s): %s", file, row,
                     profile->rows[row - 1].model, fault);
    else if (watts &&
             (!positive(watts->idle) || !positive(watts->prefill) || !positive(watts->decode)))
        rc = ew_fail(err, EW_EFORMAT, "%s: watts that aren't above 0", file);
    if (rc)
        ew_profile_close(&profile);
    *gives = profile;
    return rc;
}

const char *ew_profile_name(size_t index)
{
    static _Thread_local char name[128];
    static const char dir[] = "data/devices/";
    const struct ew_embed *file;
    for (size_t i = 0; (file = ew_data_file(i)); i++) {
        size_t n = strlen(file->name), skip = sizeof dir - 1;
        if (strncmp(file->name, dir, skip) != 0 || index-- > 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(n - skip - strlen(".yaml")), file->name + skip);
        return name;
    }
    return NULL;
}

static int unknown(const char *name, struct ew_err *err)
{
    char names[160] = "";
    const char *known;
    for (size_t i = 0, at = 0; (known = ew_profile_name(i)) && at < sizeof names; i++)
        at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "", known);
    return ew_fail(err, EW_ENOTFOUND, "no device profile %.40s; there are: %s", name, names);
}

int ew_profile_open(struct ew_profile **gives, const char *name, struct ew_err *err)
{
    char file[128];
    struct ew_buf text;
    size_t n = strlen(name);
    *gives = NULL;
    if (strchr(name, '/') || (n > 5 && strcmp(name + n - 5, ".yaml") == 0)) {
        ew_buf_init(&text, EW_DATA_BYTES_MAX);
        int rc = ew_file_read(&text, name, err);
        if (rc == 0)
            rc = ew_profile_parse(gives, ew_buf_cstr(&text), text.bytes, name, err);
        ew_buf_fini(&text);
        return rc;
    }
    snprintf(file, sizeof file, "data/devices/%.100s.yaml", name);
    struct ew_str found = ew_data_embedded(file);
    return found.data ? ew_profile_parse(gives, found.data, found.bytes, file, err)
                      : unknown(name, err);
}

void ew_profile_close(struct ew_profile **profile)
{
    ew_data_free(&profile_schema, *profile, 0);
    *profile = NULL;
}

static double value(const double *figure)
{
    return figure ? *figure : NAN;
}

static double decode_watts(const struct ew_profile_row *row)
{
    if (row->decode_watts)
        return *row->decode_watts;
    if (row->decode_j_per_token)
        return *row->decode_j_per_token * value(row->decode_tokens_per_s);
    return value(row->decode_tokens_per_s) / value(row->decode_tokens_per_j);
}

/* Of all rows that tell their watts. */
static double mean_watts(const struct ew_profile *profile, unsigned *count)
{
    double sum = 0;
    *count = 0;
    for (unsigned i = 0; i < profile->rows_count; i++) {
        double watts = decode_watts(&profile->rows[i]);
        if (isnan(watts))
            continue;
        sum += watts;
        ++*count;
    }
    return *count ? sum / *count : NAN;
}

struct ew_profile_power ew_profile_power(const struct ew_profile *profile, const char *model)
{
    struct ew_profile_power power = {.idle = NAN, .prefill = NAN, .decode = NAN};
    const struct ew_profile_row *row = NULL;
    unsigned count = 0;
    for (unsigned i = 0; model && !row && i < profile->rows_count; i++)
        if (strcmp(profile->rows[i].model, model) == 0 && !isnan(decode_watts(&profile->rows[i])))
            row = &profile->rows[i];
    if (profile->watts)
        power.idle = value(profile->watts->idle);
    if (row) {
        power.decode = decode_watts(row);
        power.prefill = value(row->prefill_watts);
        snprintf(power.how, sizeof power.how, "%.40s, %.40s", row->model, row->rail);
    } else if (profile->watts) {
        power.prefill = value(profile->watts->prefill);
        power.decode = value(profile->watts->decode);
        snprintf(power.how, sizeof power.how, "any model, %.70s", profile->watts->rail);
    } else {
        power.decode = mean_watts(profile, &count);
        snprintf(power.how, sizeof power.how, count ? "mean of %u models" : "no watts known",
                 count);
    }
    if (isnan(power.prefill)) {
        power.prefill = power.decode;
        power.prefill_is_decode = !isnan(power.decode);
    }
    return power;
}
