// Passes of the convert stage.

#ifndef PASSES_CONVERT_PASSES_TD
#define PASSES_CONVERT_PASSES_TD

include "mlir/Pass/PassBase.td"

#endif // PASSES_CONVERT_PASSES_TD
