"""openai_errors.py - the official openai client: each of its exceptions, its timeouts, retries."""
import time

import httpx2
import openai

from checks import LONG, check, main, raises, same, server, skip, user

client = openai.OpenAI(base_url=server.v1, api_key=server.key, max_retries=0, timeout=120)
ASK = user("What is the capital of France?")
OVER = 17_000_000 # bytes, above limits.body as it is without a configuration


def chat(by=client, **more):
    return by.chat.completions.create(
        **{"model": server.model, "messages": ASK, "temperature": 0, "max_tokens": 8} | more)


def refused(kind, status, code, param, **more):
    error = raises(kind, chat, **more)
    same((error.status_code, error.code, error.param), (status, code, param),
         f"status, code and param of {str(more)[:80]}")
    same(set(error.body), {"message", "type", "param", "code"}, "the keys of the error")
    assert error.body["message"], "no message"
    return error


# ---- what is wrong with a request ----

@check("wrong types are BadRequestError with the code invalid_type, by name")
def wrong_types():
    for param, value in (("temperature", "1"), ("max_tokens", "5"), ("max_tokens", 1.5),
                         ("n", "2"), ("stop", 5), ("seed", "a"), ("logprobs", 1),
                         ("messages", "hello"), ("logit_bias", []), ("tools", {}),
                         ("stream_options", 1), ("top_p", []), ("user", 5)):
        refused(openai.BadRequestError, 400, "invalid_type", param, **{param: value})


@check("numbers out of their bounds are BadRequestError that names the bound")
def bounds():
    said = []
    for param, value, code in (("temperature", 2.1, "decimal_above_max_value"),
                               ("temperature", -0.1, "decimal_below_min_value"),
                               ("top_p", 1.1, "decimal_above_max_value"),
                               ("presence_penalty", -3, "decimal_below_min_value"),
                               ("frequency_penalty", 3, "decimal_above_max_value"),
                               ("max_tokens", 0, "integer_below_min_value"),
                               ("max_completion_tokens", -1, "integer_below_min_value"),
                               ("n", 0, "integer_below_min_value"),
                               ("n", 1000, "integer_above_max_value")):
        said.append(refused(openai.BadRequestError, 400, code, param, **{param: value}).message)
    return said


@check("what is needed and not there is BadRequestError by name")
def missing():
    for param, messages in (("messages[0].role", [{"content": "a"}]),
                            ("messages[0].content", [{"role": "user"}]),
                            ("messages[1].tool_call_id",
                             [{"role": "assistant", "content": "a"},
                              {"role": "tool", "content": "b"}])):
        refused(openai.BadRequestError, 400, "missing_required_parameter", param,
                messages=messages)
    refused(openai.BadRequestError, 400, "empty_array", "messages", messages=[])
    refused(openai.BadRequestError, 400, "invalid_value", "messages[0].role",
            messages=[{"role": "king", "content": "a"}])


@check("images, sounds and token ids that aren't there are BadRequestError")
def not_here():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    refused(openai.BadRequestError, 400, "unsupported_value", "messages[0].content[0]",
            messages=[{"role": "user", "content": [image]}])
    refused(openai.BadRequestError, 400, None, "logit_bias", logit_bias={"1000000000": 1})
    refused(openai.BadRequestError, 400, None, "top_logprobs", top_logprobs=2)
    refused(openai.BadRequestError, 400, None, "stream_options",
            stream_options={"include_usage": True})


@check("a prompt longer than the context is BadRequestError context_length_exceeded")
def too_long():
    error = refused(openai.BadRequestError, 400, "context_length_exceeded", "messages",
                    messages=user("word " * 150000))
    assert "maximum context length" in error.message, f"it says: {error.message}"
    stream = raises(openai.BadRequestError, chat, messages=user("word " * 150000), stream=True)
    same(stream.code, "context_length_exceeded", "code where a stream was asked for")


@check("a model that isn't there is NotFoundError, streamed, too")
def no_model():
    error = refused(openai.NotFoundError, 404, "model_not_found", None, model="gpt-99")
    refused(openai.NotFoundError, 404, "model_not_found", None, model="gpt-99", stream=True)
    return error.message


@check("a path that isn't there is NotFoundError")
def no_path():
    for call in (lambda: client.embeddings.create(model=server.model, input="a"),
                 lambda: client.responses.create(model=server.model, input="a"),
                 lambda: client.images.generate(model=server.model, prompt="a")):
        error = raises(openai.NotFoundError, call)
        same(error.code, "unknown_url", "code")
    return error.message


@check("a method that a path doesn't take is 405")
def no_method():
    error = raises(openai.APIStatusError, client.delete, "/models", cast_to=object)
    same((error.status_code, error.code), (405, "method_not_allowed"), "status and code")


@check("a body above the limit is 413, told before it is read")
def too_large():
    error = raises(openai.APIStatusError, chat, messages=user("x" * OVER))
    same(error.status_code, 413, "the status")
    return error.message


@check("a body that isn't JSON is 400")
def no_json():
    reply = httpx2.post(server.v1 + "/chat/completions", content=b'{"model": ',
                        headers=server.bearer() | {"Content-Type": "application/json"})
    same(reply.status_code, 400, "the status")
    same(reply.json()["error"]["type"], "invalid_request_error", "type")


# ---- keys and limits ----

@check("a wrong key is AuthenticationError")
def wrong_key():
    server.need_keys()
    for key in ("no-such-key", "x" * 5000):
        error = raises(openai.AuthenticationError, chat, client.with_options(api_key=key))
        same((error.status_code, error.code), (401, "invalid_api_key"), "status and code")
        same(error.response.headers["WWW-Authenticate"], "Bearer", "WWW-Authenticate")
        assert key not in error.message, "the message has the key in it"
    raises(openai.AuthenticationError, client.with_options(api_key="no-such-key").models.list)
    return error.message


def until_limited(by):
    """Asks, as a client that may ask rarely, until it is refused."""
    for _ in range(50):
        chat(by, max_tokens=1)
    raise AssertionError("fifty requests at once, and no limit")


@check("a client above its limit is RateLimitError, and is told when to come again")
def limited():
    by = client.with_options(api_key=server.need_limited_key())
    error = raises(openai.RateLimitError, until_limited, by)
    same((error.status_code, error.code), (429, "rate_limit_exceeded"), "status and code")
    head = error.response.headers
    wait_s, wait_ms = int(head["Retry-After"]), int(head["Retry-After-Ms"])
    assert 0 < wait_ms <= 1000 * wait_s < wait_ms + 1000, \
        f"Retry-After {wait_s} s, Retry-After-Ms {wait_ms}"
    assert "X-RateLimit-Limit-Requests" in head, f"headers: {sorted(head)}"


@check("the client's own retry after a RateLimitError succeeds, in the time it was told")
def retried():
    by = client.with_options(api_key=server.need_limited_key())
    error = raises(openai.RateLimitError, until_limited, by)
    wait_s, begin = int(error.response.headers["Retry-After-Ms"]) / 1000, time.monotonic()
    reply = chat(by.with_options(max_retries=2))
    took = time.monotonic() - begin
    assert reply.choices[0].message.content, "no answer"
    assert took > wait_s / 2, f"answered after {took:.2f} s, though told to wait {wait_s} s"


@check("other clients aren't limited by one that is")
def others():
    raises(openai.RateLimitError, until_limited,
           client.with_options(api_key=server.need_limited_key()))
    assert chat().choices[0].message.content, "no answer"


# ---- time ----

@check("a client's timeout is APITimeoutError, and frees the place")
def timeout():
    begin = time.monotonic()
    raises(openai.APITimeoutError, chat, client.with_options(timeout=0.5), **LONG)
    took = time.monotonic() - begin
    server.until_running(0)
    assert took < 20, f"it took {took:.1f} s"


@check("a timeout in a long prompt frees the place, too")
def timeout_in_prompt():
    raises(openai.APITimeoutError, chat, client.with_options(timeout=0.2),
           messages=user("item " * 3000))
    server.until_running(0)


@check("a client that retries after timeouts leaves nothing running")
def timeouts_retried():
    raises(openai.APITimeoutError, chat, client.with_options(timeout=0.3, max_retries=1), **LONG)
    server.until_running(0)


@check("a timeout between chunks of a stream doesn't end one that goes on")
def stream_outlives():
    events = list(chat(client.with_options(timeout=httpx2.Timeout(10, read=5)), stream=True,
                       max_tokens=60))
    same(events[-1].choices[0].finish_reason, "length", "the last finish_reason")


@check("nobody there is APIConnectionError")
def nobody():
    raises(openai.APIConnectionError, chat,
           openai.OpenAI(base_url="http://127.0.0.1:1/v1", api_key="any", max_retries=0))


@check("connections are kept: many requests by one client")
def kept():
    host = httpx2.URL(server.url)
    if host.scheme != "http":
        skip("only plain connections are looked at")
    with httpx2.Client() as http:
        by = openai.OpenAI(base_url=server.v1, api_key=server.key, http_client=http)
        seen = set()
        for _ in range(5):
            raw = by.chat.completions.with_raw_response.create(
                model=server.model, messages=ASK, max_tokens=1)
            stream = raw.http_response.extensions["network_stream"]
            seen.add(stream.get_extra_info("client_addr"))
    same(len(seen), 1, "the number of connections")


main()
