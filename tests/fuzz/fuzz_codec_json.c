/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "tests/fake/json_tree.h"
#include "tests/fuzz/codec_any.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  codec_round(&rmq_codec_json, data, size);
  codec_any(&rmq_codec_json, NULL, (const char *)data, size);
  MUST(fake_json_tree_agrees((const char *)data, size));
  return 0;
}
