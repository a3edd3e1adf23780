/* pcr.c - break-even of platforms, their reading, and the paper's rows. */
#include "measure/pcr.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

double ew_pcr_utility(const struct ew_pcr_platform *platform, double alpha)
{
    return ew_utility_mix(platform->quality, platform->responsiveness, alpha);
}

double ew_pcr_ratio(const struct ew_pcr_platform *platform, double alpha)
{
    return ew_utility_ratio(ew_pcr_utility(platform, alpha), platform->cost_cents);
}

double ew_pcr_even_alpha(const struct ew_pcr_platform *a, const struct ew_pcr_platform *b)
{
    /* Both ratios are straight lines in alpha: where do they cross? */
    double a0 = ew_pcr_ratio(a, 0), a1 = ew_pcr_ratio(a, 1);
    double b0 = ew_pcr_ratio(b, 0), b1 = ew_pcr_ratio(b, 1);
    double alpha = (b0 - a0) / ((a1 - a0) - (b1 - b0));
    return alpha >= 0 && alpha <= 1 ? alpha : NAN;
}

double ew_pcr_even_cost(const struct ew_pcr_platform *platform, const struct ew_pcr_platform *other,
                        double alpha)
{
    double ratio = ew_pcr_ratio(other, alpha);
    return ratio > 0 ? ew_pcr_utility(platform, alpha) / ratio : NAN;
}

int ew_pcr_check(const struct ew_pcr_platform *platform, struct ew_err *err)
{
    const char *name = platform->name;
    if (platform->quality < 0 || platform->quality > 1)
        return ew_fail(err, EW_EINVAL, "%s: quality %g isn't in 0..1", name, platform->quality);
    if (platform->responsiveness < 0 || platform->responsiveness > 1)
        return ew_fail(err, EW_EINVAL, "%s: responsiveness %g isn't in 0..1", name,
                       platform->responsiveness);
    if (platform->cost_cents <= 0 || isinf(platform->cost_cents))
        return ew_fail(err, EW_EINVAL, "%s: a cost of %g cents; it must be above 0, or unknown",
                       name, platform->cost_cents);
    return 0;
}

static bool read_number(const char *text, size_t bytes, double *out)
{
    char copy[32], *end;
    *out = NAN;
    if (bytes == 0 || (bytes == 1 && *text == '?'))
        return true;
    if (bytes >= sizeof copy || strspn(text, "0123456789.eE+-") < bytes)
        return false;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    *out = strtod(copy, &end);
    return *end == '\0';
}

int ew_pcr_parse(const char *text, struct ew_pcr_platform *out, struct ew_err *err)
{
    const char *colon[3], *end = text + strlen(text);
    *out = (struct ew_pcr_platform){0};
    /* From the right: a name may have colons, as in qwen2.5:7b. */
    for (int i = 2; i >= 0; i--) {
        colon[i] = memrchr(text, ':', (size_t)((i == 2 ? end : colon[i + 1]) - text));
        if (!colon[i])
            return ew_fail(err, EW_EINVAL, "a platform is NAME:QUALITY:RESPONSIVENESS:CENTS: %.80s",
                           text);
    }
    size_t bytes = (size_t)(colon[0] - text);
    if (bytes == 0 || bytes >= sizeof out->name)
        return ew_fail(err, EW_EINVAL, "a platform's name has 1 to %zu bytes: %.80s",
                       sizeof out->name - 1, text);
    memcpy(out->name, text, bytes);
    if (!read_number(colon[0] + 1, (size_t)(colon[1] - colon[0]) - 1, &out->quality) ||
        !read_number(colon[1] + 1, (size_t)(colon[2] - colon[1]) - 1, &out->responsiveness) ||
        !read_number(colon[2] + 1, (size_t)(end - colon[2]) - 1, &out->cost_cents))
        return ew_fail(err, EW_EINVAL, "%.80s has something that is no number", text);
    return ew_pcr_check(out, err);
}

const struct ew_pcr_platform *ew_pcr_paper(size_t index)
{
    /* Table I of arXiv 2505.16508. A fourth, known second-hand, contradicts itself. */
    static const struct ew_pcr_platform rows[] = {
        {"GPT-4 (cloud)", .97, .71, 1.65},
        {"AGX Orin, Qwen-2.5 7B", .91, .28, .0041},
        {"Orin Nano, Qwen-2.5 3B", .80, .33, .0017},
    };
    return index < EW_COUNT(rows) ? &rows[index] : NULL;
}
