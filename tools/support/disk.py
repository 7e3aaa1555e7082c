"""When the disk has done what the run before has left it to do."""

import os
import pathlib
import time

MOST_S = 15  # that is waited
LOOK_EVERY_S = 0.5
AT_REST_BYTES = 1_000_000  # written and discarded between two looks, at most
SECTOR_BYTES = 512


def await_rest(directory):
    """Writes back what is in the kernel's cache, and waits until the disk of `directory` is at rest, MOST_S at most.

    What was deleted goes to the disk as discards, which a file system sends later, in the background; syncs of the
    next run would wait for them.
    """
    os.sync()
    end = time.monotonic() + MOST_S
    before = _bytes_done(directory)
    while before is not None and time.monotonic() < end:
        time.sleep(LOOK_EVERY_S)
        after = _bytes_done(directory)
        if after - before <= AT_REST_BYTES:
            return
        before = after


def _bytes_done(directory):
    """Bytes written and discarded since the machine's start; None: not on a block device."""
    device = os.stat(directory).st_dev
    stat = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
    if not stat.exists():
        return None
    fields = [int(word) for word in stat.read_text().split()]
    discarded = fields[13] if len(fields) > 13 else 0
    return (fields[6] + discarded) * SECTOR_BYTES
