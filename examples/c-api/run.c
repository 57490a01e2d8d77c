/*===- run.c - runs an artifact through the C interface --------------------===*\
|*
|* Part of moec, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
\*===----------------------------------------------------------------------===*/

/*
 * Usage: run MODEL.moe [EXTENT]
 *
 * Prints the signature of the artifact, runs it once on zeros, with EXTENT (or
 * 1) for every extent that is not fixed, and prints the first number of each
 * output. Build, from the root of the repository:
 *
 *   cc -std=c11 -I. examples/c-api/run.c -Lbuild/lib -lmoert \
 *     -Wl,-rpath,$PWD/build/lib -o run
 */

#include "runtime/moe_runtime.h"

#include <stdio.h>
#include <stdlib.h>

/* Ends the program if a call has failed. */
static void check(moe_status_t status) {
  if (status == MOE_OK)
    return;
  fprintf(stderr, "run: error: %s\n", moe_error_message());
  exit(1);
}

static void *allocate(size_t count, size_t size) {
  void *memory = calloc(count ? count : 1, size);
  if (!memory) {
    fprintf(stderr, "run: error: out of memory\n");
    exit(1);
  }
  return memory;
}

static void print_signature(const char *kind, const moe_value_info_t *info) {
  printf("%s %s: %s[", kind, info->name, moe_dtype_name(info->dtype));
  for (uint32_t i = 0; i < info->rank; ++i) {
    const char *separator = i ? " x " : "";
    if (info->dims[i] >= 0)
      printf("%s%lld", separator, (long long)info->dims[i]);
    else
      printf("%s%s", separator, info->symbols[i][0] ? info->symbols[i] : "?");
  }
  printf("]\n");
}

/* A tensor of zeros; `dims` and `data` are the caller's to free. */
static moe_tensor_t make_zeros(const moe_value_info_t *info, int64_t extent) {
  int64_t *dims = allocate(info->rank, sizeof(int64_t));
  size_t count = 1;
  for (uint32_t i = 0; i < info->rank; ++i) {
    dims[i] = info->dims[i] >= 0 ? info->dims[i] : extent;
    count *= (size_t)dims[i];
  }
  moe_tensor_t tensor = {info->dtype, info->rank, dims,
                         allocate(count, moe_dtype_size(info->dtype))};
  return tensor;
}

static void print_output(const char *name, const moe_tensor_t *tensor) {
  size_t count = 1;
  printf("%s: %s[", name, moe_dtype_name(tensor->dtype));
  for (uint32_t i = 0; i < tensor->rank; ++i) {
    printf("%s%lld", i ? " x " : "", (long long)tensor->dims[i]);
    count *= (size_t)tensor->dims[i];
  }
  printf("]");
  if (count && tensor->dtype == MOE_DTYPE_F32)
    printf(" = %g%s", ((const float *)tensor->data)[0],
           count > 1 ? " ..." : "");
  printf("\n");
}

int main(int argc, char **argv) {
  if (argc < 2 || argc > 3) {
    fprintf(stderr, "usage: run MODEL.moe [EXTENT]\n");
    return 2;
  }
  int64_t extent = argc == 3 ? atoll(argv[2]) : 1;

  moe_program_t *program;
  check(moe_program_open(argv[1], NULL, &program));
  moe_session_t *session;
  check(moe_session_create(program, NULL, &session));

  size_t input_count, output_count;
  check(moe_program_input_count(program, &input_count));
  check(moe_program_output_count(program, &output_count));
  moe_input_t *inputs = allocate(input_count, sizeof(moe_input_t));
  for (size_t i = 0; i < input_count; ++i) {
    moe_value_info_t info;
    check(moe_program_input(program, i, &info));
    print_signature("input", &info);
    inputs[i].name = info.name;
    inputs[i].tensor = make_zeros(&info, extent);
  }

  check(moe_session_run(session, inputs, input_count));
  for (size_t i = 0; i < output_count; ++i) {
    moe_value_info_t info;
    check(moe_program_output(program, i, &info));
    moe_tensor_t output;
    check(moe_session_output(session, i, &output));
    print_output(info.name, &output);
  }

  for (size_t i = 0; i < input_count; ++i) {
    free((void *)inputs[i].tensor.dims);
    free((void *)inputs[i].tensor.data);
  }
  free(inputs);
  moe_session_destroy(session);
  moe_program_close(program);
  return 0;
}
