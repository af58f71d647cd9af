/* SPDX-License-Identifier: MIT */
/* What stands before the first newline is the template. */
#include "rmq_config.h"

#include "common/codec/graphite_template.h"
#include "tests/fuzz/codec_any.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *bytes = (const char *)data;
  const char *newline = size == 0 ? NULL : memchr(bytes, '\n', size);
  struct rmq_graphite_template t;
  char text[200];
  codec_any(&rmq_codec_graphite, NULL, bytes, size);
  if (newline == NULL || (size_t)(newline - bytes) >= sizeof(text))
    return 0;
  size_t len = (size_t)(newline - bytes);
  memcpy(text, bytes, len);
  text[len] = '\0';
  if (rmq_graphite_template_parse(text, &t, NULL) == 0)
    codec_any(&rmq_codec_graphite, &t, newline + 1, size - len - 1);
  return 0;
}
