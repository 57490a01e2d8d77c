"""Runs TopK and ArgMax on every row that can be made of one number of each class of bits: a router that is kept as operations
chooses by them.

Usage: choice_bits.py MOEC FOLDER

Whatever the bits, ids are distinct and in range, values are the chosen entries bit for bit, and a row gives the same ids
wherever it stands.
"""

import itertools
import pathlib
import subprocess
import sys

import numpy as np
from onnx import TensorProto

from graph import Graph

MOEC, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
# Signalling and quiet NaN, infinity, zero, the least denormal, numbers, the greatest number; both signs.
BITS = np.array([0x7FA00000, 0xFFA00000, 0x7FC00000, 0xFFC00000, 0x7F800000, 0xFF800000, 0, 0x80000000, 1, 0x80000001,
                 0x3F800000, 0x3FC00000, 0xBF800000, 0x7F7FFFFF, 0xFF7FFFFF], dtype=np.uint32)


def compile_choices(experts, k):
    g = Graph()
    z = g.input("z", ["tokens", experts])
    for largest in (0, 1):
        for order in (0, 1):
            values, ids = g.op("TopK", z, np.array([k]), outputs=2, axis=-1, largest=largest, sorted=order)
            g.output(f"values{largest}{order}", values, ["tokens", k])
            g.output(f"ids{largest}{order}", ids, ["tokens", k], TensorProto.INT64)
    for kind in ("ArgMax", "ArgMin"):
        for last in (0, 1):
            best = g.op(kind, z, axis=-1, keepdims=1, select_last_index=last)
            g.output(f"{kind}{last}", best, ["tokens", 1], TensorProto.INT64)
    g.write(FOLDER / "model.onnx")
    subprocess.run([MOEC, "compile", FOLDER / "model.onnx", "-o", FOLDER / "model.moe", "--cpu=native", "-q"], check=True)
    return [item.name for item in g.outputs]


def run(names, bits):
    np.save(FOLDER / "z.npy", bits.view(np.float32))
    subprocess.run([MOEC, "run", FOLDER / "model.moe", "--input", f"z={FOLDER}/z.npy", "--output-dir", FOLDER], check=True,
                   stdout=subprocess.DEVNULL)
    return {name: np.load(FOLDER / f"{name}.npy") for name in names}


def check(condition, what):
    if not np.all(condition):
        sys.exit(what)


def main():
    for experts, k in ((1, 1), (2, 1), (3, 2), (4, 2), (4, 4)):
        names = compile_choices(experts, k)
        rows = np.array(list(itertools.product(BITS, repeat=experts)), dtype=np.uint32)
        results = run(names, rows)
        shuffle = np.random.default_rng(1).permutation(len(rows))
        again = run(names, rows[shuffle])
        for name, ids in results.items():
            label = f"{name}, E = {experts}, k = {k}"
            if name.startswith("values"):
                chosen = np.take_along_axis(rows, results[name.replace("values", "ids")], -1)
                check(ids.view(np.uint32) == chosen, f"{label}: not the chosen entries")
                continue
            check((ids >= 0) & (ids < experts), f"{label}: out of range")
            ordered = np.sort(ids, -1)
            check(ordered[:, 1:] != ordered[:, :-1], f"{label}: chosen twice")
            check(again[name] == ids[shuffle], f"{label}: depends on other rows")
        print(f"E = {experts}, k = {k}: ok")


main()
