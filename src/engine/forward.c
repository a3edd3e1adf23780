/* forward.c - the transformer as a list of phases.
 *
 * For each layer: norm | q k v | rotate, store | attend | o | add, norm | gate up act | down | add.
 * Norms and residuals are exact floats; every matrix product takes its inputs in 8 bits, quantised
 * once per input (phase names say where). In the last layer only the rows whose logits are wanted
 * go on after their keys and values are stored. */
#include "engine/forward.h"

/* A matrix product is cut into strips of rows and blocks of tokens: small enough to share evenly,
 * large enough that a strip's weights (64 rows) and a block's inputs (64 tokens, five times the
 * kernel's 12 and once its 4) are used from the caches many times. */
enum { STRIP_TILES = 4, BLOCK_TOKENS = 64, FEW_TOKENS = 4, STRIPS_PER_THREAD = 4 };

/* What the threads of one call share; thread 0 writes, between barriers. */
struct run {
    const struct ew_forward *f;
    const struct ew_network *net;
    struct ew_scratch *s;
    uint32_t row0, row1; /* the rows that the coming phases compute */
    uint32_t count;
    bool stop;
    int each_result;
};

/* Weights are looked at when they are packed; what is left is an embedding that isn't packed, and
 * numbers that overflow. A few hundred numbers a token, where the logits would be 100,000. */
static void look_for_damage(const struct run *r, const float *x, uint32_t row)
{
    if (!ew_blocks_finite(EW_TYPE_F32, x, r->net->arch.dim))
        r->s->damaged[row] = 1;
}

static inline bool cancelled(const struct run *r)
{
    return atomic_load_explicit(r->f->cancel, memory_order_relaxed);
}

/* The next item of a phase. A cancelled call has none left: whoever cancels needn't wait for the
 * end of a layer (100 ms for a prompt on a small CPU). Once one thread saw it, all do after the
 * next barrier, so nothing half computed is stored in the cache. */
static bool take(const struct run *r, int items, int *first)
{
    return !cancelled(r) && ew_pool_take(r->net->pool, items, 1, first);
}

static inline uint32_t rows_left(const struct run *r)
{
    return r->row1 - r->row0;
}

/* The first of those rows in a buffer. */
static inline float *from_row0(const struct run *r, float *buffer, uint32_t width)
{
    return buffer + (size_t)r->row0 * width;
}

static inline uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* ---- phases over tokens: items are groups of four, the unit of ew_xblock ---- */

static void quantize(const struct run *r, const float *x, uint32_t width, uint32_t row)
{
    if (width % EW_BLOCK)
        return; /* no block type has such rows */
    uint32_t at = row - r->row0;
    r->net->kernels.quantize(x, (int)width, r->s->blocks + at / EW_GROUP * (width / EW_BLOCK),
                             (int)(at % EW_GROUP));
}

typedef void row_fn(const struct run *r, const struct ew_layer *l, uint32_t row);

static void for_each_row(const struct run *r, const struct ew_layer *l, row_fn *each)
{
    uint32_t count = rows_left(r);
    int first, groups = (int)((count + EW_GROUP - 1) / EW_GROUP);
    while (take(r, groups, &first))
        for (uint32_t i = 0; i < EW_GROUP && (uint32_t)first * EW_GROUP + i < count; i++)
            each(r, l, r->row0 + (uint32_t)first * EW_GROUP + i);
}

static void norm_and_quantize(const struct run *r, const float *weight, uint32_t row)
{
    const struct ew_arch *a = &r->net->arch;
    size_t at = (size_t)row * r->s->dim_width;
    r->net->kernels.rmsnorm(r->s->h + at, r->s->x + at, weight, (int)a->dim, a->eps);
    quantize(r, r->s->h + at, a->dim, row);
}

static float *rope_row(const struct run *r, uint32_t row, bool local)
{
    uint32_t half = r->net->arch.rope_dims / 2;
    return r->s->rope + ((size_t)row * 2 + local) * 2 * half;
}

static void fill_angles(const struct run *r, const struct ew_rope *rope, uint32_t row, bool local)
{
    uint32_t half = r->net->arch.rope_dims / 2;
    float *cos = rope_row(r, row, local), *sin = cos + half;
    double position = r->s->rows[row].position;
    for (uint32_t i = 0; i < half; i++) {
        double s, c;
        ew_sincos(position * rope->per_position[i], &s, &c);
        cos[i] = (float)(c * rope->magnitude);
        sin[i] = (float)(s * rope->magnitude);
    }
}

static void row_start(const struct run *r, const struct ew_layer *l, uint32_t row)
{
    const struct ew_arch *a = &r->net->arch;
    float *x = r->s->x + (size_t)row * r->s->dim_width;
    ew_weights_embedding(&r->net->weights, r->s->rows[row].token, x);
    r->s->damaged[row] = 0;
    if (r->net->weights.embedding)
        look_for_damage(r, x, row);
    if (a->embedding_scale != 1.0f)
        r->net->kernels.scale(x, a->embedding_scale, (int)a->dim);
    fill_angles(r, &a->rope, row, false);
    if (a->window)
        fill_angles(r, &a->rope_local, row, true);
    norm_and_quantize(r, l->attn_norm, row);
}

static void rotate(const struct run *r, float *heads, uint32_t count, const float *norm,
                   const float *angles)
{
    const struct ew_arch *a = &r->net->arch;
    const struct ew_kernels *k = &r->net->kernels;
    int half = (int)a->rope_dims / 2;
    for (uint32_t i = 0; i < count; i++) {
        float *x = heads + (size_t)i * a->head_dim;
        if (norm)
            k->rmsnorm(x, x, norm, (int)a->head_dim, a->eps);
        (a->rope_pairs ? k->rope_pairs : k->rope_halves)(x, angles, angles + half, half);
    }
}

/* Numbers of the K page, and of the V page behind it, of one layer and head. */
static size_t page_numbers(const struct ew_arch *a)
{
    return (size_t)EW_PAGE * a->head_dim;
}

/* Biases, q and k norms, rotation; keys and values go into the cache. */
static void row_positions(const struct run *r, const struct ew_layer *l, uint32_t row)
{
    const struct ew_arch *a = &r->net->arch;
    const struct ew_kernels *k = &r->net->kernels;
    const struct ew_row *at = &r->s->rows[row];
    uint32_t layer = (uint32_t)(l - r->net->weights.layers), index = at->position % EW_PAGE;
    uint16_t *page = at->pages[at->position / EW_PAGE];
    float *q = r->s->q + (size_t)row * r->s->q_width;
    float *key = r->s->k + (size_t)row * r->s->kv_width;
    float *value = r->s->v + (size_t)row * r->s->kv_width;
    if (l->q_bias)
        k->add(q, l->q_bias, (int)(a->heads * a->head_dim));
    if (l->k_bias)
        k->add(key, l->k_bias, (int)(a->kv_heads * a->head_dim));
    if (l->v_bias)
        k->add(value, l->v_bias, (int)(a->kv_heads * a->head_dim));
    const float *angles = rope_row(r, row, l->local);
    rotate(r, q, a->heads, l->q_norm, angles);
    rotate(r, key, a->kv_heads, l->k_norm, angles);
    for (uint32_t i = 0; i < a->kv_heads; i++) {
        size_t keys = ew_kvcache_k(a, layer, i), one = (size_t)i * a->head_dim;
        k->store_k(page + keys, key + one, (int)a->head_dim, (int)index);
        k->store_v(page + keys + page_numbers(a), value + one, (int)a->head_dim, (int)index);
    }
}

static void row_mixed(const struct run *r, const struct ew_layer *l, uint32_t row)
{
    (void)l;
    const struct ew_arch *a = &r->net->arch;
    quantize(r, r->s->mix + (size_t)row * r->s->q_width, a->heads * a->head_dim, row);
}

/* The attention half's output joins the residual; the feed-forward half's input is made. */
static void row_middle(const struct run *r, const struct ew_layer *l, uint32_t row)
{
    const struct ew_arch *a = &r->net->arch;
    const struct ew_kernels *k = &r->net->kernels;
    size_t at = (size_t)row * r->s->dim_width;
    float *x = r->s->x + at, *h = r->s->h + at;
    if (l->o_bias)
        k->add(h, l->o_bias, (int)a->dim);
    if (l->post_attn_norm)
        k->rmsnorm(h, h, l->post_attn_norm, (int)a->dim, a->eps);
    k->add(x, h, (int)a->dim);
    norm_and_quantize(r, l->ffn_norm, row);
}

static void row_activated(const struct run *r, const struct ew_layer *l, uint32_t row)
{
    (void)l;
    quantize(r, r->s->gate + (size_t)row * r->s->ffn_width, r->net->arch.ffn, row);
}

/* The feed-forward half's output joins the residual; the next layer's input, or the head's. */
static void row_end(const struct run *r, const struct ew_layer *l, uint32_t row)
{
    const struct ew_arch *a = &r->net->arch;
    const struct ew_kernels *k = &r->net->kernels;
    const struct ew_weights *w = &r->net->weights;
    size_t at = (size_t)row * r->s->dim_width;
    float *x = r->s->x + at, *h = r->s->h + at;
    if (l->post_ffn_norm)
        k->rmsnorm(h, h, l->post_ffn_norm, (int)a->dim, a->eps);
    k->add(x, h, (int)a->dim);
    bool last = l == &w->layers[a->layers - 1];
    norm_and_quantize(r, last ? w->output_norm : l[1].attn_norm, row);
    if (last)
        look_for_damage(r, h, row);
}

/* ---- phases over weights ---- */

struct product {
    const struct ew_packed *w;
    float *y; /* of the first row computed */
    size_t ldy;
};

struct cut {
    int strip_tiles, block_tokens, blocks;
};

static int strips_of(const struct cut *cut, const struct ew_packed *w)
{
    return (w->tiles + cut->strip_tiles - 1) / cut->strip_tiles;
}

static struct cut cut_work(const struct run *r, int tiles)
{
    int rows = (int)rows_left(r), threads = ew_pool_threads(r->net->pool);
    struct cut cut = {.strip_tiles = STRIP_TILES, .block_tokens = BLOCK_TOKENS};
    if (rows <= FEW_TOKENS) {
        int strips = threads == 1 ? 1 : threads * STRIPS_PER_THREAD;
        cut.strip_tiles = (tiles + strips - 1) / strips;
    }
    cut.blocks = (rows + cut.block_tokens - 1) / cut.block_tokens;
    return cut;
}

/* One strip of one product for one block of tokens; returns where the strip starts and its width,
 * for what is done with the result at once. */
static void multiply_item(const struct run *r, const struct product *p, const struct cut *cut,
                          const struct ew_input *in, int strip, int block)
{
    int tile0 = strip * cut->strip_tiles, tile1 = tile0 + cut->strip_tiles;
    int rows = (int)rows_left(r), row0 = block * cut->block_tokens;
    int n = rows - row0 < cut->block_tokens ? rows - row0 : cut->block_tokens;
    struct ew_input part = {
        .q = in->q + (size_t)(row0 / EW_GROUP) * (size_t)(p->w->cols / EW_BLOCK),
        .f = in->f + (size_t)row0 * in->ldf,
        .ldf = in->ldf,
    };
    r->net->kernels.gemm[p->w->type](p->w, tile0, tile1 < p->w->tiles ? tile1 : p->w->tiles, &part,
                                     n, p->y + (size_t)row0 * p->ldy, p->ldy);
}

static void multiply(const struct run *r, const struct product *products, int count,
                     const struct ew_input *in)
{
    int tiles = 0, items = 0, first;
    for (int i = 0; i < count; i++)
        tiles += products[i].w->tiles;
    struct cut cut = cut_work(r, tiles);
    for (int i = 0; i < count; i++)
        items += strips_of(&cut, products[i].w) * cut.blocks;
    while (take(r, items, &first)) {
        const struct product *p = products;
        while (first >= strips_of(&cut, p->w) * cut.blocks) {
            first -= strips_of(&cut, p->w) * cut.blocks;
            p++;
        }
        multiply_item(r, p, &cut, in, first / cut.blocks, first % cut.blocks);
    }
}

/* gate and up, strip by strip, and the activation while both are in the cache: gate = act(gate) *
 * up. */
static void multiply_gated(const struct run *r, const struct ew_layer *l, const struct ew_input *in)
{
    const struct ew_kernels *k = &r->net->kernels;
    struct ew_scratch *s = r->s;
    const struct product gate = {&l->gate, from_row0(r, s->gate, s->ffn_width), s->ffn_width};
    const struct product up = {&l->up, from_row0(r, s->up, s->ffn_width), s->ffn_width};
    struct cut cut = cut_work(r, l->gate.tiles);
    int first, items = strips_of(&cut, &l->gate) * cut.blocks;
    while (take(r, items, &first)) {
        int strip = first / cut.blocks, block = first % cut.blocks;
        multiply_item(r, &gate, &cut, in, strip, block);
        multiply_item(r, &up, &cut, in, strip, block);
        uint32_t at = (uint32_t)(strip * cut.strip_tiles * EW_TILE_ROWS);
        uint32_t width = smaller((uint32_t)(cut.strip_tiles * EW_TILE_ROWS), s->ffn_width - at);
        uint32_t row = r->row0 + (uint32_t)(block * cut.block_tokens);
        uint32_t end = smaller(row + (uint32_t)cut.block_tokens, r->row1);
        for (; row < end; row++) {
            size_t from = (size_t)row * s->ffn_width + at;
            (r->net->arch.gelu ? k->gelu_mul : k->silu_mul)(s->gate + from, s->gate + from,
                                                            s->up + from, (int)width);
        }
    }
}

/* ---- attention ---- */

static uint32_t window_start(const struct run *r, const struct ew_layer *l, uint32_t position)
{
    uint32_t window = r->net->arch.window;
    return l->local && position + 1 > window ? position + 1 - window : 0;
}

static void soften(const struct run *r, const struct ew_layer *l, float *s, uint32_t position,
                   uint32_t page0, uint32_t page1)
{
    const struct ew_arch *a = &r->net->arch;
    int base = (int)(page0 * EW_PAGE);
    r->net->kernels.softmax(s + base, (int)window_start(r, l, position) - base,
                            (int)position + 1 - base, (int)(page1 * EW_PAGE) - base,
                            a->attention_scale, a->attention_softcap);
}

static const uint16_t *const *pages(uint16_t *const *table)
{
    return (const uint16_t *const *)table;
}

/* A few tokens' query heads that share one kv head: scores, softmax, mix, in this thread's part of
 * `scores`. */
static void attend_block(const struct run *r, const struct ew_layer *l, int thread, uint32_t head,
                         struct ew_rows block)
{
    const struct ew_arch *a = &r->net->arch;
    struct ew_scratch *s = r->s;
    uint32_t group = a->heads / a->kv_heads, row = block.row, tokens = block.count;
    uint32_t rows = tokens * group, position = s->rows[row].position;
    size_t keys = ew_kvcache_k(a, (uint32_t)(l - r->net->weights.layers), head);
    const uint16_t *const *table = pages(s->rows[row].pages);
    uint32_t page0 = window_start(r, l, position) / EW_PAGE;
    uint32_t page1 = (position + tokens - 1) / EW_PAGE + 1;
    const float *q[EW_HEADS_MAX];
    float *scores[EW_HEADS_MAX], *out[EW_HEADS_MAX];
    EW_ASSERT(rows > 0 && rows <= EW_HEADS_MAX);
    float *own = s->scores + (size_t)thread * s->score_rows * s->score_width;
    for (uint32_t i = 0; i < rows; i++) {
        size_t at =
            (size_t)(row + i / group) * s->q_width + (head * group + i % group) * a->head_dim;
        q[i] = s->q + at;
        out[i] = s->mix + at;
        scores[i] = own + (size_t)i * s->score_width;
    }
    const struct ew_kernels *k = &r->net->kernels;
    int dim = (int)a->head_dim;
    k->attend_scores(scores, q, (int)rows, dim, table, keys, (int)page0, (int)page1);
    for (uint32_t i = 0; i < rows; i++)
        soften(r, l, scores[i], position + i / group, page0, page1);
    k->attend_mix(out, (const float *const *)scores, (int)rows, dim, 0, dim, table,
                  keys + page_numbers(a), (int)page0, (int)page1);
}

static uint64_t effort(const struct run *r, struct ew_rows block)
{
    return (uint64_t)block.count * (r->s->rows[block.row].position + block.count);
}

/* Cuts the rows that are left into blocks of one conversation, and sorts them: what sees most goes
 * first, so that the threads end together. Thread 0, between barriers. */
static void cut_attention(const struct run *r)
{
    struct ew_scratch *s = r->s;
    uint32_t tokens = s->score_rows / (r->net->arch.heads / r->net->arch.kv_heads);
    s->attended_count = 0;
    for (uint32_t row = r->row0; row < r->row1;) {
        struct ew_rows block = {row, 1};
        const struct ew_row *first = &s->rows[row];
        while (block.count < tokens && row + block.count < r->row1 &&
               first[block.count].pages == first->pages &&
               first[block.count].position == first->position + block.count)
            block.count++;
        row += block.count;
        uint32_t at = s->attended_count++;
        for (; at && effort(r, s->attended[at - 1]) < effort(r, block); at--)
            s->attended[at] = s->attended[at - 1];
        s->attended[at] = block;
    }
}

static void attend_many(const struct run *r, const struct ew_layer *l, int thread)
{
    uint32_t heads = r->net->arch.kv_heads;
    int first;
    while (take(r, (int)(r->s->attended_count * heads), &first))
        attend_block(r, l, thread, (uint32_t)first % heads,
                     r->s->attended[(uint32_t)first / heads]);
}

/* One token: scores are shared out by pages, the mix by dimensions, so that even a single kv head
 * keeps all threads busy. */
static void attend_one(const struct run *r, const struct ew_layer *l)
{
    const struct ew_arch *a = &r->net->arch;
    const struct ew_kernels *k = &r->net->kernels;
    struct ew_scratch *s = r->s;
    struct ew_pool *pool = r->net->pool;
    uint32_t group = a->heads / a->kv_heads, row = r->row0, position = s->rows[row].position;
    const uint16_t *const *table = pages(s->rows[row].pages);
    uint32_t layer = (uint32_t)(l - r->net->weights.layers);
    uint32_t page0 = window_start(r, l, position) / EW_PAGE, page1 = position / EW_PAGE + 1;
    uint32_t shares = (2 * (uint32_t)ew_pool_threads(pool) + a->kv_heads - 1) / a->kv_heads;
    const float *q[EW_HEADS_MAX];
    float *scores[EW_HEADS_MAX], *out[EW_HEADS_MAX];
    for (uint32_t i = 0; i < a->heads; i++) {
        q[i] = s->q + (size_t)row * s->q_width + (size_t)i * a->head_dim;
        out[i] = s->mix + (size_t)row * s->q_width + (size_t)i * a->head_dim;
        scores[i] = s->scores + (size_t)i * s->score_width;
    }
    uint32_t step = (page1 - page0 + shares - 1) / shares;
    uint32_t slices = (page1 - page0 + step - 1) / step;
    int first;
    while (take(r, (int)(a->kv_heads * slices), &first)) {
        uint32_t head = (uint32_t)first / slices, from = page0 + (uint32_t)first % slices * step;
        k->attend_scores(scores + head * group, q + head * group, (int)group, (int)a->head_dim,
                         table, ew_kvcache_k(a, layer, head), (int)from,
                         (int)smaller(from + step, page1));
    }
    ew_pool_barrier(pool);
    while (take(r, (int)a->heads, &first))
        soften(r, l, scores[first], position, page0, page1);
    ew_pool_barrier(pool);
    uint32_t width = (a->head_dim / shares + EW_TILE_ROWS - 1) / EW_TILE_ROWS * EW_TILE_ROWS;
    width = width ? width : EW_TILE_ROWS;
    slices = (a->head_dim + width - 1) / width;
    while (take(r, (int)(a->kv_heads * slices), &first)) {
        uint32_t head = (uint32_t)first / slices, from = (uint32_t)first % slices * width;
        k->attend_mix(out + head * group, (const float *const *)scores + head * group, (int)group,
                      (int)a->head_dim, (int)from, (int)smaller(from + width, a->head_dim), table,
                      ew_kvcache_k(a, layer, head) + page_numbers(a), (int)page0, (int)page1);
    }
}

/* ---- the list ---- */

static void attention_half(struct run *r, const struct ew_layer *l, int thread)
{
    struct ew_scratch *s = r->s;
    struct ew_pool *pool = r->net->pool;
    const struct ew_input normed = {s->blocks, from_row0(r, s->h, s->dim_width), s->dim_width};
    const struct product qkv[] = {{&l->q, from_row0(r, s->q, s->q_width), s->q_width},
                                  {&l->k, from_row0(r, s->k, s->kv_width), s->kv_width},
                                  {&l->v, from_row0(r, s->v, s->kv_width), s->kv_width}};
    multiply(r, qkv, 3, &normed);
    ew_pool_barrier(pool);
    for_each_row(r, l, row_positions);
    ew_pool_barrier(pool);
    if (l == &r->net->weights.layers[r->net->arch.layers - 1]) {
        if (thread == 0) {
            r->row0 = r->f->first_logits;
            cut_attention(r);
        }
        ew_pool_barrier(pool);
    }
    if (rows_left(r) == 1)
        attend_one(r, l);
    else
        attend_many(r, l, thread);
    ew_pool_barrier(pool);
    for_each_row(r, l, row_mixed);
    ew_pool_barrier(pool);
    const struct ew_input mixed = {s->blocks, from_row0(r, s->mix, s->q_width), s->q_width};
    const struct product o = {&l->o, from_row0(r, s->h, s->dim_width), s->dim_width};
    multiply(r, &o, 1, &mixed);
    ew_pool_barrier(pool);
}

static void feed_forward_half(struct run *r, const struct ew_layer *l, int thread)
{
    struct ew_scratch *s = r->s;
    struct ew_pool *pool = r->net->pool;
    const struct ew_input normed = {s->blocks, from_row0(r, s->h, s->dim_width), s->dim_width};
    const struct ew_input active = {s->blocks, from_row0(r, s->gate, s->ffn_width), s->ffn_width};
    const struct product down = {&l->down, from_row0(r, s->h, s->dim_width), s->dim_width};
    for_each_row(r, l, row_middle);
    ew_pool_barrier(pool);
    multiply_gated(r, l, &normed);
    ew_pool_barrier(pool);
    for_each_row(r, l, row_activated);
    ew_pool_barrier(pool);
    multiply(r, &down, 1, &active);
    ew_pool_barrier(pool);
    for_each_row(r, l, row_end);
    if (thread == 0)
        r->stop = cancelled(r);
    ew_pool_barrier(pool);
}

/* Thread 0, the caller's own, hands the logits of the current rows over. */
static void hand_over(struct run *r)
{
    const struct ew_forward *f = r->f;
    r->stop = cancelled(r);
    for (uint32_t i = 0; f->each && i < rows_left(r) && !r->stop; i++) {
        const float *logits = r->s->logits + (size_t)i * r->s->vocab_width;
        r->each_result = f->each(f->user, f->user_index + r->row0 + i, logits, r->net->arch.vocab);
        r->stop = r->each_result || cancelled(r);
    }
}

static void cap_logits(const struct run *r)
{
    const struct ew_arch *a = &r->net->arch;
    int row;
    while (take(r, (int)rows_left(r), &row))
        r->net->kernels.softcap(r->s->logits + (size_t)row * r->s->vocab_width, a->final_softcap,
                                (int)a->vocab);
}

/* The vocabulary's logits, some rows at a time. */
static void head_run(struct run *r, int thread)
{
    struct ew_scratch *s = r->s;
    struct ew_pool *pool = r->net->pool;
    uint32_t first = r->f->first_logits, blocks = r->net->arch.dim / EW_BLOCK;
    for (uint32_t row = first; row < r->count && !r->stop; row += s->logit_rows) {
        if (thread == 0) {
            r->row0 = row;
            r->row1 = smaller(row + s->logit_rows, r->count);
        }
        ew_pool_barrier(pool);
        const struct ew_input normed = {s->blocks + (size_t)(row - first) / EW_GROUP * blocks,
                                        from_row0(r, s->h, s->dim_width), s->dim_width};
        const struct product head = {&r->net->weights.head, s->logits, s->vocab_width};
        multiply(r, &head, 1, &normed);
        ew_pool_barrier(pool);
        if (r->net->arch.final_softcap > 0.0f) {
            cap_logits(r);
            ew_pool_barrier(pool);
        }
        if (thread == 0)
            hand_over(r);
        ew_pool_barrier(pool);
    }
}

static void forward_share(void *arg, int thread, int threads)
{
    (void)threads;
    struct run *r = arg;
    const struct ew_weights *w = &r->net->weights;
    for_each_row(r, &w->layers[0], row_start);
    ew_pool_barrier(r->net->pool);
    for (uint32_t i = 0; i < r->net->arch.layers && !r->stop; i++) {
        attention_half(r, &w->layers[i], thread);
        feed_forward_half(r, &w->layers[i], thread);
    }
    if (!r->stop && r->f->first_logits < r->count)
        head_run(r, thread);
}

static uint32_t number_rows(const struct ew_forward *f)
{
    uint32_t rows = 0;
    for (uint32_t i = 0; i < f->segment_count; i++) {
        const struct ew_segment *s = &f->segments[i];
        EW_ASSERT(s->count >= 1 && s->count <= f->scratch->chunk - rows);
        EW_ASSERT(s->position + s->count <= f->scratch->ctx);
        for (uint32_t t = 0; t < s->count; t++)
            f->scratch->rows[rows++] = (struct ew_row){s->tokens[t], s->position + t, s->pages};
    }
    return rows;
}

int ew_forward_run(const struct ew_forward *forward, struct ew_err *err)
{
    uint32_t rows = number_rows(forward);
    EW_ASSERT(rows && forward->first_logits <= rows);
    EW_ASSERT(forward->each || rows - forward->first_logits <= forward->scratch->logit_rows);
    struct run r = {
        .f = forward, .net = forward->net, .s = forward->scratch, .row1 = rows, .count = rows};
    cut_attention(&r);
    ew_pool_run(forward->net->pool, forward_share, &r);
    if (r.each_result)
        return ew_fail(err, r.each_result, "stopped by its reader");
    if (r.stop || cancelled(&r))
        return ew_fail(err, EW_ECANCELED, "cancelled");
    return 0;
}

int ew_forward_check(const struct ew_scratch *scratch, uint32_t row, uint32_t count,
                     struct ew_err *err)
{
    for (uint32_t i = row; i < row + count; i++)
        if (scratch->damaged[i])
            return ew_fail(err, EW_EFORMAT,
                           "the model computes no numbers (infinite or NaN): its weights are "
                           "damaged");
    return 0;
}
