"""A small byte-level Mixture-of-Experts language model in plain torch.

The architecture is that of today's decoder models with expert layers: RMSNorm, rotary positions, grouped-query
attention with normalised queries and keys, and in every layer 8 SwiGLU experts of which a softmax router picks 2.
`Model.forward` takes and returns the key/value cache, so that one exported graph serves the prompt and every later token.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional


@dataclass(frozen=True)
class Config:
    vocabulary: int = 256
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    head_size: int = 32
    experts: int = 8
    experts_per_token: int = 2
    expert_hidden: int = 112
    context: int = 256
    rotary_base: float = 10000.0
    epsilon: float = 1e-6


class RMSNorm(nn.Module):
    def __init__(self, size: int, epsilon: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x):
        variance = x.pow(2).mean(-1, keepdim=True)
        return self.weight * (x * torch.rsqrt(variance + self.epsilon))


def rotate(x, cosine, sine):
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-second, first), dim=-1) * sine


def repeat_heads(x, times: int):
    batch, heads, length, size = x.shape
    return x[:, :, None].expand(batch, heads, times, length, size).reshape(batch, heads * times, length, size)


class Attention(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.q_proj = nn.Linear(config.hidden, config.heads * config.head_size, bias=False)
        self.k_proj = nn.Linear(config.hidden, config.kv_heads * config.head_size, bias=False)
        self.v_proj = nn.Linear(config.hidden, config.kv_heads * config.head_size, bias=False)
        self.o_proj = nn.Linear(config.heads * config.head_size, config.hidden, bias=False)
        self.q_norm = RMSNorm(config.head_size, config.epsilon)
        self.k_norm = RMSNorm(config.head_size, config.epsilon)

    def forward(self, x, cosine, sine, visible, past):
        config = self.config
        batch, length, _ = x.shape
        q = self.q_norm(self.q_proj(x).view(batch, length, config.heads, config.head_size)).transpose(1, 2)
        k = self.k_norm(self.k_proj(x).view(batch, length, config.kv_heads, config.head_size)).transpose(1, 2)
        v = self.v_proj(x).view(batch, length, config.kv_heads, config.head_size).transpose(1, 2)
        q, k = rotate(q, cosine, sine), rotate(k, cosine, sine)
        k, v = torch.cat((past[0], k), dim=2), torch.cat((past[1], v), dim=2)
        group = config.heads // config.kv_heads
        scores = q @ repeat_heads(k, group).transpose(2, 3) * config.head_size**-0.5
        scores = torch.where(visible, scores, torch.finfo(scores.dtype).min)
        mixed = functional.softmax(scores, dim=-1) @ repeat_heads(v, group)
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, length, -1)), (k, v)


class ExpertLayer(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.gate = nn.Linear(config.hidden, config.experts, bias=False)
        self.gate_up_proj = nn.Parameter(torch.empty(config.experts, 2 * config.expert_hidden, config.hidden))
        self.down_proj = nn.Parameter(torch.empty(config.experts, config.hidden, config.expert_hidden))

    def route(self, x):
        probabilities = functional.softmax(self.gate(x), dim=-1)
        weights, ids = torch.topk(probabilities, self.config.experts_per_token, dim=-1)
        return probabilities, weights / weights.sum(-1, keepdim=True), ids

    def forward(self, x):
        """Each token gathers the weights of its experts: the form that exporters write."""
        shape = x.shape
        k = self.config.experts_per_token
        x = x.reshape(-1, self.config.hidden)
        _, weights, ids = self.route(x)
        ids = ids.reshape(-1)
        rows = x.unsqueeze(1).expand(-1, k, -1).reshape(-1, self.config.hidden)
        gate, up = torch.bmm(self.gate_up_proj[ids], rows.unsqueeze(-1)).squeeze(-1).chunk(2, dim=-1)
        rows = torch.bmm(self.down_proj[ids], (functional.silu(gate) * up).unsqueeze(-1)).squeeze(-1)
        rows = rows * weights.reshape(-1).unsqueeze(-1)
        return rows.view(-1, k, self.config.hidden).sum(dim=1).reshape(shape)

    def forward_by_expert(self, x):
        """The same, one expert after the other, for training; also returns the loss that keeps the experts balanced."""
        shape = x.shape
        x = x.reshape(-1, self.config.hidden)
        probabilities, weights, ids = self.route(x)
        result = torch.zeros_like(x)
        for expert in range(self.config.experts):
            tokens, slot = torch.where(ids == expert)
            gate, up = (x[tokens] @ self.gate_up_proj[expert].T).chunk(2, dim=-1)
            rows = (functional.silu(gate) * up) @ self.down_proj[expert].T
            result = result.index_add(0, tokens, rows * weights[tokens, slot, None])
        load = functional.one_hot(ids, self.config.experts).float().mean((0, 1))
        return result.reshape(shape), self.config.experts * (load * probabilities.mean(0)).sum()


class Layer(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.attention_norm = RMSNorm(config.hidden, config.epsilon)
        self.attention = Attention(config)
        self.mlp_norm = RMSNorm(config.hidden, config.epsilon)
        self.mlp = ExpertLayer(config)


class Model(nn.Module):
    def __init__(self, config: Config = Config()):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.hidden)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.hidden, config.epsilon)
        self.head = nn.Linear(config.hidden, config.vocabulary, bias=False)
        frequencies = config.rotary_base ** -(torch.arange(0, config.head_size, 2) / config.head_size)
        self.register_buffer("frequencies", frequencies, persistent=False)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.04)

    def positions(self, past: int, length: int):
        angles = torch.arange(past, past + length)[:, None].float() * self.frequencies
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos(), angles.sin()

    def empty_past(self, batch: int):
        config = self.config
        shape = (batch, config.kv_heads, 0, config.head_size)
        return [(torch.zeros(shape), torch.zeros(shape)) for _ in range(config.layers)]

    def forward(self, input_ids, attention_mask, past_key_values):
        past, length = past_key_values[0][0].shape[2], input_ids.shape[1]
        cosine, sine = self.positions(past, length)
        causal = torch.arange(past + length)[None, :] <= torch.arange(past, past + length)[:, None]
        visible = causal[None, None] & (attention_mask[:, None, None, :] != 0)
        x = self.embedding(input_ids)
        present = []
        for layer, layer_past in zip(self.layers, past_key_values):
            mixed, layer_present = layer.attention(layer.attention_norm(x), cosine, sine, visible, layer_past)
            present.append(layer_present)
            x = x + mixed
            x = x + layer.mlp(layer.mlp_norm(x))
        return self.head(self.norm(x)), present

    def training_loss(self, tokens):
        """Cross-entropy of each byte given those before it, and the mean balance loss of the layers."""
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
        batch, length = inputs.shape
        cosine, sine = self.positions(0, length)
        visible = torch.ones(length, length, dtype=torch.bool).tril()
        x = self.embedding(inputs)
        balance = 0.0
        for layer, past in zip(self.layers, self.empty_past(batch)):
            x = x + layer.attention(layer.attention_norm(x), cosine, sine, visible, past)[0]
            mixed, layer_balance = layer.mlp.forward_by_expert(layer.mlp_norm(x))
            x = x + mixed
            balance = balance + layer_balance / len(self.layers)
        logits = self.head(self.norm(x))
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten()), balance
