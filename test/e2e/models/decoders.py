"""Language models that transformers does not export or does not have: Grok-1, DeepSeekMoE, Llama 4, ST-MoE, BlackMamba."""

import torch
from torch import nn
from torch.nn import functional as F

from case import Model, case
from layers import EXPERTS, HIDDEN, INNER, TOKENS_DYNAMIC, Attention, Decoder, FeedForward, Layer, RMSNorm, stack, token_sets


class GrokMixture(nn.Module):
    """softmax over all logits, the top 2 as they are; gelu of the gate projection times `linear_v`."""

    def __init__(self, k=2):
        super().__init__()
        self.router = nn.Linear(HIDDEN, EXPERTS, bias=False)
        self.linear, self.linear_v = stack(EXPERTS, HIDDEN, INNER), stack(EXPERTS, HIDDEN, INNER)
        self.linear_1 = stack(EXPERTS, INNER, HIDDEN)
        self.k = k

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        weights, ids = self.router(rows).softmax(-1).topk(self.k, -1)
        hidden = F.gelu(torch.einsum("td,tkdf->tkf", rows, self.linear[ids]), approximate="tanh")
        hidden = hidden * torch.einsum("td,tkdf->tkf", rows, self.linear_v[ids])
        y = torch.einsum("tkf,tkfd->tkd", hidden, self.linear_1[ids])
        return (y * weights[..., None]).sum(1).view_as(x)


class GrokLayer(nn.Module):
    """Norms before and after each part."""

    def __init__(self):
        super().__init__()
        self.attention, self.mixture = Attention(rotary=True, softcap=30.0), GrokMixture()
        self.norms = nn.ModuleList(RMSNorm() for _ in range(4))

    def forward(self, x):
        x = x + self.norms[1](self.attention(self.norms[0](x)))
        return x + self.norms[3](self.mixture(self.norms[2](x)))


class Grok(Decoder):
    def forward(self, input_ids):
        x = self.embedding(input_ids) * HIDDEN**0.5
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x)) * 0.57735


@case("grok1-gather", "Grok-1", "gather", "softmax, top 2, not renormalised; capped attention, norms on both sides")
def grok():
    return Model(Grok(GrokLayer(), GrokLayer()), token_sets((2, 6), (1, 1)), TOKENS_DYNAMIC)


class FineGrained(nn.Module):
    """DeepSeekMoE (January 2024): many narrow experts without renormalisation, two shared ones in one network."""

    def __init__(self, experts=8, k=3, inner=12):
        super().__init__()
        self.router = nn.Linear(HIDDEN, experts, bias=False)
        self.experts = nn.ModuleList(FeedForward(inner=inner) for _ in range(experts))
        self.shared = FeedForward(inner=2 * inner)
        self.k = k

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        weights, ids = self.router(rows).softmax(-1).topk(self.k, -1, sorted=False)
        y = torch.zeros_like(rows)
        for e, expert in enumerate(self.experts):
            weight = torch.where(ids == e, weights, 0.0).sum(-1, keepdim=True)
            y = y + expert(rows) * weight
        return y.view_as(x) + self.shared(x)


@case("deepseek_moe2024-denseloop", "DeepSeekMoE 2024", "denseloop", "softmax, top 3 of 8, not renormalised; 2 shared experts")
def fine_grained():
    return Model(Decoder(Layer(FeedForward()), Layer(FineGrained())), token_sets((2, 7), (1, 1)), TOKENS_DYNAMIC)


class InputWeighted(nn.Module):
    """Llama 4: the sigmoid of the chosen logit multiplies the input of the expert, all experts run on all tokens."""

    def __init__(self, experts):
        super().__init__()
        self.router = nn.Linear(HIDDEN, experts, bias=False)
        self.gate_up, self.down = stack(experts, HIDDEN, 2 * INNER), stack(experts, INNER, HIDDEN)
        self.shared, self.experts = FeedForward(), experts

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        logits = self.router(rows)
        values, ids = logits.topk(1, -1)
        scores = torch.sigmoid(torch.full_like(logits, float("-inf")).scatter(1, ids, values)).t()
        routed = rows.repeat(self.experts, 1) * scores.reshape(-1, 1)
        gate, up = (routed.view(self.experts, -1, HIDDEN) @ self.gate_up).chunk(2, -1)
        y = ((F.silu(gate) * up) @ self.down).sum(0)
        return (self.shared(rows) + y).view_as(x)


@case("llama4_scout-densebmm", "Llama 4 Scout", "densebmm", "sigmoid of the best logit on the input, shared expert, every layer")
def scout():
    layers = [Layer(InputWeighted(8)), Layer(InputWeighted(8))]
    return Model(Decoder(*layers), token_sets((2, 7), (1, 1)), TOKENS_DYNAMIC)


@case("llama4_maverick-densebmm", "Llama 4 Maverick", "densebmm", "as Scout with more experts, every other layer is dense")
def maverick():
    layers = [Layer(FeedForward(inner=32)), Layer(InputWeighted(12))]
    return Model(Decoder(*layers), token_sets((2, 7), (1, 1)), TOKENS_DYNAMIC)


class InputWeightedLoop(InputWeighted):
    """The same block with a loop over the experts, each on the tokens that chose it."""

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        values, ids = self.router(rows).max(-1)
        scaled = rows * torch.sigmoid(values)[:, None]
        y = torch.zeros_like(rows)
        for e in range(self.experts):
            token = (ids == e).nonzero(as_tuple=True)[0]
            gate, up = (scaled[token] @ self.gate_up[e]).chunk(2, -1)
            y = y.index_add(0, token, (F.silu(gate) * up) @ self.down[e])
        return (self.shared(rows) + y).view_as(x)


@case("llama4-loopnonzero", "Llama 4 Scout", "loopnonzero", "sigmoid of the best logit on the input, shared expert")
def scout_loop():
    return Model(Decoder(Layer(InputWeightedLoop(4))), token_sets((2, 7), (1, 2)), TOKENS_DYNAMIC)


class Selective(nn.Module):
    """A selective state-space layer: the state decays by exp(dt A) and is read out by C, in the form of prefix sums."""

    def __init__(self, states=4):
        super().__init__()
        self.project = nn.Linear(HIDDEN, 2 * HIDDEN, bias=False)
        self.convolution = nn.Conv1d(HIDDEN, HIDDEN, 3, padding=2, groups=HIDDEN)
        self.parameters_of_x = nn.Linear(HIDDEN, 1 + 2 * states, bias=False)
        self.dt_bias, self.log_a = nn.Parameter(torch.randn(HIDDEN) * 0.1), nn.Parameter(torch.rand(HIDDEN, states) * 0.5)
        self.skip, self.out = nn.Parameter(torch.ones(HIDDEN)), nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.states = states

    def forward(self, x):
        length = x.shape[1]
        x, z = self.project(x).chunk(2, -1)
        x = F.silu(self.convolution(x.transpose(1, 2))[..., :length]).transpose(1, 2)
        dt, b, c = self.parameters_of_x(x).split([1, self.states, self.states], -1)
        dt = F.softplus(dt + self.dt_bias)
        # decay[t, s] = exp(A (dt[s + 1] + ... + dt[t])) for s <= t.
        total = (dt[..., None] * -self.log_a.exp()).cumsum(1)
        position = torch.arange(length, device=x.device)
        past = (position[:, None] >= position[None, :])[None, :, :, None, None]
        decay = torch.where(past, total[:, :, None] - total[:, None, :], float("-inf")).exp()
        y = torch.einsum("btsdn,bsd,bsn,btn->btd", decay, dt * x, b, c)
        return self.out((y + self.skip * x) * F.silu(z))


class TopOne(nn.Module):
    """BlackMamba's mixture: top 1 by sigmoid, experts with two matrices."""

    def __init__(self):
        super().__init__()
        self.router = nn.Linear(HIDDEN, EXPERTS, bias=False)
        self.wi, self.wo = stack(EXPERTS, HIDDEN, INNER), stack(EXPERTS, INNER, HIDDEN)

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        weights, ids = torch.sigmoid(self.router(rows)).topk(1, -1)
        repeated = rows.repeat_interleave(1, 0).unsqueeze(1)
        hidden = F.silu(torch.bmm(repeated, self.wi[ids.reshape(-1)]))
        y = torch.bmm(hidden, self.wo[ids.reshape(-1)]).squeeze(1) * weights.reshape(-1, 1)
        return y.view(rows.shape[0], 1, HIDDEN).sum(1).view_as(x)


@case("blackmamba2024-bmm", "BlackMamba 2024", "bmm", "sigmoid, top 1; state-space layers in place of attention")
def black_mamba():
    return Model(Decoder(Layer(TopOne(), Selective()), Layer(TopOne(), Selective())), token_sets((2, 7), (1, 1)), TOKENS_DYNAMIC)
