//===- LocalGroup.h - ranks that are threads of one process ----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_COMM_LOCALGROUP_H
#define RUNTIME_COMM_LOCALGROUP_H

#include "runtime/comm/Communicator.h"

namespace moert {

/// `ranks` communicators that pass messages by memory; each may be used by one
/// thread at a time.
std::vector<std::shared_ptr<Communicator>> makeLocalGroup(int ranks);

} // namespace moert

#endif // RUNTIME_COMM_LOCALGROUP_H
