"""Compiles one router with the lowering of the target stage and runs it.

Programs take the arguments MOEC FOLDER [ASAN]; with the path of the AddressSanitizer library every access to memory of the
generated code is checked.
"""

import os
import pathlib
import subprocess
import sys

import numpy as np

MOEC, FOLDER, ASAN = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]


def compile_router(name, experts, k, attributes, bias=None, expert_scale=None, element="f32"):
    operands, constants = "", ""
    for operand, values in (("select_bias", bias), ("expert_scale", expert_scale)):
        if values is not None:
            numbers = ", ".join(repr(float(v)) for v in values)
            constants += f"  %{operand} = arith.constant dense<[{numbers}]> : tensor<{experts}xf32>\n"
            operands += f" {operand}(%{operand} : tensor<{experts}xf32>)"
    types = f"tensor<?x{k}xi32>, tensor<?x{k}xf32>, tensor<?xi32>, tensor<{experts + 1}xi32>"
    named = ", ".join(f'{type} {{moe.name = "{name}"}}'
                      for type, name in zip(types.split(", "), ("ids", "weights", "rows", "offsets")))
    (FOLDER / f"{name}.mlir").write_text(f"""
func.func @main(%z: tensor<?x{experts}x{element}> {{moe.name = "z"}}) -> ({named}) {{
{constants}  %ids, %weights, %rows, %offsets = moe.route_permute %z{operands} top_k({k}) {attributes}
    : tensor<?x{experts}x{element}> -> {types}
  return %ids, %weights, %rows, %offsets : {types}
}}
""")
    subprocess.run([MOEC, "compile", FOLDER / f"{name}.mlir", "--start-from=plan", "--cpu=native", "-q", "-o",
                    FOLDER / f"{name}.moe", *(["--sanitize=address"] if ASAN else [])], check=True)


def run_router(name, logits):
    """ids, weights, rows, offsets."""
    np.save(FOLDER / "z.npy", logits)
    environment = {**os.environ, "LD_PRELOAD": ASAN[0], "ASAN_OPTIONS": "detect_leaks=0"} if ASAN else None
    subprocess.run([MOEC, "run", FOLDER / f"{name}.moe", "--input", f"z={FOLDER}/z.npy", "--output-dir", FOLDER],
                   check=True, stdout=subprocess.DEVNULL, env=environment)
    return [np.load(FOLDER / f"{output}.npy") for output in ("ids", "weights", "rows", "offsets")]


def check(condition, name, what):
    if not np.all(condition):
        sys.exit(f"{name}: {what}")


def check_choice(name, ids, experts):
    check((ids >= 0) & (ids < experts), name, "ids out of range")
    ordered = np.sort(ids, -1)
    check(ordered[:, 1:] != ordered[:, :-1], name, "an expert is chosen twice")


def check_permutation(name, ids, rows, offsets, experts):
    flat = ids.reshape(-1)
    check(len(rows) == len(flat), name, "assignments are missing")
    check(rows == np.argsort(flat, kind="stable"), name, "rows are not the assignments in the order of experts")
    check(offsets == np.concatenate([[0], np.cumsum(np.bincount(flat, minlength=experts))]), name, "wrong offsets")
