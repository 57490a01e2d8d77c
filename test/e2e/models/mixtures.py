"""Mixtures from before the transformer: dense gates, hierarchies, noisy top-k between LSTM layers."""

import torch
from torch import nn
from torch.nn import functional as F

from case import Model, case
from layers import VOCABULARY, stack, token_sets, TOKENS_DYNAMIC

FEATURES, CLASSES, HIDDEN, EXPERTS = 10, 4, 14, 6


def feature_sets(*counts, **others):
    return [{"x": torch.randn(count, FEATURES), **{name: make(count) for name, make in others.items()}} for count in counts]


class AdaptiveMixture(nn.Module):
    """Jacobs, Jordan, Nowlan and Hinton, 1991: every expert is a small network, a softmax gate mixes all of them."""

    def __init__(self):
        super().__init__()
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.Sigmoid(), nn.Linear(HIDDEN, CLASSES)) for _ in range(EXPERTS))
        self.gate = nn.Linear(FEATURES, EXPERTS)

    def forward(self, x):
        gates = self.gate(x).softmax(-1)
        return (torch.stack([expert(x) for expert in self.experts], 1) * gates.unsqueeze(-1)).sum(1)


@case("jacobs1991-dense", "Jacobs/Hinton 1991", "dense", "softmax over all experts, no choice")
def jacobs():
    return Model(AdaptiveMixture(), feature_sets(7, 1), {"x": {0: "tokens"}}, ("y",))


class StackedMixture(AdaptiveMixture):
    """The same with the experts' weights stacked and two contractions."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = stack(EXPERTS, FEATURES, HIDDEN), stack(EXPERTS, HIDDEN, CLASSES)

    def forward(self, x):
        hidden = torch.sigmoid(torch.einsum("td,edf->tef", x, self.inner))
        return torch.einsum("tef,efc,te->tc", hidden, self.outer, self.gate(x).softmax(-1))


@case("jacobs1991-einsum", "Jacobs/Hinton 1991", "einsum", "softmax over all experts, no choice")
def jacobs_stacked():
    return Model(StackedMixture(), feature_sets(7, 1), {"x": {0: "tokens"}}, ("y",))


class Hierarchy(nn.Module):
    """Jordan and Jacobs, 1994: gates at two levels, linear experts at the leaves."""

    def __init__(self, branches=3, leaves=2):
        super().__init__()
        self.top = nn.Linear(FEATURES, branches)
        self.gates = nn.ModuleList(nn.Linear(FEATURES, leaves) for _ in range(branches))
        self.leaves = nn.ModuleList(
            nn.ModuleList(nn.Linear(FEATURES, CLASSES) for _ in range(leaves)) for _ in range(branches))

    def forward(self, x):
        top = self.top(x).softmax(-1)
        y = 0
        for i, (gate, leaves) in enumerate(zip(self.gates, self.leaves)):
            inner = gate(x).softmax(-1)
            branch = sum(inner[:, j : j + 1] * leaf(x) for j, leaf in enumerate(leaves))
            y = y + top[:, i : i + 1] * branch
        return y


@case("hme1994-dense", "Jordan/Jacobs 1994", "dense", "softmax gates at two levels, no choice")
def hierarchy():
    return Model(Hierarchy(), feature_sets(5, 1), {"x": {0: "tokens"}}, ("y",))


class MultiGate(nn.Module):
    """Multi-gate mixture (2018): tasks share the experts, each has a gate and a tower of its own."""

    def __init__(self, tasks=2):
        super().__init__()
        self.inner, self.bias = stack(EXPERTS, FEATURES, HIDDEN), nn.Parameter(torch.randn(EXPERTS, HIDDEN) * 0.1)
        self.gates = nn.ModuleList(nn.Linear(FEATURES, EXPERTS) for _ in range(tasks))
        self.towers = nn.ModuleList(
            nn.Sequential(nn.Linear(HIDDEN, 8), nn.ReLU(), nn.Linear(8, 1)) for _ in range(tasks))

    def forward(self, x):
        shared = F.relu(torch.einsum("td,edf->tef", x, self.inner) + self.bias)
        return tuple(tower(torch.einsum("tef,te->tf", shared, gate(x).softmax(-1)))
                     for gate, tower in zip(self.gates, self.towers))


@case("mmoe2018-einsum", "multi-gate 2018", "einsum", "a softmax gate for each task over shared experts, no choice")
def multi_gate():
    return Model(MultiGate(), feature_sets(6, 1), {"x": {0: "tokens"}}, ("first", "second"))


class NoisyTopK(nn.Module):
    """Shazeer and others, 2017: noise scaled by softplus, all but k gates at minus infinity, softmax over the rest."""

    def __init__(self, hidden=16, inner=12, k=2):
        super().__init__()
        self.gate, self.noise = nn.Linear(hidden, EXPERTS, bias=False), nn.Linear(hidden, EXPERTS, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(hidden, inner), nn.ReLU(), nn.Linear(inner, hidden)) for _ in range(EXPERTS))
        self.k = k

    def gates(self, x, noise):
        logits = self.gate(x) + noise * F.softplus(self.noise(x))
        values, ids = logits.topk(self.k, -1)
        return torch.full_like(logits, float("-inf")).scatter(-1, ids, values).softmax(-1)

    def forward(self, x, noise):
        gates = self.gates(x, noise)
        return sum(gates[:, e : e + 1] * expert(x) for e, expert in enumerate(self.experts))


class NoisyLanguageModel(nn.Module):
    """The mixture stands between two LSTM layers."""

    def __init__(self, hidden=16):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, hidden)
        self.first, self.second = (nn.LSTM(hidden, hidden, batch_first=True) for _ in range(2))
        self.mixture = NoisyTopK(hidden)
        self.head = nn.Linear(hidden, VOCABULARY)

    def forward(self, input_ids, noise):
        x, _ = self.first(self.embedding(input_ids))
        flat = x.reshape(-1, x.shape[-1])
        mixed = torch.sigmoid(self.mixture(flat, noise.reshape(-1, EXPERTS)))
        x, _ = self.second(x + mixed.view_as(x))
        return self.head(x)


@case("shazeer2017-lstm", "Shazeer 2017", "denseloop", "noisy top 2 of logits, softmax over what is left; LSTM around it")
def shazeer():
    # The noise is an input: a compiled model has no random numbers.
    data = token_sets((2, 5), (1, 1))
    for inputs in data:
        inputs["noise"] = torch.randn(*inputs["input_ids"].shape, EXPERTS)
    dynamic = {**TOKENS_DYNAMIC, "noise": {0: "batch", 1: "sequence"}}
    return Model(NoisyLanguageModel(), data, dynamic)


class ConditionalConvolution(nn.Module):
    """Conditionally parameterised convolution (2019): the gate mixes the kernels of the experts, then one convolution."""

    def __init__(self, channels=8):
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, stride=2, padding=1)
        self.gate = nn.Linear(channels, EXPERTS)
        self.kernels = nn.Parameter(torch.randn(EXPERTS, channels, channels, 3, 3) * 0.1)
        self.head = nn.Linear(channels, CLASSES)

    def forward(self, image):
        x = F.relu(self.stem(image))
        batch, channels, height, width = x.shape
        gates = torch.sigmoid(self.gate(x.mean((2, 3))))
        kernels = torch.einsum("be,eoikl->boikl", gates, self.kernels)
        x = F.conv2d(x.reshape(1, batch * channels, height, width),
                     kernels.reshape(batch * channels, channels, 3, 3), padding=1, groups=batch)
        return self.head(F.relu(x).view(batch, channels, height, width).mean((2, 3)))


@case("condconv2019-weights", "CondConv 2019", "weights", "sigmoid gates mix convolution kernels")
def conditional_convolution():
    return Model(ConditionalConvolution(), [{"image": torch.randn(2, 3, 8, 8)} for _ in range(2)], {}, ("y",))
