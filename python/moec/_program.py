"""Open artifacts."""

from __future__ import annotations

import ctypes
import json
import os
import weakref
from typing import Iterator, Mapping, Sequence

import numpy

from . import _library
from ._generate import generate
from ._session import Session, ValueInfo


class Program:
    """An open artifact: code and weights, shared by its sessions. Made by `load`."""

    def __init__(self, path: str | os.PathLike, verify_weights: bool = True, map_weights: bool = False,
                 isa: str | None = None):
        self._library = _library.library()
        self._handle = ctypes.c_void_p()
        options = _library.ProgramOptions(ctypes.sizeof(_library.ProgramOptions), not verify_weights, map_weights,
                                          isa.encode() if isa else None)
        self._library.moe_program_open(os.fsencode(path), options, ctypes.byref(self._handle))
        self._inputs = self._read_values("input")
        self._outputs = self._read_values("output")
        self._states = self._read_states()
        self._session: Session | None = None

    def __del__(self):
        if getattr(self, "_handle", None):
            self._library.moe_program_close(self._handle)

    def _count(self, kind: str) -> int:
        count = ctypes.c_size_t()
        getattr(self._library, f"moe_program_{kind}_count")(self._handle, ctypes.byref(count))
        return count.value

    def _read_values(self, kind: str) -> tuple[ValueInfo, ...]:
        values = []
        for i in range(self._count(kind)):
            info = _library.ValueInfo()
            getattr(self._library, f"moe_program_{kind}")(self._handle, i, ctypes.byref(info))
            shape = tuple(info.dims[j] if info.dims[j] >= 0 else info.symbols[j].decode() or None
                          for j in range(info.rank))
            values.append(ValueInfo(info.name.decode(), self._library.moe_dtype_name(info.dtype).decode(), shape,
                                    info.dtype))
        return tuple(values)

    def _read_states(self) -> dict[str, str]:
        states = {}
        for i in range(self._count("state")):
            info = _library.StateInfo()
            self._library.moe_program_state(self._handle, i, ctypes.byref(info))
            states[self._inputs[info.input].name] = self._outputs[info.output].name
        return states

    def _output_index(self, name: str) -> int:
        for i, value in enumerate(self._outputs):
            if value.name == name:
                return i
        names = ", ".join(f"'{value.name}'" for value in self._outputs)
        raise _library.Error(f"unknown output '{name}', expected: {names}")

    @property
    def inputs(self) -> tuple[ValueInfo, ...]:
        """What a run takes."""
        return self._inputs

    @property
    def outputs(self) -> tuple[ValueInfo, ...]:
        """What a run yields."""
        return self._outputs

    @property
    def states(self) -> dict[str, str]:
        """The inputs that grow into an output, such as caches, and the names of those outputs."""
        return dict(self._states)

    @property
    def isa(self) -> str:
        """The instruction set level of the code that was loaded, such as "x86-64-v4"."""
        name = ctypes.c_char_p()
        self._library.moe_program_isa(self._handle, ctypes.byref(name))
        return name.value.decode()

    @property
    def manifest(self) -> dict:
        """What the artifact says about itself; see docs/artifact.md."""
        text = ctypes.c_char_p()
        self._library.moe_program_manifest(self._handle, ctypes.byref(text))
        return json.loads(text.value)

    def session(self, threads: int = 0) -> Session:
        """A new session on so many threads; 0: one for each processor that this process may use."""
        return Session(self, threads)

    def run(self, inputs: Mapping[str, object]) -> dict[str, numpy.ndarray]:
        """Runs the program in a session of its own that is kept for the next call; see `Session.run`."""
        if self._session is None:
            # A proxy: the program owns this session, not the other way round.
            self._session = Session(weakref.proxy(self))
        return self._session.run(inputs)

    def generate(self, prompt: Sequence[int], max_new_tokens: int = 128, *, threads: int = 0, temperature: float = 0,
                 top_k: int = 0, top_p: float = 1, seed: int = 0, stop: Sequence[int] = ()) -> Iterator[int]:
        """Continues a sequence of token ids with a decoder model, token by token.

        Args:
            prompt: at least one token id.
            max_new_tokens: how many tokens to yield at most.
            threads: as in `session`.
            temperature: 0 takes the likeliest token each time; higher values bring more variety.
            top_k, top_p: choose among so many of the likeliest tokens (0: all), or among those of this probability.
            seed: the same seed gives the same tokens.
            stop: end before one of these tokens.

        Yields: token ids.

        Raises: Error if the model has no input `input_ids` or no output `logits`.
        """
        return generate(Session(self, threads), prompt, max_new_tokens, temperature, top_k, top_p, seed, frozenset(stop))


def load(path: str | os.PathLike, *, verify_weights: bool = True, map_weights: bool = False,
         isa: str | None = None) -> Program:
    """Opens an artifact. This loads native code from it: open only what you trust.

    Args:
        path: the `.moe` file.
        verify_weights: check the hash of the weights, too, not only of the rest.
        map_weights: map the weights instead of reading them: slower, but takes less memory.
        isa: the instruction set level to load code for; None: the highest that this machine supports.

    Raises: Error if the file is no artifact, damaged, or for another version or machine.
    """
    return Program(path, verify_weights, map_weights, isa)
