/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/names.h"

#include "tests/testing.h"

#include "common/base/prng.h"
#include "common/base/sample.h"
#include "common/base/utf8.h"

#include <string.h>

static void fnv1a_has_its_published_values(void **state) {
  (void)state;
  /* From the test vectors of draft-eastlake-fnv. */
  assert_true(rmq_fnv1a("", 0) == UINT64_C(0xcbf29ce484222325));
  assert_true(rmq_fnv1a("a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
  assert_true(rmq_fnv1a("foobar", 6) == UINT64_C(0x85944171f73967e8));
  uint64_t pieces = rmq_fnv1a_more(RMQ_FNV1A_BASIS, "foo", 3);
  assert_true(rmq_fnv1a_more(pieces, "bar", 3) == rmq_fnv1a("foobar", 6));
}

static void names_are_encoded_as_in_urls(void **state) {
  (void)state;
  static const struct {
    const char *name;
    bool also_dash;
    const char *want;
  } rows[] = {
      {"", false, ""},
      {"AZaz09_.~-", false, "AZaz09_.~-"},
      {"AZaz09_.~-", true, "AZaz09_.~%2D"},
      {"/", true, "%2F"},
      {"a b%c", false, "a%20b%25c"},
      {"\xc3\xa9\x01\xff", false, "%C3%A9%01%FF"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_buf out;
    rmq_buf_init(&out, 100);
    SHOW_ROW("\"%s\"", rows[i].want);
    assert_int_equal(rmq_names_encode(&out, rows[i].name, rows[i].also_dash),
                     0);
    assert_string_equal(rmq_buf_text(&out), rows[i].want);
    rmq_buf_fini(&out);
  }
}

static void a_name_that_does_not_fit_is_not_half_there(void **state) {
  (void)state;
  struct rmq_buf out;
  rmq_buf_init(&out, 10);
  assert_int_equal(rmq_buf_append_text(&out, "ab"), 0);
  assert_int_equal(rmq_names_encode(&out, "xyz/", false), 0);
  assert_int_equal(rmq_names_encode(&out, "x/", false), -1);
  assert_string_equal(rmq_buf_text(&out), "abxyz%2F");
  rmq_buf_fini(&out);
}

static void long_names_end_in_a_hash_of_the_whole(void **state) {
  (void)state;
  static const struct {
    const char *name;
    size_t length; /* of the name: 'q's with insert in it */
    const char *insert;
    size_t at;
    size_t want_kept; /* 0 = the name stays */
  } rows[] = {
      {"empty", 0, "", 0, 0},
      {"127 bytes fit", 127, "", 0, 0},
      {"128 bytes do not", 128, "", 0, 110},
      {"very long", 5000, "", 0, 110},
      {"percent as the last kept byte", 200, "%2F", 109, 109},
      {"percent as the last but one", 200, "%2F", 108, 108},
      {"percent that fits", 200, "%2F", 107, 110},
      {"a character across the cut", 200, "\xe2\x82\xac", 108, 108},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    static char name[5001];
    memset(name, 'q', rows[i].length);
    memcpy(name + rows[i].at, rows[i].insert, strlen(rows[i].insert));
    name[rows[i].length] = '\0';
    char want[RMQ_NAME_MAX + 1] = "", short_name[RMQ_NAME_MAX + 1];
    if (rows[i].want_kept == 0)
      memcpy(want, name, rows[i].length + 1);
    else
      snprintf(want, sizeof(want), "%.*s~%016" PRIx64, (int)rows[i].want_kept,
               name, rmq_fnv1a(name, rows[i].length));
    SHOW_ROW("%s", rows[i].name);
    rmq_names_shorten(name, short_name, sizeof(short_name));
    assert_string_equal(short_name, want);
    char again[RMQ_NAME_MAX + 1];
    rmq_names_shorten(short_name, again, sizeof(again));
    assert_string_equal(again, short_name);
  }
}

static void names_that_a_writer_cannot_carry_are_not_safe(void **state) {
  (void)state;
  char longest[RMQ_NAME_MAX + 2];
  memset(longest, 'n', sizeof(longest));
  const struct {
    const char *name;
    size_t len;
    bool want;
  } rows[] = {
      {"cpu", 3, true},
      {"a.b-c d%", 8, true},
      {"caf\xc3\xa9", 5, true},
      {longest, RMQ_NAME_MAX, true},
      {longest, RMQ_NAME_MAX + 1, false},
      {"", 0, false},
      {".", 1, false},
      {"..", 2, false},
      {".hidden", 7, false},
      {"a/b", 3, false},
      {"a\0b", 3, false},
      {"a\nb", 3, false},
      {"a\x7f", 2, false},
      {"a\xc2\x85", 3, false},
      {"\xff", 1, false},
      {"caf\xc3", 4, false},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("row %zu", i);
    assert_int_equal(rmq_names_are_safe(rows[i].name, rows[i].len),
                     rows[i].want);
  }
}

/* A model of a monitored broker: names from few building blocks, many with a
 * long prefix in common, so that near collisions are the rule. */
static void random_name(struct rmq_prng *r, char *name, size_t size) {
  static const char *const blocks[] = {"-", "/", "%",        "~",     ".",
                                       "a", "b", "\xc3\xa9", "orders"};
  size_t len = 0;
  if (rmq_prng_below(r, 3) == 0) {
    len = 60 + rmq_prng_below(r, 120);
    memset(name, 'p', len);
  }
  for (uint64_t n = rmq_prng_below(r, 9); n > 0; n--) {
    const char *block = blocks[rmq_prng_below(r, COUNT_OF(blocks))];
    if (len + strlen(block) < size) {
      memcpy(name + len, block, strlen(block));
      len += strlen(block);
    }
  }
  name[len] = '\0';
}

struct object {
  char vhost[256], queue[256];
  char identity[RMQ_NAME_MAX + 1];
};

static int by_identity(const void *a, const void *b) {
  return strcmp(((const struct object *)a)->identity,
                ((const struct object *)b)->identity);
}

static void different_names_have_different_identities(void **state) {
  (void)state;
  enum { OBJECTS = 20000 };
  struct rmq_prng r = {property_seed(2)};
  struct object *all = calloc(OBJECTS, sizeof(*all));
  assert_non_null(all);
  struct rmq_buf out;
  rmq_buf_init(&out, 4096);
  for (size_t i = 0; i < OBJECTS; i++) {
    struct object *o = &all[i];
    random_name(&r, o->vhost, sizeof(o->vhost));
    random_name(&r, o->queue, sizeof(o->queue));
    rmq_buf_clear(&out);
    rmq_buf_append_text(&out, "main-queue-");
    rmq_names_encode(&out, o->vhost, /* also_dash = */ true);
    rmq_buf_append_char(&out, '-');
    rmq_names_encode(&out, o->queue, /* also_dash = */ false);
    assert_false(out.failed);
    rmq_names_shorten(rmq_buf_text(&out), o->identity, sizeof(o->identity));
    assert_true(rmq_names_are_safe(o->identity, strlen(o->identity)));
  }
  qsort(all, OBJECTS, sizeof(*all), by_identity);
  size_t pairs = 0;
  for (size_t i = 1; i < OBJECTS; i++)
    if (strcmp(all[i - 1].identity, all[i].identity) == 0) {
      assert_string_equal(all[i - 1].vhost, all[i].vhost);
      assert_string_equal(all[i - 1].queue, all[i].queue);
      pairs++;
    }
  assert_in_range(pairs, 0, OBJECTS / 2); /* the names do differ */
  rmq_buf_fini(&out);
  free(all);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fnv1a_has_its_published_values),
      cmocka_unit_test(names_are_encoded_as_in_urls),
      cmocka_unit_test(a_name_that_does_not_fit_is_not_half_there),
      cmocka_unit_test(long_names_end_in_a_hash_of_the_whole),
      cmocka_unit_test(names_that_a_writer_cannot_carry_are_not_safe),
      cmocka_unit_test(different_names_have_different_identities),
  };
  return run_all(tests);
}
