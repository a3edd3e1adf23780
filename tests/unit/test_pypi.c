/* test_pypi.c - index pages in both forms, names as PEP 503 has them, and pip's configuration. */
#include "net/pypi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define PAGE  "https://index.test/simple/my-pack/"

static int parse(const char *page, const char *package, const char *version,
                 struct ew_pypi_wheel *out, struct ew_err *err)
{
    return ew_pypi_parse((struct ew_str){page, strlen(page)}, PAGE, package, version, out, err);
}

static void the_wheel_of_the_version_is_found_in_json(void **state)
{
    (void)state;
    static const char page[] =
        "{\"files\": ["
        "{\"filename\": \"my_pack-1.0.tar.gz\", \"url\": \"https://f.test/s\", \"hashes\": {}},"
        "{\"filename\": \"my_pack-1.0.1-py3-none-any.whl\", \"url\": \"https://f.test/1\"},"
        "{\"filename\": \"my_pack-1.0-cp311-cp311-linux_x86_64.whl\", \"url\": \"x.whl\"},"
        "{\"filename\": \"my_pack-1.0-py3-none-any.whl\", \"size\": 77,"
        " \"url\": \"https://f.test/w?a=1#frag\", \"hashes\": {\"sha256\": \"" SHA_A "\"}},"
        "{\"filename\": \"my_pack_more-1.0-py3-none-any.whl\", \"url\": \"https://f.test/m\"},"
        "{\"filename\": 5, \"url\": 6}, 7]}";
    struct ew_pypi_wheel wheel;
    struct ew_err err = {0};
    assert_int_equal(parse(page, "My.Pack", "1.0", &wheel, &err), 0);
    assert_string_equal(wheel.url, "https://f.test/w?a=1");
    assert_string_equal(wheel.sha256, SHA_A);
    assert_int_equal(wheel.bytes, 77);
    assert_int_equal(parse(page, "my-pack", "1.0.1", &wheel, &err), 0);
    assert_string_equal(wheel.sha256, ""); /* not told */
    assert_int_equal(wheel.bytes, 0);
    assert_int_equal(parse(page, "my-pack", "1", &wheel, &err), EW_ENOTFOUND);
    assert_non_null(strstr(err.text, "my-pack 1"));
}

static void the_wheel_of_the_version_is_found_in_html(void **state)
{
    (void)state;
    static const char page[] =
        "<!DOCTYPE html>\n<html><head><title>Links</title></head><body>\n"
        "<a href=\"../../p/my_pack-1.0.tar.gz#sha256=" SHA_B "\">my_pack-1.0.tar.gz</a><br/>\n"
        "<a data-requires-python='&gt;=3.9' href='../../p/w.whl?a=1&amp;b=2#sha256=" SHA_A "'>\n"
        "  my_pack-1.0-py3-none-any.whl </a>\n"
        "<a href=\"//other.test/v2.whl\">my_pack-2.0-py3-none-any.whl</a>\n</body></html>";
    struct ew_pypi_wheel wheel;
    assert_int_equal(parse(page, "my_pack", "1.0", &wheel, NULL), 0);
    assert_string_equal(wheel.url, "https://index.test/p/w.whl?a=1&b=2");
    assert_string_equal(wheel.sha256, SHA_A);
    assert_int_equal(parse(page, "my_pack", "2.0", &wheel, NULL), 0);
    assert_string_equal(wheel.url, "https://other.test/v2.whl");
    assert_string_equal(wheel.sha256, "");
}

static void pages_that_are_cut_or_nonsense_are_errors(void **state)
{
    (void)state;
    static const char *const pages[] = {
        "",
        " ",
        "{",
        "{\"files\": {}}",
        "{\"files\": []}",
        "[]",
        "<a",
        "<a href=",
        "<a href=\"",
        "<a href=\"x\">my_pack-1.0-py3-none-any.whl",
        "<a href=x>my_pack-1.0-py3-none-any.whl</a>",
        "<a>my_pack-1.0-py3-none-any.whl</a>",
        "<a href='x>my_pack-1.0-py3-none-any.whl</a>",
        "{\"files\": [{\"filename\": \"my_pack-1.0-py3-none-any.whl\", \"url\": \"http://[\"}]}",
    };
    for (size_t i = 0; i < EW_COUNT(pages); i++) {
        struct ew_pypi_wheel wheel;
        struct ew_err err = {0};
        /* An exact-size copy, so that a sanitizer sees a read past its end. */
        size_t bytes = strlen(pages[i]);
        char *copy = malloc(bytes ? bytes : 1);
        memcpy(copy, pages[i], bytes);
        int rc = ew_pypi_parse((struct ew_str){copy, bytes}, PAGE, "my-pack", "1.0", &wheel, &err);
        free(copy);
        if (rc != EW_ENOTFOUND && rc != EW_EFORMAT)
            fail_msg("case %zu gives %d", i, rc);
        assert_true(err.text[0] != '\0');
    }
}

static void credentials_of_the_index_stay_on_its_host(void **state)
{
    (void)state;
    static const char page[] = "<a href=\"https://index.test/a\">my_pack-1.0-py3-none-any.whl</a>"
                               "<a href=\"https://files.test/b\">my_pack-2.0-py3-none-any.whl</a>";
    static const char at[] = "https://me:pw@index.test/simple/my-pack/";
    struct ew_str text = {page, sizeof page - 1};
    struct ew_pypi_wheel wheel;
    assert_int_equal(ew_pypi_parse(text, at, "my-pack", "1.0", &wheel, NULL), 0);
    assert_string_equal(wheel.url, "https://me:pw@index.test/a");
    assert_int_equal(ew_pypi_parse(text, at, "my-pack", "2.0", &wheel, NULL), 0);
    assert_string_equal(wheel.url, "https://files.test/b");
}

static void pip_configuration_is_read_from_its_global_section(void **state)
{
    (void)state;
    static const struct {
        const char *text, *url; /* NULL: says nothing */
    } cases[] = {
        {"[global]\nindex-url = https://a.test/simple\n", "https://a.test/simple"},
        {"[global]\r\nindex-url: https://a.test/simple \r\n", "https://a.test/simple"},
        {"[global]\ntimeout = 5\nindex_url=https://a.test", "https://a.test"},
        {"[install]\nindex-url = https://a.test\n", NULL},
        {"[global]\nextra-index-url = https://a.test\n", NULL},
        {"[global]\nindex-url-more = https://a.test\n", NULL},
        {"[global]\n# index-url = https://a.test\n", NULL},
        {"[global]\n[install]\nindex-url = https://a.test\n", NULL},
        {"[global]\nindex-url\n", NULL},
        {"[global]\nindex-url =\n", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        char url[100] = "";
        bool found = ew_pypi_config(cases[i].text, url, sizeof url);
        if (found != (cases[i].url != NULL))
            fail_msg("case %zu: %s", i, url);
        if (found)
            assert_string_equal(url, cases[i].url);
    }
}

static void our_variable_wins_over_that_of_pip(void **state)
{
    (void)state;
    char url[100];
    setenv("PIP_INDEX_URL", "https://pip.test/simple", 1);
    setenv("EDGEWISE_PYPI_INDEX", "https://own.test/simple", 1);
    ew_pypi_index(url, sizeof url);
    assert_string_equal(url, "https://own.test/simple");
    unsetenv("EDGEWISE_PYPI_INDEX");
    ew_pypi_index(url, sizeof url);
    assert_string_equal(url, "https://pip.test/simple");
}

static void urls_in_messages_show_no_secret(void **state)
{
    (void)state;
    static const struct {
        const char *url, *masked;
    } cases[] = {
        {"https://me:pw@h.test/a?token=1#x", "https://h.test/a"},
        {"https://h.test/a@b", "https://h.test/a@b"},
        {"https://a:b@c@h.test", "https://h.test"},
        {"h.test/x?y", "h.test/x"},
        {"", ""},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        char masked[64];
        ew_fetch_mask(cases[i].url, masked, sizeof masked);
        assert_string_equal(masked, cases[i].masked);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wheel_of_the_version_is_found_in_json),
        cmocka_unit_test(the_wheel_of_the_version_is_found_in_html),
        cmocka_unit_test(pages_that_are_cut_or_nonsense_are_errors),
        cmocka_unit_test(credentials_of_the_index_stay_on_its_host),
        cmocka_unit_test(pip_configuration_is_read_from_its_global_section),
        cmocka_unit_test(our_variable_wins_over_that_of_pip),
        cmocka_unit_test(urls_in_messages_show_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
