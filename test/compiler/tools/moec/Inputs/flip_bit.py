"""Copies a file with one bit flipped: python flip_bit.py FILE COPY BYTE (negative: from the end)."""

import pathlib
import sys

contents = bytearray(pathlib.Path(sys.argv[1]).read_bytes())
contents[int(sys.argv[3])] ^= 0x04
pathlib.Path(sys.argv[2]).write_bytes(contents)
