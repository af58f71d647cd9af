/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_topology.h"
#include "tests/fake/host.h"
#include "tests/testing.h"

#include <inttypes.h>
#include <string.h>

struct fixture {
  struct rmq_consume_options options;
  struct rmq_connection_config config;
  struct rmq_consume_topology topology;
};

static void begin(struct fixture *f, const char *const set[][2]) {
  struct rmq_error err = {""};
  *f = (struct fixture){.config = {.prefetch = 0}};
  assert_int_equal(
      rmq_options_init(rmq_consume_option_table, &f->options, &err), 0);
  for (size_t i = 0; set[i][0] != NULL; i++)
    if (rmq_options_set_text(rmq_consume_option_table, &f->options, set[i][0],
                             set[i][1], NULL, &err) != 0)
      fail_msg("%s", err.text);
  assert_int_equal(
      rmq_consume_topology_init(&f->topology, &f->options, &f->config, &err),
      0);
}

static void end(struct fixture *f) {
  rmq_consume_topology_fini(&f->topology);
  rmq_options_fini(rmq_consume_option_table, &f->options);
}

/* "name=value " for each, text in quotes. */
static void show(const struct rmq_arguments *a, struct rmq_buf *out) {
  rmq_buf_clear(out);
  for (size_t i = 0; i < a->count; i++) {
    const struct rmq_argument *x = &a->items[i];
    switch (x->type) {
    case RMQ_ARG_STRING:
      rmq_buf_appendf(out, "%s=\"%s\" ", x->name, x->string);
      break;
    case RMQ_ARG_INTEGER:
      rmq_buf_appendf(out, "%s=%" PRId64 " ", x->name, x->integer);
      break;
    case RMQ_ARG_BOOLEAN:
      rmq_buf_appendf(out, "%s=%s ", x->name, x->boolean ? "yes" : "no");
      break;
    case RMQ_ARG_TIMESTAMP:
      rmq_buf_appendf(out, "%s=@%" PRId64 " ", x->name, x->integer);
      break;
    }
  }
}

static void options_become_arguments(void **state) {
  (void)state;
  static const struct {
    const char *const set[6][2];
    const char *want_queue, *want_consumer;
  } rows[] = {
      /* what nobody set is left to the broker and its policies */
      {{{"Queue", "q"}}, "", ""},
      {{{"Queue", "q"}, {"QueueType", "quorum"}, {"DeliveryLimit", "7"}},
       "x-queue-type=\"quorum\" x-delivery-limit=7 ",
       ""},
      {{{"Queue", "q"},
        {"QueueExpires", "1.5"},
        {"QueueMessageTTL", "1m"},
        {"QueueMaxLength", "10"},
        {"QueueMaxLengthBytes", "1KiB"},
        {NULL}},
       "x-expires=1500 x-message-ttl=60000 x-max-length=10 "
       "x-max-length-bytes=1024 ",
       ""},
      {{{"Queue", "q"},
        {"DeadLetterExchange", "d"},
        {"DeadLetterRoutingKey", "k"},
        {"DeadLetterStrategy", "at-least-once"},
        {"QueueOverflow", "reject-publish"},
        {NULL}},
       "x-dead-letter-exchange=\"d\" x-dead-letter-routing-key=\"k\" "
       "x-dead-letter-strategy=\"at-least-once\" "
       "x-overflow=\"reject-publish\" ",
       ""},
      {{{"Queue", "q"},
        {"SingleActiveConsumer", "true"},
        {"QueueMaxPriority", "3"},
        {"ConsumerPriority", "-4"},
        {"ConsumeArgument", "a=b"},
        {NULL}},
       "x-max-priority=3 x-single-active-consumer=yes ",
       "a=\"b\" x-priority=-4 "},
      {{{"Queue", "q"}, {"QueueType", "stream"}},
       "x-queue-type=\"stream\" ",
       "x-stream-offset=\"next\" "},
      {{{"Queue", "q"}, {"QueueType", "stream"}, {"StreamOffset", "12"}},
       "x-queue-type=\"stream\" ",
       "x-stream-offset=12 "},
      {{{"Queue", "q"},
        {"QueueType", "stream"},
        {"StreamOffset", "2026-01-31T12:00:00Z"}},
       "x-queue-type=\"stream\" ",
       "x-stream-offset=@1769860800 "},
      {{{"Queue", "q"}, {"QueueArgument", "own=1"}, {"QueueMaxLength", "2"}},
       "own=1 x-max-length=2 ",
       ""},
  };
  struct rmq_buf text;
  rmq_buf_init(&text, 4096);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fixture f;
    SHOW_ROW("%zu: %s", i, rows[i].want_queue);
    begin(&f, rows[i].set);
    show(f.config.queue->arguments, &text);
    assert_string_equal(rmq_buf_text(&text), rows[i].want_queue);
    show(f.config.consumer_arguments, &text);
    assert_string_equal(rmq_buf_text(&text), rows[i].want_consumer);
    end(&f);
  }
  rmq_buf_fini(&text);
}

static void auto_is_durable_with_a_name_and_exclusive_without(void **state) {
  (void)state;
  static const struct {
    const char *const set[4][2];
    bool want_durable, want_exclusive, want_auto_delete, want_fading;
  } rows[] = {
      {{{"Queue", "q"}}, true, false, false, false},
      {{{"Exchange", "e"}}, false, true, true, false},
      {{{"Queue", "q"}, {"QueueDurable", "false"}}, false, false, false, true},
      {{{"Exchange", "e"}, {"QueueExclusive", "false"}},
       false,
       false,
       true,
       true},
      {{{"Queue", "q"}, {"QueueDurable", "false"}, {"QueueExclusive", "true"}},
       false,
       true,
       false,
       false},
      {{{"Queue", "q"}, {"QueueDurable", "false"}, {"QueuePassive", "true"}},
       false,
       false,
       false,
       false},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fixture f;
    SHOW_ROW("%zu", i);
    begin(&f, rows[i].set);
    const struct rmq_wire_queue *q = f.config.queue;
    assert_int_equal(q->is_durable, rows[i].want_durable);
    assert_int_equal(q->is_exclusive, rows[i].want_exclusive);
    assert_int_equal(q->is_auto_delete, rows[i].want_auto_delete);
    assert_int_equal(rmq_consume_queue_is_fading(&f.options.queue),
                     rows[i].want_fading);
    end(&f);
  }
}

static void
backlog_is_not_ours_where_another_consumer_may_have_it(void **state) {
  (void)state;
  static const struct {
    const char *const set[3][2];
    enum rmq_backlog want;
  } rows[] = {
      {{{"Queue", "q"}}, RMQ_BACKLOG_OURS},
      {{{"Queue", "q"}, {"ConsumerPriority", "3"}}, RMQ_BACKLOG_OURS},
      {{{"Queue", "q"}, {"ConsumerPriority", "-3"}}, RMQ_BACKLOG_OTHERS},
      {{{"Queue", "q"}, {"SingleActiveConsumer", "true"}}, RMQ_BACKLOG_OTHERS},
      {{{"Queue", "q"}, {"QueuePassive", "true"}}, RMQ_BACKLOG_OTHERS},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fixture f;
    SHOW_ROW("%zu", i);
    begin(&f, rows[i].set);
    assert_int_equal(f.config.backlog, rows[i].want);
    assert_int_equal(f.config.idle_check.ns, rmq_s(60).ns);
    end(&f);
  }
}

static void queue_that_4_3_refuses_is_a_warning_at_the_start(void **state) {
  (void)state;
  static const struct {
    const char *const set[3][2];
    size_t want_lines;
  } rows[] = {
      {{{"Queue", "q"}}, 0},
      {{{"Exchange", "e"}}, 0},
      {{{"Queue", "q"}, {"QueueDurable", "false"}}, 1},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fixture f;
    static struct fake_host host;
    struct rmq_session_log log;
    SHOW_ROW("%zu", i);
    begin(&f, rows[i].set);
    fake_host_init(&host);
    rmq_session_log_init(&log, &host.host, "rabbitmq_consume", "b");
    rmq_consume_topology_warn(&f.options, &log);
    assert_int_equal(host.lines_count, rows[i].want_lines);
    assert_int_equal(fake_host_count(&host, "queue_fading"),
                     rows[i].want_lines);
    end(&f);
  }
}

static void every_routing_key_is_a_binding(void **state) {
  (void)state;
  struct fixture f;
  begin(&f, (const char *const[][2]){{"Queue", "q"},
                                     {"Exchange", "e"},
                                     {"RoutingKey", "a.#"},
                                     {"RoutingKey", "b"},
                                     {NULL}});
  assert_int_equal(f.config.bindings_count, 2);
  assert_string_equal(f.config.bindings[0].routing_key, "a.#");
  assert_string_equal(f.config.bindings[1].routing_key, "b");
  assert_string_equal(f.config.bindings[1].exchange, "e");
  end(&f);
}

static void a_single_active_consumer_is_known_however_it_is_said(void **state) {
  (void)state;
  static const struct {
    const char *const set[3][2];
    bool want;
  } rows[] = {
      {{{"Queue", "q"}}, false},
      {{{"Queue", "q"}, {"SingleActiveConsumer", "true"}}, true},
      {{{"Queue", "q"}, {"QueueArgument", "x-single-active-consumer=true"}},
       true},
      {{{"Queue", "q"}, {"QueueArgument", "x-single-active-consumer=false"}},
       false},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fixture f;
    SHOW_ROW("%zu", i);
    begin(&f, rows[i].set);
    assert_int_equal(rmq_consume_queue_is_single_active(&f.options.queue),
                     rows[i].want);
    end(&f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(options_become_arguments),
      cmocka_unit_test(auto_is_durable_with_a_name_and_exclusive_without),
      cmocka_unit_test(backlog_is_not_ours_where_another_consumer_may_have_it),
      cmocka_unit_test(queue_that_4_3_refuses_is_a_warning_at_the_start),
      cmocka_unit_test(every_routing_key_is_a_binding),
      cmocka_unit_test(a_single_active_consumer_is_known_however_it_is_said),
  };
  return run_all(tests);
}
