// The kern dialect: the panel kernel below moe, its packed layouts and the weights of an artifact.

#ifndef DIALECTS_KERN_KERNDIALECT_TD
#define DIALECTS_KERN_KERNDIALECT_TD

include "mlir/IR/OpBase.td"

def Kern_Dialect : Dialect {
  let name = "kern";
  let cppNamespace = "::mlir::kern";
  let summary = "one contraction over packed panels, and where weights lie in an artifact";
  let description = [{
    `moe.* + linalg -> kern.* -> vector/scf -> llvm`

    The dialect knows how numbers are packed (`#kern.packed`), where they lie in the weights section of an artifact
    (`kern.segment`) and operations that multiply rows with packed panels: `kern.panel_gemm` and the two halves of a
    group of experts, `kern.experts_hidden` and `kern.experts_combine`.
  }];
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::mlir::moe::MoEDialect"];
  let extraClassDeclaration = [{
    void registerAttributes();
  }];
}

#endif // DIALECTS_KERN_KERNDIALECT_TD
