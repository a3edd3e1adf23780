/* fuzz_template.c - any bytes as a chat template: opened, and rendered twice.
 *
 * LLVMFuzzerTestOneInput is what libFuzzer calls (make fuzz FUZZ=template, clang);
 * unit/test_fuzz_template.c replays a corpus through it in make check. What follows a NUL is the
 * context; without one there is a conversation that most templates like. */
#include "base/buf.h"
#include "model/template.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { OUTPUT_BYTES_MAX = 1 << 20 };

static const char usual[] =
    "{\"messages\":[{\"role\":\"system\",\"content\":\" S \"},{\"role\":\"user\",\"content\":\"h"
    "\xc3\xa9 <x>\\n\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":"
    "\"abcdef123\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1.5}}}]}"
    ",{\"role\":\"tool\",\"content\":\"2\",\"tool_call_id\":\"abcdef123\"},{\"role\":\"assistant\","
    "\"content\":\"<think>t</think>b\"},{\"role\":\"user\",\"content\":\"\"}],"
    "\"add_generation_prompt\":true,\"bos_token\":\"<s>\",\"eos_token\":\"</s>\",\"tools\":[{"
    "\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":{"
    "\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"number\"}},\"required\":[\"a\"]}}}],"
    "\"name\":\"Ada\",\"n\":7,\"f\":2.5,\"xs\":[3,1,2],\"words\":[\"pear\",\"Apple\"],\"d\":{\"b\""
    ":1,\"a\":{\"x\":[1,2]}},\"text\":\"a,b \\\"\\u4e16\\ud83d\\ude42\",\"yes\":true,\"no\":false,"
    "\"nothing\":null,\"lines\":\"a\\n b\\r\\n\",\"strftime_now\":\"2026-03-07 09:05:03\"}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char nothing[] = "";
    const char *source = bytes ? (const char *)data : nothing;
    const char *end = memchr(source, '\0', bytes);
    struct ew_str context = {usual, sizeof usual - 1};
    struct ew_template *tmpl = NULL;
    struct ew_err err = {0};
    if (end) {
        context = (struct ew_str){end + 1, bytes - (size_t)(end - source) - 1};
        bytes = (size_t)(end - source);
    }
    /* Copies of the exact size, so that a byte too far is seen. */
    char *copy = malloc(bytes + !bytes), *given = malloc(context.bytes + !context.bytes);
    if (copy && given) {
        memcpy(copy, source, bytes);
        memcpy(given, context.data, context.bytes);
        int code = ew_template_open(&tmpl, copy, bytes, &err);
        EW_ASSERT(code == 0 || (code == err.code && *err.text && !tmpl));
        memset(copy, 'x', bytes); /* the template keeps nothing of its source */
    }
    size_t first = 0;
    int first_code = 0;
    for (int i = 0; i < 2 && tmpl && given; i++) {
        struct ew_buf out;
        ew_buf_init(&out, OUTPUT_BYTES_MAX);
        int code = ew_template_render(tmpl, given, context.bytes, &out, &err);
        EW_ASSERT(code == 0 || (code == err.code && *err.text && out.bytes == 0));
        EW_ASSERT(i == 0 || (first == out.bytes && first_code == code));
        first = out.bytes;
        first_code = code;
        ew_buf_fini(&out);
    }
    ew_template_close(&tmpl);
    free(copy);
    free(given);
    return 0;
}
