/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/intake.h"

#include "tests/alloc.h"
#include "tests/fake/host.h"
#include "tests/testing.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

enum { THREADS = 5, VALUES_OF_THREAD = 2000, MESSAGES_MAX = 10100 };

static struct fake_host host;

/* A sink that keeps messages; wants to be woken for every one, or for none. */
struct fixture {
  struct rmq_intake *i;
  struct rmq_message *messages[MESSAGES_MAX];
  size_t count;
  bool wants_wake;
};
static struct fixture f;

static bool keep(void *ctx, struct rmq_message *m) {
  struct fixture *to = ctx;
  assert_true(to->count < MESSAGES_MAX);
  to->messages[to->count++] = m;
  return to->wants_wake;
}

static void set_up(const char *format, size_t values, const char *key) {
  struct rmq_intake_config c = {.codec = rmq_codec_by_name(format),
                                .style = &rmq_codec_style_default,
                                .routing_key = key,
                                .batch_values = values,
                                .batch_bytes = 64 << 10,
                                .max_open = 100,
                                .flush_interval = rmq_s(1)};
  struct rmq_intake_sink sink = {&f, keep};
  fake_host_init(&host);
  f = (struct fixture){.i = NULL};
  f.i = rmq_intake_new(&c, &sink, &host.host);
  assert_non_null(f.i);
}

static void tear_down(void) {
  for (size_t n = 0; n < f.count; n++)
    rmq_message_free(f.messages[n]);
  rmq_intake_free(f.i);
}

static enum rmq_intake_outcome sample(const char *name, double value) {
  struct rmq_datum d = {"value", RMQ_GAUGE, {.gauge = value}};
  struct rmq_sample s = {.id = {"h", "p", "", "gauge", name},
                         .time = {RMQ_NS_PER_S},
                         .values = &d,
                         .values_count = 1};
  return rmq_intake_sample(f.i, &s);
}

static enum rmq_intake_outcome event(const char *text) {
  struct rmq_event e = {.severity = RMQ_FAILURE,
                        .time = {RMQ_NS_PER_S},
                        .id = {"h", "p", "", "", ""},
                        .message = text};
  return rmq_intake_event(f.i, &e);
}

static struct rmq_intake_stats stats(void) {
  struct rmq_intake_stats s;
  rmq_intake_stats(f.i, &s);
  return s;
}

static void must_be_message(size_t n, const char *key, uint32_t values,
                            const char *body) {
  assert_true(n < f.count);
  const struct rmq_message *m = f.messages[n];
  assert_int_equal(m->seq, n + 1);
  assert_string_equal(m->key, key);
  assert_int_equal(m->values, values);
  assert_string_equal(m->body, body);
}

/* ---- one at a time ---- */

static void without_batches_each_value_is_a_message_at_once(void **state) {
  (void)state;
  set_up("JSON", 1, NULL);
  f.wants_wake = true;
  assert_int_equal(sample("a", 1), RMQ_INTAKE_WAKE);
  f.wants_wake = false;
  assert_int_equal(sample("b", 2), RMQ_INTAKE_TAKEN);
  assert_int_equal(f.count, 2);
  must_be_message(
      0, "collectd.h.p..gauge.a", 1,
      "[{\"values\":[1],\"dstypes\":[\"gauge\"],\"dsnames\":[\"value\"],"
      "\"time\":1.000,\"interval\":0.000,\"host\":\"h\",\"plugin\":\"p\","
      "\"plugin_instance\":\"\",\"type\":\"gauge\",\"type_instance\":\"a\"}]");
  assert_string_equal(f.messages[0]->content_type, "application/json");
  assert_int_equal(f.messages[0]->time.ns, host.wall.ns);
  assert_int_equal(f.messages[0]->born.ns, host.now.ns);
  assert_false(f.messages[0]->is_prepared);
  assert_string_equal(f.messages[0]->id, "");
  assert_int_equal(stats().values, 2);
  assert_int_equal(stats().open_values, 0);
  assert_true(rmq_mono_is_never(rmq_intake_tick(f.i, host.now)));
  tear_down();
}

static void batch_is_sealed_when_it_is_full(void **state) {
  (void)state;
  set_up("Command", 3, "k");
  f.wants_wake = true;
  sample("a", 1);
  sample("b", 2);
  assert_int_equal(f.count, 0);
  assert_int_equal(stats().open_values, 2);
  assert_int_equal(stats().open_batches, 1);
  assert_int_equal(sample("c", 3), RMQ_INTAKE_WAKE);
  assert_int_equal(f.count, 1);
  must_be_message(0, "k", 3,
                  "PUTVAL h/p/gauge-a 1.000:1\nPUTVAL h/p/gauge-b 1.000:2\n"
                  "PUTVAL h/p/gauge-c 1.000:3");
  assert_string_equal(f.messages[0]->content_type, "text/collectd");
  assert_int_equal(f.messages[0]->time.ns, host.wall.ns);
  assert_int_equal(f.messages[0]->born.ns, host.now.ns);
  assert_int_equal(stats().values, 3);
  assert_int_equal(stats().open_values, 0);
  tear_down();
}

static void routing_key_template_makes_a_batch_of_each_key(void **state) {
  (void)state;
  set_up("Command", 2, "m.%{type_instance}");
  sample("a", 1);
  sample("b", 2);
  sample("a", 3);
  assert_int_equal(f.count, 1);
  must_be_message(0, "m.a", 2,
                  "PUTVAL h/p/gauge-a 1.000:1\nPUTVAL h/p/gauge-a 1.000:3");
  tear_down();
}

static void event_goes_alone_and_seals_nothing(void **state) {
  (void)state;
  set_up("Command", 3, "k");
  sample("a", 1);
  f.wants_wake = true;
  assert_int_equal(event("full"), RMQ_INTAKE_WAKE);
  must_be_message(0, "collectd.notification.failure.h", 0,
                  "PUTNOTIF severity=failure time=1.000 host=\"h\" "
                  "plugin=\"p\" message=\"full\"");
  assert_int_equal(stats().values, 1);
  assert_int_equal(stats().open_values, 1);
  rmq_intake_flush(f.i, rmq_s(0), NULL);
  must_be_message(1, "k", 1, "PUTVAL h/p/gauge-a 1.000:1");
  tear_down();
}

static void what_cannot_be_said_is_refused_and_not_counted(void **state) {
  (void)state;
  for (size_t values = 1; values <= 2; values++) {
    set_up("Command", values, "k");
    struct rmq_sample nothing = {.id = {"h", "p", "", "gauge", ""}};
    assert_int_equal(rmq_intake_sample(f.i, &nothing), RMQ_INTAKE_REFUSED);
    assert_int_equal(event(""), RMQ_INTAKE_REFUSED);
    assert_int_equal(stats().values, 0);
    assert_int_equal(f.count, 0);
    sample("a", 1); /* the scratch buffer is clean again */
    rmq_intake_close(f.i);
    must_be_message(0, "k", 1, "PUTVAL h/p/gauge-a 1.000:1");
    tear_down();
  }
}

static void without_memory_a_value_is_refused_and_not_counted(void **state) {
  (void)state;
  size_t refused = 0;
  for (size_t values = 1; values <= 2; values++)
    for (size_t nth = 1; nth <= 4; nth++) {
      set_up("Command", values, NULL); /* a batch of its own */
      assert_int_equal(sample("a", 1), RMQ_INTAKE_WAKE - (values == 1));
      size_t had = f.count;
      alloc_fail_at(nth);
      enum rmq_intake_outcome o = sample("b", 2);
      bool was_short = alloc_works_again();
      bool is_in = o != RMQ_INTAKE_REFUSED; /* a buffer may stay too large */
      assert_true(is_in || was_short);
      assert_int_equal(stats().values, 1 + is_in);
      if (values == 1)
        assert_int_equal(f.count, had + is_in);
      refused += !is_in;
      tear_down();
    }
  assert_int_not_equal(refused, 0);
}

static void what_the_format_cannot_tell_is_omitted(void **state) {
  (void)state;
  for (size_t values = 1; values <= 2; values++) {
    set_up("Influx", values, "k");
    assert_int_equal(sample("a", (double)NAN), RMQ_INTAKE_OMITTED);
    assert_int_equal(stats().omitted, 1);
    assert_int_equal(stats().values, 0);
    sample("a", 1);
    rmq_intake_close(f.i);
    assert_int_equal(f.count, 1);
    must_be_message(0, "k", 1,
                    "p,host=h,type=gauge,type_instance=a value=1 1000000000\n");
    assert_string_equal(f.messages[0]->content_type, "text/influx");
    tear_down();
  }
}

static void event_tells_the_format_it_has(void **state) {
  (void)state;
  set_up("Graphite", 1, "k");
  assert_int_equal(event("full"), RMQ_INTAKE_TAKEN);
  assert_string_equal(f.messages[0]->content_type, "application/json");
  sample("a", 1);
  assert_string_equal(f.messages[1]->content_type, "text/graphite");
  tear_down();
}

static void seq_goes_on_behind_what_was_stored(void **state) {
  (void)state;
  set_up("Command", 1, "k");
  rmq_intake_raise_seq(f.i, 41);
  sample("a", 1);
  assert_int_equal(f.messages[0]->seq, 42);
  rmq_intake_raise_seq(f.i, 7);
  sample("a", 1);
  assert_int_equal(f.messages[1]->seq, 43);
  tear_down();
}

/* ---- time ---- */

static void worker_is_woken_for_a_deadline_it_does_not_know(void **state) {
  (void)state;
  set_up("Command", 100, "m.%{type_instance}");
  assert_int_equal(sample("a", 1), RMQ_INTAKE_WAKE);
  assert_int_equal(sample("a", 2), RMQ_INTAKE_TAKEN);
  fake_host_advance(&host, rmq_ms(300));
  assert_int_equal(sample("b", 3), RMQ_INTAKE_TAKEN);
  struct rmq_mono first = rmq_mono_add(host.now, rmq_ms(700));
  assert_int_equal(rmq_intake_tick(f.i, host.now).ns, first.ns);
  assert_int_equal(f.count, 0);
  fake_host_advance(&host, rmq_ms(700));
  struct rmq_mono second = rmq_mono_add(first, rmq_ms(300));
  assert_int_equal(rmq_intake_tick(f.i, host.now).ns, second.ns);
  assert_int_equal(f.count, 1);
  must_be_message(0, "m.a", 2,
                  "PUTVAL h/p/gauge-a 1.000:1\nPUTVAL h/p/gauge-a 1.000:2");
  assert_int_equal(sample("a", 4), RMQ_INTAKE_TAKEN); /* it comes for b */
  fake_host_advance(&host, rmq_s(5));
  assert_true(rmq_mono_is_never(rmq_intake_tick(f.i, host.now)));
  assert_int_equal(f.count, 3);
  assert_int_equal(sample("a", 5), RMQ_INTAKE_WAKE);
  tear_down();
}

static void flush_takes_all_or_one_key_or_what_is_old(void **state) {
  (void)state;
  struct rmq_identity b = {"h", "p", "", "gauge", "b"};
  set_up("Command", 100, "m.%{type_instance}");
  sample("a", 1);
  fake_host_advance(&host, rmq_ms(500));
  sample("b", 2);
  sample("c", 3);
  f.wants_wake = true;
  assert_false(rmq_intake_flush(f.i, rmq_s(1), NULL));
  assert_true(rmq_intake_flush(f.i, rmq_ms(500), NULL));
  assert_int_equal(f.count, 1);
  assert_string_equal(f.messages[0]->key, "m.a");
  assert_true(rmq_intake_flush(f.i, rmq_s(0), &b));
  assert_int_equal(f.count, 2);
  assert_string_equal(f.messages[1]->key, "m.b");
  assert_false(rmq_intake_flush(f.i, rmq_s(0), &b));
  f.wants_wake = false;
  assert_false(rmq_intake_flush(f.i, rmq_s(0), NULL));
  assert_int_equal(f.count, 3);
  tear_down();
}

static void after_close_nothing_stays_open(void **state) {
  (void)state;
  set_up("Command", 100, "k");
  sample("a", 1);
  f.wants_wake = true;
  assert_true(rmq_intake_close(f.i));
  assert_int_equal(f.count, 1);
  assert_false(rmq_intake_close(f.i));
  assert_int_equal(sample("b", 2), RMQ_INTAKE_WAKE);
  assert_int_equal(f.count, 2);
  assert_int_equal(stats().open_values, 0);
  tear_down();
}

/* ---- several threads ---- */

static void *write_values(void *arg) {
  char name[32];
  for (int n = 0; n < VALUES_OF_THREAD; n++) {
    snprintf(name, sizeof(name), "%d", (int)(intptr_t)arg);
    enum rmq_intake_outcome o = sample(name, n);
    if (o == RMQ_INTAKE_WAKE)
      rmq_intake_tick(f.i, host.now);
    if (n % 500 == 250)
      rmq_intake_flush(f.i, rmq_s(0), NULL);
    if (n % 500 == 400)
      event("x");
  }
  return NULL;
}

/* Every value of every thread once, in order. */
static void check_bodies(void) {
  int next[THREADS] = {0};
  for (size_t n = 0; n < f.count; n++) {
    assert_int_equal(f.messages[n]->seq, n + 1);
    const char *at = f.messages[n]->body;
    for (uint32_t v = 0; v < f.messages[n]->values; v++) {
      int thread = -1, value = -1, len = 0;
      assert_int_equal(
          sscanf(at, "PUTVAL h/p/gauge-%d 1.000:%d%n", &thread, &value, &len),
          2);
      assert_true(thread >= 0 && thread < THREADS);
      assert_int_equal(value, next[thread]);
      next[thread]++;
      at += len;
      at += *at == '\n';
    }
  }
  for (int t = 0; t < THREADS; t++)
    assert_int_equal(next[t], VALUES_OF_THREAD);
}

static void write_in_threads(const char *key, size_t batch) {
  pthread_t threads[THREADS];
  set_up("Command", batch, key);
  for (intptr_t t = 0; t < THREADS; t++)
    assert_int_equal(pthread_create(&threads[t], NULL, write_values, (void *)t),
                     0);
  for (int t = 0; t < THREADS; t++)
    pthread_join(threads[t], NULL);
  rmq_intake_close(f.i);
  assert_int_equal(stats().values, THREADS * VALUES_OF_THREAD);
  check_bodies();
  tear_down();
}

static void threads_lose_and_reorder_nothing(void **state) {
  (void)state;
  write_in_threads("k", 7);
  write_in_threads("m.%{type_instance}", 7);
  write_in_threads("k", 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(without_batches_each_value_is_a_message_at_once),
      cmocka_unit_test(batch_is_sealed_when_it_is_full),
      cmocka_unit_test(routing_key_template_makes_a_batch_of_each_key),
      cmocka_unit_test(event_goes_alone_and_seals_nothing),
      cmocka_unit_test(what_cannot_be_said_is_refused_and_not_counted),
      cmocka_unit_test(without_memory_a_value_is_refused_and_not_counted),
      cmocka_unit_test(what_the_format_cannot_tell_is_omitted),
      cmocka_unit_test(event_tells_the_format_it_has),
      cmocka_unit_test(seq_goes_on_behind_what_was_stored),
      cmocka_unit_test(worker_is_woken_for_a_deadline_it_does_not_know),
      cmocka_unit_test(flush_takes_all_or_one_key_or_what_is_old),
      cmocka_unit_test(after_close_nothing_stays_open),
      cmocka_unit_test(threads_lose_and_reorder_nothing),
  };
  return run_all(tests);
}
