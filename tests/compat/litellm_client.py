"""litellm_client.py - litellm as a client, by OpenAI's wire and by Ollama's: it knows both."""
import asyncio
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True" # else it asks the internet for prices
import litellm # noqa: E402
import pydantic # noqa: E402

from checks import LONG, check, main, raises, same, server, user # noqa: E402

litellm.suppress_debug_info = True
litellm.telemetry = False
FRANCE = user("What is the capital of France?")
WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "the weather of a city, now",
    "parameters": {"type": "object", "additionalProperties": False, "required": ["city"],
                   "properties": {"city": {"type": "string"}}}}}


class City(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=30)
    people: int = pydantic.Field(ge=0, le=100_000_000)


def there(wire="openai", model=None):
    """Where litellm finds the model, by which of its providers."""
    return {"model": f"{wire}/{model or server.model}", "api_key": server.key, "num_retries": 0,
            "max_retries": 0, "timeout": 120,
            "api_base": server.url if wire.startswith("ollama") else server.v1}


def chat(wire="openai", model=None, messages=None, **more):
    return litellm.completion(**there(wire, model) | {
        "messages": messages or FRANCE, "temperature": 0, "max_tokens": 24} | more)


def text(*args, **more):
    return chat(*args, **more).choices[0].message.content


def streamed(events):
    return "".join(event.choices[0].delta.content or "" for event in events if event.choices)


@check("a chat is answered")
def answered():
    reply = chat()
    same(reply.usage.completion_tokens, 24, "completion_tokens")
    same(reply.choices[0].finish_reason, "length", "finish_reason")
    return reply.choices[0].message.content


@check("a stream is the whole answer in pieces, with its usage")
def stream():
    events = list(chat(stream=True, stream_options={"include_usage": True}))
    same(streamed(events), text(), "the stream's text")
    whole = litellm.stream_chunk_builder(events, messages=FRANCE)
    same(whole.choices[0].message.content, text(), "what stream_chunk_builder makes of it")
    same(whole.usage.completion_tokens, 24, "completion_tokens")
    same(whole.choices[0].finish_reason, "length", "finish_reason")


@check("acompletion: eight at once, streams among them")
def at_once():
    async def one(i):
        reply = await litellm.acompletion(**there(), messages=user(f"Count to {i + 2}."),
                                          temperature=0, max_tokens=12, stream=i % 2 == 1)
        if i % 2 == 0:
            return reply.choices[0].message.content
        return streamed([event async for event in reply])

    async def all_of_them():
        return await asyncio.gather(*(one(i) for i in range(8)))
    got = asyncio.run(all_of_them())
    same(got, [text(messages=user(f"Count to {i + 2}."), max_tokens=12) for i in range(8)],
         "what came together")


@check("text_completion continues a text")
def text_completion():
    reply = litellm.text_completion(**there("text-completion-openai"), prompt="Once upon a time",
                                    temperature=0, max_tokens=12)
    events = litellm.text_completion(**there("text-completion-openai"), prompt="Once upon a time",
                                     temperature=0, max_tokens=12, stream=True)
    same("".join(e.choices[0].text or "" for e in events), reply.choices[0].text, "the stream")
    return reply.choices[0].text


@check("n, seed, stop, logprobs and logit_bias arrive")
def parameters():
    two = [c.message.content for c in chat(n=2, seed=3, temperature=1).choices]
    same([c.message.content for c in chat(n=2, seed=3, temperature=1).choices], two, "again")
    word = text().split()[1]
    same(text(stop=[word]), text()[:text().index(word)], "the text with a stop")
    tokens = chat(logprobs=True, top_logprobs=2).choices[0].logprobs.content
    same("".join(t.token for t in tokens), text(), "the tokens' text")
    same(len(tokens[0].top_logprobs), 2, "the number of top_logprobs")
    return [two, text(logit_bias={"28": 100}, max_tokens=3)]


@check("tools: a call, and the turn after")
def tools():
    ask = {"model": server.need_tools_model(), "tools": [WEATHER], "max_tokens": 100}
    first = user("What is the weather in Paris?")
    reply = chat(messages=first, **ask).choices[0]
    same(reply.finish_reason, "tool_calls", "finish_reason")
    call = reply.message.tool_calls[0]
    same(call.function.name, "get_weather", "the name")
    back = {"role": "tool", "tool_call_id": call.id, "content": "{\"sky\": \"rain\"}"}
    second = chat(messages=first + [reply.message, back], **ask | {"tool_choice": "none"})
    assert second.choices[0].message.content, "no answer after the result"
    return [call.function.arguments, second.choices[0].message.content]


@check("a forced tool, streamed")
def forced():
    events = list(chat(model=server.need_tools_model(), tools=[WEATHER], stream=True,
                       max_tokens=100, tool_choice={"type": "function", "function": {
                           "name": "get_weather"}}))
    call = litellm.stream_chunk_builder(events).choices[0].message.tool_calls[0]
    same(call.function.name, "get_weather", "the name")
    return call.function.arguments


@check("response_format: a pydantic class, a schema, any object")
def forms():
    ask = user("Paris has 2 million people. Answer in JSON.")
    schema = City.model_json_schema() | {"additionalProperties": False}
    made = [City.model_validate_json(text(messages=ask, max_tokens=200, response_format=form))
            for form in (City, {"type": "json_schema", "json_schema": {"name": "c",
                                                                      "schema": schema}})]
    chat(messages=ask, max_tokens=10, response_format={"type": "json_object"})
    return [one.model_dump() for one in made]


@check("errors have litellm's classes")
def errors():
    raises(litellm.BadRequestError, chat, temperature=9)
    raises(litellm.NotFoundError, chat, model="gpt-99")
    raises(litellm.ContextWindowExceededError, chat, messages=user("word " * 150000))
    raises(litellm.Timeout, chat, **LONG | {"timeout": 0.5})
    server.until_running(0)


@check("a wrong key is AuthenticationError")
def wrong_key():
    server.need_keys()
    raises(litellm.AuthenticationError, chat, api_key="wrong")


@check("a client above its limit is RateLimitError")
def limited():
    key = server.need_limited_key()

    def until_limited():
        for _ in range(50):
            chat(max_tokens=1, api_key=key)
    raises(litellm.RateLimitError, until_limited)


@check("a stream that is closed frees its place")
def closed():
    events = chat(stream=True, **LONG)
    next(iter(events))
    server.until_running(1)
    events.completion_stream.close()
    server.until_running(0)


@check("ollama_chat: litellm's other wire")
def ollama_chat():
    reply = text("ollama_chat")
    same(streamed(chat("ollama_chat", stream=True)), reply, "the stream")
    used = chat("ollama_chat").usage
    assert used.completion_tokens == 24 and used.prompt_tokens > 0, f"usage is {used}"
    return reply


@check("ollama: litellm's oldest wire, by prompts")
def ollama():
    reply = text("ollama")
    same(streamed(chat("ollama", stream=True)), reply, "the stream")
    return reply


@check("ollama_chat: tools, and a schema")
def ollama_chat_tools():
    reply = chat("ollama_chat", server.need_tools_model(), user("What is the weather in Paris?"),
                 tools=[WEATHER], max_tokens=100).choices[0]
    same(reply.message.tool_calls[0].function.name, "get_weather", "the name")
    made = City.model_validate_json(text("ollama_chat", messages=user("Paris, in JSON."),
                                         max_tokens=200, response_format=City))
    return [reply.message.tool_calls[0].function.arguments, made.model_dump()]


main()
