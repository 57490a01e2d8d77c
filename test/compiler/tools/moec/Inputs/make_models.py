"""Writes small models with test data for the tests of moec: python make_models.py FOLDER."""

import pathlib
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper


def save(folder, nodes, inputs, outputs, initializers):
    folder.mkdir(parents=True, exist_ok=True)
    graph = helper.make_graph(nodes, "graph", inputs, outputs,
                              [numpy_helper.from_array(value, name) for name, value in initializers.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, folder / "model.onnx")


def save_tensor(path, name, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(numpy_helper.from_array(value, name).SerializeToString())


def linear(folder):
    """y = x w + b, with a right and a wrong set of outputs."""
    random = numpy.random.default_rng(0)
    w = random.standard_normal((40, 50)).astype(numpy.float32)
    b = random.standard_normal(50).astype(numpy.float32)
    x = random.standard_normal((3, 40)).astype(numpy.float32)
    y = x @ w + b
    save(folder, [helper.make_node("MatMul", ["x", "w"], ["product"], "matmul"),
                  helper.make_node("Add", ["product", "b"], ["y"], "add")],
         [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 40])],
         [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 50])], {"w": w, "b": b})
    save_tensor(folder / "test_data_set_0/input_0.pb", "x", x)
    save_tensor(folder / "test_data_set_0/output_0.pb", "y", y)
    wrong = y.copy()
    wrong[1, 7] += 1
    save_tensor(folder / "wrong/input_0.pb", "x", x)
    save_tensor(folder / "wrong/output_0.pb", "y", wrong)
    save_tensor(folder / "shape/input_0.pb", "x", x)
    save_tensor(folder / "shape/output_0.pb", "y", y[:2])
    numpy.save(folder / "x.npy", x)
    numpy.save(folder / "x-f64.npy", x.astype(numpy.float64))
    numpy.save(folder / "x-narrow.npy", numpy.ascontiguousarray(x[:, :39]))
    numpy.save(folder / "y.npy", y)


def successor(folder):
    """A language model without a cache: byte t is followed by t + 1."""
    table = numpy.roll(numpy.eye(256, dtype=numpy.float32), 1, axis=1)
    save(folder, [helper.make_node("Gather", ["table", "input_ids"], ["logits"], "gather")],
         [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"])],
         [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "sequence", 256])], {"table": table})


def counter(folder):
    """A language model with a cache: the n-th byte of a text is 64 + n, whatever came before."""
    table = numpy.roll(numpy.eye(256, dtype=numpy.float32), 65, axis=1)
    nodes = [helper.make_node("Cast", ["input_ids"], ["numbers"], "cast", to=TensorProto.FLOAT),
             helper.make_node("Concat", ["past_key_values.0", "numbers"], ["present.0"], "concat", axis=1),
             helper.make_node("Shape", ["present.0"], ["shape"], "shape", start=1),
             helper.make_node("Gather", ["table", "shape"], ["row"], "gather"),
             helper.make_node("Unsqueeze", ["row", "zero"], ["logits"], "unsqueeze")]
    save(folder, nodes,
         [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "sequence"]),
          helper.make_tensor_value_info("past_key_values.0", TensorProto.FLOAT, [1, "past"])],
         [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 1, 256]),
          helper.make_tensor_value_info("present.0", TensorProto.FLOAT, [1, "past + sequence"])],
         {"table": table, "zero": numpy.zeros(1, numpy.int64)})


def stepper(folder):
    """A language model that takes one token at a time and says how many came before it, in every way it is told:
    byte t at place n is followed by t + n + length - length of the past - last place + 1."""
    nodes = [helper.make_node("Add", ["input_ids", "cache_position"], ["sum"], "add"),
             helper.make_node("Cast", ["seqlens_k"], ["last"], "cast", to=TensorProto.INT64),
             helper.make_node("Add", ["total_sequence_length", "last"], ["lengths"], "add_total"),
             helper.make_node("Add", ["past_seq_len", "last"], ["places"], "add_past"),
             helper.make_node("Sub", ["lengths", "places"], ["one"], "sub"),
             helper.make_node("Add", ["sum", "one"], ["next"], "add_one"),
             helper.make_node("Gather", ["table", "next"], ["logits"], "gather"),
             helper.make_node("Concat", ["input.past.0", "input_ids"], ["output.past.0"], "concat", axis=1)]
    save(folder, nodes,
         [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", 1]),
          helper.make_tensor_value_info("cache_position", TensorProto.INT64, [1]),
          helper.make_tensor_value_info("seqlens_k", TensorProto.INT32, ["batch"]),
          helper.make_tensor_value_info("total_sequence_length", TensorProto.INT64, []),
          helper.make_tensor_value_info("past_seq_len", TensorProto.INT64, []),
          helper.make_tensor_value_info("input.past.0", TensorProto.INT64, ["batch", "past"])],
         [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1, 256]),
          helper.make_tensor_value_info("output.past.0", TensorProto.INT64, ["batch", "past + 1"])],
         {"table": numpy.eye(256, dtype=numpy.float32)})


def fixed(folder):
    """A language model for two sequences of six tokens: byte t is followed by t + 1 times the mask."""
    table = numpy.eye(256, dtype=numpy.float32)
    nodes = [helper.make_node("Add", ["input_ids", "attention_mask"], ["next"], "add"),
             helper.make_node("Gather", ["table", "next"], ["logits"], "gather")]
    save(folder, nodes,
         [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [2, 6]),
          helper.make_tensor_value_info("attention_mask", TensorProto.INT64, [2, 6])],
         [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [2, 6, 256])], {"table": table})


def main():
    folder = pathlib.Path(sys.argv[1])
    linear(folder / "linear")
    successor(folder / "successor")
    counter(folder / "counter")
    stepper(folder / "stepper")
    fixed(folder / "fixed")


main()
