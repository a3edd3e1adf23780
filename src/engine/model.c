/* model.c - opening a model: map, check, plan, pack; and what it says of itself. */
#include "engine/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

static enum ew_isa isa_by_name(const char *name)
{
    for (int i = 0; i < EW_ISA_COUNT; i++)
        if (strcmp(ew_isa_name((enum ew_isa)i), name) == 0)
            return (enum ew_isa)i;
    return EW_ISA_COUNT;
}

static int choose_isa(const char *name, enum ew_isa *isa, struct ew_err *err)
{
    *isa = ew_isa_detect();
    if (!name)
        return 0;
    enum ew_isa wanted = isa_by_name(name);
    if (wanted == EW_ISA_COUNT)
        return ew_fail(err, EW_EINVAL, "instruction set \"%s\" is none of scalar, avx2, avx512vnni",
                       name);
    if (wanted > *isa)
        return ew_fail(err, EW_EUNSUPPORTED, "this CPU has no %s; the best it has is %s", name,
                       ew_isa_name(*isa));
    *isa = wanted;
    return 0;
}

static int open_chat(struct ew_model *model, struct ew_err *err)
{
    struct ew_str source = {ew_template_chatml, strlen(ew_template_chatml)};
    int got = ew_gguf_string(model->gguf, "tokenizer.chat_template", &source, err);
    if (got < 0)
        return got;
    model->has_chat_template = got;
    got = ew_template_open(&model->chat, source.data, source.bytes, err);
    return got ? ew_fail_in(err, got, "%s: key tokenizer.chat_template", ew_gguf_path(model->gguf))
               : 0;
}

/* Names come from files and end up on terminals: whole characters, no control characters (of
 * which U+0080 to U+009F are some), no more than fits. */
static void keep_printable(char *out, size_t capacity, const char *text, size_t bytes)
{
    size_t n = 0;
    while (bytes) {
        struct ew_utf8_char c = ew_utf8_next(text, bytes);
        bool shown =
            c.state == EW_UTF8_WHOLE && c.point >= ' ' && (c.point < 0x7f || c.point > 0x9f);
        size_t length = shown ? (size_t)c.bytes : 1;
        if (n + length >= capacity)
            break;
        memcpy(out + n, shown ? text : "?", length);
        n += length;
        text += c.bytes;
        bytes -= (size_t)c.bytes;
    }
    out[n] = '\0';
}

static void name_model(struct ew_model *model, const char *path)
{
    struct ew_str name;
    struct ew_err ignored;
    if (ew_gguf_string(model->gguf, "general.name", &name, &ignored) != 1 || !name.bytes) {
        const char *slash = strrchr(path, '/');
        name.data = slash ? slash + 1 : path;
        name.bytes = strlen(name.data);
    }
    keep_printable(model->name, sizeof model->name, name.data, name.bytes);
}

static void run_on_pool(void *user, void (*work)(void *arg, int thread, int threads), void *arg)
{
    ew_pool_run(user, work, arg);
}

static int plan_memory(struct ew_model *model, uint64_t available, struct ew_err *err)
{
    const struct ew_network *net = &model->net;
    const struct ew_arch *arch = &net->arch;
    int threads = ew_pool_threads(net->pool);
    ew_plan_make(&model->plan, arch, net->weights.packed_bytes, ew_plan_vocabulary_bytes(arch),
                 threads, EW_CHUNK_DEFAULT, arch->ctx);
    return ew_plan_check(&model->plan, arch, model->name, available, threads, EW_CHUNK_DEFAULT,
                         arch->ctx, err);
}

/* What opening may take. A machine that doesn't tell (no /proc, as in a bare chroot) limits
 * nothing: refusing every model there would help nobody. */
static uint64_t memory_allowed(const struct ew_model_params *params,
                               const struct ew_machine *machine)
{
    if (params->memory_max)
        return params->memory_max;
    return machine->memory_bytes ? machine->available_bytes : UINT64_MAX;
}

static int open_weights(struct ew_model *model, const struct ew_model_params *params,
                        struct ew_err *err)
{
    struct ew_network *net = &model->net;
    struct ew_machine machine;
    enum ew_isa isa;
    int failed = choose_isa(params->isa, &isa, err);
    if (failed)
        return failed;
    ew_kernels_select(&net->kernels, isa);
    ew_machine_describe(&machine);
    model->memory_allowed = memory_allowed(params, &machine);
    if ((failed =
             ew_pool_open(&net->pool, params->threads ? params->threads : machine.cores, err)) ||
        (failed = ew_weights_map(&net->weights, model->gguf, &net->arch, err)) ||
        (failed = plan_memory(model, model->memory_allowed, err)) ||
        (failed = ew_gguf_intact(model->gguf, err)))
        return failed;
    return ew_weights_pack(&net->weights, model->gguf, run_on_pool, net->pool, err);
}

int ew_model_open(struct ew_model **gives, const char *path, const struct ew_model_params *params,
                  struct ew_err *err)
{
    static const struct ew_model_params defaults = {0};
    params = params ? params : &defaults;
    *gives = NULL;
    struct ew_model *model = calloc(1, sizeof *model);
    if (!model)
        return ew_fail(err, EW_ENOMEM, "no memory for a model");
    pthread_mutex_init(&model->computing, NULL);
    model->vocab_only = params->vocab_only;
    int failed = ew_gguf_open(&model->gguf, path, err);
    if (failed)
        goto out;
    name_model(model, path);
    if ((failed = ew_arch_read(&model->net.arch, model->gguf, params->ctx, err)) ||
        (failed = ew_tokenizer_open(&model->tokenizer, model->gguf, err)) ||
        (failed = open_chat(model, err)))
        goto out;
    if (!params->vocab_only)
        failed = open_weights(model, params, err);
    ew_gguf_rest(model->gguf); /* merges and keys have been read */
out:
    if (failed)
        ew_model_close(&model);
    *gives = model;
    return failed;
}

void ew_model_close(struct ew_model **model)
{
    struct ew_model *m = *model;
    if (!m)
        return;
    ew_weights_fini(&m->net.weights);
    ew_pool_close(&m->net.pool);
    ew_template_close(&m->chat);
    ew_tokenizer_close(&m->tokenizer);
    ew_gguf_close(&m->gguf);
    pthread_mutex_destroy(&m->computing);
    free(m);
    *model = NULL;
}

static uint64_t macs_of_layers(const struct ew_arch *a)
{
    uint64_t q = (uint64_t)a->heads * a->head_dim, kv = (uint64_t)a->kv_heads * a->head_dim;
    return a->layers * (uint64_t)a->dim * (2 * q + 2 * kv + 3 * (uint64_t)a->ffn);
}

void ew_model_describe(const struct ew_model *model, struct ew_model_info *out)
{
    const struct ew_arch *a = &model->net.arch;
    const struct ew_weights *w = &model->net.weights;
    *out = (struct ew_model_info){
        .name = model->name,
        .architecture = ew_arch_name(a->kind),
        .isa = model->vocab_only ? "none" : ew_isa_name(model->net.kernels.isa),
        .quantization = model->vocab_only ? "none" : ew_type_describe(w->main_type)->name,
        .threads = model->net.pool ? ew_pool_threads(model->net.pool) : 0,
        .ctx_train = a->ctx_train,
        .ctx = a->ctx,
        .vocab = a->vocab,
        .layers = a->layers,
        .embedding = a->dim,
        .heads = a->heads,
        .kv_heads = a->kv_heads,
        .head_dim = a->head_dim,
        .parameters = w->parameters,
        .file_bytes = ew_gguf_bytes(model->gguf),
        .weight_bytes = w->packed_bytes,
        .kv_bytes_per_position = ew_kvcache_bytes(a, EW_PAGE) / EW_PAGE,
        .planned_bytes = model->plan.total_bytes,
        .head_macs = (uint64_t)a->dim * a->vocab,
        .bytes_per_token = w->bytes_per_token,
        .adds_bos = ew_tokenizer_adds_bos(model->tokenizer),
        .has_chat_template = model->has_chat_template,
    };
    out->macs_per_token = macs_of_layers(a) + out->head_macs;
}
