"""Writes an artifact for check_golden.py with the moec in PATH: make_golden.py FOLDER. Never overwrites one."""

import pathlib
import subprocess
import sys
import tempfile

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

FOLDER = pathlib.Path(sys.argv[1])
EXPERTS, HIDDEN, INNER = 4, 8, 16


def make_model(path):
    """y = an MoE block of x; present = past followed by the halves of the rows of x."""
    random = numpy.random.default_rng(0)
    weights = {"router": (HIDDEN, EXPERTS), "up": (EXPERTS, INNER, HIDDEN), "down": (EXPERTS, HIDDEN, INNER)}
    initializers = [numpy_helper.from_array(random.standard_normal(shape).astype(numpy.float32), name)
                    for name, shape in weights.items()]
    initializers.append(numpy_helper.from_array(numpy.array([0, 2, HIDDEN // 2]), "halves"))
    nodes = [helper.make_node("MatMul", ["x", "router"], ["logits"], "router"),
             helper.make_node("MoE", ["x", "logits", "up", "", "down"], ["y"], "experts", domain="com.microsoft", k=2,
                              activation_type="relu", normalize_routing_weights=1),
             helper.make_node("Reshape", ["x", "halves"], ["pairs"], "split"),
             helper.make_node("Transpose", ["pairs"], ["new"], "heads", perm=[1, 0, 2]),
             helper.make_node("Concat", ["past", "new"], ["present"], "cache", axis=1)]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "golden", [value("x", TensorProto.FLOAT, ["tokens", HIDDEN]),
                                                value("past", TensorProto.FLOAT, [2, "past", HIDDEN // 2])],
                              [value("y", TensorProto.FLOAT, ["tokens", HIDDEN]),
                               value("present", TensorProto.FLOAT, [2, "total", HIDDEN // 2])], initializers)
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20),
                                                                     helper.make_opsetid("com.microsoft", 1)]), path)


def main():
    FOLDER.mkdir(parents=True)
    random = numpy.random.default_rng(1)
    numpy.save(FOLDER / "x.npy", random.standard_normal((5, HIDDEN)).astype(numpy.float32))
    numpy.save(FOLDER / "past.npy", random.standard_normal((2, 3, HIDDEN // 2)).astype(numpy.float32))
    with tempfile.TemporaryDirectory() as temporary:
        model = pathlib.Path(temporary) / "model.onnx"
        make_model(model)
        subprocess.run(["moec", "compile", model, "-o", FOLDER / "model.moe", "--cpu", "x86-64-v3"], check=True)
    subprocess.run(["moec", "run", FOLDER / "model.moe", f"--input=x={FOLDER}/x.npy", f"--input=past={FOLDER}/past.npy",
                    "--output-dir", FOLDER / "expected"], check=True)


main()
