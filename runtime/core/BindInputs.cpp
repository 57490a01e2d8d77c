//===- BindInputs.cpp - compares inputs with a signature ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/core/BindInputs.h"

#include <algorithm>

using namespace moert;

static Status invalid(const std::string &message) {
  return Status(MOE_ERROR_INPUT, message);
}

static std::string listNames(const std::vector<ValueInfo> &signature) {
  std::string list;
  for (const ValueInfo &value : signature)
    list += (list.empty() ? "'" : ", '") + value.name + "'";
  return list.empty() ? "none" : list;
}

bool moert::getByteSize(moe_dtype_t dtype, uint32_t rank, const int64_t *dims,
                        uint64_t &result) {
  // Zeros first: they make the product small, whatever the others are.
  result = moe_dtype_size(dtype);
  if (std::find(dims, dims + rank, 0) != dims + rank) {
    result = 0;
    return true;
  }
  for (uint32_t i = 0; i < rank; ++i)
    if (dims[i] < 0 ||
        __builtin_mul_overflow(result, uint64_t(dims[i]), &result))
      return false;
  return result <= INT64_MAX;
}

static Status checkTensor(const ValueInfo &value, const moe_tensor_t &tensor) {
  auto fail = [&](const std::string &reason) {
    return invalid("input '" + value.name + "': " + reason);
  };
  auto mismatch = [&](const std::string &more) {
    return fail("expected " + value.str() + ", got " +
                describe(tensor.dtype, tensor.rank, tensor.dims) + more);
  };
  if (!moe_dtype_name(tensor.dtype))
    return fail("expected " + value.str() + ", got the unknown type number " +
                std::to_string(int(tensor.dtype)));
  if (tensor.rank != value.dims.size() || (tensor.rank && !tensor.dims))
    return fail("expected " + value.str() + " of rank " +
                std::to_string(value.dims.size()) + ", got rank " +
                std::to_string(tensor.rank) +
                (tensor.rank && !tensor.dims ? " without extents" : ""));
  if (tensor.dtype != value.dtype)
    return mismatch("");
  for (uint32_t i = 0; i < tensor.rank; ++i)
    if (tensor.dims[i] < 0 ||
        (value.dims[i] >= 0 && tensor.dims[i] != value.dims[i]))
      return mismatch("");
  uint64_t bytes;
  if (!getByteSize(tensor.dtype, tensor.rank, tensor.dims, bytes))
    return mismatch(", which is too large");
  if (bytes && !tensor.data)
    return fail("expected data, got a null pointer");
  size_t alignment = moe_dtype_size(tensor.dtype);
  if (bytes && reinterpret_cast<uintptr_t>(tensor.data) % alignment != 0)
    return fail("expected data aligned to " + std::to_string(alignment) +
                " bytes");
  return Status();
}

/// The extents of one symbol must agree.
static Status checkSymbols(const std::vector<ValueInfo> &signature,
                           const std::vector<const moe_tensor_t *> &tensors,
                           size_t index) {
  const ValueInfo &value = signature[index];
  for (size_t j = 0; j < value.dims.size(); ++j) {
    if (value.dims[j] >= 0)
      continue;
    const ValueInfo::Place &first = value.firstPlaces[j];
    int64_t wanted = tensors[first.value]->dims[first.dimension];
    int64_t extent = tensors[index]->dims[j];
    if (extent != wanted)
      return invalid("input '" + value.name + "': expected '" +
                     value.symbols[j] + "' (dimension " + std::to_string(j) +
                     ") to be " + std::to_string(wanted) + " as in dimension " +
                     std::to_string(first.dimension) + " of input '" +
                     signature[first.value].name + "', got " +
                     std::to_string(extent));
  }
  return Status();
}

Status moert::matchInputs(const std::vector<ValueInfo> &signature,
                          const moe_input_t *inputs, size_t count,
                          std::vector<const moe_tensor_t *> &result,
                          const moe_tensor_t *const *defaults) {
  result.assign(signature.size(), nullptr);
  for (size_t i = 0; i < count; ++i) {
    if (!inputs[i].name)
      return invalid("input " + std::to_string(i) + " has no name");
    auto hasName = [&](const ValueInfo &value) {
      return value.name == inputs[i].name;
    };
    // Most callers give them in the order of the signature.
    auto found =
        i < signature.size() && hasName(signature[i])
            ? signature.begin() + i
            : std::find_if(signature.begin(), signature.end(), hasName);
    if (found == signature.end())
      return invalid("unknown input '" + std::string(inputs[i].name) +
                     "', expected: " + listNames(signature));
    const moe_tensor_t *&slot = result[found - signature.begin()];
    if (slot)
      return invalid("input '" + found->name + "' is given twice");
    slot = &inputs[i].tensor;
  }

  for (size_t i = 0; i < signature.size(); ++i) {
    if (!result[i] && defaults)
      result[i] = defaults[i];
    if (!result[i])
      return invalid("input '" + signature[i].name + "' is missing, expected " +
                     signature[i].str());
    Status status = checkTensor(signature[i], *result[i]);
    if (status.ok())
      status = checkSymbols(signature, result, i);
    if (!status.ok())
      return status;
  }
  return Status();
}
