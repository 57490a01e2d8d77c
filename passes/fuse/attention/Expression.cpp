//===- Expression.cpp - scalar expressions behind tensors -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/fuse/attention/Expression.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::moe;

using Kind = Expression::Kind;

const Expression *Expression::stripCasts() const {
  const Expression *current = this;
  while (current->is<arith::ExtFOp>() || current->is<arith::TruncFOp>())
    current = current->operands[0];
  return current;
}

bool Expression::isConstant(
    function_ref<bool(const APFloat &)> predicate) const {
  DenseFPElementsAttr elements;
  if (kind == Kind::Load && matchPattern(value, m_Constant(&elements)))
    return elements.isSplat() && predicate(elements.getSplatValue<APFloat>());
  FloatAttr number;
  return kind == Kind::Constant &&
         matchPattern(op->getResult(0), m_Constant(&number)) &&
         predicate(number.getValue());
}

static bool isProduct(Operation *op) {
  return isa<linalg::BatchMatmulOp, linalg::MatmulOp>(op);
}

/// The tensors that an operation on the way to a product reads.
static SmallVector<Value> getSources(Operation *op) {
  if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
    SmallVector<Value> sources = generic.getInputs();
    // Operands that may have to be repeated are read by index.
    for (auto extract : generic.getBody()->getOps<tensor::ExtractOp>())
      sources.push_back(extract.getTensor());
    return sources;
  }
  if (isa<tensor::CastOp, tensor::ExpandShapeOp, tensor::CollapseShapeOp,
          linalg::TransposeOp, tensor::ExtractSliceOp>(op))
    return {op->getOperand(0)};
  if (auto insert = dyn_cast<tensor::InsertSliceOp>(op))
    return {insert.getSource(), insert.getDest()};
  return {};
}

linalg::LinalgOp moe::findProduct(Value weights) {
  linalg::LinalgOp found;
  SmallVector<Value> work = {weights};
  DenseSet<Value> seen;
  // More is no attention.
  constexpr size_t kLimit = 200;
  while (!work.empty() && seen.size() < kLimit) {
    Value value = work.pop_back_val();
    Operation *op = value.getDefiningOp();
    if (!op || !seen.insert(value).second)
      continue;
    if (isProduct(op)) {
      if (found && found.getOperation() != op)
        return {};
      found = cast<linalg::LinalgOp>(op);
      continue;
    }
    work.append(getSources(op));
  }
  return found;
}

bool ExpressionBuilder::reachesProduct(Value tensor) {
  auto [entry, isNew] = reaches.try_emplace(tensor, false);
  if (!isNew)
    return entry->second;
  Operation *op = tensor.getDefiningOp();
  bool result = false;
  if (op == product.getOperation())
    result = true;
  else if (op)
    result = llvm::any_of(getSources(op),
                          [&](Value source) { return reachesProduct(source); });
  reaches[tensor] = result;
  return result;
}

const Expression *ExpressionBuilder::unique(Expression expression) {
  std::vector<intptr_t> code = {intptr_t(expression.kind)};
  auto add = [&](const void *pointer) {
    code.push_back(reinterpret_cast<intptr_t>(pointer));
  };
  add(expression.type.getAsOpaquePointer());
  if (Operation *op = expression.op) {
    add(op->getName().getAsOpaquePointer());
    add(op->getAttrDictionary().getAsOpaquePointer());
  }
  add(expression.value.getAsOpaquePointer());
  for (const Expression *operand : expression.operands)
    add(operand);
  for (LabelList &list : expression.labels) {
    list = labels.flatten(list);
    code.push_back(-1);
    for (Label label : list)
      code.push_back(label);
  }
  std::unique_ptr<Expression> &entry = expressions[code];
  if (!entry) {
    expression.readsProduct |=
        expression.kind == Kind::Product ||
        llvm::any_of(expression.operands,
                     [](const Expression *e) { return e->readsProduct; });
    entry = std::make_unique<Expression>(expression);
  }
  return entry.get();
}

const Expression *ExpressionBuilder::load(Value tensor, const LabelLists &own) {
  if (reachesProduct(tensor))
    return nullptr;
  Type type = cast<RankedTensorType>(tensor.getType()).getElementType();
  return unique({Kind::Load, type, nullptr, tensor, {}, own});
}

const Expression *ExpressionBuilder::build(Value tensor,
                                           const LabelLists &own) {
  Operation *op = tensor.getDefiningOp();
  Type type = cast<RankedTensorType>(tensor.getType()).getElementType();
  if (!op)
    return load(tensor, own);
  if (op == product.getOperation()) {
    LabelLists flat;
    for (const LabelList &list : own)
      flat.push_back(labels.flatten(list));
    if (productLabels && *productLabels != flat)
      return nullptr;
    productLabels = flat;
    return unique({Kind::Product, type});
  }
  if (auto fill = dyn_cast<linalg::FillOp>(op)) {
    Value value = fill.getInputs()[0];
    if (matchPattern(value, m_Constant()))
      return unique({Kind::Constant, value.getType(), value.getDefiningOp()});
    return unique({Kind::Capture, value.getType(), nullptr, value});
  }
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (generic && reachesProduct(tensor)) {
    if (generic.getNumParallelLoops() != generic.getNumLoops())
      return buildReduction(generic, own);
    return buildGeneric(generic, cast<OpResult>(tensor).getResultNumber(), own);
  }
  if (auto insert = dyn_cast<tensor::InsertSliceOp>(op);
      insert && reachesProduct(tensor))
    return buildJoin(insert, own);
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op);
      slice && reachesProduct(tensor)) {
    // The elements keep their indices.
    if (!slice.hasUnitStride() || !slice.hasZeroOffset() ||
        slice.getSourceType().getRank() != slice.getType().getRank())
      return nullptr;
    hasSlice = true;
    return build(slice.getSource(), own);
  }
  // What other operations use too is computed once.
  if (generic && tensor.hasOneUse() &&
      generic.getNumParallelLoops() == generic.getNumLoops())
    if (const Expression *expression = buildGeneric(
            generic, cast<OpResult>(tensor).getResultNumber(), own))
      return expression;
  if (isa<tensor::CastOp, tensor::ExpandShapeOp, tensor::CollapseShapeOp,
          linalg::TransposeOp>(op)) {
    FailureOr<LabelledSource> source = stepBack(labels, tensor, own);
    if (succeeded(source))
      return build(source->source, source->labels);
  }
  return load(tensor, own);
}

/// The labels of an index, also of `extent == 1 ? 0 : index`: that the extent
/// is the one of the index is then an assumption.
static std::optional<LabelList> getIndexLabels(const Expression *index) {
  if (index->kind == Kind::Index)
    return index->labels.front();
  if (index->kind == Kind::Constant && matchPattern(index->op, m_Zero()))
    return LabelList();
  if (!index->is<arith::SelectOp>() ||
      index->operands[1]->kind != Kind::Constant ||
      !matchPattern(index->operands[1]->op, m_Zero()) ||
      index->operands[2]->kind != Kind::Index)
    return std::nullopt;
  return index->operands[2]->labels.front();
}

const Expression *ExpressionBuilder::buildGeneric(linalg::GenericOp op,
                                                  unsigned result,
                                                  const LabelLists &own) {
  if (!op.hasPureTensorSemantics())
    return nullptr;
  OpOperand *init = op.getDpsInitOperand(result);
  FailureOr<LabelLists> loops =
      getLoopLabels(op.getMatchingIndexingMap(init), own);
  if (failed(loops))
    return nullptr;
  Block *body = op.getBody();
  DenseMap<Value, const Expression *> known;
  auto lookup = [&](Value value) -> const Expression * {
    if (const Expression *expression = known.lookup(value))
      return expression;
    if (auto argument = dyn_cast<BlockArgument>(value);
        argument && argument.getOwner() == body) {
      if (argument.getArgNumber() >= op.getNumDpsInputs())
        return nullptr; // The old number in the destination.
      OpOperand *input = op.getDpsInputOperand(argument.getArgNumber());
      FailureOr<LabelLists> inputLabels =
          getOperandLabels(op.getMatchingIndexingMap(input), *loops);
      if (failed(inputLabels))
        return nullptr;
      return known[value] = build(input->get(), *inputLabels);
    }
    if (value.getParentBlock() == body)
      return nullptr;
    if (matchPattern(value, m_Constant()))
      return unique({Kind::Constant, value.getType(), value.getDefiningOp()});
    return unique({Kind::Capture, value.getType(), nullptr, value});
  };
  for (Operation &inner : body->without_terminator()) {
    if (inner.getNumRegions() != 0 || inner.getNumResults() != 1 ||
        !isMemoryEffectFree(&inner))
      return nullptr;
    Type type = inner.getResult(0).getType();
    const Expression *expression = nullptr;
    if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
      expression = unique({Kind::Index,
                           type,
                           nullptr,
                           Value(),
                           {},
                           {(*loops)[index.getDim()]}});
    } else if (auto extract = dyn_cast<tensor::ExtractOp>(inner);
               extract && reachesProduct(extract.getTensor())) {
      LabelLists place;
      for (auto [i, index] : llvm::enumerate(extract.getIndices())) {
        const Expression *own = lookup(index);
        std::optional<LabelList> list;
        if (own)
          list = getIndexLabels(own);
        if (!list)
          return nullptr;
        place.push_back(*list);
        if (own->kind != Kind::Index && !list->empty())
          labels.assume(extract.getTensor(), i, *list);
      }
      expression = build(extract.getTensor(), place);
      if (!expression)
        return nullptr;
    } else if (matchPattern(&inner, m_Constant())) {
      expression = unique({Kind::Constant, type, &inner});
    } else {
      SmallVector<const Expression *> operands;
      for (Value operand : inner.getOperands()) {
        operands.push_back(lookup(operand));
        if (!operands.back())
          return nullptr;
      }
      expression = unique({Kind::Apply, type, &inner, Value(), operands});
    }
    known[inner.getResult(0)] = expression;
  }
  return lookup(body->getTerminator()->getOperand(result));
}

/// Scores with one more behind those of the keys, as `Concat` puts them.
const Expression *ExpressionBuilder::buildJoin(tensor::InsertSliceOp op,
                                               const LabelLists &own) {
  auto first = op.getDest().getDefiningOp<tensor::InsertSliceOp>();
  if (!first || !first.getDest().getDefiningOp<tensor::EmptyOp>() ||
      !first.hasZeroOffset() || !first.hasUnitStride() || !op.hasUnitStride() ||
      first.getSourceType().getRank() != op.getType().getRank() ||
      op.getSourceType().getRank() != op.getType().getRank())
    return nullptr;
  LabelLists behind = own;
  bool isKey = false;
  for (auto [i, offset] : llvm::enumerate(op.getMixedOffsets())) {
    if (isConstantIntValue(offset, 0))
      continue;
    if (isKey || labels.flatten(own[i]) != LabelList{key} ||
        op.getSourceType().getDimSize(i) != 1)
      return nullptr;
    isKey = true;
    behind[i].clear();
  }
  if (!isKey)
    return nullptr;
  const Expression *scores = build(first.getSource(), own);
  const Expression *sink = build(op.getSource(), behind);
  if (!scores || !sink)
    return nullptr;
  return unique({Kind::Join, scores->type, nullptr, Value(), {scores, sink}});
}

/// A sum or a maximum over one loop.
const Expression *ExpressionBuilder::buildReduction(linalg::GenericOp op,
                                                    const LabelLists &own) {
  if (op.getNumReductionLoops() != 1 || op.getNumDpsInputs() != 1 ||
      op.getNumResults() != 1 ||
      !op.getDpsInits()[0].getDefiningOp<linalg::FillOp>())
    return nullptr;
  FailureOr<LabelLists> loops =
      getLoopLabels(op.getIndexingMapsArray().back(), own);
  if (failed(loops))
    return nullptr;
  SmallVector<unsigned> reduced;
  op.getReductionDims(reduced);
  (*loops)[reduced.front()] = {key};
  FailureOr<LabelLists> input =
      getOperandLabels(op.getIndexingMapsArray().front(), *loops);
  if (failed(input))
    return nullptr;
  Block *body = op.getBody();
  Operation *join = body->getTerminator()->getOperand(0).getDefiningOp();
  if (!join || join->getNumOperands() != 2)
    return nullptr;
  Kind kind;
  if (isa<arith::AddFOp>(join))
    kind = Kind::Sum;
  else if (isa<arith::MaximumFOp, arith::MaxNumFOp>(join))
    kind = Kind::Max;
  else
    return nullptr;
  Value element = body->getArgument(0), carried = body->getArgument(1);
  auto strip = [](Value value) {
    if (auto wider = value.getDefiningOp<arith::ExtFOp>())
      return wider.getIn();
    return value;
  };
  Value left = strip(join->getOperand(0)), right = strip(join->getOperand(1));
  if (!(left == carried && right == element) &&
      !(left == element && right == carried))
    return nullptr;
  const Expression *expression = build(op.getInputs()[0], *input);
  if (!expression)
    return nullptr;
  return unique({kind, carried.getType(), nullptr, Value(), {expression}});
}
