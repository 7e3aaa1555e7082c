#!/usr/bin/env python3
"""Counts the test cases of one `meson test` run.

usage: meson_summary.py TESTLOG.json

Reads meson's log (a JSON object for each test program) and prints what failed, with the end of its
output; then, as the last line, `PASSED FAILED`. A doctest program counts for its test cases, any other
program for one. A program that died, timed out or ran no case counts as a failure whatever it printed.
"""

import json
import re
import sys

SUMMARY = re.compile(r"\[doctest\] test cases:\s*(\d+)\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed")
TAIL_LINES = 80


def count(test):
    """(passed, failed, reason) of one test program."""
    summaries = SUMMARY.findall(test.get("stdout") or "")
    passed = sum(int(s[1]) for s in summaries)
    failed = sum(int(s[2]) for s in summaries)
    result = test["result"]
    if result == "SKIP":
        return passed, failed, "was skipped"
    if result not in ("OK", "EXPECTEDFAIL"):
        return passed, max(failed, 1), f"{result}, exit status {test.get('returncode')}"
    if summaries and passed == 0:
        return 0, 1, "ran no test case"
    return (passed, failed, None) if summaries else (1, 0, None)


def tail(title, text):
    lines = (text or "").rstrip().splitlines()
    if not lines:
        return
    cut = f" (the last {TAIL_LINES} of {len(lines)} lines)" if len(lines) > TAIL_LINES else ""
    print(f"--- {title}{cut}")
    print("\n".join("    " + line for line in lines[-TAIL_LINES:]))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    total_passed = total_failed = 0
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        tests = [json.loads(line) for line in log if line.strip()]
    for test in tests:
        passed, failed, reason = count(test)
        total_passed += passed
        total_failed += failed
        seconds = test.get("duration") or 0
        state = "ok    " if reason is None else "FAILED" if failed else "skip  "
        print(f"  {state} {test['name']}: {passed} passed, {failed} failed, {seconds:.1f} s"
              + (f"; {reason}" if reason else ""))
        if failed:
            tail("stdout", test.get("stdout"))
            tail("stderr", test.get("stderr"))
    print(total_passed, total_failed)


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")
    main()
