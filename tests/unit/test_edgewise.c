/* test_edgewise.c - the words of a model through the public door: text to tokens and back, chats,
 * what sampling is set to, and what callers get who ask for too much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "edgewise.h"
#include "support/gguf_make.h"

/* Of the vocabulary that gguf_make_bpe makes. */
enum { HELLO = 259, END_OF_TEXT, IM_START, IM_END };

struct fixture {
    struct gguf_make_file file;
    struct ew_model *model;
    struct ew_session *session;
};

static int open_fixture(void **state)
{
    static struct fixture f;
    struct gguf_make m;
    struct gguf_make_shape shape = gguf_make_shape_tiny();
    gguf_make_init(&m);
    gguf_make_llama(&m, &shape);
    f.file = gguf_make_open(&m);
    gguf_make_fini(&m);
    *state = &f;
    struct ew_model_params params = {.threads = 1};
    return ew_model_open(&f.model, f.file.path, &params, NULL) ||
           ew_session_open(&f.session, f.model, NULL, NULL);
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    ew_session_close(&f->session);
    ew_model_close(&f->model);
    gguf_make_close(&f->file);
    return 0;
}

static void test_text_becomes_tokens_and_text_again(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "hello \xC3\xA9<|im_end|>";
    int32_t tokens[32];
    char back[32];
    size_t count, bytes;
    assert_int_equal(ew_model_tokenize(f->model, text, strlen(text), 0, tokens, 32, &count, NULL),
                     0);
    assert_int_equal(tokens[0], HELLO);
    assert_int_equal(count, 1 + 1 + 2 + strlen("<|im_end|>")); /* the rest byte by byte */
    assert_int_equal(ew_model_detokenize(f->model, tokens, count, back, 32, &bytes, NULL), 0);
    assert_int_equal(bytes, strlen(text));
    assert_memory_equal(back, text, bytes);

    assert_int_equal(ew_model_tokenize(f->model, text, strlen(text), EW_TOKENIZE_SPECIAL, tokens,
                                       32, &count, NULL),
                     0);
    assert_int_equal(count, 1 + 1 + 2 + 1);
    assert_int_equal(tokens[count - 1], IM_END);
    assert_int_equal(ew_model_detokenize(f->model, tokens, count, back, 32, &bytes, NULL), 0);
    assert_int_equal(bytes, strlen("hello \xC3\xA9")); /* special tokens aren't text */
}

static void test_too_little_room_says_how_much_is_needed_and_writes_no_more(void **state)
{
    struct fixture *f = *state;
    struct ew_err err = {0};
    int32_t tokens[4] = {-7, -7, -7, -7};
    char back[8] = "~~~~~~~";
    size_t count = 0, bytes = 0;
    assert_int_equal(ew_model_tokenize(f->model, "hello you", 9, 0, NULL, 0, &count, &err),
                     EW_ELIMIT);
    assert_int_equal(count, 5);
    assert_int_equal(ew_model_tokenize(f->model, "hello you", 9, 0, tokens, 3, &count, &err),
                     EW_ELIMIT);
    assert_int_equal(count, 5);
    assert_int_equal(tokens[3], -7);

    static const int32_t hellos[] = {HELLO, HELLO};
    assert_int_equal(ew_model_detokenize(f->model, hellos, 2, NULL, 0, &bytes, &err), EW_ELIMIT);
    assert_int_equal(bytes, 10);
    assert_int_equal(ew_model_detokenize(f->model, hellos, 2, back, 7, &bytes, &err), EW_ELIMIT);
    assert_int_equal(bytes, 10);
    assert_memory_equal(back + 5, "~~", 2);
}

static void test_a_token_has_bytes_and_a_name_and_ids_out_of_range_have_neither(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int32_t token;
        const char *bytes, *name;
        bool end;
    } rows[] = {
        {HELLO, "hello", "hello", false},
        {IM_START, "", "<|im_start|>", false},
        {IM_END, "", "<|im_end|>", true},
        {END_OF_TEXT, "", "<|endoftext|>", true},
        {-1, "", "", false},
        {GGUF_MAKE_BPE_VOCAB, "", "", false},
        {INT32_MAX, "", "", false},
        {INT32_MIN, "", "", false},
    };
    for (size_t i = 0; i < EW_COUNT(rows); i++) {
        size_t bytes, name_bytes;
        const char *text = ew_model_token(f->model, rows[i].token, &bytes);
        const char *name = ew_model_token_name(f->model, rows[i].token, &name_bytes);
        assert_int_equal(bytes, strlen(rows[i].bytes));
        assert_memory_equal(text, rows[i].bytes, bytes);
        assert_int_equal(name_bytes, strlen(rows[i].name));
        assert_memory_equal(name, rows[i].name, name_bytes);
        assert_int_equal(ew_model_is_end(f->model, rows[i].token), rows[i].end);
    }
}

static void test_a_chat_keeps_every_character_of_its_messages(void **state)
{
    struct fixture *f = *state;
    static const struct ew_message messages[] = {{"system", "a \"b\"\\n {{ c }}\t\x01\x1f"},
                                                 {"user", "\xC3\xA9\n\xF0\x9F\x98\x80"}};
    static const char expected[] =
        "<|im_start|>system\na \"b\"\\n {{ c }}\t\x01\x1f<|im_end|>\n"
        "<|im_start|>user\n\xC3\xA9\n\xF0\x9F\x98\x80<|im_end|>\n<|im_start|>assistant\n";
    char text[256];
    size_t bytes;
    bool has_bos = true;
    struct ew_err err = {0};
    assert_int_equal(
        ew_model_chat(f->model, messages, 2, text, sizeof text, &bytes, &has_bos, &err), 0);
    assert_string_equal(text, expected);
    assert_int_equal(bytes, strlen(expected));
    assert_false(has_bos); /* this vocabulary's is <|endoftext|> */

    for (size_t room = 0; room <= strlen(expected); room += strlen(expected)) {
        text[room] = '~'; /* the NUL has no room */
        assert_int_equal(ew_model_chat(f->model, messages, 2, text, room, &bytes, &has_bos, &err),
                         EW_ELIMIT);
        assert_int_equal(bytes, strlen(expected));
        assert_int_equal(text[room], '~');
    }
}

static void test_a_message_without_role_or_content_is_named(void **state)
{
    struct fixture *f = *state;
    static const struct ew_message no_content[] = {{"user", "a"}, {"user", NULL}};
    static const struct ew_message no_role[] = {{NULL, "a"}};
    char text[256];
    size_t bytes;
    bool has_bos;
    struct ew_err err = {0};
    assert_int_equal(
        ew_model_chat(f->model, no_content, 2, text, sizeof text, &bytes, &has_bos, &err),
        EW_EINVAL);
    assert_string_equal(err.text, "message 1 has no content");
    assert_int_equal(ew_model_chat(f->model, no_role, 1, text, sizeof text, &bytes, &has_bos, &err),
                     EW_EINVAL);
    assert_string_equal(err.text, "message 0 has no role");
}

/* ---- chats in JSON ---- */

/* A vocabulary with this template, or (NULL) none. */
static struct ew_model *open_with(const char *template)
{
    struct gguf_make m;
    struct gguf_make_shape shape = gguf_make_shape_tiny();
    struct ew_model_params params = {.vocab_only = true};
    struct ew_model *model = NULL;
    struct ew_err err = {0};
    gguf_make_init(&m);
    gguf_make_llama(&m, &shape);
    if (template)
        gguf_make_string(&m, "tokenizer.chat_template", template);
    struct gguf_make_file file = gguf_make_open(&m);
    gguf_make_fini(&m);
    if (ew_model_open(&model, file.path, &params, &err))
        fail_msg("%s: %s", template, err.text);
    gguf_make_close(&file);
    return model;
}

static struct ew_model *open_with_file(const char *name)
{
    char path[256];
    struct ew_buf source;
    snprintf(path, sizeof path, "tests/data/templates/%s.jinja", name);
    ew_buf_init(&source, 1 << 20);
    assert_int_equal(ew_file_read(&source, path, NULL), 0);
    struct ew_model *model = open_with(ew_buf_cstr(&source));
    ew_buf_fini(&source);
    return model;
}

enum { CHAT_BYTES = 8192 };

static int chat(const struct ew_model *model, const char *messages, const char *tools, char *text,
                struct ew_err *err)
{
    size_t bytes;
    bool has_bos;
    return ew_model_chat_json(model, messages, strlen(messages), tools, tools ? strlen(tools) : 0,
                              text, CHAT_BYTES, &bytes, &has_bos, err);
}

static const char weather[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"weather\",\"description\":\"of a city\","
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}}}}}]";

static void test_a_chat_in_json_is_the_chat_of_its_messages(void **state)
{
    struct fixture *f = *state;
    static const struct ew_message messages[] = {{"system", "a \"b\"\\"}, {"user", "\xC3\xA9"}};
    static const char json[] = " [ {\"role\":\"system\",\"content\":\"a \\\"b\\\"\\\\\"},"
                               "{\"content\":\"\\u00e9\",\"role\":\"user\",\"name\":\"x\"} ] ";
    char expected[CHAT_BYTES], text[CHAT_BYTES];
    size_t bytes;
    bool has_bos;
    assert_int_equal(
        ew_model_chat(f->model, messages, 2, expected, sizeof expected, &bytes, &has_bos, NULL), 0);
    assert_int_equal(chat(f->model, json, NULL, text, NULL), 0);
    assert_string_equal(text, expected);
}

static void test_tools_and_calls_reach_the_template(void **state)
{
    (void)state;
    struct ew_model *model = open_with_file("qwen2.5-tools");
    struct ew_err err = {0};
    char text[CHAT_BYTES];
    static const char messages[] =
        "[{\"role\":\"user\",\"content\":\"Rain in Pisa?\"},{\"role\":\"assistant\",\"content\":"
        "null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":"
        "\"weather\",\"arguments\":\"{\\\"city\\\": \\\"Pisa\\\"}\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"dry\"}]";
    if (chat(model, messages, weather, text, &err))
        fail_msg("%s", err.text);
    assert_non_null(strstr(text, "\"description\": \"of a city\""));
    assert_non_null(strstr(
        text,
        "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Pisa\"}}\n</tool_call>"));
    assert_non_null(strstr(text, "<tool_response>\ndry\n</tool_response>"));
    assert_string_equal(text + strlen(text) - 22, "<|im_start|>assistant\n");
    ew_model_close(&model);

    /* This one adds the arguments to a text, which an object can't be. */
    model = open_with("{% for m in messages %}{% for c in m.tool_calls or [] %}"
                      "{{ c.function.name + c.function.arguments }}{% endfor %}{% endfor %}");
    if (chat(model, messages, NULL, text, &err))
        fail_msg("%s", err.text);
    assert_string_equal(text, "weather{\"city\": \"Pisa\"}");
    ew_model_close(&model);
}

static void test_whether_a_template_reads_tools_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *template;
        bool reads;
    } rows[] = {
        {NULL, false},
        {"{% if tools %}x{% endif %}", true},
        {"{% for t in tools or [] %}{% endfor %}", true},
        {"{{ tools }}", true},
        {"tools", false},
        {"{{ 'tools' }}{{ message.tools }}", false},
        {"{% set tools = none %}", false},
        {"{{ x | default(tools) }}", true},
    };
    for (size_t i = 0; i < EW_COUNT(rows); i++) {
        struct ew_model *model = open_with(rows[i].template);
        if (ew_model_chat_has_tools(model) != rows[i].reads)
            fail_msg("%s", rows[i].template);
        ew_model_close(&model);
    }
    static const char *const with[] = {"qwen2.5-tools", "llama-3.1-tools", "hermes-tools",
                                       "mistral-v3-tools", "granite"};
    static const char *const without[] = {"smollm2", "gemma-3", "phi-3", "chatml"};
    for (size_t i = 0; i < EW_COUNT(with) + EW_COUNT(without); i++) {
        bool reads = i < EW_COUNT(with);
        struct ew_model *model = open_with_file(reads ? with[i] : without[i - EW_COUNT(with)]);
        assert_int_equal(ew_model_chat_has_tools(model), reads);
        ew_model_close(&model);
    }
}

static void test_a_last_message_of_the_assistant_is_continued(void **state)
{
    (void)state;
    static const struct {
        const char *template, *content, *end;
    } rows[] = {
        {"smollm2", "\"Once \"", "<|im_start|>assistant\nOnce "},
        {"smollm2", "\"\"", "<|im_start|>assistant\n"},
        {"smollm2", "\"<|im_end|>\"", "<|im_start|>assistant\n<|im_end|>"},
        {"gemma-3", "\" Once \"", "<start_of_turn>model\nOnce "},
        {"gemma-3", "[{\"type\":\"text\",\"text\":\"Once\"}]", "<start_of_turn>model\nOnce"},
        {"llama-3", "\"Once\"", "<|end_header_id|>\n\nOnce"},
        {"mistral-v1", "\"Once\"", "Once"},
        {"qwen2.5-tools", "\"edgewise-continues-here-0-\"", "edgewise-continues-here-0-"},
        {NULL, "null", "<|im_start|>assistant\n"},
    };
    for (size_t i = 0; i < EW_COUNT(rows); i++) {
        struct ew_model *model =
            rows[i].template ? open_with_file(rows[i].template) : open_with(NULL);
        char messages[512], text[CHAT_BYTES];
        struct ew_err err = {0};
        snprintf(messages, sizeof messages,
                 "[{\"role\":\"user\",\"content\":\"Tell\"},{\"role\":\"assistant\","
                 "\"content\":%s}]",
                 rows[i].content);
        if (chat(model, messages, NULL, text, &err))
            fail_msg("%s: %s", rows[i].template, err.text);
        size_t bytes = strlen(text), end = strlen(rows[i].end);
        if (bytes < end || strcmp(text + bytes - end, rows[i].end) != 0)
            fail_msg("%s, %s: %s", rows[i].template, rows[i].content, text);
        ew_model_close(&model);
    }
    struct ew_model *model = open_with("{% for m in messages %}{{ m.role }}{% endfor %}");
    char text[CHAT_BYTES];
    struct ew_err err = {0};
    assert_int_equal(chat(model, "[{\"role\":\"assistant\",\"content\":\"a\"}]", NULL, text, &err),
                     EW_EINVAL);
    assert_non_null(strstr(err.text, "can't be continued"));
    ew_model_close(&model);
}

static void test_json_that_is_no_chat_is_refused_with_the_place(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *messages, *tools, *error;
    } rows[] = {
        {"", NULL, "messages, byte 0: expected a value"},
        {"[{\"role\":\"user\" \"content\":1}]", NULL, "messages, byte 16: expected ',' or '}'"},
        {"[]]", NULL, "messages, byte 2: more after the value"},
        {"[], \"tools\": []", NULL, "messages, byte 2: more after the value"},
        {"{}", NULL, "messages: expected an array"},
        {"[1]", NULL, "messages[0] isn't an object"},
        {"[{\"role\":\"user\",\"content\":\"\"},{}]", NULL, "messages[1].role isn't a string"},
        {"[{\"role\":1}]", NULL, "messages[0].role isn't a string"},
        {"[{\"role\":\"user\",\"content\":7}]", NULL, "messages[0].content is neither"},
        {"[]", "[", "tools, byte 1: expected a value"},
        {"[]", "", "tools, byte 0: expected a value"},
        {"[]", "{}", "tools: expected an array"},
    };
    for (size_t i = 0; i < EW_COUNT(rows); i++) {
        char text[CHAT_BYTES];
        struct ew_err err = {0};
        assert_int_equal(chat(f->model, rows[i].messages, rows[i].tools, text, &err), EW_EINVAL);
        if (strncmp(err.text, rows[i].error, strlen(rows[i].error)) != 0)
            fail_msg("%s: %s", rows[i].messages, err.text);
    }
    char text[CHAT_BYTES];
    struct ew_buf deep;
    ew_buf_init(&deep, 1 << 20);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(ew_buf_text(&deep, "[", NULL), 0);
    assert_int_equal(chat(f->model, ew_buf_cstr(&deep), NULL, text, NULL), EW_EINVAL);
    ew_buf_fini(&deep);
}

enum { ANSWER = 24 };

static void answer(struct fixture *f, const struct ew_sampling *how, int32_t tokens[ANSWER])
{
    static const int32_t prompt[] = {HELLO, ' ', HELLO};
    ew_session_rewind(f->session, 0);
    assert_int_equal(ew_session_prompt(f->session, prompt, 3, NULL), 0);
    assert_int_equal(ew_session_sampling(f->session, how, NULL), 0);
    for (int i = 0; i < ANSWER; i++)
        assert_int_equal(ew_session_next(f->session, &tokens[i], NULL), 0);
}

static void test_sampling_is_greedy_at_first_and_its_seed_decides(void **state)
{
    struct fixture *f = *state;
    struct ew_sampling how = ew_sampling_default();
    int32_t greedy[ANSWER], first[ANSWER], second[ANSWER];
    answer(f, &how, greedy);
    how.seed = 5; /* without a temperature it decides nothing */
    answer(f, &how, first);
    assert_memory_equal(first, greedy, sizeof first);
    how.temperature = 2;
    answer(f, &how, first);
    assert_memory_not_equal(first, greedy, sizeof first);
    answer(f, &how, second);
    assert_memory_equal(first, second, sizeof first);
    how.seed = 6;
    answer(f, &how, second);
    assert_memory_not_equal(first, second, sizeof first);

    struct ew_bias ban = {greedy[0], -100};
    how = ew_sampling_default();
    how.bias = &ban;
    how.bias_count = 1;
    answer(f, &how, first);
    for (int i = 0; i < ANSWER; i++)
        assert_int_not_equal(first[i], greedy[0]);
}

static void test_sampling_out_of_range_is_named_and_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct ew_sampling how = ew_sampling_default();
    struct ew_err err = {0};
    int32_t before[ANSWER], after;
    answer(f, &how, before);
    how.temperature = 1;
    how.top_p = 1.5f;
    assert_int_equal(ew_session_sampling(f->session, &how, &err), EW_EINVAL);
    assert_non_null(strstr(err.text, "top_p 1.5"));
    ew_session_rewind(f->session, 3);
    for (int i = 0; i < ANSWER; i++) {
        assert_int_equal(ew_session_next(f->session, &after, NULL), 0);
        assert_int_equal(after, before[i]);
    }
}

static void test_a_vocabulary_alone_tokenizes_and_opens_no_session(void **state)
{
    struct fixture *f = *state;
    struct ew_model_params params = {.vocab_only = true};
    struct ew_model *model;
    struct ew_session *session;
    struct ew_err err = {0};
    int32_t token;
    size_t count;
    assert_int_equal(ew_model_open(&model, f->file.path, &params, &err), 0);
    assert_int_equal(ew_model_tokenize(model, "hello", 5, 0, &token, 1, &count, &err), 0);
    assert_int_equal(token, HELLO);
    assert_int_equal(ew_session_open(&session, model, NULL, &err), EW_EINVAL);
    assert_non_null(strstr(err.text, "without its weights"));
    assert_null(session);
    ew_model_close(&model);
}

static void test_the_library_is_the_version_that_was_built(void **state)
{
    (void)state;
    assert_string_equal(ew_version(), EW_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_becomes_tokens_and_text_again),
        cmocka_unit_test(test_too_little_room_says_how_much_is_needed_and_writes_no_more),
        cmocka_unit_test(test_a_token_has_bytes_and_a_name_and_ids_out_of_range_have_neither),
        cmocka_unit_test(test_a_chat_keeps_every_character_of_its_messages),
        cmocka_unit_test(test_a_message_without_role_or_content_is_named),
        cmocka_unit_test(test_a_chat_in_json_is_the_chat_of_its_messages),
        cmocka_unit_test(test_tools_and_calls_reach_the_template),
        cmocka_unit_test(test_whether_a_template_reads_tools_is_known),
        cmocka_unit_test(test_a_last_message_of_the_assistant_is_continued),
        cmocka_unit_test(test_json_that_is_no_chat_is_refused_with_the_place),
        cmocka_unit_test(test_sampling_is_greedy_at_first_and_its_seed_decides),
        cmocka_unit_test(test_sampling_out_of_range_is_named_and_changes_nothing),
        cmocka_unit_test(test_a_vocabulary_alone_tokenizes_and_opens_no_session),
        cmocka_unit_test(test_the_library_is_the_version_that_was_built),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
