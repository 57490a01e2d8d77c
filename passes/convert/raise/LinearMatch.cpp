//===- LinearMatch.cpp - linear maps with a matrix for each expert ---------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/LinearMatch.h"

#include "passes/convert/raise/Products.h"
#include "passes/convert/raise/RowSpaces.h"

using namespace mlir;
using namespace mlir::moe;

std::optional<std::pair<WeightView, SmallVector<int>>>
moe::getLabelledView(const Tracer &tracer, WeightView view,
                     ArrayRef<Axis> axes) {
  // Joined dimensions are split, then each is cut to its label.
  SmallVector<int64_t> shape;
  SmallVector<Digit> digits;
  for (auto [axis, extent] : llvm::zip_equal(axes, view.shape)) {
    if (axis.size() < 2) {
      shape.push_back(extent);
      digits.push_back(axis.empty() ? Digit() : axis[0]);
      continue;
    }
    for (const Digit &digit : axis) {
      shape.push_back(digit.radix);
      digits.push_back(digit);
    }
  }
  if (shape.size() != view.shape.size()) {
    std::optional<WeightView> split = view.reshape(shape);
    if (!split)
      return std::nullopt;
    view = *split;
  }
  SmallVector<int> labels;
  for (int64_t i = static_cast<int64_t>(digits.size()) - 1; i >= 0; --i) {
    const Digit &digit = digits[i];
    std::optional<WeightView> part;
    if (digit.isConstant()) {
      part = view.select(i, digit.offset);
    } else {
      int64_t count = tracer.getExtent(digit.label);
      if (ShapedType::isDynamic(count))
        count = view.shape[i];
      part = digit.offset == 0 && digit.step == 1 && count == view.shape[i]
                 ? view
                 : view.slice(i, digit.offset, count, digit.step);
      labels.insert(labels.begin(), digit.label);
    }
    if (!part)
      return std::nullopt;
    view = *part;
  }
  return std::make_pair(view, labels);
}

std::optional<WeightView> moe::getOrdered(const ExpertMatrix &matrix,
                                          ArrayRef<int> labels) {
  SmallVector<int64_t> permutation;
  for (int label : labels) {
    auto found = llvm::find(matrix.labels, label);
    if (found == matrix.labels.end())
      return std::nullopt;
    permutation.push_back(found - matrix.labels.begin());
  }
  if (permutation.size() != matrix.labels.size())
    return std::nullopt;
  return llvm::is_sorted(permutation) ? std::make_optional(matrix.view)
                                      : matrix.view.transpose(permutation);
}

IndexedValue moe::traceIds(Tracer &tracer, IndexedValue ids) {
  while (true) {
    ids = tracer.trace(ids);
    // Ids in sorted order are those of the assignments.
    auto sort = ids.value.getDefiningOp<onnx::TopKOp>();
    if (sort && ids.value == sort.getValues() && ids.axes.size() == 1) {
      int label = ids.getLabel(0);
      const RowSpace *space =
          label == Digit::kNone ? nullptr : tracer.getRows(label);
      if (!space || space->list != sort.getIndices())
        return ids;
      ids = {sort.getX(), {space->places[0]}};
      continue;
    }
    // ids < 0 ? ids + E : ids
    auto where = ids.value.getDefiningOp<onnx::WhereOp>();
    auto less =
        where ? skipCasts(where.getCondition()).getDefiningOp<onnx::LessOp>()
              : onnx::LessOp();
    auto add = where ? skipCasts(where.getX()).getDefiningOp<onnx::AddOp>()
                     : onnx::AddOp();
    if (!less || !add || getNumber(less.getB()) != 0.0)
      return ids;
    Value plain = skipCasts(where.getY());
    bool added = (skipCasts(add.getA()) == plain && getNumber(add.getB())) ||
                 (skipCasts(add.getB()) == plain && getNumber(add.getA()));
    std::optional<IndexedValue> rest = tracer.getOperand(where.getY(), ids);
    if (!added || skipCasts(less.getA()) != plain || !rest)
      return ids;
    ids = *rest;
  }
}

namespace {

/// Numbers of experts, and by which ids they are gathered.
struct Table {
  IndexedValue data;
  int expert = Digit::kNone;
  IndexedValue ids;
};

/// `indexed` as an entry of a table that ids choose.
std::optional<Table> matchTable(Tracer &tracer, const IndexedValue &indexed) {
  Operation *op = indexed.value.getDefiningOp();
  if (!isa_and_nonnull<onnx::GatherOp, onnx::GatherNDOp>(op)) {
    // A product with a one-hot encoding picks an entry.
    std::optional<Product> product = getContraction(tracer, indexed);
    if (!product || product->factors.size() != 2 || product->summed.size() != 1)
      return std::nullopt;
    int expert = product->summed[0];
    for (unsigned i = 0; i < 2; ++i) {
      std::optional<OneHotMatch> hot =
          matchOneHot(tracer, product->factors[i], expert);
      if (hot && !hot->expert)
        return Table{tracer.trace(product->factors[1 - i]), expert, hot->ids};
    }
    return std::nullopt;
  }
  Value data = op->getOperand(0), indices = op->getOperand(1);
  RankedTensorType type = getTensorType(data);
  int64_t rank = getTensorType(indices).getRank(), dim = 0;
  ArrayRef<Axis> axes = indexed.axes;
  Table table;
  table.ids.value = indices;
  if (auto gather = dyn_cast<onnx::GatherOp>(op)) {
    dim = getAxisFromFront(gather.getAxis(), type.getRank());
    table.ids.axes.assign(axes.begin() + dim, axes.begin() + dim + rank);
  } else {
    if (cast<onnx::GatherNDOp>(op).getBatchDims() != 0 ||
        getTensorType(indices).getShape().back() != 1)
      return std::nullopt;
    --rank;
    table.ids.axes.assign(axes.begin(), axes.begin() + rank);
    table.ids.axes.emplace_back();
  }
  int64_t extent = type.getDimSize(dim);
  if (ShapedType::isDynamic(extent))
    return std::nullopt;
  table.expert = tracer.addLabel(extent);
  table.data.value = data;
  table.data.axes.assign(axes.begin(), axes.begin() + dim);
  table.data.axes.push_back(extent == 1 ? Axis()
                                        : tracer.getWhole(table.expert));
  table.data.axes.append(axes.begin() + dim + rank, axes.end());
  table.data = tracer.trace(table.data);
  table.ids = traceIds(tracer, table.ids);
  return table;
}

std::optional<ExpertMatrix> matchMatrix(Tracer &tracer,
                                        const IndexedValue &indexed) {
  IndexedValue traced = tracer.trace(indexed);
  ExpertMatrix matrix;
  std::optional<WeightView> view = WeightView::get(traced.value);
  if (!view) {
    std::optional<Table> table = matchTable(tracer, traced);
    if (!table || !(view = WeightView::get(table->data.value)))
      return std::nullopt;
    matrix.expert = table->expert;
    matrix.ids = table->ids;
    traced = table->data;
  }
  auto labelled = getLabelledView(tracer, *view, traced.axes);
  if (!labelled)
    return std::nullopt;
  std::tie(matrix.view, matrix.labels) = std::move(*labelled);
  if (matrix.expert == Digit::kNone ||
      llvm::is_contained(matrix.labels, matrix.expert))
    return matrix;
  // The only expert has a dimension of its own, too.
  SmallVector<int64_t> shape(matrix.view.shape);
  shape.insert(shape.begin(), 1);
  std::optional<WeightView> stack = matrix.view.reshape(shape);
  if (!stack)
    return std::nullopt;
  matrix.view = *stack;
  matrix.labels.insert(matrix.labels.begin(), matrix.expert);
  return matrix;
}

/// Sorts the labels of a product with a matrix into their roles.
bool assignRoles(LinearMatch &linear, ArrayRef<IndexedValue> others,
                 ArrayRef<int> summed) {
  ExpertMatrix &matrix = linear.matrix;
  SmallVector<int> rest;
  for (int label : matrix.labels)
    if (label != linear.out && label != matrix.expert)
      rest.push_back(label);
  if (rest.size() + 1 + (matrix.expert != Digit::kNone) !=
          matrix.labels.size() ||
      rest.empty() || rest.size() > 2)
    return false;
  if (rest.size() == 2) {
    if (matrix.expert != Digit::kNone)
      return false;
    // The experts are not summed here, or they have weights of their own.
    unsigned expert = 0;
    bool firstSummed = llvm::is_contained(summed, rest[0]);
    bool secondSummed = llvm::is_contained(summed, rest[1]);
    if (firstSummed && secondSummed) {
      if (llvm::any_of(others, [&](const IndexedValue &v) {
            return v.dependsOn(rest[1]) && !v.dependsOn(rest[0]);
          }))
        expert = 1;
    } else if (firstSummed) {
      expert = 1;
    }
    matrix.expert = rest[expert];
    rest = {rest[1 - expert]};
  }
  linear.in = rest[0];
  return llvm::is_contained(summed, linear.in);
}

std::optional<LinearMatch>
matchContraction(Tracer &tracer, const IndexedValue &traced, int out) {
  std::optional<Product> product =
      getContraction(tracer, traced, /*withoutAddend=*/true);
  if (!product)
    return std::nullopt;
  for (unsigned i = 0; i < product->factors.size(); ++i) {
    std::optional<ExpertMatrix> matrix =
        matchMatrix(tracer, product->factors[i]);
    if (!matrix || matrix->labels.size() < 2)
      continue;
    LinearMatch linear;
    linear.matrix = std::move(*matrix);
    linear.out = out;
    SmallVector<IndexedValue> others;
    for (unsigned j = 0; j < product->factors.size(); ++j)
      if (j != i)
        others.push_back(tracer.trace(product->factors[j]));
    if (!assignRoles(linear, others, product->summed))
      continue;
    bool single = true;
    for (IndexedValue &other : others) {
      if (!other.dependsOn(linear.in)) {
        linear.gates.push_back(std::move(other));
        continue;
      }
      single &= !linear.x;
      linear.x = std::move(other);
    }
    if (!linear.x || !single)
      continue;
    for (int label : product->summed)
      if (label != linear.in)
        linear.summed.push_back(label);
    return linear;
  }
  return std::nullopt;
}

/// Whether the numbers of `value` are stored, not computed from the inputs.
bool isStored(Value value, unsigned depth = 0) {
  Operation *op = value.getDefiningOp();
  if (!op || depth > 4)
    return false;
  return isa<WeightOp, onnx::ConstantOp>(op) ||
         (op->getNumOperands() > 0 && op->getNumRegions() == 0 &&
          llvm::all_of(op->getOperands(), [&](Value operand) {
            return !isPresent(operand) || isStored(operand, depth + 1);
          }));
}

/// Numbers that depend on the expert of `linear` and its outputs alone.
bool matchBias(Tracer &tracer, const IndexedValue &indexed,
               LinearMatch &linear) {
  IndexedValue bias = tracer.trace(indexed);
  int expert = linear.matrix.expert;
  if (linear.matrix.ids) {
    std::optional<Table> table = matchTable(tracer, bias);
    if (table && !(table->ids == linear.matrix.ids))
      return false;
    if (table) {
      bias = table->data;
      bias.replace(table->expert,
                   Digit{expert, 0, 1, tracer.getExtent(expert)});
    }
  }
  for (int label : bias.getLabels())
    if (label != expert && label != linear.out)
      return false;
  // One number for all outputs is no bias that experts have. The row of an only
  // token is none either.
  if (!bias.dependsOn(linear.out) || !isStored(bias.value))
    return false;
  linear.bias = bias;
  return true;
}

} // namespace

std::optional<LinearMatch>
moe::matchLinear(Tracer &tracer, const IndexedValue &indexed, int out) {
  IndexedValue traced = tracer.trace(indexed);
  Operation *op = traced.value.getDefiningOp();
  if (auto concat = dyn_cast_or_null<onnx::ConcatOp>(op))
    return matchLanes(tracer, concat, traced, out);
  auto addBias = [&](LinearMatch &linear, Value addend) {
    if (getNumber(addend) == 0.0)
      return true;
    std::optional<IndexedValue> bias = tracer.getOperand(addend, traced);
    return bias && !linear.bias && linear.gates.empty() &&
           matchBias(tracer, *bias, linear);
  };
  if (auto add = dyn_cast_or_null<onnx::AddOp>(op)) {
    // A bias that a product with a one-hot encoding picks looks like a product
    // with a weight, too: either operand may be the bias.
    for (unsigned i = 0; i < 2; ++i) {
      std::optional<IndexedValue> product =
          tracer.getOperand(add->getOperand(i), traced);
      // Long sums have no place in a projection.
      if (!product || tracer.trace(*product).value.getDefiningOp<onnx::AddOp>())
        continue;
      std::optional<LinearMatch> linear = matchLinear(tracer, *product, out);
      if (linear && addBias(*linear, add->getOperand(1 - i)))
        return linear;
    }
    return std::nullopt;
  }
  std::optional<LinearMatch> linear = matchContraction(tracer, traced, out);
  auto gemm = dyn_cast_or_null<onnx::GemmOp>(op);
  if (!linear || !gemm || !isPresent(gemm.getC()) || gemm.getBeta().isZero())
    return linear;
  if (!gemm.getBeta().isExactlyValue(1.0) || !addBias(*linear, gemm.getC()))
    return std::nullopt;
  return linear;
}
