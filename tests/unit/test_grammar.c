/* test_grammar.c - grammars as the batch uses them: random answers over the real vocabularies are
 * JSON that fits the schema, the mask says what accept does, limits hold.
 *
 * What each keyword lets through is in test_schema.c.
 *
 *     build/release/tests/unit/test_grammar --times    how long opening and masks take */
#include "base/clock.h"
#include "base/rng.h"
#include "support/grammar_world.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

enum { TEXT_BYTES = 1 << 16, STEPS_MAX = 20000 };

/* ---- whether a value fits a schema, written apart from the code under test ---- */

static bool fits(const json_t *root, const json_t *schema, const json_t *v);

static bool has_type(const char *type, const json_t *v)
{
    return (!strcmp(type, "null") && json_is_null(v)) ||
           (!strcmp(type, "boolean") && json_is_boolean(v)) ||
           (!strcmp(type, "integer") && json_is_integer(v)) ||
           (!strcmp(type, "number") && json_is_number(v)) ||
           (!strcmp(type, "string") && json_is_string(v)) ||
           (!strcmp(type, "array") && json_is_array(v)) ||
           (!strcmp(type, "object") && json_is_object(v));
}

static size_t characters(const json_t *v)
{
    size_t count = 0;
    for (const char *s = json_string_value(v); *s; s++)
        count += ((unsigned char)*s & 0xc0) != 0x80;
    return count;
}

static bool fits_object(const json_t *root, const json_t *schema, const json_t *v)
{
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *more = json_object_get(schema, "additionalProperties"), *name;
    const char *key;
    json_t *value;
    size_t i;
    json_array_foreach(json_object_get(schema, "required"), i,
                       name) if (!json_object_get(v, json_string_value(name))) return false;
    json_object_foreach((json_t *)v, key, value)
    {
        const json_t *own = json_object_get(properties, key);
        if (own ? !fits(root, own, value) : more && !fits(root, more, value))
            return false;
    }
    return true;
}

static bool fits_array(const json_t *root, const json_t *schema, const json_t *v)
{
    const json_t *prefix = json_object_get(schema, "prefixItems");
    const json_t *items = json_object_get(schema, "items"), *item;
    const json_t *least = json_object_get(schema, "minItems");
    const json_t *most = json_object_get(schema, "maxItems");
    size_t i, count = json_array_size(v);
    json_array_foreach(v, i, item)
    {
        const json_t *own = json_array_get(prefix, i);
        if ((own || items) && !fits(root, own ? own : items, item))
            return false;
    }
    return (!least || count >= (size_t)json_integer_value(least)) &&
           (!most || count <= (size_t)json_integer_value(most));
}

static bool fits_scalar(const json_t *schema, const json_t *v)
{
    static const char *const bounds[] = {"minimum", "maximum", "exclusiveMinimum",
                                         "exclusiveMaximum"};
    double number = json_number_value(v);
    for (size_t i = 0; i < EW_COUNT(bounds); i++) {
        const json_t *bound = json_object_get(schema, bounds[i]);
        double b = json_number_value(bound);
        if (bound && json_is_number(v) && (i % 2 ? number > b : number < b))
            return false;
        if (bound && json_is_number(v) && i > 1 && number == b)
            return false;
    }
    const json_t *least = json_object_get(schema, "minLength");
    const json_t *most = json_object_get(schema, "maxLength");
    return !json_is_string(v) || ((!least || characters(v) >= (size_t)json_integer_value(least)) &&
                                  (!most || characters(v) <= (size_t)json_integer_value(most)));
}

static bool fits_any(const json_t *root, const json_t *list, const json_t *v)
{
    const json_t *one;
    size_t i;
    json_array_foreach(list, i, one) if (fits(root, one, v)) return true;
    return false;
}

static const json_t *target(const json_t *root, const char *ref)
{
    char path[200], *rest = path;
    snprintf(path, sizeof path, "%s", ref);
    for (strsep(&rest, "/"); rest;)
        root = json_object_get(root, strsep(&rest, "/"));
    return root;
}

static bool fits_type(const json_t *type, const json_t *v)
{
    const json_t *one;
    size_t i;
    json_array_foreach(type, i, one) if (has_type(json_string_value(one), v)) return true;
    return json_is_string(type) && has_type(json_string_value(type), v);
}

static bool fits(const json_t *root, const json_t *schema, const json_t *v)
{
    const json_t *type = json_object_get(schema, "type"), *one;
    const json_t *only = json_object_get(schema, "const"), *list = json_object_get(schema, "enum");
    const json_t *any = json_object_get(schema, "anyOf"), *ref = json_object_get(schema, "$ref");
    bool listed = !list;
    size_t i;
    if (json_is_boolean(schema))
        return json_is_true(schema);
    json_array_foreach(list, i, one) listed |= json_equal(one, v);
    json_array_foreach(json_object_get(schema, "allOf"), i,
                       one) if (!fits(root, one, v)) return false;
    return listed && (!type || fits_type(type, v)) && (!only || json_equal(only, v)) &&
           (!any || fits_any(root, any, v)) &&
           (!ref || fits(root, target(root, json_string_value(ref)), v)) &&
           (!json_is_object(v) || fits_object(root, schema, v)) &&
           (!json_is_array(v) || fits_array(root, schema, v)) && fits_scalar(schema, v);
}

/* ---- schemas ---- */

static const char *const schemas[] = {
    NULL, /* any object */
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"age\":{\"type\":"
    "\"integer\",\"minimum\":0,\"maximum\":150},\"tags\":{\"type\":\"array\",\"items\":{\"type\":"
    "\"string\"},\"maxItems\":4}},\"required\":[\"name\",\"age\",\"tags\"],"
    "\"additionalProperties\":false}",
    "{\"$defs\":{\"step\":{\"type\":\"object\",\"properties\":{\"explanation\":{\"type\":"
    "\"string\"},\"output\":{\"type\":\"string\",\"maxLength\":20}},\"required\":[\"explanation\","
    "\"output\"],\"additionalProperties\":false}},\"type\":\"object\",\"properties\":{\"steps\":"
    "{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/step\"}},\"final\":{\"anyOf\":[{\"$ref\":"
    "\"#/$defs/step\"},{\"type\":\"null\"}]}},\"required\":[\"steps\",\"final\"],"
    "\"additionalProperties\":false}",
    "{\"$defs\":{\"node\":{\"type\":\"object\",\"properties\":{\"value\":{\"type\":[\"number\","
    "\"null\"]},\"children\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/node\"}}},"
    "\"required\":[\"value\",\"children\"]}},\"$ref\":\"#/$defs/node\"}",
    "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"array\",\"items\":{\"enum\":[\"a\","
    "\"ab\",\"abc\",1,null]},\"minItems\":2,\"maxItems\":3}}",
    "{\"type\":\"object\",\"properties\":{\"ab\":{\"type\":\"boolean\"},\"abc\":{\"type\":"
    "\"null\"}},\"required\":[\"abc\"],\"additionalProperties\":{\"type\":\"integer\"}}",
    "{\"anyOf\":[{\"type\":\"object\",\"properties\":{\"kind\":{\"const\":\"circle\"},\"r\":"
    "{\"type\":\"number\",\"exclusiveMinimum\":0,\"maximum\":10.5}},\"required\":[\"kind\",\"r\"]}"
    ",{\"type\":\"object\",\"properties\":{\"kind\":{\"const\":\"line\"},\"to\":{\"type\":"
    "\"array\",\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"integer\"}],\"items\":false,"
    "\"minItems\":2,\"maxItems\":2}},\"required\":[\"kind\",\"to\"]}]}",
    "{\"type\":\"string\",\"minLength\":3,\"maxLength\":9}",
    "{\"allOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":"
    "[\"a\"]},{\"properties\":{\"b\":{\"minimum\":-3.25,\"maximum\":3,\"type\":\"number\"},\"a\":"
    "{\"minimum\":-20,\"exclusiveMaximum\":17}}}]}",
    "{\"type\":\"array\",\"items\":{},\"minItems\":1}",
};

/* ---- random answers ---- */

struct walk {
    const struct ew_tokenizer *tokenizer;
    struct ew_rng rng;
    uint32_t *bits;
    int32_t *allowed;
    char text[TEXT_BYTES];
    size_t bytes, steps;
    bool ended; /* by an end token, or since nothing may follow */
};

static void walk_init(struct walk *w, const struct ew_tokenizer *t, uint64_t seed)
{
    *w = (struct walk){.tokenizer = t};
    ew_rng_init(&w->rng, seed);
    w->bits = calloc((ew_tokenizer_vocab(t) + 31) / 32, sizeof *w->bits);
    w->allowed = calloc(ew_tokenizer_vocab(t), sizeof *w->allowed);
    assert_non_null(w->bits);
    assert_non_null(w->allowed);
}

static void walk_fini(struct walk *w)
{
    free(w->bits);
    free(w->allowed);
}

/* How much a token brings the text to its end. */
static int closes(const struct walk *w, int32_t token)
{
    static const char order[] = "0123456789ne]}\"";
    struct ew_str s = ew_tokenizer_bytes(w->tokenizer, token);
    if (ew_tokenizer_is_end(w->tokenizer, token))
        return 100;
    const char *at = s.bytes == 1 && *s.data ? strchr(order, *s.data) : NULL;
    return at ? (int)(at - order) + 1 : 0;
}

/* One of those the mask allows: at first any, later one that closes what is open. */
static int32_t choose(struct walk *w, size_t hurry)
{
    uint32_t vocab = ew_tokenizer_vocab(w->tokenizer), count = 0;
    int32_t best = -1;
    for (uint32_t t = 0; t < vocab; t++)
        if (w->bits[t / 32] >> (t % 32) & 1)
            w->allowed[count++] = (int32_t)t;
    assert_true(count > 0); /* else a dead end */
    uint32_t pick = (uint32_t)ew_rng_below(&w->rng, count);
    if (w->steps < hurry && ew_rng_below(&w->rng, 3))
        return w->allowed[pick];
    for (uint32_t i = 0; i < count; i++) {
        int32_t t = w->allowed[(i + pick) % count];
        if (best < 0 || closes(w, t) > closes(w, best))
            best = t;
    }
    return best;
}

static void walk(struct walk *w, const struct ew_grammar *g, size_t hurry)
{
    struct ew_grammar_state state;
    struct ew_err err = {0};
    w->bytes = w->steps = 0;
    w->ended = false;
    ew_grammar_start(g, &state);
    for (; w->steps < STEPS_MAX && !w->ended; w->steps++) {
        ew_grammar_mask(g, &state, w->bits);
        int32_t token = choose(w, hurry);
        if (ew_grammar_accept(g, &state, token, &err))
            fail_msg("the mask allowed what accept refuses: %s", err.text);
        if (ew_tokenizer_is_end(w->tokenizer, token))
            break;
        struct ew_str s = ew_tokenizer_bytes(w->tokenizer, token);
        assert_true(s.bytes > 0 && w->bytes + s.bytes < TEXT_BYTES);
        memcpy(w->text + w->bytes, s.data, s.bytes);
        w->bytes += s.bytes;
        w->ended = ew_grammar_done(g, &state);
    }
    assert_true(w->steps < STEPS_MAX);
}

static void check_text(const struct walk *w, const char *schema)
{
    json_error_t error;
    json_t *value = json_loadb(w->text, w->bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!value)
        fail_msg("%s: %.*s", error.text, (int)w->bytes, w->text);
    json_t *root = schema ? json_loads(schema, JSON_DECODE_ANY, NULL) : json_object();
    assert_non_null(root);
    if (!fits(root, root, value) || (!schema && !json_is_object(value)))
        fail_msg("%s doesn't fit %s", w->text, schema ? schema : "an object");
    json_decref(root);
    json_decref(value);
}

static struct ew_grammar *make(const struct ew_tokenizer *t, const char *schema)
{
    const struct ew_grammar_params params = {.schema = schema,
                                             .schema_bytes = schema ? strlen(schema) : 0};
    struct ew_grammar *g;
    struct ew_err err = {0};
    if (ew_grammar_make(&g, t, &params, &err))
        fail_msg("%s", err.text);
    return g;
}

static void walk_all(const struct ew_tokenizer *t, int walks)
{
    struct walk w;
    walk_init(&w, t, 7);
    for (size_t i = 0; i < EW_COUNT(schemas); i++) {
        struct ew_grammar *g = make(t, schemas[i]);
        for (int k = 0; k < walks; k++) {
            walk(&w, g, (size_t)(2 + 9 * (k % 8)));
            check_text(&w, schemas[i]);
        }
        ew_grammar_close(&g);
    }
    walk_fini(&w);
}

static void any_answer_over_bytes_fits(void **state)
{
    (void)state;
    struct grammar_world w;
    grammar_world_open(&w);
    walk_all(w.tokenizer, 200);
    grammar_world_close(&w);
}

/* ---- real vocabularies ---- */

static const char *const models[] = {"smollm2-135m.gguf", "gemma3-270m.gguf",
                                     "qwen2.5-coder-0.5b.gguf"};

static bool real_open(struct ew_gguf **gguf, struct ew_tokenizer **tokenizer, const char *name)
{
    const char *folder = getenv("EDGEWISE_TEST_MODELS"), *cache = getenv("XDG_CACHE_HOME");
    char path[4096];
    if (folder)
        snprintf(path, sizeof path, "%s/%s", folder, name);
    else if (cache)
        snprintf(path, sizeof path, "%s/edgewise/models/%s", cache, name);
    else
        snprintf(path, sizeof path, "%s/.cache/edgewise/models/%s", getenv("HOME"), name);
    if (access(path, R_OK) != 0) {
        printf("%s isn't there: skipped\n", path);
        return false;
    }
    struct ew_err err = {0};
    if (ew_gguf_open(gguf, path, &err) || ew_tokenizer_open(tokenizer, *gguf, &err))
        fail_msg("%s", err.text);
    return true;
}

/* The mask of each state on a walk against accept of each token. */
static void compare_masks(const struct ew_tokenizer *t, const char *schema, int states)
{
    struct ew_grammar *g = make(t, schema);
    struct ew_grammar_state state, copy;
    struct walk w;
    walk_init(&w, t, 3);
    ew_grammar_start(g, &state);
    for (int i = 0; i < states && !ew_grammar_done(g, &state); i++, w.steps++) {
        ew_grammar_mask(g, &state, w.bits);
        for (uint32_t k = 0; k < ew_tokenizer_vocab(t); k++) {
            copy = state;
            bool taken = !ew_grammar_accept(g, &copy, (int32_t)k, NULL);
            if (taken != (w.bits[k / 32] >> (k % 32) & 1))
                fail_msg("token %u after %d: mask and accept differ", k, i);
        }
        int32_t token = choose(&w, 1000);
        if (ew_tokenizer_is_end(t, token))
            break;
        assert_int_equal(ew_grammar_accept(g, &state, token, NULL), 0);
    }
    walk_fini(&w);
    ew_grammar_close(&g);
}

static void check_real(const char *name, int walks, int states)
{
    struct ew_gguf *gguf = NULL;
    struct ew_tokenizer *t = NULL;
    if (!real_open(&gguf, &t, name))
        skip();
    walk_all(t, walks);
    compare_masks(t, schemas[1], states);
    compare_masks(t, schemas[2], states);
    compare_masks(t, schemas[7], states); /* a bounded string, to its end */
    compare_masks(t, schemas[0], states);
    ew_tokenizer_close(&t);
    ew_gguf_close(&gguf);
}

static void any_answer_of_smollm2_fits(void **state)
{
    (void)state;
    check_real(models[0], 24, 12);
}

static void any_answer_of_gemma3_fits(void **state)
{
    (void)state;
    check_real(models[1], 8, 3);
}

static void any_answer_of_qwen_fits(void **state)
{
    (void)state;
    check_real(models[2], 8, 3);
}

/* ---- the contract ---- */

static int read_params(const struct grammar_world *w, const struct ew_grammar_params *params,
                       const char *text)
{
    struct ew_grammar *g;
    struct ew_err err = {0};
    if (ew_grammar_make(&g, w->tokenizer, params, &err))
        fail_msg("%s", err.text);
    int at = grammar_world_read(w, g, text);
    ew_grammar_close(&g);
    return at;
}

static void no_schema_is_any_object(void **state)
{
    (void)state;
    const struct ew_grammar_params any = {.schema = NULL};
    struct grammar_world w;
    grammar_world_open(&w);
    assert_int_equal(read_params(&w, &any, "{\"a\": [1, {\"b\": null}]}"), GRAMMAR_READ);
    assert_int_equal(read_params(&w, &any, "{}"), GRAMMAR_READ);
    assert_int_equal(read_params(&w, &any, "{}}"), 2);
    assert_int_equal(read_params(&w, &any, "[]"), 0);
    assert_int_equal(read_params(&w, &any, "{\"a\""), 4);
    grammar_world_close(&w);
}

static void text_may_stand_around_it(void **state)
{
    (void)state;
    static const char schema[] = "{\"type\":\"integer\"}";
    const struct ew_grammar_params params = {.schema = schema,
                                             .schema_bytes = strlen(schema),
                                             .before = "<tool_call>\n",
                                             .after = "\n</tool_call>"};
    struct ew_grammar_params any = {.before = "Sure: ", .after = ""};
    struct grammar_world w;
    grammar_world_open(&w);
    assert_int_equal(read_params(&w, &params, "<tool_call>\n12\n</tool_call>"), GRAMMAR_READ);
    assert_int_equal(read_params(&w, &params, "<tool_call>\n12"), 14);
    assert_int_equal(read_params(&w, &params, "12"), 0);
    assert_int_equal(read_params(&w, &any, "Sure: {}"), GRAMMAR_READ);
    any = (struct ew_grammar_params){.after = "!"};
    assert_int_equal(read_params(&w, &any, "{}!"), GRAMMAR_READ);
    assert_int_equal(read_params(&w, &any, "{}"), 2);
    grammar_world_close(&w);
}

static void an_answer_may_have_one_of_several_forms(void **state)
{
    (void)state;
    static const char number[] =
        "{\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"type\":\"integer\"}}}",
                      word[] = "{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/n\"},"
                               "\"$defs\":{\"n\":{\"enum\":[\"a\",7]}}}";
    struct ew_grammar_params object = {.schema = NULL, .before = "{\"b\""},
                             words = {word, strlen(word), "<", ">", &object},
                             any = {number, strlen(number), NULL, NULL, &words};
    struct grammar_world w;
    grammar_world_open(&w);
    assert_int_equal(read_params(&w, &any, "12"), GRAMMAR_READ);
    assert_int_equal(read_params(&w, &any, "<[\"a\", 7]>"), GRAMMAR_READ);
    assert_int_equal(read_params(&w, &any, "<[8"), 2);
    assert_int_equal(read_params(&w, &any, "[7]"), 0);
    assert_int_equal(read_params(&w, &any, "{\"b\"{}"), GRAMMAR_READ);
    assert_int_equal(read_params(&w, &any, "\"a\""), 0);
    words.schema = "{\"not\":{}}";
    words.schema_bytes = strlen(words.schema);
    struct ew_grammar *g;
    struct ew_err err = {0};
    assert_int_equal(ew_grammar_make(&g, w.tokenizer, &any, &err), EW_EUNSUPPORTED);
    grammar_world_close(&w);
}

static void an_end_token_ends_and_changes_nothing(void **state)
{
    (void)state;
    struct grammar_world w;
    struct ew_grammar_state s, copy;
    struct ew_err err = {0};
    grammar_world_open(&w);
    struct ew_grammar *g = grammar_world_make(&w, "{\"type\":\"integer\"}");
    ew_grammar_start(g, &s);
    assert_int_equal(ew_grammar_accept(g, &s, w.end, &err), EW_EINVAL);
    assert_int_equal(ew_grammar_accept(g, &s, w.of_byte['7'], &err), 0);
    copy = s;
    assert_int_equal(ew_grammar_accept(g, &s, w.end, &err), 0);
    assert_int_equal(s.count, copy.count);
    assert_memory_equal(s.paths, copy.paths, s.count * sizeof *s.paths);
    assert_false(ew_grammar_done(g, &s)); /* digits may follow */
    assert_int_equal(ew_grammar_accept(g, &s, w.of_byte['x'], &err), EW_EINVAL);
    assert_int_equal(ew_grammar_accept(g, &s, -1, &err), EW_EINVAL);
    assert_int_equal(ew_grammar_accept(g, &s, 1 << 20, &err), EW_EINVAL);
    ew_grammar_close(&g);
    ew_grammar_close(&g); /* nothing */
    grammar_world_close(&w);
}

/* As deep as there is room, and everything can still be closed there. */
static void depth_is_bounded_without_a_dead_end(void **state)
{
    (void)state;
    struct grammar_world w;
    char text[1000];
    int depth = 0;
    grammar_world_open(&w);
    struct ew_grammar *g = grammar_world_make(&w, "{\"type\":\"array\"}");
    memset(text, '[', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    depth = grammar_world_read(&w, g, text);
    assert_in_range(depth, 20, EW_GRAMMAR_DEPTH_MAX);
    memset(text + depth, ']', (size_t)depth);
    text[2 * depth] = '\0';
    assert_int_equal(grammar_world_read(&w, g, text), GRAMMAR_READ);
    ew_grammar_close(&g);
    grammar_world_close(&w);
}

/* ---- limits ---- */

static void check_limit(const struct grammar_world *w, const char *schema, const char *says)
{
    const struct ew_grammar_params params = {.schema = schema, .schema_bytes = strlen(schema)};
    struct ew_grammar *g = NULL;
    struct ew_err err = {0};
    uint64_t from = ew_clock_now_ns(&ew_clock_real);
    int code = ew_grammar_make(&g, w->tokenizer, &params, &err);
    if (code != EW_ELIMIT || !strstr(err.text, says))
        fail_msg("%.100s... gives %d: %s", schema, code, err.text);
    assert_null(g);
    assert_true(ew_clock_now_ns(&ew_clock_real) - from < (uint64_t)20 * 1000000000);
}

/* `count` pieces, in which %u is the number, between two texts. */
static char *many(const char *before, const char *piece, unsigned count, const char *after)
{
    size_t room = strlen(before) + strlen(after) + count * (strlen(piece) + 12) + 1;
    char *text = malloc(room);
    assert_non_null(text);
    size_t at = (size_t)snprintf(text, room, "%s", before);
    for (unsigned i = 0; i < count; i++) {
        char one[300];
        const char *number = strstr(piece, "%u");
        if (number)
            snprintf(one, sizeof one, "%.*s%u%s", (int)(number - piece), piece, i, number + 2);
        at += (size_t)snprintf(text + at, room - at, "%s%s", i ? "," : "", number ? one : piece);
    }
    snprintf(text + at, room - at, "%s", after);
    return text;
}

static void limits_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *before, *piece;
        unsigned count;
        const char *after, *says;
    } rows[] = {
        {"{\"enum\":[", "\"v%u\"", 10001, "]}", "an enum of 10001 values, at most 10000"},
        {"{\"description\":\"", "xxxxxxxxxxxxxxxxxxxxxxxx", 50000, "\"}", "schema of"},
        {"{\"anyOf\":[", "{\"const\":%u}", 5000, "]}", "4096 alternatives"},
        {"{\"allOf\":[", "{\"minimum\":%u}", 30, "]}", "24 schemas"},
        {"{\"items\":{\"pattern\":\"^", "(ab?c{900}d{0,900}){50}", 1, "$\"}}", "large"},
        {"{\"pattern\":\"", "a{1001}", 1, "\"}", "a pattern's count above 1000"},
        {"{\"pattern\":\"", "((((((((((((((((((((((((((((((((((((((((((", 1, "\"}", "groups"},
        {"{\"minItems\":70000}", "", 0, "", "at most 65534"},
    };
    struct grammar_world w;
    grammar_world_open(&w);
    for (size_t i = 0; i < EW_COUNT(rows); i++) {
        char *schema = many(rows[i].before, rows[i].piece, rows[i].count, rows[i].after);
        check_limit(&w, schema, rows[i].says);
        free(schema);
    }
    check_limit(&w, "{\"pattern\":\"^(a|b)*a(a|b){30}$\"}", "too large");
    grammar_world_close(&w);
}

/* `{"properties":{"property_0":…},"required":[…]}` with so many of each. */
static char *large_object(unsigned properties, unsigned required)
{
    char *names = many("\"required\":[", "\"property_%u\"", required, "]");
    size_t room = strlen(names) + 100;
    char *after = malloc(room);
    assert_non_null(after);
    snprintf(after, room, "},\"type\":\"object\",\"additionalProperties\":false,%s}", names);
    char *all =
        many("{\"properties\":{", "\"property_%u\":{\"type\":\"string\"}", properties, after);
    free(names);
    free(after);
    return all;
}

static void check_large(const struct grammar_world *w, char *schema, const char *text)
{
    const struct ew_grammar_params params = {.schema = schema, .schema_bytes = strlen(schema)};
    assert_int_equal(read_params(w, &params, text), GRAMMAR_READ);
    free(schema);
}

/* OpenAI takes 1000 values of enums, and 5000 properties, all of them required; of properties that
 * may be left out we hold some hundreds. */
static void large_schemas_are_held(void **state)
{
    (void)state;
    struct grammar_world w;
    char *text = many("{", "\"property_%u\":\"\"", 1000, "}");
    grammar_world_open(&w);
    check_large(&w, many("{\"enum\":[", "\"value number %u\"", 1000, "]}"), "\"value number 999\"");
    check_large(&w, large_object(1000, 1000), text);
    check_large(&w, large_object(300, 2), "{\"property_0\":\"\",\"property_1\":\"\"}");
    check_large(&w,
                many("{\"type\":\"object\",\"properties\":{",
                     "\"p%u\":{\"anyOf\":[{\"type\":\"array\",\"items\":{\"type\":\"integer\"}},"
                     "{\"type\":\"null\"}]}",
                     200, "},\"additionalProperties\":{\"type\":\"boolean\"}}"),
                "{\"p7\":[1],\"p199\":null,\"p200\":true}");
    free(text);
    grammar_world_close(&w);
}

/* ---- threads share a grammar ---- */

struct shared {
    const struct ew_grammar *g;
    const struct ew_tokenizer *tokenizer;
    uint64_t seed;
    char text[TEXT_BYTES];
};

static void *walk_shared(void *arg)
{
    struct shared *s = arg;
    struct walk *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    walk_init(w, s->tokenizer, s->seed);
    for (int i = 0; i < 60; i++)
        walk(w, s->g, 30);
    memcpy(s->text, w->text, w->bytes);
    walk_fini(w);
    free(w);
    return NULL;
}

static void threads_share_a_grammar(void **state)
{
    (void)state;
    static struct shared shared[4], alone;
    struct grammar_world w;
    pthread_t threads[4];
    grammar_world_open(&w);
    struct ew_grammar *g = make(w.tokenizer, schemas[2]);
    for (int i = 0; i < 4; i++) {
        shared[i] = (struct shared){.g = g, .tokenizer = w.tokenizer, .seed = (uint64_t)i};
        assert_int_equal(pthread_create(&threads[i], NULL, walk_shared, &shared[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++) {
        alone = (struct shared){.g = g, .tokenizer = w.tokenizer, .seed = (uint64_t)i};
        walk_shared(&alone);
        assert_string_equal(alone.text, shared[i].text);
    }
    ew_grammar_close(&g);
    grammar_world_close(&w);
}

/* ---- --times ---- */

static double ms_since(uint64_t from)
{
    return (double)(ew_clock_now_ns(&ew_clock_real) - from) / 1e6;
}

static int compare_double(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static void show_times(const struct ew_tokenizer *t, const char *name, size_t which)
{
    enum { MASKS = 4000 };
    static double fresh[MASKS];
    struct walk w;
    walk_init(&w, t, 11);
    uint64_t from = ew_clock_now_ns(&ew_clock_real);
    struct ew_grammar *g = make(t, schemas[which]);
    double open_ms = ms_since(from);
    struct ew_grammar_state state;
    int count = 0;
    while (count < MASKS) {
        ew_grammar_start(g, &state);
        for (w.steps = 0; count < MASKS && !ew_grammar_done(g, &state); w.steps++) {
            from = ew_clock_now_ns(&ew_clock_real);
            ew_grammar_mask(g, &state, w.bits);
            fresh[count++] = ms_since(from);
            int32_t token = choose(&w, 30);
            if (ew_tokenizer_is_end(t, token) || ew_grammar_accept(g, &state, token, NULL))
                break;
        }
    }
    qsort(fresh, MASKS, sizeof *fresh, compare_double);
    printf("%-24s schema %zu: open %6.1f ms; masks p50 %.4f p90 %.4f p99 %.4f max %.3f ms\n", name,
           which, open_ms, fresh[MASKS / 2], fresh[MASKS * 9 / 10], fresh[MASKS * 99 / 100],
           fresh[MASKS - 1]);
    ew_grammar_close(&g);
    walk_fini(&w);
}

static int show_all_times(void)
{
    for (size_t m = 0; m < EW_COUNT(models); m++) {
        struct ew_gguf *gguf = NULL;
        struct ew_tokenizer *t = NULL;
        if (!real_open(&gguf, &t, models[m]))
            continue;
        for (size_t i = 0; i < EW_COUNT(schemas); i++)
            show_times(t, models[m], i);
        ew_tokenizer_close(&t);
        ew_gguf_close(&gguf);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--times") == 0)
        return show_all_times();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_answer_over_bytes_fits),
        cmocka_unit_test(any_answer_of_smollm2_fits),
        cmocka_unit_test(any_answer_of_gemma3_fits),
        cmocka_unit_test(any_answer_of_qwen_fits),
        cmocka_unit_test(no_schema_is_any_object),
        cmocka_unit_test(text_may_stand_around_it),
        cmocka_unit_test(an_answer_may_have_one_of_several_forms),
        cmocka_unit_test(an_end_token_ends_and_changes_nothing),
        cmocka_unit_test(depth_is_bounded_without_a_dead_end),
        cmocka_unit_test(limits_are_told),
        cmocka_unit_test(large_schemas_are_held),
        cmocka_unit_test(threads_share_a_grammar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
