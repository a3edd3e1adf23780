/* window.c - a ring of what was admitted, oldest first. */
#include "policy/window.h"

void ew_window_init(struct ew_window *window, double max, uint64_t per_ns,
                    struct ew_window_entry *entries, size_t capacity)
{
    *window =
        (struct ew_window){.max = max, .per_ns = per_ns, .entries = entries, .capacity = capacity};
}

static struct ew_window_entry *entry(const struct ew_window *w, size_t index)
{
    size_t at = w->first + index;
    return &w->entries[at < w->capacity ? at : at - w->capacity];
}

/* Added up anew from what is there: subtracting would leave a rest of rounding for ever. */
static void add_up(struct ew_window *w)
{
    w->sum = 0;
    for (size_t i = 0; i < w->count; i++)
        w->sum += entry(w, i)->amount;
}

/* An entry counts while it is younger than the window is long. */
static void forget(struct ew_window *w, uint64_t now_ns)
{
    w->now_ns = now_ns > w->now_ns ? now_ns : w->now_ns;
    size_t before = w->count;
    while (w->count && w->now_ns - w->entries[w->first].at_ns >= w->per_ns) {
        w->sum -= w->entries[w->first].amount;
        w->gone = w->entries[w->first].last;
        w->hollow -= w->entries[w->first].amount <= 0;
        w->first = w->first + 1 < w->capacity ? w->first + 1 : 0;
        w->count--;
    }
    if (w->count == 0)
        w->sum = 0;
    else if (w->count < before && w->first == 0) /* once a round: cheap, and errors don't gather */
        add_up(w);
}

double ew_window_used(struct ew_window *window, uint64_t now_ns)
{
    forget(window, now_ns);
    return window->sum;
}

uint64_t ew_window_wait_for_room_ns(struct ew_window *window, double amount, uint64_t now_ns)
{
    struct ew_window *w = window;
    if (amount > w->max)
        return EW_WINDOW_NEVER;
    forget(w, now_ns);
    if (w->sum + amount <= w->max)
        return 0;
    double left = w->sum;
    for (size_t i = 0; i < w->count; i++) {
        left -= entry(w, i)->amount;
        if (i + 1 == w->count)
            left = 0;
        if (left + amount <= w->max)
            return entry(w, i)->at_ns + w->per_ns - w->now_ns;
    }
    return EW_WINDOW_NEVER;
}

uint64_t ew_window_rest_ns(struct ew_window *window, uint64_t now_ns)
{
    struct ew_window *w = window;
    forget(w, now_ns);
    return w->count ? entry(w, w->count - 1)->at_ns + w->per_ns - w->now_ns : 0;
}

/* Entries in the same cell of a grid become one, with the later time; what was given back wholly
 * goes. Cells stand still: however often it is done, no amount leaves later than its cell does. Who
 * settles an entry that was joined finds the next younger one. */
static void join(struct ew_window *w, uint64_t cell_ns)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->count; i++) {
        struct ew_window_entry next = *entry(w, i);
        const struct ew_window_entry *before = kept ? entry(w, kept - 1) : NULL;
        if (before && (before->amount <= 0 || before->at_ns / cell_ns == next.at_ns / cell_ns)) {
            next.amount += before->amount;
            kept--;
        }
        *entry(w, kept++) = next;
    }
    w->count = kept;
    w->hollow = entry(w, kept - 1)->amount <= 0;
}

static void change(struct ew_window *w, struct ew_window_entry *e, double by)
{
    w->hollow -= e->amount <= 0;
    e->amount += by;
    w->hollow += e->amount <= 0;
    w->sum += by;
}

static uint64_t put(struct ew_window *w, double amount, uint64_t at_ns)
{
    uint64_t number = ++w->numbers;
    if (w->count == w->capacity && w->hollow)
        join(w, 1);
    if (w->count == w->capacity) /* then half of them are free: not each request does this */
        join(w, w->per_ns / w->capacity * 2 + 1);
    if (w->count == w->capacity) {
        struct ew_window_entry *newest = entry(w, w->count - 1);
        newest->at_ns = at_ns;
        newest->last = number;
        change(w, newest, amount);
    } else {
        *entry(w, w->count) = (struct ew_window_entry){.at_ns = at_ns, .last = number};
        w->count++;
        w->hollow++;
        change(w, entry(w, w->count - 1), amount);
    }
    return number;
}

uint64_t ew_window_reserve(struct ew_window *window, double amount, uint64_t now_ns)
{
    forget(window, now_ns);
    return put(window, amount, window->now_ns);
}

void ew_window_restore(struct ew_window *window, double amount, uint64_t age_ns, uint64_t now_ns)
{
    struct ew_window *w = window;
    forget(w, now_ns);
    if (w->count && age_ns > w->now_ns - entry(w, w->count - 1)->at_ns)
        age_ns = w->now_ns - entry(w, w->count - 1)->at_ns;
    if (age_ns < w->per_ns)
        (void)put(w, amount, w->now_ns - age_ns);
}

/* The entry that holds the reservation: numbers ascend, so it is the first whose last isn't below.
 * Older ones have left. */
static struct ew_window_entry *find(const struct ew_window *w, uint64_t number)
{
    size_t low = 0, high = w->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (entry(w, middle)->last < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < w->count ? entry(w, low) : NULL;
}

void ew_window_settle(struct ew_window *window, uint64_t number, double reserved, double actual,
                      uint64_t now_ns)
{
    struct ew_window *w = window;
    forget(w, now_ns);
    struct ew_window_entry *holder = number > w->gone ? find(w, number) : NULL;
    if (holder)
        change(w, holder, actual - reserved);
}
