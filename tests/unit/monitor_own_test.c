/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/monitor_own.h"

#include "tests/fake/host.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

static struct fake_host fake;
static struct rmq_role_monitor_config config;
static struct rmq_monitor_own *own;
static struct rmq_snapshot s;

static void begin(bool is_alone) {
  fake_host_init(&fake);
  config.is_alone = is_alone;
  own = rmq_monitor_own_new(&fake.host, "main", &config);
  assert_non_null(own);
  rmq_snapshot_init(&s, 1);
}

static void end(void) {
  rmq_monitor_own_free(own);
  rmq_snapshot_fini(&s);
  memset(&config, 0, sizeof(config));
}

/* Another module of the process reports. */
static void say(const char *plugin, const char *block, const char *type,
                const char *type_instance, enum rmq_kind kind, double value) {
  struct rmq_datum d = {.name = "value", .kind = kind};
  if (kind == RMQ_GAUGE)
    d.value.gauge = value;
  else
    d.value.derive = (int64_t)value;
  const struct rmq_sample sample = {.id = {.host = "agent",
                                           .plugin = plugin,
                                           .plugin_instance = block,
                                           .type = type,
                                           .type_instance = type_instance},
                                    .values = &d,
                                    .values_count = 1};
  fake.host.sample(&fake, &sample);
}

static void publisher_says(const char *block, double nacks, double overflow) {
  say("rabbitmq_publish", block, "bool", "connected", RMQ_GAUGE, 1);
  say("rabbitmq_publish", block, "total_events", "nack", RMQ_DERIVE, nacks);
  say("rabbitmq_publish", block, "total_operations", "dropped_overflow",
      RMQ_DERIVE, overflow);
}

static void step(void) {
  rmq_snapshot_clear(&s);
  fake_host_advance(&fake, rmq_s(10));
  rmq_monitor_own_step(own, &s);
}

static void without_such_blocks_nothing_is_known(void **state) {
  (void)state;
  begin(true);
  step();
  assert_int_equal(s.own.nacks, RMQ_ABSENT);
  assert_int_equal(s.own.dropped, RMQ_ABSENT);
  assert_true(isnan(s.own.consumer_delivery));
  end();
}

static void a_host_that_keeps_nothing_is_not_asked(void **state) {
  (void)state;
  begin(true);
  fake.host.recall = NULL;
  fake.host.instances = NULL;
  publisher_says("a", 5, 5);
  step();
  assert_int_equal(s.own.nacks, RMQ_ABSENT);
  end();
}

static void sums_of_all_publishers_never_fall(void **state) {
  (void)state;
  begin(true);
  publisher_says("a", 100, 7);
  step();
  assert_int_equal(s.own.nacks, 0); /* what was before is not ours */
  assert_int_equal(s.own.dropped, 0);
  publisher_says("a", 103, 9);
  step();
  assert_int_equal(s.own.nacks, 3);
  assert_int_equal(s.own.dropped, 2);
  publisher_says("b", 50, 0); /* found after a while, and from then on */
  for (int i = 0; i < RMQ_MONITOR_OWN_FIND_S / 10; i++)
    step();
  assert_int_equal(s.own.nacks, 3);
  publisher_says("b", 51, 0);
  step();
  assert_int_equal(s.own.nacks, 4);
  fake_host_clear(&fake); /* nobody reports any more */
  step();
  assert_int_equal(s.own.nacks, 4);
  assert_int_equal(s.own.dropped, 2);
  end();
}

static void
the_slowest_consumer_counts_and_an_idle_one_is_not_late(void **state) {
  (void)state;
  static const struct {
    const char *name;
    double connected, unacked, p95, want; /* NaN = not reported */
    double delivered;                     /* meanwhile */
  } rows[] = {
      {"late", 1, 5, 42, 42, 1},
      {"idle", 1, 0, (double)NAN, 0, 1},
      {"stands by", 1, 0, (double)NAN, (double)NAN, 0},
      {"nothing settled yet", 1, 3, (double)NAN, (double)NAN, 1},
      {"not connected", 0, 0, (double)NAN, (double)NAN, 1},
      {"silent", (double)NAN, (double)NAN, (double)NAN, (double)NAN, 0},
  };
  static char a[] = "a", b[] = "b";
  static char *names[] = {a, b};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].name);
    config.consumers = (struct rmq_strings){.items = names, .count = 2};
    begin(false);
    if (!isnan(rows[i].connected)) {
      say("rabbitmq_consume", "a", "bool", "connected", RMQ_GAUGE,
          rows[i].connected);
      say("rabbitmq_consume", "a", "queue_length", "unacked", RMQ_GAUGE,
          rows[i].unacked);
    }
    for (int j = 0; j < 2 && !isnan(rows[i].connected); j++) {
      say("rabbitmq_consume", "a", "total_operations", "delivered", RMQ_DERIVE,
          7 + rows[i].delivered * j);
      step();
    }
    if (!isnan(rows[i].p95))
      say("rabbitmq_consume", "a", "latency", "delivery_p95", RMQ_GAUGE,
          rows[i].p95);
    step();
    assert_int_equal(isnan(s.own.consumer_delivery), isnan(rows[i].want));
    if (!isnan(rows[i].want))
      assert_true(s.own.consumer_delivery == rows[i].want);
    say("rabbitmq_consume", "b", "latency", "delivery_p95", RMQ_GAUGE, 50);
    step();
    assert_true(s.own.consumer_delivery == 50);
    end();
  }
}

static void
after_ten_idle_minutes_nothing_is_known_of_a_consumer(void **state) {
  (void)state;
  begin(true);
  say("rabbitmq_consume", "a", "bool", "connected", RMQ_GAUGE, 1);
  say("rabbitmq_consume", "a", "queue_length", "unacked", RMQ_GAUGE, 0);
  for (int i = 0; i < 3; i++) {
    say("rabbitmq_consume", "a", "total_operations", "delivered", RMQ_DERIVE,
        7 + i);
    step();
  }
  for (int i = 0; i <= RMQ_MONITOR_OWN_IDLE_S / 10; i++) {
    assert_true(s.own.consumer_delivery == 0);
    step();
  }
  assert_true(isnan(s.own.consumer_delivery));
  say("rabbitmq_consume", "a", "total_operations", "delivered", RMQ_DERIVE, 10);
  step();
  assert_true(s.own.consumer_delivery == 0);
  end();
}

static void named_blocks_are_those_and_no_others(void **state) {
  (void)state;
  static char b[] = "b";
  static char *names[] = {b};
  for (int is_alone = 0; is_alone < 2; is_alone++) {
    config.publishers = (struct rmq_strings){.items = names, .count = 1};
    begin(is_alone);
    for (int i = 0; i < 2; i++) {
      publisher_says("a", 100 * i, 0);
      publisher_says("b", 7 * i, 0);
      step();
    }
    assert_int_equal(s.own.nacks, 7);
    end();
  }
}

static void a_block_that_nobody_named_is_said_once(void **state) {
  (void)state;
  static char b[] = "b";
  static char *names[] = {b};
  begin(true);
  publisher_says("a", 0, 0);
  say("rabbitmq_consume", "in", "bool", "connected", RMQ_GAUGE, 1);
  for (int i = 0; i < RMQ_MONITOR_OWN_FIND_S / 5; i++)
    step();
  assert_int_equal(fake_host_count(&fake, "own_block"), 2);
  assert_int_equal(fake.lines[0].level, RMQ_LOG_NOTICE);
  assert_string_equal(fake.lines[0].message,
                      "counts what block \"a\" of rabbitmq_publish reports as "
                      "this cluster's; Publisher says which blocks are");
  assert_non_null(strstr(fake.lines[1].message, "; Consumer says"));
  end();
  config.publishers = (struct rmq_strings){.items = names, .count = 1};
  begin(true);
  publisher_says("a", 0, 0);
  publisher_says("b", 0, 0);
  step();
  assert_int_equal(fake_host_count(&fake, "own_block"), 0);
  end();
}

static void one_of_several_clusters_takes_nothing_for_its_own(void **state) {
  (void)state;
  begin(false);
  publisher_says("a", 0, 0);
  say("rabbitmq_consume", "a", "latency", "delivery_p95", RMQ_GAUGE, 50);
  step();
  assert_int_equal(s.own.nacks, RMQ_ABSENT);
  assert_true(isnan(s.own.consumer_delivery));
  end();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(without_such_blocks_nothing_is_known),
      cmocka_unit_test(a_host_that_keeps_nothing_is_not_asked),
      cmocka_unit_test(sums_of_all_publishers_never_fall),
      cmocka_unit_test(the_slowest_consumer_counts_and_an_idle_one_is_not_late),
      cmocka_unit_test(after_ten_idle_minutes_nothing_is_known_of_a_consumer),
      cmocka_unit_test(named_blocks_are_those_and_no_others),
      cmocka_unit_test(a_block_that_nobody_named_is_said_once),
      cmocka_unit_test(one_of_several_clusters_takes_nothing_for_its_own),
  };
  return run_all(tests);
}
