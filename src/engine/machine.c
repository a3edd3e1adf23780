/* machine.c - what this machine gives us: cores, memory, huge pages, and what the CPU is called.
 *
 * A container sees the host's /proc; what it may really use is in its control groups, version 1 or
 * 2, at any level above the process: the least counts. A CPU quota is rounded down (1.5 CPUs are
 * one core): threads that spin at a barrier while one of them is throttled would waste the rest.
 * Memory that holds clean pages of files counts as available, as in the kernel's MemAvailable.
 * Nothing here fails: what can't be read is left out.
 *
 * Sources: proc(5), cgroups(7), and of Linux's Documentation/admin-guide: cgroup-v2.rst and
 * cgroup-v1/memory.rst. */
#include "engine/machine.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/kernels.h"

enum {
    LINE_MAX_BYTES = 4096, /* of a line in mountinfo or cgroup: two paths */
    LEVELS_MAX = 64,       /* of nested control groups */
    CPUS_MAX = 8192,       /* what sched_getaffinity is asked for; NR_CPUS of distributions */
    TEXT_MAX = 8192,       /* of a small file in /sys */
};

/* A control of the process: where its files are, and how many levels of folders are above them. */
struct group {
    char mount[PATH_MAX]; /* where the hierarchy can be seen */
    char path[PATH_MAX];  /* mount and below: the process's own group */
    bool found;
};

struct limits {
    double cpus;                /* 0: no limit */
    uint64_t memory, available; /* UINT64_MAX: no limit */
};

static bool read_text(const char *root, const char *path, char *text, size_t size)
{
    char name[PATH_MAX];
    int n = snprintf(name, sizeof(name), "%s%s", root, path);
    FILE *file = n > 0 && (size_t)n < sizeof(name) ? fopen(name, "re") : NULL;

    if (!file)
        return false;
    size_t bytes = fread(text, 1, size - 1, file);
    fclose(file);
    text[bytes] = 0;
    return bytes > 0;
}

/* The number of a file in a group's folder; UINT64_MAX for "max", or when there is none. */
static uint64_t read_limit(const char *root, const char *folder, const char *name)
{
    char path[PATH_MAX + 64], text[64];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (!read_text(root, path, text, sizeof(text)) || text[0] < '0' || text[0] > '9')
        return UINT64_MAX;
    return strtoull(text, NULL, 10);
}

/* The number that follows `key` at the start of a line; 0 when there is none. */
static uint64_t number_of(const char *text, const char *key)
{
    size_t bytes = strlen(key);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, bytes) == 0 && strchr(": \t", line[bytes]) && line[bytes])
            return strtoull(line + bytes + 1, NULL, 10);
    }
    return 0;
}

/* ---- control groups ---- */

/* Is `word` one of the comma-separated words of list? */
static bool lists(const char *list, const char *word)
{
    size_t bytes = strlen(word);

    for (const char *at = list; (at = strstr(at, word)); at += bytes)
        if ((at == list || at[-1] == ',') && (at[bytes] == ',' || at[bytes] == 0))
            return true;
    return false;
}

/* The process's path in the hierarchy of `controller` ("" is version 2), from /proc/self/cgroup:
 * lines like "4:cpu,cpuacct:/docker/1f" and "0::/user.slice". */
static bool own_path(const char *root, const char *controller, char *path, size_t size)
{
    char name[PATH_MAX], line[LINE_MAX_BYTES];
    bool found = false;

    snprintf(name, sizeof(name), "%s/proc/self/cgroup", root);
    FILE *file = fopen(name, "re");
    while (file && !found && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = 0;
        char *list = strchr(line, ':'), *at = list ? strchr(list + 1, ':') : NULL;
        if (!at)
            continue;
        *at = 0;
        found = *controller ? lists(list + 1, controller) : list[1] == 0;
        if (found)
            snprintf(path, size, "%s", at + 1);
    }
    if (file)
        fclose(file);
    return found;
}

/* A line of /proc/self/mountinfo: "36 35 98:0 /root /mount options - type source options". */
static bool mount_matches(char *line, const char *controller, char **top, char **mount)
{
    char *save = NULL, *field[6];
    char *rest = strstr(line, " - ");

    if (!rest)
        return false;
    *rest = 0;
    for (int i = 0; i < 5; i++)
        if (!(field[i] = strtok_r(i ? NULL : line, " ", &save)))
            return false;
    *top = field[3];
    *mount = field[4];
    char *type = strtok_r(rest + 3, " ", &save);
    strtok_r(NULL, " ", &save);
    char *options = strtok_r(NULL, " \n", &save);
    if (!type || !options)
        return false;
    if (!*controller)
        return strcmp(type, "cgroup2") == 0;
    return strcmp(type, "cgroup") == 0 && lists(options, controller);
}

static void find_group(struct group *group, const char *root, const char *controller)
{
    char name[PATH_MAX], line[LINE_MAX_BYTES], own[PATH_MAX];
    char *top, *mount;

    group->found = false;
    if (!own_path(root, controller, own, sizeof(own)))
        return;
    snprintf(name, sizeof(name), "%s/proc/self/mountinfo", root);
    FILE *file = fopen(name, "re");
    while (file && !group->found && fgets(line, sizeof(line), file)) {
        if (!mount_matches(line, controller, &top, &mount))
            continue;
        /* What is mounted may be a folder of the hierarchy (a container's own): take it off. */
        size_t above = strcmp(top, "/") == 0 ? 0 : strlen(top);
        bool inside = strncmp(own, top, above) == 0 && (own[above] == '/' || own[above] == 0);
        const char *below = inside ? own + above : "";
        below = strcmp(below, "/") == 0 || strstr(below, "..") ? "" : below;
        snprintf(group->mount, sizeof(group->mount), "%s", mount);
        int n = snprintf(group->path, sizeof(group->path), "%s%s", mount, below);
        group->found = n > 0 && (size_t)n < sizeof(group->path);
    }
    if (file)
        fclose(file);
}

static void limit_cpus(struct limits *limits, double quota, double period)
{
    if (quota > 0 && period > 0 && (limits->cpus == 0 || quota / period < limits->cpus))
        limits->cpus = quota / period;
}

static void limit_memory(struct limits *limits, uint64_t max, uint64_t used, uint64_t reclaimable)
{
    used -= reclaimable < used ? reclaimable : used;
    uint64_t left = max > used ? max - used : 0;

    limits->memory = max < limits->memory ? max : limits->memory;
    limits->available = left < limits->available ? left : limits->available;
}

static uint64_t file_pages(const char *root, const char *folder, const char *prefix)
{
    char path[PATH_MAX + 64], text[TEXT_MAX], key[64];
    uint64_t sum = 0;

    snprintf(path, sizeof(path), "%s/memory.stat", folder);
    if (!read_text(root, path, text, sizeof(text)))
        return 0;
    snprintf(key, sizeof(key), "%sinactive_file", prefix);
    sum += number_of(text, key);
    snprintf(key, sizeof(key), "%sactive_file", prefix);
    return sum + number_of(text, key);
}

static void limits_v2(struct limits *limits, const char *root, const char *folder)
{
    char path[PATH_MAX + 64], text[64], *end;

    snprintf(path, sizeof(path), "%s/cpu.max", folder);
    if (read_text(root, path, text, sizeof(text)) && strncmp(text, "max", 3) != 0) {
        double quota = strtod(text, &end);
        limit_cpus(limits, quota, strtod(end, NULL));
    }
    uint64_t max = read_limit(root, folder, "memory.max");
    uint64_t high = read_limit(root, folder, "memory.high"); /* above it we'd be slowed to a halt */
    max = high < max ? high : max;
    uint64_t used = read_limit(root, folder, "memory.current");
    if (max != UINT64_MAX)
        limit_memory(limits, max, used == UINT64_MAX ? 0 : used, file_pages(root, folder, ""));
}

static void limits_v1_cpu(struct limits *limits, const char *root, const char *folder)
{
    uint64_t quota = read_limit(root, folder, "cpu.cfs_quota_us"); /* -1: none */
    uint64_t period = read_limit(root, folder, "cpu.cfs_period_us");

    if (quota != UINT64_MAX && period != UINT64_MAX)
        limit_cpus(limits, (double)quota, (double)period);
}

static void limits_v1_memory(struct limits *limits, const char *root, const char *folder)
{
    uint64_t max = read_limit(root, folder, "memory.limit_in_bytes");
    uint64_t used = read_limit(root, folder, "memory.usage_in_bytes");

    if (max < (uint64_t)1 << 62) /* "none" is 2^63 rounded down to pages */
        limit_memory(limits, max, used == UINT64_MAX ? 0 : used,
                     file_pages(root, folder, "total_"));
}

/* Applies the limits of the process's group and of all those above it that we can see. */
static void walk(struct limits *limits, const char *root, const char *controller,
                 void (*apply)(struct limits *limits, const char *root, const char *folder))
{
    struct group group;

    find_group(&group, root, controller);
    for (int level = 0; group.found && level < LEVELS_MAX; level++) {
        apply(limits, root, group.path);
        char *last = strrchr(group.path, '/');
        if (!last || strlen(group.path) <= strlen(group.mount))
            break;
        *last = 0;
    }
}

/* ---- memory, cores, pages ---- */

static void describe_memory(struct ew_machine *out, const char *root, const struct limits *limits)
{
    char text[TEXT_MAX];

    if (read_text(root, "/proc/meminfo", text, sizeof(text))) {
        out->memory_bytes = number_of(text, "MemTotal") * 1024;
        out->available_bytes = number_of(text, "MemAvailable") * 1024;
        if (!out->available_bytes) /* before Linux 3.14 */
            out->available_bytes = (number_of(text, "MemFree") + number_of(text, "Cached")) * 1024;
    }
    if (limits->memory < out->memory_bytes || !out->memory_bytes)
        out->memory_bytes = limits->memory == UINT64_MAX ? 0 : limits->memory;
    if (limits->available < out->available_bytes || !out->available_bytes)
        out->available_bytes = limits->available == UINT64_MAX ? 0 : limits->available;
}

static int usable_cores(int allowed, const struct limits *limits)
{
    if (limits->cpus > 0 && limits->cpus < allowed)
        allowed = (int)(limits->cpus + 0.01); /* 1.9999 is two */
    return allowed > 1 ? allowed : 1;
}

/* ---- the processor's name ---- */

/* Cores of Arm's own design, by part number (Arm's technical reference manuals, register MIDR_EL1);
 * those of the devices that people run this on. */
static const struct {
    unsigned part;
    const char *name;
} arm_cores[] = {
    {0xd03, "Cortex-A53"},  {0xd04, "Cortex-A35"},  {0xd05, "Cortex-A55"},  {0xd07, "Cortex-A57"},
    {0xd08, "Cortex-A72"},  {0xd09, "Cortex-A73"},  {0xd0a, "Cortex-A75"},  {0xd0b, "Cortex-A76"},
    {0xd0c, "Neoverse-N1"}, {0xd40, "Neoverse-V1"}, {0xd41, "Cortex-A78"},  {0xd42, "Cortex-A78AE"},
    {0xd44, "Cortex-X1"},   {0xd46, "Cortex-A510"}, {0xd47, "Cortex-A710"}, {0xd48, "Cortex-X2"},
    {0xd49, "Neoverse-N2"}, {0xd4d, "Cortex-A715"}, {0xd4f, "Neoverse-V2"}, {0xd80, "Cortex-A520"},
    {0xd81, "Cortex-A720"},
};

/* Copies what follows "key : " on its line. */
static bool field_of(const char *text, const char *key, char *value, size_t size)
{
    size_t bytes = strlen(key);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *at = line + bytes;
        if (strncmp(line, key, bytes) != 0)
            continue;
        at += strspn(at, " \t");
        if (*at != ':')
            continue;
        at += 1 + strspn(at + 1, " \t");
        snprintf(value, size, "%.*s", (int)strcspn(at, "\n"), at);
        return *value != 0;
    }
    return false;
}

static void describe_arm(char *cpu, size_t size, const char *root, const char *text)
{
    char implementer[16], part[16], board[40] = "";
    const char *core = NULL;

    if (!field_of(text, "CPU implementer", implementer, sizeof(implementer)) ||
        !field_of(text, "CPU part", part, sizeof(part)))
        return;
    for (size_t i = 0; i < sizeof(arm_cores) / sizeof(arm_cores[0]); i++)
        if (strtoul(implementer, NULL, 16) == 0x41 && strtoul(part, NULL, 16) == arm_cores[i].part)
            core = arm_cores[i].name;
    if (!read_text(root, "/proc/device-tree/model", board, sizeof(board)))
        field_of(text, "Model", board, sizeof(board));
    if (core)
        snprintf(cpu, size, "%s%s%s", core, *board ? ", " : "", board);
    else
        snprintf(cpu, size, "Arm implementer %s part %s", implementer, part);
}

static void describe_cpu(char *cpu, size_t size, const char *root)
{
    char text[TEXT_MAX];

    snprintf(cpu, size, "unknown");
    if (!read_text(root, "/proc/cpuinfo", text, sizeof(text)))
        return;
    describe_arm(cpu, size, root, text);
    field_of(text, "model name", cpu, size);
}

void ew_machine_describe_in(struct ew_machine *out, const char *root, int cores)
{
    struct limits limits = {0, UINT64_MAX, UINT64_MAX};
    char text[128];

    memset(out, 0, sizeof(*out));
    walk(&limits, root, "", limits_v2);
    walk(&limits, root, "cpu", limits_v1_cpu);
    walk(&limits, root, "memory", limits_v1_memory);
    describe_cpu(out->cpu, sizeof(out->cpu), root);
    describe_memory(out, root, &limits);
    out->cores = usable_cores(cores, &limits);
    out->isa = ew_isa_name(ew_isa_detect());
    out->huge_pages =
        read_text(root, "/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text)) &&
        (strstr(text, "[always]") || strstr(text, "[madvise]"));
}

void ew_machine_describe(struct ew_machine *out)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    int cores = online > 0 ? (int)online : 1;
    cpu_set_t *set = CPU_ALLOC(CPUS_MAX);

    if (set && sched_getaffinity(0, CPU_ALLOC_SIZE(CPUS_MAX), set) == 0)
        cores = CPU_COUNT_S(CPU_ALLOC_SIZE(CPUS_MAX), set);
    CPU_FREE(set);
    ew_machine_describe_in(out, "", cores);
}
