/* SPDX-License-Identifier: MIT */
/* zlib itself reads back what was written; its header is seen here as well,
 * and nowhere else. */
#include "rmq_config.h"

#include "common/codec/gzip.h"

#include "common/base/prng.h"

#include "tests/alloc.h"
#include "tests/testing.h"

#include <string.h>

#include <zlib.h>

enum { LARGE = 3 << 20 };

static char *fill(size_t len, unsigned words, uint64_t seed) {
  struct rmq_prng r = {seed};
  char *bytes = malloc(len + 1);
  assert_non_null(bytes);
  for (size_t n = 0; n < len; n++)
    bytes[n] = (char)rmq_prng_below(&r, words);
  return bytes;
}

static void must_read_back(const struct rmq_buf *packed, const char *bytes,
                           size_t len) {
  char *got = malloc(len + 1);
  z_stream z = {.next_in = (Bytef *)rmq_buf_bytes(packed),
                .avail_in = (uInt)packed->len,
                .next_out = (Bytef *)got,
                .avail_out = (uInt)len + 1};
  assert_non_null(got);
  assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
  assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
  assert_int_equal(z.avail_in, 0);
  assert_int_equal(z.total_out, len);
  assert_memory_equal(got, bytes, len);
  inflateEnd(&z);
  free(got);
}

static void what_pays_reads_back(void **state) {
  (void)state;
  static const struct row {
    size_t len;
    unsigned words; /* different bytes: 1 is all zero, 256 is noise */
    bool want_packed;
  } rows[] = {
      {0, 1, false},       {1, 1, false},      {2, 1, false},
      {20, 1, false},      {40, 1, true},      {100, 2, true},
      {65536, 16, true},   {LARGE, 1, true},   {LARGE, 100, true},
      {10, 256, false},    {1000, 256, false}, {65536, 256, false},
      {LARGE, 256, false},
  };
  struct rmq_gzip *g = rmq_gzip_new();
  assert_non_null(g);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%zu bytes of %u", rows[i].len, rows[i].words);
    char *bytes = fill(rows[i].len, rows[i].words, i);
    struct rmq_buf out;
    rmq_buf_init(&out, LARGE);
    int rc = rmq_gzip_pack(g, bytes, rows[i].len, &out);
    assert_int_equal(rc, rows[i].want_packed ? 0 : -1);
    if (rc == 0) {
      assert_true(out.len < rows[i].len);
      must_read_back(&out, bytes, rows[i].len);
    } else {
      assert_int_equal(out.len, 0);
    }
    rmq_buf_fini(&out);
    free(bytes);
  }
  rmq_gzip_free(g);
}

static void same_bytes_become_the_same_bytes(void **state) {
  (void)state;
  struct rmq_buf first, again;
  rmq_buf_init(&first, 10000);
  rmq_buf_init(&again, 10000);
  char *bytes = fill(5000, 8, 1);
  struct rmq_gzip *g = rmq_gzip_new(), *other = rmq_gzip_new();
  assert_int_equal(rmq_gzip_pack(other, bytes, 4000, &again), 0);
  rmq_buf_clear(&again);
  assert_int_equal(rmq_gzip_pack(g, bytes, 5000, &first), 0);
  assert_int_equal(rmq_gzip_pack(other, bytes, 5000, &again), 0);
  assert_int_equal(first.len, again.len);
  assert_memory_equal(rmq_buf_bytes(&first), rmq_buf_bytes(&again), first.len);
  /* gzip, deflate, no flags, no time */
  assert_memory_equal(rmq_buf_bytes(&first), "\x1f\x8b\x08\0\0\0\0\0", 8);
  rmq_gzip_free(g);
  rmq_gzip_free(other);
  rmq_buf_fini(&first);
  rmq_buf_fini(&again);
  free(bytes);
}

static void result_is_appended(void **state) {
  (void)state;
  struct rmq_buf out;
  rmq_buf_init(&out, 1000);
  char bytes[500] = "";
  struct rmq_gzip *g = rmq_gzip_new();
  rmq_buf_append_text(&out, "before");
  assert_int_equal(rmq_gzip_pack(g, bytes, sizeof(bytes), &out), 0);
  assert_memory_equal(rmq_buf_bytes(&out), "before\x1f\x8b", 8);
  /* nor is it touched by one that does not fit */
  size_t len = out.len;
  out.max = len + 100;
  assert_int_equal(rmq_gzip_pack(g, bytes, sizeof(bytes), &out), -1);
  assert_int_equal(out.len, len);
  rmq_gzip_free(g);
  rmq_buf_fini(&out);
}

static void without_memory_nothing_is_packed(void **state) {
  (void)state;
  alloc_fail_at(1);
  assert_null(rmq_gzip_new());
  assert_true(alloc_works_again());
  struct rmq_gzip *g = rmq_gzip_new();
  struct rmq_buf out;
  char bytes[500] = "";
  rmq_buf_init(&out, 1000);
  alloc_fail_at(1);
  assert_int_equal(rmq_gzip_pack(g, bytes, sizeof(bytes), &out), -1);
  assert_true(alloc_works_again());
  assert_int_equal(out.len, 0);
  rmq_gzip_free(g);
  rmq_buf_fini(&out);
  rmq_gzip_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_pays_reads_back),
      cmocka_unit_test(same_bytes_become_the_same_bytes),
      cmocka_unit_test(result_is_appended),
      cmocka_unit_test(without_memory_nothing_is_packed),
  };
  return run_all(tests);
}
