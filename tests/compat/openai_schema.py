"""openai_schema.py - the official openai client: answers held to JSON, by schemas and pydantic.

Small models write nonsense into the fields; that the form holds, always, is what is checked."""
import enum
import json

import jsonschema
import openai
import pydantic

from checks import check, main, raises, same, server, user

client = openai.OpenAI(base_url=server.v1, api_key=server.key, max_retries=0, timeout=120)
ASK = user("Ada Lovelace was born in London in 1815. Answer in JSON.")
ADA = {"type": "object", "additionalProperties": False, "required": ["name", "born", "tags"],
       "properties": {"name": {"type": "string", "maxLength": 30},
                      "born": {"type": "integer", "minimum": 1000, "maximum": 2100},
                      "tags": {"type": "array", "maxItems": 3, "items": {
                          "enum": ["poet", "writer", "mathematician"]}}}}


class Field(enum.Enum):
    mathematics = "mathematics"
    poetry = "poetry"


class Place(pydantic.BaseModel):
    city: str = pydantic.Field(max_length=20)
    country: str = pydantic.Field(max_length=20)


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=30)
    born: int = pydantic.Field(ge=1000, le=2100)
    place: Place | None
    field: Field
    alive: bool


def chat(form, messages=ASK, **more):
    return client.chat.completions.create(
        **{"model": server.model, "messages": messages, "temperature": 0, "max_tokens": 300,
           "response_format": form} | more)


def schema(schema, **more):
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema} | more}


@check("json_object gives an object")
def json_object():
    reply = chat({"type": "json_object"}, max_tokens=500, frequency_penalty=0.5)
    same(reply.choices[0].finish_reason, "stop", "finish_reason")
    value = json.loads(reply.choices[0].message.content)
    same(type(value), dict, "the answer's type")
    return reply.choices[0].message.content


@check("text is no form at all")
def no_form():
    plain = client.chat.completions.create(model=server.model, messages=ASK, temperature=0,
                                           max_tokens=20)
    same(chat({"type": "text"}, max_tokens=20).choices[0].message.content,
         plain.choices[0].message.content, "the answer")


@check("json_schema gives what the schema says, strict or not")
def json_schema():
    for strict in (True, False, None):
        reply = chat(schema(ADA, strict=strict, description="a person"))
        same(reply.choices[0].finish_reason, "stop", "finish_reason")
        jsonschema.validate(json.loads(reply.choices[0].message.content), ADA)
    return reply.choices[0].message.content


@check("json_schema holds at any temperature, and in each of n")
def json_schema_hot():
    reply = chat(schema(ADA, strict=True), n=8, temperature=2, seed=11)
    for choice in reply.choices:
        jsonschema.validate(json.loads(choice.message.content), ADA)
    return [choice.message.content for choice in reply.choices][:2]


@check("a stream under a schema is the whole answer in pieces")
def json_schema_stream():
    events = chat(schema(ADA, strict=True), stream=True)
    text = "".join(c.delta.content or "" for e in events for c in e.choices)
    same(text, chat(schema(ADA, strict=True)).choices[0].message.content, "the text")


@check("schemas of many kinds hold: anyOf, $ref, const, pattern, format, nested, numbers")
def kinds():
    made = []
    for one in (
            {"type": "object", "properties": {"a": {"anyOf": [{"type": "null"}, {"const": 5}]}},
             "required": ["a"], "additionalProperties": False},
            {"$ref": "#/$defs/pair", "$defs": {"pair": {
                "type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "boolean"}}}},
            {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{2}$"},
            {"type": "object", "properties": {"d": {"type": "string", "format": "date"}},
             "required": ["d"], "additionalProperties": False},
            {"type": "number", "minimum": 0, "maximum": 1},
            {"enum": ["red", "green", 3, None]}):
        reply = chat(schema(one), max_tokens=100)
        same(reply.choices[0].finish_reason, "stop", f"finish_reason under {one}")
        jsonschema.validate(json.loads(reply.choices[0].message.content), one,
                            format_checker=jsonschema.FormatChecker())
        made.append(json.loads(reply.choices[0].message.content))
    return made


@check("parse gives an object of a pydantic class")
def parse():
    reply = client.chat.completions.parse(model=server.model, messages=ASK, temperature=0,
                                          max_tokens=300, response_format=Person)
    person = reply.choices[0].message.parsed
    same(type(person), Person, "the type")
    return person.model_dump(mode="json")


@check("parse tells when the answer was cut off")
def parse_cut():
    raises(openai.LengthFinishReasonError, client.chat.completions.parse, model=server.model,
           messages=ASK, temperature=0, max_tokens=5, response_format=Person)


@check("the stream helper parses a pydantic class as it comes")
def parse_stream():
    with client.chat.completions.stream(model=server.model, messages=ASK, temperature=0,
                                        max_tokens=300, response_format=Person) as stream:
        pieces = sum(event.type == "content.delta" for event in stream)
        final = stream.get_final_completion().choices[0].message.parsed
    assert pieces > 5, f"it came in {pieces} pieces"
    same(type(final), Person, "the type")


@check("a keyword that can't be held to is a 400 that names it")
def unsupported():
    error = raises(openai.BadRequestError, chat, schema({"type": "string", "not": {"const": "a"}}))
    assert "'not'" in error.message or '"not"' in error.message, f"it says: {error.message}"
    same(error.param, "response_format", "param")
    return error.message


@check("a form of another kind, or without its schema, is refused by name")
def bad_forms():
    for form, param in (({"type": "xml"}, "response_format.type"),
                        ({"type": "json_schema"}, "response_format.json_schema"),
                        ({"type": "json_schema", "json_schema": {"schema": {}}},
                         "response_format.json_schema.name"),
                        (schema(5), "response_format.json_schema.schema"),
                        ("json", "response_format")):
        same(raises(openai.BadRequestError, chat, form).param, param, f"param of {form}")


main()
