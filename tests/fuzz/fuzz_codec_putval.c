/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "tests/fuzz/codec_any.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  codec_round(&rmq_codec_putval, data, size);
  codec_any(&rmq_codec_putval, NULL, (const char *)data, size);
  return 0;
}
