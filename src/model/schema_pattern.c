/* schema_pattern.c - regular expressions of `pattern` to the characters of a JSON string.
 *
 * What ECMAScript and Python read alike: literals, ".", classes, groups, alternatives, counts, and
 * anchors at the ends of the outermost alternatives. Where the two differ (whether \W has letters
 * of other scripts) only what both allow comes out. Look-around, back references, \b and \p are
 * refused by name. A parse makes a tree, since building goes backwards. */
#include "model/schema_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANGES_MAX = 64, PATTERN_BYTES_MAX = 4096, REPEAT_MAX = 1000, NEST_MAX = 40 };

enum tree_kind { TREE_SET, TREE_CAT, TREE_ALT, TREE_REPEAT, TREE_EMPTY };

struct ranges {
    uint32_t lo[RANGES_MAX], hi[RANGES_MAX];
    uint32_t count;
};

struct tree {
    enum tree_kind kind;
    struct tree *a, *b;
    uint32_t least, most; /* TREE_REPEAT */
    struct ranges *set;
};

struct regex {
    struct schema *s;
    const struct value *where;
    const char *keyword;
    const char *at, *end;
    uint32_t nest;
};

static struct tree *parse_alternatives(struct regex *x);

static void *refuse(struct regex *x, const char *what)
{
    char why[160];
    snprintf(why, sizeof why, "%s isn't supported", what);
    ew__schema_unsupported(x->s, x->where, x->keyword, why);
    return NULL;
}

static void *malformed(struct regex *x, const char *what)
{
    ew__schema_wrong(x->s, x->where, x->keyword, what);
    return NULL;
}

static struct tree *tree(struct regex *x, enum tree_kind kind, struct tree *a, struct tree *b)
{
    struct tree *t = ew__tmpl_take(&x->s->r, sizeof *t);
    if (!t) {
        ew__gr_fail(x->s->b, EW_ELIMIT, "%s", x->s->r.err.text);
        return NULL;
    }
    *t = (struct tree){.kind = kind, .a = a, .b = b};
    return t;
}

/* ---- sets of characters ---- */

static void add(struct regex *x, struct ranges *r, uint32_t lo, uint32_t hi)
{
    if (r->count == RANGES_MAX) {
        ew__gr_fail(x->s->b, EW_ELIMIT, "a pattern's class of more than %d ranges", RANGES_MAX);
        return;
    }
    r->lo[r->count] = lo;
    r->hi[r->count++] = hi;
}

/* Everything up to `most` that isn't in it. */
static void complement(struct regex *x, struct ranges *r, uint32_t most)
{
    struct ranges out = {.count = 0};
    uint32_t low = 0;
    while (low <= most) {
        uint32_t next = UINT32_MAX, covered = UINT32_MAX;
        for (uint32_t i = 0; i < r->count; i++) {
            if (r->lo[i] <= low && low <= r->hi[i])
                covered = r->hi[i];
            if (r->lo[i] > low && r->lo[i] < next)
                next = r->lo[i];
        }
        if (covered != UINT32_MAX) {
            low = covered + 1;
            continue;
        }
        add(x, &out, low, next > most ? most : next - 1);
        if (next > most)
            break;
        low = next;
    }
    *r = out;
}

/* \d \w \s, or their complements; *ascii: beyond ASCII the languages differ. */
static void add_named(struct regex *x, struct ranges *r, char name, bool *ascii)
{
    static const uint32_t digits[] = {'0', '9'};
    static const uint32_t words[] = {'0', '9', 'A', 'Z', '_', '_', 'a', 'z'};
    static const uint32_t spaces[] = {
        9,      13,     0x1c,   0x20,   0x85,   0x85,   0xa0,   0xa0,   0x1680, 0x1680, 0x2000,
        0x200a, 0x2028, 0x2029, 0x202f, 0x202f, 0x205f, 0x205f, 0x3000, 0x3000, 0xfeff, 0xfeff};
    char small = (char)(name | 32);
    bool inverse = name != small;
    const uint32_t *list = small == 'd' ? digits : small == 'w' ? words : spaces;
    size_t count = small == 'd'   ? EW_COUNT(digits)
                   : small == 'w' ? EW_COUNT(words)
                                  : EW_COUNT(spaces);
    struct ranges own = {.count = 0};
    for (size_t i = 0; i < count; i += 2)
        add(x, &own, list[i], list[i + 1]);
    if (inverse)
        complement(x, &own, small == 's' ? 0x10ffff : 0x7f);
    else if (small == 's') /* only what all agree on */
        own = (struct ranges){.lo = {9, ' '}, .hi = {13, ' '}, .count = 2};
    *ascii |= small != 's';
    for (uint32_t i = 0; i < own.count; i++)
        add(x, r, own.lo[i], own.hi[i]);
}

static uint32_t take_point(struct regex *x)
{
    uint32_t point;
    x->at += ew__tmpl_decode(x->at, (size_t)(x->end - x->at), &point);
    return point;
}

static bool take_hex(struct regex *x, int digits, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++, x->at++) {
        char c = x->at < x->end ? *x->at : '\0';
        int d = c >= '0' && c <= '9'                 ? c - '0'
                : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 87
                                                     : -1;
        if (d < 0)
            return false;
        *out = *out * 16 + (uint32_t)d;
    }
    return true;
}

/* Behind a backslash. True: one character; false: a named class was added, or it failed. */
static bool take_escape(struct regex *x, struct ranges *r, uint32_t *point, bool *ascii)
{
    static const char names[] = "nrtfv", chars[] = "\n\r\t\f\v";
    char shown[24];
    if (x->at == x->end)
        return malformed(x, "it ends with a backslash") != NULL;
    char c = *x->at;
    if (strchr("dDwWsS", c)) {
        x->at++;
        add_named(x, r, c, ascii);
        return false;
    }
    const char *simple = strchr(names, c);
    if (simple && c) {
        x->at++;
        *point = (unsigned char)chars[simple - names];
        return true;
    }
    if (c == 'x' || c == 'u') {
        x->at++;
        if (take_hex(x, c == 'x' ? 2 : 4, point) && !(*point >= 0xd800 && *point < 0xe000))
            return true;
        return refuse(x, c == 'x' ? "this \\x" : "this \\u") != NULL;
    }
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
        snprintf(shown, sizeof shown, "\\%c", c);
        return refuse(x, shown) != NULL;
    }
    *point = take_point(x);
    return true;
}

static struct tree *set_tree(struct regex *x, const struct ranges *r)
{
    struct tree *t = tree(x, TREE_SET, NULL, NULL);
    if (!t || !(t->set = ew__tmpl_take(&x->s->r, sizeof *t->set)))
        return NULL;
    *t->set = *r;
    return t;
}

/* Behind "[". */
static struct tree *parse_class(struct regex *x)
{
    struct ranges r = {.count = 0};
    bool inverse = x->at < x->end && *x->at == '^', ascii = false;
    x->at += inverse;
    for (bool first = true;; first = false) {
        uint32_t lo = 0, hi = 0;
        if (x->s->b->code)
            return NULL;
        if (x->at == x->end)
            return malformed(x, "a class without its ]");
        if (*x->at == ']' && !first)
            break;
        if (*x->at == ']' || (*x->at == '[' && x->end - x->at > 1 && x->at[1] == ':'))
            return refuse(x, "an empty or POSIX class"); /* languages differ */
        bool escaped = *x->at == '\\';
        x->at += escaped;
        if (escaped ? !take_escape(x, &r, &lo, &ascii) : (lo = take_point(x), false))
            continue;
        hi = lo;
        if (x->end - x->at > 1 && x->at[0] == '-' && x->at[1] != ']') {
            x->at++;
            escaped = *x->at == '\\';
            x->at += escaped;
            if (escaped ? !take_escape(x, &r, &hi, &ascii) : (hi = take_point(x), false))
                return refuse(x, "a range that ends in a class");
            if (hi < lo)
                return malformed(x, "a range in a class runs backwards");
        }
        add(x, &r, lo, hi);
    }
    x->at++;
    if (inverse)
        complement(x, &r, ascii ? 0x7f : 0x10ffff);
    return set_tree(x, &r);
}

/* ---- the rest of the language ---- */

static struct tree *parse_group(struct regex *x)
{
    if (++x->nest > NEST_MAX) {
        ew__gr_fail(x->s->b, EW_ELIMIT, "a pattern with groups nested deeper than %d", NEST_MAX);
        return NULL;
    }
    if (x->end - x->at >= 2 && x->at[0] == '?') {
        if (x->at[1] != ':')
            return refuse(x, "a group of the kind (?");
        x->at += 2;
    }
    struct tree *t = parse_alternatives(x);
    if (!t)
        return NULL;
    if (x->at == x->end || *x->at != ')')
        return malformed(x, "a group without its )");
    x->at++;
    x->nest--;
    return t;
}

static struct tree *parse_atom(struct regex *x)
{
    struct ranges r = {.count = 0};
    bool ascii = false;
    uint32_t point;
    char c = *x->at;
    if (c == '^' || c == '$')
        return refuse(x, "an anchor inside of the expression");
    if (strchr("*+?{", c))
        return malformed(x, "a count behind nothing");
    if (strchr("})]", c) && c == ')')
        return malformed(x, "a ) without its group");
    if (c == '(') {
        x->at++;
        return parse_group(x);
    }
    if (c == '[') {
        x->at++;
        return parse_class(x);
    }
    if (c == '.') {
        x->at++;
        r = (struct ranges){
            .lo = {'\n', '\r', 0x85, 0x2028}, .hi = {'\n', '\r', 0x85, 0x2029}, .count = 4};
        complement(x, &r, 0x10ffff);
        return set_tree(x, &r);
    }
    x->at += c == '\\';
    if (c != '\\')
        point = take_point(x);
    else if (!take_escape(x, &r, &point, &ascii))
        return x->s->b->code ? NULL : set_tree(x, &r);
    add(x, &r, point, point);
    return set_tree(x, &r);
}

static bool take_number(struct regex *x, uint32_t *out)
{
    const char *from = x->at;
    *out = 0;
    while (x->at < x->end && *x->at >= '0' && *x->at <= '9' && *out <= REPEAT_MAX)
        *out = *out * 10 + (uint32_t)(*x->at++ - '0');
    return x->at > from;
}

/* A count behind an atom: * + ? {n} {n,} {n,m}, and a "?" that says lazy, which changes nothing. */
static bool take_count(struct regex *x, uint32_t *least, uint32_t *most)
{
    char c = x->at < x->end ? *x->at : '\0';
    if (!c || !strchr("*+?{", c))
        return false;
    x->at++;
    *least = c == '+';
    *most = c == '?' ? 1 : UINT32_MAX;
    if (c == '{') {
        bool fine = take_number(x, least);
        *most = *least;
        if (fine && x->at < x->end && *x->at == ',') {
            x->at++;
            if (!take_number(x, most))
                *most = UINT32_MAX;
        }
        if (!fine || x->at == x->end || *x->at++ != '}' || *most < *least) {
            malformed(x, "a count that isn't {n}, {n,} or {n,m}");
            return false;
        }
        if (*least > REPEAT_MAX || (*most > REPEAT_MAX && *most != UINT32_MAX)) {
            ew__gr_fail(x->s->b, EW_ELIMIT, "a pattern's count above %d", REPEAT_MAX);
            return false;
        }
    }
    if (x->at < x->end && *x->at == '+')
        refuse(x, "a possessive count");
    x->at += x->at < x->end && *x->at == '?';
    return true;
}

static struct tree *parse_sequence(struct regex *x)
{
    struct tree *all = tree(x, TREE_EMPTY, NULL, NULL);
    while (all && x->at < x->end && *x->at != '|' && *x->at != ')' && !x->s->b->code) {
        uint32_t least, most;
        if (*x->at == '$' && !x->nest && (x->end - x->at == 1 || x->at[1] == '|'))
            break;
        struct tree *one = parse_atom(x);
        if (!one)
            return NULL;
        if (take_count(x, &least, &most)) {
            one = tree(x, TREE_REPEAT, one, NULL);
            if (!one)
                return NULL;
            one->least = least;
            one->most = most;
        }
        all = tree(x, TREE_CAT, all, one);
    }
    return all;
}

/* Any characters: what may stand where an end isn't anchored. */
static struct tree *anything(struct regex *x)
{
    const struct ranges all = {.lo = {0}, .hi = {0x10ffff}, .count = 1};
    struct tree *t = tree(x, TREE_REPEAT, set_tree(x, &all), NULL);
    if (t)
        t->most = UINT32_MAX;
    return t;
}

static struct tree *parse_anchored(struct regex *x)
{
    bool from = !x->nest && x->at < x->end && *x->at == '^';
    x->at += from;
    struct tree *t = parse_sequence(x);
    if (!t || x->nest)
        return t;
    bool to = x->at < x->end && *x->at == '$';
    x->at += to;
    if (!from)
        t = tree(x, TREE_CAT, anything(x), t);
    return to || !t ? t : tree(x, TREE_CAT, t, anything(x));
}

static struct tree *parse_alternatives(struct regex *x)
{
    struct tree *t = parse_anchored(x);
    while (t && x->at < x->end && *x->at == '|') {
        x->at++;
        struct tree *other = parse_anchored(x);
        t = other ? tree(x, TREE_ALT, t, other) : NULL;
    }
    return t;
}

/* ---- to nodes ---- */

static uint32_t emit(struct gr_builder *b, const struct tree *t, uint32_t next)
{
    uint32_t ways = 0, loop;
    if (b->code || !next)
        return 0;
    switch (t->kind) {
    case TREE_EMPTY:
        return next;
    case TREE_SET:
        for (uint32_t i = 0; i < t->set->count; i++)
            ways = ew__gr_union(b, ways, ew__gr_points(b, t->set->lo[i], t->set->hi[i], next));
        return ways;
    case TREE_CAT: /* a chain to the left */
        while (t->kind == TREE_CAT) {
            next = emit(b, t->b, next);
            t = t->a;
        }
        return emit(b, t, next);
    case TREE_ALT:
        return ew__gr_union(b, emit(b, t->a, next), emit(b, t->b, next));
    case TREE_REPEAT:
        break;
    }
    if (t->most == UINT32_MAX) {
        loop = ew__gr_fork(b);
        ew__gr_join(b, loop, next, emit(b, t->a, loop));
        next = loop;
    } else {
        uint32_t end = next;
        for (uint32_t i = t->least; i < t->most && !b->code; i++) {
            uint32_t once = emit(b, t->a, next);
            if (once == next)
                break; /* nothing, many times */
            next = ew__gr_union(b, end, once);
        }
    }
    for (uint32_t i = 0, once = 0; i < t->least && !b->code && once != next; i++) {
        once = next;
        next = emit(b, t->a, next);
    }
    return next;
}

uint32_t ew__schema_pattern(struct schema *s, const struct value *where, const char *keyword,
                            struct ew_str pattern, uint32_t next)
{
    struct regex x = {.s = s,
                      .where = where,
                      .keyword = keyword,
                      .at = pattern.data,
                      .end = pattern.data + pattern.bytes};
    if (pattern.bytes > PATTERN_BYTES_MAX)
        return ew__gr_fail(s->b, EW_ELIMIT, "a pattern of %zu bytes, at most %d", pattern.bytes,
                           PATTERN_BYTES_MAX);
    const struct tree *t = parse_alternatives(&x);
    if (!t || s->b->code)
        return 0;
    if (x.at < x.end) {
        malformed(&x, "a ) without its group");
        return 0;
    }
    return emit(s->b, t, next);
}
