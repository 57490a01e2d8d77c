//===- KernelSet.cpp - the panel kernels of a module ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/KernelSet.h"

#include "passes/target/cpu/ByteTile.h"
#include "passes/target/cpu/MatrixTile.h"
#include "passes/target/cpu/QuantizedTile.h"
#include "passes/target/cpu/VectorActivation.h"

using namespace mlir;
using namespace mlir::moe;

/// The arguments of a kernel inside its body.
struct KernelSet::Arguments {
  explicit Arguments(Block::BlockArgListType list)
      : rows(list[0]), rowOffset(list[1]), rowStride(list[2]), panels(list[3]),
        panelOffset(list[4]), depth(list[5]), result(list[6]),
        resultOffset(list[7]), resultStride(list[8]), count(list[9]),
        columns(list[10]) {
    for (size_t i = 11; i < list.size(); i += 2)
      extra.push_back({list[i], list[i + 1]});
  }

  /// The next additional buffer with its offset.
  std::pair<Value, Value> take() { return extra[taken++]; }

  Value rows, rowOffset, rowStride;
  Value panels, panelOffset, depth;
  Value result, resultOffset, resultStride;
  Value count, columns;
  Type rowType;
  kern::QuantizedAttr quantized;
  SmallVector<std::pair<Value, Value>> extra;
  size_t taken = 0;
};

namespace {

/// Where the sums of a kernel are and how far its result reaches.
struct SumBlock {
  Value sums;
  Value count, columns;
  /// Matrices side by side.
  int64_t sources;
  int64_t stride;
};

/// Access to the columns of one panel, of which the result may lack the last.
class ColumnAccess {
public:
  ColumnAccess(KernelBuilder &b, Value column, Value columns)
      : type(VectorType::get(kPanelColumns, b.getF32Type())), column(column) {
    Value left = b.sub(columns, column);
    isWhole = b.less(b.index(kPanelColumns - 1), left);
    mask = vector::CreateMaskOp::create(
        b, VectorType::get(kPanelColumns, b.getI1Type()), left);
  }

  Value load(KernelBuilder &b, Value buffer, Value offset) const {
    Value place = b.add(offset, column);
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
    return vector::MaskedLoadOp::create(b, type, buffer, place, mask, zero);
  }
  /// Masked stores are slow on some processors.
  void store(KernelBuilder &b, Value value, Value buffer, Value offset) const {
    Value place = b.add(offset, column);
    Type element = cast<MemRefType>(buffer.getType()).getElementType();
    if (!element.isF32())
      value = arith::TruncFOp::create(
          b, VectorType::get(kPanelColumns, element), value);
    b.branch(
        isWhole, [&] { vector::StoreOp::create(b, value, buffer, place); },
        [&] { vector::MaskedStoreOp::create(b, buffer, place, mask, value); });
  }
  Value broadcast(KernelBuilder &b, Value scalar) const {
    return vector::BroadcastOp::create(b, type, scalar);
  }

private:
  VectorType type;
  Value column, isWhole, mask;
};

} // namespace

/// Calls `body` for each row with its sums in each panel of the result, one
/// vector for each source.
static void forEachSum(
    KernelBuilder &b, const SumBlock &block,
    function_ref<void(Value, ArrayRef<Value>, const ColumnAccess &)> body) {
  auto type = VectorType::get(kPanelColumns, b.getF32Type());
  b.loop(b.index(0), block.columns, kPanelColumns, [&](Value column) {
    ColumnAccess access(b, column, block.columns);
    b.loop(b.index(0), block.count, 1, [&](Value row) {
      Value place =
          b.add(b.mul(row, block.stride), b.mul(column, block.sources));
      SmallVector<Value> sums;
      for (int64_t source = 0; source < block.sources; ++source)
        sums.push_back(vector::LoadOp::create(
            b, type, block.sums, b.add(place, source * kPanelColumns)));
      body(row, sums, access);
    });
  });
}

static Type getElement(Value buffer) {
  return cast<MemRefType>(buffer.getType()).getElementType();
}

/// Bits of a number of three digits.
static constexpr unsigned kThreeDigits = 24;

/// What a buffer of rows of this type holds.
static Type getStoredType(Type rows) {
  return isa<IntegerType>(rows) ? IntegerType::get(rows.getContext(), 8) : rows;
}

static MemRefType getFlatType(Type element) {
  return MemRefType::get({ShapedType::kDynamic}, element);
}

static std::string print(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

/// What quantised panels hold, for the name of a kernel.
static std::string print(kern::QuantizedAttr quantized) {
  return "q" + print(quantized.getNumbers()) + "x" +
         std::to_string(quantized.getGroup()) + "_" +
         print(quantized.getScales());
}

Type KernelSet::getRowType(Value rows, Value panels,
                           kern::QuantizedAttr quantized) const {
  if (quantized && isa<IntegerType>(quantized.getNumbers()) &&
      target.hasByteQuads)
    return quantized.getRows()
               ? quantized.getRows()
               : IntegerType::get(rows.getContext(), kThreeDigits);
  if (quantized)
    return Float32Type::get(rows.getContext());
  return InnerProduct::get(target, getElement(rows), getElement(panels))
      ->getRowType(rows.getContext());
}

func::FuncOp
KernelSet::getOrCreate(const Twine &name, const Operands &operands,
                       TypeRange extra,
                       function_ref<void(KernelBuilder &, Arguments &)> body) {
  Type rows = getRowType(operands.rows, operands.panels, operands.quantized);
  Type panels = getElement(operands.panels);
  Type result = getElement(operands.result);
  std::string symbol =
      ("kern." + name + "_" + print(rows) + "_" +
       (operands.quantized ? print(operands.quantized) : print(panels)))
          .str();
  if (!result.isF32())
    symbol += "_" + print(result);
  if (auto existing = symbols.lookup<func::FuncOp>(symbol))
    return existing;
  MLIRContext *context = rows.getContext();
  KernelBuilder b(UnknownLoc::get(context), context);
  Type index = b.getIndexType();
  SmallVector<Type> types = {getFlatType(getStoredType(rows)),
                             index,
                             index,
                             getFlatType(panels),
                             index,
                             index,
                             getFlatType(result),
                             index,
                             index,
                             index,
                             index};
  for (Type type : extra)
    types.append({getFlatType(type), index});
  auto function = func::FuncOp::create(b, symbol, b.getFunctionType(types, {}));
  function.setPrivate();
  symbols.insert(function);
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);
  Arguments arguments(entry->getArguments());
  arguments.rowType = rows;
  arguments.quantized = operands.quantized;
  body(b, arguments);
  func::ReturnOp::create(b);
  return function;
}

/// The kernel of kernels: the sums of rows times panels. It is a function of
/// its own, so that code for the tiles exists once for each type of panels.
func::FuncOp KernelSet::getProduct(Location loc, Type rows, Type panels,
                                   kern::QuantizedAttr quantized) {
  std::string symbol = "kern.product_" + print(rows) + "_" +
                       (quantized ? print(quantized) : print(panels));
  if (auto existing = symbols.lookup<func::FuncOp>(symbol))
    return existing;
  KernelBuilder b(UnknownLoc::get(loc.getContext()), loc.getContext());
  Type index = b.getIndexType();
  SmallVector<Type> types = {getFlatType(getStoredType(rows)),
                             getFlatType(index),
                             index,
                             getFlatType(panels),
                             index,
                             index,
                             index,
                             getFlatType(b.getF32Type())};
  auto function = func::FuncOp::create(b, symbol, b.getFunctionType(types, {}));
  function.setPrivate();
  symbols.insert(function);
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);
  auto list = entry->getArguments();
  PanelProduct arguments = {list[0], list[1], list[2], list[3],
                            list[4], list[5], list[6], list[7]};
  if (isa<IntegerType>(rows))
    emitByteProduct(b, target, quantized, rows.getIntOrFloatBitWidth() / 8,
                    arguments);
  else if (quantized)
    emitQuantizedProduct(b, target, quantized, arguments);
  else if (usesMatrices(rows, panels))
    emitMatrixProduct(b, symbols, target, arguments);
  else
    emitPanelProduct(b, target, *InnerProduct::get(target, rows, panels),
                     arguments);
  func::ReturnOp::create(b);
  return function;
}

Value KernelSet::multiply(KernelBuilder &b, const Arguments &arguments,
                          int64_t sources,
                          function_ref<Value(Value row)> getRowOffset) {
  auto allocate = [&](int64_t size, Type type) -> Value {
    Value buffer = memref::AllocaOp::create(b, MemRefType::get(size, type),
                                            b.getI64IntegerAttr(64));
    return memref::CastOp::create(b, getFlatType(type), buffer);
  };
  Value starts = allocate(target.taskRows, b.getIndexType());
  Value sums =
      allocate(target.taskRows * target.getSumStride(), b.getF32Type());
  b.loop(b.index(0), arguments.count, 1, [&](Value row) {
    memref::StoreOp::create(b, getRowOffset(row), starts, row);
  });
  func::FuncOp product =
      getProduct(b.getLoc(), arguments.rowType, getElement(arguments.panels),
                 arguments.quantized);
  Value panels = b.mul(b.ceilDiv(arguments.columns, kPanelColumns), sources);
  func::CallOp::create(b, product,
                       ValueRange{arguments.rows, starts, arguments.count,
                                  arguments.panels, arguments.panelOffset,
                                  panels, arguments.depth, sums});
  return sums;
}

func::FuncOp KernelSet::getGemm(kern::PanelGemmOp op) {
  bool accumulates = op.getAccumulate();
  auto body = [&](KernelBuilder &b, Arguments &arguments) {
    Value sums = multiply(b, arguments, /*sources=*/1, [&](Value row) {
      return b.add(arguments.rowOffset, b.mul(row, arguments.rowStride));
    });
    forEachSum(
        b,
        {sums, arguments.count, arguments.columns, /*sources=*/1,
         target.getSumStride()},
        [&](Value row, ArrayRef<Value> vectors, const ColumnAccess &access) {
          Value sum = vectors.front();
          Value offset =
              b.add(arguments.resultOffset, b.mul(row, arguments.resultStride));
          if (accumulates)
            sum = arith::AddFOp::create(
                b, access.load(b, arguments.result, offset), sum);
          access.store(b, sum, arguments.result, offset);
        });
  };
  return getOrCreate(
      accumulates ? "gemm_accumulate" : "gemm",
      {op.getA(), op.getB(), op.getInit(), op.getQuantizedAttr()}, {}, body);
}

func::FuncOp KernelSet::getHidden(kern::ExpertsHiddenOp op) {
  int64_t sources = op.getGated() ? 2 : 1;
  Type i32 = IntegerType::get(op.getContext(), 32);
  Type f32 = Float32Type::get(op.getContext());
  SmallVector<Type> extra = {i32};
  std::string name =
      ("hidden_" + stringifyActivationKind(op.getActivation().getKind())).str();
  // What the name leaves out of the attributes, a number stands for.
  if (op.getGated())
    name += "_gated";
  for (auto [present, suffix] :
       {std::pair<Value, StringRef>{op.getGateBias(), "_gate_bias"},
        {op.getUpBias(), "_up_bias"},
        {op.getWeights(), "_weighted"}})
    if (present) {
      name += suffix;
      extra.push_back(f32);
    }
  auto addNumber = [&](StringRef key, FloatAttr value, double neutral) {
    if (value.getValueAsDouble() == neutral)
      return;
    SmallString<16> text;
    value.getValue().toString(text);
    name += ("_" + key + text).str();
  };
  addNumber("alpha", op.getActivation().getAlpha(), 1.0);
  addNumber("limit", op.getActivation().getLimit(), HUGE_VAL);
  addNumber("offset", op.getActivation().getUpOffset(), 0.0);
  name += "_k" + std::to_string(op.getSlots());

  auto body = [&](KernelBuilder &b, Arguments &arguments) {
    auto [rows, rowsOffset] = arguments.take();
    auto takeIf = [&](Value present) {
      return present ? arguments.take() : std::pair<Value, Value>();
    };
    auto [gateBias, gateOffset] = takeIf(op.getGateBias());
    auto [upBias, upOffset] = takeIf(op.getUpBias());
    auto [weights, weightsOffset] = takeIf(op.getWeights());
    auto getAssignment = [&, rows = rows, rowsOffset = rowsOffset](Value row) {
      return b.loadIndex(rows, b.add(rowsOffset, row));
    };
    Value slots = b.index(op.getSlots());
    bool isGathered =
        usesMatrices(arguments.rowType, getElement(arguments.panels));
    Value sums = multiply(b, arguments, sources, [&](Value row) {
      Value number = isGathered ? row : b.div(getAssignment(row), slots);
      return b.add(arguments.rowOffset, b.mul(number, arguments.rowStride));
    });
    auto finish = [&, gateBias = gateBias, gateOffset = gateOffset,
                   upBias = upBias, upOffset = upOffset, weights = weights,
                   weightsOffset = weightsOffset](Value row,
                                                  ArrayRef<Value> vectors,
                                                  const ColumnAccess &access) {
      Value weight;
      if (weights)
        weight = access.broadcast(
            b, memref::LoadOp::create(
                   b, weights, b.add(weightsOffset, getAssignment(row))));
      auto complete = [&](Value sum, Value bias, Value biasOffset) {
        if (weight)
          sum = arith::MulFOp::create(b, weight, sum);
        if (bias)
          sum = arith::AddFOp::create(b, sum, access.load(b, bias, biasOffset));
        return sum;
      };
      Value gate;
      if (sources == 2)
        gate = complete(vectors.front(), gateBias, gateOffset);
      Value up = complete(vectors.back(), upBias, upOffset);
      Value hidden = emitActivation(b, op.getActivation(), gate, up);
      access.store(
          b, hidden, arguments.result,
          b.add(arguments.resultOffset, b.mul(row, arguments.resultStride)));
    };
    forEachSum(b,
               {sums, arguments.count, arguments.columns, sources,
                target.getSumStride()},
               finish);
  };
  return getOrCreate(
      name, {op.getX(), op.getPanels(), op.getInit(), op.getQuantizedAttr()},
      extra, body);
}

func::FuncOp KernelSet::getCombine(kern::ExpertsCombineOp op) {
  Type i32 = IntegerType::get(op.getContext(), 32);
  Type f32 = Float32Type::get(op.getContext());
  SmallVector<Type> extra = {i32};
  std::string name = "combine";
  if (op.getBias()) {
    name += "_bias";
    extra.push_back(f32);
  }
  if (op.getWeights()) {
    name += "_weighted";
    extra.push_back(f32);
  }
  name += "_k" + std::to_string(op.getSlots());

  auto body = [&](KernelBuilder &b, Arguments &arguments) {
    auto [rows, rowsOffset] = arguments.take();
    auto [bias, biasOffset] =
        op.getBias() ? arguments.take() : std::pair<Value, Value>();
    auto [weights, weightsOffset] =
        op.getWeights() ? arguments.take() : std::pair<Value, Value>();
    Value slots = b.index(op.getSlots());
    Value sums = multiply(b, arguments, /*sources=*/1, [&](Value row) {
      return b.add(arguments.rowOffset, b.mul(row, arguments.rowStride));
    });
    auto addUp = [&, rows = rows, rowsOffset = rowsOffset, bias = bias,
                  biasOffset = biasOffset, weights = weights,
                  weightsOffset = weightsOffset](Value row,
                                                 ArrayRef<Value> vectors,
                                                 const ColumnAccess &access) {
      Value assignment = b.loadIndex(rows, b.add(rowsOffset, row));
      Value offset =
          b.add(arguments.resultOffset,
                b.mul(b.div(assignment, slots), arguments.resultStride));
      Value sum = vectors.front();
      if (bias)
        sum = arith::AddFOp::create(b, sum, access.load(b, bias, biasOffset));
      if (weights) {
        Value weight = memref::LoadOp::create(b, weights,
                                              b.add(weightsOffset, assignment));
        sum = arith::MulFOp::create(b, access.broadcast(b, weight), sum);
      }
      sum = arith::AddFOp::create(b, access.load(b, arguments.result, offset),
                                  sum);
      access.store(b, sum, arguments.result, offset);
    };
    forEachSum(b,
               {sums, arguments.count, arguments.columns, /*sources=*/1,
                target.getSumStride()},
               addUp);
  };
  return getOrCreate(
      name, {op.getH(), op.getPanels(), op.getInit(), op.getQuantizedAttr()},
      extra, body);
}
