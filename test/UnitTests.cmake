# GoogleTest programs; lit tests beside their sources run them.
find_package(GTest REQUIRED)

# A code object that the runtime's tests load.
add_library(moert-test-code MODULE runtime/core/Inputs/Code.c)

add_executable(moert-tests
  runtime/comm/LocalGroupTest.cpp
  runtime/core/AllocationsTest.cpp
  runtime/core/BindInputsTest.cpp
  runtime/core/ExpertExchangeTest.cpp
  runtime/core/SessionStateTest.cpp
  runtime/core/SessionTest.cpp
  runtime/core/SessionWatchTest.cpp
  runtime/device/cpu/AllocatorTest.cpp
  runtime/device/cpu/InstructionSetsTest.cpp
  runtime/device/cpu/ThreadPoolTest.cpp
  runtime/device/cuda/DeviceTest.cpp
  runtime/format/FormatTest.cpp)
target_compile_definitions(moert-tests PRIVATE MOERT_TEST_CODE="$<TARGET_FILE:moert-test-code>")
target_link_libraries(moert-tests PRIVATE moert-core moert GTest::gtest_main)
add_dependencies(moert-tests moert-test-code)
# The header of the CUDA driver, to compare with where it is installed.
find_file(MOERT_CUDA_HEADER cuda.h PATHS /usr/local/cuda/include ENV CUDA_HOME PATH_SUFFIXES include)
if(MOERT_CUDA_HEADER)
  target_compile_definitions(moert-tests PRIVATE MOERT_TEST_CUDA_HEADER="${MOERT_CUDA_HEADER}")
endif()

moec_add_tool(moec-tests
  compiler/Artifact/WeightPackerTest.cpp
  compiler/tools/moec/ToolSupportTest.cpp
  LINK moec-weight-packer moec-tool-support moert-format GTest::gtest_main)

add_executable(placement-tests
  passes/plan/placement/PlanFileTest.cpp
  passes/plan/placement/PlannerTest.cpp
  passes/plan/placement/SimulatorTest.cpp)
target_precompile_headers(placement-tests REUSE_FROM moec-precompiled)
target_link_libraries(placement-tests PRIVATE moec-placement GTest::gtest_main)

# The emulated device; some of its kernels are made by LLVM's own compiler.
find_program(MOEC_LLC NAMES llc HINTS "${LLVM_TOOLS_BINARY_DIR}" NO_DEFAULT_PATH)
add_executable(emulated-tests
  runtime/device/emulated/ArithmeticTest.cpp
  runtime/device/emulated/BulkCopyTest.cpp
  runtime/device/emulated/CheckTest.cpp
  runtime/device/emulated/ExecutionTest.cpp
  runtime/device/emulated/InterfaceTest.cpp
  runtime/device/emulated/MatrixTest.cpp
  runtime/device/emulated/RaceTest.cpp
  runtime/device/emulated/StreamTest.cpp)
target_compile_definitions(emulated-tests PRIVATE MOE_TEST_LLC="${MOEC_LLC}")
target_link_libraries(emulated-tests PRIVATE moert-emulated GTest::gtest_main)

# NCCL for ranks on emulated devices, which tests of its transport open.
add_library(nccl-stand-in MODULE runtime/comm/StandInNccl.cpp)
set_target_properties(nccl-stand-in PROPERTIES CXX_VISIBILITY_PRESET hidden)
target_link_libraries(nccl-stand-in PRIVATE moert-device-cuda)

# Matrix registers for processors without them, which tests of generated code
# preload.
add_library(amx-emulator MODULE runtime/device/cpu/AmxEmulator.cpp)
set_target_properties(amx-emulator PROPERTIES CXX_VISIBILITY_PRESET hidden)
