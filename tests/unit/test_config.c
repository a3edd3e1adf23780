/* test_config.c - edgewise.yaml: what is read, what is refused and on which line, who gets in. */
#include "flow/config.h"
#include "flow/config_keys.h"

#include "base/file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HASH_A "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb" /* of "a" */
#define HASH_B "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d" /* of "b" */

static struct ew_config *parse(const char *text)
{
    struct ew_config *config = NULL;
    struct ew_err err = {0};
    if (ew_config_parse(&config, text, strlen(text), "etc/edgewise.yaml", &err))
        fail_msg("%s", err.text);
    return config;
}

static void test_a_file_with_everything(void **state)
{
    (void)state;
    struct ew_config *c = parse("listen: '[::1]:9000'\n"
                                "insecure: true\n"
                                "ledger: account.db\n"
                                "tls: {certificate: cert.pem, key: /etc/key.pem}\n"
                                "accounting: {durable: true, keep: 30d, prompts: true}\n"
                                "devices:\n"
                                "  - name: kitchen\n"
                                "    models: [smollm2-135m, more/own.gguf]\n"
                                "    concurrency: 4\n"
                                "    threads: 2\n"
                                "    ctx: 2048\n"
                                "    memory: 2G\n"
                                "    idle_unload: 10m\n"
                                "    profile: n150\n"
                                "policy:\n"
                                "  on_full: reject\n"
                                "  tariff_cents_per_kwh: 31.5\n"
                                "  queue: {max: 10, timeout: 1.5s}\n"
                                "  timeouts: {request: 5m, drain: 250ms}\n"
                                "limits: {body: 512K, connections: 50}\n"
                                "cors: {origins: ['https://app.example', '*']}\n"
                                "clients:\n"
                                "  - {name: kiosk, key_hash: " HASH_A ", requests: 8,\n"
                                "     limits: [{requests: 60, per: 1m}, {tokens: 9000, per: 1h}]}\n"
                                "  - {name: desk, key_hash: " HASH_B "}\n");
    assert_string_equal(c->file, "etc/edgewise.yaml");
    assert_int_equal(strlen(c->version), 16);
    assert_string_equal(c->listen, "[::1]:9000");
    assert_true(c->insecure && c->ledger_durable && c->ledger_prompts);
    assert_string_equal(c->ledger, "etc/account.db");
    assert_string_equal(c->tls_certificate, "etc/cert.pem");
    assert_string_equal(c->tls_key, "/etc/key.pem");
    assert_int_equal(c->ledger_keep_days, 30);
    assert_int_equal(c->device_count, 1);
    const struct ew_config_device *d = &c->devices[0];
    assert_string_equal(d->name, "kitchen");
    assert_int_equal(d->model_count, 2);
    assert_string_equal(d->models[0], "smollm2-135m");
    assert_string_equal(d->models[1], "etc/more/own.gguf");
    assert_int_equal(d->concurrency, 4);
    assert_int_equal(d->threads, 2);
    assert_int_equal(d->ctx, 2048);
    assert_int_equal(d->memory_max, 2ull << 30);
    assert_true(d->idle_unload_s == 600 && d->watts == 0);
    assert_string_equal(d->profile, "n150");
    assert_int_equal(c->on_full, EW_ON_FULL_REJECT);
    assert_true(c->tariff_cents_per_kwh == 31.5);
    assert_int_equal(c->queue_max, 10);
    assert_true(c->queue_timeout_s == 1.5);
    assert_true(c->request_timeout_s == 300 && fabs(c->drain_timeout_s - .25) < 1e-12);
    assert_int_equal(c->body_bytes_max, 512 << 10);
    assert_int_equal(c->connections_max, 50);
    assert_int_equal(c->cors_count, 2);
    assert_string_equal(c->cors_origins[0], "https://app.example");
    assert_int_equal(c->client_count, 2);
    assert_int_equal(c->clients[0].requests_max, 8);
    assert_int_equal(c->clients[1].requests_max, 0);
    assert_int_equal(c->clients[0].limit_count, 2);
    assert_int_equal(c->clients[0].limits[0].requests, 60);
    assert_true(c->clients[0].limits[0].per_s == 60);
    assert_int_equal(c->clients[0].limits[1].tokens, 9000);
    assert_int_equal(c->clients[1].limit_count, 0);
    assert_int_equal(ew_config_check(c, NULL), 0);
    ew_config_close(&c);
    assert_null(c);
}

static void test_defaults_are_those_of_the_table(void **state)
{
    (void)state;
    struct ew_config *c = parse("devices: [{model: m}]");
    assert_string_equal(c->listen, "127.0.0.1:8080");
    assert_null(c->ledger);
    assert_null(c->tls_certificate);
    assert_false(c->insecure || c->ledger_durable || c->ledger_prompts);
    assert_int_equal(c->ledger_keep_days, 0);
    assert_string_equal(c->devices[0].name, "here");
    assert_int_equal(c->devices[0].concurrency, 16);
    assert_int_equal(c->devices[0].threads, 0);
    assert_int_equal(c->devices[0].ctx, 0);
    assert_int_equal(c->on_full, EW_ON_FULL_QUEUE);
    assert_int_equal(c->queue_max, 64);
    assert_true(c->queue_timeout_s == 60 && c->request_timeout_s == 600);
    assert_true(c->drain_timeout_s == 30 && c->tariff_cents_per_kwh == 25);
    assert_int_equal(c->body_bytes_max, 16 << 20);
    assert_int_equal(c->connections_max, 10000);
    assert_int_equal(c->cors_count + c->client_count, 0);
    assert_int_equal(c->select, EW_SELECT_LOAD_AWARE);
    assert_int_equal(c->midstream, EW_MIDSTREAM_ERROR);
    assert_int_equal(c->sticky, EW_STICKY_PREFIX);
    assert_true(c->sticky_s == 600 && c->alpha == .5 && c->probe_s == 5);
    assert_true(c->connect_timeout_s == 2 && c->first_token_timeout_s == 30);
    assert_true(c->stall_timeout_s == 15);
    assert_true(isnan(c->quality_min) && isnan(c->battery_min) && isnan(c->temperature_max_c));
    assert_true(c->devices[0].weight == 1 && isnan(c->devices[0].quality));
    assert_false(c->prices || c->join_secret || c->cloud_count);
    ew_config_close(&c);
    c = parse("ledger: none");
    assert_string_equal(c->ledger, "");
    ew_config_close(&c);
}

#define CLIENT(name, hash) "  - {name: " name ", key_hash: " hash "}\n"

static const struct refusal {
    const char *text, *wanted;
} refusals[] = {
    {"", "c is empty"},
    {"listen: 127.0.0.1:1\nthreads: 3\n", "c:2: Unexpected key: threads; it belongs below devices"},
    {"listem: x", "c:1: Unexpected key: listem; did you mean listen?"},
    {"port: 8080", "c:1: Unexpected key: port; it belongs into listen: 127.0.0.1:8080"},
    {"insecure: true\ninsecure: false\n", "c:2: Mapping field already seen: insecure"},
    {"\ndevices: m\n",
     "c:2: it takes a list (lines that start with -, or [a, b]), not one value or nothing"},
    {"insecure: yes", "c:1: insecure: true or false, not 'yes'"},
    {"listen: 127.0.0.1:99999", "c:1: listen: the port is 0 to 65535, not '99999'"},
    {"listen: 8080", "c:1: listen: an address and a port, as 127.0.0.1:8080 or [::1]:8080, "
                     "not '8080'"},
    {"listen: box.example:80", "c:1: listen: an address and a port, as 127.0.0.1:8080 or "
                               "[::1]:8080 (numbers, no name), not 'box.example:80'"},
    {"policy:\n  queue:\n    max: 3\n    timeout: 10 parsecs\n",
     "c:4: policy.queue.timeout: a duration from 1ms to 1d, not '10 parsecs'"},
    {"policy: {queue: {timeout: 10}}",
     "c:1: policy.queue.timeout: a duration from 1ms to 1d, not '10'"},
    {"policy:\n  on_full: cloud\n", "c:2: policy.on_full: cloud, and there are no clouds"},
    {"policy:\n  on_full: maybe\n", "c:2: policy.on_full: queue, reject or cloud, not 'maybe'"},
    {"policy: {select: best}",
     "c:1: policy.select: random, weighted, round-robin, least-busy, load-aware, power-of-two, "
     "fastest, greenest or best-pcr, not 'best'"},
    {"policy: {alpha: 2}", "c:1: policy.alpha: a number from 0 to 1, not '2'"},
    {"join: {}", "c:1: join: it needs secret: FILE"},
    {"policy: {tariff_cents_per_kwh: -1}",
     "c:1: policy.tariff_cents_per_kwh: a number from 0 to 1000000, not '-1'"},
    {"policy: {tariff_cents_per_kwh: 0x10}",
     "c:1: policy.tariff_cents_per_kwh: a number from 0 to 1000000, not '0x10'"},
    {"limits:\n  body: 1\n", "c:2: limits.body: a size from 1K to 1G, not '1'"},
    {"limits: {connections: 1e99}",
     "c:1: limits.connections: a whole number from 1 to 1000000, not '1e99'"},
    {"accounting: {keep: 36h}",
     "c:1: accounting.keep: whole days, as 30d, from 0 to 36500d, not '36h'"},
    {"tls:\n  certificate: a.pem\n", "c:1: tls: it needs both certificate and key"},
    {"devices:\n  - model: m\n    ctx: 0\n",
     "c:3: devices[0].ctx: a whole number from 16 to 1048576, not '0'"},
    {"devices:\n  - model: m\n    threads: 1.5\n",
     "c:3: devices[0].threads: a whole number from 1 to 256, not '1.5'"},
    {"devices:\n  - model: m\n    models: [n]\n",
     "c:3: devices[0].models: model is there, too; one of them is enough"},
    {"devices:\n  - name: here\n",
     "c:2: devices[0]: no model: it needs model: NAME, or models: [NAME, …]; or url: ADDRESS of "
     "another engine"},
    {"devices:\n  - models: [a,\n             a]\n",
     "c:3: devices[0].models[1]: a stands here twice"},
    {"devices:\n  - {model: m, profile: n150, watts: 3}\n",
     "c:2: devices[0].watts: profile is there, too; one of them says the watts"},
    {"devices: [{model: m, name: 'a b'}]",
     "c:1: devices[0].name: a name: at most 63 letters, digits, dots, dashes and underscores, "
     "not 'a b'"},
    {"cors:\n  origins:\n    - https://a.example\n    - https://b.example/path\n",
     "c:4: cors.origins[1]: an origin is scheme and host, as https://app.example, without a "
     "path; or \"*\", not 'https://b.example/path'"},
    {"clients:\n  - name: a\n",
     "c:2: clients[0]: client a has no key_hash; make one: edgewise serve --new-key a"},
    {"clients:\n  - name: a\n    key_hash: abc\n",
     "c:3: clients[0].key_hash: 64 hexadecimal digits (edgewise serve --new-key NAME makes "
     "them), not 'abc'"},
    {"clients:\n" CLIENT("a", HASH_A) CLIENT("a", HASH_B),
     "c:3: clients[1].name: a is the name of clients[0] already"},
    {"clients:\n" CLIENT("a", HASH_A) CLIENT("b", HASH_A),
     "c:3: clients[1].key_hash: clients[0] has this key already"},
    {"clients: [{name: a, key_hash: " HASH_A ", requests: 0}]",
     "c:1: clients[0].requests: a whole number from 1 to 100000, not '0'"},
    {"clients:\n  - name: a\n    key_hash: " HASH_A "\n    limits:\n      - requests: 3\n",
     "c:5: clients[0].limits[0]: it needs per: TIME, as 60s"},
    {"clients:\n  - name: a\n    key_hash: " HASH_A "\n    limits:\n      - per: 1m\n",
     "c:5: clients[0].limits[0]: one of requests, tokens, joules and cents: N"},
};

static void test_what_is_refused_names_line_key_and_what_was_expected(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_COUNT(refusals); i++) {
        struct ew_config *config = (void *)-1;
        struct ew_err err = {0};
        assert_int_equal(
            ew_config_parse(&config, refusals[i].text, strlen(refusals[i].text), "c", &err),
            EW_EFORMAT);
        assert_string_equal(err.text, refusals[i].wanted);
        assert_null(config);
    }
}

static void test_broken_yaml_is_an_error_whatever_it_is(void **state)
{
    (void)state;
    static const char *const texts[] = {"listen: \"127",
                                        "- a",
                                        "hello",
                                        "\tlisten: x",
                                        "{",
                                        "&a [",
                                        "x: &a [1]\nlisten: *a",
                                        "listen: [[[[",
                                        "listen: \xff\xfe",
                                        "devices: [1, 2]",
                                        "clients: [[]]",
                                        "listen: !!binary x: y"};
    for (size_t i = 0; i < EW_COUNT(texts); i++) {
        struct ew_config *config = NULL;
        struct ew_err err = {0};
        assert_int_equal(ew_config_parse(&config, texts[i], strlen(texts[i]), "c", &err),
                         EW_EFORMAT);
        assert_memory_equal(err.text, "c:", 2);
        assert_null(config);
    }
}

static void test_durations_and_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double duration, size; /* -1: refused */
    } cases[] = {
        {"0", 0, 0},
        {"10s", 10, -1},
        {"500ms", .5, -1},
        {"1.5h", 5400, -1},
        {"2 m", 120, -1},
        {"7d", 7 * 86400, -1},
        {"10", -1, 10},
        {"2G", -1, 2.0 * (1 << 30)},
        {"1.5K", -1, 1536},
        {"-1s", -1, -1},
        {"", -1, -1},
        {"s", -1, -1},
        {"1e400s", -1, -1},
        {"0x10s", -1, -1},
        {"nan", -1, -1},
        {"3S", -1, -1},
        {"99999T", -1, 99999.0 * (1ull << 40)},
        {"99999999T", -1, -1},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        double seconds = -1;
        uint64_t bytes = 0;
        struct ew_err err = {0};
        int rc = ew_config_duration(cases[i].text, &seconds, &err);
        assert_int_equal(rc, cases[i].duration < 0 ? EW_EFORMAT : 0);
        if (!rc)
            assert_true(fabs(seconds - cases[i].duration) < 1e-9);
        rc = ew_config_size(cases[i].text, &bytes, &err);
        assert_int_equal(rc, cases[i].size < 0 ? EW_EFORMAT : 0);
        if (!rc)
            assert_true((double)bytes == cases[i].size);
    }
}

static void test_addresses_and_which_of_them_are_public(void **state)
{
    (void)state;
    static const struct {
        const char *listen, *host;
        int port, is_public; /* port -1: refused */
    } cases[] = {
        {"127.0.0.1:8080", "127.0.0.1", 8080, 0},
        {"127.9.9.9:0", "127.9.9.9", 0, 0},
        {"localhost:80", "127.0.0.1", 80, 0},
        {"[::1]:65535", "::1", 65535, 0},
        {"0.0.0.0:80", "0.0.0.0", 80, 1},
        {"[::]:80", "::", 80, 1},
        {"192.168.1.5:80", "192.168.1.5", 80, 1},
        {"[fe80::1]:80", "fe80::1", 80, 1},
        {"[::ffff:127.0.0.1]:1", "::ffff:127.0.0.1", 1, 0},
        {"[::ffff:10.0.0.1]:1", "::ffff:10.0.0.1", 1, 1},
        {"::1:80", "", -1, 0},
        {"127.0.0.1", "", -1, 0},
        {":80", "", -1, 0},
        {"127.0.0.1:", "", -1, 0},
        {"127.0.0.1:-1", "", -1, 0},
        {"127.0.0.1:80x", "", -1, 0},
        {"127.0.0.1:65536", "", -1, 0},
        {"[127.0.0.1]:80", "", -1, 0},
        {"[]:80", "", -1, 0},
        {"127.1:80", "", -1, 0},
        {"", "", -1, 0},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        char host[64] = "";
        int port = -1;
        bool is_public = true;
        int rc = ew_config_address(cases[i].listen, host, sizeof host, &port, &is_public, NULL);
        assert_int_equal(rc, cases[i].port < 0 ? EW_EFORMAT : 0);
        assert_string_equal(host, cases[i].host);
        assert_int_equal(port, cases[i].port);
        if (!rc)
            assert_int_equal(is_public, cases[i].is_public);
    }
}

static int check(const char *text)
{
    struct ew_config *config = parse(text);
    int rc = ew_config_check(config, NULL);
    ew_config_close(&config);
    return rc;
}

static void test_a_public_address_needs_keys(void **state)
{
    (void)state;
    assert_int_equal(check("devices: [{model: m}]"), 0);
    assert_int_equal(check("listen: 0.0.0.0:80\ndevices: [{model: m}]"), EW_EINVAL);
    assert_int_equal(check("listen: 0.0.0.0:80\ninsecure: true\ndevices: [{model: m}]"), 0);
    assert_int_equal(check("listen: 0.0.0.0:80\ndevices: [{model: m}]\n"
                           "clients: [{name: a, key_hash: " HASH_A "}]"),
                     0);
    assert_int_equal(check("listen: 127.0.0.1:80"), EW_EINVAL); /* no model */
    assert_int_equal(check("devices: [{name: a, url: http://x}]"), 0);
    assert_int_equal(check("clouds: [{name: a}]"), 0);
    assert_int_equal(check("join: {secret: x}"), 0);
}

static void test_keys_open_and_nothing_else_does(void **state)
{
    (void)state;
    struct ew_config *c = parse("clients:\n" CLIENT("one", HASH_A)
                                    CLIENT("two", "3E23E8160039594A33894F6564E1B1348BBD7A0088D42C4A"
                                                  "CB73EEAED59C009D"));
    char hex[65], long_key[1000];
    memset(long_key, 'a', sizeof long_key - 1);
    long_key[sizeof long_key - 1] = '\0';
    assert_int_equal(ew_config_key_hash("a", hex, NULL), 0);
    assert_string_equal(hex, HASH_A);
    assert_string_equal(ew_config_client(c, "a")->name, "one");
    assert_string_equal(ew_config_client(c, "b")->name, "two");
    assert_null(ew_config_client(c, "c"));
    assert_null(ew_config_client(c, ""));
    assert_null(ew_config_client(c, NULL));
    assert_null(ew_config_client(c, HASH_A));
    assert_null(ew_config_client(c, long_key));
    ew_config_close(&c);
}

static void test_options_override(void **state)
{
    (void)state;
    struct ew_config *c;
    char *models[] = {"m", "n"};
    assert_int_equal(ew_config_default(&c, NULL), 0);
    assert_string_equal(c->version, "options");
    assert_null(c->file);
    assert_int_equal(ew_config_check(c, NULL), EW_EINVAL);
    assert_int_equal(ew_config_set_models(c, models, 2, NULL), 0);
    assert_string_equal(c->devices[0].name, "here");
    assert_int_equal(c->devices[0].concurrency, 16);
    assert_int_equal(ew_config_check(c, NULL), 0);
    assert_int_equal(ew_config_set_models(c, models, 1, NULL), 0);
    assert_int_equal(c->devices[0].model_count, 1);
    assert_int_equal(ew_config_set_models(c, (char *[]){"m", "m"}, 2, NULL), 0);
    assert_int_equal(ew_config_check(c, NULL), EW_EINVAL);
    assert_int_equal(ew_config_set_text(&c->listen, "0.0.0.0:1", NULL), 0);
    assert_int_equal(ew_config_add_origin(c, "https://a.example", NULL), 0);
    assert_int_equal(ew_config_add_origin(c, "a.example", NULL), EW_EINVAL);
    assert_int_equal(c->cors_count, 1);
    ew_config_close(&c);
}

static void test_the_version_is_of_the_text(void **state)
{
    (void)state;
    struct ew_config *a = parse("listen: 127.0.0.1:1"), *b = parse("listen: 127.0.0.1:1"),
                     *c = parse("listen: 127.0.0.1:2");
    assert_string_equal(a->version, b->version);
    assert_string_not_equal(a->version, c->version);
    ew_config_close(&a);
    ew_config_close(&b);
    ew_config_close(&c);
}

static void test_files_that_are_not_there_or_too_large(void **state)
{
    (void)state;
    struct ew_config *config = NULL;
    assert_int_equal(ew_config_open(&config, "/nowhere/edgewise.yaml", NULL), EW_ENOTFOUND);
    char path[] = "/tmp/test_config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && ftruncate(fd, EW_CONFIG_BYTES_MAX + 1) == 0);
    close(fd);
    assert_int_equal(ew_config_open(&config, path, NULL), EW_ELIMIT);
    unlink(path);
    assert_null(config);
}

/* Limits have one table, the first's. */
static bool is_told(int id)
{
    for (int i = 0; i < id; i++)
        if (ew_config_sections[i].keys == ew_config_sections[id].keys)
            return true;
    return false;
}

/* Each key of docs/CONFIG.md stands in a table row of its section with its default and meaning;
 * that every row of a table is a key, too, is what counting both finds out. */
static void test_the_page_has_every_key_and_no_other(void **state)
{
    (void)state;
    struct ew_buf page;
    struct ew_err err = {0};
    ew_buf_init(&page, 1 << 20);
    if (ew_file_read(&page, "docs/CONFIG.md", &err))
        fail_msg("%s", err.text);
    size_t rows = 0, keys = 0;
    for (const char *at = ew_buf_cstr(&page); (at = strstr(at, "\n| `")); at++)
        rows++;
    for (int id = 0; id < EW_CONFIG_SECTIONS; id++)
        for (size_t i = 0; !is_told(id) && i < ew_config_sections[id].key_count; i++, keys++) {
            const struct ew_config_key *key = &ew_config_sections[id].keys[i];
            char row[512], expects[160], preset[64] = "";
            ew_config_expects(key, expects, sizeof expects);
            if (key->preset)
                snprintf(preset, sizeof preset, "`%s`", key->preset);
            snprintf(row, sizeof row, "\n| `%s` | %s | %s | %s |\n", key->name, expects, preset,
                     key->meaning);
            if (!strstr(ew_buf_cstr(&page), row))
                fail_msg("docs/CONFIG.md lacks the row:%s", row);
        }
    assert_int_equal(rows, keys);
    ew_buf_fini(&page);
}

static void test_the_published_schema_is_this_one(void **state)
{
    (void)state;
    struct ew_buf now, published;
    struct ew_err err = {0};
    ew_buf_init(&now, 1 << 20);
    ew_buf_init(&published, 1 << 20);
    assert_int_equal(ew_config_schema(&now, &err), 0);
    if (ew_file_read(&published, "data/edgewise.schema.json", &err))
        fail_msg("%s", err.text);
    if (strcmp(ew_buf_cstr(&now), ew_buf_cstr(&published)) != 0)
        fail_msg("%s", "run: edgewise serve --schema >data/edgewise.schema.json");
    ew_buf_fini(&now);
    ew_buf_fini(&published);
}

/* For whoever changes the rows: the tables of docs/CONFIG.md, and the schema. */
static int print_page(void)
{
    for (int id = 0; id < EW_CONFIG_SECTIONS; id++) {
        if (is_told(id))
            continue;
        printf("\n## %s\n\n| key | takes | default | meaning |\n|---|---|---|---|\n",
               ew_config_sections[id].name);
        for (size_t i = 0; i < ew_config_sections[id].key_count; i++) {
            const struct ew_config_key *key = &ew_config_sections[id].keys[i];
            char expects[160];
            ew_config_expects(key, expects, sizeof expects);
            printf("| `%s` | %s | %s%s%s | %s |\n", key->name, expects, key->preset ? "`" : "",
                   key->preset ? key->preset : "", key->preset ? "`" : "", key->meaning);
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_with_everything),
        cmocka_unit_test(test_defaults_are_those_of_the_table),
        cmocka_unit_test(test_what_is_refused_names_line_key_and_what_was_expected),
        cmocka_unit_test(test_broken_yaml_is_an_error_whatever_it_is),
        cmocka_unit_test(test_durations_and_sizes),
        cmocka_unit_test(test_addresses_and_which_of_them_are_public),
        cmocka_unit_test(test_a_public_address_needs_keys),
        cmocka_unit_test(test_keys_open_and_nothing_else_does),
        cmocka_unit_test(test_options_override),
        cmocka_unit_test(test_the_version_is_of_the_text),
        cmocka_unit_test(test_files_that_are_not_there_or_too_large),
        cmocka_unit_test(test_the_page_has_every_key_and_no_other),
        cmocka_unit_test(test_the_published_schema_is_this_one),
    };
    if (argc > 1 && strcmp(argv[1], "--page") == 0)
        return print_page();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
