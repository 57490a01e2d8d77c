"""Writes models whose weight lies in an external file, one good and the others not, to the folder given."""

import os
import pathlib
import sys

from onnx import TensorProto, helper

folder = pathlib.Path(sys.argv[1])


def write(name, location, offset="64", length="128", dims=(8, 4), operator="MatMul"):
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        weight.external_data.add(key=key, value=value)
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", "w"], ["y"], name="product")],
        "main",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["tokens", dims[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["tokens", dims[-1]])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    (folder / f"{name}.onnx").write_bytes(model.SerializeToString())


(folder / "w.bin").write_bytes(bytes(192))
(folder / "link.bin").symlink_to("/etc/hostname")
os.mkfifo(folder / "fifo.bin")
write("good", "w.bin")
write("uniform", "w.bin", dims=(32,), operator="Add")
write("missing", "nowhere.bin")
write("parent", "../w.bin")
write("absolute", "/etc/hostname")
write("link", "link.bin")
write("short", "w.bin", offset="128")
write("number", "w.bin", offset="12abc")
write("fifo", "fifo.bin")
