/* test_serve_check.c - what a front's configuration names is looked for before it is served. */
#include "cmd/serve_check.h"

#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int check(const char *text, struct ew_err *err)
{
    struct ew_config *config = NULL;
    if (ew_config_parse(&config, text, strlen(text), "c", err))
        fail_msg("%s", err->text);
    int rc = ew_serve_check(config, err);
    ew_config_close(&config);
    return rc;
}

static void what_is_missing_is_named(void **state)
{
    static const struct {
        const char *text, *told;
    } cases[] = {
        {"devices: [{name: a, url: http://x, profile: no-such}]", "no-such"},
        {"devices: [{name: a, url: http://x, key_file: /nowhere/key}]",
         "c:1: devices[0].key_file: can't read /nowhere/key: No such file or directory"},
        {"devices: [{name: a, url: https://x, ca: /nowhere/ca.pem}]",
         "a: ca: can't read /nowhere/ca.pem: No such file or directory"},
        {"clouds: [{name: b, key_file: /nowhere/key}]",
         "c:1: clouds[0].key_file: can't read /nowhere/key: No such file or directory"},
        {"clouds: [{name: b, ca: /nowhere/ca.pem}]",
         "b: ca: can't read /nowhere/ca.pem: No such file or directory"},
    };
    (void)state;
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct ew_err err = {0};
        assert_int_not_equal(check(cases[i].text, &err), 0);
        if (!strstr(err.text, cases[i].told))
            fail_msg("%s", err.text);
    }
}

/* Whoever checks hasn't the server's environment: a key that isn't in it is no fault. */
static void a_front_is_fine_with_what_it_names(void **state)
{
    struct ew_err err = {0};
    (void)state;
    unsetenv("EW_TEST_NO_SUCH_KEY");
    assert_int_equal(check("devices:\n"
                           "  - {name: a, url: http://x, profile: agx-orin-64gb}\n"
                           "  - {name: b, url: https://x, key_file: /dev/null, ca: /dev/null}\n"
                           "clouds: [{name: c, key_env: EW_TEST_NO_SUCH_KEY}]\n",
                           &err),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(a_front_is_fine_with_what_it_names),
    };
    ew_log_open(EW_LOG_ERROR, EW_LOG_PLAIN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
