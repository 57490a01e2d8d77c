"""Kills `moec compile` at different moments: python interrupt.py MODEL ARTIFACT. The old artifact must survive."""

import os
import pathlib
import subprocess
import sys
import time

model, artifact = sys.argv[1], pathlib.Path(sys.argv[2])
command = ["moec", "compile", model, "-o", str(artifact)]
start = time.monotonic()
subprocess.run(command, check=True)
duration = time.monotonic() - start
whole = artifact.read_bytes()
for moment in range(12):
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    time.sleep(duration * moment / 11)
    process.kill()
    process.wait()
    assert artifact.read_bytes() == whole, moment
    assert os.listdir(artifact.parent) == [artifact.name], os.listdir(artifact.parent)
