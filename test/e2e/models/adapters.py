"""Mixtures in attention, and low-rank adapters on routers and experts."""

import torch
from torch import nn
from torch.nn import functional as F

from case import Model, case
from layers import EXPERTS, HEADS, HIDDEN, INNER, TOKENS_DYNAMIC, Attention, Decoder, FeedForward, Layer, stack, token_sets


class HeadMixture(nn.Module):
    """Mixture of attention heads (2022): k of E query and output projections per token, keys and values are shared."""

    def __init__(self, k=2, width=8):
        super().__init__()
        self.router = nn.Linear(HIDDEN, EXPERTS, bias=False)
        self.q, self.o = stack(EXPERTS, HIDDEN, width), stack(EXPERTS, width, HIDDEN)
        self.kv = nn.Linear(HIDDEN, 2 * width, bias=False)
        self.k, self.width = k, width

    def forward(self, x):
        batch, length, _ = x.shape
        rows = x.reshape(-1, HIDDEN)
        weights, ids = self.router(rows).softmax(-1).topk(self.k, -1)
        weights = weights / weights.sum(-1, keepdim=True)
        q = torch.einsum("th,tkhd->tkd", rows, self.q[ids]).view(batch, length, self.k, self.width).transpose(1, 2)
        keys, values = self.kv(x).chunk(2, -1)
        logits = q @ keys[:, None].transpose(-1, -2) * self.width**-0.5
        position = torch.arange(length, device=x.device)
        logits = logits.masked_fill(position[None, :] > position[:, None], float("-inf"))
        mixed = (logits.softmax(-1) @ values[:, None]).transpose(1, 2).reshape(-1, self.k, self.width)
        y = torch.einsum("tkd,tkdh->tkh", mixed, self.o[ids])
        return (y * weights[..., None]).sum(1).view_as(x)


@case("attention_heads2022-gather", "MoE attention heads 2022", "gather", "softmax, top 2 of 6 heads, renormalised")
def head_mixture():
    return Model(Decoder(Layer(FeedForward(), HeadMixture())), token_sets((2, 6), (1, 1)), TOKENS_DYNAMIC)


class HeadChoice(nn.Module):
    """Mixture of heads (2024): shared heads always count, the others by a router whose weights scale their outputs."""

    def __init__(self, shared=1, k=1):
        super().__init__()
        self.attention = Attention(rotary=True)
        self.router = nn.Linear(HIDDEN, HEADS - shared, bias=False)
        self.balance = nn.Linear(HIDDEN, 2, bias=False)
        self.shared, self.k = shared, k

    def forward(self, x):
        batch, length, _ = x.shape
        scores = self.router(x).softmax(-1)
        kept = torch.zeros_like(scores).scatter(-1, scores.topk(self.k, -1).indices, 1.0)
        balance = self.balance(x).softmax(-1)
        heads = torch.cat([balance[..., :1].expand(-1, -1, self.shared), balance[..., 1:] * scores * kept], -1)
        q, k, v = self.attention.qkv(x).view(batch, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(self.attention.rotate(q), self.attention.rotate(k), v, is_causal=True)
        y = y.transpose(1, 2) * heads[..., None]
        return self.attention.out(y.reshape(batch, length, HIDDEN))


@case("head_choice2024-mask", "MoE attention heads 2024", "mask", "softmax, top 1 of 2 heads beside a shared one")
def head_choice():
    return Model(Decoder(Layer(FeedForward(), HeadChoice())), token_sets((2, 6), (1, 1)), TOKENS_DYNAMIC)


class AdaptedMixture(nn.Module):
    """Fine-tuned experts: the router and each expert's matrices have low-rank updates beside the frozen weights."""

    def __init__(self, k=2, rank=3, alpha=6.0):
        super().__init__()
        self.router = nn.Linear(HIDDEN, EXPERTS, bias=False)
        self.router_a, self.router_b = nn.Linear(HIDDEN, rank, bias=False), nn.Linear(rank, EXPERTS, bias=False)
        self.w1, self.w2 = stack(EXPERTS, HIDDEN, 2 * INNER), stack(EXPERTS, INNER, HIDDEN)
        self.w1_a, self.w1_b = stack(EXPERTS, HIDDEN, rank), stack(EXPERTS, rank, 2 * INNER)
        self.w2_a, self.w2_b = stack(EXPERTS, INNER, rank), stack(EXPERTS, rank, HIDDEN)
        self.k, self.scaling = k, alpha / rank

    def route(self, rows):
        logits = self.router(rows) + self.router_b(self.router_a(rows)) * self.scaling
        weights, ids = logits.softmax(-1).topk(self.k, -1)
        return weights / weights.sum(-1, keepdim=True), ids

    def product(self, rows, w, a, b):
        return rows @ w + (rows @ a) @ b * self.scaling

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        weights, ids = self.route(rows)
        flat = ids.reshape(-1)
        repeated = rows[:, None, :].expand(-1, self.k, -1).reshape(-1, 1, HIDDEN)
        gate, up = self.product(repeated, self.w1[flat], self.w1_a[flat], self.w1_b[flat]).chunk(2, -1)
        y = self.product(F.silu(gate) * up, self.w2[flat], self.w2_a[flat], self.w2_b[flat])
        y = y.view(-1, self.k, HIDDEN) * weights[..., None]
        return y.sum(1).view_as(x)


@case("lora_experts-bmm", "LoRA on router and experts", "bmm", "softmax of adapted logits, top 2 renormalised; rank 3 updates")
def adapted():
    return Model(Decoder(Layer(AdaptedMixture())), token_sets((2, 6), (1, 1)), TOKENS_DYNAMIC)


class AdaptedLoop(AdaptedMixture):
    """The same with a loop over the experts on all tokens, as adapters of unrolled experts export."""

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        weights, ids = self.route(rows)
        y = torch.zeros_like(rows)
        for e in range(EXPERTS):
            gate, up = self.product(rows, self.w1[e], self.w1_a[e], self.w1_b[e]).chunk(2, -1)
            out = self.product(F.silu(gate) * up, self.w2[e], self.w2_a[e], self.w2_b[e])
            y = y + out * (weights * (ids == e)).sum(-1, keepdim=True)
        return y.view_as(x)


@case("lora_experts-denseloop", "LoRA on router and experts", "denseloop", "as the batched form")
def adapted_loop():
    return Model(Decoder(Layer(AdaptedLoop())), token_sets((2, 6), (1, 1)), TOKENS_DYNAMIC)


class AdapterMixture(nn.Module):
    """Mixture of adapters: one frozen network, the experts are low-rank updates of its matrices."""

    def __init__(self, experts=4, k=2, rank=4):
        super().__init__()
        self.base = FeedForward()
        self.router = nn.Linear(HIDDEN, experts, bias=False)
        self.a, self.b = stack(experts, HIDDEN, rank), stack(experts, rank, HIDDEN)
        self.k, self.experts = k, experts

    def forward(self, x):
        gates = self.router(x).softmax(-1)
        threshold = gates.topk(self.k, -1).values[..., -1:]
        gates = torch.where(gates >= threshold, gates, 0.0)
        gates = gates / gates.sum(-1, keepdim=True)
        update = torch.einsum("bth,ehr->bter", x, self.a)
        return self.base(x) + torch.einsum("bter,erh,bte->bth", update, self.b, gates)


@case("mole-einsum", "mixture of LoRA experts", "einsum", "softmax, entries below the 2nd are 0, renormalised; rank 4 experts")
def adapter_mixture():
    return Model(Decoder(Layer(AdapterMixture())), token_sets((2, 6), (1, 1)), TOKENS_DYNAMIC)
