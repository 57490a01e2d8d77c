"""A random model with one layer of experts, made from one number."""

import pathlib
from dataclasses import dataclass, field

import bodies
import forms
import numpy as np
import onnx
import routers
from graph import TYPES, Graph, round_to, to_tensor
from onnx import helper

# The unit roundoff of each type.
UNIT = {"f32": 2.0**-24, "f16": 2.0**-11, "bf16": 2.0**-8}


@dataclass
class Case:
    model: onnx.ModelProto
    inputs: list
    outputs: list
    rtol: float
    atol: float
    description: str
    rewrites: list = field(default_factory=list)
    dtype: str = "f32"


def sample_router(rng, k, experts):
    def pick(*options):
        return options[rng.integers(len(options))]

    router = routers.Router(k=k, experts=experts)
    kinds = ["softmax", "softmax", "sigmoid bias", "choice first", "groups", "softmax bias", "sqrtsoftplus", "table"]
    if k == 1:
        kinds += ["argmax", "argmax"]
    if k == 2:
        kinds += ["sparsemixer"]
    kind = pick(*kinds, "keep top-k", "unnamed")
    router.normalize = pick("none", "sum", "sum", "sum + eps", "clamp")
    router.unsorted = rng.random() < 0.3
    router.scale = pick(1.0, 1.0, 2.5)
    if kind == "argmax":
        router.order, router.normalize = "argmax", "none"
    elif kind == "sparsemixer":
        return routers.Router(order="sparsemixer", k=2, experts=experts)
    elif kind == "choice first":
        router.order, router.normalize = kind, "none"
        router.score = pick("softmax", "softmax", "sigmoid")
    elif kind == "unnamed":
        router.order, router.score = kind, pick(*routers.UNNAMED)
    elif kind == "keep top-k":
        router.order, router.normalize = kind, "none"
    elif kind == "table":
        router.order, router.score = "table", pick("softmax", "sigmoid", "sqrtsoftplus")
    elif kind == "groups":
        router.groups = pick(*[n for n in (2, 4) if experts % n == 0 and experts // n >= 2])
        router.keep = pick(*range(1, router.groups + 1))
        while router.keep * (experts // router.groups) < k:
            router.keep += 1
        router.group_score, router.mask = pick("max", "top2"), pick("inf", "zero")
        router.score = pick("softmax", "sigmoid")
        router.bias = router.score == "sigmoid"
        if router.bias:
            router.mask = "inf"
    else:
        router.score = kind.split()[0]
        router.bias = kind.endswith("bias") or kind == "sqrtsoftplus"
        if kind == "softmax" and rng.random() < 0.15:
            router.normalize = pick("l1", "l2")
    router.expert_scale = router.order == "score first" and rng.random() < 0.1
    router.softcap = 5.0 if router.order == "score first" and rng.random() < 0.1 else 0.0
    return router


def sample_body(rng):
    def pick(*options):
        return options[rng.integers(len(options))]

    body = bodies.Body(stored=pick("separate", "concatenated", "interleaved"), bias=rng.random() < 0.3)
    body.activation = pick("silu", "silu", "silu", "gelu", "gelu_tanh", "relu", "sigmoid")
    if rng.random() < 0.05:
        body.gated, body.linear = False, True
    elif rng.random() < 0.25:
        body.gated = False
        body.activation = pick("silu", "gelu", "gelu_tanh", "relu", "relu2", "tanh", "sigmoid", "leaky_relu", "elu")
    elif rng.random() < 0.2:
        body.activation, body.limit = "silu", 1.0
    return body


def sample_weights(rng, body, experts, hidden, width, dtype):
    def draw(*shape):
        return round_to(rng.normal(size=shape) / np.sqrt(shape[-2] if len(shape) > 2 else 4), dtype)

    w = {"up": draw(experts, hidden, width), "down": draw(experts, width, hidden)}
    if body.gated:
        w["gate"] = draw(experts, hidden, width)
    if body.bias:
        for name in list(w):
            w[name + "_bias"] = draw(experts, w[name].shape[2])
    return w


def choose_tokens(rng, router, parameters, router_weights, router_bias, tokens, hidden, dtype):
    """Tokens whose choice does not hang on the last bits of their logits."""
    candidates = round_to(rng.normal(size=(tokens * 40 + 200, hidden)), dtype)
    z = candidates @ router_weights + router_bias
    if router.order == "table":
        parameters["ids"] = np.argsort(rng.random(z.shape), -1)[:, : router.k]
    _, _, gap = routers.compute(router, z, parameters)
    if router.order == "table":
        parameters["ids"] = parameters["ids"][:tokens]
        return candidates[:tokens]
    best = np.argsort(-gap, kind="stable")[: max(tokens, 1) * 4]
    return candidates[rng.permutation(best)[:tokens]]


def drop_late(ids, weights, experts, places):
    """The weights without those of tokens that come when an expert is full: all first slots, then all second ones."""
    taken = np.zeros(experts, int)
    weights = weights.copy()
    for slot in range(ids.shape[1]):
        for t, e in enumerate(ids[:, slot]):
            if taken[e] >= places:
                weights[t, slot] = 0
            taken[e] += 1
    return weights


def emit_router(g, router, logits, parameters):
    """Models in half precision route in f32, as TopK of bf16 demands."""
    dtype = g.dtype
    if dtype == "f32":
        return routers.emit(g, router, logits, parameters)
    logits = g.op("Cast", logits, to=TYPES["f32"])
    g.dtype = "f32"
    ids, weights = routers.emit(g, router, logits, parameters)
    g.dtype = dtype
    return ids, g.op("Cast", weights, to=TYPES[dtype])  # Gates have no ids.


def make_case(seed, level=None):
    rng = np.random.default_rng(seed)
    dtype = ["f32", "f32", "f32", "f16", "bf16"][rng.integers(5)]
    experts = int([4, 6, 8, 8, 16][rng.integers(5)])
    k = int(rng.integers(1, 5))
    tokens = int([1, 3, 7, 12][rng.integers(4)]) if rng.random() < 0.97 else 0
    hidden, width = int([8, 16, 24][rng.integers(3)]), int([8, 12, 20][rng.integers(3)])
    router, body = sample_router(rng, k, experts), sample_body(rng)
    names = list(forms.FORMS)
    form = names[rng.integers(len(names))]
    if form in forms.GATED and rng.random() < 0.3:
        scores = list(routers.GATES)
        router = routers.Router(order="gates", score=scores[rng.integers(len(scores))], k=k, experts=experts)
    elif form == "selected":
        while router.k != 1:
            router = sample_router(rng, 1, experts)
    k = router.k
    if body.linear:
        body.linear, width = form != "padded", hidden
    # The standard's Einsum and CumSum take no bf16; counts in half types are exact for so few tokens.
    if form in ("one-hot weights", "capacity", "chosen results") and dtype == "bf16":
        dtype = "f32"
    input_weighted = form in ("batched", "dense loop", "dense stack") and not body.bias and not body.linear and rng.random() < 0.1
    shared = ["none", "none", "plain", "gated"][rng.integers(4)]
    router_bias = rng.normal(size=experts) * 0.3 if rng.random() < 0.2 else None
    dynamic, batch = rng.random() < 0.7 or tokens == 0, rng.random() < 0.4
    g = Graph(rng, dtype, rng.choice([0.0, 0.3, 0.7]) if level is None else level)

    # The logits come from rounded numbers, and the products of half types are sums in f32.
    router_weights = round_to(rng.normal(size=(hidden, experts)) / np.sqrt(hidden), dtype)
    bias = round_to(router_bias, dtype) if router_bias is not None else 0.0
    parameters = {
        "bias": round_to(rng.normal(size=experts) * 0.2, dtype),
        "expert_scale": round_to(rng.uniform(0.5, 1.5, experts), dtype),
    }
    w = sample_weights(rng, body, experts, hidden, width, dtype)
    layer = forms.Layer(body, w, experts, k, hidden, width, input_weighted)
    x = choose_tokens(rng, router, parameters, router_weights, bias, tokens, hidden, dtype)
    ids, weights, _ = routers.compute(router, x @ router_weights + bias, parameters)

    if form == "capacity":
        layer.places = int(rng.integers(1, 5))
        weights = drop_late(ids, weights, experts, layer.places)

    if form == "padded":
        layer.places = int(max(1, np.bincount(ids.ravel().astype(int), minlength=experts).max())) + int(rng.integers(3))

    # The oracle.
    y = np.zeros((tokens, hidden))
    for t in range(tokens):
        for j in range(ids.shape[1]):
            row = x[t : t + 1] * (weights[t, j] if input_weighted else 1.0)
            y[t] += (1.0 if input_weighted else weights[t, j]) * bodies.compute(body, w, row, ids[t, j])[0]
    magnitude = np.abs(y).max(initial=0)

    # The graph.
    value = "x"
    outer = ["batch", "sequence", hidden] if batch else ["tokens", hidden]
    shape = list(x.shape) if not batch else [1, tokens, hidden]
    if not dynamic:
        outer = list(shape)
    g.inputs.append(helper.make_tensor_value_info("x", TYPES[dtype], outer))
    if router.order == "table":
        rows = "tokens" if dynamic else tokens
        g.inputs.append(helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, [rows, k]))
    matrix = g.reshape(value, -1, hidden) if batch else value
    logits = g.linear(matrix, router_weights, bias if router_bias is not None else None)
    chosen, mixed = emit_router(g, router, logits, parameters)
    result = forms.FORMS[form](g, matrix, chosen, mixed, layer)
    if shared != "none":
        own = bodies.Body(body.activation if not body.limit else "silu", True, "separate")
        ws = {name: round_to(rng.normal(size=s) / np.sqrt(s[0]), dtype)
              for name, s in (("gate", (hidden, width)), ("up", (hidden, width)), ("down", (width, hidden)))}
        lane = bodies.emit(g, own, lambda name, v: g.linear(v, ws[name]), matrix, width)
        extra = bodies.compute(own, {n: v[None] for n, v in ws.items()}, x, 0)
        if shared == "gated":
            token_gate = round_to(rng.normal(size=(hidden, 1)) / np.sqrt(hidden), dtype)
            lane = g.mul(lane, g.op("Sigmoid", g.linear(matrix, token_gate)))
            extra = extra * routers.sigmoid(x @ token_gate)
        result, y = g.add(result, lane), y + extra
        magnitude += np.abs(extra).max(initial=0)
    if batch:
        result = g.op("Reshape", result, g.op("Shape", value))
        y = y[None]
    g.nodes.append(helper.make_node("Identity", [result], ["y"]))
    g.outputs.append(helper.make_tensor_value_info("y", TYPES[dtype], outer))
    inputs = [x.reshape(shape)] + ([parameters["ids"].astype(np.int64)] if router.order == "table" else [])
    # Each value of the layer is rounded a few times (logits, weights, hidden rows, products, sums); a rounding error of
    # the logits shows in the weights, one of a hidden row in all outputs. Errors add up like a random walk: 32 units of
    # the largest number that is added cover it, with sums of up to 24 terms in f32.
    unit = UNIT[dtype]
    description = f"{form}; {router}; {body}; {dtype}; T={tokens}{' dynamic' if dynamic else ''} H={hidden} F={width}"
    description += f"; shared {shared}" + ("; weighted inputs" if input_weighted else "") + ("; batch" if batch else "")
    model = g.build(20)
    return Case(model, inputs, [y], 64 * unit, 64 * unit * max(magnitude, 1.0), description, g.rewrites, dtype)


def rename(nodes, prefix, names):
    """Puts `prefix` before every name of `nodes` and their subgraphs that is not in `names`."""

    def new(name):
        return names.get(name, prefix + name) if name else name

    for node in nodes:
        node.name = f"{prefix[:-1]}/{node.output[0]}"
        node.input[:] = [new(name) for name in node.input]
        node.output[:] = [new(name) for name in node.output]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                graph = attribute.g
                for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
                    value.name = new(value.name)
                rename(graph.node, prefix, names)


def save_joined(cases, folder):
    """Writes one model with the layers of all `cases` side by side, and its inputs; returns their paths by name."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts, paths = [], {}
    for i, case in enumerate(cases):
        graph = onnx.GraphProto()
        graph.CopyFrom(case.model.graph)
        prefix = f"g{i}_"
        for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
            value.name = prefix + value.name
        # Extents of one name are equal: those of two layers are not.
        for value in (*graph.input, *graph.output, *graph.value_info):
            for dim in value.type.tensor_type.shape.dim:
                if dim.HasField("dim_param"):
                    dim.dim_param = prefix + dim.dim_param
        rename(graph.node, prefix, {})
        for value, array in zip(graph.input, case.inputs):
            path = folder / f"{value.name}.pb"
            path.write_bytes(to_tensor(array, value.name, case.dtype).SerializeToString())
            paths[value.name] = path
        parts.append(graph)
    whole = onnx.GraphProto(name="generated")
    for graph in parts:
        for field in ("node", "input", "output", "value_info", "initializer"):
            getattr(whole, field).extend(getattr(graph, field))
    model = helper.make_model(whole, opset_imports=cases[0].model.opset_import, ir_version=10)
    onnx.save(model, folder / "model.onnx")
    return paths


def compare(case, path):
    """What is wrong with the output in `path`, or nothing."""
    got = np.load(path)
    if got.dtype.kind == "V":  # numpy knows no bf16
        got = (got.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    wanted = case.outputs[0]
    if got.shape != wanted.shape:
        return f"expected the shape {wanted.shape}, got {got.shape}"
    error = np.abs(got.astype(np.float64) - wanted)
    limit = case.atol + case.rtol * np.abs(wanted)
    if np.all(error <= limit):
        return ""
    return f"differs by {error.max():.1e} where {case.atol:.1e} is allowed"
