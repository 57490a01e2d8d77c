//===- AttentionKernels.cpp - the kernels of attention ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/AttentionKernels.h"

#include "passes/target/cpu/VectorLanes.h"

using namespace mlir;
using namespace mlir::moe;

/// Rows of a register tile.
static constexpr int64_t kTileRows = 6;

static MemRefType getFlatType(Type element) {
  return MemRefType::get({ShapedType::kDynamic}, element);
}

static Type getElement(Value buffer) {
  return cast<MemRefType>(buffer.getType()).getElementType();
}

static std::string print(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

func::FuncOp AttentionKernels::getOrCreate(StringRef name, TypeRange types,
                                           Body body) {
  std::string symbol = ("kern.attention_" + name).str();
  if (auto existing = symbols.lookup<func::FuncOp>(symbol))
    return existing;
  MLIRContext *context = symbols.getOp()->getContext();
  KernelBuilder b(UnknownLoc::get(context), context);
  auto function = func::FuncOp::create(b, symbol, b.getFunctionType(types, {}));
  function.setPrivate();
  symbols.insert(function);
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);
  body(b, llvm::to_vector_of<Value>(entry->getArguments()));
  func::ReturnOp::create(b);
  return function;
}

static void call(KernelBuilder &b, func::FuncOp function, ValueRange values) {
  func::CallOp::create(b, function, values);
}

//===----------------------------------------------------------------------===//
// Moves
//===----------------------------------------------------------------------===//

/// One number as f32.
static Value loadWide(KernelBuilder &b, Value buffer, Value place) {
  Value number = memref::LoadOp::create(b, buffer, place);
  if (number.getType().isF32())
    return number;
  return arith::ExtFOp::create(b, b.getF32Type(), number);
}

/// kWidth numbers as f32.
static Value loadWideVector(KernelBuilder &b, Value buffer, Value place) {
  VectorLanes v(b);
  auto type = VectorType::get(VectorLanes::kWidth, getElement(buffer));
  Value numbers = vector::LoadOp::create(b, type, buffer, place);
  if (type.getElementType().isF32())
    return numbers;
  return arith::ExtFOp::create(b, v.getType(), numbers);
}

void AttentionKernels::copy(KernelBuilder &b, const Strided &from,
                            const RowBlock &to, Value rows, Value columns) {
  Type index = b.getIndexType();
  Type element = getElement(from.buffer), f32 = b.getF32Type();
  func::FuncOp kernel = getOrCreate(
      "copy_" + print(element),
      {getFlatType(element), index, index, index, getFlatType(f32), index,
       index, index, index},
      [](KernelBuilder &b, ArrayRef<Value> a) {
        Value source = a[0], target = a[4], rows = a[7], columns = a[8];
        Value isDense = b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq,
                                                      a[3], b.index(1));
        Value whole =
            b.select(isDense, b.mul(b.div(columns, b.index(kWidth)), kWidth),
                     b.index(0));
        Value padded = b.mul(b.ceilDiv(columns, kWidth), kWidth);
        Value zero = arith::ConstantOp::create(b, b.getF32FloatAttr(0.0f));
        b.loop(b.index(0), rows, 1, [&](Value row) {
          Value from = b.add(a[1], b.mul(row, a[2]));
          Value to = b.add(a[5], b.mul(row, a[6]));
          b.loop(b.index(0), whole, kWidth, [&](Value column) {
            Value numbers = loadWideVector(b, source, b.add(from, column));
            vector::StoreOp::create(b, numbers, target, b.add(to, column));
          });
          b.loop(whole, columns, 1, [&](Value column) {
            Value number =
                loadWide(b, source, b.add(from, b.mul(column, a[3])));
            memref::StoreOp::create(b, number, target, b.add(to, column));
          });
          b.loop(columns, padded, 1, [&](Value column) {
            memref::StoreOp::create(b, zero, target, b.add(to, column));
          });
        });
      });
  call(b, kernel,
       {from.buffer, from.offset, from.rowStride, from.columnStride, to.buffer,
        to.offset, to.stride, rows, columns});
}

void AttentionKernels::transpose(KernelBuilder &b, const Strided &from,
                                 const RowBlock &to, Value rows,
                                 Value columns) {
  Type index = b.getIndexType();
  Type element = getElement(from.buffer), f32 = b.getF32Type();
  auto body = [](KernelBuilder &b, ArrayRef<Value> a) {
    Value source = a[0], target = a[4], rows = a[7], columns = a[8];
    Value isDense = b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq,
                                                  a[3], b.index(1));
    Value zero = arith::ConstantOp::create(b, b.getF32FloatAttr(0.0f));
    b.loop(b.index(0), rows, kWidth, [&](Value row) {
      Value isWhole = b.createOrFold<arith::AndIOp>(
          isDense, b.less(b.index(kWidth - 1), b.sub(rows, row)));
      Value whole = b.select(
          isWhole, b.mul(b.div(columns, b.index(kWidth)), kWidth), b.index(0));
      b.loop(b.index(0), whole, kWidth, [&](Value column) {
        Value from = b.add(b.add(a[1], b.mul(row, a[2])), column);
        SmallVector<Value> square;
        for (int64_t i = 0; i < kWidth; ++i)
          square.push_back(
              loadWideVector(b, source, b.add(from, b.mul(a[2], i))));
        VectorLanes(b).transpose(square);
        Value to = b.add(b.add(a[5], b.mul(column, a[6])), row);
        for (int64_t i = 0; i < kWidth; ++i)
          vector::StoreOp::create(b, square[i], target,
                                  b.add(to, b.mul(a[6], i)));
      });
      Value end = b.min(rows, b.add(row, kWidth));
      b.loop(whole, columns, 1, [&](Value column) {
        Value to = b.add(a[5], b.mul(column, a[6]));
        b.loop(row, end, 1, [&](Value own) {
          Value place =
              b.add(b.add(a[1], b.mul(own, a[2])), b.mul(column, a[3]));
          memref::StoreOp::create(b, loadWide(b, source, place), target,
                                  b.add(to, own));
        });
        b.loop(end, b.add(row, kWidth), 1, [&](Value own) {
          memref::StoreOp::create(b, zero, target, b.add(to, own));
        });
      });
    });
  };
  func::FuncOp kernel =
      getOrCreate("transpose_" + print(element),
                  {getFlatType(element), index, index, index, getFlatType(f32),
                   index, index, index, index},
                  body);
  call(b, kernel,
       {from.buffer, from.offset, from.rowStride, from.columnStride, to.buffer,
        to.offset, to.stride, rows, columns});
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

void AttentionKernels::multiply(KernelBuilder &b, const RowBlock &left,
                                const RowBlock &right, const RowBlock &result,
                                Value rows, Value depth, Value columns) {
  Type index = b.getIndexType(), flat = getFlatType(b.getF32Type());
  auto body = [this](KernelBuilder &b, ArrayRef<Value> a) {
    // Registers hold 6 rows of 4 vectors of 512 or 2 of 256 bits.
    int64_t vectors = lanes == 16 ? 4 : 2;
    int64_t width = vectors * lanes;
    Value columns = b.mul(b.ceilDiv(a[11], kWidth), kWidth);
    Value wide = b.mul(b.div(columns, b.index(width)), width);
    emitTiles(b, a, b.index(0), wide, vectors);
    if (width > kWidth)
      emitTiles(b, a, wide, columns, kWidth / lanes);
  };
  func::FuncOp kernel = getOrCreate("multiply",
                                    {flat, index, index, flat, index, index,
                                     flat, index, index, index, index, index},
                                    body);
  call(b, kernel,
       {left.buffer, left.offset, left.stride, right.buffer, right.offset,
        right.stride, result.buffer, result.offset, result.stride, rows, depth,
        columns});
}

/// Columns outside, so that those of the right side stay in the first-level
/// cache while the rows go by.
void AttentionKernels::emitTiles(KernelBuilder &b, ArrayRef<Value> a,
                                 Value begin, Value end, int64_t vectors) {
  Value rows = a[9], depth = a[10];
  auto type = VectorType::get(lanes, b.getF32Type());
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
  auto emitTile = [&](Value column, Value first, int64_t height) {
    SmallVector<Value> leftOffsets;
    for (int64_t i = 0; i < height; ++i)
      leftOffsets.push_back(b.add(a[1], b.mul(b.add(first, i), a[2])));
    Value rightOffset = b.add(a[4], column);
    SmallVector<Value> sums(height * vectors, zero);
    auto loop = scf::ForOp::create(b, b.index(0), depth, b.index(1), sums);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      Value k = loop.getInductionVar();
      Value place = b.add(rightOffset, b.mul(k, a[5]));
      SmallVector<Value> right;
      for (int64_t v = 0; v < vectors; ++v)
        right.push_back(
            vector::LoadOp::create(b, type, a[3], b.add(place, v * lanes)));
      SmallVector<Value> next;
      for (int64_t i = 0; i < height; ++i) {
        Value number =
            memref::LoadOp::create(b, a[0], b.add(leftOffsets[i], k));
        Value factor = vector::BroadcastOp::create(b, type, number);
        for (int64_t v = 0; v < vectors; ++v)
          next.push_back(vector::FMAOp::create(
              b, factor, right[v], loop.getRegionIterArg(i * vectors + v)));
      }
      scf::YieldOp::create(b, next);
    }
    for (int64_t i = 0; i < height; ++i) {
      Value place = b.add(b.add(a[7], b.mul(b.add(first, i), a[8])), column);
      for (int64_t v = 0; v < vectors; ++v)
        vector::StoreOp::create(b, loop.getResult(i * vectors + v), a[6],
                                b.add(place, v * lanes));
    }
  };
  EvenSplit groups(b, rows, kTileRows);
  b.loop(begin, end, vectors * lanes, [&](Value column) {
    b.loop(b.index(0), groups.parts, 1, [&](Value group) {
      auto [first, height] = groups.getPart(b, group);
      auto cases = llvm::to_vector(llvm::seq<int64_t>(1, kTileRows));
      auto choice = scf::IndexSwitchOp::create(b, TypeRange(), height, cases,
                                               cases.size());
      for (auto [i, region] : llvm::enumerate(choice->getRegions())) {
        OpBuilder::InsertionGuard guard(b);
        b.createBlock(&region);
        // Region 0 is the default.
        emitTile(column, first, i == 0 ? kTileRows : cases[i - 1]);
        scf::YieldOp::create(b);
      }
    });
  });
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

/// Negative infinity must not be subtracted from itself.
static Value getBound(KernelBuilder &b, Value maximum) {
  Value least = arith::ConstantOp::create(b, b.getF32FloatAttr(-INFINITY));
  Value zero = arith::ConstantOp::create(b, b.getF32FloatAttr(0.0f));
  Value isEmpty =
      arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, maximum, least);
  return b.select(isEmpty, zero, maximum);
}

static Value getPower(KernelBuilder &b, Value x, Value bound) {
  Value distance = arith::SubFOp::create(b, x, bound);
  return math::ExpOp::create(b, distance);
}

/// The greater one, `other` if `value` is not a number.
static Value getGreater(KernelBuilder &b, Value value, Value other) {
  Value isGreater =
      arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, value, other);
  return arith::SelectOp::create(b, isGreater, value, other);
}

void AttentionKernels::exponentiate(KernelBuilder &b, const RowBlock &scores,
                                    Value rows, Value keys,
                                    const RowBlock &maxima,
                                    const RowBlock &sums) {
  Type index = b.getIndexType(), flat = getFlatType(b.getF32Type());
  auto body = [](KernelBuilder &b, ArrayRef<Value> a) {
    VectorLanes v(b);
    Value scores = a[0], rows = a[3], keys = a[4];
    Value least = arith::ConstantOp::create(b, b.getF32FloatAttr(-INFINITY));
    Value padded = b.mul(b.ceilDiv(keys, kWidth), kWidth);
    b.loop(b.index(0), rows, 1, [&](Value row) {
      Value start = b.add(a[1], b.mul(row, a[2]));
      b.loop(keys, padded, 1, [&](Value key) {
        memref::StoreOp::create(b, least, scores, b.add(start, key));
      });
      auto load = [&](Value key) -> Value {
        return vector::LoadOp::create(b, v.getType(), scores,
                                      b.add(start, key));
      };
      // A score that is not a number shows in the sum.
      Value lanes =
          v.reduceLoop(padded, v.splat(least), [&](Value key, Value carried) {
            return getGreater(b, load(key), carried);
          });
      Value maximum = v.reduce(
          lanes, [&](Value x, Value y) { return getGreater(b, x, y); });
      Value bound = v.splat(getBound(b, maximum));
      Value zero = arith::ConstantOp::create(b, b.getF32FloatAttr(0.0f));
      lanes =
          v.reduceLoop(padded, v.splat(zero), [&](Value key, Value carried) {
            Value power = getPower(b, load(key), bound);
            vector::StoreOp::create(b, power, scores, b.add(start, key));
            return arith::AddFOp::create(b, carried, power).getResult();
          });
      Value sum = v.reduce(lanes, [&](Value x, Value y) -> Value {
        return arith::AddFOp::create(b, x, y);
      });
      memref::StoreOp::create(b, maximum, a[5], b.add(a[6], row));
      memref::StoreOp::create(b, sum, a[7], b.add(a[8], row));
    });
  };
  func::FuncOp kernel = getOrCreate(
      "exponentiate",
      {flat, index, index, index, index, flat, index, flat, index}, body);
  call(b, kernel,
       {scores.buffer, scores.offset, scores.stride, rows, keys, maxima.buffer,
        maxima.offset, sums.buffer, sums.offset});
}

void AttentionKernels::merge(KernelBuilder &b, const Partial &state,
                             const Partial &added, Value rows, Value columns) {
  Type index = b.getIndexType(), flat = getFlatType(b.getF32Type());
  auto body = [](KernelBuilder &b, ArrayRef<Value> a) {
    VectorLanes v(b);
    Value rows = a[14], columns = b.mul(b.ceilDiv(a[15], kWidth), kWidth);
    b.loop(b.index(0), rows, 1, [&](Value row) {
      auto load = [&](unsigned i) -> Value {
        return memref::LoadOp::create(b, a[i], b.add(a[i + 1], row));
      };
      Value oldMaximum = load(3), newMaximum = load(10);
      Value maximum = getGreater(b, newMaximum, oldMaximum);
      Value bound = getBound(b, maximum);
      Value oldFactor = getPower(b, oldMaximum, bound);
      Value newFactor = getPower(b, newMaximum, bound);
      auto mix = [&](Value before, Value after, Value x, Value y) -> Value {
        return arith::AddFOp::create(b, arith::MulFOp::create(b, before, x),
                                     arith::MulFOp::create(b, after, y));
      };
      Value sum = mix(oldFactor, newFactor, load(5), load(12));
      memref::StoreOp::create(b, maximum, a[3], b.add(a[4], row));
      memref::StoreOp::create(b, sum, a[5], b.add(a[6], row));
      Value before = v.splat(oldFactor), after = v.splat(newFactor);
      Value oldStart = b.add(a[1], b.mul(row, a[2]));
      Value newStart = b.add(a[8], b.mul(row, a[9]));
      b.loop(b.index(0), columns, kWidth, [&](Value column) {
        Value place = b.add(oldStart, column);
        Value x = vector::LoadOp::create(b, v.getType(), a[0], place);
        Value y = vector::LoadOp::create(b, v.getType(), a[7],
                                         b.add(newStart, column));
        vector::StoreOp::create(b, mix(before, after, x, y), a[0], place);
      });
    });
  };
  func::FuncOp kernel =
      getOrCreate("merge",
                  {flat, index, index, flat, index, flat, index, flat, index,
                   index, flat, index, flat, index, index, index},
                  body);
  SmallVector<Value> arguments;
  for (const Partial *part : {&state, &added})
    arguments.append({part->values.buffer, part->values.offset,
                      part->values.stride, part->maxima.buffer,
                      part->maxima.offset, part->sums.buffer,
                      part->sums.offset});
  arguments.append({rows, columns});
  call(b, kernel, arguments);
}

void AttentionKernels::finish(KernelBuilder &b, const Partial &state, Value row,
                              Value sink, Value empty, const Strided &to,
                              Value columns) {
  Type index = b.getIndexType(), f32 = b.getF32Type();
  Type flat = getFlatType(f32), element = getElement(to.buffer);
  auto body = [element](KernelBuilder &b, ArrayRef<Value> a) {
    VectorLanes v(b);
    Value values = a[0], sink = a[6], empty = a[7], target = a[8];
    Value maximum = memref::LoadOp::create(b, a[2], a[3]);
    Value sum = memref::LoadOp::create(b, a[4], a[5]);
    Value highest = getGreater(b, sink, maximum);
    Value bound = getBound(b, highest);
    Value factor = getPower(b, maximum, bound);
    Value whole = arith::AddFOp::create(
        b, arith::MulFOp::create(b, sum, factor), getPower(b, sink, bound));
    Value scale = arith::DivFOp::create(b, factor, whole);
    Value least = arith::ConstantOp::create(b, b.getF32FloatAttr(-INFINITY));
    Value isEmpty =
        arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, highest, least);
    // A sum that is not a number stays one.
    Value zero = arith::ConstantOp::create(b, b.getF32FloatAttr(0.0f));
    Value hasNoPower =
        arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, sum, zero);
    isEmpty = b.createOrFold<arith::AndIOp>(isEmpty, hasNoPower);
    auto narrow = [&](Value number) -> Value {
      Type type = element;
      if (auto vector = dyn_cast<VectorType>(number.getType()))
        type = vector.clone(element);
      if (number.getType() == type)
        return number;
      return arith::TruncFOp::create(b, type, number);
    };
    Value columns = a[11];
    Value isDense = b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq,
                                                  a[10], b.index(1));
    Value dense = b.select(
        isDense, b.mul(b.div(columns, b.index(kWidth)), kWidth), b.index(0));
    b.loop(b.index(0), dense, kWidth, [&](Value column) {
      Value x =
          vector::LoadOp::create(b, v.getType(), values, b.add(a[1], column));
      Value y = arith::MulFOp::create(b, x, v.splat(scale));
      y = arith::SelectOp::create(b, isEmpty, v.splat(empty), y);
      vector::StoreOp::create(b, narrow(y), target, b.add(a[9], column));
    });
    b.loop(dense, columns, 1, [&](Value column) {
      Value x = memref::LoadOp::create(b, values, b.add(a[1], column));
      Value y = arith::MulFOp::create(b, x, scale);
      y = arith::SelectOp::create(b, isEmpty, empty, y);
      memref::StoreOp::create(b, narrow(y), target,
                              b.add(a[9], b.mul(column, a[10])));
    });
  };
  func::FuncOp kernel =
      getOrCreate("finish_" + print(element),
                  {flat, index, flat, index, flat, index, f32, f32,
                   getFlatType(element), index, index, index},
                  body);
  call(b, kernel,
       {state.values.buffer,
        b.add(state.values.offset, b.mul(row, state.values.stride)),
        state.maxima.buffer, b.add(state.maxima.offset, row), state.sums.buffer,
        b.add(state.sums.offset, row), sink, empty, to.buffer, to.offset,
        to.columnStride, columns});
}
