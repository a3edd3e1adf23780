/* doctor.h - what this machine has for running models, and what is wrong with it.
 *
 * Facts first, then findings: a note explains something missing, a warning is something that makes
 * answers slower, a fault is something that keeps edgewise from working. */
#ifndef EW_DOCTOR_H
#define EW_DOCTOR_H

#include "edgewise.h"

enum {
    EW_DOCTOR_SENSORS_MAX = 16, /* a Jetson has 4, a server a dozen RAPL domains */
    EW_DOCTOR_MODELS_MAX = 32,
    EW_DOCTOR_FINDINGS_MAX = 48, /* one for each model and a dozen more */
};

enum ew_doctor_level { EW_DOCTOR_NOTE, EW_DOCTOR_WARNING, EW_DOCTOR_FAULT };

struct ew_doctor_sensor {
    char name[64]; /* "package-0", "ina3221" */
    char path[160];
    bool readable;
    char why[64]; /* not, in words */
};

struct ew_doctor_model {
    char name[64];
    char path[512];
    uint64_t bytes; /* the file's */
    bool sound;     /* as long as the catalog says, and begins as GGUF does; its sha256
                       is checked by `edgewise pull --verify` */
};

struct ew_doctor_finding {
    enum ew_doctor_level level;
    char text[240];
    char hint[200]; /* what to do; "" when nothing can be done */
};

struct ew_doctor {
    struct ew_machine machine;
    int host_cores;             /* what the machine has; a container or cpuset may allow less */
    uint64_t host_memory_bytes; /* likewise */
    int threads;
    bool measured;
    struct ew_machine_speed one, all; /* one thread, and `threads` */
    char governor[32];                /* of the CPU's clock; "" where there is none to see */
    char huge_pages[48];              /* the kernel's setting, as it spells it */
    double load;                      /* runnable threads of the last minute; NAN: unknown */
    struct ew_doctor_sensor sensors[EW_DOCTOR_SENSORS_MAX];
    struct ew_doctor_model models[EW_DOCTOR_MODELS_MAX];
    struct ew_doctor_finding findings[EW_DOCTOR_FINDINGS_MAX];
    size_t sensor_count, model_count, finding_count;
};

struct ew_doctor_params {
    int threads;      /* 0: one for each usable core */
    int measure_ms;   /* 0: don't measure */
    const char *root; /* in front of /proc and /sys; NULL: this machine. For tests */
};

/* The name of the instruction set at `index`, from the slowest, and whether this CPU can; NULL
 * after the last. */
const char *ew_doctor_isa(const struct ew_doctor *doctor, size_t index, bool *usable);
const char *ew_doctor_level_name(enum ew_doctor_level level);

/* Never fails: what can't be found out is left empty, what is wrong is a finding. */
void ew_doctor_examine(struct ew_doctor *out, const struct ew_doctor_params *params);
bool ew_doctor_has_fault(const struct ew_doctor *doctor);
/* Findings that follow from the facts in `doctor`: examine's last step. */
void ew_doctor_judge(struct ew_doctor *doctor);

#endif
