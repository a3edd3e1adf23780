/* doctor.c - facts gathered, findings drawn from them.
 *
 * Sensors are only looked for here; src/meter reads them. RAPL's counters are readable by root
 * alone since Linux 5.10 (CVE-2020-8694), which is why most people have a sensor and no figure. */
#include "measure/doctor.h"

#include <errno.h>
#include <glob.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "flow/catalog.h"

#define MEMORY_FAULT     ((uint64_t)256 << 20) /* the smallest model of the catalog wants 200 MB */
#define MEMORY_LITTLE    ((uint64_t)1 << 30)   /* the largest of the three wants 0.6 GB */
#define BANDWIDTH_LITTLE 4e9                   /* bytes/s: a 4-bit 1B model then gives 6 tokens/s */

__attribute__((format(printf, 4, 5))) static void find(struct ew_doctor *doctor,
                                                       enum ew_doctor_level level, const char *hint,
                                                       const char *format, ...)
{
    va_list args;

    if (doctor->finding_count == EW_DOCTOR_FINDINGS_MAX)
        return;
    struct ew_doctor_finding *finding = &doctor->findings[doctor->finding_count++];
    finding->level = level;
    snprintf(finding->hint, sizeof(finding->hint), "%s", hint);
    va_start(args, format);
    vsnprintf(finding->text, sizeof(finding->text), format, args);
    va_end(args);
}

/* The first line of a small file; "" when it can't be read. errno tells why. */
static void first_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");

    line[0] = 0;
    if (!file)
        return;
    if (!fgets(line, (int)size, file))
        line[0] = 0;
    line[strcspn(line, "\n")] = 0;
    fclose(file);
}

static void line_under(const char *root, const char *path, char *line, size_t size)
{
    char name[512];

    snprintf(name, sizeof(name), "%s%s", root, path);
    first_line(name, line, size);
}

/* ---- sensors ---- */

static void add_sensor(struct ew_doctor *doctor, const char *path, const char *root)
{
    char name_path[256], value[64];

    if (doctor->sensor_count == EW_DOCTOR_SENSORS_MAX)
        return;
    struct ew_doctor_sensor *sensor = &doctor->sensors[doctor->sensor_count++];
    snprintf(sensor->path, sizeof(sensor->path), "%s", path + strlen(root));
    const char *slash = strrchr(path, '/');
    snprintf(name_path, sizeof(name_path), "%.*s/name", (int)(slash - path), path);
    first_line(name_path, sensor->name, sizeof(sensor->name));
    if (!sensor->name[0])
        snprintf(sensor->name, sizeof(sensor->name), "unnamed");
    errno = 0;
    first_line(path, value, sizeof(value));
    sensor->readable = value[0] != 0;
    if (!sensor->readable)
        snprintf(sensor->why, sizeof(sensor->why), "%s",
                 errno == EACCES ? "only root may read it" : "gives nothing");
}

static void look_for_sensors(struct ew_doctor *doctor, const char *root)
{
    static const char *const patterns[] = {
        "/sys/class/powercap/*/energy_uj",      /* RAPL: Intel, AMD */
        "/sys/class/hwmon/hwmon*/power1_input", /* boards and power supplies */
        "/sys/class/hwmon/hwmon*/curr1_input",  /* INA3221 of Jetson: current and voltage */
        "/sys/class/power_supply/*/power_now",  /* batteries */
        "/sys/class/power_supply/*/current_now",
    };
    char pattern[512];

    for (size_t i = 0; i < EW_COUNT(patterns); i++) {
        glob_t found = {0};
        snprintf(pattern, sizeof(pattern), "%s%s", root, patterns[i]);
        if (glob(pattern, 0, NULL, &found) == 0)
            for (size_t j = 0; j < found.gl_pathc; j++)
                add_sensor(doctor, found.gl_pathv[j], root);
        globfree(&found);
    }
}

/* ---- models ---- */

static bool begins_as_gguf(const char *path)
{
    char magic[4] = "";
    FILE *file = fopen(path, "re");
    bool is = file && fread(magic, 1, sizeof(magic), file) == sizeof(magic) &&
              memcmp(magic, "GGUF", sizeof(magic)) == 0;

    if (file)
        fclose(file);
    return is;
}

static void examine_model(struct ew_doctor *doctor, const struct ew_catalog_model *model,
                          const char *dir)
{
    static const char hint[] = "edgewise pull --force NAME fetches it again";
    struct stat st;
    char path[512];

    int n = snprintf(path, sizeof(path), "%s/%s.gguf", dir, model->name);
    if (n <= 0 || (size_t)n >= sizeof(path) || stat(path, &st) != 0 ||
        doctor->model_count == EW_DOCTOR_MODELS_MAX)
        return;
    struct ew_doctor_model *here = &doctor->models[doctor->model_count++];
    snprintf(here->name, sizeof(here->name), "%s", model->name);
    snprintf(here->path, sizeof(here->path), "%s", path);
    here->bytes = (uint64_t)st.st_size;
    if (model->bytes && here->bytes != model->bytes)
        find(doctor, EW_DOCTOR_FAULT, hint, "model %s has %llu bytes, the catalog says %llu",
             model->name, (unsigned long long)here->bytes, (unsigned long long)model->bytes);
    else if (!begins_as_gguf(path))
        find(doctor, EW_DOCTOR_FAULT, hint, "model %s isn't a GGUF file", model->name);
    else
        here->sound = true;
}

static void look_for_models(struct ew_doctor *doctor)
{
    struct ew_err err = {0};
    struct ew_catalog *catalog = NULL;
    const struct ew_catalog_model *model;
    char dir[512];

    if (ew_catalog_open(&catalog, &err) || ew_catalog_dir(dir, sizeof(dir), &err))
        find(doctor, EW_DOCTOR_FAULT, "", "the models' catalog or folder: %.180s", err.text);
    else
        for (size_t i = 0; (model = ew_catalog_at(catalog, i)); i++)
            examine_model(doctor, model, dir);
    ew_catalog_close(&catalog);
}

/* ---- findings ---- */

static void judge_speed(struct ew_doctor *doctor)
{
    const struct ew_machine *machine = &doctor->machine;

    if (machine->cores == 1)
        find(doctor, EW_DOCTOR_WARNING, "give the process more: cpuset, CPU quota, or taskset",
             "only one core may be used");
    if (strcmp(machine->isa, "scalar") == 0)
        find(doctor, EW_DOCTOR_WARNING,
             "x86-64 needs AVX2, FMA and F16C; a virtual machine may "
             "hide them: pass the host's CPU through",
             "no vector instructions that we have kernels for: answers will be slow");
    if (doctor->huge_pages[0] && !machine->huge_pages)
        find(doctor, EW_DOCTOR_WARNING,
             "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled (as root)",
             "transparent huge pages are off: reading weights is 10 to 20 %% slower");
    if (strcmp(doctor->governor, "powersave") == 0)
        find(doctor, EW_DOCTOR_WARNING, "cpupower frequency-set -g performance, or schedutil",
             "the clock's governor is powersave");
    if (doctor->load > machine->cores)
        find(doctor, EW_DOCTOR_WARNING, "measure again when it is quiet",
             "%.1f threads were running in the last minute, on %d core%s", doctor->load,
             machine->cores, machine->cores == 1 ? "" : "s");
    if (doctor->measured && doctor->all.read_bandwidth_bytes_per_s < BANDWIDTH_LITTLE)
        find(doctor, EW_DOCTOR_WARNING, "prefer models below 0.5 GB", "memory gives only %.1f GB/s",
             doctor->all.read_bandwidth_bytes_per_s / 1e9);
}

static void judge_memory(struct ew_doctor *doctor)
{
    uint64_t available = doctor->machine.available_bytes;

    if (available < MEMORY_FAULT)
        find(doctor, EW_DOCTOR_FAULT, "stop something, or raise the container's limit",
             "%.0f MB of memory are available: too little for any model", (double)available / 1e6);
    else if (available < MEMORY_LITTLE)
        find(doctor, EW_DOCTOR_WARNING, "smollm2-135m fits; use --ctx to ask for less",
             "%.0f MB of memory are available", (double)available / 1e6);
}

static void judge_sensors(struct ew_doctor *doctor)
{
    size_t readable = 0;

    for (size_t i = 0; i < doctor->sensor_count; i++)
        readable += doctor->sensors[i].readable;
    if (readable)
        return;
    if (doctor->sensor_count)
        find(doctor, EW_DOCTOR_NOTE, "as root: chmod -R a+r /sys/class/powercap/intel-rapl*/",
             "a power sensor is there (%s) but %s: energy will be modelled or unknown",
             doctor->sensors[0].name, doctor->sensors[0].why);
    else
        find(doctor, EW_DOCTOR_NOTE, "a device profile gives modelled figures",
             "no power sensor found: energy will be modelled or unknown");
}

void ew_doctor_judge(struct ew_doctor *doctor)
{
    judge_speed(doctor);
    judge_memory(doctor);
    judge_sensors(doctor);
    if (doctor->model_count == 0)
        find(doctor, EW_DOCTOR_NOTE, "edgewise pull smollm2-135m", "no model is here yet");
}

/* ---- the examination ---- */

static void measure(struct ew_doctor *doctor, int ms)
{
    struct ew_err err = {0};

    if (ew_machine_measure(1, ms / 2, &doctor->one, &err) ||
        ew_machine_measure(doctor->threads, ms / 2, &doctor->all, &err))
        find(doctor, EW_DOCTOR_FAULT, "", "the machine couldn't be measured: %.180s", err.text);
    else
        doctor->measured = true;
}

void ew_doctor_examine(struct ew_doctor *out, const struct ew_doctor_params *params)
{
    const char *root = params->root ? params->root : "";
    char text[64], *end;

    memset(out, 0, sizeof(*out));
    ew_machine_describe(&out->machine);
    out->host_cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
    out->host_memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    out->threads = params->threads > 0 ? params->threads : out->machine.cores;
    line_under(root, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", out->governor,
               sizeof(out->governor));
    line_under(root, "/sys/kernel/mm/transparent_hugepage/enabled", out->huge_pages,
               sizeof(out->huge_pages));
    line_under(root, "/proc/loadavg", text, sizeof(text)); /* before we make load of our own */
    out->load = strtod(text, &end);
    out->load = end == text ? NAN : out->load;
    look_for_sensors(out, root);
    if (params->measure_ms > 0)
        measure(out, params->measure_ms);
    look_for_models(out);
    ew_doctor_judge(out);
}

bool ew_doctor_has_fault(const struct ew_doctor *doctor)
{
    for (size_t i = 0; i < doctor->finding_count; i++)
        if (doctor->findings[i].level == EW_DOCTOR_FAULT)
            return true;
    return false;
}

const char *ew_doctor_isa(const struct ew_doctor *doctor, size_t index, bool *usable)
{
    static const char *const names[] = {"scalar", "avx2", "avx512vnni"}; /* as edgewise.h says */
    size_t best = 0;

    while (best + 1 < EW_COUNT(names) && strcmp(names[best], doctor->machine.isa) != 0)
        best++;
    *usable = index <= best;
    return index < EW_COUNT(names) ? names[index] : NULL;
}

const char *ew_doctor_level_name(enum ew_doctor_level level)
{
    return level == EW_DOCTOR_FAULT ? "fault" : level == EW_DOCTOR_WARNING ? "warning" : "note";
}
