// All operators of the onnx dialect.

#ifndef DIALECTS_ONNX_ONNXOPS_TD
#define DIALECTS_ONNX_ONNXOPS_TD

include "dialects/onnx/ContribOps.td"
include "dialects/onnx/StandardAToMOps.td"
include "dialects/onnx/StandardNToZOps.td"

#endif // DIALECTS_ONNX_ONNXOPS_TD
