/* SPDX-License-Identifier: MIT */
/* The connection machine against brokers that break the protocol, by malice or
 * because bytes were damaged on the way: deadlines hold, memory stays bounded,
 * the link is given up with a reason, and the next attempt works. */
#include "rmq_config.h"

#include "tests/testing.h"

#include <malloc.h>
#include <string.h>

#include "tests/fake/rig.h"

static const struct rmq_wire_queue QUEUE = {.name = "q", .is_durable = true};

static void script_channel(struct fake_broker *b) {
  fake_script_channel(b);
  fake_rpc(b, "queue.declare", "queue=q", "queue=q");
  fake_script_confirm(b);
  fake_rpc(b, "basic.qos", "", "");
  fake_rpc(b, "basic.consume", "", "consumer-tag=w");
}

/* Publishes and consumes on one channel, as the probe will. */
static struct fake_broker *honest(struct fake_rig *r) {
  struct fake_broker *b = fake_rig_next_broker(r);
  r->config.queue = &QUEUE;
  r->config.wants_confirms = true;
  r->config.prefetch = 10;
  r->config.consumer_tag = "w";
  fake_script_login(b, NULL);
  script_channel(b);
  return b;
}

static struct fake_rig *rig(void **state) {
  return fake_rig_new(*(const enum fake_split *)*state, 11);
}

/* The link was given up for `reason`, and an honest broker is accepted. */
static void must_recover(struct fake_rig *r, const char *reason) {
  fake_rig_must_be(r, RMQ_SESSION_WAITING);
  fake_rig_must_say(r, reason);
  fake_rig_advance(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  assert_int_equal(r->links_count, 2);
}

/* ---- instead of connection.start ---- */

static void nonsense_instead_of_connection_start(void **state) {
  static const struct {
    const char *name, *bytes;
    size_t len;
    const char *want;
  } rows[] = {
      {"badver", "AMQP\0\0\x09\x02", 8, "refused the protocol version"},
      {"http", "HTTP/1.1 400 Bad Request\r\n\r\n", 28, "HTTP server"},
      {"tls alert", "\x15\x03\x01\0\x02\x02\x46", 7, "TLS server"},
      {"ssh", "SSH-2.0-OpenSSH_9.2\r\n", 21, "unknown type 83"},
      {"badend", "\1\0\0\0\0\0\4\0\x0a\0\x0a\0", 12, "0xCE"},
      {"undersized method", "\1\0\0\0\0\0\3\0\x0a\0\xce", 11,
       "method frame of 3 bytes"},
      {"undersized header", "\2\0\0\0\0\0\3abc\xce", 11,
       "content header of 3 bytes"},
      {"oversized", "\1\0\0\x7f\xff\xff\xf0xxxxxxxx", 15, "exceeds frame-max"},
      {"largest size", "\1\0\0\xff\xff\xff\xff", 7, "exceeds frame-max"},
      {"junktype", "\x09\0\1\0\0\0\4xxxx\xce", 12, "unknown type 9"},
      {"type 0", "\0\0\0\0\0\0\0\xce", 8, "unknown type 0"},
      {"channel", "\1\0\2\0\0\0\4\0\x0a\0\x0a\xce", 12, "on channel 2"},
      {"empty start", "\1\0\0\0\0\0\4\0\x0a\0\x0a\xce", 12,
       "connection.start with a malformed table"},
      {"body", "\3\0\0\0\0\0\1x\xce", 9, "body frame out of place"},
      {"heartbeat on a channel", "\x08\0\1\0\0\0\0\xce", 8,
       "heartbeat on channel 1"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fake_rig *r = rig(state);
    struct fake_broker *b = fake_rig_next_broker(r);
    SHOW_ROW("%s", rows[i].name);
    fake_expect_protocol(b);
    fake_send_raw(b, rows[i].bytes, rows[i].len);
    fake_expect_eof(b);
    honest(r);
    fake_rig_start(r);
    must_recover(r, rows[i].want);
    fake_rig_free(r);
  }
}

static void close_instead_of_connection_start(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = fake_rig_next_broker(r);
  fake_expect_protocol(b);
  fake_close(b);
  honest(r);
  fake_rig_start(r);
  must_recover(r, "end of file");
  fake_rig_free(r);
}

/* ---- during the login ---- */

static void nonsense_during_the_login(void **state) {
  static const struct {
    int steps;
    const char *name, *fields, *want;
  } rows[] = {
      {3, "connection.tune", "frame-max=100", "frame-max is below 4096"},
      {3, "connection.tune", "frame-max=4095", "frame-max is below 4096"},
      {3, "connection.start", "version-minor=9 mechanisms=PLAIN",
       "unexpected connection.start"},
      {1, "connection.start", "version-minor=8 mechanisms=PLAIN",
       "does not speak AMQP 0-9"},
      {1, "connection.start", "version-major=1 version-minor=9",
       "does not speak AMQP 0-9"},
      {1, "connection.tune", "frame-max=131072", "unexpected connection.tune"},
      {1, "connection.open-ok", "", "unexpected connection.open-ok"},
      {3, "connection.open-ok", "", "unexpected connection.open-ok"},
      {3, "connection.secure", "challenge=x", "unexpected connection.secure"},
      {6, "connection.tune", "frame-max=131072", "unexpected connection.tune"},
      {6, "connection.start", "version-minor=9 mechanisms=PLAIN",
       "unexpected connection.start"},
      {6, "connection.blocked", "reason=x", "unexpected connection.blocked"},
      {6, "connection.close-ok", "", "unexpected connection.close-ok"},
      {6, "channel.open-ok", "", "a channel's method during login"},
      {3, "basic.ack", "delivery-tag=1", "a channel's method during login"},
      {1, "connection.start",
       "version-minor=9 mechanisms=PLAIN "
       "server-properties={a=F:{a=F:{a=F:{a=F:{a=F:{a=F:{a=F:{a=F:{a=F:{a=F:"
       "{a=F:{a=F:{a=F:{a=F:{a=F:{a=F:{a=F:{a=F:{a=F:{a=F:{a=F:{a=F:{a=F:{a="
       "F:{a=F:{a=F:{a=F:{a=F:{a=F:{a=F:{a=F:{a=F:{}}}}}}}}}}}}}}}}}}}}}}}}}"
       "}}}}}}}}",
       "malformed table"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fake_rig *r = rig(state);
    struct fake_broker *b = fake_rig_next_broker(r);
    SHOW_ROW("%s at step %d: %.60s", rows[i].name, rows[i].steps,
             rows[i].fields);
    fake_script_login_part(b, rows[i].steps, NULL);
    fake_send(b, rows[i].name, "%s", rows[i].fields);
    fake_silence(b);
    honest(r);
    fake_rig_start(r);
    must_recover(r, rows[i].want);
    fake_rig_free(r);
  }
}

/* One byte per second never lets a login last longer than one answer may. */
static void dripping_login_ends_at_the_deadline(void **state) {
  struct fake_rig *r = rig(state);
  uint8_t start[600];
  const uint8_t *bytes;
  size_t len = 0, n;
  struct fake_broker *b = fake_broker_new(FAKE_WHOLE, 1);
  fake_script_login_part(b, 2, NULL);
  fake_broker_input(b, "AMQP\0\0\x09\x01", 8);
  while (fake_broker_output(b, &bytes, &n)) {
    memcpy(start + len, bytes, n);
    len += n;
  }
  fake_broker_free(b);
  fake_rig_start(r);
  rmq_connection_link_up(r->connection, r->now);
  rmq_buf_clear(rmq_connection_output(r->connection));
  size_t i = 0;
  for (; fake_rig_state(r) == RMQ_SESSION_LOGIN && i < len; i++) {
    r->now = rmq_mono_add(r->now, rmq_s(1));
    rmq_connection_input(r->connection, (const char *)&start[i], 1, r->now);
    rmq_connection_tick(r->connection, r->now);
  }
  assert_int_equal(i, 10);
  fake_rig_must_be(r, RMQ_SESSION_WAITING);
  fake_rig_must_say(r, "no answer within 10 s while logging in");
  fake_rig_free(r);
}

/* Bytes that keep flowing are no answer. */
static void heartbeats_do_not_prolong_a_login(void **state) {
  struct fake_rig *r = rig(state);
  fake_rig_start(r);
  rmq_connection_link_up(r->connection, r->now);
  rmq_buf_clear(rmq_connection_output(r->connection));
  int i = 0;
  for (; fake_rig_state(r) == RMQ_SESSION_LOGIN && i < 100; i++) {
    r->now = rmq_mono_add(r->now, rmq_s(1));
    rmq_connection_input(r->connection, "\x08\0\0\0\0\0\0\xce", 8, r->now);
    rmq_connection_tick(r->connection, r->now);
  }
  assert_int_equal(i, 10);
  fake_rig_must_be(r, RMQ_SESSION_WAITING);
  fake_rig_free(r);
}

/* ---- once the channel is open ---- */

static void nonsense_on_an_open_channel(void **state) {
  static const struct {
    unsigned channel;
    const char *name, *fields, *want;
  } rows[] = {
      {1, "channel.open-ok", "", "unexpected channel.open-ok"},
      {1, "channel.close-ok", "", "unexpected channel.close-ok"},
      {1, "queue.declare-ok", "queue=q", "unexpected queue.declare-ok"},
      {1, "confirm.select-ok", "", "unexpected confirm.select-ok"},
      {1, "basic.cancel-ok", "consumer-tag=w", "unexpected basic.cancel-ok"},
      {1, "basic.get-empty", "", "unexpected method 60.72"},
      {1, "basic.publish", "", "unexpected method 60.40"},
      {0, "basic.ack", "delivery-tag=1", "unexpected basic.ack"},
      {0, "channel.close", "", "unexpected channel.close"},
      {0, "connection.start", "version-minor=9", "unexpected connection.start"},
      {0, "connection.tune", "", "unexpected connection.tune"},
      {0, "connection.open-ok", "", "unexpected connection.open-ok"},
      {0, "connection.close-ok", "", "protocol error: closed while ready"},
      {1, "connection.close", "reply-code=320", "unexpected connection.close"},
      {1, "connection.blocked", "reason=x", "unexpected connection.blocked"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fake_rig *r = rig(state);
    struct fake_broker *b = honest(r);
    struct fake_bytes payload = {0};
    SHOW_ROW("%s on channel %u", rows[i].name, rows[i].channel);
    fake_method_encode(&payload, rows[i].name, rows[i].fields);
    fake_send_frame(b, FAKE_FRAME_METHOD, rows[i].channel, payload.data,
                    payload.len);
    fake_bytes_fini(&payload);
    fake_silence(b);
    honest(r);
    fake_rig_start(r);
    must_recover(r, rows[i].want);
    assert_int_equal(r->losts, 1);
    assert_int_equal(r->readies, 2);
    fake_rig_free(r);
  }
}

/* A delivery that nobody hears of would stay unacked, and the next multiple ack
 * would cover it. */
static void delivery_before_the_subscription_is_no_delivery(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = fake_rig_next_broker(r);
  r->config.queue = &QUEUE;
  r->config.wants_confirms = true;
  r->config.prefetch = 10;
  r->config.consumer_tag = "w";
  fake_script_login(b, NULL);
  fake_script_channel(b);
  fake_rpc(b, "queue.declare", "queue=q", "queue=q");
  fake_script_confirm(b);
  fake_rpc(b, "basic.qos", "", "");
  fake_expect(b, "basic.consume");
  fake_send_deliver(b, .fields = "consumer-tag=w delivery-tag=1", .body = "b");
  fake_send(b, "basic.consume-ok", "consumer-tag=w");
  fake_silence(b);
  honest(r);
  fake_rig_start(r);
  must_recover(r, "unexpected basic.deliver");
  assert_int_equal(r->deliveries, 0);
  fake_rig_free(r);
}

static void frames_that_break_a_rule(void **state) {
#define DELIVER "\1\0\1\0\0\0\x11\0\x3c\0\x3c\1w\0\0\0\0\0\0\0\1\0\0\0\xce"
#define DELIVER_SIZE 25
  static const struct {
    const char *name, *bytes;
    size_t len;
    const char *want;
  } rows[] = {
      {"arguments cut off", "\1\0\1\0\0\0\5\0\x3c\0\x50\0\xce", 13,
       "malformed basic.ack"},
      {"header out of place",
       "\2\0\1\0\0\0\x0e\0\x3c\0\0\0\0\0\0\0\0\0\1\0\0\xce", 22,
       "content header out of place"},
      {"body out of place", "\3\0\1\0\0\0\1x\xce", 9,
       "body frame out of place"},
      {"method inside content", DELIVER DELIVER, 2 * DELIVER_SIZE,
       "method in the middle of a content"},
      {"body before its header", DELIVER "\3\0\1\0\0\0\1x\xce",
       DELIVER_SIZE + 9, "body frame out of place"},
      {"undersized header", DELIVER "\2\0\1\0\0\0\3abc\xce", DELIVER_SIZE + 11,
       "content header of 3 bytes"},
      {"header of class 61",
       DELIVER "\2\0\1\0\0\0\x0e\0\x3d\0\0\0\0\0\0\0\0\0\1\0\0\xce",
       DELIVER_SIZE + 22, "content header of class 61"},
      {"header on channel 0",
       DELIVER "\2\0\0\0\0\0\x0e\0\x3c\0\0\0\0\0\0\0\0\0\1\0\0\xce",
       DELIVER_SIZE + 22, "content header out of place"},
      {"more body than announced",
       DELIVER "\2\0\1\0\0\0\x0e\0\x3c\0\0\0\0\0\0\0\0\0\1\0\0\xce"
               "\3\0\1\0\0\0\2xy\xce",
       DELIVER_SIZE + 22 + 10, "body frame out of place"},
      {"body on channel 0",
       DELIVER "\2\0\1\0\0\0\x0e\0\x3c\0\0\0\0\0\0\0\0\0\1\0\0\xce"
               "\3\0\0\0\0\0\1x\xce",
       DELIVER_SIZE + 22 + 9, "body frame out of place"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fake_rig *r = rig(state);
    struct fake_broker *b = honest(r);
    SHOW_ROW("%s", rows[i].name);
    fake_send_raw(b, rows[i].bytes, rows[i].len);
    fake_silence(b);
    honest(r);
    fake_rig_start(r);
    must_recover(r, rows[i].want);
    assert_int_equal(r->deliveries, 0);
    fake_rig_free(r);
  }
}

/* Not a fault, or one that costs nothing. */
static void oddities_that_leave_the_channel_open(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = honest(r);
  fake_send(b, "basic.cancel", "consumer-tag=somebody-else");
  fake_send(b, "connection.unblocked");
  fake_send(b, "connection.blocked", "reason=twice");
  fake_send(b, "connection.blocked", "reason=twice");
  fake_send(b, "connection.unblocked");
  fake_send(b, "channel.flow", "active=0");
  fake_expect(b, "channel.flow-ok", "active=0");
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  assert_int_equal(r->losts, 0);
  fake_rig_free(r);
}

static void wild_confirms_only_reach_the_handler(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = honest(r);
  fake_send(b, "basic.ack", "delivery-tag=9223372036854775808 multiple=1");
  fake_send(b, "basic.ack", "delivery-tag=0");
  fake_send(b, "basic.nack", "delivery-tag=777");
  fake_send(b, "basic.ack", "delivery-tag=1");
  fake_repeat(b, 2);
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_must_say(r, "ack 1/9223372036854775808 multiple\nack 1/0\n"
                       "nack 1/777\nack 1/1\nack 1/1\n");
  fake_rig_free(r);
}

/* ---- messages that a plain publisher can send through an honest broker ----
 */

static char *nested(char kind, int depth) {
  struct fake_bytes text = {0};
  fake_bytes_printf(&text, "headers={");
  for (int i = 1; i < depth; i++)
    fake_bytes_printf(&text,
                      kind == 'F' ? "a=F:{" : (i == 1 ? "a=A:[" : "A:["));
  for (int i = 1; i < depth; i++)
    fake_bytes_printf(&text, kind == 'F' ? "}" : "]");
  fake_bytes_printf(&text, "}");
  fake_bytes_text(&text);
  return (char *)text.data;
}

static void deep_headers_cost_the_message_not_the_connection(void **state) {
  static const struct {
    char kind;
    int depth;
    bool want_malformed;
  } rows[] = {{'F', 32, false}, {'F', 33, true}, {'F', 400, true},
              {'A', 32, false}, {'A', 33, true}, {'A', 600, true}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fake_rig *r = rig(state);
    struct fake_broker *b = honest(r);
    char *props = nested(rows[i].kind, rows[i].depth);
    SHOW_ROW("%d levels of %c", rows[i].depth, rows[i].kind);
    fake_send_deliver(b, .fields = "consumer-tag=w delivery-tag=1",
                      .props = props, .body = "b");
    fake_send_deliver(b, .fields = "consumer-tag=w delivery-tag=2",
                      .props = "message-id=next", .body = "b");
    fake_expect(b, "basic.reject", "delivery-tag=1");
    fake_rig_start(r);
    assert_int_equal(r->deliveries, 2);
    fake_rig_must_say(r, rows[i].want_malformed
                             ? "delivered 1/1 malformed id= 1 bytes: b"
                             : "delivered 1/1 id= 1 bytes: b");
    fake_rig_must_say(r, "delivered 1/2 id=next 1 bytes: b");
    rmq_connection_reject(r->connection, 1, false);
    fake_rig_run(r);
    fake_rig_must_be(r, RMQ_SESSION_READY);
    fake_rig_free(r);
    free(props);
  }
}

static void
damaged_properties_cost_the_message_not_the_connection(void **state) {
  static const struct {
    const char *name, *props;
    size_t len;
  } rows[] = {
      {"unknown flag", "\0\2", 2},
      {"continuation flag", "\0\1", 2},
      {"string cut off", "\x80\0\5ab", 5},
      {"table cut off", "\x20\0\0\0\0\xff", 6},
      {"value of unknown type", "\x20\0\0\0\0\4\1aZ1", 10},
      {"string in a table cut off", "\x20\0\0\0\0\7\1aS\0\0\0\x09", 13},
      {"timestamp cut off", "\0\x40\0\0", 4},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fake_rig *r = rig(state);
    struct fake_broker *b = honest(r);
    struct fake_bytes header = {0};
    SHOW_ROW("%s", rows[i].name);
    fake_send(b, "basic.deliver", "consumer-tag=w delivery-tag=1");
    fake_bytes_put(&header, "\0\x3c\0\0\0\0\0\0\0\0\0\1", 12);
    fake_bytes_put(&header, rows[i].props, rows[i].len);
    fake_send_frame(b, FAKE_FRAME_HEADER, 1, header.data, header.len);
    fake_send_frame(b, FAKE_FRAME_BODY, 1, "b", 1);
    fake_send_deliver(b, .fields = "consumer-tag=w delivery-tag=2",
                      .props = "message-id=next", .body = "b");
    fake_rig_start(r);
    fake_rig_must_say(r, "delivered 1/1 malformed id= 1 bytes: b");
    fake_rig_must_say(r, "delivered 1/2 id=next");
    fake_bytes_fini(&header);
    fake_rig_free(r);
  }
}

/* A stream's offset that is not seen is a message that is lost. */
static void many_headers_do_not_hide_what_the_broker_says(void **state) {
  static const char *const names[] = {"a", "traceparent", "x-stream-offset"};
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    struct fake_rig *r = rig(state);
    struct fake_broker *b = honest(r);
    struct fake_bytes props = {0};
    SHOW_ROW("%s", names[i]);
    fake_bytes_printf(&props, "headers={");
    for (int j = 0; j < 50; j++)
      fake_bytes_printf(&props, "%s=S:first,", names[i]);
    fake_bytes_printf(&props, "z=S:z,timestamp_in_ms=l:1700000000123,"
                              "traceparent=S:last,x-delivery-count=l:3,"
                              "x-stream-offset=l:70}");
    r->config.keeps_properties = true;
    fake_send_deliver(b, .fields = "consumer-tag=w delivery-tag=1",
                      .props = fake_bytes_text(&props), .body = "b");
    fake_rig_start(r);
    const struct rmq_delivery *d = &r->last_delivery;
    assert_int_equal(d->timestamp_ms, 1700000000123);
    assert_int_equal(d->delivery_count, 3);
    assert_int_equal(d->stream_offset, i == 2 ? -1 : 70);
    assert_string_equal(d->traceparent, i == 1 ? "first" : "last");
    assert_int_equal(d->kept->headers_count, i == 0 ? 36 : 35);
    assert_true(d->kept->is_cut);
    fake_bytes_fini(&props);
    fake_rig_free(r);
  }
}

static void wire_texts_longer_than_their_place_are_cut(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = honest(r);
  struct fake_bytes props = {0};
  char name[256];
  memset(name, 'n', 255);
  name[255] = '\0';
  fake_bytes_printf(&props,
                    "message-id=%s content-type=%s content-encoding=%s "
                    "headers={traceparent=S:%s%s,timestamp_in_ms=S:soon,"
                    "x-delivery-count=F:{}}",
                    name, name, name, name, name);
  fake_send_deliver(b, .fields = "consumer-tag=w delivery-tag=1",
                    .exchange = name, .routing_key = name,
                    .props = fake_bytes_text(&props), .body = "b");
  fake_rig_start(r);
  assert_string_equal(r->last_delivery.message_id, name);
  assert_string_equal(r->last_delivery.exchange, name);
  assert_string_equal(r->last_delivery.routing_key, name);
  assert_int_equal(strlen(r->last_delivery.traceparent), 63);
  assert_false(r->last_delivery.has_timestamp);
  assert_int_equal(r->last_delivery.delivery_count, -1);
  fake_bytes_fini(&props);
  fake_rig_free(r);
}

/* ---- bounds ---- */

/* Bytes allocated; 0 where the allocator does not tell (sanitizers). */
static size_t allocated(void) {
  struct mallinfo2 m = mallinfo2();
  return m.uordblks + m.hblkhd;
}

/* Feeds `frame` count times straight into the machine and returns by how much
 * its memory grew. */
static size_t flood(struct fake_rig *r, const void *frame, size_t len,
                    size_t count) {
  size_t before = allocated();
  for (size_t i = 0; i < count; i++)
    rmq_connection_input(r->connection, frame, len, r->now);
  size_t after = allocated();
  return after > before ? after - before : 0;
}

static struct fake_rig *ready(void **state) {
  struct fake_rig *r = rig(state);
  honest(r);
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  return r;
}

static void body_of_a_terabyte_takes_no_memory(void **state) {
  static const uint64_t sizes[] = {UINT64_C(1) << 40, UINT64_C(1) << 63,
                                   UINT64_MAX};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    struct fake_rig *r = ready(state);
    struct fake_bytes bytes = {0}, header = {0};
    static const char body[100000];
    struct fake_content c = {.announced = sizes[i]};
    fake_bytes_put_uint(&header, 60, 4);
    header.data[0] = 0, header.data[1] = 60, header.data[3] = 0;
    fake_bytes_put_uint(&header, c.announced, 8);
    fake_bytes_put_uint(&header, 0, 2);
    rmq_connection_input(r->connection, DELIVER, DELIVER_SIZE, r->now);
    fake_frame_encode(&bytes, FAKE_FRAME_HEADER, 1, header.data, header.len);
    rmq_connection_input(r->connection, (const char *)bytes.data, bytes.len,
                         r->now);
    bytes.len = 0;
    fake_frame_encode(&bytes, FAKE_FRAME_BODY, 1, body, sizeof(body));
    size_t grown = flood(r, bytes.data, bytes.len, 1000); /* 100 MB */
    assert_true(grown < 1 << 20);
    fake_rig_must_be(r, RMQ_SESSION_READY);
    assert_int_equal(r->deliveries, 0);
    fake_bytes_fini(&bytes);
    fake_bytes_fini(&header);
    fake_rig_free(r);
  }
}

static void floods_do_not_fill_the_memory(void **state) {
  static const struct {
    const char *name, *frame;
    size_t len;
    bool want_ready; /* afterwards */
  } rows[] = {
      {"heartbeats", "\x08\0\0\0\0\0\0\xce", 8, true},
      {"junktype", "\x09\0\1\0\0\0\4xxxx\xce", 12, false},
      {"chanflood", "\3\xea\x60\0\0\0\4xxxx\xce", 12, false},
      {"flow that nobody's answer is read to",
       "\1\0\1\0\0\0\5\0\x14\0\x14\1\xce", 13, false},
      {"acks", "\1\0\1\0\0\0\x0d\0\x3c\0\x50\0\0\0\0\0\0\0\1\0\xce", 21, true},
      {"unblocked", "\1\0\0\0\0\0\4\0\x0a\0\x3d\xce", 12, true},
      {"cancels of others", "\1\0\1\0\0\0\7\0\x3c\0\x1e\1z\0\xce", 15, true},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fake_rig *r = ready(state);
    SHOW_ROW("%s", rows[i].name);
    /* The rig's own record of events is not the machine's memory. */
    size_t record = r->events.cap;
    size_t grown = flood(r, rows[i].frame, rows[i].len, 200000);
    record = r->events.cap - record;
    assert_true(grown < (1 << 20) + record);
    assert_true(rmq_connection_output(r->connection)->len < 1 << 20);
    assert_int_equal(fake_rig_state(r) == RMQ_SESSION_READY,
                     rows[i].want_ready);
    rmq_buf_clear(rmq_connection_output(r->connection));
    fake_rig_free(r);
  }
}

/* ---- damage ---- */

/* All that an honest broker says up to a delivery, in one piece. */
static struct fake_bytes recorded(void) {
  struct fake_bytes said = {0};
  struct fake_broker *b = fake_broker_new(FAKE_WHOLE, 1);
  const uint8_t *bytes;
  size_t len;
  fake_send(b, "connection.start",
            "version-minor=9 server-properties=%s mechanisms='PLAIN AMQPLAIN' "
            "locales=en_US",
            fake_server_properties);
  fake_send(b, "connection.tune",
            "channel-max=2047 frame-max=131072 heartbeat=60");
  fake_send(b, "connection.open-ok");
  fake_send(b, "channel.open-ok");
  fake_send(b, "queue.declare-ok", "queue=q");
  fake_send(b, "confirm.select-ok");
  fake_send(b, "basic.qos-ok");
  fake_send(b, "basic.consume-ok", "consumer-tag=w");
  fake_send_deliver(b, .fields = "consumer-tag=w delivery-tag=1",
                    .exchange = "x", .routing_key = "k",
                    .props = "message-id=c-1 timestamp=1700000000 "
                             "headers={timestamp_in_ms=l:1700000000123,"
                             "t=F:{a=A:[I:1,S:x]}}",
                    .body = "0123456789", .body_per_frame = 4);
  fake_send(b, "connection.blocked", "reason='low on memory'");
  fake_send(b, "connection.unblocked");
  fake_send(b, "basic.ack", "delivery-tag=1 multiple=1");
  fake_send_return(b, .fields = "reply-code=312 reply-text=NO_ROUTE",
                   .props = "message-id=m-1", .body = "x");
  fake_send(b, "channel.close",
            "reply-code=404 reply-text=NOT_FOUND class-id=60 method-id=40");
  while (fake_broker_output(b, &bytes, &len))
    fake_bytes_put(&said, bytes, len);
  fake_broker_free(b);
  return said;
}

/* Whatever arrives, the machine goes on: it is up, or it waits for its next
 * attempt, and no deadline makes it spin. */
static void must_live_on(void **state, const struct fake_bytes *bytes,
                         bool is_at_end) {
  struct fake_rig *r = rig(state);
  r->config.queue = &QUEUE;
  r->config.wants_confirms = true;
  r->config.prefetch = 10;
  r->config.consumer_tag = "w";
  fake_rig_start(r);
  rmq_connection_link_up(r->connection, r->now);
  /* Heap block of just this size: reading past its end is seen. */
  char *copy = malloc(bytes->len > 0 ? bytes->len : 1);
  assert_non_null(copy);
  memcpy(copy, bytes->data, bytes->len);
  size_t step = r->split == FAKE_BYTE_BY_BYTE ? 1 : bytes->len;
  for (size_t i = 0; step > 0 && i < bytes->len; i += step)
    rmq_connection_input(r->connection, copy + i, step, r->now);
  free(copy);
  assert_true(rmq_connection_output(r->connection)->len < 4096);
  rmq_buf_clear(rmq_connection_output(r->connection));
  if (is_at_end)
    rmq_connection_link_down(r->connection, "end of file", r->now);
  for (int i = 0; i < 20; i++) {
    struct rmq_mono due = rmq_connection_next_deadline(r->connection);
    if (rmq_mono_is_never(due))
      break;
    if (!rmq_mono_reached(r->now, due))
      r->now = due;
    rmq_connection_tick(r->connection, r->now);
    rmq_buf_clear(rmq_connection_output(r->connection));
    due = rmq_connection_next_deadline(r->connection);
    assert_false(rmq_mono_reached(r->now, due));
  }
  assert_int_not_equal(fake_rig_state(r), RMQ_SESSION_STOPPED);
  r->link_number = rmq_connection_link_wish(r->connection).number;
  fake_rig_free(r);
}

static void undamaged_record_comes_to_its_end(void **state) {
  struct fake_bytes bytes = recorded();
  struct fake_rig *r = rig(state);
  r->config.queue = &QUEUE;
  r->config.wants_confirms = true;
  r->config.prefetch = 10;
  r->config.consumer_tag = "w";
  fake_rig_start(r);
  rmq_connection_link_up(r->connection, r->now);
  rmq_connection_input(r->connection, (const char *)bytes.data, bytes.len,
                       r->now);
  fake_rig_must_be(r, RMQ_SESSION_REOPENING);
  assert_int_equal(r->deliveries, 1);
  assert_int_equal(r->returns, 1);
  assert_int_equal(r->acks, 1);
  fake_bytes_fini(&bytes);
  fake_rig_free(r);
}

static void every_flipped_bit_is_survived(void **state) {
  struct fake_bytes bytes = recorded();
  for (size_t bit = 0; bit < bytes.len * 8; bit += property_one_in()) {
    bytes.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    must_live_on(state, &bytes, false);
    bytes.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
  }
  fake_bytes_fini(&bytes);
}

static void cut_after_any_byte_is_survived(void **state) {
  struct fake_bytes bytes = recorded();
  for (; bytes.len > 0; bytes.len--)
    must_live_on(state, &bytes, true);
  fake_bytes_fini(&bytes);
}

static void every_frame_twice_or_left_out_is_survived(void **state) {
  struct fake_bytes all = recorded();
  for (size_t at = 0; at < all.len;) {
    size_t len =
        FAKE_FRAME_OVERHEAD + (size_t)all.data[at + 5] * 256 + all.data[at + 6];
    struct fake_bytes changed = {0};
    fake_bytes_put(&changed, all.data, at + len);
    fake_bytes_put(&changed, all.data + at, all.len - at);
    must_live_on(state, &changed, false);
    changed.len = at;
    fake_bytes_put(&changed, all.data + at + len, all.len - at - len);
    must_live_on(state, &changed, false);
    fake_bytes_fini(&changed);
    at += len;
  }
  fake_bytes_fini(&all);
}

static void random_damage_is_survived(void **state) {
  uint64_t seed = property_seed(20260726);
  struct fake_bytes bytes = recorded();
  uint64_t x = seed | 1;
  unsigned runs = property_rounds(2000);
  for (unsigned run = 0; run < runs; run++) {
    struct fake_bytes damaged = {0};
    fake_bytes_put(&damaged, bytes.data, bytes.len);
    for (int i = 0; i < 8; i++) {
      x ^= x << 13, x ^= x >> 7, x ^= x << 17;
      damaged.data[x % damaged.len] = (uint8_t)(x >> 40);
    }
    must_live_on(state, &damaged, run % 2 == 0);
    fake_bytes_fini(&damaged);
  }
  fake_bytes_fini(&bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      HOWEVER_SPLIT(nonsense_instead_of_connection_start),
      HOWEVER_SPLIT(close_instead_of_connection_start),
      HOWEVER_SPLIT(nonsense_during_the_login),
      WHOLE(dripping_login_ends_at_the_deadline),
      WHOLE(heartbeats_do_not_prolong_a_login),
      HOWEVER_SPLIT(nonsense_on_an_open_channel),
      HOWEVER_SPLIT(delivery_before_the_subscription_is_no_delivery),
      HOWEVER_SPLIT(frames_that_break_a_rule),
      HOWEVER_SPLIT(oddities_that_leave_the_channel_open),
      HOWEVER_SPLIT(wild_confirms_only_reach_the_handler),
      HOWEVER_SPLIT(deep_headers_cost_the_message_not_the_connection),
      HOWEVER_SPLIT(damaged_properties_cost_the_message_not_the_connection),
      HOWEVER_SPLIT(many_headers_do_not_hide_what_the_broker_says),
      HOWEVER_SPLIT(wire_texts_longer_than_their_place_are_cut),
      WHOLE(body_of_a_terabyte_takes_no_memory),
      WHOLE(floods_do_not_fill_the_memory),
      WHOLE(undamaged_record_comes_to_its_end),
      WHOLE(every_flipped_bit_is_survived),
      BYTE_BY_BYTE(every_flipped_bit_is_survived),
      WHOLE(cut_after_any_byte_is_survived),
      BYTE_BY_BYTE(cut_after_any_byte_is_survived),
      WHOLE(every_frame_twice_or_left_out_is_survived),
      BYTE_BY_BYTE(every_frame_twice_or_left_out_is_survived),
      WHOLE(random_damage_is_survived),
      BYTE_BY_BYTE(random_damage_is_survived),
  };
  return run_all(tests);
}
