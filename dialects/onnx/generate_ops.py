#!/usr/bin/env python3
"""Writes the *Ops.td files beside it from the schemas of the onnx package.

Usage: generate_ops.py   (with the onnx version of scripts/requirements.txt)

Only the signature of an operator is taken from its schema: names, order and kinds of its inputs, outputs
and attributes. The operators listed in MICROSOFT are not in the standard; their signatures are written here.
"""

import contextlib
import io
import pathlib
import re

import onnx
from onnx import defs

OPERATORS = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization BitCast BitShift
BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil Celu Clip Col2Im Compress Concat ConcatFromSequence
Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumProd CumSum DFT DeformConv DepthToSpace
DequantizeLinear Det Div Dropout Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements
GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization
HardSigmoid HardSwish Hardmax Identity If InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less
LessOrEqual Log LogSoftmax Loop LpNormalization LpPool MatMul MatMulInteger Max MaxPool MaxUnpool Mean MelWeightMatrix
Min Mish Mod Mul Neg NonMaxSuppression NonZero Not OneHot Optional OptionalGetElement OptionalHasElement Or PRelu Pad
Pow QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN RandomNormal RandomNormalLike RandomUniform
RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign RotaryEmbedding Round STFT Scan
ScatterElements ScatterND Selu SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength
Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split SplitToSequence Sqrt
Squeeze Sub Sum Swish Tan Tanh TensorScatter TfIdfVectorizer ThresholdedRelu Tile TopK Transpose Trilu Unique
Unsqueeze Where Xor
""".split()

# Operators of the standard's other domains.
DOMAINS = {"ai.onnx.preview.training": ["Adagrad", "Adam", "Momentum"]}

# name: (inputs, outputs, attributes). "?" marks an optional operand or attribute, "=" a default.
MICROSOFT = {
    "MoE": (
        "input router_probs fc1_experts_weights fc1_experts_bias? fc2_experts_weights fc2_experts_bias? "
        "fc3_experts_weights? fc3_experts_bias?",
        "output",
        "k:int=1 activation_type:str=relu activation_alpha:float=1.0 activation_beta:float=0.0 swiglu_fusion:int=0 "
        "swiglu_limit:float? normalize_routing_weights:int=0 use_sparse_mixer:int=0",
    ),
    "QMoE": (
        "input router_probs fc1_experts_weights fc1_scales? fc1_experts_bias? fc2_experts_weights fc2_scales? "
        "fc2_experts_bias? fc3_experts_weights? fc3_scales? fc3_experts_bias? fc1_zero_points? fc2_zero_points? "
        "fc3_zero_points? router_weights? fc1_global_scale? fc2_global_scale? fc1_act_scale? fc2_act_scale?",
        "output",
        "k:int=1 activation_type:str=relu activation_alpha:float=1.0 activation_beta:float=0.0 swiglu_fusion:int=0 "
        "swiglu_limit:float? normalize_routing_weights:int=0 use_sparse_mixer:int=0 expert_weight_bits:int=4 "
        "block_size:int=0 quant_type:str=int weights_prepacked:int=-1 accuracy_level:int=0",
    ),
    "GroupQueryAttention": (
        "query key? value? past_key? past_value? seqlens_k total_sequence_length cos_cache? sin_cache? position_ids? "
        "attention_bias? head_sink? k_scale? v_scale? q_norm_weight? k_norm_weight?",
        "output present_key? present_value? output_qk?",
        "num_heads:int kv_num_heads:int scale:float? softcap:float=0.0 local_window_size:int=-1 do_rotary:int=0 "
        "rotary_interleaved:int=0 smooth_softmax:int=0 sliding_window_cache:int=0 causal:int=1 qk_output:int=0 "
        "qk_norm_epsilon:float=1e-6 k_quant_type:str=NONE v_quant_type:str=NONE kv_cache_bit_width:int?",
    ),
    "MultiHeadAttention": (
        "query key? value? bias? key_padding_mask? attention_bias? past_key? past_value? past_sequence_length? "
        "cache_indirection?",
        "output present_key? present_value? qk?",
        "num_heads:int mask_filter_value:float=-10000.0 scale:float? unidirectional:int=0",
    ),
    "RotaryEmbedding": (
        "input position_ids cos_cache sin_cache",
        "output",
        "scale:float=1.0 interleaved:int=0 num_heads:int=0 rotary_embedding_dim:int=0 is_packed_batching:int=0",
    ),
    "SkipSimplifiedLayerNormalization": (
        "input skip gamma bias?",
        "output mean? inv_std_var? input_skip_bias_sum?",
        "epsilon:float=1e-5",
    ),
    "SkipLayerNormalization": (
        "input skip gamma beta? bias?",
        "output mean? inv_std_var? input_skip_bias_sum?",
        "epsilon:float=1e-5",
    ),
    "MatMulNBits": (
        "A B scales zero_points? g_idx? bias?",
        "Y",
        "K:int N:int bits:int=4 block_size:int accuracy_level:int=0 weight_prepacked:int=0",
    ),
    "GatherBlockQuantized": (
        "data indices scales zero_points?",
        "output",
        "gather_axis:int=0 quantize_axis:int=1 block_size:int=128 bits:int=4",
    ),
    "FusedMatMul": ("A B", "Y", "alpha:float=1.0 transA:int=0 transB:int=0 transBatchA:int=0 transBatchB:int=0"),
    "FastGelu": ("X bias?", "Y", ""),
    "Gelu": ("X", "Y", ""),
    "BiasGelu": ("A B", "C", ""),
    "QuickGelu": ("X", "Y", "alpha:float=1.702"),
}

# Exporters write this operator into the standard's domain, though the standard does not have it.
UNOFFICIAL = {
    "SimplifiedLayerNormalization": ("X scale", "Y inv_std_var?", "axis:int=-1 epsilon:float=1e-5 stash_type:int=1"),
}


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower() if name not in ("A", "B", "C", "X", "Y") else name


def kind(name, optional, variadic):
    type_ = "ONNX_Optional" if optional else "ONNX_Value"
    return f"Variadic<{type_}>:${name}" if variadic else f"{type_}:${name}"


def attribute(name, type_, required, default):
    constraint = {
        "int": "I64Attr", "float": "F32Attr", "str": "StrAttr", "ints": "DenseI64ArrayAttr",
        "floats": "DenseF32ArrayAttr", "strings": "StrArrayAttr", "tensor": "ElementsAttr",
    }[type_]
    if default is not None:
        value = f'\\"{default}\\"' if type_ == "str" else str(default)
        if type_ == "float":
            value = f"::llvm::APFloat({value}f)"
        return f'DefaultValuedAttr<{constraint}, "{value}">:${name}'
    return f"{constraint}:${name}" if required else f"OptionalAttr<{constraint}>:${name}"


def emit(class_name, mnemonic, domain, since, inputs, outputs, attributes, regions):
    # Two nodes that draw random numbers are not the same.
    traits = "[]" if regions or mnemonic.startswith("Random") else "[Pure]"
    print(f'def ONNX_{class_name}Op : ONNX_Op<"{mnemonic}", {traits}> {{')
    print(f'  let summary = "`{domain}` operator `{mnemonic.split(".")[-1]}`, signature since version {since}";')
    arguments = ",\n                       ".join(inputs + attributes)
    print(f"  let arguments = (ins {arguments});")
    print(f"  let results = (outs {', '.join(outputs)});")
    if regions:
        print(f"  let regions = (region {', '.join(f'AnyRegion:${r}' for r in regions)});")
        print("  let assemblyFormat = [{")
        with_ = " ".join(f"${r}" for r in regions)
        print(f"    `(` operands `)` {with_} attr-dict `:` functional-type(operands, results)")
        print("  }];")
    print("}\n")


def standard(name, domain=""):
    schema = defs.get_schema(name, domain)
    option = defs.OpSchema.FormalParameterOption
    inputs = [kind(snake(i.name), i.option == option.Optional, i.option == option.Variadic) for i in schema.inputs]
    outputs = [kind(snake(o.name), o.option == option.Optional, o.option == option.Variadic) for o in schema.outputs]
    attributes, regions = [], []
    names = {"INT": "int", "FLOAT": "float", "STRING": "str", "INTS": "ints", "FLOATS": "floats", "STRINGS": "strings",
             "TENSOR": "tensor"}
    for attr in sorted(schema.attributes.values(), key=lambda a: a.name):
        type_ = attr.type.name
        if type_ == "GRAPH":
            regions.append(attr.name)
            continue
        if type_ not in names or name == "Constant" and attr.name != "value":
            continue
        default = None
        if attr.default_value.name or attr.default_value.type:
            default = onnx.helper.get_attribute_value(attr.default_value)
            default = default.decode() if isinstance(default, bytes) else default
            if isinstance(default, (list, onnx.TensorProto)):
                default = None
        attributes.append(attribute(attr.name, names[type_], attr.required or name == "Constant", default))
    class_name, mnemonic = (domain.split(".")[-1].capitalize() + name, f"{domain}.{name}") if domain else (name, name)
    emit(class_name, mnemonic, domain or "ai.onnx", schema.since_version, inputs, outputs, attributes, regions)


def listed(class_name, mnemonic, domain, signature):
    def operand(word):
        return kind(snake(word.rstrip("?")), word.endswith("?"), False)

    def attribute_of(word):
        head, _, default = word.partition("=")
        attr_name, _, type_ = head.rstrip("?").partition(":")
        return attribute(attr_name, type_, not head.endswith("?"), default or None)

    inputs, outputs, attributes = signature
    emit(class_name, mnemonic, domain, 1, [operand(w) for w in inputs.split()],
         [operand(w) for w in outputs.split()], [attribute_of(w) for w in attributes.split()], [])


def write(file_name, body):
    guard = f"DIALECTS_ONNX_{file_name.upper()}_TD"
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        print(f"// Generated by generate_ops.py from the schemas of onnx {onnx.__version__}; do not edit.\n")
        print(f"#ifndef {guard}\n#define {guard}\n")
        print('include "dialects/onnx/ONNXDialect.td"\n')
        body()
        print(f"#endif // {guard}")
    (pathlib.Path(__file__).parent / f"{file_name}.td").write_text(text.getvalue())


def main():
    def standards(first, last):
        for name in OPERATORS:
            if first <= name[0] <= last:
                standard(name)

    def others():
        for name, signature in UNOFFICIAL.items():
            listed(name, name, "ai.onnx", signature)
        for domain, names in DOMAINS.items():
            for name in names:
                standard(name, domain)
        for name, signature in MICROSOFT.items():
            listed(f"Microsoft{name}", f"com.microsoft.{name}", "com.microsoft", signature)

    write("StandardAToGOps", lambda: standards("A", "G"))
    write("StandardHToQOps", lambda: standards("H", "Q"))
    write("StandardRToZOps", lambda: standards("R", "Z"))
    write("ContribOps", others)


if __name__ == "__main__":
    main()
