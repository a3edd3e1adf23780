/* cmd_doctor.c - `edgewise doctor`: what this machine has, and what is wrong with it. */
#include "cmd/cmd.h"

#include "base/args.h"
#include "base/jsonw.h"
#include "measure/doctor.h"

#include <math.h>
#include <stdio.h>

enum { MEASURE_MS = 1600 }; /* four of 0.4 s: enough to meet a quiet millisecond */

/* ---- for people ---- */

static void print_machine(const struct ew_doctor *doctor)
{
    const struct ew_machine *m = &doctor->machine;
    const char *name;
    bool usable;

    printf("cpu           %s\n", m->cpu);
    printf("kernels       %s, of", m->isa);
    for (size_t i = 0; (name = ew_doctor_isa(doctor, i, &usable)); i++)
        printf(" %s%s", name, usable ? "" : " (not on this CPU)");
    printf("\ncores         %d of %d\n", m->cores, doctor->host_cores);
    printf("memory        %.1f GB of %.1f GB, %.1f GB available\n", (double)m->memory_bytes / 1e9,
           (double)doctor->host_memory_bytes / 1e9, (double)m->available_bytes / 1e9);
    printf("huge pages    %s\n", m->huge_pages ? "yes" : "no");
    if (doctor->governor[0])
        printf("governor      %s\n", doctor->governor);
    if (doctor->measured) {
        printf("reads         %.1f GB/s with 1 thread, %.1f GB/s with %d\n",
               doctor->one.read_bandwidth_bytes_per_s / 1e9,
               doctor->all.read_bandwidth_bytes_per_s / 1e9, doctor->threads);
        printf("int8          %.1f GMAC/s with 1 thread, %.1f GMAC/s with %d\n",
               doctor->one.int8_macs_per_s / 1e9, doctor->all.int8_macs_per_s / 1e9,
               doctor->threads);
    }
}

static void print_lists(const struct ew_doctor *doctor)
{
    for (size_t i = 0; i < doctor->sensor_count; i++) {
        const struct ew_doctor_sensor *s = &doctor->sensors[i];
        printf("%-13s %s: %s%s%s\n", i ? "" : "sensors", s->name, s->path, s->readable ? "" : ": ",
               s->readable ? "" : s->why);
    }
    if (!doctor->sensor_count)
        puts("sensors       none found");
    for (size_t i = 0; i < doctor->model_count; i++) {
        const struct ew_doctor_model *m = &doctor->models[i];
        printf("%-13s %s, %.1f MB%s\n", i ? "" : "models", m->name, (double)m->bytes / 1e6,
               m->sound ? "" : ": broken");
    }
    if (!doctor->model_count)
        puts("models        none here");
}

static void print_findings(const struct ew_doctor *doctor)
{
    for (size_t i = 0; i < doctor->finding_count; i++) {
        const struct ew_doctor_finding *f = &doctor->findings[i];
        printf("\n%s: %s\n", ew_doctor_level_name(f->level), f->text);
        if (f->hint[0])
            printf("  what helps: %s\n", f->hint);
    }
    puts(ew_doctor_has_fault(doctor) ? "\nSomething is broken." : "\nNothing is broken.");
}

/* ---- for programs ---- */

static void put_speed(struct ew_jsonw *json, const char *key, int threads,
                      const struct ew_machine_speed *speed, bool known)
{
    ew_jsonw_key(json, key);
    ew_jsonw_object(json);
    ew_jsonw_put_int(json, "threads", threads);
    ew_jsonw_put_digits(json, "read_bandwidth_bytes_per_s",
                        known ? speed->read_bandwidth_bytes_per_s : NAN, 4);
    ew_jsonw_put_digits(json, "int8_macs_per_s", known ? speed->int8_macs_per_s : NAN, 4);
    ew_jsonw_end(json);
}

static void put_machine(struct ew_jsonw *json, const struct ew_doctor *doctor)
{
    const char *name;
    bool usable;

    ew_jsonw_put_text(json, "cpu", doctor->machine.cpu);
    ew_jsonw_put_text(json, "isa", doctor->machine.isa);
    ew_jsonw_key(json, "isas");
    ew_jsonw_array(json);
    for (size_t i = 0; (name = ew_doctor_isa(doctor, i, &usable)); i++)
        if (usable)
            ew_jsonw_text(json, name);
    ew_jsonw_end(json);
    ew_jsonw_put_int(json, "cores", doctor->machine.cores);
    ew_jsonw_put_int(json, "host_cores", doctor->host_cores);
    ew_jsonw_put_u64(json, "host_memory_bytes", doctor->host_memory_bytes);
    ew_jsonw_put_u64(json, "memory_bytes", doctor->machine.memory_bytes);
    ew_jsonw_put_u64(json, "available_bytes", doctor->machine.available_bytes);
    ew_jsonw_put_bool(json, "huge_pages", doctor->machine.huge_pages);
    ew_jsonw_put_text(json, "governor", doctor->governor[0] ? doctor->governor : NULL);
    ew_jsonw_put_digits(json, "load", doctor->load, 4);
    put_speed(json, "one_thread", 1, &doctor->one, doctor->measured);
    put_speed(json, "all_threads", doctor->threads, &doctor->all, doctor->measured);
}

static void put_lists(struct ew_jsonw *json, const struct ew_doctor *doctor)
{
    ew_jsonw_key(json, "sensors");
    ew_jsonw_array(json);
    for (size_t i = 0; i < doctor->sensor_count; i++) {
        ew_jsonw_object(json);
        ew_jsonw_put_text(json, "name", doctor->sensors[i].name);
        ew_jsonw_put_text(json, "path", doctor->sensors[i].path);
        ew_jsonw_put_bool(json, "readable", doctor->sensors[i].readable);
        ew_jsonw_end(json);
    }
    ew_jsonw_end(json);
    ew_jsonw_key(json, "models");
    ew_jsonw_array(json);
    for (size_t i = 0; i < doctor->model_count; i++) {
        ew_jsonw_object(json);
        ew_jsonw_put_text(json, "name", doctor->models[i].name);
        ew_jsonw_put_text(json, "path", doctor->models[i].path);
        ew_jsonw_put_u64(json, "bytes", doctor->models[i].bytes);
        ew_jsonw_put_bool(json, "sound", doctor->models[i].sound);
        ew_jsonw_end(json);
    }
    ew_jsonw_end(json);
    ew_jsonw_key(json, "findings");
    ew_jsonw_array(json);
    for (size_t i = 0; i < doctor->finding_count; i++) {
        const struct ew_doctor_finding *f = &doctor->findings[i];
        ew_jsonw_object(json);
        ew_jsonw_put_text(json, "level", ew_doctor_level_name(f->level));
        ew_jsonw_put_text(json, "text", f->text);
        ew_jsonw_put_text(json, "hint", f->hint[0] ? f->hint : NULL);
        ew_jsonw_end(json);
    }
    ew_jsonw_end(json);
}

static int print_json(const struct ew_doctor *doctor, struct ew_err *err)
{
    struct ew_buf text;
    struct ew_jsonw json;

    ew_buf_init(&text, (size_t)1 << 18); /* each list is bounded, and so is this */
    ew_jsonw_init(&json, &text, EW_JSONW_PRETTY);
    ew_jsonw_object(&json);
    put_machine(&json, doctor);
    put_lists(&json, doctor);
    ew_jsonw_put_bool(&json, "ok", !ew_doctor_has_fault(doctor));
    ew_jsonw_end(&json);
    int rc = ew_jsonw_finish(&json, err);
    if (rc == 0)
        fputs(ew_buf_cstr(&text), stdout);
    ew_buf_fini(&text);
    return rc;
}

int ew_cmd_doctor(int argc, char **argv)
{
    static struct ew_doctor doctor; /* 40 KB: too much for a stack we don't know */
    struct ew_doctor_params params = {0};
    bool json = false, quick = false;
    int status;
    const struct ew_opt options[] = {
        {"quick", 'q', NULL, "measure nothing", .flag = &quick},
        {"threads", 't', "N", "measure with N threads (one for each usable core)",
         .integer = &params.threads, .min = 1, .max = 256},
        {"json", 0, NULL, "print the result as JSON", .flag = &json},
        {0},
    };
    struct ew_args args = {
        .command = "doctor",
        .about = "Says what this machine has for running models, measures its two limits (reading\n"
                 "memory and 8-bit products, best pass of about a millisecond), and says what is\n"
                 "wrong and what helps. Exit status 1 when something is broken.",
        .options = options,
        .examples = "  edgewise doctor\n"
                    "  edgewise doctor --quick --json\n",
    };
    if (ew_args_read(&args, argc, argv, &status))
        return status;
    params.measure_ms = quick ? 0 : MEASURE_MS;
    ew_doctor_examine(&doctor, &params);
    struct ew_err err = {0};
    if (json && print_json(&doctor, &err)) {
        fprintf(stderr, "edgewise doctor: %s\n", err.text);
    } else if (!json) {
        print_machine(&doctor);
        print_lists(&doctor);
        print_findings(&doctor);
    }
    return err.code || ew_doctor_has_fault(&doctor) ? 1 : 0;
}
