// Types of the moe dialect.

#ifndef DIALECTS_MOE_MOETYPES_TD
#define DIALECTS_MOE_MOETYPES_TD

include "mlir/IR/AttrTypeBase.td"
include "dialects/moe/MoEDialect.td"

def MoE_RoutingType : TypeDef<MoE_Dialect, "Routing"> {
  let mnemonic = "routing";
  let summary = "K experts and K mixing weights for each of T tokens";
  let description = [{
    `!moe.routing<?x2 of 8>` is a decision for an unknown number of tokens, each with 2 of 8 experts. For a token the
    expert ids lie in `[0, E)` and are distinct; the order of the K slots is the order in which the router chose.
  }];
  let parameters = (ins "int64_t":$tokens, "int64_t":$slots, "int64_t":$experts);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

#endif // DIALECTS_MOE_MOETYPES_TD
