/* schema_number.c - numbers within bounds, digit by digit.
 *
 * Integers are held exactly within 18 digits. Numbers with bounds are written without an exponent
 * and with up to 15 digits behind the point. multipleOf is held where it is few states: integers
 * up to 100 without bounds, within bounds where the multiples can be listed; for other numbers
 * powers of ten up to 1, which bound the digits behind the point. */
#include "model/schema_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRACTION_MAX = 15, LISTED_MAX = 1000, MODULUS_MAX = 100, MODULUS_DIGITS = 9 };
static const int64_t usual_most = 999999999999999, integer_most = 999999999999999999;

/* One end of what is allowed. */
struct bound {
    bool given, excluded;
    double value;
    int64_t whole; /* V_INT */
    bool is_whole;
    const struct value *where;
    const char *keyword;
};

static bool beyond(const struct bound *a, const struct bound *b, int sign)
{
    if (a->is_whole && b->is_whole && a->whole != b->whole)
        return sign > 0 ? a->whole > b->whole : a->whole < b->whole;
    return a->value == b->value ? a->excluded && !b->excluded : (a->value > b->value) == (sign > 0);
}

/* The strictest of the keyword's values; sign 1: lower bounds. */
static void read_bound(struct schema *s, const struct conj *c, const char *keyword, bool excluded,
                       int sign, struct bound *out)
{
    for (uint32_t i = 0; i < c->count && !s->b->code; i++) {
        const struct value *node = c->items[i].node, *v = ew__schema_get(node, keyword);
        if (!v)
            continue;
        if (v->kind == V_BOOL && excluded) {
            ew__schema_unsupported(s, node, keyword,
                                   "expected a number (a truth value is draft 4)");
            return;
        }
        if ((v->kind != V_INT && v->kind != V_FLOAT) || (v->kind == V_FLOAT && !isfinite(v->f))) {
            ew__schema_wrong(s, node, keyword, "expected a number");
            return;
        }
        struct bound b = {.given = true, .excluded = excluded, .where = node, .keyword = keyword};
        b.is_whole = v->kind == V_INT;
        b.whole = b.is_whole ? v->i : 0;
        b.value = b.is_whole ? (double)v->i : v->f;
        if (!out->given || beyond(&b, out, sign))
            *out = b;
    }
}

/* ---- integers ---- */

static uint32_t magnitudes(struct gr_builder *b, uint64_t lo, uint64_t hi, uint32_t next)
{
    uint32_t ways = 0;
    uint64_t first = 0, last = 9; /* of this many digits */
    for (size_t n = 1; n <= 19 && first <= hi; n++) {
        uint64_t from = lo > first ? lo : first, to = hi < last ? hi : last;
        char low[24], high[24];
        if (from <= to) {
            snprintf(low, sizeof low, "%0*llu", (int)n, (unsigned long long)from);
            snprintf(high, sizeof high, "%0*llu", (int)n, (unsigned long long)to);
            ways = ew__gr_union(
                b, ways,
                ew__gr_between(b, (unsigned char *)low, (unsigned char *)high, n, '0', '9', next));
        }
        first = last + 1;
        last = last * 10 + 9;
    }
    return ways;
}

static uint32_t integers(struct gr_builder *b, int64_t lo, int64_t hi, uint32_t next)
{
    uint32_t ways = 0;
    if (lo > hi)
        return 0;
    if (lo < 0)
        ways = ew__gr_range(b, '-', '-',
                            magnitudes(b, (uint64_t)(hi < -1 ? -hi : 1), (uint64_t)-lo, next));
    if (hi >= 0)
        ways =
            ew__gr_union(b, ways, magnitudes(b, (uint64_t)(lo > 0 ? lo : 0), (uint64_t)hi, next));
    return ways;
}

/* The least integer above a lower bound, or (sign -1) the greatest below an upper one. False: it
 * has more digits than we hold. */
static bool whole_bound(const struct bound *b, int sign, int64_t *out)
{
    if (b->is_whole) {
        if (b->whole > integer_most || b->whole < -integer_most)
            return false;
        *out = b->whole + (b->excluded ? sign : 0);
        return true;
    }
    if (fabs(b->value) > (double)usual_most)
        return false;
    double rounded = sign > 0 ? ceil(b->value) : floor(b->value);
    *out = (int64_t)rounded + (b->excluded && rounded == b->value ? sign : 0);
    return true;
}

/* Integers of up to MODULUS_DIGITS digits that m divides: one state a digit and a remainder. */
static uint32_t multiples(struct gr_builder *b, unsigned m, uint32_t next)
{
    uint32_t at[MODULUS_MAX], before[MODULUS_MAX] = {0}, first = 0;
    before[0] = next;
    for (int digit = 0; digit < MODULUS_DIGITS && !b->code; digit++) {
        for (unsigned r = 0; r < m; r++) {
            at[r] = r == 0 ? next : 0; /* it may end here */
            for (unsigned d = 0; d < 10; d++)
                at[r] = ew__gr_union(b, at[r],
                                     ew__gr_range(b, '0' + d, '0' + d, before[(r * 10 + d) % m]));
        }
        if (digit == MODULUS_DIGITS - 1)
            break;
        memcpy(before, at, sizeof at);
    }
    for (unsigned d = 1; d < 10; d++)
        first = ew__gr_union(b, first, ew__gr_range(b, '0' + d, '0' + d, before[d % m]));
    first = ew__gr_union(b, first, ew__gr_range(b, '-', '-', first));
    return ew__gr_union(b, first, ew__gr_range(b, '0', '0', next));
}

static uint32_t integer(struct schema *s, const struct bound *lo, const struct bound *hi,
                        const struct value *multiple, const struct value *where, uint32_t next)
{
    struct gr_builder *b = s->b;
    int64_t from = -usual_most, to = usual_most, m = 1;
    if (lo->given && !whole_bound(lo, 1, &from) && lo->value > 0)
        return ew__schema_unsupported(s, lo->where, lo->keyword, "more than 18 digits aren't");
    if (hi->given && !whole_bound(hi, -1, &to) && hi->value < 0)
        return ew__schema_unsupported(s, hi->where, hi->keyword, "more than 18 digits aren't");
    if (from > to && !hi->given)
        to = integer_most;
    if (from > to && !lo->given)
        from = -integer_most;
    if (multiple && multiple->kind == V_INT)
        m = multiple->i;
    else if (multiple && multiple->f == floor(multiple->f) && multiple->f < 1e15)
        m = (int64_t)multiple->f;
    else if (multiple && !(multiple->f == 0.5 || multiple->f == 0.25 || multiple->f == 0.1 ||
                           multiple->f == 0.01 || multiple->f == 0.001))
        return ew__schema_unsupported(s, where, "multipleOf", "this one of integers isn't");
    if (m == 1)
        return lo->given || hi->given ? integers(b, from, to, next)
                                      : ew__gr_call(b, b->integer, next);
    int64_t first = from / m + (from % m > 0), last = to / m - (to % m < 0);
    if (lo->given && hi->given && last - first < LISTED_MAX) {
        uint32_t ways = 0;
        for (int64_t i = first; i <= last; i++)
            ways = ew__gr_union(b, ways, integers(b, i * m, i * m, next));
        return ways;
    }
    if (m > MODULUS_MAX || lo->given || hi->given)
        return ew__schema_unsupported(s, where, "multipleOf",
                                      "above 100, or with bounds more than 1000 multiples apart, "
                                      "it isn't supported");
    return multiples(b, (unsigned)m, next);
}

/* ---- other numbers ---- */

struct decimal {
    int64_t whole;
    char fraction[FRACTION_MAX + 2]; /* digits, without zeros at the end */
    size_t digits;
    bool excluded;
};

/* A bound of at least 0, as it is written. */
static bool decimal_of(const struct bound *b, double value, struct decimal *out)
{
    char text[400];
    *out = (struct decimal){.excluded = b->excluded};
    if (!(value <= (double)usual_most))
        return false;
    for (int digits = 0;; digits++) { /* the shortest that is the same number */
        if (digits > FRACTION_MAX)
            return false;
        snprintf(text, sizeof text, "%.*f", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    char *point = strchr(text, '.');
    out->whole = strtoll(text, NULL, 10);
    if (point)
        out->digits = (size_t)snprintf(out->fraction, sizeof out->fraction, "%s", point + 1);
    return true;
}

/* Digits behind the point, from `at` on. tight: all before were the bound's own. */
struct fraction {
    struct gr_builder *b;
    const struct decimal *lo, *hi;
    size_t digits; /* at most */
    uint32_t next;
    uint32_t known[FRACTION_MAX + 1][4];
};

static unsigned digit_of(const struct decimal *d, size_t at)
{
    return at < d->digits ? (unsigned char)d->fraction[at] : '0';
}

static uint32_t fraction(struct fraction *f, size_t at, bool low, bool high)
{
    struct gr_builder *b = f->b;
    uint32_t *known = &f->known[at][(low ? 1 : 0) + (high ? 2 : 0)];
    if (*known || b->code)
        return *known;
    bool ends = !(low && (at < f->lo->digits || f->lo->excluded)) &&
                !(high && at >= f->hi->digits && f->hi->excluded);
    uint32_t ways = ends ? f->next : 0;
    unsigned first = low ? digit_of(f->lo, at) : '0', last = high ? digit_of(f->hi, at) : '9';
    for (unsigned d = first; at < f->digits && d <= last; d++) {
        bool to_low = low && d == first, to_high = high && d == last;
        unsigned same = d; /* digits that lead to the same place are one range */
        while (!to_low && !to_high && same < last && !(high && same + 1 == last))
            same++;
        uint32_t rest = fraction(f, at + 1, to_low, to_high);
        if (at == 0)
            rest = rest ? rest : 0;
        ways = ew__gr_union(b, ways, ew__gr_range(b, d, same, rest));
        d = same;
    }
    *known = ways;
    return ways;
}

/* Behind the whole part: nothing, or a point and digits. */
static uint32_t behind_whole(struct gr_builder *b, const struct decimal *lo,
                             const struct decimal *hi, size_t digits, uint32_t next)
{
    static const struct decimal none = {.whole = 0};
    struct fraction f = {
        .b = b, .lo = lo ? lo : &none, .hi = hi ? hi : &none, .digits = digits, .next = next};
    bool ends = !(lo && (lo->digits || lo->excluded)) && !(hi && !hi->digits && hi->excluded);
    uint32_t some = 0;
    /* "1." isn't JSON: the first digit by hand, since fraction() may end at once. */
    for (unsigned d = '0'; digits && d <= '9'; d++) {
        unsigned first = lo ? digit_of(lo, 0) : '0', last = hi ? digit_of(hi, 0) : '9';
        if (d >= first && d <= last)
            some = ew__gr_union(
                b, some, ew__gr_range(b, d, d, fraction(&f, 1, lo && d == first, hi && d == last)));
    }
    return ew__gr_union(b, ends ? next : 0, ew__gr_range(b, '.', '.', some));
}

/* Numbers of at least 0 between the two. */
static uint32_t decimals(struct gr_builder *b, const struct decimal *lo, const struct decimal *hi,
                         size_t digits, uint32_t next)
{
    uint64_t from = (uint64_t)lo->whole, to = (uint64_t)hi->whole;
    if (from > to)
        return 0;
    if (from == to)
        return magnitudes(b, from, from, behind_whole(b, lo, hi, digits, next));
    uint32_t ways = magnitudes(b, from, from, behind_whole(b, lo, NULL, digits, next));
    if (to - from > 1)
        ways = ew__gr_union(
            b, ways, magnitudes(b, from + 1, to - 1, behind_whole(b, NULL, NULL, digits, next)));
    return ew__gr_union(b, ways, magnitudes(b, to, to, behind_whole(b, NULL, hi, digits, next)));
}

/* Digits behind the point that a power of ten leaves; -1: it isn't one. */
static int digits_of_multiple(const struct value *multiple)
{
    double power = 1;
    double value = multiple->kind == V_INT ? (double)multiple->i : multiple->f;
    for (int digits = 0; digits <= FRACTION_MAX; digits++, power /= 10) {
        char text[32];
        snprintf(text, sizeof text, "1e-%d", digits);
        if (value == strtod(text, NULL))
            return digits;
    }
    return -1;
}

static uint32_t number(struct schema *s, const struct bound *lo, const struct bound *hi,
                       const struct value *multiple, const struct value *where, uint32_t next)
{
    struct gr_builder *b = s->b;
    int digits = multiple ? digits_of_multiple(multiple) : FRACTION_MAX;
    if (multiple && (digits < 0 || digits == 0))
        return integer(s, lo, hi, multiple, where, next);
    if (!multiple && !lo->given && !hi->given)
        return ew__gr_call(b, b->number, next);
    const struct decimal zero = {.whole = 0}, above_zero = {.whole = 0, .excluded = true};
    const struct decimal most = {.whole = usual_most};
    struct decimal low = zero, high = most;
    const struct bound *bad = NULL;
    uint32_t ways = 0;
    if (!hi->given || hi->value >= 0) {
        if (lo->given && lo->value >= 0 && !decimal_of(lo, lo->value, &low))
            bad = lo;
        if (hi->given && !decimal_of(hi, hi->value, &high))
            high =
                most; /* less than what is asked for always matches, unless below it is the end */
        if (hi->given && high.digits == 0 && high.whole == usual_most &&
            hi->value < (double)usual_most)
            bad = hi;
        if (!bad)
            ways = decimals(b, &low, &high, (size_t)digits, next);
    }
    if ((!lo->given || lo->value < 0) && !bad) {
        low = above_zero; /* no "-0" */
        high = most;
        if (hi->given && hi->value < 0 && !decimal_of(hi, -hi->value, &low))
            bad = hi;
        if (lo->given && !decimal_of(lo, -lo->value, &high)) {
            high = most;
            bad = -lo->value < (double)usual_most ? lo : bad;
        }
        if (!bad)
            ways = ew__gr_union(
                b, ways, ew__gr_range(b, '-', '-', decimals(b, &low, &high, (size_t)digits, next)));
    }
    return bad ? ew__schema_unsupported(s, bad->where, bad->keyword,
                                        "more than 15 digits on a side of the point aren't")
               : ways;
}

uint32_t ew__schema_number(struct schema *s, const struct conj *c, enum schema_number kind,
                           uint32_t next)
{
    struct bound lo = {.given = false}, hi = {.given = false};
    const struct value *where = NULL;
    const struct value *multiple = ew__schema_only(s, c, "multipleOf", &where);
    read_bound(s, c, "minimum", false, 1, &lo);
    read_bound(s, c, "exclusiveMinimum", true, 1, &lo);
    read_bound(s, c, "maximum", false, -1, &hi);
    read_bound(s, c, "exclusiveMaximum", true, -1, &hi);
    if (multiple && !(multiple->kind == V_INT && multiple->i > 0) &&
        !(multiple->kind == V_FLOAT && multiple->f > 0 && isfinite(multiple->f)))
        return ew__schema_wrong(s, where, "multipleOf", "expected a number above 0");
    if (s->b->code)
        return 0;
    return kind == SCHEMA_INTEGER ? integer(s, &lo, &hi, multiple, where, next)
                                  : number(s, &lo, &hi, multiple, where, next);
}
