"""Compares products of 16 bits, bf16 and on the emulated device f16, with sums by definition: dense ones and layers of
experts, of ragged sizes, with experts that get no row, one row and all rows.

Usage: narrow_products.py MOEC ARCHITECTURE|LEVEL FOLDER

All numbers are small integers, so that sums are exact in f32 in every order and values between the halves of the experts
are about exact: the results of a dense product must be equal, those of experts differ by the rounding of the mixing
weights only.
"""

import pathlib
import subprocess
import sys

import ml_dtypes
import numpy as np
from onnx import TensorProto

from graph import Graph

MOEC, TARGET, FOLDER = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
IS_DEVICE = TARGET.startswith("sm_")
COMPILE = [f"--target=cpu,{TARGET}", "--cpu=x86-64-v3"] if IS_DEVICE else [f"--cpu={TARGET}"]
RUN = ["--device=emulate", f"--arch={TARGET}"] if IS_DEVICE else []
ELEMENTS = {"bf16": (ml_dtypes.bfloat16, TensorProto.BFLOAT16), "f16": (np.float16, TensorProto.FLOAT16)}
generator = np.random.default_rng(11)


def integers(limit, *shape):
    return generator.integers(-limit, limit + 1, shape).astype(np.float32)


def stored(g, element, array):
    numbers, kind = ELEMENTS[element]
    return g.stored(kind, array.shape, array.astype(numbers).tobytes())


def compile_model(g, name):
    g.write(FOLDER / f"{name}.onnx")
    subprocess.run([MOEC, "compile", FOLDER / f"{name}.onnx", "-q", "-o", FOLDER / f"{name}.moe", *COMPILE], check=True)


def run(name, **inputs):
    arguments = []
    for key, array in inputs.items():
        np.save(FOLDER / f"{key}.npy", array)
        arguments += ["--input", f"{key}={FOLDER}/{key}.npy"]
    subprocess.run([MOEC, "run", FOLDER / f"{name}.moe", *RUN, "--output-dir", FOLDER, *arguments], check=True,
                   stdout=subprocess.DEVNULL)
    return np.load(FOLDER / "y.npy")


def check(what, got, expected, tolerance):
    error = np.abs(got - expected).max(initial=0)
    print(f"{what}: {'ok' if error <= tolerance * max(1, np.abs(expected).max(initial=0)) else f'WRONG by {error}'}")


def dense(element, depth, columns, row_counts):
    g = Graph()
    weights = integers(3, depth, columns)
    x = g.op("Cast", g.input("x", ["rows", depth]), to=ELEMENTS[element][1])
    y = g.op("MatMul", x, stored(g, element, weights))
    g.output("y", g.op("Cast", y, to=TensorProto.FLOAT), ["rows", columns])
    name = f"{element}-dense-{depth}-{columns}"
    compile_model(g, name)
    for rows in row_counts:
        x = integers(3, rows, depth)
        check(f"{name} {rows} rows", run(name, x=x), (x @ weights).astype(ELEMENTS[element][0]).astype(np.float32), 0)


def experts(element, count, hidden, inner, slots, activation, row_counts):
    up, down = integers(1, count, inner, hidden), integers(1, count, hidden, inner)
    g = Graph()
    x = g.op("Cast", g.input("x", ["rows", hidden]), to=ELEMENTS[element][1])
    logits = g.op("Cast", g.input("logits", ["rows", count]), to=ELEMENTS[element][1])
    y = g.op("MoE", x, logits, stored(g, element, up), "", stored(g, element, down), domain="com.microsoft", k=slots,
             activation_type=activation, normalize_routing_weights=1)
    g.output("y", g.op("Cast", y, to=TensorProto.FLOAT), ["rows", hidden])
    name = f"{element}-experts-{count}-{hidden}-{inner}-{slots}-{activation}"
    compile_model(g, name)
    for rows in row_counts:
        # Expert 0 for everybody; of the others one gets a single row, and the last one none.
        logits = np.full((rows, count), -4.0, np.float32)
        logits[:, 0] = 2.0
        for slot in range(1, slots):
            logits[:, slot] = 1.0
        logits[0, slots] = 4.0
        x = integers(1, rows, hidden)
        expected = np.zeros((rows, hidden), np.float32)
        for row in range(rows):
            chosen = np.argsort(-logits[row], kind="stable")[:slots]
            weights = np.exp(logits[row, chosen] - logits[row, chosen].max())
            weights /= weights.sum()
            for expert, weight in zip(chosen, weights):
                h = np.maximum(x[row] @ up[expert].T, 0)
                expected[row] += weight * (h @ down[expert].T)
        # Two roundings: of the weights in some models, of the result in all.
        check(f"{name} {rows} rows", run(name, x=x, logits=logits), expected, 2.0 ** -7)


for kind in ELEMENTS if IS_DEVICE else ["bf16"]:
    dense(kind, 32, 8, [1, 16, 17])
    dense(kind, 160, 136, [0, 5, 64, 65, 130])
    experts(kind, 4, 64, 96, 2, "relu", [1, 7, 40, 150])
    experts(kind, 6, 32, 64, 1, "relu", [3, 33])
if not IS_DEVICE:
    # Odd depths, and more than a chunk of them.
    dense("bf16", 1, 1, [1, 33])
    dense("bf16", 577, 100, [1, 33])
    experts("bf16", 3, 301, 75, 2, "relu", [1, 16, 97])
