/* test_spool.c - rows come out as they went in, in order, within the limits. */
#include "ledger/spool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct ew_record row_of(int n, int prompt_bytes)
{
    struct ew_record record;
    ew_record_init(&record);
    snprintf(record.request_id, sizeof record.request_id, "req-%d", n);
    record.status = n;
    record.total_ms = n / 2.0;
    memset(record.prompt, 'p', (size_t)prompt_bytes);
    record.prompt[prompt_bytes] = '\0';
    return record;
}

/* Gathers the columns into a record again. */
static int gather(void *user, int column, union ew_spool_value value)
{
    char *to = (char *)user + ew_record_fields[column].offset;
    switch (ew_record_fields[column].kind) {
    case EW_RECORD_TEXT:
        assert_int_equal(value.text.data[value.text.bytes], '\0');
        snprintf(to, ew_record_fields[column].size, "%s", value.text.data);
        break;
    case EW_RECORD_INT:
        memcpy(to, &value.integer, sizeof value.integer);
        break;
    case EW_RECORD_REAL:
        memcpy(to, &value.real, sizeof value.real);
        break;
    }
    return 0;
}

static void assert_row(const struct ew_spool_row *row, const struct ew_record *wanted)
{
    struct ew_record got;
    ew_record_init(&got);
    assert_non_null(row);
    assert_int_equal(ew_spool_columns(row, gather, &got), 0);
    assert_string_equal(got.request_id, wanted->request_id);
    assert_string_equal(got.prompt, wanted->prompt);
    assert_string_equal(got.client, wanted->client);
    assert_int_equal(got.status, wanted->status);
    assert_int_equal(got.stream, wanted->stream);
    assert_memory_equal(&got.total_ms, &wanted->total_ms, sizeof got.total_ms);
    assert_true(isnan(got.energy_j));
}

static void test_rows_come_out_as_they_went_in_across_chunks(void **state)
{
    (void)state;
    struct ew_spool spool;
    int put = 0, taken = 0;
    ew_spool_init(&spool, 100000, 16u << 20);
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < round % 23; i++, put++) {
            struct ew_record record = row_of(put, put * 37 % 4096);
            assert_true(ew_spool_put(&spool, &record, NULL, (uint64_t)put));
        }
        struct ew_spool_cursor walk = ew_spool_walk(&spool, (size_t)(round * 7 % 19));
        size_t rows = walk.rows;
        for (struct ew_spool_row *row; (row = ew_spool_next(&walk)); taken++) {
            struct ew_record wanted = row_of(taken, taken * 37 % 4096);
            assert_row(row, &wanted);
            assert_int_equal(row->put_ns, taken);
        }
        ew_spool_drop(&spool, rows);
        assert_int_equal(spool.rows, put - taken);
    }
    assert_true(put > 3000 && taken > 2000);
    ew_spool_fini(&spool);
}

static void test_the_limit_of_rows_is_exact(void **state)
{
    (void)state;
    struct ew_spool spool;
    struct ew_record record = row_of(1, 10);
    ew_spool_init(&spool, 5, 1u << 20);
    for (int i = 0; i < 5; i++)
        assert_true(ew_spool_put(&spool, &record, NULL, 0));
    assert_false(ew_spool_put(&spool, &record, NULL, 0));
    ew_spool_drop(&spool, 2);
    assert_true(ew_spool_put(&spool, &record, NULL, 0));
    assert_int_equal(spool.rows, 4);
    ew_spool_fini(&spool);
}

static void test_the_limit_of_bytes_holds_and_room_comes_back(void **state)
{
    (void)state;
    struct ew_spool spool;
    struct ew_record record = row_of(1, 4000);
    ew_spool_init(&spool, 100000, 3 * EW_SPOOL_CHUNK_BYTES);
    size_t fit = 0;
    while (ew_spool_put(&spool, &record, NULL, 0))
        fit++;
    assert_int_equal(spool.chunks, 3);
    assert_in_range(fit, 3 * 14, 3 * 16);
    ew_spool_drop(&spool, fit);
    assert_int_equal(spool.rows, 0);
    assert_int_equal(spool.chunks, 0);
    for (size_t i = 0; i < fit; i++)
        assert_true(ew_spool_put(&spool, &record, NULL, 0));
    assert_false(ew_spool_put(&spool, &record, NULL, 0));
    ew_spool_fini(&spool);
}

static void test_twenty_thousand_rows_take_a_few_megabytes(void **state)
{
    (void)state;
    struct ew_spool spool;
    struct ew_record record = row_of(123456, 0);
    snprintf(record.client, sizeof record.client, "kiosk-in-the-hall");
    snprintf(record.peer, sizeof record.peer, "2001:db8::ff00:42:8329");
    snprintf(record.route, sizeof record.route, "/v1/chat/completions");
    snprintf(record.model, sizeof record.model, "qwen2.5-coder-0.5b");
    ew_spool_init(&spool, 20000, 32u << 20);
    for (int i = 0; i < 20000; i++)
        assert_true(ew_spool_put(&spool, &record, NULL, 0));
    assert_true(spool.chunks * EW_SPOOL_CHUNK_BYTES < 7u << 20);
    ew_spool_fini(&spool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_come_out_as_they_went_in_across_chunks),
        cmocka_unit_test(test_the_limit_of_rows_is_exact),
        cmocka_unit_test(test_the_limit_of_bytes_holds_and_room_comes_back),
        cmocka_unit_test(test_twenty_thousand_rows_take_a_few_megabytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
