/* spool.c - packs rows into chunks and walks over them.
 *
 * A row is its header and then, for each column, eight bytes of a number or two bytes of length,
 * the text and a NUL. A header of 0 bytes ends a chunk that has a successor; the reader follows
 * `next` only behind one, and both were written before the snapshot it walks by was taken. */
#include "ledger/spool.h"

#include <stdlib.h>
#include <string.h>

struct ew_spool_chunk {
    struct ew_spool_chunk *next;
    _Alignas(8) char bytes[EW_SPOOL_CHUNK_BYTES];
};

enum {
    HEADER = sizeof(struct ew_spool_row),
    LENGTH = sizeof(uint16_t), /* in front of a text */
};

/* The longest row and the mark behind it fit a chunk. */
_Static_assert(sizeof(struct ew_record) + (LENGTH + 1) * EW_RECORD_FIELD_COUNT + 3 * HEADER <
                   EW_SPOOL_CHUNK_BYTES,
               "a chunk is too small for a row");

void ew_spool_init(struct ew_spool *spool, size_t rows_max, size_t bytes_max)
{
    size_t chunks = bytes_max / EW_SPOOL_CHUNK_BYTES;
    *spool = (struct ew_spool){.rows_max = rows_max, .chunks_max = chunks ? chunks : 1};
}

void ew_spool_fini(struct ew_spool *spool)
{
    for (struct ew_spool_chunk *at = spool->head, *next; at; at = next) {
        next = at->next;
        free(at);
    }
    free(spool->spare);
    ew_spool_init(spool, spool->rows_max, spool->chunks_max * EW_SPOOL_CHUNK_BYTES);
}

static bool add_chunk(struct ew_spool *spool)
{
    if (spool->chunks == spool->chunks_max)
        return false;
    struct ew_spool_chunk *chunk = spool->spare ? spool->spare : malloc(sizeof *chunk);
    if (!chunk)
        return false;
    spool->spare = NULL;
    chunk->next = NULL;
    if (spool->tail) {
        struct ew_spool_row end = {0};
        memcpy(spool->tail->bytes + spool->filled, &end, sizeof end);
        spool->tail->next = chunk;
    } else {
        spool->head = chunk;
        spool->read = 0;
    }
    spool->tail = chunk;
    spool->filled = 0;
    spool->chunks++;
    return true;
}

static size_t packed_bytes(const struct ew_record *record, uint16_t *lengths)
{
    size_t bytes = HEADER;
    for (size_t i = 0; i < EW_RECORD_FIELD_COUNT; i++) {
        bytes += sizeof(int64_t);
        if (ew_record_fields[i].kind != EW_RECORD_TEXT)
            continue;
        lengths[i] = (uint16_t)strnlen(ew_record_text(record, i), ew_record_fields[i].size - 1);
        bytes += LENGTH + lengths[i] + 1 - sizeof(int64_t);
    }
    return (bytes + 7) & ~(size_t)7;
}

static void pack(char *to, const struct ew_record *record, const uint16_t *lengths)
{
    for (size_t i = 0; i < EW_RECORD_FIELD_COUNT; i++) {
        const char *from = ew_record_text(record, i);
        if (ew_record_fields[i].kind != EW_RECORD_TEXT) {
            memcpy(to, from, sizeof(int64_t));
            to += sizeof(int64_t);
            continue;
        }
        memcpy(to, &lengths[i], LENGTH);
        memcpy(to + LENGTH, from, lengths[i]);
        to[LENGTH + lengths[i]] = '\0';
        to += LENGTH + lengths[i] + 1;
    }
}

bool ew_spool_put(struct ew_spool *spool, const struct ew_record *record, void *token,
                  uint64_t now_ns)
{
    uint16_t lengths[EW_RECORD_FIELD_COUNT] = {0};
    if (spool->rows == spool->rows_max)
        return false;
    size_t bytes = packed_bytes(record, lengths);
    if ((!spool->tail || spool->filled + bytes + HEADER > EW_SPOOL_CHUNK_BYTES) &&
        !add_chunk(spool))
        return false;
    struct ew_spool_row row = {.bytes = (uint32_t)bytes, .token = token, .put_ns = now_ns};
    char *to = spool->tail->bytes + spool->filled;
    memcpy(to, &row, sizeof row);
    pack(to + HEADER, record, lengths);
    spool->filled += bytes;
    spool->rows++;
    return true;
}

static struct ew_spool_row *row_at(struct ew_spool_chunk *chunk, size_t at)
{
    return (struct ew_spool_row *)(void *)(chunk->bytes + at);
}

struct ew_spool_cursor ew_spool_walk(const struct ew_spool *spool, size_t rows_max)
{
    size_t rows = spool->rows < rows_max ? spool->rows : rows_max;
    return (struct ew_spool_cursor){spool->head, spool->read, rows};
}

struct ew_spool_row *ew_spool_next(struct ew_spool_cursor *cursor)
{
    if (cursor->rows == 0)
        return NULL;
    struct ew_spool_row *row = row_at(cursor->chunk, cursor->at);
    if (row->bytes == 0) {
        cursor->chunk = cursor->chunk->next;
        cursor->at = 0;
        row = row_at(cursor->chunk, 0);
    }
    cursor->at += row->bytes;
    cursor->rows--;
    return row;
}

static void drop_head(struct ew_spool *spool)
{
    struct ew_spool_chunk *old = spool->head;
    spool->head = old->next;
    spool->tail = spool->head ? spool->tail : NULL;
    spool->read = 0;
    spool->chunks--;
    free(spool->spare);
    spool->spare = old;
}

void ew_spool_drop(struct ew_spool *spool, size_t rows)
{
    EW_ASSERT(rows <= spool->rows);
    struct ew_spool_cursor cursor = ew_spool_walk(spool, rows);
    while (ew_spool_next(&cursor))
        ;
    while (spool->head != cursor.chunk)
        drop_head(spool);
    spool->read = cursor.at;
    spool->rows -= rows;
    if (spool->rows == 0 && spool->head)
        drop_head(spool);
}

int ew_spool_columns(const struct ew_spool_row *row,
                     int (*take)(void *user, int column, union ew_spool_value value), void *user)
{
    const char *at = (const char *)row + HEADER;
    int rc = 0;
    for (int i = 0; rc == 0 && i < EW_RECORD_FIELD_COUNT; i++) {
        union ew_spool_value value;
        uint16_t length;
        switch (ew_record_fields[i].kind) {
        case EW_RECORD_TEXT:
            memcpy(&length, at, LENGTH);
            value.text = (struct ew_str){at + LENGTH, length};
            at += LENGTH + length + 1;
            break;
        case EW_RECORD_INT:
            memcpy(&value.integer, at, sizeof value.integer);
            at += sizeof value.integer;
            break;
        case EW_RECORD_REAL:
            memcpy(&value.real, at, sizeof value.real);
            at += sizeof value.real;
            break;
        }
        rc = take(user, i, value);
    }
    return rc;
}
