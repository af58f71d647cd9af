/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/hosts.h"

#include "tests/alloc.h"
#include "tests/testing.h"

static struct rmq_hosts h;
static struct rmq_prng prng;
static struct rmq_mono now;

static int begin(void **state) {
  (void)state;
  prng.state = 7;
  now = (struct rmq_mono){1000 * RMQ_NS_PER_S};
  return 0;
}

static int end(void **state) {
  (void)state;
  rmq_hosts_fini(&h);
  return 0;
}

static void init(size_t count, bool is_random) {
  assert_int_equal(rmq_hosts_init(&h, count, is_random, rmq_s(5), rmq_s(60)),
                   0);
}

static void pass(int64_t seconds) { now = rmq_mono_add(now, rmq_s(seconds)); }

static size_t choose(void) {
  rmq_hosts_choose(&h, &prng, now);
  return h.current;
}

static size_t choose_and_fail(void) {
  choose();
  rmq_hosts_failed(&h, &prng, now);
  return h.current;
}

static size_t new_round(void) {
  rmq_hosts_begin_round(&h);
  return choose();
}

static void ordered_hosts_come_in_their_order_once_per_round(void **state) {
  (void)state;
  init(3, false);
  for (int round = 0; round < 3; round++) {
    rmq_hosts_begin_round(&h);
    for (size_t i = 0; i < 3; i++) {
      assert_true(rmq_hosts_has_more(&h, now));
      assert_int_equal(choose(), i);
    }
    assert_false(rmq_hosts_has_more(&h, now));
  }
}

static void
random_hosts_come_once_per_round_and_each_first_at_times(void **state) {
  (void)state;
  init(3, true);
  size_t firsts[3] = {0};
  for (int round = 0; round < 300; round++) {
    bool seen[3] = {false};
    rmq_hosts_begin_round(&h);
    for (size_t i = 0; i < 3; i++) {
      size_t host = choose();
      assert_false(seen[host]);
      seen[host] = true;
      firsts[host] += i == 0;
    }
  }
  for (size_t i = 0; i < 3; i++)
    assert_in_range(firsts[i], 60, 140);
}

static void failed_host_is_tried_last_until_its_penalty_ends(void **state) {
  (void)state;
  init(3, false);
  assert_int_equal(choose_and_fail(), 0);
  pass(1);
  assert_int_equal(new_round(), 1);
  assert_int_equal(choose(), 2);
  assert_int_equal(choose(), 0);
  pass(10); /* the first penalty is 5 to 10 s */
  assert_int_equal(new_round(), 0);
}

static void
penalty_grows_with_each_failure_and_shrinks_after_work(void **state) {
  (void)state;
  init(2, false);
  int64_t most = 0;
  for (int i = 0; i < 20; i++) {
    rmq_hosts_force(&h, 0);
    choose_and_fail();
    int64_t ns = h.entries[0].shunned_until.ns - now.ns;
    assert_true(ns >= 5 * RMQ_NS_PER_S && ns <= 60 * RMQ_NS_PER_S);
    most = ns > most ? ns : most;
  }
  assert_true(most > 30 * RMQ_NS_PER_S);
  rmq_hosts_worked(&h);
  choose_and_fail();
  rmq_hosts_force(&h, 0);
  choose();
  rmq_hosts_worked(&h);
  rmq_hosts_failed(&h, &prng, now);
  assert_true(h.entries[0].shunned_until.ns - now.ns <= 10 * RMQ_NS_PER_S);
}

static void penalties_of_one_host_do_not_touch_another(void **state) {
  (void)state;
  init(2, false);
  for (int i = 0; i < 9; i++) {
    rmq_hosts_force(&h, 0);
    choose_and_fail();
  }
  rmq_hosts_force(&h, 1);
  choose_and_fail();
  pass(11);
  assert_true(h.entries[0].shunned_until.ns > now.ns);
  assert_int_equal(new_round(), 1);
}

static void hosts_that_have_all_failed_come_in_their_order(void **state) {
  (void)state;
  init(3, false);
  for (int i = 0; i < 3; i++)
    choose_and_fail();
  rmq_hosts_begin_round(&h);
  for (size_t i = 0; i < 3; i++)
    assert_int_equal(choose(), i);
}

static void host_that_refused_is_not_tried_before_its_bar_ends(void **state) {
  (void)state;
  init(2, false);
  choose();
  rmq_hosts_refused(&h, rmq_mono_add(now, rmq_s(30)));
  for (int i = 0; i < 5; i++) {
    assert_int_equal(new_round(), 1);
    assert_false(rmq_hosts_has_more(&h, now));
    pass(5);
  }
  pass(5);
  assert_int_equal(new_round(), 0);
}

static void when_all_have_refused_the_first_bar_that_ends_counts(void **state) {
  (void)state;
  init(3, false);
  const int64_t bars[] = {40, 20, 30};
  for (size_t i = 0; i < 3; i++) {
    choose();
    rmq_hosts_refused(&h, rmq_mono_add(now, rmq_s(bars[i])));
  }
  rmq_hosts_begin_round(&h);
  assert_false(rmq_hosts_has_more(&h, now));
  assert_int_equal(rmq_hosts_free_at(&h).ns, now.ns + 20 * RMQ_NS_PER_S);
  assert_int_equal(choose(), 1); /* even when nobody waited */
  rmq_hosts_begin_round(&h);
  now = rmq_hosts_free_at(&h);
  assert_int_equal(choose(), 1);
}

static void skipped_host_is_left_out_of_the_round_only(void **state) {
  (void)state;
  init(2, false);
  choose();
  rmq_hosts_begin_round(&h);
  rmq_hosts_skip(&h);
  assert_int_equal(choose(), 1);
  assert_false(rmq_hosts_has_more(&h, now));
  assert_int_equal(new_round(), 0);
}

static void better_hosts_are_those_before_the_current_one(void **state) {
  (void)state;
  init(4, false);
  assert_int_equal(choose(), 0);
  assert_int_equal(rmq_hosts_better(&h, 4, now), 4); /* on the best one */
  rmq_hosts_refused(&h, rmq_mono_add(now, rmq_s(30)));
  for (int i = 0; i < 3; i++)
    choose();
  assert_int_equal(h.current, 3);
  assert_int_equal(rmq_hosts_better(&h, 4, now), 1); /* 0 is barred */
  assert_int_equal(rmq_hosts_better(&h, 1, now), 2);
  assert_int_equal(rmq_hosts_better(&h, 2, now), 4);
  pass(30);
  assert_int_equal(rmq_hosts_better(&h, 4, now), 0);
}

static void forced_host_is_chosen_once_whatever_is_known_of_it(void **state) {
  (void)state;
  init(3, false);
  choose_and_fail();
  assert_int_equal(choose(), 1);
  rmq_hosts_begin_round(&h);
  rmq_hosts_force(&h, 0);
  assert_int_equal(choose(), 0);
  assert_int_equal(choose(), 1);
}

static void without_memory_there_are_no_hosts(void **state) {
  (void)state;
  alloc_fail_at(1);
  assert_int_equal(rmq_hosts_init(&h, 3, false, rmq_s(5), rmq_s(60)), -1);
  assert_true(alloc_works_again());
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      ROW(ordered_hosts_come_in_their_order_once_per_round),
      ROW(random_hosts_come_once_per_round_and_each_first_at_times),
      ROW(failed_host_is_tried_last_until_its_penalty_ends),
      ROW(penalty_grows_with_each_failure_and_shrinks_after_work),
      ROW(penalties_of_one_host_do_not_touch_another),
      ROW(hosts_that_have_all_failed_come_in_their_order),
      ROW(host_that_refused_is_not_tried_before_its_bar_ends),
      ROW(when_all_have_refused_the_first_bar_that_ends_counts),
      ROW(skipped_host_is_left_out_of_the_round_only),
      ROW(better_hosts_are_those_before_the_current_one),
      ROW(forced_host_is_chosen_once_whatever_is_known_of_it),
      ROW(without_memory_there_are_no_hosts),
  };
  return run_all(tests);
}
