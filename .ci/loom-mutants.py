#!/usr/bin/env python3
"""Breaks the update of a gate in one place at a time, and fails if loom does not detect the mutation.

    .ci/loom --mutants

The arguments are the test command. Each mutation runs in a copy of the sources.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

CELL, CUTS, SHORTCUT, NAMES = (
    f"src/gate/{name}.rs" for name in ("cell", "shortcuts", "shortcut", "by_name")
)

CLOSE = """                let by_name = self.by_name.get();
                let by_name = by_name.map(|names| (names, names.close(&current, &snapshot)));
                let handles = known.close(&current, &snapshot);
"""
SWAP = "                self.swap.store(Arc::clone(&snapshot));\n"
NOTE = "                self.note(&snapshot);\n"
CLOSED = "                self.in_force.close();\n"
OPENED = "                self.in_force.open(snapshot.version());\n"
HANDLES = "                handles.iter().for_each(|(handle, state)| handle.shortcut.set(*state));\n"
UNLOCK = "                drop(known);\n"
LOCK = "        let mut known = self.shortcuts.lock();\n        let named"
IS_FIRST = "if Arc::ptr_eq(&self.swap.load(), &current)"
SET = "        closed.iter().for_each(|(shortcut, state)| shortcut.set(*state));\n"
ADD = """        for Place { shortcut, name } in &self.places {
            if let Some(flag) = name.as_str().and_then(|name| next.flag(name)) {
                shortcut.add_listed(flag);
            }
        }
"""
FILTER = """    if let Some(next) = next.filter(|next| now.is_none_or(|now| !now.is_defined_like(next))) {
        shortcut.add_listed(next);
    }
"""
OTHERS = "            self.others.store(true, Ordering::Release);\n"


def relaxed(file, text):
    return file, text, text.replace("Release", "Relaxed").replace("Acquire", "Relaxed")


# The fastest tests first.
TESTS = (
    "of_two_updates_at_once_none_is_lost",
    "a_handle_that_is_made_during_an_update_follows_it",
    "a_thread_that_was_told_of_an_update_is_told_nothing_older",
    "a_thread_that_was_told_of_an_update_back_is_told_nothing_older",
    "an_answer_and_its_version_are_of_one_version",
)

# Each mutation: its name, and the replacements (file, old text, new text).
MUTANTS = [
    ("thresholds are closed after the swap", [(CELL, CLOSE, ""), (CELL, SWAP, SWAP + CLOSE)]),
    ("the version is closed after the swap", [(CELL, CLOSED, ""), (CELL, SWAP, SWAP + CLOSED)]),
    ("the swap is noted after everything is open", [(CELL, NOTE, ""), (CELL, OPENED, OPENED + NOTE)]),
    ("handles open before the swap", [(CELL, HANDLES, ""), (CELL, SWAP, HANDLES + SWAP)]),
    ("the version opens before the swap", [(CELL, OPENED, ""), (CELL, SWAP, OPENED + SWAP)]),
    ("the swap comes last", [(CELL, SWAP, ""), (CELL, OPENED, OPENED + SWAP)]),
    ("handles may be made during the swap", [(CELL, UNLOCK, ""), (CELL, CLOSED, CLOSED + UNLOCK)]),
    ("a handle looks at the snapshot before it has the lock", [
        (CELL, LOCK, "        let loaded = self.load();\n" + LOCK),
        (CELL, "known.add(key, &self.load(), named)", "known.add(key, &loaded, named)"),
    ]),
    ("the second of two updates overwrites the first", [(CELL, IS_FIRST, "if true")]),
    ("listed users are added after the swap", [(CUTS, FILTER, ""), (CUTS, SET, SET + ADD)]),
    ("unknown names are not asked for during the swap", [(CUTS, OTHERS, "")]),
    ("a threshold is set without order", [relaxed(SHORTCUT, "self.quick.store(state.quick.to_word(), Ordering::Release)")]),
    ("a position is set without order", [relaxed(SHORTCUT, "self.position.store(state.position, Ordering::Release)")]),
    ("the version opens without order", [relaxed(SHORTCUT, "self.0.store(version, Ordering::Release)")]),
    ("a threshold is read without order", [relaxed(SHORTCUT, "from_word(self.quick.load(Ordering::Acquire))")]),
    ("a position is read without order", [relaxed(SHORTCUT, "self.position.load(Ordering::Acquire)")]),
    ("unknown names open without order", [relaxed(CUTS, "self.others.store(self.lacks_one_of(next), Ordering::Release)")]),
    ("unknown names are read without order", [relaxed(NAMES, "self.others.load(Ordering::Acquire)")]),
]


def fails(test, copy):
    run = subprocess.run(test, cwd=copy, capture_output=True, text=True)
    # A build that fails, for example, proves nothing.
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
            is_detected = any(fails([*test, name], copy) for name in TESTS)
            print("detected:" if is_detected else "SURVIVES:", what, flush=True)
            if not is_detected:
                survivors.append(what)
            for file, _, _ in replacements:
                shutil.copy(root / file, copy / file)
    if survivors:
        sys.exit(f"loom: {len(survivors)} of {len(MUTANTS)} mutants survive")
    print(f"loom detects all {len(MUTANTS)} mutants")


if __name__ == "__main__":
    main(sys.argv[1:])
