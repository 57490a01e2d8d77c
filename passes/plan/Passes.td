// Passes of the plan stage.

#ifndef PASSES_PLAN_PASSES_TD
#define PASSES_PLAN_PASSES_TD

include "mlir/Pass/PassBase.td"

#endif // PASSES_PLAN_PASSES_TD
