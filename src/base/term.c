/* term.c - terminals: is it one, may it be coloured, how wide is it and a text on it. */
#include "base/term.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { COLUMNS_DEFAULT = 80, COLUMNS_MIN = 20, COLUMNS_MAX = 1000 };

bool ew_term_is(int fd)
{
    const char *term = getenv("TERM");
    return isatty(fd) && !(term && strcmp(term, "dumb") == 0);
}

bool ew_term_colors(int fd)
{
    const char *no = getenv("NO_COLOR");
    return ew_term_is(fd) && !(no && *no);
}

static bool sensible(long columns)
{
    return columns >= COLUMNS_MIN && columns <= COLUMNS_MAX;
}

int ew_term_columns(int fd)
{
    const char *text = getenv("COLUMNS");
    long given = text ? strtol(text, NULL, 10) : 0;
    if (sensible(given))
        return (int)given;
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && sensible(size.ws_col))
        return size.ws_col;
    return COLUMNS_DEFAULT;
}

/* Ranges of Unicode's East_Asian_Width=W/F and of marks, joined where gaps don't matter. */
static const struct {
    uint32_t first, last;
    int columns;
} widths[] = {
    {0x0300, 0x036f, 0},   {0x0483, 0x0489, 0},   {0x0591, 0x05bd, 0},   {0x064b, 0x065f, 0},
    {0x0e34, 0x0e3a, 0},   {0x0e47, 0x0e4e, 0},   {0x1100, 0x115f, 2},   {0x200b, 0x200f, 0},
    {0x20d0, 0x20ff, 0},   {0x2e80, 0xa4cf, 2},   {0xac00, 0xd7a3, 2},   {0xf900, 0xfaff, 2},
    {0xfe00, 0xfe0f, 0},   {0xfe30, 0xfe6f, 2},   {0xff00, 0xff60, 2},   {0xffe0, 0xffe6, 2},
    {0x1f300, 0x1f64f, 2}, {0x1f680, 0x1f6ff, 2}, {0x1f900, 0x1faff, 2}, {0x20000, 0x3fffd, 2},
};

static int columns_of(uint32_t point)
{
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++)
        if (point >= widths[i].first && point <= widths[i].last)
            return widths[i].columns;
    return 1;
}

int ew_term_width(const char *text, size_t bytes)
{
    int columns = 0;
    uint32_t point = 0;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c & 0xc0) == 0x80)
            point = point << 6 | (c & 0x3f);
        else
            point = c < 0x80 ? c : c >= 0xf0 ? c & 7 : c >= 0xe0 ? c & 15 : c & 31;
        if (i + 1 == bytes || ((unsigned char)text[i + 1] & 0xc0) != 0x80)
            columns += columns_of(point);
    }
    return columns;
}
