"""The forms in which exporters write the experts of a layer.

Each takes the graph, tokens `x` (T x H), `ids` and `weights` (T x K) and a `Layer`, and returns the T x H result. The
forms of GATED also take no ids and weights for all experts (T x E).
"""

from dataclasses import dataclass

import bodies
import numpy as np
import onnx
from graph import TYPES
from onnx import helper


@dataclass
class Layer:
    """What a form needs to know about the experts; `w` has stacks E x in x out and biases E x out."""

    body: bodies.Body
    w: dict
    experts: int
    k: int
    hidden: int
    width: int
    input_weighted: bool = False
    places: int = 0  # of each expert, for the form with a capacity

    def has(self, name):
        """Whether there is a stored stack of this name."""
        if self.body.linear:
            return name == "down"
        if not self.body.gated:
            return name in ("up", "down")
        joined = self.body.stored != "separate"
        return name == "down" or (name == "gate_up") == joined

    def joint(self, name):
        """The stack `name`; "gate_up" is the two first projections in one."""
        suffix = "_bias" if name.endswith("_bias") else ""
        if not name.startswith("gate_up"):
            return self.w[name]
        gate, up = self.w["gate" + suffix], self.w["up" + suffix]
        if self.body.stored == "interleaved":
            return np.stack([gate, up], -1).reshape(*gate.shape[:-1], -1)
        return np.concatenate([gate, up], -1)


def stack_of(g, layer, name, transposed):
    """The stack as an initialiser: E x in x out, or E x out x in if `transposed`, perhaps by a Transpose."""
    stack = layer.joint(name)
    wanted = stack.transpose(0, 2, 1) if transposed else stack
    if g.chance("transposed stack"):
        return g.op("Transpose", g.const(wanted.transpose(0, 2, 1), "w"), perm=[0, 2, 1])
    return g.const(wanted, "w")


def combine(g, y, weights, axis=1):
    """The weighted sum of y (T x K x H) over the slots."""
    way = g.choose("combine", "ReduceSum", "MatMul", "Einsum")
    if way == "MatMul":
        return g.squeeze(g.op("MatMul", g.unsqueeze(weights, 1), y), 1)
    if way == "Einsum":
        return g.op("Einsum", y, weights, equation="tkd,tk->td")
    return g.reduce_sum(g.mul(y, g.unsqueeze(weights, -1)), axis)


def batched(g, x, ids, weights, layer):
    """Gathered matrices, one row for each assignment."""
    k, hidden = layer.k, layer.hidden
    rows = g.reshape(g.repeat(g.unsqueeze(x, 1), 3, 1, k), -1, hidden)
    flat = g.reshape(ids, -1)
    flat_weights = g.unsqueeze(g.reshape(weights, -1), -1)
    if layer.input_weighted:
        rows = g.mul(rows, flat_weights)

    def linear(name, value):
        if g.choose("product", "row first", "matrix first") == "row first":
            matrix = g.gather_rows(stack_of(g, layer, name, False), flat, 1)
            y = g.squeeze(g.op("MatMul", g.unsqueeze(value, 1), matrix), 1)
        else:
            matrix = g.gather_rows(stack_of(g, layer, name, True), flat, 1)
            y = g.squeeze(g.op("MatMul", matrix, g.unsqueeze(value, -1)), -1)
        if layer.body.bias:
            y = g.add(y, g.gather_rows(g.const(layer.joint(name + "_bias")), flat, 1))
        return g.plain(y, 2)

    y = bodies.emit(g, layer.body, linear, rows, layer.width)
    if layer.input_weighted:
        return g.reduce_sum(g.reshape(y, -1, k, hidden), 1)
    if g.choose("weights", "rows", "slots") == "rows":
        return g.reduce_sum(g.reshape(g.mul(y, flat_weights), -1, k, hidden), 1)
    return combine(g, g.reshape(y, -1, k, hidden), weights)


def gathered(g, x, ids, weights, layer):
    """Gathered matrices of rank 4, tokens broadcast over the slots."""
    rows = g.unsqueeze(g.unsqueeze(x, 1), 1)

    def linear(name, value):
        if g.choose("product", "MatMul", "Einsum") == "MatMul":
            matrix = g.gather_rows(stack_of(g, layer, name, False), ids, 2)
            y = g.op("MatMul", value, matrix)
        else:
            matrix = g.gather_rows(stack_of(g, layer, name, True), ids, 2)
            # The first projection may broadcast x over the slots.
            equation = "tkif,tkof->tkio" if value != rows else "tzif,tkof->tkio"
            y = g.op("Einsum", value, matrix, equation=equation)
        if layer.body.bias:
            y = g.add(y, g.unsqueeze(g.gather_rows(g.const(layer.joint(name + "_bias")), ids, 2), 2))
        return y

    y = g.squeeze(bodies.emit(g, layer.body, linear, rows, layer.width), 2)
    return combine(g, y, weights)


def gate_matrix(g, ids, weights, layer):
    """T x E: the weight of each expert for each token, zero where it was not chosen."""
    if ids is None:
        return weights
    way = g.choose("gates", "OneHot", "ScatterElements", "Equal", "MatMul")
    if way == "ScatterElements":
        shape = g.op("Concat", g.op("Shape", ids, start=0, end=1), g.ints(layer.experts), axis=0)
        zeros = g.op("Expand", g.number(0), shape)
        return g.op("ScatterElements", zeros, ids, weights, axis=g.choose("axis", 1, -1))
    if way == "Equal":
        numbers = g.const(np.arange(layer.experts), "experts")
        hot = g.op("Equal", g.unsqueeze(ids, -1), numbers)
        hot = g.op("CastLike", hot, weights)
    else:
        hot = g.one_hot(ids, layer.experts)
    if way == "MatMul":
        return g.squeeze(g.op("MatMul", g.unsqueeze(weights, 1), hot), 1)
    return g.reduce_sum(g.mul(hot, g.unsqueeze(weights, -1)), 1)


def gate_column(g, ids, weights, e, matrix):
    """The weight of expert e for each token, T x 1."""
    if matrix is None:
        hot = g.binary("Equal", ids, g.const(np.int64(e)))
        if g.choose("mask", "Mul", "Where") == "Mul":
            masked = g.mul(g.op("CastLike", hot, weights), weights)
        else:
            masked = g.op("Where", hot, weights, g.number(0))
        return g.reduce_sum(masked, -1, keepdims=1)
    if g.choose("column", "Slice", "Gather") == "Slice":
        return g.op("Slice", matrix, g.ints(e), g.ints(e + 1), g.ints(1))
    return g.unsqueeze(g.op("Gather", matrix, g.const(np.int64(e)), axis=1), 1)


def lane_linear(g, layer, e):
    def linear(name, value):
        bias = layer.joint(name + "_bias")[e] if layer.body.bias else None
        return g.linear(value, layer.joint(name)[e], bias)

    return linear


def dense_loop(g, x, ids, weights, layer):
    """Every expert on all tokens, added one after the other."""
    matrix = gate_matrix(g, ids, weights, layer) if ids is None or g.chance("gate matrix") else None
    outputs = []
    for e in range(layer.experts):
        column = gate_column(g, ids, weights, e, matrix)
        if layer.input_weighted:
            outputs.append(bodies.emit(g, layer.body, lane_linear(g, layer, e), g.mul(x, column), layer.width))
        else:
            y = bodies.emit(g, layer.body, lane_linear(g, layer, e), x, layer.width)
            outputs.append(g.mul(y, column))
    way = g.choose("sum", "chain", "chain from zero", "Sum", "Concat", "tree")
    if way == "Sum":
        return g.op("Sum", *outputs)
    if way == "Concat":
        return g.reduce_sum(g.op("Concat", *[g.unsqueeze(y, 0) for y in outputs], axis=0), 0)
    if way == "tree":
        while len(outputs) > 1:
            pairs = [g.add(a, b) for a, b in zip(outputs[::2], outputs[1::2])]
            outputs = pairs + (outputs[-1:] if len(outputs) % 2 else [])
        return outputs[0]
    if way == "chain from zero":
        outputs.insert(0, zeros_like(g, x))
    total = outputs[0]
    for y in outputs[1:]:
        total = g.add(total, y)
    return total


def zeros_like(g, x):
    return g.op("Expand", g.number(0), g.op("Shape", x))


def dense_stack(g, x, ids, weights, layer):
    """Every expert on all tokens in one batched product."""
    gates = gate_matrix(g, ids, weights, layer)
    way = g.choose("stack", "MatMul", "Einsum tef", "Einsum etf")
    tokens_first = way == "Einsum tef"
    if way == "MatMul" and (layer.input_weighted or g.chance("rows repeated")):
        rows = g.repeat(g.unsqueeze(x, 0), 3, 0, layer.experts)
    else:
        rows = x
    if layer.input_weighted:
        tokens_first, way = False, "MatMul"
        if rows == x:
            rows = g.repeat(g.unsqueeze(x, 0), 3, 0, layer.experts)
        rows = g.mul(rows, g.unsqueeze(g.op("Transpose", gates, perm=[1, 0]), -1))

    def linear(name, value):
        first = value == rows and rows == x
        stack = stack_of(g, layer, name, False)
        if way == "MatMul":
            y = g.op("MatMul", value, stack)
        else:
            left = "td" if first else "ted" if tokens_first else "etd"
            y = g.op("Einsum", value, stack, equation=f"{left},edf->{'tef' if tokens_first else 'etf'}")
        if layer.body.bias:
            bias = g.const(layer.joint(name + "_bias"))
            y = g.add(y, bias if tokens_first else g.unsqueeze(bias, 1))
        return y

    y = bodies.emit(g, layer.body, linear, rows, layer.width)
    if layer.input_weighted:
        return g.reduce_sum(y, 0)
    if tokens_first:
        return combine(g, y, gates)
    return g.reduce_sum(g.mul(y, g.unsqueeze(g.op("Transpose", gates, perm=[1, 0]), -1)), 0)


def loop_nonzero(g, x, ids, weights, layer):
    """For each expert the rows that chose it, added into the result."""
    total = zeros_like(g, x)
    hot = g.op("OneHot", ids, g.const(np.int64(layer.experts)), g.const(np.array([0, 1], np.int64)), axis=-1)
    masks = g.op("Transpose", hot, perm=[2, 1, 0])
    flat_weights = g.reshape(weights, -1, 1)
    way = g.choose("mask", "one-hot", "Equal")
    for e in range(layer.experts):
        if way == "one-hot":
            places = g.op("NonZero", g.op("Gather", masks, g.const(np.int64(e)), axis=0))
            slots, tokens = (g.op("Gather", places, g.const(np.int64(i)), axis=0) for i in (0, 1))
        else:
            places = g.op("NonZero", g.binary("Equal", ids, g.const(np.int64(e))))
            parts = g.op("Split", places, outputs=2, axis=0, num_outputs=2)
            tokens, slots = (g.squeeze(part, 0) for part in parts)
        rows = g.gather_rows(x, tokens, 1)
        y = bodies.emit(g, layer.body, lane_linear(g, layer, e), rows, layer.width)
        if g.choose("row weights", "flat", "pairs") == "flat":
            flat = g.add(g.mul(tokens, g.const(np.int64(layer.k))), slots)
            w = g.gather_rows(flat_weights, flat, 1)
        else:
            pairs = g.op("Concat", g.unsqueeze(tokens, -1), g.unsqueeze(slots, -1), axis=-1)
            w = g.unsqueeze(g.op("GatherND", weights, pairs), -1)
        y = g.mul(y, w)
        if g.choose("add rows", "ScatterND", "ScatterElements") == "ScatterND":
            total = g.op("ScatterND", total, g.unsqueeze(tokens, -1), y, reduction="add")
        else:
            index = g.op("Expand", g.unsqueeze(tokens, -1), g.op("Shape", y))
            total = g.op("ScatterElements", total, index, y, axis=0, reduction="add")
    return total


def grouped(g, x, ids, weights, layer):
    """Rows sorted by expert, one product for the rows of each expert."""
    k, experts = layer.k, layer.experts
    flat = g.reshape(ids, -1)
    ordered, order = g.op("TopK", flat, g.op("Shape", flat), outputs=2, axis=-1, largest=0)
    tokens = g.op("Div", order, g.const(np.int64(k)))
    rows = g.gather_rows(x, tokens, 1)
    if g.choose("histogram", "ScatterElements", "OneHot") == "ScatterElements":
        ones = g.op("Expand", g.const(np.int64(1)), g.op("Shape", ordered))
        zeros = g.const(np.zeros(experts, np.int64))
        counts = g.op("ScatterElements", zeros, ordered, ones, axis=0, reduction="add")
    else:
        hot = g.op("OneHot", flat, g.const(np.int64(experts)), g.const(np.array([0, 1], np.int64)), axis=-1)
        counts = g.reduce_sum(hot, 0)
    ends = g.op("CumSum", counts, g.const(np.int64(0)))
    parts = [g.squeeze(part, 0) for part in g.op("Split", ends, outputs=experts, axis=0, num_outputs=experts)]
    starts = [g.const(np.int64(0))] + parts[:-1]
    by_slice = g.choose("rows", "Range", "Slice") == "Slice"

    def linear(name, value):
        stack = stack_of(g, layer, name, False)
        lanes = g.op("Split", stack, outputs=experts, axis=0, num_outputs=experts)
        products = []
        for start, end, lane in zip(starts, parts, lanes):
            if by_slice:
                own = g.op("Slice", value, g.unsqueeze(start, 0), g.unsqueeze(end, 0), g.ints(0))
            else:
                own = g.op("Gather", value, g.op("Range", start, end, g.const(np.int64(1))), axis=0)
            products.append(g.op("MatMul", own, g.squeeze(lane, 0)))
        y = g.op("Concat", *products, axis=0)
        if layer.body.bias:
            y = g.add(y, g.gather_rows(g.const(layer.joint(name + "_bias")), ordered, 1))
        return y

    y = bodies.emit(g, layer.body, linear, rows, layer.width)
    y = g.mul(y, g.unsqueeze(g.gather_rows(g.reshape(weights, -1), order, 1), -1))
    if g.choose("return", "inverse", "add rows") == "add rows":
        index = g.unsqueeze(tokens, -1)
        return g.op("ScatterND", zeros_like(g, x), index, y, reduction="add")
    length = g.squeeze(g.op("Shape", order), 0)
    positions = g.op("Range", g.const(np.int64(0)), length, g.const(np.int64(1)))
    inverse = g.op("ScatterND", order, g.unsqueeze(order, -1), positions)
    y = g.reshape(g.gather_rows(y, inverse, 1), -1, k, layer.hidden)
    return g.reduce_sum(y, 1)


def one_hot_weights(g, x, ids, weights, layer):
    """Matrices selected by a product with one-hot ids."""
    hot = g.one_hot(ids, layer.experts)

    def linear(name, value):
        matrix = g.op("Einsum", hot, stack_of(g, layer, name, False), equation="tke,edf->tkdf")
        left = "td" if value == x else "tkd"
        y = g.op("Einsum", value, matrix, equation=f"{left},tkdf->tkf")
        if layer.body.bias:
            y = g.add(y, g.op("Einsum", hot, g.const(layer.joint(name + "_bias")), equation="tke,ef->tkf"))
        return y

    return combine(g, bodies.emit(g, layer.body, linear, x, layer.width), weights)


def capacity(g, x, ids, weights, layer):
    """Places for tokens, given out by a running count: GShard's and Switch's dispatch and combine tensors."""
    combine, later = None, None
    for slot in range(layer.k):
        own = g.op("Slice", ids, g.ints(slot), g.ints(slot + 1), g.ints(1))
        hot = g.squeeze(g.one_hot(own, layer.experts), 1)
        count = g.op("Sub", g.op("CumSum", hot, g.const(np.int64(0))), g.number(1))
        if later is not None:
            count = g.add(count, later)
        place = g.mul(count, hot)
        kept = g.mul(hot, g.op("CastLike", g.op("Less", place, g.number(layer.places)), hot))
        number = g.op("Cast", g.reduce_sum(g.mul(place, kept), 1), to=7)
        where = g.one_hot(number, layer.places)
        taken = g.mul(g.unsqueeze(kept, 2), g.unsqueeze(where, 1))
        weight = g.unsqueeze(g.op("Slice", weights, g.ints(slot), g.ints(slot + 1), g.ints(1)), -1)
        part = g.mul(taken, weight)
        combine = part if combine is None else g.add(combine, part)
        total = g.reduce_sum(hot, 0, keepdims=1)
        later = total if later is None else g.add(later, total)
    dispatch = taken if layer.k == 1 else g.op("CastLike", g.op("Greater", combine, g.number(0)), combine)
    rows = g.op("Einsum", dispatch, x, equation="tec,td->ecd")

    def linear(name, value):
        y = g.op("Einsum", value, stack_of(g, layer, name, False), equation="ecd,edf->ecf")
        return g.add(y, g.unsqueeze(g.const(layer.joint(name + "_bias")), 1)) if layer.body.bias else y

    y = bodies.emit(g, layer.body, linear, rows, layer.width)
    return g.op("Einsum", combine, y, equation="tec,ecd->td")


def chosen_results(g, x, ids, weights, layer):
    """The results of all experts, out of which ids choose."""
    if g.choose("results", "stack", "lanes") == "stack":

        def linear(name, value):
            left = "td" if value == x else "ted"
            y = g.op("Einsum", value, stack_of(g, layer, name, False), equation=f"{left},edf->tef")
            return g.add(y, g.const(layer.joint(name + "_bias"))) if layer.body.bias else y

        results = bodies.emit(g, layer.body, linear, x, layer.width)
    else:
        lanes = [bodies.emit(g, layer.body, lane_linear(g, layer, e), x, layer.width) for e in range(layer.experts)]
        results = g.op("Concat", *[g.unsqueeze(lane, 1) for lane in lanes], axis=1)
    if g.choose("choice", "GatherElements", "GatherND") == "GatherElements":
        index = g.op("Expand", g.unsqueeze(ids, -1), g.ints(1, 1, layer.hidden))
        chosen = g.op("GatherElements", results, index, axis=1)
    else:
        length = g.squeeze(g.op("Shape", x, start=0, end=1), 0)
        tokens = g.op("Range", g.const(np.int64(0)), length, g.const(np.int64(1)))
        tokens = g.op("Expand", g.unsqueeze(tokens, 1), g.op("Shape", ids))
        chosen = g.op("GatherND", results, g.op("Concat", g.unsqueeze(tokens, -1), g.unsqueeze(ids, -1), axis=-1))
    return combine(g, chosen, weights)


def selected(g, x, ids, weights, layer):
    """For one expert per token: a chain of selections by masks."""
    y = zeros_like(g, x)
    for e in range(layer.experts):
        own = bodies.emit(g, layer.body, lane_linear(g, layer, e), x, layer.width)
        y = g.op("Where", g.binary("Equal", ids, g.const(np.int64(e))), own, y)
    return g.mul(y, weights)


def body_graph(g, inputs, build):
    """The body of a loop: `build` adds its nodes to `g` and returns the names of its outputs."""
    kept, g.nodes = g.nodes, []
    outputs = build()
    nodes, g.nodes = g.nodes, kept
    typed = [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in outputs]
    return helper.make_graph(nodes, g.name("body"), inputs, typed)


def loop(g, x, ids, weights, layer):
    """A Scan over the stacks, or a Loop that gathers the matrices of its turn."""
    names = [name for name in ("gate_up", "gate", "up", "down") if layer.has(name)]
    names += [name + "_bias" for name in names if layer.body.bias]
    gates = g.op("Transpose", gate_matrix(g, ids, weights, layer), perm=[1, 0])
    kind, hidden = TYPES[g.dtype], layer.hidden
    state = g.name("state")
    by_scan = g.choose("loop", "Scan", "Loop") == "Scan"
    arguments = [helper.make_tensor_value_info(state, kind, [None, hidden])]
    stacks = {name: g.const(layer.joint(name), "w") for name in names}
    own, turn = {}, g.name("turn")
    if by_scan:
        own = {name: g.name("own") for name in [*names, "gates"]}
        shapes = {name: layer.joint(name).shape[1:] for name in names} | {"gates": [None]}
        arguments += [helper.make_tensor_value_info(own[name], kind, shapes[name]) for name in own]

    def build():
        condition = []
        if not by_scan:
            for name in [*names, "gates"]:
                own[name] = g.op("Gather", stacks.get(name, gates), turn, axis=0)
            condition = [(g.op("Identity", "condition"), onnx.TensorProto.BOOL, [])]

        def linear(name, value):
            y = g.op("MatMul", value, own[name])
            return g.add(y, own[name + "_bias"]) if layer.body.bias else y

        y = bodies.emit(g, layer.body, linear, x, layer.width)
        return condition + [(g.add(state, g.mul(y, g.unsqueeze(own["gates"], -1))), kind, [None, hidden])]

    if by_scan:
        body = body_graph(g, arguments, build)
        return g.op("Scan", zeros_like(g, x), *stacks.values(), gates, body=body, num_scan_inputs=len(own))
    # The names in a body must differ from those outside; two loops may share them.
    counters = [helper.make_tensor_value_info(turn, onnx.TensorProto.INT64, []),
                helper.make_tensor_value_info("condition", onnx.TensorProto.BOOL, [])]
    body = body_graph(g, counters + arguments, build)
    result = g.op("Loop", g.const(np.int64(layer.experts)), g.const(np.array(True)), zeros_like(g, x), body=body)
    # As exporters do: the standard's inference takes it that a state may change its shape.
    g.stated.append(helper.make_tensor_value_info(result, kind, [None, hidden]))
    return result


def padded(g, x, ids, weights, layer):
    """Rows scattered into a buffer with enough places for each expert, and gathered from it."""
    k, hidden, places = layer.k, layer.hidden, layer.places
    flat = g.reshape(ids, -1)
    hot = g.op("OneHot", flat, g.const(np.int64(layer.experts)), g.const(np.array([0, 1], np.int64)), axis=-1)
    count = g.op("Mul", g.op("CumSum", hot, g.const(np.int64(0))), hot)
    place = g.op("Sub", g.reduce_sum(count, 1), g.const(np.int64(1)))
    target = g.unsqueeze(g.add(g.mul(flat, g.const(np.int64(places))), place), -1)
    rows = g.reshape(g.repeat(g.unsqueeze(x, 1), 3, 1, k), -1, hidden)
    if g.choose("buffer", "ConstantOfShape", "Expand") == "Expand":
        empty = g.op("Expand", g.number(0), g.ints(layer.experts * places, hidden))
    else:
        empty = g.const(np.zeros((layer.experts * places, hidden)))
    buffer = g.reshape(g.op("ScatterND", empty, target, rows), layer.experts, places, hidden)

    def linear(name, value):
        y = g.op("MatMul", value, stack_of(g, layer, name, False))
        return g.add(y, g.unsqueeze(g.const(layer.joint(name + "_bias")), 1)) if layer.body.bias else y

    y = g.reshape(bodies.emit(g, layer.body, linear, buffer, layer.width), -1, hidden)
    y = g.reshape(g.op("GatherND", y, target), -1, k, hidden)
    return combine(g, y, weights)


FORMS = {
    "batched": batched,
    "gathered": gathered,
    "dense loop": dense_loop,
    "dense stack": dense_stack,
    "loop with NonZero": loop_nonzero,
    "grouped": grouped,
    "one-hot weights": one_hot_weights,
    "capacity": capacity,
    "chosen results": chosen_results,
    "selected": selected,
    "loop": loop,
    "padded": padded,
}
# Those that take gates of all experts.
GATED = ("dense loop", "dense stack", "loop")
