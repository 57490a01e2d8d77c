//===- PlaceBuffers.cpp - which buffers lie in the memory of a device -----===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/kern/KernDialect.h"
#include "passes/target/gpu/Offload.h"
#include "passes/target/gpu/Passes.h"

#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::moe {
#define GEN_PASS_DEF_PLACEBUFFERS
#include "passes/target/gpu/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

bool isBuffer(Value value) { return isa<MemRefType>(value.getType()); }

/// Values that may be the same memory share a class.
class BufferClasses {
public:
  explicit BufferClasses(func::FuncOp function) {
    function.walk([&](Operation *op) { visit(op); });
  }

  Value find(Value value) {
    Value root = value;
    for (auto it = parents.find(root); it != parents.end();
         it = parents.find(root))
      root = it->second;
    if (root != value)
      parents[value] = root;
    return root;
  }

private:
  void unite(Value a, Value b) {
    if (!isBuffer(a) || !isBuffer(b))
      return;
    a = find(a);
    b = find(b);
    if (a != b)
      parents[a] = b;
  }
  void unite(ValueRange from, ValueRange to) {
    for (auto [a, b] : llvm::zip(from, to))
      unite(a, b);
  }

  void visit(Operation *op) {
    if (auto view = dyn_cast<ViewLikeOpInterface>(op))
      return unite(view.getViewSource(), op->getResult(0));
    if (auto parts = dyn_cast<memref::ExtractStridedMetadataOp>(op))
      return unite(parts.getSource(), parts.getBaseBuffer());
    if (auto select = dyn_cast<arith::SelectOp>(op)) {
      unite(select.getTrueValue(), select.getResult());
      return unite(select.getFalseValue(), select.getResult());
    }
    auto branch = dyn_cast<RegionBranchOpInterface>(op);
    if (!branch)
      return;
    SmallVector<RegionSuccessor> successors;
    branch.getSuccessorRegions(RegionBranchPoint::parent(), successors);
    for (RegionSuccessor &successor : successors)
      unite(branch.getEntrySuccessorOperands(successor),
            successor.getSuccessorInputs());
    for (Region &region : op->getRegions())
      for (Block &block : region) {
        auto terminator =
            dyn_cast_if_present<RegionBranchTerminatorOpInterface>(
                block.mightHaveTerminator() ? block.getTerminator() : nullptr);
        if (!terminator)
          continue;
        successors.clear();
        branch.getSuccessorRegions(RegionBranchPoint(terminator), successors);
        for (RegionSuccessor &successor : successors)
          unite(terminator.getSuccessorOperands(successor),
                successor.getSuccessorInputs());
      }
  }

  DenseMap<Value, Value> parents;
};

class Placement {
public:
  static void run(func::FuncOp function) {
    hoistConstants(function);
    Placement placement(function);
    placement.choose();
    placement.moveArguments();
    placement.moveResults();
    placement.retype();
  }

private:
  explicit Placement(func::FuncOp function)
      : function(function), classes(function) {}

  /// Weights and constants are not made inside of kernels.
  static void hoistConstants(func::FuncOp function) {
    SmallVector<Operation *> constants;
    function.walk([&](Operation *op) {
      if (isa<kern::WeightOp, memref::GetGlobalOp, LLVM::AddressOfOp>(op))
        constants.push_back(op);
    });
    Block &entry = function.front();
    for (Operation *op : llvm::reverse(constants))
      op->moveBefore(&entry, entry.begin());
  }

  void markBuffers(Operation *op) {
    for (Value buffer : getOuterBuffers(op))
      onDevice.insert(classes.find(buffer));
  }

  bool touchesDevice(Operation *op) {
    return llvm::any_of(getOuterBuffers(op), [&](Value buffer) {
      return onDevice.contains(classes.find(buffer));
    });
  }

  /// What parallel loops use is on the device, and so is what sequential loops
  /// use together with that.
  void choose() {
    SmallVector<Operation *> undecided;
    forEachCandidate(function.getBody(), [&](Operation *op) {
      auto loop = dyn_cast<scf::ParallelOp>(op);
      if (canUseTensorCores(op) || (loop && !isShapeArithmetic(loop)))
        markBuffers(op);
      else
        undecided.push_back(op);
    });
    for (bool changed = true; changed;) {
      changed = false;
      SmallVector<Operation *> left;
      for (Operation *op : undecided) {
        if (touchesDevice(op)) {
          markBuffers(op);
          changed = true;
        } else {
          left.push_back(op);
        }
      }
      undecided = std::move(left);
    }
  }

  bool isPlaced(Value value) {
    return isBuffer(value) && onDevice.contains(classes.find(value));
  }

  /// Inputs are copied to the device as a whole.
  void moveArguments() {
    Block &entry = function.front();
    OpBuilder builder = OpBuilder::atBlockBegin(&entry);
    for (BlockArgument argument : entry.getArguments()) {
      if (!isPlaced(argument))
        continue;
      Location loc = argument.getLoc();
      auto type = cast<MemRefType>(argument.getType());
      SmallVector<Value> sizes;
      llvm::SmallPtrSet<Operation *, 4> keep;
      for (int64_t i = 0; i < type.getRank(); ++i)
        if (type.isDynamicDim(i)) {
          auto size = memref::DimOp::create(builder, loc, argument, i);
          keep.insert(size);
          sizes.push_back(size);
        }
      Value copy =
          memref::AllocOp::create(builder, loc, getDeviceType(type), sizes);
      keep.insert(memref::CopyOp::create(builder, loc, argument, copy));
      for (Operation *user : argument.getUsers())
        if (isa<memref::DimOp>(user))
          keep.insert(user);
      argument.replaceAllUsesExcept(copy, keep);
      moved.insert(argument);
    }
  }

  /// Results are copied to the host. Their memory on the device goes with the
  /// run.
  void moveResults() {
    function.walk([&](func::ReturnOp op) {
      OpBuilder builder(op);
      for (OpOperand &operand : op->getOpOperands()) {
        Value value = operand.get();
        if (!isPlaced(value) && !isOnDevice(value.getType()))
          continue;
        auto type = cast<MemRefType>(
            function.getResultTypes()[operand.getOperandNumber()]);
        SmallVector<Value> sizes;
        for (int64_t i = 0; i < type.getRank(); ++i)
          if (type.isDynamicDim(i))
            sizes.push_back(
                memref::DimOp::create(builder, op.getLoc(), value, i));
        Value copy = memref::AllocOp::create(builder, op.getLoc(), type, sizes);
        memref::CopyOp::create(builder, op.getLoc(), value, copy);
        operand.set(copy);
      }
    });
  }

  void retype() {
    auto retypeValue = [&](Value value) {
      if (!isPlaced(value) || moved.contains(value))
        return;
      auto type = cast<MemRefType>(value.getType());
      if (auto global = value.getDefiningOp<memref::GetGlobalOp>()) {
        // A constant of the host's code, of which the device gets a copy.
        OpBuilder builder(global);
        builder.setInsertionPointAfter(global);
        auto copy = memref::MemorySpaceCastOp::create(
            builder, value.getLoc(), getDeviceType(type), value);
        value.replaceAllUsesExcept(copy, copy);
        return;
      }
      value.setType(getDeviceType(type));
    };
    function.walk<WalkOrder::PreOrder>([&](Operation *op) {
      for (Value result : op->getResults())
        retypeValue(result);
      for (Region &region : op->getRegions())
        for (Block &block : region)
          for (Value argument : block.getArguments())
            retypeValue(argument);
    });
  }

  func::FuncOp function;
  BufferClasses classes;
  llvm::DenseSet<Value> onDevice;
  llvm::DenseSet<Value> moved;
};

struct PlaceBuffers : public moe::impl::PlaceBuffersBase<PlaceBuffers> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isExternal())
        Placement::run(function);
  }
};

} // namespace
