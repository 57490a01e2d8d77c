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

typedef struct moe_program_options {
  /* sizeof(moe_program_options_t) of the caller. */
  size_t struct_size;
  moe_verify_t verify;
  moe_weights_mode_t weights;
  /* The instruction set level of the code to load, or null: the highest one
     that this machine supports (the environment variable MOE_ISA overrides
     that). */
  const char *isa;
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
   previous run of the same session. */
MOE_API moe_status_t moe_session_run(moe_session_t *session,
                                     const moe_input_t *inputs,
                                     size_t input_count);

/* An output of the last successful run. Its `dims` and `data` are owned by the
   session and live until the next moe_session_run on it returns. */
MOE_API moe_status_t moe_session_output(const moe_session_t *session,
                                        size_t index, moe_tensor_t *out_tensor);

#ifdef __cplusplus
}
#endif

#endif /* RUNTIME_MOE_RUNTIME_H */
