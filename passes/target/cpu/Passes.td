// Passes of the cpu stage.

#ifndef PASSES_TARGET_CPU_PASSES_TD
#define PASSES_TARGET_CPU_PASSES_TD

include "mlir/Pass/PassBase.td"

#endif // PASSES_TARGET_CPU_PASSES_TD
