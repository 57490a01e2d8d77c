#!/usr/bin/env python3
"""Compiles a grouped product of gathered rows with the experts' matrices by Triton, without a device, and prints the same
figures as `run` does for ours: registers, and other instructions for each one of tensor cores in the innermost loop.

    bench/gpu_static/triton_peer.py [--arch 80 90 100]

Needs the PyPI package triton, whose assembler and disassembler it uses.
"""

import argparse
import pathlib
import subprocess
import tempfile

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from sass import find_loops


@triton.jit
def grouped(rows, experts, assignments, owners, result, depth, columns, row_stride, expert_stride, column_stride,
            result_stride, slots: tl.constexpr, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    """A block of M assignments of one expert times N of its columns; rows are gathered, columns lie one after the other."""
    block, column_block = tl.program_id(0), tl.program_id(1)
    numbers = tl.load(assignments + block * M + tl.arange(0, M))
    expert = tl.load(owners + block)
    inner = tl.arange(0, K)
    column = column_block * N + tl.arange(0, N)
    left = rows + (numbers // slots)[:, None] * row_stride + inner[None, :]
    right = experts + expert * expert_stride + column[None, :] * column_stride + inner[:, None]
    sums = tl.zeros((M, N), dtype=tl.float32)
    for step in range(0, depth // K):
        sums = tl.dot(tl.load(left), tl.load(right), sums)
        left += K
        right += K
    target = result + numbers[:, None] * result_stride + column[None, :]
    tl.store(target, sums.to(tl.bfloat16), mask=column[None, :] < columns)


SIGNATURE = {"rows": "*bf16", "experts": "*bf16", "assignments": "*i32", "owners": "*i32", "result": "*bf16",
             "depth": "i32", "columns": "i32", "row_stride": "i32", "expert_stride": "i32", "column_stride": "i32",
             "result_stride": "i32", "slots": "constexpr", "M": "constexpr", "N": "constexpr", "K": "constexpr"}
CONFIGURATIONS = [(128, 128, 32, 4, 4), (128, 128, 64, 4, 3), (64, 128, 32, 4, 4), (16, 128, 32, 4, 6)]

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--arch", type=int, nargs="+", default=[80])
arguments = parser.parse_args()
nvdisasm = pathlib.Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "nvdisasm"
print("architecture  tile         stages  warps  products  others  others/product")
for arch in arguments.arch:
    for m, n, k, warps, stages in CONFIGURATIONS:
        # All addresses and extents are multiples of 16, as in real models.
        divisible = {(i,): [["tt.divisibility", 16]] for i in range(11)}
        source = ASTSource(grouped, SIGNATURE, {"slots": 2, "M": m, "N": n, "K": k}, divisible)
        compiled = triton.compile(source, target=GPUTarget("cuda", arch, 32),
                                  options={"num_warps": warps, "num_stages": stages})
        with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
            file.write(compiled.asm["cubin"])
            file.flush()
            text = subprocess.run([nvdisasm, "-c", file.name], check=True, capture_output=True, text=True).stdout
        for loop in find_loops(text)[:1]:
            print(f"sm_{arch:<10} {m}x{n}x{k:<5} {stages:6} {warps:6} {loop.products:9} {loop.others:7} {loop.ratio:15.2f}")
