"""Compiles products of bytes, whose rows are rounded to eight bits or have 23, and compares with numpy.

Usage: byte_products.py MOEC FOLDER
"""

import pathlib
import subprocess
import sys

import numpy as np

from graph import Graph
from quantized import Integers, pack

MOEC, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
# Neither is a whole number of groups or panels; rows as tiles of all heights and more of them than a task has.
WIDTH, COLUMNS, ROWS = 136, 100, (1, 2, 3, 4, 5, 6, 7, 13, 200)
GENERATOR = np.random.default_rng(3)
G = Graph()
WEIGHTS = {}


def product(name, bits, block, zero_points, level):
    weight = Integers(GENERATOR, (COLUMNS, WIDTH), bits, block, zero_points, extremes=True)
    blocks = weight.scales.shape[1]
    codes = np.zeros((COLUMNS, blocks * block), np.uint8)
    codes[:, :WIDTH] = weight.codes
    operands = ["x", pack(codes, bits).reshape(COLUMNS, blocks, -1), weight.scales]
    if zero_points:
        operands.append(weight.packed_zeros())
    value = G.op("MatMulNBits", *operands, domain="com.microsoft", K=WIDTH, N=COLUMNS, bits=bits, block_size=block,
                 accuracy_level=level)
    G.output(name, value, ["rows", COLUMNS])
    WEIGHTS[name] = weight.floats.T.astype(np.float64), block if level == 4 else 0


def round_rows(x, block):
    """Blocks of a row become integers up to 127 times a scale, in f32; halves go to the even integer."""
    padded = np.zeros((len(x), -(-WIDTH // block) * block), np.float32)
    padded[:, :WIDTH] = x
    blocks = padded.reshape(len(x), -1, block)
    largest = np.abs(blocks).max(-1, keepdims=True)
    factor = np.divide(np.float32(127), largest, out=np.zeros_like(largest), where=largest > 0)
    numbers = np.rint(blocks.astype(np.float64) * factor)
    rounded = numbers * (largest * np.float32(1 / 127)).astype(np.float64)
    return rounded.reshape(len(x), -1)[:, :WIDTH]


def main():
    G.input("x", ["rows", WIDTH])
    for bits in (4, 8):
        for block in (16, 32, 128):
            product(f"int{bits}_block{block}", bits, block, False, 4)
            product(f"int{bits}_block{block}_zero_points", bits, block, True, 4)
    for bits in (4, 8):
        for block in (32, 64, 128):
            product(f"exact{bits}_block{block}", bits, block, False, 0)
            product(f"exact{bits}_block{block}_zero_points", bits, block, True, 0)
    G.write(FOLDER / "model.onnx", opset=21)
    subprocess.run([MOEC, "compile", FOLDER / "model.onnx", "-o", FOLDER / "model.moe", "--cpu=native",
                    "--activations=model", "-q"], check=True)
    for rows in ROWS:
        x = GENERATOR.standard_normal((rows, WIDTH)).astype(np.float32)
        x[0, :40] = 0  # a whole block
        x[1:2] = np.nextafter(np.float32(2), np.float32(0))  # the largest integers
        x[-1, 64:] *= 1e-20
        x[-1, 96:] *= 1e30
        np.save(FOLDER / "x.npy", x)
        subprocess.run([MOEC, "run", FOLDER / "model.moe", "--input", f"x={FOLDER}/x.npy", "--output-dir", FOLDER],
                       check=True, stdout=subprocess.DEVNULL)
        for name, (weight, block) in WEIGHTS.items():
            exact = round_rows(x, block) if block else x.astype(np.float64)
            # Sums of groups, or of all numbers, in f32; numbers of 23 bits are as inexact.
            limit = 2.0**-23 * (WIDTH + 4) * (np.abs(exact) @ np.abs(weight)).max(1)
            error = np.abs(np.load(FOLDER / f"{name}.npy") - exact @ weight).max(1)
            if not (error <= limit).all():
                sys.exit(f"{name}, {rows} rows: differ by {error}, expected at most {limit}")
        print(f"{rows} rows: ok")

    # What is no number stays so, in its row alone.
    x = np.ones((2, WIDTH), np.float32)
    x[0, 50] = np.nan
    np.save(FOLDER / "x.npy", x)
    subprocess.run([MOEC, "run", FOLDER / "model.moe", "--input", f"x={FOLDER}/x.npy", "--output-dir", FOLDER], check=True,
                   stdout=subprocess.DEVNULL)
    for name in WEIGHTS:
        y = np.load(FOLDER / f"{name}.npy")
        if not (np.isnan(y[0]).all() and np.isfinite(y[1]).all()):
            sys.exit(f"{name}: expected one row of NaN, got {y}")
    print("not a number: ok")


main()
