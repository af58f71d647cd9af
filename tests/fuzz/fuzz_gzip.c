/* SPDX-License-Identifier: MIT */
/* Any bytes expand within their bound or are refused; what was packed comes
 * back. */
#include "rmq_config.h"

#include "common/codec/gzip.h"
#include "tests/fuzz/codec_round.h"

enum { BOUND = 20000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct rmq_buf packed, out;
  struct rmq_error err = {""};
  struct rmq_gzip *g = rmq_gzip_new();
  rmq_buf_init(&packed, SIZE_MAX / 4);
  rmq_buf_init(&out, BOUND);
  int rc = rmq_gzip_expand(data, size, &out, &err);
  MUST((rc == 0) == !rmq_error_is_set(&err));
  MUST(out.len <= BOUND && (rc == 0 || out.len == 0));
  rmq_buf_clear(&out);
  if (g != NULL && rmq_gzip_pack(g, data, size, &packed) == 0) {
    rc = rmq_gzip_expand(rmq_buf_bytes(&packed), packed.len, &out, NULL);
    MUST((rc == 0) == (size <= BOUND));
    MUST(rc != 0 ||
         (out.len == size && memcmp(rmq_buf_bytes(&out), data, size) == 0));
  }
  rmq_gzip_free(g);
  rmq_buf_fini(&packed);
  rmq_buf_fini(&out);
  return 0;
}
