// Passes of the fuse stage.

#ifndef PASSES_FUSE_PASSES_TD
#define PASSES_FUSE_PASSES_TD

include "mlir/Pass/PassBase.td"

#endif // PASSES_FUSE_PASSES_TD
