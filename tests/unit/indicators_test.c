/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/indicators.h"
#include "common/broker/vhosts.h"

#include "tests/testing.h"

#include <math.h>
#include <string.h>

/* A broker whose snapshots are made by hand, one every 10 s. */
struct story {
  struct rmq_indicators *x;
  struct rmq_snapshot s;
  struct rmq_indicators_result r;
  int64_t seconds;
  double uptime;
};

static void begin(struct story *t) {
  memset(t, 0, sizeof(*t));
  t->x = rmq_indicators_new();
  assert_non_null(t->x);
  rmq_snapshot_init(&t->s, 100);
  t->seconds = 1000;
  t->uptime = 5000;
}

static void end(struct story *t) {
  rmq_snapshot_fini(&t->s);
  rmq_indicators_free(t->x);
}

/* A new poll, with one running node and every queue list complete. */
static void poll(struct story *t) {
  rmq_snapshot_clear(&t->s);
  t->seconds += 10;
  t->uptime += 10;
  t->s.taken.ns = t->seconds * RMQ_NS_PER_S;
  t->s.time.ns = (1700000000 + t->seconds) * RMQ_NS_PER_S;
  t->s.has_nodes = true;
  t->s.has_all_queues = true;
  struct rmq_snapshot_node *n = rmq_snapshot_add_node(&t->s, "rabbit@a");
  assert_non_null(n);
  n->running = 1;
  n->uptime = t->uptime;
}

static void step(struct story *t) {
  assert_int_equal(rmq_indicators_step(t->x, &t->s, &t->r), 0);
}

static struct rmq_snapshot_queue *add(struct story *t, const char *name,
                                      double ready, int64_t published) {
  struct rmq_snapshot_queue *q = rmq_snapshot_add_queue(&t->s, "/", name);
  assert_non_null(q);
  q->ready = ready;
  q->unacked = 0;
  q->stats[RMQ_STAT_PUBLISH] = published;
  return q;
}

#define assert_absent(value) assert_true(isnan(value))
#define assert_near(value, want) assert_true(fabs((value) - (want)) < 1e-9)

static void what_an_empty_answer_says_is_that_it_was_reachable(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  for (int i = 0; i < 3; i++) {
    poll(&t);
    rmq_snapshot_clear(&t.s);
    t.s.taken.ns = t.seconds * RMQ_NS_PER_S;
    step(&t);
    const struct rmq_report_cluster *c = &t.r.cluster;
    assert_true(c->reachable == 1);
    assert_absent(c->ready);
    assert_absent(c->drain);
    assert_absent(c->error_rate);
    assert_absent(c->publish_rate);
    assert_absent(c->throughput_drop);
    assert_absent(c->nodes_total);
    assert_int_equal(c->publish, -1);
    assert_int_equal(c->returned, -1);
    assert_int_equal(c->scrape_failed, 0);
    assert_int_equal(t.r.nodes_count, 0);
    assert_int_equal(t.r.queues_count, 0);
  }
  end(&t);
}

static void an_unreachable_broker_is_0_and_nothing_else(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  poll(&t);
  t.s.ready = 5;
  step(&t);
  for (int i = 1; i < 4; i++) {
    rmq_indicators_fail(t.x, &t.r);
    assert_true(t.r.cluster.reachable == 0);
    assert_absent(t.r.cluster.ready);
    assert_absent(t.r.cluster.nodes_running);
    assert_int_equal(t.r.cluster.publish, -1);
    assert_int_equal(t.r.cluster.scrape_failed, i);
    assert_int_equal(t.r.nodes_count, 0);
    assert_int_equal(t.r.queues_count, 0);
  }
  end(&t);
}

static void rates_are_what_was_published_between_two_polls(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  poll(&t);
  t.s.stats[RMQ_STAT_PUBLISH] = 1000;
  t.s.stats[RMQ_STAT_DELIVER] = 500;
  t.s.stats[RMQ_STAT_DELIVER_NO_ACK] = 7;
  step(&t);
  assert_absent(t.r.cluster.publish_rate);
  assert_int_equal(t.r.cluster.publish, 0);
  poll(&t);
  t.s.stats[RMQ_STAT_PUBLISH] = 1050;
  t.s.stats[RMQ_STAT_DELIVER] = 520;
  t.s.stats[RMQ_STAT_DELIVER_NO_ACK] = 17;
  step(&t);
  assert_near(t.r.cluster.publish_rate, 5);
  assert_near(t.r.cluster.deliver_rate, 3);
  assert_absent(t.r.cluster.ack_rate);
  assert_int_equal(t.r.cluster.publish, 50);
  assert_int_equal(t.r.cluster.deliver, 30);
  assert_int_equal(t.r.cluster.get, -1);
  end(&t);
}

static void polls_that_failed_do_not_make_a_rate_higher(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  poll(&t);
  t.s.stats[RMQ_STAT_PUBLISH] = 100;
  step(&t);
  t.seconds += 30;
  t.uptime += 30;
  for (int i = 0; i < 3; i++)
    rmq_indicators_fail(t.x, &t.r);
  poll(&t);
  t.s.stats[RMQ_STAT_PUBLISH] = 500; /* 10 a second all the time */
  step(&t);
  assert_near(t.r.cluster.publish_rate, 10);
  end(&t);
}

static void a_restarted_broker_counts_from_0_without_a_spike(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  poll(&t);
  t.s.stats[RMQ_STAT_PUBLISH] = 1000000;
  add(&t, "q", 10, 900000);
  step(&t);
  rmq_indicators_fail(t.x, &t.r);
  t.seconds += 10;
  t.uptime = -5; /* 5 s at the next poll */
  poll(&t);
  t.s.stats[RMQ_STAT_PUBLISH] = 40;
  add(&t, "q", 2, 30);
  step(&t);
  assert_int_equal(t.r.cluster.publish, 40);
  assert_near(t.r.cluster.publish_rate, 2);
  assert_absent(t.r.cluster.drain); /* lost at the restart, not consumed */
  assert_absent(t.r.queues[0].drain);
  assert_absent(t.r.cluster.growth);
  assert_absent(t.r.queues[0].growth);
  assert_int_equal(t.r.queues[0].publish, 30);
  end(&t);
}

static void a_restart_that_shows_late_is_counted_once(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  static const struct {
    int64_t published;
    double uptime;    /* NaN = the node does not say it yet */
    int64_t want_sum; /* -1 = not known */
    double want_rate;
  } polls[] = {{300, 5000, 0, (double)NAN},
               {310, 5010, 10, 1},
               {10, (double)NAN, -1, (double)NAN},
               {20, (double)NAN, -1, (double)NAN},
               {30, 25, 40, 1},
               {60, 35, 70, 3}};
  for (size_t i = 0; i < COUNT_OF(polls); i++) {
    SHOW_ROW("poll %zu", i);
    poll(&t);
    t.s.nodes[0].uptime = polls[i].uptime;
    t.s.stats[RMQ_STAT_PUBLISH] = polls[i].published;
    add(&t, "q", 1, polls[i].published);
    step(&t);
    assert_int_equal(t.r.cluster.publish, polls[i].want_sum);
    assert_int_equal(t.r.queues[0].publish, polls[i].want_sum);
    if (isnan(polls[i].want_rate))
      assert_absent(t.r.cluster.publish_rate);
    else
      assert_near(t.r.cluster.publish_rate, polls[i].want_rate);
  }
  end(&t);
}

/* Until something is published the broker tells no counter of messages. */
static void publishers_that_stay_away_after_a_restart_show(void **state) {
  (void)state;
  for (int is_without = 0; is_without < 2; is_without++) {
    struct story t;
    SHOW_ROW("%s",
             is_without ? "statistics are disabled" : "nothing published");
    begin(&t);
    for (int i = 0; i <= 60; i++) {
      poll(&t);
      t.s.stats[RMQ_STAT_PUBLISH] = 1000 + 500 * i;
      step(&t);
    }
    assert_near(t.r.cluster.throughput_drop, 0);
    rmq_indicators_fail(t.x, &t.r);
    t.seconds += 10;
    t.uptime = -5;
    for (int i = 0; i < 6; i++) {
      poll(&t);
      t.s.is_without_statistics = is_without;
      step(&t);
      assert_int_equal(t.r.cluster.publish, is_without ? -1 : 30000);
      assert_int_equal(t.r.cluster.deliver, -1); /* never was one */
      assert_int_equal(isnan(t.r.cluster.publish_rate), is_without);
    }
    if (!is_without) {
      assert_near(t.r.cluster.publish_rate, 0);
      assert_near(t.r.cluster.throughput_drop, 100);
    }
    poll(&t);
    t.s.stats[RMQ_STAT_PUBLISH] = 500;
    step(&t);
    assert_int_equal(t.r.cluster.publish, 30500);
    end(&t);
  }
}

static void a_node_that_comes_back_makes_no_spike(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  int64_t sum_before = 0;
  for (int i = 0; i < 10; i++) {
    bool is_away = i >= 3 && i < 6; /* three intervals */
    poll(&t);
    struct rmq_snapshot_node *b = rmq_snapshot_add_node(&t.s, "rabbit@b");
    b->running = is_away ? 0 : 1;
    if (!is_away)
      b->uptime = t.uptime;
    /* each node has counted 10 more per poll; b keeps counting unseen */
    int64_t part = 100000 + 10 * i;
    t.s.stats[RMQ_STAT_PUBLISH] = is_away ? part : 2 * part;
    struct rmq_snapshot_queue *q = add(&t, "q", 0, 0);
    q->stats[RMQ_STAT_PUBLISH] = is_away ? part : 2 * part;
    step(&t);
    int64_t added = t.r.cluster.publish - sum_before;
    sum_before = t.r.cluster.publish;
    assert_true(added >= 0 && added <= 20);
    assert_true(isnan(t.r.cluster.publish_rate) ||
                t.r.cluster.publish_rate <= 2.0);
    assert_true(t.r.queues[0].publish <= 20 * i);
  }
  assert_true(sum_before > 0);
  end(&t);
}

static void a_queue_declared_anew_counts_from_0(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  poll(&t);
  add(&t, "q", 0, 5000);
  step(&t);
  poll(&t);
  add(&t, "q", 0, 12); /* deleted and declared within the interval */
  step(&t);
  assert_int_equal(t.r.queues[0].publish, 12);
  poll(&t);
  step(&t); /* deleted */
  assert_int_equal(t.r.queues_count, 0);
  poll(&t);
  add(&t, "q", 0, 100); /* again, seen an interval later */
  step(&t);
  assert_int_equal(t.r.queues[0].publish, 0);
  end(&t);
}

static void a_queue_missing_from_half_a_list_keeps_its_sum(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  poll(&t);
  add(&t, "a", 0, 10);
  add(&t, "q", 100, 100);
  step(&t);
  poll(&t);
  add(&t, "a", 0, 10);
  t.s.has_all_queues = false;
  step(&t);
  assert_int_equal(t.r.queues_count, 1);
  poll(&t);
  add(&t, "q", 50, 130);
  add(&t, "a", 0, 10);
  step(&t);
  assert_int_equal(t.r.queues_count, 2);
  assert_string_equal(t.r.queues[1].name, "q");
  assert_int_equal(t.r.queues[1].publish, 30);
  assert_absent(t.r.queues[1].drain);
  end(&t);
}

/* Between two pages, or from a node to be asked to one that was. */
static void a_queue_that_slipped_between_answers_keeps_its_sum(void **state) {
  (void)state;
  for (int nodes = 0; nodes < 2; nodes++) {
    struct story t;
    begin(&t);
    for (int i = 0; i < 6; i++) {
      SHOW_ROW("%s, poll %d", nodes ? "nodes" : "pages", i);
      poll(&t);
      t.s.has_pages = !nodes;
      t.s.is_per_node = nodes;
      if (nodes) {
        t.s.nodes[0].has_counters = true;
        struct rmq_snapshot_node *b = rmq_snapshot_add_node(&t.s, "rabbit@b");
        b->uptime = t.uptime;
        b->has_counters = true;
      }
      add(&t, "a", 0, 10);
      if (i != 1 && i != 3 && i != 4)
        add(&t, "q", 0, 100 + 10 * i);
      step(&t);
      if (i == 2)
        assert_int_equal(t.r.queues[1].publish, 20);
    }
    assert_int_equal(t.r.queues[1].publish, 0); /* gone, and a new one */
    end(&t);
  }
}

/* Its counters were not asked for, or the queue was not, for a while; or
 * another one told them. */
static void counters_that_come_back_make_no_spike(void **state) {
  (void)state;
  static const struct {
    const char *name;
    enum rmq_detail_level detail;
    enum rmq_counting counting;
    bool is_listed;
    int polls;
  } rows[] = {
      {"lengths only", RMQ_DETAIL_LENGTHS, RMQ_COUNTED_NOT, true, 1},
      {"lengths only, for long", RMQ_DETAIL_LENGTHS, RMQ_COUNTED_NOT, true, 50},
      {"not among the longest", RMQ_DETAIL_TOP, RMQ_COUNTED_NOT, false, 1},
      {"no queue, for long", RMQ_DETAIL_TOTALS, RMQ_COUNTED_NOT, false, 50},
      {"told by another", RMQ_DETAIL_LENGTHS, RMQ_COUNTED_ALONE, true, 3},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].name);
    struct story t;
    begin(&t);
    for (int k = 0; k < 2; k++) {
      poll(&t);
      add(&t, "q", 1, 1000 + 10 * k);
      step(&t);
    }
    assert_int_equal(t.r.queues[0].publish, 10);
    for (int k = 0; k < rows[i].polls; k++) {
      poll(&t);
      t.s.detail = rows[i].detail;
      if (rows[i].is_listed)
        add(&t, "q", 1, RMQ_ABSENT)->counting = rows[i].counting;
      if (rows[i].counting == RMQ_COUNTED_ALONE)
        t.s.queues[0].stats[RMQ_STAT_PUBLISH] = 999999 + k;
      step(&t);
      assert_int_equal(t.r.queues_count, rows[i].is_listed);
      if (rows[i].counting == RMQ_COUNTED_NOT && rows[i].is_listed)
        assert_true(t.r.queues[0].publish < 0);
    }
    int64_t sum = rows[i].counting == RMQ_COUNTED_ALONE ? 10 + 2 : 10;
    for (int k = 0; k < 2; k++) {
      poll(&t);
      add(&t, "q", 1, 500000 + 7 * k);
      step(&t);
      assert_int_equal(t.r.queues[0].publish, sum + 7 * k);
    }
    end(&t);
  }
}

static void a_queue_over_the_maximum_keeps_its_sum(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  poll(&t);
  add(&t, "q", 100, 100);
  step(&t);
  poll(&t);
  t.s.queues_left_out = 1;
  step(&t);
  assert_int_equal(t.r.queues_count, 0);
  poll(&t);
  add(&t, "q", 50, 130);
  step(&t);
  assert_int_equal(t.r.queues[0].publish, 30);
  end(&t);
}

/* A poll of the plugins of two nodes; the queue is the second one's. */
static void poll_nodes(struct story *t, bool is_up, double ready,
                       int64_t published) {
  poll(t);
  t->s.is_per_node = true;
  t->s.nodes[0].has_counters = true;
  struct rmq_snapshot_node *n = rmq_snapshot_add_node(&t->s, "rabbit@b");
  assert_non_null(n);
  n->running = is_up ? 1 : 0;
  n->has_counters = is_up;
  if (is_up)
    n->uptime = t->uptime;
  if (is_up && published >= 0)
    add(t, "q", ready, published);
  step(t);
}

static void a_queue_whose_node_is_away_keeps_its_sum(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  poll_nodes(&t, true, 10, 100);
  poll_nodes(&t, true, 10, 160);
  assert_int_equal(t.r.queues[0].publish, 60);
  for (int i = 0; i < 100; i++) {
    poll_nodes(&t, false, 0, 0);
    assert_int_equal(t.r.queues_count, 0);
  }
  poll_nodes(&t, true, 0, RMQ_ABSENT); /* its queues are not there yet */
  poll_nodes(&t, true, 9, 5);
  assert_absent(t.r.queues[0].drain);
  poll_nodes(&t, true, 9, 15);
  assert_true(t.r.queues[0].publish >= 70);
  for (int i = 0; i < 2; i++)
    poll_nodes(&t, true, 0, RMQ_ABSENT); /* deleted, and declared anew */
  poll_nodes(&t, true, 0, 1000);
  assert_int_equal(t.r.queues[0].publish, 0);
  end(&t);
}

/* It hung, so that the others' list has it as down, and answers before they
 * have it back. */
static void a_node_that_answers_before_it_runs_makes_no_spike(void **state) {
  (void)state;
  static const struct {
    const char *name;
    bool runs, answers;
  } polls[] = {
      {"both run", true, true},
      {"both run", true, true},
      {"it hangs", false, false},
      {"it hangs", false, false},
      {"it hangs", false, false},
      {"it answers", false, true},
      {"and is still down", false, true},
      {"and again", false, true},
      {"it runs", true, true},
      {"it runs", true, true},
  };
  struct story t;
  begin(&t);
  t.s.vhosts_max = 10;
  int64_t before = 0;
  for (size_t i = 0; i < COUNT_OF(polls); i++) {
    SHOW_ROW("%s", polls[i].name);
    poll(&t);
    t.s.is_per_node = true;
    t.s.nodes[0].has_counters = true;
    struct rmq_snapshot_node *b = rmq_snapshot_add_node(&t.s, "rabbit@b");
    b->running = polls[i].runs ? 1 : 0;
    b->has_counters = polls[i].answers;
    if (polls[i].answers)
      b->uptime = t.uptime;
    int64_t part = 10 * (int64_t)i; /* b's is much more */
    int64_t value = polls[i].answers ? 5000000 + 2 * part : part;
    add(&t, "q", polls[i].answers ? 8000 : 0, value);
    rmq_vhosts_need(&t.s, "/", 1)->stats[RMQ_STAT_PUBLISH] = value;
    step(&t);
    assert_true(t.r.queues[0].publish - before <= 20);
    assert_int_equal(t.r.vhosts[0].publish, t.r.queues[0].publish);
    assert_true(isnan(t.r.queues[0].growth) || t.r.queues[0].growth < 100);
    assert_int_equal(t.r.cluster.nodes_running, polls[i].runs ? 2 : 1);
    before = t.r.queues[0].publish;
  }
  assert_true(before >= 60); /* what is no change counts */
  end(&t);
}

/* The list of queues failed in just the polls that saw a node come back. */
static void a_change_that_a_queue_misses_makes_no_spike(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  t.s.vhosts_max = 10;
  for (int i = 0; i < 8; i++) {
    bool is_there = i >= 4;
    SHOW_ROW("poll %d", i);
    poll(&t);
    struct rmq_snapshot_node *b = rmq_snapshot_add_node(&t.s, "rabbit@b");
    b->running = is_there ? 1 : 0;
    if (is_there)
      b->uptime = t.uptime;
    t.s.has_all_queues = i != 4 && i != 5;
    if (t.s.has_all_queues) {
      int64_t value = is_there ? 5000000 + 20 * i : 10 * i;
      add(&t, "q", 0, value);
      rmq_vhosts_need(&t.s, "/", 1)->stats[RMQ_STAT_PUBLISH] = value;
    }
    step(&t);
    if (!t.s.has_all_queues)
      continue;
    assert_int_equal(t.r.queues[0].publish, i < 4 ? 10 * i : 30 + 20 * (i - 6));
    assert_int_equal(t.r.vhosts[0].publish, t.r.queues[0].publish);
  }
  end(&t);
}

/* RabbitMQ 4.0 does not say what a queue is where only lengths are asked for.
 */
static void a_stream_stays_one_at_a_lower_level(void **state) {
  (void)state;
  static const struct {
    const char *name;
    enum rmq_detail_level detail;
    bool is_stream; /* as the broker says */
    bool want;
  } polls[] = {
      {"it is told", RMQ_DETAIL_ALL, true, true},
      {"it is not told", RMQ_DETAIL_LENGTHS, false, true},
      {"it is not told", RMQ_DETAIL_LENGTHS, false, true},
      {"at a lower one", RMQ_DETAIL_TOP, false, true},
      {"told again", RMQ_DETAIL_ALL, true, true},
      {"another queue of that name", RMQ_DETAIL_ALL, false, false},
      {"which is not told", RMQ_DETAIL_LENGTHS, false, false},
      {"told by the management API", RMQ_DETAIL_LENGTHS, true, true},
      {"and not told", RMQ_DETAIL_LENGTHS, false, true},
  };
  struct story t;
  begin(&t);
  for (size_t i = 0; i < COUNT_OF(polls); i++) {
    SHOW_ROW("%zu: %s", i, polls[i].name);
    poll(&t);
    t.s.detail = polls[i].detail;
    struct rmq_snapshot_queue *log = add(&t, "log", 5e6, 0);
    if (polls[i].is_stream)
      rmq_snapshot_mark_stream(log);
    add(&t, "q", 7, 0);
    step(&t);
    const struct rmq_report_queue *r = &t.r.queues[0];
    assert_int_equal(isnan(r->ready), polls[i].want);
    assert_int_equal(isnan(r->unacked), polls[i].want);
    assert_true(isnan(r->growth) || !polls[i].want);
    assert_absent(r->drain);
    assert_true(t.r.queues[1].ready == 7);
  }
  end(&t);
}

static void the_lag_of_streams_is_reported_as_it_is_told(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  poll(&t);
  struct rmq_snapshot_queue *log = add(&t, "log", (double)NAN, 0);
  log->stream_lag = 5;
  log->has_stream_consumer = true;
  add(&t, "q", 1, 0);
  t.s.stream_lag = 9;
  step(&t);
  assert_false(t.r.queues[1].has_no_stream_consumer); /* nobody told */
  assert_true(t.r.cluster.stream_offset_lag == 9);
  assert_true(t.r.queues[0].stream_offset_lag == 5);
  assert_absent(t.r.queues[1].stream_offset_lag);
  poll(&t);
  add(&t, "log", (double)NAN, 0)->has_stream_consumer = true;
  add(&t, "q", 1, 0);
  t.s.are_stream_consumers_known = true;
  step(&t);
  assert_false(t.r.queues[0].has_no_stream_consumer);
  assert_true(t.r.queues[1].has_no_stream_consumer);
  end(&t);
}

/* Where the broker counts nacks, ours are among them. */
static void our_own_nacks_and_drops_join_the_error_rate_once(void **state) {
  (void)state;
  static const struct {
    const char *name;
    bool is_told; /* the broker's trace of nacks */
    int64_t nacks, dropped;
    double want_rate;
  } rows[] = {{"nothing", false, 0, 0, 0},
              {"nacks", false, 10, 0, 10},
              {"drops", false, 0, 20, 20},
              {"both", false, 10, 20, 30},
              {"no publisher here", false, RMQ_ABSENT, RMQ_ABSENT, 0},
              {"nacks that the broker counts", true, 10, 20, 20}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].name);
    struct story t;
    begin(&t);
    for (int64_t p = 0; p < 2; p++) {
      poll(&t);
      t.s.stats[RMQ_STAT_PUBLISH] = 100 * p;
      t.s.stats[RMQ_STAT_RETURNED] = 0;
      if (rows[i].is_told) {
        t.s.stats[RMQ_STAT_CONFIRM] = 100 * p;
        t.s.tallies[RMQ_TALLY_RECEIVED_CONFIRM] = 100 * p;
        t.s.unconfirmed = 0;
      }
      t.s.own.nacks = rows[i].nacks < 0 ? RMQ_ABSENT : rows[i].nacks * p;
      t.s.own.dropped = rows[i].dropped < 0 ? RMQ_ABSENT : rows[i].dropped * p;
      t.s.own.consumer_delivery = 1.5;
      step(&t);
    }
    assert_near(t.r.cluster.error_rate, rows[i].want_rate);
    assert_int_equal(t.r.cluster.own_nacks, rows[i].nacks);
    assert_int_equal(t.r.cluster.own_dropped, rows[i].dropped);
    assert_near(t.r.cluster.consumer_delivery, 1.5);
    end(&t);
  }
}

static void what_was_dropped_in_an_outage_is_no_error_after_it(void **state) {
  (void)state;
  static const int64_t dropped[] = {0, 0, 9000, 9005}; /* at each poll */
  static const double want_rate[] = {0, 0, 0, 5 / 3.0};
  struct story t;
  begin(&t);
  for (int64_t p = 0; p < 4; p++) {
    if (p == 2)
      rmq_indicators_fail(t.x, &t.r);
    poll(&t);
    t.s.stats[RMQ_STAT_PUBLISH] = 100 * p;
    t.s.stats[RMQ_STAT_RETURNED] = 0;
    t.s.own.nacks = 0;
    t.s.own.dropped = dropped[p];
    step(&t);
    assert_int_equal(t.r.cluster.own_dropped, dropped[p]);
    if (p > 0)
      assert_near(t.r.cluster.error_rate, want_rate[p]);
  }
  end(&t);
}

/* Refused logins and closed channels at a steady pace, whatever the polls. */
static void per_minute_is_per_minute_however_rare_the_polls_are(void **state) {
  (void)state;
  static const struct {
    int64_t interval;
    double want_logins, want_channels;
  } rows[] = {{10, 3, 150}, {60, 3, 150}, {300, 3, 150}, {86400, 3, 150}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("every %d s", (int)rows[i].interval);
    struct story t;
    begin(&t);
    for (int64_t p = 0; p < 8; p++) {
      t.seconds += rows[i].interval - 10;
      t.uptime += (double)rows[i].interval - 10;
      poll(&t);
      t.s.tallies[RMQ_TALLY_AUTH_FAILED] = 3 * t.seconds / 60;
      t.s.tallies[RMQ_TALLY_CHANNEL_CLOSED] = 150 * t.seconds / 60;
      step(&t);
    }
    /* The oldest slot may have slid out, and parts are rounded. */
    assert_true(fabs(t.r.cluster.auth_failed_minute - rows[i].want_logins) <=
                1);
    assert_true(
        fabs(t.r.cluster.channel_closed_minute - rows[i].want_channels) <= 25);
    end(&t);
  }
}

static void a_gap_counts_no_more_than_its_last_minute(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  poll(&t);
  t.s.tallies[RMQ_TALLY_AUTH_FAILED] = 0;
  step(&t);
  t.seconds += 3590;
  t.uptime += 3590;
  poll(&t);
  t.s.tallies[RMQ_TALLY_AUTH_FAILED] = 480; /* 8 a minute, for an hour */
  step(&t);
  assert_int_equal(t.r.cluster.auth_failed, 480);
  assert_near(t.r.cluster.auth_failed_minute, 8);
  for (int64_t i = 1; i <= 12; i++) { /* and slides out as it slid in */
    poll(&t);
    t.s.tallies[RMQ_TALLY_AUTH_FAILED] = 480 + i;
    step(&t);
    assert_true(t.r.cluster.auth_failed_minute <= 9);
  }
  assert_true(t.r.cluster.auth_failed_minute <= 6);
  end(&t);
}

static void assert_same(double value, double want) {
  if (isnan(want))
    assert_absent(value);
  else
    assert_near(value, want);
}

static void drain_is_ready_by_minus_growth_and_absent_otherwise(void **state) {
  (void)state;
  static const struct {
    const char *name;
    double before_ready, before_unacked, ready, unacked;
    double want_drain, want_growth; /* NaN = absent */
  } rows[] = {
      {"draining", 1000, 0, 900, 0, 90, -10},
      {"only moved to unacked", 100, 0, 60, 40, (double)NAN, 0},
      {"growing", 100, 0, 101, 0, (double)NAN, 0.1},
      {"growing, not acknowledged", 100, 5, 100, 35, (double)NAN, 3},
      {"standing", 100, 5, 100, 5, (double)NAN, 0},
      {"empty now", 100, 0, 0, 0, 0, -10},
      {"unknown before", (double)NAN, 0, 10, 0, (double)NAN, (double)NAN},
      {"unknown now", 10, 0, 5, (double)NAN, (double)NAN, (double)NAN},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].name);
    struct story t;
    begin(&t);
    poll(&t);
    t.s.ready = rows[i].before_ready;
    t.s.unacked = rows[i].before_unacked;
    add(&t, "q", rows[i].before_ready, 0)->unacked = rows[i].before_unacked;
    step(&t);
    assert_absent(t.r.cluster.drain);
    assert_absent(t.r.cluster.growth);
    assert_absent(t.r.queues[0].growth);
    poll(&t);
    t.s.ready = rows[i].ready;
    t.s.unacked = rows[i].unacked;
    add(&t, "q", rows[i].ready, 0)->unacked = rows[i].unacked;
    step(&t);
    assert_same(t.r.cluster.drain, rows[i].want_drain);
    assert_same(t.r.queues[0].drain, rows[i].want_drain);
    assert_same(t.r.cluster.growth, rows[i].want_growth);
    assert_same(t.r.queues[0].growth, rows[i].want_growth);
    end(&t);
  }
}

static void error_rate_is_errors_by_operations_or_errors(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int64_t published, delivered, got, returned, dropped, redelivered;
    double want;
  } rows[] = {
      {"nothing happened", 0, 0, 0, 0, 0, 0, (double)NAN},
      {"all well", 50, 50, 0, 0, 0, 0, 0},
      {"some of each", 50, 40, 10, 1, 2, 2, 5},
      {"errors only", 0, 0, 0, 0, 0, 7, 100},
      {"more errors than operations", 1, 0, 0, 5, 0, 0, 100},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].name);
    struct story t;
    begin(&t);
    for (int k = 0; k < 2; k++) {
      poll(&t);
      t.s.stats[RMQ_STAT_PUBLISH] = 1000 + k * rows[i].published;
      t.s.stats[RMQ_STAT_DELIVER] = 1000 + k * rows[i].delivered;
      t.s.stats[RMQ_STAT_GET] = 1000 + k * rows[i].got;
      t.s.stats[RMQ_STAT_RETURNED] = 1000 + k * rows[i].returned;
      t.s.stats[RMQ_STAT_DROPPED] = 1000 + k * rows[i].dropped;
      t.s.stats[RMQ_STAT_REDELIVER] = 1000 + k * rows[i].redelivered;
      step(&t);
    }
    if (isnan(rows[i].want))
      assert_absent(t.r.cluster.error_rate);
    else
      assert_near(t.r.cluster.error_rate, rows[i].want);
    assert_int_equal(t.r.cluster.returned, rows[i].returned);
    assert_int_equal(t.r.cluster.dropped_unroutable, rows[i].dropped);
    end(&t);
  }
}

static void an_error_is_forgotten_after_a_minute(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  for (int k = 0; k < 12; k++) {
    poll(&t);
    t.s.stats[RMQ_STAT_PUBLISH] = 10 * k;
    t.s.stats[RMQ_STAT_RETURNED] = k == 0 ? 0 : 5;
    step(&t);
    if (k == 1)
      assert_near(t.r.cluster.error_rate, 50);
    if (k > 7)
      assert_near(t.r.cluster.error_rate, 0);
  }
  end(&t);
}

static void half_the_usual_rate_is_a_drop_of_50_percent(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  int64_t published = 0;
  for (int k = 0; k < 20; k++) {
    poll(&t);
    t.s.stats[RMQ_STAT_PUBLISH] = published += 100;
    step(&t);
    if (k < 13)
      assert_absent(t.r.cluster.throughput_drop);
  }
  assert_near(t.r.cluster.throughput_drop, 0);
  poll(&t);
  t.s.stats[RMQ_STAT_PUBLISH] = published + 50;
  step(&t);
  assert_near(t.r.cluster.throughput_drop, 50);
  end(&t);
}

static void head_age_is_now_minus_the_publishers_timestamp(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  poll(&t);
  double now = (double)t.s.time.ns * 1e-9;
  add(&t, "a", 1, 0)->head_timestamp = now - 30;
  add(&t, "b", 1, 0)->head_timestamp = now - 90;
  add(&t, "c", 1, 0)->head_timestamp = now * 1000; /* milliseconds */
  add(&t, "d", 1, 0)->head_timestamp = 0;
  add(&t, "e", 1, 0);
  step(&t);
  assert_near(t.r.queues[0].head_age, 30);
  assert_near(t.r.queues[1].head_age, 90);
  for (int i = 2; i < 5; i++)
    assert_absent(t.r.queues[i].head_age);
  assert_near(t.r.cluster.head_age, 90);
  /* Of some queues the oldest one is not that of all. */
  poll(&t);
  t.s.detail = RMQ_DETAIL_LENGTHS;
  add(&t, "a", 1, 0)->head_timestamp = now - 30;
  step(&t);
  assert_near(t.r.queues[0].head_age, 40);
  assert_absent(t.r.cluster.head_age);
  end(&t);
}

static void shares_of_a_node_need_both_numbers(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  poll(&t);
  t.s.nodes[0].memory_used = 750;
  t.s.nodes[0].memory_limit = 1000;
  t.s.nodes[0].fds_used = 10;
  t.s.nodes[0].processes_used = 5;
  t.s.nodes[0].processes_total = 0;
  struct rmq_snapshot_node *b = rmq_snapshot_add_node(&t.s, "rabbit@b");
  b->running = 0;
  b->partitions = 2;
  step(&t);
  assert_int_equal(t.r.nodes_count, 2);
  assert_near(t.r.nodes[0].memory, 75);
  assert_absent(t.r.nodes[0].file_handles);
  assert_absent(t.r.nodes[0].processes);
  assert_absent(t.r.nodes[1].memory);
  assert_near(t.r.nodes[1].running, 0);
  assert_near(t.r.cluster.nodes_running, 1);
  assert_near(t.r.cluster.nodes_total, 2);
  assert_near(t.r.cluster.partitions, 2);
  end(&t);
}

static void capacity_is_of_consumers_so_none_without_one(void **state) {
  (void)state;
  struct story t;
  begin(&t);
  poll(&t);
  struct rmq_snapshot_queue *q = add(&t, "a", 1, 0);
  q->consumers = 0;
  q->consumer_capacity = 0;
  q = add(&t, "b", 1, 0);
  q->consumers = 2;
  q->consumer_capacity = 0.25;
  step(&t);
  assert_absent(t.r.queues[0].consumer_capacity);
  assert_near(t.r.queues[1].consumer_capacity, 25);
  end(&t);
}

static void a_queue_counts_what_its_nodes_counted(void **state) {
  (void)state;
  static const struct {
    const char *name;
    bool is_per_node;
    size_t silent, silent_of_queues;
    int64_t published;
    int64_t want; /* -1 = absent */
  } polls[] = {
      {"management", false, 0, 0, 1000, 0},
      {"it counts", false, 0, 0, 1010, 10},
      {"the source changes, and with it the numbers", true, 0, 0, 40, 10},
      {"it counts", true, 0, 0, 60, 30},
      {"a node is silent: a part of the sum is missing", true, 1, 0, 20, -1},
      {"it speaks again", true, 0, 0, 70, 40},
      {"a node tells nothing of queues", true, 0, 1, 20, -1},
      {"and does again", true, 0, 0, 70, 40},
      {"its part is lost", true, 0, 0, 20, 40},
      {"the rest counts on", true, 0, 0, 25, 45},
      {"back to management", false, 0, 0, 1100, 45},
      {"a queue declared anew", false, 0, 0, 7, 52},
  };
  struct story t;
  begin(&t);
  for (size_t i = 0; i < COUNT_OF(polls); i++) {
    SHOW_ROW("%s", polls[i].name);
    poll(&t);
    struct rmq_snapshot_node *b = rmq_snapshot_add_node(&t.s, "rabbit@b");
    b->running = 1;
    b->uptime = t.uptime;
    t.s.is_per_node = polls[i].is_per_node;
    t.s.silent = polls[i].silent;
    t.s.silent_of_queues = polls[i].silent_of_queues;
    add(&t, "q", 1, polls[i].published);
    step(&t);
    assert_int_equal(t.r.queues_count, 1);
    assert_int_equal(t.r.queues[0].publish, polls[i].want);
  }
  end(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_an_empty_answer_says_is_that_it_was_reachable),
      cmocka_unit_test(an_unreachable_broker_is_0_and_nothing_else),
      cmocka_unit_test(rates_are_what_was_published_between_two_polls),
      cmocka_unit_test(polls_that_failed_do_not_make_a_rate_higher),
      cmocka_unit_test(a_restarted_broker_counts_from_0_without_a_spike),
      cmocka_unit_test(a_restart_that_shows_late_is_counted_once),
      cmocka_unit_test(publishers_that_stay_away_after_a_restart_show),
      cmocka_unit_test(a_node_that_comes_back_makes_no_spike),
      cmocka_unit_test(a_queue_declared_anew_counts_from_0),
      cmocka_unit_test(a_queue_missing_from_half_a_list_keeps_its_sum),
      cmocka_unit_test(a_queue_that_slipped_between_answers_keeps_its_sum),
      cmocka_unit_test(counters_that_come_back_make_no_spike),
      cmocka_unit_test(a_queue_over_the_maximum_keeps_its_sum),
      cmocka_unit_test(a_queue_whose_node_is_away_keeps_its_sum),
      cmocka_unit_test(a_node_that_answers_before_it_runs_makes_no_spike),
      cmocka_unit_test(a_change_that_a_queue_misses_makes_no_spike),
      cmocka_unit_test(a_stream_stays_one_at_a_lower_level),
      cmocka_unit_test(the_lag_of_streams_is_reported_as_it_is_told),
      cmocka_unit_test(our_own_nacks_and_drops_join_the_error_rate_once),
      cmocka_unit_test(what_was_dropped_in_an_outage_is_no_error_after_it),
      cmocka_unit_test(per_minute_is_per_minute_however_rare_the_polls_are),
      cmocka_unit_test(a_gap_counts_no_more_than_its_last_minute),
      cmocka_unit_test(drain_is_ready_by_minus_growth_and_absent_otherwise),
      cmocka_unit_test(error_rate_is_errors_by_operations_or_errors),
      cmocka_unit_test(an_error_is_forgotten_after_a_minute),
      cmocka_unit_test(half_the_usual_rate_is_a_drop_of_50_percent),
      cmocka_unit_test(head_age_is_now_minus_the_publishers_timestamp),
      cmocka_unit_test(shares_of_a_node_need_both_numbers),
      cmocka_unit_test(capacity_is_of_consumers_so_none_without_one),
      cmocka_unit_test(a_queue_counts_what_its_nodes_counted),
  };
  return run_all(tests);
}
