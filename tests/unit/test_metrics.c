/* test_metrics.c - what is counted, in which series, and that the page is Prometheus' text. */
#include "serve/metrics.h"

#include "flow/usage.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ew_usage usage_of(uint32_t in, uint32_t out, uint64_t ttft_ms, uint64_t decode_ms)
{
    struct ew_usage usage = ew_usage_none();
    usage.prompt_tokens = in;
    usage.output_tokens = out;
    usage.ttft_ns = ttft_ms * 1000000;
    usage.decode_ns = decode_ms * 1000000;
    return usage;
}

static char *page_of(const struct ew_metrics *metrics, const struct ew_metrics_now *now)
{
    struct ew_buf out;
    struct ew_err err = {0};
    ew_buf_init(&out, EW_METRICS_TEXT_MAX);
    if (ew_metrics_write(metrics, now, &out, &err))
        fail_msg("%s", err.text);
    return out.data;
}

static void has(const char *page, const char *line)
{
    char whole[600];
    snprintf(whole, sizeof whole, "\n%s\n", line);
    if (!strstr(page, whole))
        fail_msg("not on the page: %s", line);
}

/* A page with something of everything. */
static struct ew_metrics *some(void)
{
    struct ew_metrics *m = NULL;
    assert_int_equal(ew_metrics_open(&m, NULL), 0);
    unsigned a = ew_metrics_model(m, "smollm2-135m"), b = ew_metrics_model(m, "dir/\"x\\y\".gguf");
    assert_int_equal(a, 1);
    assert_int_equal(b, 2);
    struct ew_usage usage = usage_of(100, 11, 50, 200); /* 20 ms a token */
    usage.cached_tokens = 64;
    usage.energy.joules = 2.5;
    usage.energy.kind = EW_ENERGY_MODELLED;
    usage.cost_cents = .25;
    struct ew_metrics_request chat = {EW_METRICS_ROUTE_CHAT, a, 200, 250000000, &usage};
    ew_metrics_count(m, &chat);
    ew_metrics_count(m, &chat);
    struct ew_usage one = usage_of(5, 1, 11000, 0);
    ew_metrics_count(
        m, &(struct ew_metrics_request){EW_METRICS_ROUTE_COMPLETIONS, b, 499, 100000000000, &one});
    ew_metrics_count(m,
                     &(struct ew_metrics_request){.route = EW_METRICS_ROUTE_CHAT, .status = 429});
    ew_metrics_load(m, a, 1.5);
    ew_metrics_load(m, b, NAN);
    ew_metrics_reload(m, false);
    return m;
}

static void test_requests_and_accounts_are_summed(void **state)
{
    (void)state;
    struct ew_metrics *m = some();
    struct ew_metrics_now now = ew_metrics_now_unknown();
    now.queue_waiting = 3;
    now.ledger_lost = 0;
    now.isa = "avx2";
    char *page = page_of(m, &now);
    has(page, "edgewise_http_requests_total{route=\"/v1/chat/completions\",status=\"2xx\"} 2");
    has(page, "edgewise_http_requests_total{route=\"/v1/chat/completions\",status=\"4xx\"} 1");
    has(page, "edgewise_http_requests_total{route=\"/v1/completions\",status=\"499\"} 1");
    has(page, "edgewise_energy_joules_total{kind=\"modelled\"} 5");
    has(page, "edgewise_energy_unknown_requests_total 1");
    has(page, "edgewise_cost_cents_total 0.5");
    has(page, "edgewise_prompt_tokens_total 205");
    has(page, "edgewise_prefix_cached_tokens_total 128");
    has(page, "edgewise_output_tokens_total 23");
    has(page, "edgewise_model_loads_total{model=\"smollm2-135m\",result=\"loaded\"} 1");
    has(page, "edgewise_model_load_seconds_total{model=\"smollm2-135m\"} 1.5");
    has(page, "edgewise_config_reloads_total{result=\"refused\"} 1");
    has(page, "edgewise_queue_requests 3");
    has(page, "edgewise_ledger_rows_lost_total 0");
    assert_null(strstr(page, "edgewise_kv_pages")); /* not known: not there */
    assert_null(strstr(page, "edgewise_ledger_rows_total"));
    assert_null(strstr(page, "nan"));
    free(page);
    ew_metrics_close(&m);
    assert_null(m);
}

#define CHAT_A "gen_ai_operation_name=\"chat\",gen_ai_request_model=\"smollm2-135m\""
#define TEXT_B                                                                                     \
    "gen_ai_operation_name=\"text_completion\",gen_ai_request_model=\"dir/\\\"x\\\\y\\\".gguf\""

static void test_buckets_hold_what_is_at_most_their_bound(void **state)
{
    (void)state;
    struct ew_metrics *m = some();
    struct ew_metrics_now now = ew_metrics_now_unknown();
    char *page = page_of(m, &now);
    has(page, "gen_ai_server_time_to_first_token_seconds_bucket{" CHAT_A ",le=\"0.04\"} 0");
    has(page, "gen_ai_server_time_to_first_token_seconds_bucket{" CHAT_A ",le=\"0.06\"} 2");
    has(page, "gen_ai_server_time_to_first_token_seconds_sum{" CHAT_A "} 0.1");
    has(page, "gen_ai_server_time_per_output_token_seconds_bucket{" CHAT_A ",le=\"0.01\"} 0");
    has(page, "gen_ai_server_time_per_output_token_seconds_bucket{" CHAT_A ",le=\"0.025\"} 2");
    has(page, "gen_ai_server_request_duration_seconds_count{" CHAT_A "} 2");
    /* Above the last bound: in +Inf alone. */
    has(page, "gen_ai_server_time_to_first_token_seconds_bucket{" TEXT_B ",le=\"10\"} 0");
    has(page, "gen_ai_server_time_to_first_token_seconds_bucket{" TEXT_B ",le=\"+Inf\"} 1");
    /* One token has no time per token. */
    assert_null(strstr(page, "gen_ai_server_time_per_output_token_seconds_count{" TEXT_B));
    has(page, "gen_ai_client_token_usage_sum{" TEXT_B ",gen_ai_token_type=\"input\"} 5");
    /* On the bound is within. */
    has(page,
        "gen_ai_client_token_usage_bucket{" TEXT_B ",gen_ai_token_type=\"output\",le=\"1\"} 1");
    free(page);
    ew_metrics_close(&m);
}

static void test_series_do_not_grow_beyond_their_limit(void **state)
{
    (void)state;
    struct ew_metrics *m = NULL;
    assert_int_equal(ew_metrics_open(&m, NULL), 0);
    char name[300];
    for (unsigned i = 1; i < 200; i++) {
        snprintf(name, sizeof name, "model-%u", i);
        unsigned index = ew_metrics_model(m, name);
        assert_int_equal(index, i < EW_METRICS_MODELS_MAX ? i : 0);
        assert_int_equal(ew_metrics_model(m, name), index);
    }
    ew_metrics_close(&m);
    assert_int_equal(ew_metrics_open(&m, NULL), 0);
    name[0] = 'a'; /* a label is cut between characters: two bytes each */
    for (size_t i = 1; i + 1 < sizeof name; i += 2)
        memcpy(name + i, "\xc3\xbc", 3);
    assert_int_equal(ew_metrics_model(m, name), 1);
    ew_metrics_load(m, 1, 1);
    struct ew_metrics_now now = ew_metrics_now_unknown();
    char *page = page_of(m, &now), *label = strstr(page, "model=\"a");
    assert_non_null(label);
    size_t bytes = strcspn(label + strlen("model=\"a"), "\"");
    assert_in_range(bytes, 100, 126);
    assert_int_equal(bytes % 2, 0);
    free(page);
    ew_metrics_close(&m);
}

static void test_paths_have_a_route_whatever_they_are(void **state)
{
    (void)state;
    assert_int_equal(ew_metrics_route("/v1/chat/completions"), EW_METRICS_ROUTE_CHAT);
    assert_int_equal(ew_metrics_route("/v1/models/x"), EW_METRICS_ROUTE_MODELS);
    assert_int_equal(ew_metrics_route("/api/chat"), EW_METRICS_ROUTE_OLLAMA_CHAT);
    assert_int_equal(ew_metrics_route("/api/tags"), EW_METRICS_ROUTE_OLLAMA);
    assert_int_equal(ew_metrics_route("/ready"), EW_METRICS_ROUTE_HEALTH);
    assert_int_equal(ew_metrics_route("other"), EW_METRICS_ROUTE_OTHER);
    assert_int_equal(ew_metrics_route(""), EW_METRICS_ROUTE_OTHER);
    assert_int_equal(ew_metrics_route("/\"}evil"), EW_METRICS_ROUTE_OTHER);
}

static void test_a_page_too_large_is_an_error(void **state)
{
    (void)state;
    struct ew_metrics *m = some();
    struct ew_metrics_now now = ew_metrics_now_unknown();
    struct ew_buf out;
    ew_buf_init(&out, 500);
    assert_int_equal(ew_metrics_write(m, &now, &out, NULL), EW_ELIMIT);
    ew_buf_fini(&out);
    ew_metrics_close(&m);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_and_accounts_are_summed),
        cmocka_unit_test(test_buckets_hold_what_is_at_most_their_bound),
        cmocka_unit_test(test_series_do_not_grow_beyond_their_limit),
        cmocka_unit_test(test_paths_have_a_route_whatever_they_are),
        cmocka_unit_test(test_a_page_too_large_is_an_error),
    };
    if (argc > 1 && strcmp(argv[1], "--page") == 0) { /* for tests/tools/test_metrics_page.sh */
        struct ew_metrics *m = some();
        struct ew_metrics_now now = {.isa = "avx2"};
        char *page = page_of(m, &now);
        fputs(page, stdout);
        free(page);
        ew_metrics_close(&m);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
