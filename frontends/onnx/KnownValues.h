//===- KnownValues.h - what is known of shapes before a run -----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Functions of the standard, and some exporters, compute axes and shapes by
// operators through which the ONNX library does not look. What these compute
// with static extents is known when the model is imported.
//
//===----------------------------------------------------------------------===//

#ifndef FRONTENDS_ONNX_KNOWNVALUES_H
#define FRONTENDS_ONNX_KNOWNVALUES_H

#include "mlir/Support/LLVM.h"
#include "onnx/onnx_pb.h"
#include "llvm/ADT/StringMap.h"

#include <optional>

namespace mlir::onnx {

/// An integer or boolean tensor of rank 0 or 1 with few elements.
struct KnownValue {
  int32_t dataType = ::onnx::TensorProto::INT64;
  bool isScalar = false;
  SmallVector<std::optional<int64_t>> elements;

  /// All elements, if they are known.
  std::optional<SmallVector<int64_t>> getAll() const;
  /// The only element, if it is known.
  std::optional<int64_t> getOnly() const;
};

/// A constant tensor with this value, which must be known.
::onnx::TensorProto makeTensor(const KnownValue &value);

/// The values and types that a graph and those around it know.
class KnownValues {
public:
  KnownValues(const ::onnx::GraphProto &graph, const KnownValues *outer);

  /// Adds the results of a node of the graph.
  void addNode(const ::onnx::NodeProto &node);
  void addValue(StringRef name, KnownValue value) {
    values[name] = std::move(value);
  }

  /// What is known of the tensor `name`: unknown elements at least, if its type
  /// says how many there are; nothing if it may be large.
  std::optional<KnownValue> lookup(StringRef name) const;
  /// Null if nothing is known.
  const ::onnx::TypeProto *lookupType(StringRef name) const;
  /// The shape of a tensor of known rank, else null.
  const ::onnx::TensorShapeProto *lookupShape(StringRef name) const;
  /// Whether this graph itself defines `name`.
  bool defines(StringRef name) const { return defined.contains(name); }

private:
  std::optional<KnownValue> evaluate(const ::onnx::NodeProto &node) const;

  const KnownValues *outer;
  llvm::StringMap<KnownValue> values;
  llvm::StringMap<const ::onnx::TypeProto *> types;
  llvm::StringMap<bool> defined;
};

/// Whether the type of a node's result lacks a rank.
bool hasUnknownShapes(const ::onnx::ModelProto &model);

/// Replaces nodes whose results are known by constants and an If whose
/// condition is known by its branch, and repeats constants in the subgraphs
/// that use them, so that more shapes can be inferred. Returns whether anything
/// changed.
bool foldKnownValues(::onnx::ModelProto &model);

/// States types of results of which only the rank follows from the types of the
/// operands. Returns whether there were any.
bool inferRanks(::onnx::ModelProto &model);

} // namespace mlir::onnx

#endif // FRONTENDS_ONNX_KNOWNVALUES_H
