"""lit configuration: the tests mirror the source tree, e2e/ runs whole models."""

import glob
import os
import shutil
import subprocess

import lit.formats

config.name = "moec"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".onnxtxt", ".test"]
config.excludes = ["Inputs", "CMakeLists.txt"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.moec_build, "test")

# Generated code that checks its accesses runs with this library preloaded.
asan = "".join(glob.glob(f"{config.llvm_prefix}/lib/clang/*/lib/*/libclang_rt.asan-x86_64.so"))
if asan:
    config.available_features.add("asan")

# The runtime is built with this one for a test of its own.
if glob.glob(f"{config.llvm_prefix}/lib/clang/*/lib/*/libclang_rt.tsan-x86_64.a"):
    config.available_features.add("tsan")

# The assembler for devices, where moec finds it, and the emulated device.
if shutil.which("ptxas") or os.access("/usr/local/cuda/bin/ptxas", os.X_OK):
    config.available_features.add("ptxas")
if os.path.exists(os.path.join(config.moec_build, "lib", "libmoe_emulated_cuda.so")):
    config.available_features.add("emulated-device")

# The level of instructions that multiply pairs of bf16 and quads of bytes.
flags = next((line for line in open("/proc/cpuinfo") if line.startswith("flags")), "").split()
if {"avx512_bf16", "avx512_vnni", "avx512vbmi"} <= set(flags):
    config.available_features.add("avx512bf16")

# Its matrix registers, or a library to preload that stands in for them.
emulator = os.path.join(config.moec_build, "lib", "libamx-emulator.so")
amx = "MOE_ISA=amx" if "amx_tile" in flags else f"LD_PRELOAD={emulator}"
if "amx_tile" in flags or ("avx512bf16" in config.available_features and os.path.exists(emulator)):
    config.available_features.add("amx")

# Ranks that are processes.
if shutil.which("mpirun") and os.path.exists(os.path.join(config.moec_build, "lib", "libmoert_mpi.so")):
    config.available_features.add("mpi")

if os.path.exists(os.path.join(config.moec_build, "lib", "libnccl-stand-in.so")):
    config.available_features.add("nccl-stand-in")

# Hosts of their own on this machine, which takes the rights of root.
if os.geteuid() == 0 and shutil.which("ip"):
    probe = f"moep{os.getpid()}"
    steps = f"ip netns add {probe} && ip link add {probe}b type bridge && ip link add {probe}h type veth peer name eth0 netns {probe}"
    if subprocess.run(steps, shell=True, capture_output=True).returncode == 0:
        config.available_features.add("netns")
    subprocess.run(f"ip netns del {probe}; ip link del {probe}b", shell=True, capture_output=True)

tools = [os.path.join(config.moec_build, "bin"), config.llvm_tools]
config.environment["PATH"] = os.pathsep.join(tools + [os.environ["PATH"]])
config.environment["HOME"] = os.environ.get("HOME", "/")
config.substitutions += [
    ("%source", config.moec_source),
    ("%build", config.moec_build),
    ("%python", config.python),
    ("%cmake", config.cmake),
    ("%llvm", config.llvm_prefix),
    ("%asan", asan),
    ("%amx", amx),
]
