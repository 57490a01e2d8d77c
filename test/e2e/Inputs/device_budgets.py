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
generator = np.random.default_rng(5)


def stored(g, *shape):
    values = generator.standard_normal(shape).astype(ml_dtypes.bfloat16)
    return g.stored(TensorProto.BFLOAT16, shape, values.tobytes())


def run(*arguments, **options):
    return subprocess.run([MOEC, *arguments], check=True, capture_output=True, text=True, **options)


def kernels_of(ptx):
    """The text of each kernel by its name."""
    parts = ptx.split(".entry ")[1:]
    return {part[: part.index("(")].strip(): part for part in parts}


g = Graph()
x = g.op("Cast", g.input("x", ["rows", HIDDEN]), to=TensorProto.BFLOAT16)
logits = g.op("Cast", g.input("logits", ["rows", EXPERTS]), to=TensorProto.BFLOAT16)
y = g.op("MoE", x, logits, stored(g, EXPERTS, 2 * INNER, HIDDEN), "", stored(g, EXPERTS, HIDDEN, INNER),
         domain="com.microsoft", k=SLOTS, activation_type="swiglu", swiglu_fusion=1, normalize_routing_weights=1)
g.output("y", g.op("Cast", y, to=TensorProto.FLOAT), ["rows", HIDDEN])
g.write(FOLDER / "model.onnx")
artifact = FOLDER / "model.moe"
compiled = run("compile", FOLDER / "model.onnx", "-q", "-o", artifact, f"--target=cpu,{','.join(BUDGETS)}",
               "--cpu=x86-64-v3")
if "Performance Loss" in compiled.stderr:
    sys.exit(compiled.stderr)
manifest = json.loads(run("inspect", "--json", artifact).stdout)
data = artifact.read_bytes()
for device in manifest["devices"]:
    arch = device["arch"]
    instruction, most = BUDGETS[arch]
    section = next(s for s in manifest["sections"] if (s["kind"], s["name"]) == ("ptx", arch))
    texts = kernels_of(data[section["offset"]: section["offset"] + section["bytes"]].decode())
    products = {name for name, text in texts.items() if instruction in text}
    for kernel in device["kernels"]:
        if kernel["spilled"] or kernel["name"] in products and (kernel["stack"] or kernel["registers"] > most):
            sys.exit(f"{arch}: expected no spilled byte and at most {most} registers, got {kernel}")
    executed = set()
    for rows in (8, 100, 300):
        np.save(FOLDER / "x.npy", generator.standard_normal((rows, HIDDEN)).astype(np.float32))
        np.save(FOLDER / "logits.npy", generator.standard_normal((rows, EXPERTS)).astype(np.float32))
        report = FOLDER / f"{arch}-{rows}.json"
        report.unlink(missing_ok=True)
        run("run", artifact, "--device=emulate", f"--arch={arch}", "--input", f"x={FOLDER}/x.npy", "--input",
            f"logits={FOLDER}/logits.npy", "--output-dir", FOLDER, env={**os.environ, "MOE_EMULATED_REPORT": str(report)})
        for line in report.read_text().splitlines():
            launch = json.loads(line)
            memory = launch["memory"]
            if launch["kernel"] not in products:
                continue
            executed.add(launch["kernel"])
            if not memory["wavefronts"] or memory["wavefronts"] != memory["idealWavefronts"]:
                sys.exit(f"{arch}, {launch['kernel']}: expected no conflict of banks, got {memory}")
    if executed != products or len(products) < 6:
        sys.exit(f"{arch}: expected that kernels {products} are executed, got {executed}")
    print(f"{arch}: {len(products)} kernels with {instruction} keep the budgets")
