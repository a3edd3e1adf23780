/* condition.c - /sys/class/thermal and /sys/class/power_supply. */
#include "meter/condition.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 512, WORD_BYTES = 64, ENTRIES_MAX = 64 };

/* The first line of root/folder/entry/file; false: it can't be read. */
static bool read_word(const char *folder, const char *entry, const char *file,
                      char word[WORD_BYTES])
{
    char path[PATH_BYTES];
    if (snprintf(path, sizeof path, "%s/%s/%s", folder, entry, file) >= (int)sizeof path)
        return false;
    FILE *in = fopen(path, "r");
    bool read = in && fgets(word, WORD_BYTES, in);
    if (in)
        fclose(in);
    if (read)
        word[strcspn(word, "\n")] = '\0';
    return read;
}

static bool read_number(const char *folder, const char *entry, const char *file, double *out)
{
    char word[WORD_BYTES], *end;
    if (!read_word(folder, entry, file, word))
        return false;
    *out = strtod(word, &end);
    return end != word && !*end && isfinite(*out);
}

static bool names_processor(const char *type)
{
    static const char *const words[] = {"cpu", "CPU", "soc", "SoC", "x86_pkg", "tj", "package"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(type, words[i]))
            return true;
    return false;
}

static double hotter(double a, double b)
{
    return isnan(a) || b > a ? b : a;
}

/* Zones tell thousandths of a degree; a zone that isn't powered tells an error, or nonsense. */
static void read_zones(const char *folder, struct ew_condition *out)
{
    DIR *dir = opendir(folder);
    double any = NAN, processor = NAN, value;
    const struct dirent *entry;
    for (int i = 0; dir && i < ENTRIES_MAX && (entry = readdir(dir)); i++) {
        char type[WORD_BYTES] = "";
        if (strncmp(entry->d_name, "thermal_zone", 12) != 0 ||
            !read_number(folder, entry->d_name, "temp", &value) || value < -60e3 || value > 200e3)
            continue;
        any = hotter(any, value / 1e3);
        if (read_word(folder, entry->d_name, "type", type) && names_processor(type))
            processor = hotter(processor, value / 1e3);
    }
    if (dir)
        closedir(dir);
    out->temperature_c = isnan(processor) ? any : processor;
}

static void read_supplies(const char *folder, struct ew_condition *out)
{
    DIR *dir = opendir(folder);
    double charge = 0, batteries = 0, value;
    bool plugged = false;
    const struct dirent *entry;
    for (int i = 0; dir && i < ENTRIES_MAX && (entry = readdir(dir)); i++) {
        char type[WORD_BYTES], scope[WORD_BYTES];
        if (entry->d_name[0] == '.' || !read_word(folder, entry->d_name, "type", type))
            continue;
        /* "Device" is the battery of a mouse. */
        if (read_word(folder, entry->d_name, "scope", scope) && strcmp(scope, "Device") == 0)
            continue;
        if (strcmp(type, "Battery") == 0 &&
            read_number(folder, entry->d_name, "capacity", &value)) {
            charge += value / 100;
            batteries++;
        } else if (strcmp(type, "Battery") != 0 &&
                   read_number(folder, entry->d_name, "online", &value)) {
            plugged = plugged || value > 0;
        }
    }
    if (dir)
        closedir(dir);
    out->battery = batteries > 0 ? charge / batteries : NAN;
    out->on_mains = plugged || !(batteries > 0);
}

struct ew_condition ew_condition_read(const char *root)
{
    struct ew_condition out = {.temperature_c = NAN, .battery = NAN, .on_mains = true};
    char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%s/class/thermal", root);
    read_zones(folder, &out);
    snprintf(folder, sizeof folder, "%s/class/power_supply", root);
    read_supplies(folder, &out);
    return out;
}
