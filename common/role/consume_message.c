/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_consume_private.h"

#include <stdlib.h>

const char *rmq_message_turn_to_str(enum rmq_message_turn t) {
  switch (t) {
  case RMQ_MESSAGE_TAKEN:
    return "taken";
  case RMQ_MESSAGE_LEFT:
    return "left";
  case RMQ_MESSAGE_UNREADABLE:
    return "unreadable";
  case RMQ_MESSAGE_NO_MEMORY:
    return "no memory";
  }
  return "unknown";
}

int rmq_message_ends_init(struct rmq_message_ends *e, size_t max) {
  *e = (struct rmq_message_ends){.items = calloc(max, sizeof(*e->items)),
                                 .max = max};
  return e->items != NULL ? 0 : -1;
}

void rmq_message_ends_fini(struct rmq_message_ends *e) {
  free(e->items);
  *e = (struct rmq_message_ends){.items = NULL};
}

/* ------------------------------------------------------------------------
 * Any thread */

static void push(struct rmq_role_consume *r,
                 const struct rmq_message_end *end) {
  rmq_consume_lock(r);
  if (r->ends.count < r->ends.max)
    r->ends.items[r->ends.count++] = *end;
  rmq_consume_unlock(r);
  rmq_worker_wake(r->worker);
}

void rmq_role_consume_message_failed(struct rmq_role_consume *r,
                                     const struct rmq_message_failure *f) {
  push(r, &(struct rmq_message_end){.failure = *f});
}

void rmq_role_consume_message_left(struct rmq_role_consume *r,
                                   uint64_t ticket) {
  push(r, &(struct rmq_message_end){.failure = {.ticket = ticket},
                                    .is_left = true});
}

/* ------------------------------------------------------------------------
 * The worker's thread */

static void settle(struct rmq_role_consume *r,
                   const struct rmq_message_end *end, struct rmq_mono now) {
  const struct rmq_message_failure *f = &end->failure;
  rmq_consume_forget(r, f->ticket);
  if (end->is_left) {
    rmq_flow_failed(&r->flow, f->ticket, RMQ_SETTLE_HAND_BACK,
                    /* is_bad = */ false, now);
    return;
  }
  enum rmq_settle how = rmq_consume_settlement(r, f->ticket, f->policy,
                                               /* may_pass = */ true);
  size_t settled = rmq_flow_failed(&r->flow, f->ticket, how, f->is_bad, now);
  if (how != RMQ_SETTLE_REQUEUE)
    r->counters.rejected[RMQ_REJECTION_dispatch] += settled;
  rmq_rejections_log_failed(&r->rejections, f->about, how, now);
}

static bool pop(struct rmq_role_consume *r, struct rmq_message_end *ret_end) {
  rmq_consume_lock(r);
  bool has_one = r->ends.count > 0;
  if (has_one)
    *ret_end = r->ends.items[--r->ends.count];
  rmq_consume_unlock(r);
  return has_one;
}

/* In any order: what goes back is put at its own place by the broker. */
void rmq_consume_settle_ends(struct rmq_role_consume *r, struct rmq_mono now) {
  struct rmq_message_end end;
  while (pop(r, &end))
    settle(r, &end, now);
}

bool rmq_consume_is_full(const struct rmq_role_consume *r) {
  return r->sink.is_full != NULL && r->sink.is_full(r->sink.ctx);
}
