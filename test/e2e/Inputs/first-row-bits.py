"""Compares the first row of all outputs of a model for one row and for many.

Usage: first-row-bits.py MOEC ARTIFACT WIDTH FOLDER; the input is `x`, rows of WIDTH numbers.
"""

import pathlib
import subprocess
import sys

import numpy as np

moec, artifact, width, folder = *sys.argv[1:3], int(sys.argv[3]), pathlib.Path(sys.argv[4])
x = np.random.default_rng(7).standard_normal((512, width)).astype(np.float32)
first = []
for rows in (1, 3, 5, 512):
    np.save(folder / "x.npy", x[:rows])
    out = folder / f"rows-{rows}"
    subprocess.run([moec, "run", artifact, "--input", f"x={folder}/x.npy", "--output-dir", out], check=True,
                   stdout=subprocess.DEVNULL)
    first.append({path.name: np.load(path)[0].tobytes() for path in sorted(out.glob("*.npy"))})
if not first[0] or any(other != first[0] for other in first):
    sys.exit("the bits of a row depend on the rows beside it")
print("equal bits")
