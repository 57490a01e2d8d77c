//===- ExchangeHop.h - rows that go from rank to rank, and back ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_CORE_EXCHANGEHOP_H
#define RUNTIME_CORE_EXCHANGEHOP_H

#include "runtime/comm/Communicator.h"

namespace moert {

/// Which rows of a table go to which ranks, and how many come from each. Keeps
/// its memory, so that nothing is allocated once it has been as large as it
/// gets.
class ExchangeHop {
public:
  /// Forgets all rows.
  void clear(size_t ranks);
  /// `row` goes to `rank`, once, however often it is added in a row.
  void add(size_t rank, int64_t row);

  const std::vector<int64_t> &getSent(size_t rank) const { return sent[rank]; }
  int64_t getReceived(size_t rank) const { return received[rank]; }
  void setReceived(size_t rank, int64_t rows) { received[rank] = rows; }
  int64_t getReceivedRows() const;

  /// Sends a message of `bytes` bytes for each row. `pack(to, row, rank)`
  /// writes the one of a row for a rank; `unpack(from, n)` reads that of the
  /// n-th received row, by rising ranks.
  template <typename Pack, typename Unpack>
  Status forward(Communicator &communicator, int64_t bytes, Pack pack,
                 Unpack unpack);

  /// Sends the way back a row of `width` numbers for each received row, from
  /// `rows`; `add(row, numbers)` gets what came back for a row, by rising
  /// ranks.
  template <typename Add>
  Status backward(Communicator &communicator, int64_t width, const float *rows,
                  Add add);

private:
  std::vector<std::vector<int64_t>> sent;
  std::vector<int64_t> received;
  std::vector<std::vector<char>> outgoingBytes, incomingBytes;
  std::vector<Communicator::Outgoing> outgoing;
  std::vector<Communicator::Incoming> incoming;
};

template <typename Pack, typename Unpack>
Status ExchangeHop::forward(Communicator &communicator, int64_t bytes,
                            Pack pack, Unpack unpack) {
  for (size_t rank = 0; rank < sent.size(); ++rank) {
    std::vector<char> &message = outgoingBytes[rank];
    message.resize(sent[rank].size() * bytes);
    char *to = message.data();
    for (int64_t row : sent[rank]) {
      pack(to, row, rank);
      to += bytes;
    }
    outgoing[rank] = {message.data(), static_cast<int64_t>(message.size())};
    incomingBytes[rank].resize(received[rank] * bytes);
    incoming[rank] = {incomingBytes[rank].data(), received[rank] * bytes};
  }
  Status status = communicator.exchange(outgoing, incoming);
  if (!status.ok())
    return status;
  int64_t n = 0;
  for (size_t rank = 0; rank < received.size(); ++rank)
    for (int64_t i = 0; i < received[rank]; ++i)
      unpack(incomingBytes[rank].data() + i * bytes, n++);
  return status;
}

template <typename Add>
Status ExchangeHop::backward(Communicator &communicator, int64_t width,
                             const float *rows, Add add) {
  int64_t bytes = width * sizeof(float);
  for (size_t rank = 0; rank < sent.size(); ++rank) {
    outgoing[rank] = {rows, received[rank] * bytes};
    rows += received[rank] * width;
    int64_t size = sent[rank].size() * bytes;
    incomingBytes[rank].resize(size);
    incoming[rank] = {incomingBytes[rank].data(), size};
  }
  Status status = communicator.exchange(outgoing, incoming);
  if (!status.ok())
    return status;
  for (size_t rank = 0; rank < sent.size(); ++rank) {
    const float *numbers =
        reinterpret_cast<const float *>(incomingBytes[rank].data());
    for (int64_t row : sent[rank]) {
      add(row, numbers);
      numbers += width;
    }
  }
  return status;
}

} // namespace moert

#endif // RUNTIME_CORE_EXCHANGEHOP_H
