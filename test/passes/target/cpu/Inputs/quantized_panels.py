"""Compiles products with quantised panels, runs them on random bytes and compares with the panels by definition.

Usage: quantized_panels.py LEVEL FOLDER
"""

import ctypes
import pathlib
import subprocess
import sys

import numpy as np

LEVEL, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
COLUMNS = 16
NEEDS = {"x86-64-v3": ["avx2", "fma", "f16c"], "x86-64-v4": ["avx512f", "avx512bw", "avx512dq", "avx512vl"]}
GENERATOR = np.random.default_rng(3)
# numbers, group, scales
FORMATS = [("i4", 32, "bf16"), ("i4", 128, "f16"), ("ui4", 16, "f32"), ("ui4", 64, "bf16"), ("i8", 32, "bf16"),
           ("i8", 128, "f32"), ("ui8", 24, "f16"), ("f4E2M1FN", 32, "bf16"), ("f8E4M3FN", 40, "f32"),
           ("f8E5M2", 32, "f16")]
# rows, inner extent, columns: every height of a tile, incomplete panels, groups and steps, several chunks.
SHAPES = [(rows, 69, 75) for rows in range(1, 15)] + [(97, 33, 1), (3, 1101, 64), (7, 1101, 64), (1, 7, 128), (96, 256, 64)]


def decode_float(codes, exponent_bits, mantissa_bits, bias):
    sign = np.where(codes >> (exponent_bits + mantissa_bits) & 1, -1.0, 1.0)
    exponent = (codes >> mantissa_bits & ((1 << exponent_bits) - 1)).astype(int)
    mantissa = (codes & ((1 << mantissa_bits) - 1)).astype(float) / (1 << mantissa_bits)
    return sign * (mantissa + (exponent > 0)) * 2.0 ** (np.maximum(exponent, 1) - bias)


class Format:
    def __init__(self, numbers, group, scales):
        self.numbers, self.group, self.scales = numbers, group, scales
        self.bits = 4 if numbers in ("i4", "ui4", "f4E2M1FN") else 8
        self.scale_bytes = 4 if scales == "f32" else 2
        self.zeros = numbers.startswith("ui")
        self.column_bytes = group * self.bits // 8 + self.scale_bytes + self.zeros
        self.name = f"{numbers}, groups of {group}, scales of {scales}"

    def make(self, depth, columns):
        """Random panels, and K x N numbers that they stand for."""
        panels, groups = -(-columns // COLUMNS), -(-depth // self.group)
        stored = GENERATOR.integers(0, 256, (panels, groups, COLUMNS * self.column_bytes), np.uint8)
        code_bytes = COLUMNS * self.group * self.bits // 8
        if self.numbers == "f8E4M3FN":
            codes = stored[..., :code_bytes]
            codes[(codes & 0x7F) == 0x7F] = 0x38
        if self.numbers == "f8E5M2":
            codes = stored[..., :code_bytes]
            codes[(codes & 0x7C) == 0x7C] = 0x38
        # Scales with few bits are the same in every type.
        scales = GENERATOR.integers(64, 128, (panels, groups, COLUMNS)).astype(np.float32) / 4096
        end = code_bytes + COLUMNS * self.scale_bytes
        words = {"f32": scales, "f16": scales.astype(np.float16),
                 "bf16": (scales.view(np.uint32) >> 16).astype(np.uint16)}[self.scales]
        stored[..., code_bytes:end] = words.view(np.uint8)
        codes = stored[..., :code_bytes]
        if self.bits == 4:
            halves = np.stack([codes & 15, codes >> 4], -1).reshape(panels, groups, -1, COLUMNS, 8)
            codes = halves.transpose(0, 1, 2, 4, 3)
        codes = codes.reshape(panels, groups, self.group, COLUMNS)
        values = {"i4": lambda: (codes ^ 8).astype(np.int8) - 8.0, "ui4": lambda: codes.astype(float),
                  "i8": lambda: codes.astype(np.int8).astype(float), "ui8": lambda: codes.astype(float),
                  "f4E2M1FN": lambda: decode_float(codes, 2, 1, 1), "f8E4M3FN": lambda: decode_float(codes, 4, 3, 7),
                  "f8E5M2": lambda: decode_float(codes, 5, 2, 15)}[self.numbers]()
        if self.zeros:
            values = values - stored[..., None, end:]
        weights = (values * scales[:, :, None, :]).transpose(1, 2, 0, 3).reshape(groups * self.group, -1)
        return stored, weights[:depth, :columns]

    def compile(self, library):
        shape = f"?x?x16x{self.column_bytes}xi8"
        layout = f"#kern.quantized<numbers = {self.numbers}, group = {self.group}, scales = {self.scales}>"
        types = f"memref<?x?xf32>, memref<{shape}>"
        source = library.with_suffix(".mlir")
        source.write_text(
            f"func.func @gemm(%a: memref<?x?xf32>, %p: memref<{shape}>, %c: memref<?x?xf32>)\n"
            "    attributes {llvm.emit_c_interface} {\n"
            f"  kern.panel_gemm ins(%a, %p : {types}) outs(%c : memref<?x?xf32>) {{quantized = {layout}}}\n"
            "  return\n}\n")

        def run(tool, *arguments):
            subprocess.run([tool, *arguments], check=True)

        step = [str(library.with_suffix(suffix)) for suffix in (".vector", ".llvm", ".ll", ".o")]
        run("moe-opt", str(source), f"-kern-lower-to-vector=isa={LEVEL}", "-canonicalize", "-cse", "-o", step[0])
        run("mlir-opt", step[0], "-convert-scf-to-cf", "-convert-vector-to-llvm", "-expand-strided-metadata",
            "-lower-affine", "-finalize-memref-to-llvm", "-convert-arith-to-llvm", "-convert-index-to-llvm",
            "-convert-cf-to-llvm", "-convert-func-to-llvm", "-convert-ub-to-llvm", "-reconcile-unrealized-casts", "-o", step[1])
        run("mlir-translate", "--mlir-to-llvmir", step[1], "-o", step[2])
        run("llc", "-O1", f"-mcpu={LEVEL}", "-relocation-model=pic", "-filetype=obj", step[2], "-o", step[3])
        run("cc", "-shared", step[3], "-o", str(library))
        return ctypes.CDLL(str(library))._mlir_ciface_gemm


def describe(array):
    """The descriptor of a row-major buffer."""
    rank, pointer = array.ndim, array.ctypes.data
    strides = [stride // array.itemsize for stride in array.strides]
    return (ctypes.c_int64 * (3 + 2 * rank))(pointer, pointer, 0, *array.shape, *strides)


def multiply(function, form, rows, panels, columns):
    result = np.full((len(rows), columns), np.nan, np.float32)
    panels = panels.reshape(*panels.shape[:2], COLUMNS, form.column_bytes)
    function(describe(rows), describe(panels), describe(result))
    return result


def check(function, form, count, depth, columns):
    panels, weights = form.make(depth, columns)
    rows = GENERATOR.standard_normal((count, depth)).astype(np.float32)
    got = multiply(function, form, rows, panels, columns)
    size = np.abs(rows.astype(float)) @ np.abs(weights)
    # A sum of K products in f32, in groups, each with an error of half a unit; zero points may cancel most of a number.
    error = np.abs(got - rows.astype(float) @ weights)
    if not (error <= 2.0**-23 * (depth + 2) * size).all():
        sys.exit(f"{form.name}: {count} x {depth} x {columns} differs by {error.max()}")
    for row in (0, count - 1):
        alone = multiply(function, form, rows[row : row + 1].copy(), panels, columns)
        if alone.tobytes() != got[row].tobytes():
            sys.exit(f"{form.name}: row {row} of {count} x {depth} x {columns} depends on the others")


def main():
    flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    missing = [flag for flag in NEEDS[LEVEL] if flag not in flags]
    if missing:
        print(f"{LEVEL} skipped: this processor lacks {', '.join(missing)}")
        return
    for i, parameters in enumerate(FORMATS):
        form = Format(*parameters)
        function = form.compile(FOLDER / f"gemm{i}.so")
        for shape in SHAPES:
            check(function, form, *shape)
        print(f"{LEVEL} {form.name}: ok")


main()
