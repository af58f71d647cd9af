/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/longest.h"

#include "common/base/names.h"
#include "common/broker/management.h"

enum { PATH_BYTES = 4096 /* two names of 255 bytes, each byte as %XX */ };

const char *rmq_longest_answer_to_str(enum rmq_longest_answer a) {
  switch (a) {
  case RMQ_LONGEST_ANSWERED:
    return "answered";
  case RMQ_LONGEST_GONE:
    return "gone";
  case RMQ_LONGEST_STOP:
    return "stop";
  }
  return "unknown";
}

static size_t find(size_t count, const struct rmq_snapshot *s,
                   size_t ret_indices[RMQ_LONGEST_MAX]) {
  return rmq_snapshot_longest(
      s, count < RMQ_LONGEST_MAX ? count : RMQ_LONGEST_MAX, ret_indices);
}

static enum rmq_longest_answer ask(const struct rmq_longest *l,
                                   const struct rmq_snapshot_queue *q) {
  struct rmq_buf path;
  enum rmq_longest_answer answer = RMQ_LONGEST_STOP;
  rmq_buf_init(&path, PATH_BYTES);
  if (rmq_buf_append_text(&path, RMQ_MANAGEMENT_QUEUE "/") == 0 &&
      rmq_names_encode(&path, q->vhost, false) == 0 &&
      rmq_buf_append_text(&path, "/") == 0 &&
      rmq_names_encode(&path, q->name, false) == 0 &&
      rmq_buf_append_text(&path, RMQ_MANAGEMENT_QUEUE_COLUMNS) == 0)
    answer = l->ask(l->ctx, rmq_buf_text(&path));
  rmq_buf_fini(&path);
  return answer;
}

void rmq_longest_complete(const struct rmq_longest *l, struct rmq_snapshot *s) {
  size_t indices[RMQ_LONGEST_MAX];
  size_t count = find(l->count, s, indices);
  for (size_t i = 0; i < s->queues_count; i++)
    s->queues[i].counting = RMQ_COUNTED_NOT;
  for (size_t i = 0; i < count; i++) {
    struct rmq_snapshot_queue *q = &s->queues[indices[i]];
    enum rmq_longest_answer answer = ask(l, q);
    if (answer == RMQ_LONGEST_STOP)
      return;
    if (answer == RMQ_LONGEST_ANSWERED)
      rmq_management_queue(rmq_buf_bytes(l->body), l->body->len, q, NULL);
    /* Asked for all queues it is the same counters. */
    if (q->counting == RMQ_COUNTED_ALONE && !s->is_per_node)
      q->counting = RMQ_COUNTED_WITH_ALL;
  }
}

void rmq_longest_keep(size_t count, struct rmq_snapshot *s) {
  size_t indices[RMQ_LONGEST_MAX];
  count = count < s->queues_max ? count : s->queues_max;
  rmq_snapshot_keep(s, indices, find(count, s, indices));
}
