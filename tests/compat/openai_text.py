"""openai_text.py - the official openai client: the legacy completions, and the list of models."""
import openai

from checks import check, main, raises, same, server, skip

client = openai.OpenAI(base_url=server.v1, api_key=server.key, max_retries=0, timeout=120)
PROMPT = "Once upon a time"


def complete(prompt=PROMPT, **more):
    return client.completions.create(**{"model": server.model, "prompt": prompt, "temperature": 0,
                                        "max_tokens": 20} | more)


def text(prompt=PROMPT, **more):
    return complete(prompt, **more).choices[0].text


# ---- completions ----

@check("a text is continued")
def continued():
    reply = complete()
    same(reply.object, "text_completion", "object")
    same(reply.choices[0].finish_reason, "length", "finish_reason")
    same(reply.usage.completion_tokens, 20, "completion_tokens")
    return reply.choices[0].text


@check("without max_tokens it is 16")
def sixteen():
    reply = client.completions.create(model=server.model, prompt=PROMPT, temperature=0)
    same(reply.usage.completion_tokens, 16, "completion_tokens")


@check("several prompts have an answer each, as if asked alone")
def prompts():
    several = [PROMPT, "The sea is", "One, two, three,"]
    reply = complete(several)
    same([c.index for c in reply.choices], [0, 1, 2], "the indices")
    for choice, prompt in zip(reply.choices, several):
        same(choice.text, text(prompt), f"the answer to {prompt!r}")


@check("several prompts with n have n answers each, in order")
def prompts_by_n():
    reply = complete([PROMPT, "The sea is"], n=2, seed=9, temperature=1)
    same([c.index for c in reply.choices], [0, 1, 2, 3], "the indices")
    return [c.text for c in reply.choices]


@check("a prompt of token ids is the text that they are")
def ids():
    comma = 28 # "," of SmolLM2, which is one token to others, too
    same(text([comma]), text(","), "the answer to one id")
    same([c.text for c in complete([[comma], [comma]]).choices], [text(",")] * 2, "two prompts")
    same(complete([comma] * 3).usage.prompt_tokens, 3, "prompt_tokens of three ids")
    error = raises(openai.BadRequestError, complete, [2 ** 30])
    return error.message


@check("echo puts the prompt in front")
def echo():
    same(text(echo=True), PROMPT + text(), "the text")


@check("stop ends it before its text")
def stop():
    whole = text()
    word = whole.split()[2]
    reply = complete(stop=[word])
    same(reply.choices[0].text, whole[:whole.index(word)], "the text")
    same(reply.choices[0].finish_reason, "stop", "finish_reason")


@check("logprobs in the legacy form: tokens, their values, the likeliest, offsets")
def logprobs():
    choice = complete(logprobs=3).choices[0]
    has = choice.logprobs
    same("".join(has.tokens), choice.text, "the tokens' text")
    same([len(has.token_logprobs), len(has.top_logprobs), len(has.text_offset)],
         [len(has.tokens)] * 3, "the lengths")
    for token, value, top in zip(has.tokens, has.token_logprobs, has.top_logprobs):
        same(top[token], value, f"{token!r} in top_logprobs")
        same(max(top.values()), value, f"the likeliest beside {token!r}")
    first = has.text_offset[0]
    for i, offset in enumerate(has.text_offset):
        same(offset - first, len("".join(has.tokens[:i])), f"text_offset[{i}]")
    return has.token_logprobs[:3]


@check("a stream's text is the text of the whole answer, usage last")
def streamed():
    events = list(complete(stream=True, stream_options={"include_usage": True}))
    same("".join(e.choices[0].text for e in events if e.choices), text(), "the stream's text")
    same(events[-2].choices[0].finish_reason, "length", "the last finish_reason")
    same(events[-1].choices, [], "choices of the last")
    same(events[-1].usage.completion_tokens, 20, "completion_tokens")
    same({e.object for e in events}, {"text_completion"}, "object")


@check("a stream of several prompts has each of them whole")
def streamed_prompts():
    several = [PROMPT, "The sea is"]
    events = list(complete(several, stream=True))
    for i, prompt in enumerate(several):
        same("".join(c.text for e in events for c in e.choices if c.index == i), text(prompt),
             f"the answer to {prompt!r}")


@check("seeds and logit_bias act as in chats")
def seeds():
    one, again, two = (text(seed=seed, temperature=1) for seed in (1, 1, 2))
    same(again, one, "the second answer with a seed")
    assert one != two, "two seeds, one answer"
    tokens = complete(logit_bias={"28": 100}, logprobs=0, max_tokens=4).choices[0].logprobs.tokens
    same(len(set(tokens)), 1, "the number of different tokens with a bias of 100")
    return [one, two]


@check("best_of is n, and more is refused by name")
def best_of():
    same(text(best_of=1), text(), "the text")
    same(raises(openai.BadRequestError, complete, best_of=3).param, "best_of", "param")


@check("suffix is refused by name, but an empty one")
def suffix():
    same(text(suffix=""), text(), "the text")
    same(raises(openai.BadRequestError, complete, suffix="The end.").param, "suffix", "param")


# ---- models ----

@check("the models are listed")
def models():
    page = client.models.list()
    same(page.object, "list", "object")
    names = [model.id for model in page]
    assert server.model in names, f"{server.model} isn't among {names}"
    same({model.object for model in page}, {"model"}, "object of each")
    assert all(model.owned_by and model.created >= 0 for model in page), "without owner or time"


@check("a model is told by its name")
def model():
    one = client.models.retrieve(server.model)
    same(one.id, server.model, "id")
    assert one in list(client.models.list()), "it is another one than in the list"


@check("a model that isn't there is NotFoundError")
def no_model():
    error = raises(openai.NotFoundError, client.models.retrieve, "no-such-model")
    same((error.code, error.param), ("model_not_found", "model"), "code and param")
    return error.message


@check("NAME:latest is NAME")
def latest():
    same(complete(model=server.model + ":latest").choices[0].text, text(), "the text")


@check("another model can be asked in between")
def other_model():
    names = [m.id for m in client.models.list() if m.id != server.model] or \
        skip("the server has one model only")
    reply = complete(model=names[0], max_tokens=4)
    same(reply.model, names[0], "model")
    return reply.choices[0].text


main()
