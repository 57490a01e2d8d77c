// Operations of the moe dialect that move rows between ranks.

#ifndef DIALECTS_MOE_EXCHANGEOPS_TD
#define DIALECTS_MOE_EXCHANGEOPS_TD

include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/moe/MoEAttributes.td"

class MoE_ExchangeArray<Type element> : AnyTypeOf<[TensorRankOf<[element], [2]>, MemRefRankOf<[element], [2]>]>;

/// Every rank meets the same exchanges in the same order: none may be moved, repeated or left out.
class MoE_ExchangeOp<string mnemonic, list<Trait> traits = []>
    : Op<MoE_Dialect, "exchange." # mnemonic, traits # [DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let hasVerifier = 1;
}

def MoE_ExchangeBeginOp : MoE_ExchangeOp<"begin"> {
  let summary = "tells all ranks how many rows they will get";
  let description = [{
    Rank r of R owns the tokens from `T r / R` to before `T (r + 1) / R`, or, where ranks have tokens of their own, all
    that it has. Each token that it owns goes once to every rank that serves one of its assignments, as `placement` deals
    them out. The result is the number of rows that this rank gets, its own ones included. An id below 0 is a slot that
    no expert serves. All ranks must give the same T unless they have tokens of their own.

    Shapes: `ids: T x K`.

    **Constraints**
    - (C1) K is static.

    Example:
    ```mlir
    %n = moe.exchange.begin %ids {layer = 0, placement = #moe.placement<ranks = 2, experts = [[0], [1], [0, 1]]>}
           : tensor<?x2xi32>
    ```
  }];
  let arguments = (ins MoE_ExchangeArray<I32>:$ids, I64Attr:$layer, MoE_PlacementAttr:$placement);
  let results = (outs Index:$rows);
  let assemblyFormat = "$ids attr-dict `:` type($ids)";
}

def MoE_ExchangeDispatchOp
    : MoE_ExchangeOp<"dispatch", [DestinationStyleOpInterface]> {
  let summary = "sends rows to the ranks that hold their experts";
  let description = [{
    Follows the `moe.exchange.begin` of the same layer, whose result is N. `inits` receive what this rank gets, by
    sender and then by token: the rows, the ids of the experts (-1 where another rank serves the slot) and their weights.

    Shapes: `x: T x H`, `weights: T x K`, `inits: N x H, N x K, N x K`.

    **Constraints**
    - (C1) There are three `inits`: numbers of the type and width of `x`, i32 and f32 of the width of `weights`.

    Example:
    ```mlir
    %r:3 = moe.exchange.dispatch ins(%x, %w : tensor<?x64xf32>, tensor<?x2xf32>)
             outs(%a, %b, %c : tensor<?x64xf32>, tensor<?x2xi32>, tensor<?x2xf32>) {layer = 0}
             -> tensor<?x64xf32>, tensor<?x2xi32>, tensor<?x2xf32>
    ```
  }];
  let arguments = (ins MoE_ExchangeArray<AnyTypeOf<[F32, F16, BF16]>>:$x, MoE_ExchangeArray<F32>:$weights,
                       Variadic<MoE_ExchangeArray<AnyTypeOf<[F32, F16, BF16, I32]>>>:$inits, I64Attr:$layer);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    `ins` `(` $x `,` $weights `:` type($x) `,` type($weights) `)` `outs` `(` $inits `:` type($inits) `)` attr-dict
    (`->` type($results)^)?
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getInitsMutable(); }
  }];
}

def MoE_ExchangeCombineOp : MoE_ExchangeOp<"combine", [DestinationStyleOpInterface]> {
  let summary = "returns sums to the owners of the tokens, adds them up and tells all ranks";
  let description = [{
    Ends the exchange of a layer: `sums` has a row for each one that `moe.exchange.dispatch` yielded. The owner of a
    token adds up the rows that come back in rising order of ranks; then every rank gets the rows of all tokens unless
    ranks have tokens of their own. With `overlapped` the rows are on their way while what follows is computed, up to the
    `moe.exchange.wait` of the same layer, which takes the result and yields it complete.

    Shapes: `sums: N x H`, `init: T x H`.

    **Constraints**
    - (C1) H of `sums` and `init` agree.

    Example:
    ```mlir
    %y = moe.exchange.combine ins(%s : tensor<?x64xf32>) outs(%init : tensor<?x64xf32>) {layer = 0} -> tensor<?x64xf32>
    ```
  }];
  let arguments = (ins MoE_ExchangeArray<F32>:$sums, MoE_ExchangeArray<F32>:$init, I64Attr:$layer,
                       UnitAttr:$overlapped);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    `ins` `(` $sums `:` type($sums) `)` `outs` `(` $init `:` type($init) `)` attr-dict (`->` type($results)^)?
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getInitMutable(); }
  }];
}

def MoE_ExchangeWaitOp : MoE_ExchangeOp<"wait", [DestinationStyleOpInterface]> {
  let summary = "waits for an overlapped combine";
  let description = [{
    Follows the overlapped `moe.exchange.combine` of the same layer, whose `sums` must stay until then: `init` is its
    result. No other exchange is between the two.

    Shapes: `sums: N x H`, `init: T x H`.

    **Constraints**
    - (C1) H of `sums` and `init` agree.

    Example:
    ```mlir
    %y = moe.exchange.wait ins(%s : tensor<?x64xf32>) outs(%c : tensor<?x64xf32>) {layer = 0} -> tensor<?x64xf32>
    ```
  }];
  let arguments = (ins MoE_ExchangeArray<F32>:$sums, MoE_ExchangeArray<F32>:$init, I64Attr:$layer);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    `ins` `(` $sums `:` type($sums) `)` `outs` `(` $init `:` type($init) `)` attr-dict (`->` type($results)^)?
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getInitMutable(); }
  }];
}

#endif // DIALECTS_MOE_EXCHANGEOPS_TD
