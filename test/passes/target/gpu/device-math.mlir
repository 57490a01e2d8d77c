// RUN: moe-opt %s --gpu-device-math -o %t && mlir-opt %t -convert-scf-to-cf -convert-vector-to-llvm -convert-math-to-llvm -convert-arith-to-llvm \
// RUN:   -convert-cf-to-llvm -convert-func-to-llvm -reconcile-unrealized-casts -o %t.llvm
// RUN: mlir-runner %t.llvm -e main -entry-point-result=i32 | FileCheck %s

// Tests that sin, cos and pow of f32 agree with the C library to one unit in the last place, for small and large arguments,
// and that pow has its special cases: the number of disagreements is 0.

// CHECK: {{^}}0{{$}}

func.func private @sinf(f32) -> f32
func.func private @cosf(f32) -> f32
func.func private @powf(f32, f32) -> f32

// 1 if the numbers are more than one unit apart, NaN being equal to NaN.
func.func @differs(%a: f32, %b: f32) -> i32 {
  %one = arith.constant 1 : i32
  %minus_one = arith.constant -1 : i32
  %x = arith.bitcast %a : f32 to i32
  %y = arith.bitcast %b : f32 to i32
  %distance = arith.subi %x, %y : i32
  %high = arith.cmpi sgt, %distance, %one : i32
  %low = arith.cmpi slt, %distance, %minus_one : i32
  %far = arith.ori %high, %low : i1
  %a_nan = arith.cmpf uno, %a, %a : f32
  %b_nan = arith.cmpf uno, %b, %b : f32
  %both = arith.andi %a_nan, %b_nan : i1
  %zeros = arith.cmpf oeq, %a, %b : f32
  %equal = arith.ori %both, %zeros : i1
  %true = arith.constant true
  %unequal = arith.xori %equal, %true : i1
  %wrong = arith.andi %far, %unequal : i1
  %result = arith.extui %wrong : i1 to i32
  return %result : i32
}

func.func @trigonometry(%step: f32) -> i32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2000 = arith.constant 2000 : index
  %none = arith.constant 0 : i32
  %middle = arith.constant 1000.0 : f32
  %count = scf.for %i = %c0 to %c2000 step %c1 iter_args(%sum = %none) -> i32 {
    %n = arith.index_cast %i : index to i32
    %f = arith.sitofp %n : i32 to f32
    %centred = arith.subf %f, %middle : f32
    %x = arith.mulf %centred, %step : f32
    %s = math.sin %x : f32
    %c = math.cos %x : f32
    %s_expected = func.call @sinf(%x) : (f32) -> f32
    %c_expected = func.call @cosf(%x) : (f32) -> f32
    %ds = func.call @differs(%s, %s_expected) : (f32, f32) -> i32
    %dc = func.call @differs(%c, %c_expected) : (f32, f32) -> i32
    %partial = arith.addi %sum, %ds : i32
    %next = arith.addi %partial, %dc : i32
    scf.yield %next : i32
  }
  return %count : i32
}

func.func @power(%base: f32, %exponent: f32) -> i32 {
  %got = math.powf %base, %exponent : f32
  %expected = func.call @powf(%base, %exponent) : (f32, f32) -> f32
  %d = func.call @differs(%got, %expected) : (f32, f32) -> i32
  return %d : i32
}

func.func @powers() -> i32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c60 = arith.constant 60 : index
  %none = arith.constant 0 : i32
  %middle = arith.constant 29.0 : f32
  %quarter = arith.constant 0.25 : f32
  %count = scf.for %i = %c0 to %c60 step %c1 iter_args(%outer = %none) -> i32 {
    %row = scf.for %j = %c0 to %c60 step %c1 iter_args(%sum = %outer) -> i32 {
      %n = arith.index_cast %i : index to i32
      %m = arith.index_cast %j : index to i32
      %f = arith.sitofp %n : i32 to f32
      %g = arith.sitofp %m : i32 to f32
      %x = arith.subf %f, %middle : f32
      %centred = arith.subf %g, %middle : f32
      %y = arith.mulf %centred, %quarter : f32
      %d = func.call @power(%x, %y) : (f32, f32) -> i32
      %next = arith.addi %sum, %d : i32
      scf.yield %next : i32
    }
    scf.yield %row : i32
  }
  return %count : i32
}

func.func @special() -> i32 {
  %none = arith.constant 0 : i32
  %infinity = arith.constant 0x7F800000 : f32
  %minus_infinity = arith.constant 0xFF800000 : f32
  %nan = arith.constant 0x7FC00000 : f32
  %zero = arith.constant 0.0 : f32
  %minus_zero = arith.constant -0.0 : f32
  %one = arith.constant 1.0 : f32
  %minus_one = arith.constant -1.0 : f32
  %three = arith.constant 3.0 : f32
  %minus_three = arith.constant -3.0 : f32
  %half = arith.constant 0.5 : f32
  %large = arith.constant 1.0e30 : f32
  %values = vector.from_elements %infinity, %minus_infinity, %nan, %zero, %minus_zero, %one, %minus_one, %three, %minus_three, %half, %large : vector<11xf32>
  %e0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c11 = arith.constant 11 : index
  %count = scf.for %i = %e0 to %c11 step %c1 iter_args(%outer = %none) -> i32 {
    %row = scf.for %j = %e0 to %c11 step %c1 iter_args(%sum = %outer) -> i32 {
      %x = vector.extract %values[%i] : f32 from vector<11xf32>
      %y = vector.extract %values[%j] : f32 from vector<11xf32>
      %d = func.call @power(%x, %y) : (f32, f32) -> i32
      %next = arith.addi %sum, %d : i32
      scf.yield %next : i32
    }
    scf.yield %row : i32
  }
  return %count : i32
}

func.func @main() -> i32 {
  %small = arith.constant 0.0173 : f32
  %large = arith.constant 1234.567 : f32
  %a = func.call @trigonometry(%small) : (f32) -> i32
  %b = func.call @trigonometry(%large) : (f32) -> i32
  %c = func.call @powers() : () -> i32
  %d = func.call @special() : () -> i32
  %ab = arith.addi %a, %b : i32
  %cd = arith.addi %c, %d : i32
  %sum = arith.addi %ab, %cd : i32
  return %sum : i32
}
