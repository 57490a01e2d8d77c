"""Routers that choose in other ways: experts choose tokens, tables, two levels, null experts, soft slots, product keys."""

import torch
from torch import nn
from torch.nn import functional as F

from case import Model, case
from layers import EXPERTS, HIDDEN, INNER, TOKENS_DYNAMIC, VOCABULARY, Decoder, FeedForward, Layer, RMSNorm, stack, token_sets


def gated(rows, gate, up, down):
    """The gated network of one matrix each per row: rows [..., H], gate and up [..., H, F], down [..., F, H]."""
    rows = rows.unsqueeze(-2)
    return ((F.silu(rows @ gate) * (rows @ up)) @ down).squeeze(-2)


class Stacks(nn.Module):
    """Stacked weights of gated experts."""

    def __init__(self, experts=EXPERTS):
        super().__init__()
        self.gate, self.up = stack(experts, HIDDEN, INNER), stack(experts, HIDDEN, INNER)
        self.down = stack(experts, INNER, HIDDEN)

    def gathered(self, rows, ids):
        """Every row through the expert of its id."""
        return gated(rows, self.gate[ids], self.up[ids], self.down[ids])


class ExpertChoice(nn.Module):
    """Expert choice (2022): each expert takes the tokens of a sequence that score highest for it."""

    def __init__(self):
        super().__init__()
        self.router, self.experts = nn.Linear(HIDDEN, EXPERTS, bias=False), Stacks()

    def forward(self, x):
        batch, length, _ = x.shape
        count = (2 * length + EXPERTS - 1) // EXPERTS
        scores = self.router(x).softmax(-1).transpose(1, 2)
        weights, tokens = scores.topk(count, -1)
        index = tokens.reshape(batch, -1, 1).expand(-1, -1, HIDDEN)
        rows = x.gather(1, index).view(batch, EXPERTS, count, HIDDEN)
        hidden = F.silu(rows @ self.experts.gate) * (rows @ self.experts.up)
        y = (hidden @ self.experts.down) * weights[..., None]
        return torch.zeros_like(x).scatter_add(1, index, y.view(batch, -1, HIDDEN))


@case("expert_choice2022-scatter", "expert choice 2022", "scatter", "softmax; every expert takes its 2 T / E best tokens")
def expert_choice():
    return Model(Decoder(Layer(ExpertChoice()), Layer(FeedForward())), token_sets((2, 9), (1, 2)), TOKENS_DYNAMIC)


class HashLayer(nn.Module):
    """Hash routing (2021): the token id alone names the expert, through a table."""

    def __init__(self):
        super().__init__()
        self.experts = Stacks()
        self.register_buffer("table", torch.randint(0, EXPERTS, (VOCABULARY,)))

    def forward(self, x, ids):
        expert = self.table[ids].reshape(-1)
        return self.experts.gathered(x.reshape(-1, HIDDEN), expert).view_as(x)


class HashModel(Decoder):
    def __init__(self):
        super().__init__(Layer(FeedForward()))
        self.hash, self.hash_norm = HashLayer(), RMSNorm()

    def forward(self, input_ids):
        x = self.layers[0](self.embedding(input_ids))
        return self.head(self.norm(x + self.hash(self.hash_norm(x), input_ids)))


@case("hash2021-gather", "hash routing 2021", "gather", "expert = table[token id], weight 1")
def hash_routing():
    return Model(HashModel(), token_sets((2, 7), (1, 1)), TOKENS_DYNAMIC)


class TwoLevels(nn.Module):
    """A router of groups, then in each chosen group a router of its experts; weights are products."""

    def __init__(self, groups=3, each=4):
        super().__init__()
        self.top = nn.Linear(HIDDEN, groups, bias=False)
        self.inner = stack(groups, HIDDEN, each)
        self.experts = Stacks(groups * each)
        self.each = each

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        group_weights, groups = self.top(rows).softmax(-1).topk(2, -1)
        group_weights = group_weights / group_weights.sum(-1, keepdim=True)
        logits = torch.einsum("th,tkhe->tke", rows, self.inner[groups])
        weights, local = logits.softmax(-1).topk(2, -1)
        ids = (groups[..., None] * self.each + local).flatten(1)
        weights = (group_weights[..., None] * weights).flatten(1)
        y = self.experts.gathered(rows[:, None, :], ids)
        return (y * weights[..., None]).sum(1).view_as(x)


@case("two_level-gather", "hierarchical two-level", "gather", "softmax top 2 of 3 groups, softmax top 2 of 4 experts in each")
def two_levels():
    return Model(Decoder(Layer(TwoLevels())), token_sets((2, 5), (1, 1)), TOKENS_DYNAMIC)


class NullExperts(nn.Module):
    """MoE++ (2024): beside the networks there are experts that return nothing, the token itself, or a vector."""

    def __init__(self, k=2):
        super().__init__()
        self.router = nn.Linear(HIDDEN, EXPERTS + 3, bias=False)
        self.networks = nn.ModuleList(FeedForward() for _ in range(EXPERTS))
        self.constant = nn.Parameter(torch.randn(HIDDEN))
        self.constant_gate = nn.Linear(HIDDEN, 2, bias=False)
        self.k = k

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        weights, ids = self.router(rows).softmax(-1).topk(self.k, -1)
        weights = weights / weights.sum(-1, keepdim=True)

        def weight(expert):
            return (weights * (ids == expert)).sum(-1, keepdim=True)

        y = torch.zeros_like(rows)
        for e, network in enumerate(self.networks):
            y = y + weight(e) * network(rows)
        # Expert E returns nothing, E + 1 the token, E + 2 a mixture of the token and a vector.
        mix = self.constant_gate(rows).softmax(-1)
        y = y + weight(EXPERTS + 1) * rows
        y = y + weight(EXPERTS + 2) * (mix[:, :1] * rows + mix[:, 1:] * self.constant)
        return y.view_as(x)


@case("null_experts2024-denseloop", "zero/identity experts 2024", "denseloop",
      "softmax, top 2 of 6 networks, zero, identity and constant, renormalised")
def null_experts():
    return Model(Decoder(Layer(NullExperts())), token_sets((2, 7), (1, 1)), TOKENS_DYNAMIC)


class SoftSlots(nn.Module):
    """Soft MoE (2023): every slot of an expert is a mixture of all tokens, every token a mixture of all slots."""

    def __init__(self, slots=2):
        super().__init__()
        self.slots = nn.Parameter(torch.randn(HIDDEN, EXPERTS, slots) * HIDDEN**-0.5)
        self.scale, self.experts = nn.Parameter(torch.ones(())), Stacks()

    def forward(self, x):
        logits = torch.einsum("bth,hes->btes", F.normalize(x, dim=-1), self.scale * F.normalize(self.slots, dim=0))
        dispatch = logits.softmax(1)
        combine = logits.flatten(2).softmax(-1).view_as(logits)
        rows = torch.einsum("bth,btes->besh", x, dispatch)
        hidden = F.silu(rows @ self.experts.gate) * (rows @ self.experts.up)
        return torch.einsum("besh,btes->bth", hidden @ self.experts.down, combine)


@case("soft2023-einsum", "Soft MoE 2023", "dense", "softmax over tokens into slots, softmax over slots out of them")
def soft():
    return Model(Decoder(Layer(SoftSlots())), token_sets((2, 7), (1, 1)), TOKENS_DYNAMIC)


class ReluRouting(nn.Module):
    """ReMoE (2024): the weight is the positive part of the logit, any number of experts may be active."""

    def __init__(self):
        super().__init__()
        self.router = nn.Linear(HIDDEN, EXPERTS, bias=False)
        self.networks = nn.ModuleList(FeedForward() for _ in range(EXPERTS))

    def forward(self, x):
        weights = F.relu(self.router(x))
        return sum(weights[..., e : e + 1] * network(x) for e, network in enumerate(self.networks))


@case("remoe2024-denseloop", "ReMoE 2024", "denseloop", "positive part of the logits, no choice")
def relu_routing():
    return Model(Decoder(Layer(ReluRouting())), token_sets((2, 7), (1, 1)), TOKENS_DYNAMIC)


class DepthLayer(nn.Module):
    """Mixture of depths (2024): the best half of the tokens of a sequence goes through the layer, the rest past it."""

    def __init__(self):
        super().__init__()
        self.router, self.layer = nn.Linear(HIDDEN, 1, bias=False), Layer(FeedForward())

    def forward(self, x):
        scores = self.router(x).squeeze(-1)
        weights, tokens = scores.topk((x.shape[1] + 1) // 2, -1)
        tokens, order = tokens.sort(-1)
        index = tokens[..., None].expand(-1, -1, HIDDEN)
        rows = x.gather(1, index)
        y = rows + (self.layer(rows) - rows) * torch.sigmoid(weights.gather(1, order))[..., None]
        return x.scatter(1, index, y)


@case("depths2024-scatter", "mixture of depths 2024", "scatter", "top half of the tokens goes through the layer")
def depths():
    return Model(Decoder(DepthLayer(), Layer(FeedForward())), token_sets((2, 8), (1, 3)), TOKENS_DYNAMIC)


class ProductKeys(nn.Module):
    """PEER (2024): two lists of keys make E = n * n experts of one row each; weights are gathered like embeddings."""

    def __init__(self, keys=5, k=3):
        super().__init__()
        self.query = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.keys = nn.Parameter(torch.randn(2, keys, HIDDEN // 2) * (HIDDEN // 2) ** -0.5)
        self.down, self.up = nn.Embedding(keys * keys, HIDDEN), nn.Embedding(keys * keys, HIDDEN)
        self.k, self.count = k, keys

    def forward(self, x):
        query = self.query(x)
        first, second = (half @ keys.t() for half, keys in zip(query.chunk(2, -1), self.keys))
        (s1, i1), (s2, i2) = first.topk(self.k, -1), second.topk(self.k, -1)
        scores = (s1[..., :, None] + s2[..., None, :]).flatten(-2)
        ids = (i1[..., :, None] * self.count + i2[..., None, :]).flatten(-2)
        scores, best = scores.topk(self.k, -1)
        ids = ids.gather(-1, best)
        hidden = F.gelu(torch.einsum("bth,btkh->btk", x, self.down(ids))) * scores.softmax(-1)
        return torch.einsum("btk,btkh->bth", hidden, self.up(ids))


@case("peer2024-embedding", "PEER 2024", "embedding", "product keys: top 3 and top 3, top 3 of their sums, softmax")
def product_keys():
    return Model(Decoder(Layer(ProductKeys())), token_sets((2, 6), (1, 1)), TOKENS_DYNAMIC)
