/* test_config_fleet.c - the devices and clouds of edgewise.yaml: what is read, what is refused and
 * on which line. */
#include "flow/config.h"

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

static const char front[] =
    "prices: prices.csv\n"
    "join: {secret: join.key}\n"
    "devices:\n"
    "  - name: here\n"
    "    model: smollm2-135m\n"
    "    quality: 0.2\n"
    "  - name: agx\n"
    "    url: http://10.0.0.5:8080/v1/\n"
    "    models: [qwen2.5-3b, org/qwen.gguf]\n"
    "    profile: agx-orin-64gb\n"
    "    weight: 4\n"
    "    concurrency: 2\n"
    "    limits: [{requests: 30, per: 60s}, {tokens: 20000, per: 1m}, {joules: 3600, per: 1h},\n"
    "             {cents: 0.5, per: 1d}]\n"
    "  - name: den\n"
    "    url: https://den.example:8443\n"
    "    api: ollama\n"
    "    key_file: keys/den\n"
    "    ca: /etc/den.pem\n"
    "clouds:\n"
    "  - name: openai\n"
    "    key_env: OPENAI_API_KEY\n"
    "    models: {small: gpt-5.4-nano, \"*\": gpt-5.4-mini}\n"
    "    price: openai/gpt-5.4-mini\n"
    "    budget: {usd: 5, per: 24h}\n"
    "    limits: [{requests: 10, per: 1s}]\n"
    "  - name: claude\n"
    "    api: anthropic\n"
    "    price: openai/gpt-5.4-mini\n"
    "    budget:\n"
    "      - {usd: 0.5, per: 1h}\n"
    "      - per: 30d\n"
    "        usd: 20\n"
    "    concurrency: 8\n"
    "    weight: 0.5\n"
    "    quality: 0.97\n"
    "policy:\n"
    "  select: best-pcr\n"
    "  alpha: 0.75\n"
    "  midstream: continue\n"
    "  sticky: session\n"
    "  sticky_for: 5m\n"
    "  min_quality: 0.1\n"
    "  min_battery: 0.2\n"
    "  max_temperature_c: 85\n"
    "  probe: 500ms\n"
    "  timeouts: {connect: 1s, first_token: 2m, stall: 3s}\n"
    "clients:\n"
    "  - {name: kiosk, key_hash: " HASH_A ", edge_only: true, degrade: true, min_quality: 0.5,\n"
    "     limits: [{joules: 1e6, per: 1h}, {cents: 12.5, per: 24h}]}\n"
    "  - {name: desk, key_hash: " HASH_B "}\n";

/* The file's prices are looked up beside it, so it is in a folder with a table. */
static struct ew_config *parse_front(void)
{
    char folder[] = "/tmp/test_config-XXXXXX", path[64], table[64];
    struct ew_config *config = NULL;
    struct ew_err err = {0};
    assert_non_null(mkdtemp(folder));
    snprintf(table, sizeof table, "%s/prices.csv", folder);
    snprintf(path, sizeof path, "%s/edgewise.yaml", folder);
    FILE *file = fopen(table, "w");
    assert_non_null(file);
    fputs("provider,model,input,cached_input,output,request_fee,from,to,source,as_of\n"
          "openai,gpt-5.4-mini,1,,2,,,,here,2026-01-01\n",
          file);
    fclose(file);
    if (ew_config_parse(&config, front, strlen(front), path, &err))
        fail_msg("%s", err.text);
    assert_string_equal(config->prices, table);
    unlink(table);
    rmdir(folder);
    return config;
}

static void test_a_front_with_devices(void **state)
{
    (void)state;
    struct ew_config *c = parse_front();
    assert_string_equal(strrchr(c->join_secret, '/'), "/join.key");
    assert_int_equal(c->device_count, 3);
    assert_ptr_equal(ew_config_engine(c), &c->devices[0]);
    assert_true(c->devices[0].quality == .2 && c->devices[0].weight == 1);
    assert_int_equal(c->devices[0].concurrency, 16);
    const struct ew_config_device *agx = &c->devices[1], *den = &c->devices[2];
    assert_string_equal(agx->url, "http://10.0.0.5:8080/v1");
    assert_int_equal(agx->api, EW_API_OPENAI);
    assert_int_equal(agx->model_count, 2);
    assert_string_equal(agx->models[1], "org/qwen.gguf"); /* its name there, no path here */
    assert_string_equal(agx->profile, "agx-orin-64gb");
    assert_true(agx->weight == 4 && agx->concurrency == 2 && isnan(agx->quality));
    assert_int_equal(agx->limit_count, 4);
    assert_int_equal(agx->limits[0].requests, 30);
    assert_int_equal(agx->limits[1].tokens, 20000);
    assert_true(agx->limits[2].joules == 3600 && agx->limits[2].per_s == 3600);
    assert_true(agx->limits[3].cents == .5 && agx->limits[3].per_s == 86400);
    assert_false(agx->key_env || agx->key_file || agx->ca);
    assert_string_equal(den->url, "https://den.example:8443");
    assert_int_equal(den->api, EW_API_OLLAMA);
    assert_string_equal(strrchr(den->key_file, '/'), "/den");
    assert_string_equal(den->ca, "/etc/den.pem");
    assert_true(den->concurrency == 0 && den->model_count == 0);
    assert_int_equal(ew_config_check(c, NULL), 0);
    ew_config_close(&c);
}

static void test_a_front_with_clouds(void **state)
{
    (void)state;
    struct ew_config *c = parse_front();
    assert_int_equal(c->cloud_count, 2);
    const struct ew_config_cloud *openai = &c->clouds[0], *claude = &c->clouds[1];
    assert_string_equal(openai->name, "openai");
    assert_string_equal(openai->url, "https://api.openai.com/v1");
    assert_string_equal(openai->key_env, "OPENAI_API_KEY");
    assert_non_null(strstr(openai->key_at, ": clouds[0].key_env"));
    assert_string_equal(openai->price, "openai/gpt-5.4-mini");
    assert_int_equal(openai->name_count, 2);
    assert_string_equal(openai->names[0].asked, "small");
    assert_string_equal(openai->names[0].there, "gpt-5.4-nano");
    assert_string_equal(openai->names[1].asked, "*");
    assert_int_equal(openai->limit_count, 2);
    assert_true(openai->limits[0].cents == 500 && openai->limits[0].per_s == 86400);
    assert_int_equal(openai->limits[1].requests, 10);
    assert_true(isnan(openai->quality) && openai->concurrency == 0 && openai->weight == 1);
    assert_string_equal(claude->url, "https://api.anthropic.com/v1");
    assert_int_equal(claude->api, EW_API_ANTHROPIC);
    assert_true(claude->price && !claude->name_count && claude->quality == .97);
    assert_int_equal(claude->limit_count, 2);
    assert_true(claude->limits[0].cents == 50 && claude->limits[0].per_s == 3600);
    assert_true(claude->limits[1].cents == 2000 && claude->limits[1].per_s == 30 * 86400);
    assert_true(claude->concurrency == 8 && claude->weight == .5);
    ew_config_close(&c);
}

static void test_a_front_with_a_policy(void **state)
{
    (void)state;
    struct ew_config *c = parse_front();
    assert_int_equal(c->select, EW_SELECT_BEST_PCR);
    assert_int_equal(c->on_full, EW_ON_FULL_CLOUD); /* not said: there are clouds */
    assert_int_equal(c->midstream, EW_MIDSTREAM_CONTINUE);
    assert_int_equal(c->sticky, EW_STICKY_SESSION);
    assert_true(c->sticky_s == 300 && c->alpha == .75 && c->quality_min == .1);
    assert_true(c->battery_min == .2 && c->temperature_max_c == 85 && c->probe_s == .5);
    assert_true(c->connect_timeout_s == 1 && c->first_token_timeout_s == 120);
    assert_true(c->stall_timeout_s == 3);
    assert_true(c->clients[0].edge_only && c->clients[0].degrade);
    assert_true(c->clients[0].quality_min == .5 && isnan(c->clients[1].quality_min));
    assert_true(c->clients[0].limits[0].joules == 1e6 && c->clients[0].limits[1].cents == 12.5);
    assert_false(c->clients[1].edge_only || c->clients[1].degrade);
    ew_config_close(&c);
}

static const struct refusal {
    const char *text, *wanted;
} refusals[] = {
    {"devices:\n  - {model: m}\n  - {model: n}\n",
     "c:3: devices[1]: the engine built in is devices[0] already: give that one several models, "
     "or this one a url"},
    {"devices:\n  - {name: a, url: http://x}\n  - {name: a, url: http://y}\n",
     "c:3: devices[1].name: a is the name of devices[0] already"},
    {"devices: [{model: m, name: a}]\nclouds: [{name: b}, {name: a}]\n",
     "c:2: clouds[1].name: a is the name of devices[0] already"},
    {"clouds: [{name: a}, {name: a}]\n", "c:1: clouds[1].name: a is the name of clouds[0] already"},
    {"devices:\n  - url: http://x\n", "c:2: devices[0]: it needs a name"},
    {"devices:\n  - name: a\n    url: http://x\n    threads: 2\n",
     "c:4: devices[0].threads: only of the engine built in, not beside a url"},
    {"devices:\n  - name: a\n    url: http://x\n    idle_unload: 1h\n",
     "c:4: devices[0].idle_unload: only of the engine built in, not beside a url"},
    {"devices:\n  - model: m\n    key_env: A\n", "c:3: devices[0].key_env: only beside a url"},
    {"clouds:\n  - name: a\n    url: https://x\n    budget: {usd: 1, per: 1h}\n",
     "c:2: clouds[0]: a budget needs a price, as openai/gpt-5.4-mini"},
    {"devices:\n  - model: m\n    concurrency: 65\n",
     "c:3: devices[0].concurrency: of the engine at most 64, not 65"},
    {"devices: [{name: a, url: http://x, key_env: A, key_file: b}]",
     "c:1: devices[0].key_file: key_env is there, too; one of them is enough"},
    {"devices: [{name: a, url: http://x, ca: b}]",
     "c:1: devices[0].ca: only an https url has a certificate to check"},
    {"devices: [{name: a, url: 10.0.0.5}]",
     "c:1: devices[0].url: an address as http://10.0.0.5:8080/v1 or https://host.example/v1, not "
     "'10.0.0.5'"},
    {"devices: [{name: a, url: 'https://sk-secret@x'}]",
     "c:1: devices[0].url: an address as http://10.0.0.5:8080/v1 or https://host.example/v1; "
     "without user, ? and #"},
    {"devices: [{name: a, url: http://x, key_env: sk-secret}]",
     "c:1: devices[0].key_env: the name of an environment variable that has the key, not the key "
     "itself"},
    {"clouds: [{name: a, key: sk-secret}]",
     "c:1: Unexpected key: key; keys don't stand here: key_env or key_file says where one is"},
    {"devices:\n  - name: a\n    url: http://x\n    limits: [{requests: 1, per: 1s},\n"
     "      {requests: 1, tokens: 2, per: 1s}]\n",
     "c:5: devices[0].limits[1]: one of requests, tokens, joules and cents: N"},
    {"clouds:\n  - url: http://x\n", "c:2: clouds[0]: it needs a name"},
    {"clouds: [{name: a, api: ollama}]", "c:1: clouds[0]: it needs a url"},
    {"clouds: [{name: a, api: google}]",
     "c:1: clouds[0].api: openai, anthropic or ollama, not 'google'"},
    {"clouds:\n  - name: a\n    models: gpt\n",
     "c:3: clouds[0].models: texts by names, as {\"*\": gpt-5.4-mini}"},
    {"clouds: [{name: a, models: {}}]",
     "c:1: clouds[0].models: texts by names, as {\"*\": gpt-5.4-mini}"},
    {"clouds:\n  - name: a\n    models:\n      x: y\n      x: z\n",
     "c:5: clouds[0].models: x stands here twice"},
    {"clouds:\n  - name: a\n    models:\n      x: y\n      z: [w]\n",
     "c:5: clouds[0].models: a text by a name, as \"*\": gpt-5.4-mini"},
    {"clouds:\n  - name: a\n    models:\n      x:\n",
     "c:4: clouds[0].models: a text by a name, as \"*\": gpt-5.4-mini"},
    {"clouds:\n  - name: a\n    budget: 5\n",
     "c:3: clouds[0].budget: it takes {usd: 5, per: 24h}, or a list of such"},
    {"clouds:\n  - name: a\n    budget:\n      - {usd: 1, per: 1h}\n      - 5\n",
     "c:5: clouds[0].budget[1]: it takes {usd: 5, per: 24h}"},
    {"clouds:\n  - name: a\n    budget: {usd: 5}\n",
     "c:3: clouds[0].budget: it needs both usd and per, as {usd: 5, per: 24h}"},
    {"clouds:\n  - name: a\n    budget:\n      usd: 5\n      per: 1 moon\n",
     "c:5: clouds[0].budget.per: a duration from 1s to 366d, not '1 moon'"},
    {"clouds:\n  - name: a\n    budget:\n      usd: 5\n      usd: 6\n",
     "c:5: clouds[0].budget.usd: it stands here twice"},
    {"clouds:\n  - name: a\n    budget:\n      usd: 5\n      eur: 6\n",
     "c:5: clouds[0].budget: it takes usd and per, not eur"},
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
        assert_null(strstr(err.text, "sk-secret"));
        assert_null(config);
    }
}

static void test_prices_are_looked_up_when_the_file_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *text, *start;
    } cases[] = {{"clouds:\n  - name: a\n    price: openai/gpt-9\n",
                  "c:3: clouds[0].price: the table has no price of openai/gpt-9"},
                 {"\nprices: nowhere.csv\n", "c:2: prices: "},
                 {"prices: /dev/null\nclouds: [{name: a}]", "c:1: prices: /dev/null is empty"}};
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        struct ew_config *config = NULL;
        struct ew_err err = {0};
        assert_int_equal(ew_config_parse(&config, cases[i].text, strlen(cases[i].text), "c", &err),
                         EW_EFORMAT);
        if (strncmp(err.text, cases[i].start, strlen(cases[i].start)) != 0)
            fail_msg("%s", err.text);
    }
}

static void test_a_model_of_the_command_line_is_the_engine_of_a_front(void **state)
{
    (void)state;
    struct ew_config *c = parse("devices: [{name: a, url: http://x}]");
    assert_int_equal(ew_config_set_models(c, (char *[]){"m"}, 1, NULL), 0);
    assert_int_equal(c->device_count, 2);
    assert_ptr_equal(ew_config_engine(c), &c->devices[1]);
    assert_string_equal(c->devices[1].name, "here");
    assert_int_equal(c->devices[1].concurrency, 16);
    assert_int_equal(ew_config_check(c, NULL), 0);
    ew_config_close(&c);
    c = parse("clouds: [{name: here}]");
    assert_int_equal(ew_config_set_models(c, (char *[]){"m"}, 1, NULL), 0);
    assert_int_equal(ew_config_check(c, NULL), EW_EINVAL); /* two of that name */
    ew_config_close(&c);
}

static void test_addresses_of_others(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool fine;
    } cases[] = {{"http://x", true},
                 {"https://[::1]:8443/v1", true},
                 {"http://a.b-c_d:1/p/q", true},
                 {"http://", false},
                 {"http:///v1", false},
                 {"HTTP://x", false},
                 {"ftp://x", false},
                 {"http://x:0", false},
                 {"http://x:65536", false},
                 {"http://x:80a", false},
                 {"http://x:", false},
                 {"http://[::1", false},
                 {"http://[]", false},
                 {"http://u:p@x", false},
                 {"http://x?k=1", false},
                 {"http://x/#f", false},
                 {"http://x y", false},
                 {"http://x\\y", false},
                 {"http://x/\u00e9", false}};
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        char text[128];
        struct ew_config *config = NULL;
        snprintf(text, sizeof text, "devices: [{name: a, url: '%s'}]", cases[i].url);
        assert_int_equal(ew_config_parse(&config, text, strlen(text), "c", NULL),
                         cases[i].fine ? 0 : EW_EFORMAT);
        ew_config_close(&config);
    }
}

static void test_a_thousand_devices_and_not_one_more(void **state)
{
    (void)state;
    for (unsigned count = EW_CONFIG_DEVICES_MAX; count <= EW_CONFIG_DEVICES_MAX + 1; count++) {
        struct ew_buf text;
        struct ew_config *config = NULL;
        struct ew_err err = {0};
        ew_buf_init(&text, EW_CONFIG_BYTES_MAX);
        assert_int_equal(ew_buf_text(&text, "devices:\n", NULL), 0);
        for (unsigned i = 0; i < count; i++)
            ew_buf_printf(&text, NULL, " - {name: d%u, url: http://x:%u}\n", i, i + 1);
        int rc = ew_config_parse(&config, ew_buf_cstr(&text), text.bytes, "c", &err);
        assert_int_equal(rc, count > EW_CONFIG_DEVICES_MAX ? EW_EFORMAT : 0);
        if (rc)
            assert_string_equal(err.text, "c:1: devices: at most 1000, not 1001");
        ew_config_close(&config);
        ew_buf_fini(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_front_with_devices),
        cmocka_unit_test(test_a_front_with_clouds),
        cmocka_unit_test(test_a_front_with_a_policy),
        cmocka_unit_test(test_what_is_refused_names_line_key_and_what_was_expected),
        cmocka_unit_test(test_prices_are_looked_up_when_the_file_is_read),
        cmocka_unit_test(test_a_model_of_the_command_line_is_the_engine_of_a_front),
        cmocka_unit_test(test_addresses_of_others),
        cmocka_unit_test(test_a_thousand_devices_and_not_one_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
