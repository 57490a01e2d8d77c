// Passes that every target shares: the reference lowering and the way from loops to the host interface.

#ifndef PASSES_TARGET_COMMON_PASSES_TD
#define PASSES_TARGET_COMMON_PASSES_TD

include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------===//
// Meaning
//===----------------------------------------------------------------------===//

def NarrowHidden : Pass<"moe-narrow-hidden"> {
  let summary = "rounds the values between the halves of the experts to 16 bits";
  let description = [{
    Where rows and panels of both halves are bf16, so are the values between them, as in the frameworks that such models
    come from: tensor cores and some CPUs multiply bf16. With `f16` the same holds for f16, which tensor cores multiply.

    *Preconditions*: tensors.

    ```mlir
    func.func @main(%x: tensor<?x64xbf16>, %rows: tensor<?xi32>, %offsets: tensor<9xi32>,
                    %up: tensor<8x2x32x16x2xbf16>, %down: tensor<8x4x16x16x2xbf16>, %h: tensor<?x32xf32>,
                    %n: index, %init: tensor<?x64xf32>) -> tensor<?x64xf32> {
      %empty = tensor.empty(%n) : tensor<?x32xf32>
      %hidden = kern.experts_hidden %x, %rows, %offsets, %up outs(%empty : tensor<?x32xf32>)
        {activation = #moe.activation<relu>, slots = 2}
        : tensor<?x64xbf16>, tensor<?xi32>, tensor<9xi32>, tensor<8x2x32x16x2xbf16> -> tensor<?x32xf32>
      %y = kern.experts_combine %hidden, %rows, %offsets, %down outs(%init : tensor<?x64xf32>) {slots = 2}
        : tensor<?x32xf32>, tensor<?xi32>, tensor<9xi32>, tensor<8x4x16x16x2xbf16> -> tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let options = [Option<"f16", "f16", "bool", /*default=*/"false", "f16, too">];
  let dependentDialects = ["::mlir::tensor::TensorDialect"];
}

def LowerReference : Pass<"moe-lower-reference"> {
  let summary = "turns operations of the moe dialect into plain loops";
  let description = [{
    The executable meaning of the operations of levels 2 and 3 (`moe.shared` included): sequential loops over tensors,
    slow and obviously right. Every optimised lowering is tested against it. For `moe.route_permute` it is also the form
    that is shipped: one loop nest computes scores, choice, weights and histogram of a token, then come the scan and the
    placement.

    *Preconditions*: level 1 has been fused away (`moe-fuse-routing-permutation`, `moe-fuse-experts`).
    *Guarantees*: chosen ids are distinct and in range for every bit pattern of the logits; ids that the model computed
    are checked by a `cf.assert`; the loops update their tensors in place after bufferization.

    ```mlir
    func.func @order(%ids: tensor<?x2xi32>) -> (tensor<?xi32>, tensor<9xi32>) {
      %rows, %offsets = moe.permute %ids {experts = 8} : tensor<?x2xi32> -> tensor<?xi32>, tensor<9xi32>
      return %rows, %offsets : tensor<?xi32>, tensor<9xi32>
    }
    ```
  }];
  let options = [Option<"attention", "attention", "bool", /*default=*/"false",
                        "lower kern.attention too, for which every target has a faster way">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::bufferization::BufferizationDialect",
                           "::mlir::cf::ControlFlowDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
                           "::mlir::tensor::TensorDialect"];
}

//===----------------------------------------------------------------------===//
// Before bufferization
//===----------------------------------------------------------------------===//

def AppendInPlace : Pass<"moe-append-in-place", "::mlir::ModuleOp"> {
  let summary = "lets outputs that are inputs with more entries grow in place";
  let description = [{
    A result of `main` that is an argument followed by new entries along a dimension, such as the cache of a decoder,
    becomes memory from the host function `moert_append`: it holds the entries of the argument already, and only the new
    ones are written, by `tensor.insert_slice` and loops of them. The argument itself must not be read otherwise, as its rows
    may have gaps.

    *Guarantees*: such results are dropped from `main`; the attributes `moe.states` and `moe.output_indices` tell which
    outputs of the model they were, and which the others are.

    ```mlir
    func.func @main(%past: tensor<?x2x?x16xf32>, %new: tensor<?x2x?x16xf32>) -> tensor<?x2x?x16xf32> {
      %c0 = arith.constant 0 : index
      %c2 = arith.constant 2 : index
      %batch = tensor.dim %past, %c0 : tensor<?x2x?x16xf32>
      %held = tensor.dim %past, %c2 : tensor<?x2x?x16xf32>
      %added = tensor.dim %new, %c2 : tensor<?x2x?x16xf32>
      %total = arith.addi %held, %added : index
      %empty = tensor.empty(%batch, %total) : tensor<?x2x?x16xf32>
      %copy = tensor.insert_slice %past into %empty[0, 0, 0, 0] [%batch, 2, %held, 16] [1, 1, 1, 1]
                : tensor<?x2x?x16xf32> into tensor<?x2x?x16xf32>
      %present = tensor.insert_slice %new into %copy[0, 0, %held, 0] [%batch, 2, %added, 16] [1, 1, 1, 1]
                : tensor<?x2x?x16xf32> into tensor<?x2x?x16xf32>
      return %present : tensor<?x2x?x16xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::bufferization::BufferizationDialect",
                           "::mlir::cf::ControlFlowDialect", "::mlir::func::FuncDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::LLVM::LLVMDialect", "::mlir::memref::MemRefDialect", "::mlir::tensor::TensorDialect"];
}

//===----------------------------------------------------------------------===//
// From loops to the host interface
//===----------------------------------------------------------------------===//

def LowerAsserts : Pass<"moe-lower-asserts", "::mlir::ModuleOp"> {
  let summary = "turns failed assertions into errors of the run";
  let description = [{
    Replaces `cf.assert` by a call of the host function `moert_fail` where the condition is false. The call ends the run
    with the message; see runtime/core/HostInterface.h.

    *Guarantees*: no `cf.assert` is left.

    ```mlir
    func.func @check(%ok: i1) {
      cf.assert %ok, "index out of range"
      return
    }
    ```
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::LLVM::LLVMDialect", "::mlir::func::FuncDialect",
                           "::mlir::arith::ArithDialect"];
}

def LowerCopies : Pass<"moe-lower-copies"> {
  let summary = "turns copies between strided buffers into loops";
  let description = [{
    A `memref.copy` with a side that is not row-major and contiguous becomes a `linalg.generic`; the others stay, they
    become `memcpy`.

    ```mlir
    func.func @head(%a: memref<8x4xf32>, %b: memref<8x2xf32>) {
      %head = memref.subview %a[0, 0] [8, 2] [1, 1] : memref<8x4xf32> to memref<8x2xf32, strided<[4, 1]>>
      memref.copy %head, %b : memref<8x2xf32, strided<[4, 1]>> to memref<8x2xf32>
      return
    }
    ```
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
}

def LowerExchange : Pass<"moe-lower-exchange", "::mlir::ModuleOp"> {
  let summary = "turns exchanges between ranks into calls of the runtime";
  let description = [{
    `moe.exchange.begin`, `dispatch` and `combine` become calls of `moert_exchange_begin`, `_dispatch` and `_combine` with
    the number of the layer, addresses, distances of rows and extents (runtime/core/HostInterface.h). The runtime finds the
    placement of the layer in the manifest.

    *Preconditions*: bufferized; rows have no gaps between their numbers.

    ```mlir
    func.func @main(%s: memref<?x64xf32>, %y: memref<?x64xf32>) {
      moe.exchange.combine ins(%s : memref<?x64xf32>) outs(%y : memref<?x64xf32>) {layer = 0}
      return
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::LLVM::LLVMDialect"];
}

def LowerReductions : Pass<"moe-lower-reductions"> {
  let summary = "turns reductions into loops whose results stay in registers";
  let description = [{
    A `linalg.generic` with reduction loops, whose first operand is read along one of them, becomes a parallel loop over
    the others; inside, the results are carried from step to step and stored once. Where the operation may be reordered,
    the later vectoriser keeps several of them in vector lanes: in an order that the other dimensions do not change.

    *Preconditions*: bufferized.

    ```mlir
    func.func @sums(%a: memref<?x64xf32>, %sums: memref<?xf32>) {
      linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
                      iterator_types = ["parallel", "reduction"]} ins(%a : memref<?x64xf32>) outs(%sums : memref<?xf32>) {
      ^bb0(%x: f32, %sum: f32):
        %next = arith.addf %sum, %x fastmath<reassoc> : f32
        linalg.yield %next : f32
      }
      return
    }
    ```
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect"];
}

def LowerReshapes : Pass<"moe-lower-reshapes"> {
  let summary = "computes the strides of views that split a dimension into unknown extents";
  let description = [{
    A `memref.expand_shape` with two or more dynamic extents for one dimension becomes a `memref.reinterpret_cast`:
    `expand-strided-metadata` of LLVM 22 takes one dynamic extent at most.

    ```mlir
    func.func @rows(%a: memref<?xf32>, %m: index, %n: index) -> memref<?x?xf32> {
      %b = memref.expand_shape %a [[0, 1]] output_shape [%m, %n] : memref<?xf32> into memref<?x?xf32>
      return %b : memref<?x?xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect"];
}

def ApproximateMath : Pass<"moe-approximate-math"> {
  let summary = "replaces functions of f32 by arithmetic that vectorises";
  let description = [{
    exp, log, tanh, erf and their relatives become polynomials with an error of a few units in the last place. sin, cos
    and pow stay, they are left to the mathematical library: their arguments may be large.

    ```mlir
    func.func @exp(%x: vector<16xf32>) -> vector<16xf32> {
      %y = math.exp %x : vector<16xf32>
      return %y : vector<16xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::vector::VectorDialect"];
}

def ExpandBF16 : Pass<"moe-expand-bf16"> {
  let summary = "converts between bf16 and f32 by integer arithmetic";
  let description = [{
    *Guarantees*: no `arith.extf` from bf16 to f32 and no `arith.truncf` from f32 to bf16 is left. The latter rounds to
    nearest, ties to even.

    ```mlir
    func.func @round(%x: vector<16xf32>) -> vector<16xbf16> {
      %y = arith.truncf %x : vector<16xf32> to vector<16xbf16>
      return %y : vector<16xbf16>
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def OutlineParallel : Pass<"moe-outline-parallel", "::mlir::ModuleOp"> {
  let summary = "moves parallel loops into tasks of the host's thread pool";
  let description = [{
    Each outermost `scf.parallel` becomes a function over a range of linearised iterations, called through the host
    function `moert_parallel`. The loop over the last dimension stays inside a task where the body has no loops of its
    own, so that it can be vectorised. A loop whose whole work is known to be smaller than what waking a thread costs,
    and every loop inside another parallel loop, becomes `scf.for`. Loops that differ in the buffers only share a task.

    *Preconditions*: bufferized; the loops have no reductions (others become sequential).
    *Guarantees*: no `scf.parallel` is left.

    ```mlir
    func.func @scale(%a: memref<?x64xf32>, %rows: index) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %c64 = arith.constant 64 : index
      scf.parallel (%i, %j) = (%c0, %c0) to (%rows, %c64) step (%c1, %c1) {
        %v = memref.load %a[%i, %j] : memref<?x64xf32>
        %d = arith.addf %v, %v : f32
        memref.store %d, %a[%i, %j] : memref<?x64xf32>
      }
      return
    }
    ```
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::LLVM::LLVMDialect", "::mlir::func::FuncDialect",
                           "::mlir::arith::ArithDialect"];
}

def MarkOperations : Pass<"moe-mark-operations", "::mlir::ModuleOp"> {
  let summary = "names the loops of the entry function for profiles";
  let description = [{
    A call of the host function `moert_mark` before each outermost parallel loop, sequential loop and copy of `main` that
    came from other nodes than the one before, with their names. It does nothing but in a profile.

    ```mlir
    func.func @main(%a: memref<?xf32>, %b: memref<?xf32>) {
      memref.copy %a, %b : memref<?xf32> to memref<?xf32>
      return
    }
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::func::FuncDialect"];
}

def LowerWeights : Pass<"moe-lower-weights", "::mlir::ModuleOp"> {
  let summary = "turns weights into addresses within the weights section";
  let description = [{
    A `kern.weight` becomes a memref at the offset of its segment from `moert_weights`, the address that the loader
    stores in the code object. The segments themselves go: the artifact writer has read them before.

    *Preconditions*: bufferized.
    *Guarantees*: no op of the kern dialect is left.

    ```mlir
    kern.segment @bias "bias" {offset = 64 : i64, sources = [], source_type = tensor<16xf32>} : tensor<16xf32>
    func.func @first() -> f32 {
      %c0 = arith.constant 0 : index
      %bias = kern.weight @bias : memref<16xf32>
      %v = memref.load %bias[%c0] : memref<16xf32>
      return %v : f32
    }
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def MarkEntry : Pass<"moe-mark-entry", "::mlir::ModuleOp"> {
  let summary = "asks for the C interface of the entry function";
  let description = [{
    Sets `llvm.emit_c_interface` on `main`, for `moe-emit-entry` to call.

    ```mlir
    func.func @main(%x: memref<4xf32>) -> memref<4xf32> {
      return %x : memref<4xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def EmitEntry : Pass<"moe-emit-entry", "::mlir::ModuleOp"> {
  let summary = "adds what a code object exports and the calls of host functions";
  let description = [{
    Defines `moert_main`, which unpacks the descriptors of the inputs, calls the C interface of `main` and stores the
    descriptors of the outputs that `main` returns (`moe.output_indices`); the variables `moert_host` and `moert_weights`; and bodies for the host functions that
    are called, each a call through the table at `moert_host`. Everything else becomes private to the object.

    *Preconditions*: LLVM dialect only; `main` has the attribute `llvm.emit_c_interface`.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif // PASSES_TARGET_COMMON_PASSES_TD
