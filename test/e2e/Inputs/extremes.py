"""Compiles one layer of experts in a form and runs it at the edges: no token, one, an expert without tokens, all tokens at
one expert, one expert, every expert chosen, 512 experts, rows of NaN and infinity among others.

Usage: extremes.py MOEC FORM FOLDER [ASAN]

With the path of the AddressSanitizer library every access to memory of the generated code is checked.
"""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np

from expert_forms import FORMS, Weights
from graph import Graph

MOEC, FORM, FOLDER, ASAN = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), sys.argv[4:]
HIDDEN, INNER, TOKENS = 24, 20, 33


def compile_layer(experts, k, weights):
    g = Graph()
    x, z = g.input("x", ["tokens", HIDDEN]), g.input("z", ["tokens", experts])
    g.output("y", FORMS[FORM](g, x, z, weights, k), ["tokens", HIDDEN])
    g.write(FOLDER / "model.onnx")
    result = subprocess.run([MOEC, "compile", FOLDER / "model.onnx", "-o", FOLDER / "model.moe", "--cpu=native", "-q",
                             "--remarks", *(["--sanitize=address"] if ASAN else [])], check=True, capture_output=True, text=True)
    if len(re.findall("experts fused", result.stderr)) != 1:
        sys.exit(f"E = {experts}, k = {k}: the experts are not recognised:\n{result.stderr}")


def run(x, z):
    np.save(FOLDER / "x.npy", x)
    np.save(FOLDER / "z.npy", z)
    environment = {**os.environ, "LD_PRELOAD": ASAN[0], "ASAN_OPTIONS": "detect_leaks=0"} if ASAN else None
    subprocess.run([MOEC, "run", FOLDER / "model.moe", "--input", f"x={FOLDER}/x.npy", "--input", f"z={FOLDER}/z.npy",
                    "--output-dir", FOLDER], check=True, stdout=subprocess.DEVNULL, env=environment)
    return np.load(FOLDER / "y.npy")


def reference(x, z, weights, k):
    """The layer in f64, and the greatest sum of the absolute values of the terms of a number."""
    x, z = x.astype(np.float64), z.astype(np.float64)
    scores = np.exp(z - z.max(-1, keepdims=True))
    scores /= scores.sum(-1, keepdims=True)
    ids = np.argsort(-scores, axis=-1, kind="stable")[:, :k]
    mix = np.take_along_axis(scores, ids, -1)
    mix /= mix.sum(-1, keepdims=True)
    y, size = np.zeros_like(x), np.zeros_like(x)
    for t in range(len(x)):
        for e, weight in zip(ids[t], mix[t]):
            gate, up = x[t] @ weights.gate[e], x[t] @ weights.up[e]
            hidden = gate / (1 + np.exp(-gate)) * up
            y[t] += weight * (hidden @ weights.down[e])
            size[t] += weight * (np.abs(hidden) @ np.abs(weights.down[e]))
    return y, size.max(initial=0)


def check(x, z, weights, k, what):
    got = run(x, z)
    want, size = reference(x, z, weights, k)
    # Three sums in f32, of H, F and k terms, and a handful of operations in between.
    limit = 2.0**-23 * (HIDDEN + INNER + k + 8) * size
    worst = np.abs(got - want).max(initial=0)
    if got.shape != want.shape or not worst <= limit:
        sys.exit(f"E = {len(weights.gate)}, k = {k}, {what}: differs by {worst}, expected at most {limit}")
    return got


def check_hostile(x, z, got):
    """Rows with NaN and infinity must not touch the others."""
    generator = np.random.default_rng(5)
    hostile = generator.choice(np.array([np.nan, np.inf, -np.inf, 3e38, 1e-40, -0.0], np.float32), (len(z), z.shape[1]))
    mixed_z = np.stack([hostile, z, z], 1).reshape(-1, z.shape[1])
    mixed_x = np.stack([x, np.full_like(x, np.nan), x], 1).reshape(-1, HIDDEN)
    again = run(mixed_x, mixed_z)[2::3]
    if (again.view(np.uint32) != got.view(np.uint32)).any():
        sys.exit(f"E = {z.shape[1]}: rows of NaN or infinity changed the bits of others")


def main():
    for experts, k in ((1, 1), (4, 4), (6, 2), (512, 10)):
        generator = np.random.default_rng(experts)
        weights = Weights.random(generator, experts, HIDDEN, INNER)
        compile_layer(experts, k, weights)
        x = generator.standard_normal((TOKENS, HIDDEN)).astype(np.float32)
        z = generator.standard_normal((TOKENS, experts)).astype(np.float32)
        got = check(x, z, weights, k, "random logits")
        check(x[:1], z[:1], weights, k, "one token")
        check(x[:0], z[:0], weights, k, "no token")
        # All tokens choose the last k experts, whatever the others' logits are.
        crowded = z.copy()
        crowded[:, -k:] += 40
        check(x, crowded, weights, k, "all tokens at the same experts")
        if k < experts:
            deserted = z.copy()
            deserted[:, 1] = -100
            check(x, deserted, weights, k, "an expert without tokens")
        check_hostile(x, z, got)
        print(f"E = {experts}, k = {k}: ok")


main()
