/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_events.h"
#include "tests/testing.h"

#include <string.h>

static struct rmq_mono at_ms(int64_t ms) {
  return (struct rmq_mono){INT64_C(1000) * RMQ_NS_PER_S + ms * RMQ_NS_PER_MS};
}

static enum rmq_refusal push(struct rmq_consume_events *e, uint64_t ticket,
                             int64_t ms) {
  char text[32];
  snprintf(text, sizeof(text), "event %d", (int)ticket);
  const struct rmq_event event = {.id = {.host = "h",
                                         .plugin = "",
                                         .plugin_instance = "",
                                         .type = "",
                                         .type_instance = ""},
                                  .message =
                                      text}; /* gone before it is dispatched */
  return rmq_consume_events_push(e, &event, ticket, at_ms(ms));
}

static int push_many(struct rmq_consume_events *e, int count, int64_t ms) {
  int taken = 0;
  for (int i = 0; i < count; i++) {
    enum rmq_refusal r = push(e, 1, ms);
    assert_true(r == RMQ_REFUSAL_none || r == RMQ_REFUSAL_rate);
    taken += r == RMQ_REFUSAL_none ? 1 : 0;
  }
  return taken;
}

static struct {
  int count;
  char last[64];
} host_heard;

static void hear(void *ctx, const struct rmq_event *e) {
  (void)ctx;
  host_heard.count++;
  snprintf(host_heard.last, sizeof(host_heard.last), "%s: %s", e->id.host,
           e->message);
}
static struct rmq_mono host_now;
static struct rmq_mono mono(void *ctx) {
  (void)ctx;
  return host_now;
}
static const struct rmq_host host = {.event = hear, .mono = mono};

static bool dispatch(struct rmq_consume_events *e, uint64_t *ret_ticket) {
  return rmq_consume_events_dispatch(e, &host, RMQ_NEVER, ret_ticket);
}

static void empty(struct rmq_consume_events *e) {
  uint64_t ticket = 0;
  while (dispatch(e, &ticket))
    ;
}

static void they_come_out_in_order_with_their_tickets(void **state) {
  (void)state;
  struct rmq_consume_events *e = rmq_consume_events_new(10);
  uint64_t ticket = 99;
  assert_false(dispatch(e, &ticket));
  assert_int_equal(ticket, 99);
  assert_int_equal(push(e, 7, 0), RMQ_REFUSAL_none);
  assert_int_equal(push(e, 8, 0), RMQ_REFUSAL_none);
  assert_true(dispatch(e, &ticket));
  assert_int_equal(ticket, 7);
  assert_string_equal(host_heard.last, "h: event 7");
  assert_true(dispatch(e, &ticket));
  assert_int_equal(ticket, 8);
  assert_int_equal(push(e, 9, 0), RMQ_REFUSAL_none);
  rmq_consume_events_free(e); /* with one in it */
}

static void the_rate_is_kept_over_any_second(void **state) {
  (void)state;
  struct rmq_consume_events *e = rmq_consume_events_new(10);
  assert_int_equal(push_many(e, 10000, 0), 10);
  empty(e);
  assert_int_equal(push_many(e, 100, 99), 0);
  assert_int_equal(push_many(e, 100, 100), 1);
  assert_int_equal(push_many(e, 100, 350), 2); /* the half is kept */
  assert_int_equal(push_many(e, 100, 400), 1);
  empty(e);
  assert_int_equal(push_many(e, 100, 1000000), 10); /* no more for a silence */
  assert_int_equal(push_many(e, 100, 999000), 0);   /* nor for a clock's step */
  rmq_consume_events_free(e);
}

static void a_full_ring_refuses_and_forgets_nothing(void **state) {
  (void)state;
  struct rmq_consume_events *e = rmq_consume_events_new(10000);
  assert_int_equal(push_many(e, 10000, 0), RMQ_CONSUME_EVENTS_MAX);
  host_heard.count = 0;
  empty(e);
  assert_int_equal(host_heard.count, RMQ_CONSUME_EVENTS_MAX);
  assert_int_equal(push_many(e, 10000, 5000), RMQ_CONSUME_EVENTS_MAX);
  rmq_consume_events_free(e);
}

enum { SLOW_MS = 300 };

/* A handler that needs so long, while messages go on coming. */
static void hear_slowly(void *ctx, const struct rmq_event *event) {
  hear(NULL, event);
  host_now = rmq_mono_add(host_now, rmq_ms(SLOW_MS));
  for (int i = 0; i < 2; i++)
    assert_int_equal(push(ctx, 1, (host_now.ns - at_ms(0).ns) / RMQ_NS_PER_MS),
                     RMQ_REFUSAL_none);
}

static void slow_handlers_do_not_keep_the_thread_that_runs_them(void **state) {
  (void)state;
  struct rmq_consume_events *e = rmq_consume_events_new(10000);
  const struct rmq_host slow = {.ctx = e, .event = hear_slowly, .mono = mono};
  uint64_t ticket = 0;
  host_now = at_ms(0);
  host_heard.count = 0;
  assert_int_equal(push(e, 1, 0), RMQ_REFUSAL_none);
  while (rmq_consume_events_dispatch(e, &slow, at_ms(2 * SLOW_MS), &ticket))
    assert_true(host_heard.count < RMQ_CONSUME_EVENTS_MAX / 2);
  assert_int_equal(host_heard.count, 2);
  host_heard.count = 0;
  empty(e);
  assert_int_equal(host_heard.count, 3); /* the rest waits */
  rmq_consume_events_free(e);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(they_come_out_in_order_with_their_tickets),
      cmocka_unit_test(the_rate_is_kept_over_any_second),
      cmocka_unit_test(a_full_ring_refuses_and_forgets_nothing),
      cmocka_unit_test(slow_handlers_do_not_keep_the_thread_that_runs_them),
  };
  return run_all(tests);
}
