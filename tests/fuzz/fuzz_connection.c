/* SPDX-License-Identifier: MIT */
/* Bytes of a broker through the whole connection machine, with time: the
 * first byte of the input says into how large pieces the rest is split, the
 * second how much time passes between them. Two links are served, so that what
 * the first one left behind meets the second. */
#include "rmq_config.h"

#include <stdlib.h>
#include <string.h>

#include "common/amqp/connection.h"
#include "tests/fuzz/fuzz.h"

enum { OUTPUT_MAX = 1 << 20, MESSAGE_MAX = 4096, TURNS_MAX = 30 };

struct seen {
  struct rmq_connection *c;
  uint64_t epoch;
  bool is_up;
};

static int give_password(void *ctx, struct rmq_buf *ret_password,
                         struct rmq_error *err) {
  (void)ctx;
  if (rmq_buf_append_text(ret_password, "guest") != 0)
    return rmq_error_set(err, "no memory");
  return 0;
}

static void on_changed(void *ctx, const struct rmq_connection_change *change,
                       struct rmq_mono now) {
  (void)ctx, (void)now;
  fuzz_must(change->from != change->to);
  fuzz_must(change->reason != NULL && change->remedy != NULL);
  fuzz_must(change->retry_in.ns >= 0);
}

/* ready and lost take turns, and epochs grow. */
static void on_ready(void *ctx, uint64_t epoch, struct rmq_mono now) {
  struct seen *s = ctx;
  (void)now;
  fuzz_must(!s->is_up && epoch > s->epoch);
  s->epoch = epoch;
  s->is_up = true;
}

static void on_lost(void *ctx, struct rmq_mono now) {
  struct seen *s = ctx;
  (void)now;
  s->is_up = false;
}

static void on_confirmed(void *ctx, uint64_t epoch, uint64_t seqno,
                         bool multiple, bool is_nack, struct rmq_mono now) {
  const struct seen *s = ctx;
  (void)seqno, (void)multiple, (void)is_nack, (void)now;
  fuzz_must(epoch == s->epoch);
}

static void on_returned(void *ctx, uint64_t epoch, const struct rmq_returned *r,
                        struct rmq_mono now) {
  const struct seen *s = ctx;
  (void)now;
  fuzz_must(epoch == s->epoch);
  fuzz_must(strlen(r->text) < 256 && strlen(r->message_id) < 256);
}

static void on_delivered(void *ctx, uint64_t epoch,
                         const struct rmq_delivery *d, struct rmq_mono now) {
  const struct seen *s = ctx;
  (void)now;
  fuzz_must(s->is_up && epoch == s->epoch);
  fuzz_must(d->body.len <= MESSAGE_MAX);
  fuzz_must(d->is_oversized ? d->body.len == 0 : d->body.len == d->body_size);
  rmq_connection_ack(s->c, d->tag, d->tag % 2 == 0);
}

static void on_cancelled(void *ctx, struct rmq_mono now) {
  (void)ctx, (void)now;
}

static bool on_is_settled(void *ctx) {
  (void)ctx;
  return true;
}

static const struct rmq_endpoint ENDPOINT = {"broker", 5672};
static const struct rmq_wire_queue QUEUE = {.name = "q"};
static const struct rmq_wire_exchange EXCHANGE = {.name = "x", .type = "topic"};
static const struct rmq_binding BINDING = {"x", "#"};
static const struct rmq_connection_config CONFIG = {
    .endpoints = &ENDPOINT,
    .endpoints_count = 1,
    .vhost = "/",
    .user = "guest",
    .password = give_password,
    .connection_name = "fuzz",
    .product = "warren",
    .version = "0",
    .heartbeat = {30 * RMQ_NS_PER_S},
    .connect_timeout = {5 * RMQ_NS_PER_S},
    .rpc_timeout = {10 * RMQ_NS_PER_S},
    .retry_min = {RMQ_NS_PER_S},
    .retry_max = {60 * RMQ_NS_PER_S},
    .refused_delay = {300 * RMQ_NS_PER_S},
    .exchange = &EXCHANGE,
    .queue = &QUEUE,
    .bindings = &BINDING,
    .bindings_count = 1,
    .wants_confirms = true,
    .prefetch = 4,
    .consumer_tag = "w",
    .max_message_bytes = MESSAGE_MAX,
};

static void feed(struct rmq_connection *c, const uint8_t *data, size_t size,
                 struct rmq_mono *now) {
  size_t piece = data[0] == 0 ? size : data[0];
  struct rmq_dur step = rmq_ms(data[1] * 4);
  for (size_t at = 2; at < size; at += piece) {
    size_t len = size - at < piece ? size - at : piece;
    char *copy = malloc(len);
    if (copy == NULL)
      return;
    memcpy(copy, data + at, len);
    rmq_connection_input(c, copy, len, *now);
    free(copy);
    fuzz_must(rmq_connection_output(c)->len < OUTPUT_MAX);
    *now = rmq_mono_add(*now, step);
    if (rmq_mono_reached(*now, rmq_connection_next_deadline(c)))
      rmq_connection_tick(c, *now);
  }
}

/* From deadline to deadline until the machine wants a link again. */
static void wait_for_link(struct rmq_connection *c, struct rmq_mono *now) {
  for (int i = 0; i < TURNS_MAX; i++) {
    if (rmq_connection_state(c) == RMQ_SESSION_CONNECTING)
      return;
    struct rmq_mono due = rmq_connection_next_deadline(c);
    if (rmq_mono_is_never(due))
      return;
    *now = rmq_mono_reached(*now, due) ? *now : due;
    rmq_buf_clear(rmq_connection_output(c));
    rmq_connection_tick(c, *now);
    fuzz_must(!rmq_mono_reached(*now, rmq_connection_next_deadline(c)));
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct seen s = {.epoch = 0};
  const struct rmq_connection_handlers handlers = {
      .ctx = &s,
      .changed = on_changed,
      .ready = on_ready,
      .lost = on_lost,
      .confirmed = on_confirmed,
      .returned = on_returned,
      .delivered = on_delivered,
      .cancelled = on_cancelled,
      .is_settled = on_is_settled,
  };
  struct rmq_mono now = {RMQ_NS_PER_S};
  if (size < 2)
    return 0;
  s.c = rmq_connection_new(&CONFIG, &handlers, 1);
  if (s.c == NULL)
    return 0;
  rmq_connection_start(s.c, now);
  for (int link = 0; link < 2; link++) {
    if (rmq_connection_state(s.c) != RMQ_SESSION_CONNECTING)
      break;
    rmq_connection_link_up(s.c, now);
    feed(s.c, data, size, &now);
    if (link == 0)
      rmq_connection_link_down(s.c, "end of file", now);
    wait_for_link(s.c, &now);
  }
  rmq_connection_stop(s.c, now);
  rmq_connection_free(s.c);
  return 0;
}
