"""openai_async.py - the official openai client, asynchronous: many at once, and some that leave."""
import asyncio

import openai

from checks import LONG, check, main, same, server, user

AT_ONCE = 16


def opened(**more):
    return openai.AsyncOpenAI(**{"base_url": server.v1, "api_key": server.key, "max_retries": 0,
                                 "timeout": 120} | more)


def asked(i):
    return user(f"Count to {i + 2}.")


async def chat(client, messages, **more):
    return await client.chat.completions.create(
        **{"model": server.model, "messages": messages, "temperature": 0, "max_tokens": 24} | more)


async def text(client, messages, **more):
    return (await chat(client, messages, **more)).choices[0].message.content


async def streamed(client, messages, **more):
    return "".join([choice.delta.content or ""
                    async for event in await chat(client, messages, stream=True, **more)
                    for choice in event.choices])


async def until_running(count):
    await asyncio.to_thread(server.until_running, count)


@check(f"{AT_ONCE} at once, streamed or not, have the answers that they have one after the other")
async def at_once():
    async with opened() as client:
        alone = [await text(client, asked(i)) for i in range(AT_ONCE)]
        for ask, what in ((text, "the answers"), (streamed, "the streams")):
            together = await asyncio.gather(*(ask(client, asked(i)) for i in range(AT_ONCE)))
            same(together, alone, what)
    return together


@check("more at once than are computed together wait, and are answered")
async def more_at_once():
    async with opened() as client:
        replies = await asyncio.gather(*(chat(client, asked(i % AT_ONCE), max_tokens=4)
                                         for i in range(3 * AT_ONCE)))
    told = [r.choices[0].message.content for r in replies]
    same(told, told[:AT_ONCE] * 3, "the answers to the same questions")


@check("models, chats, texts and streams mixed")
async def mixed():
    async with opened() as client:
        async def listed():
            return server.model in [model.id async for model in client.models.list()]

        async def continued():
            reply = await client.completions.create(model=server.model, prompt="One, two,",
                                                    temperature=0, max_tokens=8)
            return reply.choices[0].text
        jobs = [listed, continued, lambda: text(client, asked(1)),
                lambda: streamed(client, asked(1))]
        got = await asyncio.gather(*(job() for job in jobs * 4))
    for i in range(len(jobs)):
        same(len(set(got[i::len(jobs)])), 1, f"the number of answers of kind {i}")
    same(got[2], got[3], "text and stream")
    return got[:3]


@check("a task that is cancelled frees its place, in an answer not streamed")
async def cancelled():
    async with opened() as client:
        task = asyncio.create_task(chat(client, asked(1), **LONG))
        await until_running(1)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        await until_running(0)


@check("wait_for's timeout frees the place")
async def waited_for():
    async with opened() as client:
        try:
            await asyncio.wait_for(chat(client, asked(1), **LONG), 0.5)
        except TimeoutError:
            await until_running(0)
            return
    raise AssertionError("an answer came")


@check("a stream that is left frees its place, its neighbours go on")
async def left():
    async with opened() as client:
        stays = asyncio.create_task(streamed(client, asked(1), max_tokens=60))
        goes = await chat(client, asked(2), stream=True, **LONG)
        async for _ in goes:
            break
        await goes.close()
        same(await stays, await text(client, asked(1), max_tokens=60), "the neighbour's answer")
        await until_running(0)


@check("a client's timeout is APITimeoutError, and frees the place")
async def timeout():
    async with opened(timeout=0.5) as client:
        try:
            await chat(client, asked(1), **LONG)
        except openai.APITimeoutError:
            await until_running(0)
            return
    raise AssertionError("no APITimeoutError")


@check("errors have their classes: 400, 401, 404")
async def errors():
    said = []
    async with opened() as client:
        for kind, by, more in ((openai.BadRequestError, client, {"temperature": 9}),
                               (openai.NotFoundError, client, {"model": "gpt-99"}),
                               (openai.AuthenticationError, opened(api_key="wrong"), {})):
            if kind is openai.AuthenticationError:
                server.need_keys()
            try:
                await chat(by, asked(1), **more)
                raise AssertionError(f"no {kind.__name__}")
            except openai.APIStatusError as error:
                same(type(error), kind, "the class")
                said.append(error.message)
    return said


@check("the client over aiohttp is answered, too")
async def aiohttp_client():
    async with opened(http_client=openai.DefaultAioHttpClient()) as client:
        same(await streamed(client, asked(1)), await text(client, asked(1)), "the stream")


main()
