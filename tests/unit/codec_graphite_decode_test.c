/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/codec_graphite_decode.h"

#include "tests/alloc.h"
#include "tests/testing.h"

#include "common/codec/graphite_template.h"
#include "tests/fake/sample_text.h"

#include <string.h>

#define T " time=1700000000000000000 interval=0 "
#define S " 1700000000\r\n"

static void hear_bad(void *ctx, const struct rmq_error *err) {
  rmq_buf_appendf(ctx, "BAD %s\n", err->text);
}

static int decode(const char *text, const char *pattern, bool takes_bad,
                  struct rmq_buf *got, struct rmq_error *err) {
  struct rmq_graphite_template t = {.count = 0};
  const struct rmq_codec_input in = {.bytes = text,
                                     .len = strlen(text),
                                     .types = &fake_types,
                                     .graphite = pattern == NULL ? NULL : &t};
  const struct rmq_codec_sink sink = {.ctx = got,
                                      .bad = takes_bad ? hear_bad : NULL,
                                      .sample = fake_sample_sink};
  if (pattern != NULL)
    assert_int_equal(rmq_graphite_template_parse(pattern, &t, NULL), 0);
  rmq_buf_init(got, 1 << 20);
  return rmq_codec_graphite_decode(&in, &sink, err);
}

static const struct {
  const char *pattern; /* NULL: the default one */
  const char *text, *want;
} good_rows[] = {
    {NULL, "h.cpu-0.gauge-idle 99.5" S,
     "h|cpu|0|gauge|idle" T "value:gauge=99.5\n"},
    {NULL, "h.p.gauge nan" S "h.p.gauge -inf" S,
     "h|p||gauge|" T "value:gauge=nan\nh|p||gauge|" T "value:gauge=-inf\n"},
    {NULL, "h.p.derive -5" S "h.p.counter 18446744073709551615" S,
     "h|p||derive|" T "value:derive=-5\n"
     "h|p||counter|" T "value:counter=18446744073709551615\n"},
    /* GraphiteAlwaysAppendDS */
    {NULL, "h.p.gauge.value 1" S, "h|p||gauge|" T "value:gauge=1\n"},
    {NULL,
     "h.interface-eth0.if_octets.rx 1" S "h.interface-eth0.if_octets.tx 2" S,
     "h|interface|eth0|if_octets|" T "rx:derive=1 tx:derive=2\n"},
    {NULL, "\n\t \r\nh.p.gauge \t 1  1700000000.5\n\n",
     "h|p||gauge| time=1700000000500000000 interval=0 value:gauge=1\n"},
    /* GraphiteSeparateInstances */
    {"host.plugin.plugin_instance.type.type_instance", "h.cpu.0.gauge.idle 1" S,
     "h|cpu|0|gauge|idle" T "value:gauge=1\n"},
    /* Anybody's. */
    {"_.host.plugin.type_instance*", "servers.web.disk.sda.free 1.5" S,
     "web|disk||gauge|sda.free" T "value:gauge=1.5\n"},
};

static void lines_become_samples(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(good_rows); i++) {
    struct rmq_buf got;
    struct rmq_error err = {""};
    SHOW_ROW("%s", good_rows[i].text);
    int rc = decode(good_rows[i].text, good_rows[i].pattern, false, &got, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(rc, 0);
    assert_string_equal(rmq_buf_text(&got), good_rows[i].want);
    rmq_buf_fini(&got);
  }
}

static const struct {
  const char *text, *want; /* a part of the error */
} bad_rows[] = {
    {"", "empty"},
    {"\r\n", "no line in the message"},
    {"h.p.gauge 1", "line 1: not \"path value seconds\""},
    {"h.p.gauge 1 1 1", "not \"path value seconds\""},
    {"h.p.gauge", "not \"path value seconds\""},
    {"h.p.gauge 1 -1", "time \"-1\" is not seconds"},
    {"h.p.gauge 1 0", "time \"0\" is not seconds"},
    {"h.p.gauge 1 N", "time \"N\" is not seconds"},
    {"h.p.gauge x 1", "\"x\" is not a value of kind gauge"},
    {"h.p.gauge 1e999 1", "is not a value of kind gauge"},
    {"h.p.derive 2.500000 1", "is not a value of kind derive (does the sender"},
    {"h.p.derive x 1", "\"x\" is not a value of kind derive"},
    {"h.p.counter -1 1", "is not a value of kind counter"},
    {"h.p.nonsense 1 1", "type \"nonsense\" is not known"},
    {"h.p 1 1", "its path has fewer parts"},
    {"h.p.gauge.value.x 1 1", "its path has more parts"},
    {".p.gauge 1 1", "host is empty"},
    {"h/i.p.gauge 1 1", "host \"h/i\" is not a safe name"},
    {"h.p.gauge.x 1 1",
     "type \"gauge\" has 1 values, the next is \"value\" and \"x\" is given"},
    {"h.p.load 1 1", "the next is \"shortterm\" and \"\" is given"},
    {"h.p.load.midterm 1 1", "the next is \"shortterm\" and \"midterm\""},
    {"h.p.load.shortterm 1 1\nh.p.load.longterm 1 1",
     "line 2: type \"load\" has 3 values, the next is \"midterm\""},
    {"h.p.if_octets.rx 1 1\nh.q.if_octets.rx 1 1\nh.q.if_octets.tx 1 1",
     "line 1: type \"if_octets\" has 2 values, 1 are given"},
    {"h.p.if_octets.rx 1 1\nh.p.if_octets.tx 1 2",
     "line 1: type \"if_octets\" has 2 values, 1 are given"},
    {"h.p.if_octets.rx 1 1\n", "line 1: type \"if_octets\" has 2 values"},
};

static void mistakes_are_named_and_nothing_is_delivered(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(bad_rows); i++) {
    struct rmq_buf got;
    struct rmq_error err = {""};
    SHOW_ROW("%s", bad_rows[i].text);
    assert_int_equal(decode(bad_rows[i].text, NULL, false, &got, &err), -1);
    assert_int_equal(got.len, 0);
    if (strstr(err.text, bad_rows[i].want) == NULL)
      fail_msg("\"%s\" is not in \"%s\"", bad_rows[i].want, err.text);
    rmq_buf_fini(&got);
  }
}

static void a_bad_line_does_not_void_the_others(void **state) {
  (void)state;
  struct rmq_buf got;
  assert_int_equal(decode("x\nh.p.gauge 1" S "h.i.if_octets.rx 1" S
                          "h.i.if_octets.rx 1" S "h.i.if_octets.tx 2" S
                          "h.i.if_octets.rx 3" S "y\n"
                          "h.j.if_octets.rx 1" S "h.j.if_octets.tx 2" S,
                          NULL, true, &got, NULL),
                   0);
  assert_string_equal(
      rmq_buf_text(&got),
      "BAD line 1: not \"path value seconds\"\n"
      "BAD line 4: type \"if_octets\" has 2 values, the next is \"tx\" and "
      "\"rx\" is given\n"
      "BAD line 5: type \"if_octets\" has 2 values, the next is \"rx\" and "
      "\"tx\" is given\n"
      "BAD line 6: type \"if_octets\" has 2 values, 1 are given\n"
      "BAD line 7: not \"path value seconds\"\n"
      "h|p||gauge|" T "value:gauge=1\n"
      "h|j||if_octets|" T "rx:derive=1 tx:derive=2\n");
  rmq_buf_fini(&got);
}

static void count_sample(void *ctx, const struct rmq_sample *s) {
  (void)s;
  (*(size_t *)ctx)++;
}

static void without_memory_nothing_is_delivered(void **state) {
  (void)state;
  static const char text[] =
      "h.p.if_octets.rx 1" S "h.p.if_octets.tx 2" S "h.p.gauge 1" S;
  size_t n = 1;
  for (;; n++) {
    size_t delivered = 0;
    struct rmq_error err = {""};
    alloc_fail_at(n);
    int rc = fake_decode(&rmq_codec_graphite, text, sizeof(text) - 1,
                         count_sample, &delivered, &err);
    if (!alloc_works_again()) {
      assert_int_equal(rc, 0);
      assert_int_equal(delivered, 2);
      break;
    }
    assert_int_equal(rc, RMQ_CODEC_NO_MEMORY);
    assert_int_equal(delivered, 0);
    assert_true(rmq_error_is_set(&err));
  }
  assert_true(n > 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_become_samples),
      cmocka_unit_test(mistakes_are_named_and_nothing_is_delivered),
      cmocka_unit_test(a_bad_line_does_not_void_the_others),
      cmocka_unit_test(without_memory_nothing_is_delivered),
  };
  return run_all(tests);
}
