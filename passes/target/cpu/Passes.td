// Passes of the cpu stage.

#ifndef PASSES_TARGET_CPU_PASSES_TD
#define PASSES_TARGET_CPU_PASSES_TD

include "mlir/Pass/PassBase.td"

def AlignRows : Pass<"kern-align-rows"> {
  let summary = "gives kernels rows that do not push each other out of the caches";
  let description = [{
    Rows that kernels multiply many times are copied where they lie a multiple of 1024 bytes apart, so that all of
    them meet in a few sets of the caches; the copy has one cache line more for each row. The values between the two
    halves of the experts get such rows from the start. Narrow rows are copied to f32, but for rows of bf16 that meet
    panels of bf16: some levels multiply them as they are.

    *Preconditions*: tensors.
    *Guarantees*: the left operand of a kernel is f32, or it and the panels are bf16.

    ```mlir
    func.func @main(%x: tensor<?x256xf32>, %w: tensor<8x256x16x1xf32>, %init: tensor<?x128xf32>) -> tensor<?x128xf32> {
      %y = kern.panel_gemm ins(%x, %w : tensor<?x256xf32>, tensor<8x256x16x1xf32>) outs(%init : tensor<?x128xf32>)
             -> tensor<?x128xf32>
      return %y : tensor<?x128xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def LowerKernToVector : Pass<"kern-lower-to-vector", "::mlir::ModuleOp"> {
  let summary = "turns kern operations into parallel loops around kernels of vectors";
  let description = [{
    Adds one function for each type of rows and panels, which multiplies rows with a block of panels, holding a tile of
    6 rows by 4 vectors (2 vectors for x86-64-v3) of sums in registers, and one for each kind of kernel, which does
    with the sums what the operation asks for. Extents and strides are arguments, so the layers of a model share the
    kernels. Around them go `scf.parallel` loops over blocks of rows and columns.

    *Preconditions*: bufferized.
    *Guarantees*: no op of the kern dialect is left but `kern.segment` and `kern.weight`.

    ```mlir
    func.func @main(%x: memref<?x8xf32>, %w: memref<1x8x16x1xf32>, %y: memref<?x4xf32>) {
      kern.panel_gemm ins(%x, %w : memref<?x8xf32>, memref<1x8x16x1xf32>) outs(%y : memref<?x4xf32>)
      return
    }
    ```
  }];
  let options = [Option<"isa", "isa", "std::string", /*default=*/"\"x86-64-v3\"", "instruction set level">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::math::MathDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::vector::VectorDialect"];
}

def LowerAttention : Pass<"kern-lower-attention", "::mlir::ModuleOp"> {
  let summary = "turns attention into parallel loops over blocks of queries and keys";
  let description = [{
    A task takes up to 64 rows of queries (positions, and the heads that share keys and values) and goes through the
    keys in blocks: products with the turned keys, the region of the operation, powers, weighted values, and the sum with
    what came before, scaled to the greatest score so far. With few rows each block of keys is a task, and the blocks are
    joined afterwards: the same arithmetic, so the bits of a row do not depend on it. Blocks begin at multiples of
    a number of keys that depends on the head sizes alone (128 for 128). Blocks that no row of the task sees, by what
    the region compares the key with, are left out.

    Keys and values are read where they are; values are copied, as f32, only if they are narrow or no multiple of 16
    wide. The scratch memory of a task, about 200 KiB for heads of 128, lies on the stack.

    *Preconditions*: bufferized.
    *Guarantees*: no `kern.attention` is left.

    ```mlir
    func.func @main(%q: memref<?x8xf32>, %k: memref<?x8xf32>, %v: memref<?x4xf32>, %y: memref<?x4xf32>) {
      kern.attention ins(%q, %k, %v : memref<?x8xf32>, memref<?x8xf32>, memref<?x4xf32>) outs(%y : memref<?x4xf32>)
        {indexing_maps = [affine_map<(s, t, d, e) -> (s, d)>, affine_map<(s, t, d, e) -> (t, d)>,
                          affine_map<(s, t, d, e) -> (t, e)>, affine_map<(s, t, d, e) -> (s, e)>]} score {
      ^bb0(%p: f32, %s: index, %t: index):
        kern.yield %p : f32
      }
      return
    }
    ```
  }];
  let options = [Option<"isa", "isa", "std::string", /*default=*/"\"x86-64-v3\"", "instruction set level">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::math::MathDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
}

#endif // PASSES_TARGET_CPU_PASSES_TD
