//===- Phases.h - the named phases of a compilation ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The one list of phases that `--stop-after`, `--start-from`, `--dump-dir` and
// the documentation share.
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_PHASES_H
#define COMPILER_PHASES_H

#include "passes/plan/Passes.h"

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/StringRef.h"

#include <optional>

namespace mlir {
class OpPassManager;

namespace moe {

enum class Phase { Import, Convert, Fuse, Plan, Lower, Target };

struct PhaseInfo {
  Phase phase;
  /// The name on the command line.
  StringRef name;
  /// What the IR consists of after the phase.
  StringRef description;
};

/// All phases in the order in which they run.
ArrayRef<PhaseInfo> getPhases();

/// The phase called `name`, if there is one.
std::optional<Phase> parsePhase(StringRef name);

/// Adds the passes of `phase`; `isa` matters to the target phase only, and
/// `precision` to the plan phase. The import phase has
/// none: the importer yields its result.
void buildPhase(Phase phase, OpPassManager &manager, StringRef isa,
                const PrecisionFlags &precision);

/// From the end of the plan phase to loops over buffers, for devices.
void buildDeviceLower(OpPassManager &manager);

/// From loops over buffers to code for a device architecture and for the host
/// that drives it.
void buildDeviceTarget(OpPassManager &manager, StringRef arch);

} // namespace moe
} // namespace mlir

#endif // COMPILER_PHASES_H
