/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/vhost_sums.h"
#include "common/broker/vhosts.h"

#include "tests/testing.h"

#include <math.h>
#include <string.h>

/* Polls every 10 s. */
struct story {
  struct rmq_vhost_sums x;
  struct rmq_snapshot s;
  struct rmq_vhost_turn turn;
};

static void begin(struct story *t) {
  rmq_vhost_sums_init(&t->x);
  rmq_snapshot_init(&t->s, 10);
  t->s.vhosts_max = 10;
  t->turn = (struct rmq_vhost_turn){
      .taken.ns = 0, .elapsed = (double)NAN, .are_counts_known = true};
}

static void end(struct story *t) {
  rmq_vhost_sums_fini(&t->x);
  rmq_snapshot_fini(&t->s);
}

static void poll(struct story *t) {
  if (t->turn.taken.ns > 0)
    t->turn.elapsed = 10;
  rmq_snapshot_clear(&t->s);
  t->turn.taken.ns += 10 * RMQ_NS_PER_S;
}

static void add(struct story *t, const char *name, double ready,
                int64_t published) {
  struct rmq_snapshot_vhost *v = rmq_vhosts_need(&t->s, name, strlen(name));
  assert_non_null(v);
  v->ready = ready;
  v->unacked = 1;
  v->stats[RMQ_STAT_PUBLISH] = published;
}

static const struct rmq_report_vhost *step(struct story *t) {
  assert_int_equal(rmq_vhost_sums_step(&t->x, &t->s, &t->turn), 0);
  return t->x.reports;
}

static void each_one_has_its_own_sums_and_growth(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  poll(&t);
  add(&t, "b", 100, 5000);
  add(&t, "a", 10, 70);
  const struct rmq_report_vhost *r = step(&t);
  assert_int_equal(t.x.reports_count, 2);
  assert_string_equal(r[0].name, "a");
  assert_true(r[0].ready == 10 && r[0].unacked == 1);
  assert_true(isnan(r[0].growth) && isnan(r[0].drain));
  assert_int_equal(r[0].publish, 0);
  poll(&t);
  add(&t, "a", 40, 100);
  add(&t, "b", 50, 5001);
  r = step(&t);
  assert_true(r[0].growth == 3 && isnan(r[0].drain));
  assert_int_equal(r[0].publish, 30);
  assert_true(r[1].growth == -5 && r[1].drain == 10);
  assert_int_equal(r[1].publish, 1);
  assert_int_equal(r[1].ack, -1);
  end(&t);
}

static void every_counter_is_its_own_series(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  for (int64_t poll_no = 0; poll_no < 2; poll_no++) {
    poll(&t);
    struct rmq_snapshot_vhost *v = rmq_vhosts_need(&t.s, "/", 1);
    for (int64_t i = 0; i < RMQ_STATS_COUNT; i++)
      v->stats[i] = poll_no << i;
    step(&t);
  }
  const struct rmq_report_vhost *r = t.x.reports;
  assert_int_equal(r->publish, 1 << RMQ_STAT_PUBLISH);
  assert_int_equal(r->confirm, 1 << RMQ_STAT_CONFIRM);
  assert_int_equal(r->deliver,
                   (1 << RMQ_STAT_DELIVER) + (1 << RMQ_STAT_DELIVER_NO_ACK));
  assert_int_equal(r->get, (1 << RMQ_STAT_GET) + (1 << RMQ_STAT_GET_NO_ACK));
  assert_int_equal(r->ack, 1 << RMQ_STAT_ACK);
  assert_int_equal(r->redelivered, 1 << RMQ_STAT_REDELIVER);
  assert_int_equal(r->returned, 1 << RMQ_STAT_RETURNED);
  assert_int_equal(r->dropped_unroutable, 1 << RMQ_STAT_DROPPED);
  end(&t);
}

/* A deleted queue, a node that left, a vhost that was made anew. */
static void no_change_of_parts_is_a_rate(void **state) {
  (void)state;
  static const struct {
    const char *name;
    enum rmq_continuity continuity;
    bool is_unknown;
    int64_t value, want; /* after 1000, whose sum was 0 */
  } rows[] = {
      {"it grew", RMQ_SAME, false, 1010, 10},
      {"a queue was deleted", RMQ_SAME, false, 400, 0},
      {"all nodes restarted", RMQ_RESTARTED, false, 7, 7},
      {"a node left or came back", RMQ_CHANGED, false, 5000, 0},
      {"a node was silent", RMQ_SAME, true, 600, -1},
      {"it is not told", RMQ_SAME, false, RMQ_ABSENT, -1},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].name);
    struct story t;
    begin(&t);
    poll(&t);
    add(&t, "/", 5, 1000);
    step(&t);
    poll(&t);
    add(&t, "/", 6, rows[i].value);
    t.turn.continuity = rows[i].continuity;
    t.turn.are_counts_known = !rows[i].is_unknown;
    const struct rmq_report_vhost *r = step(&t);
    assert_int_equal(r->publish, rows[i].want);
    assert_int_equal(isnan(r->growth), rows[i].continuity != RMQ_SAME);
    end(&t);
  }
}

static void what_was_not_told_for_a_while_is_remembered(void **state) {
  (void)state;
  struct story t;
  for (int missed = 1; missed <= 11; missed += 10) {
    begin(&t);
    poll(&t);
    add(&t, "/", 5, 1000);
    step(&t);
    for (int i = 0; i < missed; i++) {
      poll(&t);
      add(&t, "other", 0, 0);
      step(&t);
      assert_int_equal(t.x.reports_count, 1);
    }
    poll(&t);
    add(&t, "/", 9, 1003);
    const struct rmq_report_vhost *r = step(&t);
    assert_int_equal(r->publish, missed > 10 ? 0 : 3);
    assert_true(isnan(r->growth)); /* of a longer time than one poll */
    end(&t);
  }
}

/* As when a node comes back, and its list fails in just that poll. */
static void a_change_while_one_is_not_told_is_not_forgotten(void **state) {
  (void)state;
  static const struct {
    enum rmq_continuity continuity;
    int64_t want; /* 5000000 after 1000 */
  } rows[] = {
      {RMQ_SAME, 4999000},
      {RMQ_CHANGED, 0},
      {RMQ_RESTARTED, 5000000},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rmq_continuity_to_str(rows[i].continuity));
    struct story t;
    begin(&t);
    poll(&t);
    add(&t, "/", 5, 1000);
    step(&t);
    poll(&t);
    t.turn.continuity = rows[i].continuity;
    step(&t);
    poll(&t);
    t.turn.continuity = RMQ_SAME;
    add(&t, "/", 5, 5000000);
    assert_int_equal(step(&t)->publish, rows[i].want);
    end(&t);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_one_has_its_own_sums_and_growth),
      cmocka_unit_test(every_counter_is_its_own_series),
      cmocka_unit_test(no_change_of_parts_is_a_rate),
      cmocka_unit_test(what_was_not_told_for_a_while_is_remembered),
      cmocka_unit_test(a_change_while_one_is_not_told_is_not_forgotten),
  };
  return run_all(tests);
}
