/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/amqp/ahead.h"
#include "tests/testing.h"

#include <string.h>

/* RabbitMQ's, after which it closes a connection that takes nothing. */
enum { SEND_TIMEOUT_S = 30 };

static struct rmq_mono at(int64_t s) {
  return (struct rmq_mono){INT64_C(1000) * RMQ_NS_PER_S + s * RMQ_NS_PER_S};
}

static void come(struct rmq_ahead *a, const char *bytes, size_t len,
                 struct rmq_mono now) {
  while (len > 0) {
    size_t room = 0;
    char *to = rmq_ahead_reserve(a, &room);
    assert_non_null(to);
    assert_true(room > 0);
    size_t n = len < room ? len : room;
    memcpy(to, bytes, n);
    rmq_ahead_commit(a, n, now);
    bytes += n;
    len -= n;
  }
}

static void
link_that_is_not_read_is_read_on_before_the_broker_ends_it(void **state) {
  (void)state;
  struct rmq_ahead a;
  rmq_ahead_init(&a, at(0));
  assert_true(rmq_mono_is_never(rmq_ahead_deadline(&a, false)));
  assert_false(rmq_ahead_step(&a, true, at(RMQ_AHEAD_PATIENCE_S - 1)));
  assert_int_equal(rmq_ahead_deadline(&a, true).ns,
                   at(RMQ_AHEAD_PATIENCE_S).ns);
  assert_true(rmq_ahead_step(&a, true, at(RMQ_AHEAD_PATIENCE_S)));
  /* Whatever became of the first time, there is another one. */
  rmq_ahead_pause(&a, at(RMQ_AHEAD_PATIENCE_S));
  assert_true(rmq_ahead_deadline(&a, true).ns < at(SEND_TIMEOUT_S).ns);
  assert_true(rmq_ahead_step(&a, true, at(2 * RMQ_AHEAD_PATIENCE_S)));
}

/* Each hold is short, and the link is never empty: the broker waits all the
 * same. */
static void many_short_holds_are_as_one(void **state) {
  (void)state;
  struct rmq_ahead a;
  rmq_ahead_init(&a, at(0));
  for (int s = 1; s < RMQ_AHEAD_PATIENCE_S; s++)
    assert_false(rmq_ahead_step(&a, s % 2 == 0, at(s)));
  assert_true(rmq_ahead_step(&a, true, at(RMQ_AHEAD_PATIENCE_S)));
  assert_false(rmq_ahead_step(&a, false, at(RMQ_AHEAD_PATIENCE_S)));
}

static void link_that_is_empty_now_and_then_is_left_alone(void **state) {
  (void)state;
  struct rmq_ahead a;
  rmq_ahead_init(&a, at(0));
  for (int s = 1; s < 10 * RMQ_AHEAD_PATIENCE_S; s++) {
    assert_false(rmq_ahead_step(&a, true, at(s)));
    if (s % (RMQ_AHEAD_PATIENCE_S - 1) == 0)
      rmq_ahead_pause(&a, at(s));
  }
}

static void all_is_read_until_nothing_has_come_for_a_while(void **state) {
  (void)state;
  const struct rmq_dur quiet = rmq_s(RMQ_AHEAD_QUIET_S);
  struct rmq_ahead a;
  rmq_ahead_init(&a, at(0));
  struct rmq_mono now = at(RMQ_AHEAD_PATIENCE_S);
  for (int i = 0; i < 40; i++, now.ns += quiet.ns - 1) {
    assert_true(rmq_ahead_step(&a, true, now));
    come(&a, "x", 1, now);
  }
  now = rmq_mono_add(a.came_at, quiet);
  assert_int_equal(rmq_ahead_deadline(&a, true).ns, now.ns);
  assert_false(rmq_ahead_step(&a, true, now));
  assert_int_equal(rmq_ahead_deadline(&a, true).ns,
                   rmq_mono_add(now, rmq_s(RMQ_AHEAD_PATIENCE_S)).ns);
  rmq_ahead_clear(&a, now);
}

static void bytes_come_out_as_they_came_in(void **state) {
  (void)state;
  static char in[3 * RMQ_AHEAD_CHUNK + 100], out[sizeof(in) + RMQ_AHEAD_CHUNK];
  struct rmq_ahead a;
  rmq_ahead_init(&a, at(0));
  size_t room = 0, put = 0, got = 0;
  for (size_t i = 0; i < sizeof(in); i++)
    in[i] = (char)(i * 7 + i / 251);
  assert_int_equal(rmq_ahead_take(&a, out), 0);
  for (size_t n = 1; put < sizeof(in); n = n * 3 + 1) {
    size_t len = n < sizeof(in) - put ? n : sizeof(in) - put;
    come(&a, in + put, len, at(0));
    put += len;
    if (n % 2 == 0) /* in between, too */
      got += rmq_ahead_take(&a, out + got);
    assert_non_null(rmq_ahead_reserve(&a, &room)); /* and nothing comes */
  }
  for (size_t n = 1; n > 0; got += n)
    n = rmq_ahead_take(&a, out + got);
  assert_int_equal(got, sizeof(in));
  assert_memory_equal(in, out, sizeof(in));
  assert_true(rmq_ahead_is_empty(&a));
}

static void there_is_a_maximum_and_it_is_free_again(void **state) {
  (void)state;
  static char chunk[RMQ_AHEAD_CHUNK];
  struct rmq_ahead a;
  rmq_ahead_init(&a, at(0));
  size_t room = 0;
  for (int i = 0; i < RMQ_AHEAD_CHUNKS_MAX; i++)
    come(&a, chunk, sizeof(chunk), at(0));
  assert_null(rmq_ahead_reserve(&a, &room));
  assert_int_equal(rmq_ahead_take(&a, chunk), sizeof(chunk));
  assert_non_null(rmq_ahead_reserve(&a, &room));
  rmq_ahead_clear(&a, at(0));
  assert_true(rmq_ahead_is_empty(&a));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(
          link_that_is_not_read_is_read_on_before_the_broker_ends_it),
      cmocka_unit_test(many_short_holds_are_as_one),
      cmocka_unit_test(link_that_is_empty_now_and_then_is_left_alone),
      cmocka_unit_test(all_is_read_until_nothing_has_come_for_a_while),
      cmocka_unit_test(bytes_come_out_as_they_came_in),
      cmocka_unit_test(there_is_a_maximum_and_it_is_free_again),
  };
  return run_all(tests);
}
