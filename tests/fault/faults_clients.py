"""faults_clients.py - clients that go, in each way and at each time, and one that doesn't read."""
import socket
import time

from faults import RUNNING, WAITING, best_of, ended_s, fault, until, well, words

FREE_S = 0.1         # a place must be free so soon after its client is gone …
FREE_SLOWLY_S = 2    # … and in a sanitizer's build, where one step of the model takes longer
TRIES = 4
ANSWER_TOKENS = 600  # longer than anything waits for here


def hang_up_once(server, at, streamed, how, turn):
    """Seconds from the client's end to that of its request, by the ledger."""
    prompt = words(3000 if at == "prefill" else 40, turn)
    c = server.open_chat(prompt, stream=streamed, max_tokens=ANSWER_TOKENS)
    if at == "midst" and streamed:
        c.begin().first()
    else:
        server.until(RUNNING, 1)
        time.sleep(0.3 if at == "midst" else 0.02 if at == "prefill" else 0)
    assert server.gauge(RUNNING) > 0, "nothing runs that could be cancelled"
    gone = time.time()
    if how == "half closed":
        c.socket.shutdown(socket.SHUT_WR)
    else:
        c.reset()
    server.until(RUNNING, 0)
    row = max(server.until_rows(turn + 1, status=499), key=lambda r: r["arrived_ms"])
    c.close()
    assert row["finish"] == "cancelled", f"finish is {row['finish']}"
    assert row["output_tokens"] < ANSWER_TOKENS, "it was computed to its end"
    return max(0, ended_s(row) - gone)


def leave(at, streamed, how):
    def run(tried):
        limit = FREE_SLOWLY_S if tried.sanitized else FREE_S
        with tried.serve() as server:
            took = best_of(TRIES, limit, lambda turn: hang_up_once(server, at, streamed, how, turn))
            well(server)
        return f"its place was free after {1e3 * took:.0f} ms; a row with 499"
    return run


for AT, WHEN in (("start", "before the first token"), ("prefill", "while its long prompt is read"),
                 ("midst", "in the midst of its answer")):
    for STREAMED, WHAT in ((True, "streamed"), (False, "not streamed")):
        fault("clients", f"a client that is gone {WHEN}, {WHAT}, frees its place")(
            leave(AT, STREAMED, "gone"))
fault("clients", "a client that shuts down its sending side has hung up")(
    leave("midst", True, "half closed"))


@fault("clients", "a client that is gone while it waits leaves the queue")
def gone_in_queue(tried):
    with tried.serve(tried.config(device="    concurrency: 1\n")) as server:
        first = server.open_chat("Count.", max_tokens=tried.tokens(200)).begin()
        first.first()
        second = server.open_chat("Hello", max_tokens=10)
        server.until(WAITING, 1)
        second.reset()
        took = server.until(WAITING, 0)
        assert server.gauge(RUNNING) == 1, "the other had ended: nothing is shown"
        first.rest()
        assert first.ended, "the one that was running broke off"
    return f"the queue was empty after {1e3 * took:.0f} ms, the running answer went on"


# An event has 20 alternatives of its token, about 2 kB: several times what the kernel's buffers and
# the server's megabyte take together.
SLOW = {"n": 16, "max_tokens": 250, "logprobs": True, "top_logprobs": 20}


@fault("clients", "a reader that stops reading is paused; others go on, memory is bounded",
       release_only=True)
def slow_reader(tried):
    with tried.serve(tried.config("timeouts: {drain: 1h}")) as server:
        well(server)
        before = server.rss()
        slow = server.open_chat("Tell a story.", receive_bytes=4096, **SLOW)
        server.until(RUNNING, 1)
        assert server.chat("Hello", max_tokens=10).status == 200
        until("a pause of the one who doesn't read", lambda: server.gauge(RUNNING) == 0)
        assert server.chat("Hello again", max_tokens=10).status == 200
        grown = (server.rss() - before) / 1e6
        assert len(server.until_rows(3)) == 3, "it wasn't paused: its answer is over"
        slow.begin()
        slow.rest()
        assert slow.ended, "what it read at last wasn't whole"
        slow.close()
        assert grown < 100, f"{grown:.0f} MB more"
        well(server)
    return f"paused, its 16 places free, {grown:.0f} MB more; whole once it was read"
