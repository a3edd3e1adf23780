/* test_openai_request.c - what a chat request may say, and what it is told when it may not. Covers
 * openai_fields.c, openai_messages.c, openai_tools.c, read.c. */
#include "support/wire_check.h"

#define HI         "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define MODEL      "\"model\":\"m\""
#define BODY(more) "{" MODEL "," HI more "}"

static void test_what_is_left_out_has_openais_defaults(void **state)
{
    (void)state;
    struct ew_request r;
    wire_check_accept(&ew_openai_chat, BODY(""), &r);
    assert_int_equal(r.kind, EW_REQUEST_CHAT);
    assert_string_equal(r.model, "m");
    wire_check_str(r.messages, "[{\"role\":\"user\",\"content\":\"hi\"}]");
    assert_null(r.tools.data);
    assert_int_equal(r.tool_choice, EW_TOOLS_NONE);
    assert_true(r.parallel_tool_calls);
    assert_int_equal(r.format, EW_FORMAT_TEXT);
    assert_false(r.stream || r.include_usage || r.logprobs || r.has_seed || r.load_only);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.max_tokens, 0);
    assert_int_equal(r.stop_count, 0);
    assert_true(r.sampling.temperature == 1 && r.sampling.top_p == 1 && r.sampling.min_p == 0);
    assert_true(r.sampling.repeat_penalty == 1 && r.sampling.frequency_penalty == 0);
    assert_int_equal(r.sampling.top_k, 0);
    assert_null(r.user);
    assert_true(isnan(r.keep_alive_s));
    ew_request_fini(&r);
}

static void test_every_field_arrives(void **state)
{
    (void)state;
    struct ew_request r;
    wire_check_accept(
        &ew_openai_chat,
        BODY(",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"n\":3,"
             "\"stop\":[\"a\",\"\",\"b\"],\"seed\":-5,\"logprobs\":true,\"top_logprobs\":20,"
             "\"max_tokens\":9,\"max_completion_tokens\":11,\"temperature\":0.5,\"top_p\":0.25,"
             "\"presence_penalty\":-2,\"frequency_penalty\":2,\"logit_bias\":{\"50\":-100,\"7\":1.5"
             "},\"user\":\"u\",\"top_k\":40,\"min_p\":0.125,\"repetition_penalty\":1.5,\"repeat_"
             "last_n\":64,"
             "\"response_format\":{\"type\":\"json_object\"},\"store\":7,\"no_such\":{}"),
        &r);
    assert_true(r.stream && r.include_usage && r.logprobs && r.has_seed);
    assert_int_equal(r.n, 3);
    assert_int_equal(r.stop_count, 2);
    assert_string_equal(r.stops[0], "a");
    assert_string_equal(r.stops[1], "b");
    assert_int_equal((int64_t)r.sampling.seed, -5);
    assert_int_equal(r.top_logprobs, 20);
    assert_int_equal(r.max_tokens, 11); /* the newer name wins */
    assert_true(r.sampling.temperature == 0.5f && r.sampling.top_p == 0.25f);
    assert_true(r.sampling.presence_penalty == -2 && r.sampling.frequency_penalty == 2);
    assert_int_equal(r.sampling.bias_count, 2);
    assert_int_equal(r.sampling.bias[0].token, 50);
    assert_true(r.sampling.bias[0].add == -100 && r.sampling.bias[1].add == 1.5f);
    assert_int_equal(r.sampling.bias[1].token, 7);
    assert_string_equal(r.user, "u");
    assert_int_equal(r.sampling.top_k, 40);
    assert_true(r.sampling.min_p == 0.125f && r.sampling.repeat_penalty == 1.5f);
    assert_int_equal(r.sampling.penalty_last, 64);
    assert_int_equal(r.format, EW_FORMAT_JSON_OBJECT);
    ew_request_fini(&r);
}

static void test_null_is_absent(void **state)
{
    (void)state;
    struct ew_request r;
    wire_check_accept(&ew_openai_chat,
                      BODY(",\"stream\":null,\"stream_options\":null,\"n\":null,\"stop\":null,"
                           "\"seed\":null,\"logprobs\":null,\"top_logprobs\":null,\"max_tokens\":"
                           "null,\"temperature\":null,\"top_p\":null,\"logit_bias\":null,\"user\":"
                           "null,\"tools\":null,\"tool_choice\":null,\"response_format\":null,"
                           "\"functions\":null,\"top_k\":-1"),
                      &r);
    assert_int_equal(r.n, 1);
    assert_true(r.sampling.temperature == 1);
    assert_false(r.has_seed);
    assert_int_equal(r.sampling.top_k, 0);
    ew_request_fini(&r);
}

static void test_the_last_of_equal_keys_counts(void **state)
{
    (void)state;
    struct ew_request r;
    wire_check_accept(&ew_openai_chat, "{\"model\":\"x\"," HI ",\"model\":\"m\"}", &r);
    assert_string_equal(r.model, "m");
    ew_request_fini(&r);
    wire_check_accept(&ew_openai_chat, BODY(",\"stop\":\"END\",\"max_tokens\":4"), &r);
    assert_string_equal(r.stops[0], "END");
    assert_int_equal(r.max_tokens, 4);
    ew_request_fini(&r);
}

static void test_messages_become_what_templates_read(void **state)
{
    (void)state;
    static const struct {
        const char *messages, *wanted;
    } cases[] = {
        {"[{\"role\":\"developer\",\"content\":\"d\"}]",
         "[{\"role\":\"system\",\"content\":\"d\"}]"},
        {"[{\"role\":\"user\",\"name\":\"ann\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{"
         "\"type\":\"text\",\"text\":\"\\u00e9\\\"\"}],\"x\":1}]",
         "[{\"role\":\"user\",\"content\":\"a\\n\xc3\xa9\\\"\",\"name\":\"ann\"}]"},
        {"[{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"}]}]",
         "[{\"role\":\"assistant\",\"content\":\"no\"}]"},
        {"[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\","
         "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": [1, 0.1]}\"}}]},{\"role\":"
         "\"tool\",\"tool_call_id\":\"c1\",\"content\":\"42\"}]",
         "[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":"
         "\"function\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":[1,0.1]}}}]},{\"role\":"
         "\"tool\",\"content\":\"42\",\"tool_call_id\":\"c1\"}]"},
        {"[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":"
         "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{oops\"}}]}]",
         "[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":"
         "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{oops\"}}]}]"},
        {"[{\"role\":\"function\",\"name\":\"f\",\"content\":\"r\"}]",
         "[{\"role\":\"tool\",\"content\":\"r\",\"name\":\"f\"}]"},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        char body[1024];
        struct ew_request r;
        snprintf(body, sizeof body, "{" MODEL ",\"messages\":%s}", cases[i].messages);
        wire_check_accept(&ew_openai_chat, body, &r);
        wire_check_str(r.messages, cases[i].wanted);
        ew_request_fini(&r);
    }
}

#define TOOL(name) "{\"type\":\"function\",\"function\":{\"name\":\"" name "\"}}"

#define AMONG(mode, list)                                                                          \
    "{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"" mode "\",\"tools\":" list "}}"

static void test_tools_that_are_not_allowed_are_not_told(void **state)
{
    (void)state;
    static const struct {
        const char *choice;
        enum ew_tool_choice wanted;
        const char *tools;
    } cases[] = {
        {AMONG("auto", "[" TOOL("g") "]"), EW_TOOLS_AUTO, "[" TOOL("g") "]"},
        {AMONG("required", "[" TOOL("h") "," TOOL("f") "," TOOL("f") "]"), EW_TOOLS_REQUIRED,
         "[" TOOL("f") "," TOOL("h") "]"},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        char body[1024];
        struct ew_request r;
        snprintf(body, sizeof body,
                 BODY(",\"tools\":[" TOOL("f") "," TOOL("g") "," TOOL("h") "],\"tool_choice\":%s"),
                 cases[i].choice);
        wire_check_accept(&ew_openai_chat, body, &r);
        assert_int_equal(r.tool_choice, cases[i].wanted);
        assert_null(r.tool_name);
        wire_check_str(r.tools, cases[i].tools);
        ew_request_fini(&r);
    }
}

static void test_tools_and_the_choice_among_them(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        enum ew_tool_choice choice;
        const char *name;
    } cases[] = {
        {",\"tools\":[" TOOL("f") "]", EW_TOOLS_AUTO, NULL},
        {",\"tools\":[" TOOL("f") "],\"tool_choice\":\"none\"", EW_TOOLS_NONE, NULL},
        {",\"tools\":[" TOOL("f") "],\"tool_choice\":\"required\"", EW_TOOLS_REQUIRED, NULL},
        {",\"tools\":[" TOOL("f") "],\"tool_choice\":" TOOL("f"), EW_TOOLS_NAMED, "f"},
        {",\"tools\":[],\"tool_choice\":\"auto\"", EW_TOOLS_NONE, NULL},
    };
    for (size_t i = 0; i < EW_COUNT(cases); i++) {
        char body[512];
        struct ew_request r;
        snprintf(body, sizeof body, BODY("%s,\"parallel_tool_calls\":false"), cases[i].more);
        wire_check_accept(&ew_openai_chat, body, &r);
        assert_int_equal(r.tool_choice, cases[i].choice);
        assert_false(r.parallel_tool_calls);
        if (cases[i].name)
            assert_string_equal(r.tool_name, cases[i].name);
        if (i + 1 < EW_COUNT(cases))
            wire_check_str(r.tools, "[" TOOL("f") "]");
        ew_request_fini(&r);
    }
}

static void test_a_schema_arrives_as_text(void **state)
{
    (void)state;
    struct ew_request r;
    wire_check_accept(&ew_openai_chat,
                      BODY(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{"
                           "\"name\":\"s\",\"strict\":true,\"schema\":{\"type\": \"object\","
                           "\"properties\":{\"b\":{\"const\":1.25},\"a\":{}}}}}"),
                      &r);
    assert_int_equal(r.format, EW_FORMAT_JSON_SCHEMA);
    wire_check_str(r.schema,
                   "{\"type\":\"object\",\"properties\":{\"b\":{\"const\":1.25},\"a\":{}}}");
    ew_request_fini(&r);
}

static const char type_code[] = "invalid_type", value_code[] = "invalid_value",
                  missing_code[] = "missing_required_parameter";

/* The words are OpenAI's, as their clients' users quote them. */
static const struct wire_fault_case fields[] = {
    {"", NULL, "", "We could not parse the JSON body of your request: "},
    {"{\"model\":", NULL, "", "We could not parse the JSON body of your request: "},
    {"{} x", NULL, "", "We could not parse the JSON body of your request: "},
    {"{\"model\":\"\xff\"}", NULL, "", "We could not parse the JSON body of your request: "},
    {"{\"seed\":99999999999999999999}", NULL, "", "We could not parse the JSON body"},
    {"[]", type_code, "", "Invalid type for the body: expected an object, but got an array"},
    {"{" HI "}", NULL, "", "you must provide a model parameter"},
    {"{\"model\":\"\"," HI "}", NULL, "", "you must provide a model parameter"},
    {"{\"model\":7," HI "}", type_code, "model",
     "Invalid type for 'model': expected a string, but got an integer instead."},
    {"{\"model\":\"a\\u0000b\"," HI "}", value_code, "model", "Invalid 'model': "},
    {BODY(",\"temperature\":\"hot\""), type_code, "temperature",
     "Invalid type for 'temperature': expected a decimal, but got a string instead."},
    {BODY(",\"temperature\":2.5"), "decimal_above_max_value", "temperature",
     "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.5 "
     "instead."},
    {BODY(",\"temperature\":3"), "decimal_above_max_value", "temperature",
     "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 "
     "instead."},
    {BODY(",\"temperature\":-1"), "decimal_below_min_value", "temperature",
     "Invalid 'temperature': decimal below minimum value. Expected a value >= 0, but got -1 "
     "instead."},
    {BODY(",\"top_p\":1.1"), "decimal_above_max_value", "top_p", "Invalid 'top_p': decimal above"},
    {BODY(",\"min_p\":true"), type_code, "min_p", "Invalid type for 'min_p': expected a decimal, "},
    {BODY(",\"presence_penalty\":3"), "decimal_above_max_value", "presence_penalty", ""},
    {BODY(",\"frequency_penalty\":-3"), "decimal_below_min_value", "frequency_penalty", ""},
    {BODY(",\"repeat_penalty\":0"), "decimal_below_min_value", "repeat_penalty", ""},
    {BODY(",\"repeat_last_n\":-2"), "integer_below_min_value", "repeat_last_n", ""},
    {BODY(",\"top_k\":-2"), "integer_below_min_value", "top_k", ""},
    {BODY(",\"n\":0"), "integer_below_min_value", "n",
     "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead."},
    {BODY(",\"n\":17"), "integer_above_max_value", "n",
     "Invalid 'n': integer above maximum value. Expected a value <= 16, but got 17 instead."},
    {BODY(",\"n\":\"2\""), type_code, "n",
     "Invalid type for 'n': expected an integer, but got a string instead."},
    {BODY(",\"seed\":1.5"), type_code, "seed",
     "Invalid type for 'seed': expected an integer, but got a decimal number instead."},
    {BODY(",\"max_tokens\":0"), "integer_below_min_value", "max_tokens", ""},
    {BODY(",\"max_completion_tokens\":4294967296"), "integer_above_max_value",
     "max_completion_tokens", ""},
    {BODY(",\"stream\":\"yes\""), type_code, "stream",
     "Invalid type for 'stream': expected a boolean, but got a string instead."},
    {BODY(",\"stream_options\":{\"include_usage\":true}"), NULL, "stream_options",
     "The 'stream_options' parameter is only allowed when 'stream' is enabled."},
    {BODY(",\"stream\":true,\"stream_options\":{\"include_usage\":1}"), type_code,
     "stream_options.include_usage", ""},
    {BODY(",\"stop\":{}"), type_code, "stop",
     "Invalid type for 'stop': expected one of a string or array of strings, but got an object "},
    {BODY(",\"stop\":[1]"), type_code, "stop[0]", "Invalid type for 'stop[0]': expected a string"},
    {BODY(",\"stop\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"), "array_above_max_length", "stop",
     "Invalid 'stop': array too long. Expected an array with maximum length 16, but got an array "
     "with length 17 instead."},
    {BODY(",\"logit_bias\":{\"x\":1}"), value_code, "logit_bias",
     "Invalid key in 'logit_bias': x. You should only be submitting non-negative integers."},
    {BODY(",\"logit_bias\":{\"1x\":1}"), value_code, "logit_bias", ""},
    {BODY(",\"logit_bias\":{\"4294967296\":1}"), value_code, "logit_bias", ""},
    {BODY(",\"logit_bias\":{\"1\":101}"), "decimal_above_max_value", "logit_bias.1", ""},
    {BODY(",\"logit_bias\":{\"1\":null}"), type_code, "logit_bias", ""},
    {BODY(",\"logit_bias\":[[1,2]]"), type_code, "logit_bias", ""},
    {BODY(",\"top_logprobs\":1"), NULL, "top_logprobs",
     "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."},
    {BODY(",\"logprobs\":true,\"top_logprobs\":21"), "integer_above_max_value", "top_logprobs",
     "Invalid 'top_logprobs': integer above maximum value. Expected a value <= 20, but got 21"},
    {BODY(",\"logprobs\":5"), type_code, "logprobs", ""},
    {BODY(",\"user\":{}"), type_code, "user", "Invalid type for 'user': expected a string, but"},
};

#define MESSAGES(text) "{" MODEL ",\"messages\":" text "}"
#define ASKS(call)     MESSAGES("[{\"role\":\"assistant\",\"tool_calls\":[" call "]}]")

static const struct wire_fault_case messages[] = {
    {"{" MODEL "}", missing_code, "messages", "Missing required parameter: 'messages'."},
    {MESSAGES("null"), missing_code, "messages", "Missing required parameter: 'messages'."},
    {MESSAGES("\"hi\""), type_code, "messages",
     "Invalid type for 'messages': expected an array of objects, but got a string instead."},
    {MESSAGES("[]"), "empty_array", "messages",
     "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty "
     "array instead."},
    {MESSAGES("[\"hi\"]"), type_code, "messages[0]",
     "Invalid type for 'messages[0]': expected an object, but got a string instead."},
    {MESSAGES("[{\"content\":\"x\"}]"), missing_code, "messages[0].role",
     "Missing required parameter: 'messages[0].role'."},
    {MESSAGES("[{\"role\":\"boss\",\"content\":\"x\"}]"), value_code, "messages[0].role",
     "Invalid value: 'boss'. Supported values are: 'system', 'assistant', 'user', 'function', "
     "'tool', and 'developer'."},
    {MESSAGES("[{\"role\":\"user\"}]"), missing_code, "messages[0].content", ""},
    {MESSAGES("[{\"role\":\"user\",\"content\":null}]"), type_code, "messages[0].content",
     "Invalid value for 'messages[0].content': expected a string, got null."},
    {MESSAGES("[{\"role\":\"assistant\"}]"), missing_code, "messages[0].content", ""},
    {MESSAGES("[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":7}]"),
     type_code, "messages[1].content",
     "Invalid type for 'messages[1].content': expected one of a string or array of objects, but "
     "got an integer instead."},
    {MESSAGES("[{\"role\":\"user\",\"content\":\"a\\u0000\"}]"), value_code, "messages[0].content",
     "Invalid 'messages[0].content': a string may not have the character U+0000 in it."},
    {MESSAGES("[{\"role\":\"user\",\"content\":[\"a\"]}]"), type_code, "messages[0].content[0]",
     "Invalid type for 'messages[0].content[0]': expected an object, but got a string instead."},
    {MESSAGES("[{\"role\":\"user\",\"content\":[{\"text\":\"a\"}]}]"), missing_code,
     "messages[0].content[0].type", ""},
    {MESSAGES("[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]"), missing_code,
     "messages[0].content[0].text", ""},
    {MESSAGES("[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
              "\"image_url\",\"image_url\":{\"url\":\"x\"}}]}]"),
     "unsupported_value", "messages[0].content[1]",
     "Invalid content type: 'messages[0].content[1]' has the type 'image_url', but the models here "
     "read text only."},
    {MESSAGES("[{\"role\":\"user\",\"content\":\"a\",\"name\":1}]"), type_code, "messages[0].name",
     ""},
    {MESSAGES("[{\"role\":\"tool\",\"content\":\"a\"}]"), missing_code, "messages[0].tool_call_id",
     "Missing required parameter: 'messages[0].tool_call_id'."},
    {MESSAGES("[{\"role\":\"function\",\"content\":\"a\"}]"), missing_code, "messages[0].name", ""},
    {MESSAGES("[{\"role\":\"assistant\",\"tool_calls\":{}}]"), type_code, "messages[0].tool_calls",
     ""},
    {ASKS("1"), type_code, "messages[0].tool_calls[0]", ""},
    {ASKS("{}"), missing_code, "messages[0].tool_calls[0].id", ""},
    {ASKS("{\"id\":\"c\"}"), missing_code, "messages[0].tool_calls[0].function", ""},
    {ASKS("{\"id\":\"c\",\"function\":{\"name\":\"f\"}}"), missing_code,
     "messages[0].tool_calls[0].function.arguments", ""},
    {ASKS("{\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":{}}}"), type_code,
     "messages[0].tool_calls[0].function.arguments", ""},
};

static const struct wire_fault_case tools[] = {
    {BODY(",\"functions\":[]"), "unsupported_parameter", "functions",
     "Unsupported parameter: 'functions' is not supported. Use 'tools' instead."},
    {BODY(",\"function_call\":\"auto\""), "unsupported_parameter", "function_call",
     "Unsupported parameter: 'function_call' is not supported. Use 'tool_choice' instead."},
    {BODY(",\"tools\":\"none\""), type_code, "tools",
     "Invalid type for 'tools': expected an array of objects, but got a string instead."},
    {BODY(",\"tools\":[1]"), type_code, "tools[0]", ""},
    {BODY(",\"tools\":[{\"function\":{}}]"), missing_code, "tools[0].type", ""},
    {BODY(",\"tools\":[{\"type\":\"custom\"}]"), value_code, "tools[0].type",
     "Invalid value: 'custom'. Supported values are: 'function'."},
    {BODY(",\"tools\":[{\"type\":\"function\"}]"), missing_code, "tools[0].function", ""},
    {BODY(",\"tools\":[{\"type\":\"function\",\"function\":{}}]"), missing_code,
     "tools[0].function.name", ""},
    {BODY(",\"tools\":[" TOOL("a b") "]"), value_code, "tools[0].function.name",
     "Invalid 'tools[0].function.name': string does not match pattern. Expected a string that "
     "matches the pattern '^[a-zA-Z0-9_-]+$'."},
    {BODY(",\"tools\":[" TOOL("") "]"), "empty_string", "tools[0].function.name", ""},
    {BODY(",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":[]}}]"),
     type_code, "tools[0].function.parameters", ""},
    {BODY(",\"tool_choice\":\"required\""), NULL, "tool_choice",
     "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."},
    {BODY(",\"tools\":[" TOOL("f") "],\"tool_choice\":\"any\""), value_code, "tool_choice",
     "Invalid value: 'any'. Supported values are: 'none', 'auto', and 'required'."},
    {BODY(",\"tools\":[" TOOL("f") "],\"tool_choice\":7"), type_code, "tool_choice", ""},
    {BODY(",\"tools\":[" TOOL("f") "],\"tool_choice\":{\"type\":\"function\"}"), missing_code,
     "tool_choice.function", ""},
    {BODY(",\"tools\":[" TOOL("f") "],\"tool_choice\":" TOOL("g")), value_code, "tool_choice",
     "Tool choice 'g' not found in 'tools' parameter."},
    {BODY(",\"tools\":[" TOOL("f") "],\"tool_choice\":{\"type\":\"custom\"}"), value_code,
     "tool_choice.type", "Invalid value: 'custom'. Supported values are: 'function'."},
    {BODY(",\"tools\":[" TOOL("f") "],\"tool_choice\":{\"type\":\"allowed_tools\"}"), missing_code,
     "tool_choice.allowed_tools", ""},
    {BODY(",\"tools\":[" TOOL("f") "],\"tool_choice\":" AMONG("none", "[]")), value_code,
     "tool_choice.allowed_tools.mode",
     "Invalid value: 'none'. Supported values are: 'auto' and 'required'."},
    {BODY(",\"tools\":[" TOOL("f") "],\"tool_choice\":" AMONG("auto", "[]")), "empty_array",
     "tool_choice.allowed_tools.tools", ""},
    {BODY(",\"tools\":[" TOOL("f") "],\"tool_choice\":" AMONG("auto", "[1]")), type_code,
     "tool_choice.allowed_tools.tools[0]", ""},
    {BODY(",\"tools\":[" TOOL("f") "],\"tool_choice\":" AMONG("auto", "[{\"type\":\"function\"}]")),
     missing_code, "tool_choice.allowed_tools.tools[0].function", ""},
    {BODY(",\"tools\":[" TOOL("f") "],\"tool_choice\":" AMONG("auto",
                                                              "[" TOOL("f") "," TOOL("g") "]")),
     value_code, "tool_choice", "Tool choice 'g' not found in 'tools' parameter."},
    {BODY(",\"response_format\":\"json\""), type_code, "response_format",
     "Invalid type for 'response_format': expected an object, but got a string instead."},
    {BODY(",\"response_format\":{}"), missing_code, "response_format.type", ""},
    {BODY(",\"response_format\":{\"type\":\"xml\"}"), value_code, "response_format.type",
     "Invalid value: 'xml'. Supported values are: 'json_object', 'json_schema', and 'text'."},
    {BODY(",\"response_format\":{\"type\":\"json_schema\"}"), missing_code,
     "response_format.json_schema", ""},
    {BODY(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\"}}"),
     missing_code, "response_format.json_schema.schema", ""},
    {BODY(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{}}}"),
     missing_code, "response_format.json_schema.name", ""},
    {BODY(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\","
          "\"schema\":{\"const\":\"\\u0000\"}}}"),
     value_code, "response_format.json_schema.schema", ""},
};

static void test_faults_say_what_where_and_what_was_expected(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_COUNT(fields); i++)
        wire_check_fault(&ew_openai_chat, &fields[i]);
    for (size_t i = 0; i < EW_COUNT(messages); i++)
        wire_check_fault(&ew_openai_chat, &messages[i]);
    for (size_t i = 0; i < EW_COUNT(tools); i++)
        wire_check_fault(&ew_openai_chat, &tools[i]);
}

/* `count` opening brackets behind `start`, and as many closing ones before `end`. */
static void nested(struct ew_buf *out, const char *start, int count, const char *end)
{
    ew_buf_clear(out);
    assert_int_equal(ew_buf_text(out, start, NULL), 0);
    for (int i = 0; i < count; i++)
        assert_int_equal(ew_buf_text(out, "[", NULL), 0);
    for (int i = 0; i < count; i++)
        assert_int_equal(ew_buf_text(out, "]", NULL), 0);
    assert_int_equal(ew_buf_text(out, end, NULL), 0);
}

static void test_deep_json_is_a_fault_and_not_a_crash(void **state)
{
    (void)state;
    static const char schema[] = BODY(",\"response_format\":{\"type\":\"json_schema\","
                                      "\"json_schema\":{\"name\":\"a\",\"schema\":{\"enum\":");
    struct ew_buf body;
    struct ew_request request;
    struct ew_fault fault;
    char open[sizeof schema];
    snprintf(open, sizeof open, "%.*s", (int)sizeof schema - 2, schema);
    ew_buf_init(&body, WIRE_CHECK_BYTES_MAX);
    nested(&body, "", 100000, "");
    assert_int_equal(wire_check_parse(&ew_openai_chat, body.data, body.bytes, &request, &fault),
                     -1);
    assert_int_equal(fault.status, 400);
    assert_non_null(strstr(fault.message, "depth"));
    nested(&body, open, 2000, "}}}}");
    assert_int_equal(wire_check_parse(&ew_openai_chat, body.data, body.bytes, &request, &fault),
                     -1);
    assert_string_equal(fault.param, "response_format.json_schema.schema");
    assert_non_null(strstr(fault.message, "nested deeper than 48 levels"));
    nested(&body, open, 40, "}}}}");
    assert_int_equal(wire_check_parse(&ew_openai_chat, body.data, body.bytes, &request, &fault), 0);
    ew_request_fini(&request);
    ew_buf_fini(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_left_out_has_openais_defaults),
        cmocka_unit_test(test_every_field_arrives),
        cmocka_unit_test(test_null_is_absent),
        cmocka_unit_test(test_the_last_of_equal_keys_counts),
        cmocka_unit_test(test_messages_become_what_templates_read),
        cmocka_unit_test(test_tools_and_the_choice_among_them),
        cmocka_unit_test(test_tools_that_are_not_allowed_are_not_told),
        cmocka_unit_test(test_a_schema_arrives_as_text),
        cmocka_unit_test(test_faults_say_what_where_and_what_was_expected),
        cmocka_unit_test(test_deep_json_is_a_fault_and_not_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
