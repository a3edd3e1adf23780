/* weights.c - from GGUF tensors to packed matrices.
 *
 * map: walks the names an architecture has, in the order the forward pass reads them, so that
 * decoding streams through memory. Fused tensors of phi3 (attn_qkv, ffn_up with the gate in front)
 * are taken apart by rows, so the engine knows only one form. Each matrix becomes a job; pack runs
 * the jobs on all threads. */
#include "model/weights.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    NAME_MAX_BYTES = 96,
    ALIGN = 64,
    HUGE_PAGE = 2 << 20,
    /* The head comes last, in front of it 10 matrices and as many vectors a layer. */
    JOBS_PER_LAYER = 20,
};

struct ew_weights_job {
    const struct ew_tensor *tensor;
    uint32_t row0;            /* first row of the tensor that is ours */
    struct ew_packed *packed; /* a matrix … */
    const float **vector;     /* … or a vector of `count` floats */
    uint32_t count;
    uint64_t offset, bytes; /* in memory */
};

struct mapper {
    struct ew_weights *weights;
    const struct ew_gguf *gguf;
    const struct ew_arch *arch;
    int layer; /* -1: outside of the layers */
    uint64_t type_bytes[EW_TYPE_COUNT];
};

static int find(const struct mapper *m, const char *name, const struct ew_tensor **tensor,
                char full[NAME_MAX_BYTES])
{
    if (m->layer < 0)
        snprintf(full, NAME_MAX_BYTES, "%s", name);
    else
        snprintf(full, NAME_MAX_BYTES, "blk.%d.%s", m->layer, name);
    *tensor = ew_gguf_tensor(m->gguf, full);
    return *tensor != NULL;
}

static struct ew_weights_job *add_job(struct mapper *m, uint64_t bytes)
{
    struct ew_weights *w = m->weights;
    EW_ASSERT(w->job_count < w->job_capacity);
    struct ew_weights_job *job = &w->jobs[w->job_count++];
    *job = (struct ew_weights_job){.offset = w->packed_bytes, .bytes = bytes};
    w->packed_bytes += (bytes + ALIGN - 1) / ALIGN * ALIGN;
    return job;
}

static int wrong_shape(const struct mapper *m, const char *name, const struct ew_tensor *t,
                       uint64_t cols, uint64_t rows, struct ew_err *err)
{
    return ew_fail(err, EW_EFORMAT, "%s: tensor %s is %llu x %llu (%d dims), must be %llu x %llu",
                   ew_gguf_path(m->gguf), name, (unsigned long long)t->shape[0],
                   (unsigned long long)t->shape[1], t->dims, (unsigned long long)cols,
                   (unsigned long long)rows);
}

/* Rows [row0, row0 + rows) of a tensor that must have rows_all rows. */
static int map_matrix(struct mapper *m, const char *name, struct ew_packed *packed, uint64_t cols,
                      uint64_t rows, uint64_t row0, uint64_t rows_all, struct ew_err *err)
{
    char full[NAME_MAX_BYTES];
    const struct ew_tensor *tensor;
    if (!find(m, name, &tensor, full))
        return ew_fail(err, EW_EFORMAT, "%s: tensor %s is missing", ew_gguf_path(m->gguf), full);
    if (tensor->dims > 2 || tensor->shape[0] != cols || tensor->shape[1] != rows_all)
        return wrong_shape(m, full, tensor, cols, rows_all, err);
    size_t tile_bytes = ew_pack_tile_bytes(tensor->type, (int)cols);
    if (!tile_bytes)
        return ew_fail(err, EW_EUNSUPPORTED, "%s: tensor %s: type %s of %llu inputs has no kernel",
                       ew_gguf_path(m->gguf), full, ew_type_describe(tensor->type)->name,
                       (unsigned long long)cols);
    *packed = (struct ew_packed){.type = tensor->type,
                                 .rows = (int)rows,
                                 .cols = (int)cols,
                                 .tiles = (int)((rows + EW_TILE_ROWS - 1) / EW_TILE_ROWS),
                                 .tile_bytes = tile_bytes};
    struct ew_weights_job *job = add_job(m, (uint64_t)packed->tiles * tile_bytes);
    job->tensor = tensor;
    job->row0 = (uint32_t)row0;
    job->packed = packed;
    m->weights->bytes_per_token += job->bytes;
    m->type_bytes[tensor->type] += m->layer >= 0 ? job->bytes : 0;
    return 0;
}

static int map_whole(struct mapper *m, const char *name, struct ew_packed *packed, uint64_t cols,
                     uint64_t rows, struct ew_err *err)
{
    return map_matrix(m, name, packed, cols, rows, 0, rows, err);
}

enum need { REQUIRED, OPTIONAL };

/* Numbers [at, at + count) of a vector that must have `all`. */
static int map_vector(struct mapper *m, const char *name, const float **vector, uint64_t count,
                      uint64_t at, uint64_t all, enum need need, struct ew_err *err)
{
    char full[NAME_MAX_BYTES];
    const struct ew_tensor *tensor;
    *vector = NULL;
    if (!find(m, name, &tensor, full)) {
        if (need == OPTIONAL)
            return 0;
        return ew_fail(err, EW_EFORMAT, "%s: tensor %s is missing", ew_gguf_path(m->gguf), full);
    }
    if (tensor->dims != 1 || tensor->shape[0] != all)
        return wrong_shape(m, full, tensor, all, 1, err);
    if (ew_type_describe(tensor->type)->weights != 1)
        return ew_fail(err, EW_EFORMAT, "%s: tensor %s: type %s, must be F32, F16 or BF16",
                       ew_gguf_path(m->gguf), full, ew_type_describe(tensor->type)->name);
    uint64_t padded = (count + EW_TILE_ROWS - 1) / EW_TILE_ROWS * EW_TILE_ROWS;
    struct ew_weights_job *job = add_job(m, padded * sizeof(float));
    job->tensor = tensor;
    job->row0 = (uint32_t)at;
    job->vector = vector;
    job->count = (uint32_t)count;
    return 0;
}

static int map_norm(struct mapper *m, const char *name, const float **vector, uint64_t count,
                    enum need need, struct ew_err *err)
{
    return map_vector(m, name, vector, count, 0, count, need, err);
}

static int map_qkv(struct mapper *m, struct ew_layer *l, struct ew_err *err)
{
    const struct ew_arch *a = m->arch;
    uint64_t q = (uint64_t)a->heads * a->head_dim, kv = (uint64_t)a->kv_heads * a->head_dim;
    char full[NAME_MAX_BYTES];
    const struct ew_tensor *fused;
    int failed;
    if (find(m, "attn_qkv.weight", &fused, full)) {
        uint64_t all = q + 2 * kv;
        if ((failed = map_matrix(m, "attn_qkv.weight", &l->q, a->dim, q, 0, all, err)) ||
            (failed = map_matrix(m, "attn_qkv.weight", &l->k, a->dim, kv, q, all, err)) ||
            (failed = map_matrix(m, "attn_qkv.weight", &l->v, a->dim, kv, q + kv, all, err)) ||
            (failed = map_vector(m, "attn_qkv.bias", &l->q_bias, q, 0, all, OPTIONAL, err)) ||
            (failed = map_vector(m, "attn_qkv.bias", &l->k_bias, kv, q, all, OPTIONAL, err)) ||
            (failed = map_vector(m, "attn_qkv.bias", &l->v_bias, kv, q + kv, all, OPTIONAL, err)))
            return failed;
        return 0;
    }
    if ((failed = map_whole(m, "attn_q.weight", &l->q, a->dim, q, err)) ||
        (failed = map_whole(m, "attn_k.weight", &l->k, a->dim, kv, err)) ||
        (failed = map_whole(m, "attn_v.weight", &l->v, a->dim, kv, err)) ||
        (failed = map_norm(m, "attn_q.bias", &l->q_bias, q, OPTIONAL, err)) ||
        (failed = map_norm(m, "attn_k.bias", &l->k_bias, kv, OPTIONAL, err)) ||
        (failed = map_norm(m, "attn_v.bias", &l->v_bias, kv, OPTIONAL, err)))
        return failed;
    return 0;
}

static int map_ffn(struct mapper *m, struct ew_layer *l, struct ew_err *err)
{
    const struct ew_arch *a = m->arch;
    char full[NAME_MAX_BYTES];
    const struct ew_tensor *gate;
    int failed;
    if (find(m, "ffn_gate.weight", &gate, full)) {
        if ((failed = map_whole(m, "ffn_gate.weight", &l->gate, a->dim, a->ffn, err)) ||
            (failed = map_whole(m, "ffn_up.weight", &l->up, a->dim, a->ffn, err)))
            return failed;
    } else {
        uint64_t ffn = a->ffn;
        if ((failed = map_matrix(m, "ffn_up.weight", &l->gate, a->dim, ffn, 0, 2 * ffn, err)) ||
            (failed = map_matrix(m, "ffn_up.weight", &l->up, a->dim, ffn, ffn, 2 * ffn, err)))
            return failed;
    }
    return map_whole(m, "ffn_down.weight", &l->down, a->ffn, a->dim, err);
}

static int map_layer(struct mapper *m, struct ew_layer *l, struct ew_err *err)
{
    const struct ew_arch *a = m->arch;
    bool gemma = a->kind == EW_ARCH_GEMMA2 || a->kind == EW_ARCH_GEMMA3;
    bool qk_norm = a->kind == EW_ARCH_GEMMA3 || a->kind == EW_ARCH_QWEN3;
    enum need post = gemma ? REQUIRED : OPTIONAL, qk = qk_norm ? REQUIRED : OPTIONAL;
    uint64_t q = (uint64_t)a->heads * a->head_dim;
    int failed;
    l->local = ew_arch_is_local(a, (uint32_t)m->layer);
    if ((failed = map_norm(m, "attn_norm.weight", &l->attn_norm, a->dim, REQUIRED, err)) ||
        (failed = map_qkv(m, l, err)) ||
        (failed = map_norm(m, "attn_q_norm.weight", &l->q_norm, a->head_dim, qk, err)) ||
        (failed = map_norm(m, "attn_k_norm.weight", &l->k_norm, a->head_dim, qk, err)) ||
        (failed = map_whole(m, "attn_output.weight", &l->o, q, a->dim, err)) ||
        (failed = map_norm(m, "attn_output.bias", &l->o_bias, a->dim, OPTIONAL, err)) ||
        (failed =
             map_norm(m, "post_attention_norm.weight", &l->post_attn_norm, a->dim, post, err)) ||
        (failed = map_norm(m, "ffn_norm.weight", &l->ffn_norm, a->dim, REQUIRED, err)) ||
        (failed = map_ffn(m, l, err)) ||
        (failed = map_norm(m, "post_ffw_norm.weight", &l->post_ffn_norm, a->dim, post, err)))
        return failed;
    return 0;
}

static int map_head(struct mapper *m, struct ew_err *err)
{
    struct ew_weights *w = m->weights;
    char full[NAME_MAX_BYTES];
    const struct ew_tensor *output;
    m->layer = -1;
    int failed = map_norm(m, "output_norm.weight", &w->output_norm, m->arch->dim, REQUIRED, err);
    if (failed)
        return failed;
    if (!find(m, "output.weight", &output, full))
        return map_whole(m, "token_embd.weight", &w->head, m->arch->dim, m->arch->vocab, err);
    if (!find(m, "token_embd.weight", &w->embedding, full))
        return ew_fail(err, EW_EFORMAT, "%s: tensor %s is missing", ew_gguf_path(m->gguf), full);
    if (w->embedding->dims != 2 || w->embedding->shape[0] != m->arch->dim ||
        w->embedding->shape[1] != m->arch->vocab)
        return wrong_shape(m, full, w->embedding, m->arch->dim, m->arch->vocab, err);
    return map_whole(m, "output.weight", &w->head, m->arch->dim, m->arch->vocab, err);
}

/* A tensor that nobody computes with is an answer that nobody should trust: a bias or an expert of
 * a variant we don't know. (The rotary factors are read by arch.c.) */
static int refuse_unused(const struct mapper *m, struct ew_err *err)
{
    static const char *const elsewhere[] = {"rope_freqs.weight", "rope_factors_long.weight",
                                            "rope_factors_short.weight"};
    const struct ew_weights *w = m->weights;
    size_t count = ew_gguf_tensors(m->gguf);
    const struct ew_tensor *first = ew_gguf_tensor_at(m->gguf, 0), *unused = NULL;
    bool *used = calloc(count, sizeof *used);
    if (!used)
        return ew_fail(err, EW_ENOMEM, "no memory for the list of %zu tensors", count);
    for (size_t i = 0; i < w->job_count; i++)
        used[w->jobs[i].tensor - first] = true;
    if (w->embedding)
        used[w->embedding - first] = true;
    for (size_t i = 0; i < count && !unused; i++) {
        for (size_t e = 0; e < EW_COUNT(elsewhere); e++)
            used[i] = used[i] || ew_str_is(first[i].name, elsewhere[e]);
        unused = used[i] ? NULL : &first[i];
    }
    free(used);
    if (!unused)
        return 0;
    return ew_fail(err, EW_EUNSUPPORTED, "%s: tensor %s is none that our %s computes with",
                   ew_gguf_path(m->gguf), ew_gguf_show(unused->name).text,
                   ew_arch_name(m->arch->kind));
}

int ew_weights_map(struct ew_weights *weights, const struct ew_gguf *gguf,
                   const struct ew_arch *arch, struct ew_err *err)
{
    *weights = (struct ew_weights){0};
    struct mapper m = {.weights = weights, .gguf = gguf, .arch = arch};
    weights->layers = calloc(arch->layers, sizeof *weights->layers);
    weights->job_capacity = (size_t)(arch->layers + 1) * JOBS_PER_LAYER;
    weights->jobs = calloc(weights->job_capacity, sizeof *weights->jobs);
    int failed = 0;
    if (!weights->layers || !weights->jobs)
        failed = ew_fail(err, EW_ENOMEM, "no memory for the list of %u layers", arch->layers);
    for (uint32_t i = 0; i < arch->layers && !failed; i++) {
        m.layer = (int)i;
        failed = map_layer(&m, &weights->layers[i], err);
    }
    if (!failed)
        failed = map_head(&m, err);
    if (!failed)
        failed = refuse_unused(&m, err);
    if (failed) {
        ew_weights_fini(weights);
        return failed;
    }
    for (size_t i = 0; i < ew_gguf_tensors(gguf); i++) {
        const struct ew_tensor *t = ew_gguf_tensor_at(gguf, i);
        weights->parameters += t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3];
    }
    weights->main_type = weights->head.type;
    for (int i = 0; i < EW_TYPE_COUNT; i++)
        if (m.type_bytes[i] > m.type_bytes[weights->main_type])
            weights->main_type = (enum ew_type)i;
    return 0;
}

static uint64_t row_bytes(const struct ew_tensor *t)
{
    const struct ew_type_info *info = ew_type_describe(t->type);
    return t->shape[0] / (uint64_t)info->weights * (uint64_t)info->bytes;
}

/* Weights are read and packed in slices of about this size: small enough to stay in a core's second
 * level cache between the two, large enough that a system call for each doesn't count. */
enum { SLICE_BYTES = 512 << 10 };

/* What the threads of a pack share. A slice is some tiles of one job. */
struct pack_work {
    const struct ew_weights *weights;
    const struct ew_gguf *gguf;
    size_t *first_slice; /* of each job, and behind the last */
    uint64_t buffer_bytes;
    atomic_size_t next;
    pthread_mutex_t lock; /* of what follows */
    int failed;
    struct ew_err err;
};

static uint64_t tile_source_bytes(const struct ew_weights_job *job)
{
    return EW_TILE_ROWS * row_bytes(job->tensor);
}

static int slice_tiles(const struct ew_weights_job *job)
{
    uint64_t tiles = SLICE_BYTES / tile_source_bytes(job);
    return tiles ? (int)tiles : 1;
}

/* Weights that aren't numbers would make answers of noise: the kernels neither trap on them nor
 * promise to pass them on. Looked at between reading and packing, they come from the cache. */
static int check_finite(const struct pack_work *work, const struct ew_tensor *t, uint64_t row0,
                        const uint8_t *rows, uint64_t count, uint64_t width, struct ew_err *err)
{
    if (ew_blocks_finite(t->type, rows, count * width))
        return 0;
    uint64_t row = 0, bytes = row_bytes(t);
    while (row + 1 < count && ew_blocks_finite(t->type, rows + row * bytes, width))
        row++;
    return ew_fail(err, EW_EFORMAT,
                   "%s: tensor %s: row %llu isn't all numbers (infinite or NaN): it is damaged",
                   ew_gguf_path(work->gguf), ew_gguf_show(t->name).text,
                   (unsigned long long)(row0 + row));
}

static int pack_vector(const struct pack_work *work, const struct ew_weights_job *job, void *buffer,
                       struct ew_err *err)
{
    const struct ew_tensor *t = job->tensor;
    uint64_t bytes = (uint64_t)ew_type_describe(t->type)->bytes;
    uint8_t *dst = (uint8_t *)work->weights->memory + job->offset;
    int failed = ew_gguf_read(work->gguf, (const uint8_t *)t->data + job->row0 * bytes, buffer,
                              job->count * bytes, err);
    if (!failed)
        failed = check_finite(work, t, 0, buffer, 1, job->count, err);
    if (!failed)
        ew_row_decode(t->type, buffer, (float *)(void *)dst, (int)job->count);
    return failed;
}

static int pack_slice(const struct pack_work *work, size_t job_index, int slice, void *buffer,
                      struct ew_err *err)
{
    const struct ew_weights_job *job = &work->weights->jobs[job_index];
    if (!job->packed)
        return pack_vector(work, job, buffer, err);
    const struct ew_packed *p = job->packed;
    int tile = slice * slice_tiles(job), tiles = slice_tiles(job);
    if (tile + tiles > p->tiles)
        tiles = p->tiles - tile;
    int rows = p->rows - tile * EW_TILE_ROWS;
    if (rows > tiles * EW_TILE_ROWS)
        rows = tiles * EW_TILE_ROWS;
    uint64_t width = row_bytes(job->tensor), row = job->row0 + (uint64_t)(tile * EW_TILE_ROWS);
    int failed = ew_gguf_read(work->gguf, (const uint8_t *)job->tensor->data + row * width, buffer,
                              (uint64_t)rows * width, err);
    if (!failed)
        failed =
            check_finite(work, job->tensor, row, buffer, (uint64_t)rows, (uint64_t)p->cols, err);
    if (!failed)
        ew_pack((uint8_t *)work->weights->memory + job->offset + (size_t)tile * p->tile_bytes,
                buffer, p->type, rows, p->cols, 0, tiles);
    return failed;
}

static void pack_share(void *arg, int thread, int threads)
{
    (void)thread, (void)threads;
    struct pack_work *work = arg;
    struct ew_err err = {0};
    size_t job = 0, count = work->weights->job_count;
    void *buffer = malloc(work->buffer_bytes);
    int failed = buffer ? 0
                        : ew_fail(&err, EW_ENOMEM, "no memory for a slice of %llu bytes",
                                  (unsigned long long)work->buffer_bytes);
    while (!failed) {
        size_t slice = atomic_fetch_add(&work->next, 1);
        if (slice >= work->first_slice[count])
            break;
        while (slice >= work->first_slice[job + 1])
            job++;
        failed = pack_slice(work, job, (int)(slice - work->first_slice[job]), buffer, &err);
    }
    free(buffer);
    if (!failed)
        return;
    pthread_mutex_lock(&work->lock);
    work->failed = failed;
    work->err = err;
    pthread_mutex_unlock(&work->lock);
    atomic_store(&work->next, work->first_slice[count]); /* the others needn't go on */
}

static int take_memory(struct ew_weights *weights, struct ew_err *err)
{
    /* Rounded up so that the last huge page is whole. */
    uint64_t bytes = (weights->packed_bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return ew_fail(err, EW_ENOMEM, "no memory for %llu MB of weights",
                       (unsigned long long)(bytes >> 20));
    weights->memory = memory;
    weights->packed_bytes = bytes;
    madvise(memory, bytes, MADV_HUGEPAGE); /* a hint: slower, not wrong, without */
    return 0;
}

/* Numbers the slices, and says where each job's result will be. */
static void prepare(struct pack_work *work, struct ew_weights *weights)
{
    size_t slices = 0;
    for (size_t i = 0; i < weights->job_count; i++) {
        struct ew_weights_job *job = &weights->jobs[i];
        uint8_t *dst = (uint8_t *)weights->memory + job->offset;
        uint64_t bytes = job->count * sizeof(float);
        work->first_slice[i] = slices;
        if (job->packed) {
            int tiles = slice_tiles(job);
            job->packed->data = dst;
            bytes = (uint64_t)tiles * tile_source_bytes(job);
            slices += (size_t)((job->packed->tiles + tiles - 1) / tiles);
        } else {
            *job->vector = (const float *)(const void *)dst;
            slices++;
        }
        if (bytes > work->buffer_bytes)
            work->buffer_bytes = bytes;
    }
    work->first_slice[weights->job_count] = slices;
}

int ew_weights_pack(struct ew_weights *weights, const struct ew_gguf *gguf, ew_weights_run_fn *run,
                    void *user, struct ew_err *err)
{
    struct pack_work work = {.weights = weights, .gguf = gguf, .lock = PTHREAD_MUTEX_INITIALIZER};
    work.first_slice = malloc((weights->job_count + 1) * sizeof *work.first_slice);
    if (!work.first_slice)
        return ew_fail(err, EW_ENOMEM, "no memory for a list of %zu tensors", weights->job_count);
    int failed = take_memory(weights, err);
    if (!failed) {
        prepare(&work, weights);
        run(user, pack_share, &work);
        failed = work.failed ? ew_fail(err, work.failed, "%s", work.err.text) : 0;
    }
    free(work.first_slice);
    free(weights->jobs);
    weights->jobs = NULL;
    weights->job_count = weights->job_capacity = 0;
    return failed;
}

void ew_weights_fini(struct ew_weights *weights)
{
    if (weights->memory)
        munmap(weights->memory, weights->packed_bytes);
    free(weights->jobs);
    free(weights->layers);
    *weights = (struct ew_weights){0};
}

void ew_weights_embedding(const struct ew_weights *weights, int32_t token, float *out)
{
    const struct ew_tensor *e = weights->embedding;
    if (!e)
        ew_packed_row(&weights->head, token, out);
    else
        ew_row_decode(e->type, (const uint8_t *)e->data + (uint64_t)token * row_bytes(e), out,
                      (int)e->shape[0]);
}
