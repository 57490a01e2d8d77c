//===- Window.cpp - windows that slide over spatial dimensions ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Window.h"
#include "passes/convert/lower/Indexing.h"

using namespace mlir;
using namespace mlir::moe;

bool Window::isPadded() const {
  auto isZero = [](int64_t i) { return i == 0; };
  return !llvm::all_of(before, isZero) || !llvm::all_of(after, isZero);
}

/// Padding that makes the result as long as the input, divided by the stride.
static LogicalResult padToSame(Lowering &l, RankedTensorType input,
                               bool extraLast, Window &window) {
  for (int64_t i = 0; i < window.getRank(); ++i) {
    int64_t length = input.getDimSize(i + 2), stride = window.strides[i];
    if (ShapedType::isDynamic(length) && stride != 1)
      return l.error() << "expected a known extent with 'auto_pad' and stride "
                       << stride;
    int64_t reach = window.getReach(i);
    int64_t total =
        stride == 1
            ? reach - 1
            : std::max<int64_t>(((length + stride - 1) / stride - 1) * stride +
                                    reach - length,
                                0);
    window.before[i] = extraLast ? total / 2 : total - total / 2;
    window.after[i] = total - window.before[i];
  }
  return success();
}

FailureOr<Window> moe::getWindow(Lowering &l, RankedTensorType input,
                                 const WindowAttributes &attributes) {
  int64_t count = input.getRank() - 2;
  if (count < 1)
    return l.error() << "expected an input of rank 3 or higher, got " << input;
  auto read = [&](std::optional<ArrayRef<int64_t>> given, size_t size,
                  int64_t otherwise) {
    return given ? SmallVector<int64_t>(*given)
                 : SmallVector<int64_t>(size, otherwise);
  };
  Window window;
  window.roundUp = attributes.roundUp;
  window.kernel.assign(attributes.kernel.begin(), attributes.kernel.end());
  window.strides = read(attributes.strides, count, 1);
  window.dilations = read(attributes.dilations, count, 1);
  StringRef mode = attributes.autoPad;
  SmallVector<int64_t> pads =
      read(mode == "NOTSET" ? attributes.pads : std::nullopt, 2 * count, 0);
  // Larger numbers than any extent would overflow.
  auto isExtent = [](int64_t i) { return i > 0 && i < (int64_t(1) << 31); };
  auto isPadding = [](int64_t i) { return i >= 0 && i < (int64_t(1) << 31); };
  if (window.getRank() != count || window.strides.size() != size_t(count) ||
      window.dilations.size() != size_t(count) ||
      pads.size() != size_t(2 * count) ||
      !llvm::all_of(window.kernel, isExtent) ||
      !llvm::all_of(window.strides, isExtent) ||
      !llvm::all_of(window.dilations, isExtent) ||
      !llvm::all_of(pads, isPadding))
    return l.error() << "expected a known kernel, and positive strides, "
                        "dilations and pads for "
                     << count << " spatial dimensions";
  window.before.assign(pads.begin(), pads.begin() + count);
  window.after.assign(pads.begin() + count, pads.end());
  if ((mode == "SAME_UPPER" || mode == "SAME_LOWER") &&
      failed(padToSame(l, input, mode == "SAME_UPPER", window)))
    return failure();
  return window;
}

/// How far the first tap can go.
static FailureOr<OpFoldResult> getRoom(Lowering &l, OpFoldResult padded,
                                       int64_t reach) {
  TensorBuilder &t = l.tensors;
  OpFoldResult needed = t.builder.getIndexAttr(reach);
  std::optional<int64_t> known = getConstantIntValue(padded);
  if (known && *known < reach)
    return l.error() << "expected a padded extent of at least " << reach
                     << ", got " << *known;
  if (!known)
    t.check(compareIndex(t, arith::CmpIPredicate::sge, t.index(padded),
                         t.index(needed)),
            "the input is smaller than the window that slides over it");
  return t.subSizes(padded, needed);
}

static OpFoldResult greater(TensorBuilder &t, OpFoldResult a, OpFoldResult b) {
  std::optional<int64_t> knownA = getConstantIntValue(a);
  std::optional<int64_t> knownB = getConstantIntValue(b);
  if (knownA && knownB)
    return t.builder.getIndexAttr(std::max(*knownA, *knownB));
  return t.max(t.index(a), t.index(b));
}

static OpFoldResult lesser(TensorBuilder &t, OpFoldResult a, OpFoldResult b) {
  std::optional<int64_t> knownA = getConstantIntValue(a);
  std::optional<int64_t> knownB = getConstantIntValue(b);
  if (knownA && knownB)
    return t.builder.getIndexAttr(std::min(*knownA, *knownB));
  return t.min(t.index(a), t.index(b));
}

FailureOr<Sizes> moe::countPlaces(Lowering &l, Value input,
                                  const Window &window) {
  TensorBuilder &t = l.tensors;
  OpFoldResult one = t.builder.getIndexAttr(1);
  Sizes places;
  for (int64_t i = 0; i < window.getRank(); ++i) {
    OpFoldResult stride = t.builder.getIndexAttr(window.strides[i]);
    OpFoldResult begin = t.addSizes(t.size(input, 2 + i),
                                    t.builder.getIndexAttr(window.before[i]));
    OpFoldResult padded =
        t.addSizes(begin, t.builder.getIndexAttr(window.after[i]));
    FailureOr<OpFoldResult> room = getRoom(l, padded, window.getReach(i));
    if (failed(room))
      return failure();
    if (!window.roundUp || window.strides[i] == 1) {
      places.push_back(t.addSizes(t.divSizes(*room, stride), one));
      continue;
    }
    OpFoldResult up = t.divSizes(
        t.addSizes(*room, t.builder.getIndexAttr(window.strides[i] - 1)),
        stride);
    // The last window that begins before the padding at the end.
    OpFoldResult last = t.divSizes(t.subSizes(begin, one), stride);
    places.push_back(t.addSizes(lesser(t, up, last), one));
  }
  return places;
}

Value moe::padForWindow(TensorBuilder &t, Value input, const Window &window,
                        ArrayRef<OpFoldResult> places, Value fill) {
  Sizes own = t.sizes(input), full = own;
  Sizes offsets(own.size(), t.builder.getIndexAttr(0));
  OpFoldResult one = t.builder.getIndexAttr(1);
  for (int64_t i = 0; i < window.getRank(); ++i) {
    OpFoldResult before = t.builder.getIndexAttr(window.before[i]);
    offsets[i + 2] = before;
    OpFoldResult after = t.builder.getIndexAttr(window.after[i]);
    if (window.roundUp) {
      // As far as the last window reaches.
      OpFoldResult last = t.mulSizes(t.subSizes(places[i], one),
                                     t.builder.getIndexAttr(window.strides[i]));
      OpFoldResult end =
          t.addSizes(last, t.builder.getIndexAttr(window.getReach(i)));
      after =
          greater(t, after, t.subSizes(end, t.addSizes(own[i + 2], before)));
    }
    full[i + 2] = t.addSizes(own[i + 2], t.addSizes(before, after));
  }
  if (full == own)
    return input;
  return tensor::InsertSliceOp::create(t.builder, t.loc, input,
                                       t.fill(fill, full), offsets, own,
                                       Sizes(own.size(), one));
}
