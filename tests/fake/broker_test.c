/* SPDX-License-Identifier: MIT */
/* The fake broker is tested against what RabbitMQ 3.10.8 and pika said to
 * each other (tests/fixtures/amqp), never against Warren's own encoder: a
 * fake that shares our mistakes would hide them. */
#include "rmq_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/fake/broker.h"
#include "tests/fake/capture.h"

static const char *const CAPTURES[] = {
    "blocked", "channel_errors", "consume",     "forced_close",
    "publish", "wrong_password", "wrong_vhost",
};
#define CAPTURES_COUNT (sizeof(CAPTURES) / sizeof(CAPTURES[0]))

#define TRACEPARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
#define PROPS(id)                                                              \
  "content-type=text/collectd delivery-mode=2 message-id=" id                  \
  " timestamp=1700000000 app-id=warren headers={"                              \
  "timestamp_in_ms=l:1700000000123,traceparent=S:" TRACEPARENT "}"
#define PIKA                                                                   \
  "{capabilities=F:{authentication_failure_close=t:1,basic.nack=t:1,"          \
  "connection.blocked=t:1,consumer_cancel_notify=t:1,"                         \
  "publisher_confirms=t:1}}"

static void must_equal(const char *what, const struct fake_bytes *got,
                       const struct fake_bytes *want) {
  struct fake_bytes text = {0};
  size_t at = 0;
  if (got->len == want->len &&
      (got->len == 0 || memcmp(got->data, want->data, got->len) == 0))
    return;
  while (at < got->len && at < want->len && got->data[at] == want->data[at])
    at++;
  fake_bytes_printf(&text, "%s: differs at %zu; got\n", what, at);
  fake_hex_dump(got->data, got->len, &text);
  fake_bytes_printf(&text, "  wanted\n");
  fake_hex_dump(want->data, want->len, &text);
  fake_tell(fake_bytes_text(&text));
  fake_bytes_fini(&text);
  fail();
}

/* ---- the codec ---- */

static void must_survive_text(const char *name, const uint8_t *frame,
                              size_t len) {
  struct fake_bytes text = {0}, again = {0};
  struct fake_bytes want = {(uint8_t *)(uintptr_t)frame + 7, len - 8, 0};
  const struct fake_signature *s;
  struct fake_fields fields;
  char why[200];
  if (frame[0] == FAKE_FRAME_METHOD) {
    if (fake_method_decode(want.data, want.len, &s, &fields, why) != 0)
      fail_msg("%s: %s", name, why);
    fake_fields_to_text(&fields, &text);
    fake_method_encode(&again, s->name, fake_bytes_text(&text));
  } else if (frame[0] == FAKE_FRAME_HEADER) {
    if (fake_props_decode(want.data + 12, want.len - 12, &fields, why) != 0)
      fail_msg("%s: %s", name, why);
    fake_fields_to_text(&fields, &text);
    fake_bytes_put(&again, want.data, 12);
    fake_props_encode(&again, fake_bytes_text(&text));
  } else {
    return;
  }
  must_equal(name, &again, &want);
  fake_bytes_fini(&text);
  fake_bytes_fini(&again);
}

static void captured_frames_read_as_text_and_back(void **state) {
  (void)state;
  for (size_t i = 0; i < CAPTURES_COUNT; i++) {
    struct fake_capture *c = fake_capture_new(CAPTURES[i]);
    assert_true(c->count > 3);
    for (size_t k = 1; k < c->count; k++)
      must_survive_text(c->name, c->frames[k].frame.data,
                        c->frames[k].frame.len);
    fake_capture_free(c);
  }
}

/* What capture.py asked pika to do, and what RabbitMQ is known to answer. */
static const struct {
  const char *capture;
  char who;
  size_t index;
  const char *name, *want_fields;
} METHODS[] = {
    {"publish", 'S', 1, "connection.tune",
     "channel-max=2047 frame-max=131072 heartbeat=60"},
    {"publish", 'C', 2, "connection.tune-ok",
     "channel-max=2047 frame-max=4096"},
    {"publish", 'C', 3, "connection.open", "virtual-host=/ insist=1"},
    {"publish", 'S', 2, "connection.open-ok", ""},
    {"publish", 'C', 4, "channel.open", ""},
    {"publish", 'S', 3, "channel.open-ok", ""},
    {"publish", 'C', 5, "exchange.declare",
     "exchange=warren.x type=topic durable=1"},
    {"publish", 'S', 4, "exchange.declare-ok", ""},
    {"publish", 'C', 6, "queue.declare",
     "queue=warren.q durable=1 arguments={x-max-length=I:1000,"
     "x-overflow=S:reject-publish,x-dead-letter-exchange=S:warren.dlx}"},
    {"publish", 'S', 5, "queue.declare-ok", "queue=warren.q"},
    {"publish", 'C', 7, "queue.bind",
     "queue=warren.q exchange=warren.x routing-key=host.#"},
    {"publish", 'S', 6, "queue.bind-ok", ""},
    {"publish", 'C', 8, "confirm.select", ""},
    {"publish", 'S', 7, "confirm.select-ok", ""},
    {"publish", 'C', 9, "basic.publish",
     "exchange=warren.x routing-key=host.cpu mandatory=1"},
    {"publish", 'S', 8, "basic.ack", "delivery-tag=1"},
    {"publish", 'S', 9, "basic.return",
     "reply-code=312 reply-text=NO_ROUTE exchange=warren.x "
     "routing-key=nowhere"},
    {"publish", 'S', 12, "basic.ack", "delivery-tag=2"},
    {"publish", 'S', 16, "basic.nack", "delivery-tag=5 multiple=1 requeue=1"},
    {"publish", 'S', 17, "channel.close",
     "reply-code=404 class-id=60 method-id=40 "
     "reply-text='NOT_FOUND - no exchange \\'warren.none\\' in vhost "
     "\\'/\\''"},
    {"channel_errors", 'C', 5, "queue.declare", "queue=warren.none passive=1"},
    {"channel_errors", 'S', 4, "channel.close",
     "reply-code=404 class-id=50 method-id=10 "
     "reply-text='NOT_FOUND - no queue \\'warren.none\\' in vhost \\'/\\''"},
    {"consume", 'C', 6, "queue.declare", "queue=warren.q durable=1"},
    {"consume", 'S', 7, "basic.consume-ok", "consumer-tag=warren"},
    {"consume", 'S', 8, "basic.deliver",
     "consumer-tag=warren delivery-tag=1 routing-key=warren.q"},
    {"blocked", 'S', 4, "connection.blocked", "reason='low on memory'"},
    {"blocked", 'S', 5, "connection.unblocked", ""},
    {"forced_close", 'S', 4, "connection.close",
     "reply-code=320 reply-text='CONNECTION_FORCED - drill'"},
    {"wrong_vhost", 'S', 2, "connection.close",
     "reply-code=530 class-id=10 method-id=40 "
     "reply-text='NOT_ALLOWED - vhost none not found'"},
};

static void texts_become_the_bytes_that_were_captured(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof(METHODS) / sizeof(METHODS[0]); i++) {
    struct fake_capture *c = fake_capture_new(METHODS[i].capture);
    /* Heartbeats are left out of the count: they come by the clock. */
    size_t left = METHODS[i].index;
    const struct fake_bytes *want = NULL;
    for (size_t k = 0; want == NULL && k < c->count; k++)
      if (c->frames[k].who == METHODS[i].who &&
          c->frames[k].frame.data[0] != FAKE_FRAME_HEARTBEAT && left-- == 0)
        want = &c->frames[k].frame;
    assert_non_null(want);
    struct fake_bytes got = {0}, payload = {0};
    fake_method_encode(&payload, METHODS[i].name, METHODS[i].want_fields);
    fake_frame_encode(&got, FAKE_FRAME_METHOD, want->data[2], payload.data,
                      payload.len);
    must_equal(METHODS[i].name, &got, want);
    fake_bytes_fini(&got);
    fake_bytes_fini(&payload);
    fake_capture_free(c);
  }
}

static void properties_become_the_bytes_that_were_captured(void **state) {
  (void)state;
  struct fake_capture *c = fake_capture_new("publish");
  struct fake_bytes got = {0}, payload = {0};
  fake_bytes_put_uint(&payload, 60, 2);
  fake_bytes_put_uint(&payload, 0, 2);
  fake_bytes_put_uint(&payload, 17, 8);
  fake_props_encode(&payload, PROPS("m-1"));
  fake_frame_encode(&got, FAKE_FRAME_HEADER, 1, payload.data, payload.len);
  must_equal("properties", &got, fake_capture_frame(c, 'C', 10));
  fake_bytes_fini(&got);
  fake_bytes_fini(&payload);
  fake_capture_free(c);
}

static void the_client_of_the_captures_breaks_no_rule(void **state) {
  (void)state;
  for (size_t i = 0; i < CAPTURES_COUNT; i++) {
    struct fake_capture *c = fake_capture_new(CAPTURES[i]);
    struct fake_intake in;
    fake_intake_init(&in);
    for (size_t k = 0; k < c->count; k++) {
      const struct fake_bytes *f = &c->frames[k].frame;
      if (c->frames[k].who == 'S') {
        if (f->data[0] == FAKE_FRAME_METHOD)
          fake_intake_sent(&in, f->data[2], f->data + 7, f->len - 8);
        continue;
      }
      fake_intake_put(&in, f->data, f->len);
      while (fake_intake_next(&in) == FAKE_INTAKE_UNIT)
        ;
      if (in.why[0] != '\0')
        fail_msg("%s: frame %zu: %s", c->name, k, in.why);
      assert_int_equal(in.in.len, 0);
    }
    fake_intake_fini(&in);
    fake_capture_free(c);
  }
}

/* ---- whole conversations ---- */

static const struct fake_login GUEST = {
    .capabilities = PIKA, .tune_ok = "channel-max=2047 frame-max=4096"};

static void script_publish(struct fake_broker *b) {
  char big[10000];
  memset(big, 'z', sizeof(big));
  fake_script_login(b, &GUEST);
  fake_script_channel(b);
  fake_rpc(b, "exchange.declare",
           "exchange=warren.x type=topic durable=1 passive=0 auto-delete=0",
           "");
  fake_rpc(b, "queue.declare",
           "queue=warren.q durable=1 arguments>={x-overflow=S:reject-publish}",
           "queue=warren.q");
  fake_rpc(b, "queue.bind", "queue=warren.q routing-key=host.#", "");
  fake_script_confirm(b);
  fake_expect_publish(b, .exchange = "warren.x", .routing_key = "host.cpu",
                      .fields = "mandatory=1 immediate=0",
                      .props = PROPS("m-1") " !reply-to",
                      .body = "PUTVAL a/b/c 1:2\n", .frames = 1);
  fake_send(b, "basic.ack", "delivery-tag=%d", 1);
  fake_expect_publish(b, .routing_key = "nowhere", .props = "message-id=m-2");
  fake_send_return(b, .exchange = "warren.x", .routing_key = "nowhere",
                   .fields = "reply-code=312 reply-text=NO_ROUTE",
                   .props = "message-id=m-2", .body = "lost");
  fake_send(b, "basic.ack", "delivery-tag=%d multiple=0", 2);
  fake_expect_publish(b, .exchange = "", .routing_key = "warren.q",
                      .is_empty = true, .props = "!delivery-mode");
  fake_send(b, "basic.ack", "delivery-tag=%d", 3);
  fake_expect_publish(b, .props = "delivery-mode=1", .body = big,
                      .body_len = sizeof(big), .frames = 3);
  fake_send(b, "basic.ack", "delivery-tag=%d", 4);
  fake_rpc(b, "queue.declare", "queue=warren.full exclusive=1 durable=0",
           "queue=warren.full");
  fake_expect_publishes(b, 1);
  fake_send(b, "basic.nack", "delivery-tag=5 multiple=1 requeue=1");
  fake_expect_publish(b, .exchange = "warren.none", .routing_key = "k");
  fake_send(b, "channel.close",
            "reply-code=404 reply-text='NOT_FOUND - no exchange "
            "\\'warren.none\\' in vhost \\'/\\'' class-id=60 method-id=40");
  fake_expect(b, "channel.close-ok");
  fake_script_channel(b);
  fake_rpc(b, "channel.close", "reply-code=200", "");
  fake_script_bye(b);
}

/* The server's name for its queue differs from run to run. */
static void named_queue(char *ret_name, size_t size) {
  struct fake_capture *c = fake_capture_new("consume");
  const struct fake_signature *s;
  struct fake_fields f;
  char why[200];
  for (size_t i = 0; i < c->count; i++) {
    const struct fake_bytes *frame = &c->frames[i].frame;
    if (c->frames[i].who == 'S' && frame->data[0] == FAKE_FRAME_METHOD &&
        fake_method_decode(frame->data + 7, frame->len - 8, &s, &f, why) == 0 &&
        strcmp(s->name, "queue.declare-ok") == 0)
      snprintf(ret_name, size, "queue=%.*s", (int)f.item[0].len,
               (const char *)f.item[0].bytes);
  }
  fake_capture_free(c);
}

#define DELIVERY(tag) "consumer-tag=warren delivery-tag=" tag

static void script_consume(struct fake_broker *b) {
  char large[9000], named[300] = "";
  named_queue(named, sizeof(named));
  memset(large, 'y', sizeof(large));
  fake_script_login(b, &GUEST);
  fake_script_channel(b);
  fake_rpc(b, "queue.delete", "queue=warren.q if-empty=0", "message-count=3");
  fake_rpc(b, "queue.declare", "queue=warren.q", "queue=warren.q");
  fake_expect_publishes(b, 4);
  fake_rpc(b, "basic.qos", "prefetch-count=3 prefetch-size=0 global=0", "");
  fake_rpc(b, "basic.consume", "queue=warren.q no-ack=0",
           "consumer-tag=warren");
  fake_send_deliver(b, .fields = DELIVERY("1"), .routing_key = "warren.q",
                    .props = PROPS("c-0"), .body = "one");
  fake_send_deliver(b, .fields = DELIVERY("2"), .routing_key = "warren.q",
                    .props = PROPS("c-1"), .body = "");
  fake_send_deliver(b, .fields = DELIVERY("3"), .routing_key = "warren.q",
                    .props = PROPS("c-2"), .body = large,
                    .body_len = sizeof(large));
  fake_expect(b, "basic.nack", "delivery-tag=1 multiple=0 requeue=1");
  fake_send_deliver(b, .fields = DELIVERY("4 redelivered=1"),
                    .routing_key = "warren.q", .props = PROPS("c-0"),
                    .body = "one");
  fake_expect(b, "basic.ack", "delivery-tag=3 multiple=1");
  fake_send_deliver(b, .fields = DELIVERY("5"), .routing_key = "warren.q",
                    .props = PROPS("c-3"), .body = "four");
  fake_expect(b, "basic.reject", "delivery-tag=5 requeue=0");
  fake_rpc(b, "basic.cancel", "consumer-tag=warren", "consumer-tag=warren");
  fake_rpc(b, "queue.declare", "!queue exclusive=1", named);
  fake_rpc(b, "basic.consume", "consumer-tag=gone", "consumer-tag=gone");
  fake_rpc(b, "queue.delete", "", "");
  fake_send(b, "basic.cancel", "consumer-tag=gone no-wait=1");
  fake_rpc(b, "channel.close", "", "");
  fake_script_bye(b);
}

/* Gives `in` to the broker in pieces of `piece` bytes and takes all it says.
 */
static struct fake_bytes converse(struct fake_broker *b,
                                  const struct fake_bytes *in, size_t piece) {
  struct fake_bytes said = {0};
  const uint8_t *bytes;
  size_t len;
  for (size_t i = 0; i <= in->len; i += piece) {
    size_t take = in->len - i < piece ? in->len - i : piece;
    if (take > 0)
      fake_broker_input(b, in->data + i, take);
    while (fake_broker_output(b, &bytes, &len))
      fake_bytes_put(&said, bytes, len);
  }
  return said;
}

static void must_replay(const char *name, void (*script)(struct fake_broker *),
                        enum fake_split split, size_t piece) {
  struct fake_capture *c = fake_capture_new(name);
  struct fake_bytes in = fake_capture_side(c, 'C');
  struct fake_bytes want = fake_capture_side(c, 'S');
  struct fake_broker *b = fake_broker_new(split, 42);
  script(b);
  struct fake_bytes got = converse(b, &in, piece);
  if (fake_tell(fake_broker_finish(b)))
    fail();
  must_equal(name, &got, &want);
  assert_true(fake_broker_is_eof(b));
  fake_broker_free(b);
  fake_bytes_fini(&in);
  fake_bytes_fini(&want);
  fake_bytes_fini(&got);
  fake_capture_free(c);
}

static void scripts_say_what_rabbitmq_said_however_split(void **state) {
  (void)state;
  for (size_t piece = 1; piece < 5000; piece += piece < 20 ? 1 : 1017) {
    enum fake_split split = (enum fake_split)(piece % 3);
    must_replay("publish", script_publish, split, piece);
    must_replay("consume", script_consume, split, piece);
  }
}

/* ---- what the broker must refuse ---- */

/* Logged in as the capture's client, frame-max 4096; channel 1 is open. */
static struct fake_broker *logged_in(void) {
  struct fake_capture *c = fake_capture_new("publish");
  struct fake_broker *b = fake_broker_new(FAKE_WHOLE, 0);
  const uint8_t *bytes;
  size_t len;
  fake_script_login(b, &GUEST);
  fake_script_channel(b);
  for (size_t i = 0; i < 5; i++) {
    const struct fake_bytes *f = fake_capture_frame(c, 'C', i);
    fake_broker_input(b, f->data, f->len);
  }
  while (fake_broker_output(b, &bytes, &len))
    ;
  assert_null(fake_broker_failure(b));
  fake_capture_free(c);
  return b;
}

static void give_hex(struct fake_broker *b, const char *hex) {
  struct fake_bytes bytes = {0};
  for (; *hex != '\0'; hex += 2) {
    char digits[3] = {hex[0], hex[1], '\0'};
    fake_bytes_put_uint(&bytes, strtoul(digits, NULL, 16), 1);
  }
  fake_broker_input(b, bytes.data, bytes.len);
  fake_bytes_fini(&bytes);
}

static void must_fail(struct fake_broker *b, const char *what,
                      const char *want) {
  const char *failure = fake_broker_finish(b);
  if (failure == NULL || strstr(failure, want) == NULL) {
    fake_tell(failure);
    fail_msg("%s: wanted a failure with '%s'", what, want);
  }
  fake_broker_free(b);
}

/* Frames by hand, after a login; the script goes on with confirm.select and
 * one publish to warren.x. Lengths and offsets as in the captured frames. */
#define SELECT "010001000000050055000a00ce"
#define PUBLISH                                                                \
  "01000100000019003c002800000877617272656e2e7808686f73742e63707501ce"
#define HEADER3                                                                \
  "0200010000000f003c0000000000000000000310"                                   \
  "0002ce"
static const struct {
  const char *what, *hex, *want;
} VIOLATIONS[] = {
    {"another method", "010001000000050014001401ce", "unexpected unit"},
    {"another channel", "010002000000050014000a00ce010002000000050055000a00ce",
     "unexpected unit"},
    {"channel that is not open", "010002000000050055000a00ce", "not open"},
    {"channel over the limit", "01ffff000000050014000a00ce",
     "over the negotiated"},
    {"unknown class", "010001000000050056000a00ce", "unknown method 86.10"},
    {"unknown method", "010001000000050055000c00ce", "unknown method 85.12"},
    {"a method of the server", "010001000000040055000bce", "not for a client"},
    {"frame end", "010001000000050055000a00cf", "ends with 0xcf"},
    {"frame type", "050001000000050055000a00ce", "frame of type 5"},
    {"frame over frame-max",
     "0300010000"
     "0ff9",
     "negotiated are 4096"},
    {"an argument cut off", "010001000000040055000ace", "ends too early"},
    {"bytes behind the arguments", "010001000000060055000a0000ce",
     "behind its last argument"},
    {"unused bits", "010001000000050055000a02ce", "bits that have no meaning"},
    {"wanted field differs", "010001000000050055000a01ce",
     "field differs, wanted no-wait=0"},
    {"a connection method on a channel",
     "0100010000001a000a003200c80f4e6f726d616c2073687574646f776e00000000ce",
     "connection.close on channel 1"},
    {"a channel method on channel 0", "010000000000050055000a00ce",
     "confirm.select on channel 0"},
    {"channel opened twice", "010001000000050014000a00ce", "which is open"},
    {"close-ok for nothing", "0100010000000400140029ce", "which is open"},
    {"close-ok of the connection for nothing", "01000000000004000a0033ce",
     "close-ok without connection.close"},
    {"reserved string",
     "01000200000007"
     "0014000a026162ce",
     "sets a reserved argument"},
    {"reserved ticket",
     SELECT "01000100000019003c002800010877617272656e2e7808686f73742e63707501"
            "ce",
     "sets a reserved argument"},
    {"heartbeat not wanted", "08000000000000ce", "unexpected unit"},
    {"heartbeat on a channel", "08000100000000ce", "heartbeat on channel 1"},
    {"heartbeat with a payload", "0800000000000100ce", "with 1 bytes"},
    {"header without a method", HEADER3, "no method announced"},
    {"body without a header", "0300010000000178ce", "no header announced"},
    {"body before its header", SELECT PUBLISH "0300010000000178ce",
     "no header announced"},
    {"method inside content", SELECT PUBLISH SELECT,
     "where content was announced"},
    {"two headers", SELECT PUBLISH HEADER3 HEADER3, "no method announced"},
    {"header too short", SELECT PUBLISH "02000100000003616263ce",
     "header frame of 11 bytes"},
    {"header of another class",
     SELECT PUBLISH "0200010000000e003d000000000000000000030000ce",
     "header of class 61"},
    {"header with a weight",
     SELECT PUBLISH "0200010000000e003c000100000000000000030000ce", "weight 1"},
    {"property flag without property",
     SELECT PUBLISH "0200010000000e003c000000000000000000030002ce",
     "flag set that has no property"},
    {"delivery mode 3",
     SELECT PUBLISH "0200010000000f003c00000000000000000003100003ce",
     "delivery-mode 3"},
    {"body longer than announced",
     SELECT PUBLISH HEADER3 "030001000000046c6f7374ce",
     "where the header said 3"},
    {"second body frame too long",
     SELECT PUBLISH HEADER3 "030001000000026c6fce030001000000026c6fce",
     "body frames of 4 bytes where the header said 3"},
    {"empty body frame", SELECT PUBLISH HEADER3 "03000100000000ce",
     "an empty body frame"},
    {"another channel inside content",
     SELECT PUBLISH HEADER3 "03000200000003616263ce",
     "frame of channel 2 inside content of channel 1"},
    {"body differs", SELECT PUBLISH HEADER3 "03000100000003616264ce",
     "the body differs"},
    {"content not finished", SELECT PUBLISH HEADER3, "did not come to its end"},
    {"half a frame", SELECT PUBLISH HEADER3 "03000100000003616263ce0100",
     "2 bytes of a frame without its rest"},
    {"a step left over", SELECT, "did not come to its end"},
    {"behind the end", SELECT PUBLISH HEADER3 "03000100000003616263ce" SELECT,
     "behind the end of the script"},
    {"table value of an unknown type",
     "010001000000160032000a000001710000000009"
     "0161"
     "5a0000000161"
     "00ce",
     "type that RabbitMQ does not know"},
    {"table longer than its frame",
     "0100010000000d0032000a000001710000000009ce", "points behind the end"},
};

static void every_violation_is_seen_and_named(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof(VIOLATIONS) / sizeof(VIOLATIONS[0]); i++) {
    struct fake_broker *b = logged_in();
    fake_script_confirm(b);
    fake_expect_publish(b, .exchange = "warren.x", .routing_key = "host.cpu",
                        .body = "abc");
    give_hex(b, VIOLATIONS[i].hex);
    const uint8_t *bytes;
    size_t len;
    while (fake_broker_output(b, &bytes, &len))
      ;
    must_fail(b, VIOLATIONS[i].what, VIOLATIONS[i].want);
  }
}

static void the_same_client_without_a_violation_passes(void **state) {
  (void)state;
  struct fake_broker *b = logged_in();
  const uint8_t *bytes;
  size_t len;
  fake_script_confirm(b);
  fake_expect_publish(b, .exchange = "warren.x", .routing_key = "host.cpu",
                      .body = "abc", .props = "delivery-mode=2");
  give_hex(b, SELECT PUBLISH HEADER3 "03000100000003616263ce");
  while (fake_broker_output(b, &bytes, &len))
    ;
  assert_null(fake_broker_finish(b));
  fake_broker_free(b);
}

static void output_that_nobody_took_is_a_failure(void **state) {
  (void)state;
  struct fake_broker *b = logged_in();
  fake_send_heartbeat(b);
  must_fail(b, "output", "8 bytes that the client did not take");
}

static void a_failure_reads_like_a_bug_report(void **state) {
  (void)state;
  struct fake_broker *b = logged_in();
  fake_expect(b, "confirm.select", "no-wait=0");
  int line = __LINE__ - 1;
  give_hex(b, "010001000000050055000a01ce");
  char where[64];
  snprintf(where, sizeof(where), "broker_test.c:%d", line);
  const char *failure = fake_broker_failure(b);
  assert_non_null(failure);
  assert_non_null(strstr(failure, where));
  assert_non_null(strstr(failure, "wants confirm.select on channel 1"));
  assert_non_null(strstr(failure, "confirm.select no-wait=1"));
  assert_non_null(strstr(failure, "01 00 01 00 00 00 05 00 55 00 0a 01 ce"));
  assert_non_null(strstr(failure, "S frame type 1, channel 1, 16 bytes: "
                                  "channel.open-ok"));
  assert_true(fake_broker_is_eof(b));
  fake_broker_free(b);
}

static void tune_ok_over_the_offer_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *fields, *want;
  } cases[] = {
      {"channel-max=2048 frame-max=4096", "channel-max 2048 does not fit"},
      {"channel-max=0 frame-max=4096", "channel-max 0 does not fit"},
      {"channel-max=1 frame-max=131073", "frame-max 131073 does not fit"},
      {"channel-max=1 frame-max=4095", "frame-max 4095 does not fit"},
      {"channel-max=1 frame-max=0", "frame-max 0 does not fit"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct fake_capture *c = fake_capture_new("publish");
    struct fake_broker *b = fake_broker_new(FAKE_WHOLE, 0);
    struct fake_bytes payload = {0}, frame = {0};
    fake_script_login(b, &(struct fake_login){.capabilities = PIKA});
    for (size_t k = 0; k < 2; k++) {
      const struct fake_bytes *f = fake_capture_frame(c, 'C', k);
      fake_broker_input(b, f->data, f->len);
    }
    fake_method_encode(&payload, "connection.tune-ok", cases[i].fields);
    fake_frame_encode(&frame, 1, 0, payload.data, payload.len);
    fake_broker_input(b, frame.data, frame.len);
    must_fail(b, cases[i].fields, cases[i].want);
    fake_bytes_fini(&payload);
    fake_bytes_fini(&frame);
    fake_capture_free(c);
  }
}

/* ---- faults that a script can make ---- */

static size_t take_all(struct fake_broker *b, uint8_t *into, size_t size) {
  const uint8_t *bytes;
  size_t len, sum = 0;
  while (fake_broker_output(b, &bytes, &len)) {
    assert_true(sum + len <= size);
    memcpy(into + sum, bytes, len);
    sum += len;
  }
  return sum;
}

static void held_bytes_wait_for_the_release(void **state) {
  (void)state;
  uint8_t got[64];
  struct fake_broker *b = logged_in();
  fake_hold(b, 3);
  fake_send_heartbeat(b);
  fake_pause(b);
  fake_release(b);
  fake_close(b);
  assert_int_equal(take_all(b, got, sizeof(got)), 3);
  assert_false(fake_broker_is_eof(b));
  assert_true(fake_broker_is_paused(b));
  fake_broker_resume(b);
  assert_int_equal(take_all(b, got, sizeof(got)), 5);
  assert_true(fake_broker_is_eof(b));
  assert_null(fake_broker_finish(b));
  fake_broker_free(b);
}

static void cut_flip_and_repeat_change_what_was_declared_last(void **state) {
  (void)state;
  uint8_t got[64];
  struct fake_broker *b = logged_in();
  fake_send_heartbeat(b);
  fake_repeat(b, 2);
  fake_send_heartbeat(b);
  fake_flip(b, 7 * 8 + 1);
  fake_send_heartbeat(b);
  fake_cut(b, 5);
  fake_close(b);
  assert_int_equal(take_all(b, got, sizeof(got)), 8 + 8 + 8 + 5);
  assert_memory_equal(got, "\x08\0\0\0\0\0\0\xce\x08\0\0\0\0\0\0\xce", 16);
  assert_memory_equal(got + 16, "\x08\0\0\0\0\0\0\xcc\x08\0\0\0\0", 13);
  assert_true(fake_broker_is_eof(b));
  assert_null(fake_broker_finish(b));
  fake_broker_free(b);
}

static void a_reset_loses_what_was_said_before(void **state) {
  (void)state;
  uint8_t got[64];
  struct fake_broker *b = logged_in();
  fake_send_heartbeat(b);
  fake_reset(b);
  assert_int_equal(take_all(b, got, sizeof(got)), 0);
  assert_true(fake_broker_is_eof(b) && fake_broker_is_reset(b));
  assert_null(fake_broker_finish(b));
  fake_broker_free(b);
}

static void silence_swallows_everything(void **state) {
  (void)state;
  uint8_t got[64];
  struct fake_broker *b = logged_in();
  fake_silence(b);
  give_hex(b, "ffff");
  assert_int_equal(take_all(b, got, sizeof(got)), 0);
  give_hex(b, SELECT);
  assert_null(fake_broker_finish(b));
  assert_false(fake_broker_is_eof(b));
  fake_broker_free(b);
}

static void nothing_means_nothing_until_the_test_resumes(void **state) {
  (void)state;
  struct fake_broker *b = logged_in();
  fake_expect_nothing(b);
  fake_expect(b, "confirm.select");
  fake_broker_resume(b);
  give_hex(b, SELECT);
  assert_null(fake_broker_finish(b));
  fake_broker_free(b);
  b = logged_in();
  fake_expect_nothing(b);
  fake_expect(b, "confirm.select");
  give_hex(b, SELECT);
  must_fail(b, "nothing", "unexpected unit");
}

static void a_paused_broker_reads_after_it_resumed(void **state) {
  (void)state;
  struct fake_broker *b = logged_in();
  fake_pause(b);
  fake_expect(b, "confirm.select");
  give_hex(b, SELECT);
  assert_int_equal(fake_broker_intake(b)->in.len, 13);
  fake_broker_resume(b);
  assert_null(fake_broker_finish(b));
  fake_broker_free(b);
}

static void publishes_in_flight_at_a_channel_close_are_dropped(void **state) {
  (void)state;
  uint8_t got[64];
  struct fake_broker *b = logged_in();
  fake_expect(b, "confirm.select");
  fake_send(b, "channel.close", "reply-code=404 reply-text=x");
  fake_expect(b, "channel.close-ok");
  fake_expect(b, "channel.open");
  give_hex(b, SELECT PUBLISH HEADER3 "03000100000003616263ce");
  take_all(b, got, sizeof(got));
  give_hex(b, "0100010000000400140029ce"
              "010001000000050014000a00ce");
  assert_null(fake_broker_finish(b));
  assert_int_equal(fake_broker_intake(b)->ignored_count, 1);
  fake_broker_free(b);
}

static void the_client_says_nothing_after_it_closed(void **state) {
  (void)state;
  struct fake_broker *b = logged_in();
  fake_expect(b, "connection.close");
  fake_expect(b, "confirm.select");
  give_hex(b, "0100000000001a000a003200c80f4e6f726d616c2073687574646f776e0000"
              "0000ce" SELECT);
  must_fail(b, "after close", "confirm.select after connection.close");
  b = logged_in();
  fake_expect_eof(b);
  fake_broker_client_closed(b);
  assert_null(fake_broker_failure(b));
  give_hex(b, SELECT);
  must_fail(b, "after eof", "13 bytes after the client closed");
}

static void heartbeats_are_counted_where_allowed(void **state) {
  (void)state;
  struct fake_broker *b = logged_in();
  fake_allow_heartbeats(b);
  fake_expect_heartbeat(b);
  fake_expect(b, "confirm.select");
  give_hex(b, "08000000000000ce08000000000000ce" SELECT);
  assert_null(fake_broker_finish(b));
  assert_int_equal(fake_broker_heartbeats(b), 2);
  fake_broker_free(b);
}

static void tables_contain_or_equal_as_written(void **state) {
  (void)state;
  static const struct {
    const char *want;
    bool want_match;
  } cases[] = {
      {"arguments={a=I:1,b=F:{c=S:x,d=t:1}}", true},
      {"arguments={b=F:{c=S:x,d=t:1},a=I:1}", false},
      {"arguments>={b=F:{d=t:1}}", true},
      {"arguments>={b=F:{d=t:0}}", false},
      {"arguments>={a=l:1}", false},
      {"arguments>={e=I:1}", false},
      {"arguments>={}", true},
      {"!arguments", false},
      {"queue=q !reserved-1 durable=0x1", true},
      {"queue=qq", false},
  };
  struct fake_bytes payload = {0};
  const struct fake_signature *s;
  struct fake_fields fields;
  char why[200];
  fake_method_encode(&payload, "queue.declare",
                     "queue=q durable=1 "
                     "arguments={a=I:1,b=F:{c=S:x,d=t:1}}");
  assert_int_equal(
      fake_method_decode(payload.data, payload.len, &s, &fields, why), 0);
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
    if (fake_fields_match(&fields, cases[i].want, why) != cases[i].want_match)
      fail_msg("%s", cases[i].want);
  fake_bytes_fini(&payload);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(captured_frames_read_as_text_and_back),
      cmocka_unit_test(texts_become_the_bytes_that_were_captured),
      cmocka_unit_test(properties_become_the_bytes_that_were_captured),
      cmocka_unit_test(the_client_of_the_captures_breaks_no_rule),
      cmocka_unit_test(scripts_say_what_rabbitmq_said_however_split),
      cmocka_unit_test(every_violation_is_seen_and_named),
      cmocka_unit_test(the_same_client_without_a_violation_passes),
      cmocka_unit_test(output_that_nobody_took_is_a_failure),
      cmocka_unit_test(a_failure_reads_like_a_bug_report),
      cmocka_unit_test(tune_ok_over_the_offer_is_refused),
      cmocka_unit_test(held_bytes_wait_for_the_release),
      cmocka_unit_test(cut_flip_and_repeat_change_what_was_declared_last),
      cmocka_unit_test(a_reset_loses_what_was_said_before),
      cmocka_unit_test(silence_swallows_everything),
      cmocka_unit_test(nothing_means_nothing_until_the_test_resumes),
      cmocka_unit_test(a_paused_broker_reads_after_it_resumed),
      cmocka_unit_test(publishes_in_flight_at_a_channel_close_are_dropped),
      cmocka_unit_test(the_client_says_nothing_after_it_closed),
      cmocka_unit_test(heartbeats_are_counted_where_allowed),
      cmocka_unit_test(tables_contain_or_equal_as_written),
  };
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
