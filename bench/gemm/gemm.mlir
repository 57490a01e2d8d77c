// The product that bench/gemm/run measures: rows times packed panels. It fills in ELEMENT, SIZE and QUANTIZED.
func.func @gemm(%a: memref<?x?xf32>, %p: memref<?x?x16xSIZExELEMENT>, %c: memref<?x?xf32>)
    attributes {llvm.emit_c_interface} {
  kern.panel_gemm ins(%a, %p : memref<?x?xf32>, memref<?x?x16xSIZExELEMENT>) outs(%c : memref<?x?xf32>) {QUANTIZED}
  return
}
