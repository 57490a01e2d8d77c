// All operators of the onnx dialect.

#ifndef DIALECTS_ONNX_ONNXOPS_TD
#define DIALECTS_ONNX_ONNXOPS_TD

include "dialects/onnx/ContribOps.td"
include "dialects/onnx/StandardAToGOps.td"
include "dialects/onnx/StandardHToQOps.td"
include "dialects/onnx/StandardRToZOps.td"

#endif // DIALECTS_ONNX_ONNXOPS_TD
