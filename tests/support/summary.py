#!/usr/bin/python3
"""Counts test cases in Meson's testlog.json files and prints the closing line `N passed, N failed, N skipped`.

usage: summary.py TESTLOG.json...

A TAP test counts by its cases, any other test as one. Failed tests are named before. Status 1 if a test failed or none passed.
"""
import json
import re
import sys

TAP = re.compile(r"^(not )?ok\b(?:[^#\n]|\\#)*(?:# *(SKIP|TODO))?", re.IGNORECASE | re.MULTILINE)


def count(test):
    """(passed, failed, skipped) of one record of the log."""
    cases = list(TAP.finditer(test.get("stdout") or ""))
    skipped = sum(1 for c in cases if c[2])
    failed = sum(1 for c in cases if c[1] and not c[2])
    passed = len(cases) - skipped - failed
    result = test["result"]
    if result == "SKIP":
        return 0, 0, max(1, len(cases))
    if result in ("OK", "EXPECTEDFAIL"):
        return (passed, 0, skipped) if cases else (1, 0, 0)
    return passed, max(1, failed), skipped


def main():
    totals = [0, 0, 0]
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8", errors="replace") as log:
            for line in log:
                test = json.loads(line)
                counts = count(test)
                totals = [a + b for a, b in zip(totals, counts)]
                if counts[1]:
                    print(f"failed: {test['name']} ({test['result']}), see {path}")
    print("{} passed, {} failed, {} skipped".format(*totals))
    return 1 if totals[1] or not totals[0] else 0


sys.exit(main())
