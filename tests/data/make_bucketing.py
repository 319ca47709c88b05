#!/usr/bin/env python3
"""Writes bucketing.json: golden vectors of the bucketing algorithm `xxh3-ppm-1`.

This script is independent of the crate. The hash is the reference implementation in C, from the
`xxhash` package. The formula is from docs/bucketing.md, in integers of unlimited size.

    pip install -r requirements.txt     # in this folder
    python3 make_bucketing.py           # writes bucketing.json into this folder
    python3 make_bucketing.py --check   # exit status 1 if the file or the formula in the docs differs

The file must never change, because users of the crate are in these buckets. Different buckets need a
new algorithm with its own id.

Layout, one row per line:
    ppm    percentages in parts per million
    salts  salts, by index
    rows   [salt index, key, bucket, smallest ppm that admits the bucket, for each of `ppm`: 1 if it admits the bucket]
           a key is text, or {"hex": "..."} if it is not UTF-8
    edges  [ppm, last bucket that it admits, first bucket that it does not admit], null if there is none
    units  [salt, values of the attribute that `by` names, bucket], null if the user has no bucket
           a value is text, or a number that counts as its decimal text
    within [salt, key, ppm, 1 if the user is in the group, 1 if the share of the group admits the user]
    conditions  [kind, bound, value, 1 if the value is within the bound]
"""

import inspect
import itertools
import json
import re
import sys
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import xxhash

HERE = Path(__file__).parent
VECTORS = HERE / "bucketing.json"
SPECIFICATION = HERE.parent.parent / "docs" / "bucketing.md"

# --- The formula. `--check` requires an exact copy of these three functions in the specification.


def key_bytes(user):
    return user if isinstance(user, bytes) else str(user).encode("utf-8")


def bucket_of(salt, user):
    seed = xxhash.xxh3_64_intdigest(salt.encode("utf-8"))
    return xxhash.xxh3_64_intdigest(key_bytes(user), seed=seed)


def is_enabled(bucket, ppm):
    return bucket * 1_000_000 >> 64 < ppm


# --- The inputs.

PPM = [0, 1, 100, 10_000, 125_000, 250_000, 333_333, 500_000, 999_900, 999_999, 1_000_000]

# XXH3 has separate code for 0, 1-3, 4-8, 9-16, 17-128, 129-240 and more bytes. It reads long input in
# stripes of 64 bytes and blocks of 1,024 bytes.
LONG = [320, 383, 384, 385, 511, 512, 513, 1023, 1024, 1025, 1087, 1088, 1089, 2047, 2048, 2049, 4095, 4096]

SALTS = [
    "",
    "a",
    "0",
    " ",
    "\0",
    "new-checkout",
    "New-Checkout",
    "new-checkout ",
    "line\nbreak\ttab \"quote\" \\ 'single'",
    "caf\u00e9",  # composed
    "cafe\u0301",  # the same word, decomposed: other bytes, so another salt
    "\u652f\u6255\u3044",
    "\u043e\u043f\u043b\u0430\u0442\u0430",
    "\U0001f680\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\U0010ffff",
    "long, of 256 bytes: ".ljust(256, "-"),
    "\u00e9" * 150,
]

KEYS = [
    "",
    "a",
    "ab",
    "user-42",
    "user-43",
    "USER-42",
    " user-42",
    "ana@example.com",
    "ana+test@example.com",
    "00000000-0000-0000-0000-000000000000",
    "6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
    "018f3c1e-7b2a-7cc3-98c4-dc0c0c07398f",
    "caf\u00e9",
    "cafe\u0301",
    "\u30e6\u30fc\u30b6\u30fc",
    "\U0001f680",
    "\0",
    "a\0b",
    "007",  # text, not the integer 7
    "-0",
    "+5",
    b"\xff",
    b"\xc0\x80",  # an overlong NUL
    b"\xed\xa0\x80",  # a lone surrogate
    b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7",
    bytes(range(256)),
    0,
    1,
    7,
    9,
    10,
    42,
    99,
    100,
    4_294_967_295,
    4_294_967_296,
    2**63 - 1,
    2**63,
    2**64 - 1,
    2**64,
    2**128 - 1,
    -1,
    -7,
    -10,
    -(2**31),
    -(2**63),
    -(2**127),
]


class Random:
    """SplitMix64: the same numbers on every machine and in every version of Python."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        mask = 2**64 - 1
        self.state = (self.state + 0x9E37_79B9_7F4A_7C15) & mask
        mixed = self.state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58_476D_1CE4_E5B9) & mask
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D0_49BB_1331_11EB) & mask
        return mixed ^ (mixed >> 31)

    def below(self, bound):
        return self.next() * bound >> 64

    def bytes(self, count):
        return bytes(self.below(256) for _ in range(count))

    def text(self, count):
        return "".join(chr(ord("a") + self.below(26)) for _ in range(count))

    def uuid(self, version):
        digits = f"{self.next():016x}{self.next():016x}"
        variant = "89ab"[self.below(4)]
        return (
            f"{digits[:8]}-{digits[8:12]}-{version}{digits[12:15]}-{variant}{digits[15:18]}-{digits[18:30]}"
        )


def questions():
    """Yields every (salt, user) of the file."""
    random = Random(2026)
    for salt in SALTS:
        for key in KEYS:
            yield salt, key
    # Keys of every length, as text and as bytes that are not UTF-8.
    for length in [*range(301), *LONG]:
        yield "new-checkout", random.text(length)
        yield "", random.bytes(length)
        yield "caf\u00e9", b"\xff" * length
    # Salts of every length. A document allows up to 4,096 bytes.
    for length in [*range(1, 301), *LONG]:
        salt = random.text(length)
        yield salt, "user-42"
        yield salt, random.next()
    # Common kinds of keys, for flags with similar names.
    for number in range(50):
        salt = f"checkout-{number:02}"
        for _ in range(20):
            yield salt, random.below(1_000)
            yield salt, random.next()
            yield salt, -random.below(2**63)
            yield salt, f"user-{random.below(10**6)}"
            yield salt, f"{random.below(10**6):010}"
            yield salt, f"{random.text(3 + random.below(6))}.{random.text(8)}@example.org"
            yield salt, random.uuid(4)
            yield salt, random.uuid(7)
            yield salt, b"\xfe" + random.bytes(random.below(24))


def edges():
    """Yields the last bucket inside and the first bucket outside of each percentage, found by bisecting the formula."""
    random = Random(7)
    exact = range(0, 1_000_001, 15_625)  # where ppm * 2^64 / 10^6 is a whole number
    drawn = [1 + random.below(999_999) for _ in range(500)]
    for ppm in sorted({*PPM, *range(20), *range(999_980, 1_000_000), *exact, *drawn}):
        low, high = 0, 2**64  # the first bucket that is not enabled is between low and high, inclusive
        while low < high:
            middle = (low + high) // 2
            if is_enabled(middle, ppm):
                low = middle + 1
            else:
                high = middle
        last_in = str(low - 1) if low > 0 else None
        first_out = str(low) if low < 2**64 else None
        yield [ppm, last_in, first_out]


UNITS = [
    [],
    [""],
    ["acme"],
    ["Acme"],
    ["acme", "globex"],
    ["globex", "acme"],
    ["acme", "acme"],
    ["", "acme"],
    ["", ""],
    [" "],
    [100],
    ["100"],
    ["0100"],
    [-7, "acme"],
    [2**64 - 1],
    [-(2**63)],
    ["caf\u00e9"],
    ["cafe\u0301", "caf\u00e9"],
    ["long, of 300 bytes: ".ljust(300, "-"), "acme"],
    [f"company-{number}" for number in range(20)],
]


def units():
    """A percentage of companies. The lowest bucket of the user's values counts, and an empty value is none."""
    random = Random(42)
    values = UNITS + [[random.text(1 + random.below(40)) for _ in range(1 + n % 3)] for n in range(200)]
    for salt in ["new-checkout", "a", SALTS[-1]]:
        for texts in values:
            buckets = [bucket_of(salt, text) for text in texts if text != ""]
            yield [salt, texts, str(min(buckets)) if buckets else None]


def within():
    """A percentage of a group: the same buckets as a percentage of all users, but only for users of the group."""
    for salt in ["new-checkout", "a"]:
        for number in range(100):
            key = f"user-{number}"
            for ppm, is_in_group in itertools.product([0, 100_000, 500_000, 1_000_000], [False, True]):
                is_in = is_in_group and is_enabled(bucket_of(salt, key), ppm)
                yield [salt, key, ppm, int(is_in_group), int(is_in)]


NUMBERS = ["0", "-0", "0.0", "1", "99", "99.999999999999999999999999", "100", "100.0", "0100", "1000", "-1", "-100"]
NUMBERS += ["18446744073709551615", "18446744073709551616", "0.1", "0.10", "0.09", "-0.1", "2.5"]
NO_NUMBERS = ["", " 100", "100 ", "+100", "1e3", "100.", ".5", "-", "1_000", "0x64", "NaN", "inf", "1,000", "\u0661"]

# In ascending order of precedence, from the specification, item 11, and from reports of users.
VERSIONS = ["0.0.1", "0.9.0", "1.0.0-0", "1.0.0-999", "1.0.0-1234", "1.0.0-2345", "1.0.0-alpha", "1.0.0-alpha.1"]
VERSIONS += ["1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.0+b.5", "1"]
VERSIONS += ["2.9.9", "2.10.0-rc.1", "2.10.0", "v2.10.0", "2.10", "2.11.0-rc.1", "10.0.0", "2026.01.5"]
NO_VERSIONS = ["", "v", "vv1.0.0", "1.", "1.0.0.0", "1.x", "1.0.0-", "1.0.0-a..b", "1.0.0+", " 1.0.0", "-1.0.0"]

DATES = ["2026-01-04", "2026-01-05", "2026-01-06", "2024-02-29", "1969-12-31", "2026-01-05T00:00:00Z"]
DATES += ["2026-01-05T23:59:59Z", "2026-01-05T23:59:59.999Z", "2026-01-06T00:00:00Z", "2026-01-06T00:30:00+01:00"]
DATES += ["2026-01-04T23:30:00-01:00", "2026-01-05T08:00:00.250Z", "2026-01-05T09:00:00.5+01:00", "2026-01-05 08:00:00Z"]
NO_DATES = ["", "2026-1-5", "2026-02-29", "2026-13-01", "2026-01-05T09:00:00", "2026-01-05Z", "05.01.2026", "1767600000"]
NO_DATES += ["2026-01-05T24:00:00Z", "2026-01-05T09:60:00Z", "2026-01-05T09:00:00+24:00", "today"]


def number(text):
    return Decimal(text) if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text) else None


def version(text):
    """Returns a key of the precedence of Semantic Versioning 2.0.0."""
    identifiers = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
    found = re.fullmatch(
        rf"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:-({identifiers}))?(?:\+{identifiers})?", text
    )
    if not found:
        return None
    core = tuple(int(part or 0) for part in found.groups()[:3])
    if found[4] is None:
        return core, 1, ()
    # Numbers have a lower precedence than other identifiers.
    parts = tuple((0, int(part), "") if re.fullmatch("[0-9]+", part) else (1, 0, part) for part in found[4].split("."))
    return core, 0, parts


def moment(text):
    """Returns the moment. A day is its beginning in UTC."""
    day = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    if not re.fullmatch(rf"{day}([Tt ][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\.[0-9]+)?(Z|[+-][0-9]{{2}}:[0-9]{{2}}))?", text):
        return None
    try:
        read = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=timezone.utc)


def is_within(kind, sign, limit, value):
    read = {"number": number, "version": version, "date": moment}[kind]
    found, bound = read(value), read(limit)
    if found is None:
        return False
    below, above = found < bound, found > bound
    if kind == "date" and len(limit) == 10:
        # A day as a bound means the whole day.
        above = found >= bound + timedelta(days=1)
    return {"<": below, ">": above, "<=": not above, ">=": not below, "=": not below and not above}[sign]


def conditions():
    kinds = [
        ("number", NUMBERS[::2], NUMBERS, NO_NUMBERS),
        ("version", VERSIONS[::2], VERSIONS, NO_VERSIONS),
        ("date", DATES[::2], DATES, NO_DATES),
    ]
    for kind, limits, values, others in kinds:
        for limit, sign, value in itertools.product(limits, ["<", "<=", "=", ">=", ">"], values + others):
            yield [kind, f"{sign} {limit}", value, int(is_within(kind, sign, limit, value))]


def written(key):
    try:
        return key_bytes(key).decode("utf-8")
    except UnicodeDecodeError:
        return {"hex": key.hex()}


def render():
    salts, rows = {}, []
    for salt, key in questions():
        index = salts.setdefault(salt, len(salts))
        bucket = bucket_of(salt, key)
        smallest = (bucket * 1_000_000 >> 64) + 1
        assert is_enabled(bucket, smallest) and not is_enabled(bucket, smallest - 1)
        answers = "".join("01"[is_enabled(bucket, ppm)] for ppm in PPM)
        rows.append([index, written(key), str(bucket), smallest, answers])

    def lines(values):
        return ",\n".join(json.dumps(value, separators=(",", ":")) for value in values)

    return (
        '{"algorithm":"xxh3-ppm-1",\n'
        f'"ppm":{lines([PPM])},\n'
        f'"salts":[\n{lines(salts)}\n],\n'
        f'"rows":[\n{lines(rows)}\n],\n'
        f'"edges":[\n{lines(edges())}\n],\n'
        f'"units":[\n{lines(units())}\n],\n'
        f'"within":[\n{lines(within())}\n],\n'
        f'"conditions":[\n{lines(conditions())}\n]}}\n'
    )


def check(text):
    if not VECTORS.exists() or VECTORS.read_text(encoding="ascii") != text:
        yield f"{VECTORS.name} differs from what this script writes"
    specification = SPECIFICATION.read_text(encoding="utf-8")
    for function in (key_bytes, bucket_of, is_enabled):
        if inspect.getsource(function).strip() not in specification:
            yield f"{SPECIFICATION.name} does not contain `{function.__name__}` as in this script"


def main():
    if sys.argv[1:] == ["--check"]:
        problems = list(check(render()))
        for problem in problems:
            print(problem, file=sys.stderr)
        sys.exit(1 if problems else 0)
    if sys.argv[1:]:
        sys.exit(__doc__)
    VECTORS.write_text(render(), encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
