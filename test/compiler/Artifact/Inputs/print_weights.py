"""Prints the weights section of an artifact: python print_weights.py MANIFEST.json ARTIFACT."""

import json
import sys

import numpy

manifest = json.load(open(sys.argv[1]))
section = next(section for section in manifest["sections"] if section["kind"] == "weights")
contents = open(sys.argv[2], "rb").read()[section["offset"]:section["offset"] + section["bytes"]]
end = 0
for weight in manifest["weights"]:
    gap = contents[end:weight["offset"]]
    if gap:
        print("gap", len(gap), "bytes" if any(gap) else "zeros")
    end = weight["offset"] + weight["bytes"]
    dtype = {"f32": numpy.float32, "f16": numpy.float16}[weight["type"].rstrip(">").rsplit("x", 1)[1]]
    numbers = numpy.frombuffer(contents[weight["offset"]:end], dtype)
    print(weight["name"], " ".join(str(numbers).split()))
