// Passes of the common stage.

#ifndef PASSES_TARGET_COMMON_PASSES_TD
#define PASSES_TARGET_COMMON_PASSES_TD

include "mlir/Pass/PassBase.td"

#endif // PASSES_TARGET_COMMON_PASSES_TD
