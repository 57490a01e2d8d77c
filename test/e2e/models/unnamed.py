"""Routers and experts that no published family has, written as people write them."""

import torch
from torch import nn
from torch.nn import functional as F

from case import Model, case
from layers import EXPERTS, HIDDEN, TOKENS_DYNAMIC, Decoder, FeedForward, Layer, RMSNorm, stack, token_sets


class Nucleus(nn.Module):
    """As many experts as make up 70 % of the probability, in the order of their scores."""

    def __init__(self, limit=0.7):
        super().__init__()
        self.router = nn.Linear(HIDDEN, EXPERTS)
        self.experts = nn.ModuleList(FeedForward(inner=12) for _ in range(EXPERTS))
        self.limit = limit

    def forward(self, x):
        ranked, order = self.router(x).softmax(-1).sort(-1, descending=True)
        kept = torch.where(ranked.cumsum(-1) - ranked < self.limit, ranked, 0.0)
        gates = torch.zeros_like(ranked).scatter(-1, order, kept)
        return sum(gates[..., e, None] * expert(x) for e, expert in enumerate(self.experts))


@case("nucleus-denseloop", "top-p routing", "denseloop", "softmax, experts until they make up 0.7")
def nucleus():
    return Model(Decoder(Layer(Nucleus()), Layer(Nucleus())), token_sets((2, 6), (1, 1)), TOKENS_DYNAMIC)


class CosineChoice(nn.Module):
    """Cosines with learnt directions choose; the results of all experts are stacked and some of them taken."""

    def __init__(self, k=2):
        super().__init__()
        self.directions = nn.Parameter(torch.randn(EXPERTS, HIDDEN))
        self.up, self.down = stack(EXPERTS, HIDDEN, 20), stack(EXPERTS, 20, HIDDEN)
        self.bias = nn.Parameter(0.1 * torch.randn(EXPERTS, 20))
        self.k = k

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        cosines = F.normalize(rows, dim=-1) @ F.normalize(self.directions, dim=-1).t()
        best, ids = (5.0 * cosines).topk(self.k, -1)
        weights = torch.tanh(best.abs()) / (1 + best.square().sum(-1, keepdim=True))
        hidden = torch.tanh(torch.einsum("th,ehf->tef", rows, self.up) + self.bias)
        results = torch.einsum("tef,efh->teh", hidden, self.down)
        chosen = results.gather(1, ids[..., None].expand(-1, -1, HIDDEN))
        return (chosen * weights[..., None]).sum(1).view_as(x)


@case("cosine-chosen", "cosine routing", "chosen", "top 2 cosines of 6, tanh / (1 + squares); tanh experts; results of all, chosen")
def cosine():
    return Model(Decoder(Layer(CosineChoice()), Layer(CosineChoice())), token_sets((2, 6), (1, 1)), TOKENS_DYNAMIC)


class Switchboard(nn.Module):
    """One expert per token by a chain of selections; a recurrent cell carries the choice of the layer before."""

    def __init__(self):
        super().__init__()
        self.router = nn.Linear(HIDDEN + EXPERTS, EXPERTS)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(HIDDEN, 20), nn.LeakyReLU(0.1), nn.Linear(20, HIDDEN)) for _ in range(4))
        self.norm = RMSNorm()

    def forward(self, x, before):
        rows = self.norm(x)
        logits = self.router(torch.cat([rows, before], -1))
        expert = (logits[..., :4] - logits[..., 4:].sum(-1, keepdim=True).sin()).argmax(-1, keepdim=True)
        y = torch.zeros_like(x)
        for e, network in enumerate(self.experts):
            y = torch.where(expert == e, network(rows), y)
        return x + y, torch.tanh(logits)


class SwitchboardModel(Decoder):
    def forward(self, input_ids):
        x = self.embedding(input_ids)
        state = torch.zeros(*input_ids.shape, EXPERTS, dtype=x.dtype)
        for layer in self.layers:
            x, state = layer(x, state)
        return self.head(self.norm(x))


@case("switchboard-where", "routers with a state", "where", "argmax of shifted logits, state of the layer before; selections")
def switchboard():
    return Model(SwitchboardModel(Switchboard(), Switchboard()), token_sets((2, 6), (1, 1)), TOKENS_DYNAMIC)


class SequenceGate(nn.Module):
    """The mean of a sequence chooses two experts for all of its tokens."""

    def __init__(self, k=2):
        super().__init__()
        self.router = nn.Linear(HIDDEN, EXPERTS)
        self.gate_up, self.down = stack(EXPERTS, HIDDEN, 24), stack(EXPERTS, 12, HIDDEN)
        self.k = k

    def forward(self, x):
        best, ids = self.router(x.mean(1)).topk(self.k, -1)
        gates = torch.zeros(x.shape[0], EXPERTS, dtype=x.dtype).scatter(1, ids, best.softmax(-1))
        gate, up = torch.einsum("bth,ehf->betf", x, self.gate_up).chunk(2, -1)
        y = torch.einsum("betf,efh->beth", F.elu(gate) * up, self.down)
        return torch.einsum("beth,be->bth", y, gates)


@case("sequence-einsum", "routing of sequences", "einsum", "top 2 of the mean's logits, softmax; one choice for a sequence; ELU")
def sequence():
    return Model(Decoder(Layer(SequenceGate())), token_sets((2, 6), (1, 1)), TOKENS_DYNAMIC)


class GatheredAdapters(nn.Module):
    """Each token's experts are a base matrix and their own low-rank parts; the function between has no name."""

    def __init__(self, k=2, rank=4):
        super().__init__()
        self.router = nn.Linear(HIDDEN, EXPERTS)
        self.base = nn.Linear(HIDDEN, 20)
        self.a, self.b = stack(EXPERTS, HIDDEN, rank), stack(EXPERTS, rank, 20)
        self.down = stack(EXPERTS, 20, HIDDEN)
        self.k = k

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        weights, ids = self.router(rows).topk(self.k, -1)
        low = torch.einsum("th,tkhr->tkr", rows, self.a[ids])
        hidden = self.base(rows)[:, None] + torch.einsum("tkr,tkrf->tkf", low, self.b[ids])
        hidden = hidden / (1 + hidden.abs())
        y = torch.einsum("tkf,tkfh->tkh", hidden, self.down[ids])
        return (y * weights.sigmoid()[..., None]).sum(1).view_as(x)


@case("adapters-gather", "low-rank experts", "gather", "top 2 of logits, sigmoid; a shared base, low-rank parts, softsign")
def adapters():
    return Model(Decoder(Layer(GatheredAdapters())), token_sets((2, 6), (1, 1)), TOKENS_DYNAMIC)
