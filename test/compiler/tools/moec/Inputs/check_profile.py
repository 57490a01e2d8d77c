"""Checks a trace of `moec run --profile`: check_profile.py TRACE.json NAME...; every NAME must be part of an operation's name."""

import json
import sys

events = json.load(open(sys.argv[1]))["traceEvents"]
names = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
spans = [event for event in events if event["ph"] == "X"]
runs, operations, pieces = ([span for span in spans if span["cat"] == kind] for kind in ("run", "operation", "piece"))
assert len(runs) == 1 and operations and pieces, spans
assert names[0] == "caller" and {span["tid"] for span in spans} <= set(names), names
assert len(names) <= 2, names


def end(span):
    return span["ts"] + span["dur"]


run, = runs
# Microseconds with three digits are exact to the nanosecond that numbers are rounded to.
for span in spans:
    assert span["dur"] >= 0 and span["ts"] >= run["ts"] - 1e-3 and end(span) <= end(run) + 1e-3, span
for before, after in zip(operations, operations[1:]):
    assert abs(end(before) - after["ts"]) < 2e-3, (before, after)
assert {span["tid"] for span in operations} == {0}
for piece in pieces:
    inside = [op for op in operations if op["ts"] <= piece["ts"] + 1e-3 and end(piece) <= end(op) + 1e-3]
    assert [op["name"] for op in inside] == [piece["name"]], (piece, inside)
for name in sys.argv[2:]:
    assert any(name in span["name"] for span in operations), (name, sorted({span["name"] for span in operations}))
print(f"{len(operations)} operations, {len(pieces)} pieces")
