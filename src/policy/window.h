/* window.h - one exact sliding window: may this much more happen now, and if not, when?
 *
 * The amounts of the last `per_ns` are kept with their times and added up, so in no stretch of that
 * length is more than `max` admitted. A window that starts anew each minute would let twice as much
 * through around its edge; a token bucket can't tell the exact time after which to try again.
 *
 * An amount is reserved when a request is admitted, at the most it may become, and settled when it
 * is known. Times may be given in any order that doesn't go back; one that does is taken as the
 * latest seen (a clock that jumped must not open the window).
 *
 * Of what was admitted before (by a server that was restarted) the caller tells how long ago it
 * was: a machine's clock may have begun since. Of such entries only differences of times are right.
 *
 * Exact as long as the entries suffice: for amounts of 1 (requests) `max` of them always do. When
 * they are all in use, neighbours are joined, and with many amounts they leave up to 2/capacity of
 * the window's length later than they might, never earlier. Pure: the caller owns the memory of the
 * entries. */
#ifndef EW_WINDOW_H
#define EW_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ew_window_entry {
    uint64_t at_ns;
    double amount;
    uint64_t last; /* number of the last reservation that it holds */
};

struct ew_window {
    double max;
    double sum;      /* of the entries */
    uint64_t now_ns; /* the latest time seen */
    uint64_t per_ns;
    struct ew_window_entry *entries; /* borrowed; a ring */
    size_t capacity, first, count;
    size_t hollow;    /* of these, that hold nothing: they were settled at 0 */
    uint64_t numbers; /* reservations so far */
    uint64_t gone;    /* number of the last one that has left */
};

#define EW_WINDOW_NEVER UINT64_MAX

/* capacity >= 1; for windows of requests `max` entries make it exact. */
void ew_window_init(struct ew_window *window, double max, uint64_t per_ns,
                    struct ew_window_entry *entries, size_t capacity);

/* How much of it is taken at that time. */
double ew_window_used(struct ew_window *window, uint64_t now_ns);

/* Nanoseconds until `amount` will fit if nothing else comes: 0 now, EW_WINDOW_NEVER where it is
 * more than the window ever admits. */
uint64_t ew_window_wait_for_room_ns(struct ew_window *window, double amount, uint64_t now_ns);
static inline uint64_t ew_window_wait_ns(struct ew_window *window, double amount, uint64_t now_ns)
{
    window->now_ns = now_ns > window->now_ns ? now_ns : window->now_ns;
    if (window->sum + amount <= window->max) /* even with what should have left: nearly always */
        return 0;
    return ew_window_wait_for_room_ns(window, amount, now_ns);
}

/* Nanoseconds until all that is taken has left, if nothing else comes. */
uint64_t ew_window_rest_ns(struct ew_window *window, uint64_t now_ns);

/* Takes the amount; whether it fits was asked before. Gives the reservation's number for settle. */
uint64_t ew_window_reserve(struct ew_window *window, double amount, uint64_t now_ns);

/* What was taken so long ago, before this window was there. The oldest first, and all before
 * anything is reserved; one that is out of order counts as the youngest so far. */
void ew_window_restore(struct ew_window *window, double amount, uint64_t age_ns, uint64_t now_ns);

/* What was reserved has become `actual`; its time stays that of the reservation. What has left the
 * window by now changes nothing. */
void ew_window_settle(struct ew_window *window, uint64_t number, double reserved, double actual,
                      uint64_t now_ns);

#endif
