/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "tests/fuzz/codec_any.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  codec_any(&rmq_codec_influx, NULL, (const char *)data, size);
  return 0;
}
