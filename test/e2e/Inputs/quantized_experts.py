"""Compiles layers of com.microsoft.QMoE in all forms as one model, and compares with numpy.

Usage: quantized_experts.py MOEC FOLDER
"""

import pathlib
import subprocess
import sys

import numpy as np

from graph import Graph
from quantized import Float4, Float8, Integers, pack

MOEC, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
EXPERTS, HIDDEN, INNER, TOKENS, K = 5, 64, 32, 9, 2
GENERATOR = np.random.default_rng(1)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def mix(z, weights, normalize):
    """Ids and weights: of a softmax over the chosen logits, or gathered from other weights."""
    ids = np.argsort(-z, axis=-1, kind="stable")[:, :K]
    if weights is None:
        chosen = np.exp(np.take_along_axis(z, ids, -1) - z.max(-1, keepdims=True))
        return ids, chosen / chosen.sum(-1, keepdims=True)
    chosen = np.take_along_axis(weights, ids, -1)
    return ids, chosen / chosen.sum(-1, keepdims=True) if normalize else chosen


def reference(x, ids, weights, fc1, fc2, fc3, bias1, bias2, fusion, alpha, beta, limit):
    """The layer in f64, and the greatest sum of absolute values of the terms of a number."""
    y, size = np.zeros((len(x), HIDDEN)), np.zeros((len(x), HIDDEN))
    for t, row in enumerate(x.astype(np.float64)):
        for e, weight in zip(ids[t], weights[t]):
            hidden = fc1[e].astype(np.float64) @ row + bias1[e]
            reach = np.abs(fc1[e]) @ np.abs(row)
            if fusion == 1:
                gate, up = hidden[0::2], hidden[1::2]
            elif fusion == 2:
                gate, up = hidden[:INNER], hidden[INNER:]
            else:
                gate, up = hidden, fc3[e].astype(np.float64) @ row
            gate, up = np.minimum(gate, limit), np.clip(up, -limit, limit)
            inner = gate * sigmoid(alpha * gate) * (up + beta)
            # How far errors of both factors reach.
            spread = (np.abs(gate) + np.abs(up + beta) + 1) * reach.max()
            y[t] += weight * (fc2[e].astype(np.float64) @ inner + bias2[e])
            size[t] += weight * (np.abs(fc2[e]) @ (np.abs(inner) + spread))
    return y, size.max()


class Suite:
    def __init__(self):
        self.g = Graph()
        self.x = GENERATOR.standard_normal((TOKENS, HIDDEN)).astype(np.float32)
        self.z = GENERATOR.standard_normal((TOKENS, EXPERTS)).astype(np.float32)
        self.w = GENERATOR.uniform(0.1, 1, (TOKENS, EXPERTS)).astype(np.float32)
        for name, value in self.inputs().items():
            self.g.input(name, ["tokens", value.shape[1]])
        self.expected = {}

    def inputs(self):
        return {"x": self.x, "z": self.z, "w": self.w}

    def add(self, name, operands, floats, fusion=1, routed=False, normalize=0, limit=None, biased=True, **attributes):
        """`operands` maps places among the inputs of the node to values."""
        width = 2 * INNER if fusion else INNER
        bias1 = (GENERATOR.standard_normal((EXPERTS, width)) * biased).astype(np.float32)
        bias2 = (GENERATOR.standard_normal((EXPERTS, HIDDEN)) * biased).astype(np.float32)
        values = {0: "x", 1: "z", **operands}
        if biased:
            values |= {4: bias1, 7: bias2}
        if routed:
            values[14] = "w"
        alpha, beta = (1.702, 1.0) if fusion else (1.0, 0.0)
        if limit is not None:
            attributes["swiglu_limit"] = limit
        y = self.g.op("QMoE", *[values.get(i, "") for i in range(max(values) + 1)], domain="com.microsoft", k=K,
                      activation_type="swiglu", swiglu_fusion=fusion, activation_alpha=alpha, activation_beta=beta,
                      normalize_routing_weights=normalize, **attributes)
        self.g.output(name, y, ["tokens", HIDDEN])
        fc1, fc2, fc3 = floats
        ids, weights = mix(self.z.astype(np.float64), self.w.astype(np.float64) if routed else None, normalize)
        self.expected[name] = reference(self.x, ids, weights, fc1, fc2, fc3, bias1, bias2, fusion, alpha, beta,
                                        np.inf if limit is None else limit)

    def add_integers(self, name, bits, block, zero_points, fusion=1, scale_type=np.float32, **attributes):
        shapes = [(EXPERTS, 2 * INNER if fusion else INNER, HIDDEN), (EXPERTS, HIDDEN, INNER)]
        if not fusion:
            shapes.append(shapes[0])
        weights = [Integers(GENERATOR, shape, bits, block, zero_points, scale_type) for shape in shapes]
        operands = {}
        for i, weight in enumerate(weights):
            scales = weight.scales if block else weight.scales[..., 0]
            operands |= {2 + 3 * i: weight.packed(), 3 + 3 * i: scales}
            if zero_points:
                operands[11 + i] = weight.packed_zeros() if block else pack(weight.zeros[..., 0], bits)
        floats = [weight.floats for weight in weights] + [None] * (3 - len(weights))
        self.add(name, operands, floats, fusion, expert_weight_bits=bits, **({"block_size": block} if block else {}),
                 **attributes)

    def add_floats8(self, name, block):
        weights = [Float8(GENERATOR, shape, block) for shape in ((EXPERTS, 2 * INNER, HIDDEN), (EXPERTS, HIDDEN, INNER))]
        operands = {2: weights[0].stored(self.g), 5: weights[1].stored(self.g)}
        operands |= dict(zip((3, 6) if block else (15, 16), [weight.scales for weight in weights]))
        self.add(name, operands, [weight.floats for weight in weights] + [None], quant_type="fp8", expert_weight_bits=8,
                 **({"block_size": block} if block else {}))

    def add_floats4(self, name):
        weights = [Float4(GENERATOR, shape) for shape in ((EXPERTS, 2 * INNER, HIDDEN), (EXPERTS, HIDDEN, INNER))]
        operands = {}
        for i, weight in enumerate(weights):
            operands |= {2 + 3 * i: weight.packed(), 3 + 3 * i: weight.exponents, 15 + i: weight.globals}
        self.add(name, operands, [weight.floats for weight in weights] + [None], quant_type="fp4")

    def run(self):
        self.g.write(FOLDER / "model.onnx")
        result = subprocess.run([MOEC, "compile", FOLDER / "model.onnx", "-o", FOLDER / "model.moe", "--cpu=native", "-q",
                                 "--remarks"], check=True, capture_output=True, text=True)
        recognised = result.stderr.count("experts recognised")
        if recognised != len(self.expected):
            sys.exit(f"{recognised} of {len(self.expected)} layers are recognised:\n{result.stderr}")
        command = [MOEC, "run", FOLDER / "model.moe", "--output-dir", FOLDER]
        for name, value in self.inputs().items():
            np.save(FOLDER / f"{name}.npy", value)
            command += ["--input", f"{name}={FOLDER / name}.npy"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for name, (want, size) in self.expected.items():
            got = np.load(FOLDER / f"{name}.npy")
            # Sums in f32 of H, F and k terms, and a handful of operations in between.
            limit = 2.0**-23 * (HIDDEN + INNER + K + 8) * size
            worst = np.abs(got - want).max()
            if not worst <= limit:
                sys.exit(f"{name}: differs by {worst}, expected at most {limit}")
            print(f"{name}: ok")


def main():
    suite = Suite()
    suite.add_integers("int4_block32", 4, 32, False, limit=7.0)
    suite.add_integers("int4_block16_zero_points", 4, 16, True)
    suite.add_integers("int4_columns", 4, 0, False, fusion=2)
    suite.add_integers("int4_columns_zero_points", 4, 0, True)
    suite.add_integers("int8_block32_half_scales", 8, 32, False, scale_type=np.float16)
    suite.add_integers("int8_zero_points_apart", 8, 16, True, fusion=0, biased=False)
    suite.add_integers("int2_block16", 2, 16, False)
    suite.add_integers("int2_block16_zero_points", 2, 16, True)
    suite.add_integers("router_weights", 4, 32, False, routed=True)
    suite.add_integers("router_weights_normalised", 4, 32, False, routed=True, normalize=1)
    suite.add_floats8("fp8_blocks", 32)
    suite.add_floats8("fp8_matrices", 0)
    suite.add_floats4("fp4")
    suite.run()


main()
