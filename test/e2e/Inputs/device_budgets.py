"""Holds the kernels with tensor cores of a layer of experts against budgets: no register is spilled, a block fits an SM as
often as planned, warps meet no conflict of banks, and the assembler does not wait for one product before the next.

Usage: device_budgets.py MOEC FOLDER
"""

import json
import os
import pathlib
import subprocess
import sys

import ml_dtypes
import numpy as np
from onnx import TensorProto

from graph import Graph

MOEC, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
# The instruction, and the most registers of a thread: what the assembler of CUDA 13.0 takes, and a little more. An SM has
# room for two blocks of 128 threads, or one of 256, with 255.
BUDGETS = {"sm_80": ("mma.sync", 216), "sm_90a": ("wgmma.mma_async", 192)}
EXPERTS, HIDDEN, INNER, SLOTS = 2, 128, 160, 1
ELEMENTS = {"bf16": (ml_dtypes.bfloat16, TensorProto.BFLOAT16), "f16": (np.float16, TensorProto.FLOAT16)}
generator = np.random.default_rng(5)


def run(*arguments, **options):
    return subprocess.run([MOEC, *arguments], check=True, capture_output=True, text=True, **options)


def kernels_of(ptx):
    """The text of each kernel by its name."""
    parts = ptx.split(".entry ")[1:]
    return {part[: part.index("(")].strip(): part for part in parts}


def compile_layer(element):
    numbers, kind = ELEMENTS[element]
    g = Graph()

    def stored(*shape):
        return g.stored(kind, shape, generator.standard_normal(shape).astype(numbers).tobytes())

    x = g.op("Cast", g.input("x", ["rows", HIDDEN]), to=kind)
    logits = g.op("Cast", g.input("logits", ["rows", EXPERTS]), to=kind)
    y = g.op("MoE", x, logits, stored(EXPERTS, 2 * INNER, HIDDEN), "", stored(EXPERTS, HIDDEN, INNER),
             domain="com.microsoft", k=SLOTS, activation_type="swiglu", swiglu_fusion=1, normalize_routing_weights=1)
    g.output("y", g.op("Cast", y, to=TensorProto.FLOAT), ["rows", HIDDEN])
    g.write(FOLDER / f"{element}.onnx")
    artifact = FOLDER / f"{element}.moe"
    compiled = run("compile", FOLDER / f"{element}.onnx", "-q", "-o", artifact, f"--target=cpu,{','.join(BUDGETS)}",
                   "--cpu=x86-64-v3")
    if "Performance Loss" in compiled.stderr:
        sys.exit(compiled.stderr)
    return artifact


def check(element, artifact, device, sections):
    arch = device["arch"]
    instruction, most = BUDGETS[arch]
    section = next(s for s in sections if (s["kind"], s["name"]) == ("ptx", arch))
    ptx = artifact.read_bytes()[section["offset"]: section["offset"] + section["bytes"]].decode()
    products = {name for name, text in kernels_of(ptx).items() if instruction in text}
    for kernel in device["kernels"]:
        if kernel["spilled"] or kernel["name"] in products and (kernel["stack"] or kernel["registers"] > most):
            sys.exit(f"{arch}: expected no spilled byte and at most {most} registers, got {kernel}")
    executed = set()
    for rows in (8, 100, 300):
        np.save(FOLDER / "x.npy", generator.standard_normal((rows, HIDDEN)).astype(np.float32))
        np.save(FOLDER / "logits.npy", generator.standard_normal((rows, EXPERTS)).astype(np.float32))
        report = FOLDER / "report.json"
        report.unlink(missing_ok=True)
        run("run", artifact, "--device=emulate", f"--arch={arch}", "--input", f"x={FOLDER}/x.npy", "--input",
            f"logits={FOLDER}/logits.npy", "--output-dir", FOLDER,
            env={**os.environ, "MOE_EMULATED_REPORT": str(report)})
        for launch in map(json.loads, report.read_text().splitlines()):
            if launch["kernel"] not in products:
                continue
            executed.add(launch["kernel"])
            passes, ideal = launch["memory"]["wavefronts"], launch["memory"]["idealWavefronts"]
            if not passes or passes != ideal:
                sys.exit(f"{arch}, {launch['kernel']}: expected {ideal} passes over banks of shared memory, got {passes}")
    if executed != products or len(products) < 6:
        sys.exit(f"{arch}: expected that kernels {products} are executed, got {executed}")
    print(f"{arch}, {element}: {len(products)} kernels with {instruction} keep the budgets")


for name in ELEMENTS:
    layer = compile_layer(name)
    manifest = json.loads(run("inspect", "--json", layer).stdout)
    for architecture in manifest["devices"]:
        check(name, layer, architecture, manifest["sections"])
