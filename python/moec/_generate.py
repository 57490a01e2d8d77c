"""The token loop of decoder models. Inputs are known by the names that exporters use; all others are states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Sequence

import numpy

from ._arrays import numpy_type
from ._library import Error

if TYPE_CHECKING:
    from ._session import Session, ValueInfo

IDS = {"input_ids", "tokens"}
POSITIONS = {"position_ids", "positions", "cache_position"}
TOTAL = {"total_sequence_length", "total_seq_len", "total_seq_length"}
PAST = {"past_seq_len", "past_sequence_length", "nonpad_kv_seqlen"}
KNOWN = IDS | POSITIONS | TOTAL | PAST | {"attention_mask", "seqlens_k"}


def numbers(value: ValueInfo, row: Sequence[int]) -> numpy.ndarray:
    """An input with `row` along its last dimension, followed by zeros if that is longer."""
    row = list(row)
    if value.shape and isinstance(value.shape[-1], int):
        row += [0] * (value.shape[-1] - len(row))
    leading = [extent if isinstance(extent, int) else 1 for extent in value.shape[:-1]]
    array = numpy.asarray(row, numpy_type(value.number))
    return numpy.broadcast_to(array if value.shape else array[0], leading + [len(row)] if value.shape else []).copy()


def first_state(value: ValueInfo) -> numpy.ndarray:
    """A state before the first token."""
    shape = [extent if isinstance(extent, int) else 1 if i == 0 else 0 for i, extent in enumerate(value.shape)]
    return numpy.zeros(shape, numpy_type(value.number))


class Sampler:
    """Chooses a token from logits."""

    def __init__(self, temperature: float, top_k: int, top_p: float, seed: int):
        self.temperature, self.top_k, self.top_p = temperature, top_k, top_p
        self.random = numpy.random.default_rng(seed)

    def choose(self, logits: numpy.ndarray) -> int:
        logits = numpy.where(numpy.isnan(logits), -numpy.inf, logits.astype(numpy.float64))
        if self.temperature <= 0:
            return int(numpy.argmax(logits))
        order = numpy.argsort(-logits, kind="stable")
        order = order[:self.top_k] if self.top_k > 0 else order
        weights = numpy.exp((logits[order] - logits[order[0]]) / self.temperature)
        weights /= weights.sum()
        # The likeliest token stays, however small the limit is.
        kept = max(1, int(numpy.searchsorted(numpy.cumsum(weights), self.top_p)) + 1)
        weights = weights[:kept] / weights[:kept].sum()
        return int(self.random.choice(order[:kept], p=weights))


class Decoder:
    """Feeds tokens to a session. States that only grow stay there; others are handed back."""

    def __init__(self, session: Session):
        self.session = session
        program = session.program
        self.grown = program.states
        states = [value.name for value in program.inputs if value.name not in KNOWN]
        outputs = [value.name for value in program.outputs]
        if not any(value.name in IDS for value in program.inputs):
            raise Error("expected a decoder model with an input 'input_ids'")
        self.logits = "logits" if "logits" in outputs else outputs[0] if len(outputs) == 1 else None
        if self.logits is None:
            raise Error("expected a decoder model with an output 'logits'")
        others = [name for name in outputs if name != self.logits]
        if states and len(states) != len(others):
            raise Error(f"expected an output for each of {len(states)} states, got {len(others)}")
        self.following = dict(zip(states, others))
        ids = next(value for value in program.inputs if value.name in IDS)
        # How many tokens a call takes; 0: any number.
        self.step_tokens = ids.shape[-1] if states and isinstance(ids.shape[-1], int) else 0
        self.sequence: list[int] = []
        self.values: dict[str, numpy.ndarray] = {}

    def append(self, tokens: Sequence[int]) -> numpy.ndarray:
        """Appends tokens and returns the logits after the last one."""
        piece = self.step_tokens or len(tokens)
        if len(tokens) % piece:
            raise Error(f"expected a multiple of {piece} tokens, got {len(tokens)}")
        for begin in range(0, len(tokens) - piece, piece):
            self.step(tokens[begin:begin + piece])
        return self.step(tokens[len(tokens) - piece:])

    def step(self, tokens: Sequence[int]) -> numpy.ndarray:
        past = len(self.sequence) if self.following else 0
        self.sequence.extend(tokens)
        step = self.sequence[past:]
        inputs = {}
        for value in self.session.program.inputs:
            name = value.name
            if name in IDS:
                inputs[name] = numbers(value, step)
            elif name in POSITIONS:
                inputs[name] = numbers(value, range(past, len(self.sequence)))
            elif name in TOTAL:
                inputs[name] = numbers(value, [len(self.sequence)])
            elif name in PAST:
                inputs[name] = numbers(value, [past])
            elif name == "attention_mask":
                inputs[name] = numbers(value, [1] * len(self.sequence))
            elif name == "seqlens_k":
                inputs[name] = numbers(value, [len(self.sequence) - 1])
            elif past == 0:
                inputs[name] = first_state(value)
            elif name not in self.grown:
                inputs[name] = self.values[name]
        outputs = self.session.run(inputs, copy=False)
        self.values = {name: outputs[output] for name, output in self.following.items() if name not in self.grown}
        logits = outputs[self.logits]
        return logits.reshape(-1, logits.shape[-1])[len(step) - 1 if logits.ndim == 3 and logits.shape[1] > 1 else -1]


def generate(session: Session, prompt: Sequence[int], max_new_tokens: int, temperature: float, top_k: int, top_p: float,
             seed: int, stop: frozenset[int]) -> Iterator[int]:
    if len(prompt) == 0:
        raise Error("expected a prompt of at least one token")
    decoder, sampler = Decoder(session), Sampler(temperature, top_k, top_p, seed)
    tokens = list(prompt)
    for _ in range(max_new_tokens):
        token = sampler.choose(decoder.append(tokens))
        if token in stop:
            return
        yield token
        tokens = [token]
