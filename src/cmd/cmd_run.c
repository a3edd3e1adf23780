/* cmd_run.c - `edgewise run`: one answer, or a conversation in the terminal. */
#include "cmd/cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/stop.h"
#include "cmd/energy_options.h"
#include "cmd/engine_options.h"
#include "cmd/run_chat.h"
#include "cmd/run_compare.h"
#include "cmd/run_print.h"
#include "cmd/sampling_options.h"

enum { PROMPT_MAX = 16 << 20 };

struct options {
    struct ew_engine_options engine;
    struct ew_sampling_options sampling;
    struct ew_arg_list stops;
    const char *system, *cloud;
    struct ew_price price; /* of the cloud */
    bool raw, json, quiet;
    int max_tokens;
    struct ew_energy_options energy;
};

static int tell(void *user, const char *text, size_t bytes)
{
    (void)user;
    bool written = fwrite(text, 1, bytes, stdout) == bytes && fflush(stdout) == 0;
    return written ? 0 : EW_EIO;
}

static int show(const struct options *o, const struct ew_model *model, const char *name,
                const struct ew_answer *answer, struct ew_err *err)
{
    struct ew_model_info info;
    struct ew_compare compare;
    ew_model_describe(model, &info);
    int failed = !o->cloud ? 0
                           : ew_run_compare(&compare, answer, &o->price, name, info.quantization,
                                            o->energy.tariff_cents_per_kwh, err);
    if (failed)
        return failed;
    if (o->json)
        return ew_run_print_json(answer, model, o->cloud ? &compare : NULL, err);
    fputs(o->cloud ? "\n\n" : "\n", stdout);
    fflush(stdout); /* the account comes after it also where both go to one file */
    if (o->cloud)
        return ew_compare_print(&compare, stdout, err);
    if (!o->quiet)
        ew_run_print_line(stderr, answer);
    return 0;
}

static int one_answer(const struct options *o, const struct ew_model *model, const char *name,
                      struct ew_session *session, const struct ew_answer_params *how,
                      const char *prompt, size_t bytes, struct ew_err *err)
{
    int32_t *tokens = NULL;
    size_t count;
    struct ew_message messages[2] = {{"system", o->system}, {"user", prompt}};
    int failed = o->raw
                     ? ew_answer_tokens(model, prompt, bytes, EW_TOKENIZE_BOS, &tokens, &count, err)
                     : ew_answer_chat(model, messages + !o->system, 1 + (o->system != NULL),
                                      &tokens, &count, err);
    struct ew_answer answer;
    ew_answer_init(&answer);
    ew_engine_cancel_on_interrupt(session);
    if (!failed)
        failed = ew_answer_make(&answer, model, session, tokens, count, how, err);
    free(tokens);
    if (!failed)
        failed = show(o, model, name, &answer, err);
    if (!failed && answer.end == EW_ANSWER_CANCELED)
        failed = ew_fail(err, EW_ECANCELED, "interrupted: the answer isn't whole");
    ew_answer_fini(&answer);
    return failed;
}

static int run(struct options *o, const struct ew_args *args, struct ew_err *err)
{
    struct ew_model *model = NULL;
    struct ew_session *session = NULL;
    struct ew_meter *meter = NULL;
    struct ew_buf input;
    const char *prompt = args->word_count > 1 ? args->words[1] : NULL;
    bool piped = prompt ? strcmp(prompt, "-") == 0 : !isatty(STDIN_FILENO);
    ew_buf_init(&input, PROMPT_MAX);
    int failed = ew_sampling_options_check(&o->sampling, err);
    if (!failed && piped)
        failed = ew_file_read(&input, "-", err);
    else if (!failed && prompt)
        failed = ew_buf_text(&input, prompt, err);
    if (!failed && (piped || prompt) && !input.bytes)
        failed = ew_fail(err, EW_EINVAL, "the prompt is empty");
    if (!failed && (o->cloud || o->json) && !input.bytes)
        failed = ew_fail(err, EW_EINVAL, "%s needs a prompt: it tells of one answer",
                         o->cloud ? "--compare" : "--json");
    if (!failed && input.bytes && memchr(input.data, '\0', input.bytes))
        failed = ew_fail(err, EW_EINVAL, "the prompt isn't text: it has a NUL byte");
    if (!failed && o->cloud)
        failed = ew_run_compare_price(&o->price, o->cloud, err);
    if (failed || (failed = ew_energy_open(&meter, &o->energy, args->words[0], err)) ||
        (failed = ew_engine_open(&model, args->words[0], &o->engine, false, err)) ||
        (failed = ew_session_open(&session, model, NULL, err)) ||
        (failed = ew_session_sampling(session, &o->sampling.how, err)))
        goto out;
    struct ew_model_info info;
    ew_model_describe(model, &info);
    if (!info.has_chat_template && !o->raw) {
        fprintf(stderr,
                "edgewise run: %s has no chat template: chatml is used; --raw completes the text\n",
                info.name);
        if (o->stops.count < EW_STOP_COUNT_MAX) /* its vocabulary may spell it out */
            o->stops.items[o->stops.count++] = "<|im_end|>";
    }
    struct ew_answer_params how = {.stops = o->stops.items,
                                   .stop_count = o->stops.count,
                                   .max_tokens = (uint32_t)o->max_tokens,
                                   .clock = &ew_clock_real,
                                   .meter = meter,
                                   .tariff_cents_per_kwh = o->energy.tariff_cents_per_kwh,
                                   .tell = o->json ? NULL : tell};
    if (input.bytes)
        failed = one_answer(o, model, args->words[0], session, &how, input.data, input.bytes, err);
    else
        failed = ew_run_chat(model, session, o->system, &how, err);
out:
    ew_session_close(&session);
    ew_model_close(&model);
    ew_meter_close(&meter);
    ew_buf_fini(&input);
    return failed;
}

int ew_cmd_run(int argc, char **argv)
{
    struct options o = {.sampling = ew_sampling_options_default(),
                        .energy = ew_energy_options_default()};
    const struct ew_opt options[] = {
        {"system", 's', "TEXT", "a system message in front of the conversation", .text = &o.system},
        {"raw", 0, NULL, "no chat template: continue the text itself", .flag = &o.raw},
        {"max-tokens", 'n', "N", "end the answer after N tokens (the context's end)",
         .integer = &o.max_tokens, .min = 1, .max = 1 << 20},
        EW_SAMPLING_OPTIONS(&o.sampling),
        {"stop", 0, "TEXT", "ends the answer before TEXT; may be repeated", .list = &o.stops},
        EW_ENGINE_OPTIONS(&o.engine,
                          "room for N tokens, prompt and answer (4096 or the model's most)"),
        EW_ENERGY_OPTIONS(&o.energy),
        {"compare", 0, "CLOUD", "a table beside a cloud's price, like openai/gpt-5.4-mini",
         .text = &o.cloud},
        {"json", 0, NULL, "print one JSON object: text, tokens, usage, timing, energy, cost",
         .flag = &o.json},
        {"quiet", 'q', NULL, "no account after the answer", .flag = &o.quiet},
        {0},
    };
    struct ew_args args = {
        .command = "run",
        .words_usage = "MODEL [PROMPT]",
        .words_min = 1,
        .words_max = 2,
        .about =
            "Answers PROMPT, or all of stdin where it is a pipe (or PROMPT is -); with neither,\n"
            "a conversation in the terminal. The answer goes to stdout, its account to stderr.",
        .options = options,
        .examples = "  edgewise run smollm2-135m \"Why is the sky blue?\"\n"
                    "  edgewise run smollm2-135m\n"
                    "  edgewise run smollm2-135m \"What is 7 x 8?\" --profile n150 "
                    "--compare openai/gpt-5.4-mini\n"
                    "  edgewise run --temp 0.7 --seed 2 qwen2.5-coder-0.5b < question.txt\n"
                    "  edgewise run model.gguf \"Once upon\" --raw --max-tokens 50 --json\n",
    };
    int status;
    if (ew_args_read(&args, argc, argv, &status))
        return status;
    struct ew_err err = {0};
    return run(&o, &args, &err) ? ew_engine_failed("run", &err) : 0;
}
