//===- TensorProtoReader.cpp - ONNX's file format for one tensor ----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/TensorProtoReader.h"

#include "frontends/onnx/Tensors.h"

// The list of tensors has a header of its own, which needs the other first.
// clang-format off
#include "onnx/onnx_pb.h"
#include "onnx/onnx-data.pb.h"
// clang-format on

#include "llvm/ADT/STLExtras.h"

#include <cstring>
#include <optional>

using Proto = ::onnx::TensorProto;

static std::optional<moe_dtype_t> getDtype(int type) {
  switch (type) {
  case Proto::FLOAT:
    return MOE_DTYPE_F32;
  case Proto::DOUBLE:
    return MOE_DTYPE_F64;
  case Proto::FLOAT16:
    return MOE_DTYPE_F16;
  case Proto::BFLOAT16:
    return MOE_DTYPE_BF16;
  case Proto::INT8:
    return MOE_DTYPE_I8;
  case Proto::INT16:
    return MOE_DTYPE_I16;
  case Proto::INT32:
    return MOE_DTYPE_I32;
  case Proto::INT64:
    return MOE_DTYPE_I64;
  case Proto::UINT8:
    return MOE_DTYPE_U8;
  case Proto::UINT16:
    return MOE_DTYPE_U16;
  case Proto::UINT32:
    return MOE_DTYPE_U32;
  case Proto::UINT64:
    return MOE_DTYPE_U64;
  case Proto::BOOL:
    return MOE_DTYPE_BOOL;
  case Proto::FLOAT8E4M3FN:
    return MOE_DTYPE_F8E4M3FN;
  case Proto::FLOAT8E4M3FNUZ:
    return MOE_DTYPE_F8E4M3FNUZ;
  case Proto::FLOAT8E5M2:
    return MOE_DTYPE_F8E5M2;
  case Proto::FLOAT8E5M2FNUZ:
    return MOE_DTYPE_F8E5M2FNUZ;
  case Proto::FLOAT8E8M0:
    return MOE_DTYPE_F8E8M0FNU;
  case Proto::FLOAT4E2M1:
    return MOE_DTYPE_F4E2M1FN;
  case Proto::INT4:
    return MOE_DTYPE_I4;
  case Proto::UINT4:
    return MOE_DTYPE_U4;
  case Proto::INT2:
    return MOE_DTYPE_I2;
  case Proto::UINT2:
    return MOE_DTYPE_U2;
  default:
    return std::nullopt;
  }
}

/// Copies the low bytes of each number of a repeated field.
template <typename Field>
static bool copyField(const Field &field, Tensor &result) {
  size_t size = moe_dtype_size(result.dtype);
  if (result.bytes.size() != field.size() * size)
    return false;
  char *target = result.bytes.data();
  for (auto value : field) {
    std::memcpy(target, &value, size);
    target += size;
  }
  return true;
}

/// The bits of a number in a file that shares its bytes with others, else 8.
static unsigned getPackedBits(moe_dtype_t dtype) {
  switch (dtype) {
  case MOE_DTYPE_I4:
  case MOE_DTYPE_U4:
  case MOE_DTYPE_F4E2M1FN:
    return 4;
  case MOE_DTYPE_I2:
  case MOE_DTYPE_U2:
    return 2;
  default:
    return 8;
  }
}

/// Gives each number a byte of its own.
static bool copyPacked(const Proto &proto, unsigned bits, Tensor &result) {
  std::string packed = proto.raw_data();
  if (!proto.has_raw_data())
    packed.assign(proto.int32_data().begin(), proto.int32_data().end());
  size_t count = result.bytes.size();
  if (packed.size() != (count * bits + 7) / 8)
    return false;
  std::string bytes = mlir::onnx::unpackBits(packed, bits, count);
  bool isSigned = result.dtype == MOE_DTYPE_I4 || result.dtype == MOE_DTYPE_I2;
  for (size_t i = 0; i < count; ++i) {
    bool isNegative = isSigned && (bytes[i] >> (bits - 1) & 1);
    result.bytes[i] = isNegative ? bytes[i] - (1 << bits) : bytes[i];
  }
  return true;
}

static bool copyNumbers(const Proto &proto, Tensor &result) {
  if (unsigned bits = getPackedBits(result.dtype); bits < 8)
    return copyPacked(proto, bits, result);
  if (proto.has_raw_data()) {
    const std::string &raw = proto.raw_data();
    if (raw.size() != result.bytes.size())
      return false;
    std::memcpy(result.bytes.data(), raw.data(), raw.size());
    return true;
  }
  switch (result.dtype) {
  case MOE_DTYPE_F32:
    return copyField(proto.float_data(), result);
  case MOE_DTYPE_F64:
    return copyField(proto.double_data(), result);
  case MOE_DTYPE_I64:
    return copyField(proto.int64_data(), result);
  case MOE_DTYPE_U32:
  case MOE_DTYPE_U64:
    return copyField(proto.uint64_data(), result);
  default:
    return copyField(proto.int32_data(), result);
  }
}

/// `size` bytes hold the numbers.
static bool convertProto(const Proto &proto, size_t size, Tensor &result,
                         std::string &error) {
  std::optional<moe_dtype_t> dtype = getDtype(proto.data_type());
  if (!dtype || proto.data_location() == Proto::EXTERNAL) {
    error = dtype ? "keeps its numbers in another file"
                  : "has the unsupported ONNX data type " +
                        std::to_string(proto.data_type());
    return false;
  }
  std::vector<int64_t> dims(proto.dims().begin(), proto.dims().end());
  int64_t count = countElements(*dtype, dims);
  // The numbers are in memory already, so no more than their size is allocated.
  size_t present = std::max<size_t>(size, 1) * 8;
  if (count < 0 || count * moe_dtype_size(*dtype) > present) {
    error = "has a shape that does not fit its numbers";
    return false;
  }
  result = Tensor(*dtype, dims);
  if (!copyNumbers(proto, result)) {
    error = "has a shape that does not fit its numbers";
    return false;
  }
  return true;
}

/// The tensors of a SequenceProto or OptionalProto, which have the same fields;
/// nothing if `contents` is neither.
static std::optional<std::vector<Proto>>
parseList(const std::string &contents) {
  ::onnx::SequenceProto list;
  // A broken tensor has fields that a list knows nothing of.
  if (contents.empty() || !list.ParseFromString(contents) ||
      !list.GetReflection()->GetUnknownFields(list).empty())
    return std::nullopt;
  // An optional value may hold a sequence.
  if (list.elem_type() == ::onnx::SequenceProto::SEQUENCE &&
      list.sequence_values_size() == 1) {
    ::onnx::SequenceProto held = list.sequence_values(0);
    list = std::move(held);
  }
  if (list.elem_type() != ::onnx::SequenceProto::TENSOR &&
      (list.elem_type() != ::onnx::SequenceProto::UNDEFINED ||
       list.tensor_values_size() != 0))
    return std::nullopt;
  return std::vector<Proto>(list.tensor_values().begin(),
                            list.tensor_values().end());
}

bool parseTensorProtos(const std::string &contents,
                       std::vector<Tensor> &results, std::string &error) {
  Proto proto;
  bool isTensor = proto.ParseFromString(contents) && !proto.has_segment();
  error = "is not a serialized TensorProto, nor a list of tensors";
  // A list has its tensors where a tensor has its segment, which nobody writes.
  // One without tensors, or of lists, reads as a tensor whose numbers do not
  // fit.
  if (isTensor &&
      convertProto(proto, contents.size(), results.emplace_back(), error))
    return true;
  results.clear();
  std::optional<std::vector<Proto>> list = parseList(contents);
  std::string ignored;
  return list && llvm::all_of(*list, [&](const Proto &part) {
           return convertProto(part, contents.size(), results.emplace_back(),
                               isTensor ? ignored : error);
         });
}
