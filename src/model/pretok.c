/* pretok.c - the pre-tokenizers, each the published expression by hand.
 *
 * gpt-2, published with GPT-2:
 *     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * smollm: each \p{N} is cut out alone, then gpt-2 on each piece between.
 * llama-bpe (Llama 3), and qwen2 with \p{N} for \p{N}{1,3}:
 *     (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*
 *     |\s*[\r\n]+|\s+(?!\S)|\s+
 * default: cuts out runs of [\p{P}$+<=>^~|], then gpt-2 on each piece, then cuts out \p{N}+ and in
 * those [0-9][0-9][0-9].
 *
 * The alternatives of an expression are tried in order, so the code is a list of ifs in that
 * order. \s+(?!\S) takes a run of white space but for its last character, all of it at the end.
 * Where passes follow each other, the end of a piece is the end of the text for the next pass. */
#include "model/pretok.h"

#include "base/utf8.h"
#include "model/unicode.h"

#include <string.h>

static const struct ew_pretok_info infos[] = {
    {"default", EW_PRETOK_DEFAULT, false, false},
    {"gpt-2", EW_PRETOK_GPT2, false, false},
    {"smollm", EW_PRETOK_SMOLLM, false, false},
    {"qwen2", EW_PRETOK_QWEN2, false, false},
    {"llama-bpe", EW_PRETOK_LLAMA3, true, true},
    /* Other names of the same expressions. */
    {"phi-2", EW_PRETOK_GPT2, false, false},
    {"olmo", EW_PRETOK_GPT2, false, false},
    {"starcoder", EW_PRETOK_SMOLLM, false, false},
    {"refact", EW_PRETOK_SMOLLM, false, false},
    {"command-r", EW_PRETOK_SMOLLM, false, false},
    {"codeshell", EW_PRETOK_SMOLLM, false, false},
    {"exaone", EW_PRETOK_SMOLLM, false, false},
    {"stablelm2", EW_PRETOK_QWEN2, false, false},
    {"deepseek-r1-qwen", EW_PRETOK_QWEN2, false, false},
    {"megrez", EW_PRETOK_QWEN2, false, false},
    {"llama3", EW_PRETOK_LLAMA3, true, true},
    {"llama-v3", EW_PRETOK_LLAMA3, true, true},
    {"falcon3", EW_PRETOK_LLAMA3, true, true},
    {"lfm2", EW_PRETOK_LLAMA3, true, true},
    {"dbrx", EW_PRETOK_LLAMA3, false, false},
    {"smaug-bpe", EW_PRETOK_LLAMA3, false, false},
    {"glm4", EW_PRETOK_LLAMA3, true, false},
};

const struct ew_pretok_info *ew_pretok_info(struct ew_str name)
{
    for (size_t i = 0; i < EW_COUNT(infos); i++)
        if (ew_str_is(name, infos[i].name))
            return &infos[i];
    return NULL;
}

/* One character and what kind of character it is. */
struct sign {
    int bytes; /* 0: the end; the class is EW_UNICODE_SPACE then, which ends all runs */
    uint32_t point;
    enum ew_unicode_class class;
};

static struct sign sign_at(const char *at, const char *end)
{
    if (at >= end)
        return (struct sign){0, 0, EW_UNICODE_SPACE};
    unsigned char byte = (unsigned char)*at;
    if (byte < 0x80)
        return (struct sign){1, byte, ew_unicode_class(byte)};
    struct ew_utf8_char c = ew_utf8_next(at, (size_t)(end - at));
    return (struct sign){c.bytes, c.point, ew_unicode_class(c.point)};
}

static const char *skip_class(const char *at, const char *end, enum ew_unicode_class class)
{
    for (struct sign s; (s = sign_at(at, end)).bytes && s.class == class;)
        at += s.bytes;
    return at;
}

/* [^\s\p{L}\p{N}]* */
static bool is_mark(struct sign s)
{
    return s.bytes && (s.class == EW_UNICODE_OTHER || s.class == EW_UNICODE_PUNCTUATION);
}

static const char *skip_marks(const char *at, const char *end)
{
    for (struct sign s; is_mark(s = sign_at(at, end));)
        at += s.bytes;
    return at;
}

/* Bytes of 's 't 're 've 'm 'll 'd at `at`, which is at an apostrophe; 0: none. */
static int contraction(const char *at, const char *end, int fold)
{
    if (end - at < 2)
        return 0;
    char a = (char)(at[1] | fold);
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    if (end - at < 3)
        return 0;
    char b = (char)(at[2] | fold);
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* \s+(?!\S)|\s+ at a white character; returns where the word ends. */
static const char *skip_spaces(const char *at, const char *end)
{
    const char *last = at, *next = at;
    for (struct sign s; (s = sign_at(next, end)).bytes && s.class == EW_UNICODE_SPACE;) {
        last = next;
        next += s.bytes;
    }
    return next == end || last == at ? next : last;
}

static const char *next_gpt2(const char *at, const char *end)
{
    if (*at == '\'') {
        int bytes = contraction(at, end, 0);
        if (bytes)
            return at + bytes;
    }
    const char *word = at + (*at == ' ');
    struct sign s = sign_at(word, end);
    if (s.class == EW_UNICODE_LETTER || s.class == EW_UNICODE_NUMBER)
        return skip_class(word, end, s.class);
    if (is_mark(s))
        return skip_marks(word, end);
    return skip_spaces(at, end);
}

/* \s*[\r\n]+ at a white character: up to behind the last line end of the run; NULL: has none. */
static const char *skip_lines(const char *at, const char *end)
{
    const char *behind = NULL;
    for (struct sign s; (s = sign_at(at, end)).bytes && s.class == EW_UNICODE_SPACE;) {
        at += s.bytes;
        if (s.point == '\r' || s.point == '\n')
            behind = at;
    }
    return behind;
}

static const char *next_llama3(const char *at, const char *end, int digits)
{
    if (*at == '\'') {
        int bytes = contraction(at, end, 0x20);
        if (bytes)
            return at + bytes;
    }
    struct sign s = sign_at(at, end);
    const char *next = at + s.bytes;
    if (s.class == EW_UNICODE_LETTER)
        return skip_class(next, end, EW_UNICODE_LETTER);
    if (s.class == EW_UNICODE_NUMBER) {
        for (; digits > 1 && (s = sign_at(next, end)).class == EW_UNICODE_NUMBER; digits--)
            next += s.bytes;
        return next;
    }
    struct sign t = sign_at(next, end);
    if (s.point != '\r' && s.point != '\n' && t.class == EW_UNICODE_LETTER)
        return skip_class(next, end, EW_UNICODE_LETTER);
    const char *marks = s.point == ' ' ? next : at;
    if (is_mark(s.point == ' ' ? t : s)) {
        next = skip_marks(marks, end);
        while (next < end && (*next == '\r' || *next == '\n'))
            next++;
        return next;
    }
    next = skip_lines(at, end);
    return next ? next : skip_spaces(at, end);
}

/* [\p{P}$+<=>^~|] */
static bool is_default_mark(struct sign s)
{
    return s.class == EW_UNICODE_PUNCTUATION ||
           (s.point > 0 && s.point < 0x80 && strchr("$+<=>^~|", (int)s.point));
}

static const char *default_segment(const char *at, const char *end)
{
    bool marks = is_default_mark(sign_at(at, end));
    for (struct sign s; (s = sign_at(at, end)).bytes && is_default_mark(s) == marks;)
        at += s.bytes;
    return at;
}

static const char *smollm_segment(const char *at, const char *end)
{
    struct sign s = sign_at(at, end);
    if (s.class == EW_UNICODE_NUMBER)
        return at + s.bytes;
    for (; (s = sign_at(at, end)).bytes && s.class != EW_UNICODE_NUMBER;)
        at += s.bytes;
    return at;
}

static bool three_digits(const char *at, const char *end)
{
    if (end - at < 3)
        return false;
    for (int i = 0; i < 3; i++)
        if (at[i] < '0' || at[i] > '9')
            return false;
    return true;
}

/* The last two passes of default, inside a word of gpt-2. */
static const char *default_part(const char *at, const char *end)
{
    struct sign s = sign_at(at, end);
    if (s.class != EW_UNICODE_NUMBER)
        return smollm_segment(at, end);
    if (three_digits(at, end))
        return at + 3;
    while ((s = sign_at(at, end)).class == EW_UNICODE_NUMBER && !three_digits(at, end))
        at += s.bytes;
    return at;
}

static const char *next_default(struct ew_pretok *it)
{
    if (it->at == it->word_end) {
        if (it->at == it->segment_end)
            it->segment_end = default_segment(it->at, it->end);
        it->word_end = next_gpt2(it->at, it->segment_end);
    }
    return default_part(it->at, it->word_end);
}

void ew_pretok_init(struct ew_pretok *it, enum ew_pretok_kind kind, struct ew_str text)
{
    *it = (struct ew_pretok){kind, text.data, text.data + text.bytes, text.data, text.data};
}

bool ew_pretok_next(struct ew_pretok *it, struct ew_str *word)
{
    if (it->at == it->end)
        return false;
    const char *next;
    switch (it->kind) {
    case EW_PRETOK_QWEN2:
        next = next_llama3(it->at, it->end, 1);
        break;
    case EW_PRETOK_LLAMA3:
        next = next_llama3(it->at, it->end, 3);
        break;
    case EW_PRETOK_GPT2:
        next = next_gpt2(it->at, it->end);
        break;
    case EW_PRETOK_SMOLLM:
        if (it->at == it->segment_end)
            it->segment_end = smollm_segment(it->at, it->end);
        next = next_gpt2(it->at, it->segment_end);
        break;
    default:
        next = next_default(it);
        break;
    }
    *word = (struct ew_str){it->at, (size_t)(next - it->at)};
    it->at = next;
    return true;
}
