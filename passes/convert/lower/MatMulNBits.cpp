//===- MatMulNBits.cpp - lowering of products with packed weights ---------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights of few bits are unpacked to the type of the activations in front of
// an ordinary product.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Indexing.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

class PackedWeight {
public:
  PackedWeight(onnx::MicrosoftMatMulNBitsOp op, Lowering &l)
      : op(op), l(l), t(l.tensors), bits(op.getBits()),
        blockSize(op.getBlockSize()), rows(op.getK()), columns(op.getN()) {}

  /// The weight as K x N.
  FailureOr<Value> unpack() {
    if ((bits != 2 && bits != 4 && bits != 8) || blockSize < 8 / bits ||
        rows < 1 || columns < 1)
      return l.error() << "expected 'bits' 2, 4 or 8 and positive sizes, got "
                       << bits;
    if (op.getWeightPrepacked())
      return l.error() << "expected 'weight_prepacked' 0, got "
                       << static_cast<int64_t>(op.getWeightPrepacked())
                       << "; export the model with plain weights";
    blocks = (rows + blockSize - 1) / blockSize;
    int64_t blockBytes = blockSize * bits / 8;
    packed = asTable(op.getB(), {columns, blocks, blockBytes});
    scales = asTable(op.getScales(), {columns, blocks});
    if (!packed || !scales)
      return failure();
    if (Lowering::has(op.getZeroPoints())) {
      bool isPacked = !isa<FloatType>(
          Lowering::getType(op.getZeroPoints()).getElementType());
      zeroPoints =
          asTable(op.getZeroPoints(),
                  {columns, isPacked ? (blocks * bits + 7) / 8 : blocks});
      if (!zeroPoints)
        return failure();
    }
    if (Lowering::has(op.getGIdx())) {
      groups = asTable(op.getGIdx(), {rows});
      if (!groups || failed(checkIndices(l, op.getGIdx(), groups,
                                         t.builder.getIndexAttr(blocks))))
        return failure();
    }
    Type element = Lowering::getType(op.getA()).getElementType();
    auto size = [&](int64_t value) { return t.builder.getIndexAttr(value); };
    return t.generate({size(rows), size(columns)}, element,
                      [&](TensorBuilder &inner, ValueRange position) {
                        return inner.convert(unpackElement(inner, position),
                                             element);
                      });
  }

private:
  /// The operand with the given static shape; null if it has another size.
  Value asTable(Value original, ArrayRef<int64_t> shape) {
    RankedTensorType type = Lowering::getType(original);
    int64_t count = ShapedType::getNumElements(shape);
    if (!type.hasStaticShape() || type.getNumElements() != count) {
      l.error() << "expected an operand of " << count << " elements, got "
                << type;
      return {};
    }
    return t.reshape(l.get(original),
                     getAsIndexOpFoldResult(t.builder.getContext(), shape));
  }

  /// Number `place` of those packed in the row of bytes at `row`, as f32.
  Value readBits(TensorBuilder &inner, Value table, SmallVector<Value> row,
                 Value place) {
    Value perByte = inner.index(8 / bits);
    Value byte =
        arith::DivUIOp::create(inner.builder, inner.loc, place, perByte);
    Value within =
        arith::RemUIOp::create(inner.builder, inner.loc, place, perByte);
    row.push_back(byte);
    Type i32 = inner.builder.getI32Type();
    Value word = arith::ExtUIOp::create(inner.builder, inner.loc, i32,
                                        inner.extract(table, row));
    Value shift = inner.convert(inner.mul(within, inner.index(bits)), i32);
    Value shifted =
        arith::ShRUIOp::create(inner.builder, inner.loc, word, shift);
    Value low = arith::AndIOp::create(inner.builder, inner.loc, shifted,
                                      inner.constant(i32, (1 << bits) - 1));
    return inner.convert(low, inner.builder.getF32Type());
  }

  Value unpackElement(TensorBuilder &inner, ValueRange position) {
    Type f32 = inner.builder.getF32Type();
    Value size = inner.index(blockSize), column = position[1];
    Value block =
        arith::DivUIOp::create(inner.builder, inner.loc, position[0], size);
    Value within =
        arith::RemUIOp::create(inner.builder, inner.loc, position[0], size);
    Value number = readBits(inner, packed, {column, block}, within);
    // Rows may be in other groups than those they are stored with.
    if (groups)
      block = wrapIndex(inner, inner.extract(groups, position[0]),
                        inner.index(blocks));
    Value zero = inner.constant(f32, 1 << (bits - 1));
    if (zeroPoints) {
      Type type = Lowering::getType(zeroPoints).getElementType();
      zero =
          isa<FloatType>(type)
              ? inner.convert(inner.extract(zeroPoints, {column, block}), f32)
              : readBits(inner, zeroPoints, {column}, block);
    }
    Value scale = inner.convert(inner.extract(scales, {column, block}), f32);
    return inner.mul(inner.sub(number, zero), scale);
  }

  onnx::MicrosoftMatMulNBitsOp op;
  Lowering &l;
  TensorBuilder &t;
  int64_t bits, blockSize, rows, columns, blocks = 0;
  Value packed, scales, zeroPoints, groups;
};

LogicalResult lowerMatMulNBits(onnx::MicrosoftMatMulNBitsOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  FailureOr<Value> weight = PackedWeight(op, l).unpack();
  if (failed(weight))
    return failure();
  Value input = l.get(op.getA());
  int64_t inner = Lowering::getType(input).getShape().back();
  if (inner != int64_t(op.getK()))
    return l.error() << "expected " << op.getK() << " columns, got " << inner;
  Value product = t.matmul(input, *weight);
  if (Value bias = l.get(op.getBias()))
    product = t.map(
        {product, bias}, Lowering::getType(product).getElementType(),
        [](TensorBuilder &body, ValueRange v) { return body.add(v[0], v[1]); });
  l.set(op.getY(), product);
  return success();
}

} // namespace

void moe::addMatMulNBitsLowering(LoweringTable &table) {
  table.add(lowerMatMulNBits);
}
