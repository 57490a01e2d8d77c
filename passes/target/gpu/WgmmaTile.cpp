//===- WgmmaTile.cpp - tiles of products by wgmma ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/gpu/WgmmaTile.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::moe;

/// Copies are made by the generic proxy, wgmma reads by the asynchronous one.
void WgmmaTile::publishCopies() {
  NVVM::FenceProxyOp::create(
      b, NVVM::ProxyKind::async_shared,
      NVVM::SharedSpaceAttr::get(b.getContext(),
                                 NVVM::SharedSpace::shared_cta));
}

/// Describes the rows of one half of a step: eight rows are 512 bytes, in the
/// pattern of 64 bytes.
Value WgmmaTile::getDescriptor(Value stage, int64_t half) {
  constexpr uint64_t kUnit = 16;
  uint64_t layout =
      uint64_t(1) << 16 | (8 * kRowBytes / kUnit) << 32 | uint64_t(2) << 62;
  Value address = LLVM::PtrToIntOp::create(
      b, b.getI32Type(), b.offset(stage, half * kRowBytes / 2));
  address = b.wide(b.rem(b.div(address, kUnit), 1 << 14));
  return arith::OrIOp::create(
      b, address,
      arith::ConstantIntOp::create(b, static_cast<int64_t>(layout), 64));
}

/// All products of a step are one piece of assembly, which ends when they are
/// complete: nothing may touch their registers before.
void WgmmaTile::multiplyStep(Value stage, SmallVectorImpl<Value> &sums) {
  constexpr int64_t kHalves = 2;
  int64_t count = getSumCount(), ownSums = getPanelSums();
  SmallVector<Value> operands;
  std::string constraints;
  auto list = [](int64_t first, int64_t size) {
    std::string text = "{";
    for (int64_t i = 0; i < size; ++i)
      text += llvm::formatv("{0}${1}", i ? ", " : "", first + i);
    return text + "}";
  };
  for (int64_t i = 0; i < count; ++i)
    constraints += "=f,";
  std::string text = "{\n.reg .pred p;\nsetp.eq.u32 p, 0, 0;\n"
                     "wgmma.fence.sync.aligned;\n";
  for (int64_t half = 0; half < kHalves; ++half) {
    for (int64_t panel = 0; panel < getPanels(); ++panel) {
      int64_t first = count + operands.size();
      operands.append(loadPanel(stage, panel, half));
      operands.push_back(getDescriptor(stage, half));
      constraints += "r,r,r,r,l,";
      text += llvm::formatv(
          "wgmma.mma_async.sync.aligned.m64n{0}k16.f32.{1}.{1} {2}, {3}, ${4}, "
          "p, 1, 1, 0;\n",
          shape.rows, shape.element.isBF16() ? "bf16" : "f16",
          list(panel * ownSums, ownSums), list(first, 4), first + 4);
    }
  }
  text += "wgmma.commit_group.sync.aligned;\n"
          "wgmma.wait_group.sync.aligned 0;\n}";
  for (int64_t i = 0; i < count; ++i)
    constraints += llvm::formatv("{0}{1}", i, i + 1 < count ? "," : "");
  operands.append(sums.begin(), sums.end());
  auto type = LLVM::LLVMStructType::getLiteral(
      b.getContext(), SmallVector<Type>(count, b.getF32Type()));
  auto products = LLVM::InlineAsmOp::create(
      b, type, operands, text, constraints, /*has_side_effects=*/true,
      /*is_align_stack=*/false, LLVM::tailcallkind::TailCallKind::None,
      LLVM::AsmDialectAttr::get(b.getContext(), LLVM::AsmDialect::AD_ATT),
      /*operand_attrs=*/ArrayAttr());
  for (int64_t i = 0; i < count; ++i)
    sums[i] = LLVM::ExtractValueOp::create(b, products.getResult(0), i);
}
