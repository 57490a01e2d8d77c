"""Numbers as quantised models store them, with the floats that they stand for."""

import numpy as np
from onnx import TensorProto


def decode_float8(codes):
    """e4m3fn; the code of NaN must not occur."""
    sign = np.where(codes & 0x80, -1.0, 1.0)
    exponent, mantissa = codes >> 3 & 15, codes & 7
    magnitude = np.where(exponent == 0, mantissa * 2.0**-9, (8 + mantissa) * 2.0 ** (exponent.astype(int) - 10))
    return (sign * magnitude).astype(np.float32)


def pack(codes, bits):
    """Codes that share bytes along the last dimension, lowest bits first; a row is padded to whole bytes."""
    per_byte = 8 // bits
    width = -(-codes.shape[-1] // per_byte) * per_byte
    padded = np.zeros((*codes.shape[:-1], width), np.uint8)
    padded[..., : codes.shape[-1]] = codes
    parts = padded.reshape(*codes.shape[:-1], -1, per_byte) << (np.arange(per_byte, dtype=np.uint8) * bits)
    return np.bitwise_or.reduce(parts, axis=-1).astype(np.uint8)


def repeat(table, block, extent):
    return np.repeat(table, block, axis=-1)[..., :extent]


class Integers:
    """... x out x in integers with one scale for `block` inputs (0: for all), and zero points or the middle. With
    `extremes`, the first two outputs have the largest and the smallest numbers, as far as they can be from zero."""

    def __init__(self, generator, shape, bits, block, zero_points, scale_type=np.float32, extremes=False):
        self.bits, inputs = bits, shape[-1]
        block = block or inputs
        blocks = -(-inputs // block)
        self.codes = generator.integers(0, 1 << bits, shape, np.uint8)
        self.scales = (generator.uniform(0.5, 1.5, (*shape[:-1], blocks)) / (1 << bits)).astype(scale_type)
        self.zeros = generator.integers(0, 1 << bits, self.scales.shape, np.uint8) if zero_points else None
        if extremes:
            self.codes[..., 0, :], self.codes[..., 1, :] = (1 << bits) - 1, 0
        if extremes and zero_points:
            self.zeros[..., 0, :], self.zeros[..., 1, :] = 0, (1 << bits) - 1
        zeros = self.zeros if zero_points else np.full(self.scales.shape, 1 << (bits - 1))
        self.floats = (self.codes - repeat(zeros.astype(np.float32), block, inputs)) * repeat(
            self.scales.astype(np.float32), block, inputs)

    def packed(self):
        return pack(self.codes, self.bits)

    def packed_zeros(self):
        return pack(self.zeros, self.bits)


class Float4:
    """E x N x K floats of four bits (e2m1) with a power of two for 32 inputs and a scale for each matrix."""

    MAGNITUDES = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)

    def __init__(self, generator, shape):
        self.codes = generator.integers(0, 16, shape, np.uint8)
        self.exponents = generator.integers(122, 126, (*shape[:-1], -(-shape[-1] // 32)), np.uint8)
        self.globals = generator.uniform(0.5, 1.5, shape[0]).astype(np.float32)
        values = np.where(self.codes & 8, -1, 1) * self.MAGNITUDES[self.codes & 7]
        powers = np.exp2(self.exponents.astype(np.float32) - 127)
        self.floats = (values * repeat(powers, 32, shape[-1]) * self.globals[:, None, None]).astype(np.float32)

    def packed(self):
        """E x K x N / 2 bytes."""
        return pack(self.codes.transpose(0, 2, 1), 4)


class Float8:
    """E x N x K floats of eight bits with a scale for each square of `block`, or one for each matrix."""

    def __init__(self, generator, shape, block):
        codes = generator.integers(0, 256, shape, np.uint8)
        codes[(codes & 0x7F) == 0x7F] = 0x38
        self.codes, self.block = codes, block
        experts, outputs, inputs = shape
        grid = (experts, -(-outputs // block), -(-inputs // block)) if block else (experts,)
        self.scales = (generator.uniform(0.5, 1.5, grid) / 256).astype(np.float32)
        full = self.scales[:, None, None]
        if block:
            full = np.repeat(np.repeat(self.scales, block, 1)[:, :outputs], block, 2)[:, :, :inputs]
        self.floats = decode_float8(codes) * full

    def stored(self, g):
        return g.stored(TensorProto.FLOAT8E4M3FN, self.codes.shape, self.codes.tobytes())
