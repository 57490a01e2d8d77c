"""Writes a model whose extents have numbers for names: python numbered.py FILE."""

import sys

import onnx
from onnx import TensorProto, helper

x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["tokens", "16", "-1"])
y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["tokens", "16", "-1"])
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "graph", [x], [y])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), sys.argv[1])
