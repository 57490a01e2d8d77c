"""An ONNX graph under construction that writes each operation in one of the ways exporters write it."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TYPES = {"f32": TensorProto.FLOAT, "f16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}


def to_tensor(array, name, dtype):
    """A tensor proto; `dtype` names the float type that float arrays are stored in."""
    array = np.asarray(array)
    if array.dtype.kind != "f":
        return numpy_helper.from_array(array, name)
    kind = {"f32": np.float32, "f16": np.float16}.get(dtype)
    if kind:
        return numpy_helper.from_array(array.astype(kind), name)
    bits = round_to(array, "bf16").astype(np.float32).view(np.uint32) >> 16
    tensor = TensorProto(name=name, data_type=TensorProto.BFLOAT16, dims=array.shape)
    tensor.raw_data = bits.astype("<u2").tobytes()
    return tensor


def round_to(array, dtype):
    """`array` with the precision of `dtype`, as float64."""
    array = np.asarray(array, np.float32)
    if dtype == "f16":
        array = array.astype(np.float16)
    elif dtype == "bf16":
        bits = array.view(np.uint32)
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
        array = bits.astype(np.uint32).view(np.float32)
    return array.astype(np.float64)


class Graph:
    """Nodes and initialisers. `rng` decides between equal ways to write an operation; `level` is how often."""

    def __init__(self, rng, dtype="f32", level=0.5):
        self.rng, self.dtype, self.level = rng, dtype, level
        self.nodes, self.initializers, self.inputs, self.outputs, self.stated = [], [], [], [], []
        self.count = 0
        self.rewrites = []

    # Names and raw nodes.

    def name(self, hint="v"):
        self.count += 1
        return f"{hint}_{self.count}"

    def op(self, kind, *inputs, outputs=1, domain="", **attributes):
        names = [self.name(kind.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def const(self, array, hint="c"):
        name = self.name(hint)
        tensor = to_tensor(array, name, self.dtype)
        if np.asarray(array).size <= 8 and self.chance("constant as node"):
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self.initializers.append(tensor)
        return name

    def ints(self, *values):
        return self.const(np.array(values, np.int64))

    def number(self, value):
        return self.const(np.float32(value))

    def chance(self, what):
        """Whether to take the unusual way `what`."""
        taken = self.rng.random() < self.level * 0.6
        if taken:
            self.rewrites.append(what)
        return taken

    def choose(self, what, *ways):
        if self.rng.random() >= self.level:
            return ways[0]
        if self.dtype == "bf16":  # The standard's Einsum takes no bf16.
            ways = [way for way in ways if not str(way).startswith("Einsum")]
        way = ways[self.rng.integers(len(ways))]
        self.rewrites.append(f"{what}: {way}")
        return way

    # Arithmetic, commuted.

    def binary(self, kind, a, b):
        return self.op(kind, b, a) if self.chance("commuted") else self.op(kind, a, b)

    def add(self, a, b):
        return self.binary("Add", a, b)

    def mul(self, a, b):
        return self.binary("Mul", a, b)

    # Movement of data, with detours that change nothing.

    def plain(self, value, rank):
        """`value`, perhaps by a detour."""
        way = self.choose("detour", "none", "identity", "cast", "unsqueeze", "transpose", "none")
        if way == "identity":
            return self.op("Identity", value)
        if way == "cast":
            return self.op("Cast", value, to=TYPES[self.dtype])
        if way == "unsqueeze":
            return self.op("Squeeze", self.op("Unsqueeze", value, self.ints(0)), self.ints(0))
        if way == "transpose" and rank >= 2:
            perm = list(range(rank))
            perm[-1], perm[-2] = perm[-2], perm[-1]
            return self.op("Transpose", self.op("Transpose", value, perm=perm), perm=perm)
        return value

    def reshape(self, value, *shape):
        if self.chance("shape computed"):
            parts = [self.ints(extent) for extent in shape]
            return self.op("Reshape", value, self.op("Concat", *parts, axis=0))
        return self.op("Reshape", value, self.ints(*shape), allowzero=0)

    def unsqueeze(self, value, axis):
        return self.op("Unsqueeze", value, self.ints(axis))

    def squeeze(self, value, axis):
        return self.op("Squeeze", value, self.ints(axis))

    def reduce_sum(self, value, axis, keepdims=0):
        return self.op("ReduceSum", value, self.ints(axis), keepdims=keepdims)

    def repeat(self, value, rank, axis, times):
        """`value`, whose `axis` has extent 1, `times` times along it."""
        counts = [1] * rank
        counts[axis] = times
        kind = self.choose("repeat", "Expand", "Tile")
        return self.op(kind, value, self.ints(*counts))

    def gather_rows(self, data, ids, rank):
        """data[ids] along the first axis; `rank` is that of `ids`."""
        if self.choose("gather", "Gather", "GatherND") == "Gather":
            return self.op("Gather", data, ids, axis=0)
        return self.op("GatherND", data, self.unsqueeze(ids, rank))

    def halves(self, value, width, interleaved):
        """The two halves of the last axis of 2 * width."""
        if interleaved:
            return [self.slice(value, start, 2 * width, 2) for start in (0, 1)]
        if self.choose("halves", "Split", "Slice") == "Split":
            if self.chance("sizes of a split"):
                return self.op("Split", value, self.ints(width, width), outputs=2, axis=-1)
            return self.op("Split", value, outputs=2, axis=-1, num_outputs=2)
        return [self.slice(value, 0, width, 1, last=False), self.slice(value, width, 2 * width, 1)]

    def one_hot(self, ids, extent):
        """0 and 1 in the type of the graph; the standard's OneHot takes no bf16."""
        dtype = np.int64 if self.dtype == "bf16" else np.float32
        hot = self.op("OneHot", ids, self.const(np.int64(extent)), self.const(np.array([0, 1], dtype)), axis=-1)
        return self.op("Cast", hot, to=TYPES[self.dtype]) if self.dtype == "bf16" else hot

    def slice(self, value, start, end, step, last=True):
        end = 2**63 - 1 if last and self.chance("open end") else end
        return self.op("Slice", value, self.ints(start), self.ints(end), self.ints(-1), self.ints(step))

    def linear(self, x, weights, bias=None, rank=2):
        """x @ weights (in x out) + bias."""
        ways = ["MatMul", "Transpose"] + (["Gemm", "Gemm transB"] if rank == 2 else [])
        way = self.choose("linear", *ways)
        if way.startswith("Gemm"):
            transposed = way.endswith("transB")
            operands = [x, self.const(weights.T if transposed else weights, "w")]
            if bias is not None:
                operands.append(self.const(bias, "b"))
            return self.op("Gemm", *operands, transB=int(transposed))
        if way == "Transpose":
            matrix = self.op("Transpose", self.const(weights.T, "w"), perm=[1, 0])
        else:
            matrix = self.const(weights, "w")
        y = self.op("MatMul", x, matrix)
        return y if bias is None else self.add(y, self.const(bias, "b"))

    # The model.

    def build(self, opset):
        graph = helper.make_graph(self.nodes, "generated", self.inputs, self.outputs, self.initializers,
                                  value_info=self.stated)
        imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=10)
        return onnx.shape_inference.infer_shapes(model)
