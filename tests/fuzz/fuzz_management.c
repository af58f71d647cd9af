/* SPDX-License-Identifier: MIT */
/* Whatever a web server says, the parser survives it and the indicators of it
 * are inside the ranges of their series. The first byte says which endpoint. */
#include "rmq_config.h"

#include "common/broker/indicators.h"
#include "common/broker/management.h"
#include "common/broker/vhosts.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct rmq_indicators *indicators;
static struct rmq_snapshot snapshots[2];
static int64_t now_s = 1000;

static void report(void) {
  struct rmq_indicators_result r;
  struct rmq_snapshot *s = &snapshots[now_s % 2];
  rmq_vhosts_end(s);
  fuzz_must(s->vhosts_count <= s->vhosts_max);
  s->taken.ns = now_s * RMQ_NS_PER_S;
  s->time.ns = s->taken.ns;
  if (rmq_indicators_step(indicators, s, &r) != 0)
    return;
  fuzz_must(r.cluster.reachable == 1);
  fuzz_must(isnan(r.cluster.publish_rate) || r.cluster.publish_rate >= 0);
  fuzz_must(isnan(r.cluster.error_rate) ||
            (r.cluster.error_rate >= 0 && r.cluster.error_rate <= 100));
  for (size_t i = 0; i < r.queues_count; i++)
    fuzz_must(r.queues[i].publish >= -1 && r.queues[i].name != NULL);
  for (size_t i = 0; i < r.vhosts_count; i++)
    fuzz_must(r.vhosts[i].publish >= -1 && r.vhosts[i].name != NULL);
  now_s += 10;
  rmq_snapshot_clear(&snapshots[now_s % 2]);
}

/* Each is there once, in order, and no more of them than there may be. */
static void check_vhosts(const struct rmq_snapshot *s) {
  fuzz_must(s->vhosts_count <= RMQ_VHOSTS_MAX);
  for (size_t i = 0; i < s->vhosts_count; i++) {
    fuzz_must(s->vhosts[i].name[0] != '\0');
    fuzz_must(i == 0 || strcmp(s->vhosts[i - 1].name, s->vhosts[i].name) < 0);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct rmq_error err = {.text = ""};
  size_t pages = 0;
  if (indicators == NULL) {
    indicators = rmq_indicators_new();
    for (size_t i = 0; i < 2; i++) {
      rmq_snapshot_init(&snapshots[i], 20);
      snapshots[i].vhosts_max = 5;
    }
  }
  if (size == 0 || indicators == NULL)
    return 0;
  struct rmq_snapshot *s = &snapshots[now_s % 2];
  char reason[32];
  size_t len = size - 1;
  char *bytes = malloc(len); /* written to; its end is an end for the tools */
  if (bytes == NULL)
    return 0;
  memcpy(bytes, data + 1, len);
  switch (data[0] % 8) {
  case 0:
    rmq_management_overview(bytes, len, s, &err);
    break;
  case 1:
    rmq_management_nodes(bytes, len, s, &err);
    break;
  case 2:
    rmq_management_queues(bytes, len, NULL, NULL, s, &pages, &err);
    break;
  case 4:
    rmq_management_vhosts(bytes, len, s, &err);
    check_vhosts(s);
    break;
  case 5:
    rmq_snapshot_sort(s);
    rmq_management_streams(bytes, len, s, &err);
    break;
  default:
    rmq_management_reason(bytes, len, reason, sizeof(reason));
    if (s->queues_count > 0)
      rmq_management_queue(bytes, len, &s->queues[0], &err);
    report();
    break;
  }
  free(bytes);
  return 0;
}
