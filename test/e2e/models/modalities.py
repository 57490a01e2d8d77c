"""Mixtures by time step and by modality: Wan 2.2 style diffusion, image and text tokens in one model."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from case import Model, case
from layers import EXPERTS, HIDDEN, INNER, VOCABULARY, Attention, FeedForward, Layer, RMSNorm, stack


class Denoiser(nn.Module):
    """A small diffusion transformer: 3-d patches of the latent video, text by cross attention, shifts by time step."""

    def __init__(self, channels=4, patch=(1, 2, 2)):
        super().__init__()
        self.patches = nn.Conv3d(channels, HIDDEN, patch, stride=patch)
        self.attention, self.feed_forward = Attention(causal=False), FeedForward(activation=F.gelu)
        self.q, self.kv = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, 2 * HIDDEN)
        self.shifts = nn.Linear(HIDDEN, 6 * HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN, elementwise_affine=False)
        self.head = nn.Linear(HIDDEN, channels * math.prod(patch))
        self.patch, self.channels = patch, channels

    def forward(self, latent, time, text):
        batch, _, frames, height, width = latent.shape
        x = self.patches(latent).flatten(2).transpose(1, 2)
        shift1, scale1, gate1, shift2, scale2, gate2 = self.shifts(F.silu(time)).unsqueeze(1).chunk(6, -1)
        x = x + gate1 * self.attention(self.norm(x) * (1 + scale1) + shift1)
        k, v = self.kv(text).chunk(2, -1)
        x = x + (self.q(x) @ k.transpose(1, 2) * HIDDEN**-0.5).softmax(-1) @ v
        x = x + gate2 * self.feed_forward(self.norm(x) * (1 + scale2) + shift2)
        y = self.head(self.norm(x)).view(batch, frames, height // 2, width // 2, self.channels, 2, 2)
        return y.permute(0, 4, 1, 2, 5, 3, 6).reshape(latent.shape)


class TimeStepExperts(nn.Module):
    """Two whole denoisers: one for noisy steps, one for the last ones. Only the chosen one runs."""

    def __init__(self, boundary=875.0):
        super().__init__()
        self.noisy, self.fine = Denoiser(), Denoiser()
        self.time = nn.Sequential(nn.Linear(8, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN))
        self.text = nn.Linear(12, HIDDEN)
        self.boundary = boundary

    def embed(self, step):
        frequency = torch.exp(-math.log(10000.0) * torch.arange(4).to(step.dtype) / 4)
        angle = step[:, None] * frequency
        return self.time(torch.cat([angle.cos(), angle.sin()], -1))

    def forward(self, latent, timestep, text):
        arguments = (latent, self.embed(timestep), self.text(text))
        return torch.cond((timestep >= self.boundary).all(), self.noisy, self.fine, arguments)


def diffusion_sets(steps, text=3):
    return [{"latent": torch.randn(1, 4, 2, 4, 4), "timestep": torch.tensor([step]), "text": torch.randn(1, text, 12)}
            for step in steps]


@case("wan22-if", "Wan 2.2 time-step experts", "if", "one of two models by time step >= 875; 3-d patch convolution")
def time_step_experts():
    return Model(TimeStepExperts(), diffusion_sets((950.0, 300.0)), {}, ("noise",))


class TimeStepStack(TimeStepExperts):
    """Both models run, the time step of each sample picks its result."""

    def forward(self, latent, timestep, text):
        arguments = (latent, self.embed(timestep), self.text(text))
        noisy = (timestep >= self.boundary)[:, None, None, None, None]
        return torch.where(noisy, self.noisy(*arguments), self.fine(*arguments))


@case("wan22-where", "Wan 2.2 time-step experts", "where", "both models run, time step >= 875 picks; samples of both kinds")
def time_step_stack():
    data = diffusion_sets((950.0, 300.0, 875.0))
    merged = {name: torch.cat([inputs[name] for inputs in data]) for name in data[0]}
    return Model(TimeStepStack(), [merged, data[1]], {name: {0: "batch"} for name in merged}, ("noise",))


class TimeStepRows(nn.Module):
    """A mixture whose router sees nothing but the time step: the same experts for all tokens of a sample."""

    def __init__(self, experts=4):
        super().__init__()
        self.router = nn.Linear(HIDDEN, experts)
        self.gate, self.up, self.down = (stack(experts, *shape) for shape in ((HIDDEN, INNER), (HIDDEN, INNER), (INNER, HIDDEN)))

    def forward(self, x, time):
        weights, ids = self.router(time).topk(2, -1)
        weights = weights.softmax(-1)
        rows = x[:, None]
        y = (F.silu(rows @ self.gate[ids]) * (rows @ self.up[ids])) @ self.down[ids]
        return (y * weights[..., None, None]).sum(1)


class TimeStepModel(TimeStepExperts):
    def __init__(self):
        super().__init__()
        del self.noisy, self.fine, self.text
        self.input, self.mixture, self.attention = nn.Linear(6, HIDDEN), TimeStepRows(), Attention(causal=False)
        self.norm1, self.norm2, self.head = RMSNorm(), RMSNorm(), nn.Linear(HIDDEN, 6)

    def forward(self, latent, timestep):
        x, time = self.input(latent), self.embed(timestep)
        x = x + self.attention(self.norm1(x))
        x = x + self.mixture(self.norm2(x), time)
        return self.head(x)


@case("timestep_router-gather", "time-step router", "gather",
      "top 2 of the time step's logits, softmax; a sample shares its experts")
def time_step_rows():
    data = [{"latent": torch.randn(batch, length, 6), "timestep": torch.rand(batch) * 1000} for batch, length in ((3, 5), (1, 2))]
    return Model(TimeStepModel(), data, {"latent": {0: "batch", 1: "sequence"}, "timestep": {0: "batch"}}, ("noise",))


class ModalityMixture(nn.Module):
    """ERNIE 4.5 VL style: text and image tokens have routers and experts of their own and share an expert."""

    def __init__(self, k=2):
        super().__init__()
        self.routers = nn.ModuleList(nn.Linear(HIDDEN, EXPERTS, bias=False) for _ in range(2))
        self.bias = nn.Parameter(torch.randn(2, EXPERTS) * 0.05)
        # Image experts are narrower.
        self.experts = nn.ModuleList(
            nn.ModuleList(FeedForward(inner=inner) for _ in range(EXPERTS)) for inner in (INNER, INNER // 2))
        self.shared, self.k = FeedForward(), k

    def part(self, rows, i):
        scores = self.routers[i](rows).softmax(-1)
        ids = (scores + self.bias[i]).topk(self.k, -1).indices
        weights = scores.gather(-1, ids)
        weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-12)
        y = torch.zeros_like(rows)
        for e, expert in enumerate(self.experts[i]):
            y = y + (weights * (ids == e)).sum(-1, keepdim=True) * expert(rows)
        return y

    def forward(self, x, is_image):
        rows = x.reshape(-1, HIDDEN)
        y = torch.where(is_image.reshape(-1, 1), self.part(rows, 1), self.part(rows, 0))
        return (y + self.shared(rows)).view_as(x)


class ImageAndText(nn.Module):
    """Patches of an image by convolution, followed by text tokens."""

    def __init__(self):
        super().__init__()
        self.patches, self.embedding = nn.Conv2d(3, HIDDEN, 4, stride=4), nn.Embedding(VOCABULARY, HIDDEN)
        self.attention, self.mixture = Attention(rotary=True), ModalityMixture()
        self.norm1, self.norm2, self.norm3 = RMSNorm(), RMSNorm(), RMSNorm()
        self.head = nn.Linear(HIDDEN, VOCABULARY, bias=False)

    def forward(self, image, input_ids):
        patches = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat([patches, self.embedding(input_ids)], 1)
        is_image = (torch.arange(x.shape[1]) < patches.shape[1]).expand(x.shape[0], -1)
        x = x + self.attention(self.norm1(x))
        x = x + self.mixture(self.norm2(x), is_image)
        return self.head(self.norm3(x[:, patches.shape[1]:]))


@case("modality-denseloop", "multimodal MoE", "denseloop",
      "softmax + bias, top 2 in each modality, clamped sum; patch convolution")
def modality():
    data = [{"image": torch.randn(batch, 3, 8, 8), "input_ids": torch.randint(0, VOCABULARY, (batch, length))}
            for batch, length in ((2, 5), (1, 1))]
    return Model(ImageAndText(), data, {"image": {0: "batch"}, "input_ids": {0: "batch", 1: "sequence"}})


class SharedRouter(nn.Module):
    """LIMoE (2022): one router and one set of experts for image and text tokens, top 1."""

    def __init__(self):
        super().__init__()
        self.router = nn.Linear(HIDDEN, EXPERTS, bias=False)
        self.wi, self.bi = stack(EXPERTS, HIDDEN, INNER), nn.Parameter(torch.randn(EXPERTS, INNER) * 0.1)
        self.wo, self.bo = stack(EXPERTS, INNER, HIDDEN), nn.Parameter(torch.randn(EXPERTS, HIDDEN) * 0.1)

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        weight, expert = self.router(rows).softmax(-1).max(-1)
        hidden = F.gelu(torch.bmm(rows[:, None], self.wi[expert]).squeeze(1) + self.bi[expert])
        y = torch.bmm(hidden[:, None], self.wo[expert]).squeeze(1) + self.bo[expert]
        return (y * weight[:, None]).view_as(x)


class Contrastive(nn.Module):
    """Two inputs through the same layers, each pooled to a unit vector."""

    def __init__(self):
        super().__init__()
        self.patches, self.embedding = nn.Conv2d(3, HIDDEN, 4, stride=4), nn.Embedding(VOCABULARY, HIDDEN)
        self.layers = nn.Sequential(*(Layer(SharedRouter(), Attention(causal=False), nn.LayerNorm) for _ in range(2)))

    def forward(self, image, input_ids):
        def pool(x):
            return F.normalize(self.layers(x).mean(1), dim=-1)

        pictures = pool(self.patches(image).flatten(2).transpose(1, 2))
        texts = pool(self.embedding(input_ids))
        return pictures @ texts.t()


@case("limoe2022-bmm", "LIMoE 2022", "bmm", "softmax, top 1, one mixture for image and text tokens")
def contrastive():
    data = [{"image": torch.randn(images, 3, 8, 8), "input_ids": torch.randint(0, VOCABULARY, (texts, length))}
            for images, texts, length in ((2, 3, 5), (1, 1, 2))]
    dynamic = {"image": {0: "images"}, "input_ids": {0: "texts", 1: "sequence"}}
    return Model(Contrastive(), data, dynamic, ("similarity",))
