/* cmd_eval.c - `edgewise eval perplexity`: how well a model predicts a text. */
#include "cmd/cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/jsonw.h"
#include "base/progress.h"
#include "cmd/engine_options.h"
#include "cmd/eval_logprobs.h"
#include "measure/answer.h"
#include "measure/perplexity.h"

enum { TEXT_MAX = 1 << 30, JSON_MAX = 1 << 16 };

static void tick(void *user, uint64_t done, uint64_t all)
{
    struct ew_progress *progress = user;
    progress->total = all;
    ew_progress_set(progress, done);
}

static int print_perplexity(const struct ew_perplexity *p, uint32_t ctx, bool json,
                            struct ew_err *err)
{
    if (!json) {
        printf(
            "perplexity %.4f +- %.4f (standard error), %llu tokens scored in %llu chunks of %u\n",
            p->perplexity, p->stderr_, (unsigned long long)p->tokens_scored,
            (unsigned long long)p->chunks, ctx);
        return 0;
    }
    struct ew_buf out;
    struct ew_jsonw w;
    ew_buf_init(&out, JSON_MAX);
    ew_jsonw_init(&w, &out, EW_JSONW_PRETTY);
    ew_jsonw_object(&w);
    ew_jsonw_put_real(&w, "perplexity", p->perplexity);
    ew_jsonw_put_real(&w, "stderr", p->stderr_);
    ew_jsonw_put_u64(&w, "tokens_scored", p->tokens_scored);
    ew_jsonw_put_u64(&w, "chunks", p->chunks);
    ew_jsonw_put_u64(&w, "ctx", ctx);
    ew_jsonw_end(&w);
    int failed = ew_jsonw_finish(&w, err);
    if (!failed)
        fwrite(out.data, 1, out.bytes, stdout);
    ew_buf_fini(&out);
    return failed;
}

static int perplexity(struct ew_model *model, const char *file, uint32_t ctx, uint64_t chunks,
                      bool json, struct ew_err *err)
{
    struct ew_buf text;
    struct ew_perplexity result;
    struct ew_progress progress;
    int32_t *tokens = NULL;
    size_t count;
    ew_buf_init(&text, TEXT_MAX);
    int failed = ew_file_read(&text, file, err);
    if (!failed)
        failed = ew_answer_tokens(model, ew_buf_cstr(&text), text.bytes, EW_TOKENIZE_BOS, &tokens,
                                  &count, err);
    if (!failed) {
        ew_progress_begin(&progress, "perplexity", 0, count / ctx, EW_PROGRESS_COUNT);
        failed =
            ew_perplexity_measure(&result, model, tokens, count, ctx, chunks, tick, &progress, err);
        ew_progress_end(&progress);
    }
    if (!failed)
        failed = print_perplexity(&result, ctx, json, err);
    free(tokens);
    ew_buf_fini(&text);
    return failed;
}

int ew_cmd_eval(int argc, char **argv)
{
    struct ew_engine_options engine = {0};
    const char *file = NULL;
    uint64_t chunks = 0;
    int top = 0;
    bool json = false;
    const struct ew_opt options[] = {
        {"file", 'f', "FILE", "the text; - is stdin", .text = &file},
        {"chunks", 0, "N", "only the first N chunks (all)", .u64 = &chunks},
        {"logprobs", 0, "K",
         "instead: FILE is JSON lines with a \"text\" (or \"tokens\") each;\n"
         "print the K likeliest next tokens with natural logarithms",
         .integer = &top, .min = 1, .max = EW_EVAL_TOP_MAX},
        EW_ENGINE_OPTIONS(&engine, "tokens of a chunk (512); with --logprobs, the longest text"),
        {"json", 0, NULL, "print one JSON object", .flag = &json},
        {0},
    };
    struct ew_args args = {
        .command = "eval",
        .words_usage = "perplexity MODEL [FILE]",
        .words_min = 2,
        .words_max = 3,
        .about =
            "Measures how well MODEL predicts a text: the exponential of the mean surprise over\n"
            "the second half of each chunk of --ctx tokens (512), as llama-perplexity does.",
        .options = options,
        .examples = "  edgewise eval perplexity smollm2-135m --file book.txt --ctx 512 --json\n"
                    "  edgewise eval perplexity smollm2-135m --logprobs 5 prompts.jsonl\n",
    };
    int status;
    if (ew_args_read(&args, argc, argv, &status))
        return status;
    if (strcmp(args.words[0], "perplexity") != 0)
        return ew_args_wrong(&args, "can't evaluate %s; perplexity can be", args.words[0]);
    file = file ? file : args.words[2];
    if (!file)
        return ew_args_wrong(&args, "no file to evaluate on: --file FILE");
    if (!engine.ctx && !top)
        engine.ctx = 512;
    struct ew_err err = {0};
    struct ew_model *model = NULL;
    int failed = ew_engine_open(&model, args.words[1], &engine, false, &err);
    if (!failed)
        failed = top ? ew_eval_logprobs(model, file, top, &err)
                     : perplexity(model, file, (uint32_t)engine.ctx, chunks, json, &err);
    ew_model_close(&model);
    return failed ? ew_engine_failed("eval", &err) : 0;
}
