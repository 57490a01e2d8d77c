"""libmoert through ctypes: the structures and functions of runtime/moe_runtime.h."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import pathlib
import sys
from ctypes import POINTER, c_char_p, c_float, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p


class Error(RuntimeError):
    """What the compiler or the runtime refused, in one sentence.

    Attributes:
        code: the `moe_status_t` of the runtime; 0 if the compiler failed.
    """

    def __init__(self, message: str, code: int = 0):
        super().__init__(message)
        self.code = code


class Tensor(ctypes.Structure):
    _fields_ = [("dtype", c_int), ("rank", c_uint32), ("dims", POINTER(c_int64)), ("data", c_void_p)]


class Input(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("tensor", Tensor)]


class ProgramOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("verify", c_int), ("weights", c_int), ("isa", c_char_p)]


class SessionOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("threads", c_uint32)]


class ValueInfo(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("dtype", c_int), ("rank", c_uint32), ("dims", POINTER(c_int64)),
                ("symbols", POINTER(c_char_p))]


class StateInfo(ctypes.Structure):
    _fields_ = [("input", c_size_t), ("output", c_size_t), ("axis", c_uint32)]


class Routing(ctypes.Structure):
    _fields_ = [("tokens", c_int64), ("slots", c_int64), ("experts", c_int64), ("ids", POINTER(c_int32)),
                ("weights", POINTER(c_float)), ("calls", c_int64), ("call_tokens", POINTER(c_int64))]


class Span(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("kind", c_int), ("thread", c_uint32), ("begin_ns", c_int64), ("end_ns", c_int64)]


class Statistics(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("system_allocations", c_uint64), ("arena_bytes", c_uint64),
                ("state_bytes_copied", c_uint64)]


def candidates(variable: str, in_build: str, in_prefix: str) -> list[str]:
    """Where a file of moec may be, the best place first."""
    places = [os.environ[variable]] if os.environ.get(variable) else []
    checkout = pathlib.Path(__file__).resolve().parents[2]
    if (checkout / "runtime/moe_runtime.h").exists():
        places.append(str(checkout / "build" / in_build))
    return places + [str(pathlib.Path(sys.prefix) / in_prefix)]


def find_library() -> str:
    places = candidates("MOEC_LIBRARY", "lib/libmoert.so", "lib/libmoert.so")
    for place in places:
        # What a user names is loaded or fails.
        if os.path.exists(place) or place == os.environ.get("MOEC_LIBRARY"):
            return place
    return ctypes.util.find_library("moert") or "libmoert.so"


def declare(library: ctypes.CDLL) -> None:
    """Gives the functions their types; those that return a status check it."""
    def check(status: int, function, arguments):
        if status:
            raise Error(library.moe_error_message().decode(errors="replace"), status)
        return status

    for name in ("moe_error_message", "moe_runtime_version"):
        getattr(library, name).restype = c_char_p
    library.moe_dtype_name.argtypes = [c_int]
    library.moe_dtype_name.restype = c_char_p
    library.moe_dtype_size.argtypes = [c_int]
    library.moe_dtype_size.restype = c_size_t
    for name in ("moe_program_close", "moe_session_destroy"):
        getattr(library, name).argtypes = [c_void_p]
        getattr(library, name).restype = None
    functions = {
        "moe_program_open": [c_char_p, POINTER(ProgramOptions), POINTER(c_void_p)],
        "moe_program_input_count": [c_void_p, POINTER(c_size_t)],
        "moe_program_output_count": [c_void_p, POINTER(c_size_t)],
        "moe_program_state_count": [c_void_p, POINTER(c_size_t)],
        "moe_program_input": [c_void_p, c_size_t, POINTER(ValueInfo)],
        "moe_program_output": [c_void_p, c_size_t, POINTER(ValueInfo)],
        "moe_program_state": [c_void_p, c_size_t, POINTER(StateInfo)],
        "moe_program_isa": [c_void_p, POINTER(c_char_p)],
        "moe_program_manifest": [c_void_p, POINTER(c_char_p)],
        "moe_session_create": [c_void_p, POINTER(SessionOptions), POINTER(c_void_p)],
        "moe_session_run": [c_void_p, POINTER(Input), c_size_t],
        "moe_session_output": [c_void_p, c_size_t, POINTER(Tensor)],
        "moe_session_record_routing": [c_void_p, c_int],
        "moe_session_routing_count": [c_void_p, POINTER(c_size_t)],
        "moe_session_routing": [c_void_p, c_size_t, POINTER(Routing)],
        "moe_session_profile": [c_void_p, c_int],
        "moe_session_spans": [c_void_p, POINTER(POINTER(Span)), POINTER(c_size_t)],
        "moe_session_statistics": [c_void_p, POINTER(Statistics)],
    }
    for name, arguments in functions.items():
        function = getattr(library, name)
        function.argtypes = arguments
        function.restype = c_int
        function.errcheck = check


_library: ctypes.CDLL | None = None


def library() -> ctypes.CDLL:
    """libmoert, loaded when it is first needed."""
    global _library
    if _library is None:
        path = find_library()
        try:
            loaded = ctypes.CDLL(path)
        except OSError as error:
            raise Error(f"cannot load libmoert, set MOEC_LIBRARY to its path: {error}") from None
        declare(loaded)
        _library = loaded
    return _library


def version() -> str:
    """The version of the runtime, such as "0.1.0"."""
    return library().moe_runtime_version().decode()
