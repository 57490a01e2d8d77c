"""Families whose modules in transformers do not export: DBRX, DeepSeek-V2, Mistral Large 3, GLM 5.1, LongCat-Flash."""

import torch
from torch import nn
from torch.nn import functional as F

from case import Model, case
from layers import EXPERTS, HEADS, HIDDEN, TOKENS_DYNAMIC, Decoder, FeedForward, Layer, RMSNorm, stack, token_sets


class JoinedExperts(nn.Module):
    """DBRX: the experts' matrices lie below each other, all E F x H; weights are divided by their 1-norm."""

    def __init__(self, inner=12, k=3):
        super().__init__()
        self.router = nn.Linear(HIDDEN, EXPERTS, bias=False)
        self.w1, self.v1, self.w2 = (nn.Parameter(torch.randn(EXPERTS * inner, HIDDEN) * HIDDEN**-0.5) for _ in range(3))
        self.inner, self.k = inner, k

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        weights, ids = self.router(rows).softmax(-1).topk(self.k, -1)
        weights = weights / torch.norm(weights, p=1, dim=-1, keepdim=True)
        y = torch.zeros_like(rows)
        for e in range(EXPERTS):
            w1, v1, w2 = (w.view(EXPERTS, self.inner, HIDDEN)[e] for w in (self.w1, self.v1, self.w2))
            hidden = F.silu(rows @ w1.t()) * (rows @ v1.t())
            y = y + (hidden @ w2) * (weights * (ids == e)).sum(-1, keepdim=True)
        return y.view_as(x)


@case("dbrx-denseloop", "DBRX", "denseloop", "softmax, top 3 of 6, divided by the 1-norm; joined matrices")
def dbrx():
    return Model(Decoder(Layer(JoinedExperts()), Layer(JoinedExperts()), norm=nn.LayerNorm), token_sets((2, 6), (1, 1)),
                 TOKENS_DYNAMIC)


class LatentAttention(nn.Module):
    """Multi-head latent attention: keys and values come from one narrow row, a part of the keys is rotated."""

    def __init__(self, latent=10, plain=6, rotated=4):
        super().__init__()
        self.q = nn.Linear(HIDDEN, HEADS * (plain + rotated), bias=False)
        self.down = nn.Linear(HIDDEN, latent + rotated, bias=False)
        self.norm = RMSNorm(latent)
        self.up = nn.Linear(latent, HEADS * 2 * plain, bias=False)
        self.out = nn.Linear(HEADS * plain, HIDDEN, bias=False)
        self.latent, self.plain, self.rotated = latent, plain, rotated

    def rotate(self, x):
        frequency = 10000.0 ** (-torch.arange(0, self.rotated, 2).to(x.dtype) / self.rotated)
        angle = torch.arange(x.shape[-2]).to(x.dtype)[:, None] * frequency
        a, b = x.chunk(2, -1)
        return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)

    def mask(self, x):
        """Which keys each query may see."""
        position = torch.arange(x.shape[1])
        return position[None, :] <= position[:, None]

    def forward(self, x):
        batch, length, _ = x.shape
        q = self.q(x).view(batch, length, HEADS, -1).transpose(1, 2)
        q, q_rotated = q.split([self.plain, self.rotated], -1)
        row, k_rotated = self.down(x).split([self.latent, self.rotated], -1)
        k, v = self.up(self.norm(row)).view(batch, length, HEADS, -1).transpose(1, 2).chunk(2, -1)
        logits = q @ k.transpose(-1, -2) + self.rotate(q_rotated) @ self.rotate(k_rotated[:, None]).transpose(-1, -2)
        logits = logits * (self.plain + self.rotated) ** -0.5
        logits = logits.masked_fill(~self.mask(x), float("-inf"))
        y = logits.softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(batch, length, -1))


class SparseAttention(LatentAttention):
    """DeepSeek sparse attention: a small indexer ranks the keys of each query, the best four are seen."""

    def __init__(self, heads=2, width=6, kept=4):
        super().__init__()
        self.index_q, self.index_k = nn.Linear(HIDDEN, heads * width), nn.Linear(HIDDEN, width)
        self.index_weight = nn.Linear(HIDDEN, heads)
        self.heads, self.kept = heads, kept

    def mask(self, x):
        batch, length, _ = x.shape
        q = self.index_q(x).view(batch, length, self.heads, -1)
        scores = F.relu(torch.einsum("bqhd,bkd->bqhk", q, self.index_k(x)))
        scores = (scores * self.index_weight(x)[..., None]).sum(2)
        causal = super().mask(x)
        scores = scores.masked_fill(~causal, float("-inf"))
        rank = (scores[..., None, :] > scores[..., :, None]).sum(-1)
        return (causal & (rank < self.kept))[:, None]


class LatentMixture(nn.Module):
    """Gathered experts with a router of its own, and a shared one."""

    def __init__(self, experts=8, inner=12, k=3, shared=1):
        super().__init__()
        self.router = nn.Linear(HIDDEN, experts, bias=False)
        self.bias = nn.Parameter(0.1 * torch.randn(experts))
        self.gate_up, self.down = stack(experts, HIDDEN, 2 * inner), stack(experts, inner, HIDDEN)
        self.shared = FeedForward(inner=shared * inner)
        self.k = k

    def grouped(self, scores, mask, reduce, groups=4, keep=2):
        """`scores` with all but the best groups at `mask`."""
        grouped = scores.unflatten(-1, (groups, -1))
        kept = reduce(grouped).topk(keep, -1).indices
        chosen = torch.zeros_like(grouped[..., 0]).scatter(1, kept, 1.0)
        return grouped.masked_fill(chosen[..., None] == 0, mask).flatten(1)

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        weights, ids = self.route(rows)
        gate, up = torch.einsum("th,tkhf->tkf", rows, self.gate_up[ids]).chunk(2, -1)
        y = torch.einsum("tkf,tkfh->tkh", F.silu(gate) * up, self.down[ids])
        return ((y * weights[..., None]).sum(1) + self.shared(rows)).view_as(x)


class DeepSeekV2(LatentMixture):
    def route(self, rows):
        scores = self.router(rows).softmax(-1)
        weights, ids = self.grouped(scores, 0.0, lambda g: g.amax(-1)).topk(self.k, -1, sorted=False)
        return weights * 16.0, ids


class DeepSeekV2Lite(LatentMixture):
    def route(self, rows):
        return self.router(rows).softmax(-1).topk(self.k, -1, sorted=False)


class MistralLarge3(LatentMixture):
    def route(self, rows):
        scores = self.router(rows).softmax(-1)
        ids = self.grouped(scores, 0.0, lambda g: g.topk(2, -1).values.sum(-1)).topk(self.k, -1, sorted=False).indices
        weights = scores.gather(1, ids)
        return weights / (weights.sum(-1, keepdim=True) + 1e-20), ids


class GLM5(LatentMixture):
    def route(self, rows):
        scores = self.router(rows).sigmoid()
        ids = (scores + self.bias).topk(self.k, -1, sorted=False).indices
        weights = scores.gather(1, ids)
        return weights / (weights.sum(-1, keepdim=True) + 1e-20) * 2.5, ids


def latent_model(mixture, attention=LatentAttention, **options):
    return Model(Decoder(Layer(FeedForward(), attention()), Layer(mixture(**options), attention())),
                 token_sets((2, 7), (1, 1)), TOKENS_DYNAMIC)


@case("deepseek_v2-gather", "DeepSeek-V2", "gather", "softmax, best 2 of 4 groups, others 0, top 3, * 16; shared expert; MLA")
def deepseek_v2():
    return latent_model(DeepSeekV2)


@case("deepseek_v2_lite-gather", "DeepSeek-V2-Lite", "gather", "softmax, top 3, not renormalised; 2 shared experts; MLA")
def deepseek_v2_lite():
    return latent_model(DeepSeekV2Lite, shared=2)


@case("mistral_large3-gather", "Mistral Large 3", "gather", "softmax, groups by top-2 sums, others 0, normalised; MLA")
def mistral_large3():
    return latent_model(MistralLarge3)


@case("glm5_1-gather", "GLM 5.1", "gather", "sigmoid + bias, top 3, normalised, * 2.5; shared expert; sparse latent attention")
def glm5():
    return latent_model(GLM5, SparseAttention)


class ShortcutMixture(nn.Module):
    """LongCat-Flash: the last experts return their input; softmax over all, a bias for the choice, no renormalisation."""

    def __init__(self, experts=6, identities=2, k=3):
        super().__init__()
        self.router = nn.Linear(HIDDEN, experts + identities, bias=False)
        self.bias = nn.Parameter(0.1 * torch.randn(experts + identities))
        self.experts = nn.ModuleList(FeedForward(inner=12) for _ in range(experts))
        self.k = k

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        scores = self.router(rows).softmax(-1)
        ids = (scores + self.bias).topk(self.k, -1, sorted=False).indices
        weights = scores.gather(1, ids) * 6.0
        y = rows * torch.where(ids >= len(self.experts), weights, 0.0).sum(-1, keepdim=True)
        for e, expert in enumerate(self.experts):
            y = y + expert(rows) * torch.where(ids == e, weights, 0.0).sum(-1, keepdim=True)
        return y.view_as(x)


class ShortcutLayer(nn.Module):
    """Two attentions and two dense networks; the mixture of the first norm's rows is added at the end."""

    def __init__(self):
        super().__init__()
        self.attentions = nn.ModuleList(LatentAttention() for _ in range(2))
        self.dense = nn.ModuleList(FeedForward() for _ in range(2))
        self.norms = nn.ModuleList(RMSNorm() for _ in range(4))
        self.mixture = ShortcutMixture()

    def forward(self, x):
        x = x + self.attentions[0](self.norms[0](x))
        rows = self.norms[1](x)
        shortcut = self.mixture(rows)
        x = x + self.dense[0](rows)
        x = x + self.attentions[1](self.norms[2](x))
        return x + self.dense[1](self.norms[3](x)) + shortcut


@case("longcat_flash-denseloop", "LongCat-Flash", "denseloop", "softmax + bias, top 3 of 6 and 2 identity experts, * 6")
def longcat_flash():
    return Model(Decoder(ShortcutLayer()), token_sets((2, 6), (1, 1)), TOKENS_DYNAMIC)
