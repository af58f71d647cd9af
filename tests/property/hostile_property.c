/* SPDX-License-Identifier: MIT */
/* Publisher and consumer on one channel, against a broker that sends
 * well-formed frames in any order and with any numbers: deep states that
 * flipped bits do not reach. Nothing is lost to it, nothing grows without
 * bound, no deadline makes the worker spin, and no message is taken for
 * confirmed that was not named. */
#include "rmq_config.h"

#include "common/amqp/consumer.h"
#include "common/amqp/publisher.h"
#include "common/base/uuid.h"

#include "tests/testing.h"

#include <string.h>

#include "tests/fake/broker.h"
#include "tests/prop.h"

enum { SEQUENCES = 300, FRAMES = 300, PREFETCH = 5, WINDOW = 8 };
enum { OUTPUT_MAX = 2 << 20, MESSAGE_MAX = 1000, OPEN_MAX = 64 };

struct world {
  struct prop *prop;
  struct rmq_connection *connection;
  struct rmq_publisher *publisher;
  struct rmq_consumer *consumer;
  struct rmq_mono now;
  uint64_t next_tag; /* of the channel */
  size_t accepted;
  uint64_t open[OPEN_MAX]; /* deliveries being worked on, the latest */
  size_t open_count;
  bool is_up;
  uint64_t named; /* publishes that confirms may have meant, an upper bound */
};

/* ---- wiring ---- */

static int give_password(void *ctx, struct rmq_buf *ret, struct rmq_error *e) {
  (void)ctx;
  if (rmq_buf_append_text(ret, "guest") != 0)
    return rmq_error_set(e, "no memory");
  return 0;
}

static void on_changed(void *ctx, const struct rmq_connection_change *change,
                       struct rmq_mono now) {
  struct world *w = ctx;
  PROP_TRACE(w->prop, "%s -> %s: %s", rmq_session_state_to_str(change->from),
             rmq_session_state_to_str(change->to), change->reason);
  rmq_publisher_changed(w->publisher, change, now);
}

static void on_ready(void *ctx, uint64_t epoch, struct rmq_mono now) {
  struct world *w = ctx;
  assert_false(w->is_up);
  w->is_up = true;
  w->next_tag = 0;
  rmq_publisher_ready(w->publisher, epoch, now);
}

static void on_lost(void *ctx, struct rmq_mono now) {
  struct world *w = ctx;
  w->is_up = false;
  rmq_publisher_lost(w->publisher, now);
  rmq_consumer_lost(w->consumer);
}

static void on_confirmed(void *ctx, uint64_t epoch, uint64_t seqno,
                         bool multiple, bool is_nack, struct rmq_mono now) {
  struct world *w = ctx;
  w->named += multiple ? WINDOW : 1;
  rmq_publisher_confirmed(w->publisher, epoch, seqno, multiple, is_nack, now);
}

static void on_returned(void *ctx, uint64_t epoch, const struct rmq_returned *r,
                        struct rmq_mono now) {
  (void)now;
  rmq_publisher_returned(((struct world *)ctx)->publisher, epoch, r);
}

static void on_wire_delivery(void *ctx, uint64_t epoch,
                             const struct rmq_delivery *d,
                             struct rmq_mono now) {
  (void)epoch;
  rmq_consumer_delivered(((struct world *)ctx)->consumer, d, now);
}

static void on_cancelled(void *ctx, struct rmq_mono now) {
  (void)ctx, (void)now;
}

static bool on_is_settled(void *ctx) {
  (void)ctx;
  return true;
}

static void on_delivered(void *ctx, uint64_t serial,
                         const struct rmq_delivery *d, struct rmq_mono now) {
  struct world *w = ctx;
  (void)now;
  assert_true(d->body.len <= MESSAGE_MAX);
  if (w->open_count == OPEN_MAX)
    w->open_count = 0; /* never finished, as a worker that hangs */
  w->open[w->open_count++] = serial;
}

static void on_given_up(void *ctx, const struct rmq_publisher_given_up *g) {
  (void)ctx, (void)g;
}

static void on_refused(void *ctx, const struct rmq_message *m,
                       enum rmq_publish_refusal why) {
  (void)ctx, (void)m, (void)why;
}

static void on_prepare(void *ctx, struct rmq_message *m) {
  (void)ctx;
  rmq_uuid_message_id(rmq_uuid_from_bits(1, 2), m->seq, m->id);
  m->is_prepared = true;
}

static void on_wake(void *ctx) { (void)ctx; }

static const struct rmq_endpoint ENDPOINTS[] = {{"a", 5672}, {"b", 5672}};
static const struct rmq_wire_queue QUEUE = {.name = "q"};
static const struct rmq_connection_config CONNECTION = {
    .endpoints = ENDPOINTS,
    .endpoints_count = 2,
    .vhost = "/",
    .user = "guest",
    .password = give_password,
    .connection_name = "hostile",
    .product = "warren",
    .version = "0",
    .heartbeat = {30 * RMQ_NS_PER_S},
    .connect_timeout = {5 * RMQ_NS_PER_S},
    .rpc_timeout = {10 * RMQ_NS_PER_S},
    .retry_min = {RMQ_NS_PER_S},
    .retry_max = {60 * RMQ_NS_PER_S},
    .refused_delay = {300 * RMQ_NS_PER_S},
    .queue = &QUEUE,
    .wants_confirms = true,
    .prefetch = PREFETCH,
    .consumer_tag = "w",
    .max_message_bytes = MESSAGE_MAX,
};
static const struct rmq_publisher_config PUBLISHER = {
    .exchange = "x",
    .is_mandatory = true,
    .app_id = "warren",
    .window = WINDOW,
    .confirm_timeout = {30 * RMQ_NS_PER_S},
    .max_attempts = 3,
    .retry_min = {RMQ_NS_PER_S},
    .retry_max = {60 * RMQ_NS_PER_S},
    .wants_confirms = true,
    .fifo = {.max_messages = 100, .max_bytes = 1 << 20, .read_ahead = 16},
};
static const struct rmq_consumer_config CONSUMER = {
    .prefetch = PREFETCH, .ack_batch = 2, .ack_interval = {RMQ_NS_PER_S}};

static void begin(struct world *w, struct prop *p) {
  const struct rmq_connection_handlers on_connection = {
      .ctx = w,
      .changed = on_changed,
      .ready = on_ready,
      .lost = on_lost,
      .confirmed = on_confirmed,
      .returned = on_returned,
      .delivered = on_wire_delivery,
      .cancelled = on_cancelled,
      .is_settled = on_is_settled,
  };
  const struct rmq_publisher_handlers on_publisher = {
      w, on_given_up, on_refused, on_prepare, on_wake, NULL};
  const struct rmq_consumer_handlers on_consumer = {w, on_delivered};
  *w = (struct world){.prop = p, .now = {RMQ_NS_PER_S}};
  w->publisher = rmq_publisher_new(&PUBLISHER, &on_publisher, prop_next(p));
  w->consumer = rmq_consumer_new(&CONSUMER, &on_consumer);
  w->connection = rmq_connection_new(&CONNECTION, &on_connection, prop_next(p));
  rmq_publisher_attach(w->publisher, w->connection);
  rmq_consumer_attach(w->consumer, w->connection);
  rmq_connection_start(w->connection, w->now);
}

static void end(struct world *w) {
  rmq_connection_stop(w->connection, w->now);
  rmq_publisher_abandon(w->publisher);
  rmq_connection_free(w->connection);
  rmq_publisher_free(w->publisher);
  rmq_consumer_free(w->consumer);
}

/* ---- what must hold after every frame ---- */

static void must_hold(struct world *w) {
  struct rmq_publisher_snapshot s;
  rmq_publisher_snapshot(w->publisher, false, &s);
  const struct rmq_publisher_counters *c = &s.counters;
  uint64_t ended = c->confirmed + c->returned + c->rejected;
  for (size_t i = 0; i < RMQ_PUBLISHER_DROPS_COUNT; i++)
    ended += c->dropped[i];
  assert_int_equal(c->accepted, w->accepted);
  assert_int_equal(c->accepted, ended + s.outbox + s.in_flight);
  assert_true(s.in_flight <= WINDOW);
  assert_true(c->confirmed + c->nack + c->return_ <= w->named);
  assert_true(rmq_consumer_unacked(w->consumer) <= PREFETCH);
  assert_true(rmq_connection_output(w->connection)->len < OUTPUT_MAX);
  assert_int_equal(w->is_up,
                   rmq_session_is_up(rmq_connection_state(w->connection)));
}

static void turn(struct world *w) {
  struct rmq_mono due = rmq_publisher_step(w->publisher, w->now);
  due = rmq_mono_min(due, rmq_consumer_step(w->consumer, w->now));
  assert_false(rmq_mono_reached(w->now, due));
  must_hold(w);
}

/* ---- frames ---- */

static uint64_t any_number(struct prop *p) {
  static const uint64_t some[] = {
      0, 1, 2, 3, 1u << 31, UINT64_C(1) << 63, UINT64_MAX};
  return prop_chance(p, 80) ? prop_below(p, 12)
                            : some[prop_below(p, COUNT_OF(some))];
}

static void feed(struct world *w, const struct fake_bytes *bytes) {
  size_t piece =
      prop_chance(w->prop, 70) ? bytes->len : 1 + prop_below(w->prop, 9);
  for (size_t at = 0; at < bytes->len; at += piece) {
    size_t len = bytes->len - at < piece ? bytes->len - at : piece;
    char *copy = malloc(len);
    assert_non_null(copy);
    memcpy(copy, bytes->data + at, len);
    rmq_connection_input(w->connection, copy, len, w->now);
    free(copy);
    must_hold(w);
  }
}

__attribute__((format(printf, 4, 5))) static void
method(struct fake_bytes *out, unsigned channel, const char *name,
       const char *format, ...) {
  struct fake_bytes payload = {0};
  char fields[300];
  va_list ap;
  va_start(ap, format);
  vsnprintf(fields, sizeof(fields), format, ap);
  va_end(ap);
  fake_method_encode(&payload, name, fields);
  fake_frame_encode(out, FAKE_FRAME_METHOD, channel, payload.data, payload.len);
  fake_bytes_fini(&payload);
}

static void header(struct fake_bytes *out, uint64_t size, const char *props) {
  struct fake_bytes payload = {0};
  fake_bytes_put_uint(&payload, (uint64_t)60 << 16, 4);
  fake_bytes_put_uint(&payload, size, 8);
  fake_props_encode(&payload, props);
  fake_frame_encode(out, FAKE_FRAME_HEADER, 1, payload.data, payload.len);
  fake_bytes_fini(&payload);
}

static void body(struct fake_bytes *out, size_t size) {
  static const char zeros[2000];
  fake_frame_encode(out, FAKE_FRAME_BODY, 1, zeros,
                    size < sizeof(zeros) ? size : sizeof(zeros));
}

/* A whole content mostly, sometimes with its parts at odds. */
static void content(struct prop *p, struct fake_bytes *out, const char *props) {
  size_t size = prop_chance(p, 80) ? prop_below(p, 40) : prop_below(p, 2000);
  uint64_t announced = prop_chance(p, 95) ? size : any_number(p);
  if (prop_chance(p, 97))
    header(out, announced, props);
  if (size > 0 && prop_chance(p, 97))
    body(out, size);
}

static void deliver(struct world *w, struct fake_bytes *out) {
  struct prop *p = w->prop;
  /* The next tag mostly: others end the connection at once. */
  uint64_t tag = prop_chance(p, 95) ? ++w->next_tag : any_number(p);
  method(out, 1, "basic.deliver",
         "consumer-tag=w delivery-tag=%" PRIu64 " redelivered=%d", tag,
         (int)prop_below(p, 2));
  content(p, out, "message-id=c headers={x-delivery-count=l:2}");
}

static void give_back(struct world *w, struct fake_bytes *out) {
  char id[RMQ_MESSAGE_ID_SIZE], props[RMQ_MESSAGE_ID_SIZE + 20];
  rmq_uuid_message_id(rmq_uuid_from_bits(1, 2),
                      1 + prop_below(w->prop, w->accepted + 2), id);
  snprintf(props, sizeof(props), "message-id='%s'", id);
  method(out, 1, "basic.return", "reply-code=312");
  content(w->prop, out, props);
}

static void confirm(struct world *w, struct fake_bytes *out) {
  struct prop *p = w->prop;
  const char *name = prop_chance(p, 75) ? "basic.ack" : "basic.nack";
  method(out, 1, name, "delivery-tag=%" PRIu64 " multiple=%d", any_number(p),
         (int)prop_below(p, 2));
}

static const struct {
  unsigned channel;
  const char *name, *fields;
} RARE[] = {
    {0, "connection.blocked", "reason=memory"},
    {0, "connection.unblocked", ""},
    {0, "connection.close", "reply-code=320 reply-text=x"},
    {0, "connection.close-ok", ""},
    {0, "connection.tune", "frame-max=4096"},
    {1, "channel.close", "reply-code=404 class-id=60 method-id=40"},
    {1, "channel.close", "reply-code=406 class-id=50 method-id=10"},
    {1, "channel.close-ok", ""},
    {1, "channel.open-ok", ""},
    {1, "channel.flow", "active=0"},
    {1, "basic.cancel", "consumer-tag=w no-wait=1"},
    {1, "basic.cancel", "consumer-tag=z"},
    {1, "basic.cancel-ok", "consumer-tag=w"},
    {1, "queue.declare-ok", "queue=q"},
    {1, "confirm.select-ok", ""},
    {1, "basic.qos-ok", ""},
    {1, "basic.consume-ok", "consumer-tag=w"},
};

/* What an honest broker answers to login and set-up. */
static void open_up(struct fake_bytes *out) {
  method(out, 0, "connection.start", "version-minor=9 mechanisms=PLAIN");
  method(out, 0, "connection.tune", "frame-max=131072 heartbeat=60");
  method(out, 0, "connection.open-ok", "%s", "");
}

static void set_up_channel(struct fake_bytes *out) {
  method(out, 1, "channel.open-ok", "%s", "");
  method(out, 1, "queue.declare-ok", "queue=q");
  method(out, 1, "confirm.select-ok", "%s", "");
  method(out, 1, "basic.qos-ok", "%s", "");
  method(out, 1, "basic.consume-ok", "consumer-tag=w");
}

static void any_frames(struct world *w, struct fake_bytes *out) {
  size_t what = prop_below(w->prop, 100);
  if (what < 35) {
    confirm(w, out);
  } else if (what < 60) {
    deliver(w, out);
  } else if (what < 75) {
    give_back(w, out);
  } else if (what < 80) {
    fake_frame_encode(out, FAKE_FRAME_HEARTBEAT, 0, "", 0);
  } else if (what < 83) {
    content(w->prop, out, "");
  } else if (what < 90) {
    size_t i = prop_below(w->prop, COUNT_OF(RARE));
    method(out, RARE[i].channel, RARE[i].name, "%s", RARE[i].fields);
  }
}

/* ---- events ---- */

static void answer_state(struct world *w, struct fake_bytes *out) {
  struct rmq_connection *c = w->connection;
  if (rmq_connection_state(c) == RMQ_SESSION_CONNECTING) {
    rmq_connection_link_up(c, w->now);
    open_up(out);
    set_up_channel(out);
  } else if (rmq_connection_state(c) == RMQ_SESSION_OPENING) {
    set_up_channel(out);
  }
}

static void let_time_pass(struct world *w) {
  struct rmq_mono due = rmq_publisher_step(w->publisher, w->now);
  due = rmq_mono_min(due, rmq_consumer_step(w->consumer, w->now));
  due = rmq_mono_min(due, rmq_connection_next_deadline(w->connection));
  if (rmq_mono_is_never(due))
    return;
  if (!rmq_mono_reached(w->now, due))
    w->now = due;
  /* Giving up, then trying the next host at once: two ticks, not more. */
  rmq_connection_tick(w->connection, w->now);
  if (rmq_mono_reached(w->now, rmq_connection_next_deadline(w->connection)))
    rmq_connection_tick(w->connection, w->now);
  assert_false(
      rmq_mono_reached(w->now, rmq_connection_next_deadline(w->connection)));
}

static void work(struct world *w) {
  struct prop *p = w->prop;
  if (prop_chance(p, 50)) {
    struct rmq_message *m = rmq_message_new("k", "body", 4);
    assert_non_null(m);
    m->content_type = "text/collectd";
    m->values = 1;
    m->seq = ++w->accepted;
    rmq_publisher_accept(w->publisher, m, NULL);
  } else if (w->open_count > 0) {
    size_t i = prop_below(p, w->open_count);
    uint64_t serial = w->open[i];
    w->open[i] = w->open[--w->open_count];
    rmq_consumer_settle(w->consumer, serial, (enum rmq_settle)prop_below(p, 5),
                        w->now);
  }
}

static void event(struct world *w) {
  struct fake_bytes out = {0};
  struct prop *p = w->prop;
  answer_state(w, &out);
  if (prop_chance(p, 60))
    any_frames(w, &out);
  feed(w, &out);
  fake_bytes_fini(&out);
  if (prop_chance(p, 60))
    work(w);
  turn(w);
  if (prop_chance(p, 90)) /* else the socket is full for a while */
    rmq_buf_clear(rmq_connection_output(w->connection));
  if (prop_chance(p, 15) ||
      rmq_connection_state(w->connection) == RMQ_SESSION_WAITING)
    let_time_pass(w);
}

static size_t readies, confirms, deliveries;

static void sequence(struct prop *p) {
  struct world w;
  struct rmq_publisher_snapshot s;
  begin(&w, p);
  for (int i = 0; i < FRAMES; i++)
    event(&w);
  assert_int_not_equal(rmq_connection_state(w.connection), RMQ_SESSION_STOPPED);
  rmq_publisher_snapshot(w.publisher, false, &s);
  confirms += s.counters.confirmed;
  deliveries += rmq_consumer_counters(w.consumer).delivered;
  readies += rmq_connection_opened_count(w.connection);
  end(&w);
}

static void well_formed_frames_in_any_order_are_survived(void **state) {
  (void)state;
  prop_run(SEQUENCES, sequence);
  size_t rounds = property_rounds(SEQUENCES);
  /* The sequences went where the interesting states are. */
  printf("# %zu logins, %zu confirmed, %zu deliveries\n", readies, confirms,
         deliveries);
  if (getenv("PROP_SEED") == NULL)
    assert_true(readies > rounds && confirms > 10 * rounds &&
                deliveries > 10 * rounds);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(well_formed_frames_in_any_order_are_survived),
  };
  return run_all(tests);
}
