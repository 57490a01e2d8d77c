// Passes of the cpu stage.

#ifndef PASSES_TARGET_CPU_PASSES_TD
#define PASSES_TARGET_CPU_PASSES_TD

include "mlir/Pass/PassBase.td"

def AlignRows : Pass<"kern-align-rows"> {
  let summary = "gives kernels rows that do not push each other out of the caches";
  let description = [{
    Rows of f32 that kernels multiply many times are copied where they lie a multiple of 1024 bytes apart, so that all of
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
    6 rows by 4 vectors (x86-64-v4) or 2 vectors (x86-64-v3) of sums in registers, and one for each kind of kernel, which does
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

#endif // PASSES_TARGET_CPU_PASSES_TD
