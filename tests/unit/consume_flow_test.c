/* SPDX-License-Identifier: MIT */
/* What is held, for how long, and how it goes back. Copies, broken channels and
 * random histories are tests/property/flow_property.c. */
#include "rmq_config.h"

#include "common/role/consume_flow.h"

#include "tests/testing.h"

#include <string.h>

enum { PREFETCH = 8, DEFAULT_RETRIES = 5 };

struct fixture {
  struct rmq_outstanding tickets;
  struct rmq_flow flow;
  struct rmq_mono now;
  uint64_t serial;
  char settled[4000]; /* "SERIAL HOW, ..." since it was looked at */
};

static bool settle(void *ctx, uint64_t serial, enum rmq_settle how,
                   struct rmq_mono now) {
  struct fixture *f = ctx;
  size_t len = strlen(f->settled);
  (void)now;
  snprintf(f->settled + len, sizeof(f->settled) - len, "%" PRIu64 " %s, ",
           serial, rmq_settle_to_str(how));
  return true;
}

static size_t place_of(void *ctx, uint64_t serial) {
  const struct fixture *f = ctx;
  return serial % f->flow.config.prefetch;
}

static void begin(struct fixture *f, uint16_t prefetch, int delay_ms) {
  const struct rmq_flow_config config = {.prefetch = prefetch,
                                         .window = 10,
                                         .max_redeliveries = DEFAULT_RETRIES,
                                         .retry_delay = rmq_ms(delay_ms)};
  const struct rmq_flow_settler settler = {f, settle, place_of};
  *f = (struct fixture){.now = {rmq_s(1000).ns}};
  assert_int_equal(rmq_outstanding_init(&f->tickets, 64), 0);
  assert_int_equal(rmq_flow_init(&f->flow, &config, &settler, &f->tickets), 0);
}

static void end(struct fixture *f) {
  rmq_flow_fini(&f->flow);
  rmq_outstanding_fini(&f->tickets);
}

/* A delivery of that message, which is worked on. */
static uint64_t arrive(struct fixture *f, uint64_t id, int64_t count) {
  struct rmq_delivery d = {.delivery_count = count,
                           .is_redelivered = count > 0};
  uint64_t ticket = rmq_outstanding_begin(&f->tickets, f->now);
  snprintf(d.message_id, sizeof(d.message_id), "m%" PRIu64, id);
  assert_int_equal(rmq_flow_arrive(&f->flow, ticket, ++f->serial, &d, f->now),
                   RMQ_FLOW_TAKE);
  rmq_outstanding_forget(&f->tickets, ticket);
  return ticket;
}

/* A message that failed; failures = x-delivery-count. */
static void fails(struct fixture *f, bool is_bad, int failures) {
  uint64_t ticket = arrive(f, f->serial, failures);
  assert_int_equal(
      rmq_flow_failed(&f->flow, ticket, RMQ_SETTLE_REQUEUE, is_bad, f->now), 1);
}

/* What is given back within so long from now on. */
static void must_settle(struct fixture *f, int ms, const char *want) {
  f->now = rmq_mono_add(f->now, rmq_ms(ms));
  f->settled[0] = '\0';
  rmq_flow_step(&f->flow, f->now);
  assert_string_equal(f->settled, want);
}

static void what_failed_is_held_twice_as_long_each_time(void **state) {
  static const struct {
    int failures, want_ms;
  } rows[] = {{0, 1000},  {1, 2000},  {2, 4000},    {5, 32000},
              {6, 60000}, {7, 60000}, {1000, 60000}};
  struct fixture f = {.serial = 0};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%d failures", rows[i].failures);
    begin(&f, PREFETCH, 1000);
    fails(&f, i % 2 == 0, rows[i].failures);
    must_settle(&f, rows[i].want_ms - 1, "");
    must_settle(&f, 1, "1 requeue, ");
    end(&f);
  }
}

/* The header may be the publisher's own, which no queue ever counts up. */
static void no_header_lets_a_message_fail_for_ever(void **state) {
  static const int64_t counts[] = {-1, 0, 1, INT64_MIN};
  struct fixture f = {.serial = 0};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(counts); i++) {
    SHOW_ROW("%" PRId64, counts[i]);
    begin(&f, PREFETCH, 0);
    for (int failures = 0; failures < DEFAULT_RETRIES; failures++) {
      uint64_t ticket = arrive(&f, 1, counts[i]);
      assert_true(rmq_flow_may_requeue(&f.flow, ticket));
      rmq_flow_failed(&f.flow, ticket, RMQ_SETTLE_REQUEUE, true, f.now);
    }
    uint64_t ticket = arrive(&f, 1, counts[i]);
    assert_false(rmq_flow_may_requeue(&f.flow, ticket));
    int64_t published_ms = 0;
    rmq_flow_done(&f.flow, ticket, f.now, &published_ms);
    ticket = arrive(&f, 1, counts[i]); /* another one */
    assert_true(rmq_flow_may_requeue(&f.flow, ticket));
    end(&f);
  }
}

static void what_the_queue_has_counted_counts(void **state) {
  struct fixture f = {.serial = 0};
  (void)state;
  begin(&f, PREFETCH, 0);
  assert_true(
      rmq_flow_may_requeue(&f.flow, arrive(&f, 1, DEFAULT_RETRIES - 1)));
  assert_false(rmq_flow_may_requeue(&f.flow, arrive(&f, 2, DEFAULT_RETRIES)));
  assert_false(rmq_flow_may_requeue(&f.flow, arrive(&f, 3, INT64_MAX)));
  end(&f);
}

static void what_another_queue_has_counted_does_not(void **state) {
  struct fixture f = {.serial = 0};
  struct rmq_delivery d = {.delivery_count = 1000, .message_id = "shovelled"};
  (void)state;
  begin(&f, PREFETCH, 0);
  uint64_t ticket = rmq_outstanding_begin(&f.tickets, f.now);
  assert_int_equal(rmq_flow_arrive(&f.flow, ticket, ++f.serial, &d, f.now),
                   RMQ_FLOW_TAKE);
  assert_true(rmq_flow_may_requeue(&f.flow, ticket));
  end(&f);
}

/* Eight places: four of them may be held by bad messages. */
static void bad_messages_leave_half_of_the_places_to_others(void **state) {
  struct fixture f = {.serial = 0};
  (void)state;
  begin(&f, PREFETCH, 1000);
  for (int i = 0; i < 7; i++)
    fails(&f, /* is_bad = */ true, 0);
  must_settle(&f, 99, "");
  must_settle(&f, 1, "5 requeue, 6 requeue, 7 requeue, ");
  fails(&f, true, 1); /* one of them again */
  must_settle(&f, 100, "8 requeue, ");
  must_settle(&f, 800, "1 requeue, 2 requeue, 3 requeue, 4 requeue, ");
  fails(&f, true, 1); /* there is room again */
  must_settle(&f, 1999, "");
  must_settle(&f, 1, "9 requeue, ");
  end(&f);
}

/* It would fail again and again, as fast as the broker delivers, and be
 * rejected in the end: the next one would have failed as well. */
static void
what_is_the_fault_of_the_daemon_waits_however_many_there_are(void **state) {
  struct fixture f = {.serial = 0};
  (void)state;
  begin(&f, PREFETCH, 1000);
  for (int i = 0; i < 8; i++)
    fails(&f, /* is_bad = */ false, 0);
  must_settle(&f, 999, "");
  must_settle(&f, 1,
              "1 requeue, 2 requeue, 3 requeue, 4 requeue, 5 requeue, "
              "6 requeue, 7 requeue, 8 requeue, ");
  end(&f);
}

static void one_place_is_held_and_a_short_delay_stays_short(void **state) {
  struct fixture f = {.serial = 0};
  (void)state;
  begin(&f, 1, 1000);
  fails(&f, true, 0);
  must_settle(&f, 999, "");
  must_settle(&f, 1, "1 requeue, ");
  end(&f);
  begin(&f, PREFETCH, 10);
  for (int i = 0; i < 6; i++)
    fails(&f, true, 0);
  must_settle(&f, 10,
              "1 requeue, 2 requeue, 3 requeue, 4 requeue, 5 requeue, "
              "6 requeue, ");
  end(&f);
  begin(&f, PREFETCH, 0);
  fails(&f, true, 0);
  assert_string_equal(f.settled, "1 requeue, ");
  end(&f);
}

/* Not its fault: no reject, which counts towards a delivery limit. */
static void what_was_not_begun_is_handed_back(void **state) {
  struct fixture f = {.serial = 0};
  (void)state;
  begin(&f, PREFETCH, 1000);
  rmq_flow_postpone(&f.flow, 1, f.now);
  must_settle(&f, 999, "");
  must_settle(&f, 1, "1 hand back, ");
  assert_int_equal(f.flow.counters.postponed, 1);
  end(&f);
}

static void the_end_lets_everything_go_as_it_would_have_gone(void **state) {
  struct fixture f = {.serial = 0};
  (void)state;
  begin(&f, 3, 1000);
  f.serial = 1;
  rmq_flow_postpone(&f.flow, 1, f.now);
  fails(&f, true, 0);
  fails(&f, true, 0);
  rmq_flow_let_go(&f.flow, f.now);
  assert_string_equal(f.settled, "2 requeue, 1 hand back, 3 requeue, ");
  must_settle(&f, 100000, "");
  end(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_failed_is_held_twice_as_long_each_time),
      cmocka_unit_test(no_header_lets_a_message_fail_for_ever),
      cmocka_unit_test(what_the_queue_has_counted_counts),
      cmocka_unit_test(what_another_queue_has_counted_does_not),
      cmocka_unit_test(bad_messages_leave_half_of_the_places_to_others),
      cmocka_unit_test(
          what_is_the_fault_of_the_daemon_waits_however_many_there_are),
      cmocka_unit_test(one_place_is_held_and_a_short_delay_stays_short),
      cmocka_unit_test(what_was_not_begun_is_handed_back),
      cmocka_unit_test(the_end_lets_everything_go_as_it_would_have_gone),
  };
  return run_all(tests);
}
