"""Mixtures with limited places per expert: GShard, GLaM, Switch, V-MoE, NLLB, BASE."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from case import Model, case
from layers import (EXPERTS, HEADS, HIDDEN, INNER, TOKENS_DYNAMIC, VOCABULARY, Attention, Decoder, FeedForward, Layer,
                    stack, token_sets)


def one_hot(ids, count, like):
    return (ids[..., None] == torch.arange(count, device=ids.device)).to(like.dtype)


class TopTwoCapacity(nn.Module):
    """GShard's algorithm on [group, token, hidden]: second choices queue behind all first choices of the group."""

    def __init__(self, places, gated=None):
        super().__init__()
        self.gate = nn.Linear(HIDDEN, EXPERTS, bias=False)
        self.wi, self.wo = stack(EXPERTS, HIDDEN, INNER), stack(EXPERTS, INNER, HIDDEN)
        self.wg = stack(EXPERTS, HIDDEN, INNER) if gated else None
        self.places, self.gated = places, gated

    def combine_weights(self, x):
        gates = self.gate(x).softmax(-1)
        first = one_hot(gates.argmax(-1), EXPERTS, x)
        second = one_hot((gates * (1 - first)).argmax(-1), EXPERTS, x)
        weight1, weight2 = (gates * first).sum(-1), (gates * second).sum(-1)
        total = weight1 + weight2 + 1e-9
        place1 = (first.cumsum(1) - first) * first
        place2 = (second.cumsum(1) - second + first.sum(1, keepdim=True)) * second
        combine = 0
        for mask, place, weight in ((first, place1, weight1 / total), (second, place2, weight2 / total)):
            kept = mask * (place < self.places).to(x.dtype)
            position = one_hot((place * kept).sum(-1).long().clamp(max=self.places - 1), self.places, x)
            combine = combine + (weight[..., None] * kept)[..., None] * position[:, :, None, :]
        return combine

    def forward(self, x):
        combine = self.combine_weights(x)
        dispatch = (combine > 0).to(x.dtype)
        rows = torch.einsum("gsec,gsm->egcm", dispatch, x)
        hidden = torch.einsum("egcm,emh->egch", rows, self.wi)
        if self.gated:
            hidden = self.gated(torch.einsum("egcm,emh->egch", rows, self.wg)) * hidden
        else:
            hidden = F.relu(hidden)
        return torch.einsum("gsec,egcm->gsm", combine, torch.einsum("egch,ehm->egcm", hidden, self.wo))


@case("gshard2020-einsum", "GShard 2020", "capacity", "softmax, top 2 renormalised, 3 places per expert and sequence")
def gshard():
    dense = nn.Sequential(nn.Linear(HIDDEN, INNER), nn.ReLU(), nn.Linear(INNER, HIDDEN))
    layers = [Layer(dense, Attention(), nn.LayerNorm), Layer(TopTwoCapacity(3), Attention(), nn.LayerNorm)]
    return Model(Decoder(*layers, norm=nn.LayerNorm, positions=16), token_sets((2, 9), (1, 1)), TOKENS_DYNAMIC)


@case("glam2021-einsum", "GLaM 2021", "capacity", "softmax, top 2 renormalised, 4 places; GEGLU experts, every other layer")
def glam():
    layers = [Layer(TopTwoCapacity(4, F.gelu)), Layer(FeedForward(activation=F.gelu))]
    return Model(Decoder(*layers), token_sets((2, 9), (1, 1)), TOKENS_DYNAMIC)


class Switch(nn.Module):
    """One expert per token, places grow with the sequence; what finds no place is 0 and lives on in the residual."""

    def __init__(self, factor=1.25):
        super().__init__()
        self.router = nn.Linear(HIDDEN, EXPERTS, bias=False)
        self.wi, self.wo = stack(EXPERTS, HIDDEN, INNER), stack(EXPERTS, INNER, HIDDEN)
        self.factor = factor

    def forward(self, x):
        length = x.shape[1]
        places = math.ceil(self.factor * length / EXPERTS)
        probabilities = self.router(x).softmax(-1)
        weight, expert = probabilities.max(-1)
        mask = one_hot(expert, EXPERTS, x)
        place = (mask.cumsum(1) * mask).sum(-1) - 1
        kept = (place < places).to(x.dtype)
        position = one_hot(place.long().clamp(0, places - 1), places, x) * kept[..., None]
        dispatch = mask[..., None] * position[:, :, None, :]
        hidden = F.relu(torch.einsum("becm,emh->bech", torch.einsum("bsec,bsm->becm", dispatch, x), self.wi))
        y = torch.einsum("bech,ehm->becm", hidden, self.wo)
        return torch.einsum("bsec,becm->bsm", dispatch * weight[..., None, None], y)


@case("switch2021-einsum", "Switch 2021", "capacity", "softmax, top 1, places 1.25 * sequence / E; dropped tokens are 0")
def switch():
    layers = [Layer(Switch(), Attention()), Layer(FeedForward(activation=F.relu), Attention())]
    return Model(Decoder(*layers, positions=16), token_sets((2, 12), (1, 12)), {"input_ids": {0: "batch"}})


class PriorityMixture(nn.Module):
    """V-MoE's block: tokens with the greatest gate come first; rows are scattered into buffers of fixed height."""

    def __init__(self, k=2, places=5):
        super().__init__()
        self.router = nn.Linear(HIDDEN, EXPERTS, bias=False)
        self.wi, self.bi = stack(EXPERTS, HIDDEN, INNER), nn.Parameter(torch.randn(EXPERTS, 1, INNER) * 0.1)
        self.wo, self.bo = stack(EXPERTS, INNER, HIDDEN), nn.Parameter(torch.randn(EXPERTS, 1, HIDDEN) * 0.1)
        self.k, self.places = k, places

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        weights, ids = self.router(rows).softmax(-1).topk(self.k, -1)
        order = weights[:, 0].sort(descending=True).indices
        sorted_ids = ids[order].t().reshape(-1)
        mask = (sorted_ids[:, None] == torch.arange(EXPERTS)).long()
        place = (mask.cumsum(0) * mask).sum(-1) - 1
        fits = place < self.places
        slot = torch.where(fits, sorted_ids * self.places + place, EXPERTS * self.places)
        token = order.repeat(self.k)
        buffer = torch.zeros(EXPERTS * self.places + 1, HIDDEN, dtype=x.dtype).index_copy(0, slot, rows[token])
        hidden = F.gelu(buffer[:-1].view(EXPERTS, self.places, HIDDEN) @ self.wi + self.bi)
        y = (hidden @ self.wo + self.bo).reshape(-1, HIDDEN)
        y = torch.cat([y, torch.zeros_like(y[:1])])[slot]
        y = y * (weights[order].t().reshape(-1) * fits.to(x.dtype))[:, None]
        return torch.zeros_like(rows).index_add(0, token, y).view_as(x)


class VisionMixture(nn.Module):
    """A vision transformer: patches by convolution, a class token, mixtures in the second layer."""

    def __init__(self, patch=4, size=12, classes=5):
        super().__init__()
        self.patches = nn.Conv2d(3, HIDDEN, patch, stride=patch)
        self.token = nn.Parameter(torch.randn(1, 1, HIDDEN))
        self.positions = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, HIDDEN) * 0.1)
        dense = nn.Sequential(nn.Linear(HIDDEN, INNER), nn.GELU(), nn.Linear(INNER, HIDDEN))
        self.layers = nn.Sequential(Layer(dense, Attention(causal=False), nn.LayerNorm),
                                    Layer(PriorityMixture(), Attention(causal=False), nn.LayerNorm))
        self.norm, self.head = nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, classes)

    def forward(self, image):
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.layers(x))[:, 0])


@case("vmoe2021-priority", "V-MoE 2021", "padded", "softmax, top 2, tokens by priority into 5 places; patch convolution")
def vision():
    return Model(VisionMixture(), [{"image": torch.randn(2, 3, 12, 12)}, {"image": torch.randn(1, 3, 12, 12)}],
                 {"image": {0: "batch"}})


class TranslationMixture(nn.Module):
    """NLLB's formula at evaluation: the second choice is made among the others' logits, weights are divided by their
    clamped sum, the output is scaled as for dropped tokens in training."""

    def __init__(self, dropout=0.2):
        super().__init__()
        self.router = nn.Linear(HIDDEN, EXPERTS, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(HIDDEN, INNER), nn.ReLU(), nn.Linear(INNER, HIDDEN)) for _ in range(EXPERTS))
        self.dropout = dropout

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        logits = self.router(rows)
        p = logits.softmax(-1)
        first = one_hot(p.argmax(-1), EXPERTS, p)
        second = one_hot(logits.masked_fill(first.bool(), float("-inf")).argmax(-1), EXPERTS, p)
        p1, p2 = (p * first).sum(-1, keepdim=True), (p * second).sum(-1, keepdim=True)
        total = (p1 + p2).clamp(min=torch.finfo(torch.float32).eps)
        weights = (p1 * first + p2 * second) / total
        y = torch.zeros_like(rows)
        for e, expert in enumerate(self.experts):
            y = y + expert(rows) * weights[:, e : e + 1]
        return (y * (1 - self.dropout)).view_as(x)


class CrossAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.kv, self.out = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, 2 * HIDDEN), nn.Linear(HIDDEN, HIDDEN)

    def forward(self, x, memory):
        def split(y):
            return y.view(y.shape[0], y.shape[1], HEADS, -1).transpose(1, 2)

        k, v = self.kv(memory).chunk(2, -1)
        y = F.scaled_dot_product_attention(split(self.q(x)), split(k), split(v))
        return self.out(y.transpose(1, 2).reshape(x.shape))


class Translation(nn.Module):
    """An encoder and a decoder with one layer each, mixtures in both."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, HIDDEN)
        self.positions = nn.Embedding(16, HIDDEN)
        self.encoder = Layer(TranslationMixture(), Attention(causal=False), nn.LayerNorm)
        self.decoder = Layer(TranslationMixture(), Attention(), nn.LayerNorm)
        self.cross, self.cross_norm = CrossAttention(), nn.LayerNorm(HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN)

    def embed(self, ids):
        return self.embedding(ids) * HIDDEN**0.5 + self.positions(torch.arange(ids.shape[1]))

    def forward(self, input_ids, decoder_input_ids):
        memory = self.norm(self.encoder(self.embed(input_ids)))
        x = self.embed(decoder_input_ids)
        x = x + self.cross(self.cross_norm(x), memory)
        return self.norm(self.decoder(x)) @ self.embedding.weight.t()


@case("nllb2022-denseloop", "NLLB 2022", "denseloop", "softmax top 1, top 1 of the other logits, clamped sum, output * 0.8")
def translation():
    data = token_sets((2, 7), (1, 3))
    for inputs, length in zip(data, (4, 1)):
        inputs["decoder_input_ids"] = torch.randint(0, VOCABULARY, (inputs["input_ids"].shape[0], length))
    dynamic = {"input_ids": {0: "batch", 1: "sequence"}, "decoder_input_ids": {0: "batch", 1: "target_sequence"}}
    return Model(Translation(), data, dynamic)


class BalancedMixture(nn.Module):
    """BASE (2021): Sinkhorn iterations make the assignment balanced, the gate is the sigmoid of the chosen logit."""

    def __init__(self, iterations=3):
        super().__init__()
        self.centroids = nn.Parameter(torch.randn(EXPERTS, HIDDEN) * HIDDEN**-0.5)
        self.wi, self.wo = stack(EXPERTS, HIDDEN, INNER), stack(EXPERTS, INNER, HIDDEN)
        self.iterations = iterations

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        logits = rows @ self.centroids.t()
        plan = logits.exp()
        for _ in range(self.iterations):
            plan = plan / plan.sum(0, keepdim=True)
            plan = plan / plan.sum(1, keepdim=True)
        expert = plan.argmax(-1)
        gate = torch.sigmoid(logits.gather(1, expert[:, None]))
        hidden = F.relu(torch.einsum("th,thf->tf", rows, self.wi[expert]))
        return (gate * torch.einsum("tf,tfh->th", hidden, self.wo[expert])).view_as(x)


@case("base2021-gather", "BASE 2021", "gather", "Sinkhorn iterations over the batch, top 1, sigmoid of the chosen logit")
def balanced():
    return Model(Decoder(Layer(BalancedMixture())), token_sets((2, 6), (1, 1)), TOKENS_DYNAMIC)
