//===- KernelSet.cpp - the panel kernels of a module ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/KernelSet.h"

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
  SmallVector<std::pair<Value, Value>> extra;
  size_t taken = 0;
};

namespace {

/// The tile that a hook works on.
struct Tile {
  Value firstRow;
  int64_t height;
  ArrayRef<TileColumn> vectors;
  /// The column of the result where the first panel begins.
  Value firstColumn;
  ValueRange sums;

  Value getSum(int64_t row, int64_t vector) const {
    return sums[row * vectors.size() + vector];
  }
};

/// What differs between kernels.
struct Hooks {
  /// Where a row of the left operand starts.
  function_ref<Value(KernelBuilder &, Value)> getRowOffset;
  /// Uses the sums.
  function_ref<void(KernelBuilder &, const Tile &)> store;
};

/// Access to runs of columns that may reach beyond the last one.
class ColumnAccess {
public:
  ColumnAccess(KernelBuilder &b, const Tile &tile, const TileColumn &vector,
               int64_t sources, int64_t lanes, Value columns)
      : b(b), type(VectorType::get(lanes, b.getF32Type())) {
    column = b.add(tile.firstColumn,
                   vector.panel / sources * kPanelColumns + vector.lane);
    auto maskType = VectorType::get(lanes, b.getI1Type());
    mask = vector::CreateMaskOp::create(b, maskType, b.sub(columns, column));
  }

  Value load(Value buffer, Value offset) {
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
    return vector::MaskedLoadOp::create(b, type, buffer, b.add(offset, column),
                                        mask, zero);
  }
  void store(Value value, Value buffer, Value offset) {
    vector::MaskedStoreOp::create(b, buffer, b.add(offset, column), mask,
                                  value);
  }
  Value broadcast(Value scalar) {
    return vector::BroadcastOp::create(b, type, scalar);
  }

private:
  KernelBuilder &b;
  VectorType type;
  Value column, mask;
};

} // namespace

/// Emits one pass over the rows after the other, for the panels of `block`.
template <typename Arguments>
static void emitPasses(KernelBuilder &b, const PanelBlock &block, int64_t lanes,
                       Arguments &arguments, Value panelOffset,
                       Value firstColumn, const Hooks &hooks) {
  for (ArrayRef<TileColumn> vectors : block.passes)
    emitRowGroups(b, arguments.count, [&](Value first, int64_t height) {
      TileOperands operands;
      operands.rows = arguments.rows;
      for (int64_t i = 0; i < height; ++i)
        operands.rowOffsets.push_back(hooks.getRowOffset(b, b.add(first, i)));
      operands.panels = arguments.panels;
      operands.panelOffset = panelOffset;
      operands.depth = arguments.depth;
      SmallVector<Value> sums = emitTile(b, operands, vectors, lanes);
      hooks.store(b, {first, height, vectors, firstColumn, sums});
    });
}

/// Emits a kernel's body: a whole block at once, or else its panels in turn.
template <typename Arguments>
static void emitBlock(KernelBuilder &b, const TileTarget &target,
                      int64_t sources, Arguments &arguments,
                      const Hooks &hooks) {
  PanelBlock block = target.getBlock(sources);
  PanelBlock tail = target.getTail(sources);
  Value zero = b.index(0);
  if (block.panels == tail.panels)
    return emitPasses(b, block, target.lanes, arguments, arguments.panelOffset,
                      zero, hooks);

  Value needed = b.index((block.panels / sources - 1) * kPanelColumns);
  Value isWhole = b.less(needed, arguments.columns);
  auto choice = scf::IfOp::create(b, isWhole, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(choice.thenYield());
  emitPasses(b, block, target.lanes, arguments, arguments.panelOffset, zero,
             hooks);
  b.setInsertionPoint(choice.elseYield());
  Value tailSize = b.mul(arguments.depth, tail.panels * kPanelColumns);
  Value tails = b.ceilDiv(arguments.columns, kPanelColumns);
  b.loop(zero, tails, 1, [&](Value i) {
    Value offset = b.add(arguments.panelOffset, b.mul(i, tailSize));
    emitPasses(b, tail, target.lanes, arguments, offset,
               b.mul(i, kPanelColumns), hooks);
  });
}

static Type getElement(Value buffer) {
  return cast<MemRefType>(buffer.getType()).getElementType();
}

static MemRefType getFlatType(Type element) {
  return MemRefType::get({ShapedType::kDynamic}, element);
}

static std::string print(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

func::FuncOp
KernelSet::getOrCreate(Location loc, const Twine &name, Value rows,
                       Value panels, TypeRange extra,
                       function_ref<void(KernelBuilder &, Arguments &)> body) {
  std::string symbol = ("kern." + name + "_" + print(getElement(rows)) + "_" +
                        print(getElement(panels)))
                           .str();
  if (auto existing = symbols.lookup<func::FuncOp>(symbol))
    return existing;
  KernelBuilder b(UnknownLoc::get(loc.getContext()), loc.getContext());
  Type index = b.getIndexType();
  SmallVector<Type> types = {getFlatType(getElement(rows)),
                             index,
                             index,
                             getFlatType(getElement(panels)),
                             index,
                             index,
                             getFlatType(b.getF32Type()),
                             index,
                             index,
                             index,
                             index};
  for (Type type : extra)
    types.append({getFlatType(type), index});
  auto function = func::FuncOp::create(b, symbol, b.getFunctionType(types, {}));
  function.setPrivate();
  function.setNoInline(true);
  symbols.insert(function);
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);
  Arguments arguments(entry->getArguments());
  body(b, arguments);
  func::ReturnOp::create(b);
  return function;
}

func::FuncOp KernelSet::getGemm(kern::PanelGemmOp op) {
  bool accumulates = op.getAccumulate();
  auto body = [&](KernelBuilder &b, Arguments &arguments) {
    auto getRowOffset = [&](KernelBuilder &b, Value row) {
      return b.add(arguments.rowOffset, b.mul(row, arguments.rowStride));
    };
    auto store = [&](KernelBuilder &b, const Tile &tile) {
      for (auto [n, vector] : llvm::enumerate(tile.vectors)) {
        ColumnAccess access(b, tile, vector, /*sources=*/1, target.lanes,
                            arguments.columns);
        for (int64_t m = 0; m < tile.height; ++m) {
          Value sum = tile.getSum(m, n);
          Value offset =
              b.add(arguments.resultOffset,
                    b.mul(b.add(tile.firstRow, m), arguments.resultStride));
          if (accumulates)
            sum = arith::AddFOp::create(
                b, access.load(arguments.result, offset), sum);
          access.store(sum, arguments.result, offset);
        }
      }
    };
    emitBlock(b, target, /*sources=*/1, arguments, {getRowOffset, store});
  };
  return getOrCreate(op.getLoc(), accumulates ? "gemm_accumulate" : "gemm",
                     op.getA(), op.getB(), {}, body);
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
    Value slots = b.index(op.getSlots());
    auto getAssignment =
        [&, rows = rows, rowsOffset = rowsOffset](KernelBuilder &b, Value row) {
          return b.loadIndex(rows, b.add(rowsOffset, row));
        };
    auto getRowOffset = [&](KernelBuilder &b, Value row) {
      Value token = b.div(getAssignment(b, row), slots);
      return b.add(arguments.rowOffset, b.mul(token, arguments.rowStride));
    };
    auto store = [&, gateBias = gateBias, gateOffset = gateOffset,
                  upBias = upBias, upOffset = upOffset, weights = weights,
                  weightsOffset = weightsOffset](KernelBuilder &b,
                                                 const Tile &tile) {
      for (size_t n = 0; n < tile.vectors.size(); n += sources) {
        ColumnAccess access(b, tile, tile.vectors[n], sources, target.lanes,
                            arguments.columns);
        for (int64_t m = 0; m < tile.height; ++m) {
          Value row = b.add(tile.firstRow, m);
          auto finish = [&](Value sum, Value bias, Value biasOffset) {
            if (weights) {
              Value position = b.add(weightsOffset, getAssignment(b, row));
              Value weight = memref::LoadOp::create(b, weights, position);
              sum = arith::MulFOp::create(b, access.broadcast(weight), sum);
            }
            if (bias)
              sum =
                  arith::AddFOp::create(b, sum, access.load(bias, biasOffset));
            return sum;
          };
          Value gate;
          if (sources == 2)
            gate = finish(tile.getSum(m, n), gateBias, gateOffset);
          Value up = finish(tile.getSum(m, n + sources - 1), upBias, upOffset);
          Value hidden = emitActivation(b, op.getActivation(), gate, up);
          access.store(hidden, arguments.result,
                       b.add(arguments.resultOffset,
                             b.mul(row, arguments.resultStride)));
        }
      }
    };
    emitBlock(b, target, sources, arguments, {getRowOffset, store});
  };
  return getOrCreate(op.getLoc(), name, op.getX(), op.getPanels(), extra, body);
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
    auto getRowOffset = [&](KernelBuilder &b, Value row) {
      return b.add(arguments.rowOffset, b.mul(row, arguments.rowStride));
    };
    auto store = [&, rows = rows, rowsOffset = rowsOffset, bias = bias,
                  biasOffset = biasOffset, weights = weights,
                  weightsOffset = weightsOffset](KernelBuilder &b,
                                                 const Tile &tile) {
      SmallVector<ColumnAccess> accesses;
      for (const TileColumn &vector : tile.vectors)
        accesses.emplace_back(b, tile, vector, /*sources=*/1, target.lanes,
                              arguments.columns);
      for (int64_t m = 0; m < tile.height; ++m) {
        Value assignment =
            b.loadIndex(rows, b.add(rowsOffset, b.add(tile.firstRow, m)));
        Value offset =
            b.add(arguments.resultOffset,
                  b.mul(b.div(assignment, slots), arguments.resultStride));
        Value weight;
        if (weights)
          weight = memref::LoadOp::create(b, weights,
                                          b.add(weightsOffset, assignment));
        for (auto [n, access] : llvm::enumerate(accesses)) {
          Value sum = tile.getSum(m, n);
          if (bias)
            sum = arith::AddFOp::create(b, sum, access.load(bias, biasOffset));
          if (weight)
            sum = arith::MulFOp::create(b, access.broadcast(weight), sum);
          sum = arith::AddFOp::create(b, access.load(arguments.result, offset),
                                      sum);
          access.store(sum, arguments.result, offset);
        }
      }
    };
    emitBlock(b, target, /*sources=*/1, arguments, {getRowOffset, store});
  };
  return getOrCreate(op.getLoc(), name, op.getH(), op.getPanels(), extra, body);
}
