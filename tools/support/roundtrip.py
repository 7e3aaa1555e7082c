#!/usr/bin/env python3
"""What tools/quickstart publishes, and whether it came back.

usage: roundtrip.py prepare dpkg|first-word FILE >INPUT    lines for `andyx-cli produce --key-separator`
       roundtrip.py verify INPUT CONSUMED                  CONSUMED: `andyx-cli consume --print json`

prepare: each line of FILE becomes KEY 0x1f LINE. `dpkg` takes as key the value of the current
`Package:` line, `first-word` the line's first word. A key ends at a byte 0x1f, so the first 0x1f of an
input line always ends the key, whatever the line holds. A line without a key is published alone.

verify: compares count, content (a checksum over all pairs of key and line that does not depend on
their order) and the order of each key's lines. Prints one line: what was compared, or what differs;
the exit status says the same. Lines without a key have no order: any partition may get them.

FILE may hold any bytes and be larger than memory; verify holds a few hundred bytes for each key.
"""

import base64
import hashlib
import json
import sys

SEPARATOR = b"\x1f"
SHOWN_KEYS = 3


def lines_of(path):
    """The lines of a file without their LF; what follows the last LF counts when it is not empty."""
    with open(path, "rb", buffering=1 << 20) as file:
        for line in file:
            yield line[:-1] if line.endswith(b"\n") else line


def first_word(text):
    words = text.split(None, 1)
    return words[0].split(SEPARATOR, 1)[0] if words else b""


def dpkg_keys():
    package = b""

    def key_of(line):
        nonlocal package
        if line.startswith(b"Package:"):
            package = first_word(line[len(b"Package:"):])
        return package

    return key_of


def prepare(kind, path, out):
    key_of = {"dpkg": dpkg_keys(), "first-word": first_word}[kind]
    for line in lines_of(path):
        key = key_of(line)
        # A key that is empty while the line holds the separator would be taken for "up to there".
        if key or SEPARATOR in line:
            out.write(key + SEPARATOR)
        out.write(line + b"\n")


def published(path):
    """(key, line) pairs as `andyx-cli produce --key-separator` reads them."""
    for number, line in enumerate(lines_of(path), 1):
        key, separator, rest = line.partition(SEPARATOR)
        yield number, *((key, rest) if separator else (b"", line))


def field(message, name):
    """A field that is text, or base64 where it was not UTF-8, or missing."""
    if message.get(name) is not None:
        return message[name].encode("utf-8", "surrogatepass")
    return base64.b64decode(message.get(name + "_base64") or b"", validate=True)


def consumed(path):
    for number, line in enumerate(lines_of(path), 1):
        try:
            message = json.loads(line)
            yield number, field(message, "key"), field(message, "payload")
        except (ValueError, AttributeError, TypeError) as error:
            raise SystemExit(f"line {number} of the consumer's output is not a message: {error}")


class Totals:
    """Count and checksum of all, and for each key count, checksum and chain (depends on order)."""

    def __init__(self, messages):
        self.count = 0
        self.size_bytes = 0
        self.checksum = 0
        self.keys = {}
        for _, key, line in messages:
            pair = hashlib.blake2b(len(key).to_bytes(8, "little") + key + line, digest_size=16).digest()
            number = int.from_bytes(pair, "little")
            self.count += 1
            self.size_bytes += len(line)
            self.checksum = (self.checksum + number) & ((1 << 128) - 1)
            count, checksum, chain = self.keys.get(key, (0, 0, b""))
            if key:
                chain = hashlib.blake2b(chain + pair, digest_size=16).digest()
            self.keys[key] = (count + 1, (checksum + number) & ((1 << 128) - 1), chain)


def shown(key):
    if not key:
        return "no key"
    text = ascii(key.decode("utf-8", "backslashreplace"))
    return text if len(text) <= 60 else text[:57] + "..."


def differences(want, got):
    """What differs, in words; empty when nothing does."""
    found = []
    if want.count != got.count:
        found.append(f"{want.count} messages went in, {got.count} came out")
    content = []
    order = []
    for key in want.keys.keys() | got.keys.keys():
        went = want.keys.get(key, (0, 0, b""))
        came = got.keys.get(key, (0, 0, b""))
        if went[0] != came[0]:
            content.append((key, f"{went[0]} went in, {came[0]} came out"))
        elif went[1] != came[1]:
            content.append((key, "other bytes"))
        elif went[2] != came[2]:
            order.append((key, "other order"))
    for what, of in (("content", content), ("order", order)):
        if of:
            some = "; ".join(f"{shown(key)}: {how}" for key, how in sorted(of)[:SHOWN_KEYS])
            more = f"; and {len(of) - SHOWN_KEYS} more" if len(of) > SHOWN_KEYS else ""
            found.append(f"{what} differs for {len(of)} of {len(want.keys)} keys ({some}{more})")
    return found


def verify(input_path, consumed_path):
    want = Totals(published(input_path))
    got = Totals(consumed(consumed_path))
    found = differences(want, got)
    if found:
        print(", ".join(found))
        return 1
    keys = len(want.keys) - (b"" in want.keys)
    print(f"{want.count} messages, {want.size_bytes} bytes, {keys} keys: count, content "
          f"(checksum {want.checksum:032x}) and order for each key are those of the file")
    return 0


def main(arguments):
    if len(arguments) == 3 and arguments[0] == "prepare" and arguments[1] in ("dpkg", "first-word"):
        prepare(arguments[1], arguments[2], sys.stdout.buffer)
        return 0
    if len(arguments) == 3 and arguments[0] == "verify":
        return verify(arguments[1], arguments[2])
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
