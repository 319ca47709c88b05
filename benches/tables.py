"""Markdown tables from what the benches left: called by benches/run."""

import json
import re
import sys
from pathlib import Path
from statistics import median


def rounds_of(bench):
    """The median of each round, in nanoseconds."""
    found = sorted(bench.glob("round-*/estimates.json"))
    return [json.loads(path.read_text())["median"]["point_estimate"] for path in found]


def benches(criterion):
    """(group, name, its rounds) in the order in which they ran."""
    found = criterion.glob("*/*/round-1/benchmark.json")
    for path in sorted(found, key=lambda path: path.stat().st_mtime_ns):
        about = json.loads(path.read_text())
        yield about["group_id"], about["function_id"], rounds_of(path.parent.parent)


def check(criterion):
    """Ratios are taken in each round, then the median of them, as of the times."""
    print("| group | question | ns | x raw hash |\n| --- | --- | --- | --- |")
    raw = None
    for group, name, rounds in benches(criterion):
        if name == "raw hash":
            raw = rounds
        ratio = median(mine / theirs for mine, theirs in zip(rounds, raw))
        print(f"| {group} | {name} | {median(rounds):.1f} | {ratio:.1f} |")


def load(criterion):
    print("| what | time |\n| --- | --- |")
    for _, name, rounds in benches(criterion):
        nanoseconds = median(rounds)
        milliseconds = nanoseconds > 1e6
        time = f"{nanoseconds / 1e6:.1f} ms" if milliseconds else f"{nanoseconds / 1e3:.0f} µs"
        print(f"| {name} | {time} |")


def instructions():
    """From gungraun's output: a line that names the bench, then one with its count."""
    users = 1024
    counts = re.findall(r"check::(\w+) (\w+):.*\n\s+Instructions:\s+(\d+)", sys.stdin.read())
    loop = next(int(count) for name, _, count in counts if name == "no_question")
    raw = next(int(count) for name, _, count in counts if name == "raw_hash")
    print("| question | instructions | x raw hash |\n| --- | --- | --- |")
    for name, case, count in counts:
        if name == "no_question":
            continue
        name = name.replace("_", " ") + ("" if case == "each" else f" {case}".replace("_", " "))
        mine = int(count) - loop
        print(f"| {name} | {mine / users:.0f} | {mine / (raw - loop):.1f} |")


if sys.argv[1] == "instructions":
    instructions()
else:
    {"check": check, "load": load}[sys.argv[1]](Path(sys.argv[2]))
