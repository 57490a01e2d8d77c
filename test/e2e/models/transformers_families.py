"""Whole models of transformers with random weights, at the smallest extents that keep their structure.

The experts are exported as `batched_mm` (gathered weights) where the family has that form, else as the family wrote them.
"""

import functools
import sys

import torch
import transformers
from torch import nn

from case import Model, case

VOCABULARY = 48
SHAPES = ((2, 7), (1, 1), (1, 10))
BASE = dict(vocab_size=VOCABULARY, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
            max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2, tie_word_embeddings=False)
MULTI_LATENT = dict(num_key_value_heads=2, q_lora_rank=12, kv_lora_rank=12, qk_nope_head_dim=8, qk_rope_head_dim=4,
                    v_head_dim=8, head_dim=4)
DEEPSEEK = dict(**MULTI_LATENT, intermediate_size=20, moe_intermediate_size=12, n_routed_experts=8, n_shared_experts=1,
                num_experts_per_tok=3, first_k_dense_replace=1)


class Logits(nn.Module):
    """Token ids and a mask in, logits out, without a cache."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits


def randomise(model):
    """Weights of every scale that matters: biases of routers and sinks are not zero, norms are not one."""
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2:
            noise = 0.1 * torch.randn_like(parameter)
            with torch.no_grad():
                parameter.copy_(parameter + noise if "norm" in name.lower() else noise)
        elif "embed" not in name:
            nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    for name, buffer in model.named_buffers():
        if "correction_bias" in name:
            buffer.copy_(0.1 * torch.randn_like(buffer))


def shorten_chunks(model):
    """Linear attention unrolls a loop over the places of a chunk: 64 of them make large files and test nothing more."""
    module = sys.modules[type(model).__module__]
    for name in ("torch_chunk_gated_delta_rule", "chunk_kimi_delta_attention"):
        function = getattr(module, name, None)
        if function and not isinstance(function, functools.partial):
            setattr(module, name, functools.partial(function, chunk_size=8))


def build(kind, overrides, experts, length=None, base=BASE):
    config_class = getattr(transformers, kind).config_class
    config = config_class(**{**base, **overrides})
    config._attn_implementation = "eager"
    if experts:
        config._experts_implementation = experts
    model = getattr(transformers, kind)(config)
    randomise(model)
    shorten_chunks(model)
    shapes = [(batch, length or count) for batch, count in SHAPES]
    data = []
    for shape in shapes:
        data.append({"input_ids": torch.randint(3, VOCABULARY, shape), "attention_mask": torch.ones(shape, dtype=torch.int64)})
    # Padding on the left of the first sequence.
    data[0]["attention_mask"][0, :2] = 0
    axes = {0: "batch"} if length else {0: "batch", 1: "sequence"}
    return Model(Logits(model), data, {"input_ids": axes, "attention_mask": axes})


def family(name, title, kind, routing, overrides, form="bmm", experts="batched_mm", length=None, base=BASE, **options):
    @case(name, title, form, routing, **options)
    def builder():
        return build(kind, overrides, experts, length, base)


family("mixtral-bmm", "Mixtral", "MixtralForCausalLM", "softmax, top 2, renormalised",
       dict(intermediate_size=20, num_local_experts=6, num_experts_per_tok=2))
family("qwen2_moe-bmm", "Qwen2-MoE", "Qwen2MoeForCausalLM", "softmax, top 2; shared expert with a sigmoid gate",
       dict(intermediate_size=20, moe_intermediate_size=12, shared_expert_intermediate_size=16, num_experts=6,
            num_experts_per_tok=2))
family("qwen3_moe-bmm", "Qwen3-MoE", "Qwen3MoeForCausalLM", "softmax, top 4 of 8, renormalised; layer 0 dense",
       dict(intermediate_size=20, moe_intermediate_size=12, num_experts=8, num_experts_per_tok=4, norm_topk_prob=True,
            head_dim=8, mlp_only_layers=[0]))
family("olmoe-bmm", "OLMoE", "OlmoeForCausalLM", "softmax, top 4 of 8, not renormalised",
       dict(intermediate_size=12, num_experts=8, num_experts_per_tok=4))
family("gpt_oss-bmm", "GPT-OSS", "GptOssForCausalLM", "top 2 of biased logits, softmax; clamped interleaved SwiGLU, sinks",
       dict(intermediate_size=12, num_local_experts=6, num_experts_per_tok=2, head_dim=8, sliding_window=4,
            layer_types=["sliding_attention", "full_attention"]))
family("deepseek_v3-bmm", "DeepSeek-V3", "DeepseekV3ForCausalLM",
       "sigmoid + bias, 2 of 4 groups by top-2 sums, top 3, normalised, * 2.5; MLA",
       dict(DEEPSEEK, n_group=4, topk_group=2, routed_scaling_factor=2.5))
family("glm4_moe-bmm", "GLM 4.5", "Glm4MoeForCausalLM", "sigmoid + bias, one group, top 2, normalised, * 2.5; shared expert",
       dict(intermediate_size=20, moe_intermediate_size=12, n_routed_experts=6, num_experts_per_tok=2, head_dim=8,
            first_k_dense_replace=1, routed_scaling_factor=2.5, n_group=1, topk_group=1))
family("minimax_m2-bmm", "MiniMax M2", "MiniMaxM2ForCausalLM", "sigmoid + bias, top 2, divided by the sum",
       dict(intermediate_size=12, num_local_experts=6, num_experts_per_tok=2, head_dim=8))
family("phimoe-bmm", "PhiMoE", "PhimoeForCausalLM", "sparse mixer: two softmaxes near the two best logits",
       dict(intermediate_size=12, num_local_experts=6, num_experts_per_tok=2))
family("granitemoe-bmm", "Granite MoE", "GraniteMoeForCausalLM", "top 2 of logits, softmax",
       dict(intermediate_size=12, num_local_experts=6, num_experts_per_tok=2, embedding_multiplier=2.0, logits_scaling=2.0,
            residual_multiplier=0.5, attention_multiplier=0.25))
family("ernie4_5_moe-bmm", "Ernie 4.5 MoE", "Ernie4_5_MoeForCausalLM", "softmax + bias, top 2, clamped sum; shared experts",
       dict(intermediate_size=20, moe_intermediate_size=12, moe_k=2, moe_num_experts=6, moe_num_shared_experts=2,
            moe_layer_start_index=1, moe_layer_end_index=1))
family("hunyuan_v1_moe-bmm", "Hunyuan V1 MoE", "HunYuanMoEV1ForCausalLM", "softmax, top 2, renormalised; shared expert",
       dict(intermediate_size=12, num_experts=4, moe_topk=2, head_dim=8, eod_token_id=3))
family("jamba-bmm", "Jamba", "JambaForCausalLM", "softmax, top 2, not renormalised; Mamba layer",
       dict(intermediate_size=12, num_experts=4, num_experts_per_tok=2, expert_layer_period=2, expert_layer_offset=1,
            attn_layer_period=2, attn_layer_offset=1, mamba_d_state=4, mamba_d_conv=4, mamba_expand=2, mamba_dt_rank=4,
            use_mamba_kernels=False), length=6)
family("jetmoe-experts", "JetMoE", "JetMoeForCausalLM", "top 2 of logits, softmax; mixtures of attention heads and experts",
       dict(num_key_value_heads=2, kv_channels=8, intermediate_size=12, num_local_experts=4, num_experts_per_tok=2),
       experts=None, form="split")
family("gemma4-bmm", "Gemma 4", "Gemma4ForCausalLM", "normed router, softmax, top 2, renormalised, * expert scale; dense part",
       dict(intermediate_size=20, head_dim=8, global_head_dim=8, enable_moe_block=True, num_experts=6, top_k_experts=2,
            moe_intermediate_size=12, layer_types=["sliding_attention", "full_attention"], sliding_window=4,
            hidden_size_per_layer_input=0, vocab_size_per_layer_input=VOCABULARY))
family("aria-bmm", "Aria", "AriaTextForCausalLM", "top 2 of logits, softmax; shared experts",
       dict(intermediate_size=12, moe_num_experts=6, moe_topk=2, moe_num_shared_experts=2, head_dim=12))
family("doge-experts", "Doge", "DogeForCausalLM", "product keys, experts of one row",
       dict(intermediate_size=20, is_moe=True, num_experts=16, num_experts_per_tok=3), experts=None, form="embedding")
family("qwen3_next-bmm", "Qwen3-Next", "Qwen3NextForCausalLM",
       "softmax, top 2, renormalised; gated shared expert; gated delta net",
       dict(linear_conv_kernel_dim=4, linear_key_head_dim=8, linear_value_head_dim=8, linear_num_key_heads=1,
            linear_num_value_heads=2, intermediate_size=20, moe_intermediate_size=12, shared_expert_intermediate_size=12,
            num_experts=6, num_experts_per_tok=2, head_dim=8, layer_types=["linear_attention", "full_attention"]), length=7)
family("qwen3_5_moe-bmm", "Qwen3.5-MoE", "Qwen3_5MoeForCausalLM",
       "softmax, top 2, renormalised; gated shared expert; gated delta net",
       dict(linear_conv_kernel_dim=4, linear_key_head_dim=8, linear_value_head_dim=8, linear_num_key_heads=1,
            linear_num_value_heads=2, moe_intermediate_size=12, shared_expert_intermediate_size=12, num_experts=6,
            num_experts_per_tok=2, head_dim=8, layer_types=["linear_attention", "full_attention"]), length=7)
family("flex_olmo-bmm", "FlexOlmo", "FlexOlmoForCausalLM", "softmax, top 5 of 7, not renormalised",
       dict(intermediate_size=12, num_experts=7, num_experts_per_tok=5))
family("openai_privacy_filter-bmm", "OpenAI privacy filter", "OpenAIPrivacyFilterForTokenClassification",
       "top 2 of biased logits, softmax / k; encoder",
       dict(intermediate_size=12, head_dim=8, num_local_experts=6, num_experts_per_tok=2, sliding_window=4, num_labels=5))
family("granitemoeshared-bmm", "Granite MoE shared", "GraniteMoeSharedForCausalLM", "top 2 of logits, softmax; shared expert",
       dict(intermediate_size=12, shared_intermediate_size=16, num_local_experts=6, num_experts_per_tok=2))
family("granitemoehybrid-bmm", "Granite MoE hybrid", "GraniteMoeHybridForCausalLM",
       "top 2 of logits, softmax; shared expert; Mamba 2 layer",
       dict(intermediate_size=12, shared_intermediate_size=16, num_local_experts=6, num_experts_per_tok=2,
            layer_types=["mamba", "attention"], mamba_n_heads=4, mamba_d_head=12, mamba_d_state=8, mamba_n_groups=1,
            mamba_d_conv=4, mamba_expand=2, mamba_chunk_size=8), length=6)
family("cohere2_moe-bmm", "Cohere2 MoE", "Cohere2MoeForCausalLM", "top 2 of logits, sigmoid",
       dict(intermediate_size=12, num_experts=6, num_experts_per_tok=2, head_dim=8, expert_selection_fn="sigmoid",
            num_shared_experts=1, sliding_window=4))
family("dots1-bmm", "dots.llm1", "Dots1ForCausalLM", "sigmoid + bias, top 2, normalised, * 2.5; shared experts",
       dict(intermediate_size=20, moe_intermediate_size=12, n_routed_experts=6, num_experts_per_tok=2, n_shared_experts=2,
            head_dim=8, first_k_dense_replace=1, routed_scaling_factor=2.5, n_group=1, topk_group=1, norm_topk_prob=True))
family("kimi_linear-bmm", "Kimi Linear", "KimiLinearForCausalLM", "sigmoid + bias, top 3, normalised; delta attention",
       dict(DEEPSEEK, num_local_experts=8, linear_head_dim=8, linear_num_heads=2,
            q_lora_rank=None), length=7)
family("exaone_moe-bmm", "EXAONE MoE", "ExaoneMoeForCausalLM", "sigmoid + bias, groups, top 2, normalised",
       dict(intermediate_size=20, moe_intermediate_size=12, num_experts=6, num_experts_per_tok=2, head_dim=8))
family("solar_open-bmm", "Solar Open", "SolarOpenForCausalLM", "sigmoid + bias, top 2, normalised; shared expert",
       dict(intermediate_size=20, moe_intermediate_size=12, n_routed_experts=6, num_experts_per_tok=2, head_dim=8))
family("nemotron_h-bmm", "Nemotron-H", "NemotronHForCausalLM", "sigmoid + bias, top 2; squared ReLU, experts in a latent space",
       dict(intermediate_size=20, moe_intermediate_size=12, n_routed_experts=6, num_experts_per_tok=2, head_dim=8,
            n_shared_experts=1, moe_shared_expert_intermediate_size=16, moe_latent_size=16, layers_block_type=["attention", "moe"],
            mamba_num_heads=4, mamba_head_dim=8, ssm_state_size=8, n_groups=1), form="bmm")
family("hy_v3-bmm", "Hunyuan V3", "HYV3ForCausalLM", "sigmoid + bias, top 2, normalised, scaled; shared expert",
       dict(intermediate_size=20, moe_intermediate_size=12, num_experts=6, num_experts_per_tok=2, head_dim=8,
            mlp_layer_types=["dense", "sparse"]))
family("afmoe-bmm", "AFMoE", "AfmoeForCausalLM", "sigmoid + bias, top 2, normalised, scaled; shared expert",
       dict(intermediate_size=20, moe_intermediate_size=12, num_experts=6, num_experts_per_tok=2, head_dim=8, num_dense_layers=1,
            sliding_window=4))
family("laguna-bmm", "Laguna", "LagunaForCausalLM", "capped logits, sigmoid + bias, top 2, divided by the sum; shared expert",
       dict(intermediate_size=20, moe_intermediate_size=12, num_experts=6, num_experts_per_tok=2, head_dim=8,
            shared_expert_intermediate_size=12, mlp_layer_types=["dense", "sparse"],
            moe_router_logit_softcapping=5.0))
family("lfm2_moe-bmm", "LFM2 MoE", "Lfm2MoeForCausalLM", "sigmoid + bias, top 2, / (sum + 1e-6); short convolution",
       dict(intermediate_size=20, moe_intermediate_size=12, num_dense_layers=1, num_experts=6, num_experts_per_tok=2,
            layer_types=["conv", "full_attention"], conv_L_cache=3))
family("zaya-bmm", "Zaya", "ZayaForCausalLM", "router network, softmax + bias over experts and a skip",
       dict(head_dim=8, moe_intermediate_size=12, num_experts=4, router_hidden_size=12))
family("inkling-bmm", "Inkling", "InklingForCausalLM", "sigmoid + bias, top 2, softmax of log-sigmoids with the shared experts",
       dict(swa_num_attention_heads=2, swa_num_key_value_heads=1, swa_head_dim=8, head_dim=8, sliding_window_size=4, d_rel=4,
            rel_extent=32, layer_types=["hybrid_sliding", "hybrid"], conv_kernel_size=4, mlp_layer_types=["sparse", "sparse"],
            intermediate_size=20, moe_intermediate_size=12, n_routed_experts=6, num_experts_per_tok=2, n_shared_experts=2))
family("mimo_v2_flash-bmm", "MiMo V2 Flash", "MiMoV2FlashForCausalLM", "sigmoid + bias, top 2, normalised",
       dict(intermediate_size=20, moe_intermediate_size=12, n_routed_experts=6, num_experts_per_tok=2, head_dim=8, v_head_dim=8))
family("bailing_hybrid-bmm", "Bailing hybrid", "BailingHybridForCausalLM", "sigmoid + bias, groups, top 2, normalised",
       dict(**MULTI_LATENT, num_local_experts=8, n_group=4,
            topk_group=2, num_experts_per_tok=2, layer_group_size=2, first_k_dense_replace=1, intermediate_size=20,
            moe_intermediate_size=12), length=7)
