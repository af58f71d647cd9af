/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/outstanding.h"

#include "tests/alloc.h"
#include "tests/testing.h"

static struct rmq_outstanding t;
static const struct rmq_mono start = {RMQ_NS_PER_S};

static struct rmq_mono after(int64_t seconds) {
  return rmq_mono_add(start, rmq_s(seconds));
}

static int setup(void **state) {
  (void)state;
  return rmq_outstanding_init(&t, 8);
}

static int teardown(void **state) {
  (void)state;
  rmq_outstanding_fini(&t);
  return 0;
}

/* A delivery with so many values out, handing out has ended. */
static uint64_t hand_out(size_t values, struct rmq_mono now) {
  uint64_t ticket = rmq_outstanding_begin(&t, now);
  assert_true(ticket != 0);
  assert_int_equal(ticket >> RMQ_OUTSTANDING_TICKET_BITS, 0);
  assert_int_equal(rmq_outstanding_end(&t, ticket, values), values == 0);
  return ticket;
}

/* Whether a value that comes back completes its delivery. */
static bool completes(uint64_t ticket) {
  bool is_complete = rmq_outstanding_back(&t, ticket);
  assert_int_equal(rmq_outstanding_take(&t), is_complete ? ticket : 0);
  assert_int_equal(rmq_outstanding_take(&t), 0);
  return is_complete;
}

static void the_last_value_back_completes_a_delivery(void **state) {
  (void)state;
  uint64_t a = hand_out(3, start);
  assert_int_equal(t.values, 3);
  assert_false(completes(a));
  assert_false(completes(a));
  assert_int_equal(t.values, 1);
  assert_true(completes(a));
  assert_int_equal(t.values, 0);
  assert_int_equal(t.count, 0);
}

static void a_value_back_before_the_last_has_left_completes_nothing(void **s) {
  (void)s;
  uint64_t a = rmq_outstanding_begin(&t, start);
  assert_false(completes(a));
  assert_false(completes(a));
  assert_int_equal(t.count, 1);
  assert_true(rmq_outstanding_end(&t, a, 2));
  assert_int_equal(t.values, 0);
  assert_int_equal(t.count, 0);
  assert_int_equal(rmq_outstanding_take(&t), 0);
}

static void a_delivery_without_values_is_complete_at_once(void **state) {
  (void)state;
  hand_out(0, start);
  assert_int_equal(t.count, 0);
}

static void values_of_a_forgotten_delivery_are_strays(void **state) {
  (void)state;
  uint64_t a = hand_out(3, start), b = hand_out(1, start);
  assert_false(completes(a));
  assert_int_equal(rmq_outstanding_forget(&t, a), 2);
  assert_int_equal(rmq_outstanding_forget(&t, a), 0);
  assert_int_equal(t.values, 1);
  assert_int_equal(t.count, 1);
  assert_false(completes(a));
  assert_int_equal(t.strays, 1);
  assert_true(completes(b));
}

static void a_slot_is_nobody_elses_before_its_owner_knows(void **state) {
  (void)state;
  uint64_t tickets[8];
  for (size_t i = 0; i < COUNT_OF(tickets); i++)
    tickets[i] = hand_out(1, start);
  assert_int_equal(rmq_outstanding_begin(&t, start), 0);
  assert_true(rmq_outstanding_back(&t, tickets[3]));
  rmq_outstanding_forget(&t, tickets[3]); /* comes too late */
  assert_false(rmq_outstanding_back(&t, tickets[3]));
  assert_int_equal(t.strays, 1);
  assert_int_equal(rmq_outstanding_begin(&t, start), 0);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(1), start), 0);
  assert_int_equal(rmq_outstanding_take(&t), tickets[3]);
  uint64_t next = rmq_outstanding_begin(&t, start);
  assert_true(next != 0 && next != tickets[3]);
  assert_int_equal(rmq_outstanding_slot_of(&t, next),
                   rmq_outstanding_slot_of(&t, tickets[3]));
}

static void nobody_is_told_before_there_is_enough_to_take(void **state) {
  (void)state;
  uint64_t tickets[6];
  for (size_t i = 0; i < COUNT_OF(tickets); i++)
    tickets[i] = hand_out(1, start);
  rmq_outstanding_tell_at(&t, 3);
  for (size_t i = 0; i < 5; i++)
    assert_int_equal(rmq_outstanding_back(&t, tickets[i]), i >= 2);
  for (size_t i = 5; i > 0; i--)
    assert_int_equal(rmq_outstanding_take(&t), tickets[i - 1]);
  assert_int_equal(rmq_outstanding_take(&t), 0);
  rmq_outstanding_tell_at(&t, 1);
  assert_true(rmq_outstanding_back(&t, tickets[5]));
}

static void as_many_deliveries_fit_as_were_asked_for(void **state) {
  (void)state;
  static const size_t sizes[] = {1, 2, 3, 4, 5, 255, 256, 65535};
  static uint64_t tickets[65535];
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    SHOW_ROW("%zu", sizes[i]);
    rmq_outstanding_fini(&t);
    assert_int_equal(rmq_outstanding_init(&t, sizes[i]), 0);
    for (size_t n = 0; n < sizes[i]; n++)
      tickets[n] = hand_out(1, start);
    assert_int_equal(rmq_outstanding_begin(&t, start), 0);
    for (size_t n = 0; n < sizes[i]; n++)
      assert_true(completes(tickets[n]));
  }
}

static void nothing_is_overdue_before_its_time(void **state) {
  (void)state;
  uint64_t a = hand_out(1, start), b = hand_out(1, after(1));
  assert_true(completes(b));
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(2)), 0);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(61)), 0);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(62)), a);
}

static void slow_writers_make_nothing_overdue(void **state) {
  (void)state;
  uint64_t a = hand_out(1, start), b = hand_out(2, after(1));
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(599)), 0);
  assert_false(completes(b)); /* now a was overtaken */
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(599)), 0);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(658)), 0);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(659)), a);
  rmq_outstanding_forget(&t, a);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(1198)), 0);
}

/* Five threads and a long queue: each delivery waits longer than the timeout,
 * and the next one comes back a moment before it. */
static void
a_slow_queue_with_several_writers_makes_nothing_overdue(void **state) {
  (void)state;
  uint64_t before = hand_out(1, start);
  for (int s = 1; s < 100; s++) {
    uint64_t next = hand_out(1, after(s));
    assert_true(completes(next));
    assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(s + 300)), 0);
    assert_true(completes(before));
    assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(s + 301)), 0);
    before = hand_out(1, after(s));
  }
}

static void writers_that_stand_still_make_everything_overdue(void **state) {
  (void)state;
  uint64_t a = hand_out(1, start);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(599)), 0);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(600)), a);
}

static void one_round_finds_all_that_are_overdue(void **state) {
  (void)state;
  uint64_t a = hand_out(1, start), b = hand_out(1, start);
  uint64_t young = hand_out(1, after(1)), c = hand_out(1, start);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(600)), a);
  assert_int_equal(rmq_outstanding_next_overdue(&t, rmq_s(60), after(600)), b);
  assert_int_equal(rmq_outstanding_next_overdue(&t, rmq_s(60), after(600)), c);
  assert_int_equal(rmq_outstanding_next_overdue(&t, rmq_s(60), after(600)), 0);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(600)), a);
  assert_true(completes(young));
}

static void what_is_given_up_in_silence_counts_until_it_is_back(void **state) {
  (void)state;
  assert_true(completes(hand_out(1, start)));
  uint64_t a = hand_out(2, start), b = hand_out(1, after(1));
  assert_int_equal(rmq_outstanding_give_up(&t, a), 2);
  assert_int_equal(rmq_outstanding_give_up(&t, b), 1);
  assert_int_equal(rmq_outstanding_give_up(&t, b), 0);
  assert_int_equal(t.count, 0);
  assert_int_equal(t.values, 3);
  assert_false(rmq_outstanding_back(&t, a));
  assert_false(rmq_outstanding_back(&t, b));
  assert_int_equal(t.values, 1);
  assert_true(rmq_outstanding_back(&t, a)); /* the last one is told of */
  assert_false(rmq_outstanding_back(&t, a));
  assert_int_equal(t.values, 0);
}

/* The host dropped it, then: its queue keeps the order. */
static void
what_is_given_up_in_silence_counts_until_a_later_one_is_back(void **state) {
  (void)state;
  assert_true(completes(hand_out(1, start)));
  uint64_t a = hand_out(2, after(1)), b = hand_out(2, after(1));
  uint64_t later = hand_out(2, after(2));
  rmq_outstanding_give_up(&t, a);
  assert_false(completes(b));
  assert_int_equal(t.values, 5);
  assert_false(completes(later));
  assert_int_equal(t.values, 2); /* of b and later */
  assert_false(completes(a));
  assert_int_equal(t.values, 2);
}

static void what_was_overtaken_is_given_up_and_does_not_count(void **state) {
  (void)state;
  uint64_t a = hand_out(2, start);
  assert_true(completes(hand_out(1, after(1))));
  assert_int_equal(rmq_outstanding_give_up(&t, a), 2);
  assert_int_equal(t.values, 0);
}

static void
what_is_given_up_does_not_count_where_none_ever_came_back(void **state) {
  (void)state;
  assert_int_equal(rmq_outstanding_give_up(&t, hand_out(2, start)), 2);
  assert_int_equal(t.values, 0);
}

static void what_is_detached_is_waited_for(void **state) {
  (void)state;
  uint64_t a = hand_out(2, start);
  rmq_outstanding_detach(&t, a);
  assert_int_equal(t.count, 0);
  assert_int_equal(t.values, 0);
  assert_false(rmq_outstanding_waits(&t)); /* the host may not let any back */
  assert_false(rmq_outstanding_back(&t, a));
  assert_true(rmq_outstanding_waits(&t));
  assert_true(rmq_outstanding_back(&t, a));
  assert_false(rmq_outstanding_waits(&t));
  assert_false(rmq_outstanding_back(&t, a));
  assert_int_equal(t.detached, 0);
}

/* Whatever the host does with the others. */
static void what_is_detached_and_set_aside_is_waited_for_anyhow(void **state) {
  (void)state;
  uint64_t a = rmq_outstanding_begin(&t, start);
  rmq_outstanding_set_aside(&t, a, 2);
  assert_false(rmq_outstanding_end(&t, a, 3));
  rmq_outstanding_detach(&t, a);
  assert_true(rmq_outstanding_waits(&t));
  assert_true(completes(hand_out(1, after(1)))); /* overtakes the one value */
  assert_int_equal(t.detached, 0);
  assert_true(rmq_outstanding_waits(&t));
  assert_false(rmq_outstanding_aside_back(&t, a));
  assert_true(rmq_outstanding_waits(&t));
  assert_true(rmq_outstanding_aside_back(&t, a));
  assert_false(rmq_outstanding_waits(&t));
}

static void
what_is_detached_and_dropped_is_waited_for_until_a_later_one(void **state) {
  (void)state;
  assert_true(completes(hand_out(1, start)));
  rmq_outstanding_detach(&t, hand_out(2, after(1)));
  uint64_t b = rmq_outstanding_begin(&t, after(2));
  assert_false(rmq_outstanding_back(&t, b));
  assert_false(rmq_outstanding_end(&t, b, 3));
  assert_int_equal(t.detached, 0);
  rmq_outstanding_detach(&t, b);
  assert_false(rmq_outstanding_back(&t, b));
  assert_true(rmq_outstanding_waits(&t));
  assert_true(rmq_outstanding_back(&t, b));
  assert_false(rmq_outstanding_waits(&t));
}

static void what_is_set_aside_is_not_overdue_and_overtakes_nobody(void **s) {
  (void)s;
  uint64_t a = rmq_outstanding_begin(&t, start);
  assert_false(rmq_outstanding_aside_back(&t, a)); /* already */
  rmq_outstanding_set_aside(&t, a, 2);
  assert_false(rmq_outstanding_end(&t, a, 3));
  uint64_t b = hand_out(1, start);
  assert_true(completes(hand_out(1, after(1))));
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(60)), 0);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(120)), b);
  assert_int_equal(rmq_outstanding_next_overdue(&t, rmq_s(60), after(120)), 0);
  assert_int_equal(t.newest.ns, after(1).ns);
  assert_false(rmq_outstanding_aside_back(&t, a));
  assert_int_equal(t.values, 2);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(121)), a);
  uint64_t c = rmq_outstanding_begin(&t, after(2));
  rmq_outstanding_set_aside(&t, c, 1);
  assert_false(rmq_outstanding_end(&t, c, 1));
  assert_true(rmq_outstanding_aside_back(&t, c));
  assert_int_equal(t.newest.ns, after(1).ns);
  assert_int_equal(rmq_outstanding_take(&t), c);
  assert_false(rmq_outstanding_aside_back(&t, c));
  assert_int_equal(t.strays, 1);
}

static void a_stray_is_a_sign_of_life_and_overtakes_nobody(void **state) {
  (void)state;
  uint64_t a = hand_out(1, start);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(499)), 0);
  assert_false(completes(a + 1000));
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(500)), 0);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(1099)), 0);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(1100)), a);
}

static void a_number_that_wraps_still_tells_the_open_ones_apart(void **state) {
  (void)state;
  t.begun = (UINT64_C(1) << (RMQ_OUTSTANDING_TICKET_BITS - t.slot_bits)) - 3;
  uint64_t tickets[6];
  for (size_t i = 0; i < COUNT_OF(tickets); i++) {
    tickets[i] = hand_out(1, start);
    for (size_t n = 0; n < i; n++)
      assert_true(tickets[n] != tickets[i]);
  }
  for (size_t i = 0; i < COUNT_OF(tickets); i++)
    assert_true(completes(tickets[i]));
}

static void without_memory_there_is_none(void **state) {
  (void)state;
  struct rmq_outstanding other;
  alloc_fail_at(1);
  int rc = rmq_outstanding_init(&other, 8);
  assert_true(alloc_works_again());
  assert_int_equal(rc, -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(the_last_value_back_completes_a_delivery),
      TEST(a_value_back_before_the_last_has_left_completes_nothing),
      TEST(a_delivery_without_values_is_complete_at_once),
      TEST(values_of_a_forgotten_delivery_are_strays),
      TEST(a_slot_is_nobody_elses_before_its_owner_knows),
      TEST(nobody_is_told_before_there_is_enough_to_take),
      TEST(as_many_deliveries_fit_as_were_asked_for),
      TEST(nothing_is_overdue_before_its_time),
      TEST(slow_writers_make_nothing_overdue),
      TEST(a_slow_queue_with_several_writers_makes_nothing_overdue),
      TEST(writers_that_stand_still_make_everything_overdue),
      TEST(one_round_finds_all_that_are_overdue),
      TEST(what_is_given_up_in_silence_counts_until_it_is_back),
      TEST(what_is_given_up_in_silence_counts_until_a_later_one_is_back),
      TEST(what_was_overtaken_is_given_up_and_does_not_count),
      TEST(what_is_given_up_does_not_count_where_none_ever_came_back),
      TEST(what_is_detached_is_waited_for),
      TEST(what_is_detached_and_set_aside_is_waited_for_anyhow),
      TEST(what_is_detached_and_dropped_is_waited_for_until_a_later_one),
      TEST(what_is_set_aside_is_not_overdue_and_overtakes_nobody),
      TEST(a_stray_is_a_sign_of_life_and_overtakes_nobody),
      TEST(a_number_that_wraps_still_tells_the_open_ones_apart),
      TEST(without_memory_there_is_none),
  };
  return run_all(tests);
}
