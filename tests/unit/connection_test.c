/* SPDX-License-Identifier: MIT */
/* The connection machine against the fake broker: what an honest broker may
 * do. Each scenario runs three times: bytes whole, one by one, in random
 * pieces. What a hostile one may do: connection_hostile_test.c. */
#include "rmq_config.h"

#include "tests/alloc.h"
#include "tests/testing.h"

#include <string.h>

#include "tests/fake/rig.h"

static const struct rmq_wire_exchange EXCHANGE = {
    .name = "x", .type = "topic", .is_durable = true};
static const struct rmq_wire_queue QUEUE = {.name = "q", .is_durable = true};
static const struct rmq_wire_queue OWN_QUEUE = {.name = "",
                                                .is_exclusive = true};
static const struct rmq_binding BINDINGS[] = {{"x", "host.#"}, {"x", "b"}};

/* ---- scripts ---- */

static void script_publisher_channel(struct fake_broker *b) {
  fake_script_channel(b);
  fake_rpc(b, "exchange.declare",
           "exchange=x type=topic durable=1 passive=0 auto-delete=0 "
           "internal=0 no-wait=0 arguments={}",
           "");
  fake_script_confirm(b);
}

static struct fake_broker *publisher(struct fake_rig *r) {
  struct fake_broker *b = fake_rig_next_broker(r);
  r->config.exchange = &EXCHANGE;
  r->config.wants_confirms = true;
  fake_script_login(b, NULL);
  script_publisher_channel(b);
  return b;
}

static void script_consumer_channel(struct fake_broker *b) {
  fake_script_channel(b);
  fake_rpc(b, "queue.declare",
           "queue=q durable=1 passive=0 exclusive=0 auto-delete=0 no-wait=0",
           "queue=q message-count=7");
  fake_rpc(b, "queue.bind", "queue=q exchange=x routing-key=host.# no-wait=0",
           "");
  fake_rpc(b, "queue.bind", "queue=q exchange=x routing-key=b", "");
  fake_rpc(b, "basic.qos", "prefetch-size=0 prefetch-count=10 global=0", "");
  fake_rpc(b, "basic.consume",
           "queue=q consumer-tag=w no-ack=0 no-local=0 no-wait=0",
           "consumer-tag=w");
}

static struct fake_broker *consumer(struct fake_rig *r) {
  struct fake_broker *b = fake_rig_next_broker(r);
  r->config.queue = &QUEUE;
  r->config.bindings = BINDINGS;
  r->config.bindings_count = COUNT_OF(BINDINGS);
  r->config.prefetch = 10;
  r->config.consumer_tag = "w";
  fake_script_login(b, NULL);
  script_consumer_channel(b);
  return b;
}

#define FOR(tag) "consumer-tag=w delivery-tag=" tag

/* Publishes one, two ... as the script on the other side expects. */
static void publish(struct fake_rig *r, int count) {
  static const char *const ids[] = {"m-1", "m-2", "m-3", "m-4", "m-5"};
  for (int i = 0; i < count; i++)
    assert_true(fake_rig_publish(r, ids[i], "PUTVAL a 1:2"));
}

static struct fake_rig *rig(void **state) {
  return fake_rig_new(*(const enum fake_split *)*state, 7);
}

/* ---- getting there ---- */

static void publisher_logs_in_declares_and_is_ready(void **state) {
  struct fake_rig *r = rig(state);
  publisher(r);
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  assert_int_equal(r->readies, 1);
  assert_int_equal(r->epoch, 1);
  assert_int_equal(r->losts, 0);
  assert_int_equal(rmq_connection_opened_count(r->connection), 1);
  fake_rig_must_say(r, "stopped -> connecting");
  fake_rig_must_say(r, "connecting -> login");
  fake_rig_must_say(r, "login -> opening");
  fake_rig_must_say(r, "opening -> ready");
  assert_int_equal(r->changes, 4);
  fake_rig_free(r);
}

static void
login_announces_what_the_broker_only_tells_those_who_ask(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = fake_rig_next_broker(r);
  r->config.user = "metrics";
  r->password = "s'ecr et\\";
  r->config.vhost = "/team";
  fake_script_login(
      b, &(struct fake_login){
             .user = "metrics",
             .password = "s\\'ecr et\\\\",
             .vhost = "/team",
             .capabilities =
                 "{product=S:warren,capabilities=F:{connection.blocked=t:1,"
                 "consumer_cancel_notify=t:1,basic.nack=t:1,"
                 "publisher_confirms=t:1,authentication_failure_close=t:1},"
                 "connection_name=S:'warren test'}",
             .tune_ok = "channel-max=1 frame-max=131072 heartbeat=30"});
  fake_script_channel(b);
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static void external_login_sends_no_password(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = fake_rig_next_broker(r);
  r->config.auth = RMQ_AUTH_EXTERNAL;
  r->password = NULL;
  fake_script_login(b, &(struct fake_login){.mechanism = "EXTERNAL",
                                            .mechanisms = "PLAIN EXTERNAL"});
  fake_script_channel(b);
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static void consumer_binds_every_key_and_subscribes(void **state) {
  struct fake_rig *r = rig(state);
  consumer(r);
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static void queue_named_by_the_server_is_used_from_then_on(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = fake_rig_next_broker(r);
  r->config.queue = &OWN_QUEUE;
  r->config.bindings = BINDINGS;
  r->config.bindings_count = 1;
  r->config.prefetch = 1;
  r->config.consumer_tag = "w";
  fake_script_login(b, NULL);
  fake_script_channel(b);
  fake_rpc(b, "queue.declare", "!queue exclusive=1 durable=0",
           "queue=amq.gen-1");
  fake_rpc(b, "queue.bind", "queue=amq.gen-1", "");
  fake_rpc(b, "basic.qos", "prefetch-count=1", "");
  fake_rpc(b, "basic.consume", "queue=amq.gen-1", "consumer-tag=w");
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static void passive_topology_and_arguments_reach_the_broker(void **state) {
  static const struct rmq_wire_exchange passive = {
      .name = "x", .type = "fanout", .is_passive = true};
  struct fake_rig *r = rig(state);
  struct fake_broker *b = fake_rig_next_broker(r);
  r->config.exchange = &passive;
  fake_script_login(b, NULL);
  fake_script_channel(b);
  fake_rpc(b, "exchange.declare", "exchange=x passive=1", "");
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static void alternate_exchange_is_looked_for_and_named(void **state) {
  static const struct rmq_wire_exchange exchange = {.name = "x",
                                                    .type = "topic",
                                                    .is_durable = true,
                                                    .alternate = "unrouted"};
  struct fake_rig *r = rig(state);
  struct fake_broker *b = fake_rig_next_broker(r);
  r->config.exchange = &exchange;
  r->config.alternate_exchange = "unrouted";
  fake_script_login(b, NULL);
  fake_script_channel(b);
  fake_rpc(b, "exchange.declare", "exchange=unrouted passive=1 arguments={}",
           "");
  fake_rpc(b, "exchange.declare",
           "exchange=x type=topic passive=0 "
           "arguments={alternate-exchange=S:unrouted}",
           "");
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static void missing_alternate_exchange_is_named_before_the_other(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = fake_rig_next_broker(r);
  r->config.exchange = &EXCHANGE;
  r->config.alternate_exchange = "unrouted";
  fake_script_login(b, NULL);
  fake_script_channel(b);
  fake_expect(b, "exchange.declare", "exchange=unrouted passive=1");
  fake_send(b, "channel.close",
            "reply-code=404 reply-text='NOT_FOUND - no exchange' class-id=40 "
            "method-id=10");
  fake_expect(b, "channel.close-ok");
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_REOPENING);
  fake_rig_must_say(r, "while looking for the alternate exchange: 404");
  assert_non_null(strstr(r->last_remedy, "AlternateExchange"));
  fake_rig_free(r);
}

/* ---- tune ---- */

static void tune_is_answered_within_the_offer(void **state) {
  static const struct {
    struct fake_login login;
    int heartbeat_s;
    const char *want;
    int want_heartbeat_s;
    uint32_t frame_max;
  } rows[] = {
      {{.heartbeat = 60}, 30, "heartbeat=30 frame-max=131072", 30, 0},
      {{.heartbeat = 1}, 30, "heartbeat=1", 1, 0},
      {{.offers_no_heartbeat = true}, 30, "heartbeat=30", 30, 0},
      {{.heartbeat = 60}, 0, "heartbeat=0", 0, 0},
      {{.frame_max = 4096}, 30, "frame-max=4096 channel-max=1", 30, 0},
      {{.frame_max = 1 << 20}, 30, "frame-max=131072", 30, 0},
      {{.frame_max = 131072}, 30, "frame-max=8192", 30, 8192},
      {{.frame_max = 8192}, 30, "frame-max=8192", 30, 65536},
      {{.channel_max = 1}, 30, "channel-max=1", 30, 0},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fake_rig *r = rig(state);
    struct fake_broker *b = fake_rig_next_broker(r);
    struct fake_login login = rows[i].login;
    SHOW_ROW("wants %s", rows[i].want);
    login.tune_ok = rows[i].want;
    r->config.heartbeat = rmq_s(rows[i].heartbeat_s);
    r->config.frame_max = rows[i].frame_max;
    fake_script_login(b, &login);
    fake_script_channel(b);
    fake_expect_nothing(b);
    fake_rig_start(r);
    fake_rig_must_be(r, RMQ_SESSION_READY);
    struct rmq_mono due = rmq_connection_next_deadline(r->connection);
    if (rows[i].want_heartbeat_s == 0)
      assert_true(rmq_mono_is_never(due));
    else
      assert_int_equal(rmq_mono_since(due, r->now).ns,
                       rows[i].want_heartbeat_s * RMQ_NS_PER_S / 2);
    fake_broker_resume(b);
    fake_rig_free(r);
  }
}

static void bodies_are_cut_to_the_negotiated_frame_max(void **state) {
  static const struct {
    size_t size;
    unsigned want_frames;
  } rows[] = {{0, 0}, {1, 1}, {4088, 1}, {4089, 2}, {8176, 2}, {50000, 13}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fake_rig *r = rig(state);
    struct fake_broker *b = fake_rig_next_broker(r);
    char *body = calloc(1, rows[i].size + 1);
    memset(body, 'b', rows[i].size);
    r->config.wants_confirms = true;
    fake_script_login(b, &(struct fake_login){.frame_max = 4096});
    fake_script_channel(b);
    fake_script_confirm(b);
    fake_expect_publish(b, .exchange = "x", .routing_key = "k", .body = body,
                        .frames = rows[i].want_frames);
    fake_rig_start(r);
    SHOW_ROW("%zu bytes", rows[i].size);
    assert_true(fake_rig_publish(r, "m-1", body));
    fake_rig_free(r);
    free(body);
  }
}

/* ---- publishing ---- */

static void publish_carries_what_the_contract_promises(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = publisher(r);
  fake_expect_publish(
      b, .exchange = "x", .routing_key = "k",
      .fields = "mandatory=1 immediate=0",
      .props = "content-type=text/collectd delivery-mode=2 "
               "message-id=m-1 timestamp=1700000000 "
               "app-id=warren "
               "headers>={timestamp_in_ms=l:1700000000123} "
               "!content-encoding !reply-to !expiration !correlation-id "
               "!priority !user-id",
      .body = "PUTVAL a 1:2");
  fake_rig_start(r);
  publish(r, 1);
  fake_rig_free(r);
}

static void confirms_are_passed_on_as_the_broker_gives_them(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = publisher(r);
  fake_expect_publishes(b, 5);
  fake_send(b, "basic.ack", "delivery-tag=2 multiple=1");
  fake_send(b, "basic.ack", "delivery-tag=5");
  fake_send(b, "basic.nack", "delivery-tag=4 multiple=1 requeue=1");
  fake_send(b, "basic.ack", "delivery-tag=99");
  fake_send(b, "basic.ack", "delivery-tag=0 multiple=1");
  fake_rig_start(r);
  fake_rig_forget_events(r);
  publish(r, 5);
  fake_rig_must_say(r, "ack 1/2 multiple\nack 1/5\nnack 1/4 multiple\n"
                       "ack 1/99\nack 1/0 multiple\n");
  assert_int_equal(r->acks, 4);
  assert_int_equal(r->nacks, 1);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static void return_comes_before_its_ack_or_nack(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = publisher(r);
  static const char fields[] = "reply-code=312 reply-text=NO_ROUTE";
  fake_expect_publishes(b, 2);
  fake_send_return(b, .fields = fields, .exchange = "x", .routing_key = "k",
                   .props = "message-id=m-1", .body = "PUTVAL a 1:2");
  fake_send(b, "basic.ack", "delivery-tag=1");
  fake_send_return(b, .fields = fields, .exchange = "x", .routing_key = "k",
                   .props = "message-id=m-2", .body = "");
  fake_send(b, "basic.nack", "delivery-tag=2");
  fake_rig_start(r);
  fake_rig_forget_events(r);
  publish(r, 2);
  fake_rig_must_say(r, "returned 1 312 NO_ROUTE exchange=x key=k id=m-1\n"
                       "ack 1/1\n"
                       "returned 1 312 NO_ROUTE exchange=x key=k id=m-2\n"
                       "nack 1/2\n");
  fake_rig_free(r);
}

static void drop_between_publish_and_confirm_loses_the_channel(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = publisher(r);
  fake_expect_publishes(b, 2);
  fake_reset(b);
  publisher(r);
  fake_rig_start(r);
  assert_true(fake_rig_publish(r, "m-1", "x"));
  fake_rig_publish(r, "m-2", "x");
  fake_rig_must_be(r, RMQ_SESSION_WAITING);
  assert_int_equal(r->losts, 1);
  fake_rig_must_say(r, "ready -> waiting on link down");
  fake_rig_must_say(r, "connection reset by peer");
  assert_false(rmq_connection_can_publish(r->connection));
  struct rmq_dur waited = fake_rig_advance(r);
  assert_true(waited.ns >= RMQ_NS_PER_S && waited.ns <= 2 * RMQ_NS_PER_S);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  assert_int_equal(r->epoch, 2);
  assert_int_equal(r->readies, 2);
  fake_rig_free(r);
}

static void seqnos_begin_anew_with_every_epoch(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = publisher(r);
  fake_expect_publishes(b, 1);
  fake_close(b);
  b = publisher(r);
  fake_expect_publishes(b, 1);
  fake_send(b, "basic.ack", "delivery-tag=1");
  fake_rig_start(r);
  publish(r, 1);
  fake_rig_advance(r);
  publish(r, 1);
  fake_rig_must_say(r, "ack 2/1");
  fake_rig_must_not_say(r, "ack 1/");
  fake_rig_free(r);
}

/* ---- the channel dies, the connection lives ---- */

static void closed_channel_is_opened_again_on_the_same_link(void **state) {
  static const struct {
    const char *close, *want_reason, *want_remedy;
    int want_code;
    uint32_t want_refused;
  } rows[] = {
      {"reply-code=404 reply-text='NOT_FOUND - no exchange' class-id=60 "
       "method-id=40",
       "404 NOT_FOUND - no exchange", "Exchange", 404, RMQ_WIRE_BASIC_PUBLISH},
      {"reply-code=403 reply-text='ACCESS_REFUSED - write' class-id=60 "
       "method-id=40",
       "403 ACCESS_REFUSED - write", "permission", 403, RMQ_WIRE_BASIC_PUBLISH},
      {"reply-code=406 reply-text='PRECONDITION_FAILED - message size 2000 is "
       "larger than configured max size 1000' class-id=60 method-id=40",
       "406 PRECONDITION_FAILED - message size", "", 406,
       RMQ_WIRE_BASIC_PUBLISH},
      {"reply-code=406 reply-text='PRECONDITION_FAILED - unknown delivery "
       "tag' class-id=60 method-id=80",
       "406 PRECONDITION_FAILED", "", 406, RMQ_WIRE_ID(60, 80)},
      {"reply-code=406 reply-text='PRECONDITION_FAILED - timed out'",
       "406 PRECONDITION_FAILED", "", 406, 0},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fake_rig *r = rig(state);
    struct fake_broker *b = publisher(r);
    SHOW_ROW("%s", rows[i].want_reason);
    fake_expect_publishes(b, 1);
    fake_send(b, "channel.close", "%s", rows[i].close);
    fake_expect(b, "channel.close-ok");
    script_publisher_channel(b);
    fake_expect_publishes(b, 1);
    fake_send(b, "basic.ack", "delivery-tag=1");
    fake_rig_start(r);
    publish(r, 1);
    fake_rig_must_be(r, RMQ_SESSION_REOPENING);
    assert_int_equal(r->losts, 1);
    assert_int_equal(r->last_change.reply_code, rows[i].want_code);
    assert_int_equal(r->last_change.refused_method, rows[i].want_refused);
    fake_rig_must_say(r, rows[i].want_reason);
    assert_non_null(strstr(r->last_remedy, rows[i].want_remedy));
    assert_false(rmq_connection_can_publish(r->connection));
    fake_rig_advance(r);
    fake_rig_must_be(r, RMQ_SESSION_READY);
    assert_int_equal(r->last_change.refused_method, 0);
    assert_int_equal(r->epoch, 2);
    assert_int_equal(r->links_count, 1);
    publish(r, 1);
    fake_rig_must_say(r, "ack 2/1");
    fake_rig_free(r);
  }
}

static void refused_topology_waits_longer_each_time_and_recovers(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = fake_rig_next_broker(r);
  r->config.exchange = &EXCHANGE;
  r->config.heartbeat = rmq_s(0);
  r->config.wants_confirms = true;
  fake_script_login(b, NULL);
  for (int i = 0; i < 6; i++) {
    fake_script_channel(b);
    fake_expect(b, "exchange.declare");
    fake_send(b, "channel.close",
              "reply-code=406 reply-text='PRECONDITION_FAILED - inequivalent "
              "arg' class-id=40 method-id=10");
    fake_expect(b, "channel.close-ok");
  }
  script_publisher_channel(b);
  fake_rig_start(r);
  struct rmq_dur most = {0};
  for (int i = 0; i < 6; i++) {
    fake_rig_must_be(r, RMQ_SESSION_REOPENING);
    fake_rig_must_say(r, "while declaring the exchange: 406");
    assert_non_null(strstr(r->last_remedy, "passively"));
    struct rmq_dur d = fake_rig_advance(r);
    assert_true(d.ns >= 5 * RMQ_NS_PER_S && d.ns <= 300 * RMQ_NS_PER_S);
    most = d.ns > most.ns ? d : most;
  }
  assert_true(most.ns > 10 * RMQ_NS_PER_S);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  assert_int_equal(r->readies, 1);
  assert_int_equal(r->links_count, 1);
  fake_rig_free(r);
}

/* ---- the connection is closed ---- */

static void forced_close_is_answered_and_reconnected(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = publisher(r);
  fake_expect_publishes(b, 1);
  fake_send(b, "connection.close",
            "reply-code=320 reply-text='CONNECTION_FORCED - drill'");
  fake_expect(b, "connection.close-ok");
  publisher(r);
  fake_rig_start(r);
  publish(r, 1);
  fake_rig_must_be(r, RMQ_SESSION_WAITING);
  fake_rig_must_say(r, "320 CONNECTION_FORCED - drill");
  assert_int_equal(r->last_change.reply_code, 320);
  assert_int_equal(r->losts, 1);
  fake_rig_advance(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  assert_int_equal(rmq_connection_opened_count(r->connection), 2);
  fake_rig_free(r);
}

/* RabbitMQ closes the connection, not the channel, for a type of exchange that
 * it does not know; asking again soon cannot help. */
static void unknown_exchange_type_waits_long_and_says_what_to_do(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = fake_rig_next_broker(r);
  r->config.exchange = &EXCHANGE;
  fake_script_login(b, NULL);
  fake_script_channel(b);
  fake_expect(b, "exchange.declare");
  fake_send(b, "connection.close",
            "reply-code=503 reply-text='COMMAND_INVALID - unknown exchange "
            "type' class-id=40 method-id=10");
  fake_expect(b, "connection.close-ok");
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_WAITING);
  assert_int_equal(r->last_change.event, RMQ_SESSION_ON_LOGIN_REFUSED);
  assert_int_equal(r->last_change.reply_code, 503);
  fake_rig_must_say(r, "while declaring the exchange: 503 COMMAND_INVALID");
  assert_non_null(strstr(r->last_remedy, "ExchangeType"));
  assert_int_equal(r->last_change.refused_method, RMQ_WIRE_ID(40, 10));
  assert_true(r->last_change.retry_in.ns >= 150 * RMQ_NS_PER_S);
  fake_rig_free(r);
}

/* What RabbitMQ answers from 4.3 on; 541 is an error that may pass otherwise.
 */
static void queue_that_4_3_refuses_says_what_to_do(void **state) {
  static const struct {
    struct rmq_wire_queue queue;
    enum rmq_session_event want;
  } rows[] = {
      {{.name = "q"}, RMQ_SESSION_ON_LOGIN_REFUSED},
      {{.name = "q", .is_durable = true}, RMQ_SESSION_ON_LINK_DOWN},
      {{.name = "q", .is_exclusive = true}, RMQ_SESSION_ON_LINK_DOWN},
      {{.name = "q", .is_passive = true}, RMQ_SESSION_ON_LINK_DOWN},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fake_rig *r = rig(state);
    struct fake_broker *b = fake_rig_next_broker(r);
    r->config.queue = &rows[i].queue;
    r->config.prefetch = 1;
    r->config.consumer_tag = "w";
    fake_script_login(b, NULL);
    fake_script_channel(b);
    fake_expect(b, "queue.declare");
    fake_send(b, "connection.close",
              "reply-code=541 reply-text='INTERNAL_ERROR - Feature "
              "`transient_nonexcl_queues` is deprecated.' class-id=50 "
              "method-id=10");
    fake_expect(b, "connection.close-ok");
    fake_rig_start(r);
    fake_rig_must_be(r, RMQ_SESSION_WAITING);
    assert_int_equal(r->last_change.event, rows[i].want);
    assert_int_equal(r->last_change.reply_code, 541);
    assert_int_equal(strstr(r->last_remedy, "set QueueDurable true") != NULL,
                     i == 0);
    fake_rig_free(r);
  }
}

static void stop_closes_in_good_order(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = publisher(r);
  fake_expect_publishes(b, 2);
  fake_expect(b, "connection.close", "reply-code=200 class-id=0");
  fake_send(b, "basic.ack", "delivery-tag=1");
  fake_send_return(b, .fields = "reply-code=312", .props = "message-id=m-2");
  fake_send(b, "basic.ack", "delivery-tag=2");
  fake_send(b, "connection.close-ok");
  fake_close(b);
  fake_rig_start(r);
  publish(r, 2);
  fake_rig_forget_events(r);
  fake_rig_stop(r);
  fake_rig_must_be(r, RMQ_SESSION_STOPPED);
  /* A confirm under way still counts: no duplicate after the next start. */
  fake_rig_must_say(r, "ack 1/1\nreturned 1 312");
  fake_rig_must_say(r, "id=m-2\nack 1/2\nlost\n");
  fake_rig_must_say(r, "ready -> closing on stop");
  fake_rig_must_say(r, "closing -> stopped on closed");
  assert_true(rmq_mono_is_never(rmq_connection_next_deadline(r->connection)));
  fake_rig_free(r);
}

static void close_without_close_ok_ends_at_the_deadline(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = publisher(r);
  r->config.heartbeat = rmq_s(0);
  fake_expect(b, "connection.close");
  fake_silence(b);
  fake_rig_start(r);
  fake_rig_stop(r);
  fake_rig_must_be(r, RMQ_SESSION_CLOSING);
  struct rmq_dur d = fake_rig_advance(r);
  assert_int_equal(d.ns, r->config.rpc_timeout.ns);
  fake_rig_must_be(r, RMQ_SESSION_STOPPED);
  fake_rig_must_say(r, "connection.close was not answered");
  fake_rig_free(r);
}

static void stop_is_immediate_where_nobody_would_answer(void **state) {
  struct fake_rig *r = rig(state);
  fake_rig_start(r); /* connecting: there is no broker */
  fake_rig_must_be(r, RMQ_SESSION_CONNECTING);
  fake_rig_stop(r);
  fake_rig_must_be(r, RMQ_SESSION_STOPPED);
  assert_null(r->link_host);
  fake_rig_free(r);
  r = rig(state);
  fake_rig_start(r);
  fake_rig_link_fails(r, "connection refused");
  fake_rig_must_be(r, RMQ_SESSION_WAITING);
  fake_rig_stop(r);
  fake_rig_must_be(r, RMQ_SESSION_STOPPED);
  fake_rig_free(r);
}

/* ---- the broker refuses ---- */

static void wrong_password_waits_long_and_says_what_to_do(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = fake_rig_next_broker(r);
  fake_script_login_part(b, 3, NULL);
  fake_send(b, "connection.close",
            "reply-code=403 reply-text='ACCESS_REFUSED - Login was refused'");
  fake_expect(b, "connection.close-ok");
  b = fake_rig_next_broker(r);
  fake_script_login(b, &(struct fake_login){.password = "rotated"});
  fake_script_channel(b);
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_WAITING);
  fake_rig_must_say(r, "login -> waiting on login refused");
  fake_rig_must_say(r, "403 ACCESS_REFUSED - Login was refused");
  assert_non_null(strstr(r->last_remedy, "Password"));
  fake_rig_must_not_say(r, "lost");
  assert_int_equal(r->changes, 3);
  r->password = "rotated";
  struct rmq_dur d = fake_rig_advance(r);
  assert_true(d.ns >= 150 * RMQ_NS_PER_S && d.ns <= 300 * RMQ_NS_PER_S);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static void wrong_vhost_waits_long_and_says_what_to_do(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = fake_rig_next_broker(r);
  r->config.vhost = "none";
  fake_script_login_part(b, 6, &(struct fake_login){.vhost = "none"});
  fake_send(b, "connection.close",
            "reply-code=530 reply-text='NOT_ALLOWED - vhost none not found' "
            "class-id=10 method-id=40");
  fake_expect(b, "connection.close-ok");
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_WAITING);
  fake_rig_must_say(r, "530 NOT_ALLOWED - vhost none not found");
  assert_non_null(strstr(r->last_remedy, "VHost"));
  assert_true(r->last_change.retry_in.ns >= 150 * RMQ_NS_PER_S);
  assert_int_equal(rmq_connection_opened_count(r->connection), 0);
  fake_rig_free(r);
}

static void
broker_shutting_down_during_login_is_tried_again_soon(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = fake_rig_next_broker(r);
  fake_script_login_part(b, 6, NULL);
  fake_send(b, "connection.close",
            "reply-code=320 reply-text='CONNECTION_FORCED - broker forced "
            "connection closure with reason \\'shutdown\\''");
  fake_expect(b, "connection.close-ok");
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_WAITING);
  assert_true(r->last_change.retry_in.ns <= 2 * RMQ_NS_PER_S);
  fake_rig_free(r);
}

static void unreadable_password_is_a_refused_login(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = fake_rig_next_broker(r);
  r->password = NULL;
  fake_script_login_part(b, 2, NULL);
  fake_expect_eof(b);
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_WAITING);
  fake_rig_must_say(r, "the password file cannot be read");
  assert_true(r->last_change.retry_in.ns >= 150 * RMQ_NS_PER_S);
  fake_rig_free(r);
}

static void mechanism_not_offered_is_a_refused_login(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = fake_rig_next_broker(r);
  r->config.auth = RMQ_AUTH_EXTERNAL;
  fake_script_login_part(
      b, 2, &(struct fake_login){.mechanisms = "PLAIN AMQPLAIN EXTERNALS"});
  fake_expect_eof(b);
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_WAITING);
  fake_rig_must_say(r, "does not offer the SASL mechanism EXTERNAL");
  fake_rig_free(r);
}

/* ---- silence ---- */

/* After each step of login and channel the broker falls silent: the machine
 * gives up after rpc_timeout, not earlier, and tries again. */
static void silence_in_any_step_ends_after_the_rpc_timeout(void **state) {
  for (int steps = 1; steps <= FAKE_LOGIN_STEPS + 4; steps++) {
    struct fake_rig *r = rig(state);
    struct fake_broker *b = fake_rig_next_broker(r);
    SHOW_ROW("silent after step %d", steps);
    r->config.exchange = &EXCHANGE;
    r->config.wants_confirms = true;
    if (steps < FAKE_LOGIN_STEPS)
      fake_script_login_part(b, steps, NULL);
    else
      fake_script_login(b, NULL);
    if (steps > FAKE_LOGIN_STEPS + 1)
      fake_script_channel(b);
    if (steps > FAKE_LOGIN_STEPS + 2)
      fake_rpc(b, "exchange.declare", "", "");
    if (steps > FAKE_LOGIN_STEPS + 3)
      fake_expect(b, "confirm.select");
    fake_silence(b);
    publisher(r);
    r->config.heartbeat = rmq_s(0); /* rpc_timeout alone must suffice */
    fake_rig_start(r);
    struct rmq_dur d = fake_rig_advance(r);
    assert_int_equal(d.ns, r->config.rpc_timeout.ns);
    fake_rig_must_be(r, RMQ_SESSION_WAITING);
    fake_rig_must_say(r, "no answer within 10 s");
    fake_rig_advance(r);
    fake_rig_must_be(r, RMQ_SESSION_READY);
    fake_rig_free(r);
  }
}

static void
link_that_does_not_open_ends_after_the_connect_timeout(void **state) {
  struct fake_rig *r = rig(state);
  fake_rig_start(r);
  struct rmq_dur d = fake_rig_advance(r);
  assert_int_equal(d.ns, r->config.connect_timeout.ns);
  fake_rig_must_be(r, RMQ_SESSION_WAITING);
  fake_rig_must_say(r, "no connection within 5 s");
  fake_rig_free(r);
}

static void silent_broker_is_noticed_within_two_heartbeats(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = publisher(r);
  fake_expect_publishes(b, 1);
  fake_allow_heartbeats(b);
  fake_silence(b);
  fake_rig_start(r);
  publish(r, 1);
  struct rmq_mono silent_since = r->now;
  while (fake_rig_state(r) == RMQ_SESSION_READY)
    fake_rig_advance(r);
  assert_int_equal(rmq_mono_since(r->now, silent_since).ns,
                   2 * r->config.heartbeat.ns);
  fake_rig_must_be(r, RMQ_SESSION_WAITING);
  fake_rig_must_say(r, "silent for 60 s");
  assert_int_equal(r->losts, 1);
  fake_rig_free(r);
}

static void heartbeats_go_both_ways_and_keep_the_connection(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = publisher(r);
  for (int i = 0; i < 10; i++) {
    fake_expect_heartbeat(b);
    fake_send_heartbeat(b);
  }
  fake_expect_nothing(b);
  fake_rig_start(r);
  for (int i = 0; i < 10; i++)
    assert_int_equal(fake_rig_advance(r).ns, r->config.heartbeat.ns / 2);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  assert_int_equal(fake_broker_heartbeats(b), 10);
  assert_int_equal(r->changes, 4);
  fake_broker_resume(b);
  fake_rig_free(r);
}

static void full_socket_gets_no_pile_of_heartbeats(void **state) {
  struct fake_rig *r = rig(state);
  publisher(r);
  fake_rig_start(r);
  /* The link takes nothing any more, but the broker is still heard. */
  rmq_buf_append(rmq_connection_output(r->connection), "x", 1);
  for (int i = 0; i < 20; i++) {
    struct rmq_mono due = rmq_connection_next_deadline(r->connection);
    r->now = due;
    rmq_connection_input(r->connection, "\x08\0\0\0\0\0\0\xce", 8, r->now);
    rmq_connection_tick(r->connection, r->now);
  }
  fake_rig_must_be(r, RMQ_SESSION_READY);
  assert_int_equal(rmq_connection_output(r->connection)->len, 1);
  rmq_buf_clear(rmq_connection_output(r->connection));
  fake_rig_free(r);
}

/* ---- alarms ---- */

static void blocked_stops_publishing_but_not_the_connection(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = publisher(r);
  fake_expect_publishes(b, 1);
  fake_send(b, "connection.blocked", "reason='low on memory'");
  for (int i = 0; i < 40; i++) {
    fake_expect_heartbeat(b);
    fake_send_heartbeat(b);
  }
  fake_expect_nothing(b);
  fake_send(b, "connection.unblocked");
  fake_send(b, "basic.ack", "delivery-tag=1");
  fake_expect_publishes(b, 1);
  fake_rig_start(r);
  publish(r, 1);
  fake_rig_must_be(r, RMQ_SESSION_BLOCKED);
  assert_true(rmq_connection_is_blocked(r->connection));
  fake_rig_must_say(r, "low on memory");
  assert_false(fake_rig_publish(r, "m-2", "x"));
  fake_rig_pass(r, rmq_s(600)); /* stays, however long the alarm lasts */
  fake_rig_must_be(r, RMQ_SESSION_BLOCKED);
  assert_int_equal(r->losts, 0);
  fake_broker_resume(b);
  fake_rig_run(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_must_say(r, "ack 1/1");
  assert_true(fake_rig_publish(r, "m-2", "x"));
  assert_int_equal(r->links_count, 1);
  fake_rig_free(r);
}

static void alarm_during_the_set_up_is_remembered(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = fake_rig_next_broker(r);
  r->config.wants_confirms = true;
  fake_script_login(b, NULL);
  fake_send(b, "connection.blocked", "reason='low on disk'");
  fake_script_channel(b);
  fake_script_confirm(b);
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_BLOCKED);
  assert_false(rmq_connection_can_publish(r->connection));
  fake_rig_free(r);
}

static void broker_dying_while_blocked_is_reconnected(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = publisher(r);
  fake_send(b, "connection.blocked", "reason='low on memory'");
  fake_pause(b);
  fake_reset(b);
  publisher(r);
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_BLOCKED);
  fake_broker_resume(b);
  fake_rig_run(r);
  fake_rig_must_be(r, RMQ_SESSION_WAITING);
  fake_rig_advance(r);
  fake_rig_must_be(r, RMQ_SESSION_READY); /* the alarm belonged to the link */
  fake_rig_free(r);
}

/* ---- consuming ---- */

static void deliveries_come_whole_with_what_they_carry(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  char large[9000];
  memset(large, 'y', sizeof(large));
  fake_send_deliver(b, .fields = FOR("1"), .exchange = "x",
                    .routing_key = "host.cpu",
                    .props = "content-type=text/collectd message-id=c-1 "
                             "content-encoding=gzip delivery-mode=2 "
                             "timestamp=1700000000 user-id=alice "
                             "headers={timestamp_in_ms=l:1700000000123,"
                             "traceparent=S:00-aa-bb-01,"
                             "x-delivery-count=l:3}",
                    .body = "one");
  fake_pause(b);
  fake_send_deliver(b, .fields = FOR("2 redelivered=1"), .exchange = "x",
                    .routing_key = "",
                    .props = "timestamp=1700000000 type=amqp-1.0", .body = "");
  fake_pause(b);
  fake_send_deliver(b, .fields = FOR("3"), .body = large,
                    .body_len = sizeof(large), .body_per_frame = 1000);
  fake_rig_start(r);
  const struct rmq_delivery *d = &r->last_delivery;
  assert_int_equal(r->deliveries, 1);
  assert_int_equal(d->tag, 1);
  assert_false(d->is_redelivered || d->is_malformed || d->is_oversized);
  assert_string_equal(d->exchange, "x");
  assert_string_equal(d->routing_key, "host.cpu");
  assert_string_equal(d->content_type, "text/collectd");
  assert_string_equal(d->content_encoding, "gzip");
  assert_string_equal(d->message_id, "c-1");
  assert_string_equal(d->traceparent, "00-aa-bb-01");
  assert_string_equal(d->user_id, "alice");
  assert_null(d->kept); /* nobody asked for it */
  assert_false(d->is_amqp1);
  assert_true(d->has_timestamp);
  assert_int_equal(d->timestamp_ms, 1700000000123);
  assert_int_equal(d->delivery_count, 3);
  fake_rig_must_say(r, "delivered 1/1 id=c-1 3 bytes: one\n");
  fake_broker_resume(b);
  fake_rig_run(r);
  assert_int_equal(r->deliveries, 2);
  assert_true(d->is_redelivered && d->is_amqp1);
  assert_int_equal(d->timestamp_ms, 1700000000000);
  assert_int_equal(d->delivery_count, -1);
  assert_string_equal(d->message_id, ""); /* nothing of the one before */
  assert_string_equal(d->traceparent, "");
  assert_string_equal(d->user_id, "");
  fake_broker_resume(b);
  fake_rig_run(r);
  assert_int_equal(r->deliveries, 3);
  assert_false(d->is_amqp1);
  assert_int_equal(d->body.len, sizeof(large));
  assert_false(d->has_timestamp);
  fake_rig_free(r);
}

/* ---- no room for more ---- */

static void hold(void *ctx, uint64_t epoch, const struct rmq_delivery *d,
                 struct rmq_mono now) {
  const struct fake_rig *r = ctx;
  (void)epoch;
  (void)d;
  (void)now;
  rmq_connection_hold(r->connection, true);
}

/* In the middle of what came with it, and however long. */
static void held_input_waits_where_it_is(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  r->config.heartbeat = rmq_s(10);
  fake_allow_heartbeats(b);
  r->also.ctx = r;
  r->also.delivered = hold;
  fake_send_deliver(b, .fields = FOR("1"), .body = "one");
  fake_send_deliver(b, .fields = FOR("2"), .body = "two");
  fake_send_deliver(b, .fields = FOR("3"), .body = "three");
  fake_rig_start(r);
  for (size_t want = 1; want <= 3; want++) {
    assert_int_equal(r->deliveries, want);
    assert_true(rmq_connection_is_held(r->connection));
    fake_rig_pass(r, rmq_s(300));
    assert_int_equal(r->deliveries, want);
    fake_rig_must_be(r, RMQ_SESSION_READY);
    rmq_connection_hold(r->connection, false);
    fake_rig_run(r);
  }
  fake_rig_free(r);
}

static void broker_that_is_silent_after_a_hold_is_given_up(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  r->config.heartbeat = rmq_s(10);
  fake_allow_heartbeats(b);
  r->also.ctx = r;
  r->also.delivered = hold;
  fake_send_deliver(b, .fields = FOR("1"), .body = "one");
  fake_rig_start(r);
  fake_rig_pass(r, rmq_s(300));
  rmq_connection_hold(r->connection, false);
  fake_rig_pass(r, rmq_s(12));
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_pass(r, rmq_s(9));
  assert_true(fake_rig_state(r) != RMQ_SESSION_READY);
  fake_rig_free(r);
}

/* What is held belongs to a link; the next login is not held. */
static void hold_ends_with_the_link(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  r->also.ctx = r;
  r->also.delivered = hold;
  fake_send_deliver(b, .fields = FOR("1"), .body = "one");
  fake_send_deliver(b, .fields = FOR("2"), .body = "two");
  consumer(r);
  fake_rig_start(r);
  assert_int_equal(r->deliveries, 1);
  rmq_connection_link_down(r->connection, "reset", r->now);
  fake_rig_run(r);
  fake_rig_advance(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  assert_int_equal(r->deliveries, 1);
  fake_rig_free(r);
}

static void closing_is_not_held(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  r->also.ctx = r;
  r->also.delivered = hold;
  fake_send_deliver(b, .fields = FOR("1"), .body = "one");
  fake_send_deliver(b, .fields = FOR("2"), .body = "two");
  fake_expect(b, "connection.close");
  fake_send(b, "connection.close-ok");
  fake_rig_start(r);
  fake_rig_stop(r);
  fake_rig_must_be(r, RMQ_SESSION_STOPPED);
  fake_rig_free(r);
}

static void properties_are_kept_for_who_asks(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  static char text[3001];
  memset(text, 't', sizeof(text) - 1);
  struct fake_bytes props = {0};
  fake_bytes_printf(&props,
                    "app-id=maker correlation-id=c type=t delivery-mode=2 "
                    "reply-to=answers expiration=60000 priority=0 "
                    "headers={a=S:one,n=l:7,x=F:{},large=S:%s,larger=S:%s,"
                    "z=S:last}",
                    text, text);
  r->config.keeps_properties = true;
  fake_send_deliver(b, .fields = FOR("1"), .props = fake_bytes_text(&props),
                    .body = "one");
  fake_pause(b);
  fake_send_deliver(b, .fields = FOR("2"), .body = "two");
  fake_rig_start(r);
  const struct rmq_kept *k = r->last_delivery.kept;
  assert_non_null(k);
  assert_string_equal(k->app_id, "maker");
  assert_string_equal(k->correlation_id, "c");
  assert_string_equal(k->type, "t");
  assert_string_equal(k->reply_to, "answers");
  assert_string_equal(k->expiration, "60000");
  assert_int_equal(k->priority, 0);
  assert_int_equal(k->delivery_mode, 2);
  assert_int_equal(k->headers_count, 5);
  assert_true(k->is_cut); /* without the second large one */
  assert_true(rmq_span_equals(k->headers[0].string, "one"));
  assert_int_equal(k->headers[1].integer, 7);
  assert_int_equal(k->headers[2].type, RMQ_HEADER_OTHER);
  assert_true(rmq_span_equals(k->headers[3].string, text));
  assert_true(rmq_span_equals(k->headers[4].name, "z"));
  fake_broker_resume(b);
  fake_rig_run(r);
  assert_int_equal(r->deliveries, 2);
  assert_int_equal(k->headers_count, 0);
  assert_int_equal(k->delivery_mode, 0);
  assert_int_equal(k->priority, -1);
  assert_string_equal(k->app_id, "");
  assert_string_equal(k->reply_to, "");
  assert_string_equal(k->expiration, "");
  assert_false(k->is_cut);
  fake_bytes_fini(&props);
  fake_rig_free(r);
}

static void settling_a_delivery_reaches_the_broker(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  for (int i = 1; i <= 5; i++) {
    char fields[64];
    snprintf(fields, sizeof(fields), FOR("%d"), i);
    fake_send_deliver(b, .fields = fields, .body = "b");
  }
  fake_expect(b, "basic.ack", "delivery-tag=3 multiple=1");
  fake_expect(b, "basic.reject", "delivery-tag=4 requeue=0");
  fake_expect(b, "basic.reject", "delivery-tag=5 requeue=1");
  fake_rig_start(r);
  assert_int_equal(r->deliveries, 5);
  rmq_connection_ack(r->connection, 3, true);
  rmq_connection_reject(r->connection, 4, false);
  rmq_connection_reject(r->connection, 5, true);
  fake_rig_run(r);
  fake_rig_free(r);
}

static void drop_between_delivery_and_ack_forgets_the_tag(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  fake_send_deliver(b, .fields = FOR("1"), .props = "message-id=c-1",
                    .body = "b");
  fake_close(b);
  b = consumer(r);
  fake_send_deliver(b, .fields = FOR("1 redelivered=1"),
                    .props = "message-id=c-1", .body = "b");
  fake_expect_nothing(b);
  fake_expect(b, "basic.ack", "delivery-tag=1");
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_WAITING);
  assert_int_equal(r->losts, 1);
  rmq_connection_ack(r->connection, 1, false); /* too late: goes nowhere */
  fake_rig_advance(r);
  fake_rig_must_say(r, "delivered 2/1 redelivered id=c-1");
  fake_broker_resume(b);
  rmq_connection_ack(r->connection, 1, false);
  fake_rig_run(r);
  fake_rig_free(r);
}

static void half_a_delivery_is_lost_with_its_connection(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  fake_send_deliver(b, .fields = FOR("1"), .props = "message-id=c-1",
                    .body = "0123456789", .body_per_frame = 4);
  fake_cut(b, 60);
  fake_close(b);
  b = consumer(r);
  fake_send_deliver(b, .fields = FOR("1 redelivered=1"),
                    .props = "message-id=c-1", .body = "0123456789");
  fake_rig_start(r);
  assert_int_equal(r->deliveries, 0);
  fake_rig_advance(r);
  fake_rig_must_say(r, "delivered 2/1 redelivered id=c-1 10 bytes: "
                       "0123456789\n");
  fake_rig_free(r);
}

static void message_over_the_limit_is_skipped_and_reported(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  char large[5000];
  memset(large, 'y', sizeof(large));
  r->config.max_message_bytes = 4999;
  fake_send_deliver(b, .fields = FOR("1"), .props = "message-id=c-1",
                    .body = large, .body_len = sizeof(large));
  fake_send_deliver(b, .fields = FOR("2"), .props = "message-id=c-2",
                    .body = large, .body_len = 4999);
  fake_rig_start(r);
  fake_rig_must_say(r, "delivered 1/1 oversized id=c-1 5000 bytes: \n");
  fake_rig_must_say(r, "delivered 1/2 id=c-2 4999 bytes: yyyy");
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static void cancel_by_us_ends_with_cancel_ok(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  fake_expect(b, "basic.cancel", "consumer-tag=w no-wait=0");
  fake_send_deliver(b, .fields = FOR("1"), .body = "under way");
  fake_send(b, "basic.cancel-ok", "consumer-tag=w");
  fake_expect(b, "basic.ack", "delivery-tag=1");
  fake_rig_start(r);
  fake_rig_forget_events(r);
  assert_true(rmq_connection_cancel(r->connection));
  fake_rig_run(r);
  fake_rig_must_say(r, "delivered 1/1 id= 9 bytes: under way\ncancelled\n");
  assert_int_equal(r->cancels, 1);
  assert_false(rmq_connection_cancel(r->connection));
  rmq_connection_ack(r->connection, 1, false);
  fake_rig_run(r);
  fake_rig_free(r);
}

static void
cancel_by_the_broker_subscribes_again_on_the_same_link(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  fake_send_deliver(b, .fields = FOR("1"), .body = "b");
  fake_send(b, "basic.cancel", "consumer-tag=w no-wait=1");
  fake_rpc(b, "channel.close", "reply-code=200", "");
  script_consumer_channel(b);
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_REOPENING);
  fake_rig_must_say(r, "cancelled the consumer: queue \"q\"");
  assert_int_equal(r->losts, 1);
  fake_rig_advance(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  assert_int_equal(r->epoch, 2);
  assert_int_equal(r->links_count, 1);
  fake_rig_free(r);
}

/* The delay before the next channel may be short, the broker slow. */
static void our_channel_close_has_the_time_of_an_answer(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  fake_send(b, "basic.cancel", "consumer-tag=w");
  fake_expect(b, "channel.close");
  fake_pause(b);
  fake_send(b, "channel.close-ok");
  script_consumer_channel(b);
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_REOPENING);
  fake_rig_pass(r, rmq_s(9));
  fake_rig_must_be(r, RMQ_SESSION_REOPENING);
  fake_broker_resume(b);
  fake_rig_run(r);
  fake_rig_pass(r, rmq_s(2));
  fake_rig_must_be(r, RMQ_SESSION_READY);
  assert_int_equal(r->links_count, 1);
  fake_rig_free(r);
}

static void our_channel_close_without_an_answer_costs_the_link(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  fake_send(b, "basic.cancel", "consumer-tag=w");
  fake_expect(b, "channel.close");
  fake_silence(b);
  fake_rig_start(r);
  fake_rig_pass(r, rmq_s(9));
  fake_rig_must_be(r, RMQ_SESSION_REOPENING);
  fake_rig_pass(r, rmq_ms(1001));
  fake_rig_must_be(r, RMQ_SESSION_WAITING);
  fake_rig_must_say(r, "channel.close was not answered");
  fake_rig_free(r);
}

static void consumer_timeout_of_the_broker_reopens_the_channel(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  fake_send_deliver(b, .fields = FOR("1"), .body = "b");
  fake_send(b, "channel.close",
            "reply-code=406 reply-text='PRECONDITION_FAILED - delivery "
            "acknowledgement on channel 1 timed out.'");
  fake_expect(b, "channel.close-ok");
  script_consumer_channel(b);
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_REOPENING);
  fake_rig_advance(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

/* From RabbitMQ 4.3 on, since we say that we understand it. */
static void consumer_timeout_may_come_as_a_cancel_and_is_told(void **state) {
  struct fake_rig *r = rig(state);
  r->config.heartbeat = rmq_s(0);
  struct fake_broker *b = consumer(r);
  fake_send_deliver(b, .fields = FOR("1"), .props = "message-id=c-1",
                    .body = "b");
  fake_pause(b);
  fake_send(b, "basic.cancel", "consumer-tag=w no-wait=1");
  fake_rpc(b, "channel.close", "reply-code=200", "");
  script_consumer_channel(b);
  fake_send_deliver(b, .fields = FOR("1 redelivered=1"),
                    .props = "message-id=c-1", .body = "b");
  fake_rig_start(r);
  fake_rig_pass(r, rmq_s(1800));
  fake_rig_must_not_say(r, "cancelled the consumer");
  fake_broker_resume(b);
  fake_rig_run(r);
  fake_rig_must_say(r, "a message waited longer for its acknowledgement than "
                       "consumer_timeout");
  assert_int_equal(r->losts, 1);
  fake_rig_advance(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_must_say(r, "delivered 2/1 redelivered id=c-1 1 bytes: b\n");
  assert_int_equal(r->links_count, 1);
  fake_rig_free(r);
}

/* ---- hosts and back-off ---- */

static void every_host_is_tried_before_the_back_off(void **state) {
  struct fake_rig *r = rig(state);
  r->config.endpoints_count = 2;
  fake_rig_start(r);
  assert_string_equal(r->link_host, "first");
  fake_rig_link_fails(r, "connection refused");
  assert_int_equal(fake_rig_advance(r).ns, 0);
  assert_string_equal(r->link_host, "second");
  fake_rig_link_fails(r, "connection refused");
  fake_rig_must_be(r, RMQ_SESSION_WAITING);
  assert_true(fake_rig_advance(r).ns >= RMQ_NS_PER_S);
  assert_string_equal(r->link_host, "first");
  fake_rig_must_say(r, "at second: 0 connection refused");
  fake_rig_free(r);
}

static void
back_off_grows_to_its_limit_and_starts_over_after_progress(void **state) {
  struct fake_rig *r = rig(state);
  fake_rig_start(r);
  struct rmq_dur most = {0};
  for (int i = 0; i < 40; i++) {
    fake_rig_link_fails(r, "connection refused");
    struct rmq_dur d = fake_rig_advance(r);
    int64_t limit = i < 5 ? INT64_C(2) << i : 60;
    assert_true(d.ns >= RMQ_NS_PER_S && d.ns <= limit * RMQ_NS_PER_S);
    most = d.ns > most.ns ? d : most;
  }
  assert_true(most.ns > 30 * RMQ_NS_PER_S);
  fake_rig_free(r);
}

/* A broker that accepts the login and dies at once must not be hammered: only
 * the first confirm or delivery resets the back-off. */
static void connect_alone_does_not_reset_the_back_off(void **state) {
  struct fake_rig *r = rig(state);
  struct rmq_dur most = {0};
  for (int i = 0; i < 12; i++)
    fake_close(publisher(r));
  r->config.heartbeat = rmq_s(0);
  fake_rig_start(r);
  for (int i = 0; i < 11; i++) {
    fake_rig_must_be(r, RMQ_SESSION_WAITING);
    struct rmq_dur d = fake_rig_advance(r);
    most = d.ns > most.ns ? d : most;
  }
  assert_int_equal(r->readies, 12);
  assert_true(most.ns > 10 * RMQ_NS_PER_S);
  fake_rig_free(r);
  /* The same with progress: every wait is a first one. */
  r = rig(state);
  for (int i = 0; i < 12; i++) {
    struct fake_broker *b = publisher(r);
    fake_pause(b);
    fake_close(b);
  }
  r->config.heartbeat = rmq_s(0);
  fake_rig_start(r);
  for (int i = 0; i < 12; i++) {
    rmq_connection_progress(r->connection);
    fake_broker_resume(r->broker);
    fake_rig_run(r);
    fake_rig_must_be(r, RMQ_SESSION_WAITING);
    assert_true(r->last_change.retry_in.ns <= 2 * RMQ_NS_PER_S);
    if (i < 11)
      fake_rig_advance(r);
  }
  fake_rig_free(r);
}

/* Also on one link: has_progress belongs to the channel. */
static void progress_on_each_channel_keeps_the_reopening_short(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = publisher(r);
  for (int i = 0; i < 12; i++) {
    fake_pause(b);
    fake_send(b, "channel.close", "reply-code=404 reply-text=NOT_FOUND");
    fake_expect(b, "channel.close-ok");
    script_publisher_channel(b);
  }
  r->config.heartbeat = rmq_s(0);
  fake_rig_start(r);
  for (int i = 0; i < 12; i++) {
    rmq_connection_progress(r->connection);
    fake_broker_resume(b);
    fake_rig_run(r);
    fake_rig_must_be(r, RMQ_SESSION_REOPENING);
    assert_true(r->last_change.retry_in.ns <= 2 * RMQ_NS_PER_S);
    fake_rig_advance(r);
  }
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static struct fake_broker *refusing(struct fake_rig *r) {
  struct fake_broker *b = fake_rig_next_broker(r);
  fake_script_login_part(b, 3, NULL);
  fake_send(b, "connection.close",
            "reply-code=403 reply-text='ACCESS_REFUSED - Login was refused'");
  fake_expect(b, "connection.close-ok");
  return b;
}

/* The account may be missing at one of them only. */
static void refused_login_goes_on_to_the_next_host_at_once(void **state) {
  struct fake_rig *r = rig(state);
  refusing(r);
  publisher(r);
  r->config.endpoints_count = 2;
  fake_rig_start(r);
  fake_rig_must_say(r, "login -> waiting on login refused at first: 403");
  assert_int_equal(fake_rig_advance(r).ns, 0);
  assert_string_equal(r->link_host, "second");
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

/* And a host that is only down is asked again sooner than that. */
static void
host_that_refused_is_left_alone_while_others_are_tried(void **state) {
  struct fake_rig *r = rig(state);
  r->config.endpoints_count = 2;
  refusing(r);
  fake_rig_start(r);
  struct rmq_mono refused_at = r->now;
  fake_rig_advance(r);
  size_t tries = 0;
  for (; strcmp(r->link_host, "second") == 0; tries++) {
    fake_rig_link_fails(r, "connection refused");
    assert_true(fake_rig_advance(r).ns <= 60 * RMQ_NS_PER_S);
  }
  assert_true(tries > 5);
  int64_t waited = rmq_mono_since(r->now, refused_at).ns;
  assert_true(waited >= 150 * RMQ_NS_PER_S && waited <= 360 * RMQ_NS_PER_S);
  fake_rig_free(r);
}

static void when_every_host_refuses_the_wait_is_long(void **state) {
  struct fake_rig *r = rig(state);
  r->config.endpoints_count = 2;
  refusing(r);
  refusing(r);
  fake_rig_start(r);
  assert_int_equal(fake_rig_advance(r).ns, 0);
  assert_true(r->last_change.retry_in.ns >= 150 * RMQ_NS_PER_S);
  assert_true(r->last_change.retry_in.ns <= 300 * RMQ_NS_PER_S);
  fake_rig_advance(r);
  fake_rig_must_be(r, RMQ_SESSION_CONNECTING);
  fake_rig_free(r);
}

/* Nobody waits for a dead node while another one lives. */
static void host_that_lost_us_is_tried_last_for_a_while(void **state) {
  struct fake_rig *r = rig(state);
  r->config.endpoints_count = 2;
  r->config.heartbeat = rmq_s(0);
  for (int i = 0; i < 3; i++)
    publisher(r);
  fake_rig_start(r);
  rmq_connection_progress(r->connection);
  rmq_connection_fail(r->connection, "no confirm", r->now);
  fake_rig_run(r);
  assert_true(r->last_change.retry_in.ns >= RMQ_NS_PER_S);
  fake_rig_advance(r);
  assert_string_equal(r->link_host, "second");
  rmq_connection_progress(r->connection);
  fake_rig_wait(r, rmq_s(10)); /* the first one's penalty is over */
  rmq_connection_fail(r->connection, "no confirm", r->now);
  fake_rig_run(r);
  fake_rig_advance(r);
  assert_string_equal(r->link_host, "first");
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

/* A node that takes connections and never confirms must not keep us from the
 * others. */
static void host_that_never_worked_is_left_for_the_next(void **state) {
  struct fake_rig *r = rig(state);
  for (int i = 0; i < 4; i++)
    publisher(r);
  r->config.endpoints_count = 2;
  fake_rig_start(r);
  rmq_connection_fail(r->connection, "no confirm", r->now);
  fake_rig_run(r);
  /* not at once: many others have lost theirs, too */
  assert_true(r->last_change.retry_in.ns >= RMQ_NS_PER_S);
  fake_rig_pass(r, rmq_s(2));
  assert_string_equal(r->link_host, "second");
  fake_rig_must_be(r, RMQ_SESSION_READY);
  rmq_connection_fail(r->connection, "no confirm", r->now);
  fake_rig_run(r);
  fake_rig_pass(r, rmq_s(4));
  assert_string_equal(r->link_host, "first");
  rmq_connection_progress(r->connection);
  rmq_connection_fail(r->connection, "no confirm", r->now);
  fake_rig_run(r);
  fake_rig_pass(r, rmq_s(2));
  assert_string_equal(r->link_host, "first");
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static void fail_by_the_owner_reconnects_as_a_broken_link(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = publisher(r);
  fake_expect_publishes(b, 1);
  fake_expect_eof(b);
  publisher(r);
  fake_rig_start(r);
  publish(r, 1);
  rmq_connection_fail(r->connection, "no confirm within 30 s", r->now);
  fake_rig_run(r);
  fake_rig_must_be(r, RMQ_SESSION_WAITING);
  fake_rig_must_say(r, "no confirm within 30 s");
  assert_int_equal(r->losts, 1);
  fake_rig_advance(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

/* ---- bounds ---- */

static void publishing_pauses_when_the_link_takes_nothing(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = publisher(r);
  static char body[1000];
  struct rmq_wire_publish p = {
      .exchange = "x", .routing_key = "k", .body = {body, sizeof(body)}};
  int sent = 0;
  fake_rig_start(r);
  while (rmq_connection_can_publish(r->connection) && sent < 100000) {
    assert_int_equal(rmq_connection_publish(r->connection, &p), 0);
    sent++;
  }
  assert_true(sent > 100 && sent < 2000);
  assert_true(rmq_connection_output(r->connection)->len < 1 << 20);
  fake_expect_publishes(b, (size_t)sent);
  fake_rig_run(r);
  assert_true(rmq_connection_can_publish(r->connection));
  fake_rig_free(r);
}

static void memory_of_a_large_message_is_given_back(void **state) {
  struct fake_rig *r = fake_rig_new(FAKE_WHOLE, 1);
  (void)state;
  struct fake_broker *b = publisher(r);
  static char body[10 << 20];
  struct rmq_wire_publish p = {
      .exchange = "x", .routing_key = "k", .body = {body, sizeof(body)}};
  fake_expect_publishes(b, 1);
  fake_rig_start(r);
  assert_int_equal(rmq_connection_publish(r->connection, &p), 0);
  assert_true(rmq_connection_output(r->connection)->capacity > sizeof(body));
  rmq_connection_tick(r->connection, r->now);
  assert_true(rmq_connection_output(r->connection)->len > sizeof(body));
  fake_rig_run(r);
  rmq_connection_tick(r->connection, r->now);
  assert_true(rmq_connection_output(r->connection)->capacity <= 2 << 20);
  fake_rig_free(r);
}

/* A reject that is not sent would be covered by a later multiple ack. */
static void ack_or_reject_without_memory_ends_the_connection(void **state) {
  for (int is_ack = 0; is_ack <= 1; is_ack++) {
    struct fake_rig *r = rig(state);
    struct fake_broker *b = consumer(r);
    fake_send_deliver(b, .fields = FOR("1"), .body = "b");
    fake_silence(b);
    consumer(r);
    fake_rig_start(r);
    assert_int_equal(r->deliveries, 1);
    alloc_fail_at(1);
    for (int i = 0; i < 10000; i++) {
      if (is_ack)
        rmq_connection_ack(r->connection, 1, false);
      else
        rmq_connection_reject(r->connection, 1, true);
    }
    assert_true(alloc_works_again());
    assert_true(
        rmq_mono_reached(r->now, rmq_connection_next_deadline(r->connection)));
    fake_rig_advance(r);
    fake_rig_must_be(r, RMQ_SESSION_WAITING);
    fake_rig_must_say(r, "no memory");
    assert_int_equal(r->losts, 1);
    fake_rig_advance(r);
    fake_rig_must_be(r, RMQ_SESSION_READY);
    fake_rig_free(r);
  }
}

static void name_over_255_bytes_sends_nothing_and_uses_no_seqno(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = publisher(r);
  char key[300];
  memset(key, 'k', sizeof(key) - 1);
  key[sizeof(key) - 1] = '\0';
  fake_expect_publishes(b, 1);
  fake_rig_start(r);
  struct rmq_wire_publish p = {.exchange = "x", .routing_key = key};
  assert_int_equal(rmq_connection_publish(r->connection, &p), -1);
  assert_int_equal(rmq_connection_output(r->connection)->len, 0);
  key[255] = '\0';
  assert_int_equal(rmq_connection_publish(r->connection, &p), 0);
  fake_rig_run(r);
  fake_rig_free(r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      HOWEVER_SPLIT(publisher_logs_in_declares_and_is_ready),
      HOWEVER_SPLIT(login_announces_what_the_broker_only_tells_those_who_ask),
      HOWEVER_SPLIT(external_login_sends_no_password),
      HOWEVER_SPLIT(consumer_binds_every_key_and_subscribes),
      HOWEVER_SPLIT(queue_named_by_the_server_is_used_from_then_on),
      HOWEVER_SPLIT(passive_topology_and_arguments_reach_the_broker),
      HOWEVER_SPLIT(alternate_exchange_is_looked_for_and_named),
      HOWEVER_SPLIT(missing_alternate_exchange_is_named_before_the_other),
      HOWEVER_SPLIT(tune_is_answered_within_the_offer),
      HOWEVER_SPLIT(bodies_are_cut_to_the_negotiated_frame_max),
      HOWEVER_SPLIT(publish_carries_what_the_contract_promises),
      HOWEVER_SPLIT(confirms_are_passed_on_as_the_broker_gives_them),
      HOWEVER_SPLIT(return_comes_before_its_ack_or_nack),
      HOWEVER_SPLIT(drop_between_publish_and_confirm_loses_the_channel),
      HOWEVER_SPLIT(seqnos_begin_anew_with_every_epoch),
      HOWEVER_SPLIT(closed_channel_is_opened_again_on_the_same_link),
      HOWEVER_SPLIT(refused_topology_waits_longer_each_time_and_recovers),
      HOWEVER_SPLIT(forced_close_is_answered_and_reconnected),
      HOWEVER_SPLIT(unknown_exchange_type_waits_long_and_says_what_to_do),
      HOWEVER_SPLIT(queue_that_4_3_refuses_says_what_to_do),
      HOWEVER_SPLIT(stop_closes_in_good_order),
      HOWEVER_SPLIT(close_without_close_ok_ends_at_the_deadline),
      HOWEVER_SPLIT(stop_is_immediate_where_nobody_would_answer),
      HOWEVER_SPLIT(wrong_password_waits_long_and_says_what_to_do),
      HOWEVER_SPLIT(wrong_vhost_waits_long_and_says_what_to_do),
      HOWEVER_SPLIT(broker_shutting_down_during_login_is_tried_again_soon),
      HOWEVER_SPLIT(unreadable_password_is_a_refused_login),
      HOWEVER_SPLIT(mechanism_not_offered_is_a_refused_login),
      HOWEVER_SPLIT(silence_in_any_step_ends_after_the_rpc_timeout),
      HOWEVER_SPLIT(link_that_does_not_open_ends_after_the_connect_timeout),
      HOWEVER_SPLIT(silent_broker_is_noticed_within_two_heartbeats),
      HOWEVER_SPLIT(heartbeats_go_both_ways_and_keep_the_connection),
      HOWEVER_SPLIT(full_socket_gets_no_pile_of_heartbeats),
      HOWEVER_SPLIT(blocked_stops_publishing_but_not_the_connection),
      HOWEVER_SPLIT(alarm_during_the_set_up_is_remembered),
      HOWEVER_SPLIT(broker_dying_while_blocked_is_reconnected),
      HOWEVER_SPLIT(deliveries_come_whole_with_what_they_carry),
      HOWEVER_SPLIT(held_input_waits_where_it_is),
      HOWEVER_SPLIT(broker_that_is_silent_after_a_hold_is_given_up),
      HOWEVER_SPLIT(hold_ends_with_the_link),
      HOWEVER_SPLIT(closing_is_not_held),
      HOWEVER_SPLIT(properties_are_kept_for_who_asks),
      HOWEVER_SPLIT(settling_a_delivery_reaches_the_broker),
      HOWEVER_SPLIT(drop_between_delivery_and_ack_forgets_the_tag),
      HOWEVER_SPLIT(half_a_delivery_is_lost_with_its_connection),
      HOWEVER_SPLIT(message_over_the_limit_is_skipped_and_reported),
      HOWEVER_SPLIT(cancel_by_us_ends_with_cancel_ok),
      HOWEVER_SPLIT(cancel_by_the_broker_subscribes_again_on_the_same_link),
      HOWEVER_SPLIT(our_channel_close_has_the_time_of_an_answer),
      HOWEVER_SPLIT(our_channel_close_without_an_answer_costs_the_link),
      HOWEVER_SPLIT(consumer_timeout_of_the_broker_reopens_the_channel),
      HOWEVER_SPLIT(consumer_timeout_may_come_as_a_cancel_and_is_told),
      HOWEVER_SPLIT(every_host_is_tried_before_the_back_off),
      HOWEVER_SPLIT(back_off_grows_to_its_limit_and_starts_over_after_progress),
      HOWEVER_SPLIT(connect_alone_does_not_reset_the_back_off),
      HOWEVER_SPLIT(progress_on_each_channel_keeps_the_reopening_short),
      HOWEVER_SPLIT(host_that_never_worked_is_left_for_the_next),
      HOWEVER_SPLIT(host_that_lost_us_is_tried_last_for_a_while),
      HOWEVER_SPLIT(host_that_refused_is_left_alone_while_others_are_tried),
      HOWEVER_SPLIT(refused_login_goes_on_to_the_next_host_at_once),
      HOWEVER_SPLIT(when_every_host_refuses_the_wait_is_long),
      HOWEVER_SPLIT(fail_by_the_owner_reconnects_as_a_broken_link),
      HOWEVER_SPLIT(publishing_pauses_when_the_link_takes_nothing),
      cmocka_unit_test(memory_of_a_large_message_is_given_back),
      HOWEVER_SPLIT(ack_or_reject_without_memory_ends_the_connection),
      HOWEVER_SPLIT(name_over_255_bytes_sends_nothing_and_uses_no_seqno),
  };
  return run_all(tests);
}
