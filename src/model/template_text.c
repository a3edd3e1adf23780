/* template_text.c - chat template: characters, as Python's str sees them.
 *
 * Text is UTF-8; positions and lengths that a template sees count characters. Case is changed for
 * Latin, Greek, Cyrillic and Armenian letters by range, without tables; other letters stay as they
 * are, which for the scripts that have case means the rare ones. White space is the list of
 * Unicode that Python's str.isspace knows. */
#include "model/template_int.h"

#include <string.h>

size_t ew__tmpl_decode(const char *s, size_t n, uint32_t *out)
{
    const unsigned char *u = (const unsigned char *)s;
    size_t more = u[0] < 0x80 ? 0 : u[0] < 0xc2 ? 9 : u[0] < 0xe0 ? 1 : u[0] < 0xf0 ? 2 : 3;
    *out = u[0];
    if (more == 0 || u[0] > 0xf4 || more >= n)
        return 1;
    uint32_t c = u[0] & (0x3fu >> more);
    for (size_t i = 1; i <= more; i++) {
        if ((u[i] & 0xc0) != 0x80)
            return 1;
        c = c << 6 | (u[i] & 0x3fu);
    }
    *out = c;
    return more + 1;
}

size_t ew__tmpl_encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c >= 0xd800 && c < 0xe000)
        c = 0xfffd; /* half of a pair: not a character */
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

size_t ew__tmpl_offset(struct ew_str s, size_t index)
{
    size_t at = 0;
    uint32_t c;
    while (index-- > 0 && at < s.bytes)
        at += ew__tmpl_decode(s.data + at, s.bytes - at, &c);
    return at;
}

size_t ew__tmpl_count(struct ew_str s)
{
    size_t count = 0;
    uint32_t c;
    for (size_t at = 0; at < s.bytes; count++)
        at += ew__tmpl_decode(s.data + at, s.bytes - at, &c);
    return count;
}

bool ew__tmpl_is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Controls, separators, formats, surrogates and private use, by their blocks. */
bool ew__tmpl_is_printable(uint32_t c)
{
    if (c < 0xa1)
        return c >= 0x20 && c < 0x7f;
    return c != 0xad && !ew__tmpl_is_space(c) && !(c >= 0x200b && c <= 0x200f) &&
           !(c >= 0x202a && c <= 0x202e) && !(c >= 0x2060 && c <= 0x206f) &&
           !(c >= 0xd800 && c <= 0xf8ff) && c != 0xfeff && !(c >= 0xfff0 && c <= 0xfffb) &&
           (c & 0xfffe) != 0xfffe && c < 0xe0000;
}

/* Letters whose capital is the even (or odd) one of a pair, by range. */
static bool pairs_even(uint32_t c)
{
    return (c >= 0x100 && c <= 0x137 && c != 0x130 && c != 0x131) || (c >= 0x14a && c <= 0x177) ||
           (c >= 0x1de && c <= 0x1ef) || (c >= 0x1f8 && c <= 0x21f) || (c >= 0x222 && c <= 0x233) ||
           (c >= 0x3d8 && c <= 0x3ef) || (c >= 0x460 && c <= 0x481) || (c >= 0x48a && c <= 0x4bf) ||
           (c >= 0x4d0 && c <= 0x52f) || (c >= 0x1e00 && c <= 0x1e95) ||
           (c >= 0x1ea0 && c <= 0x1eff);
}

static bool pairs_odd(uint32_t c)
{
    return (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e) || (c >= 0x1cd && c <= 0x1dc) ||
           (c >= 0x4c1 && c <= 0x4ce);
}

uint32_t ew__tmpl_upper(uint32_t c)
{
    if (c < 0x80)
        return c >= 'a' && c <= 'z' ? c - 32 : c;
    if (c == 0xb5)
        return 0x39c;
    if (c == 0xff)
        return 0x178;
    if (c == 0x131)
        return 'I';
    if (c == 0x17f)
        return 'S';
    if (c >= 0xe0 && c <= 0xfe)
        return c == 0xf7 ? c : c - 32;
    if (pairs_even(c))
        return c & ~1u;
    if (pairs_odd(c))
        return c & 1 ? c : c - 1;
    if (c == 0x3ac)
        return 0x386;
    if (c >= 0x3ad && c <= 0x3af)
        return c - 37;
    if (c == 0x3c2)
        return 0x3a3;
    if (c >= 0x3b1 && c <= 0x3cb)
        return c - 32;
    if (c == 0x3cc)
        return 0x38c;
    if (c == 0x3cd || c == 0x3ce)
        return c - 63;
    if (c >= 0x430 && c <= 0x44f)
        return c - 32;
    if (c >= 0x450 && c <= 0x45f)
        return c - 80;
    if (c == 0x4cf)
        return 0x4c0;
    return c >= 0x561 && c <= 0x586 ? c - 48 : c;
}

uint32_t ew__tmpl_lower(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    if (c == 0x178)
        return 0xff;
    if (c == 0x1e9e)
        return 0xdf;
    if (c >= 0xc0 && c <= 0xde)
        return c == 0xd7 ? c : c + 32;
    if (pairs_even(c))
        return c | 1;
    if (pairs_odd(c))
        return c & 1 ? c + 1 : c;
    if (c == 0x386)
        return 0x3ac;
    if (c >= 0x388 && c <= 0x38a)
        return c + 37;
    if (c == 0x38c)
        return 0x3cc;
    if (c == 0x38e || c == 0x38f)
        return c + 63;
    if (c >= 0x391 && c <= 0x3ab && c != 0x3a2)
        return c + 32;
    if (c >= 0x410 && c <= 0x42f)
        return c + 32;
    if (c >= 0x400 && c <= 0x40f)
        return c + 80;
    if (c == 0x4c0)
        return 0x4cf;
    return c >= 0x531 && c <= 0x556 ? c + 48 : c;
}

bool ew__tmpl_is_cased(uint32_t c)
{
    return ew__tmpl_upper(c) != c || ew__tmpl_lower(c) != c || c == 0xdf || c == 0x149;
}

/* Is `c`, after which another word part begins in the title filter of Jinja? */
static bool splits_words(uint32_t c)
{
    return c == '-' || ew__tmpl_is_space(c) || c == '(' || c == '{' || c == '[' || c == '<';
}

int ew__tmpl_case(struct render *r, struct ew_str s, enum tmpl_case how, struct value *out)
{
    struct ew_buf buf;
    bool begins = true; /* a word, or the text */
    int code = ew__tmpl_step_bytes(r, s.bytes);
    ew__tmpl_text_begin(r, &buf);
    for (size_t at = 0; at < s.bytes && !code;) {
        uint32_t c;
        size_t n = ew__tmpl_decode(s.data + at, s.bytes - at, &c);
        bool up = how == CASE_UPPER || (how != CASE_LOWER && begins);
        begins = how == CASE_TITLE         ? !ew__tmpl_is_cased(c)
                 : how == CASE_TITLE_WORDS ? splits_words(c)
                                           : false;
        char text[4];
        uint32_t other = up ? ew__tmpl_upper(c) : ew__tmpl_lower(c);
        if (up && c == 0xdf)
            code = ew__tmpl_add(r, &buf, how == CASE_UPPER ? "SS" : "Ss", 2);
        else if (other == c) /* also keeps bytes that aren't UTF-8 */
            code = ew__tmpl_add(r, &buf, s.data + at, n);
        else
            code = ew__tmpl_add(r, &buf, text, ew__tmpl_encode(other, text));
        at += n;
    }
    return ew__tmpl_text_end(r, &buf, code, out);
}

static bool is_one_of(const struct ew_str *chars, const char *at, size_t n, uint32_t c)
{
    if (!chars)
        return ew__tmpl_is_space(c);
    return memmem(chars->data, chars->bytes, at, n) != NULL;
}

int ew__tmpl_step_strip(struct render *r, struct ew_str s, struct ew_str chars)
{
    return ew__tmpl_step(r, (uint64_t)s.bytes * (chars.bytes + 1) / TMPL_STEP_BYTES);
}

struct ew_str ew__tmpl_strip(struct ew_str s, const struct ew_str *chars, unsigned sides)
{
    uint32_t c;
    while (sides & STRIP_LEFT && s.bytes) {
        size_t n = ew__tmpl_decode(s.data, s.bytes, &c);
        if (!is_one_of(chars, s.data, n, c))
            break;
        s.data += n;
        s.bytes -= n;
    }
    while (sides & STRIP_RIGHT && s.bytes) {
        size_t at = s.bytes - 1;
        while (at > 0 && s.bytes - at < 4 && ((unsigned char)s.data[at] & 0xc0) == 0x80)
            at--;
        if (at + ew__tmpl_decode(s.data + at, s.bytes - at, &c) != s.bytes) {
            at = s.bytes - 1; /* not UTF-8: the byte alone */
            c = (unsigned char)s.data[at];
        }
        if (!is_one_of(chars, s.data + at, s.bytes - at, c))
            break;
        s.bytes = at;
    }
    return s;
}

const char *ew__tmpl_find(struct ew_str s, struct ew_str what)
{
    return what.bytes == 0 ? s.data : memmem(s.data, s.bytes, what.data, what.bytes);
}

int ew__tmpl_replace(struct render *r, struct ew_str s, struct ew_str from, struct ew_str to,
                     int64_t count, struct value *out)
{
    struct ew_buf buf;
    size_t at = 0;
    int code = ew__tmpl_step_bytes(r, s.bytes);
    ew__tmpl_text_begin(r, &buf);
    for (; !code && count != 0; count--) {
        struct ew_str rest = {s.data + at, s.bytes - at};
        const char *hit = ew__tmpl_find(rest, from);
        if (!hit)
            break;
        size_t before = (size_t)(hit - rest.data);
        code = ew__tmpl_add(r, &buf, rest.data, before);
        if (!code)
            code = ew__tmpl_add(r, &buf, to.data, to.bytes);
        at += before + from.bytes;
        if (from.bytes == 0) { /* between all characters, before the first and after the last */
            uint32_t c;
            if (at == s.bytes)
                break;
            size_t n = ew__tmpl_decode(s.data + at, s.bytes - at, &c);
            if (!code)
                code = ew__tmpl_add(r, &buf, s.data + at, n);
            at += n;
        }
        if (!code)
            code = ew__tmpl_step(r, 1);
    }
    if (!code)
        code = ew__tmpl_add(r, &buf, s.data + at, s.bytes - at);
    return ew__tmpl_text_end(r, &buf, code, out);
}

static bool breaks_line(uint32_t c)
{
    return (c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

int ew__tmpl_splitlines(struct render *r, struct ew_str s, bool keep_ends, struct value *out)
{
    int code = ew__tmpl_step_bytes(r, s.bytes);
    if (code || (code = ew__tmpl_list(r, V_LIST, 0, out)))
        return code;
    size_t from = 0;
    for (size_t at = 0; at < s.bytes && !code;) {
        uint32_t c;
        size_t end = at;
        at += ew__tmpl_decode(s.data + at, s.bytes - at, &c);
        if (!breaks_line(c) && at < s.bytes)
            continue;
        if (!breaks_line(c))
            end = at;
        else if (c == '\r' && at < s.bytes && s.data[at] == '\n')
            at++;
        struct value line = value_str(s.data + from, (keep_ends ? at : end) - from);
        code = ew__tmpl_push(r, out->list, &line);
        from = at;
    }
    return code;
}
