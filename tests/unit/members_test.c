/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/members.h"

#include "tests/testing.h"

#include <math.h>

/* A poll every 10 s; "a100 b-" = node a up for 100 s, b not running; "?" = no
 * list of nodes. */
static void read_nodes(struct rmq_snapshot *s, const char *text) {
  rmq_snapshot_clear(s);
  if (text[0] == '?')
    return;
  s->has_nodes = true;
  while (*text != '\0') {
    char name[2] = {*text++, '\0'};
    struct rmq_snapshot_node *n = rmq_snapshot_add_node(s, name);
    assert_non_null(n);
    n->running = *text == '-' ? 0 : 1;
    if (*text == '-') {
      text++;
    } else {
      char *end;
      n->uptime = strtod(text, &end);
      text = end;
    }
    while (*text == ' ')
      text++;
  }
}

static void what_the_nodes_say_about_their_counters(void **state) {
  (void)state;
  static const struct {
    const char *name;
    const char *polls[4];
    enum rmq_continuity want[4];
  } rows[] = {
      {"nothing happens",
       {"a100", "a110", "a120", "a130"},
       {RMQ_SAME, RMQ_SAME, RMQ_SAME, RMQ_SAME}},
      {"uptimes lag behind",
       {"a100", "a100", "a105", "a120"},
       {RMQ_SAME, RMQ_SAME, RMQ_SAME, RMQ_SAME}},
      {"the only node restarts",
       {"a100", "a3", "a13", "a23"},
       {RMQ_SAME, RMQ_RESTARTED, RMQ_SAME, RMQ_SAME}},
      {"one of two restarts",
       {"a100 b100", "a3 b110", "a13 b120", "a23 b130"},
       {RMQ_SAME, RMQ_CHANGED, RMQ_CHANGED, RMQ_SAME}},
      {"both restart",
       {"a100 b100", "a3 b2", "a13 b12", "a23 b22"},
       {RMQ_SAME, RMQ_RESTARTED, RMQ_SAME, RMQ_SAME}},
      {"one goes and comes back with its counters",
       {"a100 b100", "a110 b-", "a120 b-", "a130 b130"},
       {RMQ_SAME, RMQ_CHANGED, RMQ_CHANGED, RMQ_CHANGED}},
      {"one goes and comes back restarted",
       {"a100 b100", "a110", "a120", "a130 b4"},
       {RMQ_SAME, RMQ_CHANGED, RMQ_CHANGED, RMQ_SAME}},
      {"a new node joins",
       {"a100", "a110 b4", "a120 b14", "a130 b24"},
       {RMQ_SAME, RMQ_SAME, RMQ_SAME, RMQ_SAME}},
      {"an old node joins",
       {"a100", "a110 b500", "a120 b510", "a130 b520"},
       {RMQ_SAME, RMQ_CHANGED, RMQ_CHANGED, RMQ_SAME}},
      {"nodes may not be listed",
       {"?", "?", "?", "?"},
       {RMQ_SAME, RMQ_SAME, RMQ_SAME, RMQ_SAME}},
      {"the list fails once",
       {"a100", "?", "a120", "a130"},
       {RMQ_SAME, RMQ_CHANGED, RMQ_CHANGED, RMQ_CHANGED}},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_members m;
    struct rmq_snapshot s;
    rmq_members_init(&m);
    rmq_snapshot_init(&s, 10);
    for (int k = 0; k < 4; k++) {
      SHOW_ROW("%s, poll %d", rows[i].name, k);
      read_nodes(&s, rows[i].polls[k]);
      s.taken.ns = (1000 + 10 * k) * RMQ_NS_PER_S;
      assert_string_equal(rmq_continuity_to_str(rmq_members_step(&m, &s)),
                          rmq_continuity_to_str(rows[i].want[k]));
    }
    rmq_snapshot_fini(&s);
    rmq_members_fini(&m);
  }
}

static void an_unknown_uptime_is_no_restart(void **state) {
  (void)state;
  struct rmq_members m;
  struct rmq_snapshot s;
  rmq_members_init(&m);
  rmq_snapshot_init(&s, 10);
  read_nodes(&s, "a100");
  rmq_members_step(&m, &s);
  s.nodes[0].uptime = (double)NAN;
  assert_int_equal(rmq_members_step(&m, &s), RMQ_SAME);
  rmq_snapshot_fini(&s);
  rmq_members_fini(&m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_the_nodes_say_about_their_counters),
      cmocka_unit_test(an_unknown_uptime_is_no_restart),
  };
  return run_all(tests);
}
