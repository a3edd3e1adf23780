/* test_tools.c - calls out of a model's words, however these are cut; the schema of a forced call;
 * tools told in words (tools_words.c). */
#include "support/wire_check.h"

#include "api/tools.h"

#include <time.h>

static const char some_tools[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":{"
    "\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/x\"}},\"$defs\":{\"x\":{"
    "\"type\":\"number\",\"maximum\":0.1}}}}},{\"type\":\"function\",\"function\":{\"name\":\"g\"}}"
    "]";

static struct ew_request request_of(enum ew_tool_choice choice, const char *name)
{
    return (struct ew_request){.tools = {some_tools, sizeof some_tools - 1},
                               .tool_choice = choice,
                               .tool_name = name,
                               .parallel_tool_calls = true};
}

static struct ew_buf plain;

static int setup(void **state)
{
    (void)state;
    ew_buf_init(&plain, WIRE_CHECK_BYTES_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ew_buf_fini(&plain);
    return 0;
}

/* Pushes the text in pieces of that size; the caller closes. */
static struct ew_tools *read_text(const struct ew_request *request, const char *text, size_t piece)
{
    struct ew_tools *tools = NULL;
    ew_buf_clear(&plain);
    assert_int_equal(ew_tools_open(&tools, request, NULL), 0);
    for (size_t at = 0, bytes = strlen(text); at < bytes; at += piece) {
        size_t now = bytes - at < piece ? bytes - at : piece;
        char *copy = malloc(now);
        assert_non_null(copy);
        memcpy(copy, text + at, now);
        assert_int_equal(ew_tools_push(tools, copy, now, &plain, NULL), 0);
        free(copy);
    }
    assert_int_equal(ew_tools_flush(tools, &plain, NULL), 0);
    return tools;
}

#define CALL(json) "<tool_call>\n" json "\n</tool_call>"
#define F1         "{\"name\": \"f\", \"arguments\": {\"a\": 1}}"

struct text_case {
    const char *text, *plain, *calls; /* "name arguments;" of each */
};

static void check_cases(const struct ew_request *request, const struct text_case *cases,
                        size_t count)
{
    static const size_t pieces[] = {1, 2, 3, 7, 11, 1000};
    for (size_t i = 0; i < count; i++)
        for (size_t p = 0; p < EW_COUNT(pieces); p++) {
            struct ew_tools *tools = read_text(request, cases[i].text, pieces[p]);
            char calls[512] = "";
            for (size_t c = 0; c < ew_tools_count(tools); c++) {
                const struct ew_reply_call *call = &ew_tools_calls(tools)[c];
                size_t at = strlen(calls);
                snprintf(calls + at, sizeof calls - at, "%s %s;", call->name.data,
                         call->arguments.data);
                assert_int_equal(strlen(call->arguments.data), call->arguments.bytes);
            }
            assert_string_equal(ew_buf_cstr(&plain), cases[i].plain);
            assert_string_equal(calls, cases[i].calls);
            ew_tools_close(&tools);
            assert_null(tools);
        }
}

static void test_calls_are_found_and_everything_else_is_text(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"", "", ""},
        {"Hello <tool", "Hello <tool", ""},
        {"a < b <<tool_cal> c", "a < b <<tool_cal> c", ""},
        {CALL(F1), "", "f {\"a\":1};"},
        {"Well:\n" CALL(F1) "\n", "Well:\n", "f {\"a\":1};"},
        {CALL(F1) "\n" CALL("{\"name\":\"g\"}") " done", "done", "f {\"a\":1};g {};"},
        {CALL("{\"name\":\"g\",\"parameters\":{\"x\":0.1}}"), "", "g {\"x\":0.1};"},
        {CALL("{\"name\":\"g\",\"arguments\":\"{\\\"x\\\": 2}\"}"), "", "g {\"x\":2};"},
        {CALL("{\"name\":\"f\",\"arguments\":{\"a\":\"</tool_call>\"}}"), "",
         "f {\"a\":\"</tool_call>\"};"},
        {"<tool_call>" F1, "", "f {\"a\":1};"}, /* the model ended its turn at once */
        {"x<tool_call>{\"name\": \"f\"", "x<tool_call>{\"name\": \"f\"", ""},
        {CALL("oops") "!", CALL("oops") "!", ""},
        {CALL("[1]"), CALL("[1]"), ""},
        {CALL("{\"name\":7}"), CALL("{\"name\":7}"), ""},
        {CALL("{\"name\":\"f\",\"arguments\":[1]}"), CALL("{\"name\":\"f\",\"arguments\":[1]}"),
         ""},
        {CALL("oops") CALL(F1), CALL("oops"), "f {\"a\":1};"},
        {"</tool_call>", "</tool_call>", ""},
    };
    struct ew_request request = request_of(EW_TOOLS_AUTO, NULL);
    check_cases(&request, cases, EW_COUNT(cases));
}

static void test_an_answer_that_is_a_known_tools_object_alone_is_a_call(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {F1, "", "f {\"a\":1};"},
        {"```json\n" F1 "\n```", "", "f {\"a\":1};"},
        {" ```\n" F1 "\n```\n", "", "f {\"a\":1};"},
        {"```json\n{ \"name\" :\n\"g\" }", "", "g {};"},
        {"```json\n" F1 "\n```\nso it is", "```json\n" F1 "\n```\nso it is", ""},
        {F1 F1, F1 F1, ""},
        {"Well: " F1, "Well: " F1, ""},
        {"{\"name\": \"ff\", \"arguments\": {}}", "{\"name\": \"ff\", \"arguments\": {}}", ""},
        {"{\"name\": \"f\", \"arguments\": 1}", "{\"name\": \"f\", \"arguments\": 1}", ""},
        {"{\"a\": 1}", "{\"a\": 1}", ""},
        {"{\"name\": \"f", "{\"name\": \"f", ""},
        {"```json\n[]\n```", "```json\n[]\n```", ""},
        {"```python\n" CALL(F1), "```python\n", "f {\"a\":1};"},
        {"``", "``", ""},
        {"```", "```", ""},
        {"\n", "\n", ""},
    };
    struct ew_request request = request_of(EW_TOOLS_AUTO, NULL);
    check_cases(&request, cases, EW_COUNT(cases));
}

static void test_a_demanded_call_needs_no_tags(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"\n" F1 " ", "", "f {\"a\":1};"},
        {"```json\n" F1 "\n```", "", "f {\"a\":1};"},
        {CALL(F1), "", "f {\"a\":1};"},
        {"\n{\"a\":1}", "\n{\"a\":1}", ""},
        {F1 " and more", F1 " and more", ""},
        {" no", " no", ""},
        {"  ", "  ", ""},
    };
    struct ew_request request = request_of(EW_TOOLS_REQUIRED, NULL);
    check_cases(&request, cases, EW_COUNT(cases));
}

static void test_without_tools_all_is_text_and_without_parallel_the_first_is_a_call(void **state)
{
    (void)state;
    static const struct text_case none[] = {{CALL(F1), CALL(F1), ""}},
                                  one[] = {{CALL(F1) CALL(F1), CALL(F1), "f {\"a\":1};"}};
    struct ew_request request = request_of(EW_TOOLS_NONE, NULL);
    check_cases(&request, none, 1);
    request = request_of(EW_TOOLS_AUTO, NULL);
    request.parallel_tool_calls = false;
    check_cases(&request, one, 1);
}

static void test_text_is_not_held_back_longer_than_it_must(void **state)
{
    (void)state;
    struct ew_request request = request_of(EW_TOOLS_AUTO, NULL);
    struct ew_tools *tools = NULL;
    assert_int_equal(ew_tools_open(&tools, &request, NULL), 0);
    assert_int_equal(ew_tools_push(tools, "ab <tool_", 9, &plain, NULL), 0);
    assert_string_equal(ew_buf_cstr(&plain), "ab ");
    assert_int_equal(ew_tools_push(tools, "x", 1, &plain, NULL), 0);
    assert_string_equal(ew_buf_cstr(&plain), "ab <tool_x");
    ew_tools_close(&tools);
    static const char *const texts[] = {"```p", "{\"x", "{\"name\": \"h", "{\"name\": \"f2"};
    for (size_t i = 0; i < EW_COUNT(texts); i++) { /* another start than a call's */
        ew_buf_clear(&plain);
        assert_int_equal(ew_tools_open(&tools, &request, NULL), 0);
        assert_int_equal(ew_tools_push(tools, texts[i], strlen(texts[i]) - 1, &plain, NULL), 0);
        assert_int_equal(plain.bytes, 0);
        assert_int_equal(ew_tools_push(tools, texts[i] + strlen(texts[i]) - 1, 1, &plain, NULL), 0);
        assert_string_equal(ew_buf_cstr(&plain), texts[i]);
        ew_tools_close(&tools);
    }
}

static void test_a_call_without_end_becomes_text_at_the_limit(void **state)
{
    (void)state;
    enum { BYTES = 200000 };
    struct ew_request request = request_of(EW_TOOLS_AUTO, NULL);
    char *text = malloc(BYTES + 1);
    assert_non_null(text);
    memset(text, 'x', BYTES);
    memcpy(text, "<tool_call>", 11);
    text[BYTES] = '\0';
    struct ew_tools *tools = read_text(&request, text, 4096);
    assert_int_equal(plain.bytes, BYTES);
    assert_int_equal(ew_tools_count(tools), 0);
    ew_tools_close(&tools);
    free(text);
}

/* A client may have a model repeat the tag inside of a string: each judged at each push, these 600
 * took 100 s, and in that time the server told nobody anything. */
static void test_a_call_full_of_closing_tags_costs_little(void **state)
{
    (void)state;
    enum { TAGS = 600 };
    static const char start[] = "<tool_call>{\"a\":\"", tag[] = "</tool_call>";
    struct ew_request request = request_of(EW_TOOLS_AUTO, NULL);
    char text[sizeof start + TAGS * sizeof tag];
    size_t bytes = (size_t)snprintf(text, sizeof text, "%s", start);
    for (int i = 0; i < TAGS; i++)
        bytes += (size_t)snprintf(text + bytes, sizeof text - bytes, "%s", tag);
    clock_t from = clock(); /* of this process alone: the machine may be busy */
    struct ew_tools *tools = read_text(&request, text, 1);
    double s = (double)(clock() - from) / CLOCKS_PER_SEC;
    assert_int_equal(ew_tools_count(tools), 0);
    assert_string_equal(ew_buf_cstr(&plain), text);
    ew_tools_close(&tools);
    print_message("%d closing tags took %.3f s\n", TAGS, s);
    assert_true(s < 1);
}

static void test_ids_follow_the_seed(void **state)
{
    (void)state;
    struct ew_request request = request_of(EW_TOOLS_AUTO, NULL);
    char ids[3][32];
    for (uint64_t i = 0; i < 3; i++) {
        struct ew_tools *tools = NULL;
        assert_int_equal(ew_tools_open(&tools, &request, NULL), 0);
        ew_tools_seed(tools, i / 2);
        assert_int_equal(ew_tools_push(tools, CALL(F1), strlen(CALL(F1)), &plain, NULL), 0);
        memcpy(ids[i], ew_tools_calls(tools)[0].id, 32);
        assert_int_equal(strlen(ids[i]), 29);
        assert_memory_equal(ids[i], "call_", 5);
        ew_tools_close(&tools);
    }
    assert_string_equal(ids[0], ids[1]);
    assert_string_not_equal(ids[1], ids[2]);
}

#define G_SCHEMA                                                                                   \
    "\"type\":\"object\",\"properties\":{\"name\":{\"const\":\"g\"},\"arguments\":{\"type\":"      \
    "\"object\",\"properties\":{},\"additionalProperties\":false}},\"required\":[\"name\","        \
    "\"arguments\"],\"additionalProperties\":false"

#define ANY_CALL(name)                                                                             \
    "{\"type\":\"object\",\"properties\":{\"name\":{\"const\":\"" name "\"},\"arguments\":{"       \
    "\"type\":\"object\"}},\"required\":[\"name\",\"arguments\"],\"additionalProperties\":false}"

static void test_the_schema_of_a_forced_call(void **state)
{
    (void)state;
    const char *before, *after;
    struct ew_err err;
    struct ew_request request = request_of(EW_TOOLS_NAMED, "g");
    wire_check_text(
        ew_tools_schema(&request, EW_TOOLS_HOLD_ARGUMENTS, &plain, &before, &after, NULL), &plain,
        "{" G_SCHEMA "}\n");
    assert_string_equal(before, "<tool_call>\n");
    assert_string_equal(after, "\n</tool_call>");
    request = request_of(EW_TOOLS_REQUIRED, NULL);
    wire_check_text(
        ew_tools_schema(&request, EW_TOOLS_HOLD_ARGUMENTS, &plain, &before, &after, NULL), &plain,
        "{\"anyOf\":[{\"type\":\"object\",\"properties\":{\"name\":{\"const\":\"f\"},"
        "\"arguments\":{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":"
        "\"#/$defs/f.x\"}}}},\"required\":[\"name\",\"arguments\"],"
        "\"additionalProperties\":false},{" G_SCHEMA "}],\"$defs\":{\"f.x\":{\"type\":"
        "\"number\",\"maximum\":0.1}}}\n");
    request = request_of(EW_TOOLS_AUTO, NULL);
    wire_check_text(ew_tools_schema(&request, EW_TOOLS_HOLD_NAMES, &plain, &before, &after, NULL),
                    &plain, "{\"anyOf\":[" ANY_CALL("f") "," ANY_CALL("g") "]}\n");
    request = request_of(EW_TOOLS_NAMED, "h");
    assert_int_equal(
        ew_tools_schema(&request, EW_TOOLS_HOLD_ARGUMENTS, &plain, &before, &after, &err),
        EW_ENOTFOUND);
}

static void test_tools_calls_and_results_in_words(void **state)
{
    (void)state;
    static const char messages[] =
        "[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":\"user\",\"content\":\"q\"},{"
        "\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c\",\"type\":"
        "\"function\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":0.1}}}]},{\"role\":"
        "\"tool\",\"content\":\"1\"},{\"role\":\"tool\",\"content\":\"2\"}]";
    struct ew_request request = request_of(EW_TOOLS_AUTO, NULL);
    request.messages = (struct ew_str){messages, sizeof messages - 1};
    assert_int_equal(ew_tools_in_words(&request, &plain, NULL), 0);
    json_t *list = json_loads(ew_buf_cstr(&plain), 0, NULL);
    assert_int_equal(json_array_size(list), 4);
    const char *role, *system, *call, *result;
    assert_int_equal(
        json_unpack(json_array_get(list, 0), "{s:s, s:s}", "role", &role, "content", &system), 0);
    assert_string_equal(role, "system");
    assert_ptr_equal(strstr(system, "Be brief.\n\nYou can call"), system);
    assert_non_null(strstr(system, "\n{\"name\":\"f\",\"description\":\"d\",\"parameters\":{"));
    assert_non_null(strstr(system, "{\"$ref\":\"#/$defs/x\"}"));
    assert_non_null(strstr(system, "\n{\"name\":\"g\"}\n</tools>\n"));
    call = json_string_value(json_object_get(json_array_get(list, 2), "content"));
    assert_string_equal(call, CALL("{\"name\":\"f\",\"arguments\":{\"a\":0.1}}"));
    assert_int_equal(
        json_unpack(json_array_get(list, 3), "{s:s, s:s}", "role", &role, "content", &result), 0);
    assert_string_equal(role, "user");
    assert_string_equal(result, "<tool_response>\n1\n</tool_response>\n<tool_response>\n2\n"
                                "</tool_response>");
    json_decref(list);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_calls_are_found_and_everything_else_is_text),
        TEST(test_an_answer_that_is_a_known_tools_object_alone_is_a_call),
        TEST(test_a_demanded_call_needs_no_tags),
        TEST(test_without_tools_all_is_text_and_without_parallel_the_first_is_a_call),
        TEST(test_text_is_not_held_back_longer_than_it_must),
        TEST(test_a_call_without_end_becomes_text_at_the_limit),
        TEST(test_a_call_full_of_closing_tags_costs_little),
        TEST(test_ids_follow_the_seed),
        TEST(test_the_schema_of_a_forced_call),
        TEST(test_tools_calls_and_results_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
