"""Writes routing traces for tests: python make_routing.py FOLDER."""

import pathlib
import sys

import numpy

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
ids = numpy.array([[0, 1], [0, 1], [0, 2], [3, -1]], numpy.int32)
weights = numpy.array([[0.75, 0.25], [0.5, 0.5], [1, 0], [1, 0]], numpy.float32)
even = numpy.array([[0], [1]], numpy.int64)
numpy.savez(folder / "full.npz", ids_0=ids, weights_0=weights, ids_1=even, experts=numpy.array([5, 2]))
numpy.savez(folder / "ids.npz", ids_0=ids)
numpy.savez(folder / "gap.npz", ids_0=ids, ids_2=ids)
numpy.savez(folder / "weights.npz", ids_0=ids, weights_0=weights[:3])
numpy.savez(folder / "experts.npz", ids_0=ids, experts=numpy.array([3]))
numpy.savez(folder / "empty.npz", ids_0=ids[:0], experts=numpy.array([4]))
