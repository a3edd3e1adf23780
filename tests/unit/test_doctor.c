/* test_doctor.c - which facts become which findings, and sensors found in a made tree. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "measure/doctor.h"

/* A good machine: no warning, one note (no sensor can be seen). */
static struct ew_doctor *healthy(void)
{
    static struct ew_doctor doctor;

    memset(&doctor, 0, sizeof(doctor));
    doctor.machine = (struct ew_machine){.cpu = "test",
                                         .isa = "avx2",
                                         .cores = 4,
                                         .memory_bytes = 8000000000,
                                         .available_bytes = 6000000000,
                                         .huge_pages = true};
    doctor.measured = true;
    doctor.all.read_bandwidth_bytes_per_s = 40e9;
    snprintf(doctor.huge_pages, sizeof(doctor.huge_pages), "always [madvise] never");
    doctor.load = 0.5;
    doctor.model_count = 1;
    doctor.sensor_count = 1;
    doctor.sensors[0].readable = true;
    return &doctor;
}

/* Judges, expects one finding of that level with that word in it. */
static void expect(struct ew_doctor *doctor, enum ew_doctor_level level, const char *word)
{
    ew_doctor_judge(doctor);
    assert_int_equal(doctor->finding_count, 1);
    assert_int_equal(doctor->findings[0].level, level);
    if (!strstr(doctor->findings[0].text, word))
        fail_msg("no '%s' in: %s", word, doctor->findings[0].text);
    assert_int_equal(ew_doctor_has_fault(doctor), level == EW_DOCTOR_FAULT);
}

static void a_good_machine_has_no_finding(void **state)
{
    (void)state;
    struct ew_doctor *doctor = healthy();
    ew_doctor_judge(doctor);
    assert_int_equal(doctor->finding_count, 0);
    assert_false(ew_doctor_has_fault(doctor));
}

static void each_thing_that_is_wrong_is_said_once(void **state)
{
    (void)state;
    struct ew_doctor *d = healthy();
    d->machine.cores = 1;
    expect(d, EW_DOCTOR_WARNING, "one core");
    d = healthy();
    d->machine.isa = "scalar";
    expect(d, EW_DOCTOR_WARNING, "vector");
    d = healthy();
    d->machine.huge_pages = false;
    expect(d, EW_DOCTOR_WARNING, "huge pages");
    d = healthy();
    snprintf(d->governor, sizeof(d->governor), "powersave");
    expect(d, EW_DOCTOR_WARNING, "powersave");
    d = healthy();
    d->load = 9;
    expect(d, EW_DOCTOR_WARNING, "9.0 threads");
    d = healthy();
    d->all.read_bandwidth_bytes_per_s = 2e9;
    expect(d, EW_DOCTOR_WARNING, "2.0 GB/s");
    d = healthy();
    d->machine.available_bytes = 700000000;
    expect(d, EW_DOCTOR_WARNING, "700 MB");
    d = healthy();
    d->machine.available_bytes = 100000000;
    expect(d, EW_DOCTOR_FAULT, "100 MB");
    d = healthy();
    d->sensor_count = 0;
    expect(d, EW_DOCTOR_NOTE, "no power sensor");
    d = healthy();
    d->sensors[0] = (struct ew_doctor_sensor){"package-0", "/x", false, "only root may read it"};
    expect(d, EW_DOCTOR_NOTE, "package-0");
    d = healthy();
    d->model_count = 0;
    expect(d, EW_DOCTOR_NOTE, "no model");
}

static void what_is_unknown_is_not_held_against_the_machine(void **state)
{
    (void)state;
    struct ew_doctor *d = healthy();
    d->measured = false;
    d->all.read_bandwidth_bytes_per_s = 0;
    d->load = NAN;
    d->huge_pages[0] = 0; /* a kernel without them */
    d->machine.huge_pages = false;
    ew_doctor_judge(d);
    assert_int_equal(d->finding_count, 0);
}

static void findings_beyond_the_limit_are_left_out(void **state)
{
    (void)state;
    struct ew_doctor *d = healthy();
    d->model_count = 0;
    for (int i = 0; i < 2 * EW_DOCTOR_FINDINGS_MAX; i++)
        ew_doctor_judge(d);
    assert_int_equal(d->finding_count, EW_DOCTOR_FINDINGS_MAX);
}

static void slower_instruction_sets_are_usable_too(void **state)
{
    (void)state;
    bool usable;
    struct ew_doctor *d = healthy();
    assert_string_equal(ew_doctor_isa(d, 0, &usable), "scalar");
    assert_true(usable);
    assert_string_equal(ew_doctor_isa(d, 1, &usable), "avx2");
    assert_true(usable);
    assert_string_equal(ew_doctor_isa(d, 2, &usable), "avx512vnni");
    assert_false(usable);
    assert_null(ew_doctor_isa(d, 3, &usable));
}

static void put(const char *root, const char *path, const char *text)
{
    char name[256], dir[256];
    struct ew_err err = {0};

    snprintf(name, sizeof(name), "%s%s", root, path);
    snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(name, '/') - name), name);
    assert_int_equal(ew_file_mkdirs(dir, &err), 0);
    assert_int_equal(ew_file_write(name, text, strlen(text), &err), 0);
}

static void sensors_governor_and_load_are_read_from_the_tree(void **state)
{
    (void)state;
    static struct ew_doctor d;
    char root[] = "/tmp/edgewise-doctor-XXXXXX", command[96];

    assert_non_null(mkdtemp(root));
    put(root, "/sys/class/powercap/intel-rapl:0/energy_uj", "123456\n");
    put(root, "/sys/class/powercap/intel-rapl:0/name", "package-0\n");
    put(root, "/sys/class/hwmon/hwmon3/curr1_input", ""); /* there, and says nothing */
    put(root, "/sys/class/hwmon/hwmon3/name", "ina3221\n");
    put(root, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "schedutil\n");
    put(root, "/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    put(root, "/proc/loadavg", "1.25 0.50 0.10 1/100 4242\n");
    ew_doctor_examine(&d, &(struct ew_doctor_params){.root = root});
    assert_int_equal(d.sensor_count, 2);
    assert_string_equal(d.sensors[0].name, "package-0");
    assert_string_equal(d.sensors[0].path, "/sys/class/powercap/intel-rapl:0/energy_uj");
    assert_true(d.sensors[0].readable);
    assert_string_equal(d.sensors[1].name, "ina3221");
    assert_false(d.sensors[1].readable);
    assert_string_equal(d.governor, "schedutil");
    assert_true(d.load == 1.25);
    assert_false(d.measured);
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    assert_int_equal(system(command), 0);
}

/* The catalog's first model in a cache of our own, in three states. */
static void a_model_of_the_wrong_length_is_a_fault(void **state)
{
    (void)state;
    static struct ew_doctor d;
    char cache[] = "/tmp/edgewise-doctor-XXXXXX", command[96];

    assert_non_null(mkdtemp(cache));
    assert_int_equal(setenv("EDGEWISE_CACHE", cache, 1), 0);
    ew_doctor_examine(&d, &(struct ew_doctor_params){.root = cache});
    assert_int_equal(d.model_count, 0);
    assert_false(ew_doctor_has_fault(&d));
    put(cache, "/models/smollm2-135m.gguf", "GGUF");
    ew_doctor_examine(&d, &(struct ew_doctor_params){.root = cache});
    assert_int_equal(d.model_count, 1);
    assert_false(d.models[0].sound);
    assert_true(ew_doctor_has_fault(&d));
    unsetenv("EDGEWISE_CACHE");
    snprintf(command, sizeof(command), "rm -rf '%s'", cache);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_machine_has_no_finding),
        cmocka_unit_test(each_thing_that_is_wrong_is_said_once),
        cmocka_unit_test(what_is_unknown_is_not_held_against_the_machine),
        cmocka_unit_test(findings_beyond_the_limit_are_left_out),
        cmocka_unit_test(slower_instruction_sets_are_usable_too),
        cmocka_unit_test(sensors_governor_and_load_are_read_from_the_tree),
        cmocka_unit_test(a_model_of_the_wrong_length_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
