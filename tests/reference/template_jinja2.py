"""template_jinja2.py - does our template interpreter write what Python's jinja2 writes?

    template_jinja2.py DRIVER [FOLDER...]     DRIVER: template_driver; FOLDER: more *.jinja

Every template of tests/data/templates with every conversation below, then each of the snippets of
template_snippets.txt with one context. jinja2 is set up as transformers sets it up for chat
templates: immutable sandbox, trim_blocks, lstrip_blocks, loop controls, its own tojson. Where
jinja2 gives text, ours must be the same bytes; where it raises, ours must be an error.

Prints a line a template, then "N passed, N failed, N skipped"; exit status 1 when one failed, 77
when jinja2 isn't there."""
import copy
import datetime
import glob
import json
import os
import subprocess
import sys

try:
    import jinja2
    import jinja2.ext
    import jinja2.nodes
    import jinja2.sandbox
except ImportError:
    print("python3 has no module jinja2")
    sys.exit(77)

HERE = os.path.dirname(os.path.abspath(__file__))
NOW = "2026-03-07 09:05:03"


class TemplateRaised(Exception):
    pass


class Generation(jinja2.ext.Extension):
    """{% generation %} ... {% endgeneration %}: marks what the assistant says, prints it as is."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        call = self.call_method("through", [])
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def through(self, caller):
        return caller()


def to_json(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                      sort_keys=sort_keys)


def raise_exception(message):
    raise TemplateRaised(message)


def environment(sandbox):
    env = sandbox(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = to_json
    env.globals["raise_exception"] = raise_exception
    return env


def expected(env, source, context):
    """The text that jinja2 makes, or None where it raises; and why."""
    context = copy.deepcopy(context) # older sandboxes let a template pop from it
    now = context.pop("strftime_now", None)
    if now is not None:
        context["strftime_now"] = datetime.datetime.fromisoformat(now).strftime
    context.setdefault("tools", None)
    context.setdefault("documents", None)
    try:
        return env.from_string(source).render(**context), ""
    except jinja2.exceptions.SecurityError as e:
        if "of 'list' object" not in str(e) or not ("'append'" in str(e) or "'pop'" in str(e)):
            return None, str(e)
        # Ours lets a template append to a list and pop; so does the sandbox that isn't immutable.
        env = environment(jinja2.sandbox.SandboxedEnvironment)
        try:
            return env.from_string(source).render(**copy.deepcopy(context)), ""
        except Exception as again:
            return None, str(again)
    except Exception as e: # whatever it is: a template that fails here has to fail there
        return None, f"{type(e).__name__}: {e}"


class Driver:
    def __init__(self, path):
        self.pipe = subprocess.Popen([path, "--batch"], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE)

    def render(self, source, context):
        source, context = source.encode(), json.dumps(context, ensure_ascii=False).encode()
        self.pipe.stdin.write(b"%d %d\n" % (len(source), len(context)) + source + context)
        self.pipe.stdin.flush()
        head = self.pipe.stdout.readline().split()
        if len(head) != 2:
            raise RuntimeError("the driver died")
        text = self.pipe.stdout.read(int(head[1])).decode("utf-8", "replace")
        return (text, "") if head[0] == b"ok" else (None, text)


# ---- conversations ----

def system(text):
    return {"role": "system", "content": text}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def call(name, arguments, call_id="abcdef123"):
    return {"id": call_id, "type": "function",
            "function": {"name": name, "arguments": arguments}}


def function(name, description, **properties):
    return {"type": "function", "function": {
        "name": name, "description": description,
        "parameters": {"type": "object", "properties": properties,
                       "required": list(properties)[:1]}}}


WEATHER = function("get_weather", "The weather now, in <b>words</b> & numbers",
                   city={"type": "string", "description": "where, e.g. \"Köln\""},
                   unit={"type": "string", "enum": ["C", "F"]})
CLOCK = function("clock", "What time is it?")
UNICODE = "Grüße, 世界! 🙂 \u201cquotes\u201d\u00a0\ttab \\ back 'single' \"double\" <tag> & co"
ASKED = [user("Weather in Köln?"),
         assistant("", tool_calls=[call("get_weather", {"city": "Köln", "unit": "C"})])]
ANSWERED = ASKED + [{"role": "tool", "name": "get_weather", "tool_call_id": "abcdef123",
                     "content": "{\"degrees\": 21.5}"}]
LONG = [m for i in range(6) for m in (user(f"question {i}"), assistant(f"answer {i}\n"))]

CONVERSATIONS = {
    "user": [user("Hi there")],
    "system": [system("You are terse."), user("Hi")],
    "turns": [user("One"), assistant("Two"), user("Three")],
    "system_turns": [system("Be kind."), user(" a "), assistant(" b "), user(" c\n\n")],
    "ends_assistant": [user("Say A"), assistant("A")],
    "unicode": [system(UNICODE), user(UNICODE), assistant(UNICODE), user("ok")],
    "empty": [user("")],
    "empty_system": [system(""), user("x"), assistant(""), user("y")],
    "long": LONG + [user("last")],
    "no_messages": [],
    "two_users": [user("a"), user("b")],
    "assistant_first": [assistant("hello"), user("b")],
    "late_system": [user("a"), system("now"), user("b")],
    "unknown_role": [user("a"), {"role": "critic", "content": "bah"}],
    "thinking": [user("2+2?"), assistant("<think>\nlet me see\n</think>\n\n4"), user("sure?")],
    "reasoning": [user("2+2?"), assistant("4", reasoning_content="two and two"), user("sure?")],
    "no_content": [user("a"), {"role": "assistant"}, user("b")],
    "null_content": [user("a"), assistant(None), user("b")],
    "parts": [user([{"type": "text", "text": "look"}, {"type": "text", "text": " here"}])],
    "newlines": [system("\n s \n"), user("\n\nx\n"), assistant("y\n\n"), user("  z")],
    "markup": [user("{{ messages }} {% if %} <|im_end|> [INST] </s>"), assistant("<s>"), user("b")],
    "tool_asked": ASKED,
    "tool_answered": ANSWERED,
    "tool_turns": [system("Use tools.")] + ANSWERED + [assistant("21.5 degrees."), user("Thanks")],
    "tool_two": [user("both"),
                 assistant(None, tool_calls=[call("get_weather", {"city": "Rom"}, "aaaaaaaa1"),
                                             call("clock", {}, "aaaaaaaa2")]),
                 {"role": "tool", "name": "get_weather", "tool_call_id": "aaaaaaaa1",
                  "content": "warm"},
                 {"role": "tool", "name": "clock", "tool_call_id": "aaaaaaaa2",
                  "content": "{\"time\": \"12:00\", \"ok\": true}"}],
    "tool_string": [user("x"), assistant("", tool_calls=[call("clock", "{\"a\": 1}")]), user("y")],
}
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
SETTINGS = [
    {"add_generation_prompt": True},
    {"add_generation_prompt": False},
    {"add_generation_prompt": True, "tools": [WEATHER, CLOCK], "strftime_now": NOW},
    {"add_generation_prompt": True, "enable_thinking": False, "date_string": "1 May 2026",
     "documents": [{"title": "T", "text": "some text"}], "custom_tools": [CLOCK],
     "controls": ["thinking"], "thinking": True},
    {"tools": [], "messages_extra": 1, "enable_thinking": True, "tools_in_user_message": False},
]


def same(got, want):
    return (got is None) == (want is None) and got == want


def check(driver, env, source, context, shown, failures):
    want, raised = expected(env, source, context)
    got, error = driver.render(source, context)
    if not same(got, want):
        failures.append(f"{shown}\n    jinja2: {want if want is not None else raised!r}\n"
                        f"    ours:   {got if got is not None else error!r}")
    return want is None


def check_template(driver, env, path):
    with open(path, encoding="utf-8", newline="") as f:
        source = f.read()
    failures, runs, raises = [], 0, 0
    for name, messages in CONVERSATIONS.items():
        for number, settings in enumerate(SETTINGS):
            context = {"messages": messages, **TOKENS, **settings}
            raises += check(driver, env, source, context, f"{name}/{number}", failures)
            runs += 1
    return failures, f"{runs} renders, {raises} of them errors in both"


def check_snippets(driver, env):
    with open(os.path.join(HERE, "template_snippets.txt"), encoding="utf-8") as f:
        snippets = [s for s in f.read().split("\n---\n") if s.strip()]
    context = {
        "messages": LONG, "name": "Ada", "n": 7, "f": 2.5, "big": 1e22, "tiny": 1.5e-7,
        "yes": True, "no": False, "nothing": None, "text": UNICODE, "empty": "", "xs": [3, 1, 2],
        "words": ["pear", "Apple", "fig", "apple"], "d": {"b": 1, "a": {"x": [1, 2]}, "Z": None},
        "people": [{"name": "Bo", "age": 3, "tags": ["x"]}, {"name": "al", "age": 30},
                   {"name": "Cy", "age": 3, "tags": []}],
        "lines": "one\n two\r\n\nthree\x0bfour\u2028five\n", "tool": WEATHER, **TOKENS,
        "strftime_now": NOW}
    failures, raises = [], 0
    for snippet in snippets:
        raises += check(driver, env, snippet, context, snippet, failures)
    return failures, f"{len(snippets)} snippets, {raises} of them errors in both"


def main():
    env = environment(jinja2.sandbox.ImmutableSandboxedEnvironment)
    driver = Driver(sys.argv[1])
    folders = [os.path.join(HERE, "..", "data", "templates")] + sys.argv[2:]
    jobs = [("snippets", lambda: check_snippets(driver, env))]
    for folder in folders:
        for path in sorted(glob.glob(os.path.join(folder, "*.jinja"))):
            jobs.append((os.path.basename(path)[:-6], lambda p=path: check_template(driver, env, p)))
    failed = 0
    for name, job in jobs:
        failures, summary = job()
        failed += bool(failures)
        print(f"{'not ok' if failures else 'ok'} {name}: {summary}")
        for failure in failures[:12]:
            print("  " + failure)
        if failures:
            print(f"  ({len(failures)} differ)")
    print(f"{len(jobs) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
