"""Checks the chain of a journal, as docs/journal.md specifies it: python3 verify_journal.py journal.jsonl"""

import hashlib
import sys

before = bytes(32)
for number, line in enumerate(open(sys.argv[1], "rb"), 1):
    body, _, end = line.rpartition(b',"hash":"')
    before = hashlib.sha256(before + body).digest()
    if end != before.hex().encode() + b'"}\n':
        sys.exit(f"line {number} does not match its hash")
print(f"whole: {number} records, {number}:{before.hex()}")
