/*===- moe_runtime.h - the C interface of the runtime ----------------------===*\
|*
|* Part of moec, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
\*===----------------------------------------------------------------------===*/

/*
 * Runs artifacts (`.moe` files) that `moec compile` has written.
 *
 *   program   an open artifact: code and weights, read-only, shared
 *   session   threads and memory to run a program; any number per program
 *
 * Conventions
 *   - A function that can fail returns `moe_status_t`. Its results come last,
 * by parameters called `out_...`, and are written only on success.
 *   - `moe_error_message` tells what went wrong, in one line.
 *   - Each comment says who owns what. Strings and arrays that are handed out
 *     belong to the object that they describe and live as long as it does.
 *   - All functions may be called from any thread. Two threads must not run the
 *     same session at once; the second one gets MOE_ERROR_BUSY.
 *   - No function throws, prints or exits.
 *
 * Opening an artifact loads native code from it. The hashes in an artifact
 * detect damage, not malice: open only artifacts from a source that you trust.
 */

#ifndef RUNTIME_MOE_RUNTIME_H
#define RUNTIME_MOE_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOE_API __attribute__((visibility("default")))

/* ---- Status ------------------------------------------------------------- */

typedef enum moe_status {
  MOE_OK = 0,
  /* The caller broke a rule of this interface, such as a null pointer. */
  MOE_ERROR_INVALID_ARGUMENT = 1,
  /* The system failed to open, read or write a file. */
  MOE_ERROR_IO = 2,
  /* The file is no artifact, truncated or damaged. */
  MOE_ERROR_ARTIFACT = 3,
  /* A format version, host interface or instruction set that is not available.
   */
  MOE_ERROR_UNSUPPORTED = 4,
  /* An input has a wrong name, type or shape. */
  MOE_ERROR_INPUT = 5,
  MOE_ERROR_OUT_OF_MEMORY = 6,
  /* The model found an error in its data, such as an index out of range. */
  MOE_ERROR_RUN = 7,
  /* The session is running in another thread. */
  MOE_ERROR_BUSY = 8
} moe_status_t;

/* The message of the last failed call of this thread; empty if there was none.
   Owned by the runtime, valid until the thread's next call that fails. */
MOE_API const char *moe_error_message(void);

/* The version of the runtime, "major.minor.patch". Static. */
MOE_API const char *moe_runtime_version(void);

/* ---- Tensors ------------------------------------------------------------ */

typedef enum moe_dtype {
  MOE_DTYPE_F32 = 1,
  MOE_DTYPE_F64 = 2,
  MOE_DTYPE_F16 = 3,
  MOE_DTYPE_BF16 = 4,
  MOE_DTYPE_I8 = 5,
  MOE_DTYPE_I16 = 6,
  MOE_DTYPE_I32 = 7,
  MOE_DTYPE_I64 = 8,
  MOE_DTYPE_U8 = 9,
  MOE_DTYPE_U16 = 10,
  MOE_DTYPE_U32 = 11,
  MOE_DTYPE_U64 = 12,
  /* One byte, 0 or 1. */
  MOE_DTYPE_BOOL = 13,
  /* The bits of a floating-point number of 8 or 4 bits, in a byte each. */
  MOE_DTYPE_F8E4M3FN = 14,
  MOE_DTYPE_F8E4M3FNUZ = 15,
  MOE_DTYPE_F8E5M2 = 16,
  MOE_DTYPE_F8E5M2FNUZ = 17,
  MOE_DTYPE_F8E8M0FNU = 18,
  MOE_DTYPE_F4E2M1FN = 19,
  /* Integers of 4 and 2 bits, extended to a byte each. */
  MOE_DTYPE_I4 = 20,
  MOE_DTYPE_U4 = 21,
  MOE_DTYPE_I2 = 22,
  MOE_DTYPE_U2 = 23
} moe_dtype_t;

/* The size of an element in bytes; 0 for an unknown type. */
MOE_API size_t moe_dtype_size(moe_dtype_t dtype);

/* The name of a type as artifacts write it, such as "f32"; null if unknown. */
MOE_API const char *moe_dtype_name(moe_dtype_t dtype);

/* Numbers in row-major order. Who owns `dims` and `data` depends on the use. */
typedef struct moe_tensor {
  moe_dtype_t dtype;
  uint32_t rank;
  /* `rank` extents; may be null if `rank` is 0. */
  const int64_t *dims;
  /* Aligned to the element; may be null if the tensor has no elements. */
  const void *data;
} moe_tensor_t;

/* A tensor for the input of this name. */
typedef struct moe_input {
  const char *name;
  moe_tensor_t tensor;
} moe_input_t;

/* ---- Programs ----------------------------------------------------------- */

typedef struct moe_program moe_program_t;

typedef enum moe_verify {
  /* Checks the hash of everything that is loaded. */
  MOE_VERIFY_ALL = 0,
  /* Checks everything but the weights. */
  MOE_VERIFY_CODE = 1
} moe_verify_t;

typedef enum moe_weights_mode {
  /* Reads the weights into huge pages: the fastest to run. */
  MOE_WEIGHTS_READ = 0,
  /* Maps the file: memory is shared and can be dropped by the system. The file
     must not change while the program is open. */
  MOE_WEIGHTS_MAP = 1
} moe_weights_mode_t;

/* One of several ranks that run the same program together; see
   docs/placement.md. */
typedef struct moe_communicator moe_communicator_t;

/* Makes `ranks` communicators that pass messages within this process, for as
   many programs, each used by a thread of its own. The caller owns each of
   `out_communicators`, in the order of ranks. */
MOE_API moe_status_t
moe_communicator_local(size_t ranks, moe_communicator_t **out_communicators);

/* Joins the ranks that a launcher has started; `transport`: "mpi" or "nccl",
   for processes that mpirun started. The caller owns the result. A process may
   do so once. */
MOE_API moe_status_t moe_communicator_open(const char *transport,
                                           moe_communicator_t **out_result);

MOE_API moe_status_t
moe_communicator_rank(const moe_communicator_t *communicator, size_t *out_rank,
                      size_t *out_ranks);

/* How many bytes the rank has sent to other ranks so far, without counts. */
MOE_API moe_status_t moe_communicator_bytes_sent(
    const moe_communicator_t *communicator, uint64_t *out_bytes);

/* Gives up the caller's claim. Programs keep it alive. Null is ignored. */
MOE_API void moe_communicator_close(moe_communicator_t *communicator);

typedef struct moe_program_options {
  /* sizeof(moe_program_options_t) of the caller. */
  size_t struct_size;
  moe_verify_t verify;
  moe_weights_mode_t weights;
  /* The instruction set level or device architecture of the code to load, or
     null: the highest one that this machine or device supports (the environment
     variable MOE_ISA overrides that on the CPU). */
  const char *isa;
  /* Where to run: "cpu" or null; "cuda", the first device of the CUDA driver;
     "emulate", a device that this process emulates (slow: for tests). */
  const char *device;
  /* For an artifact that was compiled for several ranks: the rank to be, or
     null. Such a program reads the weights of its own experts only. One session
     of it may run at a time, and all ranks must run the same inputs. */
  moe_communicator_t *communicator;
} moe_program_options_t;

/* Opens the artifact at `path`. `options` may be null: all zero. The caller
   owns the result and gives it back with moe_program_close. */
MOE_API moe_status_t moe_program_open(const char *path,
                                      const moe_program_options_t *options,
                                      moe_program_t **out_program);

/* Gives up the caller's claim. Sessions of the program keep it alive until they
   are destroyed. Null is ignored. */
MOE_API void moe_program_close(moe_program_t *program);

/* What a program expects or yields in one place. */
typedef struct moe_value_info {
  const char *name;
  moe_dtype_t dtype;
  uint32_t rank;
  /* `rank` extents; -1 where the extent is known at run time only. */
  const int64_t *dims;
  /* `rank` names of extents; equal names mean equal extents, and "" that there
     is none. */
  const char *const *symbols;
} moe_value_info_t;

MOE_API moe_status_t moe_program_input_count(const moe_program_t *program,
                                             size_t *out_count);
MOE_API moe_status_t moe_program_output_count(const moe_program_t *program,
                                              size_t *out_count);
/* The pointers in `out_info` are owned by the program. */
MOE_API moe_status_t moe_program_input(const moe_program_t *program,
                                       size_t index,
                                       moe_value_info_t *out_info);
MOE_API moe_status_t moe_program_output(const moe_program_t *program,
                                        size_t index,
                                        moe_value_info_t *out_info);

/* An output that is an input followed by new entries along dimension `axis`,
   such as the cache of a decoder. See moe_session_run. */
typedef struct moe_state_info {
  size_t input;
  size_t output;
  uint32_t axis;
} moe_state_info_t;

MOE_API moe_status_t moe_program_state_count(const moe_program_t *program,
                                             size_t *out_count);
MOE_API moe_status_t moe_program_state(const moe_program_t *program,
                                       size_t index,
                                       moe_state_info_t *out_info);

/* The instruction set level of the code that was loaded; owned by the program.
 */
MOE_API moe_status_t moe_program_isa(const moe_program_t *program,
                                     const char **out_isa);

/* The manifest of the artifact, JSON; owned by the program. */
MOE_API moe_status_t moe_program_manifest(const moe_program_t *program,
                                          const char **out_json);

/* ---- Sessions ----------------------------------------------------------- */

typedef struct moe_session moe_session_t;

typedef struct moe_session_options {
  /* sizeof(moe_session_options_t) of the caller. */
  size_t struct_size;
  /* Threads that work on a run, the calling one included; 0: one for each
     processor that this process may use. */
  uint32_t threads;
} moe_session_options_t;

/* `options` may be null: all zero. The caller owns the result and gives it back
   with moe_session_destroy; the program may be closed before. */
MOE_API moe_status_t moe_session_create(moe_program_t *program,
                                        const moe_session_options_t *options,
                                        moe_session_t **out_session);

/* Frees a session and its outputs. It must not be running. Null is ignored. */
MOE_API void moe_session_destroy(moe_session_t *session);

/* Runs the program. Every input of the program must be given once, in any
   order; their data is read during the call only. Inputs may be outputs of the
   previous run of the same session.

   The input of a state (moe_program_state) may be left out once a run has
   succeeded: the run then continues with what the last successful run left, and
   the new entries are written behind the old ones, which are not copied unless
   the memory of the state has to grow; it doubles. Given the input, the state
   begins anew. */
MOE_API moe_status_t moe_session_run(moe_session_t *session,
                                     const moe_input_t *inputs,
                                     size_t input_count);

/* An output of the last successful run. Its `dims` and `data` are owned by the
   session and live until the next moe_session_run on it returns. A state whose
   memory has gaps is copied when it is asked for. */
MOE_API moe_status_t moe_session_output(const moe_session_t *session,
                                        size_t index, moe_tensor_t *out_tensor);

/* ---- Watching a session ------------------------------------------------- */

/* Begins to record which experts tokens choose, dropping what was recorded, or
   with 0 ends it. A session that records nothing pays nothing. */
MOE_API moe_status_t moe_session_record_routing(moe_session_t *session,
                                                int enable);

/* The choices of one expert layer in all runs since recording began. */
typedef struct moe_routing {
  int64_t tokens;
  /* Experts per token, and experts to choose from. */
  int64_t slots;
  int64_t experts;
  /* `tokens` x `slots`, row-major; an id below 0 is a slot without expert. */
  const int32_t *ids;
  const float *weights;
  /* The number of tokens of each time that the layer ran. */
  int64_t calls;
  const int64_t *call_tokens;
} moe_routing_t;

/* How many expert layers have been recorded: those of 'experts.layers' in the
   manifest, in that order. */
MOE_API moe_status_t moe_session_routing_count(const moe_session_t *session,
                                               size_t *out_count);
/* The pointers in `out_routing` are owned by the session and live until its
   next run or the end of the recording. */
MOE_API moe_status_t moe_session_routing(const moe_session_t *session,
                                         size_t layer,
                                         moe_routing_t *out_routing);

/* Begins to time runs, dropping what was timed, or with 0 ends it. */
MOE_API moe_status_t moe_session_profile(moe_session_t *session, int enable);

typedef enum moe_span_kind {
  /* A whole run. */
  MOE_SPAN_RUN = 0,
  /* An operation, on the thread that called moe_session_run. */
  MOE_SPAN_OPERATION = 1,
  /* A part of a parallel loop, on the thread that ran it. */
  MOE_SPAN_PIECE = 2
} moe_span_kind_t;

typedef struct moe_span {
  /* The ONNX node or block that the operation came from. */
  const char *name;
  moe_span_kind_t kind;
  /* 0: the thread that called moe_session_run. */
  uint32_t thread;
  /* Nanoseconds of the system's monotonic clock. */
  int64_t begin_ns;
  int64_t end_ns;
} moe_span_t;

/* All spans since the profile began, by thread and begin; none without a
   profile. Owned by the session, until its next run or the end of the profile;
   the names are owned by the program. */
MOE_API moe_status_t moe_session_spans(moe_session_t *session,
                                       const moe_span_t **out_spans,
                                       size_t *out_count);

typedef struct moe_session_statistics {
  /* sizeof(moe_session_statistics_t) of the caller. */
  size_t struct_size;
  /* How often memory for tensors came from the system. */
  uint64_t system_allocations;
  /* The memory of the static plan. */
  uint64_t arena_bytes;
  /* What was copied because a state had no room or its input was given. */
  uint64_t state_bytes_copied;
} moe_session_statistics_t;

/* Fills in the fields that the `struct_size` of `out_statistics` covers. */
MOE_API moe_status_t moe_session_statistics(
    moe_session_t *session, moe_session_statistics_t *out_statistics);

#ifdef __cplusplus
}
#endif

#endif /* RUNTIME_MOE_RUNTIME_H */
