/* openai_messages_plain.c - the messages of a chat as they nearly always are, in one pass.
 *
 * A role and a text each: they become what openai_messages.c would make of them, without the tree
 * that it reads; with the tree, reading a request was a sixth of a front's work on it. Whatever has
 * more in it (parts, calls, names, an unknown role) is left to that file. */
#include "api/openai_int.h"

#include "api/scan.h"

static bool write_text(struct ew_openai_messages *m, struct ew_str raw)
{
    struct ew_str text = raw;
    if (memchr(raw.data, '\\', raw.bytes)) {
        ew_buf_clear(&m->text);
        char *room = ew_buf_extend(&m->text, raw.bytes, NULL);
        if (!room)
            return false;
        text = (struct ew_str){room, ew_scan_unescape(raw, room)};
    }
    ew_jsonw_str(&m->json, text);
    return true;
}

static bool take_message(struct ew_openai_messages *m, struct ew_scan *scan)
{
    struct ew_str key, role = {0}, content = {0};
    if (!ew_scan_enter(scan, '{'))
        return false;
    while (ew_scan_key(scan, &key)) {
        struct ew_str *text = ew_str_is(key, "role")      ? &role
                              : ew_str_is(key, "content") ? &content
                                                          : NULL;
        if (!text || text->data || ew_scan_peek(scan) != '"')
            return false;
        ew_scan_text(scan, text);
    }
    const char *name = role.data && content.data && !scan->odd ? ew_openai_role_ours(role) : NULL;
    if (!name || strcmp(name, "tool") == 0)
        return false;
    ew_jsonw_object(&m->json);
    ew_jsonw_put_text(&m->json, "role", name);
    ew_jsonw_key(&m->json, "content");
    bool written = write_text(m, content);
    if (!written)
        ew_jsonw_null(&m->json);
    ew_jsonw_end(&m->json);
    return written;
}

static bool take(void *user, struct ew_scan *scan)
{
    struct ew_openai_messages *m = user;
    size_t count = 0;
    bool plain = ew_scan_enter(scan, '[');
    ew_jsonw_array(&m->json);
    while (plain && ew_scan_item(scan))
        plain = take_message(m, scan) && ++count <= EW_REQUEST_MESSAGES_MAX;
    ew_jsonw_end(&m->json);
    return ew_jsonw_finish(&m->json, NULL) == 0 && plain && count && !scan->odd;
}

struct ew_scan_aside *ew_openai_messages_init(struct ew_openai_messages *m, size_t body_bytes)
{
    size_t bytes_max = body_bytes * EW_READ_TEXT_SPREAD + EW_READ_TEXT_EXTRA;
    ew_buf_init(&m->out, bytes_max);
    ew_buf_init(&m->text, bytes_max);
    ew_jsonw_init(&m->json, &m->out, EW_JSONW_COMPACT);
    m->aside = (struct ew_scan_aside){.key = "messages", .take = take, .user = m};
    return &m->aside;
}

void ew_openai_messages_fini(struct ew_openai_messages *m)
{
    ew_buf_fini(&m->out);
    ew_buf_fini(&m->text);
}
