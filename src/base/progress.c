/* progress.c - draws the bar. The rate is the mean since the start: calmer than the last second's,
 * and right for the time that is left when the work is even. Limit: lines of 256 bytes. */
#include "base/progress.h"

#include "base/term.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    LINE_BYTES = 256,
    BAR_MAX = 30,
    BAR_MIN = 5, /* narrower says nothing: no bar then */
    DRAW_EVERY_MS = 100
};

void ew_progress_begin(struct ew_progress *progress, const char *what, uint64_t first,
                       uint64_t total, enum ew_progress_unit unit)
{
    *progress = (struct ew_progress){
        .clock = &ew_clock_real,
        .what = what,
        .unit = unit,
        .first = first,
        .done = first,
        .total = total,
        .live = ew_term_is(STDERR_FILENO),
    };
    progress->start_ns = ew_clock_now_ns(progress->clock);
}

static void format_amount(char *text, size_t max, double amount, enum ew_progress_unit unit)
{
    static const char *const prefix[] = {"B", "kB", "MB", "GB", "TB"};
    size_t i = 0;
    if (unit == EW_PROGRESS_COUNT) {
        snprintf(text, max, amount < 10 && amount != (double)(int)amount ? "%.1f" : "%.0f", amount);
        return;
    }
    while (amount >= 999.95 && i < 4) {
        amount /= 1000;
        i++;
    }
    snprintf(text, max, i ? "%.1f %s" : "%.0f %s", amount, prefix[i]);
}

static void format_left(char *text, size_t max, double seconds)
{
    if (seconds >= 100 * 3600.0) {
        snprintf(text, max, "days left");
        return;
    }
    unsigned s = (unsigned)(seconds + 0.5);
    if (s >= 3600)
        snprintf(text, max, "%u:%02u:%02u left", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, max, "%u:%02u left", s / 60, s % 60);
}

/* " [=====>    ]" of `columns` in all, or nothing where that is too narrow. */
static void format_bar(char *text, size_t max, double part, int columns)
{
    int cells = columns - 3 < BAR_MAX ? columns - 3 : BAR_MAX;
    text[0] = '\0';
    if (cells < BAR_MIN || (size_t)cells + 4 > max)
        return;
    int full = (int)(part * cells);
    char *at = text;
    *at++ = ' ';
    *at++ = '[';
    for (int i = 0; i < cells; i++)
        *at++ = i < full ? '=' : i == full ? '>' : ' ';
    *at++ = ']';
    *at = '\0';
}

void ew_progress_line(const struct ew_progress *progress, uint64_t now_ns, int columns, char *text,
                      size_t max)
{
    char done[32], total[32], rate[32], left[32] = "", tail[LINE_BYTES], bar[BAR_MAX + 8] = "";
    double seconds = (double)(now_ns - progress->start_ns) / EW_NS_PER_S;
    double moved = (double)(progress->done - progress->first);
    double per_s = seconds > 0 ? moved / seconds : 0;
    format_amount(done, sizeof done, (double)progress->done, progress->unit);
    format_amount(rate, sizeof rate, per_s, progress->unit);
    if (progress->total == 0) {
        snprintf(text, max, "%.*s  %s  %s/s", columns / 2, progress->what, done, rate);
        return;
    }
    uint64_t at = progress->done < progress->total ? progress->done : progress->total;
    double part = (double)at / (double)progress->total;
    format_amount(total, sizeof total, (double)progress->total, progress->unit);
    if (per_s > 0)
        format_left(left, sizeof left, (double)(progress->total - at) / per_s);
    snprintf(tail, sizeof tail, "  %s/%s  %s/s%s%s", done, total, rate, *left ? "  " : "", left);
    int used = snprintf(text, max, "%.*s %3d%%", columns / 3, progress->what, (int)(part * 100));
    if (used < 0 || (size_t)used >= max)
        return;
    format_bar(bar, sizeof bar, part, columns - used - (int)strlen(tail));
    snprintf(text + used, max - (size_t)used, "%s%s", bar, tail);
    if ((size_t)columns < strlen(text))
        text[columns] = '\0';
}

static void draw(struct ew_progress *progress, uint64_t now_ns)
{
    char text[LINE_BYTES];
    ew_progress_line(progress, now_ns, ew_term_columns(STDERR_FILENO) - 1, text, sizeof text);
    fprintf(stderr, "\r%s\033[K", text);
    fflush(stderr);
    progress->drawn_ns = now_ns;
    progress->drawn = true;
}

void ew_progress_set(struct ew_progress *progress, uint64_t done)
{
    progress->done = done;
    if (!progress->live)
        return;
    uint64_t now_ns = ew_clock_now_ns(progress->clock);
    uint64_t last_ns = progress->drawn ? progress->drawn_ns : progress->start_ns;
    if (now_ns - last_ns >= DRAW_EVERY_MS * (uint64_t)EW_NS_PER_MS)
        draw(progress, now_ns);
}

void ew_progress_end(struct ew_progress *progress)
{
    if (progress->drawn)
        fputs("\r\033[K", stderr);
    progress->live = progress->drawn = false;
}
