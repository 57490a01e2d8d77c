"""Routers: what they compute, and how exporters write it.

`compute` works on logits in numpy and returns ids, weights and the margin between what is chosen and what is not;
`emit` writes the same into a graph and returns the names of ids and weights (T x K).
"""

from dataclasses import dataclass

import numpy as np


def softmax(z, axis=-1):
    power = np.exp(z - z.max(axis=axis, keepdims=True))
    return power / power.sum(axis=axis, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


SCORES = {"softmax": softmax, "sigmoid": sigmoid, "sqrtsoftplus": lambda z: np.sqrt(np.log1p(np.exp(z)))}


@dataclass
class Router:
    score: str = "softmax"  # softmax, sigmoid, sqrtsoftplus
    # score first, choice first, argmax, keep top-k, sparsemixer, table; unnamed: a formula that no model is known for;
    # gates: a weight for every expert, computed by `score`, without ids
    order: str = "score first"
    normalize: str = "none"  # none, sum, sum + eps, clamp, l1, l2
    bias: bool = False  # for the choice only
    groups: int = 0
    keep: int = 0
    group_score: str = "top2"
    mask: str = "inf"
    scale: float = 1.0
    expert_scale: bool = False
    softcap: float = 0.0
    unsorted: bool = False
    k: int = 2
    experts: int = 8

    def __str__(self):
        parts = [f"{self.score}, {self.order}, {self.normalize}, top {self.k} of {self.experts}"]
        parts += [name for name in ("bias", "expert_scale", "unsorted") if getattr(self, name)]
        if self.groups:
            parts.append(f"{self.keep} of {self.groups} groups by {self.group_score}, others {self.mask}")
        if self.scale != 1:
            parts.append(f"scale {self.scale}")
        if self.softcap:
            parts.append(f"softcap {self.softcap}")
        return ", ".join(parts)


def top(values, k):
    """Ids of the k largest and the smallest gap that the choice depends on."""
    order = np.argsort(-values, axis=-1, kind="stable")
    ranked = np.take_along_axis(values, order, -1)
    gap = ranked[:, k - 1] - ranked[:, k] if k < values.shape[-1] else np.full(len(values), np.inf)
    return order[:, :k], gap


def compute(router, z, parameters):
    z = np.asarray(z, np.float64)
    if router.softcap:
        z = router.softcap * np.tanh(z / router.softcap)
    score = SCORES.get(router.score)
    if router.order == "gates":
        gates, gap = GATES[router.score][0](z, router)
        return np.tile(np.arange(router.experts), (len(z), 1)), gates, gap
    if router.order == "unnamed":
        choice, kept = UNNAMED[router.score][0](z)
        ids, gap = top(choice, router.k)
        w = np.take_along_axis(kept, ids, -1)
    elif router.order == "table":
        ids, gap = parameters["ids"], np.full(len(z), np.inf)
        w = np.take_along_axis(score(z), ids, -1)
    elif router.order == "sparsemixer":
        return sparse_mixer(z)
    elif router.order in ("choice first", "keep top-k"):
        ids, gap = top(z, router.k)
        w = score(np.take_along_axis(z, ids, -1))
    else:
        scores = score(z)
        choice = scores + parameters["bias"] if router.bias else scores
        gap = np.full(len(z), np.inf)
        if router.groups:
            grouped = choice.reshape(len(z), router.groups, router.experts // router.groups)
            ranked = -np.sort(-grouped, -1)
            group_scores = ranked[..., :2].sum(-1) if router.group_score == "top2" else ranked[..., 0]
            kept, gap = top(group_scores, router.keep)
            mask = np.zeros((len(z), router.groups), bool)
            np.put_along_axis(mask, kept, True, -1)
            masked = -np.inf if router.mask == "inf" else 0.0
            choice = np.where(mask[..., None], grouped, masked).reshape(choice.shape)
        ids, own = top(choice, router.k)
        gap = np.minimum(gap, own)
        w = np.take_along_axis(scores, ids, -1)
    total = w.sum(-1, keepdims=True)
    if router.normalize == "sum":
        w = w / total
    elif router.normalize == "sum + eps":
        w = w / (total + 1e-20)
    elif router.normalize == "clamp":
        w = w / np.maximum(total, 1e-12)
    elif router.normalize == "l1":
        w = w / np.abs(w).sum(-1, keepdims=True)
    elif router.normalize == "l2":
        w = w / np.sqrt((w * w).sum(-1, keepdims=True))
    w = w * router.scale
    if router.expert_scale:
        w = w * parameters["expert_scale"][ids]
    return ids, w, gap


def sparse_mixer(z, eps=0.01):
    ids, ws = [], []
    gap = np.full(len(z), np.inf)
    rest = z.copy()
    for _ in range(2):
        best, own = top(rest, 1)
        gap = np.minimum(gap, own)
        m = np.take_along_axis(rest, best, -1)
        distance = (m - z) / np.maximum(np.abs(z), m)
        gap = np.minimum(gap, np.abs(distance - 2 * eps).min(-1))
        p = softmax(np.where(distance > 2 * eps, -np.inf, rest))
        ids.append(best)
        ws.append(np.take_along_axis(p, best, -1))
        np.put_along_axis(rest, best, -np.inf, -1)
    return np.concatenate(ids, -1), np.concatenate(ws, -1), gap


def emit(g, router, z, parameters):
    if router.softcap:
        cap = router.softcap
        z = g.mul(g.op("Tanh", g.op("Div", z, g.number(cap))), g.number(cap))
    k = g.ints(router.k)
    attributes = {"axis": -1, "largest": 1, "sorted": int(not router.unsorted)}
    if router.order == "sparsemixer":
        return emit_sparse_mixer(g, router, z)
    if router.order == "gates":
        return None, GATES[router.score][1](g, z, router)
    if router.order == "unnamed":
        choice, kept = UNNAMED[router.score][1](g, z)
        _, ids = g.op("TopK", choice, k, outputs=2, **attributes)
        w = g.op("GatherElements", kept, ids, axis=-1)
    elif router.order == "table":
        ids = "ids"
        scores = emit_score(g, router.score, z)
        w = g.op("GatherElements", scores, ids, axis=1)
    elif router.order == "argmax":
        scores = emit_score(g, router.score, z)
        ids = g.op("ArgMax", scores, axis=-1, keepdims=1)
        if g.choose("best", "ReduceMax", "GatherElements") == "ReduceMax":
            w = g.op("ReduceMax", scores, g.ints(-1), keepdims=1)
        else:
            w = g.op("GatherElements", scores, ids, axis=-1)
    elif router.order == "keep top-k":
        values, ids = g.op("TopK", z, k, outputs=2, **attributes)
        fill = g.op("ConstantOfShape", g.op("Shape", z), value=float_tensor(g, -np.inf))
        kept = g.op("ScatterElements", fill, ids, values, axis=-1)
        w = g.op("GatherElements", emit_score(g, router.score, kept), ids, axis=-1)
    elif router.order == "choice first":
        values, ids = g.op("TopK", z, k, outputs=2, **attributes)
        w = emit_score(g, router.score, values)
    else:
        scores = emit_score(g, router.score, z)
        choice = g.add(scores, g.const(parameters["bias"])) if router.bias else scores
        if router.groups:
            choice = emit_groups(g, router, choice)
        values, ids = g.op("TopK", choice, k, outputs=2, **attributes)
        plain = not router.bias and not router.groups
        if plain and g.choose("chosen scores", "values", "GatherElements") == "values":
            w = values
        else:
            w = g.op("GatherElements", scores, ids, axis=-1)
    w = emit_norm(g, router, w)
    if router.scale != 1:
        w = g.mul(w, g.number(router.scale))
    if router.expert_scale:
        w = g.mul(w, g.gather_rows(g.const(parameters["expert_scale"]), ids, 2))
    return ids, g.plain(w, 2)


def float_tensor(g, value):
    from graph import to_tensor

    return to_tensor(np.array([value], np.float32), "value", g.dtype)


def emit_score(g, score, z):
    if score == "softmax":
        return g.op("Softmax", z, axis=g.choose("axis", -1, 1))
    if score == "sigmoid":
        return g.op("Sigmoid", z)
    return g.op("Sqrt", g.op("Softplus", z))


def emit_norm(g, router, w):
    if router.normalize == "none":
        return w
    if router.normalize == "l2":
        return g.op("Div", w, g.op("ReduceL2", w, g.ints(-1), keepdims=1))
    if router.normalize == "l1":
        return g.op("Div", w, g.op("ReduceL1", w, g.ints(-1), keepdims=1))
    total = g.reduce_sum(w, -1, keepdims=1)
    if router.normalize == "sum + eps":
        total = g.add(total, g.number(1e-20))
    elif router.normalize == "clamp":
        if g.choose("clamp", "Clip", "Max") == "Clip":
            total = g.op("Clip", total, g.number(1e-12))
        else:
            total = g.binary("Max", total, g.number(1e-12))
    return g.op("Div", w, total)


def emit_groups(g, router, choice):
    width = router.experts // router.groups
    grouped = g.reshape(choice, -1, router.groups, width)
    if router.group_score == "max":
        scores = g.op("ReduceMax", grouped, g.ints(-1), keepdims=0)
    else:
        best, _ = g.op("TopK", grouped, g.ints(2), outputs=2, axis=-1)
        scores = g.reduce_sum(best, -1)
    _, kept = g.op("TopK", scores, g.ints(router.keep), outputs=2, axis=-1)
    zeros = g.op("ConstantOfShape", g.op("Shape", scores), value=float_tensor(g, 0))
    ones = g.op("ConstantOfShape", g.op("Shape", kept), value=float_tensor(g, 1))
    mask = g.op("ScatterElements", zeros, kept, ones, axis=1)
    mask = g.repeat(g.unsqueeze(mask, -1), 3, 2, width)
    mask = g.op("Cast", g.reshape(mask, -1, router.experts), to=9)
    masked = g.number(-np.inf if router.mask == "inf" else 0.0)
    if g.choose("mask", "plain", "inverted") == "plain":
        return g.op("Where", mask, choice, masked)
    return g.op("Where", g.op("Not", mask), masked, choice)


def emit_sparse_mixer(g, router, z, eps=0.01):
    ids, ws, rest = [], [], z
    for _ in range(2):
        m = g.op("ReduceMax", rest, g.ints(-1), keepdims=1)
        best = g.op("ArgMax", rest, axis=-1, keepdims=1)
        scale = g.binary("Max", g.op("Abs", z), m)
        distance = g.op("Div", g.op("Sub", m, z), scale)
        far = g.op("Greater", distance, g.number(2 * eps))
        p = g.op("Softmax", g.op("Where", far, g.number(-np.inf), rest), axis=-1)
        ws.append(g.op("GatherElements", p, best, axis=-1))
        ids.append(best)
        low = g.op("Expand", g.number(-np.inf), g.op("Shape", best))
        rest = g.op("ScatterElements", rest, best, low, axis=-1)
    return g.op("Concat", *ids, axis=-1), g.op("Concat", *ws, axis=-1)


# Routers without a name: what is compared in the choice, and what the chosen experts are weighted with.


def emit_square(g, z):
    return g.op("Mul", z, z), g.op("Sigmoid", z)


def emit_swish(g, z):
    score = g.mul(z, g.op("Sigmoid", z))
    return score, g.op("Softplus", score)


def emit_near(g, z):
    distance = g.op("Neg", g.op("Abs", g.op("Sub", z, g.number(0.3))))
    return distance, g.op("Exp", distance)


def emit_mixed(g, z):
    score = g.add(g.op("Softmax", z, axis=-1), g.mul(g.op("Sigmoid", z), g.number(0.5)))
    return score, g.op("Sqrt", score)


UNNAMED = {
    "square": (lambda z: (z * z, sigmoid(z)), emit_square),
    "swish": (lambda z: (z * sigmoid(z), np.log1p(np.exp(z * sigmoid(z)))), emit_swish),
    "near": (lambda z: (-np.abs(z - 0.3), np.exp(-np.abs(z - 0.3))), emit_near),
    "mixed": (lambda z: (softmax(z) + 0.5 * sigmoid(z), np.sqrt(softmax(z) + 0.5 * sigmoid(z))), emit_mixed),
}


# Gates: a weight for every expert, zero for those that are not active.


def compute_threshold(z, router):
    p = softmax(z)
    ids, gap = top(p, router.k)
    least = np.take_along_axis(p, ids, -1)[:, -1:]
    kept = np.where(p >= least, p, 0)
    return kept / kept.sum(-1, keepdims=True), gap


def emit_threshold(g, z, router):
    p = g.op("Softmax", z, axis=-1)
    best, _ = g.op("TopK", p, g.ints(router.k), outputs=2, axis=-1)
    least = g.op("ReduceMin", best, g.ints(-1), keepdims=1)
    if g.choose("threshold", "Where", "Mul") == "Where":
        kept = g.op("Where", g.op("Less", p, least), g.number(0), p)
    else:
        kept = g.mul(g.op("CastLike", g.op("GreaterOrEqual", p, least), p), p)
    return g.op("Div", kept, g.reduce_sum(kept, -1, keepdims=1))


def compute_nucleus(z, router, limit=0.7):
    """Experts in order until their probabilities make up `limit`."""
    p = softmax(z)
    order = np.argsort(-p, -1, kind="stable")
    ranked = np.take_along_axis(p, order, -1)
    before = np.cumsum(ranked, -1) - ranked
    gates = np.zeros_like(p)
    np.put_along_axis(gates, order, np.where(before < limit, ranked, 0), -1)
    ties = np.abs(np.diff(ranked, axis=-1)).min(-1)
    return gates, np.minimum(np.abs(before - limit).min(-1), ties)


def emit_nucleus(g, z, router, limit=0.7):
    p = g.op("Softmax", z, axis=-1)
    ranked, order = g.op("TopK", p, g.ints(router.experts), outputs=2, axis=-1)
    before = g.op("Sub", g.op("CumSum", ranked, g.const(np.int64(1))), ranked)
    kept = g.op("Where", g.op("Less", before, g.number(limit)), ranked, g.number(0))
    zeros = g.op("Mul", p, g.number(0))
    return g.op("ScatterElements", zeros, order, kept, axis=-1)


def compute_levels(z, router):
    """The best of two halves, then the best of its experts."""
    grouped = z.reshape(len(z), 2, router.experts // 2)
    outer, inner = softmax(grouped.mean(-1)), softmax(grouped)
    group, own = top(outer, 1)
    best, gap = top(np.take_along_axis(inner, group[..., None], 1)[:, 0], 1)
    gates = np.zeros_like(grouped)
    rows = np.arange(len(z))
    weight = outer[rows, group[:, 0]] * inner[rows, group[:, 0], best[:, 0]]
    gates[rows, group[:, 0], best[:, 0]] = weight
    return gates.reshape(z.shape), np.minimum(gap, own)


def emit_levels(g, z, router):
    grouped = g.reshape(z, -1, 2, router.experts // 2)
    outer = g.op("Softmax", g.op("ReduceMean", grouped, g.ints(-1), keepdims=0), axis=-1)
    inner = g.op("Softmax", grouped, axis=-1)
    best = g.op("ReduceMax", outer, g.ints(-1), keepdims=1)
    group = g.op("Where", g.op("Less", outer, best), g.number(0), outer)
    largest = g.op("ReduceMax", inner, g.ints(-1), keepdims=1)
    expert = g.op("Where", g.op("Less", inner, largest), g.number(0), inner)
    return g.reshape(g.mul(g.unsqueeze(group, -1), expert), -1, router.experts)


def compute_plain(function):
    return lambda z, router: (function(z), np.full(len(z), np.inf))


GATES = {
    "threshold": (compute_threshold, emit_threshold),
    "nucleus": (compute_nucleus, emit_nucleus),
    "two levels": (compute_levels, emit_levels),
    "positive part": (compute_plain(lambda z: np.maximum(z, 0)), lambda g, z, router: g.op("Relu", z)),
    "all": (compute_plain(softmax), lambda g, z, router: g.op("Softmax", z, axis=-1)),
    "independent": (compute_plain(sigmoid), lambda g, z, router: g.op("Sigmoid", z)),
}
