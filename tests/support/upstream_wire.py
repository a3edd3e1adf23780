"""upstream_wire.py - what the stand-in of upstream.py says, in the three wires that it speaks.

An answer is the words w0 w1 w2 …, so that a test sees one that is missing, and who goes on from an
answer that was begun (its last message is the assistant's) goes on counting. Tokens are words. Each
wire is a class with the same functions:

    start(ask)          bytes before the first token         name, stream_type
    token(ask, i)       bytes of token i
    end(ask)            bytes after the last one
    whole(ask)          all of it, not streamed: an object
    error(status, why)  the body of an answer that is an error: an object
    models(names)       its list of models: an object"""
import json
import re

STAND_IN = "this is a stand-in for tests, no model"


def words(text):
    return len(str(text).split())


class Ask:
    """The request as a wire wants it, and what it is answered."""

    def __init__(self, body, behave):
        self.body, self.behave = body, behave
        self.model = str(body.get("model", ""))
        self.first = begun(body)
        self.prompt_tokens = words(prompt_of(body))
        self.cached = behave.cached
        self.tokens = min(behave.tokens, limit_of(body))

    def text(self, i):
        """Of token i, counted from where this answer begins."""
        i += self.first
        return f" w{i}" if i else "w0"

    def piece(self, i):
        """Of the event that begins with token i."""
        return "".join(map(self.text, range(i, i + self.behave.piece)))

    def all(self):
        return "".join(self.text(i) for i in range(self.tokens))

    def usage_wanted(self):
        if self.behave.usage == "asked":
            return bool((self.body.get("stream_options") or {}).get("include_usage"))
        return self.behave.usage == "always"

    def finish(self):
        return "length" if self.tokens < self.behave.tokens else "stop"


def prompt_of(body):
    """All text of a request."""
    parts = [body.get("prompt") or "", body.get("system") or ""]
    for message in body.get("messages") or ():
        content = message.get("content") or ""
        if isinstance(content, list):
            content = " ".join(part.get("text", "") for part in content)
        parts.append(content)
    return " ".join(str(part) for part in parts)


def begun(body):
    """How many words of ours the last message has, if it is the assistant's."""
    last = (body.get("messages") or [{}])[-1]
    if last.get("role") != "assistant":
        return 0
    return len(re.findall(r"\bw\d+", prompt_of({"messages": [last]})))


def limit_of(body):
    options = body.get("options") or {}
    limits = [body.get("max_tokens"), body.get("max_completion_tokens"), options.get("num_predict")]
    return min([limit for limit in limits if isinstance(limit, int) and limit > 0] or [1 << 40])


def event(thing, name=None):
    data = thing if isinstance(thing, str) else json.dumps(thing)
    return ((f"event: {name}\n" if name else "") + f"data: {data}\n\n").encode()


class OpenAI:
    name, stream_type = "openai", "text/event-stream; charset=utf-8"

    @staticmethod
    def chunk(ask, choices, **more):
        kind = "chat.completion.chunk" if "messages" in ask.body else "text_completion"
        return event({"id": "standin-1", "object": kind, "created": 1700000000,
                      "model": ask.model, "choices": choices} | more)

    @classmethod
    def choice(cls, ask, text, finish=None, role=None):
        if "messages" not in ask.body:
            return cls.chunk(ask, [{"index": 0, "text": text, "finish_reason": finish}])
        delta = ({"role": role} if role else {}) | ({"content": text} if text is not None else {})
        return cls.chunk(ask, [{"index": 0, "delta": delta, "finish_reason": finish}])

    @classmethod
    def start(cls, ask):
        return cls.choice(ask, "", role="assistant") if "messages" in ask.body else b""

    @classmethod
    def token(cls, ask, i):
        return cls.choice(ask, ask.piece(i))

    @classmethod
    def end(cls, ask):
        last = cls.choice(ask, None if "messages" in ask.body else "", ask.finish())
        if ask.usage_wanted():
            last += cls.chunk(ask, [], usage=cls.usage(ask))
        return last + event("[DONE]")

    @staticmethod
    def usage(ask):
        usage = {"prompt_tokens": ask.prompt_tokens, "completion_tokens": ask.tokens,
                 "total_tokens": ask.prompt_tokens + ask.tokens}
        if ask.cached:
            usage["prompt_tokens_details"] = {"cached_tokens": ask.cached}
        return usage

    @classmethod
    def whole(cls, ask):
        chat = "messages" in ask.body
        said = {"message": {"role": "assistant", "content": ask.all()}} if chat else \
            {"text": ask.all()}
        answer = {"id": "standin-1", "object": "chat.completion" if chat else "text_completion",
                  "created": 1700000000, "model": ask.model, "system_fingerprint": STAND_IN,
                  "choices": [said | {"index": 0, "logprobs": None, "finish_reason": ask.finish()}]}
        if ask.behave.usage != "never":
            answer["usage"] = cls.usage(ask)
        return answer

    @staticmethod
    def error(status, why):
        kind = {429: "rate_limit_error", 400: "invalid_request_error"}.get(status, "server_error")
        return {"error": {"message": why, "type": kind, "param": None, "code": None}}

    @staticmethod
    def models(names):
        return {"object": "list", "data": [{"id": name, "object": "model", "created": 1700000000,
                                            "owned_by": "stand-in"} for name in names]}


class Anthropic:
    name, stream_type = "anthropic", "text/event-stream; charset=utf-8"

    @classmethod
    def start(cls, ask):
        message = cls.message(ask, [], None)
        message["usage"] = cls.usage(ask) | {"output_tokens": 1}
        return (event({"type": "message_start", "message": message}, "message_start") +
                event({"type": "content_block_start", "index": 0,
                       "content_block": {"type": "text", "text": ""}}, "content_block_start") +
                event({"type": "ping"}, "ping"))

    @staticmethod
    def token(ask, i):
        return event({"type": "content_block_delta", "index": 0,
                      "delta": {"type": "text_delta", "text": ask.piece(i)}}, "content_block_delta")

    @classmethod
    def end(cls, ask):
        return (event({"type": "content_block_stop", "index": 0}, "content_block_stop") +
                event({"type": "message_delta", "usage": {"output_tokens": ask.tokens},
                       "delta": {"stop_reason": cls.reason(ask), "stop_sequence": None}},
                      "message_delta") +
                event({"type": "message_stop"}, "message_stop"))

    @staticmethod
    def reason(ask):
        return "max_tokens" if ask.finish() == "length" else "end_turn"

    @staticmethod
    def usage(ask):
        return {"input_tokens": ask.prompt_tokens - ask.cached, "output_tokens": ask.tokens,
                "cache_read_input_tokens": ask.cached, "cache_creation_input_tokens": 0}

    @staticmethod
    def message(ask, content, reason):
        return {"id": "msg_standin", "type": "message", "role": "assistant", "model": ask.model,
                "content": content, "stop_reason": reason, "stop_sequence": None}

    @classmethod
    def whole(cls, ask):
        answer = cls.message(ask, [{"type": "text", "text": ask.all()}], cls.reason(ask))
        return answer | {"usage": cls.usage(ask)}

    @staticmethod
    def error(status, why):
        kind = {429: "rate_limit_error", 400: "invalid_request_error", 401: "authentication_error",
                529: "overloaded_error"}.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": why}}

    @staticmethod
    def models(names):
        return {"data": [{"type": "model", "id": name, "display_name": STAND_IN,
                          "created_at": "2025-01-01T00:00:00Z"} for name in names],
                "has_more": False, "first_id": names[0], "last_id": names[-1]}


class Ollama:
    name, stream_type = "ollama", "application/x-ndjson"

    @staticmethod
    def line(thing):
        return json.dumps(thing).encode() + b"\n"

    @staticmethod
    def object(ask, text, done=False):
        return {"model": ask.model, "created_at": "2025-01-01T00:00:00Z", "done": done,
                "message": {"role": "assistant", "content": text}}

    @staticmethod
    def start(_):
        return b""

    @classmethod
    def token(cls, ask, i):
        return cls.line(cls.object(ask, ask.piece(i)))

    @classmethod
    def last(cls, ask, text):
        counts = {"prompt_eval_count": ask.prompt_tokens, "eval_count": ask.tokens}
        return cls.object(ask, text, True) | {
            "done_reason": ask.finish(), "total_duration": 5000000, "load_duration": 0,
            "prompt_eval_duration": 1000000, "eval_duration": 4000000} | (
                {} if ask.behave.usage == "never" else counts)

    @classmethod
    def end(cls, ask):
        return cls.line(cls.last(ask, ""))

    @classmethod
    def whole(cls, ask):
        return cls.last(ask, ask.all())

    @staticmethod
    def error(_, why):
        return {"error": why}

    @staticmethod
    def models(names):
        return {"models": [{"name": name, "model": name, "modified_at": "2025-01-01T00:00:00Z",
                            "size": 1000, "digest": "0" * 64, "details": {"family": "stand-in"}}
                           for name in names]}


WIRES = {wire.name: wire for wire in (OpenAI, Anthropic, Ollama)}
# Which wire a path belongs to, whatever the stand-in mainly is.
PATHS = {"/v1/chat/completions": OpenAI, "/v1/completions": OpenAI, "/v1/messages": Anthropic,
         "/api/chat": Ollama}
