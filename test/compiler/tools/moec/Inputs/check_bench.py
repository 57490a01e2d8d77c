"""Checks the JSON of moec bench for the linear model: check_bench.py FILE."""

import json
import sys

with open(sys.argv[1]) as file:
    report = json.load(file)
results = report["results"]
assert [(r["tokens"], r["threads"]) for r in results] == [(1, 2), (5, 2)], results
for result in results:
    assert 0 < result["min_ms"] <= result["median_ms"], result
    for key in "gflops", "gbps", "of_peak", "of_read":
        assert result[key] >= 0, result
# The work grows with the tokens, the weights do not.
flops = [r["gflops"] * r["median_ms"] for r in results]
bytes_ = [r["gbps"] * r["median_ms"] for r in results]
print(flops, bytes_)
assert report["limits"]["gflops"] > 1 and report["limits"]["gbps"] > 0.1, report["limits"]
