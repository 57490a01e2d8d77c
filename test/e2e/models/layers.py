"""Parts that the hand-written models share. Extents are no multiples of vector lengths, so that remainders are tested."""

import torch
from torch import nn
from torch.nn import functional as F

VOCABULARY, HIDDEN, HEADS, INNER, EXPERTS = 40, 24, 3, 20, 6


def token_sets(*shapes, vocabulary=VOCABULARY, name="input_ids"):
    """Data sets of random token ids."""
    return [{name: torch.randint(0, vocabulary, shape)} for shape in shapes]


TOKENS_DYNAMIC = {"input_ids": {0: "batch", 1: "sequence"}}


def stack(*shape):
    """The weights of a stack of experts, scaled by their fan-in."""
    return nn.Parameter(torch.randn(*shape) * shape[-2] ** -0.5)


class RMSNorm(nn.Module):
    def __init__(self, hidden=HIDDEN, epsilon=1e-6):
        super().__init__()
        self.weight = nn.Parameter(1 + 0.1 * torch.randn(hidden))
        self.epsilon = epsilon

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon)


class Attention(nn.Module):
    """Multi-head attention with optional rotation, causal mask and cap on its logits."""

    def __init__(self, hidden=HIDDEN, heads=HEADS, causal=True, rotary=False, softcap=None):
        super().__init__()
        self.qkv = nn.Linear(hidden, 3 * hidden, bias=False)
        self.out = nn.Linear(hidden, hidden, bias=False)
        self.heads, self.causal, self.rotary, self.softcap = heads, causal, rotary, softcap

    def rotate(self, x):
        width = x.shape[-1]
        frequency = 10000.0 ** (-torch.arange(0, width, 2, device=x.device).to(x.dtype) / width)
        angle = torch.arange(x.shape[-2], device=x.device).to(x.dtype)[:, None] * frequency
        cos, sin = angle.cos(), angle.sin()
        a, b = x.chunk(2, -1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def forward(self, x):
        batch, length, hidden = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, hidden // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        if self.rotary:
            q, k = self.rotate(q), self.rotate(k)
        logits = q @ k.transpose(-1, -2) * (hidden // self.heads) ** -0.5
        if self.softcap:
            logits = self.softcap * torch.tanh(logits / self.softcap)
        if self.causal:
            position = torch.arange(length, device=x.device)
            logits = logits.masked_fill(position[None, :] > position[:, None], float("-inf"))
        y = logits.softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(batch, length, hidden))


class FeedForward(nn.Module):
    """A dense gated network."""

    def __init__(self, hidden=HIDDEN, inner=INNER, activation=F.silu):
        super().__init__()
        self.gate = nn.Linear(hidden, inner, bias=False)
        self.up = nn.Linear(hidden, inner, bias=False)
        self.down = nn.Linear(inner, hidden, bias=False)
        self.activation = activation

    def forward(self, x):
        return self.down(self.activation(self.gate(x)) * self.up(x))


class Layer(nn.Module):
    """Attention and a feed-forward part with residuals, norms before them."""

    def __init__(self, feed_forward, attention=None, norm=RMSNorm):
        super().__init__()
        self.attention = attention or Attention(rotary=True)
        self.feed_forward = feed_forward
        self.attention_norm, self.feed_forward_norm = norm(HIDDEN), norm(HIDDEN)

    def forward(self, x):
        x = x + self.attention(self.attention_norm(x))
        return x + self.feed_forward(self.feed_forward_norm(x))


class Decoder(nn.Module):
    """A language model of the given layers."""

    def __init__(self, *layers, vocabulary=VOCABULARY, norm=RMSNorm, positions=0):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, HIDDEN)
        self.positions = nn.Embedding(positions, HIDDEN) if positions else None
        self.layers = nn.ModuleList(layers)
        self.norm = norm(HIDDEN)
        self.head = nn.Linear(HIDDEN, vocabulary, bias=False)

    def forward(self, ids):
        x = self.embedding(ids)
        if self.positions is not None:
            x = x + self.positions(torch.arange(ids.shape[1], device=ids.device))
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))
