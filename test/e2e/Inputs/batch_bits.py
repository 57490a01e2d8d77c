"""Runs a model on one sequence and on many, and compares the bits of the first.

Usage: batch_bits.py MOEC MODEL FOLDER
"""

import pathlib
import subprocess
import sys

import numpy as np

MOEC, MODEL, FOLDER = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])


def run(ids):
    np.save(FOLDER / "ids.npy", ids)
    np.save(FOLDER / "mask.npy", np.ones_like(ids))
    subprocess.run([MOEC, "run", FOLDER / "model.moe", "--input", f"input_ids={FOLDER}/ids.npy", "--input",
                    f"attention_mask={FOLDER}/mask.npy", "--output-dir", FOLDER], check=True, capture_output=True)
    return np.load(FOLDER / "logits.npy")


subprocess.run([MOEC, "compile", MODEL, "-q", "--cpu=native", "-o", FOLDER / "model.moe"], check=True)
many = np.random.default_rng(3).integers(0, 256, (73, 7))
batch = run(many)
for row in (0, 5, 72):
    alone = run(many[row:row + 1])
    different = (alone.view(np.uint32) != batch[row:row + 1].view(np.uint32)).sum()
    print(f"sequence {row}: {different} of {alone.size} numbers differ")
