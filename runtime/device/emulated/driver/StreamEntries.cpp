//===- StreamEntries.cpp - driver entries: streams, events and graphs -----===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/driver/Device.h"

#include <algorithm>

using namespace emulated;

EMULATED_CUDA_API cuStreamCreate(CUstream *stream, unsigned flags) {
  EMULATED_ENTER();
  *stream = new Stream();
  (*stream)->isBlocking = !(flags & 1); // CU_STREAM_NON_BLOCKING
  device.streams.insert(*stream);
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuStreamCreateWithPriority(CUstream *stream, unsigned flags,
                                             int) {
  return cuStreamCreate(stream, flags);
}

EMULATED_CUDA_API cuStreamDestroy_v2(CUstream stream) {
  Entry entry;
  // The work of a stream is done though the stream is destroyed.
  if (!entry.device.streams.count(stream))
    return CUDA_ERROR_INVALID_HANDLE;
  entry.device.finish(stream->last);
  entry.device.streams.erase(stream);
  delete stream;
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuStreamSynchronize(CUstream stream) {
  EMULATED_ENTER();
  return device.finishStream(stream);
}

EMULATED_CUDA_API cuStreamQuery(CUstream stream) {
  EMULATED_ENTER();
  // A host that asks again and again must see the work done at last.
  return device.finishStream(stream);
}

EMULATED_CUDA_API cuEventCreate(CUevent *event, unsigned) {
  EMULATED_ENTER();
  (void)device;
  *event = new Event();
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuEventDestroy_v2(CUevent event) {
  Entry entry;
  delete event;
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuEventRecord(CUevent event, CUstream handle) {
  EMULATED_ENTER();
  Stream *stream = device.getStream(handle);
  CUresult result = device.enqueue(handle, [] { return CUDA_SUCCESS; });
  event->capture = stream->capture;
  event->recorded =
      stream->capture ? stream->captureWaits.back() : stream->last;
  return result;
}

EMULATED_CUDA_API cuEventSynchronize(CUevent event) {
  EMULATED_ENTER();
  if (event->capture)
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  return device.finish(event->recorded);
}

EMULATED_CUDA_API cuEventQuery(CUevent event) {
  return cuEventSynchronize(event);
}

EMULATED_CUDA_API cuEventElapsedTime(float *milliseconds, CUevent, CUevent) {
  // There is no time on this device.
  *milliseconds = 0;
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuStreamWaitEvent(CUstream handle, CUevent event, unsigned) {
  EMULATED_ENTER();
  Stream *stream = device.getStream(handle);
  if (event->capture) {
    // The stream takes part in the capture from here on.
    if (stream->capture && stream->capture != event->capture)
      return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    stream->capture = event->capture;
    stream->captureWaits.push_back(event->recorded);
    return CUDA_SUCCESS;
  }
  if (!event->recorded)
    return CUDA_SUCCESS;
  CUresult result = device.enqueue(handle, [] { return CUDA_SUCCESS; });
  if (result == CUDA_SUCCESS && stream->last)
    stream->last->waits.push_back(event->recorded);
  return result;
}

EMULATED_CUDA_API cuStreamBeginCapture_v2(CUstream handle, int) {
  EMULATED_ENTER();
  Stream *stream = device.getStream(handle);
  if (stream == &device.legacyStream)
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (stream->capture)
    return CUDA_ERROR_INVALID_VALUE;
  stream->capture = new Graph();
  stream->captureWaits.clear();
  stream->isCaptureOrigin = true;
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuStreamIsCapturing(CUstream handle, int *status) {
  EMULATED_ENTER();
  *status = device.getStream(handle)->capture != nullptr;
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuStreamEndCapture(CUstream handle, CUgraph *graph) {
  EMULATED_ENTER();
  Stream *stream = device.getStream(handle);
  *graph = nullptr;
  if (!stream->capture || !stream->isCaptureOrigin)
    return CUDA_ERROR_INVALID_VALUE;
  Graph *captured = stream->capture;
  // All work must come before the end of the stream that began.
  std::set<const Work *> isJoined;
  std::vector<const Work *> stack;
  for (const auto &work : stream->captureWaits)
    stack.push_back(work.get());
  while (!stack.empty()) {
    const Work *work = stack.back();
    stack.pop_back();
    if (!isJoined.insert(work).second)
      continue;
    for (const auto &wait : work->waits)
      stack.push_back(wait.get());
  }
  bool isWhole = true;
  for (const auto &node : captured->nodes)
    isWhole &= isJoined.count(node.get()) != 0;
  for (Stream *other : device.streams)
    if (other->capture == captured) {
      other->capture = nullptr;
      other->captureWaits.clear();
      other->isCaptureOrigin = false;
    }
  if (!isWhole) {
    delete captured;
    return device.fail(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED,
                       "capture: a stream that took part was not joined");
  }
  *graph = captured;
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuGraphInstantiateWithFlags(CUgraphExec *result,
                                              CUgraph graph,
                                              unsigned long long) {
  EMULATED_ENTER();
  (void)device;
  *result = new Graph(*graph);
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuGraphLaunch(CUgraphExec graph, CUstream stream) {
  EMULATED_ENTER();
  // The nodes stand in an order that respects their edges. They are copied:
  // the graph may be destroyed before it runs.
  auto nodes = graph->nodes;
  return device.enqueue(stream, [nodes]() -> CUresult {
    for (const auto &node : nodes)
      if (CUresult error = node->run())
        return error;
    return CUDA_SUCCESS;
  });
}

EMULATED_CUDA_API cuGraphGetNodes(CUgraph graph, void **, size_t *count) {
  *count = graph->nodes.size();
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuGraphDestroy(CUgraph graph) {
  Entry entry;
  delete graph;
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuGraphExecDestroy(CUgraphExec graph) {
  Entry entry;
  delete graph;
  return CUDA_SUCCESS;
}
