"""Builds small ONNX graphs node by node."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper


class Graph:
    def __init__(self):
        self.nodes, self.initializers, self.inputs, self.outputs = [], [], [], []

    def input(self, name, shape, element=TensorProto.FLOAT):
        self.inputs.append(helper.make_tensor_value_info(name, element, shape))
        return name

    def output(self, name, value, shape, element=TensorProto.FLOAT):
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, element, shape))

    def constant(self, value):
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def stored(self, element, shape, raw):
        """A constant of a type that numpy lacks, from its bytes."""
        name = f"c{len(self.initializers)}"
        self.initializers.append(helper.make_tensor(name, element, shape, raw, raw=True))
        return name

    def op(self, kind, *inputs, outputs=1, domain="", **attributes):
        """Adds a node; arrays and numbers among its inputs become constants. Returns the name of its result, or a list."""
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        results = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, names, results, domain=domain, **attributes))
        return results[0] if outputs == 1 else results

    def write(self, path, opset=20):
        graph = helper.make_graph(self.nodes, "main", self.inputs, self.outputs, self.initializers)
        imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        path.write_bytes(helper.make_model(graph, opset_imports=imports, ir_version=10).SerializeToString())
