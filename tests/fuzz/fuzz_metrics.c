/* SPDX-License-Identifier: MIT */
/* Whatever a web server says, the reader survives it, counts every line once,
 * says the same however the bytes are cut, and no queue is there twice. The
 * first byte says which question it answers, the second how it is cut. */
#include "rmq_config.h"

#include "common/broker/metrics.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { QUEUES_MAX = 50, VHOSTS_MAX = 5 };

/* What came of a body. */
struct reading {
  struct rmq_snapshot s;
  struct rmq_metrics m;
};

static struct reading whole, cut;

static void read_body(struct reading *r, const char *bytes, size_t size,
                      size_t piece, unsigned how) {
  struct rmq_metrics_queues queues;
  struct rmq_error err = {.text = ""};
  rmq_snapshot_clear(&r->s);
  rmq_metrics_queues_init(&queues, &r->s);
  rmq_metrics_begin_node(&r->m);
  if (how > 0) {
    snprintf(r->m.node.version, sizeof(r->m.node.version), "%s",
             how == 1 ? "3.10.8" : "4.0.5");
    rmq_metrics_begin_queues(&r->m, &queues);
  }
  for (size_t at = 0; at < size; at += piece)
    rmq_exposition_feed(&r->m.reader, bytes + at,
                        size - at < piece ? size - at : piece);
  if (how > 0)
    rmq_metrics_end_queues(&r->m);
  else if (rmq_metrics_end_node(&r->m, &err) == 0)
    fuzz_must(rmq_metrics_put_node(&r->m.node, &r->s) &&
              !rmq_metrics_put_node(&r->m.node, &r->s));
  rmq_metrics_queues_end(&queues);
  rmq_metrics_queues_fini(&queues);
}

static bool is_same(double a, double b) {
  return a == b || (isnan(a) && isnan(b));
}

static void compare(void) {
  fuzz_must(whole.m.reader.taken == cut.m.reader.taken);
  fuzz_must(whole.m.reader.malformed == cut.m.reader.malformed);
  fuzz_must(whole.s.queues_count == cut.s.queues_count);
  fuzz_must(whole.s.nodes_count == cut.s.nodes_count);
  fuzz_must(whole.s.vhosts_count == cut.s.vhosts_count);
  fuzz_must(is_same(whole.s.ready, cut.s.ready));
  for (size_t i = 0; i < whole.s.vhosts_count; i++) {
    fuzz_must(strcmp(whole.s.vhosts[i].name, cut.s.vhosts[i].name) == 0);
    fuzz_must(is_same(whole.s.vhosts[i].ready, cut.s.vhosts[i].ready));
  }
  for (size_t i = 0; i < whole.s.queues_count; i++) {
    fuzz_must(strcmp(whole.s.queues[i].name, cut.s.queues[i].name) == 0);
    fuzz_must(is_same(whole.s.queues[i].ready, cut.s.queues[i].ready));
    fuzz_must(whole.s.queues[i].stats[RMQ_STAT_PUBLISH] >= RMQ_ABSENT);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static bool is_ready;
  if (!is_ready) {
    rmq_snapshot_init(&whole.s, QUEUES_MAX);
    rmq_snapshot_init(&cut.s, QUEUES_MAX);
    whole.s.vhosts_max = cut.s.vhosts_max = VHOSTS_MAX;
    is_ready = true;
  }
  if (size < 2)
    return 0;
  const char *bytes = (const char *)data + 2;
  read_body(&whole, bytes, size - 2, size, data[0] % 3);
  read_body(&cut, bytes, size - 2, 1 + data[1] % 100, data[0] % 3);
  compare();
  size_t count = whole.s.queues_count;
  rmq_snapshot_sort(&whole.s);
  fuzz_must(whole.s.queues_count == count);
  return 0;
}
