/* grammar_build.c - the pieces that grammars are made of, and those rules that JSON itself has.
 *
 * Space is narrow on purpose: one space, or one new line with an indent. A weak model would
 * otherwise print white space for ever. Numbers have bounded digits for the same reason: 15, which
 * a double holds exactly. */
#include "model/grammar_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INDENT_MAX = 16, DIGITS_MAX = 15, NODES_FIRST = 4096 };

int ew__gr_init(struct gr_builder *b, struct ew_err *err)
{
    *b = (struct gr_builder){.node_capacity = NODES_FIRST};
    b->nodes = calloc(NODES_FIRST, sizeof *b->nodes);
    b->rules = calloc(GRAMMAR_RULES_MAX, sizeof *b->rules);
    b->node_count = 1; /* GR_FAIL */
    if (b->nodes && b->rules)
        return 0;
    ew__gr_fini(b);
    return ew_fail(err, EW_ENOMEM, "no memory for a grammar");
}

void ew__gr_fini(struct gr_builder *b)
{
    free(b->nodes);
    free(b->rules);
    b->nodes = NULL;
    b->rules = NULL;
}

uint32_t ew__gr_fail(struct gr_builder *b, int code, const char *format, ...)
{
    if (b->code)
        return 0;
    char text[sizeof b->err.text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    b->code = ew_fail(&b->err, code, "%s", text);
    return 0;
}

static uint32_t add(struct gr_builder *b, struct gr_node node)
{
    if (b->code)
        return 0;
    if (b->node_count == GRAMMAR_NODES_MAX)
        return ew__gr_fail(b, EW_ELIMIT, "the schema's automaton needs more than %d nodes",
                           GRAMMAR_NODES_MAX);
    if (b->node_count == b->node_capacity) {
        uint32_t capacity = 2 * b->node_capacity;
        struct gr_node *nodes = realloc(b->nodes, capacity * sizeof *nodes);
        if (!nodes)
            return ew__gr_fail(b, EW_ENOMEM, "no memory for a grammar");
        b->nodes = nodes;
        b->node_capacity = capacity;
    }
    b->nodes[b->node_count] = node;
    return b->node_count++;
}

uint32_t ew__gr_range(struct gr_builder *b, unsigned lo, unsigned hi, uint32_t next)
{
    if (!next || lo > hi)
        return 0;
    return add(b, (struct gr_node){
                      .kind = GR_RANGE, .lo = (uint8_t)lo, .hi = (uint8_t)hi, .a = next, .b = 0});
}

uint32_t ew__gr_union(struct gr_builder *b, uint32_t x, uint32_t y)
{
    if (!x || !y || x == y)
        return x ? x : y;
    return add(b, (struct gr_node){.kind = GR_SPLIT, .a = x, .b = y});
}

uint32_t ew__gr_fork(struct gr_builder *b)
{
    return add(b, (struct gr_node){.kind = GR_SPLIT});
}

void ew__gr_join(struct gr_builder *b, uint32_t fork, uint32_t x, uint32_t y)
{
    if (!b->code) {
        b->nodes[fork].a = x;
        b->nodes[fork].b = y;
    }
}

uint32_t ew__gr_call(struct gr_builder *b, uint32_t rule, uint32_t next)
{
    return next ? add(b, (struct gr_node){.kind = GR_CALL, .a = next, .b = rule}) : 0;
}

uint32_t ew__gr_accept(struct gr_builder *b)
{
    return add(b, (struct gr_node){.kind = GR_ACCEPT});
}

uint32_t ew__gr_text(struct gr_builder *b, const char *text, size_t bytes, uint32_t next)
{
    while (bytes--)
        next = ew__gr_range(b, (unsigned char)text[bytes], (unsigned char)text[bytes], next);
    return next;
}

static bool all(const unsigned char *bytes, size_t n, unsigned byte)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != byte)
            return false;
    return true;
}

enum { BETWEEN_MAX = 20 };

uint32_t ew__gr_between(struct gr_builder *b, const unsigned char *lo, const unsigned char *hi,
                        size_t n, unsigned least, unsigned most, uint32_t next)
{
    unsigned first = lo[0], last = hi[0];
    unsigned char lowest[BETWEEN_MAX], highest[BETWEEN_MAX];
    EW_ASSERT(n <= BETWEEN_MAX);
    if (n == 1)
        return ew__gr_range(b, first, last, next);
    memset(lowest, (int)least, sizeof lowest);
    memset(highest, (int)most, sizeof highest);
    if (first == last)
        return ew__gr_range(b, first, first,
                            ew__gr_between(b, lo + 1, hi + 1, n - 1, least, most, next));
    uint32_t ways = 0;
    if (!all(lo + 1, n - 1, least)) {
        ways = ew__gr_range(b, first, first,
                            ew__gr_between(b, lo + 1, highest, n - 1, least, most, next));
        first++;
    }
    if (!all(hi + 1, n - 1, most)) {
        uint32_t way = ew__gr_range(b, last, last,
                                    ew__gr_between(b, lowest, hi + 1, n - 1, least, most, next));
        ways = ew__gr_union(b, ways, way);
        last--;
    }
    if (first > last)
        return ways;
    uint32_t rest = ew__gr_between(b, lowest, highest, n - 1, least, most, next);
    return ew__gr_union(b, ways, ew__gr_range(b, first, last, rest));
}

static size_t encode(uint32_t c, unsigned char out[4])
{
    if (c < 0x80) {
        out[0] = (unsigned char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (unsigned char)(0x80 | (c & 0x3f));
    out[0] = (unsigned char)(lead[n] | c);
    return n;
}

/* Characters that need no escape. */
static uint32_t raw(struct gr_builder *b, uint32_t lo, uint32_t hi, uint32_t next)
{
    static const struct {
        uint32_t lo, hi;
    } parts[] = {{0x20, 0x21},    {0x23, 0x5b},     {0x5d, 0x7f},       {0x80, 0x7ff},
                 {0x800, 0xd7ff}, {0xe000, 0xffff}, {0x10000, 0x10ffff}};
    uint32_t ways = 0;
    for (size_t i = 0; i < EW_COUNT(parts); i++) {
        uint32_t from = lo > parts[i].lo ? lo : parts[i].lo;
        uint32_t to = hi < parts[i].hi ? hi : parts[i].hi;
        unsigned char first[4], last[4];
        if (from > to)
            continue;
        size_t n = encode(from, first);
        encode(to, last);
        ways = ew__gr_union(b, ways, ew__gr_between(b, first, last, n, 0x80, 0xbf, next));
    }
    return ways;
}

static uint32_t escaped(struct gr_builder *b, uint32_t c, uint32_t next)
{
    static const char names[] = "\"\\bfnrt", chars[] = "\"\\\b\f\n\r\t";
    const char *simple = c ? strchr(chars, (int)c) : NULL;
    char text[8];
    int n = simple ? snprintf(text, sizeof text, "\\%c", names[simple - chars])
                   : snprintf(text, sizeof text, "\\u%04x", c);
    return ew__gr_text(b, text, (size_t)n, next);
}

uint32_t ew__gr_points(struct gr_builder *b, uint32_t lo, uint32_t hi, uint32_t next)
{
    uint32_t ways = next ? raw(b, lo, hi, next) : 0;
    for (uint32_t c = lo; c <= hi && c <= '\\' && next; c++)
        if (c < 0x20 || c == '"' || c == '\\')
            ways = ew__gr_union(b, ways, escaped(b, c, next));
    return ways;
}

uint32_t ew__gr_one_space(struct gr_builder *b, uint32_t next)
{
    return ew__gr_union(b, next, ew__gr_range(b, ' ', ' ', next));
}

uint32_t ew__gr_space(struct gr_builder *b, uint32_t next)
{
    return ew__gr_union(b, ew__gr_one_space(b, next), ew__gr_call(b, b->newline, next));
}

/* ---- rules ---- */

uint32_t ew__gr_rule(struct gr_builder *b)
{
    if (b->rule_count == GRAMMAR_RULES_MAX)
        return ew__gr_fail(b, EW_ELIMIT, "the schema needs more than %d rules", GRAMMAR_RULES_MAX);
    return b->rule_count++;
}

uint32_t ew__gr_repeat(struct gr_builder *b, uint32_t inner, uint64_t min, uint64_t max)
{
    if (min >= GRAMMAR_NO_MAX)
        return ew__gr_fail(b, EW_ELIMIT, "a length of at least %llu: at most %u can be asked for",
                           (unsigned long long)min, GRAMMAR_NO_MAX - 1);
    for (uint32_t i = 0; i < b->rule_count; i++) /* a schema has few different ones */
        if (b->rules[i].repeat && b->rules[i].inner == inner && b->rules[i].min == min &&
            b->rules[i].max == max)
            return i;
    uint32_t rule = ew__gr_rule(b);
    b->rules[rule] = (struct gr_rule){.repeat = true,
                                      .thin = true,
                                      .inner = (uint16_t)inner,
                                      .min = (uint16_t)min,
                                      .max = (uint16_t)max};
    return rule;
}

static uint32_t hex(struct gr_builder *b, int digits, uint32_t next)
{
    for (int i = 0; i < digits; i++) {
        uint32_t letters =
            ew__gr_union(b, ew__gr_range(b, 'a', 'f', next), ew__gr_range(b, 'A', 'F', next));
        next = ew__gr_union(b, ew__gr_range(b, '0', '9', next), letters);
    }
    return next;
}

static uint32_t letter(struct gr_builder *b, char small, uint32_t next)
{
    unsigned lower = (unsigned char)small;
    return ew__gr_union(b, ew__gr_range(b, lower, lower, next),
                        ew__gr_range(b, lower - 32, lower - 32, next));
}

/* Behind "\u": half of a pair only with its other half. */
static uint32_t unicode(struct gr_builder *b, uint32_t next)
{
    uint32_t two = hex(b, 2, next), three = hex(b, 1, two);
    uint32_t ways = ew__gr_range(b, '0', '9', three);
    ways = ew__gr_union(b, ways, ew__gr_range(b, 'a', 'c', three));
    ways = ew__gr_union(b, ways, ew__gr_range(b, 'A', 'C', three));
    ways = ew__gr_union(b, ways, letter(b, 'e', three));
    ways = ew__gr_union(b, ways, letter(b, 'f', three));
    ways = ew__gr_union(b, ways, letter(b, 'd', ew__gr_range(b, '0', '7', two)));
    uint32_t low = ew__gr_union(b, ew__gr_range(b, 'c', 'f', two), ew__gr_range(b, 'C', 'F', two));
    low = ew__gr_text(b, "\\u", 2, letter(b, 'd', low));
    uint32_t pair = hex(b, 2, low), high = ew__gr_range(b, '8', '9', pair);
    high = ew__gr_union(b, high, ew__gr_range(b, 'a', 'b', pair));
    high = ew__gr_union(b, high, ew__gr_range(b, 'A', 'B', pair));
    return ew__gr_union(b, ways, letter(b, 'd', high));
}

/* Any character of a string, in any way that JSON can write it. */
static uint32_t any_character(struct gr_builder *b, uint32_t next)
{
    static const char names[] = "\"\\/bfnrt";
    uint32_t ways = ew__gr_range(b, 'u', 'u', unicode(b, next));
    for (const char *c = names; *c; c++)
        ways = ew__gr_union(b, ways, ew__gr_text(b, c, 1, next));
    return ew__gr_union(b, raw(b, 0, 0x10ffff, next), ew__gr_range(b, '\\', '\\', ways));
}

static uint32_t digits(struct gr_builder *b, int least, int most, uint32_t next)
{
    uint32_t at = next;
    for (int i = most; i > 0; i--) {
        at = ew__gr_range(b, '0', '9', at);
        if (i > least)
            at = ew__gr_union(b, next, at);
    }
    return at;
}

static uint32_t whole_number(struct gr_builder *b, uint32_t next)
{
    uint32_t at = ew__gr_range(b, '1', '9', digits(b, 0, DIGITS_MAX - 1, next));
    at = ew__gr_union(b, at, ew__gr_range(b, '0', '0', next));
    return ew__gr_union(b, at, ew__gr_range(b, '-', '-', at));
}

static uint32_t any_number(struct gr_builder *b, uint32_t next)
{
    uint32_t exponent = digits(b, 1, 2, next);
    uint32_t sign = ew__gr_union(b, exponent, ew__gr_range(b, '+', '+', exponent));
    sign = ew__gr_union(b, sign, ew__gr_range(b, '-', '-', exponent));
    uint32_t end = ew__gr_union(b, next, letter(b, 'e', sign));
    uint32_t fraction = ew__gr_range(b, '.', '.', digits(b, 1, DIGITS_MAX, end));
    return whole_number(b, ew__gr_union(b, end, fraction));
}

static uint32_t any_object(struct gr_builder *b, uint32_t next)
{
    uint32_t more = ew__gr_fork(b);
    uint32_t member = ew__gr_one_space(b, ew__gr_call(b, b->any, more));
    member = ew__gr_call(b, b->string, ew__gr_range(b, ':', ':', member));
    uint32_t close = ew__gr_range(b, '}', '}', next);
    ew__gr_join(b, more, ew__gr_space(b, close),
                ew__gr_range(b, ',', ',', ew__gr_space(b, member)));
    return ew__gr_range(b, '{', '{', ew__gr_union(b, close, ew__gr_space(b, member)));
}

static uint32_t any_array(struct gr_builder *b, uint32_t next)
{
    uint32_t more = ew__gr_fork(b);
    uint32_t item = ew__gr_call(b, b->any, more);
    uint32_t close = ew__gr_range(b, ']', ']', next);
    ew__gr_join(b, more, ew__gr_space(b, close), ew__gr_range(b, ',', ',', ew__gr_space(b, item)));
    return ew__gr_range(b, '[', '[', ew__gr_union(b, close, ew__gr_space(b, item)));
}

static uint32_t any_value(struct gr_builder *b, uint32_t next)
{
    static const char *const words[] = {"true", "false", "null"};
    uint32_t ways = ew__gr_union(b, ew__gr_call(b, b->string, next), any_object(b, next));
    ways = ew__gr_union(b, ways, any_array(b, next));
    ways = ew__gr_union(b, ways, ew__gr_call(b, b->number, next));
    for (size_t i = 0; i < EW_COUNT(words); i++)
        ways = ew__gr_union(b, ways, ew__gr_text(b, words[i], strlen(words[i]), next));
    return ways;
}

static uint32_t newline(struct gr_builder *b, uint32_t next)
{
    uint32_t spaces = next, tabs = next;
    for (int i = 0; i < INDENT_MAX; i++)
        spaces = ew__gr_union(b, next, ew__gr_range(b, ' ', ' ', spaces));
    for (int i = 0; i < INDENT_MAX / 2; i++)
        tabs = ew__gr_union(b, next, ew__gr_range(b, '\t', '\t', tabs));
    return ew__gr_range(b, '\n', '\n', ew__gr_union(b, spaces, tabs));
}

static uint32_t any_string(struct gr_builder *b, uint32_t next)
{
    uint32_t more = ew__gr_fork(b);
    ew__gr_join(b, more, ew__gr_range(b, '"', '"', next), any_character(b, more));
    return ew__gr_range(b, '"', '"', more);
}

void ew__gr_json(struct gr_builder *b)
{
    struct {
        uint32_t *rule;
        uint32_t (*build)(struct gr_builder *b, uint32_t next);
        bool thin;
    } rules[] = {{&b->newline, newline, true},      {&b->character, any_character, true},
                 {&b->string, any_string, true},    {&b->number, any_number, true},
                 {&b->integer, whole_number, true}, {&b->any, any_value, false},
                 {&b->object, any_object, false},   {&b->array, any_array, false}};
    for (size_t i = 0; i < EW_COUNT(rules); i++)
        *rules[i].rule = ew__gr_rule(b);
    for (size_t i = 0; i < EW_COUNT(rules); i++) {
        b->rules[*rules[i].rule].node = rules[i].build(b, ew__gr_accept(b));
        b->rules[*rules[i].rule].thin = rules[i].thin;
    }
}
