/* grammar_dfa.c - deterministic automata of the rules, by sets of nodes.
 *
 * Each rule has its own; a call of another rule stays a call. Made whole at open, since only the
 * whole tells two things: which states can't reach an end (they are removed, so that no answer runs
 * into one), and how many calls inside each other an end takes from each state (so that the bound
 * of depth is no dead end either). Work is counted: a schema that would explode is refused. */
#include "model/grammar_int.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = 1 << 17, NEED_NONE = 255, PASSES_MAX = 200 };

struct made {
    struct gr_builder *b;
    struct gr_dfa *dfa;
    struct ew_err *err;
    uint32_t *sets; /* nodes of all states, one state's after another's */
    uint32_t set_used, set_capacity;
    uint32_t *from; /* of a state: its first; [state_count + 1] */
    uint32_t *slots;
    uint32_t *stamp, stamp_now; /* of a node: seen in the closure under way */
    uint32_t *stack, *list;     /* [node_count] */
    uint32_t list_count;
    uint32_t call_capacity;
    uint64_t work;
};

static int too_large(const struct made *m, const char *what, uint64_t max)
{
    return ew_fail(m->err, EW_ELIMIT, "the schema's automaton is too large: more than %llu %s",
                   (unsigned long long)max, what);
}

static void begin(struct made *m)
{
    m->stamp_now++;
    m->list_count = 0;
}

/* Adds what `node` leads to without a byte. */
static void close_over(struct made *m, uint32_t node)
{
    uint32_t depth = 0;
    if (!node || m->stamp[node] == m->stamp_now)
        return;
    m->stamp[node] = m->stamp_now;
    m->stack[depth++] = node;
    while (depth) {
        node = m->stack[--depth];
        const struct gr_node *n = &m->b->nodes[node];
        m->work++;
        if (n->kind != GR_SPLIT) {
            m->list[m->list_count++] = node;
            continue;
        }
        for (int i = 0; i < 2; i++) {
            uint32_t to = i ? n->a : n->b;
            if (to && m->stamp[to] != m->stamp_now) {
                m->stamp[to] = m->stamp_now;
                m->stack[depth++] = to;
            }
        }
    }
}

static int by_number(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return (a > b) - (a < b);
}

static int grow_sets(struct made *m)
{
    if (m->set_used + m->list_count <= m->set_capacity)
        return 0;
    if (m->set_used + m->list_count > GRAMMAR_SETS_MAX)
        return too_large(m, "nodes in its states", GRAMMAR_SETS_MAX);
    uint32_t capacity = 2 * (m->set_used + m->list_count);
    uint32_t *sets = realloc(m->sets, capacity * sizeof *sets);
    if (!sets)
        return ew_fail(m->err, EW_ENOMEM, "no memory for a grammar");
    m->sets = sets;
    m->set_capacity = capacity;
    return 0;
}

/* The state that stands for the list, a new one if need be. */
static int intern(struct made *m, uint16_t *out)
{
    uint64_t hash = 0xcbf29ce484222325u;
    *out = 0;
    if (!m->list_count)
        return 0;
    qsort(m->list, m->list_count, sizeof *m->list, by_number);
    for (uint32_t i = 0; i < m->list_count; i++)
        hash = (hash ^ m->list[i]) * 0x100000001b3u;
    m->work += 2 * (uint64_t)m->list_count;
    if (m->work > GRAMMAR_WORK_MAX)
        return too_large(m, "steps to make it", GRAMMAR_WORK_MAX);
    uint32_t slot = (uint32_t)(hash ^ hash >> 32) % SLOTS;
    for (; m->slots[slot]; slot = (slot + 1) % SLOTS) {
        uint32_t state = m->slots[slot], from = m->from[state];
        if (m->from[state + 1] - from == m->list_count &&
            !memcmp(m->sets + from, m->list, m->list_count * sizeof *m->list)) {
            *out = (uint16_t)state;
            return 0;
        }
    }
    if (m->dfa->state_count == GRAMMAR_STATES_MAX ||
        (m->dfa->state_count + 1) * m->dfa->class_count > GRAMMAR_TABLE_MAX)
        return too_large(m, "states", m->dfa->state_count);
    int code = grow_sets(m);
    if (code)
        return code;
    uint32_t state = m->dfa->state_count++;
    memcpy(m->sets + m->set_used, m->list, m->list_count * sizeof *m->list);
    m->set_used += m->list_count;
    m->from[state + 1] = m->set_used;
    m->slots[slot] = state;
    *out = (uint16_t)state;
    return 0;
}

/* ---- the edges of one state ---- */

/* Nodes that a byte of each class leads to, class by class. */
struct targets {
    uint32_t from[257];
    uint32_t *nodes;
};

static int collect(struct made *m, const uint32_t *set, uint32_t count, struct targets *t)
{
    const uint8_t *classes = m->dfa->classes;
    uint32_t total = 0, at[257];
    memset(t->from, 0, sizeof t->from);
    for (uint32_t i = 0; i < count; i++) {
        const struct gr_node *n = &m->b->nodes[set[i]];
        for (unsigned c = classes[n->lo]; n->kind == GR_RANGE && c <= classes[n->hi]; c++, total++)
            t->from[c + 1]++;
    }
    for (uint32_t c = 0; c < 256; c++)
        t->from[c + 1] += t->from[c];
    m->work += total;
    t->nodes = malloc((total + 1) * sizeof *t->nodes);
    if (!t->nodes)
        return ew_fail(m->err, EW_ENOMEM, "no memory for a grammar");
    memcpy(at, t->from, sizeof at);
    for (uint32_t i = 0; i < count; i++) {
        const struct gr_node *n = &m->b->nodes[set[i]];
        for (unsigned c = classes[n->lo]; n->kind == GR_RANGE && c <= classes[n->hi]; c++)
            t->nodes[at[c]++] = n->a;
    }
    return 0;
}

static int add_bytes(struct made *m, uint32_t state, const struct targets *t)
{
    uint16_t *row = m->dfa->next + (size_t)state * m->dfa->class_count;
    int code = 0;
    for (uint32_t c = 0; c < m->dfa->class_count && !code; c++) {
        uint32_t n = t->from[c + 1] - t->from[c], before = c ? t->from[c] - t->from[c - 1] : 0;
        if (!n)
            continue;
        if (n == before &&
            !memcmp(t->nodes + t->from[c], t->nodes + t->from[c - 1], n * sizeof *t->nodes)) {
            row[c] = row[c - 1];
            continue;
        }
        begin(m);
        for (uint32_t i = t->from[c]; i < t->from[c + 1]; i++)
            close_over(m, t->nodes[i]);
        code = intern(m, &row[c]);
    }
    return code;
}

static int add_call(struct made *m, uint32_t rule, uint16_t after)
{
    struct gr_dfa *dfa = m->dfa;
    if (dfa->call_count == m->call_capacity) {
        uint32_t capacity = m->call_capacity ? 2 * m->call_capacity : 256;
        struct gr_call *calls = realloc(dfa->calls, capacity * sizeof *calls);
        if (!calls)
            return ew_fail(m->err, EW_ENOMEM, "no memory for a grammar");
        dfa->calls = calls;
        m->call_capacity = capacity;
    }
    dfa->calls[dfa->call_count++] = (struct gr_call){(uint16_t)rule, after}; /* start: later */
    return 0;
}

/* Calls of the same rule are one, after which all of their ways are open. */
static int add_calls(struct made *m, uint32_t state, uint32_t from, uint32_t to)
{
    struct gr_state *s = &m->dfa->states[state];
    s->calls = m->dfa->call_count;
    for (uint32_t i = from; i < to; i++) {
        const struct gr_node *n = &m->b->nodes[m->sets[i]];
        bool told = n->kind != GR_CALL;
        for (uint32_t k = s->calls; k < m->dfa->call_count && !told; k++)
            told = m->dfa->calls[k].start == n->b;
        if (told)
            continue;
        uint16_t after;
        uint32_t rule = n->b;
        begin(m);
        for (uint32_t k = i; k < to; k++) {
            const struct gr_node *other = &m->b->nodes[m->sets[k]];
            if (other->kind == GR_CALL && other->b == rule)
                close_over(m, other->a);
        }
        m->work += to - i;
        int code = intern(m, &after);
        if (code || (code = add_call(m, rule, after)))
            return code;
    }
    s->call_count = (uint16_t)(m->dfa->call_count - s->calls);
    return 0;
}

static int add_edges(struct made *m, uint32_t state)
{
    struct targets t;
    uint32_t from = m->from[state], to = m->from[state + 1];
    int code = collect(m, m->sets + from, to - from, &t);
    if (!code)
        code = add_bytes(m, state, &t);
    free(t.nodes);
    if (!code)
        code = add_calls(m, state, from, to);
    for (uint32_t i = from; i < to && !code; i++)
        if (m->b->nodes[m->sets[i]].kind == GR_ACCEPT)
            m->dfa->states[state].flags |= GR_ACCEPTS;
    return code;
}

/* A rule that repeats another is one state, which counts. */
static int add_repeat(struct made *m, struct gr_rule *rule)
{
    struct gr_dfa *dfa = m->dfa;
    if (dfa->state_count == GRAMMAR_STATES_MAX)
        return too_large(m, "states", dfa->state_count);
    uint32_t state = dfa->state_count++;
    m->from[state + 1] = m->set_used;
    dfa->states[state] = (struct gr_state){.flags = GR_REPEATS | (rule->thin ? GR_THIN : 0),
                                           .inner = rule->inner,
                                           .min = rule->min,
                                           .max = rule->max};
    rule->start = (uint16_t)state;
    return 0;
}

static int add_rule(struct made *m, struct gr_rule *rule)
{
    uint32_t first = m->dfa->state_count;
    if (rule->repeat)
        return add_repeat(m, rule);
    begin(m);
    close_over(m, rule->node);
    int code = intern(m, &rule->start);
    for (uint32_t s = first; s < m->dfa->state_count && !code; s++) {
        code = add_edges(m, s);
        if (rule->thin)
            m->dfa->states[s].flags |= GR_THIN;
    }
    return code;
}

/* ---- what the whole tells ---- */

static uint32_t need_of(const struct gr_dfa *dfa, uint32_t state)
{
    const struct gr_state *s = &dfa->states[state];
    uint32_t best = s->flags & GR_ACCEPTS ? 0 : NEED_NONE;
    if (s->flags & GR_REPEATS)
        return s->min ? dfa->states[s->inner].need + 1u : 0;
    const uint16_t *row = dfa->next + (size_t)state * dfa->class_count;
    for (uint32_t c = 0; c < dfa->class_count && best; c++)
        if (dfa->states[row[c]].need < best)
            best = dfa->states[row[c]].need;
    for (uint32_t i = 0; i < s->call_count && best; i++) {
        const struct gr_call *call = &dfa->calls[s->calls + i];
        uint32_t in = dfa->states[call->start].need + 1u, after = dfa->states[call->after].need;
        uint32_t need = in > after ? in : after;
        best = need < best ? need : best;
    }
    return best;
}

static int find_needs(struct gr_dfa *dfa, struct ew_err *err)
{
    for (uint32_t s = 0; s < dfa->state_count; s++)
        dfa->states[s].need = NEED_NONE;
    bool changed = true;
    for (int pass = 0; changed; pass++) {
        if (pass == PASSES_MAX)
            return ew_fail(err, EW_ELIMIT,
                           "the schema's automaton is too large: more than %d "
                           "passes to find its ends",
                           PASSES_MAX);
        changed = false;
        for (uint32_t s = dfa->state_count; s-- > 1;) {
            uint32_t need = need_of(dfa, s);
            if (need >= EW_GRAMMAR_DEPTH_MAX || need >= dfa->states[s].need)
                continue;
            dfa->states[s].need = (uint8_t)need;
            changed = true;
        }
    }
    return 0;
}

static void prune(struct gr_dfa *dfa)
{
    for (uint32_t s = 1; s < dfa->state_count; s++) {
        struct gr_state *state = &dfa->states[s];
        uint16_t *row = dfa->next + (size_t)s * dfa->class_count;
        uint32_t kept = 0;
        if (state->flags & GR_REPEATS) {
            if (dfa->states[state->inner].need == NEED_NONE)
                state->max = 0;
            continue;
        }
        for (uint32_t c = 0; c < dfa->class_count; c++) {
            if (dfa->states[row[c]].need == NEED_NONE)
                row[c] = 0;
            if (row[c])
                state->flags |= GR_HAS_BYTES;
        }
        for (uint32_t i = 0; i < state->call_count; i++) {
            struct gr_call call = dfa->calls[state->calls + i];
            if (dfa->states[call.start].need != NEED_NONE &&
                dfa->states[call.after].need != NEED_NONE)
                dfa->calls[state->calls + kept++] = call;
        }
        state->call_count = (uint16_t)kept;
        if (kept)
            state->flags |= GR_HAS_CALLS;
    }
}

/* Bytes that no rule tells apart are one class. */
static void classify(struct gr_dfa *dfa, const struct gr_builder *b)
{
    bool begins[257] = {true};
    for (uint32_t i = 0; i < b->node_count; i++)
        if (b->nodes[i].kind == GR_RANGE)
            begins[b->nodes[i].lo] = begins[b->nodes[i].hi + 1] = true;
    unsigned class = 0;
    for (int i = 0; i < 256; i++) {
        class += i > 0 && begins[i];
        dfa->classes[i] = (uint8_t) class;
    }
    dfa->class_count = class + 1;
}

static int allocate(struct made *m)
{
    struct gr_dfa *dfa = m->dfa;
    uint32_t nodes = m->b->node_count;
    dfa->state_count = 1;
    dfa->states = calloc(GRAMMAR_STATES_MAX, sizeof *dfa->states);
    /* Zeros that nobody touches take no memory. */
    dfa->next = calloc((size_t)GRAMMAR_STATES_MAX * dfa->class_count, sizeof *dfa->next);
    m->from = calloc(GRAMMAR_STATES_MAX + 2, sizeof *m->from);
    m->slots = calloc(SLOTS, sizeof *m->slots);
    m->stamp = calloc(nodes, sizeof *m->stamp);
    m->stack = calloc(nodes, sizeof *m->stack);
    m->list = calloc(nodes, sizeof *m->list);
    return dfa->states && dfa->next && m->from && m->slots && m->stamp && m->stack && m->list
               ? 0
               : ew_fail(m->err, EW_ENOMEM, "no memory for a grammar");
}

/* Rules are numbers until all of them have begun somewhere. */
static void link_rules(struct gr_dfa *dfa, const struct gr_builder *b)
{
    for (uint32_t i = 0; i < dfa->call_count; i++)
        dfa->calls[i].start = b->rules[dfa->calls[i].start].start;
    for (uint32_t s = 1; s < dfa->state_count; s++)
        if (dfa->states[s].flags & GR_REPEATS)
            dfa->states[s].inner = b->rules[dfa->states[s].inner].start;
}

int ew__gr_determine(struct gr_dfa *dfa, struct gr_builder *b, struct ew_err *err)
{
    struct made m = {.b = b, .dfa = dfa, .err = err};
    classify(dfa, b);
    int code = allocate(&m);
    for (uint32_t i = 0; i < b->rule_count && !code; i++)
        code = add_rule(&m, &b->rules[i]);
    free(m.sets);
    free(m.from);
    free(m.slots);
    free(m.stamp);
    free(m.stack);
    free(m.list);
    if (code)
        return code;
    link_rules(dfa, b);
    if ((code = find_needs(dfa, err)))
        return code;
    prune(dfa);
    dfa->root = b->rules[b->rule_count - 1].start;
    dfa->character = b->rules[b->character].start;
    dfa->inside =
        dfa->next[(size_t)b->rules[b->string].start * dfa->class_count + dfa->classes['"']];
    if (dfa->states[dfa->root].need == NEED_NONE)
        return ew_fail(err, EW_EFORMAT, "no JSON matches the schema, or none less than %d deep",
                       EW_GRAMMAR_DEPTH_MAX);
    return 0;
}

void ew__gr_dfa_fini(struct gr_dfa *dfa)
{
    free(dfa->states);
    free(dfa->next);
    free(dfa->calls);
}
