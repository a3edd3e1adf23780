/* test_schema.c - which JSON a schema lets through, keyword by keyword; what is refused, and how.
 *
 * Each row is a schema, texts that match and are let through, and texts that aren't. Texts are fed
 * byte by byte, with mask and accept compared at each (tests/support/grammar_world.h). */
#include "support/grammar_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TEXTS = 12 };

struct row {
    const char *schema;
    const char *yes[TEXTS], *no[TEXTS];
};

static void check_rows(const struct row *rows, size_t count)
{
    struct grammar_world w;
    grammar_world_open(&w);
    for (size_t i = 0; i < count; i++) {
        struct ew_grammar *g = grammar_world_make(&w, rows[i].schema);
        for (int k = 0; k < TEXTS && rows[i].yes[k]; k++) {
            int at = grammar_world_read(&w, g, rows[i].yes[k]);
            if (at != GRAMMAR_READ)
                fail_msg("%s refuses %s at byte %d", rows[i].schema, rows[i].yes[k], at);
        }
        for (int k = 0; k < TEXTS && rows[i].no[k]; k++)
            if (grammar_world_read(&w, g, rows[i].no[k]) == GRAMMAR_READ)
                fail_msg("%s allows %s", rows[i].schema, rows[i].no[k]);
        ew_grammar_close(&g);
        assert_null(g);
    }
    grammar_world_close(&w);
}

static void types(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"type\":\"null\"}", {"null"}, {"true", "nul", "nulls", "", " null"}},
        {"{\"type\":\"boolean\"}", {"true", "false"}, {"null", "True", "0"}},
        {"{\"type\":\"integer\"}",
         {"0", "-1", "12345", "999999999999999"},
         {"01", "+1", "1.0", "1e3", "-", "", "1234567890123456"}},
        {"{\"type\":\"number\"}",
         {"0", "-1", "1.5", "-0.25", "1e5", "2E-3", "3.0e+10"},
         {".5", "1.", "1e", "01", "- 1", "NaN"}},
        {"{\"type\":\"string\"}",
         {"\"\"", "\"a\"", "\"\\n\\\"\\\\\\/\"", "\"\\u00e9\"", "\"\xc3\xa9\xe2\x82\xac\"",
          "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\""},
         {"\"\n\"", "\"\\x\"", "\"\\ud83d\"", "\"\\ude00\"", "\"\xc3\"", "\"\xed\xa0\x80\"",
          "\"\xff\"", "a", "\"a"}},
        {"{\"type\":[\"string\",\"null\"]}", {"null", "\"x\""}, {"1", "{}"}},
        {"{}",
         {"null", "1", "\"a\"", "[]", "[1, {\"a\":[]}]", "{}", "{\"a\":1, \"b\": [true,false]}"},
         {"[1,]", "{\"a\"}", "{,}", "[}"}},
        {"true", {"null", "[1]"}, {"", "]"}},
        {"{\"type\":\"object\"}", {"{}", "{\"a\":{\"b\":{}}}"}, {"[]", "{a:1}", "{\"a\":}"}},
        {"{\"type\":\"array\"}", {"[]", "[1,\"a\",[null]]"}, {"{}", "[,]", "[1 2]"}},
        {"{\"type\":[\"integer\",\"number\"]}", {"1", "1.5"}, {"true"}},
    };
    check_rows(rows, EW_COUNT(rows));
}

static void white_space_is_bounded(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}",
         {"[1, 2]", "[\n  1,\n  2\n]", "[ 1,2 ]", "[\n\t\t1]"},
         {"[  1]", "[\n\n1]", "[\n                 1]", "[1]\n", " [1]", "[1 , 2]"}},
        {"{\"properties\":{\"a\":{\"type\":\"null\"}},\"required\":[\"a\"]}",
         {"{\"a\":null}", "{\"a\": null}", "{\n    \"a\": null\n}", "{ \"a\": null }"},
         {"{\"a\":  null}", "{\"a\" :null}", "{\"a\":\nnull}", "{\r\n\"a\":null}"}},
    };
    check_rows(rows, EW_COUNT(rows));
}

static void objects(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":"
         "\"null\"}},\"required\":[\"a\",\"b\"],\"additionalProperties\":false}",
         {"{\"a\":1,\"b\":null}", "{\"a\": 1, \"b\": null}"},
         {"{\"a\":1}", "{\"b\":null,\"a\":1}", "{}", "{\"a\":1,\"b\":null,\"c\":1}",
          "{\"a\":null,\"b\":null}"}},
        {"{\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"},\"c\":{\"type\":"
         "\"null\"}},\"required\":[\"b\"]}",
         {"{\"b\":null}", "{\"a\":null,\"b\":null}", "{\"b\":null,\"c\":null}",
          "{\"a\":null,\"b\":null,\"c\":null}"},
         {"{}", "{\"a\":null}", "{\"a\":null,\"c\":null}", "{,\"b\":null}", "{\"b\":null,}",
          "{\"d\":null}"}},
        {"{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}",
         {"{}"},
         {"{\"a\":1}"}},
        {"{\"properties\":{\"ab\":{\"type\":\"null\"},\"a\\u00e9\":{}},\"additionalProperties\":"
         "{\"type\":\"integer\"}}",
         {"{}", "{\"ab\":null}", "{\"a\":1}", "{\"abc\":1}", "{\"ab\":null,\"x\":2,\"y\":3}",
          "{\"\":1}", "{\"b\":1}", "{\"a\xc3\xa9\":true,\"a\xc3\xa8\":5}"},
         {"{\"ab\":1}", "{\"x\":null}", "{\"x\":1,\"ab\":null}", "{\"a\\u0062\":1}",
          "{\"\\u0061b\":1}"}},
        {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"boolean\"}}",
         {"{}", "{\"any\":true}", "{\"a\":true, \"b\":false}"},
         {"{\"a\":1}"}},
        {"{\"properties\":{\"a\":{\"type\":\"null\"}},\"additionalProperties\":true}",
         {"{}", "{\"a\":null}", "{\"b\":[1]}"},
         {"{\"a\":1}"}},
        {"{\"type\":\"object\",\"required\":[\"x\"]}",
         {"{\"x\":1}", "{\"x\":{},\"y\":2}"},
         {"{}", "{\"y\":2}"}},
        {"{\"properties\":{\"a\":false,\"b\":{\"type\":\"null\"}}}",
         {"{}", "{\"b\":null}"},
         {"{\"a\":1}"}},
        {"{\"properties\":{\"q\\\"\\\\\\n\":{\"type\":\"null\"}}}",
         {"{\"q\\\"\\\\\\n\":null}", "{}"},
         {"{\"q\":null}"}},
    };
    check_rows(rows, EW_COUNT(rows));
}

static void arrays(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"items\":{\"type\":\"integer\"},\"minItems\":2,\"maxItems\":3}",
         {"[1,2]", "[1,2,3]"},
         {"[]", "[1]", "[1,2,3,4]", "[1,\"a\"]"}},
        {"{\"type\":\"array\",\"maxItems\":0}", {"[]"}, {"[1]"}},
        {"{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"maxItems\":1}",
         {"[]", "[null]"},
         {"[null,null]"}},
        {"{\"type\":\"array\",\"minItems\":1}", {"[1]", "[[],{}]"}, {"[]"}},
        {"{\"prefixItems\":[{\"type\":\"null\"},{\"type\":\"boolean\"}],\"items\":false}",
         {"[]", "[null]", "[null,true]"},
         {"[true]", "[null,true,1]"}},
        {"{\"prefixItems\":[{\"type\":\"null\"}],\"items\":{\"type\":\"integer\"}}",
         {"[]", "[null]", "[null,1,2]"},
         {"[1]", "[null,null]"}},
        {"{\"prefixItems\":[{\"type\":\"null\"},{\"type\":\"integer\"}],\"minItems\":2,"
         "\"maxItems\":2}",
         {"[null,1]"},
         {"[null]", "[null,1,2]", "[]"}},
        {"{\"items\":{\"items\":{\"type\":\"integer\"},\"minItems\":1},\"minItems\":1}",
         {"[[1]]", "[[1,2],[3]]"},
         {"[]", "[[]]", "[1]"}},
        {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"uniqueItems\":false}",
         {"[1,1]"},
         {"[null]"}},
        {"{\"type\":\"array\",\"items\":false}", {"[]"}, {"[1]"}},
    };
    check_rows(rows, EW_COUNT(rows));
}

static void strings(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"minLength\":2,\"maxLength\":3}",
         {"\"ab\"", "\"abc\"", "\"\\n\xc3\xa9\"", "\"\xf0\x9f\x98\x80\\ud83d\\ude00z\""},
         {"\"\"", "\"a\"", "\"abcd\"", "\"\\n\\n\\n\\n\""}},
        {"{\"type\":\"string\",\"maxLength\":0}", {"\"\""}, {"\"a\""}},
        {"{\"type\":\"string\",\"minLength\":1}", {"\"a\"", "\"abcdefghijkl\""}, {"\"\""}},
        {"{\"pattern\":\"^[A-Z]{2}-\\\\d+$\"}",
         {"\"AB-1\"", "\"XY-999\""},
         {"\"A-1\"", "\"AB-\"", "\"ab-1\"", "\"AB-1x\""}},
        {"{\"pattern\":\"b+\"}", {"\"b\"", "\"xbby\""}, {"\"\"", "\"xy\""}},
        {"{\"pattern\":\"^(cat|dog)s?$|^none$\"}",
         {"\"cat\"", "\"dogs\"", "\"none\""},
         {"\"catsx\"", "\"nones\"", "\"\""}},
        {"{\"pattern\":\"^[^a-c\\\"]*$\"}", {"\"\"", "\"xyz\xc3\xa9\""}, {"\"a\"", "\"x\\\"\""}},
        {"{\"pattern\":\"^a.c\\\\.\\\\u0041\\\\x42$\"}",
         {"\"abc.AB\"", "\"a\xc3\xa9\x63.AB\""},
         {"\"a\\nc.AB\"", "\"abcxAB\""}},
        {"{\"pattern\":\"^(?:ab){1,2}?c*$\"}", {"\"ab\"", "\"ababccc\""}, {"\"ababab\"", "\"c\""}},
        {"{\"pattern\":\"^\\\\w+\\\\s\\\\S$\"}", {"\"a_1 x\""}, {"\"a\"", "\"a  \""}},
        {"{\"pattern\":\"\"}", {"\"\"", "\"anything\""}, {"1"}},
    };
    check_rows(rows, EW_COUNT(rows));
}

static void formats(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"format\":\"date\"}",
         {"\"2024-02-29\"", "\"2026-11-24\"", "\"2000-02-29\"", "\"1999-12-31\""},
         {"\"2023-02-29\"", "\"1900-02-29\"", "\"2026-13-01\"", "\"2026-04-31\"", "\"26-1-1\""}},
        {"{\"format\":\"time\"}", {"\"12:00:00Z\"", "\"23:59:59.5+02:00\""}, {"\"24:00:00Z\""}},
        {"{\"format\":\"date-time\"}", {"\"2026-11-24T03:06:53Z\""}, {"\"2026-11-24\""}},
        {"{\"format\":\"duration\"}", {"\"P3D\"", "\"PT1H30M\"", "\"P2W\""}, {"\"P\"", "\"PT\""}},
        {"{\"format\":\"uuid\"}",
         {"\"123e4567-e89b-12d3-a456-426614174000\""},
         {"\"123e4567\"", "\"123e4567-e89b-12d3-a456-42661417400g\""}},
        {"{\"format\":\"email\"}", {"\"jane.doe+x@example.com\""}, {"\"jane\"", "\"@x.de\""}},
        {"{\"format\":\"hostname\"}", {"\"a-b.example.org\""}, {"\"-a.org\"", "\"\""}},
        {"{\"format\":\"ipv4\"}", {"\"127.0.0.1\"", "\"255.249.199.9\""}, {"\"256.0.0.1\""}},
        {"{\"format\":\"ipv6\"}", {"\"fe80:0:0:0:0:0:0:1\""}, {"\"fe80\""}},
        {"{\"format\":\"uri\"}", {"\"https://example.org/a/b?x=1\""}, {"\"example\""}},
        {"{\"type\":\"string\",\"format\":\"password\"}", {"\"anything\""}, {"1"}},
    };
    check_rows(rows, EW_COUNT(rows));
}

static void numbers(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"type\":\"integer\",\"minimum\":1,\"maximum\":12}",
         {"1", "9", "10", "12"},
         {"0", "13", "-1", "100", "1.0"}},
        {"{\"type\":\"integer\",\"exclusiveMinimum\":-5,\"exclusiveMaximum\":5}",
         {"-4", "0", "4"},
         {"-5", "5", "-0"}},
        {"{\"type\":\"integer\",\"minimum\":0}", {"0", "7", "999999999999999"}, {"-1"}},
        {"{\"type\":\"integer\",\"maximum\":-10}", {"-10", "-11", "-100"}, {"-9", "0", "5"}},
        {"{\"type\":\"integer\",\"minimum\":1.5,\"maximum\":3.5}", {"2", "3"}, {"1", "4"}},
        {"{\"type\":\"integer\",\"multipleOf\":5}", {"0", "5", "-10", "1235"}, {"1", "12", "1234"}},
        {"{\"type\":\"integer\",\"multipleOf\":7,\"minimum\":10,\"maximum\":30}",
         {"14", "21", "28"},
         {"7", "15", "35"}},
        {"{\"type\":\"number\",\"minimum\":0,\"maximum\":1}",
         {"0", "1", "0.5", "0.999", "1.000", "0.0"},
         {"1.001", "-0.1", "2", "1.", "1e0"}},
        {"{\"type\":\"number\",\"exclusiveMinimum\":0,\"exclusiveMaximum\":1.5}",
         {"0.1", "1", "1.4999", "1.49"},
         {"0", "0.0", "1.5", "1.50", "-1", "2"}},
        {"{\"type\":\"number\",\"minimum\":-2.75,\"maximum\":-0.5}",
         {"-2.75", "-1", "-0.5", "-2.7", "-0.75"},
         {"-2.76", "-0.4", "0", "1", "-3"}},
        {"{\"type\":\"number\",\"multipleOf\":0.01}",
         {"1", "1.2", "1.25", "-0.01"},
         {"1.255", "1e3"}},
        {"{\"type\":\"number\",\"minimum\":10.5}", {"10.5", "11", "200.25"}, {"10.4", "9", "-11"}},
        {"{\"minimum\":3,\"type\":[\"number\",\"string\"]}", {"3", "\"x\""}, {"2"}},
    };
    check_rows(rows, EW_COUNT(rows));
}

static void lists_of_values(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"enum\":[\"red\",\"green\",1,null,{\"a\":[1]}]}",
         {"\"red\"", "\"green\"", "1", "null", "{\"a\":[1]}"},
         {"\"blue\"", "2", "\"re\"", "{}"}},
        {"{\"const\":\"x\\\"y\"}", {"\"x\\\"y\""}, {"\"x\""}},
        {"{\"type\":\"string\",\"enum\":[\"a\",1]}", {"\"a\""}, {"1"}},
        {"{\"allOf\":[{\"enum\":[1,2,3]},{\"enum\":[2,3,4]},{\"enum\":[3,2]}]}",
         {"2", "3"},
         {"1", "4"}},
        {"{\"const\":2,\"enum\":[1,2]}", {"2"}, {"1"}},
        {"{\"enum\":[true,false]}", {"true", "false"}, {"1", "0"}},
    };
    check_rows(rows, EW_COUNT(rows));
}

static void combinations(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"null\"}]}",
         {"5", "null"},
         {"\"5\"", "true"}},
        {"{\"oneOf\":[{\"type\":\"string\",\"maxLength\":2},{\"type\":\"array\"}]}",
         {"\"ab\"", "[]"},
         {"\"abc\"", "1"}},
        {"{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"]},"
         "{\"properties\":{\"b\":{\"type\":\"null\"},\"a\":{\"minimum\":3}}}]}",
         {"{\"a\":3}", "{\"a\":4,\"b\":null}"},
         {"{\"a\":2}", "{}", "{\"b\":null}"}},
        {"{\"type\":\"integer\",\"anyOf\":[{\"minimum\":10},{\"maximum\":-10}]}",
         {"10", "-11"},
         {"0", "-9"}},
        {"{\"properties\":{\"k\":{\"type\":\"string\"}},\"required\":[\"k\"],\"anyOf\":["
         "{\"properties\":{\"k\":{\"const\":\"a\"},\"v\":{\"type\":\"integer\"}},\"required\":"
         "[\"v\"]},{\"properties\":{\"k\":{\"const\":\"b\"},\"v\":{\"type\":\"null\"}},"
         "\"required\":[\"v\"]}]}",
         {"{\"k\":\"a\",\"v\":1}", "{\"k\":\"b\",\"v\":null}"},
         {"{\"k\":\"a\",\"v\":null}", "{\"k\":\"b\",\"v\":1}", "{\"k\":\"c\"}", "{\"k\":\"a\"}"}},
        {"{\"$defs\":{\"n\":{\"type\":\"integer\"}},\"$ref\":\"#/$defs/n\",\"minimum\":5}",
         {"5"},
         {"4", "\"a\""}},
        {"{\"definitions\":{\"a/b~c\":{\"type\":\"null\"}},\"items\":{\"$ref\":"
         "\"#/definitions/a~1b~0c\"}}",
         {"[null]", "[]"},
         {"[1]"}},
        {"{\"$defs\":{\"a b\":{\"const\":1}},\"$ref\":\"#/%24defs/a%20b\"}", {"1"}, {"2"}},
        {"{\"anyOf\":[{\"const\":1},{\"const\":2}],\"oneOf\":[{\"const\":2},{\"const\":3}]}",
         {"2"},
         {"1", "3"}},
    };
    check_rows(rows, EW_COUNT(rows));
}

static void recursive_schemas(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"$defs\":{\"node\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},"
         "\"next\":{\"anyOf\":[{\"$ref\":\"#/$defs/node\"},{\"type\":\"null\"}]}},\"required\":"
         "[\"v\",\"next\"],\"additionalProperties\":false}},\"$ref\":\"#/$defs/node\"}",
         {"{\"v\":1,\"next\":null}", "{\"v\":1,\"next\":{\"v\":2,\"next\":null}}"},
         {"{\"v\":1}", "{\"v\":1,\"next\":{}}"}},
        {"{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"children\":"
         "{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}},\"required\":[\"name\",\"children\"]}",
         {"{\"name\":\"a\",\"children\":[]}",
          "{\"name\":\"a\",\"children\":[{\"name\":\"b\",\"children\":[]},"
          "{\"name\":\"c\",\"children\":[]}]}"},
         {"{\"name\":\"a\",\"children\":[1]}"}},
    };
    check_rows(rows, EW_COUNT(rows));
}

/* What pydantic writes for a model with nested models, enums, options and defaults, as the openai
 * client sends it with strict true. */
static const char pydantic[] =
    "{\"$defs\":{\"Color\":{\"enum\":[\"red\",\"green\"],\"title\":\"Color\",\"type\":\"string\"},"
    "\"Item\":{\"properties\":{\"name\":{\"title\":\"Name\",\"type\":\"string\",\"description\":"
    "\"What it "
    "is\"},\"color\":{\"$ref\":\"#/$defs/Color\",\"default\":\"red\"},\"sizes\":{\"items\""
    ":{\"items\":{\"type\":\"number\"},\"type\":\"array\"},\"title\":\"Sizes\",\"type\":\"array\"},"
    "\"note\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}],\"default\":null,\"title\":"
    "\"Note\"}},\"required\":[\"name\",\"color\",\"sizes\",\"note\"],\"title\":\"Item\",\"type\":"
    "\"object\",\"additionalProperties\":false}},\"properties\":{\"kind\":{\"const\":\"order\","
    "\"title\":\"Kind\",\"type\":\"string\"},\"items\":{\"items\":{\"$ref\":\"#/$defs/Item\"},"
    "\"title\":\"Items\",\"type\":\"array\"},\"first\":{\"anyOf\":[{\"$ref\":\"#/$defs/Item\"},"
    "{\"type\":\"null\"}]},\"when\":{\"format\":\"date\",\"title\":\"When\",\"type\":\"string\"}},"
    "\"required\":[\"kind\",\"items\",\"first\",\"when\"],\"title\":\"Order\",\"type\":\"object\","
    "\"additionalProperties\":false}";

static void what_pydantic_writes(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {pydantic,
         {"{\"kind\":\"order\",\"items\":[],\"first\":null,\"when\":\"2026-11-24\"}",
          "{\"kind\": \"order\", \"items\": [{\"name\": \"a\", \"color\": \"red\", \"sizes\": "
          "[[1, 2.5], []], \"note\": null}], \"first\": {\"name\": \"\", \"color\": \"green\", "
          "\"sizes\": [], \"note\": \"x\"}, \"when\": \"2024-02-29\"}"},
         {"{\"kind\":\"order\",\"items\":[],\"first\":null}",
          "{\"kind\":\"order\",\"items\":[{\"name\":\"a\"}],\"first\":null,\"when\":"
          "\"2026-11-24\"}",
          "{\"kind\":\"orders\"}"}},
    };
    check_rows(rows, EW_COUNT(rows));
}

/* ---- what is refused ---- */

struct refusal {
    const char *schema;
    int code;
    const char *says; /* a part of the error's text */
};

static void check_refusals(const struct refusal *rows, size_t count)
{
    struct grammar_world w;
    grammar_world_open(&w);
    for (size_t i = 0; i < count; i++) {
        struct ew_grammar *g = (void *)1;
        struct ew_err err = {0};
        const struct ew_grammar_params params = {.schema = rows[i].schema,
                                                 .schema_bytes = strlen(rows[i].schema)};
        int code = ew_grammar_make(&g, w.tokenizer, &params, &err);
        if (code != rows[i].code || !strstr(err.text, rows[i].says))
            fail_msg("%.300s gives %d: %s", rows[i].schema, code, err.text);
        assert_null(g);
    }
    grammar_world_close(&w);
}

static void unsupported_keywords_are_named(void **state)
{
    (void)state;
    static const char *const keywords[] = {"not",
                                           "if",
                                           "then",
                                           "else",
                                           "patternProperties",
                                           "propertyNames",
                                           "contains",
                                           "minContains",
                                           "maxContains",
                                           "dependentRequired",
                                           "dependentSchemas",
                                           "dependencies",
                                           "unevaluatedProperties",
                                           "unevaluatedItems",
                                           "minProperties",
                                           "maxProperties",
                                           "$dynamicRef",
                                           "$recursiveRef",
                                           "additionalItems"};
    for (size_t i = 0; i < EW_COUNT(keywords); i++) {
        char schema[200], says[200];
        snprintf(schema, sizeof schema, "{\"properties\":{\"deep\":{\"items\":{\"%s\":{}}}}}",
                 keywords[i]);
        snprintf(says, sizeof says, "\"%s\" at /properties/deep/items isn't supported",
                 keywords[i]);
        const struct refusal row = {schema, EW_EUNSUPPORTED, says};
        check_refusals(&row, 1);
    }
    static const struct refusal rows[] = {
        {"{\"type\":\"array\",\"uniqueItems\":true}", EW_EUNSUPPORTED, "\"uniqueItems\""},
        {"{\"$ref\":\"https://example.org/x\"}", EW_EUNSUPPORTED, "\"$ref\""},
        {"{\"$ref\":\"#name\"}", EW_EUNSUPPORTED, "\"$ref\""},
        {"{\"format\":\"regex\"}", EW_EUNSUPPORTED, "\"format\""},
        {"{\"items\":[{}]}", EW_EUNSUPPORTED, "\"items\""},
        {"{\"pattern\":\"(?=a)b\"}", EW_EUNSUPPORTED, "\"pattern\""},
        {"{\"pattern\":\"(a)\\\\1\"}", EW_EUNSUPPORTED, "\\1"},
        {"{\"pattern\":\"\\\\bx\"}", EW_EUNSUPPORTED, "\\b"},
        {"{\"pattern\":\"\\\\p{L}\"}", EW_EUNSUPPORTED, "\\p"},
        {"{\"pattern\":\"a^b\"}", EW_EUNSUPPORTED, "anchor"},
        {"{\"type\":\"integer\",\"multipleOf\":0.3}", EW_EUNSUPPORTED, "\"multipleOf\""},
        {"{\"type\":\"integer\",\"multipleOf\":1000}", EW_EUNSUPPORTED, "\"multipleOf\""},
        {"{\"minimum\":1,\"exclusiveMinimum\":true}", EW_EUNSUPPORTED, "\"exclusiveMinimum\""},
        {"{\"enum\":[\"a\"],\"minLength\":2,\"type\":\"string\"}", EW_EUNSUPPORTED,
         "\"minLength\""},
        {"{\"allOf\":[{\"pattern\":\"^a\"},{\"pattern\":\"b$\"}]}", EW_EUNSUPPORTED, "\"pattern\""},
    };
    check_refusals(rows, EW_COUNT(rows));
}

static void malformed_schemas(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {"", EW_EFORMAT, "schema, byte 0"},
        {"{\"type\":", EW_EFORMAT, "schema, byte 8"},
        {"{\"type\":\"null\"} x", EW_EFORMAT, "schema, byte"},
        {"{\"type\":\"\xff\"}", EW_EFORMAT, "not UTF-8"},
        {"[]", EW_EFORMAT, "expected an object"},
        {"5", EW_EFORMAT, "a schema is an int"},
        {"{\"type\":\"text\"}", EW_EFORMAT, "\"type\" at its top"},
        {"{\"type\":5}", EW_EFORMAT, "\"type\""},
        {"{\"type\":[]}", EW_EFORMAT, "\"type\""},
        {"{\"type\":[\"null\",3]}", EW_EFORMAT, "\"type\""},
        {"{\"properties\":[]}", EW_EFORMAT, "\"properties\""},
        {"{\"properties\":{\"a\":3}}", EW_EFORMAT, "expected an object"},
        {"{\"required\":\"a\"}", EW_EFORMAT, "\"required\""},
        {"{\"required\":[1]}", EW_EFORMAT, "\"required\""},
        {"{\"enum\":1}", EW_EFORMAT, "\"enum\""},
        {"{\"enum\":[]}", EW_EFORMAT, "no JSON matches"},
        {"{\"anyOf\":[]}", EW_EFORMAT, "\"anyOf\""},
        {"{\"allOf\":{}}", EW_EFORMAT, "\"allOf\""},
        {"{\"prefixItems\":{}}", EW_EFORMAT, "\"prefixItems\""},
        {"{\"minLength\":-1}", EW_EFORMAT, "\"minLength\""},
        {"{\"minItems\":1.5}", EW_EFORMAT, "\"minItems\""},
        {"{\"maximum\":\"5\"}", EW_EFORMAT, "\"maximum\""},
        {"{\"multipleOf\":0}", EW_EFORMAT, "\"multipleOf\""},
        {"{\"pattern\":3}", EW_EFORMAT, "\"pattern\""},
        {"{\"pattern\":\"(a\"}", EW_EFORMAT, "\"pattern\""},
        {"{\"pattern\":\"a)\"}", EW_EFORMAT, "\"pattern\""},
        {"{\"pattern\":\"[a\"}", EW_EFORMAT, "\"pattern\""},
        {"{\"pattern\":\"*a\"}", EW_EFORMAT, "\"pattern\""},
        {"{\"pattern\":\"a{2,1}\"}", EW_EFORMAT, "\"pattern\""},
        {"{\"pattern\":\"a\\\\\"}", EW_EFORMAT, "\"pattern\""},
        {"{\"format\":1}", EW_EFORMAT, "\"format\""},
        {"{\"$ref\":\"#/$defs/none\"}", EW_EFORMAT, "\"$ref\""},
        {"{\"$ref\":1}", EW_EFORMAT, "\"$ref\""},
        {"{\"$ref\":\"#\"}", EW_EFORMAT, "leads back to itself"},
        {"{\"$defs\":{\"a\":{\"anyOf\":[{\"$ref\":\"#/$defs/a\"},{\"type\":\"null\"}]}},"
         "\"$ref\":\"#/$defs/a\"}",
         EW_EFORMAT, "leads back to itself"},
        {"false", EW_EFORMAT, "no JSON matches"},
        {"{\"type\":\"integer\",\"minimum\":5,\"maximum\":4}", EW_EFORMAT, "no JSON matches"},
        {"{\"type\":\"string\",\"minLength\":3,\"maxLength\":2}", EW_EFORMAT, "no JSON matches"},
        {"{\"type\":\"object\",\"required\":[\"a\"],\"additionalProperties\":false}", EW_EFORMAT,
         "no JSON matches"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}",
         EW_EFORMAT, "no JSON matches"},
    };
    check_refusals(rows, EW_COUNT(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types),
        cmocka_unit_test(white_space_is_bounded),
        cmocka_unit_test(objects),
        cmocka_unit_test(arrays),
        cmocka_unit_test(strings),
        cmocka_unit_test(formats),
        cmocka_unit_test(numbers),
        cmocka_unit_test(lists_of_values),
        cmocka_unit_test(combinations),
        cmocka_unit_test(recursive_schemas),
        cmocka_unit_test(what_pydantic_writes),
        cmocka_unit_test(unsupported_keywords_are_named),
        cmocka_unit_test(malformed_schemas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
