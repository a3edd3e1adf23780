/* grammar_walk.c - stacks of automaton states, from byte to byte.
 *
 * A walk follows several ways to read the text at once, each a stack. Stacks are linked frames, so
 * that ways share what they have in common and a step back is a count. One that needs more calls
 * inside each other than there is room for isn't begun. */
#include "model/grammar_int.h"

#include <string.h>

/* Whether a state can be entered with so many frames below. */
static bool fits(struct gr_walk *w, uint32_t depth, uint32_t state)
{
    uint32_t reach = depth + w->dfa->states[state].need;
    if (reach > w->reach)
        w->reach = reach;
    return reach < EW_GRAMMAR_DEPTH_MAX;
}

/* `to` above a frame that goes on as `after`. */
static bool push(struct gr_walk *w, const struct gr_top *from, uint16_t after, uint16_t count,
                 uint16_t to, struct gr_top *out)
{
    *out = (struct gr_top){from->below, to, 0, from->depth};
    if (w->dfa->states[after].flags == GR_ACCEPTS ||
        w->dfa->states[after].flags == (GR_ACCEPTS | GR_THIN))
        return fits(w, from->depth, to); /* nothing would be left to do there */
    if (w->frame_count == GR_FRAMES_MAX || !fits(w, from->depth, after) ||
        !fits(w, from->depth + 1, to))
        return false;
    w->frames[w->frame_count] = (struct gr_below){from->below, after, count};
    out->below = w->frame_count++;
    out->depth++;
    return true;
}

static void note_end(struct gr_walk *w, uint32_t below)
{
    w->ended |= below == GR_BELOW_END;
    w->left |= below == GR_BELOW_BASE;
}

static bool pop(struct gr_walk *w, const struct gr_top *from, struct gr_top *out)
{
    if (from->below >= GR_BELOW_BASE)
        return false;
    const struct gr_below *f = &w->frames[from->below];
    *out = (struct gr_top){f->below, f->state, f->count, from->depth - 1};
    return true;
}

uint32_t ew__gr_expand(struct gr_walk *w, const struct gr_top *tops, uint32_t count,
                       struct gr_top ready[GR_READY_MAX])
{
    const struct gr_state *states = w->dfa->states;
    struct gr_top work[GR_READY_MAX];
    uint32_t ready_count = 0, n = count;
    w->ended = w->left = false;
    if (count == 1 && (states[tops->state].flags & ~GR_THIN) == GR_HAS_BYTES) {
        ready[0] = tops[0];
        return 1;
    }
    memcpy(work, tops, count * sizeof *work);
    for (uint32_t i = 0; i < n; i++) {
        const struct gr_top top = work[i];
        const struct gr_state *s = &states[top.state];
        bool returns = s->flags & GR_ACCEPTS;
        if (s->flags & GR_HAS_BYTES && ready_count < GR_READY_MAX)
            ready[ready_count++] = top;
        for (uint32_t k = 0; k < s->call_count && n < GR_READY_MAX; k++) {
            const struct gr_call *call = &w->dfa->calls[s->calls + k];
            n += push(w, &top, call->after, 0, call->start, &work[n]);
        }
        if (s->flags & GR_REPEATS) {
            returns = top.count >= s->min;
            bool endless = s->max == GRAMMAR_NO_MAX;
            uint16_t more = endless && returns ? top.count : (uint16_t)(top.count + 1);
            if ((endless || top.count < s->max) && n < GR_READY_MAX)
                n += push(w, &top, top.state, more, s->inner, &work[n]);
        }
        if (returns && top.below >= GR_BELOW_BASE)
            note_end(w, top.below);
        else if (returns && n < GR_READY_MAX)
            n += pop(w, &top, &work[n]);
    }
    return ready_count;
}

uint32_t ew__gr_step(struct gr_walk *w, const struct gr_top *ready, uint32_t count, uint32_t class,
                     struct gr_top *tops)
{
    const struct gr_dfa *dfa = w->dfa;
    uint32_t n = 0;
    for (uint32_t i = 0; i < count && n < EW_GRAMMAR_PATHS_MAX; i++) {
        uint16_t next = dfa->next[(size_t)ready[i].state * dfa->class_count + class];
        if (!next || !fits(w, ready[i].depth, next))
            continue;
        struct gr_top top = {ready[i].below, next, 0, ready[i].depth};
        while ((dfa->states[top.state].flags & ~GR_THIN) == GR_ACCEPTS && pop(w, &top, &top))
            ;
        bool known = false;
        for (uint32_t k = 0; k < n && !known; k++)
            known = tops[k].below == top.below && tops[k].state == top.state &&
                    tops[k].count == top.count;
        if (!known)
            tops[n++] = top;
    }
    return n;
}

struct gr_top ew__gr_load(struct gr_walk *w, const struct ew_grammar_frame *frames, uint32_t count,
                          uint32_t below)
{
    uint32_t depth = 0;
    for (; depth + 1 < count; depth++) {
        w->frames[w->frame_count] =
            (struct gr_below){below, frames[depth].state, frames[depth].count};
        below = w->frame_count++;
    }
    return (struct gr_top){below, frames[depth].state, frames[depth].count, depth};
}

void ew__gr_store(const struct gr_walk *w, const struct gr_top *top, struct ew_grammar_path *path)
{
    uint32_t at = top->depth, below = top->below;
    path->depth = at + 1;
    path->frames[at] = (struct ew_grammar_frame){top->state, top->count};
    while (at-- > 0) {
        const struct gr_below *f = &w->frames[below];
        path->frames[at] = (struct ew_grammar_frame){f->state, f->count};
        below = f->below;
    }
}
