"""peers_common.py - what the three benchmarks against others share: the machine, figures, the page.

Needs only Python's own library."""
import datetime
import os
import platform
import socket
import statistics
import sys

NOISY = 0.15 # (max - min) / median above this isn't a result to quote
QUIET = 0.5  # load before the first run above which the page says so


def note(text):
    print(f"peers: {text}", file=sys.stderr, flush=True)


def machine():
    name = platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith(("model name", "Model")):
                name = line.split(":", 1)[1].strip()
                break
    return {"cpu": name, "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(),
            "load_1min": os.getloadavg()[0]}


def now_text():
    return datetime.datetime.now().astimezone().isoformat(timespec="minutes")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---- figures ----

def stats(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values),
            "n": len(values)}


def noisy(s):
    return s["n"] > 1 and s["max"] - s["min"] > NOISY * s["median"]


def spread(s, digits=1, scale=1):
    return (f"{s['median'] * scale:.{digits}f} "
            f"({s['min'] * scale:.{digits}f}-{s['max'] * scale:.{digits}f})")


# ---- the page ----

def table(heads, rows, left=3):
    """Text in columns; the first `left` of them are words, the others numbers."""
    cells = [[str(cell) for cell in row] for row in [heads, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    return "\n".join("  ".join(cell.ljust(w) if i < left else cell.rjust(w)
                               for i, (cell, w) in enumerate(zip(row, widths))).rstrip()
                     for row in cells)


def machine_line(m):
    return (f"{m['cpu']}, {m['cores']} cores, Linux {m['kernel']}; load before the first run "
            f"{m['load_1min']:.2f}")


def doubts(report):
    """What a reader must know before quoting anything."""
    lines = []
    if report["rounds"] < 3:
        lines.append("TOO FEW ROUNDS to tell a figure from noise.")
    if report["machine"]["load_1min"] > QUIET:
        lines.append(f"NOT A QUIET MACHINE: load {report['machine']['load_1min']:.1f} before the "
                     "first run.")
    return lines


def write_doc(path, name, text):
    """Puts the page between the marks of that name in a document."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    with open(path, encoding="utf-8") as file:
        whole = file.read()
    if begin not in whole or end not in whole:
        sys.exit(f"peers: {path} has no place for this: {begin} … {end}")
    before, rest = whole.split(begin, 1)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}{begin}\n```\n{text}\n```\n{end}{rest.split(end, 1)[1]}")
