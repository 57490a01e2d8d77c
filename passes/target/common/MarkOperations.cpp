//===- MarkOperations.cpp - names the loops for profiles ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/common/HostCalls.h"
#include "passes/target/common/Passes.h"

#include "llvm/ADT/SetVector.h"

namespace mlir::moe {
#define GEN_PASS_DEF_MARKOPERATIONS
#include "passes/target/common/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// More nodes than these in one name help nobody.
constexpr size_t kNamesShown = 3;

/// The nodes that an operation came from, in order.
std::string getNodeNames(Operation *op) {
  llvm::SmallSetVector<StringRef, 4> names;
  op->getLoc()->walk([&](Location location) {
    if (auto name = dyn_cast<NameLoc>(location))
      if (!name.getName().empty())
        names.insert(name.getName());
    return WalkResult::advance();
  });
  if (names.empty())
    return op->getName().getStringRef().str();
  std::string text =
      llvm::join(ArrayRef(names.getArrayRef()).take_front(kNamesShown), " + ");
  if (names.size() > kNamesShown)
    text += " + ...";
  return text;
}

bool hasParallelLoop(Operation *op) {
  return op->walk([](scf::ParallelOp) { return WalkResult::interrupt(); })
      .wasInterrupted();
}

struct MarkOperations : public moe::impl::MarkOperationsBase<MarkOperations> {
  void runOnOperation() override {
    module = getOperation();
    globals.clear();
    if (auto main = module.lookupSymbol<func::FuncOp>("main"))
      markRegion(main.getBody());
  }

private:
  void markRegion(Region &region) {
    for (Block &block : region) {
      std::string last;
      for (Operation &op : llvm::make_early_inc_range(block)) {
        bool isLoop = isa<LoopLikeOpInterface>(op);
        bool isWork = isa<scf::ParallelOp, memref::CopyOp>(op) ||
                      (isLoop && !hasParallelLoop(&op));
        if (!isWork) {
          for (Region &inner : op.getRegions())
            markRegion(inner);
          // What stood before is over.
          if (op.getNumRegions())
            last.clear();
          continue;
        }
        std::string name = getNodeNames(&op);
        if (name != last)
          mark(&op, name);
        last = std::move(name);
      }
    }
  }

  void mark(Operation *op, StringRef name) {
    OpBuilder builder(op);
    Value address =
        LLVM::AddressOfOp::create(builder, op->getLoc(), getGlobal(name));
    func::CallOp::create(builder, op->getLoc(), getHostMark(module), address);
  }

  LLVM::GlobalOp getGlobal(StringRef name) {
    LLVM::GlobalOp &global = globals[name];
    if (global)
      return global;
    OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
    std::string value = name.str() + '\0';
    auto type = LLVM::LLVMArrayType::get(builder.getI8Type(), value.size());
    global =
        LLVM::GlobalOp::create(builder, module.getLoc(), type,
                               /*isConstant=*/true, LLVM::Linkage::Internal,
                               ("operation_" + Twine(globals.size() - 1)).str(),
                               builder.getStringAttr(value));
    return global;
  }

  ModuleOp module;
  llvm::StringMap<LLVM::GlobalOp> globals;
};

} // namespace
