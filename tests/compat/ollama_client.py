"""ollama_client.py - the official ollama client: chats, texts, tools, schemas, lists, errors."""
import asyncio
import json

import httpx
import jsonschema
import ollama
import pydantic

from checks import check, main, raises, same, server, skip, user

GREEDY = {"temperature": 0, "num_predict": 24}
FRANCE = user("What is the capital of France?")
ENDLESS = {"temperature": 0, "num_predict": 3000, "repeat_penalty": 1.0}
TIMES = ("total_duration", "prompt_eval_duration", "eval_duration")


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=30)
    born: int = pydantic.Field(ge=1000, le=2100)


def opened(kind=ollama.Client, key=server.key, **more):
    return kind(host=server.url, headers={"Authorization": f"Bearer {key}"},
                **{"timeout": 120} | more)


client = opened()


def chat(messages=None, by=client, **more):
    return by.chat(**{"model": server.model, "messages": messages or FRANCE, "options": GREEDY}
                   | more)


def generate(prompt="Why is the sky blue?", **more):
    return client.generate(**{"model": server.model, "prompt": prompt, "options": GREEDY} | more)


def refused(status, call, *args, **more):
    error = raises(ollama.ResponseError, call, *args, **more)
    same(error.status_code, status, f"the status of {error.error}")
    assert error.error and "{" not in error.error, f"the message isn't bare: {error.error}"
    return error.error


def get_weather(city: str) -> str:
    """
    Get the weather of a city.

    Args:
        city: the name of the city

    Returns:
        str: the weather, now
    """
    return f"rain in {city}"


# ---- chat ----

@check("a chat is answered")
def answered():
    reply = chat()
    same((reply.model, reply.done, reply.done_reason), (server.model, True, "length"), "the head")
    same(reply.message.role, "assistant", "role")
    same(reply.eval_count, 24, "eval_count")
    assert reply.prompt_eval_count > 0 and reply.created_at.endswith("Z"), f"{reply}"
    for key in TIMES:
        assert getattr(reply, key) > 0, f"{key} is {getattr(reply, key)}"
    return reply.message.content


@check("a stream is the whole answer in pieces, figures last")
def stream():
    parts = list(chat(stream=True))
    same("".join(p.message.content for p in parts), chat().message.content, "the stream's text")
    same([p.done for p in parts], [False] * (len(parts) - 1) + [True], "done")
    same((parts[-1].message.content, parts[-1].eval_count), ("", 24), "the last line")
    assert len(parts) > 10, f"24 tokens came in {len(parts)} lines"


@check("options act: seed, stop, num_predict, penalties, top_k")
def options():
    one, again, two = (chat(options={"seed": seed, "temperature": 1, "num_predict": 16}).message.
                       content for seed in (1, 1, 2))
    same(again, one, "the second answer with a seed")
    assert one != two, "two seeds, one answer"
    whole = chat().message.content
    word = whole.split()[1]
    ended = chat(options=GREEDY | {"stop": [word]})
    same((ended.message.content.strip(), ended.done_reason),
         (whole[:whole.index(word)].strip(), "stop"), "with a stop")
    same(chat(options={"temperature": 2, "top_k": 1, "num_predict": 24}).message.content, whole,
         "with top_k 1, at temperature 2")
    same(chat(options=GREEDY | {"num_ctx": 512, "num_thread": 1, "mirostat": 0}).message.content,
         whole, "with options that are ignored")
    return [one, two]


@check("the options' class of the client is taken")
def options_class():
    same(chat(options=ollama.Options(temperature=0, num_predict=24)).message.content,
         chat().message.content, "the text")


@check("format json gives an object, a schema what it says")
def form():
    ask = user("Ada Lovelace was born in 1815. Answer in JSON.")
    more = {"temperature": 0, "num_predict": 300}
    value = json.loads(chat(ask, format="json", options=more).message.content)
    same(type(value), dict, "the type")
    person = Person.model_validate_json(
        chat(ask, format=Person.model_json_schema(), options=more).message.content)
    return [value, person.model_dump()]


@check("logprobs are of the tokens of the answer")
def logprobs():
    reply = chat(logprobs=True, top_logprobs=3)
    same("".join(t.token for t in reply.logprobs), reply.message.content, "the tokens' text")
    same({len(t.top_logprobs) for t in reply.logprobs}, {3}, "the numbers of top_logprobs")
    streamed = [t for part in chat(logprobs=True, top_logprobs=3, stream=True)
                for t in part.logprobs or ()]
    same([t.token for t in streamed], [t.token for t in reply.logprobs], "the stream's tokens")
    return [t.logprob for t in reply.logprobs[:3]]


@check("tools: a Python function is called, and its result read")
def tools():
    ask = user("What is the weather in Paris?")
    more = {"model": server.need_tools_model(), "tools": [get_weather],
            "options": {"temperature": 0, "num_predict": 100}}
    reply = chat(ask, **more)
    call = reply.message.tool_calls[0]
    same((call.function.name, call.function.arguments), ("get_weather", {"city": "Paris"}),
         "the call")
    back = {"role": "tool", "tool_name": "get_weather",
            "content": get_weather(**call.function.arguments)}
    seen = {"type": "object", "additionalProperties": False, "required": ["sky"],
            "properties": {"sky": {"enum": ["sun", "rain", "snow"]}}}
    after = chat(ask + [reply.message, back], **more | {"tools": None}, format=seen)
    same(json.loads(after.message.content), {"sky": "rain"}, "what it read")


@check("tools come in a stream, too")
def tools_stream():
    parts = list(chat(user("What is the weather in Paris?"), stream=True, tools=[get_weather],
                      model=server.need_tools_model(),
                      options={"temperature": 0, "num_predict": 100}))
    calls = [c for part in parts for c in part.message.tool_calls or ()]
    same([(c.function.name, c.function.arguments) for c in calls],
         [("get_weather", {"city": "Paris"})], "the calls")
    same(parts[-1].done_reason, "stop", "done_reason")


# ---- generate ----

@check("a prompt is answered, streamed or not")
def generated():
    reply = generate()
    same((reply.done, reply.eval_count), (True, 24), "done and eval_count")
    same("".join(p.response for p in generate(stream=True)), reply.response, "the stream's text")
    same(reply.response, chat(user("Why is the sky blue?")).message.content, "a chat's answer")
    return reply.response


@check("system is the first message")
def system():
    same(generate(system="You are a pirate.").response,
         chat([{"role": "system", "content": "You are a pirate."}] +
              user("Why is the sky blue?")).message.content, "a chat's answer")


@check("raw is continued as it stands")
def raw():
    reply = generate("Once upon a time", raw=True)
    assert reply.response != generate("Once upon a time").response, "it is a chat's answer"
    return reply.response


@check("an empty prompt loads the model, keep_alive 0 lets it go, and it comes back")
def loads():
    same(client.generate(model=server.model).done_reason, "load", "done_reason")
    same(client.chat(model=server.model, messages=[]).done_reason, "load", "done_reason of chat")
    same(client.generate(model=server.model, keep_alive=0).done_reason, "unload", "done_reason")
    same(chat(keep_alive="5m").eval_count, 24, "eval_count afterwards")
    same(generate(keep_alive=-1).eval_count, 24, "eval_count of one that stays")


# ---- lists ----

def listed():
    return {m.model: m for m in client.list().models}[server.model]


@check("list and show have the model")
def lists():
    one, shown = listed(), client.show(server.model)
    same(len(one.digest), 64, "the digits of its digest")
    same(shown.details.family, one.details.family, "family")
    assert "completion" in shown.capabilities, f"capabilities: {shown.capabilities}"
    return shown.capabilities


@check("list, ps and show tell of the model's file and of its place in memory")
def files():
    chat()
    one = listed()
    if not one.size:
        skip("the server doesn't have the file itself: it is a front")
    assert one.modified_at, f"{one}"
    assert server.model in [m.model for m in client.ps().models], "ps doesn't have it"
    client.generate(model=server.model, keep_alive=-1)
    assert server.model in [m.model for m in client.ps().models], "ps doesn't have it any more"
    return [one.size, one.details.format, one.details.family, one.details.quantization_level]


@check("NAME:latest is NAME")
def latest():
    same(chat(model=server.model + ":latest").message.content, chat().message.content, "the text")
    same(client.show(server.model + ":latest").details.family,
         client.show(server.model).details.family, "family")


@check("show says which model can call tools")
def capabilities():
    shown = client.show(server.need_tools_model())
    assert "tools" in shown.capabilities, f"capabilities: {shown.capabilities}"
    return shown.capabilities


# ---- errors ----

@check("a model that isn't there is ResponseError 404")
def no_model():
    refused(404, client.show, "gpt-99")
    refused(404, generate, model="gpt-99")
    refused(404, lambda: list(chat(model="gpt-99", stream=True)))
    return refused(404, chat, model="gpt-99")


@check("what is wrong is ResponseError 400 that says what")
def wrong():
    refused(400, generate, prompt="word " * 150000)
    return [refused(400, call, **more) for call, more in (
        (chat, {"options": {"temperature": "hot"}}),
        (chat, {"messages": [{"role": "king", "content": "a"}]}),
        (chat, {"think": True}),
        (chat, {"format": {"type": "string", "not": {}}}),
        (chat, {"keep_alive": "soon"}),
        (generate, {"suffix": "The end."}),
        (generate, {"context": [1, 2, 3]}),
        (generate, {"template": "{{ .Prompt }}"}),
        (generate, {"images": [b"\x89PNG\r\n\x1a\n"]}))]


@check("what isn't served is ResponseError 404: pull, create, embed, delete")
def not_served():
    for call in (lambda: client.pull("llama3"), lambda: client.embed(server.model, "a"),
                 lambda: client.create("a", from_=server.model), lambda: client.push("a"),
                 lambda: client.copy("a", "b"), lambda: client.delete("a")):
        refused(404, call)
    return refused(404, lambda: list(client.pull("llama3", stream=True)))


@check("a wrong key is ResponseError 401")
def wrong_key():
    server.need_keys()
    return refused(401, chat, by=opened(key="wrong"))


@check("a client above its limit is ResponseError 429")
def limited():
    by = opened(key=server.need_limited_key())

    def until_limited():
        for _ in range(50):
            chat(by=by, options={"num_predict": 1})
    refused(429, until_limited)


# ---- time ----

@check("a timeout, and a stream that is left, free their places")
def left():
    raises(httpx.ReadTimeout, chat, by=opened(timeout=0.5), options=ENDLESS)
    server.until_running(0)
    parts = chat(stream=True, options=ENDLESS)
    next(parts)
    server.until_running(1)
    parts.close()
    server.until_running(0)


@check("the asynchronous client: eight at once, streams among them")
def at_once():
    async def one(by, i):
        reply = await by.chat(model=server.model, messages=user(f"Count to {i + 2}."),
                              options={"temperature": 0, "num_predict": 12}, stream=i % 2 == 1)
        if i % 2 == 0:
            return reply.message.content
        return "".join([part.message.content async for part in reply])

    async def all_of_them():
        by = opened(ollama.AsyncClient)
        got = await asyncio.gather(*(one(by, i) for i in range(8)))
        names = [m.model for m in (await by.list()).models]
        assert server.model in names, f"list has {names}"
        return got
    got = asyncio.run(all_of_them())
    same(got, [chat(user(f"Count to {i + 2}."), options={"temperature": 0, "num_predict": 12}).
               message.content for i in range(8)], "what came together")
    return got


@check("figures of an answer are there for who asks for them")
def extension():
    reply = httpx.post(server.url + "/api/chat", headers=server.bearer(), timeout=120, json={
        "model": server.model, "messages": FRANCE, "stream": False, "options": GREEDY}).json()
    jsonschema.validate(reply, {"type": "object", "required": ["device", "energy_kind"],
                                "properties": {"ttft_ms": {"type": "number"},
                                               "tokens_per_s": {"type": "number"}}})
    assert reply["ttft_ms"] > 0 and reply["tokens_per_s"] > 0, f"no times: {reply}"


main()
