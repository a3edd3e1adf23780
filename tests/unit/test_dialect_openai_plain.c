/* test_dialect_openai_plain.c - answers read in one pass say what a tree of them says, or aren't
 * plain; what counts and isn't plain is left to the tree. */
#include "api/dialect_openai_plain.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/scan.h"
#include "base/rng.h"

#define HEAD "{\"id\":\"c-1\",\"object\":\"chat.completion.chunk\",\"created\":17,\"model\":\"m\","

static bool read_plain(struct ew_openai_plain *plain, const char *text, enum ew_openai_part part)
{
    return ew_openai_plain_read(plain, (struct ew_str){text, strlen(text)}, part);
}

static void test_usual_chunks_and_answers_are_plain(void **state)
{
    (void)state;
    struct ew_openai_plain p;
    assert_true(read_plain(&p,
                           HEAD "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\\nb\"},"
                                "\"logprobs\":null,\"finish_reason\":null}]}",
                           EW_OPENAI_CHUNK));
    assert_true(ew_str_is(p.id, "c-1") && ew_str_is(p.content, "a\\nb"));
    assert_true(p.created_s == 17 && p.index == 0 && p.has_choice && !p.finish.data);
    assert_true(p.prompt_tokens == -1 && !p.usage_is_null && !p.usage_is_object);
    assert_true(read_plain(&p,
                           HEAD "\"choices\":[],\"usage\":{\"prompt_tokens\":5,"
                                "\"completion_tokens\":7,\"total_tokens\":12,"
                                "\"prompt_tokens_details\":{\"audio\":0,\"cached_tokens\":2}}}",
                           EW_OPENAI_CHUNK));
    assert_true(p.usage_is_object && p.prompt_tokens == 5 && p.output_tokens == 7 &&
                p.cached_tokens == 2 && p.has_choices && !p.has_choice);
    assert_true(read_plain(&p,
                           HEAD "\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":"
                                "null,\"refusal\":\"no\",\"tool_calls\":[],\"annotations\":[{}]"
                                "},\"finish_reason\":\"stop\"}],\"usage\":null,\"x\":[1.5]}",
                           EW_OPENAI_WHOLE));
    assert_true(!p.content.data && ew_str_is(p.refusal, "no") && ew_str_is(p.finish, "stop") &&
                p.index == -1 && p.usage_is_null);
    assert_true(
        read_plain(&p, HEAD "\"choices\":[{\"delta\":{\"reasoning\":\"hm\"}}]}", EW_OPENAI_CHUNK));
    assert_true(p.has_thoughts);
}

static void test_what_has_more_in_it_is_not_plain(void **state)
{
    (void)state;
    static const char *const texts[] = {
        HEAD "\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}",
        HEAD "\"choices\":[{\"delta\":{\"content\":[{\"text\":\"a\"}]}}]}",
        HEAD "\"choices\":[{\"delta\":{}},{\"delta\":{}}]}",
        HEAD "\"choices\":[{\"delta\":{\"content\":\"\\u00e4\"}}]}",
        HEAD "\"choices\":[{\"delta\":{\"content\":\"a\",\"content\":\"b\"}}]}",
        HEAD "\"choices\":[{\"delta\":{\"content\":1}}]}",
        HEAD "\"choices\":[{\"delta\":{},\"index\":-1}]}",
        HEAD "\"choices\":[{\"delta\":{},\"finish_reason\":\"\\\"\"}]}",
        HEAD "\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1.0}}",
        HEAD "\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"device\":\"pi\"}}",
        HEAD "\"choices\":[],\"usage\":[]}",
        HEAD "\"choices\":[],\"error\":{\"message\":\"no\"}}",
        HEAD "\"choices\":null}",
        HEAD "\"choices\":[]} {}",
        "{\"object\":\"error\",\"choices\":[],\"message\":\"no\"}",
        "{\"choices\":[],\"\\u0065rror\":{}}",
        "{\"usage\":null}",
        "{}",
        "[]",
        "",
    };
    for (size_t i = 0; i < EW_COUNT(texts); i++) {
        struct ew_openai_plain p;
        if (read_plain(&p, texts[i], EW_OPENAI_CHUNK))
            fail_msg("plain: %s", texts[i]);
    }
    struct ew_openai_plain p;
    assert_false(read_plain(&p, HEAD "\"choices\":[]}", EW_OPENAI_WHOLE));
    assert_false(read_plain(&p, HEAD "\"choices\":[{\"text\":\"a\"}]}", EW_OPENAI_WHOLE));
}

/* ---- the same as a tree ---- */

static void same_text(struct ew_str raw, const json_t *value)
{
    char *out = malloc(raw.bytes + 1);
    assert_non_null(out);
    size_t bytes = raw.data ? ew_scan_unescape(raw, out) : 0;
    assert_int_equal(raw.data != NULL, json_is_string(value));
    assert_int_equal(bytes, json_string_length(value));
    if (bytes)
        assert_memory_equal(out, json_string_value(value), bytes);
    free(out);
}

static void same_count(int64_t count, const json_t *value)
{
    assert_true(json_is_integer(value) ? count == json_integer_value(value)
                                       : count == -1 && (!value || json_is_null(value)));
}

static void compare(const struct ew_openai_plain *p, const json_t *root, enum ew_openai_part part)
{
    const json_t *choices = json_object_get(root, "choices"), *choice = json_array_get(choices, 0);
    const json_t *message = json_object_get(choice, part == EW_OPENAI_WHOLE ? "message" : "delta");
    const json_t *usage = json_object_get(root, "usage");
    assert_null(json_object_get(root, "error"));
    assert_true(strcmp("error", json_string_value(json_object_get(root, "object"))
                                    ? json_string_value(json_object_get(root, "object"))
                                    : "") != 0);
    same_text(p->id, json_object_get(root, "id"));
    same_count(p->created_s, json_object_get(root, "created"));
    assert_int_equal(p->has_choices, json_is_array(choices));
    assert_int_equal(p->has_choice, json_array_size(choices) == 1);
    assert_true(json_array_size(choices) <= 1);
    same_count(p->index, json_object_get(choice, "index"));
    same_text(p->finish, json_object_get(choice, "finish_reason"));
    assert_int_equal(p->has_message, json_is_object(message));
    same_text(p->content, json_object_get(message, "content"));
    same_text(p->refusal, json_object_get(message, "refusal"));
    assert_int_equal(json_array_size(json_object_get(message, "tool_calls")), 0);
    assert_int_equal(p->usage_is_object, json_is_object(usage));
    assert_int_equal(p->usage_is_null, json_is_null(usage));
    same_count(p->prompt_tokens, json_object_get(usage, "prompt_tokens"));
    same_count(p->output_tokens, json_object_get(usage, "completion_tokens"));
    same_count(p->cached_tokens,
               json_object_get(json_object_get(usage, "prompt_tokens_details"), "cached_tokens"));
}

/* Texts whose parts are drawn, with now and then a byte that was changed. */
static size_t draw(struct ew_rng *rng, char *out)
{
    static const char *const parts[][6] = {
        {"{", " {\n", "{\"x\":1,", "{\"id\":null,", "[", "{\"error\":null,"},
        {"\"id\":\"c\",", "", "\"object\":\"error\",", "\"created\":12,", "\"created\":-1,", ""},
        {"\"choices\":[", "\"choices\":[", "\"choices\":[", "\"choices\":[{},", "\"n\":[",
         "\"choices\":[ "},
        {"{\"index\":0,", "{", "{\"index\":3,", "{\"index\":null,", "{\"delta\":null,", "{"},
        {"\"delta\":{", "\"delta\":{", "\"message\":{", "\"delta\":{\"role\":\"a\",",
         "\"message\":{\"refusal\":\"r\",", "\"delta\":{"},
        {"\"content\":\"a\"}", "\"content\":\"\\n\\\"\"}", "\"content\":null}",
         "\"tool_calls\":[]}", "\"tool_calls\":[{}]}", "\"reasoning\":\"\"}"},
        {"}]", ",\"finish_reason\":\"stop\"}]", ",\"finish_reason\":null}]",
         ",\"finish_reason\":\"length\"} ]", ",\"logprobs\":{}}]", "}]"},
        {"}", ",\"usage\":null}", ",\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}",
         ",\"usage\":{\"prompt_tokens\":null,\"prompt_tokens_details\":{\"cached_tokens\":4}}}",
         ",\"usage\":{\"total_tokens\":3}}", ",\"id\":\"d\"}"},
    };
    size_t bytes = 0;
    for (size_t i = 0; i < EW_COUNT(parts); i++) {
        const char *part = parts[i][ew_rng_below(rng, 6)];
        memcpy(out + bytes, part, strlen(part) + 1);
        bytes += strlen(part);
    }
    if (ew_rng_below(rng, 3) == 0)
        out[ew_rng_below(rng, bytes)] = "{}[]\",:\\01-nt \xff"[ew_rng_below(rng, 15)];
    return bytes;
}

static void test_what_is_plain_is_what_a_tree_says(void **state)
{
    (void)state;
    struct ew_rng rng;
    int plains = 0;
    ew_rng_init(&rng, 11);
    for (int i = 0; i < 100000; i++) {
        char text[1024];
        size_t bytes = draw(&rng, text);
        enum ew_openai_part part = i % 2 ? EW_OPENAI_WHOLE : EW_OPENAI_CHUNK;
        struct ew_openai_plain p;
        if (!ew_openai_plain_read(&p, (struct ew_str){text, bytes}, part))
            continue;
        json_t *root = json_loadb(text, bytes, JSON_ALLOW_NUL, NULL);
        if (!root)
            fail_msg("plain, but no JSON: %s", text);
        compare(&p, root, part);
        json_decref(root);
        plains++;
    }
    assert_in_range(plains, 5000, 90000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usual_chunks_and_answers_are_plain),
        cmocka_unit_test(test_what_has_more_in_it_is_not_plain),
        cmocka_unit_test(test_what_is_plain_is_what_a_tree_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
