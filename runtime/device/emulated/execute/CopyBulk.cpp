//===- CopyBulk.cpp - bulk copies and copies of tensors -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/TensorHandlers.h"
#include "runtime/device/emulated/execute/TensorMap.h"
#include "runtime/device/emulated/execute/Warp.h"

#include <cstring>

using namespace emulated;

namespace {

/// Where a copy arrives: shared memory of a CTA and the mbarrier that counts
/// its bytes.
struct Arrival {
  Cta *cta;
  uint32_t offset;
  Cta *barrierCta;
  uint32_t barrier;
};

} // namespace

static uint64_t readLane(const Lanes &lanes, const Operand &operand,
                         unsigned lane) {
  return operand.kind == Operand::Wide ? lanes.wide(operand)[lane]
                                       : lanes.word(operand)[lane];
}

static uint64_t getAddress(const Warp &warp, const AddressOperand &operand,
                           unsigned lane) {
  uint64_t addresses[kWarpSize];
  computeAddresses(warp, operand, addresses);
  return addresses[lane];
}

static void checkShared(Warp &warp, const Instruction &x, unsigned lane,
                        Cta &cta, uint32_t offset, uint32_t size,
                        uint32_t alignment) {
  if (!cta.getShared(offset, size))
    warp.fail(FaultKind::IllegalAddress, x, lane,
              "copies " + std::to_string(size) + " bytes of shared memory at " +
                  std::to_string(offset) + ", beyond its end");
  if (offset % alignment)
    warp.fail(FaultKind::Misaligned, x, lane,
              "copies shared memory at " + std::to_string(offset) +
                  ", expected a multiple of " + std::to_string(alignment));
}

static void checkGlobal(Warp &warp, const Instruction &x, unsigned lane,
                        uint64_t address, uint64_t size) {
  const Launch &launch = *warp.cta->launch;
  if (launch.options.isChecked && !launch.memory->find(address, size))
    warp.fail(FaultKind::IllegalAddress, x, lane,
              "copies " + std::to_string(size) + " bytes of global memory, " +
                  launch.memory->describe(address));
}

/// `mask` holds the CTAs of a multicast; 0: the CTA that the address names.
static std::vector<Arrival> findArrivals(Warp &warp, const Instruction &x,
                                         unsigned lane, uint32_t multicast,
                                         uint32_t size, uint32_t alignment) {
  Cluster &cluster = *warp.cta->cluster;
  Arrival first;
  first.cta = &locateShared(
      warp, x, lane, getAddress(warp, x.addresses[0], lane), first.offset);
  findMbarrier(warp, x, lane, getAddress(warp, x.addresses[2], lane),
               first.barrierCta, first.barrier);
  std::vector<Arrival> arrivals = {first};
  if (x.flags & kBulkMulticast) {
    if (!multicast || multicast >> cluster.ctas.size())
      warp.fail(FaultKind::IllegalAddress, x, lane,
                "sends to CTAs " + std::to_string(multicast) +
                    " of a cluster of " + std::to_string(cluster.ctas.size()));
    arrivals.clear();
    for (uint32_t rest = multicast; rest; rest &= rest - 1) {
      Cta *target = &cluster.ctas[__builtin_ctz(rest)];
      arrivals.push_back({target, first.offset, target, first.barrier});
      if (!target->mbarriers.count(first.barrier))
        warp.fail(FaultKind::Synchronisation, x, lane,
                  "names an mbarrier that " + target->getName() +
                      " has not initialised");
    }
  }
  for (const Arrival &arrival : arrivals) {
    checkShared(warp, x, lane, *arrival.cta, arrival.offset, size, alignment);
    if (!cluster.checker)
      continue;
    cluster.checker->beginWrite(warp, x, lane, *arrival.cta, arrival.offset,
                                size);
    cluster.checker->useByProxy(
        warp, x, lane, arrival.barrierCta->mbarriers.at(arrival.barrier));
  }
  return arrivals;
}

static void countBytes(const Arrival &arrival, uint32_t size) {
  auto found = arrival.barrierCta->mbarriers.find(arrival.barrier);
  if (found == arrival.barrierCta->mbarriers.end())
    return;
  if (Checker *checker = arrival.cta->cluster->checker.get())
    checker->endWrite(found->second, true, *arrival.cta, arrival.offset, size);
  found->second.transactions -= size;
  completePhase(*arrival.barrierCta, found->second);
}

void emulated::copyBulkLoad(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    uint32_t size = lanes.word(x.operands[0])[lane];
    uint32_t multicast =
        x.numOperands > 1 ? lanes.word(x.operands[1])[lane] & 0xffff : 0;
    uint64_t source = getAddress(warp, x.addresses[1], lane);
    if (size % 16 || (source & 15))
      warp.fail(FaultKind::Misaligned, x, lane,
                "copies " + std::to_string(size) +
                    " bytes; size and addresses must be multiples of 16");
    std::vector<Arrival> arrivals =
        findArrivals(warp, x, lane, multicast, size, 16);
    const uint8_t *from = reinterpret_cast<const uint8_t *>(source);
    if (x.addresses[1].space == Space::Shared) {
      uint32_t offset;
      Cta &cta = locateShared(warp, x, lane, source, offset);
      checkShared(warp, x, lane, cta, offset, size, 16);
      from = cta.getShared(offset, size);
    } else {
      checkGlobal(warp, x, lane, source, size);
    }
    warp.cta->cluster->addAsync(
        [=] {
          for (const Arrival &arrival : arrivals) {
            memcpy(arrival.cta->getShared(arrival.offset, size), from, size);
            countBytes(arrival, size);
          }
        },
        "cp.async.bulk");
  }
}

/// Calls `visit` for each row of the box with its place in the box and the
/// coordinates of its first element.
template <typename Visit>
static void forEachRow(const TensorMap &map, const int32_t *coordinates,
                       Visit visit) {
  uint32_t counts[4] = {1, 1, 1, 1}, numRows = 1;
  for (unsigned i = 1; i < map.rank; ++i)
    numRows *= counts[i - 1] = map.box[i];
  for (uint32_t row = 0; row < numRows; ++row) {
    uint64_t address = map.base;
    bool isInside = true;
    uint32_t rest = row;
    for (unsigned i = 1; i < map.rank; ++i) {
      int64_t place = (int64_t)coordinates[i] + rest % counts[i - 1];
      rest /= counts[i - 1];
      isInside &= place >= 0 && place < (int64_t)map.extents[i];
      address += place * map.strides[i - 1];
    }
    visit(row, isInside, address);
  }
}

/// The elements of a row of the box that lie in the tensor: [begin, end).
static void clipRow(const TensorMap &map, int32_t first, int64_t &begin,
                    int64_t &end) {
  begin = first < 0 ? -(int64_t)first : 0;
  end = (int64_t)map.extents[0] - first;
  end = end > map.box[0] ? map.box[0] : end;
  if (begin > end)
    begin = end = 0;
}

static void fillOutside(const TensorMap &map, uint8_t *bytes, uint32_t size) {
  memset(bytes, 0, size);
  if (!map.fillsNaN)
    return;
  // A quiet NaN of the type of the elements.
  uint32_t pattern = map.elementType == 6   ? 0x7fff7fffu
                     : map.elementType == 9 ? 0x7fff7fffu
                                            : 0x7fffffffu;
  for (uint32_t i = 0; i + 4 <= size; i += 4)
    memcpy(bytes + i, &pattern, 4);
}

static void loadBox(const TensorMap &map, const int32_t *coordinates, Cta &cta,
                    uint32_t offset) {
  uint32_t rowBytes = map.box[0] * map.elementSize;
  int64_t begin, end;
  clipRow(map, coordinates[0], begin, end);
  uint8_t bytes[256 * 8];
  forEachRow(
      map, coordinates, [&](uint32_t row, bool isInside, uint64_t address) {
        fillOutside(map, bytes, rowBytes);
        if (isInside && begin < end)
          memcpy(bytes + begin * map.elementSize,
                 reinterpret_cast<const uint8_t *>(
                     address +
                     (coordinates[0] + begin) * (int64_t)map.elementSize),
                 (end - begin) * map.elementSize);
        for (uint32_t i = 0; i < rowBytes; i += 16)
          memcpy(
              cta.getShared(
                  swizzleAddress(offset + row * rowBytes + i, map.swizzle), 16),
              bytes + i, 16);
      });
}

static void storeBox(const TensorMap &map, const int32_t *coordinates, Cta &cta,
                     uint32_t offset) {
  uint32_t rowBytes = map.box[0] * map.elementSize;
  int64_t begin, end;
  clipRow(map, coordinates[0], begin, end);
  uint8_t bytes[256 * 8];
  forEachRow(
      map, coordinates, [&](uint32_t row, bool isInside, uint64_t address) {
        if (!isInside || begin >= end)
          return;
        for (uint32_t i = 0; i < rowBytes; i += 16)
          memcpy(
              bytes + i,
              cta.getShared(
                  swizzleAddress(offset + row * rowBytes + i, map.swizzle), 16),
              16);
        memcpy(
            reinterpret_cast<uint8_t *>(address + (coordinates[0] + begin) *
                                                      (int64_t)map.elementSize),
            bytes + begin * map.elementSize, (end - begin) * map.elementSize);
      });
}

/// Reads the descriptor that a lane names, and checks what it describes.
static TensorMap readMap(Warp &warp, const Instruction &x, unsigned lane,
                         const int32_t *coordinates) {
  uint8_t *pointers[kWarpSize];
  resolve(warp, x, x.addresses[1], 1u << lane, 64, Access::Read, pointers);
  TensorMap map;
  memcpy(&map, pointers[lane], sizeof map);
  if (map.magic != TensorMap::kMagic)
    warp.fail(FaultKind::IllegalAddress, x, lane,
              "names a descriptor that cuTensorMapEncodeTiled did not write");
  if (map.rank != x.immediate)
    warp.fail(FaultKind::IllegalAddress, x, lane,
              "expects a tensor of rank " + std::to_string(x.immediate) +
                  ", the descriptor has " + std::to_string(map.rank));
  int64_t begin, end;
  clipRow(map, coordinates[0], begin, end);
  forEachRow(map, coordinates, [&](uint32_t, bool isInside, uint64_t address) {
    if (isInside && begin < end)
      checkGlobal(warp, x, lane,
                  address + (coordinates[0] + begin) * (int64_t)map.elementSize,
                  (end - begin) * map.elementSize);
  });
  return map;
}

void emulated::copyTensorLoad(Lanes &lanes, const Instruction &x,
                              uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    std::array<int32_t, 5> coordinates = {};
    for (unsigned i = 0; i < x.immediate; ++i)
      coordinates[i] = lanes.word(x.operands[i])[lane];
    TensorMap map = readMap(warp, x, lane, coordinates.data());
    uint32_t multicast =
        x.numOperands > x.immediate
            ? readLane(lanes, x.operands[x.immediate], lane) & 0xffff
            : 0;
    uint32_t size = map.getBoxBytes();
    std::vector<Arrival> arrivals =
        findArrivals(warp, x, lane, multicast, size, 128);
    warp.cta->cluster->addAsync(
        [=] {
          for (const Arrival &arrival : arrivals) {
            loadBox(map, coordinates.data(), *arrival.cta, arrival.offset);
            countBytes(arrival, size);
          }
        },
        "cp.async.bulk.tensor");
  }
}

/// Copies out of shared memory belong to groups of their lane.
static void addStore(Warp &warp, const Instruction &x, unsigned lane, Cta &cta,
                     uint32_t offset, uint32_t size,
                     std::function<void()> perform) {
  Cluster &cluster = *warp.cta->cluster;
  AsyncOrder order = cluster.launch.options.order;
  bool isEarly = order == AsyncOrder::Early ||
                 (order == AsyncOrder::Random && cluster.random() % 2);
  if (isEarly)
    perform();
  if (isEarly && !cluster.checker)
    return;
  if (cluster.checker)
    cluster.checker->beginRead(warp, x, lane, cta, offset, size);
  warp.stores.push_back({lane, warp.storeGroup[lane],
                         isEarly ? nullptr : std::move(perform), &cta, offset,
                         size});
}

void emulated::copyBulkStore(Lanes &lanes, const Instruction &x,
                             uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    uint32_t size = lanes.word(x.operands[0])[lane], offset;
    uint64_t to = getAddress(warp, x.addresses[0], lane);
    Cta &cta = locateShared(warp, x, lane,
                            getAddress(warp, x.addresses[1], lane), offset);
    if (size % 16 || to % 16)
      warp.fail(FaultKind::Misaligned, x, lane,
                "copies " + std::to_string(size) +
                    " bytes; size and addresses must be multiples of 16");
    checkShared(warp, x, lane, cta, offset, size, 16);
    checkGlobal(warp, x, lane, to, size);
    const uint8_t *from = cta.getShared(offset, size);
    addStore(warp, x, lane, cta, offset, size,
             [=] { memcpy(reinterpret_cast<uint8_t *>(to), from, size); });
  }
}

void emulated::copyTensorStore(Lanes &lanes, const Instruction &x,
                               uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    std::array<int32_t, 5> coordinates = {};
    for (unsigned i = 0; i < x.immediate; ++i)
      coordinates[i] = lanes.word(x.operands[i])[lane];
    TensorMap map = readMap(warp, x, lane, coordinates.data());
    uint32_t offset;
    Cta &cta = locateShared(warp, x, lane,
                            getAddress(warp, x.addresses[0], lane), offset);
    checkShared(warp, x, lane, cta, offset, map.getBoxBytes(), 128);
    Cta *from = &cta;
    addStore(warp, x, lane, cta, offset, map.getBoxBytes(),
             [=] { storeBox(map, coordinates.data(), *from, offset); });
  }
}

void emulated::copyBulkCommit(Lanes &lanes, const Instruction &,
                              uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  for (uint32_t rest = mask; rest; rest &= rest - 1)
    ++warp.storeGroup[__builtin_ctz(rest)];
}

void emulated::completeStores(Warp &warp, uint32_t mask, uint32_t numLeft,
                              bool isAll) {
  size_t kept = 0;
  for (PendingStore &store : warp.stores) {
    bool isDue = (mask >> store.lane & 1) &&
                 (isAll || store.group + numLeft < warp.storeGroup[store.lane]);
    if (!isDue) {
      std::swap(warp.stores[kept++], store);
      continue;
    }
    if (store.perform)
      store.perform();
    if (Checker *checker = warp.cta->cluster->checker.get())
      checker->endRead(warp, *store.cta, store.offset, store.size);
  }
  warp.stores.resize(kept);
}

void emulated::copyBulkWait(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  completeStores(warp, mask, x.immediate, false);
}
