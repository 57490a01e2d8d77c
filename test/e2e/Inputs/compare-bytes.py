"""Compares the bytes that ranks send with those that the simulation of their plan says.

compare-bytes.py MODEL TRACE PREFIX RUN_OPTIONS...: TRACE records the routing of a run of MODEL on one rank, files begin
with PREFIX. Prints a line for each plan; exits with 1 if one differs.
"""

import json
import re
import subprocess
import sys

model, trace, prefix, *options = sys.argv[1:]


def call(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def get_plan(ranks, nodes, dense, algorithm, tokens):
    path = f"{prefix}.json"
    arguments = ["--ranks", str(ranks), "--nodes", str(nodes), "--dense", dense, "--tokens", str(tokens)]
    call("moec", "plan", model, *arguments, "--replicas", "2", "--routing-trace", trace, "-o", path)
    plan = json.load(open(path))
    for layer in plan["layers"]:
        layer["exchange"] = [{"algorithm": algorithm}]
    json.dump(plan, open(path, "w"))
    return path, json.loads(call("moec", "plan", path, "--routing-trace", trace, "--json"))


def run(path, ranks):
    artifact = f"{prefix}.moe"
    call("moec", "compile", model, "--plan", path, "--cpu", "native", "-q", "-o", artifact)
    output = call("moec", "run", artifact, "--ranks", str(ranks), "--bytes-sent", *options)
    sent = dict(re.findall(r"rank (\d+) sent (\d+) bytes", output))
    return [int(sent[str(rank)]) for rank in range(ranks)]


tokens = json.loads(call("moec", "plan", model, "--ranks", "2", "--routing-trace", trace, "--json"))["predicted"]["tokens"]
failed = False
for ranks, nodes, dense in ((2, 1, "repeated"), (4, 2, "repeated"), (8, 4, "repeated")):
    for algorithm in ("gather", "direct", "two_level"):
        path, plan = get_plan(ranks, nodes, dense, algorithm, tokens)
        predicted, sent = plan["predicted"]["sent_bytes"], run(path, ranks)
        same = predicted == sent
        failed |= not same
        print(ranks, dense, algorithm, *(["as predicted", sum(sent)] if same else ["expected", predicted, "got", sent]))
sys.exit(failed)
