#!/usr/bin/env python3
"""peers.py - edgewise beside llama.cpp: same files, same threads, same machine, turn by turn.

    tools/peers.py [OPTIONS] EDGEWISE LLAMA_BIN MODEL.gguf...

LLAMA_BIN is the folder of llama-bench and llama-completion. In each round every model is measured
at each thread count by edgewise, by llama.cpp with its weights repacked and by llama.cpp without,
one right after the other and in an order that rotates, so that whatever else the machine does hits
all of them. llama.cpp gets, for each test, the mode whose median is better. A ratio is edgewise
over that mode within one round; shown are the median of the rounds' ratios and their range.
docs/PEERS.md has the rules and the numbers of record; tools/peers.sh builds and fetches all this.
Needs only Python's own library."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from peers_common import (NOISY, doubts, machine, machine_line, note, noisy, now_text, spread, stats,
                          table)

PREFILL, DECODE, CTX, PROMPT_TOKENS = 512, 128, 4096, 20
MODES = {"repacked": "1", "not repacked": "0"}
# What edgewise set out to reach, by a part of the file's name: times llama.cpp's speed.
TARGETS = {"prefill": (("smollm2-135m", 2.5), ("gemma3-270m", 1.5), ("qwen2.5-coder-0.5b", 1.5)),
           "decode": (("", 1.2),), "start": (("", 1.0),)}
MEMORY_BOUND = 1.15 # times file + KV cache
TEXT = ("The lighthouse keeper climbed the stairs every evening, lit the lamp, and wrote in a book "
        "which ships had passed and what the weather was like over the sea that day").split()


def spawn(command):
    """(stdout, seconds until the process has ended, peak resident bytes)."""
    with tempfile.TemporaryFile() as err:
        begin = time.monotonic()
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err,
                                 stdin=subprocess.DEVNULL)
        out = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            err.seek(0)
            sys.exit(f"peers: {' '.join(command)}: status {child.returncode}\n"
                     f"{err.read().decode(errors='replace')[-2000:]}")
    return out, seconds, usage.ru_maxrss * 1024


# ---- one measurement of each program ----

def edgewise_bench(args, model, threads):
    # llama-bench decodes from an empty cache; a prompt of one token is the nearest to that.
    out, _, _ = spawn([args.edgewise, "bench", model, "--prompt", "1", "--prompt", str(PREFILL),
                       "--gen", str(DECODE), "--runs", "1", "--threads", str(threads), "--json"])
    r = json.loads(out)
    empty, full = r["sweep"]
    return {"prefill": full["prefill_tokens_per_s"]["median"],
            "decode": empty["decode_tokens_per_s"]["median"],
            "decode_behind_prompt": full["decode_tokens_per_s"]["median"],
            "rss": r["peak_rss_bytes"], "isa": r["isa"],
            "int8_macs_per_s": r["int8_macs_per_s"],
            "read_bandwidth_bytes_per_s": r["read_bandwidth_bytes_per_s"],
            "prefill_of_limit": full["prefill_of_int8_peak"],
            "decode_of_limit": empty["decode_of_read_bandwidth"],
            "kv_bytes": (r.get("kv_bytes_per_position") or 0) * (PREFILL + DECODE)}


def llama_bench(args, model, threads, repack):
    out, _, rss = spawn([os.path.join(args.llama, "llama-bench"), "-m", model, "-p", str(PREFILL),
                         "-n", str(DECODE), "-r", "1", "-t", str(threads), "--repack", repack,
                         "-o", "json"])
    result = {"rss": rss}
    for test in json.loads(out):
        result["prefill" if test["n_prompt"] else "decode"] = test["avg_ts"]
        result["build"] = f"build {test['build_number']}, {test['build_commit']}"
    return result


def start_command(args, model, threads, repack, prompt):
    """The whole life of a process that gives one token: load, prompt, first token, end."""
    if repack is None:
        return [args.edgewise, "run", model, prompt, "--raw", "--max-tokens", "1", "--temp", "0",
                "--ctx", str(CTX), "--threads", str(threads), "--quiet"]
    return [os.path.join(args.llama, "llama-completion"), "-m", model, "-p", prompt, "-n", "1",
            "-t", str(threads), "-c", str(CTX), "--temp", "0", "--no-warmup", "-no-cnv",
            "--no-display-prompt"] + ([] if repack == "1" else ["--no-repack"])


def start(args, model, threads, repack, prompt):
    _, seconds, rss = spawn(start_command(args, model, threads, repack, prompt))
    return {"start": seconds, "rss": rss}


def prompt_of(args, model):
    """Words that are PROMPT_TOKENS tokens to this model, BOS among them where it adds one."""
    for words in range(1, len(TEXT) + 1):
        prompt = " ".join(TEXT[:words])
        done = subprocess.run([args.edgewise, "tokenize", "--ids", "--bos", model],
                              input=prompt.encode(), capture_output=True, check=False)
        if done.returncode:
            sys.exit(f"peers: edgewise tokenize: {done.stderr.decode(errors='replace')}")
        if len(json.loads(done.stdout)) >= PROMPT_TOKENS:
            return prompt
    sys.exit(f"peers: the text is shorter than {PROMPT_TOKENS} tokens")


# ---- rounds ----

def turns(args, model, threads, prompt, measure_start):
    """What is measured in one round, as (engine, how)."""
    made = [("edgewise", lambda: edgewise_bench(args, model, threads))]
    made += [(name, lambda flag=flag: llama_bench(args, model, threads, flag))
             for name, flag in MODES.items()]
    if not measure_start:
        return [made]
    flags = {"edgewise": None} | MODES
    # Three times: these are short, and the first one in a row may find the caches cold.
    again = [(name, lambda flag=flag: start(args, model, threads, flag, prompt))
             for name, flag in flags.items()]
    return [made, again, again, again]


def rotated(items, by):
    by %= len(items)
    return items[by:] + items[:by]


def run_round(args, number, rows, measure_start):
    for row in rows:
        note(f"round {number + 1}: {row['name']}, {row['threads']} threads")
        for i, block in enumerate(turns(args, row["path"], row["threads"], row["prompt"],
                                        measure_start)):
            for engine, measure in rotated(block, number + i):
                result = measure()
                kept = row["runs"].setdefault(engine, [{} for _ in range(args.rounds)])[number]
                if "start" in result: # the least of a round: what disturbs only adds
                    kept["start"] = min(kept.get("start", result["start"]), result["start"])
                    kept["start_rss"] = result["rss"]
                else:
                    kept.update(result)


def measure(args, rows, measure_start):
    begin, longest, done = time.monotonic(), 0, 0
    while done < args.rounds:
        at = time.monotonic()
        if done and at - begin + longest > args.minutes * 60:
            note(f"{done} rounds of {args.rounds}: one more wouldn't fit into {args.minutes:g} "
                 "minutes (--minutes)")
            break
        run_round(args, done, rows, measure_start)
        done += 1
        longest = max(longest, time.monotonic() - at)
    for row in rows:
        row["runs"] = {engine: runs[:done] for engine, runs in row["runs"].items()}
    return done


# ---- figures ----

def target_of(test, name):
    return next(target for part, target in TARGETS[test] if part in name)


def summarise(row, test):
    def values(engine):
        return [run[test] for run in row["runs"][engine]]

    lower = test == "start" # seconds: the less the better
    ours = values("edgewise")
    mode = (min if lower else max)(MODES, key=lambda m: statistics.median(values(m)))
    theirs = values(mode)
    ratios = [b / a if lower else a / b for a, b in zip(ours, theirs)]
    made = {"model": row["name"], "threads": row["threads"], "test": test,
            "edgewise": stats(ours), "llama.cpp": stats(theirs), "llama_mode": mode,
            "llama_modes": {m: stats(values(m)) for m in MODES}, "ratio": stats(ratios),
            "target": target_of(test, row["name"])}
    made["met"] = made["ratio"]["median"] >= made["target"]
    made["unsure"] = made["ratio"]["min"] < made["target"] <= made["ratio"]["max"]
    made["noisy"] = noisy(made["edgewise"]) or noisy(made["llama.cpp"])
    key = f"{test}_of_limit"
    if key in row["runs"]["edgewise"][0]:
        # Both do the same work per token, so shares of the limit go as the speeds do.
        shares = [run[key] for run in row["runs"]["edgewise"]]
        made["edgewise_of_limit"] = statistics.median(shares)
        made["llama_of_limit"] = statistics.median([s / r for s, r in zip(shares, ratios)])
    return made


def memory_of(row):
    first = row["runs"]["edgewise"][0]
    made = {"model": row["name"], "threads": row["threads"], "file_bytes": row["bytes"],
            "kv_bytes": first["kv_bytes"] or None,
            "edgewise_bytes": max(run["rss"] for run in row["runs"]["edgewise"]),
            "llama_bytes": {m: max(run["rss"] for run in row["runs"][m]) for m in MODES}}
    made["bound_bytes"] = MEMORY_BOUND * (made["file_bytes"] + (made["kv_bytes"] or 0))
    made["met"] = made["edgewise_bytes"] <= made["bound_bytes"]
    return made


# ---- the page ----

def verdict(met, unsure=False):
    return ("yes" if met else "no") + (" ?" if unsure else "")


def show_speed(results):
    rows = []
    for r in results:
        scale, digits = (1e3, 0) if r["test"] == "start" else (1, 1)
        share = "-"
        if "edgewise_of_limit" in r:
            share = f"{100 * r['edgewise_of_limit']:.0f} / {100 * r['llama_of_limit']:.0f}"
        rows.append((r["model"], r["threads"], r["test"], spread(r["edgewise"], digits, scale),
                     spread(r["llama.cpp"], digits, scale), r["llama_mode"],
                     f"{r['ratio']['median']:.2f} ({r['ratio']['min']:.2f}-{r['ratio']['max']:.2f})",
                     share, f"{r['target']:.1f}", verdict(r["met"], r["unsure"]),
                     "noisy" if r["noisy"] else ""))
    print(table(("model", "threads", "test", "edgewise", "llama.cpp", "its mode", "ratio",
                 "% of limit", "target", "met", ""), rows))


def show(report):
    print(f"\nedgewise beside llama.cpp, {report['date']}, n = {report['rounds']} rounds, "
          f"turn by turn\n"
          f"{machine_line(report['machine'])}\n"
          f"{report['edgewise_version']}, {report['isa']}; llama.cpp {report['llama_build']}; "
          f"int8 {report['int8_macs_per_s'] / 1e9:.0f} G MAC/s, read "
          f"{report['read_bandwidth_bytes_per_s'] / 1e9:.1f} GB/s at {report['threads'][-1]} "
          "threads\n")
    show_speed(report["results"])
    print(f"\nprefill {PREFILL} and decode {DECODE}: tokens/s, of limit: int8 multiply-accumulates "
          "and read bandwidth,\nedgewise / llama.cpp. start: ms from starting the process to its "
          f"end after one token,\n{PROMPT_TOKENS} prompt tokens, file in the page cache. Median "
          "(min-max); ratio: of the same round; ?: the rounds\ndisagree about the target; noisy: "
          f"spread above {100 * NOISY:.0f} %, not a result to quote.\n")
    print(table(
        ("model", "threads", "peak memory", "edgewise MB", "llama.cpp MB, repacked / not",
         "file + KV MB", f"bound {MEMORY_BOUND} x", "met"),
        [(r["model"], r["threads"], f"{PREFILL} + {DECODE}", f"{r['edgewise_bytes'] / 1e6:.1f}",
          " / ".join(f"{r['llama_bytes'][mode] / 1e6:.1f}" for mode in MODES),
          f"{(r['file_bytes'] + (r['kv_bytes'] or 0)) / 1e6:.1f}" +
          ("" if r["kv_bytes"] else " (KV unknown)"),
          f"{r['bound_bytes'] / 1e6:.1f}", verdict(r["met"])) for r in report["memory"]]))
    checks = report["results"] + report["memory"]
    if not report["has_start"]:
        print("\nNOT MEASURED: time to the first token; there is no llama-completion.")
    print(f"\ntargets met: {sum(r['met'] for r in checks)} of {len(checks)}"
          + (f"; {sum(r['noisy'] for r in report['results'])} figures are noisy"
             if any(r["noisy"] for r in report["results"]) else ""))
    for doubt in doubts(report):
        print(doubt)


def read_args():
    parser = argparse.ArgumentParser(description="edgewise beside llama.cpp, turn by turn")
    parser.add_argument("edgewise")
    parser.add_argument("llama", help="folder of llama-bench and llama-completion")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--threads", default="1,2", help="comma-separated (1,2)")
    parser.add_argument("--rounds", type=int, default=5, help="at most (5)")
    parser.add_argument("--minutes", type=float, default=9,
                        help="no round begins that wouldn't fit, after the first (9)")
    parser.add_argument("--json", metavar="FILE", help="keep all figures of all rounds there")
    args = parser.parse_args()
    args.threads = [int(t) for t in args.threads.split(",")]
    return args


def main():
    args = read_args()
    report = {"date": now_text(), "machine": machine(), "threads": args.threads}
    measure_start = os.access(os.path.join(args.llama, "llama-completion"), os.X_OK)
    if not measure_start:
        note(f"no llama-completion in {args.llama}: time to the first token isn't measured")
    rows = []
    for path in args.models:
        with open(path, "rb") as file: # into the page cache
            while file.read(1 << 24):
                pass
        prompt = prompt_of(args, path) if measure_start else ""
        rows += [{"name": os.path.basename(path).removesuffix(".gguf"), "path": path,
                  "bytes": os.path.getsize(path), "prompt": prompt, "threads": threads, "runs": {}}
                 for threads in args.threads]
    report["rounds"] = measure(args, rows, measure_start)
    report["has_start"] = measure_start
    tests = ["prefill", "decode"] + ["start"] * measure_start
    report["results"] = [summarise(row, test) for test in tests for row in rows]
    report["memory"] = [memory_of(row) for row in rows]
    last = rows[-1]["runs"]
    report["isa"], report["llama_build"] = last["edgewise"][0]["isa"], last["repacked"][0]["build"]
    for key in ("int8_macs_per_s", "read_bandwidth_bytes_per_s"):
        report[key] = max(run[key] for run in last["edgewise"])
    report["edgewise_version"] = subprocess.run([args.edgewise, "--version"], capture_output=True,
                                                check=True).stdout.decode().strip()
    report["runs"] = rows
    show(report)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
            file.write("\n")


main()
