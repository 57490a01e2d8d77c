// RUN: moe-opt %s -kern-lower-to-vector=isa=x86-64-v3 -moe-expand-bf16 -o %t && mlir-opt %t -convert-scf-to-cf \
// RUN:   -convert-vector-to-llvm -expand-strided-metadata -lower-affine -finalize-memref-to-llvm -convert-arith-to-llvm \
// RUN:   -convert-index-to-llvm -convert-cf-to-llvm -convert-func-to-llvm -convert-ub-to-llvm \
// RUN:   -reconcile-unrealized-casts -o %t.llvm
// RUN: mlir-runner %t.llvm -e main -entry-point-result=i32 | FileCheck %s
// RUN: moe-opt %s -kern-lower-to-vector=isa=x86-64-v4 -moe-expand-bf16 -o %t && mlir-opt %t -convert-scf-to-cf \
// RUN:   -convert-vector-to-llvm -expand-strided-metadata -lower-affine -finalize-memref-to-llvm -convert-arith-to-llvm \
// RUN:   -convert-index-to-llvm -convert-cf-to-llvm -convert-func-to-llvm -convert-ub-to-llvm \
// RUN:   -reconcile-unrealized-casts -o %t.llvm
// RUN: mlir-runner %t.llvm -e main -entry-point-result=i32 | FileCheck %s

// Tests that products of rows of f32 and of bf16 with pairs of bf16 equal the sums by definition, with an even and an odd
// inner extent: no entry differs. The numbers are small integers, so that every order of summation gives the same.

// CHECK: {{^}}0{{$}}

func.func @entry(%i: index, %j: index, %factor: index) -> f32 {
  %c11 = arith.constant 11 : index
  %c5 = arith.constant 5 : i64
  %scaled = arith.muli %i, %factor : index
  %sum = arith.addi %scaled, %j : index
  %rest = arith.remui %sum, %c11 : index
  %number = arith.index_cast %rest : index to i64
  %centred = arith.subi %number, %c5 : i64
  %value = arith.sitofp %centred : i64 to f32
  return %value : f32
}

func.func @fill(%m: memref<?x?xf32>, %factor: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %rows = memref.dim %m, %c0 : memref<?x?xf32>
  %columns = memref.dim %m, %c1 : memref<?x?xf32>
  scf.for %i = %c0 to %rows step %c1 {
    scf.for %j = %c0 to %columns step %c1 {
      %value = func.call @entry(%i, %j, %factor) : (index, index, index) -> f32
      memref.store %value, %m[%i, %j] : memref<?x?xf32>
    }
  }
  return
}

func.func @differences(%a: memref<?x?xf32>, %b: memref<?x?xf32>, %c: memref<?x?xf32>) -> i32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %none = arith.constant 0 : i32
  %zero = arith.constant 0.0 : f32
  %rows = memref.dim %a, %c0 : memref<?x?xf32>
  %depth = memref.dim %a, %c1 : memref<?x?xf32>
  %columns = memref.dim %b, %c1 : memref<?x?xf32>
  %count = scf.for %i = %c0 to %rows step %c1 iter_args(%outer = %none) -> i32 {
    %row_count = scf.for %j = %c0 to %columns step %c1 iter_args(%inner = %outer) -> i32 {
      %expected = scf.for %k = %c0 to %depth step %c1 iter_args(%sum = %zero) -> f32 {
        %x = memref.load %a[%i, %k] : memref<?x?xf32>
        %y = memref.load %b[%k, %j] : memref<?x?xf32>
        %product = arith.mulf %x, %y : f32
        %next = arith.addf %sum, %product : f32
        scf.yield %next : f32
      }
      %got = memref.load %c[%i, %j] : memref<?x?xf32>
      %differs = arith.cmpf une, %got, %expected : f32
      %one = arith.extui %differs : i1 to i32
      %next = arith.addi %inner, %one : i32
      scf.yield %next : i32
    }
    scf.yield %row_count : i32
  }
  return %count : i32
}

func.func @convert(%from: memref<?x?xf32>, %to: memref<?x?xbf16>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %rows = memref.dim %from, %c0 : memref<?x?xf32>
  %columns = memref.dim %from, %c1 : memref<?x?xf32>
  scf.for %i = %c0 to %rows step %c1 {
    scf.for %j = %c0 to %columns step %c1 {
      %value = memref.load %from[%i, %j] : memref<?x?xf32>
      %narrow = arith.truncf %value : f32 to bf16
      memref.store %narrow, %to[%i, %j] : memref<?x?xbf16>
    }
  }
  return
}

func.func @check(%rows: index, %depth: index, %columns: index) -> i32 {
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %c7 = arith.constant 7 : index
  %c16 = arith.constant 16 : index
  %panels = arith.ceildivui %columns, %c16 : index
  %steps = arith.ceildivui %depth, %c2 : index
  %a = memref.alloc(%rows, %depth) : memref<?x?xf32>
  %narrow_a = memref.alloc(%rows, %depth) : memref<?x?xbf16>
  %b = memref.alloc(%depth, %columns) : memref<?x?xf32>
  %narrow_b = memref.alloc(%depth, %columns) : memref<?x?xbf16>
  %c = memref.alloc(%rows, %columns) : memref<?x?xf32>
  %p = memref.alloc(%panels, %steps) : memref<?x?x16x2xbf16>
  call @fill(%a, %c3) : (memref<?x?xf32>, index) -> ()
  call @fill(%b, %c7) : (memref<?x?xf32>, index) -> ()
  call @convert(%a, %narrow_a) : (memref<?x?xf32>, memref<?x?xbf16>) -> ()
  call @convert(%b, %narrow_b) : (memref<?x?xf32>, memref<?x?xbf16>) -> ()
  kern.pack ins(%narrow_b : memref<?x?xbf16>) outs(%p : memref<?x?x16x2xbf16>) layout #kern.packed<columns = 16, depth = 2>
  kern.panel_gemm ins(%a, %p : memref<?x?xf32>, memref<?x?x16x2xbf16>) outs(%c : memref<?x?xf32>)
  %wide = call @differences(%a, %b, %c) : (memref<?x?xf32>, memref<?x?xf32>, memref<?x?xf32>) -> i32
  kern.panel_gemm ins(%narrow_a, %p : memref<?x?xbf16>, memref<?x?x16x2xbf16>) outs(%c : memref<?x?xf32>)
  %narrow = call @differences(%a, %b, %c) : (memref<?x?xf32>, memref<?x?xf32>, memref<?x?xf32>) -> i32
  memref.dealloc %a : memref<?x?xf32>
  memref.dealloc %narrow_a : memref<?x?xbf16>
  memref.dealloc %b : memref<?x?xf32>
  memref.dealloc %narrow_b : memref<?x?xbf16>
  memref.dealloc %c : memref<?x?xf32>
  memref.dealloc %p : memref<?x?x16x2xbf16>
  %count = arith.addi %wide, %narrow : i32
  return %count : i32
}

func.func @main() -> i32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c14 = arith.constant 14 : index
  %c33 = arith.constant 33 : index
  %c75 = arith.constant 75 : index
  %c97 = arith.constant 97 : index
  %none = arith.constant 0 : i32
  %short = scf.for %rows = %c0 to %c14 step %c1 iter_args(%sum = %none) -> i32 {
    %count = func.call @check(%rows, %c33, %c75) : (index, index, index) -> i32
    %next = arith.addi %sum, %count : i32
    scf.yield %next : i32
  }
  %c34 = arith.constant 34 : index
  %tall = call @check(%c97, %c34, %c1) : (index, index, index) -> i32
  // More than one chunk of the inner extent.
  %c2101 = arith.constant 2101 : index
  %deep = call @check(%c14, %c2101, %c33) : (index, index, index) -> i32
  %some = arith.addi %short, %tall : i32
  %total = arith.addi %some, %deep : i32
  return %total : i32
}
