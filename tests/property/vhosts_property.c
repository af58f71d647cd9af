/* SPDX-License-Identifier: MIT */
/*
 * The sums of the virtual hosts are those of the cluster, however the queues
 * lie on the nodes, in whatever order and pieces their lines come, and however
 * few queues are wanted; and those of the first few are the same as with all.
 */
#include "rmq_config.h"

#include "common/base/buf.h"
#include "common/broker/metrics.h"
#include "common/broker/vhosts.h"

#include "tests/prop.h"
#include "tests/testing.h"

#include <stdio.h>
#include <string.h>

enum { NODES = 3, QUEUES_MAX = 60, VHOSTS = 9, FAMILIES = 5 };

static const char *const families[FAMILIES] = {
    "queue_messages_ready", "queue_messages_unacked",
    "queue_messages_delivered_ack_total",
    "queue_exchange_messages_published_total",
    "exchange_messages_published_total"};

struct totals {
  bool is_there[VHOSTS];
  double ready[VHOSTS], unacked[VHOSTS], delivered[VHOSTS], published[VHOSTS];
};

static void add_line(struct rmq_buf *out, int family, unsigned vhost,
                     unsigned object, unsigned value) {
  rmq_buf_appendf(out, "rabbitmq_detailed_%s{vhost=\"v%u\",%s=\"o%u\"} %u\n",
                  families[family], vhost, family == 4 ? "exchange" : "queue",
                  object, value);
}

/* One line per object and family, on a node of its own choice. */
static void make(struct prop *p, struct rmq_buf bodies[NODES],
                 struct totals *want) {
  unsigned count = (unsigned)prop_below(p, QUEUES_MAX);
  memset(want, 0, sizeof(*want));
  for (int family = 0; family < FAMILIES; family++)
    for (unsigned i = 0; i < count; i++) {
      unsigned vhost = i * 7 % VHOSTS;
      unsigned value = (unsigned)prop_below(p, 1000);
      add_line(&bodies[family < 2 ? i % NODES : prop_below(p, NODES)], family,
               vhost, i, value);
      want->is_there[vhost] = true;
      want->ready[vhost] += family == 0 ? value : 0;
      want->unacked[vhost] += family == 1 ? value : 0;
      want->delivered[vhost] += family == 2 ? value : 0;
      want->published[vhost] += family == 4 ? value : 0;
    }
}

static bool want_some(void *ctx, const char *vhost, const char *name) {
  (void)ctx;
  (void)vhost;
  return name[strlen(name) - 1] % 3 == 0;
}

static void read_all(struct prop *p, struct rmq_buf bodies[NODES],
                     struct rmq_snapshot *s) {
  static struct rmq_metrics m;
  struct rmq_metrics_queues q;
  rmq_metrics_queues_init(&q, s);
  q.want = prop_chance(p, 50) ? NULL : want_some;
  for (size_t i = 0; i < NODES; i++) {
    const char *bytes = rmq_buf_bytes(&bodies[i]);
    snprintf(m.node.version, sizeof(m.node.version), "4.0.5");
    rmq_metrics_begin_queues(&m, &q);
    for (size_t at = 0; at < bodies[i].len;) {
      size_t len = 1 + prop_below(p, 300);
      len = len > bodies[i].len - at ? bodies[i].len - at : len;
      rmq_exposition_feed(&m.reader, bytes + at, len);
      at += len;
    }
    rmq_metrics_end_queues(&m);
  }
  rmq_metrics_queues_end(&q);
  rmq_metrics_queues_fini(&q);
  rmq_vhosts_end(s);
}

static double known(double value) { return value > 0 ? value : 0; }

/* The first ones by name, each with its sums. */
static void check(const struct rmq_snapshot *s, const struct totals *want) {
  size_t i = 0;
  for (size_t n = 0; n < VHOSTS && i < s->vhosts_max; n++) {
    if (!want->is_there[n])
      continue;
    assert_true(i < s->vhosts_count);
    const struct rmq_snapshot_vhost *v = &s->vhosts[i++];
    assert_int_equal(v->name[1] - '0', n);
    assert_true(known(v->ready) == want->ready[n]);
    assert_true(known(v->unacked) == want->unacked[n]);
    assert_true(known((double)v->stats[RMQ_STAT_DELIVER]) ==
                want->delivered[n]);
    assert_true(known((double)v->stats[RMQ_STAT_PUBLISH]) ==
                want->published[n]);
    assert_int_equal(v->stats[RMQ_STAT_ACK], RMQ_ABSENT);
  }
  assert_int_equal(s->vhosts_count, i);
}

static void sequence(struct prop *p) {
  struct rmq_buf bodies[NODES];
  struct totals want;
  struct rmq_snapshot s;
  for (size_t i = 0; i < NODES; i++)
    rmq_buf_init(&bodies[i], (size_t)1 << 20);
  make(p, bodies, &want);
  rmq_snapshot_init(&s, prop_chance(p, 50) ? 5 : 1000);
  s.vhosts_max = 1 + prop_below(p, VHOSTS);
  read_all(p, bodies, &s);
  check(&s, &want);
  rmq_snapshot_fini(&s);
  for (size_t i = 0; i < NODES; i++)
    rmq_buf_fini(&bodies[i]);
}

static void sums_of_vhosts_are_those_of_their_queues(void **state) {
  (void)state;
  prop_run(500, sequence);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sums_of_vhosts_are_those_of_their_queues),
  };
  return run_all(tests);
}
