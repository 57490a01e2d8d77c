//===- PanelFormat.cpp - in which numbers weights are packed ----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/plan/PanelFormat.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/MathExtras.h"

#include <numeric>

using namespace mlir;
using namespace mlir::moe;

/// Rows that share a scale where the file does not say it: as few as cost less
/// than a bit for each number.
static constexpr int64_t kInt4Group = 32;
static constexpr int64_t kInt8Group = 128;
/// Rows of a group that is stored: fewer would take more room for scales than
/// is saved.
static constexpr int64_t kLeastGroup = 16;
static constexpr int64_t kMostGroup = 128;

std::optional<WeightPrecision> moe::parseWeightPrecision(StringRef text) {
  return llvm::StringSwitch<std::optional<WeightPrecision>>(text)
      .Case("keep", WeightPrecision::Keep)
      .Case("bf16", WeightPrecision::BF16)
      .Case("int8", WeightPrecision::Int8)
      .Case("int4", WeightPrecision::Int4)
      .Default(std::nullopt);
}

std::optional<RowRounding> moe::parseRowRounding(StringRef text) {
  return llvm::StringSwitch<std::optional<RowRounding>>(text)
      .Case("keep", RowRounding::Keep)
      .Case("model", RowRounding::Model)
      .Case("int8", RowRounding::Int8)
      .Default(std::nullopt);
}

namespace {

/// What panels must hold to keep stored numbers as they are.
class StoredFormat {
public:
  /// False if panels cannot hold the numbers of `view`, of which dimension
  /// `rows` are the rows of a matrix.
  bool add(ViewAttr view, size_t rows);

  /// The layout for matrices of `depth` rows; null if there is none.
  kern::QuantizedAttr get(int64_t depth) const;

private:
  bool addInteger(ViewAttr view, IntegerType type);
  void addScales(ViewAttr view);
  void addBlocks(ViewAttr table, size_t rows);

  /// The narrow float that all numbers are, if they are floats.
  Type floats;
  unsigned integerBits = 0;
  bool needsZeroPoints = false;
  /// Null before the first view.
  Type scales;
  /// A divisor of the numbers of rows that share a scale; 0 for all of them.
  int64_t block = 0;
};

} // namespace

bool StoredFormat::addInteger(ViewAttr view, IntegerType type) {
  unsigned bits = type.getWidth();
  if (bits == 1 || bits > 8)
    return false;
  // Signed numbers with zero points become unsigned.
  int64_t middle = int64_t(1) << (bits - 1);
  int64_t zero = view.getZeroPoint() + (type.isUnsigned() ? 0 : middle);
  if (zero < 0 || zero > 255)
    return false;
  if (ViewAttr table = view.getZeroPoints()) {
    auto element = dyn_cast<IntegerType>(table.getElement());
    if (!element || element.getWidth() > bits ||
        element.isUnsigned() != type.isUnsigned())
      return false;
  }
  needsZeroPoints |= view.getZeroPoints() || zero != middle;
  integerBits = std::max(integerBits, bits <= 4 ? 4u : 8u);
  return true;
}

void StoredFormat::addScales(ViewAttr view) {
  MLIRContext *context = view.getContext();
  Type own = Float32Type::get(context);
  if (view.getScales().size() == 1 && view.getScale().getValueAsDouble() == 1) {
    Type stored = view.getScales().front().getElement();
    if (stored.isF16() || stored.isBF16())
      own = stored;
    // A power of two is as exact in bf16.
    if (isa<Float8E8M0FNUType>(stored))
      own = BFloat16Type::get(context);
  }
  scales = scales && scales != own ? Float32Type::get(context) : own;
}

void StoredFormat::addBlocks(ViewAttr table, size_t rows) {
  if (table.getStrides()[rows] != 0)
    block = std::gcd(block, table.getBlock(rows));
}

bool StoredFormat::add(ViewAttr view, size_t rows) {
  Type element = view.getElement();
  if (auto integer = dyn_cast<IntegerType>(element)) {
    if (!addInteger(view, integer))
      return false;
  } else {
    if (!isa<Float4E2M1FNType, Float8E4M3FNType, Float8E5M2Type>(element) ||
        view.getZeroPoint() != 0 || view.getZeroPoints() ||
        (floats && floats != element))
      return false;
    floats = element;
  }
  addScales(view);
  for (ViewAttr table : view.getScales())
    addBlocks(table, rows);
  if (view.getZeroPoints())
    addBlocks(view.getZeroPoints(), rows);
  return !floats || integerBits == 0;
}

/// A group of at most `depth` rows, in whole steps of kernels.
static int64_t limitGroup(int64_t group, int64_t depth) {
  return std::min<int64_t>(group,
                           llvm::alignTo(std::max<int64_t>(depth, 1), 8));
}

kern::QuantizedAttr StoredFormat::get(int64_t depth) const {
  int64_t group = limitGroup(kMostGroup, depth);
  if (block != 0)
    for (group = kMostGroup; group >= kLeastGroup && block % group != 0;)
      group -= 8;
  if (block != 0 && group < kLeastGroup)
    return {};
  Type numbers = floats;
  if (!numbers)
    numbers = IntegerType::get(scales.getContext(), integerBits,
                               needsZeroPoints ? IntegerType::Unsigned
                                               : IntegerType::Signless);
  return kern::QuantizedAttr::get(scales.getContext(), numbers, group, scales,
                                  /*rows=*/Type());
}

/// The layout that keeps the stored numbers of some weights; null if there is
/// none or they are no such numbers.
static kern::QuantizedAttr getStoredLayout(ArrayRef<WeightOp> weights) {
  StoredFormat format;
  auto type = cast<RankedTensorType>(WeightOp(weights.front()).getType());
  for (WeightOp weight : weights)
    for (auto view : weight.getViews().getAsRange<ViewAttr>())
      if (!format.add(view, view.getStrides().size() - 2))
        return {};
  return format.get(type.getDimSize(type.getRank() - 2));
}

static bool areStoredAsFloats(ArrayRef<WeightOp> weights) {
  return llvm::all_of(weights, [](WeightOp weight) {
    return llvm::all_of(
        weight.getViews().getAsRange<ViewAttr>(), [](ViewAttr view) {
          return !view.isQuantized() &&
                 isa<Float16Type, BFloat16Type, Float32Type, Float64Type>(
                     view.getElement());
        });
  });
}

/// `layout` for rows that are rounded, if they may be.
static kern::QuantizedAttr addRows(kern::QuantizedAttr layout,
                                   ArrayRef<WeightOp> weights,
                                   RowRounding rounding) {
  bool isAllowed = rounding == RowRounding::Int8 ||
                   (rounding == RowRounding::Model &&
                    llvm::all_of(weights, [](WeightOp weight) {
                      return weight->hasAttr(MoEDialect::kByteRowsAttr);
                    }));
  if (!isAllowed || !isa<IntegerType>(layout.getNumbers()))
    return layout;
  MLIRContext *context = layout.getContext();
  return kern::QuantizedAttr::get(context, layout.getNumbers(),
                                  layout.getGroup(), layout.getScales(),
                                  IntegerType::get(context, 8));
}

PanelFormat moe::choosePanelFormat(ValueRange sources,
                                   const Precision &precision, bool isRouter) {
  Type type = sources.front().getType();
  auto shape = cast<RankedTensorType>(type);
  PanelFormat kept = {shape.getElementType(),
                      kern::PackedAttr::getFor(shape.getElementType())};
  SmallVector<WeightOp> weights;
  for (Value source : sources) {
    auto weight = source.getDefiningOp<WeightOp>();
    if (!weight || weight.getType() != type)
      return kept;
    weights.push_back(weight);
  }
  MLIRContext *context = type.getContext();
  auto quantize = [&](kern::QuantizedAttr layout) {
    layout = addRows(layout, weights, precision.rows);
    return PanelFormat{IntegerType::get(context, 8),
                       kern::PackedAttr::getFor(layout)};
  };
  if (!areStoredAsFloats(weights)) {
    kern::QuantizedAttr layout = getStoredLayout(weights);
    return layout ? quantize(layout) : kept;
  }
  if (isRouter || precision.weights == WeightPrecision::Keep)
    return kept;
  Type bf16 = BFloat16Type::get(context);
  if (precision.weights == WeightPrecision::BF16)
    return {bf16, kern::PackedAttr::getFor(bf16)};
  bool isInt4 = precision.weights == WeightPrecision::Int4;
  int64_t group = limitGroup(isInt4 ? kInt4Group : kInt8Group,
                             shape.getDimSize(shape.getRank() - 2));
  return quantize(kern::QuantizedAttr::get(
      context, IntegerType::get(context, isInt4 ? 4 : 8), group, bf16,
      /*rows=*/Type()));
}

bool moe::isRouterLogits(Value logits) {
  SmallVector<Value> work = {logits};
  llvm::DenseSet<Operation *> seen;
  bool found = false;
  while (!work.empty()) {
    for (Operation *user : work.pop_back_val().getUsers()) {
      if (!seen.insert(user).second)
        continue;
      if (isa<RouteOp, RoutePermuteOp>(user)) {
        found = true;
        continue;
      }
      auto generic = dyn_cast<linalg::LinalgOp>(user);
      bool isElementwise =
          generic && generic.getNumLoops() == generic.getNumParallelLoops();
      if (isElementwise || isa<tensor::CastOp, tensor::CollapseShapeOp,
                               tensor::ExpandShapeOp, tensor::ReshapeOp>(user))
        llvm::append_range(work, user->getResults());
      else if (!isa<tensor::DimOp>(user))
        return false;
    }
  }
  return found;
}
