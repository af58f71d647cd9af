/* SPDX-License-Identifier: MIT */
/* The fake server gets the client's half of recorded conversations and must
 * say, byte for byte, what RabbitMQ 3.10.8 said; then what it remembers and
 * its faults, with hand-made frames. */
#include "rmq_config.h"

#include "tests/testing.h"

#include <string.h>

#include "tests/fake/capture.h"
#include "tests/fake/server.h"

static void hear(struct fake_server *s, struct fake_broker *b,
                 const struct fake_bytes *bytes, struct fake_bytes *ret_said) {
  const uint8_t *piece;
  size_t len;
  (void)s;
  fake_broker_input(b, bytes->data, bytes->len);
  while (fake_broker_output(b, &piece, &len))
    fake_bytes_put(ret_said, piece, len);
}

/* Frames 0 ... count - 1 of the capture, with both sides. */
static void must_answer(struct fake_server *s, const char *name,
                        const char *until) {
  struct fake_capture *c = fake_capture_new(name);
  struct fake_broker *b = fake_server_connect(s, NULL);
  struct fake_bytes said = {0}, want = {0};
  const struct fake_signature *sig;
  struct fake_fields f;
  char why[200];
  for (size_t i = 0; i < c->count; i++) {
    const struct fake_bytes *frame = &c->frames[i].frame;
    if (c->frames[i].who == 'C') {
      hear(s, b, frame, &said);
      continue;
    }
    if (frame->data[0] == FAKE_FRAME_METHOD &&
        fake_method_decode(frame->data + 7, frame->len - 8, &sig, &f, why) ==
            0 &&
        strcmp(sig->name, until) == 0)
      break;
    fake_bytes_put(&want, frame->data, frame->len);
  }
  if (fake_tell(fake_server_failure(s)))
    fail();
  struct fake_bytes text = {0};
  size_t at = 0;
  while (at < said.len && at < want.len && said.data[at] == want.data[at])
    at++;
  if (at < want.len) {
    fake_bytes_printf(&text, "%s: differs at %zu of %zu\n", name, at, want.len);
    fake_hex_dump(said.data + at, said.len - at, &text);
    fake_bytes_printf(&text, "wanted\n");
    fake_hex_dump(want.data + at, want.len - at, &text);
    fake_tell(fake_bytes_text(&text));
    fail();
  }
  assert_true(want.len > 600);
  fake_bytes_fini(&said);
  fake_bytes_fini(&want);
  fake_capture_free(c);
}

/* Up to the queue that rejects everything, which this server does not know. */
static void publisher_is_answered_as_rabbitmq_did(void **state) {
  (void)state;
  struct fake_server *s = fake_server_new(FAKE_WHOLE, 1);
  must_answer(s, "publish", "basic.nack");
  assert_int_equal(s->arrivals_count, 5);
  assert_string_equal(s->arrivals[0].id, "m-1");
  assert_int_equal(s->arrivals[0].outcome, FAKE_ACKED);
  assert_string_equal(s->arrivals[1].id, "m-2");
  assert_int_equal(s->arrivals[1].outcome, FAKE_RETURNED);
  assert_int_equal(s->arrivals[3].body.len, 10000);
  assert_int_equal(fake_server_count(s, "warren.q", FAKE_READY), 3);
  fake_server_free(s);
}

/* Up to the queue whose name the server makes up. */
static void consumer_is_answered_as_rabbitmq_did(void **state) {
  (void)state;
  struct fake_server *s = fake_server_new(FAKE_WHOLE, 1);
  fake_server_queue(s, "warren.q");
  for (int i = 0; i < 3; i++) /* what publish.hex left there */
    fake_server_put(s, "warren.q", "old", NULL, "x", 1);
  must_answer(s, "consume", "basic.cancel-ok");
  assert_int_equal(s->deliveries_count, 5);
  assert_int_equal(s->redeliveries_count, 1);
  assert_int_equal(s->unacked_most, 3);
  assert_int_equal(fake_server_count(s, "warren.q", FAKE_DONE), 2);
  assert_int_equal(fake_server_count(s, "warren.q", FAKE_REJECTED), 1);
  assert_int_equal(fake_server_count(s, "warren.q", FAKE_UNACKED), 1);
  assert_int_equal(fake_server_count(s, "warren.q", FAKE_DROPPED), 3);
  fake_server_free(s);
}

/* ---- with frames made here ---- */

struct client {
  struct fake_server *s;
  struct fake_broker *b;
  struct fake_bytes said;
};

static void tell(struct client *c, unsigned channel, const char *name,
                 const char *fields) {
  struct fake_bytes payload = {0}, frame = {0};
  fake_method_encode(&payload, name, fields);
  fake_frame_encode(&frame, FAKE_FRAME_METHOD, channel, payload.data,
                    payload.len);
  c->said.len = 0;
  hear(c->s, c->b, &frame, &c->said);
  fake_bytes_fini(&payload);
  fake_bytes_fini(&frame);
}

static void publish(struct client *c, const char *key, const char *id,
                    const char *body) {
  struct fake_bytes frame = {0}, header = {0}, props = {0};
  char fields[300];
  snprintf(fields, sizeof(fields), "routing-key=%s", key);
  tell(c, 1, "basic.publish", fields);
  snprintf(fields, sizeof(fields), "message-id=%s", id);
  fake_props_encode(&props, fields);
  fake_bytes_put_uint(&header, 60, 2);
  fake_bytes_put_uint(&header, 0, 2);
  fake_bytes_put_uint(&header, strlen(body), 8);
  fake_bytes_put(&header, props.data, props.len);
  fake_frame_encode(&frame, FAKE_FRAME_HEADER, 1, header.data, header.len);
  fake_frame_encode(&frame, FAKE_FRAME_BODY, 1, body, strlen(body));
  hear(c->s, c->b, &frame, &c->said);
  fake_bytes_fini(&frame);
  fake_bytes_fini(&header);
  fake_bytes_fini(&props);
}

/* Does the last answer begin with this method? */
static bool says(const struct client *c, const char *name) {
  const struct fake_signature *s;
  struct fake_fields f;
  char why[200];
  if (c->said.len < 12)
    return false;
  size_t len = (size_t)c->said.data[5] * 256 + c->said.data[6];
  return fake_method_decode(c->said.data + 7, len, &s, &f, why) == 0 &&
         strcmp(s->name, name) == 0;
}

static void log_in(struct client *c) {
  struct fake_bytes header = {0};
  c->b = fake_server_connect(c->s, NULL);
  assert_non_null(c->b);
  fake_bytes_put(&header, "AMQP\0\0\x09\x01", 8);
  hear(c->s, c->b, &header, &c->said);
  fake_bytes_fini(&header);
  tell(c, 0, "connection.start-ok",
       "mechanism=PLAIN response='\\x00guest\\x00guest' locale=en_US");
  tell(c, 0, "connection.tune-ok",
       "channel-max=1 frame-max=131072 heartbeat=10");
  tell(c, 0, "connection.open", "virtual-host=/");
  assert_true(says(c, "connection.open-ok"));
  tell(c, 1, "channel.open", "");
  tell(c, 1, "confirm.select", "");
  assert_true(says(c, "confirm.select-ok"));
}

static struct client *client(uint32_t seed) {
  struct client *c = calloc(1, sizeof(*c));
  assert_non_null(c);
  c->s = fake_server_new(FAKE_RANDOM, seed);
  fake_server_queue(c->s, "q");
  log_in(c);
  return c;
}

static void done(struct client *c) {
  if (fake_tell(fake_server_failure(c->s)))
    fail();
  fake_server_free(c->s);
  fake_bytes_fini(&c->said);
  free(c);
}

static void policies_confirm_as_named(void **state) {
  (void)state;
  static const struct {
    enum fake_policy policy;
    unsigned every;
    int want_acked, want_nacked, want_returned; /* of 10, before the flush */
    int want_stored;
  } rows[] = {
      {FAKE_ACK_EACH, 1, 10, 0, 0, 10},
      {FAKE_ACK_EVERY, 4, 8, 0, 0, 10},
      {FAKE_ACK_SHUFFLED, 3, 9, 0, 0, 10},
      {FAKE_NACK_EACH, 1, 0, 10, 0, 0},
      {FAKE_RETURN_EACH, 1, 0, 0, 10, 0},
      {FAKE_CONFIRM_NOTHING, 1, 0, 0, 0, 10},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct client *c = client(3);
    int acked = 0, nacked = 0, returned = 0, pending = 0;
    c->s->policy = rows[i].policy;
    c->s->every = rows[i].every;
    SHOW_ROW("policy %d", (int)rows[i].policy);
    for (int k = 0; k < 10; k++)
      publish(c, "q", "m", "body");
    for (size_t k = 0; k < c->s->arrivals_count; k++) {
      acked += c->s->arrivals[k].outcome == FAKE_ACKED;
      nacked += c->s->arrivals[k].outcome == FAKE_NACKED;
      returned += c->s->arrivals[k].outcome == FAKE_RETURNED;
    }
    assert_int_equal(acked, rows[i].want_acked);
    assert_int_equal(nacked, rows[i].want_nacked);
    assert_int_equal(returned, rows[i].want_returned);
    assert_int_equal(fake_server_count(c->s, "q", FAKE_READY),
                     rows[i].want_stored);
    fake_server_flush(c->s);
    for (size_t k = 0; k < c->s->arrivals_count; k++)
      pending += c->s->arrivals[k].outcome == FAKE_PENDING;
    assert_int_equal(pending, 0);
    done(c);
  }
}

static void unacked_messages_come_again_in_their_place(void **state) {
  (void)state;
  struct client *c = client(5);
  for (int i = 0; i < 4; i++) {
    char id[16];
    snprintf(id, sizeof(id), "m-%d", i);
    fake_server_put(c->s, "q", id, NULL, "b", 1);
  }
  tell(c, 1, "basic.qos", "prefetch-count=3");
  tell(c, 1, "basic.consume", "queue=q consumer-tag=w");
  assert_int_equal(fake_server_count(c->s, "q", FAKE_UNACKED), 3);
  tell(c, 1, "basic.ack", "delivery-tag=2");
  assert_int_equal(c->s->deliveries_count, 4);
  fake_server_drop(c->s, true);
  assert_true(fake_broker_is_eof(c->b));
  assert_int_equal(fake_server_count(c->s, "q", FAKE_READY), 3);
  log_in(c);
  tell(c, 1, "basic.consume", "queue=q consumer-tag=w");
  assert_int_equal(c->s->deliveries_count, 7);
  assert_int_equal(c->s->redeliveries_count, 3);
  assert_int_equal(c->s->stored[0].tag, 1);
  assert_int_equal(c->s->stored[2].tag, 2);
  assert_int_equal(c->s->stored[3].tag, 3);
  done(c);
}

static void unconfirmed_messages_are_stored_or_not(void **state) {
  (void)state;
  for (unsigned percent = 0; percent <= 100; percent += 100) {
    struct client *c = client(9);
    c->s->policy = FAKE_CONFIRM_NOTHING;
    c->s->forgets_percent = percent;
    publish(c, "q", "m-1", "b");
    fake_server_drop(c->s, false);
    assert_int_equal(c->s->arrivals[0].outcome, FAKE_UNCONFIRMED);
    assert_int_equal(fake_server_count(c->s, "q", FAKE_READY),
                     percent == 0 ? 1 : 0);
    done(c);
  }
}

static void faults_say_what_they_are(void **state) {
  (void)state;
  struct client *c = client(2);
  c->said.len = 0;
  fake_server_block(c->s, true);
  tell(c, 1, "basic.qos", "prefetch-count=1");
  assert_true(says(c, "connection.blocked"));
  tell(c, 1, "basic.consume", "queue=q");
  fake_server_cancel(c->s);
  tell(c, 1, "basic.qos", "prefetch-count=1");
  assert_true(says(c, "basic.cancel"));
  fake_server_close_channel(c->s, 406, "test");
  tell(c, 1, "channel.close-ok", "");
  assert_true(says(c, "channel.close"));
  tell(c, 1, "channel.open", "");
  assert_true(says(c, "channel.open-ok"));
  tell(c, 1, "queue.declare", "queue=none passive=1");
  assert_true(says(c, "channel.close"));
  tell(c, 1, "channel.close-ok", "");
  fake_server_close(c->s, 320, "drill");
  tell(c, 0, "connection.close-ok", "");
  assert_true(says(c, "connection.close"));
  assert_true(fake_broker_is_eof(c->b));
  done(c);
}

static void ack_of_what_is_not_unacked_fails_the_test(void **state) {
  (void)state;
  static const char *const acks[] = {"delivery-tag=1", "delivery-tag=7",
                                     "delivery-tag=0 multiple=1"};
  for (size_t i = 0; i < COUNT_OF(acks); i++) {
    struct client *c = client(2);
    tell(c, 1, "basic.ack", acks[i]);
    const char *failure = fake_server_failure(c->s);
    assert_non_null(failure);
    assert_non_null(strstr(failure, "which is not unacked"));
    fake_server_free(c->s);
    fake_bytes_fini(&c->said);
    free(c);
  }
}

static void silent_client_is_dropped_after_two_heartbeats(void **state) {
  (void)state;
  struct client *c = client(2);
  const uint8_t *piece;
  size_t len, heartbeats = 0;
  int64_t now = 1000;
  for (int i = 0; i < 10 && !fake_broker_is_eof(c->b); i++) {
    fake_server_tick(c->s, now * 1000000000);
    while (fake_broker_output(c->b, &piece, &len))
      heartbeats += len;
    now += 5;
  }
  assert_int_equal(now, 1000 + 6 * 5);
  assert_true(heartbeats >= 4 * 8);
  done(c);
}

static void topics_route_by_words(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *key;
    bool want;
  } rows[] = {
      {"#", "a.b", true},       {"a.*", "a.b", true}, {"a.*", "a.b.c", false},
      {"a.#", "a.b.c", true},   {"a.#", "a", true},   {"#.c", "a.b.c", true},
      {"*.b.*", "a.b.c", true}, {"a.b", "a.b", true}, {"a.b", "a.bb", false},
      {"a", "a.b", false},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct client *c = client(2);
    char fields[100];
    fake_server_exchange(c->s, "x", "topic");
    fake_server_bind(c->s, "q", "x", rows[i].pattern);
    snprintf(fields, sizeof(fields), "exchange=x routing-key=%s", rows[i].key);
    struct fake_bytes header = {0};
    fake_bytes_put(&header, "\2\0\1\0\0\0\x0e\0\x3c", 9);
    fake_bytes_put_uint(&header, 0, 8);
    fake_bytes_put_uint(&header, 0, 4);
    fake_bytes_put_uint(&header, 0xce, 1);
    tell(c, 1, "basic.publish", fields);
    hear(c->s, c->b, &header, &c->said);
    SHOW_ROW("%s %s", rows[i].pattern, rows[i].key);
    assert_int_equal(fake_server_count(c->s, "q", FAKE_READY), rows[i].want);
    fake_bytes_fini(&header);
    done(c);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(publisher_is_answered_as_rabbitmq_did),
      cmocka_unit_test(consumer_is_answered_as_rabbitmq_did),
      cmocka_unit_test(policies_confirm_as_named),
      cmocka_unit_test(unacked_messages_come_again_in_their_place),
      cmocka_unit_test(unconfirmed_messages_are_stored_or_not),
      cmocka_unit_test(faults_say_what_they_are),
      cmocka_unit_test(ack_of_what_is_not_unacked_fails_the_test),
      cmocka_unit_test(silent_client_is_dropped_after_two_heartbeats),
      cmocka_unit_test(topics_route_by_words),
  };
  return run_all(tests);
}
