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


USERS = 1024


def counts():
    """(question, instructions for all users) from gungraun's output: a line that names the bench, then one with its count."""
    found = re.findall(r"check::(\w+) (\w+):.*\n\s+Instructions:\s+(\d+)", sys.stdin.read())
    counted = {
        name.replace("_", " ") + ("" if case == "each" else f" {case}".replace("_", " ")): int(count)
        for name, case, count in found
    }
    loop = counted.pop("no question")
    return {name: count - loop for name, count in counted.items()}


def instructions():
    counted = counts()
    print("| question | instructions | x raw hash |\n| --- | --- | --- |")
    for name, count in counted.items():
        print(f"| {name} | {count / USERS:.0f} | {count / counted['raw hash']:.1f} |")


def accept(path, compiler):
    lines = [f"{name}\t{count}" for name, count in counts().items() if name not in NOT_OURS]
    path.write_text("\n".join([f"# {compiler}", *lines]) + "\n")


# What the code of others does is not held to anything.
NOT_OURS = {"raw hash", "forty lines"}


def hold(path, compiler):
    """To at most 2% more than what was accepted last, by the same compiler."""
    first, *lines = path.read_text().splitlines()
    if first != f"# {compiler}":
        print(f"the instructions on record are of {first[2:]}, this is {compiler}: nothing is compared")
        return
    counted, failed = counts(), False
    for name, before in (line.split("\t") for line in lines):
        now, before = counted[name], int(before)
        more = now / before - 1
        failed |= more > 0.02
        print(f"{name}: {now / USERS:.1f} instructions, {before / USERS:.1f} on record, {more:+.1%}")
    if failed:
        sys.exit("more than 2% above the record: make it less, or accept it by .ci/instructions --accept")


what, *arguments = sys.argv[1:]
if what == "instructions":
    instructions()
elif what in ("accept", "hold"):
    {"accept": accept, "hold": hold}[what](Path(arguments[0]), arguments[1])
else:
    {"check": check, "load": load}[what](Path(arguments[0]))
