//===- BindInputs.h - compares inputs with a signature --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_CORE_BINDINPUTS_H
#define RUNTIME_CORE_BINDINPUTS_H

#include "runtime/core/Manifest.h"

namespace moert {

/// Finds the tensor for each entry of a signature and checks names, types,
/// ranks, extents and that equal symbols stand for equal extents. An entry that
/// is not given takes the one of `defaults` (null: none; else as long as the
/// signature), if there is one. Allocates nothing once `result` has its size.
Status matchInputs(const std::vector<ValueInfo> &signature,
                   const moe_input_t *inputs, size_t count,
                   std::vector<const moe_tensor_t *> &result,
                   const moe_tensor_t *const *defaults = nullptr);

/// The number of bytes of a tensor; false if that exceeds what can exist.
bool getByteSize(moe_dtype_t dtype, uint32_t rank, const int64_t *dims,
                 uint64_t &result);

} // namespace moert

#endif // RUNTIME_CORE_BINDINPUTS_H
