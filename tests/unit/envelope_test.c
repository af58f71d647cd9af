/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/envelope.h"

#include "tests/prop.h"
#include "tests/testing.h"

#include <string.h>

static char tenant[] = "tenant", blue[] = "blue", tries[] = "tries";
static char is_new[] = "new", since[] = "since";
static const struct rmq_argument four[] = {
    {.name = tenant, .type = RMQ_ARG_STRING, .string = blue},
    {.name = tries, .type = RMQ_ARG_INTEGER, .integer = INT64_MIN},
    {.name = is_new, .type = RMQ_ARG_BOOLEAN, .boolean = true},
    {.name = since, .type = RMQ_ARG_TIMESTAMP, .integer = 1700000000}};

static void what_is_packed_is_unpacked(void **state) {
  (void)state;
  const struct rmq_envelope in = {.type = "order",
                                  .correlation_id = "",
                                  .reply_to = "answers",
                                  .traceparent = "00-1-2-01",
                                  .expiration_ms = INT64_MAX,
                                  .priority = 255,
                                  .headers = four,
                                  .headers_count = COUNT_OF(four)};
  struct rmq_buf b;
  struct rmq_envelope_view v;
  rmq_buf_init(&b, RMQ_ENVELOPE_BYTES_MAX);
  assert_int_equal(rmq_envelope_pack(&in, &b), 0);
  assert_int_equal(rmq_envelope_unpack(rmq_buf_bytes(&b), b.len, &v), 0);
  const struct rmq_envelope *e = &v.envelope;
  assert_string_equal(e->type, "order");
  assert_string_equal(e->correlation_id, "");
  assert_string_equal(e->reply_to, "answers");
  assert_string_equal(e->traceparent, "00-1-2-01");
  assert_true(e->expiration_ms == INT64_MAX);
  assert_int_equal(e->priority, 255);
  assert_int_equal(e->headers_count, 4);
  assert_string_equal(e->headers[0].name, "tenant");
  assert_string_equal(e->headers[0].string, "blue");
  assert_true(e->headers[1].integer == INT64_MIN);
  assert_true(e->headers[2].boolean);
  assert_int_equal(e->headers[3].type, RMQ_ARG_TIMESTAMP);
  assert_int_equal(e->headers[3].integer, 1700000000);
  rmq_buf_fini(&b);
}

static void nothing_is_no_bytes(void **state) {
  (void)state;
  const struct rmq_envelope none = {.type = NULL};
  struct rmq_envelope_view v;
  struct rmq_buf b;
  rmq_buf_init(&b, 100);
  assert_true(rmq_envelope_is_empty(&none));
  assert_int_equal(rmq_envelope_pack(&none, &b), 0);
  assert_int_equal(b.len, 0);
  assert_int_equal(rmq_envelope_unpack(NULL, 0, &v), 0);
  assert_true(rmq_envelope_is_empty(&v.envelope));
  rmq_buf_fini(&b);
}

static void bounds_hold(void **state) {
  (void)state;
  char text[300], value[2100];
  memset(text, 'x', sizeof(text));
  text[256] = '\0';
  memset(value, 'y', sizeof(value));
  value[2099] = '\0';
  const struct rmq_argument large = {
      .name = tenant, .type = RMQ_ARG_STRING, .string = value};
  struct rmq_argument many[RMQ_ENVELOPE_HEADERS_MAX + 1];
  for (size_t i = 0; i < COUNT_OF(many); i++)
    many[i] = four[0];
  const struct rmq_envelope too_much[] = {
      {.type = text},
      {.headers = &large, .headers_count = 1},
      {.headers = many, .headers_count = COUNT_OF(many)}};
  for (size_t i = 0; i < COUNT_OF(too_much); i++) {
    struct rmq_buf b;
    rmq_buf_init(&b, RMQ_ENVELOPE_BYTES_MAX);
    assert_int_equal(rmq_envelope_pack(&too_much[i], &b), -1);
    assert_int_equal(b.len, 0);
    rmq_buf_fini(&b);
  }
}

/* The largest that is allowed fits into the size that is promised. */
static void the_largest_fits(void **state) {
  (void)state;
  char text[256], name[86];
  memset(text, 'x', 255);
  text[255] = '\0';
  memset(name, 'n', 77);
  name[77] = '\0';
  struct rmq_argument many[RMQ_ENVELOPE_HEADERS_MAX];
  for (size_t i = 0; i < COUNT_OF(many); i++)
    many[i] = (struct rmq_argument){
        .name = name, .type = RMQ_ARG_INTEGER, .integer = INT64_MIN};
  const struct rmq_envelope e = {.type = text,
                                 .correlation_id = text,
                                 .reply_to = text,
                                 .traceparent = text,
                                 .expiration_ms = INT64_MAX,
                                 .priority = 255,
                                 .headers = many,
                                 .headers_count = COUNT_OF(many)};
  struct rmq_buf b;
  rmq_buf_init(&b, RMQ_ENVELOPE_BYTES_MAX);
  assert_int_equal(rmq_envelope_pack(&e, &b), 0);
  rmq_buf_fini(&b);
}

/* They come from a file that may be damaged. */
static void mutate(struct prop *p) {
  const struct rmq_envelope in = {
      .type = "order", .headers = four, .headers_count = COUNT_OF(four)};
  struct rmq_envelope_view v;
  struct rmq_buf b;
  rmq_buf_init(&b, RMQ_ENVELOPE_BYTES_MAX);
  assert_int_equal(rmq_envelope_pack(&in, &b), 0);
  size_t len = prop_below(p, b.len + 1);
  char *bytes = malloc(len + 1); /* no byte behind it that could be read */
  assert_non_null(bytes);
  memcpy(bytes, rmq_buf_bytes(&b), len);
  if (len > 0)
    bytes[prop_below(p, len)] = (char)prop_next(p);
  if (rmq_envelope_unpack(bytes, len, &v) == 0)
    for (size_t i = 0; i < v.envelope.headers_count; i++)
      assert_true(strlen(v.envelope.headers[i].name) <= len);
  free(bytes);
  rmq_buf_fini(&b);
}

static void damaged_bytes_are_refused_or_read(void **state) {
  (void)state;
  prop_run(20000, mutate);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_packed_is_unpacked),
      cmocka_unit_test(nothing_is_no_bytes),
      cmocka_unit_test(bounds_hold),
      cmocka_unit_test(the_largest_fits),
      cmocka_unit_test(damaged_bytes_are_refused_or_read),
  };
  return run_all(tests);
}
