"""Compares what `moec run --record-routing` writes with the choices that moe-expose-routing returns from the model.

Usage: check_recording.py MODEL.onnx FOLDER [DATA]

The two artifacts come from one module after the convert phase; DATA is a folder of input_N.pb (default: the model's first).
"""

import json
import pathlib
import subprocess
import sys

import numpy
import onnx
from onnx import numpy_helper

MODEL, FOLDER = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
DATA = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else MODEL.parent / "test_data_set_0"


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    base = f"--base-dir={MODEL.parent}"
    run("moec", "compile", MODEL, "--stop-after=convert", "-o", FOLDER / "convert.mlir")
    run("moe-opt", FOLDER / "convert.mlir", "--moe-expose-routing", "-o", FOLDER / "exposed.mlir")
    for name in ("convert", "exposed"):
        run("moec", "compile", FOLDER / f"{name}.mlir", "--start-from=fuse", base, "--cpu=native", "-o",
            FOLDER / f"{name}.moe")
    inputs = []
    for i, value in enumerate(onnx.load(MODEL, load_external_data=False).graph.input):
        inputs += ["--input", f"{value.name}={DATA}/input_{i}.pb"]
    run("moec", "run", FOLDER / "convert.moe", *inputs, "--record-routing", FOLDER / "trace.npz", "--output-dir", FOLDER)
    run("moec", "run", FOLDER / "exposed.moe", *inputs, "--output-dir", FOLDER)

    trace = numpy.load(FOLDER / "trace.npz")
    layers = json.loads(run("moec", "inspect", FOLDER / "convert.moe", "--json"))["experts"]["layers"]
    names = json.loads(trace["names.json"])
    assert names == [layer["name"] for layer in layers], names
    assert trace["experts"].tolist() == [layer["experts"] for layer in layers]
    for i, layer in enumerate(layers):
        ids, weights = trace[f"ids_{i}"], trace[f"weights_{i}"]
        expected = numpy.load(FOLDER / f"routing.{i}.npy")
        assert ids.dtype == numpy.int32 and weights.dtype == numpy.float32 and weights.shape == ids.shape
        assert ids.shape[1] == layer["slots"] and (ids == expected).all(), (i, ids, expected)
    assert f"ids_{len(layers)}" not in trace
    print(f"{len(layers)} layers of {len(trace['ids_0'])} tokens agree")


main()
