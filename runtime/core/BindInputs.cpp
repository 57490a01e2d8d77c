//===- BindInputs.cpp - compares inputs with a signature ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/core/BindInputs.h"

#include <algorithm>
#include <map>

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

namespace {
/// What a symbol was bound to, and by which dimension.
struct Binding {
  int64_t extent;
  const ValueInfo *value;
  size_t dimension;
};
} // namespace

static Status checkTensor(const ValueInfo &value, const moe_tensor_t &tensor) {
  std::string input = "input '" + value.name + "': ";
  if (!moe_dtype_name(tensor.dtype))
    return invalid(input + "expected " + value.str() +
                   ", got the unknown type number " +
                   std::to_string(int(tensor.dtype)));
  if (tensor.rank != value.dims.size() || (tensor.rank && !tensor.dims))
    return invalid(input + "expected " + value.str() + " of rank " +
                   std::to_string(value.dims.size()) + ", got rank " +
                   std::to_string(tensor.rank) +
                   (tensor.rank && !tensor.dims ? " without extents" : ""));
  std::string mismatch = input + "expected " + value.str() + ", got " +
                         describe(tensor.dtype, tensor.rank, tensor.dims);
  if (tensor.dtype != value.dtype)
    return invalid(mismatch);
  for (uint32_t i = 0; i < tensor.rank; ++i)
    if (tensor.dims[i] < 0 ||
        (value.dims[i] >= 0 && tensor.dims[i] != value.dims[i]))
      return invalid(mismatch);
  uint64_t bytes;
  if (!getByteSize(tensor.dtype, tensor.rank, tensor.dims, bytes))
    return invalid(mismatch + ", which is too large");
  if (bytes && !tensor.data)
    return invalid(input + "expected data, got a null pointer");
  size_t alignment = moe_dtype_size(tensor.dtype);
  if (bytes && reinterpret_cast<uintptr_t>(tensor.data) % alignment != 0)
    return invalid(input + "expected data aligned to " +
                   std::to_string(alignment) + " bytes");
  return Status();
}

Status moert::matchInputs(const std::vector<ValueInfo> &signature,
                          const moe_input_t *inputs, size_t count,
                          std::vector<const moe_tensor_t *> &result) {
  result.assign(signature.size(), nullptr);
  for (size_t i = 0; i < count; ++i) {
    if (!inputs[i].name)
      return invalid("input " + std::to_string(i) + " has no name");
    auto found = std::find_if(
        signature.begin(), signature.end(),
        [&](const ValueInfo &value) { return value.name == inputs[i].name; });
    if (found == signature.end())
      return invalid("unknown input '" + std::string(inputs[i].name) +
                     "', expected: " + listNames(signature));
    const moe_tensor_t *&slot = result[found - signature.begin()];
    if (slot)
      return invalid("input '" + found->name + "' is given twice");
    slot = &inputs[i].tensor;
  }

  std::map<std::string, Binding> bindings;
  for (size_t i = 0; i < signature.size(); ++i) {
    const ValueInfo &value = signature[i];
    if (!result[i])
      return invalid("input '" + value.name + "' is missing, expected " +
                     value.str());
    Status status = checkTensor(value, *result[i]);
    if (!status.ok())
      return status;
    for (size_t j = 0; j < value.dims.size(); ++j) {
      if (value.dims[j] >= 0 || value.symbols[j].empty())
        continue;
      int64_t extent = result[i]->dims[j];
      auto [place, isNew] =
          bindings.insert({value.symbols[j], {extent, &value, j}});
      const Binding &bound = place->second;
      if (bound.extent != extent)
        return invalid("input '" + value.name + "': expected '" +
                       value.symbols[j] + "' (dimension " + std::to_string(j) +
                       ") to be " + std::to_string(bound.extent) +
                       " as in dimension " + std::to_string(bound.dimension) +
                       " of input '" + bound.value->name + "', got " +
                       std::to_string(extent));
    }
  }
  return Status();
}
