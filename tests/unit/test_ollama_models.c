/* test_ollama_models.c - Ollama's lists of models, one model in full, the version, and the small
 * body that names a model. */
#include "support/wire_check.h"

static struct ew_buf out;

static int setup(void **state)
{
    (void)state;
    ew_buf_init(&out, WIRE_CHECK_BYTES_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ew_buf_fini(&out);
    return 0;
}

static const struct ew_wire_model models[] = {
    {.name = "a",
     .owner = "edgewise",
     .created_s = 1800000000,
     .bytes = 91000000,
     .sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
     .architecture = "llama",
     .quantization = "Q4_1",
     .licence = "apache-2.0",
     .parameters = 134515008,
     .ctx = 2048,
     .embedding = 576,
     .tools = true,
     .loaded = true,
     .expires_s = 1800000300,
     .template_text = "{{ x }}"},
    {.name = "b"},
};

#define DETAILS_A                                                                                  \
    "\"details\":{\"parent_model\":\"\",\"format\":\"gguf\",\"family\":\"llama\",\"families\":["   \
    "\"llama\"],\"parameter_size\":\"134.52M\",\"quantization_level\":\"Q4_1\"}"
#define DETAILS_B                                                                                  \
    "\"details\":{\"parent_model\":\"\",\"format\":\"gguf\",\"family\":\"\",\"families\":[],"      \
    "\"parameter_size\":\"\",\"quantization_level\":\"\"}"
#define MODEL_A                                                                                    \
    "{\"name\":\"a\",\"model\":\"a\",\"size\":91000000,\"digest\":"                                \
    "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"," DETAILS_A

static void test_tags_tell_of_all_models(void **state)
{
    (void)state;
    wire_check_text(
        ew_ollama_tags(models, 2, &out), &out,
        "{\"models\":[" MODEL_A ",\"modified_at\":\"2027-01-15T08:00:00Z\"},{\"name\":\"b\","
        "\"model\":\"b\",\"size\":0,\"digest\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\"," DETAILS_B
        ",\"modified_at\":null}]}\n");
    wire_check_text(ew_ollama_tags(NULL, 0, &out), &out, "{\"models\":[]}\n");
}

static void test_ps_tells_of_loaded_ones(void **state)
{
    (void)state;
    struct ew_wire_model kept[] = {models[0], models[1]};
    wire_check_text(ew_ollama_ps(kept, 2, &out), &out,
                    "{\"models\":[" MODEL_A ",\"expires_at\":\"2027-01-15T08:05:00Z\","
                    "\"size_vram\":0,\"context_length\":2048}]}\n");
    kept[0].expires_s = -1;
    wire_check_text(ew_ollama_ps(kept, 2, &out), &out,
                    "{\"models\":[" MODEL_A ",\"expires_at\":\"9999-12-31T23:59:59Z\","
                    "\"size_vram\":0,\"context_length\":2048}]}\n");
}

static void test_show_tells_what_a_model_can_do(void **state)
{
    (void)state;
    wire_check_text(ew_ollama_show(&models[0], &out), &out,
                    "{\"license\":\"apache-2.0\",\"template\":\"{{ x }}\"," DETAILS_A
                    ",\"model_info\":{\"general.architecture\":\"llama\","
                    "\"general.parameter_count\":134515008,\"llama.context_length\":2048,"
                    "\"llama.embedding_length\":576},\"capabilities\":[\"completion\",\"tools\"],"
                    "\"modified_at\":\"2027-01-15T08:00:00Z\"}\n");
    wire_check_text(ew_ollama_show(&models[1], &out), &out,
                    "{\"license\":\"\",\"template\":\"\"," DETAILS_B
                    ",\"model_info\":{\"general.architecture\":\"\"},\"capabilities\":["
                    "\"completion\"],\"modified_at\":null}\n");
}

static void test_sizes_are_rounded_as_ollama_does(void **state)
{
    (void)state;
    static const struct {
        uint64_t count;
        const char *text;
    } cases[] = {{1235814432, "\"1.2B\""}, {268098176, "\"268.10M\""}, {1500, "\"1.50K\""}};
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct ew_wire_model model = {.name = "c", .parameters = cases[i].count};
        assert_int_equal(ew_ollama_tags(&model, 1, &out), 0);
        assert_non_null(strstr(ew_buf_cstr(&out), cases[i].text));
        ew_buf_clear(&out);
    }
}

static void test_the_version_is_of_the_api(void **state)
{
    (void)state;
    wire_check_text(ew_ollama_version(&out), &out,
                    "{\"version\":\"0.12.11\",\"edgewise\":\"" EW_VERSION "\"}\n");
}

static void test_a_body_names_a_model(void **state)
{
    (void)state;
    static const char *const fine[] = {"{\"model\":\"x\"}", "{\"name\":\"x\"}",
                                       "{\"model\":\"\",\"name\":\"x\",\"verbose\":true}"};
    static const char *const bad[] = {"", "{}", "{\"model\":7}", "{\"name\":\"\"}", "[1]"};
    struct ew_fault fault;
    char *name;
    for (size_t i = 0; i < EW_COUNT(fine); i++) {
        assert_int_equal(ew_ollama_name((struct ew_str){fine[i], strlen(fine[i])}, &name, &fault),
                         0);
        assert_string_equal(name, "x");
        free(name);
    }
    for (size_t i = 0; i < EW_COUNT(bad); i++) {
        assert_int_equal(ew_ollama_name((struct ew_str){bad[i], strlen(bad[i])}, &name, &fault),
                         -1);
        assert_int_equal(fault.status, 400);
        assert_null(name);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_tags_tell_of_all_models),        TEST(test_ps_tells_of_loaded_ones),
        TEST(test_show_tells_what_a_model_can_do), TEST(test_sizes_are_rounded_as_ollama_does),
        TEST(test_the_version_is_of_the_api),      TEST(test_a_body_names_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
