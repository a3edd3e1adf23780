/* test_edgewise.c - the words of a model through the public door: text to tokens and back, chats,
 * what sampling is set to, and what callers get who ask for too much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
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
        cmocka_unit_test(test_sampling_is_greedy_at_first_and_its_seed_decides),
        cmocka_unit_test(test_sampling_out_of_range_is_named_and_changes_nothing),
        cmocka_unit_test(test_a_vocabulary_alone_tokenizes_and_opens_no_session),
        cmocka_unit_test(test_the_library_is_the_version_that_was_built),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
