/* template_lex.c - chat template, source to tokens: text, tags, and what is inside them.
 *
 * White space follows Jinja with trim_blocks and lstrip_blocks on, as transformers sets it: a
 * newline right after a block or comment is dropped, and so are blanks between the start of a line
 * and a block or comment; "-" drops all white space on its side, "+" keeps it. */
#include "model/template_int.h"

#include <string.h>

enum { BRACKETS_MAX = 200 }; /* open at once inside one tag; the parser has its own depth */

struct lexer {
    struct parser *p;
    struct ew_str src;
    size_t at;
    uint32_t line;
    size_t line_at; /* `line` is that of this byte */
    size_t token_capacity;
};

static uint32_t line_of(struct lexer *x, size_t at)
{
    for (; x->line_at < at; x->line_at++)
        x->line += x->src.data[x->line_at] == '\n';
    return x->line;
}

static int add(struct lexer *x, enum token_type type, size_t from, size_t to, size_t line_at)
{
    struct parser *p = x->p;
    if (p->token_count == x->token_capacity) {
        size_t capacity = x->token_capacity ? x->token_capacity * 2 : 256;
        struct token *more = ew__tmpl_alloc(&p->scratch, capacity * sizeof *more, p->err);
        if (!more)
            return p->err->code;
        if (p->token_count)
            memcpy(more, p->tokens, p->token_count * sizeof *more);
        p->tokens = more;
        x->token_capacity = capacity;
    }
    p->tokens[p->token_count++] = (struct token){
        .type = type, .line = line_of(x, line_at), .text = {x->src.data + from, to - from}};
    return 0;
}

static int fail_as(struct lexer *x, size_t at, int code, const char *what)
{
    uint32_t line = 1;
    for (size_t i = 0; i < at; i++)
        line += x->src.data[i] == '\n';
    return ew__tmpl_parse_fail(x->p, line, code, "%s", what);
}

static int fail(struct lexer *x, size_t at, const char *what)
{
    return fail_as(x, at, EW_EFORMAT, what);
}

static char peek(const struct lexer *x, size_t at)
{
    return at < x->src.bytes ? x->src.data[at] : '\0';
}

static bool starts(const struct lexer *x, size_t at, const char *text)
{
    size_t n = strlen(text);
    return at <= x->src.bytes && x->src.bytes - at >= n && !memcmp(x->src.data + at, text, n);
}

static size_t skip_space(const struct lexer *x, size_t at)
{
    while (at < x->src.bytes) {
        uint32_t c;
        size_t n = ew__tmpl_decode(x->src.data + at, x->src.bytes - at, &c);
        if (!ew__tmpl_is_space(c))
            break;
        at += n;
    }
    return at;
}

/* The end of a tag at `at`, "%}" say, with the sign before it; 0 when there is none. */
static size_t tag_end(const struct lexer *x, size_t at, const char *close)
{
    char sign = peek(x, at);
    bool prints = close[0] == '}'; /* "}}" knows no "+" and keeps its newline */
    if (sign == '-' && starts(x, at + 1, close))
        return skip_space(x, at + 3);
    if (sign == '+' && !prints && starts(x, at + 1, close))
        return at + 3;
    if (!starts(x, at, close))
        return 0;
    return at + 2 + (!prints && peek(x, at + 2) == '\n');
}

/* Where the text from `from` ends that stands before a tag with this sign. */
static size_t text_end(const struct lexer *x, size_t from, size_t to, char sign, bool prints)
{
    struct ew_str text = {x->src.data + from, to - from};
    if (sign == '-')
        return from + ew__tmpl_strip(text, NULL, STRIP_RIGHT).bytes;
    if (sign == '+' || prints)
        return to;
    const char *newline = memrchr(text.data, '\n', text.bytes);
    size_t line = newline ? (size_t)(newline - x->src.data) + 1 : from;
    bool starting = newline || from == 0 || x->src.data[from - 1] == '\n';
    return starting && skip_space(x, line) >= to ? line : to;
}

static int lex_string(struct lexer *x)
{
    size_t from = x->at;
    char quote = x->src.data[x->at++];
    while (x->at < x->src.bytes && x->src.data[x->at] != quote)
        x->at += x->src.data[x->at] == '\\' ? 2 : 1;
    if (x->at >= x->src.bytes)
        return fail(x, from, "a string without its closing quote");
    x->at++;
    return add(x, TOKEN_STRING, from + 1, x->at - 1, from);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c) ||
           (unsigned char)c >= 0x80;
}

static size_t skip_digits(const struct lexer *x, size_t at)
{
    while (is_digit(peek(x, at)) || (peek(x, at) == '_' && is_digit(peek(x, at + 1))))
        at++;
    return at;
}

static int lex_number(struct lexer *x)
{
    size_t from = x->at, at = skip_digits(x, from);
    bool is_float = false, after_dot = from > 0 && x->src.data[from - 1] == '.';
    if (!after_dot && peek(x, at) == '.' && is_digit(peek(x, at + 1))) {
        at = skip_digits(x, at + 1);
        is_float = true;
    }
    if (!after_dot && (peek(x, at) == 'e' || peek(x, at) == 'E')) {
        size_t digits = at + 1 + (peek(x, at + 1) == '-' || peek(x, at + 1) == '+');
        if (is_digit(peek(x, digits))) {
            at = skip_digits(x, digits);
            is_float = true;
        }
    }
    x->at = at;
    return add(x, is_float ? TOKEN_FLOAT : TOKEN_INT, from, at, from);
}

static int lex_operator(struct lexer *x, char *brackets, uint32_t *open)
{
    static const char *const twos[] = {"//", "**", "==", "!=", ">=", "<="};
    size_t from = x->at;
    char c = x->src.data[from];
    for (size_t i = 0; i < EW_COUNT(twos); i++)
        if (starts(x, from, twos[i])) {
            x->at += 2;
            return add(x, TOKEN_OP, from, from + 2, from);
        }
    if (!c || !strchr("+-/*%~[](){}><=.:|,;", c))
        return fail(x, from, "a character that has no place in a tag");
    if (strchr("([{", c)) {
        if (*open == BRACKETS_MAX)
            return fail_as(x, from, EW_ELIMIT, "too many open brackets");
        brackets[(*open)++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (strchr(")]}", c)) {
        if (*open == 0 || brackets[--*open] != c)
            return fail(x, from, "a closing bracket without its opening one");
    }
    x->at++;
    return add(x, TOKEN_OP, from, from + 1, from);
}

/* What is between "{{" and "}}" or "{%" and "%}", its end included. */
static int lex_tag(struct lexer *x, bool prints, size_t tag)
{
    char brackets[BRACKETS_MAX];
    uint32_t open = 0;
    for (;;) {
        x->at = skip_space(x, x->at);
        if (x->at >= x->src.bytes)
            return fail(x, tag, prints ? "'{{' without its '}}'" : "'{%' without its '%}'");
        size_t end = open ? 0 : tag_end(x, x->at, prints ? "}}" : "%}");
        if (end) {
            int code = add(x, prints ? TOKEN_PRINT_END : TOKEN_BLOCK_END, x->at, x->at, x->at);
            x->at = end;
            return code;
        }
        char c = x->src.data[x->at];
        int code;
        if (c == '\'' || c == '"') {
            code = lex_string(x);
        } else if (is_digit(c)) {
            code = lex_number(x);
        } else if (is_name(c)) {
            size_t from = x->at;
            while (is_name(peek(x, x->at)))
                x->at++;
            code = add(x, TOKEN_NAME, from, x->at, from);
        } else {
            code = lex_operator(x, brackets, &open);
        }
        if (code)
            return code;
    }
}

static int lex_comment(struct lexer *x, size_t tag)
{
    for (size_t at = x->at; at < x->src.bytes; at++) {
        size_t end = tag_end(x, at, "#}");
        if (end) {
            x->at = end;
            return 0;
        }
    }
    return fail(x, tag, "'{#' without its '#}'");
}

/* After "{% raw" and its end: text up to "{% endraw %}". */
static int lex_raw(struct lexer *x, size_t tag)
{
    size_t from = x->at;
    for (size_t at = from; at < x->src.bytes; at++) {
        if (!starts(x, at, "{%"))
            continue;
        char sign = peek(x, at + 2);
        size_t name = skip_space(x, at + 2 + (sign == '-' || sign == '+'));
        size_t end = starts(x, name, "endraw") ? tag_end(x, skip_space(x, name + 6), "%}") : 0;
        if (!end)
            continue;
        size_t to = text_end(x, from, at, sign, false);
        x->at = end;
        return to > from ? add(x, TOKEN_DATA, from, to, from) : 0;
    }
    return fail(x, tag, "'{% raw %}' without its '{% endraw %}'");
}

/* The end of "raw %}" at `at`, or 0: raw keeps the newline after it. */
static size_t raw_begin(const struct lexer *x, size_t at)
{
    at = skip_space(x, at);
    if (!starts(x, at, "raw"))
        return 0;
    at = skip_space(x, at + 3);
    if (starts(x, at, "-%}"))
        return skip_space(x, at + 3);
    return starts(x, at, "%}") ? at + 2 : 0;
}

static size_t next_tag(const struct lexer *x, size_t at)
{
    for (; at < x->src.bytes; at++) {
        const char *brace = memchr(x->src.data + at, '{', x->src.bytes - at);
        if (!brace)
            return x->src.bytes;
        at = (size_t)(brace - x->src.data);
        char c = peek(x, at + 1);
        if (c == '{' || c == '%' || c == '#')
            return at;
    }
    return x->src.bytes;
}

int ew__tmpl_lex(struct parser *p, struct ew_str source)
{
    struct lexer x = {.p = p, .src = source, .line = 1};
    while (x.at < source.bytes) {
        size_t tag = next_tag(&x, x.at);
        char kind = peek(&x, tag + 1), sign = peek(&x, tag + 2);
        bool has_tag = tag < source.bytes, prints = kind == '{';
        if (sign != '-' && sign != '+')
            sign = 0;
        size_t to = has_tag ? text_end(&x, x.at, tag, sign, prints) : tag;
        int code = to > x.at ? add(&x, TOKEN_DATA, x.at, to, x.at) : 0;
        if (code)
            return code;
        if (!has_tag)
            break;
        x.at = tag + 2 + (sign != 0);
        size_t raw = kind == '%' ? raw_begin(&x, x.at) : 0;
        if (kind == '#') {
            code = lex_comment(&x, tag);
        } else if (raw) {
            x.at = raw;
            code = lex_raw(&x, tag);
        } else {
            code = add(&x, prints ? TOKEN_PRINT_BEGIN : TOKEN_BLOCK_BEGIN, tag, x.at, tag);
            if (!code)
                code = lex_tag(&x, prints, tag);
        }
        if (code)
            return code;
    }
    return add(&x, TOKEN_END, source.bytes, source.bytes, source.bytes);
}
