//===- Expression.h - scalar expressions behind tensors ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One element of a tensor as an expression: the bodies of the element-wise
// operations that it comes from, put together, with labels for indices. Equal
// expressions are one node.
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_FUSE_ATTENTION_EXPRESSION_H
#define PASSES_FUSE_ATTENTION_EXPRESSION_H

#include "passes/fuse/attention/Labels.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <map>
#include <memory>

namespace mlir::moe {

struct Expression {
  enum class Kind {
    Apply,    ///< An operation on operands.
    Constant, ///< A constant operation.
    Capture,  ///< A value from outside of the bodies.
    Load,     ///< An element of a tensor.
    Index,    ///< The index of a dimension.
    Product,  ///< An element of the product of queries and keys.
    Sum,      ///< A sum over the keys.
    Max,      ///< A maximum over the keys.
    Join,     ///< The first operand for the keys, the second for one behind.
  };

  Kind kind;
  Type type;
  Operation *op = nullptr; ///< Of Apply and Constant.
  Value value = {};        ///< Of Capture and Load.
  SmallVector<const Expression *> operands = {};
  LabelLists labels = {}; ///< Of Load and Index.
  bool readsProduct = false;

  template <typename Op> bool is() const {
    return kind == Kind::Apply && isa<Op>(op);
  }
  /// Without conversions between floating-point types.
  const Expression *stripCasts() const;
  /// A floating-point constant that `predicate` holds for.
  bool isConstant(function_ref<bool(const APFloat &)> predicate) const;
};

/// Builds expressions for the elements of tensors that come from `product`.
class ExpressionBuilder {
public:
  /// `key` is the label of the loop that is reduced.
  ExpressionBuilder(LabelSet &labels, linalg::LinalgOp product, Label key)
      : labels(labels), product(product), key(key) {}

  /// The element of `tensor` at `own`, null if it cannot be expressed.
  const Expression *build(Value tensor, const LabelLists &own);

  /// The labels of the product, once one has been met.
  std::optional<LabelLists> productLabels;
  /// Whether only a leading part of the elements is read somewhere.
  bool hasSlice = false;

private:
  bool reachesProduct(Value tensor);
  const Expression *buildGeneric(linalg::GenericOp op, unsigned result,
                                 const LabelLists &own);
  const Expression *buildReduction(linalg::GenericOp op, const LabelLists &own);
  const Expression *buildJoin(tensor::InsertSliceOp op, const LabelLists &own);
  const Expression *load(Value tensor, const LabelLists &own);
  const Expression *unique(Expression expression);

  LabelSet &labels;
  linalg::LinalgOp product;
  Label key;
  DenseMap<Value, bool> reaches;
  std::map<std::vector<intptr_t>, std::unique_ptr<Expression>> expressions;
};

/// The product of queries and keys that `weights` come from: the only product
/// that is reached through element-wise operations, reductions and reshapes.
linalg::LinalgOp findProduct(Value weights);

} // namespace mlir::moe

#endif // PASSES_FUSE_ATTENTION_EXPRESSION_H
