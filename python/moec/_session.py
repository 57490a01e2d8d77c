"""Runs of a program."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Mapping

import numpy

from . import _arrays, _library

if TYPE_CHECKING:
    from ._program import Program


@dataclass(frozen=True)
class ValueInfo:
    """An input or output of a program.

    Attributes:
        name: its name in the model.
        dtype: the type as artifacts write it, such as "f32".
        shape: an extent, the name of one that is known at run time, or None, for each dimension.
    """
    name: str
    dtype: str
    shape: tuple[int | str | None, ...]
    number: int  # moe_dtype_t


@dataclass(frozen=True)
class LayerRouting:
    """What the router of one expert layer has chosen since recording began.

    Attributes:
        ids: int32 [tokens, slots]; an id below 0 is a slot without expert.
        weights: float32 [tokens, slots].
        experts: how many there are to choose from.
        call_tokens: the number of tokens of each time that the layer ran.
    """
    ids: numpy.ndarray
    weights: numpy.ndarray
    experts: int
    call_tokens: tuple[int, ...]


@dataclass(frozen=True)
class Span:
    """A span of time of a profile, in nanoseconds of the monotonic clock.

    Attributes:
        name: the ONNX node or block that the operation came from.
        kind: "run", "operation" or "piece" (a part of a parallel loop).
        thread: 0 for the thread that called `run`.
    """
    name: str
    kind: str
    thread: int
    begin: int
    end: int


@dataclass(frozen=True)
class Statistics:
    """Counters of a session since it was made; see `moe_session_statistics_t`."""
    system_allocations: int
    arena_bytes: int
    state_bytes_copied: int


class Session:
    """Threads and memory to run a program. One thread at a time may use it.

    Made by `Program.session`; keeps its program alive.
    """

    def __init__(self, program: Program, threads: int = 0):
        self._program = program
        self._library = _library.library()
        self._handle = ctypes.c_void_p()
        options = _library.SessionOptions(ctypes.sizeof(_library.SessionOptions), threads)
        self._library.moe_session_create(program._handle, options, ctypes.byref(self._handle))

    def __del__(self):
        if getattr(self, "_handle", None):
            self._library.moe_session_destroy(self._handle)

    @property
    def program(self) -> Program:
        """What this session runs."""
        return self._program

    def run(self, inputs: Mapping[str, object], copy: bool = True) -> dict[str, numpy.ndarray]:
        """Runs the program once.

        Args:
            inputs: an array, nested list or DLPack producer for each input. The input of a state (`Program.states`) may be
                left out after a run: the session then continues with what it holds and appends in place.
            copy: False gives read-only views into the session, valid until its next run.

        Returns: each output by its name. States are left out if their input was.

        Raises: Error if an input has a wrong name, type or shape, or the model finds an error in its data.
        """
        types = {value.name: value.number for value in self._program.inputs}
        arrays = {name: _arrays.to_array(value, types.get(name, 1)) for name, value in inputs.items()}
        given = (_library.Input * len(arrays))()
        for slot, (name, array) in zip(given, arrays.items()):
            slot.name = name.encode()
            slot.tensor = _arrays.to_tensor(array, types.get(name, 1))
        self._library.moe_session_run(self._handle, given, len(arrays))
        kept = {output for name, output in self._program.states.items() if name not in arrays}
        return {value.name: self.output(value.name, copy) for value in self._program.outputs if value.name not in kept}

    def output(self, name: str, copy: bool = True) -> numpy.ndarray:
        """An output of the last run, as in `run`."""
        index = self._program._output_index(name)
        tensor = _library.Tensor()
        self._library.moe_session_output(self._handle, index, ctypes.byref(tensor))
        view = _arrays.from_tensor(tensor, self)
        return view.copy() if copy else view

    def record_routing(self, enable: bool = True) -> None:
        """Begins to record which experts tokens choose, dropping what was recorded, or ends it."""
        self._library.moe_session_record_routing(self._handle, enable)

    def routing(self) -> list[LayerRouting]:
        """The recording, a copy: one entry for each expert layer, in the order of the manifest."""
        count = ctypes.c_size_t()
        self._library.moe_session_routing_count(self._handle, ctypes.byref(count))
        layers = []
        for i in range(count.value):
            layer = _library.Routing()
            self._library.moe_session_routing(self._handle, i, ctypes.byref(layer))
            shape = (layer.tokens, layer.slots)

            def array(pointer, dtype):
                size = layer.tokens * layer.slots
                values = numpy.ctypeslib.as_array(pointer, (size,)).copy() if size else numpy.empty(0, dtype)
                return values.reshape(shape)

            layers.append(LayerRouting(array(layer.ids, numpy.int32), array(layer.weights, numpy.float32), layer.experts,
                                       tuple(layer.call_tokens[:layer.calls])))
        return layers

    def profile(self, enable: bool = True) -> None:
        """Begins to time operations, dropping what was timed, or ends it."""
        self._library.moe_session_profile(self._handle, enable)

    def spans(self) -> list[Span]:
        """The profile, by thread and begin."""
        spans = ctypes.POINTER(_library.Span)()
        count = ctypes.c_size_t()
        self._library.moe_session_spans(self._handle, ctypes.byref(spans), ctypes.byref(count))
        kinds = ("run", "operation", "piece")
        return [Span(s.name.decode(errors="replace"), kinds[s.kind], s.thread, s.begin_ns, s.end_ns)
                for s in spans[:count.value]]

    def statistics(self) -> Statistics:
        """Counters of memory."""
        numbers = _library.Statistics(struct_size=ctypes.sizeof(_library.Statistics))
        self._library.moe_session_statistics(self._handle, ctypes.byref(numbers))
        return Statistics(numbers.system_allocations, numbers.arena_bytes, numbers.state_bytes_copied)
