/* http_parse.c - a state machine over the bytes of a request or an answer; http_parse.h says what
 * for.
 *
 * Each state has a function that eats what it can of a piece and says how much that was. Spans of
 * plain bytes go in one copy into `text`, where delimiters become NULs, so that every part of the
 * head is a C string in place. What a finished head means is http_head.c's. */
#include "net/http_parse.h"
#include "net/http_head.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

enum state {
    AT_START,
    AT_START_LF,
    IN_METHOD,
    IN_TARGET,
    IN_VERSION,
    IN_ANSWER_VERSION,
    IN_CODE,
    IN_REASON,
    AT_FIRST_LF,
    AT_FIELD,
    IN_NAME,
    AT_VALUE,
    IN_VALUE,
    AT_VALUE_LF,
    AT_HEAD_LF,
    IN_BODY,
    IN_CHUNK_SIZE,
    IN_CHUNK_EXTENSION,
    AT_CHUNK_LF,
    IN_CHUNK,
    AFTER_CHUNK,
    AFTER_CHUNK_LF,
    STATES
};

enum {
    KEPT_BYTES_MAX = 8192, /* of a buffer, from one request to the next */
    CHUNK_DIGITS_MAX = 16, /* of 64 bits */
    VERSION_BYTES = sizeof((struct ew_http_parse *)0)->version,
};

void ew_http_parse_fail(struct ew_http_parse *parse, int status, const char *message)
{
    parse->phase = EW_HTTP_FAILED;
    parse->status = status;
    parse->message = message;
}

const bool ew_http_token[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['!'] = true,  ['#'] = true,
    ['$'] = true,         ['%'] = true,         ['&'] = true,         ['\''] = true, ['*'] = true,
    ['+'] = true,         ['-'] = true,         ['.'] = true,         ['^'] = true,  ['_'] = true,
    ['`'] = true,         ['|'] = true,         ['~'] = true,
};

static bool is_token(unsigned char c)
{
    return ew_http_token[c];
}

static bool is_value(unsigned char c)
{
    return (c >= ' ' && c != 0x7f) || c == '\t';
}

static bool is_target(unsigned char c)
{
    return c > ' ' && c < 0x7f && c != '#';
}

static size_t span(const char *data, size_t bytes, bool (*is)(unsigned char))
{
    size_t n = 0;
    while (n < bytes && is((unsigned char)data[n]))
        n++;
    return n;
}

/* Trailers are checked like headers and dropped: nothing that comes after a body may change what
 * was decided before it. */
static void keep(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    if (!parse->in_trailer && ew_buf_add(&parse->text, data, bytes, NULL) != 0)
        ew_http_parse_fail(parse, 503, "there is no memory for the head");
}

/* One byte that must be `wanted`; then `next`. */
static size_t expect(struct ew_http_parse *parse, char byte, char wanted, enum state next)
{
    if (byte != wanted)
        ew_http_parse_fail(parse, 400, "a line doesn't end with CR LF");
    parse->state = next;
    return 1;
}

/* ---- the request line ---- */

static size_t at_start(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    (void)bytes;
    /* RFC 9112, 2.2: one empty line before a request is no harm; old clients end bodies so. */
    if (*data == '\r' && !parse->blank_line) {
        parse->state = AT_START_LF;
        return 1;
    }
    parse->state = IN_METHOD;
    parse->phase = EW_HTTP_HEAD;
    return 0;
}

static size_t at_start_lf(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    (void)bytes;
    parse->blank_line = true;
    return expect(parse, *data, '\n', AT_START);
}

static size_t in_method(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    size_t n = span(data, bytes, is_token);
    if (parse->text.bytes + n > EW_HTTP_METHOD_BYTES_MAX) {
        ew_http_parse_fail(parse, 501, "the method is longer than any that this server knows");
        return bytes;
    }
    keep(parse, data, n);
    if (n == bytes || parse->phase == EW_HTTP_FAILED)
        return n;
    if (data[n] != ' ' || parse->text.bytes == 0)
        ew_http_parse_fail(parse, 400, "the request doesn't begin with a method and a space");
    keep(parse, "", 1);
    parse->path = (uint16_t)parse->text.bytes;
    parse->state = IN_TARGET;
    return n + 1;
}

static size_t in_target(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    size_t n = span(data, bytes, is_target);
    if (parse->text.bytes - parse->path + n > EW_HTTP_TARGET_BYTES_MAX) {
        ew_http_parse_fail(parse, 414, "the request's target is longer than 8192 bytes");
        return bytes;
    }
    keep(parse, data, n);
    if (n == bytes || parse->phase == EW_HTTP_FAILED)
        return n;
    if (data[n] != ' ' || parse->text.bytes == parse->path)
        ew_http_parse_fail(parse, 400,
                           "the request's target is empty, has a character that no URI "
                           "has, or isn't followed by a space and the version");
    keep(parse, "", 1);
    parse->state = IN_VERSION;
    return n + 1;
}

static void end_version(struct ew_http_parse *parse)
{
    const char *v = parse->version;
    if (parse->digits != VERSION_BYTES || memcmp(v, "HTTP/", 5) != 0 || v[6] != '.' || v[5] < '0' ||
        v[5] > '9' || v[7] < '0' || v[7] > '9')
        ew_http_parse_fail(parse, 400, "the request line doesn't end with the version of HTTP");
    else if (v[5] != '1' || v[7] > '1')
        ew_http_parse_fail(parse, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    parse->minor = v[7] - '0';
    parse->state = AT_FIRST_LF;
}

static size_t in_version(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    (void)bytes;
    if (*data == '\r')
        end_version(parse);
    else if (parse->digits == VERSION_BYTES)
        ew_http_parse_fail(parse, 400, "the request line doesn't end with the version of HTTP");
    else
        parse->version[parse->digits++] = *data;
    return 1;
}

static size_t at_first_lf(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    (void)bytes;
    return expect(parse, *data, '\n', AT_FIELD);
}

/* ---- the status line ---- */

/* After a 1xx another head comes, of which nothing of this one may be left. */
static void begin_head_again(struct ew_http_parse *parse)
{
    ew_buf_clear(&parse->text);
    parse->field_count = parse->digits = 0;
    parse->body_bytes = 0;
    parse->has_length = parse->chunked = parse->has_coding = false;
    parse->says_close = parse->says_keep = false;
    parse->state = IN_ANSWER_VERSION;
}

static void end_answer_version(struct ew_http_parse *parse)
{
    const char *v = parse->version;
    if (parse->digits != VERSION_BYTES || memcmp(v, "HTTP/1.", 7) != 0 || v[7] < '0' || v[7] > '9')
        ew_http_parse_fail(parse, 400, "it doesn't begin with HTTP/1.x and a space");
    parse->minor = v[7] != '0'; /* RFC 9110, 6.2: a higher minor version is spoken as the highest */
    parse->digits = parse->code = 0;
    parse->state = IN_CODE;
}

static size_t in_answer_version(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    (void)bytes;
    parse->phase = EW_HTTP_HEAD;
    if (*data == ' ')
        end_answer_version(parse);
    else if (parse->digits == VERSION_BYTES)
        ew_http_parse_fail(parse, 400, "it doesn't begin with HTTP/1.x and a space");
    else
        parse->version[parse->digits++] = *data;
    return 1;
}

/* The space before an empty reason is forgotten by some, and is no harm. */
static size_t in_code(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    (void)bytes;
    if (*data >= '0' && *data <= '9' && parse->digits < 3) {
        parse->code = parse->code * 10 + (*data - '0');
        parse->digits++;
    } else if (parse->digits == 3 && parse->code >= 100 && *data == ' ') {
        parse->state = IN_REASON;
    } else if (parse->digits == 3 && parse->code >= 100 && *data == '\r') {
        parse->state = AT_FIRST_LF;
    } else {
        ew_http_parse_fail(parse, 400, "its status isn't a number of three digits");
    }
    return 1;
}

static size_t in_reason(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    size_t n = span(data, bytes, is_value);
    if (n == bytes)
        return n;
    if (data[n] != '\r')
        ew_http_parse_fail(parse, 400, "its first line doesn't end with CR LF");
    parse->state = AT_FIRST_LF;
    return n + 1;
}

/* ---- headers and trailers ---- */

static size_t at_field(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    (void)bytes;
    if (*data == '\r') {
        parse->state = AT_HEAD_LF;
        return 1;
    }
    if (*data == ' ' || *data == '\t')
        ew_http_parse_fail(parse, 400, "a header is folded over several lines");
    else if (!parse->in_trailer && parse->field_count == EW_HTTP_HEADERS_MAX)
        ew_http_parse_fail(parse, 431, "there are more than 100 headers");
    else if (!parse->in_trailer)
        parse->fields[parse->field_count].name = (uint16_t)parse->text.bytes;
    parse->digits = 0; /* of the name, whether it is kept or not */
    parse->state = IN_NAME;
    return 0;
}

static size_t in_name(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    size_t n = span(data, bytes, is_token);
    parse->digits += (int)n;
    keep(parse, data, n);
    if (n == bytes || parse->phase == EW_HTTP_FAILED)
        return n;
    if (data[n] != ':' || parse->digits == 0)
        ew_http_parse_fail(parse, 400, "a header isn't a name followed at once by a colon");
    keep(parse, "", 1);
    if (!parse->in_trailer)
        parse->fields[parse->field_count].value = (uint16_t)parse->text.bytes;
    parse->state = AT_VALUE;
    return n + 1;
}

static size_t at_value(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    size_t n = 0;
    while (n < bytes && (data[n] == ' ' || data[n] == '\t'))
        n++;
    if (n < bytes)
        parse->state = IN_VALUE;
    return n;
}

static size_t in_value(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    size_t n = span(data, bytes, is_value);
    keep(parse, data, n);
    if (n == bytes || parse->phase == EW_HTTP_FAILED)
        return n;
    if (data[n] != '\r')
        ew_http_parse_fail(parse, 400,
                           "a header has a control character, or its line doesn't end "
                           "with CR LF");
    parse->state = AT_VALUE_LF;
    return n + 1;
}

static void end_field(struct ew_http_parse *parse)
{
    const struct ew_http_field *field = &parse->fields[parse->field_count];
    struct ew_buf *text = &parse->text;
    while (text->bytes > field->value &&
           (text->data[text->bytes - 1] == ' ' || text->data[text->bytes - 1] == '\t'))
        text->bytes--;
    keep(parse, "", 1);
    if (parse->phase == EW_HTTP_FAILED)
        return;
    ew_http_head_field(parse, text->data + field->name, text->data + field->value);
    parse->field_count++;
}

static size_t at_value_lf(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    (void)bytes;
    size_t used = expect(parse, *data, '\n', AT_FIELD);
    if (parse->phase != EW_HTTP_FAILED && !parse->in_trailer)
        end_field(parse);
    return used;
}

static size_t at_head_lf(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    (void)bytes;
    size_t used = expect(parse, *data, '\n', IN_BODY);
    if (parse->phase == EW_HTTP_FAILED)
        return used;
    if (parse->in_trailer) {
        parse->phase = EW_HTTP_DONE;
        return used;
    }
    if (parse->is_answer && parse->code < 200 && parse->code != 101) {
        begin_head_again(parse); /* the limit of a head is that of all of them */
        return used;
    }
    ew_http_head_end(parse);
    if (parse->phase == EW_HTTP_FAILED)
        return used;
    parse->stop = parse->is_answer;
    parse->left = parse->body_bytes;
    parse->digits = 0;
    parse->phase = parse->chunked || parse->left ? EW_HTTP_BODY : EW_HTTP_DONE;
    parse->state = parse->chunked ? IN_CHUNK_SIZE : IN_BODY;
    return used;
}

/* ---- the body ---- */

static uint64_t room(const struct ew_http_parse *parse)
{
    return parse->body.max - (parse->is_answer ? parse->taken : parse->body.bytes);
}

static size_t take_body(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    size_t n = bytes < parse->left ? bytes : (size_t)parse->left;
    if (parse->is_answer && n > room(parse)) {
        ew_http_parse_fail(parse, 413, "its body is larger than is taken here");
    } else if (parse->is_answer) {
        parse->piece = (struct ew_str){data, n};
        parse->taken += n;
        parse->stop = true;
    } else if (ew_buf_add(&parse->body, data, n, NULL) != 0) {
        ew_http_parse_fail(parse, 503, "there is no memory for the request's body");
    }
    parse->left -= n;
    return n;
}

static size_t in_body(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    size_t n = take_body(parse, data, bytes);
    if (parse->phase != EW_HTTP_FAILED && parse->left == 0)
        parse->phase = EW_HTTP_DONE;
    return n;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static size_t in_chunk_size(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    (void)bytes;
    int digit = hex_digit(*data);
    if (digit >= 0 && parse->digits < CHUNK_DIGITS_MAX) {
        parse->left = parse->left * 16 + (uint64_t)digit;
        parse->digits++;
    } else if (digit < 0 && parse->digits && *data == '\r') {
        parse->state = AT_CHUNK_LF;
    } else if (digit < 0 && parse->digits && *data == ';') {
        parse->state = IN_CHUNK_EXTENSION;
    } else {
        ew_http_parse_fail(parse, 400, "a chunk of the body doesn't begin with its size in hex");
    }
    return 1;
}

static size_t in_chunk_extension(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    size_t n = span(data, bytes, is_value);
    if (parse->extension_bytes + n > EW_HTTP_CHUNK_EXTENSION_BYTES_MAX) {
        ew_http_parse_fail(parse, 400, "the body's chunk extensions are longer than 4096 bytes");
        return bytes;
    }
    parse->extension_bytes += n;
    if (n == bytes)
        return n;
    if (data[n] != '\r')
        ew_http_parse_fail(parse, 400, "a chunk's first line doesn't end with CR LF");
    parse->state = AT_CHUNK_LF;
    return n + 1;
}

static size_t at_chunk_lf(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    (void)bytes;
    size_t used = expect(parse, *data, '\n', IN_CHUNK);
    if (parse->phase == EW_HTTP_FAILED)
        return used;
    if (parse->left > room(parse))
        ew_http_parse_fail(parse, 413, "the request's body is larger than this server takes");
    if (parse->left == 0) {
        parse->in_trailer = true;
        parse->state = AT_FIELD;
    }
    return used;
}

static size_t in_chunk(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    size_t n = take_body(parse, data, bytes);
    if (parse->left == 0)
        parse->state = AFTER_CHUNK;
    return n;
}

static size_t after_chunk(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    (void)bytes;
    return expect(parse, *data, '\r', AFTER_CHUNK_LF);
}

static size_t after_chunk_lf(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    (void)bytes;
    parse->digits = 0;
    return expect(parse, *data, '\n', IN_CHUNK_SIZE);
}

/* ---- all of it ---- */

typedef size_t step_fn(struct ew_http_parse *parse, const char *data, size_t bytes);

static step_fn *const steps[STATES] = {
    [AT_START] = at_start,
    [AT_START_LF] = at_start_lf,
    [IN_METHOD] = in_method,
    [IN_TARGET] = in_target,
    [IN_VERSION] = in_version,
    [IN_ANSWER_VERSION] = in_answer_version,
    [IN_CODE] = in_code,
    [IN_REASON] = in_reason,
    [AT_FIRST_LF] = at_first_lf,
    [AT_FIELD] = at_field,
    [IN_NAME] = in_name,
    [AT_VALUE] = at_value,
    [IN_VALUE] = in_value,
    [AT_VALUE_LF] = at_value_lf,
    [AT_HEAD_LF] = at_head_lf,
    [IN_BODY] = in_body,
    [IN_CHUNK_SIZE] = in_chunk_size,
    [IN_CHUNK_EXTENSION] = in_chunk_extension,
    [AT_CHUNK_LF] = at_chunk_lf,
    [IN_CHUNK] = in_chunk,
    [AFTER_CHUNK] = after_chunk,
    [AFTER_CHUNK_LF] = after_chunk_lf,
};

/* Headers and trailers count against the same limit; a step never sees more than is left of it, so
 * it is met at the same byte however the pieces are cut. */
static size_t step_in_head(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    size_t left = parse->head_bytes_max - parse->head_bytes;
    if (left == 0) {
        ew_http_parse_fail(parse, 431,
                           parse->is_answer ? "its headers are longer than is taken here"
                                            : "the request's headers are longer than 32768 bytes");
        return 0;
    }
    size_t used = steps[parse->state](parse, data, bytes < left ? bytes : left);
    parse->head_bytes += used;
    return used;
}

size_t ew_http_parse_feed(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    size_t used = 0;
    parse->stop = false;
    parse->piece = (struct ew_str){0};
    while (used < bytes && parse->phase < EW_HTTP_DONE && !parse->stop) {
        if (parse->phase < EW_HTTP_BODY || parse->in_trailer)
            used += step_in_head(parse, data + used, bytes - used);
        else
            used += steps[parse->state](parse, data + used, bytes - used);
    }
    return used;
}

void ew_http_parse_init(struct ew_http_parse *parse, size_t body_bytes_max)
{
    *parse = (struct ew_http_parse){.state = AT_START, .head_bytes_max = EW_HTTP_HEADER_BYTES_MAX};
    /* Each NUL stands where the wire has a delimiter; one more for an empty path made "/". */
    ew_buf_init(&parse->text, EW_HTTP_HEADER_BYTES_MAX + 2);
    ew_buf_init(&parse->body, body_bytes_max);
}

void ew_http_parse_fini(struct ew_http_parse *parse)
{
    ew_buf_fini(&parse->text);
    ew_buf_fini(&parse->body);
}

static struct ew_buf emptied(struct ew_buf buf)
{
    ew_buf_clear(&buf);
    if (buf.capacity > KEPT_BYTES_MAX)
        ew_buf_fini(&buf);
    return buf;
}

void ew_http_parse_reset(struct ew_http_parse *parse)
{
    struct ew_buf text = emptied(parse->text), body = emptied(parse->body);
    /* All but the fields, which are most of it, and which field_count guards. */
    memset(parse, 0, offsetof(struct ew_http_parse, fields));
    memset((char *)parse + offsetof(struct ew_http_parse, field_count), 0,
           sizeof *parse - offsetof(struct ew_http_parse, field_count));
    parse->text = text;
    parse->body = body;
    parse->head_bytes_max = EW_HTTP_HEADER_BYTES_MAX;
    parse->state = AT_START;
}

void ew_http_parse_init_answer(struct ew_http_parse *parse, size_t head_bytes_max)
{
    *parse = (struct ew_http_parse){.head_bytes_max = head_bytes_max};
    ew_buf_init(&parse->text, head_bytes_max + 2);
}

void ew_http_parse_begin_answer(struct ew_http_parse *parse, size_t body_bytes_max,
                                enum ew_http_asked asked)
{
    size_t head_bytes_max = parse->head_bytes_max;
    ew_http_parse_reset(parse);
    parse->head_bytes_max = head_bytes_max;
    parse->body.max = body_bytes_max;
    parse->head_only = asked == EW_HTTP_ASKED_HEAD;
    parse->is_answer = true;
    parse->state = IN_ANSWER_VERSION;
}

void ew_http_parse_closed(struct ew_http_parse *parse)
{
    if (parse->phase == EW_HTTP_BODY && parse->until_close)
        parse->phase = EW_HTTP_DONE;
}

const char *ew_http_parse_header(const struct ew_http_parse *parse, const char *name)
{
    for (int i = 0; i < parse->field_count; i++) {
        const char *theirs = parse->text.data + parse->fields[i].name;
        if ((*theirs | 32) == (*name | 32) && strcasecmp(theirs, name) == 0)
            return parse->text.data + parse->fields[i].value;
    }
    return NULL;
}
