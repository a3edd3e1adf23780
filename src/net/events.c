/* events.c - lines out of pieces, events out of lines; events.h says what for.
 *
 * A line that lies whole in a piece is looked at where it lies; only what a piece's end cuts is
 * copied to wait for its rest. Searching never goes over a byte twice for the same end of line, so
 * that a piece of nothing but ends costs no more than any other.
 * Limits: a line and an event's data are EW_EVENTS_BYTES_MAX each; KEPT_BYTES_MAX of a buffer stay
 * from one event to the next. */
#include "net/events.h"

#include <string.h>

enum { KEPT_BYTES_MAX = 64 << 10 };

struct push {
    struct ew_events *events;
    int (*take)(void *user, const char *name, struct ew_str data, struct ew_err *err);
    void *user;
    struct ew_err *err;
};

void ew_events_init(struct ew_events *events, enum ew_events_form form)
{
    *events = (struct ew_events){.form = form};
    ew_buf_init(&events->line, EW_EVENTS_BYTES_MAX);
    /* Each line of data is kept with its LF; the last one's is dropped when the event is told. */
    ew_buf_init(&events->data, EW_EVENTS_BYTES_MAX + 1);
}

void ew_events_fini(struct ew_events *events)
{
    ew_buf_fini(&events->line);
    ew_buf_fini(&events->data);
}

static void empty(struct ew_buf *buf)
{
    if (buf->capacity > KEPT_BYTES_MAX)
        ew_buf_fini(buf);
    else
        ew_buf_clear(buf);
}

static int add(struct push *push, struct ew_buf *to, struct ew_str bytes)
{
    if (bytes.bytes > to->max - to->bytes)
        return ew_fail(push->err, EW_ELIMIT, "an event of the stream is longer than %u bytes",
                       EW_EVENTS_BYTES_MAX);
    return ew_buf_add(to, bytes.data, bytes.bytes, push->err);
}

/* ---- Server-Sent Events ---- */

/* The empty line. Without data nothing has happened, and the name is forgotten. */
static int end_event(struct push *push)
{
    struct ew_events *events = push->events;
    int code = 0;
    if (events->has_data)
        code = push->take(push->user, events->name,
                          (struct ew_str){events->data.data, events->data.bytes - 1}, push->err);
    empty(&events->data);
    events->name[0] = '\0';
    events->has_data = false;
    return code;
}

static int take_data(struct push *push, struct ew_str value)
{
    int code = add(push, &push->events->data, value);
    if (code == 0)
        code = add(push, &push->events->data, (struct ew_str){"\n", 1});
    push->events->has_data = true;
    return code;
}

static void take_name(struct ew_events *events, struct ew_str value)
{
    size_t bytes = value.bytes < sizeof events->name ? value.bytes : sizeof events->name - 1;
    memcpy(events->name, value.data, bytes);
    events->name[bytes] = '\0';
}

static int take_field(struct push *push, struct ew_str line)
{
    struct ew_str name = line, value = {"", 0};
    const char *colon = memchr(line.data, ':', line.bytes);
    if (colon) {
        name.bytes = (size_t)(colon - line.data);
        value = (struct ew_str){colon + 1, line.bytes - name.bytes - 1};
        if (value.bytes && value.data[0] == ' ')
            value = (struct ew_str){value.data + 1, value.bytes - 1};
    }
    if (ew_str_is(name, "data"))
        return take_data(push, value);
    if (ew_str_is(name, "event"))
        take_name(push->events, value);
    return 0;
}

/* A mark of byte order before the first line is none of its bytes. */
static struct ew_str without_mark(struct ew_events *events, struct ew_str line)
{
    if (!events->begun && line.bytes >= 3 && memcmp(line.data, "\xef\xbb\xbf", 3) == 0)
        line = (struct ew_str){line.data + 3, line.bytes - 3};
    events->begun = true;
    return line;
}

/* ---- a line ---- */

static bool is_blank(struct ew_str line)
{
    for (size_t i = 0; i < line.bytes; i++)
        if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r')
            return false;
    return true;
}

static int take_line(struct push *push, struct ew_str line)
{
    line = without_mark(push->events, line);
    if (push->events->form == EW_EVENTS_LINES) {
        line.bytes -= line.bytes && line.data[line.bytes - 1] == '\r';
        return is_blank(line) ? 0 : push->take(push->user, "", line, push->err);
    }
    return line.bytes ? take_field(push, line) : end_event(push);
}

/* The rest of a line, in a piece of its own or behind what waits. */
static int end_line(struct push *push, struct ew_str rest)
{
    struct ew_buf *line = &push->events->line;
    if (rest.bytes > line->max || line->bytes) {
        int code = add(push, line, rest);
        if (code != 0)
            return code;
        rest = (struct ew_str){line->data, line->bytes};
    }
    int code = take_line(push, rest);
    empty(line);
    return code;
}

/* Where the next of the two ends of line is, which are remembered until they are passed. */
struct ends {
    const char *cr, *lf, *end;
};

static const char *next_end(struct ends *ends, const char *at)
{
    if (!ends->lf || ends->lf < at) {
        ends->lf = memchr(at, '\n', (size_t)(ends->end - at));
        ends->lf = ends->lf ? ends->lf : ends->end;
    }
    if (!ends->cr || ends->cr < at) {
        ends->cr = memchr(at, '\r', (size_t)(ends->end - at));
        ends->cr = ends->cr ? ends->cr : ends->end;
    }
    return ends->cr < ends->lf ? ends->cr : ends->lf;
}

int ew_events_push(struct ew_events *events, const char *bytes, size_t count,
                   int (*take)(void *user, const char *name, struct ew_str data,
                               struct ew_err *err),
                   void *user, struct ew_err *err)
{
    struct push push = {.events = events, .take = take, .user = user, .err = err};
    struct ends ends = {.end = bytes + count};
    if (events->form == EW_EVENTS_LINES)
        ends.cr = ends.end; /* inside of a JSON text it is a space like others */
    for (const char *at = bytes; at < ends.end;) {
        if (events->skip_lf && *at == '\n')
            at++;
        events->skip_lf = false;
        if (at == ends.end)
            break;
        const char *stop = next_end(&ends, at);
        const struct ew_str part = {at, (size_t)(stop - at)};
        if (stop == ends.end)
            return add(&push, &events->line, part);
        int code = end_line(&push, part);
        if (code != 0)
            return code;
        events->skip_lf = *stop == '\r';
        at = stop + 1;
    }
    return 0;
}

bool ew_events_cut(const struct ew_events *events)
{
    const struct ew_buf *line = &events->line;
    if (events->form == EW_EVENTS_SSE)
        return events->has_data || events->name[0] || (line->bytes && line->data[0] != ':');
    return !is_blank((struct ew_str){ew_buf_cstr(line), line->bytes});
}
