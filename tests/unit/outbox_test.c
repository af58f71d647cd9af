/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/outbox.h"

#include "tests/testing.h"

#include <stdbool.h>
#include <string.h>

enum { COST = RMQ_MESSAGE_OVERHEAD + 10 };

static struct rmq_message *message_of(struct rmq_node *n) {
  return RMQ_ELEMENT(n, struct rmq_message, node);
}

/* Costs COST. */
static struct rmq_message *message(uint64_t seq) {
  struct rmq_message *m = rmq_message_new("", "0123456789", 10);
  assert_non_null(m);
  m->seq = seq;
  return m;
}

struct fixture {
  struct rmq_outbox o;
  struct rmq_list dropped;
};

static void set_up(struct fixture *f, size_t max_messages, size_t max_bytes,
                   enum rmq_overflow policy) {
  rmq_outbox_init(&f->o, max_messages, max_bytes, policy);
  rmq_list_init(&f->dropped);
}

static void tear_down(struct fixture *f) {
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(&f->dropped)) != NULL)
    rmq_message_free(message_of(n));
  rmq_outbox_fini(&f->o);
}

static bool push(struct fixture *f, uint64_t seq) {
  return rmq_outbox_push(&f->o, message(seq), &f->dropped);
}

static void fill(struct fixture *f, uint64_t first, uint64_t last) {
  for (uint64_t seq = first; seq <= last; seq++)
    assert_true(push(f, seq));
}

static uint64_t pop_seq(struct fixture *f) {
  struct rmq_message *m = rmq_outbox_pop(&f->o);
  assert_non_null(m);
  uint64_t seq = m->seq;
  rmq_outbox_release(&f->o, m);
  rmq_message_free(m);
  return seq;
}

static uint64_t dropped_seq(struct fixture *f) {
  struct rmq_node *n = rmq_list_pop_front(&f->dropped);
  if (n == NULL)
    return 0;
  uint64_t seq = message_of(n)->seq;
  rmq_message_free(message_of(n));
  return seq;
}

static void messages_leave_in_the_order_they_came(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 10, 10 * COST, RMQ_DROP_OLDEST);
  fill(&f, 1, 3);
  assert_int_equal(rmq_outbox_count(&f.o), 3);
  assert_int_equal(rmq_outbox_peek(&f.o)->seq, 1);
  assert_int_equal(pop_seq(&f), 1);
  assert_int_equal(pop_seq(&f), 2);
  assert_int_equal(pop_seq(&f), 3);
  assert_null(rmq_outbox_pop(&f.o));
  assert_null(rmq_outbox_peek(&f.o));
  assert_int_equal(f.o.bytes, 0);
  tear_down(&f);
}

static void a_full_outbox_drops_its_oldest(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 2, 10 * COST, RMQ_DROP_OLDEST);
  fill(&f, 1, 2);
  assert_true(push(&f, 3));
  assert_int_equal(dropped_seq(&f), 1);
  assert_int_equal(dropped_seq(&f), 0);
  assert_int_equal(rmq_outbox_count(&f.o), 2);
  assert_int_equal(f.o.bytes, 2 * COST);
  assert_int_equal(pop_seq(&f), 2);
  assert_int_equal(pop_seq(&f), 3);
  tear_down(&f);
}

static void a_full_outbox_refuses_the_newest_when_told_so(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 2, 10 * COST, RMQ_DROP_NEWEST);
  fill(&f, 1, 2);
  assert_false(push(&f, 3));
  assert_int_equal(dropped_seq(&f), 3);
  assert_int_equal(pop_seq(&f), 1);
  assert_int_equal(pop_seq(&f), 2);
  tear_down(&f);
}

static void bytes_bound_as_messages_do(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 10, 3 * COST + 1, RMQ_DROP_OLDEST);
  fill(&f, 1, 3);
  struct rmq_message *big = rmq_message_new("", "0123456789ab", 12);
  assert_non_null(big);
  big->seq = 4;
  assert_true(rmq_outbox_push(&f.o, big, &f.dropped));
  assert_int_equal(dropped_seq(&f), 1);
  assert_int_equal(dropped_seq(&f), 2);
  assert_int_equal(dropped_seq(&f), 0);
  assert_int_equal(f.o.bytes, 2 * COST + 2);
  tear_down(&f);
}

static void a_message_that_can_never_fit_drops_nothing_else(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 10, 2 * COST, RMQ_DROP_OLDEST);
  fill(&f, 1, 2);
  char body[2 * COST];
  memset(body, 'x', sizeof(body));
  struct rmq_message *huge = rmq_message_new("", body, sizeof(body));
  huge->seq = 3;
  assert_false(rmq_outbox_push(&f.o, huge, &f.dropped));
  assert_int_equal(dropped_seq(&f), 3);
  assert_int_equal(rmq_outbox_count(&f.o), 2);
  tear_down(&f);
}

static void what_is_in_flight_stays_charged_until_released(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 10, 2 * COST, RMQ_DROP_OLDEST);
  fill(&f, 1, 2);
  struct rmq_message *a = rmq_outbox_pop(&f.o);
  struct rmq_message *b = rmq_outbox_pop(&f.o);
  assert_false(push(&f, 3));
  assert_int_equal(dropped_seq(&f), 3);
  rmq_outbox_release(&f.o, a);
  rmq_message_free(a);
  assert_true(push(&f, 4));
  rmq_outbox_release(&f.o, b);
  rmq_message_free(b);
  tear_down(&f);
}

/* The bytes in flight leave no room even if all that waits were dropped. */
static void nothing_is_dropped_in_vain(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 10, 3 * COST, RMQ_DROP_OLDEST);
  fill(&f, 1, 3);
  struct rmq_message *a = rmq_outbox_pop(&f.o);
  struct rmq_message *b = rmq_outbox_pop(&f.o);
  char body[COST] = {0};
  struct rmq_message *big = rmq_message_new("", body, sizeof(body));
  big->seq = 4;
  assert_false(rmq_outbox_push(&f.o, big, &f.dropped));
  assert_int_equal(dropped_seq(&f), 4);
  assert_int_equal(rmq_outbox_peek(&f.o)->seq, 3);
  rmq_outbox_unpop(&f.o, b);
  rmq_outbox_unpop(&f.o, a);
  tear_down(&f);
}

static void messages_given_back_go_first_and_in_order(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 4, 10 * COST, RMQ_DROP_OLDEST);
  fill(&f, 1, 4);
  struct rmq_list popped;
  rmq_list_init(&popped);
  for (int i = 0; i < 3; i++)
    rmq_list_push_back(&popped, &rmq_outbox_pop(&f.o)->node);
  fill(&f, 5, 5);
  rmq_outbox_unpop_all(&f.o, &popped);
  assert_int_equal(popped.count, 0);
  assert_int_equal(f.o.bytes, 5 * COST);
  for (uint64_t seq = 1; seq <= 5; seq++)
    assert_int_equal(pop_seq(&f), seq);
  tear_down(&f);
}

/* A lost connection must not itself lose what was accepted within bounds. */
static void what_came_back_over_the_limit_leaves_one_for_one(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 3, 100 * COST, RMQ_DROP_OLDEST);
  struct rmq_list popped;
  rmq_list_init(&popped);
  fill(&f, 1, 3);
  for (int i = 0; i < 3; i++)
    rmq_list_push_back(&popped, &rmq_outbox_pop(&f.o)->node);
  fill(&f, 4, 6);
  rmq_outbox_unpop_all(&f.o, &popped);
  assert_int_equal(rmq_outbox_count(&f.o), 6);
  assert_true(push(&f, 7));
  assert_int_equal(dropped_seq(&f), 1);
  assert_int_equal(dropped_seq(&f), 0);
  assert_int_equal(rmq_outbox_count(&f.o), 6);
  tear_down(&f);
}

static void a_returned_message_goes_to_the_back(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 3, 10 * COST, RMQ_DROP_OLDEST);
  fill(&f, 1, 3);
  rmq_outbox_requeue_back(&f.o, rmq_outbox_pop(&f.o));
  assert_int_equal(f.o.bytes, 3 * COST);
  assert_int_equal(pop_seq(&f), 2);
  assert_int_equal(pop_seq(&f), 3);
  assert_int_equal(pop_seq(&f), 1);
  tear_down(&f);
}

static void messages_held_elsewhere_count_for_the_limit(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 3, 10 * COST, RMQ_DROP_OLDEST);
  fill(&f, 1, 3);
  struct rmq_message *a = rmq_outbox_pop(&f.o);
  struct rmq_message *b = rmq_outbox_pop(&f.o);
  f.o.held = 2;
  assert_true(push(&f, 4));
  assert_int_equal(dropped_seq(&f), 3);
  struct rmq_message *c = rmq_outbox_pop(&f.o);
  f.o.held = 3;
  assert_false(push(&f, 5));
  assert_int_equal(dropped_seq(&f), 5);
  rmq_outbox_unpop(&f.o, c);
  rmq_outbox_unpop(&f.o, b);
  rmq_outbox_unpop(&f.o, a);
  tear_down(&f);
}

static void an_outbox_without_room_takes_nothing(void **state) {
  (void)state;
  static const struct {
    size_t max_messages, max_bytes;
    enum rmq_overflow policy;
  } cases[] = {
      {0, 10 * COST, RMQ_DROP_OLDEST},
      {0, 10 * COST, RMQ_DROP_NEWEST},
      {10, 0, RMQ_DROP_OLDEST},
      {10, COST - 1, RMQ_DROP_OLDEST},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    SHOW_ROW("%zu", i);
    struct fixture f;
    set_up(&f, cases[i].max_messages, cases[i].max_bytes, cases[i].policy);
    assert_false(push(&f, 1));
    assert_int_equal(dropped_seq(&f), 1);
    assert_int_equal(f.o.bytes, 0);
    tear_down(&f);
  }
}

static void policies_are_spelled_as_the_option(void **state) {
  (void)state;
  assert_string_equal(rmq_overflow_to_str(RMQ_DROP_OLDEST), "drop-oldest");
  assert_string_equal(rmq_overflow_to_str(RMQ_DROP_NEWEST), "drop-newest");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(messages_leave_in_the_order_they_came),
      cmocka_unit_test(a_full_outbox_drops_its_oldest),
      cmocka_unit_test(a_full_outbox_refuses_the_newest_when_told_so),
      cmocka_unit_test(bytes_bound_as_messages_do),
      cmocka_unit_test(a_message_that_can_never_fit_drops_nothing_else),
      cmocka_unit_test(what_is_in_flight_stays_charged_until_released),
      cmocka_unit_test(nothing_is_dropped_in_vain),
      cmocka_unit_test(messages_given_back_go_first_and_in_order),
      cmocka_unit_test(what_came_back_over_the_limit_leaves_one_for_one),
      cmocka_unit_test(a_returned_message_goes_to_the_back),
      cmocka_unit_test(messages_held_elsewhere_count_for_the_limit),
      cmocka_unit_test(an_outbox_without_room_takes_nothing),
      cmocka_unit_test(policies_are_spelled_as_the_option),
  };
  return run_all(tests);
}
