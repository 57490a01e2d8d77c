//===- Labels.cpp - what the dimensions of tensors mean ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/fuse/attention/Labels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::moe;

//===----------------------------------------------------------------------===//
// LabelSet
//===----------------------------------------------------------------------===//

Label LabelSet::make(const Extent &extent) {
  entries.push_back({{extent}, {}});
  return entries.size() - 1;
}

LabelList LabelSet::flatten(ArrayRef<Label> list) const {
  LabelList flat;
  for (Label label : list) {
    if (!entries[label].parts.empty())
      flat.append(flatten(entries[label].parts));
    else if (!getExtent(label).isOne())
      flat.push_back(label);
  }
  return flat;
}

void LabelSet::addExtent(Label label, const Extent &extent) {
  SmallVector<Extent, 2> &known = entries[label].extents;
  if (llvm::is_contained(known, extent))
    return;
  // A static extent says most.
  known.insert(extent.isStatic() ? known.begin() : known.end(), extent);
}

void LabelSet::splitLabel(Label label, ArrayRef<Extent> extents) {
  SmallVector<Label, 2> parts;
  for (const Extent &extent : extents)
    parts.push_back(make(extent));
  entries[label].parts = parts;
  ++splits;
}

bool LabelSet::take(LabelList &list, const Extent &extent, bool fromBack,
                    LabelList &taken) {
  Extent rest = extent;
  LabelList left = list;
  while (!rest.isOne()) {
    if (left.empty())
      return false;
    Label label = fromBack ? left.back() : left.front();
    std::optional<Extent> quotient;
    for (const Extent &own : entries[label].extents)
      if ((quotient = rest.divide(own)))
        break;
    if (!quotient) {
      // A part of the label.
      std::optional<Extent> other;
      for (const Extent &own : entries[label].extents)
        if ((other = own.divide(rest)))
          break;
      if (!other)
        return false;
      if (fromBack)
        splitLabel(label, {*other, rest});
      else
        splitLabel(label, {rest, *other});
      (fromBack ? left.pop_back() : void(left.erase(left.begin())));
      LabelList parts = flatten({label});
      left.insert(fromBack ? left.end() : left.begin(), parts.begin(),
                  parts.end());
      continue;
    }
    rest = *quotient;
    if (fromBack) {
      left.pop_back();
      taken.insert(taken.begin(), label);
    } else {
      left.erase(left.begin());
      taken.push_back(label);
    }
  }
  if (taken.size() == 1)
    addExtent(taken.front(), extent);
  list = left;
  return true;
}

/// The only way to give each dimension neighbouring labels such that static
/// extents fit and each dynamic one has one dynamic label, whose static
/// companions divide what is known of it.
FailureOr<LabelLists> LabelSet::guess(ArrayRef<Label> list,
                                      ArrayRef<Extent> extents) {
  LabelLists current(extents.size()), found;
  unsigned ways = 0;
  auto place = [&](auto &&place, size_t dim, size_t from) -> void {
    if (dim == extents.size()) {
      if (from == list.size() && ++ways == 1)
        found = current;
      return;
    }
    int64_t known = 1;
    unsigned dynamic = 0;
    for (size_t end = from + 1; end <= list.size(); ++end) {
      Label label = list[end - 1];
      if (isStatic(label))
        known *= getExtent(label).factor;
      else
        ++dynamic;
      const Extent &extent = extents[dim];
      bool fits = extent.isStatic()
                      ? dynamic == 0 && known == extent.factor
                      : dynamic == 1 && extent.factor % known == 0;
      if (!fits)
        continue;
      current[dim] = LabelList(list.slice(from, end - from));
      place(place, dim + 1, end);
    }
  };
  place(place, 0, 0);
  if (ways != 1)
    return failure();
  return found;
}

FailureOr<LabelLists> LabelSet::split(ArrayRef<Label> list, Value tensor,
                                      ArrayRef<int64_t> dims) {
  SmallVector<Extent> extents;
  for (int64_t dim : dims)
    extents.push_back(Extent::get(tensor, dim));
  LabelLists result(extents.size());
  SmallVector<size_t> open;
  for (size_t i = 0; i < extents.size(); ++i)
    if (!extents[i].isOne())
      open.push_back(i);
  LabelList left = flatten(list);
  for (bool fromBack : {true, false})
    while (open.size() > 1) {
      size_t dim = fromBack ? open.back() : open.front();
      LabelList taken;
      LabelList before = left;
      if (!take(left, extents[dim], fromBack, taken)) {
        left = flatten(before);
        break;
      }
      result[dim] = taken;
      open.erase(fromBack ? open.end() - 1 : open.begin());
    }
  left = flatten(left);
  if (open.empty()) {
    if (!left.empty())
      return failure();
    return result;
  }
  // What is left over has equal extents on both sides.
  if (open.size() == 1) {
    result[open.front()] = left;
    if (left.size() == 1)
      addExtent(left.front(), extents[open.front()]);
    return result;
  }
  SmallVector<Extent> parts;
  for (size_t dim : open)
    parts.push_back(extents[dim]);
  if (left.size() == 1) {
    Label whole = left.front();
    splitLabel(whole, parts);
    for (auto [dim, part] : llvm::zip_equal(open, entries[whole].parts))
      result[dim] = {part};
    return result;
  }
  FailureOr<LabelLists> guessed = guess(left, parts);
  if (failed(guessed))
    return failure();
  for (auto [dim, part] : llvm::zip_equal(open, *guessed)) {
    result[dim] = part;
    if (!extents[dim].isStatic())
      assumptions.push_back({tensor, dims[dim], part});
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

FailureOr<LabelLists> moe::getLoopLabels(AffineMap resultMap,
                                         const LabelLists &labels) {
  if (!resultMap.isProjectedPermutation())
    return failure();
  LabelLists loops(resultMap.getNumDims());
  for (auto [i, result] : llvm::enumerate(resultMap.getResults()))
    loops[cast<AffineDimExpr>(result).getPosition()] = labels[i];
  return loops;
}

FailureOr<LabelLists> moe::getOperandLabels(AffineMap map,
                                            const LabelLists &loops) {
  LabelLists labels;
  for (AffineExpr result : map.getResults()) {
    if (auto dim = dyn_cast<AffineDimExpr>(result))
      labels.push_back(loops[dim.getPosition()]);
    else if (isa<AffineConstantExpr>(result) &&
             cast<AffineConstantExpr>(result).getValue() == 0)
      labels.emplace_back();
    else
      return failure();
  }
  return labels;
}

/// A generic operation that copies an input, as a wider type or times a number.
static FailureOr<LabelledSource> stepBackGeneric(linalg::GenericOp op,
                                                 const LabelLists &labels) {
  if (op.getNumParallelLoops() != op.getNumLoops() || op.getNumResults() != 1)
    return failure();
  Block *body = op.getBody();
  Value yielded = body->getTerminator()->getOperand(0), factor;
  // A number from outside, or an input that has one for all elements.
  auto getOutside = [&](Value value) -> Value {
    if (!value.getType().isF32())
      return {};
    if (value.getParentBlock() != body)
      return value;
    auto argument = dyn_cast<BlockArgument>(value);
    if (!argument || argument.getArgNumber() >= op.getNumDpsInputs())
      return {};
    OpOperand *input = op.getDpsInputOperand(argument.getArgNumber());
    auto type = cast<RankedTensorType>(input->get().getType());
    return type.hasStaticShape() && type.getNumElements() == 1 ? input->get()
                                                               : Value();
  };
  for (unsigned steps = 0; steps < 3; ++steps) {
    if (auto wider = yielded.getDefiningOp<arith::ExtFOp>()) {
      yielded = wider.getIn();
    } else if (auto product = yielded.getDefiningOp<arith::MulFOp>();
               product && !factor) {
      if ((factor = getOutside(product.getRhs())))
        yielded = product.getLhs();
      else if ((factor = getOutside(product.getLhs())))
        yielded = product.getRhs();
      else
        return failure();
    }
  }
  auto argument = dyn_cast<BlockArgument>(yielded);
  if (!argument || argument.getOwner() != body ||
      argument.getArgNumber() >= op.getNumDpsInputs())
    return failure();
  OpOperand *input = op.getDpsInputOperand(argument.getArgNumber());
  FailureOr<LabelLists> loops =
      getLoopLabels(op.getIndexingMapsArray().back(), labels);
  if (failed(loops))
    return failure();
  FailureOr<LabelLists> own =
      getOperandLabels(op.getMatchingIndexingMap(input), *loops);
  if (failed(own))
    return failure();
  return LabelledSource{input->get(), *own, factor};
}

FailureOr<LabelledSource> moe::stepBack(LabelSet &set, Value tensor,
                                        const LabelLists &labels) {
  Operation *op = tensor.getDefiningOp();
  if (!op)
    return failure();
  if (auto cast = dyn_cast<tensor::CastOp>(op))
    return LabelledSource{cast.getSource(), labels, Value()};
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
    LabelLists own;
    for (const ReassociationIndices &group : expand.getReassociationIndices()) {
      own.emplace_back();
      for (int64_t dim : group)
        own.back().append(labels[dim]);
    }
    return LabelledSource{expand.getSrc(), own, Value()};
  }
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
    LabelLists own(collapse.getSrcType().getRank());
    for (auto [i, group] :
         llvm::enumerate(collapse.getReassociationIndices())) {
      FailureOr<LabelLists> parts =
          set.split(labels[i], collapse.getSrc(), group);
      if (failed(parts))
        return failure();
      for (auto [dim, part] : llvm::zip_equal(group, *parts))
        own[dim] = part;
    }
    return LabelledSource{collapse.getSrc(), own, Value()};
  }
  if (auto transpose = dyn_cast<linalg::TransposeOp>(op)) {
    LabelLists own(labels.size());
    for (auto [to, from] : llvm::enumerate(transpose.getPermutation()))
      own[from] = labels[to];
    return LabelledSource{transpose.getInput(), own, Value()};
  }
  if (auto generic = dyn_cast<linalg::GenericOp>(op))
    return stepBackGeneric(generic, labels);
  return failure();
}
