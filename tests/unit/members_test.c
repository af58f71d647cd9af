/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/members.h"

#include "tests/testing.h"

#include <ctype.h>
#include <math.h>

/* A poll every 10 s; "a100 b-" = node a up for 100 s, b not running; "b-100" =
 * not running, and it answers that it is up for 100 s; "a?" = its uptime is not
 * known; "?" = no list of nodes. */
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
    n->has_counters = *text == '-' && isdigit((unsigned char)text[1]);
    if (*text == '-' || *text == '?')
      text++;
    if (isdigit((unsigned char)*text)) {
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
      {"one goes, and answers before the list has it back",
       {"a100 b-", "a110 b-110", "a120 b-120", "a130 b-130"},
       {RMQ_SAME, RMQ_CHANGED, RMQ_CHANGED, RMQ_SAME}},
      {"the list has one back that answered meanwhile",
       {"a100 b-100", "a110 b-110", "a120 b120", "a130 b130"},
       {RMQ_SAME, RMQ_SAME, RMQ_SAME, RMQ_SAME}},
      {"one that is cut off answers no more",
       {"a100 b-100", "a110 b-", "a120 b-", "a130 b-"},
       {RMQ_SAME, RMQ_CHANGED, RMQ_CHANGED, RMQ_SAME}},
      {"a new node joins",
       {"a100", "a110 b4", "a120 b14", "a130 b24"},
       {RMQ_SAME, RMQ_SAME, RMQ_SAME, RMQ_SAME}},
      {"an old node joins",
       {"a100", "a110 b500", "a120 b510", "a130 b520"},
       {RMQ_SAME, RMQ_CHANGED, RMQ_CHANGED, RMQ_SAME}},
      {"a restart that the uptime cannot tell is taken for none",
       {"a2", "a9", "a19", "a29"},
       {RMQ_SAME, RMQ_SAME, RMQ_SAME, RMQ_SAME}},
      {"the list fails once",
       {"a100", "?", "a120", "a130"},
       {RMQ_SAME, RMQ_UNSURE, RMQ_SAME, RMQ_SAME}},
      {"a restart behind a list that failed",
       {"a100", "?", "a5", "a15"},
       {RMQ_SAME, RMQ_UNSURE, RMQ_RESTARTED, RMQ_SAME}},
      {"a restarted node does not say its uptime at once",
       {"a100", "a?", "a5", "a15"},
       {RMQ_SAME, RMQ_UNSURE, RMQ_RESTARTED, RMQ_SAME}},
      {"no uptime, and none before",
       {"a?", "a?", "a100", "a110"},
       {RMQ_SAME, RMQ_SAME, RMQ_SAME, RMQ_SAME}},
      {"nodes may not be listed",
       {"?", "?", "?", "?"},
       {RMQ_SAME, RMQ_SAME, RMQ_SAME, RMQ_SAME}},
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

/* The broker was away for 30 s, so that its uptime can be larger than before.
 */
static void a_node_younger_than_the_last_poll_has_restarted(void **state) {
  (void)state;
  static const struct {
    const char *before, *now;
    enum rmq_continuity want;
  } rows[] = {
      {"a5", "a8", RMQ_RESTARTED},       {"a5", "a20", RMQ_RESTARTED},
      {"a5", "a26", RMQ_SAME},           {"a5", "a35", RMQ_SAME},
      {"a5", "a31", RMQ_SAME},           {"a100", "a100", RMQ_SAME},
      {"a100", "a130", RMQ_SAME},        {"a100", "a99", RMQ_RESTARTED},
      {"a5 b5", "a8 b8", RMQ_RESTARTED}, {"a5 b50", "a8 b80", RMQ_CHANGED},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s, %s", rows[i].before, rows[i].now);
    struct rmq_members m;
    struct rmq_snapshot s;
    rmq_members_init(&m);
    rmq_snapshot_init(&s, 10);
    read_nodes(&s, rows[i].before);
    s.taken.ns = 1000 * RMQ_NS_PER_S;
    rmq_members_step(&m, &s);
    read_nodes(&s, rows[i].now);
    s.taken.ns = 1030 * RMQ_NS_PER_S;
    assert_string_equal(rmq_continuity_to_str(rmq_members_step(&m, &s)),
                        rmq_continuity_to_str(rows[i].want));
    rmq_snapshot_fini(&s);
    rmq_members_fini(&m);
  }
}

static void
a_list_that_fails_for_good_is_a_change_and_then_normal(void **state) {
  (void)state;
  static const enum rmq_continuity want[] = {
      RMQ_SAME,    RMQ_UNSURE,  RMQ_UNSURE, RMQ_UNSURE, /* 30 s at the next */
      RMQ_CHANGED, RMQ_CHANGED, RMQ_SAME,   RMQ_SAME};
  struct rmq_members m;
  struct rmq_snapshot s;
  rmq_members_init(&m);
  rmq_snapshot_init(&s, 10);
  for (size_t k = 0; k < COUNT_OF(want); k++) {
    SHOW_ROW("poll %zu", k);
    read_nodes(&s, k == 0 ? "a100" : "?");
    s.taken.ns = (1000 + 10 * (int64_t)k) * RMQ_NS_PER_S;
    assert_int_equal(rmq_members_step(&m, &s), want[k]);
  }
  rmq_snapshot_fini(&s);
  rmq_members_fini(&m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_the_nodes_say_about_their_counters),
      cmocka_unit_test(a_node_younger_than_the_last_poll_has_restarted),
      cmocka_unit_test(a_list_that_fails_for_good_is_a_change_and_then_normal),
  };
  return run_all(tests);
}
