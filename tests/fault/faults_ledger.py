"""faults_ledger.py - a ledger that can't be written, a machine that dies, and what rows there are.

Where an answer waited for a ledger that is locked or full, it would wait for ever, since nobody
mends that before the answers are there: no clock is needed to see it."""
import os
import resource
import signal
import sqlite3
import tempfile
import time

from faults import fault

KILLED_S = 1.5
SAFE_S = 0.1       # promised of a row, without --durable
BUSY_S = 2.0       # and what a machine may make of it that does other things
TRIES = 4


def asked(server, count, begin=0):
    for i in range(count):
        reply = server.chat(f"Hello {begin + i}", max_tokens=2)
        assert reply.status == 200, f"status {reply.status}"


@fault("ledger", "each outcome has its row: answered, refused, unknown, cancelled, turned away")
def row_each(tried):
    with tried.serve(tried.config("on_full: reject", "    concurrency: 1\n")) as server:
        asked(server, 1)
        server.post("/v1/chat/completions", b"{")
        server.chat("Hello", temperature="hot")
        server.chat("Hello", model="gpt-17")
        stream = server.open_chat("Tell a story.", max_tokens=1000).begin()
        stream.first()
        server.chat("Hello")
        stream.reset()
        rows = server.until_rows(6)
        statuses = sorted(row["status"] for row in rows)
        assert statuses == [200, 400, 400, 404, 499, 503], f"rows with {statuses}"
        cut = next(row for row in rows if row["status"] == 499)
        assert cut["output_tokens"] > 0, "the cancelled answer's tokens aren't counted"
        assert len({row["request_id"] for row in rows}) == 6, "an id was given twice"
    return ", ".join(str(s) for s in statuses)


@fault("ledger", "a locked ledger: answers go on, it says so, the rows arrive when it is free")
def ledger_locked(tried):
    with tried.serve() as server:
        asked(server, 2)
        server.until_rows(2)
        before = len(server.log)
        lock = sqlite3.connect(server.ledger, isolation_level=None)
        lock.execute("begin immediate")
        asked(server, 10)
        said = server.until_said("lock", before)
        lock.execute("rollback")
        lock.close()
        rows = server.until_rows(12)
    return f"{len(rows)} of 12 rows; {said.replace(server.folder.name, '…')}"


@fault("ledger", "a full disk: answers go on, it says so, the rows arrive when there is room")
def ledger_full(tried):
    def little_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN) # so that writes fail with EFBIG
        resource.setrlimit(resource.RLIMIT_FSIZE, (90000, resource.RLIM_INFINITY))
    with tried.serve(before=little_room) as server:
        asked(server, 20)
        said = server.until_said("ledger.db")
        few = len(server.rows())
        assert few < 20, "the disk wasn't full"
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE,
                         (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        asked(server, 1, 20)
        rows = server.until_rows(21)
    return f"{few} rows while full, {len(rows)} of 21 after; {said.replace(server.folder.name, '…')}"


@fault("ledger", "a corrupt ledger: answers go on, it says so, no row that came after is lost")
def ledger_corrupt(tried):
    with tempfile.TemporaryDirectory(prefix="edgewise-corrupt-") as folder:
        path = os.path.join(folder, "ledger.db")
        with open(path, "wb") as file:
            file.write(b"not a database at all" * 2000)
        with tried.serve(f"ledger: {path}\n" + tried.config()) as server:
            asked(server, 10)
            said = server.until_said("ledger.db")
            assert server.stop() == 0, server.words()
            after = {row["request_id"] for row in server.rows(path)}
            assert len(after) == 10, f"{len(after)} of 10 rows are in the new file: {said}"
            kept = [name for name in os.listdir(folder) if "corrupt" in name]
            assert kept, f"the old file is gone: {os.listdir(folder)}"
    return "10 of 10 rows in a new file, the old one kept as ledger.db.corrupt-…"


def killed(tried, options):
    """[(seconds that a row's answer was over when the server was killed, whether it's there)]"""
    ended = {}
    with tried.serve(options=options) as server:
        stop = time.monotonic() + KILLED_S
        while time.monotonic() < stop or len(ended) < 10:
            reply = server.chat("Hello", max_tokens=1)
            ended[reply.headers["x-edgewise-request-id"]] = time.monotonic()
        at = time.monotonic()
        server.signal(signal.SIGKILL)
        server.wait()
        have = {row["request_id"] for row in server.rows()}
    return [(at - when, name in have) for name, when in ended.items()]


@fault("ledger", "kill -9 loses no row whose answer ended 100 ms before")
def kill_nine(tried):
    late = []
    for _ in range(TRIES):
        fates = killed(tried, ())
        lost = [age for age, there in fates if not there]
        late.append(max(lost, default=0))
        assert late[-1] < BUSY_S, f"a row is lost whose answer ended {late[-1]:.1f} s before"
        if late[-1] < SAFE_S:
            return (f"{len(fates) - len(lost)} of {len(fates)} rows, the oldest one lost was "
                    f"{1e3 * late[-1]:.0f} ms old")
    raise AssertionError(f"lost {late} s after their answers")


@fault("ledger", "kill -9 with --durable loses no row that a client saw the end of")
def kill_durable(tried):
    fates = killed(tried, ("--durable",))
    lost = sum(not there for _, there in fates)
    assert not lost, f"{lost} of {len(fates)} rows are lost"
    return f"{len(fates)} of {len(fates)} rows"
