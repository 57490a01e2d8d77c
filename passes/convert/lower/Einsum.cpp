//===- Einsum.cpp - lowering of Einstein sums -----------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every step of an einsum with two factors becomes one batched product of
// matrices: labels that both factors and the result have are batches, labels of
// both factors only are summed, the others are rows and columns.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Lowering.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// One character for a label; dimensions behind an ellipsis get upper-case
/// digits of their own.
using Labels = std::string;

struct Factor {
  Value tensor;
  Labels labels;
};

bool has(const Labels &labels, char label) {
  return labels.find(label) != Labels::npos;
}

/// The labels of `labels` for which `keep` holds, in order.
Labels filter(const Labels &labels, function_ref<bool(char)> keep) {
  Labels result;
  llvm::copy_if(labels, std::back_inserter(result), keep);
  return result;
}

struct Equation {
  SmallVector<Labels> inputs;
  Labels output;
};

class EinsumParser {
public:
  EinsumParser(Lowering &l, ArrayRef<Value> operands)
      : l(l), operands(operands) {}

  FailureOr<Equation> parse(StringRef text) {
    Labels equation = filter(text.str(), [](char c) { return c != ' '; });
    auto [left, right] = StringRef(equation).split("->");
    bool isExplicit = StringRef(equation).contains("->");
    SmallVector<StringRef> terms;
    left.split(terms, ',');
    if (terms.size() != operands.size())
      return l.error() << "expected an equation of " << operands.size()
                       << " terms, got '" << text << "'";
    Equation result;
    for (auto [term, operand] : llvm::zip_equal(terms, operands)) {
      int64_t rank = Lowering::getType(operand).getRank();
      int64_t named = term.size() - (term.contains("...") ? 3 : 0);
      if (term.contains("..."))
        ellipsis = std::max(ellipsis, rank - named);
    }
    for (auto [term, operand] : llvm::zip_equal(terms, operands)) {
      int64_t rank = Lowering::getType(operand).getRank();
      FailureOr<Labels> labels = expand(term, rank);
      if (failed(labels))
        return failure();
      result.inputs.push_back(*labels);
    }
    if (!isExplicit) {
      result.output = getImplicitOutput(result.inputs);
      return result;
    }
    int64_t named = right.size() - (right.contains("...") ? 3 : 0);
    FailureOr<Labels> output =
        expand(right, named + (right.contains("...") ? ellipsis : 0));
    if (failed(output))
      return failure();
    result.output = *output;
    return result;
  }

private:
  /// Ellipsis dimension i, counted from the last.
  static char getEllipsisLabel(int64_t i) { return static_cast<char>('0' + i); }

  FailureOr<Labels> expand(StringRef term, int64_t rank) {
    Labels result;
    auto [before, after] = term.split("...");
    result += before;
    int64_t hidden = rank - before.size() - after.size();
    if (term.contains("..."))
      for (int64_t i = hidden; i > 0; --i)
        result += getEllipsisLabel(i - 1);
    result += after;
    bool valid =
        llvm::all_of(term, [](char c) { return llvm::isAlpha(c) || c == '.'; });
    if (!valid || int64_t(result.size()) != rank)
      return l.error() << "expected a term of " << rank << " labels, got '"
                       << term << "'";
    return result;
  }

  /// The hidden dimensions, then the labels that occur once, sorted.
  Labels getImplicitOutput(ArrayRef<Labels> inputs) {
    llvm::MapVector<char, unsigned> count;
    for (const Labels &labels : inputs)
      for (char label : labels)
        ++count[label];
    Labels result;
    for (auto [label, uses] : count)
      if (llvm::isAlpha(label) && uses == 1)
        result += label;
    llvm::sort(result);
    for (int64_t i = 0; i < ellipsis; ++i)
      result.insert(result.begin(), getEllipsisLabel(i));
    return result;
  }

  Lowering &l;
  ArrayRef<Value> operands;
  int64_t ellipsis = 0;
};

class EinsumBuilder {
public:
  explicit EinsumBuilder(Lowering &l) : t(l.tensors) {}

  /// The extents of labels, and factors without repeated labels and without
  /// dimensions of extent 1 that broadcast.
  SmallVector<Factor> prepare(const Equation &equation,
                              ArrayRef<Value> operands) {
    SmallVector<Factor> factors;
    for (auto [labels, operand] : llvm::zip_equal(equation.inputs, operands))
      factors.push_back({operand, labels});
    for (Factor &factor : factors)
      for (auto [i, label] : llvm::enumerate(factor.labels)) {
        OpFoldResult extent = t.size(factor.tensor, i);
        auto [entry, isNew] = extents.insert({label, extent});
        if (!isNew &&
            (isConstantIntValue(entry->second, 1) ||
             (getConstantIntValue(extent) && !isConstantIntValue(extent, 1))))
          entry->second = extent;
      }
    for (Factor &factor : factors) {
      takeDiagonals(factor);
      dropBroadcast(factor);
    }
    return factors;
  }

  /// Sums over the labels that `keep` lacks.
  void sum(Factor &factor, function_ref<bool(char)> keep) {
    SmallVector<int64_t> dims;
    for (auto [i, label] : llvm::enumerate(factor.labels))
      if (!keep(label))
        dims.push_back(i);
    if (dims.empty())
      return;
    factor.tensor = t.reduce(factor.tensor, dims, Reduction::Sum, false);
    factor.labels = filter(factor.labels, keep);
  }

  Value arrange(const Factor &factor, const Labels &order) {
    SmallVector<int64_t> permutation;
    for (char label : order)
      permutation.push_back(factor.labels.find(label));
    return permute(t, factor.tensor, permutation);
  }

  /// The product, summed over the labels that neither the result nor a later
  /// factor has.
  Factor multiply(Factor a, Factor b, function_ref<bool(char)> isNeeded) {
    sum(a, [&](char label) { return isNeeded(label) || has(b.labels, label); });
    sum(b, [&](char label) { return isNeeded(label) || has(a.labels, label); });
    Labels batch = filter(a.labels, [&](char label) {
      return has(b.labels, label) && isNeeded(label);
    });
    Labels inner = filter(a.labels, [&](char label) {
      return has(b.labels, label) && !isNeeded(label);
    });
    Labels rows =
        filter(a.labels, [&](char label) { return !has(b.labels, label); });
    Labels columns =
        filter(b.labels, [&](char label) { return !has(a.labels, label); });
    Value left = arrange(a, batch + rows + inner);
    Value right = arrange(b, batch + inner + columns);
    Sizes batchSizes = getSizes(batch), innerSizes = getSizes(inner);
    Sizes rowSizes = getSizes(rows), columnSizes = getSizes(columns);
    auto flatten = [&](Value tensor, ArrayRef<Sizes> groups) {
      Sizes flat;
      for (const Sizes &group : groups)
        flat.push_back(t.product(group));
      return t.reshape(tensor, flat);
    };
    Value product;
    if (batch.empty())
      product = t.matmul(flatten(left, {rowSizes, innerSizes}),
                         flatten(right, {innerSizes, columnSizes}));
    else
      product = t.matmul(flatten(left, {batchSizes, rowSizes, innerSizes}),
                         flatten(right, {batchSizes, innerSizes, columnSizes}));
    Sizes full = batchSizes;
    full.append(rowSizes);
    full.append(columnSizes);
    return {t.reshape(product, full), batch + rows + columns};
  }

  Sizes getSizes(const Labels &labels) {
    Sizes result;
    for (char label : labels)
      result.push_back(extents.lookup(label));
    return result;
  }

private:
  void takeDiagonals(Factor &factor) {
    Labels unique;
    for (char label : factor.labels)
      if (!has(unique, label))
        unique += label;
    if (unique.size() == factor.labels.size())
      return;
    Value source = factor.tensor;
    factor.tensor =
        t.generate(getSizes(unique), Lowering::getType(source).getElementType(),
                   [&](TensorBuilder &inner, ValueRange position) {
                     SmallVector<Value> place;
                     for (char label : factor.labels)
                       place.push_back(position[unique.find(label)]);
                     return inner.extract(source, place);
                   });
    factor.labels = unique;
  }

  void dropBroadcast(Factor &factor) {
    for (int64_t i = factor.labels.size() - 1; i >= 0; --i) {
      if (Lowering::getType(factor.tensor).getDimSize(i) != 1 ||
          isConstantIntValue(extents.lookup(factor.labels[i]), 1))
        continue;
      factor.tensor = t.dropUnit(factor.tensor, i);
      factor.labels.erase(i, 1);
    }
  }

  TensorBuilder &t;
  llvm::MapVector<char, OpFoldResult> extents;
};

/// Checks that a label has the same extent wherever it occurs.
LogicalResult checkExtents(Lowering &l, const Equation &equation,
                           ArrayRef<Value> operands) {
  llvm::MapVector<char, OpFoldResult> seen;
  for (auto [labels, operand] : llvm::zip_equal(equation.inputs, operands))
    for (auto [i, label] : llvm::enumerate(labels)) {
      OpFoldResult extent = l.tensors.size(operand, i);
      if (isConstantIntValue(extent, 1))
        continue;
      auto [entry, isNew] = seen.insert({label, extent});
      if (isNew)
        continue;
      std::optional<int64_t> first = getConstantIntValue(entry->second);
      std::optional<int64_t> second = getConstantIntValue(extent);
      if (!first || !second)
        l.tensors.checkEqual(entry->second, extent,
                             "expected equal extents of an einsum label");
      else if (*first != *second)
        return l.error() << "expected equal extents of label '" << label
                         << "', got " << *first << " and " << *second;
    }
  for (char label : equation.output) {
    bool known = llvm::any_of(equation.inputs, [&](const Labels &labels) {
      return has(labels, label);
    });
    if (!known)
      return l.error() << "expected the labels of the result among those of "
                          "the operands, got '"
                       << label << "'";
  }
  return success();
}

LogicalResult lowerEinsum(onnx::EinsumOp op, Lowering &l) {
  SmallVector<Value> operands;
  for (Value input : op.getInputs())
    operands.push_back(l.get(input));
  FailureOr<Equation> equation =
      EinsumParser(l, operands).parse(op.getEquation());
  if (failed(equation) || failed(checkExtents(l, *equation, operands)))
    return failure();

  EinsumBuilder builder(l);
  SmallVector<Factor> factors = builder.prepare(*equation, operands);
  Factor result = factors.front();
  for (size_t i = 1; i < factors.size(); ++i)
    result = builder.multiply(result, factors[i], [&](char label) {
      return has(equation->output, label) ||
             llvm::any_of(
                 ArrayRef(factors).drop_front(i + 1),
                 [&](const Factor &later) { return has(later.labels, label); });
    });
  builder.sum(result, [&](char label) { return has(equation->output, label); });
  // A label that broadcast everywhere has extent 1.
  for (char label : equation->output)
    if (!has(result.labels, label)) {
      result.tensor = l.tensors.insertUnit(result.tensor, 0);
      result.labels.insert(result.labels.begin(), label);
    }
  l.set(op.getOutput(), builder.arrange(result, equation->output));
  return success();
}

} // namespace

void moe::addEinsumLowering(LoweringTable &table) { table.add(lowerEinsum); }
