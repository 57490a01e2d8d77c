// Passes of the gpu stage.

#ifndef PASSES_TARGET_GPU_PASSES_TD
#define PASSES_TARGET_GPU_PASSES_TD

include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

def LowerKernToLoops : Pass<"gpu-lower-kern-to-loops"> {
  let summary = "turns kern operations into parallel loops over single results";
  let description = [{
    One iteration computes one number of the result, in f32 and in rising order of the inner extent. It is the form that
    every type and shape has; kernels with tensor cores take what they can before this pass.

    *Preconditions*: bufferized.
    *Guarantees*: no op of the kern dialect is left but `kern.segment`, `kern.weight` and, without `all`, what
    `gpu-lower-kern-to-mma` takes.

    ```mlir
    func.func @main(%x: memref<?x8xf32>, %w: memref<1x8x16x1xf32>, %y: memref<?x4xf32>) {
      kern.panel_gemm ins(%x, %w : memref<?x8xf32>, memref<1x8x16x1xf32>) outs(%y : memref<?x4xf32>)
      return
    }
    ```
  }];
  let options = [Option<"all", "all", "bool", /*default=*/"false", "even what tensor cores can do">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

def LowerKernToMMA : Pass<"gpu-lower-kern-to-mma", "::mlir::ModuleOp"> {
  let summary = "turns products of bf16 and f16 into kernels with tensor cores";
  let description = [{
    Each product of rows with panels of bf16, or f16, becomes a kernel (passes/target/gpu/MatrixTile.h): rows are gathered and
    panels fetched by asynchronous copies, several steps ahead; sums stay in registers in f32, in rising order of the
    inner extent, so that a row of the result does not depend on the others; bias, activation and mixing weight are
    applied to them there. Warps multiply by `mma.sync` (MmaTile.h) or, on sm_90a, groups of four by `wgmma`
    (WgmmaTile.h).

    There are kernels for few, some and many rows, and the host picks one by the number of rows, for experts by the mean
    number of rows of one. For experts a list of blocks of rows is made on the device first, from the offsets. The
    second half of the experts writes its products by position; another kernel adds those of a token in a fixed order.

    *Preconditions*: `gpu-place-buffers`.

    ```mlir
    func.func @main(%x: memref<?x64xbf16, 1>, %w: memref<2x32x16x2xbf16, 1>, %y: memref<?x32xf32, 1>) {
      kern.panel_gemm ins(%x, %w : memref<?x64xbf16, 1>, memref<2x32x16x2xbf16, 1>) outs(%y : memref<?x32xf32, 1>)
      return
    }
    ```
  }];
  let options = [Option<"arch", "arch", "std::string", /*default=*/"\"sm_80\"", "architecture: sm_90a has wgmma">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect"];
}

def PlaceBuffers : Pass<"gpu-place-buffers", "::mlir::ModuleOp"> {
  let summary = "puts the buffers that parallel loops use into the memory of the device";
  let description = [{
    Buffers that may be the same memory form a class. The classes that parallel loops use, and those that sequential
    loops use together with them, get memory space 1. Loops over a few integers (shapes) stay on the host with what they
    use. Inputs on the device are copied there at the start, results from there at the end.

    *Preconditions*: bufferized; no op of the kern dialect is left but `kern.segment` and `kern.weight`.

    ```mlir
    func.func @main(%x: memref<?x64xf32>, %rows: index) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %c64 = arith.constant 64 : index
      scf.parallel (%i, %j) = (%c0, %c0) to (%rows, %c64) step (%c1, %c1) {
        %v = memref.load %x[%i, %j] : memref<?x64xf32>
        %d = arith.addf %v, %v : f32
        memref.store %d, %x[%i, %j] : memref<?x64xf32>
      }
      return
    }
    ```
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect"];
}

def OutlineKernels : Pass<"gpu-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "moves loops over buffers of the device into kernels";
  let description = [{
    An outermost `scf.parallel` becomes a kernel of one thread for each iteration, an outermost sequential loop one of a
    single thread, in the module `@kernels`. Loops that differ in their buffers only share a kernel. In the place of the
    loop the host launches it: `moert_device_launch(name, blocks, threads, bytes of shared memory, arguments)`, see
    runtime/core/DeviceInterface.h.

    A failed assertion (`moert_fail`) in a kernel records its message and ends the thread; kernels that start after that
    do nothing, and the host finds the record when it next reads from the device.

    *Preconditions*: `gpu-place-buffers`.
    *Guarantees*: no loop of the host accesses the memory of the device, but for loops that allocate memory.

    ```mlir
    func.func @main(%x: memref<?x64xf32, 1>, %rows: index) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %c64 = arith.constant 64 : index
      scf.parallel (%i, %j) = (%c0, %c0) to (%rows, %c64) step (%c1, %c1) {
        %v = memref.load %x[%i, %j] : memref<?x64xf32, 1>
        %d = arith.addf %v, %v : f32
        memref.store %d, %x[%i, %j] : memref<?x64xf32, 1>
      }
      return
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect"];
}

//===----------------------------------------------------------------------===//
// Inside of kernels
//===----------------------------------------------------------------------===//

def DeviceMath : Pass<"gpu-device-math"> {
  let summary = "replaces mathematical functions by arithmetic";
  let description = [{
    sin, cos and pow of f32 are computed in f64, to one unit in the last place (sin and cos for arguments below 2^50);
    exp, log, tanh, erf and their relatives become the polynomials of `moe-approximate-math`.

    *Guarantees*: what is left of the math dialect are instructions of every device.

    ```mlir
    func.func @cos(%x: f32) -> f32 {
      %y = math.cos %x : f32
      return %y : f32
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::vector::VectorDialect"];
}

def MarkKernels : Pass<"gpu-mark-kernels", "::mlir::ModuleOp"> {
  let summary = "tells the back end which functions are kernels";
  let description = [{
    A function with the attribute `moe.threads` gets `nvvm.kernel` and `nvvm.maxntid`.

    *Preconditions*: LLVM dialect only.

    ```mlir
    llvm.func @kernel_0(%record: i64) attributes {moe.threads = 128} {
      llvm.return
    }
    ```
  }];
  let dependentDialects = ["::mlir::NVVM::NVVMDialect"];
}

//===----------------------------------------------------------------------===//
// The host's code
//===----------------------------------------------------------------------===//

def LowerDeviceBuffers : Pass<"gpu-lower-device-buffers", "::mlir::ModuleOp"> {
  let summary = "turns what the host does with buffers of the device into calls";
  let description = [{
    Allocations, copies and accesses to single numbers in memory space 1 become calls of the functions of `MoertDevice`
    (runtime/core/DeviceInterface.h), and so do weights and constants that the device uses. Sizes, strides and views
    need nothing: a descriptor of a buffer on the device is an ordinary one.

    *Preconditions*: `gpu-outline-kernels`.

    ```mlir
    func.func @main(%x: memref<4xf32, 1>) -> f32 {
      %c0 = arith.constant 0 : index
      %v = memref.load %x[%c0] : memref<4xf32, 1>
      return %v : f32
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::memref::MemRefDialect"];
}

def EmitDeviceTable : Pass<"gpu-emit-device-table", "::mlir::ModuleOp"> {
  let summary = "adds the calls of the functions of a device";
  let description = [{
    Defines the variable `moert_device`, which the loader sets, and bodies for the functions `moert_device_...` that are
    called, each a call through the table.

    *Preconditions*: LLVM dialect only.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif // PASSES_TARGET_GPU_PASSES_TD
