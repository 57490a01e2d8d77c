//===- RoutingRecorder.h - what the routers of a run have chosen ----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_CORE_ROUTINGRECORDER_H
#define RUNTIME_CORE_ROUTINGRECORDER_H

#include "runtime/core/HostInterface.h"
#include "runtime/moe_runtime.h"

#include <vector>

namespace moert {

/// The choices of each expert layer, run after run.
class RoutingRecorder {
public:
  void record(int64_t layer, const MoertRouting &routing);

  size_t getLayerCount() const { return layers.size(); }
  moe_routing_t getLayer(size_t index) const;

private:
  struct Layer {
    int64_t slots = 0;
    int64_t experts = 0;
    std::vector<int32_t> ids;
    std::vector<float> weights;
    /// Tokens of each call.
    std::vector<int64_t> calls;
  };
  std::vector<Layer> layers;
};

} // namespace moert

#endif // RUNTIME_CORE_ROUTINGRECORDER_H
