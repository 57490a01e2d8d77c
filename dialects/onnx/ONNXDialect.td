// The onnx dialect, its attribute for symbolic dimensions and the base class of its operators.

#ifndef DIALECTS_ONNX_ONNXDIALECT_TD
#define DIALECTS_ONNX_ONNXDIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/TensorEncoding.td"
include "mlir/IR/CommonTypeConstraints.td"
include "mlir/IR/CommonAttrConstraints.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def ONNX_Dialect : Dialect {
  let name = "onnx";
  let cppNamespace = "::mlir::onnx";
  let summary = "the ONNX operators that moec lowers, one operation for one node";
  let description = [{
    `model.onnx -> onnx.* -> moe.* + linalg/tensor`

    A thin picture of an ONNX graph. Operators, their operands and their attributes bear the names of the standard;
    an operator of another domain carries the domain in its mnemonic (`onnx.com.microsoft.MoE`). An optional operand
    or result that is left out has type `none`; the operand is then defined by `onnx.NoValue`.

    The importer guarantees: every tensor is ranked; attribute forms of older operator sets have been replaced by the
    newest form (for example, the axes of reductions are an operand); node names are locations; large initialisers are
    `moe.weight` handles, small ones are `onnx.Constant`.

    Lifespan: created by the importer, gone after `convert-onnx-to-linalg`.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let extraClassDeclaration = [{
    void registerAttributes();
    void registerTypes();
  }];
}

def ONNX_DimsAttr : AttrDef<ONNX_Dialect, "Dims", [DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let mnemonic = "dims";
  let summary = "names the dynamic dimensions of a tensor";
  let description = [{
    The encoding of a ranked tensor type. Holds one string for each dimension: the symbol of a dynamic dimension, or
    the empty string where the dimension is static or has no name. Two dimensions with the same symbol are equal in
    every run; the generated code checks this once where it relies on it.

    Example: `tensor<?x?x64xf32, #onnx.dims<"batch", "sequence", "">>`
  }];
  let parameters = (ins ArrayRefParameter<"::mlir::StringAttr">:$symbols);
  let assemblyFormat = "`<` $symbols `>`";
}

def ONNX_SequenceType : TypeDef<ONNX_Dialect, "Sequence"> {
  let mnemonic = "sequence";
  let summary = "a list of tensors";
  let description = [{
    How many there are is not part of the type. `moe-unroll-sequences` replaces a sequence by its tensors where their
    number follows from the graph.

    Example: `!onnx.sequence<tensor<?x64xf32>>`
  }];
  let parameters = (ins "::mlir::Type":$element);
  let assemblyFormat = "`<` $element `>`";
}

def ONNX_OptionalType : TypeDef<ONNX_Dialect, "Optional"> {
  let mnemonic = "optional";
  let summary = "a tensor or a sequence that may be missing";
  let description = [{
    `moe-unroll-sequences` replaces an optional value by what it holds where the graph tells that it holds something.

    Example: `!onnx.optional<tensor<?x64xf32>>`
  }];
  let parameters = (ins "::mlir::Type":$element);
  let assemblyFormat = "`<` $element `>`";
}

def ONNX_Value : AnyTypeOf<[AnyTensor, ONNX_SequenceType, ONNX_OptionalType, NoneType],
                           "tensor, sequence, optional value or none">;
def ONNX_Optional : AnyTypeOf<[AnyTensor, ONNX_SequenceType, ONNX_OptionalType, NoneType],
                              "tensor, sequence, optional value or none">;

class ONNX_Op<string mnemonic, list<Trait> traits = []> : Op<ONNX_Dialect, mnemonic, traits> {
  let assemblyFormat = "`(` operands `)` attr-dict `:` functional-type(operands, results)";
}

def ONNX_NoValueOp : ONNX_Op<"NoValue", [Pure, ConstantLike]> {
  let summary = "stands for an optional operand that is left out";
  let description = [{
    Example:
    ```mlir
    %none = onnx.NoValue : none
    ```
  }];
  let results = (outs NoneType:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
  let hasFolder = 1;
}

def ONNX_YieldOp : ONNX_Op<"Yield", [Pure, Terminator, ReturnLike]> {
  let summary = "ends the body of `onnx.If`, `onnx.Loop` and `onnx.Scan`";
  let description = [{
    The operands are the outputs of the subgraph, in its order.

    Example:
    ```mlir
    onnx.Yield %condition, %state : tensor<i1>, tensor<?x64xf32>
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$operands);
  let assemblyFormat = "($operands^ `:` type($operands))? attr-dict";
}

#endif // DIALECTS_ONNX_ONNXDIALECT_TD
