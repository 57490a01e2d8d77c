"""Runs artifacts that earlier versions wrote: check_golden.py FOLDER OUT.

Each folder in FOLDER has `model.moe`, an MoE block with a state that grows, its inputs `NAME.npy` and, in `expected`, what
the version that wrote it computed. Folders are added (make_golden.py), never changed.
"""

import pathlib
import re
import subprocess
import sys

import numpy

ROOT, OUT = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
REFUSED = re.compile(r"moec: error: '.*model\.moe' (needs host interface \d+, this runtime has \d+; compile the model again"
                     r"|has format version \d+\.\d+, .*)")

for folder in sorted(ROOT.iterdir()):
    inputs = [f"--input={path.stem}={path}" for path in sorted(folder.glob("*.npy"))]
    out = OUT / folder.name
    result = subprocess.run(["moec", "run", folder / "model.moe", *inputs, "--output-dir", out], capture_output=True,
                            text=True)
    if result.returncode:
        if result.returncode != 1 or not REFUSED.fullmatch(result.stderr.strip()):
            sys.exit(f"{folder.name}: expected numbers or a message about versions, got {result}")
        print(f"{folder.name}: refused")
        continue
    for path in sorted((folder / "expected").glob("*.npy")):
        # The code in the artifact computes the same everywhere, up to the mathematical library.
        numpy.testing.assert_allclose(numpy.load(out / path.name), numpy.load(path), rtol=1e-6, atol=1e-6)
    print(f"{folder.name}: read")
