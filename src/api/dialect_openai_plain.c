/* dialect_openai_plain.c - see dialect_openai_plain.h. A field that comes twice isn't plain: of two
 * the last one counts, and that is a tree's business. */
#include "api/dialect_openai_plain.h"

#include <string.h>

#include "api/scan.h"

static bool is(struct ew_str key, const char *name)
{
    return ew_str_is(key, name);
}

/* Marks that the field has come; odd the second time. */
static void once(struct ew_scan *s, unsigned *seen, unsigned bit)
{
    s->odd = s->odd || (*seen & bit);
    *seen |= bit;
}

static int64_t count(struct ew_scan *s)
{
    int64_t value;
    if (!ew_scan_whole(s, &value))
        return -1;
    s->odd = s->odd || value < 0 || value > UINT32_MAX;
    return value;
}

/* ---- usage ---- */

static void read_details(struct ew_scan *s, struct ew_openai_plain *p)
{
    struct ew_str key;
    unsigned seen = 0;
    if (ew_scan_null(s))
        return;
    s->odd = !ew_scan_enter(s, '{') || s->odd;
    while (ew_scan_key(s, &key)) {
        if (!is(key, "cached_tokens")) {
            ew_scan_skip(s);
            continue;
        }
        once(s, &seen, 1);
        p->cached_tokens = count(s);
    }
}

static void read_usage(struct ew_scan *s, struct ew_openai_plain *p)
{
    struct ew_str key;
    unsigned seen = 0;
    p->usage_is_null = ew_scan_null(s);
    p->usage_is_object = !p->usage_is_null && ew_scan_enter(s, '{');
    s->odd = s->odd || p->usage_is_null == p->usage_is_object;
    while (p->usage_is_object && ew_scan_key(s, &key)) {
        if (is(key, "prompt_tokens")) {
            once(s, &seen, 1);
            p->prompt_tokens = count(s);
        } else if (is(key, "completion_tokens")) {
            once(s, &seen, 2);
            p->output_tokens = count(s);
        } else if (is(key, "prompt_tokens_details")) {
            once(s, &seen, 4);
            read_details(s, p);
        } else if (is(key, "total_tokens") || is(key, "completion_tokens_details")) {
            ew_scan_skip(s);
        } else {
            s->odd = true;
        }
    }
}

/* ---- choices ---- */

static void read_thoughts(struct ew_scan *s, struct ew_openai_plain *p)
{
    struct ew_str thoughts;
    ew_scan_text(s, &thoughts);
    p->has_thoughts = p->has_thoughts || thoughts.bytes;
}

static void read_message(struct ew_scan *s, struct ew_openai_plain *p)
{
    struct ew_str key;
    unsigned seen = 0;
    if (ew_scan_null(s))
        return;
    p->has_message = ew_scan_enter(s, '{');
    s->odd = s->odd || !p->has_message;
    while (ew_scan_key(s, &key)) {
        if (is(key, "content")) {
            once(s, &seen, 1);
            ew_scan_text(s, &p->content);
        } else if (is(key, "refusal")) {
            once(s, &seen, 2);
            ew_scan_text(s, &p->refusal);
        } else if (is(key, "reasoning_content")) {
            once(s, &seen, 4);
            read_thoughts(s, p);
        } else if (is(key, "reasoning")) {
            once(s, &seen, 8);
            read_thoughts(s, p);
        } else if (is(key, "tool_calls")) {
            once(s, &seen, 16);
            s->odd = s->odd || (!ew_scan_null(s) && (!ew_scan_enter(s, '[') || ew_scan_item(s)));
        } else {
            ew_scan_skip(s);
        }
    }
}

static void read_choice(struct ew_scan *s, struct ew_openai_plain *p, enum ew_openai_part part)
{
    const char *message = part == EW_OPENAI_WHOLE ? "message" : "delta";
    struct ew_str key;
    unsigned seen = 0;
    s->odd = !ew_scan_enter(s, '{') || s->odd;
    while (ew_scan_key(s, &key)) {
        if (is(key, "index")) {
            once(s, &seen, 1);
            p->index = count(s);
        } else if (is(key, message)) {
            once(s, &seen, 2);
            read_message(s, p);
        } else if (is(key, "finish_reason")) {
            once(s, &seen, 4);
            ew_scan_text(s, &p->finish);
        } else {
            ew_scan_skip(s);
        }
    }
}

static void read_choices(struct ew_scan *s, struct ew_openai_plain *p, enum ew_openai_part part)
{
    p->has_choices = ew_scan_enter(s, '[');
    s->odd = s->odd || !p->has_choices;
    while (ew_scan_item(s)) {
        s->odd = s->odd || p->has_choice; /* another one */
        p->has_choice = true;
        read_choice(s, p, part);
    }
}

/* ---- all of it ---- */

static void read_field(struct ew_scan *s, struct ew_openai_plain *p, struct ew_str key,
                       unsigned *seen, enum ew_openai_part part)
{
    if (is(key, "choices")) {
        once(s, seen, 1);
        read_choices(s, p, part);
    } else if (is(key, "usage")) {
        once(s, seen, 2);
        read_usage(s, p);
    } else if (is(key, "id")) {
        once(s, seen, 4);
        ew_scan_text(s, &p->id);
    } else if (is(key, "created")) {
        once(s, seen, 8);
        if (!ew_scan_whole(s, &p->created_s))
            p->created_s = -1;
        s->odd = s->odd || p->created_s < -1;
    } else if (is(key, "object")) {
        struct ew_str object;
        ew_scan_text(s, &object);
        s->odd = s->odd || !object.data || is(object, "error") ||
                 memchr(object.data, '\\', object.bytes);
    } else if (is(key, "error")) {
        s->odd = true;
    } else {
        ew_scan_skip(s);
    }
}

bool ew_openai_plain_read(struct ew_openai_plain *plain, struct ew_str text,
                          enum ew_openai_part part)
{
    struct ew_scan scan;
    struct ew_str key;
    unsigned seen = 0;
    *plain = (struct ew_openai_plain){.created_s = -1,
                                      .index = -1,
                                      .prompt_tokens = -1,
                                      .output_tokens = -1,
                                      .cached_tokens = -1};
    ew_scan_open(&scan, text);
    scan.odd = !ew_scan_enter(&scan, '{');
    while (ew_scan_key(&scan, &key))
        read_field(&scan, plain, key, &seen, part);
    bool whole = part == EW_OPENAI_WHOLE;
    bool enough = whole ? plain->has_choice && plain->has_message
                        : plain->has_choices || plain->usage_is_object;
    /* Words are compared as they were written. */
    bool words = !plain->finish.data || !memchr(plain->finish.data, '\\', plain->finish.bytes);
    words = words && (!plain->id.data || !memchr(plain->id.data, '\\', plain->id.bytes));
    return ew_scan_done(&scan) && enough && words;
}
