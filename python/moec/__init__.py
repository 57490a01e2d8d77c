"""Compiles Mixture-of-Experts models in ONNX and runs them.

    import moec
    moec.compile("model.onnx", "model.moe")
    outputs = moec.load("model.moe").run({"x": array})
"""

from ._compiler import compile
from ._library import Error, version
from ._program import Program, load
from ._session import LayerRouting, Session, Span, Statistics, ValueInfo

__all__ = ["Error", "LayerRouting", "Program", "Session", "Span", "Statistics", "ValueInfo", "compile", "load", "version"]
__version__ = "0.1.0"
