#!/usr/bin/env python3
"""Breaks the protocol of updates and checks in one place at a time, and fails if loom misses it.

    .ci/loom --mutants

The arguments are the test command. Each mutant is made in a copy of the sources.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

CURRENT, FAST_PATH = (f"src/gate/{name}.rs" for name in ("current", "fast_path"))

SECOND_LOAD = """        if self.token.load(Ordering::Relaxed) != newest {
            return None;
        }
        if threshold"""


def relaxed(file, text):
    return file, text, text.replace("Release", "Relaxed").replace("AcqRel", "Relaxed").replace("Acquire", "Relaxed")


# The cheap ones first.
TESTS = (
    "of_two_updates_at_once_none_is_lost",
    "a_handle_that_is_made_during_an_update_follows_it",
    "an_answer_and_its_version_are_of_one_version",
    "a_copy_never_mixes_two_versions",
    "a_thread_that_saw_an_update_sees_nothing_older",
    "a_thread_that_saw_an_update_back_sees_nothing_older",
)

# What is wrong, and the replacements: file, text, other text.
MUTANTS = [
    ("an update is not noted", [(CURRENT, "                self.note(&snapshot);\n", "")]),
    ("a load is not noted", [(CURRENT, "        self.note(&loaded);\n", "")]),
    ("the second of two updates overwrites the first", [
        (CURRENT, "self.swap.replace(&current, &snapshot)", "self.swap.replace(&self.swap.load(), &snapshot)"),
    ]),
    ("an update is noted without order", [relaxed(CURRENT, "self.newest.fetch_max(token, Ordering::AcqRel)")]),
    ("the newest token is read without order", [
        relaxed(CURRENT, "        self.newest.load(Ordering::Acquire)\n"),
    ]),
    ("a threshold is used without a second look at the token", [(FAST_PATH, SECOND_LOAD, "        if threshold")]),
    ("a list is used without a second look at the token", [
        (FAST_PATH, "self.token.load(Ordering::Relaxed) == newest;", "true;"),
    ]),
    ("the token stays while the values are written", [
        (FAST_PATH, "compare_exchange(token, RENEWING,", "compare_exchange(token, token,"),
    ]),
    ("the token comes before the values", [
        (FAST_PATH, "compare_exchange(token, RENEWING,", "compare_exchange(token, snapshot.token(),"),
    ]),
    ("a token is written without order", [relaxed(FAST_PATH, "self.token.store(snapshot.token(), Ordering::Release)")]),
    ("a threshold is written without order", [relaxed(FAST_PATH, "self.threshold.store(threshold, Ordering::Release)")]),
    ("a list is written without order", [relaxed(FAST_PATH, "to.store(*from, Ordering::Release)")]),
    ("a token is read without order", [relaxed(FAST_PATH, "if self.token.load(Ordering::Acquire) != newest")]),
    ("a threshold is read without order", [relaxed(FAST_PATH, "self.threshold.load(Ordering::Acquire)")]),
    ("a list is read without order", [relaxed(FAST_PATH, "word.load(Ordering::Acquire)")]),
]


def fails(test, copy):
    run = subprocess.run(test, cwd=copy, capture_output=True, text=True)
    # Any other outcome, for example a failed build, shows nothing.
    if "running 1 test" not in run.stdout:
        sys.exit(f"loom: the test did not run:\n{run.stdout}{run.stderr}")
    return "test result: FAILED" in run.stdout


def main(test):
    root = pathlib.Path(__file__).resolve().parent.parent
    survivors = []
    with tempfile.TemporaryDirectory() as copy:
        copy = pathlib.Path(copy)
        for name in ("Cargo.toml", "Cargo.lock", "README.md", "CHANGELOG.md", "docs", "src", "benches", "examples", "tests", "crates"):
            source = root / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
        for what, replacements in MUTANTS:
            for file, text, other in replacements:
                found = (copy / file).read_text()
                if found.count(text) != 1:
                    sys.exit(f"loom: `{what}`: {file} has {found.count(text)} times:\n{text}")
                (copy / file).write_text(found.replace(text, other))
            built = subprocess.run([*test, "--no-run"], cwd=copy, capture_output=True, text=True)
            if built.returncode != 0:
                sys.exit(f"loom: `{what}` does not compile:\n{built.stderr}")
            # One test that fails is enough.
            is_noticed = any(fails([*test, name], copy) for name in TESTS)
            print("noticed: " if is_noticed else "SURVIVES:", what, flush=True)
            if not is_noticed:
                survivors.append(what)
            for file, _, _ in replacements:
                shutil.copy(root / file, copy / file)
    if survivors:
        sys.exit(f"loom: {len(survivors)} of {len(MUTANTS)} mutants survive")
    print(f"loom notices all of {len(MUTANTS)} mutants")


if __name__ == "__main__":
    main(sys.argv[1:])
