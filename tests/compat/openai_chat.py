"""openai_chat.py - the official openai client, one request at a time: chats, streamed and not."""
import itertools

import openai

from checks import LONG, check, main, same, server, user

client = openai.OpenAI(base_url=server.v1, api_key=server.key, max_retries=0, timeout=120)
FRANCE = user("What is the capital of France?")
EXTENSION = {"device", "energy_j", "energy_kind", "cost_cents", "ttft_ms", "tokens_per_s"}


def chat(messages=None, **more):
    return client.chat.completions.create(
        **{"model": server.model, "messages": messages or FRANCE, "temperature": 0,
           "max_tokens": 24} | more)


def text(messages=None, **more):
    return chat(messages, **more).choices[0].message.content


def chunks(messages=None, **more):
    return list(chat(messages, stream=True, **more))


def streamed(events, index=0):
    return "".join(choice.delta.content or "" for event in events for choice in event.choices
                   if choice.index == index)


# ---- in whole ----

@check("a chat is answered")
def answered():
    reply = chat()
    same(reply.object, "chat.completion", "object")
    same(reply.model, server.model, "model")
    assert reply.id.startswith("chatcmpl-"), f"id is {reply.id}"
    assert reply.created > 1.6e9, f"created is {reply.created}"
    same(len(reply.choices), 1, "the number of choices")
    same(reply.choices[0].message.role, "assistant", "role")
    return reply.choices[0].message.content


@check("an answer says what it took")
def usage():
    reply = chat()
    used = reply.usage
    same(used.total_tokens, used.prompt_tokens + used.completion_tokens, "total_tokens")
    same(used.completion_tokens, 24, "completion_tokens")
    same(set(used.model_extra), EXTENSION, "the extension of usage")
    assert used.ttft_ms > 0 and used.tokens_per_s > 0, f"no times: {used}"
    return [used.prompt_tokens, used.completion_tokens]


@check("with_raw_response shows the headers")
def headers():
    raw = client.chat.completions.with_raw_response.create(
        model=server.model, messages=FRANCE, max_tokens=2)
    reply, got = raw.parse(), raw.headers
    same(raw.status_code, 200, "the status")
    same(got["X-Edgewise-Device"], reply.usage.device, "X-Edgewise-Device")
    same(got["X-Request-Id"], got["X-Edgewise-Request-Id"], "X-Request-Id")
    same(reply._request_id, got["X-Request-Id"], "the client's _request_id")
    same(float(got["X-Edgewise-Ttft-Ms"]), reply.usage.ttft_ms, "X-Edgewise-Ttft-Ms")
    same(got["X-Edgewise-Energy-Kind"], reply.usage.energy_kind, "X-Edgewise-Energy-Kind")


@check("the same question gives the same answer")
def repeated():
    return same(text(), text(), "the second answer")


@check("earlier messages are read: system, developer, assistant, names, parts of text")
def conversation():
    parts = [{"type": "text", "text": "What is"}, {"type": "text", "text": "my name?"}]
    return text([{"role": "system", "content": "You are brief."},
                 {"role": "developer", "content": "Answer in English."},
                 {"role": "user", "content": "My name is Ada.", "name": "ada"},
                 {"role": "assistant", "content": "Hello Ada."},
                 {"role": "user", "content": parts}])


@check("developer is system under another name")
def developer():
    same(*(text([{"role": role, "content": "Answer in French."}] + FRANCE)
           for role in ("developer", "system")), "the answer to developer")


@check("max_tokens and max_completion_tokens end an answer")
def lengths():
    for more in ({"max_tokens": 5}, {"max_tokens": None, "max_completion_tokens": 5},
                 {"max_tokens": 50, "max_completion_tokens": 5}):
        reply = chat(**more)
        same(reply.usage.completion_tokens, 5, f"completion_tokens of {more}")
        same(reply.choices[0].finish_reason, "length", f"finish_reason of {more}")


@check("a model that ends its turn says stop")
def natural_end():
    reply = chat(user("Say hello."), max_tokens=300)
    same(reply.choices[0].finish_reason, "stop", "finish_reason")
    assert reply.usage.completion_tokens < 300, "it went on to the limit"
    return reply.choices[0].message.content


@check("stop ends an answer before its text, given alone or as a list")
def stops():
    whole = text()
    word = whole.split()[1]
    for stop in (word, ["never in it", word], ["never", word, "nor this", "nor that"]):
        reply = chat(stop=stop)
        same(reply.choices[0].message.content, whole[:whole.index(word)], f"the text with {stop!r}")
        same(reply.choices[0].finish_reason, "stop", "finish_reason")
    return word


@check("n gives so many choices, at temperature 0 alike")
def choices():
    reply = chat(n=3)
    same([c.index for c in reply.choices], [0, 1, 2], "the indices")
    same({c.message.content for c in reply.choices}, {text()}, "the texts")
    same(reply.usage.completion_tokens, 3 * 24, "completion_tokens")


@check("n with a seed gives choices that differ, and the same ones again")
def seeded_choices():
    first, again = ([c.message.content for c in chat(n=4, seed=7, temperature=1.2).choices]
                    for _ in range(2))
    same(again, first, "the second time")
    assert len(set(first)) > 1, "four choices, all alike"
    return first


@check("a seed gives the same answer again, another seed another one")
def seeds():
    one, again, two = (text(seed=seed, temperature=1) for seed in (1, 1, 2))
    same(again, one, "the second answer")
    assert one != two, "two seeds, one answer"
    return [one, two]


@check("temperature, top_p and penalties are taken, at their bounds, too")
def sampling():
    for more in ({"temperature": 2, "seed": 1}, {"temperature": 0.0}, {"top_p": 0.1, "seed": 1},
                 {"presence_penalty": 2}, {"presence_penalty": -2}, {"frequency_penalty": -2}):
        assert chat(**more).usage.completion_tokens > 0, f"nothing with {more}"
    return text(temperature=1, top_p=0.05, seed=3)


@check("frequency_penalty makes an answer repeat less")
def penalties():
    def variety(**more):
        words = text(max_tokens=80, **more).split()
        return len(set(words)) / len(words)
    plain, less = variety(), variety(frequency_penalty=2)
    assert less > plain, f"{less:.2f} of the words differ, {plain:.2f} without it"


@check("logit_bias makes a token certain, or impossible")
def bias():
    reply = chat(logit_bias={"28": 100}, max_tokens=4, logprobs=True)
    tokens = [t.token for t in reply.choices[0].logprobs.content]
    same(len(set(tokens)), 1, "the number of different tokens with a bias of 100")
    again = chat(logit_bias={"28": -100}, max_tokens=24, logprobs=True)
    assert tokens[0] not in [t.token for t in again.choices[0].logprobs.content], \
        f"{tokens[0]!r} in spite of a bias of -100"
    return tokens[0]


@check("logprobs are of the tokens of the answer, likeliest first")
def logprobs():
    reply = chat(logprobs=True, top_logprobs=5)
    tokens = reply.choices[0].logprobs.content
    same("".join(t.token for t in tokens), reply.choices[0].message.content, "the tokens' text")
    same(b"".join(map(bytes, (t.bytes for t in tokens))).decode(),
         reply.choices[0].message.content, "the tokens' bytes")
    for token in tokens:
        values = [top.logprob for top in token.top_logprobs]
        same(len(values), 5, "the number of top_logprobs")
        same(values, sorted(values, reverse=True), "the order of top_logprobs")
        same((token.top_logprobs[0].token, values[0]), (token.token, token.logprob),
             "the likeliest at temperature 0")
    return [t.logprob for t in tokens[:3]]


@check("logprobs without top_logprobs have none, and no logprobs are null")
def no_logprobs():
    same(chat(logprobs=True).choices[0].logprobs.content[0].top_logprobs, [], "top_logprobs")
    same(chat(logprobs=False).choices[0].logprobs, None, "logprobs")


@check("fields that say nothing here are ignored")
def ignored():
    same(text(user=None, store=False, metadata={"a": "b"}, service_tier="auto",
              reasoning_effort="low", verbosity="low", prompt_cache_key="k", safety_identifier="s",
              modalities=["text"], extra_body={"no_such_field": {"a": 1}}), text(), "the answer")


# ---- in chunks ----

@check("a stream's text is the text of the whole answer")
def stream_text():
    same(streamed(chunks()), text(), "the stream's text")


@check("a stream begins with the role and ends with the reason")
def stream_form():
    events = chunks()
    first, last = events[0].choices[0], events[-1].choices[0]
    same((first.delta.role, first.delta.content), ("assistant", ""), "the first delta")
    same(last.finish_reason, "length", "the last finish_reason")
    assert not last.delta.content and not last.delta.role, f"the last delta is {last.delta}"
    same({e.object for e in events}, {"chat.completion.chunk"}, "object")
    same(len({(e.id, e.created, e.model) for e in events}), 1, "the number of heads")
    same([e.choices[0].finish_reason for e in events[:-1]], [None] * (len(events) - 1),
         "finish_reason before the end")
    same([e.usage for e in events], [None] * len(events), "usage that nobody asked for")
    assert len(events) > 10, f"24 tokens came in {len(events)} chunks"


@check("include_usage adds a chunk without choices, and null to the others")
def stream_usage():
    events = chunks(stream_options={"include_usage": True})
    same([bool(e.choices) for e in events], [True] * (len(events) - 1) + [False], "choices")
    same([e.usage for e in events[:-1]], [None] * (len(events) - 1), "usage before the end")
    assert all("usage" in e.model_fields_set for e in events), "a chunk without the key usage"
    used, whole = events[-1].usage, chat().usage
    same((used.prompt_tokens, used.completion_tokens),
         (whole.prompt_tokens, whole.completion_tokens), "the stream's usage")
    same(set(used.model_extra), EXTENSION, "the extension of usage")


@check("a stream with n has each choice whole")
def stream_choices():
    more = {"n": 3, "seed": 5, "temperature": 1.2}
    events, whole = chunks(**more), chat(**more)
    for choice in whole.choices:
        same(streamed(events, choice.index), choice.message.content, f"choice {choice.index}")
    ends = [c.index for e in events for c in e.choices if c.finish_reason]
    same(sorted(ends), [0, 1, 2], "the choices that end")


@check("a stream has the logprobs of the whole answer")
def stream_logprobs():
    more = {"logprobs": True, "top_logprobs": 2}
    tokens = [t for e in chunks(**more) for c in e.choices if c.logprobs
              for t in c.logprobs.content]
    same(tokens, chat(**more).choices[0].logprobs.content, "the stream's logprobs")


@check("stop isn't seen in a stream, whole or in pieces")
def stream_stop():
    word = text().split()[1]
    events = chunks(stop=word)
    same(streamed(events), text(stop=word), "the text")
    same(events[-1].choices[0].finish_reason, "stop", "finish_reason")


@check("the client's own stream helper is content with the events")
def helper():
    with client.chat.completions.stream(
            model=server.model, messages=user("Say hello."), temperature=0, max_tokens=300,
            stream_options={"include_usage": True}) as stream:
        seen = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= seen, f"events: {seen}"
    whole = chat(user("Say hello."), max_tokens=300)
    same(final.choices[0].message.content, whole.choices[0].message.content, "the text")
    same(final.usage.completion_tokens, whole.usage.completion_tokens, "completion_tokens")


@check("a stream that is closed frees its place")
def closed():
    stream = chat(stream=True, **LONG)
    list(itertools.islice(stream, 5))
    server.until_running(1)
    stream.close()
    server.until_running(0)


@check("with_streaming_response reads the lines of the wire")
def lines():
    with client.chat.completions.with_streaming_response.create(
            model=server.model, messages=FRANCE, temperature=0, max_tokens=4,
            stream=True) as raw:
        kind = raw.headers["Content-Type"]
        got = [line for line in raw.iter_lines() if line]
    assert kind.startswith("text/event-stream"), f"Content-Type is {kind}"
    same(got[-1], "data: [DONE]", "the last line")
    same({line[:6] for line in got}, {"data: "}, "how lines begin")


main()
