/* test_condition.c - made sysfs trees: a Jetson's zones, a laptop's battery, nothing at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "meter/condition.h"

static char root[64];

static void put(const char *path, const char *text)
{
    char whole[256], folder[256];
    snprintf(whole, sizeof whole, "%s/class/%s", root, path);
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(whole, '/') - whole), whole);
    assert_int_equal(ew_file_mkdirs(folder, NULL), 0);
    assert_int_equal(ew_file_write(whole, text, strlen(text), NULL), 0);
}

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/test_condition.XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int drop_root(void **state)
{
    char command[96];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static void test_nothing_told_is_unknown_and_on_mains(void **state)
{
    (void)state;
    const struct ew_condition c = ew_condition_read(root);
    assert_true(isnan(c.temperature_c) && isnan(c.battery) && c.on_mains);
}

static void test_the_processor_counts_before_a_hotter_other_zone(void **state)
{
    (void)state;
    put("thermal/thermal_zone0/type", "gpu-thermal\n");
    put("thermal/thermal_zone0/temp", "71500\n");
    put("thermal/thermal_zone1/type", "cpu-thermal\n");
    put("thermal/thermal_zone1/temp", "55250\n");
    put("thermal/thermal_zone2/type", "soc0-thermal\n");
    put("thermal/thermal_zone2/temp", "48000\n");
    put("thermal/cooling_device0/type", "pwm-fan\n");
    const struct ew_condition c = ew_condition_read(root);
    assert_true(fabs(c.temperature_c - 55.25) < 1e-9);
}

static void test_nonsense_of_a_zone_is_left_out(void **state)
{
    (void)state;
    put("thermal/thermal_zone0/type", "cpu\n");
    put("thermal/thermal_zone0/temp", "-274000\n");
    put("thermal/thermal_zone1/type", "acpitz\n");
    put("thermal/thermal_zone1/temp", "hot\n");
    assert_true(isnan(ew_condition_read(root).temperature_c));
    put("thermal/thermal_zone2/type", "acpitz\n");
    put("thermal/thermal_zone2/temp", "27800\n");
    assert_true(fabs(ew_condition_read(root).temperature_c - 27.8) < 1e-9);
}

static void test_a_laptop_off_mains(void **state)
{
    (void)state;
    put("power_supply/BAT0/type", "Battery\n");
    put("power_supply/BAT0/capacity", "37\n");
    put("power_supply/AC/type", "Mains\n");
    put("power_supply/AC/online", "0\n");
    put("power_supply/hid-mouse/type", "Battery\n");
    put("power_supply/hid-mouse/scope", "Device\n");
    put("power_supply/hid-mouse/capacity", "100\n");
    struct ew_condition c = ew_condition_read(root);
    assert_true(fabs(c.battery - .37) < 1e-9 && !c.on_mains);
    put("power_supply/AC/online", "1\n");
    c = ew_condition_read(root);
    assert_true(c.on_mains);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_told_is_unknown_and_on_mains, make_root,
                                        drop_root),
        cmocka_unit_test_setup_teardown(test_the_processor_counts_before_a_hotter_other_zone,
                                        make_root, drop_root),
        cmocka_unit_test_setup_teardown(test_nonsense_of_a_zone_is_left_out, make_root, drop_root),
        cmocka_unit_test_setup_teardown(test_a_laptop_off_mains, make_root, drop_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
