/* SPDX-License-Identifier: MIT */
/* zlib itself reads back what was written; its header is seen here as well,
 * and nowhere else. */
#include "rmq_config.h"

#include "common/codec/gzip.h"

#include "common/base/prng.h"
#include "common/codec/codec.h"

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

/* Expanding --------------------------------------------------------------- */

/* "hello " and "world", packed by gzip -n. */
#define HELLO                                                                  \
  "\037\213\010\000\000\000\000\000\000\003\313\110\315\311"                   \
  "\311\127\000\000\366\371\201\355\006\000\000\000"
#define WORLD                                                                  \
  "\037\213\010\000\000\000\000\000\000\003\053\317\057\312"                   \
  "\111\001\000\103\021\167\072\005\000\000\000"
#define BYTES(text) (text), sizeof(text) - 1

static void what_is_gzip_expands_and_nothing_else(void **state) {
  (void)state;
  static const struct row {
    const char *name, *bytes;
    size_t len, max;
    const char *want, *want_error; /* one of them */
  } rows[] = {
      {"one member", BYTES(HELLO), 100, "hello ", NULL},
      {"two members", BYTES(HELLO WORLD), 100, "hello world", NULL},
      {"room to the byte", BYTES(HELLO WORLD), 11, "hello world", NULL},
      {"a byte too many", BYTES(HELLO WORLD), 10, NULL,
       "gzip: it expands to more than 10 bytes"},
      {"nothing", "", 0, 100, NULL, "gzip: it ends too early"},
      {"half a header", HELLO, 5, 100, NULL, "gzip: it ends too early"},
      {"half a body", HELLO, 14, 100, NULL, "gzip: it ends too early"},
      {"a length too short", HELLO, sizeof(HELLO) - 2, 100, NULL,
       "gzip: it ends too early"},
      {"plain text", BYTES("PUTVAL h/p/gauge 1:1"), 100, NULL,
       "gzip: incorrect header check"},
      {"garbage behind", BYTES(HELLO "x"), 100, NULL, "gzip: "},
      {"zeros behind", BYTES(HELLO "\0\0\0\0"), 100, NULL,
       "gzip: incorrect header check"},
      {"half a member behind", BYTES(HELLO "\x1f\x8b\x08"), 100, NULL,
       "gzip: it ends too early"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_buf out;
    struct rmq_error err = {""};
    SHOW_ROW("%s", rows[i].name);
    rmq_buf_init(&out, rows[i].max);
    int rc = rmq_gzip_expand(rows[i].bytes, rows[i].len, &out, &err);
    assert_int_equal(rc, rows[i].want == NULL ? -1 : 0);
    assert_string_equal(rmq_buf_text(&out),
                        rows[i].want == NULL ? "" : rows[i].want);
    if (rows[i].want_error == NULL)
      assert_string_equal(err.text, "");
    else if (strncmp(err.text, rows[i].want_error,
                     strlen(rows[i].want_error)) != 0)
      fail_msg("%s", err.text);
    rmq_buf_fini(&out);
  }
}

static void a_wrong_checksum_is_seen(void **state) {
  (void)state;
  char bytes[] = HELLO;
  struct rmq_buf out;
  struct rmq_error err = {""};
  rmq_buf_init(&out, 100);
  bytes[sizeof(bytes) - 6] ^= 1;
  assert_int_equal(rmq_gzip_expand(BYTES(bytes), &out, &err), -1);
  assert_string_equal(err.text, "gzip: incorrect data check");
  assert_int_equal(out.len, 0);
  rmq_buf_fini(&out);
}

static void what_we_pack_expands_again(void **state) {
  (void)state;
  static const size_t lengths[] = {100, 4096, 4097, 65536, LARGE};
  struct rmq_gzip *g = rmq_gzip_new();
  for (size_t i = 0; i < COUNT_OF(lengths); i++) {
    SHOW_ROW("%zu", lengths[i]);
    char *bytes = fill(lengths[i], 7, i);
    struct rmq_buf packed, out;
    rmq_buf_init(&packed, LARGE);
    rmq_buf_init(&out, lengths[i] + 3);
    rmq_buf_append_text(&out, "abc");
    assert_int_equal(rmq_gzip_pack(g, bytes, lengths[i], &packed), 0);
    assert_int_equal(
        rmq_gzip_expand(rmq_buf_bytes(&packed), packed.len, &out, NULL), 0);
    assert_int_equal(out.len, lengths[i] + 3);
    assert_memory_equal(rmq_buf_bytes(&out) + 3, bytes, lengths[i]);
    rmq_buf_fini(&packed);
    rmq_buf_fini(&out);
    free(bytes);
  }
  rmq_gzip_free(g);
}

/* A thousand to one: more than that deflate cannot do. */
static void a_bomb_takes_no_more_than_its_bound(void **state) {
  (void)state;
  enum { BOUND = 100000 };
  struct rmq_gzip *g = rmq_gzip_new();
  char *bytes = fill(LARGE, 1, 0);
  struct rmq_buf packed, out;
  struct rmq_error err = {""};
  rmq_buf_init(&packed, LARGE);
  rmq_buf_init(&out, BOUND);
  assert_int_equal(rmq_gzip_pack(g, bytes, LARGE, &packed), 0);
  assert_true(packed.len < 4000);
  assert_int_equal(
      rmq_gzip_expand(rmq_buf_bytes(&packed), packed.len, &out, &err), -1);
  assert_string_equal(err.text, "gzip: it expands to more than 100000 bytes");
  assert_int_equal(out.len, 0);
  assert_true(out.capacity <= 2 * BOUND);
  rmq_buf_fini(&packed);
  rmq_buf_fini(&out);
  rmq_gzip_free(g);
  free(bytes);
}

static void without_memory_nothing_expands(void **state) {
  (void)state;
  struct rmq_buf out;
  for (size_t n = 1;; n++) {
    struct rmq_error err = {""};
    rmq_buf_init(&out, 100);
    alloc_fail_at(n);
    int rc = rmq_gzip_expand(BYTES(HELLO), &out, &err);
    bool has_failed = alloc_works_again();
    assert_int_equal(rc, has_failed ? RMQ_CODEC_NO_MEMORY : 0);
    assert_string_equal(err.text, has_failed ? "out of memory" : "");
    assert_string_equal(rmq_buf_text(&out), has_failed ? "" : "hello ");
    rmq_buf_fini(&out);
    if (!has_failed)
      break;
  }
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
      cmocka_unit_test(what_is_gzip_expands_and_nothing_else),
      cmocka_unit_test(a_wrong_checksum_is_seen),
      cmocka_unit_test(what_we_pack_expands_again),
      cmocka_unit_test(a_bomb_takes_no_more_than_its_bound),
      cmocka_unit_test(without_memory_nothing_expands),
  };
  return run_all(tests);
}
