/* test_machine.c - made trees of /proc and /sys: containers of both kinds, nested, boards, and this
 * machine itself. */
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
#include "engine/machine.h"

#define MB ((uint64_t)1 << 20)

static char root[64];

static void put(const char *path, const char *text)
{
    char name[256];
    struct ew_err err = {0};

    snprintf(name, sizeof(name), "%s%s", root, path);
    *strrchr(name, '/') = 0;
    assert_int_equal(ew_file_mkdirs(name, &err), 0);
    snprintf(name, sizeof(name), "%s%s", root, path);
    assert_int_equal(ew_file_write(name, text, strlen(text), &err), 0);
}

/* An empty tree but for memory: 8000 MB, of which 6000 are available. */
static int make_tree(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/edgewise-machine-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    put("/proc/meminfo", "MemTotal:        8192000 kB\nMemFree:         1024000 kB\n"
                         "MemAvailable:    6144000 kB\nCached:          2048000 kB\n");
    return 0;
}

static int remove_tree(void **state)
{
    char command[96];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    return system(command);
}

static struct ew_machine describe(int cores)
{
    struct ew_machine machine;

    ew_machine_describe_in(&machine, root, cores);
    return machine;
}

static void without_control_groups_the_host_counts(void **state)
{
    (void)state;
    struct ew_machine m = describe(6);
    assert_int_equal(m.cores, 6);
    assert_int_equal(m.memory_bytes, 8000 * MB);
    assert_int_equal(m.available_bytes, 6000 * MB);
    assert_false(m.huge_pages);
    assert_string_equal(m.cpu, "unknown");
    assert_non_null(m.isa);
}

static void an_empty_tree_gives_one_core_and_no_memory(void **state)
{
    char name[128];

    (void)state;
    snprintf(name, sizeof(name), "%s/proc/meminfo", root);
    unlink(name);
    struct ew_machine m = describe(0);
    assert_int_equal(m.cores, 1);
    assert_int_equal(m.memory_bytes, 0);
    assert_int_equal(m.available_bytes, 0);
}

static void an_old_kernel_without_mem_available_still_has_memory(void **state)
{
    (void)state;
    put("/proc/meminfo", "MemTotal: 8192000 kB\nMemFree: 1024000 kB\nCached: 2048000 kB\n");
    assert_int_equal(describe(1).available_bytes, 3000 * MB);
}

static void put_v2(void)
{
    put("/proc/self/cgroup", "0::/system.slice/edge.service\n");
    put("/proc/self/mountinfo",
        "22 1 0:20 / /proc rw - proc proc rw\n"
        "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
}

static void version_2_limits_cores_and_memory(void **state)
{
    (void)state;
    put_v2();
    put("/sys/fs/cgroup/system.slice/edge.service/cpu.max", "300000 100000\n");
    put("/sys/fs/cgroup/system.slice/edge.service/memory.max", "1073741824\n");
    put("/sys/fs/cgroup/system.slice/edge.service/memory.current", "419430400\n");
    put("/sys/fs/cgroup/system.slice/edge.service/memory.stat",
        "anon 100\ninactive_file 104857600\nactive_file 104857600\n");
    struct ew_machine m = describe(8);
    assert_int_equal(m.cores, 3);
    assert_int_equal(m.memory_bytes, 1024 * MB);
    /* 400 MB are used, of which 200 are clean pages of files. */
    assert_int_equal(m.available_bytes, 824 * MB);
}

static void the_least_of_nested_groups_counts(void **state)
{
    (void)state;
    put_v2();
    put("/sys/fs/cgroup/system.slice/edge.service/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/system.slice/edge.service/memory.max", "max\n");
    put("/sys/fs/cgroup/system.slice/cpu.max", "200000 100000\n");
    put("/sys/fs/cgroup/system.slice/memory.max", "2147483648\n");
    put("/sys/fs/cgroup/system.slice/memory.current", "1073741824\n");
    struct ew_machine m = describe(8);
    assert_int_equal(m.cores, 2);
    assert_int_equal(m.memory_bytes, 2048 * MB);
    assert_int_equal(m.available_bytes, 1024 * MB);
}

static void memory_high_is_a_limit_too(void **state)
{
    (void)state;
    put_v2();
    put("/sys/fs/cgroup/system.slice/edge.service/memory.max", "1073741824\n");
    put("/sys/fs/cgroup/system.slice/edge.service/memory.high", "536870912\n");
    assert_int_equal(describe(1).memory_bytes, 512 * MB);
}

static void a_quota_is_rounded_down_but_never_to_nothing(void **state)
{
    static const struct {
        const char *max;
        int cores;
    } cases[] = {{"150000 100000\n", 1}, {"50000 100000\n", 1},  {"199999 100000\n", 2},
                 {"400000 100000\n", 4}, {"max 100000\n", 4},    {"1 0\n", 4},
                 {"nonsense\n", 4},      {"999999 100000\n", 4}, {"250000 100000\n", 2}};

    (void)state;
    put_v2();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put("/sys/fs/cgroup/system.slice/edge.service/cpu.max", cases[i].max);
        assert_int_equal(describe(4).cores, cases[i].cores);
    }
}

static void version_1_limits_cores_and_memory(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "4:memory:/docker/1f\n3:cpu,cpuacct:/docker/1f\n0::/\n");
    put("/proc/self/mountinfo",
        "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "34 31 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
    put("/sys/fs/cgroup/cpu,cpuacct/docker/1f/cpu.cfs_quota_us", "200000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/docker/1f/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/memory/docker/1f/memory.limit_in_bytes", "536870912\n");
    put("/sys/fs/cgroup/memory/docker/1f/memory.usage_in_bytes", "268435456\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    struct ew_machine m = describe(8);
    assert_int_equal(m.cores, 2);
    assert_int_equal(m.memory_bytes, 512 * MB);
    assert_int_equal(m.available_bytes, 256 * MB);
}

static void a_container_that_sees_its_own_group_at_the_mount_is_understood(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "4:memory:/docker/1f/inner\n");
    put("/proc/self/mountinfo",
        "34 31 0:31 /docker/1f /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "314572800\n");
    put("/sys/fs/cgroup/memory/inner/memory.limit_in_bytes", "104857600\n");
    assert_int_equal(describe(1).memory_bytes, 100 * MB);
}

static void huge_pages_need_always_or_madvise(void **state)
{
    static const struct {
        const char *text;
        bool yes;
    } cases[] = {{"always [madvise] never\n", true},
                 {"[always] madvise never\n", true},
                 {"always madvise [never]\n", false}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put("/sys/kernel/mm/transparent_hugepage/enabled", cases[i].text);
        assert_int_equal(describe(1).huge_pages, cases[i].yes);
    }
}

static void the_cpu_is_called_as_the_kernel_or_arm_calls_it(void **state)
{
    (void)state;
    put("/proc/cpuinfo", "processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD Ryzen 7 7840U\n");
    assert_string_equal(describe(1).cpu, "AMD Ryzen 7 7840U");
    put("/proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n"
                         "\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n");
    assert_string_equal(describe(1).cpu, "Cortex-A76, Raspberry Pi 5 Model B Rev 1.0");
    put("/proc/cpuinfo", "CPU implementer\t: 0x51\nCPU part\t: 0x001\n");
    assert_string_equal(describe(1).cpu, "Arm implementer 0x51 part 0x001");
}

static void a_very_long_name_is_cut_and_not_written_beyond(void **state)
{
    char text[2000];

    (void)state;
    snprintf(text, sizeof(text), "model name : %01500d\n", 7);
    put("/proc/cpuinfo", text);
    assert_int_equal(strlen(describe(1).cpu), sizeof(((struct ew_machine *)0)->cpu) - 1);
}

static void this_machine_has_cores_memory_and_two_limits(void **state)
{
    struct ew_machine m;
    struct ew_machine_speed one, more;
    struct ew_err err = {0};

    (void)state;
    ew_machine_describe(&m);
    assert_true(m.cores >= 1);
    assert_true(m.memory_bytes >= m.available_bytes);
    assert_true(m.available_bytes > 0);
    assert_int_equal(ew_machine_measure(1, 50, &one, &err), 0);
    assert_int_equal(ew_machine_measure(0, 50, &more, &err), 0);
    print_message("one thread: %.1f GB/s, %.1f GMAC/s; all: %.1f, %.1f\n",
                  one.read_bandwidth_bytes_per_s / 1e9, one.int8_macs_per_s / 1e9,
                  more.read_bandwidth_bytes_per_s / 1e9, more.int8_macs_per_s / 1e9);
    /* No CPU that we know reads a terabyte a second with a core, or does 512 products a cycle at
     * 8 GHz: a loop that the compiler threw away would. */
    assert_true(one.read_bandwidth_bytes_per_s > 1e8 && one.read_bandwidth_bytes_per_s < 1e12);
    assert_true(one.int8_macs_per_s > 1e8 && one.int8_macs_per_s < 4.1e12);
    assert_true(more.int8_macs_per_s < 1.1 * m.cores * one.int8_macs_per_s + 1e11);
}

int main(void)
{
#define IN_A_TREE(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)
    const struct CMUnitTest tests[] = {
        IN_A_TREE(without_control_groups_the_host_counts),
        IN_A_TREE(an_empty_tree_gives_one_core_and_no_memory),
        IN_A_TREE(an_old_kernel_without_mem_available_still_has_memory),
        IN_A_TREE(version_2_limits_cores_and_memory),
        IN_A_TREE(the_least_of_nested_groups_counts),
        IN_A_TREE(memory_high_is_a_limit_too),
        IN_A_TREE(a_quota_is_rounded_down_but_never_to_nothing),
        IN_A_TREE(version_1_limits_cores_and_memory),
        IN_A_TREE(a_container_that_sees_its_own_group_at_the_mount_is_understood),
        IN_A_TREE(huge_pages_need_always_or_madvise),
        IN_A_TREE(the_cpu_is_called_as_the_kernel_or_arm_calls_it),
        IN_A_TREE(a_very_long_name_is_cut_and_not_written_beyond),
        cmocka_unit_test(this_machine_has_cores_memory_and_two_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
