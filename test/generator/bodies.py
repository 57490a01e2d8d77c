"""The feed-forward network of an expert: in numpy, and as exporters write it."""

import math
from dataclasses import dataclass

import numpy as np
from routers import sigmoid

ERF = np.vectorize(math.erf, otypes=[np.float64])


@dataclass
class Body:
    activation: str = "silu"  # silu, gelu, gelu_tanh, relu, relu2, tanh, sigmoid, leaky_relu, elu
    gated: bool = True
    stored: str = "separate"  # separate, concatenated, interleaved
    bias: bool = False
    limit: float = 0.0  # of the clamped form: alpha 1.702, up + 1
    linear: bool = False  # only the last product

    def __str__(self):
        if self.linear:
            return f"linear{', biases' if self.bias else ''}"
        gate = f"gated ({self.stored})" if self.gated else "plain"
        return f"{gate} {self.activation}{', biases' if self.bias else ''}{', clamped' if self.limit else ''}"


def activate(kind, z, alpha=1.0):
    if kind == "silu":
        return z * sigmoid(alpha * z)
    if kind == "gelu":
        return 0.5 * z * (1 + ERF(z / math.sqrt(2)))
    if kind == "gelu_tanh":
        return 0.5 * z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
    if kind == "tanh":
        return np.tanh(z)
    if kind == "sigmoid":
        return sigmoid(z)
    if kind == "leaky_relu":
        return np.where(z > 0, z, np.float32(0.1) * z)
    if kind == "elu":
        return np.where(z > 0, z, np.expm1(z))
    positive = np.maximum(z, 0)
    return positive if kind == "relu" else positive * positive


def compute(body, w, x, e):
    """The output of expert `e` for rows `x`; `w` has stacks E x in x out and biases E x out."""

    def linear(name, value):
        y = value @ w[name][e]
        return y + w[name + "_bias"][e] if body.bias else y

    if body.linear:
        return linear("down", x)
    up = linear("up", x)
    if not body.gated:
        return linear("down", activate(body.activation, up))
    gate = linear("gate", x)
    if body.limit:
        gate, up = np.minimum(gate, body.limit), np.clip(up, -body.limit, body.limit) + 1
        return linear("down", activate("silu", gate, 1.702) * up)
    return linear("down", activate(body.activation, gate) * up)


def emit_activation(g, kind, z, alpha=1.0):
    if kind == "silu":
        scaled = z if alpha == 1.0 else g.mul(z, g.number(alpha))
        return g.mul(z, g.op("Sigmoid", scaled))
    if kind == "gelu":
        if g.choose("gelu", "Gelu", "Erf") == "Gelu":
            return g.op("Gelu", z)
        inner = g.add(g.op("Erf", g.op("Div", z, g.number(math.sqrt(2)))), g.number(1))
        return g.mul(g.mul(z, inner), g.number(0.5))
    if kind == "gelu_tanh":
        if g.choose("gelu", "Gelu", "Tanh") == "Gelu":
            return g.op("Gelu", z, approximate="tanh")
        cube = g.op("Pow", z, g.number(3))
        inner = g.mul(g.add(z, g.mul(cube, g.number(0.044715))), g.number(math.sqrt(2 / math.pi)))
        return g.mul(g.mul(z, g.number(0.5)), g.add(g.op("Tanh", inner), g.number(1)))
    if kind in ("tanh", "sigmoid", "elu"):
        return g.op(kind.capitalize(), z)
    if kind == "leaky_relu":
        return g.op("LeakyRelu", z, alpha=0.1)
    positive = g.op("Relu", z)
    if kind == "relu":
        return positive
    if g.choose("square", "Mul", "Pow") == "Mul":
        return g.mul(positive, positive)
    return g.op("Pow", positive, g.number(2))


def emit(g, body, linear, x, width):
    """The network behind `linear(name, value)`; "gate_up" is the joint projection."""
    if body.linear:
        return linear("down", x)
    if not body.gated:
        return linear("down", emit_activation(g, body.activation, linear("up", x)))
    if body.stored == "separate":
        gate, up = linear("gate", x), linear("up", x)
    else:
        gate, up = g.halves(linear("gate_up", x), width, body.stored == "interleaved")
    if not body.limit:
        return linear("down", g.mul(emit_activation(g, body.activation, gate), up))
    high, low = g.number(body.limit), g.number(-body.limit)
    if g.choose("clamp", "Clip", "Min") == "Clip":
        gate = g.op("Clip", gate, "", high)
    else:
        gate = g.op("Min", gate, high)
    up = g.add(g.op("Clip", up, low, high), g.number(1))
    return linear("down", g.mul(up, emit_activation(g, "silu", gate, 1.702)))
