"""The compiler, through its command."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Sequence

from . import _library


def find_command() -> str:
    places = _library.candidates("MOEC_BINARY", "bin/moec", "bin/moec")
    found = next((place for place in places if os.access(place, os.X_OK)), None) or shutil.which("moec")
    if not found:
        raise _library.Error("cannot find the command moec; set MOEC_BINARY to its path")
    return found


def compile(model: str | os.PathLike, output: str | os.PathLike, *, cpu: Sequence[str] = (), fail_on_missed: bool = False,
            options: Sequence[str] = ()) -> str:
    """Compiles an ONNX model into an artifact.

    Args:
        model: the `.onnx` file.
        output: the `.moe` file to write; it is replaced only by a complete one.
        cpu: instruction set levels to compile for, such as "x86-64-v4" or "native"; empty: the command's default.
        fail_on_missed: an MoE block that is not recognised is an error.
        options: more options of `moec compile`, as on the command line.

    Returns: what the command printed, such as the remarks that `--remarks` asks for.

    Raises: Error with the messages of the compiler.
    """
    command = [find_command(), "compile", os.fspath(model), "-o", os.fspath(output)]
    if cpu:
        command.append("--cpu=" + ",".join(cpu))
    if fail_on_missed:
        command.append("--fail-on-missed")
    result = subprocess.run(command + list(options), capture_output=True, text=True)
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        raise _library.Error("\n".join(lines) or f"moec ended with status {result.returncode}")
    return result.stdout + result.stderr
