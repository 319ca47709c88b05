"""Prints Markdown tables from criterion's and gungraun's results. `benches/run` calls it."""

import json
import re
import sys
from pathlib import Path
from statistics import median


def rounds_of(bench):
    """Returns the median of each round, in nanoseconds."""
    found = sorted(bench.glob("round-*/estimates.json"))
    return [json.loads(path.read_text())["median"]["point_estimate"] for path in found]


def benches(criterion):
    """Yields (group, name, medians of the rounds) in the order in which the benches ran."""
    found = criterion.glob("*/*/round-1/benchmark.json")
    for path in sorted(found, key=lambda path: path.stat().st_mtime_ns):
        about = json.loads(path.read_text())
        yield about["group_id"], about["function_id"], rounds_of(path.parent.parent)


def check(criterion):
    """Prints the median over rounds of each time, and of its ratio to the raw hash of the same round."""
    print("| group | check | ns | x raw hash |\n| --- | --- | --- | --- |")
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
    """Reads gungraun's output from standard input. Returns the instructions of each check for all users, without the loop."""
    found = re.findall(r"check::(\w+) (\w+):.*\n\s+Instructions:\s+(\d+)", sys.stdin.read())
    counted = {
        name.replace("_", " ") + ("" if case == "each" else f" {case}".replace("_", " ")): int(count)
        for name, case, count in found
    }
    loop = counted.pop("empty loop")
    return {name: count - loop for name, count in counted.items()}


def hold_history(counted):
    """Returns whether a check after many updates takes at most 1.3 times what it takes in a fresh gate with the same document."""
    holds = True
    for name, fresh in counted.items():
        if " fresh " in name:
            name = name.replace(" fresh ", " ")
            ratio = counted[name] / fresh
            holds &= ratio <= 1.3
            print(f"{name}: {counted[name] / USERS:.1f} instructions, {fresh / USERS:.1f} in a fresh gate, x {ratio:.2f}")
    return holds


def instructions():
    counted = counts()
    print("| check | instructions | x raw hash |\n| --- | --- | --- |")
    for name, count in counted.items():
        if " after " in name:
            continue
        print(f"| {name} | {count / USERS:.0f} | {count / counted['raw hash']:.1f} |")


def accept(path, compiler):
    """Writes the counts to the record."""
    counted = {name: count for name, count in counts().items() if " after " not in name}
    lines = [f"{name}\t{count}" for name, count in counted.items() if name not in NOT_RECORDED]
    path.write_text("\n".join([f"# {compiler}", *lines]) + "\n")


# Code of other crates, which has no limit.
NOT_RECORDED = {"raw hash", "forty lines"}


def hold(path, compiler):
    """Fails if a count is more than 2% above the record. Compares only counts of the same compiler."""
    first, *lines = path.read_text().splitlines()
    counted = counts()
    if not hold_history(counted):
        sys.exit("A check after many updates takes more than 1.3 times what it takes in a fresh gate.")
    if first != f"# {compiler}":
        print(f"Not compared: the record is from {first[2:]}, and this is {compiler}.")
        return
    failed = False
    for name, recorded in (line.split("\t") for line in lines):
        now, recorded = counted[name], int(recorded)
        change = now / recorded - 1
        failed |= change > 0.02
        print(f"{name}: {now / USERS:.1f} instructions, {recorded / USERS:.1f} on record, {change:+.1%}")
    if failed:
        sys.exit("More than 2% above the record. Reduce the instructions, or run `.ci/instructions --accept`.")


what, *arguments = sys.argv[1:]
if what == "instructions":
    instructions()
elif what in ("accept", "hold"):
    {"accept": accept, "hold": hold}[what](Path(arguments[0]), arguments[1])
else:
    {"check": check, "load": load}[what](Path(arguments[0]))
