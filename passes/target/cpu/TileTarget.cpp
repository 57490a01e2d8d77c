//===- TileTarget.cpp - what register tiles can rely on ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/TileTarget.h"

using namespace mlir;
using namespace mlir::moe;

FailureOr<TileTarget> TileTarget::get(StringRef isa) {
  if (isa == "x86-64-v4" || isa == "avx512bf16" || isa == "amx")
    return TileTarget{/*lanes=*/16,
                      /*blockPanels=*/4,
                      /*wideRows=*/6,
                      /*mostWideRows=*/96,
                      /*taskRows=*/96,
                      /*chunkSteps=*/512,
                      /*hasBF16Pairs=*/isa != "x86-64-v4",
                      /*hasByteQuads=*/isa != "x86-64-v4",
                      /*hasMatrices=*/isa == "amx"};
  if (isa == "x86-64-v3")
    return TileTarget{/*lanes=*/8,     /*blockPanels=*/2,
                      /*wideRows=*/3,  /*mostWideRows=*/6,
                      /*taskRows=*/96, /*chunkSteps=*/1024};
  return failure();
}
