"""Compiles products with quantised weights and rows of quantised tables as one model, and compares with numpy.

Usage: quantized_products.py MOEC FOLDER
"""

import pathlib
import subprocess
import sys

import numpy as np
from onnx import TensorProto

from graph import Graph
from quantized import Integers, pack

MOEC, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
ROWS, WIDTH, COLUMNS = 7, 72, 50
GENERATOR = np.random.default_rng(2)
G = Graph()
X = GENERATOR.standard_normal((ROWS, WIDTH)).astype(np.float32)
IDS = np.array([4, 0, 49, 4], np.int64)
EXPECTED = {}


def expect(name, value, weight, bias=0):
    """A product of x with K x N floats."""
    G.output(name, value, ["rows", weight.shape[1]])
    x, w = X.astype(np.float64), weight.astype(np.float64)
    # A sum in f32 of K terms and a bias.
    EXPECTED[name] = (x @ w + bias, 2.0**-23 * (WIDTH + 4) * (np.abs(x) @ np.abs(w) + np.abs(bias)).max())


def nbits(name, bits, block, zero_points="", g_idx=False, biased=False, scale_type=np.float32):
    weight = Integers(GENERATOR, (COLUMNS, WIDTH), bits, block, bool(zero_points), scale_type)
    blocks = weight.scales.shape[1]
    codes = np.zeros((COLUMNS, blocks * block), np.uint8)
    codes[:, :WIDTH] = weight.codes
    operands = ["x", pack(codes, bits).reshape(COLUMNS, blocks, -1), weight.scales, "", "", ""]
    floats = weight.floats
    if zero_points:
        operands[3] = weight.packed_zeros() if zero_points == "packed" else weight.zeros.astype(np.float32)
    if g_idx:
        groups = GENERATOR.permutation(np.arange(WIDTH) // block).astype(np.int32)
        operands[4] = groups
        floats = (weight.codes - np.float32(1 << (bits - 1))) * weight.scales[:, groups]
    bias = GENERATOR.standard_normal(COLUMNS).astype(np.float32) if biased else 0
    if biased:
        operands[5] = bias
    value = G.op("MatMulNBits", *operands, domain="com.microsoft", K=WIDTH, N=COLUMNS, bits=bits, block_size=block)
    expect(name, value, floats.T, bias)


def dequantized(name, weight, *operands, transposed=False, **attributes):
    value = G.op("DequantizeLinear", *operands, **attributes)
    if transposed:
        value = G.op("Transpose", value, perm=[1, 0])
    expect(name, G.op("MatMul", "x", value), weight)


def dequantize_linear():
    codes = GENERATOR.integers(-128, 128, (WIDTH, COLUMNS)).astype(np.int8)
    dequantized("tensor", (codes - np.float32(5)) * np.float32(0.03), codes, np.float32(0.03), np.int8(5))
    scales = GENERATOR.uniform(0.01, 0.02, COLUMNS).astype(np.float32)
    zeros = GENERATOR.integers(-9, 9, COLUMNS).astype(np.int8)
    dequantized("columns", (codes - zeros.astype(np.float32)) * scales, codes, scales, zeros, axis=1)
    rows = GENERATOR.uniform(0.01, 0.02, WIDTH).astype(np.float32)
    dequantized("rows", codes * rows[:, None], codes, rows, axis=0)
    small = GENERATOR.integers(0, 16, (COLUMNS, WIDTH), np.uint8)
    table = GENERATOR.uniform(0.01, 0.02, (COLUMNS, WIDTH // 24)).astype(np.float32)
    floats = small * np.repeat(table, 24, 1)
    stored = G.stored(TensorProto.UINT4, small.shape, pack(small.reshape(1, -1), 4).tobytes())
    dequantized("blocks", floats.T, stored, table, axis=1, block_size=24, transposed=True)


def gather(name, bits, block, zero_points):
    weight = Integers(GENERATOR, (COLUMNS, 64), bits, block, zero_points, np.float16)
    operands = [weight.packed(), "ids", weight.scales] + ([weight.packed_zeros()] if zero_points else [])
    value = G.op("GatherBlockQuantized", *operands, domain="com.microsoft", bits=bits, block_size=block)
    G.output(name, value, ["count", 64], TensorProto.FLOAT16)
    # One rounding to f16.
    EXPECTED[name] = (weight.floats[IDS], 2.0**-11 * np.abs(weight.floats).max())


def main():
    G.input("x", ["rows", WIDTH])
    G.input("ids", ["count"], TensorProto.INT64)
    nbits("int4", 4, 32)
    nbits("int4_bias", 4, 16, biased=True)
    nbits("int4_zero_points", 4, 32, "packed")
    nbits("int4_float_zero_points", 4, 32, "floats")
    nbits("int8", 8, 16)
    nbits("int8_zero_points", 8, 32, "packed", biased=True)
    nbits("int2", 2, 16)
    nbits("int2_zero_points", 2, 16, "packed")
    nbits("groups", 4, 16, g_idx=True)
    dequantize_linear()
    gather("gather4", 4, 16, False)
    gather("gather4_zero_points", 4, 16, True)
    gather("gather8", 8, 32, False)
    G.write(FOLDER / "model.onnx", opset=21)
    subprocess.run([MOEC, "compile", FOLDER / "model.onnx", "-o", FOLDER / "model.moe", "--cpu=native", "-q"], check=True)
    np.save(FOLDER / "x.npy", X)
    np.save(FOLDER / "ids.npy", IDS)
    subprocess.run([MOEC, "run", FOLDER / "model.moe", "--input", f"x={FOLDER}/x.npy", "--input", f"ids={FOLDER}/ids.npy",
                    "--output-dir", FOLDER], check=True, stdout=subprocess.DEVNULL)
    for name, (want, limit) in EXPECTED.items():
        worst = np.abs(np.load(FOLDER / f"{name}.npy") - want).max()
        if not worst <= limit:
            sys.exit(f"{name}: differs by {worst}, expected at most {limit}")
        print(f"{name}: ok")


main()
