//===- ContribSchemas.cpp - operators outside the standard ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Signatures as in dialects/onnx/generate_ops.py, and what the shapes of the
// results are. Attributes are not declared: the importer copies them as they
// are and the onnx dialect verifies them.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/ModelFile.h"

#include "onnx/defs/schema.h"
#include "onnx/defs/shape_inference.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

using ::onnx::InferenceContext;
using ::onnx::OpSchema;
using ::onnx::TensorShapeProto;

namespace {

constexpr const char *kMicrosoft = "com.microsoft";

void copyInput(InferenceContext &context, size_t input, size_t output) {
  if (context.getNumOutputs() <= output)
    return;
  ::onnx::propagateElemTypeFromInputToOutput(context, input, output);
  if (::onnx::hasInputShape(context, input))
    ::onnx::propagateShapeFromInputToOutput(context, input, output);
}

void inferLikeFirst(InferenceContext &context) { copyInput(context, 0, 0); }

int64_t getAttribute(InferenceContext &context, const char *name,
                     int64_t fallback) {
  const ::onnx::AttributeProto *attribute = context.getAttribute(name);
  return attribute ? attribute->i() : fallback;
}

bool hasInput(InferenceContext &context, size_t i) {
  return i < context.getNumInputs() && context.getInputType(i) &&
         ::onnx::hasInputShape(context, i);
}

void setOutput(InferenceContext &context, size_t output, size_t typeFrom,
               llvm::ArrayRef<TensorShapeProto::Dimension> dims) {
  if (context.getNumOutputs() <= output)
    return;
  ::onnx::propagateElemTypeFromInputToOutput(context, typeFrom, output);
  TensorShapeProto shape;
  for (const TensorShapeProto::Dimension &dim : dims)
    *shape.add_dim() = dim;
  ::onnx::updateOutputShape(context, output, shape);
}

TensorShapeProto::Dimension makeDim(int64_t value) {
  TensorShapeProto::Dimension dim;
  dim.set_dim_value(value);
  return dim;
}

/// The results are the normalised tensor, mean and deviation of each row, and
/// the sum that was normalised.
void inferSkipNormalization(InferenceContext &context) {
  copyInput(context, 0, 0);
  copyInput(context, 0, 3);
  if (!hasInput(context, 0))
    return;
  const TensorShapeProto &input = ::onnx::getInputShape(context, 0);
  llvm::SmallVector<TensorShapeProto::Dimension> dims(input.dim().begin(),
                                                      input.dim().end());
  if (dims.empty())
    return;
  dims.back() = makeDim(1);
  setOutput(context, 1, 0, dims);
  setOutput(context, 2, 0, dims);
}

/// Attention over `query` (batch x sequence x width), with keys and values
/// beside it or packed into it; caches come back as results 1 and 2.
void inferAttention(InferenceContext &context, int64_t keyHeads) {
  if (!hasInput(context, 0))
    return;
  const TensorShapeProto &query = ::onnx::getInputShape(context, 0);
  if (query.dim_size() != 3)
    return;
  int64_t heads = getAttribute(context, "num_heads", 1);
  TensorShapeProto::Dimension width = query.dim(2);
  bool packed = !hasInput(context, 1);
  if (packed && width.has_dim_value())
    width = makeDim(width.dim_value() / (heads + 2 * keyHeads) * heads);
  setOutput(context, 0, 0, {query.dim(0), query.dim(1), width});
  if (!width.has_dim_value() || heads == 0)
    return;
  TensorShapeProto::Dimension total;
  for (size_t i = 1; i <= 2; ++i)
    setOutput(context, i, 0,
              {query.dim(0), makeDim(keyHeads), total,
               makeDim(width.dim_value() / heads)});
}

void inferGroupQueryAttention(InferenceContext &context) {
  inferAttention(context, getAttribute(context, "kv_num_heads", 1));
}

void inferMultiHeadAttention(InferenceContext &context) {
  inferAttention(context, getAttribute(context, "num_heads", 1));
}

void inferMatMulNBits(InferenceContext &context) {
  if (!hasInput(context, 0))
    return;
  const TensorShapeProto &a = ::onnx::getInputShape(context, 0);
  llvm::SmallVector<TensorShapeProto::Dimension> dims(a.dim().begin(),
                                                      a.dim().end());
  if (dims.empty())
    return;
  dims.back() = makeDim(getAttribute(context, "N", 0));
  setOutput(context, 0, 0, dims);
}

void inferFusedMatMul(InferenceContext &context) {
  if (!hasInput(context, 0) || !hasInput(context, 1))
    return;
  const TensorShapeProto &a = ::onnx::getInputShape(context, 0);
  const TensorShapeProto &b = ::onnx::getInputShape(context, 1);
  if (a.dim_size() < 2 || b.dim_size() < 2)
    return;
  const TensorShapeProto &longer = a.dim_size() >= b.dim_size() ? a : b;
  llvm::SmallVector<TensorShapeProto::Dimension> dims(longer.dim().begin(),
                                                      longer.dim().end());
  bool transA = getAttribute(context, "transA", 0);
  bool transB = getAttribute(context, "transB", 0);
  dims[dims.size() - 2] = a.dim(a.dim_size() - (transA ? 1 : 2));
  dims[dims.size() - 1] = b.dim(b.dim_size() - (transB ? 2 : 1));
  setOutput(context, 0, 0, dims);
}

void inferGatherBlockQuantized(InferenceContext &context) {
  if (!hasInput(context, 0) || !hasInput(context, 1))
    return;
  const TensorShapeProto &data = ::onnx::getInputShape(context, 0);
  const TensorShapeProto &indices = ::onnx::getInputShape(context, 1);
  int64_t axis = getAttribute(context, "gather_axis", 0);
  if (axis < 0)
    axis += data.dim_size();
  // Numbers that share bytes do so along the last dimension.
  bool isPacked = context.getInputType(0)->tensor_type().elem_type() ==
                  ::onnx::TensorProto::UINT8;
  int64_t perByte =
      isPacked ? 8 / std::max<int64_t>(1, getAttribute(context, "bits", 4)) : 1;
  llvm::SmallVector<TensorShapeProto::Dimension> dims;
  for (int64_t i = 0; i < data.dim_size(); ++i) {
    if (i == axis)
      dims.append(indices.dim().begin(), indices.dim().end());
    else if (i == data.dim_size() - 1 && data.dim(i).has_dim_value())
      dims.push_back(makeDim(data.dim(i).dim_value() * perByte));
    else
      dims.push_back(data.dim(i));
  }
  setOutput(context, 0, 2, dims);
}

/// The state is what the next call needs of the input.
void inferCausalConvolution(InferenceContext &context) {
  copyInput(context, 0, 0);
  if (!hasInput(context, 0) || !hasInput(context, 1))
    return;
  const TensorShapeProto &input = ::onnx::getInputShape(context, 0);
  const TensorShapeProto &weight = ::onnx::getInputShape(context, 1);
  if (input.dim_size() != 3 || weight.dim_size() != 3)
    return;
  TensorShapeProto::Dimension length;
  if (weight.dim(2).has_dim_value())
    length = makeDim(weight.dim(2).dim_value() - 1);
  setOutput(context, 1, 0, {input.dim(0), input.dim(1), length});
}

/// `width` split among `heads`.
TensorShapeProto::Dimension splitWidth(const TensorShapeProto::Dimension &width,
                                       int64_t heads) {
  return width.has_dim_value() && heads > 0 ? makeDim(width.dim_value() / heads)
                                            : TensorShapeProto::Dimension();
}

void inferLinearAttention(InferenceContext &context) {
  if (!hasInput(context, 0) || !hasInput(context, 1) || !hasInput(context, 2))
    return;
  const TensorShapeProto &query = ::onnx::getInputShape(context, 0);
  const TensorShapeProto &key = ::onnx::getInputShape(context, 1);
  const TensorShapeProto &value = ::onnx::getInputShape(context, 2);
  if (query.dim_size() != 3 || key.dim_size() != 3 || value.dim_size() != 3)
    return;
  int64_t heads = getAttribute(context, "q_num_heads", 1);
  int64_t groups = getAttribute(context, "kv_num_heads", 1);
  TensorShapeProto::Dimension keySize = splitWidth(key.dim(2), groups);
  TensorShapeProto::Dimension valueSize = splitWidth(value.dim(2), groups);
  TensorShapeProto::Dimension width;
  if (valueSize.has_dim_value())
    width = makeDim(valueSize.dim_value() * heads);
  setOutput(context, 0, 0, {query.dim(0), query.dim(1), width});
  setOutput(context, 1, 0, {query.dim(0), makeDim(groups), keySize, valueSize});
}

struct Signature {
  const char *name, *domain;
  /// Names of the operands; a trailing "?" marks optional ones.
  const char *inputs, *outputs;
  void (*infer)(InferenceContext &);
};

constexpr Signature kSignatures[] = {
    {"SimplifiedLayerNormalization", "", "X scale", "Y inv_std_var?",
     inferLikeFirst},
    {"MoE", kMicrosoft,
     "input router_probs fc1_experts_weights fc1_experts_bias? "
     "fc2_experts_weights fc2_experts_bias? fc3_experts_weights? "
     "fc3_experts_bias?",
     "output", inferLikeFirst},
    {"QMoE", kMicrosoft,
     "input router_probs fc1_experts_weights fc1_scales? fc1_experts_bias? "
     "fc2_experts_weights fc2_scales? fc2_experts_bias? fc3_experts_weights? "
     "fc3_scales? fc3_experts_bias? fc1_zero_points? fc2_zero_points? "
     "fc3_zero_points? router_weights? fc1_global_scale? fc2_global_scale? "
     "fc1_act_scale? fc2_act_scale?",
     "output", inferLikeFirst},
    {"GroupQueryAttention", kMicrosoft,
     "query key? value? past_key? past_value? seqlens_k total_sequence_length "
     "cos_cache? sin_cache? position_ids? attention_bias? head_sink? k_scale? "
     "v_scale? q_norm_weight? k_norm_weight?",
     "output present_key? present_value? output_qk?", inferGroupQueryAttention},
    {"MultiHeadAttention", kMicrosoft,
     "query key? value? bias? key_padding_mask? attention_bias? past_key? "
     "past_value? past_sequence_length? cache_indirection?",
     "output present_key? present_value? qk?", inferMultiHeadAttention},
    {"RotaryEmbedding", kMicrosoft, "input position_ids cos_cache sin_cache",
     "output", inferLikeFirst},
    {"SkipSimplifiedLayerNormalization", kMicrosoft, "input skip gamma bias?",
     "output mean? inv_std_var? input_skip_bias_sum?", inferSkipNormalization},
    {"SkipLayerNormalization", kMicrosoft, "input skip gamma beta? bias?",
     "output mean? inv_std_var? input_skip_bias_sum?", inferSkipNormalization},
    {"MatMulNBits", kMicrosoft, "A B scales zero_points? g_idx? bias?", "Y",
     inferMatMulNBits},
    {"GatherBlockQuantized", kMicrosoft, "data indices scales zero_points?",
     "output", inferGatherBlockQuantized},
    {"FusedMatMul", kMicrosoft, "A B", "Y", inferFusedMatMul},
    {"FastGelu", kMicrosoft, "X bias?", "Y", inferLikeFirst},
    {"BiasGelu", kMicrosoft, "A B", "C", inferLikeFirst},
    {"Gelu", kMicrosoft, "X", "Y", inferLikeFirst},
    {"QuickGelu", kMicrosoft, "X", "Y", inferLikeFirst},
    {"CausalConvWithState", kMicrosoft, "input weight bias? past_state?",
     "output present_state", inferCausalConvolution},
    {"LinearAttention", kMicrosoft, "query key value past_state? decay? beta?",
     "output present_state", inferLinearAttention},
};

/// Every operand may have any tensor type of its own.
void addParameters(OpSchema &schema, llvm::StringRef names, bool inputs) {
  llvm::SmallVector<llvm::StringRef> words;
  names.split(words, ' ', -1, /*KeepEmpty=*/false);
  for (auto [i, word] : llvm::enumerate(words)) {
    auto option =
        word.consume_back("?") ? OpSchema::Optional : OpSchema::Single;
    std::string type = (inputs ? "I" : "O") + std::to_string(i);
    if (inputs)
      schema.Input(i, word.str(), "", type, option);
    else
      schema.Output(i, word.str(), "", type, option);
    schema.TypeConstraint(type, OpSchema::all_tensor_types_ir13(), "");
  }
}

void registerAll() {
  ::onnx::OpSchemaRegistry::DomainToVersionRange::Instance().AddDomainToVersion(
      kMicrosoft, 1, 1);
  for (const Signature &signature : kSignatures) {
    OpSchema schema(signature.name, __FILE__, __LINE__);
    schema.SetDomain(signature.domain).SinceVersion(1);
    addParameters(schema, signature.inputs, /*inputs=*/true);
    addParameters(schema, signature.outputs, /*inputs=*/false);
    schema.AllowUncheckedAttributes();
    schema.TypeAndShapeInferenceFunction(signature.infer);
    ::onnx::RegisterSchema(std::move(schema), 0,
                           /*fail_duplicate_schema=*/false);
  }
}

} // namespace

void mlir::onnx::registerContribSchemas() {
  static const bool registered = (registerAll(), true);
  (void)registered;
}
