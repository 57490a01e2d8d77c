"""One layer of gated experts in each of the forms that exporters write. Every function takes a Graph, the names of the
rows x [T, H] and the logits z [T, E], the weights and k, and returns the name of the combined rows [T, H]."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class Weights:
    gate: np.ndarray
    up: np.ndarray
    down: np.ndarray

    @staticmethod
    def random(generator, experts, hidden, inner):
        def stack(*shape):
            return (generator.standard_normal(shape) * shape[1] ** -0.5).astype(np.float32)

        return Weights(stack(experts, hidden, inner), stack(experts, hidden, inner), stack(experts, inner, hidden))


def int64(*values):
    return np.array(values, dtype=np.int64)


def route(g, z, k):
    """softmax, the k largest, renormalised: weights and ids [T, k]."""
    values, ids = g.op("TopK", g.op("Softmax", z, axis=-1), int64(k), outputs=2, axis=-1)
    return g.op("Div", values, g.op("ReduceSum", values, int64(-1), keepdims=1)), ids


def activate(g, gate, up):
    return g.op("Mul", g.op("Mul", gate, g.op("Sigmoid", gate)), up)


def microsoft(g, x, z, weights, k):
    """com.microsoft.MoE with interleaved gate and up projections."""
    fc1 = np.stack([weights.gate.transpose(0, 2, 1), weights.up.transpose(0, 2, 1)], 2)
    fc1 = np.ascontiguousarray(fc1.reshape(fc1.shape[0], -1, fc1.shape[-1]))
    fc2 = np.ascontiguousarray(weights.down.transpose(0, 2, 1))
    return g.op("MoE", x, z, fc1, "", fc2, domain="com.microsoft", k=k, activation_type="swiglu", swiglu_fusion=1,
                activation_alpha=1.0, normalize_routing_weights=1)


def batched(g, x, z, weights, k):
    """Gathered weights, one batched product for all assignments."""
    experts, hidden, inner = weights.gate.shape
    mix, ids = route(g, z, k)
    rows = g.op("Reshape", g.op("Expand", g.op("Unsqueeze", x, int64(1)), int64(1, k, 1)), int64(-1, hidden))
    index = g.op("Unsqueeze", g.op("Reshape", ids, int64(-1)), int64(-1))

    def product(rows, stack):
        gathered = g.op("GatherND", np.ascontiguousarray(stack.transpose(0, 2, 1)), index)
        return g.op("Squeeze", g.op("MatMul", gathered, g.op("Unsqueeze", rows, int64(-1))), int64(-1))

    both = product(rows, np.concatenate([weights.gate, weights.up], 2))
    gate, up = g.op("Split", both, outputs=2, axis=1, num_outputs=2)
    y = product(activate(g, gate, up), weights.down)
    y = g.op("Mul", y, g.op("Unsqueeze", g.op("Reshape", mix, int64(-1)), int64(-1)))
    return g.op("ReduceSum", g.op("Reshape", y, int64(-1, k, hidden)), int64(1), keepdims=0)


def grouped(g, x, z, weights, k):
    """Rows sorted by expert, one product for the rows of each expert."""
    experts, hidden, inner = weights.gate.shape
    mix, ids = route(g, z, k)
    flat = g.op("Reshape", ids, int64(-1))
    count = g.op("Shape", flat)
    ordered, order = g.op("TopK", flat, count, outputs=2, axis=-1, largest=0)
    zero, one = np.int64(0), np.int64(1)
    rows = g.op("Gather", x, g.op("Div", order, np.int64(k)), axis=0)
    bins = g.op("Cast", g.op("Div", g.op("Cast", ordered, to=1), np.float32(max(experts - 1, 1) / experts)), to=7)
    bins = g.op("Clip", bins, zero, np.int64(experts - 1))
    counts = g.op("ScatterElements", np.zeros(experts, np.float32), bins, g.op("Expand", np.float32(1), count),
                  axis=0, reduction="add")
    ends = g.op("CumSum", g.op("Cast", counts, to=7), zero)
    ends = g.op("Split", ends, outputs=experts, axis=0, num_outputs=experts)
    ends = [g.op("Squeeze", end, int64(0)) for end in ([ends] if experts == 1 else ends)]
    ranges = [g.op("Range", start, end, one) for start, end in zip([zero, *ends], ends)]

    def product(rows, stack):
        lanes = [g.op("MatMul", g.op("Gather", rows, r, axis=0), stack[e]) for e, r in enumerate(ranges)]
        return g.op("Concat", *lanes, axis=0)

    both = product(rows, np.concatenate([weights.gate, weights.up], 2))
    gate, up = g.op("Split", both, outputs=2, axis=1, num_outputs=2)
    y = product(activate(g, gate, up), weights.down)
    mixed = g.op("Gather", g.op("Reshape", mix, int64(-1)), order, axis=0)
    y = g.op("Mul", y, g.op("Unsqueeze", mixed, int64(-1)))
    positions = g.op("Range", zero, g.op("Squeeze", count, int64(0)), one)
    inverse = g.op("ScatterND", g.op("Expand", zero, count), g.op("Unsqueeze", order, int64(-1)), positions)
    restored = g.op("Reshape", g.op("Gather", y, inverse, axis=0), int64(-1, k, hidden))
    return g.op("ReduceSum", restored, int64(1), keepdims=0)


def dense(g, x, z, weights, k):
    """Every expert on all tokens, with weight 0 where it was not chosen."""
    mix, ids = route(g, z, k)
    y = g.op("Expand", np.float32(0), g.op("Shape", x))
    for e in range(weights.gate.shape[0]):
        chosen = g.op("Cast", g.op("Equal", ids, np.int64(e)), to=1)
        weight = g.op("ReduceSum", g.op("Mul", mix, chosen), int64(-1), keepdims=1)
        hidden = activate(g, g.op("MatMul", x, weights.gate[e]), g.op("MatMul", x, weights.up[e]))
        y = g.op("Add", y, g.op("Mul", g.op("MatMul", hidden, weights.down[e]), weight))
    return y


FORMS = {"microsoft": microsoft, "batched": batched, "grouped": grouped, "dense": dense}
