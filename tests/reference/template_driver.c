/* template_driver.c - renders a chat template for the tests that compare ours with Python's.
 *
 *     template_driver TEMPLATE CONTEXT     the text on stdout, status 0; or the error on stderr, 1
 *     template_driver --batch              requests on stdin: two sizes in one line, "T C\n", then
 *                                          T bytes of template and C of context; each answered by
 *                                          "ok N\n" or "error N\n" and N bytes
 *     template_driver --time TEMPLATE CONTEXT   the best of many: parse and render, microseconds */
#include "base/buf.h"
#include "base/clock.h"
#include "model/template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUTPUT_BYTES_MAX = 64 << 20, INPUT_BYTES_MAX = 64 << 20, TIMED_RUNS = 200 };

static int render(struct ew_str source, struct ew_str context, struct ew_buf *out,
                  struct ew_err *err)
{
    struct ew_template *tmpl = NULL;
    int code = ew_template_open(&tmpl, source.data, source.bytes, err);
    if (!code)
        code = ew_template_render(tmpl, context.data, context.bytes, out, err);
    ew_template_close(&tmpl);
    return code;
}

/* All of a file (bytes 0), or so many bytes of it. */
static int read_some(FILE *file, size_t bytes, struct ew_buf *out)
{
    char piece[4096];
    size_t left = bytes, n = 1;
    while (n > 0 && (bytes == 0 || left > 0)) {
        n = fread(piece, 1, bytes && left < sizeof piece ? left : sizeof piece, file);
        if (ew_buf_add(out, piece, n, NULL))
            return -1;
        left -= bytes ? n : 0;
    }
    return bytes && left ? -1 : 0;
}

static int read_file(const char *path, struct ew_buf *out)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return -1;
    int code = read_some(file, 0, out);
    fclose(file);
    return code;
}

static int batch(void)
{
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        char *end;
        size_t sizes[2];
        sizes[0] = strtoul(line, &end, 10);
        sizes[1] = strtoul(end, NULL, 10);
        struct ew_buf in[2], out;
        struct ew_err err = {0};
        ew_buf_init(&out, OUTPUT_BYTES_MAX);
        for (int i = 0; i < 2; i++) {
            ew_buf_init(&in[i], INPUT_BYTES_MAX);
            if (sizes[i] && read_some(stdin, sizes[i], &in[i]))
                return 2;
        }
        int code = render((struct ew_str){ew_buf_cstr(&in[0]), in[0].bytes},
                          (struct ew_str){ew_buf_cstr(&in[1]), in[1].bytes}, &out, &err);
        const char *text = code ? err.text : ew_buf_cstr(&out);
        size_t bytes = code ? strlen(err.text) : out.bytes;
        printf("%s %zu\n", code ? "error" : "ok", bytes);
        fwrite(text, 1, bytes, stdout);
        fflush(stdout);
        ew_buf_fini(&in[0]);
        ew_buf_fini(&in[1]);
        ew_buf_fini(&out);
    }
    return 0;
}

static int time_it(struct ew_str source, struct ew_str context)
{
    uint64_t parse_ns = UINT64_MAX, render_ns = UINT64_MAX;
    struct ew_err err = {0};
    for (int i = 0; i < TIMED_RUNS; i++) {
        struct ew_template *tmpl = NULL;
        struct ew_buf out;
        ew_buf_init(&out, OUTPUT_BYTES_MAX);
        uint64_t t0 = ew_clock_now_ns(&ew_clock_real);
        int code = ew_template_open(&tmpl, source.data, source.bytes, &err);
        uint64_t t1 = ew_clock_now_ns(&ew_clock_real);
        if (!code)
            code = ew_template_render(tmpl, context.data, context.bytes, &out, &err);
        uint64_t t2 = ew_clock_now_ns(&ew_clock_real);
        ew_template_close(&tmpl);
        ew_buf_fini(&out);
        if (code) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        parse_ns = t1 - t0 < parse_ns ? t1 - t0 : parse_ns;
        render_ns = t2 - t1 < render_ns ? t2 - t1 : render_ns;
    }
    printf("parse %.1f us, render %.1f us\n", (double)parse_ns / 1e3, (double)render_ns / 1e3);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--batch") == 0)
        return batch();
    bool timed = argc == 4 && strcmp(argv[1], "--time") == 0;
    if (argc != 3 && !timed)
        return 2;
    struct ew_buf source, context, out;
    struct ew_err err = {0};
    ew_buf_init(&source, INPUT_BYTES_MAX);
    ew_buf_init(&context, INPUT_BYTES_MAX);
    ew_buf_init(&out, OUTPUT_BYTES_MAX);
    if (read_file(argv[argc - 2], &source) || read_file(argv[argc - 1], &context)) {
        fprintf(stderr, "can't read the template or its context\n");
        return 2;
    }
    struct ew_str s = {ew_buf_cstr(&source), source.bytes};
    struct ew_str c = {ew_buf_cstr(&context), context.bytes};
    int code = timed ? time_it(s, c) : render(s, c, &out, &err);
    if (code && !timed)
        fprintf(stderr, "%s\n", err.text);
    else
        fwrite(ew_buf_cstr(&out), 1, out.bytes, stdout);
    ew_buf_fini(&source);
    ew_buf_fini(&context);
    ew_buf_fini(&out);
    return code ? 1 : 0;
}
