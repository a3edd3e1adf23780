"""openai_tools.py - the official openai client: tools, the calls that come of them, and the turn
after. By a model that was trained to call tools; a second one shows that others are held to it."""
import json

import jsonschema
import openai
import pydantic

from checks import check, main, raises, same, server, user

client = openai.OpenAI(base_url=server.v1, api_key=server.key, max_retries=0, timeout=120)
ASK = user("What is the weather in Paris?")
CITY = {"type": "object", "additionalProperties": False, "required": ["city"],
        "properties": {"city": {"type": "string", "description": "a city"}}}


def tool(name, does, parameters):
    return {"type": "function", "function": {"name": name, "description": does,
                                             "parameters": parameters}}


WEATHER = tool("get_weather", "the weather of a city, now", CITY)
TIME = tool("get_time", "the time in a city, now", CITY)
TOOLS = [WEATHER, TIME]


class Weather(pydantic.BaseModel):
    """the weather of a city, now"""
    city: str = pydantic.Field(max_length=30)
    unit: str | None = pydantic.Field(pattern="^(celsius|fahrenheit)$")


def chat(messages=ASK, **more):
    return client.chat.completions.create(
        **{"model": server.need_tools_model(), "messages": messages, "temperature": 0,
           "max_tokens": 150, "tools": TOOLS} | more)


def calls_of(reply):
    choice = reply.choices[0]
    same(choice.finish_reason, "tool_calls", f"finish_reason of {choice.message.content!r}")
    for call in choice.message.tool_calls:
        same(call.type, "function", "type")
        assert call.id.startswith("call_"), f"id is {call.id}"
        jsonschema.validate(json.loads(call.function.arguments), CITY)
    return choice.message.tool_calls


def told(calls):
    return [[call.function.name, json.loads(call.function.arguments)] for call in calls]


@check("auto: the model calls the tool that answers")
def auto():
    reply = chat()
    calls = calls_of(reply)
    same(reply.choices[0].message.content, None, "content beside a call")
    same(told(calls), [["get_weather", {"city": "Paris"}]], "the calls")
    return told(calls)


@check("auto: the model answers by itself where no tool helps")
def auto_text():
    reply = chat(user("Say hello in French. Do not use any tool."), tool_choice="auto")
    same(reply.choices[0].message.tool_calls, None, "tool_calls")
    return reply.choices[0].message.content


@check("none: no call, though there are tools")
def none():
    reply = chat(tool_choice="none")
    same(reply.choices[0].message.tool_calls, None, "tool_calls")
    assert reply.choices[0].message.content, "no content either"
    return reply.choices[0].message.content


@check("required: a call, whatever was asked")
def required():
    return told(calls_of(chat(user("Hello!"), tool_choice="required")))


@check("forced: a call of the tool named, not of the one that would answer")
def forced():
    choice = {"type": "function", "function": {"name": "get_time"}}
    reply = chat(tool_choice=choice)
    calls = reply.choices[0].message.tool_calls
    assert reply.choices[0].finish_reason in ("stop", "tool_calls"), "cut off"
    same([call.function.name for call in calls], ["get_time"], "the names")
    jsonschema.validate(json.loads(calls[0].function.arguments), CITY)
    return told(calls)


@check("allowed_tools: of all tools, only these are called")
def allowed():
    only = {"type": "function", "function": {"name": "get_time"}}
    reply = chat(tool_choice={"type": "allowed_tools", "allowed_tools": {
        "mode": "required", "tools": [only]}})
    calls = calls_of(reply)
    same({call.function.name for call in calls}, {"get_time"}, "the names")
    same(told(calls), told(calls_of(chat(tools=[TIME], tool_choice="required"))),
         "the calls where there is no other tool")
    return told(calls)


@check("a schema beside tools: a call, or an answer that fits it")
def schema_beside():
    total = {"type": "object", "additionalProperties": False, "required": ["sum"],
             "properties": {"sum": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "total", "schema": total}}
    same(told(calls_of(chat(response_format=form))), told(calls_of(chat())), "the calls")
    reply = chat(user('What is 2 + 3? Answer as {"sum": number}.'), response_format=form)
    same(reply.choices[0].message.tool_calls, None, "tool_calls")
    jsonschema.validate(json.loads(reply.choices[0].message.content), total)
    loose = tool("get_weather", "the weather of a city, now", {"type": "object", "not": {}})
    reply = chat(response_format=form, tools=[loose]) # parameters that no grammar holds
    assert reply.choices[0].finish_reason in ("stop", "tool_calls"), "it was cut off"
    return reply.choices[0].message.content


@check("without parallel_tool_calls there is one call at most")
def not_parallel():
    calls = calls_of(chat(user("What is the weather in Paris, in London and in Rome?"),
                          parallel_tool_calls=False, tool_choice="required"))
    same(len(calls), 1, "the number of calls")
    return told(calls)


@check("a stream has the calls in pieces that add up to the whole ones")
def stream():
    calls, ends = {}, []
    for event in chat(stream=True):
        for choice in event.choices:
            ends += [choice.finish_reason] if choice.finish_reason else []
            for piece in choice.delta.tool_calls or ():
                call = calls.setdefault(piece.index, {"id": "", "name": "", "arguments": ""})
                call["id"] += piece.id or ""
                call["name"] += piece.function.name or ""
                call["arguments"] += piece.function.arguments or ""
    same(ends, ["tool_calls"], "the finish_reasons")
    whole = calls_of(chat())
    same([[c["name"], c["arguments"]] for c in calls.values()],
         [[c.function.name, c.function.arguments] for c in whole], "the calls")
    assert calls[0]["id"].startswith("call_"), f"id is {calls[0]['id']}"


@check("a tool's result is read in the next turn")
def result():
    first = chat().choices[0].message
    seen = {"type": "object", "additionalProperties": False, "required": ["sky", "celsius"],
            "properties": {"sky": {"enum": ["sun", "rain", "snow"]},
                           "celsius": {"type": "integer"}}}
    for sky, celsius in (("snow", -4), ("rain", 11)):
        back = {"role": "tool", "tool_call_id": first.tool_calls[0].id,
                "content": json.dumps({"sky": sky, "celsius": celsius})}
        reply = chat(ASK + [first, back], tool_choice="none", response_format={
            "type": "json_schema", "json_schema": {"name": "seen", "schema": seen}})
        same(json.loads(reply.choices[0].message.content), {"sky": sky, "celsius": celsius},
             "what it read")
    return chat(ASK + [first, back]).choices[0].message.content


@check("the client's helper parses arguments into a pydantic class")
def parse():
    reply = client.chat.completions.parse(
        model=server.need_tools_model(), messages=ASK, temperature=0, max_tokens=150,
        tools=[openai.pydantic_function_tool(Weather, name="get_weather")],
        tool_choice="required")
    arguments = reply.choices[0].message.tool_calls[0].function.parsed_arguments
    same(type(arguments), Weather, "the type")
    return arguments.model_dump()


@check("the stream helper tells of calls")
def stream_helper():
    with client.chat.completions.stream(
            model=server.need_tools_model(), messages=ASK, temperature=0, max_tokens=150,
            tools=[openai.pydantic_function_tool(Weather, name="get_weather")],
            tool_choice="required") as events:
        kinds = {event.type for event in events}
        final = events.get_final_completion()
    assert "tool_calls.function.arguments.done" in kinds, f"events: {kinds}"
    same(type(final.choices[0].message.tool_calls[0].function.parsed_arguments), Weather, "type")


@check("a model that knows no tools is held to them all the same")
def other_model():
    reply = chat(model=server.model, tool_choice="required")
    return told(calls_of(reply))


@check("tools without a name, of another type, or chosen but not there are refused by name")
def refused():
    for more, param in (({"tools": [{"type": "function", "function": {}}]},
                         "tools[0].function.name"),
                        ({"tools": [{"type": "plugin"}]}, "tools[0].type"),
                        ({"tools": [tool("a b", "", {})]}, "tools[0].function.name"),
                        ({"tool_choice": "always"}, "tool_choice"),
                        ({"tool_choice": {"type": "custom", "custom": {"name": "get_time"}}},
                         "tool_choice.type"),
                        ({"tool_choice": {"type": "function", "function": {"name": "no"}}},
                         "tool_choice"),
                        ({"tools": None, "tool_choice": "required"}, "tool_choice"),
                        ({"functions": [{"name": "a", "parameters": {}}]}, "functions")):
        more = {"model": server.model} | more
        same(raises(openai.BadRequestError, chat, **more).param, param, f"param of {more}")


main()
