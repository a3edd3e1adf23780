"""wire_types.py FOLDER - the official openai and ollama clients read the samples in FOLDER.

The samples are what src/api writes (tests/unit/test_wire_samples --write FOLDER). Each is served to
the client as an answer; its own types must accept it in their strict mode. Beyond that: nothing may
stand in an answer that the types don't know but our extension, and what the API reference calls
required must be there, null or not. The last line is "N passed, N failed"."""

import sys
from pathlib import Path

import httpx
import ollama
import openai

FOLDER = Path(sys.argv[1])
EXTENSION = {"device", "energy_j", "energy_kind", "cost_cents", "ttft_ms", "tokens_per_s"}
# Fields that OpenAI's types know and its reference lets a server leave out.
OPTIONAL = {
    "moderation", "service_tier", "cache_write_tokens",  # of what isn't served here
    "metadata", "shutdown_date",  # of answers that are stored, and of models that are taken away
    "text_tokens", "image_tokens",  # here all tokens are of text
    "obfuscation",  # padding of chunks, against who guesses words from their lengths
    "audio", "function_call", "tool_calls", "content", "role", "refusal",  # where there are none
    "usage",  # of a chunk, unless it was asked for
}
passed = failed = 0


def check(name, problem):
    global passed, failed
    if problem:
        failed += 1
        print(f"failed: {name}: {problem}")
    else:
        passed += 1


def fields(value, path=""):
    """Of an answer as pydantic has it: (paths of unknown keys, paths of fields left out)."""
    extra, missing = set(), set()
    if isinstance(value, (list, tuple)):
        for item in value:
            found = fields(item, path + "[]")
            extra |= found[0]
            missing |= found[1]
    elif hasattr(value, "model_fields_set"):
        extra |= {f"{path}.{key}" for key in value.model_extra or {}}
        missing |= {f"{path}.{key}" for key in type(value).model_fields
                    if key not in value.model_fields_set and key not in OPTIONAL}
        for key in value.model_fields_set:
            found = fields(getattr(value, key, None), f"{path}.{key}")
            extra |= found[0]
            missing |= found[1]
    return extra, missing


def transport(sample, kind, status=200):
    body = (FOLDER / sample).read_bytes()

    def answer(request):
        return httpx.Response(status, content=body, headers={"Content-Type": kind})

    return httpx.MockTransport(answer)


def openai_client(sample, kind="application/json", status=200, strict=True):
    return openai.OpenAI(
        api_key="x", base_url="http://here/v1", max_retries=0,
        http_client=httpx.Client(transport=transport(sample, kind, status)),
        _strict_response_validation=strict)


def problem_of(answer, usage):
    """Each object's keys: those of the type, and the extension in the usage."""
    extra, missing = fields(answer)
    wanted = {f".usage.{key}" for key in EXTENSION} if usage else set()
    if extra != wanted:
        return f"unknown keys {sorted(extra ^ wanted)}"
    return f"left out {sorted(missing)}" if missing else None


MESSAGES = [{"role": "user", "content": "hi"}]


def openai_whole(sample, look, create):
    answer = create(openai_client(sample))
    check(sample, problem_of(answer, usage=True) or look(answer))


def openai_chunks(sample, create, strict=True):
    """The chunks, with their form checked; none and a failure counted if it isn't right."""
    chunks = list(create(openai_client(sample, "text/event-stream", strict=strict)))
    for chunk in chunks:
        problem = problem_of(chunk, usage=chunk.usage is not None)
        if problem:
            check(sample, f"{problem} in {chunk}")
            return []
    return chunks


def chat(client, **more):
    return client.chat.completions.create(model="a", messages=MESSAGES, **more)


def text(client, **more):
    return client.completions.create(model="a", prompt="p", **more)


def unless(fine, what):
    return None if fine else f"wrong: {what}"


def check_chat():
    openai_whole("openai_chat", lambda a: unless(
        [c.index for c in a.choices] == [0, 1] and a.choices[1].message.content == "Hi you"
        and a.choices[0].finish_reason == "stop" and a.usage.total_tokens == 10
        and a.usage.prompt_tokens_details.cached_tokens == 4 and a.usage.device == "here"
        and a.usage.energy_j == 1.5, a), chat)
    openai_whole("openai_chat_unknown", lambda a: unless(
        a.usage.energy_j is None and a.usage.energy_kind == "unknown" and a.usage.ttft_ms is None
        and a.usage.cost_cents is None and a.usage.tokens_per_s is None, a.usage), chat)
    openai_whole("openai_chat_logprobs", lambda a: unless(
        [t.token for t in a.choices[0].logprobs.content] == ["Hi", " you"]
        and len(a.choices[0].logprobs.content[0].top_logprobs) == 2
        and a.choices[0].logprobs.content[0].bytes == [72, 105], a), chat)
    openai_whole("openai_chat_tools", lambda a: unless(
        a.choices[0].finish_reason == "tool_calls" and a.choices[0].message.content is None
        and a.choices[0].message.tool_calls[1].function.name == "g"
        and a.choices[0].message.tool_calls[0].function.arguments == '{"a":1.5}', a), chat)


def check_chat_streams():
    stream = lambda client: chat(client, stream=True)
    sample = "openai_chat_stream"
    for index in (0, 1):
        mine = [c for c in openai_chunks(sample, stream) if c.choices[0].index == index]
        deltas = [c.choices[0].delta for c in mine]
        check(f"{sample}: choice {index}", unless(
            deltas and deltas[0].role == "assistant" and deltas[0].content == ""
            and all("role" not in d.model_fields_set for d in deltas[1:])
            and "".join(d.content or "" for d in deltas) == "Hi you"
            and not deltas[-1].model_fields_set
            and [c.choices[0].finish_reason for c in mine] == [None] * (len(mine) - 1) + ["stop"]
            and all("usage" not in c.model_fields_set for c in mine), mine))
    sample = "openai_chat_stream_usage"
    chunks = openai_chunks(sample, stream)
    check(sample, unless(
        chunks and chunks[-1].choices == [] and chunks[-1].usage.total_tokens == 10
        and all(c.usage is None and "usage" in c.model_fields_set for c in chunks[:-1])
        and chunks[-2].choices[0].finish_reason == "length", chunks))
    sample = "openai_chat_stream_logprobs"
    told = [t for c in openai_chunks(sample, stream) if c.choices[0].logprobs
            for t in c.choices[0].logprobs.content]
    check(sample, unless([t.token for t in told] == ["Hi", " you"], told))
    sample = "openai_chat_stream_tools"
    calls = [t for c in openai_chunks(sample, stream) for t in c.choices[0].delta.tool_calls or []]
    check(sample, unless([(t.index, t.type, t.function.name, t.function.arguments) for t in calls]
                         == [(0, "function", "f", '{"a":1.5}'), (1, "function", "g", "{}")], calls))
    sample = "openai_chat_stream_broken"
    try:
        got = list(chat(openai_client(sample, "text/event-stream"), stream=True))
        check(sample, f"no error, but {got}")
    except openai.APIError as error:
        check(sample, unless(error.message == "The answer failed: broken."
                             and error.type == "server_error", error))
    # The client's own accumulation, which looks at indices and at the order of what comes.
    sample = "openai_chat_stream_tools"
    with openai_client(sample, "text/event-stream").chat.completions.stream(
            model="a", messages=MESSAGES) as events:
        message = events.get_final_completion().choices[0].message
    check(f"{sample}: accumulated", unless(
        message.content == "Hi you" and len(message.tool_calls) == 2
        and message.tool_calls[1].id == "call_1123456789abcdefABCDEFGH", message))


def check_completions():
    openai_whole("openai_completion", lambda a: unless(
        [c.text for c in a.choices] == ["Hi you"] * 2 and a.object == "text_completion", a), text)
    openai_whole("openai_completion_logprobs", lambda a: unless(
        a.choices[0].logprobs.tokens == ["Hi", " you"]
        and a.choices[0].logprobs.text_offset == [0, 2]
        and a.choices[0].logprobs.top_logprobs[0]["Hi"] == -0.25, a), text)
    # The type of a chunk is that of a whole answer, whose finish_reason is never null.
    sample = "openai_completion_stream"
    chunks = openai_chunks(sample, lambda client: text(client, stream=True), strict=False)
    check(sample, unless(
        chunks and "".join(c.choices[0].text for c in chunks[:-1]) == "Hi you"
        and chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 3
        and chunks[-2].choices[0].finish_reason == "length"
        and chunks[1].choices[0].logprobs.text_offset == [2], chunks))


def check_openai_rest():
    listed = openai_client("openai_models").models.list()
    check("openai_models", problem_of(list(listed), usage=False)
          or unless([m.id for m in listed] == ["a", "b"] and listed.object == "list", listed))
    model = openai_client("openai_model").models.retrieve("a")
    check("openai_model", problem_of(model, usage=False)
          or unless(model.owned_by == "edgewise" and model.object == "model", model))
    kinds = [(400, openai.BadRequestError), (401, openai.AuthenticationError),
             (404, openai.NotFoundError), (429, openai.RateLimitError),
             (503, openai.InternalServerError)]
    for status, kind in kinds:
        try:
            chat(openai_client("openai_error", status=status))
            check(f"openai_error {status}", "no error")
        except kind as error:
            check(f"openai_error {status}", unless(
                error.code == "model_not_found" and error.param == "model"
                and error.type == "invalid_request_error"
                and set(error.body) == {"message", "type", "param", "code"}, error.body))


def ollama_client(sample, kind="application/json", status=200):
    return ollama.Client(host="http://here", transport=transport(sample, kind, status))


NDJSON = "application/x-ndjson"
FIGURES = ["total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration",
           "eval_count", "eval_duration"]


def complete(answer):
    return all(getattr(answer, key) is not None for key in FIGURES)


def check_ollama():
    a = ollama_client("ollama_chat").chat("a", MESSAGES)
    check("ollama_chat", unless(
        a.message.role == "assistant" and a.message.content == "Hi you" and a.done
        and a.done_reason == "stop" and a.created_at == "2027-01-15T08:00:00Z" and complete(a), a))
    a = ollama_client("ollama_chat_unknown").chat("a", MESSAGES)
    check("ollama_chat_unknown", unless(
        a.done_reason == "length" and a.prompt_eval_duration is None, a))
    a = ollama_client("ollama_chat_tools").chat("a", MESSAGES)
    check("ollama_chat_tools", unless(
        a.message.tool_calls[0].function.arguments == {"a": 1.5} and a.message.content == ""
        and a.message.tool_calls[1].function.name == "g" and a.done_reason == "stop", a))
    a = ollama_client("ollama_chat_load").chat("a")
    check("ollama_chat_load", unless(a.done and a.done_reason == "load", a))
    a = ollama_client("ollama_generate").generate("a", "p")
    check("ollama_generate", unless(
        a.response == "Hi you" and a.done_reason == "length" and complete(a)
        and [t.token for t in a.logprobs] == ["Hi", " you"]
        and a.logprobs[0].top_logprobs[0].logprob == -0.25, a))
    a = ollama_client("ollama_generate_load").generate("a")
    check("ollama_generate_load", unless(a.done_reason == "load" and a.response == "", a))


def check_ollama_streams():
    lines = list(ollama_client("ollama_chat_stream", NDJSON).chat("a", MESSAGES, stream=True))
    check("ollama_chat_stream", unless(
        [x.message.content for x in lines] == ["Hi", " you", ""]
        and [x.done for x in lines] == [False, False, True] and complete(lines[-1])
        and lines[0].done_reason is None and lines[1].logprobs[0].token == " you", lines))
    lines = list(ollama_client("ollama_chat_stream_tools", NDJSON).chat("a", stream=True))
    calls = [t.function for x in lines for t in x.message.tool_calls or []]
    check("ollama_chat_stream_tools", unless(
        [(f.name, f.arguments) for f in calls] == [("f", {"a": 1.5}), ("g", {})], lines))
    lines = list(ollama_client("ollama_generate_stream", NDJSON).generate("a", "p", stream=True))
    check("ollama_generate_stream", unless(
        [x.response for x in lines] == ["Hi", " you", ""] and lines[-1].done_reason == "length"
        and complete(lines[-1]), lines))
    try:
        got = list(ollama_client("ollama_chat_stream_broken", NDJSON).chat("a", stream=True))
        check("ollama_chat_stream_broken", f"no error, but {got}")
    except ollama.ResponseError as error:
        check("ollama_chat_stream_broken", unless(error.error == "The answer failed: broken.", error))


def check_ollama_models():
    listed = ollama_client("ollama_tags").list().models
    check("ollama_tags", unless(
        [m.model for m in listed] == ["a", "b"] and listed[0].size == 91000000
        and listed[0].modified_at.year == 2027 and listed[0].details.families == ["llama"]
        and len(listed[1].digest) == 64, listed))
    loaded = ollama_client("ollama_ps").ps().models
    check("ollama_ps", unless(
        loaded[0].name == "a" and loaded[0].expires_at.year == 9999 and loaded[0].size_vram == 0
        and loaded[1].expires_at is None and loaded[0].context_length == 2048, loaded))
    shown = ollama_client("ollama_show").show("a")
    check("ollama_show", unless(
        shown.modelinfo["llama.context_length"] == 2048 and shown.template == "{{ x }}"
        and shown.capabilities == ["completion", "tools"] and shown.license == "apache-2.0", shown))
    shown = ollama_client("ollama_show_less").show("b")
    check("ollama_show_less", unless(shown.modified_at is None, shown))
    try:
        ollama_client("ollama_error", status=404).show("x")
        check("ollama_error", "no error")
    except ollama.ResponseError as error:
        check("ollama_error", unless(
            error.status_code == 404 and error.error == "The model 'x' does not exist.", error))


for part in (check_chat, check_chat_streams, check_completions, check_openai_rest, check_ollama,
             check_ollama_streams, check_ollama_models):
    try:
        part()
    except Exception as error:  # the client's types refused something: say which part
        check(part.__name__, f"{type(error).__name__}: {error}")
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
