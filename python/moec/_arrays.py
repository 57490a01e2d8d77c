"""NumPy arrays and what else users have, to and from the tensors of the runtime."""

from __future__ import annotations

import ctypes

import numpy

from . import _library

# The numbers of moe_dtype_t, and the NumPy types that hold them.
PLAIN = {1: "float32", 2: "float64", 3: "float16", 5: "int8", 6: "int16", 7: "int32", 8: "int64", 9: "uint8", 10: "uint16",
         11: "uint32", 12: "uint64", 13: "bool"}
# Types that NumPy has from ml_dtypes only, and the bits that stand for them without it.
EXTENDED = {4: ("bfloat16", "uint16"), 14: ("float8_e4m3fn", "uint8"), 15: ("float8_e4m3fnuz", "uint8"),
            16: ("float8_e5m2", "uint8"), 17: ("float8_e5m2fnuz", "uint8"), 18: ("float8_e8m0fnu", "uint8"),
            19: ("float4_e2m1fn", "uint8"), 20: ("int4", "int8"), 21: ("uint4", "uint8"), 22: ("int2", "int8"),
            23: ("uint2", "uint8")}


def numpy_type(dtype: int) -> numpy.dtype:
    """The NumPy type of elements of `dtype`: that of ml_dtypes where NumPy has none, or else unsigned bits."""
    if dtype in PLAIN:
        return numpy.dtype(PLAIN[dtype])
    name, bits = EXTENDED[dtype]
    try:
        import ml_dtypes
        return numpy.dtype(getattr(ml_dtypes, name))
    except (ImportError, AttributeError):
        return numpy.dtype(bits)


class _CapsuleOfBits:
    """A producer of bf16 whose elements NumPy takes for 16-bit integers."""

    def __init__(self, producer):
        self.producer = producer

    def __dlpack_device__(self):
        return self.producer.__dlpack_device__()

    def __dlpack__(self, **options):
        capsule = self.producer.__dlpack__()
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        # DLTensor: data, device (2 x i32), ndim (i32), then the type: code, bits (u8), lanes (u16).
        code = ctypes.c_uint8.from_address(pointer(capsule, b"dltensor") + ctypes.sizeof(ctypes.c_void_p) + 12)
        if code.value == 4:  # kDLBfloat
            code.value = 1   # kDLUInt
        return capsule


def to_array(value, dtype: int) -> numpy.ndarray:
    """A row-major array with the elements of `value` that may be handed to the runtime as `dtype`."""
    wanted = numpy_type(dtype)
    if isinstance(value, numpy.ndarray) or numpy.isscalar(value):
        array = numpy.asarray(value)
    elif hasattr(value, "__dlpack__"):
        array = numpy.from_dlpack(_CapsuleOfBits(value) if dtype == 4 else value)
    else:
        array = numpy.asarray(value, wanted)
    # Numbers without a type of their own take the one that is asked for.
    if numpy.isscalar(value) and not isinstance(value, numpy.generic):
        array = array.astype(wanted)
    return array if array.flags.c_contiguous else array.copy(order="C")


def runtime_type(array: numpy.ndarray, dtype: int) -> int:
    """The moe_dtype_t of `array`; `dtype` where the array holds its bits. 0 if there is none."""
    if dtype in EXTENDED and array.dtype in (numpy_type(dtype), numpy.dtype(EXTENDED[dtype][1])):
        return dtype
    for number, name in PLAIN.items():
        if array.dtype == name:
            return number
    return next((number for number, (name, _) in EXTENDED.items() if array.dtype.name == name), 0)


def to_tensor(array: numpy.ndarray, dtype: int) -> _library.Tensor:
    """A view of `array`, which must outlive it."""
    dims = (ctypes.c_int64 * array.ndim)(*array.shape)
    return _library.Tensor(runtime_type(array, dtype), array.ndim, dims, array.ctypes.data)


def from_tensor(tensor: _library.Tensor, owner) -> numpy.ndarray:
    """A read-only view of `tensor`, which keeps `owner` alive."""
    shape = tuple(tensor.dims[i] for i in range(tensor.rank))
    dtype = numpy_type(tensor.dtype)
    count = int(numpy.prod(shape, dtype=numpy.int64))
    if count == 0:
        return numpy.empty(shape, dtype)
    size = _library.library().moe_dtype_size(tensor.dtype)
    memory = (ctypes.c_uint8 * (count * size)).from_address(tensor.data)
    memory.owner = owner
    array = numpy.frombuffer(memory, numpy.uint8).view(dtype).reshape(shape)
    array.flags.writeable = False
    return array
