"""fault_run.py - sentences about what goes wrong, each with the function that does it, and their run.

    faults = Faults()
    @faults.add("clients", "a client that is gone frees its place")
    def gone(edgewise): …              # raises AssertionError, or returns what was seen
    args = faults.parser("…", "edgewise").parse_args()
    faults.finish(args, args.edgewise) # a line a fault, "N passed, N failed, N skipped", exits

With --table it prints the rows that docs/FAULTS.md has. A fault may be `release_only`: what is a
matter of memory and time can't be held under a sanitizer, whose own would be measured, and is
skipped there, visibly."""
import argparse
import concurrent.futures
import re
import sys
import time

PORT = re.compile(r"(127\.0\.0\.1):\d+") # another one each time: the page doesn't have it


class Skip(Exception):
    """What a fault needs isn't here; its text says what."""


class Faults:
    def __init__(self):
        self.all = [] # (group, sentence, function, release_only)

    def add(self, group, sentence, release_only=False):
        def take(function):
            self.all.append((group, sentence, function, release_only))
            return function
        return take

    @staticmethod
    def parser(description, *names):
        parser = argparse.ArgumentParser(description=description)
        for name in names:
            parser.add_argument(name)
        parser.add_argument("--only", metavar="WORD", help="faults with this in group or sentence")
        parser.add_argument("--jobs", type=int, default=1, metavar="N", help="so many at a time")
        parser.add_argument("--table", action="store_true", help="print what docs/FAULTS.md has")
        return parser

    def _one(self, entry, args, arguments):
        """(group, sentence, "ok", "FAIL" or "skip", what was seen)"""
        group, sentence, function, release_only = entry
        begin = time.monotonic()
        if release_only and "/release/" not in args.edgewise and not args.only:
            word, seen = "skip", "skipped: a sanitizer's own memory and time would be measured"
        else:
            try:
                word, seen = "ok", function(*arguments)
            except Skip as skip:
                word, seen = "skip", f"skipped: {skip}"
            except Exception as error: # whatever it is, the fault's test has failed
                word, seen = "FAIL", f"{type(error).__name__}: {error}"
        if not args.table or word == "FAIL":
            print(f"{word:4}  {group}: {sentence} ({time.monotonic() - begin:.1f} s)\n"
                  f"        {seen}", file=sys.stderr if args.table else sys.stdout, flush=True)
        return group, sentence, word, seen

    def run(self, args, *arguments):
        """All that are wanted, in the order of their sentences. What is a matter of memory and time
        runs alone, behind the others."""
        wanted = [entry for entry in self.all if not args.only or args.only in " ".join(entry[:2])]
        beside = [entry for entry in wanted if not entry[3] and args.jobs > 1]
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            told = dict(zip(map(id, beside),
                            pool.map(lambda entry: self._one(entry, args, arguments), beside)))
        return [told[id(entry)] if id(entry) in told else self._one(entry, args, arguments)
                for entry in wanted]

    def finish(self, args, *arguments):
        results = self.run(args, *arguments)
        failed = sum(word == "FAIL" for _, _, word, _ in results)
        if args.table:
            print("| | fault | seen |\n|---|---|---|")
            for group, sentence, word, seen in results:
                seen = PORT.sub(r"\1", " ".join(seen.split()).replace("|", "/"))
                print(f"| {group} | {sentence} | {'' if word == 'ok' else '**not so:** '}{seen} |")
        else:
            skipped = sum(word == "skip" for _, _, word, _ in results)
            print(f"{len(results) - failed - skipped} passed, {failed} failed, {skipped} skipped")
        sys.exit(failed > 0 or not results)
