//===- FuseAttention.cpp - attention as one operation -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/kern/KernDialect.h"
#include "passes/fuse/Passes.h"
#include "passes/fuse/attention/Softmax.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Remarks.h"

namespace mlir::moe {
#define GEN_PASS_DEF_FUSEATTENTION
#include "passes/fuse/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// A tensor that attention reads or writes, with the labels of its dimensions.
struct LabelledTensor {
  Value tensor;
  LabelLists labels;
};

/// What a product of matrices reads and how its result is labelled.
struct ProductLabels {
  LabelLists left, right, result;
};

/// The labels of batch, row, inner and column loops of a product.
ProductLabels getProductLabels(linalg::LinalgOp product, ArrayRef<Label> batch,
                               ArrayRef<Label> row, ArrayRef<Label> inner,
                               ArrayRef<Label> column) {
  LabelList b(batch), m(row), k(inner), n(column);
  if (isa<linalg::MatmulOp>(product.getOperation()))
    return {{m, k}, {k, n}, {m, n}};
  return {{b, m, k}, {b, k, n}, {b, m, n}};
}

bool isPlain(linalg::LinalgOp product) {
  if (auto op = dyn_cast<linalg::BatchMatmulOp>(product.getOperation()))
    return !op.hasUserDefinedMaps();
  if (auto op = dyn_cast<linalg::MatmulOp>(product.getOperation()))
    return !op.hasUserDefinedMaps();
  return false;
}

bool isZeroFill(Value init) {
  auto fill = init.getDefiningOp<linalg::FillOp>();
  return fill && matchPattern(fill.getInputs()[0], m_AnyZeroFloat());
}

bool isKernelFloat(Type type) {
  return type.isF32() || type.isF16() || type.isBF16();
}

/// One attention on its way into an operation.
class AttentionFuser {
public:
  explicit AttentionFuser(linalg::LinalgOp output) : output(output) {}

  /// Replaces the attention that ends in the product `output`, if there is one.
  bool run() {
    if (!isPlain(output) || !output.hasPureTensorSemantics() ||
        !isZeroFill(output.getDpsInits()[0]))
      return false;
    Value weights = output.getDpsInputs()[0];
    product = findProduct(weights);
    if (!product || !isPlain(product) || !product.hasPureTensorSemantics() ||
        !isZeroFill(product.getDpsInits()[0]) ||
        !getElementTypeOrSelf(product->getResult(0).getType()).isF32())
      return false;
    makeLabels();
    // Reshapes make labels fall apart; once none does, all is known.
    std::optional<unsigned> before;
    while (!before || *before != labels.getSplits()) {
      before = labels.getSplits();
      labels.clearAssumptions();
      expressions.emplace(labels, product, key);
      const Expression *root = expressions->build(weights, weightLabels.left);
      if (!root || !expressions->productLabels)
        return false;
      softmax = matchSoftmax(root);
      if (!softmax)
        return false;
      walk();
    }
    std::string reason = check();
    if (!reason.empty()) {
      remark::missed(output.getLoc(),
                     remark::RemarkOpts::name("attention not fused")
                         .category("moe-fuse-attention"))
          << remark::reason("{0}", reason);
      return false;
    }
    replace();
    return true;
  }

private:
  enum Operand { Query, Key, Value_, Result };

  int64_t getRank(linalg::LinalgOp op) {
    return cast<RankedTensorType>(op->getResult(0).getType()).getRank();
  }

  void makeLabels() {
    auto make = [&](Value tensor, int64_t dim) {
      return labels.make(Extent::get(tensor, dim));
    };
    Value weights = output.getDpsInputs()[0], values = output.getDpsInputs()[1];
    int64_t rank = getRank(output);
    LabelList batch;
    if (rank == 3)
      batch.push_back(make(weights, 0));
    Label row = make(weights, rank - 2);
    key = make(weights, rank - 1);
    column = make(values, rank - 1);
    weightLabels = getProductLabels(output, batch, {row}, {key}, {column});
    depth = make(product.getDpsInputs()[0], getRank(product) - 1);
  }

  /// Follows the operands and the result as far as they are only reshaped,
  /// transposed, repeated or converted.
  void walk() {
    LabelLists scores = *expressions->productLabels;
    LabelList batch;
    if (scores.size() == 3)
      batch = scores[0];
    LabelList row = scores[scores.size() - 2], keys = scores.back();
    ProductLabels own = getProductLabels(product, batch, row, {depth}, keys);
    factors.clear();
    tensors[Query] = walkBack({product.getDpsInputs()[0], own.left});
    tensors[Key] = walkBack({product.getDpsInputs()[1], own.right});
    tensors[Value_] = walkBack({output.getDpsInputs()[1], weightLabels.right},
                               /*mayScale=*/false);
    tensors[Result] = walkForward({output->getResult(0), weightLabels.result});
  }

  /// Whether a view of the tensor can give each label a dimension of its own.
  bool isSplittable(const LabelledTensor &tensor) {
    return llvm::all_of(tensor.labels, [&](const LabelList &list) {
      return llvm::count_if(labels.flatten(list), [&](Label label) {
               return !labels.isStatic(label);
             }) <= 1;
    });
  }

  LabelledTensor walkBack(LabelledTensor tensor, bool mayScale = true) {
    LabelledTensor best = tensor;
    SmallVector<Value> passed;
    while (true) {
      FailureOr<LabelledSource> source =
          stepBack(labels, tensor.tensor, tensor.labels);
      if (failed(source) || (source->factor && !mayScale) ||
          !isKernelFloat(getElementTypeOrSelf(source->source.getType())))
        return best;
      if (source->factor)
        passed.push_back(source->factor);
      tensor = {source->source, source->labels};
      if (isSplittable(tensor)) {
        best = tensor;
        factors.append(passed);
        passed.clear();
      }
    }
  }

  /// The only user of `value` that reads its elements.
  static Operation *getUser(Value value) {
    Operation *user = nullptr;
    for (Operation *op : value.getUsers()) {
      if (isa<tensor::DimOp>(op))
        continue;
      if (user)
        return nullptr;
      user = op;
    }
    return user;
  }

  LabelledTensor walkForward(LabelledTensor tensor) {
    LabelledTensor best = tensor;
    while (Operation *user = getUser(tensor.tensor)) {
      LabelLists next;
      if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(user)) {
        for (const ReassociationIndices &group :
             collapse.getReassociationIndices()) {
          next.emplace_back();
          for (int64_t dim : group)
            next.back().append(tensor.labels[dim]);
        }
      } else if (auto expand = dyn_cast<tensor::ExpandShapeOp>(user)) {
        for (auto [i, group] :
             llvm::enumerate(expand.getReassociationIndices())) {
          FailureOr<LabelLists> parts =
              labels.split(tensor.labels[i], expand.getResult(), group);
          if (failed(parts))
            return best;
          next.append(*parts);
        }
      } else if (auto transpose = dyn_cast<linalg::TransposeOp>(user)) {
        for (int64_t from : transpose.getPermutation())
          next.push_back(tensor.labels[from]);
      } else if (isNarrowing(user)) {
        next = tensor.labels;
      } else if (isa<tensor::CastOp>(user)) {
        next = tensor.labels;
      } else {
        return best;
      }
      tensor = {user->getResult(0), next};
      if (isSplittable(tensor))
        best = tensor;
    }
    return best;
  }

  /// A conversion of f32 to a narrower type and nothing else.
  static bool isNarrowing(Operation *op) {
    auto generic = dyn_cast<linalg::GenericOp>(op);
    if (!generic || generic.getNumDpsInputs() != 1 ||
        generic.getNumResults() != 1 ||
        !llvm::all_of(generic.getIndexingMapsArray(),
                      [](AffineMap map) { return map.isIdentity(); }))
      return false;
    auto narrow = generic.getBody()
                      ->getTerminator()
                      ->getOperand(0)
                      .getDefiningOp<arith::TruncFOp>();
    return narrow && narrow.getIn() == generic.getBody()->getArgument(0) &&
           isKernelFloat(narrow.getType());
  }

  /// Why this is no attention that the operation can express, or nothing.
  std::string check() {
    order.clear();
    auto add = [&](const LabelledTensor &tensor) {
      for (const LabelList &list : tensor.labels)
        for (Label label : labels.flatten(list))
          if (!llvm::is_contained(order, label))
            order.push_back(label);
    };
    // Rows of one head side by side.
    LabelLists scores = *expressions->productLabels;
    for (const LabelList &list : scores)
      for (Label label : labels.flatten(list))
        if (!llvm::is_contained(order, label))
          order.push_back(label);
    for (const LabelledTensor &tensor : tensors) {
      if (!isSplittable(tensor))
        return "expected extents of batch, heads and positions apart";
      add(tensor);
    }
    for (const LabelledTensor &tensor : tensors) {
      SmallVector<Label> seen;
      for (const LabelList &list : tensor.labels)
        for (Label label : labels.flatten(list)) {
          if (llvm::is_contained(seen, label))
            return "expected each index once in a tensor";
          seen.push_back(label);
        }
    }
    SmallVector<AffineMap> maps;
    for (const LabelledTensor &tensor : tensors)
      maps.push_back(getMap(tensor));
    FailureOr<kern::AttentionDims> inferred = kern::AttentionDims::infer(maps);
    if (failed(inferred))
      return "expected dimensions of the batch, of rows, one of keys, one of "
             "products and one of values";
    dims = *inferred;
    if (!labels.isStatic(order[dims.depth]) ||
        !labels.isStatic(order[dims.column]))
      return "expected heads of known sizes";
    if (order[dims.key] != key)
      return "expected keys in one dimension";
    if (Value weight = tensors[Key].tensor;
        weight.getDefiningOp<WeightOp>() ||
        tensors[Value_].tensor.getDefiningOp<WeightOp>())
      return "expected keys and values that are not weights";
    // A sink goes before the values are weighted, and nothing else does.
    if (softmax->isJoined != expressions->hasSlice)
      return "expected a softmax over the keys and at most one sink";
    if (softmax->sink && softmax->sink->readsProduct)
      return "expected a sink that does not depend on the product";
    for (const Expression *expression : {softmax->score, softmax->sink})
      if (expression)
        if (std::string reason = checkExpression(expression); !reason.empty())
          return reason;
    return "";
  }

  /// Reductions cannot be part of a region.
  std::string checkExpression(const Expression *expression) {
    using Kind = Expression::Kind;
    if (expression->kind == Kind::Sum || expression->kind == Kind::Max ||
        expression->kind == Kind::Join)
      return "expected a score without sums over other keys";
    for (const LabelList &list : expression->labels)
      for (Label label : labels.flatten(list))
        if (label == order[dims.depth] || label == order[dims.column])
          return "expected a score that depends on rows and keys";
    for (const Expression *operand : expression->operands)
      if (std::string reason = checkExpression(operand); !reason.empty())
        return reason;
    return "";
  }

  AffineMap getMap(const LabelledTensor &tensor) {
    MLIRContext *context = output.getContext();
    SmallVector<AffineExpr> results;
    for (const LabelList &list : tensor.labels) {
      LabelList flat = labels.flatten(list);
      if (flat.empty())
        results.push_back(getAffineConstantExpr(0, context));
      for (Label label : flat)
        results.push_back(getAffineDimExpr(
            llvm::find(order, label) - order.begin(), context));
    }
    return AffineMap::get(order.size(), 0, results, context);
  }

  //===--------------------------------------------------------------------===//
  // Building
  //===--------------------------------------------------------------------===//

  /// A dimension of the view for each label; `sizes` receives the extents.
  static SmallVector<ReassociationIndices>
  getReassociation(const LabelSet &labels, const LabelLists &lists) {
    SmallVector<ReassociationIndices> groups;
    int64_t next = 0;
    for (const LabelList &list : lists) {
      groups.emplace_back();
      size_t count = std::max<size_t>(1, labels.flatten(list).size());
      for (size_t i = 0; i < count; ++i)
        groups.back().push_back(next++);
    }
    return groups;
  }

  /// The extents of the view of `tensor`; remembers those of dynamic labels.
  SmallVector<OpFoldResult> getViewSizes(ImplicitLocOpBuilder &b,
                                         const LabelledTensor &tensor) {
    SmallVector<OpFoldResult> sizes;
    for (auto [dim, list] : llvm::enumerate(tensor.labels)) {
      LabelList flat = labels.flatten(list);
      if (flat.empty()) {
        sizes.push_back(b.getIndexAttr(1));
        continue;
      }
      int64_t known = 1;
      for (Label label : flat)
        if (labels.isStatic(label))
          known *= labels.getExtent(label).factor;
      for (Label label : flat) {
        if (labels.isStatic(label)) {
          sizes.push_back(b.getIndexAttr(labels.getExtent(label).factor));
          continue;
        }
        auto entry = extents.find(label);
        if (entry == extents.end()) {
          Value size = b.createOrFold<tensor::DimOp>(tensor.tensor, dim);
          if (known != 1)
            size = arith::DivUIOp::create(
                b, size, arith::ConstantIndexOp::create(b, known));
          entry = extents.insert({label, size}).first;
        }
        sizes.push_back(entry->second);
      }
    }
    return sizes;
  }

  static RankedTensorType getType(ArrayRef<OpFoldResult> sizes, Type element) {
    return RankedTensorType::get(decomposeMixedValues(sizes).first, element);
  }

  Value makeView(ImplicitLocOpBuilder &b, const LabelledTensor &tensor) {
    SmallVector<OpFoldResult> sizes = getViewSizes(b, tensor);
    auto type = cast<RankedTensorType>(tensor.tensor.getType());
    if (int64_t(sizes.size()) == type.getRank())
      return tensor.tensor;
    SmallVector<ReassociationIndices> groups =
        getReassociation(labels, tensor.labels);
    RankedTensorType target = getType(sizes, type.getElementType());
    // A dynamic extent that is known to consist of static ones.
    SmallVector<int64_t> shape(type.getShape());
    for (auto [dim, group] : llvm::enumerate(groups)) {
      int64_t product = 1;
      for (int64_t i : group)
        product = target.isDynamicDim(i) || ShapedType::isDynamic(product)
                      ? ShapedType::kDynamic
                      : product * target.getDimSize(i);
      shape[dim] = product;
    }
    Value source = tensor.tensor;
    if (ArrayRef(shape) != type.getShape())
      source = tensor::CastOp::create(b, type.clone(shape), source);
    return tensor::ExpandShapeOp::create(b, target, source, groups, sizes);
  }

  void replace() {
    ImplicitLocOpBuilder b(output.getLoc(), output);
    SmallVector<Value> operands;
    for (Operand operand : {Query, Key, Value_})
      operands.push_back(makeView(b, tensors[operand]));
    SmallVector<OpFoldResult> sizes = getViewSizes(b, tensors[Result]);
    Value old = tensors[Result].tensor;
    auto oldType = cast<RankedTensorType>(old.getType());
    Value init = tensor::EmptyOp::create(b, sizes, oldType.getElementType());
    checkAssumptions(b);
    SmallVector<AffineMap> maps;
    for (const LabelledTensor &tensor : tensors)
      maps.push_back(getMap(tensor));
    auto attention = kern::AttentionOp::create(
        b, TypeRange(init.getType()), operands[0], operands[1], operands[2],
        init, b.getAffineMapArrayAttr(maps), softmax->maskedIsZero);
    buildScore(b, attention);
    Value result = attention->getResult(0);
    if (int64_t(sizes.size()) != oldType.getRank())
      result = tensor::CollapseShapeOp::create(
          b, result, getReassociation(labels, tensors[Result].labels));
    if (result.getType() != oldType)
      result = tensor::CastOp::create(b, oldType, result);
    old.replaceAllUsesWith(result);
    remark::passed(output.getLoc(), remark::RemarkOpts::name("attention fused")
                                        .category("moe-fuse-attention"))
        << remark::metric("depth", labels.getExtent(order[dims.depth]).factor)
        << remark::metric("columns",
                          labels.getExtent(order[dims.column]).factor);
  }

  /// The place of the keys in a tensor that has a dimension for each.
  std::optional<int64_t> getKeyDim(const LabelledTensor &tensor) {
    for (auto [i, list] : llvm::enumerate(tensor.labels))
      if (labels.flatten(list) == LabelList{key})
        return i;
    return std::nullopt;
  }

  /// There are as many values as keys.
  void checkKeys(ImplicitLocOpBuilder &b) {
    std::optional<int64_t> keyDim = getKeyDim(tensors[Key]);
    std::optional<int64_t> valueDim = getKeyDim(tensors[Value_]);
    if (!keyDim || !valueDim ||
        Extent::get(tensors[Key].tensor, *keyDim) ==
            Extent::get(tensors[Value_].tensor, *valueDim))
      return;
    Value keys = b.createOrFold<tensor::DimOp>(tensors[Key].tensor, *keyDim);
    Value values =
        b.createOrFold<tensor::DimOp>(tensors[Value_].tensor, *valueDim);
    Value isEqual =
        arith::CmpIOp::create(b, arith::CmpIPredicate::eq, keys, values);
    cf::AssertOp::create(b, isEqual,
                         "expected as many values as keys in attention");
  }

  /// Where reshapes do not tell which of their dimensions are batch, heads and
  /// positions, the run does.
  void checkAssumptions(ImplicitLocOpBuilder &b) {
    checkKeys(b);
    DenseSet<std::pair<Value, int64_t>> seen;
    for (const LabelSet::Assumption &assumption : labels.getAssumptions()) {
      if (!seen.insert({assumption.tensor, assumption.dim}).second)
        continue;
      Value product = arith::ConstantIndexOp::create(b, 1);
      for (Label label : labels.flatten(assumption.labels)) {
        Value extent = labels.isStatic(label)
                           ? arith::ConstantIndexOp::create(
                                 b, labels.getExtent(label).factor)
                                 .getResult()
                           : extents.lookup(label);
        if (!extent)
          return;
        product = b.createOrFold<arith::MulIOp>(product, extent);
      }
      Value own =
          b.createOrFold<tensor::DimOp>(assumption.tensor, assumption.dim);
      Value isEqual =
          arith::CmpIOp::create(b, arith::CmpIPredicate::eq, own, product);
      cf::AssertOp::create(b, isEqual,
                           "expected a reshape around attention that keeps "
                           "batch, heads and positions apart");
    }
  }

  void buildScore(ImplicitLocOpBuilder &b, kern::AttentionOp attention) {
    OpBuilder::InsertionGuard guard(b);
    SmallVector<Type> types = {b.getF32Type()};
    SmallVector<unsigned> indexed = dims.getIndexed();
    types.append(indexed.size(), b.getIndexType());
    Block *body =
        b.createBlock(&attention.getScore(), attention.getScore().end(), types,
                      SmallVector<Location>(types.size(), b.getLoc()));
    for (auto [i, dim] : llvm::enumerate(indexed))
      indices[order[dim]] = body->getArgument(i + 1);
    productValue = body->getArgument(0);
    for (Value factor : factors) {
      if (auto type = dyn_cast<RankedTensorType>(factor.getType())) {
        SmallVector<Value> zeros;
        for (int64_t i = 0; i < type.getRank(); ++i)
          zeros.push_back(arith::ConstantIndexOp::create(b, 0));
        factor = tensor::ExtractOp::create(b, factor, zeros);
      }
      productValue = arith::MulFOp::create(b, productValue, factor);
    }
    SmallVector<Value> results;
    for (const Expression *expression : {softmax->score, softmax->sink})
      if (expression)
        results.push_back(toF32(b, emit(b, expression)));
    kern::YieldOp::create(b, results);
  }

  static Value toF32(ImplicitLocOpBuilder &b, Value value) {
    if (value.getType().isF32())
      return value;
    return arith::ExtFOp::create(b, b.getF32Type(), value);
  }

  /// The index of a dimension with these labels.
  Value emitIndex(ImplicitLocOpBuilder &b, ArrayRef<Label> list) {
    Value index;
    for (Label label : labels.flatten(list)) {
      if (!index) {
        index = indices.lookup(label);
        continue;
      }
      Value extent = labels.isStatic(label)
                         ? arith::ConstantIndexOp::create(
                               b, labels.getExtent(label).factor)
                               .getResult()
                         : extents.lookup(label);
      index = arith::AddIOp::create(b, arith::MulIOp::create(b, index, extent),
                                    indices.lookup(label));
    }
    return index ? index : arith::ConstantIndexOp::create(b, 0).getResult();
  }

  Value emit(ImplicitLocOpBuilder &b, const Expression *expression) {
    Value &value = emitted[expression];
    if (value)
      return value;
    using Kind = Expression::Kind;
    Value result;
    switch (expression->kind) {
    case Kind::Product:
      result = productValue;
      break;
    case Kind::Capture:
      result = expression->value;
      break;
    case Kind::Constant:
      result = b.clone(*expression->op)->getResult(0);
      break;
    case Kind::Index:
      result = emitIndex(b, expression->labels.front());
      break;
    case Kind::Load: {
      SmallVector<Value> place;
      for (const LabelList &list : expression->labels)
        place.push_back(emitIndex(b, list));
      result = tensor::ExtractOp::create(b, expression->value, place);
      break;
    }
    case Kind::Apply: {
      IRMapping mapping;
      for (auto [old, operand] :
           llvm::zip_equal(expression->op->getOperands(), expression->operands))
        mapping.map(old, emit(b, operand));
      result = b.clone(*expression->op, mapping)->getResult(0);
      break;
    }
    case Kind::Sum:
    case Kind::Max:
    case Kind::Join:
      llvm_unreachable("checked before");
    }
    return emitted[expression] = result;
  }

  linalg::LinalgOp output, product;
  LabelSet labels;
  Label key = 0, depth = 0, column = 0;
  ProductLabels weightLabels;
  std::optional<ExpressionBuilder> expressions;
  std::optional<Softmax> softmax;
  LabelledTensor tensors[4];
  SmallVector<Value> factors;
  /// The labels in the order of the iteration space.
  SmallVector<Label> order;
  kern::AttentionDims dims;

  DenseMap<Label, Value> extents, indices;
  DenseMap<const Expression *, Value> emitted;
  Value productValue;
};

struct FuseAttention : public moe::impl::FuseAttentionBase<FuseAttention> {
  void runOnOperation() override {
    SmallVector<linalg::LinalgOp> products;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (isa<linalg::BatchMatmulOp, linalg::MatmulOp>(op.getOperation()))
        products.push_back(op);
    });
    for (linalg::LinalgOp product : products)
      AttentionFuser(product).run();
  }
};

} // namespace
