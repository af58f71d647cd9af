/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/totals.h"

#include "tests/testing.h"

#include <math.h>
#include <string.h>

/* One poll per 10 s. "a100:5 b-" = node a is up for 100 s and has counted 5
 * messages, b is known to be down; "b?" = b is silent; "b:7" = its uptime is
 * not there yet; "!" = the poll failed; "=5" = one number for the cluster. */
static void read_poll(struct rmq_snapshot *s, const char *text) {
  rmq_snapshot_clear(s);
  s->is_per_node = text[0] != '=';
  if (!s->is_per_node)
    s->stats[RMQ_STAT_PUBLISH] = s->tallies[RMQ_TALLY_OPENED] =
        strtoll(text + 1, NULL, 10);
  while (s->is_per_node && *text != '\0') {
    const char name[2] = {*text++, '\0'};
    char *end = NULL;
    struct rmq_snapshot_node *n = rmq_snapshot_add_node(s, name);
    assert_non_null(n);
    n->running = *text != '-';
    s->silent += *text == '?';
    n->has_counters = *text != '-' && *text != '?';
    if (!n->has_counters) {
      text++;
    } else {
      if (*text != ':') {
        n->uptime = strtod(text, &end);
        text = end;
      }
      n->stats[RMQ_STAT_PUBLISH] = strtoll(text + 1, &end, 10);
      n->tallies[RMQ_TALLY_OPENED] = n->stats[RMQ_STAT_PUBLISH];
      text = end;
    }
    text += *text == ' ';
  }
}

enum { POLLS = 6 };

struct row {
  const char *name;
  const char *polls[POLLS];
  int want_sum[POLLS];     /* -1 = absent */
  double want_rate[POLLS]; /* per second; -1 = absent */
};

static void play(const struct row *row) {
  struct rmq_totals t;
  struct rmq_snapshot s;
  struct rmq_totals_growth g;
  rmq_totals_init(&t);
  rmq_snapshot_init(&s, 0);
  const size_t opened = rmq_totals_of_tally(RMQ_TALLY_OPENED);
  for (size_t i = 0; i < POLLS && row->polls[i] != NULL; i++) {
    if (row->polls[i][0] == '!')
      continue;
    SHOW_ROW("%s, poll %zu", row->name, i);
    read_poll(&s, row->polls[i]);
    s.taken.ns = (int64_t)(100 + 10 * i) * RMQ_NS_PER_S;
    assert_int_equal(rmq_totals_step(&t, &s, RMQ_SAME, &g), 0);
    assert_int_equal(g.sums[RMQ_STAT_PUBLISH], row->want_sum[i]);
    if (row->want_rate[i] < 0)
      assert_true(isnan(g.rates[RMQ_STAT_PUBLISH]));
    else
      assert_true(fabs(g.rates[RMQ_STAT_PUBLISH] - row->want_rate[i]) < 1e-9);
    assert_int_equal(g.added[RMQ_STAT_PUBLISH] >= 0, row->want_rate[i] >= 0);
    assert_int_equal(g.sums[opened], row->want_sum[i]);
    assert_int_equal(g.sums[RMQ_STAT_ACK], RMQ_ABSENT);
    assert_true(isnan(g.rates[RMQ_STAT_ACK]));
  }
  rmq_snapshot_fini(&s);
  rmq_totals_fini(&t);
}

static void each_node_has_its_own_beginning(void **state) {
  (void)state;
  static const struct row rows[] = {
      {"one node counts",
       {"a100:50", "a110:60", "a120:90"},
       {0, 10, 40},
       {-1, 1, 3}},
      {"two nodes are one sum",
       {"a100:50 b90:1000", "a110:60 b100:1020", "a120:60 b110:1050"},
       {0, 30, 60},
       {-1, 3, 3}},
      {"a restart costs nothing of either node",
       {"a100:50 b90:1000", "a110:60 b3:5", "a120:70 b13:15"},
       {0, 15, 35},
       {-1, 1.5, 2}},
      {"a restart that counts past the old number",
       {"a100:50 b90:10", "a110:60 b3:500", "a120:60 b13:500"},
       {0, 510, 510},
       {-1, 51, 0}},
      {"a decrease without a restart starts again",
       {"a100:50", "a110:20", "a120:30"},
       {0, 20, 30},
       {-1, 2, 1}},
      {"a node that is down has no part, and comes back with a beginning",
       {"a100:50 b90:1000", "a110:60 b-", "a120:70 b-", "a130:80 b3:400",
        "a140:90 b13:410"},
       {0, 10, 20, 30, 50},
       {-1, 1, 1, -1, 2}},
      {"while a node is silent nothing is known, and nothing is lost",
       {"a100:50 b90:1000", "a110:60 b?", "a120:70 b?", "a130:80 b120:1090",
        "a140:90 b130:1100"},
       {0, -1, -1, 120, 140},
       {-1, -1, -1, 4, 2}},
      {"without its uptime a node is silent",
       {"a100:50 b90:1000", "a110:60 b:3", "a120:70 b13:9", "a130:70 b23:9"},
       {0, -1, 29, 29},
       {-1, -1, 1.45, 0}},
      {"a new node begins",
       {"a100:50", "a110:60 b5000:7000", "a120:70 b5010:7010"},
       {0, 10, 30},
       {-1, -1, 2}},
      {"a failed poll makes no rate higher",
       {"a100:50", "!", "!", "a130:80"},
       {0, 0, 0, 30},
       {-1, -1, -1, 1}},
      {"the source changes",
       {"=500", "=510", "a120:3", "a130:13", "=520", "=540"},
       {0, 10, 10, 20, 20, 40},
       {-1, 1, -1, 1, -1, 2}},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++)
    play(&rows[i]);
}

/* Counters of messages are there from a node's start on, unless its version is
 * without them; what is counted of connections and logins from the first. */
static void what_an_older_node_does_not_count_is_not_known(void **state) {
  (void)state;
  static const struct {
    bool b_tells;
    int64_t want_published, want_opened;
    double want_rate;
  } polls[] = {{false, -1, 0, (double)NAN},
               {false, -1, 10, (double)NAN},
               {true, 20, 20, (double)NAN}, /* upgraded: its beginning */
               {true, 40, 40, 2},
               {false, -1, 50, (double)NAN},
               {true, 80, 80, 2}}; /* nothing is lost */
  const size_t opened = rmq_totals_of_tally(RMQ_TALLY_OPENED),
               dead = rmq_totals_of_tally(RMQ_TALLY_DEAD_MAXLEN);
  struct rmq_totals t;
  struct rmq_snapshot s;
  struct rmq_totals_growth g;
  rmq_totals_init(&t);
  rmq_snapshot_init(&s, 0);
  for (size_t i = 0; i < COUNT_OF(polls); i++) {
    SHOW_ROW("poll %zu", i);
    rmq_snapshot_clear(&s);
    s.is_per_node = true;
    s.taken.ns = (int64_t)(10 * i) * RMQ_NS_PER_S;
    for (size_t k = 0; k < 2; k++) {
      struct rmq_snapshot_node *n = rmq_snapshot_add_node(&s, k ? "b" : "a");
      assert_non_null(n);
      n->has_counters = true;
      n->uptime = (double)(1000 + 10 * i);
      if (k == 0 || polls[i].b_tells)
        n->stats[RMQ_STAT_PUBLISH] = n->tallies[RMQ_TALLY_OPENED] =
            n->tallies[RMQ_TALLY_DEAD_MAXLEN] = (int64_t)(10 * i);
    }
    assert_int_equal(rmq_totals_step(&t, &s, RMQ_SAME, &g), 0);
    assert_int_equal(g.sums[RMQ_STAT_PUBLISH], polls[i].want_published);
    assert_int_equal(g.sums[dead], polls[i].want_published);
    assert_int_equal(g.sums[opened], polls[i].want_opened);
    assert_int_equal(isnan(g.rates[RMQ_STAT_PUBLISH]),
                     isnan(polls[i].want_rate));
    assert_int_equal(g.added[RMQ_STAT_PUBLISH] < 0, isnan(polls[i].want_rate));
    if (!isnan(polls[i].want_rate))
      assert_true(fabs(g.rates[RMQ_STAT_PUBLISH] - polls[i].want_rate) < 1e-9);
    assert_int_equal(g.sums[RMQ_STAT_ACK], RMQ_ABSENT);
  }
  rmq_snapshot_fini(&s);
  rmq_totals_fini(&t);
}

static void more_nodes_than_there_can_be_are_forgotten(void **state) {
  (void)state;
  struct rmq_totals t;
  struct rmq_snapshot s;
  struct rmq_totals_growth g;
  rmq_totals_init(&t);
  rmq_snapshot_init(&s, 0);
  for (int i = 0; i < 3 * RMQ_SNAPSHOT_NODES_MAX; i++) {
    char name[20];
    snprintf(name, sizeof(name), "n%d", i);
    rmq_snapshot_clear(&s);
    s.is_per_node = true;
    s.taken.ns = i * RMQ_NS_PER_S;
    struct rmq_snapshot_node *n = rmq_snapshot_add_node(&s, name);
    n->has_counters = true;
    n->uptime = 1000;
    n->stats[RMQ_STAT_PUBLISH] = 5;
    assert_int_equal(rmq_totals_step(&t, &s, RMQ_SAME, &g), 0);
    assert_int_equal(g.sums[RMQ_STAT_PUBLISH], 0);
  }
  assert_int_equal(t.nodes_count, RMQ_SNAPSHOT_NODES_MAX);
  rmq_snapshot_fini(&s);
  rmq_totals_fini(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_node_has_its_own_beginning),
      cmocka_unit_test(what_an_older_node_does_not_count_is_not_known),
      cmocka_unit_test(more_nodes_than_there_can_be_are_forgotten),
  };
  return run_all(tests);
}
