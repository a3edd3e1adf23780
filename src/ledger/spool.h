/* spool.h - rows that wait to be written: a bounded queue, packed.
 *
 * A struct ew_record is 10 KB, most of it room for texts that are short; packed a row takes some
 * 300 bytes, and its decision 50 to 200 for each device and cloud. Chunks of EW_SPOOL_CHUNK_BYTES
 * are linked; a row once put never moves, so the writer reads rows that it saw without the lock
 * that guards putting and dropping (the owner's: nothing here locks). */
#ifndef EW_SPOOL_H
#define EW_SPOOL_H

#include "flow/record.h"

enum { EW_SPOOL_CHUNK_BYTES = 64 << 10 };

struct ew_spool_chunk;

struct ew_spool {
    size_t rows_max, chunks_max;
    size_t rows, chunks;
    struct ew_spool_chunk *head, *tail; /* owned; head has the oldest row */
    struct ew_spool_chunk *spare;       /* owned; so that an idle-busy-idle server doesn't malloc */
    size_t read, filled;                /* bytes of head dropped, of tail used */
};

struct ew_spool_row { /* fields follow, in the order of the columns */
    uint32_t bytes;   /* with this header; 0: the chunk has no more */
    uint32_t unused;
    void *token; /* the writer's to clear */
    uint64_t put_ns;
};

/* A walk over the first `rows` rows; owned by the writer. */
struct ew_spool_cursor {
    struct ew_spool_chunk *chunk;
    size_t at, rows;
};

/* One column's value, borrowed from the row. */
union ew_spool_value {
    struct ew_str text; /* followed by NUL */
    int64_t integer;
    double real;
};

void ew_spool_init(struct ew_spool *spool, size_t rows_max, size_t bytes_max);
void ew_spool_fini(struct ew_spool *spool);
/* False: full, or no memory. */
bool ew_spool_put(struct ew_spool *spool, const struct ew_record *record, void *token,
                  uint64_t now_ns);
struct ew_spool_cursor ew_spool_walk(const struct ew_spool *spool, size_t rows_max);
/* NULL after the last. Needs no lock against ew_spool_put. */
struct ew_spool_row *ew_spool_next(struct ew_spool_cursor *cursor);
/* Forgets the oldest. */
void ew_spool_drop(struct ew_spool *spool, size_t rows);

/* Calls `take` for every column of a row, in order; what it returns ends the walk unless 0. */
int ew_spool_columns(const struct ew_spool_row *row,
                     int (*take)(void *user, int column, union ew_spool_value value), void *user);

#endif
