//===- InferSymbols.cpp - extents in terms of the extents of arguments ------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/onnx/ONNXDialect.h"
#include "passes/convert/Passes.h"
#include "passes/convert/raise/DataFlow.h"
#include "passes/convert/symbols/Polynomial.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::moe {
#define GEN_PASS_DEF_INFERSYMBOLS
#include "passes/convert/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

using Extents = SmallVector<Polynomial, 4>;

/// Integer tensors of at most so many elements may hold extents.
constexpr int64_t kMostElements = 16;

class SymbolInference {
public:
  /// Notes what `op` says about its results.
  void visit(Operation *op) {
    if (!isa<onnx::ONNXDialect>(op->getDialect()))
      return;
    if (op->getNumResults() == 1 && getType(op->getResult(0))) {
      Value result = op->getResult(0);
      if (std::optional<Extents> known = inferExtents(op))
        setExtents(result, *known);
      if (std::optional<Extents> numbers = inferNumbers(op))
        numbersOf[result] = *numbers;
    }
  }

  /// What is known of the extents of `value`: static ones, symbols, or more.
  Extents getExtents(Value value) {
    auto entry = extentsOf.find(value);
    if (entry != extentsOf.end())
      return entry->second;
    RankedTensorType type = getType(value);
    auto dims = dyn_cast_or_null<onnx::DimsAttr>(type.getEncoding());
    Extents extents;
    for (int64_t i = 0; i < type.getRank(); ++i) {
      if (!type.isDynamicDim(i)) {
        extents.push_back(type.getDimSize(i));
        continue;
      }
      StringRef name = dims ? dims.getSymbols()[i].getValue() : StringRef();
      // Known to nobody else.
      std::string own = "?" + std::to_string(unknown);
      if (name.empty())
        ++unknown;
      extents.push_back(
          Polynomial::symbol(name.empty() ? StringRef(own) : name));
    }
    extentsOf[value] = extents;
    return extents;
  }

private:
  static RankedTensorType getType(Value value) {
    return dyn_cast<RankedTensorType>(value.getType());
  }

  /// Joins what was inferred with what the type says; the latter counts where
  /// they disagree about a number.
  void setExtents(Value value, const Extents &inferred) {
    RankedTensorType type = getType(value);
    if (static_cast<int64_t>(inferred.size()) != type.getRank())
      return;
    Extents extents = inferred;
    for (int64_t i = 0; i < type.getRank(); ++i)
      if (!type.isDynamicDim(i))
        extents[i] = type.getDimSize(i);
    extentsOf[value] = extents;
  }

  std::optional<Extents> getNumbers(Value value) {
    auto entry = numbersOf.find(value);
    if (entry != numbersOf.end())
      return entry->second;
    std::optional<SmallVector<int64_t>> integers = getIntegers(value);
    if (!integers || static_cast<int64_t>(integers->size()) > kMostElements)
      return std::nullopt;
    Extents numbers(integers->begin(), integers->end());
    numbersOf[value] = numbers;
    return numbers;
  }

  std::optional<SmallVector<int64_t>> getConstants(Value value) {
    std::optional<Extents> numbers = getNumbers(value);
    if (!numbers)
      return std::nullopt;
    SmallVector<int64_t> constants;
    for (const Polynomial &number : *numbers) {
      std::optional<int64_t> constant = number.getConstant();
      if (!constant)
        return std::nullopt;
      constants.push_back(*constant);
    }
    return constants;
  }

  //===--------------------------------------------------------------------===//
  // Numbers
  //===--------------------------------------------------------------------===//

  std::optional<Extents> inferNumbers(Operation *op) {
    RankedTensorType type = getType(op->getResult(0));
    if (type.getRank() > 1 || !type.getElementType().isInteger())
      return std::nullopt;
    if (auto shape = dyn_cast<onnx::ShapeOp>(op)) {
      Extents extents = getExtents(shape->getOperand(0));
      int64_t rank = extents.size();
      auto clamp = [&](int64_t place) {
        return std::clamp<int64_t>(place < 0 ? place + rank : place, 0, rank);
      };
      int64_t start = clamp(shape.getStart());
      int64_t end = shape.getEnd() ? clamp(*shape.getEnd()) : rank;
      return Extents(
          ArrayRef(extents).slice(start, std::max<int64_t>(0, end - start)));
    }
    if (isa<onnx::CastOp, onnx::IdentityOp, onnx::UnsqueezeOp, onnx::SqueezeOp,
            onnx::ReshapeOp>(op))
      return getNumbers(op->getOperand(0));
    if (auto concat = dyn_cast<onnx::ConcatOp>(op)) {
      Extents all;
      for (Value input : concat.getInputs()) {
        std::optional<Extents> part = getNumbers(input);
        if (!part)
          return std::nullopt;
        all.append(*part);
      }
      return all;
    }
    if (auto gather = dyn_cast<onnx::GatherOp>(op)) {
      std::optional<Extents> data = getNumbers(gather.getData());
      auto indices = getConstants(gather.getIndices());
      if (!data || !indices)
        return std::nullopt;
      Extents picked;
      for (int64_t index : *indices) {
        index = getAxisFromFront(index, data->size());
        if (index < 0 || index >= static_cast<int64_t>(data->size()))
          return std::nullopt;
        picked.push_back((*data)[index]);
      }
      return picked;
    }
    if (auto slice = dyn_cast<onnx::SliceOp>(op))
      return sliceNumbers(slice);
    if (isa<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp>(op))
      return combineNumbers(op);
    if (auto where = dyn_cast<onnx::WhereOp>(op))
      return chooseNumbers(where);
    return std::nullopt;
  }

  std::optional<Extents> sliceNumbers(onnx::SliceOp op) {
    std::optional<Extents> data = getNumbers(op.getData());
    auto starts = getConstants(op.getStarts()),
         ends = getConstants(op.getEnds());
    if (!data || !starts || !ends || starts->size() != 1 || ends->size() != 1)
      return std::nullopt;
    if (isPresent(op.getSteps())) {
      auto steps = getConstants(op.getSteps());
      if (!steps || *steps != SmallVector<int64_t>{1})
        return std::nullopt;
    }
    int64_t size = data->size();
    auto clamp = [&](int64_t place) {
      return std::clamp<int64_t>(place < 0 ? place + size : place, 0, size);
    };
    int64_t start = clamp(starts->front()), end = clamp(ends->front());
    return Extents(
        ArrayRef(*data).slice(start, std::max<int64_t>(0, end - start)));
  }

  std::optional<Extents> combineNumbers(Operation *op) {
    std::optional<Extents> left = getNumbers(op->getOperand(0));
    std::optional<Extents> right = getNumbers(op->getOperand(1));
    if (!left || !right ||
        (left->size() != right->size() && left->size() != 1 &&
         right->size() != 1))
      return std::nullopt;
    Extents result;
    for (size_t i = 0, size = std::max(left->size(), right->size()); i < size;
         ++i) {
      const Polynomial &a = (*left)[left->size() == 1 ? 0 : i];
      const Polynomial &b = (*right)[right->size() == 1 ? 0 : i];
      if (isa<onnx::AddOp>(op)) {
        result.push_back(a + b);
      } else if (isa<onnx::SubOp>(op)) {
        result.push_back(a - b);
      } else if (isa<onnx::MulOp>(op)) {
        result.push_back(a * b);
      } else {
        std::optional<Polynomial> quotient = a.divide(b);
        if (!quotient)
          return std::nullopt;
        result.push_back(*quotient);
      }
    }
    return result;
  }

  /// Exporters replace -1 in shapes by a comparison and a choice.
  std::optional<Extents> chooseNumbers(onnx::WhereOp op) {
    auto equal = op.getCondition().getDefiningOp<onnx::EqualOp>();
    std::optional<Extents> yes = getNumbers(op.getX()),
                           no = getNumbers(op.getY());
    if (!equal || !yes || !no)
      return std::nullopt;
    std::optional<Extents> left = getNumbers(equal.getA());
    std::optional<Extents> right = getNumbers(equal.getB());
    if (!left || !right)
      return std::nullopt;
    size_t size =
        std::max({left->size(), right->size(), yes->size(), no->size()});
    Extents result;
    for (size_t i = 0; i < size; ++i) {
      auto pick = [&](const Extents &numbers) -> std::optional<Polynomial> {
        if (numbers.size() != 1 && numbers.size() != size)
          return std::nullopt;
        return numbers[numbers.size() == 1 ? 0 : i];
      };
      auto a = pick(*left), b = pick(*right), x = pick(*yes), y = pick(*no);
      if (!a || !b || !x || !y)
        return std::nullopt;
      if (*a == *b)
        result.push_back(*x);
      else if (isNever(*a, *b) || isNever(*b, *a))
        result.push_back(*y);
      else
        return std::nullopt;
    }
    return result;
  }

  /// Whether `extent` cannot be `number`.
  static bool isNever(const Polynomial &extent, const Polynomial &number) {
    std::optional<int64_t> constant = number.getConstant();
    if (std::optional<int64_t> other = extent.getConstant())
      return constant && *constant != *other;
    return constant && *constant < 0 && extent.isNonNegative();
  }

  //===--------------------------------------------------------------------===//
  // Extents
  //===--------------------------------------------------------------------===//

  std::optional<Extents> inferExtents(Operation *op) {
    using Result = std::optional<Extents>;
    return llvm::TypeSwitch<Operation *, Result>(op)
        .Case([&](onnx::ReshapeOp op) { return reshape(op); })
        .Case([&](onnx::ExpandOp op) -> Result {
          std::optional<Extents> target = getNumbers(op.getShape());
          if (!target)
            return std::nullopt;
          return broadcast(op.getResult(),
                           {getExtents(op.getInput()), *target});
        })
        .Case([&](onnx::ConstantOfShapeOp op) {
          return getNumbers(op.getInput());
        })
        .Case([&](onnx::RangeOp op) -> Result {
          std::optional<Extents> start = getNumbers(op.getStart()),
                                 limit = getNumbers(op.getLimit()),
                                 delta = getNumbers(op.getDelta());
          if (!start || !limit || !delta || start->size() != 1 ||
              limit->size() != 1 || *delta != Extents{Polynomial(1)})
            return std::nullopt;
          Polynomial length = limit->front() - start->front();
          if (!length.isNonNegative())
            return std::nullopt;
          return Extents{length};
        })
        .Case([&](onnx::TransposeOp op) -> Result {
          Extents from = getExtents(op.getData()), to;
          std::optional<ArrayRef<int64_t>> perm = op.getPerm();
          for (size_t i = 0; i < from.size(); ++i)
            to.push_back(from[perm ? (*perm)[i] : from.size() - 1 - i]);
          return to;
        })
        .Case([&](onnx::UnsqueezeOp op) { return unsqueeze(op); })
        .Case([&](onnx::SqueezeOp op) -> Result {
          if (!isPresent(op.getAxes()))
            return std::nullopt;
          std::optional<SmallVector<int64_t>> axes = getConstants(op.getAxes());
          if (!axes)
            return std::nullopt;
          Extents from = getExtents(op.getData()), to;
          for (auto [i, extent] : llvm::enumerate(from))
            if (llvm::none_of(*axes, [&, i = i](int64_t axis) {
                  return getAxisFromFront(axis, from.size()) == int64_t(i);
                }))
              to.push_back(extent);
          return to;
        })
        .Case([&](onnx::ConcatOp op) -> Result {
          Extents all = getExtents(op.getInputs().front());
          int64_t axis = getAxisFromFront(op.getAxis(), all.size());
          for (Value input : op.getInputs().drop_front()) {
            Extents part = getExtents(input);
            if (part.size() != all.size())
              return std::nullopt;
            all[axis] = all[axis] + part[axis];
            for (size_t i = 0; i < all.size(); ++i)
              if (int64_t(i) != axis && part[i].getConstant())
                all[i] = part[i];
          }
          return all;
        })
        .Case([&](onnx::GatherOp op) -> Result {
          Extents data = getExtents(op.getData());
          Extents indices = getExtents(op.getIndices());
          int64_t axis = getAxisFromFront(op.getAxis(), data.size());
          Extents result(data.begin(), data.begin() + axis);
          result.append(indices);
          result.append(data.begin() + axis + 1, data.end());
          return result;
        })
        .Case([&](onnx::SliceOp op) { return slice(op); })
        .Case([&](onnx::MatMulOp op) -> Result {
          Extents a = getExtents(op.getA()), b = getExtents(op.getB());
          if (a.size() < 2 || b.size() < 2)
            return std::nullopt;
          Polynomial rows = a[a.size() - 2], columns = b.back();
          a.truncate(a.size() - 2);
          b.truncate(b.size() - 2);
          size_t rank = std::max(a.size(), b.size());
          std::optional<Extents> batch =
              broadcast(op.getResult(), {a, b}, rank);
          if (!batch)
            return std::nullopt;
          batch->append({rows, columns});
          return batch;
        })
        .Case<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp, onnx::PowOp,
              onnx::WhereOp, onnx::EqualOp, onnx::LessOp, onnx::GreaterOp,
              onnx::LessOrEqualOp, onnx::GreaterOrEqualOp, onnx::AndOp,
              onnx::OrOp, onnx::MaxOp, onnx::MinOp>([&](Operation *op) {
          SmallVector<Extents> operands;
          for (Value operand : op->getOperands())
            operands.push_back(getExtents(operand));
          return broadcast(op->getResult(0), operands);
        })
        .Case<onnx::SigmoidOp, onnx::SoftmaxOp, onnx::CastOp, onnx::ReluOp,
              onnx::TanhOp, onnx::ErfOp, onnx::GeluOp, onnx::SwishOp,
              onnx::ClipOp, onnx::NegOp, onnx::ExpOp, onnx::SqrtOp,
              onnx::IdentityOp, onnx::NotOp, onnx::CastLikeOp, onnx::CosOp,
              onnx::SinOp, onnx::ReciprocalOp, onnx::LogOp, onnx::AbsOp,
              onnx::CumSumOp, onnx::TriluOp, onnx::IsNaNOp>(
            [&](Operation *op) -> Result {
              return getExtents(op->getOperand(0));
            })
        .Case<onnx::ReduceSumOp, onnx::ReduceMeanOp, onnx::ReduceMaxOp,
              onnx::ReduceMinOp, onnx::ReduceProdOp>(
            [&](auto op) -> Result { return reduce(op); })
        .Default([](Operation *) { return std::nullopt; });
  }

  template <typename Op> std::optional<Extents> reduce(Op op) {
    if (!isPresent(op.getAxes()))
      return std::nullopt;
    std::optional<SmallVector<int64_t>> axes = getConstants(op.getAxes());
    if (!axes || axes->empty())
      return std::nullopt;
    Extents from = getExtents(op.getData()), to;
    for (auto [i, extent] : llvm::enumerate(from)) {
      bool isReduced = llvm::any_of(*axes, [&, i = i](int64_t axis) {
        return getAxisFromFront(axis, from.size()) == int64_t(i);
      });
      if (!isReduced)
        to.push_back(extent);
      else if (op.getKeepdims())
        to.push_back(1);
    }
    return to;
  }

  std::optional<Extents> unsqueeze(onnx::UnsqueezeOp op) {
    std::optional<SmallVector<int64_t>> axes = getConstants(op.getAxes());
    if (!axes)
      return std::nullopt;
    Extents from = getExtents(op.getData()), to;
    int64_t rank = from.size() + axes->size();
    size_t next = 0;
    for (int64_t i = 0; i < rank; ++i) {
      bool isNew = llvm::any_of(*axes, [&](int64_t axis) {
        return getAxisFromFront(axis, rank) == i;
      });
      if (!isNew && next == from.size())
        return std::nullopt;
      to.push_back(isNew ? Polynomial(1) : from[next++]);
    }
    return to;
  }

  std::optional<Extents> reshape(onnx::ReshapeOp op) {
    std::optional<Extents> target = getNumbers(op.getShape());
    if (!target)
      return std::nullopt;
    Extents from = getExtents(op.getData());
    Polynomial total(1), known(1);
    for (const Polynomial &extent : from)
      total = total * extent;
    std::optional<size_t> open;
    for (auto [i, extent] : llvm::enumerate(*target)) {
      std::optional<int64_t> constant = extent.getConstant();
      if (constant == 0 && !op.getAllowzero()) {
        if (i >= from.size())
          return std::nullopt;
        extent = from[i];
      } else if (constant && *constant < 0) {
        if (open)
          return std::nullopt;
        open = i;
        continue;
      } else if (!extent.isNonNegative()) {
        return std::nullopt;
      }
      known = known * extent;
    }
    if (!open)
      return target;
    std::optional<Polynomial> rest = total.divide(known);
    if (!rest) {
      // The others are known all the same.
      std::string own = "?" + std::to_string(unknown++);
      rest = getNamed(op.getResult(), *open, own);
    }
    (*target)[*open] = *rest;
    return target;
  }

  /// The symbol that the type has for dimension `i`, else `name`.
  static Polynomial getNamed(Value value, size_t i, StringRef name) {
    auto dims = dyn_cast_or_null<onnx::DimsAttr>(getType(value).getEncoding());
    if (dims && !dims.getSymbols()[i].getValue().empty())
      return Polynomial::symbol(dims.getSymbols()[i].getValue());
    return Polynomial::symbol(name);
  }

  std::optional<Extents> slice(onnx::SliceOp op) {
    Extents extents = getExtents(op.getData());
    std::optional<Extents> starts = getNumbers(op.getStarts()),
                           ends = getNumbers(op.getEnds());
    std::optional<SmallVector<int64_t>> axes, steps;
    if (isPresent(op.getAxes()) && !(axes = getConstants(op.getAxes())))
      return std::nullopt;
    if (isPresent(op.getSteps()) && !(steps = getConstants(op.getSteps())))
      return std::nullopt;
    size_t count = axes ? axes->size() : starts ? starts->size() : 0;
    if (!starts || !ends || starts->size() != count || ends->size() != count)
      return std::nullopt;
    RankedTensorType type = getType(op.getResult());
    for (size_t i = 0; i < count; ++i) {
      int64_t axis = axes ? getAxisFromFront((*axes)[i], extents.size()) : i;
      if (axis < 0 || axis >= int64_t(extents.size()))
        return std::nullopt;
      if (!type.isDynamicDim(axis))
        continue;
      std::optional<int64_t> start = (*starts)[i].getConstant();
      std::optional<int64_t> end = (*ends)[i].getConstant();
      bool isForward = !steps || (*steps)[i] == 1;
      // To the end or to the extent of the tensor itself.
      bool isWhole = (end && *end >= INT32_MAX) || (*ends)[i] == extents[axis];
      if (isForward && start == 0 && isWhole)
        continue;
      std::string own = "?" + std::to_string(unknown++);
      extents[axis] = getNamed(op.getResult(), axis, own);
    }
    return extents;
  }

  /// Extents of which one is static are that one; where symbols differ one of
  /// them may be 1, and only the type says what comes of it. Of the result, the
  /// first `rank` dimensions are looked at.
  std::optional<Extents> broadcast(Value value, ArrayRef<Extents> operands,
                                   std::optional<size_t> rank = std::nullopt) {
    size_t count = rank.value_or(getType(value).getRank());
    Extents result;
    for (size_t i = 0; i < count; ++i) {
      std::optional<Polynomial> extent;
      bool differ = false;
      for (const Extents &own : operands) {
        if (own.size() > count)
          return std::nullopt;
        size_t lead = count - own.size();
        if (i < lead || own[i - lead] == Polynomial(1))
          continue;
        const Polynomial &mine = own[i - lead];
        if (!extent || *extent == mine)
          extent = mine;
        else if (mine.getConstant() && !extent->getConstant())
          extent = mine; // The other one is this number or 1.
        else if (!extent->getConstant())
          differ = true;
      }
      if (differ) {
        std::string own = "?" + std::to_string(unknown++);
        extent = getNamed(value, i, own);
      }
      result.push_back(extent.value_or(Polynomial(1)));
    }
    return result;
  }

  DenseMap<Value, Extents> extentsOf, numbersOf;
  unsigned unknown = 0;
};

/// Whether the type of `value` is written down elsewhere, too.
bool hasFixedType(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    return user->hasTrait<OpTrait::IsTerminator>() || user->getNumRegions() > 0;
  });
}

struct InferSymbols : public moe::impl::InferSymbolsBase<InferSymbols> {
  void runOnOperation() override {
    SymbolInference inference;
    getOperation()->walk<WalkOrder::PreOrder>(
        [&](Operation *op) { inference.visit(op); });
    getOperation()->walk([&](Operation *op) {
      if (!isa<onnx::ONNXDialect>(op->getDialect()))
        return;
      for (Value result : op->getResults()) {
        auto type = dyn_cast<RankedTensorType>(result.getType());
        if (type && !type.hasStaticShape() && !hasFixedType(result))
          write(result, type, inference.getExtents(result));
      }
    });
  }

  static void write(Value value, RankedTensorType type,
                    ArrayRef<Polynomial> extents) {
    SmallVector<int64_t> shape(type.getShape());
    SmallVector<StringAttr> symbols(shape.size(),
                                    StringAttr::get(value.getContext(), ""));
    bool isNamed = false;
    for (auto [i, extent] : llvm::enumerate(extents)) {
      if (!ShapedType::isDynamic(shape[i]))
        continue;
      std::optional<int64_t> constant = extent.getConstant();
      if (constant && *constant >= 0) {
        shape[i] = *constant;
        continue;
      }
      symbols[i] = StringAttr::get(value.getContext(), extent.print());
      isNamed = true;
    }
    Attribute encoding;
    if (isNamed)
      encoding = onnx::DimsAttr::get(value.getContext(), symbols);
    value.setType(
        RankedTensorType::get(shape, type.getElementType(), encoding));
  }
};

} // namespace
