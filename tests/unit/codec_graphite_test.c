/* SPDX-License-Identifier: MIT */
/* What collectd writes is in codec_fixtures_test.c. */
#include "rmq_config.h"

#include "common/codec/codec.h"

#include "tests/alloc.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

#define VALUE(k, member, v)                                                    \
  {                                                                            \
    .name = "value", .kind = (k), .value = {.member = (v) }                    \
  }
#define LONG                                                                   \
  "0123456789012345678901234567890123456789012345678901234567890123456789"     \
  "012345678901234567890123456789012345678901234567890123456"

static const struct rmq_wall at = {INT64_C(1700000000499999999)};

static const struct row {
  struct rmq_identity id;
  struct rmq_datum value;
  const char *want; /* NULL: refused */
} rows[] = {
    {{"h", "p", "", "gauge", ""},
     VALUE(RMQ_GAUGE, gauge, 0.25),
     "h.p.gauge 0.25 1700000000\r\n"},
    {{"h.x", "p.q", "i.j", "gauge", "k.l"},
     VALUE(RMQ_GAUGE, gauge, -1),
     "h_x.p_q-i_j.gauge-k_l -1 1700000000\r\n"},
    {{"h", "p", "a b\"c:d!e,f(g)h\\", "gauge", "'|`$#;~%"},
     VALUE(RMQ_GAUGE, gauge, 1),
     "h.p-a_b_c_d_e_f_g_h_.gauge-'|`$#;~% 1 1700000000\r\n"},
    {{"m\xc3\xbcller", "\xe2\x82\xac", "", "gauge", ""},
     VALUE(RMQ_GAUGE, gauge, 1),
     "m\xc3\xbcller.\xe2\x82\xac.gauge 1 1700000000\r\n"},
    {{"h", "p", "", "derive", ""},
     VALUE(RMQ_DERIVE, derive, -(INT64_C(1) << 53) - 1),
     "h.p.derive -9007199254740993 1700000000\r\n"},
    {{"h", "p", "", "counter", ""},
     VALUE(RMQ_COUNTER, counter, UINT64_MAX),
     "h.p.counter 18446744073709551615 1700000000\r\n"},
    {{"h", "p", "", "absolute", ""},
     VALUE(RMQ_ABSOLUTE, absolute, 7),
     "h.p.absolute 7 1700000000\r\n"},
    {{LONG, LONG, LONG, LONG, LONG},
     VALUE(RMQ_GAUGE, gauge, 1),
     LONG "." LONG "-" LONG "." LONG "-" LONG " 1 1700000000\r\n"},
    {{LONG "7", "p", "", "gauge", ""}, VALUE(RMQ_GAUGE, gauge, 1), NULL},
    {{"", "p", "", "gauge", ""}, VALUE(RMQ_GAUGE, gauge, 1), NULL},
    {{"h", "p", "\n", "gauge", ""}, VALUE(RMQ_GAUGE, gauge, 1), NULL},
    {{"h", "p", "\xff", "gauge", ""}, VALUE(RMQ_GAUGE, gauge, 1), NULL},
};

static void samples_become_paths(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_sample s = {.id = rows[i].id,
                           .time = at,
                           .values = &rows[i].value,
                           .values_count = 1};
    struct rmq_buf out;
    SHOW_ROW("%zu: %s", i, rows[i].id.plugin);
    rmq_buf_init(&out, 10000);
    rmq_buf_append_text(&out, "before ");
    int rc = rmq_codec_graphite.encode(&s, &rmq_codec_style_default, &out);
    assert_int_equal(rc, rows[i].want == NULL ? -1 : 0);
    assert_string_equal(rmq_buf_text(&out) + strlen("before "),
                        rows[i].want == NULL ? "" : rows[i].want);
    rmq_buf_fini(&out);
  }
}

static void several_values_stand_or_fall_together(void **state) {
  (void)state;
  const struct rmq_datum values[] = {VALUE(RMQ_GAUGE, gauge, 1),
                                     VALUE(RMQ_GAUGE, gauge, 2)};
  struct rmq_sample s = {.id = {"h", "p", "", "gauge", ""},
                         .time = at,
                         .values = values,
                         .values_count = 2};
  for (size_t nth = 1; nth <= 3; nth++) {
    struct rmq_buf out;
    rmq_buf_init(&out, 10000);
    alloc_fail_at(nth);
    int rc = rmq_codec_graphite.encode(&s, &rmq_codec_style_default, &out);
    bool was_short = alloc_works_again();
    assert_int_equal(rc, was_short ? -1 : 0);
    assert_string_equal(rmq_buf_text(&out),
                        was_short ? ""
                                  : "h.p.gauge.value 1 1700000000\r\n"
                                    "h.p.gauge.value 2 1700000000\r\n");
    rmq_buf_fini(&out);
  }
}

static void only_counters_become_rates(void **state) {
  (void)state;
  const struct rmq_datum values[] = {{"g", RMQ_GAUGE, {.gauge = 1}},
                                     {"d", RMQ_DERIVE, {.derive = 2}},
                                     {"c", RMQ_COUNTER, {.counter = 3}},
                                     {"a", RMQ_ABSOLUTE, {.absolute = 4}}};
  const double rates[] = {9, -0.5, 1e300, 1.0 / 3};
  struct rmq_sample s = {.id = {"h", "p", "", "t", ""},
                         .time = at,
                         .values = values,
                         .values_count = 4,
                         .rates = rates};
  struct rmq_buf out;
  char want[1000];
  rmq_buf_init(&out, 10000);
  assert_int_equal(
      rmq_codec_graphite.encode(&s, &rmq_codec_style_default, &out), 0);
  snprintf(want, sizeof(want),
           "h.p.t.g 1 1700000000\r\nh.p.t.d -0.500000 1700000000\r\n"
           "h.p.t.c %f 1700000000\r\nh.p.t.a 0.333333 1700000000\r\n",
           1e300);
  assert_string_equal(rmq_buf_text(&out), want);
  rmq_buf_fini(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(samples_become_paths),
      cmocka_unit_test(several_values_stand_or_fall_together),
      cmocka_unit_test(only_counters_become_rates),
  };
  return run_all(tests);
}
