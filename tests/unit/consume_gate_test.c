/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/prng.h"
#include "common/host/host_clock.h"
#include "common/role/consume_gate.h"
#include "tests/testing.h"

#include <sched.h>

/* Long enough that a test which waits for it is noticed. */
static const struct rmq_dur for_ever = {INT64_C(600) * RMQ_NS_PER_S};
static const struct rmq_dur a_moment = {1000};
static const struct rmq_host real_clock = {.mono = rmq_host_mono};

static void open_gate(struct rmq_gate *g, struct rmq_dur rest) {
  assert_int_equal(rmq_gate_init(g, &real_clock, rest), 0);
}

static void pass(struct rmq_gate *g, int values) {
  for (int i = 0; i < values; i++)
    rmq_gate_pass(g);
}

/* Whether the writer of one value has rested. */
static bool rests(struct rmq_gate *g) {
  uint64_t before = atomic_load(&g->rests);
  rmq_gate_back(g);
  return atomic_load(&g->rests) != before;
}

static void who_has_caught_up_rests_while_more_follow(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int64_t of_others;
    int passed;
    bool has_ended, want_rest;
  } cases[] = {
      {"caught up", 0, RMQ_GATE_FREE, false, true},
      {"one too many", 1, RMQ_GATE_FREE, false, false},
      {"one too many after all", 0, RMQ_GATE_FREE + 1, false, false},
      {"a short message", 0, RMQ_GATE_FREE - 1, false, false},
      {"no more follow", 0, RMQ_GATE_FREE, true, false},
      {"a short message, and it is all", 0, 1, true, false},
      {"others' are on their way", 100, RMQ_GATE_FREE, false, false},
      {"nobody knows how many are on their way", -1, RMQ_GATE_FREE, false,
       false},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct rmq_gate g;
    open_gate(&g, a_moment);
    rmq_gate_begin(&g, cases[i].of_others);
    pass(&g, cases[i].passed);
    if (cases[i].has_ended)
      rmq_gate_end(&g);
    if (rests(&g) != cases[i].want_rest)
      fail_msg("%s", cases[i].name);
    rmq_gate_fini(&g);
  }
}

static void behind_a_long_message_the_next_one_is_taken_for_long(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int messages, values[3];
    bool want_rest; /* at the first value of one more */
  } cases[] = {
      {"long", 1, {RMQ_GATE_FREE}, true},
      {"short", 1, {RMQ_GATE_FREE - 1}, false},
      {"long, short", 2, {RMQ_GATE_FREE, 1}, false},
      {"long, empty, long", 3, {RMQ_GATE_FREE, 0, RMQ_GATE_FREE}, true},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct rmq_gate g;
    open_gate(&g, a_moment);
    for (int m = 0; m < cases[i].messages; m++) {
      rmq_gate_begin(&g, 0);
      pass(&g, cases[i].values[m]);
      rmq_gate_end(&g);
    }
    rmq_gate_begin(&g, 0);
    rmq_gate_pass(&g);
    if (rests(&g) != cases[i].want_rest)
      fail_msg("%s", cases[i].name);
    rmq_gate_fini(&g);
  }
}

static void nobody_rests_before_the_first_message(void **state) {
  (void)state;
  struct rmq_gate g;
  open_gate(&g, for_ever);
  assert_false(rests(&g)); /* a stray, of a life before */
  rmq_gate_fini(&g);
}

static void values_that_never_come_back_are_forgotten(void **state) {
  (void)state;
  struct rmq_gate g;
  open_gate(&g, a_moment);
  rmq_gate_begin(&g, 0);
  pass(&g, 1000);
  rmq_gate_end(&g);
  rmq_gate_begin(&g, 0);
  pass(&g, RMQ_GATE_FREE);
  assert_true(rests(&g));
  rmq_gate_fini(&g);
}

static void strays_of_before_do_not_count(void **state) {
  (void)state;
  struct rmq_gate g;
  open_gate(&g, a_moment);
  for (int i = 0; i < 1000; i++)
    rmq_gate_back(&g);
  rmq_gate_begin(&g, 0);
  pass(&g, 100);
  assert_false(rests(&g)); /* 99 are on their way */
  rmq_gate_fini(&g);
}

/* More come back than were known of: the queue may be full of them. */
static void nobody_rests_while_forgotten_values_come_back(void **state) {
  (void)state;
  struct rmq_gate g;
  open_gate(&g, a_moment);
  rmq_gate_begin(&g, 0);
  pass(&g, 100);
  for (int i = 0; i < 100; i++)
    rmq_gate_back(&g);
  for (int i = 0; i < 100; i++)
    assert_false(rests(&g));
  rmq_gate_fini(&g);
}

/* ---- with threads ---- */

static void *write_one(void *gate) {
  rmq_gate_back(gate);
  return gate;
}

static void wait_for_a_rest(struct rmq_gate *g) {
  while (atomic_load(&g->resting) == 0)
    sched_yield();
  pthread_mutex_lock(&g->lock); /* it waits, and not only says so */
  pthread_mutex_unlock(&g->lock);
}

static void who_rests_is_called_for_enough_values(void **state) {
  (void)state;
  struct rmq_gate g;
  pthread_t writer;
  open_gate(&g, for_ever);
  rmq_gate_begin(&g, 0);
  pass(&g, RMQ_GATE_FREE);
  assert_int_equal(pthread_create(&writer, NULL, write_one, &g), 0);
  wait_for_a_rest(&g);
  pass(&g, RMQ_GATE_ENOUGH * 2);
  pthread_join(writer, NULL);
  assert_int_equal(atomic_load(&g.resting), 0);
  rmq_gate_fini(&g);
}

static void who_rests_is_called_at_the_end(void **state) {
  (void)state;
  struct rmq_gate g;
  pthread_t writer;
  open_gate(&g, for_ever);
  rmq_gate_begin(&g, 0);
  pass(&g, RMQ_GATE_FREE);
  assert_int_equal(pthread_create(&writer, NULL, write_one, &g), 0);
  wait_for_a_rest(&g);
  rmq_gate_end(&g);
  pthread_join(writer, NULL);
  rmq_gate_fini(&g);
}

/* A host in small: a queue of values, as a number, and threads that wait. */
enum { WRITERS = 5, MESSAGES = 100, VALUES_MAX = 400 };

struct host {
  struct rmq_gate gate;
  pthread_mutex_t lock;
  pthread_cond_t more;
  int queued;
  bool is_over;
  int written;
};

static bool take(struct host *h) {
  pthread_mutex_lock(&h->lock);
  while (h->queued == 0 && !h->is_over)
    pthread_cond_wait(&h->more, &h->lock);
  bool has = h->queued > 0;
  if (has) {
    h->queued--;
    h->written++;
  }
  pthread_mutex_unlock(&h->lock);
  return has;
}

static void *write_all(void *arg) {
  struct host *h = arg;
  while (take(h))
    rmq_gate_back(&h->gate);
  return arg;
}

static void give(struct host *h, int values) {
  for (int i = 0; i < values; i++) {
    pthread_mutex_lock(&h->lock);
    h->queued++;
    pthread_cond_signal(&h->more);
    pthread_mutex_unlock(&h->lock);
    rmq_gate_pass(&h->gate);
  }
}

static int64_t on_their_way(struct host *h) {
  pthread_mutex_lock(&h->lock);
  int64_t queued = h->queued;
  pthread_mutex_unlock(&h->lock);
  return queued;
}

static void finish(struct host *h) {
  pthread_mutex_lock(&h->lock);
  h->is_over = true;
  pthread_cond_broadcast(&h->more);
  pthread_mutex_unlock(&h->lock);
}

/* Of those who rest at the end, one is called, and the others come back by
 * themselves. */
static void every_value_is_written_whoever_rests(void **state) {
  (void)state;
  struct host h = {.lock = PTHREAD_MUTEX_INITIALIZER,
                   .more = PTHREAD_COND_INITIALIZER};
  pthread_t writers[WRITERS];
  struct rmq_prng random = {property_seed(7)};
  int given = 0;
  open_gate(&h.gate, rmq_ms(20));
  for (int i = 0; i < WRITERS; i++)
    assert_int_equal(pthread_create(&writers[i], NULL, write_all, &h), 0);
  for (int i = 0; i < MESSAGES; i++) {
    int values = (int)rmq_prng_below(&random, VALUES_MAX);
    rmq_gate_begin(&h.gate, on_their_way(&h));
    give(&h, values);
    rmq_gate_end(&h.gate);
    given += values;
  }
  finish(&h);
  for (int i = 0; i < WRITERS; i++)
    pthread_join(writers[i], NULL);
  assert_int_equal(h.written, given);
  assert_int_equal(atomic_load(&h.gate.resting), 0);
  rmq_gate_fini(&h.gate);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(who_has_caught_up_rests_while_more_follow),
      cmocka_unit_test(behind_a_long_message_the_next_one_is_taken_for_long),
      cmocka_unit_test(nobody_rests_before_the_first_message),
      cmocka_unit_test(values_that_never_come_back_are_forgotten),
      cmocka_unit_test(strays_of_before_do_not_count),
      cmocka_unit_test(nobody_rests_while_forgotten_values_come_back),
      cmocka_unit_test(who_rests_is_called_for_enough_values),
      cmocka_unit_test(who_rests_is_called_at_the_end),
      cmocka_unit_test(every_value_is_written_whoever_rests),
  };
  return run_all(tests);
}
