// Operations of the kern dialect.

#ifndef DIALECTS_KERN_KERNOPS_TD
#define DIALECTS_KERN_KERNOPS_TD

include "mlir/IR/CommonTypeConstraints.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/kern/KernAttributes.td"

class Kern_Op<string mnemonic, list<Trait> traits = []> : Op<Kern_Dialect, mnemonic, traits>;

def Kern_SegmentOp : Kern_Op<"segment", [Symbol]> {
  let summary = "a piece of the weights section of the artifact";
  let description = [{
    The bytes at `offset` of the weights section hold a tensor of type `type`. Its numbers come from `sources`: each is
    an array of `#moe.view`, read as in `moe.weight`, of type `source_type`, and converted to the element type of `type`.
    Without `packed` there is one source and `type` is `source_type`, row-major, up to the element type.

    **Constraints**
    - (C1) `offset` is a multiple of 64.
    - (C2) without `packed`: one source of the shape of `type`; with it: the physical shape of `#kern.packed`.

    Example:
    ```mlir
    kern.segment @experts_down "experts.down" {offset = 4096 : i64, packed = #kern.packed<columns = 16, depth = 1>,
      source_type = tensor<8x32x64xf32>,
      sources = [[#moe.view<"model.onnx", offset = 64, element = f32, strides = [2048, 1, 32]>]]} : tensor<8x4x32x16xf32>
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$weight_name, I64Attr:$offset, ArrayAttr:$sources,
                       TypeAttr:$source_type, OptionalAttr<Kern_PackedAttr>:$packed, TypeAttr:$type);
  let assemblyFormat = "$sym_name $weight_name attr-dict `:` $type";
}

def Kern_WeightOp : Kern_Op<"weight", [Pure]> {
  let summary = "the numbers of a segment, read-only";
  let description = [{
    Example:
    ```mlir
    %w = kern.weight @experts_down : tensor<8x4x32x16xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$segment);
  let results = (outs AnyTypeOf<[AnyStaticShapeTensor, AnyMemRef]>:$result);
  let assemblyFormat = "$segment attr-dict `:` type($result)";
}

#endif // DIALECTS_KERN_KERNOPS_TD
