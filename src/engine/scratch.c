/* scratch.c - the buffers of a session or batch: one block, laid out once, none taken per token. */
#include <stdlib.h>
#include <sys/mman.h>

#include "engine/forward.h"

enum {
    ALIGN = 64,
    /* Query rows that attention handles at a time, so that a page of keys is read once for all of
     * them; the kernels cut them into blocks that fit their registers. */
    SCORE_ROWS = 12,
};

static uint32_t round_up(uint32_t n, uint32_t to)
{
    return (n + to - 1) / to * to;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static void measure(struct ew_scratch *s, const struct ew_arch *arch,
                    const struct ew_scratch_size *size)
{
    s->chunk = size->chunk;
    s->ctx = size->ctx;
    s->logit_rows = round_up(size->logits, EW_GROUP);
    s->q_width = round_up(arch->heads * arch->head_dim, EW_TILE_ROWS);
    s->kv_width = round_up(arch->kv_heads * arch->head_dim, EW_TILE_ROWS);
    s->ffn_width = round_up(arch->ffn, EW_TILE_ROWS);
    s->dim_width = round_up(arch->dim, EW_TILE_ROWS);
    s->vocab_width = round_up(arch->vocab, EW_TILE_ROWS);
    s->block_width = larger(larger(s->q_width, s->ffn_width), s->dim_width) / EW_BLOCK + 1;
    s->score_rows = larger(SCORE_ROWS, arch->heads / arch->kv_heads);
    s->score_width = round_up(size->ctx, EW_PAGE);
}

/* Hands out the parts of the block; with no block yet, only adds up. */
struct cursor {
    char *memory;
    uint64_t bytes;
};

static void *part(struct cursor *c, uint64_t count, uint64_t size)
{
    void *at = c->memory ? c->memory + c->bytes : NULL;
    c->bytes += (count * size + ALIGN - 1) / ALIGN * ALIGN;
    return at;
}

static void lay_out(struct ew_scratch *s, struct cursor *c, const struct ew_arch *arch, int threads)
{
    uint64_t n = s->chunk, f = sizeof(float);
    s->x = part(c, n * s->dim_width, f);
    s->h = part(c, n * s->dim_width, f);
    /* The attention half's buffers and the feed-forward half's are never in use together. */
    uint64_t shared = c->bytes;
    s->q = part(c, n * s->q_width, f);
    s->k = part(c, n * s->kv_width, f);
    s->v = part(c, n * s->kv_width, f);
    s->mix = part(c, n * s->q_width, f);
    uint64_t attention_end = c->bytes;
    c->bytes = shared;
    s->gate = part(c, n * s->ffn_width, f);
    s->up = part(c, n * s->ffn_width, f);
    c->bytes = c->bytes > attention_end ? c->bytes : attention_end;
    s->rope = part(c, n * 4 * (arch->rope_dims / 2), f);
    uint32_t rows = larger((uint32_t)threads * s->score_rows, arch->heads);
    s->scores = part(c, (uint64_t)rows * s->score_width, f);
    s->logits = part(c, (uint64_t)s->logit_rows * s->vocab_width, f);
    s->blocks = part(c, (n + EW_GROUP - 1) / EW_GROUP * s->block_width, sizeof *s->blocks);
    s->rows = part(c, n, sizeof *s->rows);
    s->attended = part(c, n, sizeof *s->attended);
    s->damaged = part(c, n, sizeof *s->damaged);
}

uint64_t ew_scratch_bytes(const struct ew_arch *arch, const struct ew_scratch_size *size)
{
    struct ew_scratch s = {0};
    struct cursor c = {0};
    measure(&s, arch, size);
    lay_out(&s, &c, arch, size->threads);
    return c.bytes;
}

int ew_scratch_init(struct ew_scratch *scratch, const struct ew_arch *arch,
                    const struct ew_scratch_size *size, struct ew_err *err)
{
    *scratch = (struct ew_scratch){0};
    uint64_t bytes = ew_scratch_bytes(arch, size);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return ew_fail(err, EW_ENOMEM, "no memory for %llu MB of working space",
                       (unsigned long long)(bytes >> 20));
    measure(scratch, arch, size);
    struct cursor c = {.memory = memory};
    lay_out(scratch, &c, arch, size->threads);
    scratch->memory = memory;
    scratch->bytes = bytes;
    return 0;
}

void ew_scratch_fini(struct ew_scratch *scratch)
{
    if (scratch->memory)
        munmap(scratch->memory, scratch->bytes);
    *scratch = (struct ew_scratch){0};
}
