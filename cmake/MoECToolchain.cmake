# Compiler settings, LLVM/MLIR and the other packages.

set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)
set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib")
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)

set(MOEC_SANITIZE "" CACHE STRING "sanitizers to build with, as for -fsanitize=")
if(MOEC_SANITIZE)
  add_compile_options(-fsanitize=${MOEC_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${MOEC_SANITIZE})
endif()

# The precompiled header serves executables and libraries alike, so both are compiled in the same way.
add_compile_options(-fPIC)

# NDEBUG must agree with the LLVM packages: the layout of mlir::Pass::Statistic depends on it.
add_compile_definitions(NDEBUG)
add_compile_options(-Wall -Wextra -Wno-unused-parameter -Wno-comment -fvisibility-inlines-hidden)
add_link_options(-fuse-ld=lld)

# A precompiled header without a time stamp lets ccache recognise it.
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")

find_package(MLIR 22.1 REQUIRED CONFIG)
list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
include(TableGen)
include(AddLLVM)
include(AddMLIR)

find_package(nlohmann_json REQUIRED)
# Its CMake package in Debian asks for command-line tools that are packages of their own.
find_library(MOEC_LIBZIP zip REQUIRED)
find_package(Threads REQUIRED)

set(MOEC_ONNX_PREFIX "" CACHE PATH "install prefix of the ONNX C++ library (see scripts/install-onnx)")
find_package(Protobuf REQUIRED)
find_package(ONNX REQUIRED CONFIG PATHS "${MOEC_ONNX_PREFIX}" NO_DEFAULT_PATH)

# The include root is the repository root; generated files mirror it in the build folder.
include_directories(${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
include_directories(SYSTEM ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
