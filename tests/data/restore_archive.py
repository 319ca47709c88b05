"""Prints the lines of archived segments and checks them, as docs/journal.md specifies: python3 restore_archive.py FILE…"""

import gzip
import hashlib
import json
import re
import sys
from datetime import datetime, timedelta

HEAD = re.compile(
    rb'{(?:"seq":(\d+),)?("at":"([^"]*)","boot":"(?:[^"\\]|\\.)*",)(?:"up":(\d+),)?(?:"time":(\d+),)?'
)


def milliseconds(at):
    since = datetime.strptime(at.decode(), "%Y-%m-%dT%H:%M:%S.%fZ") - datetime(1970, 1, 1)
    return since // timedelta(milliseconds=1)


for name in sys.argv[1:]:
    before = None
    for line in gzip.open(name) if name.endswith(".gz") else open(name, "rb"):
        is_whole = re.search(rb',"hash":"[0-9a-f]{64}"}\n$', line)
        body = line[:-76] if is_whole else line[:-2]
        head = HEAD.match(body)
        seq, at_and_boot, at, up, time = head.groups()
        at = milliseconds(at)
        if before is None:
            what = json.loads(line)["what"]
            hash = bytes.fromhex(what["continued"]["after"]) if "continued" in what else bytes(32)
        else:
            seq = before[0] + 1 if seq is None else seq
            if up is None:
                up = at - offset - ((at - offset) % 10 if before[1] % 10 == 0 else 0)
            time = before[2] + int(up) - before[1] if time is None else time
        seq, up, time = int(seq), int(up), int(time)
        offset = at - up if before is None else min(max(offset, at - up - 9), at - up)
        before = seq, up, time
        body = b'{"seq":%d,%b"up":%d,"time":%d,%b' % (seq, at_and_boot, up, time, body[head.end() :])
        hash = hashlib.sha256(hash + body).digest()
        whole = body + b',"hash":"' + hash.hex().encode() + b'"}\n'
        if is_whole and line != whole:
            sys.exit(f"{name}: line {seq} does not match its hash")
        sys.stdout.buffer.write(whole)
    if not is_whole:
        sys.exit(f"{name}: the last line has no hash")
