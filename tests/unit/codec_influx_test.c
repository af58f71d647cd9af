/* SPDX-License-Identifier: MIT */
/* The writer of lines itself is in influx_test.c. */
#include "rmq_config.h"

#include "common/codec/codec.h"

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#define NOT_A_NUMBER ((double)NAN)
#define LONG                                                                   \
  "0123456789012345678901234567890123456789012345678901234567890123456789"     \
  "012345678901234567890123456789012345678901234567890123456"
#define STAMP " 1700000000123456789\n"

static const struct row {
  struct rmq_identity id;
  struct rmq_datum values[4];
  const char *want; /* NULL: refused; "": nothing to say */
} rows[] = {
    {{"h", "cpu", "0", "gauge", "idle"},
     {{"value", RMQ_GAUGE, {.gauge = 99.5}}},
     "cpu,host=h,instance=0,type=gauge,type_instance=idle value=99.5" STAMP},
    {{"h", "p", "", "gauge", ""},
     {{"value", RMQ_GAUGE, {.gauge = 1}}},
     "p,host=h,type=gauge value=1" STAMP},
    {{"h", "interface", "eth0", "if_octets", ""},
     {{"rx", RMQ_DERIVE, {.derive = INT64_MIN}},
      {"tx", RMQ_DERIVE, {.derive = (INT64_C(1) << 53) + 1}}},
     "interface,host=h,instance=eth0,type=if_octets "
     "rx_total=-9223372036854775808i,tx_total=9007199254740993i" STAMP},
    {{"h", "p", "", "t", ""},
     {{"c", RMQ_COUNTER, {.counter = INT64_MAX}},
      {"d", RMQ_COUNTER, {.counter = UINT64_MAX}},
      {"a", RMQ_ABSOLUTE, {.absolute = 5}}},
     "p,host=h,type=t c_total=9223372036854775807i,"
     "d_total=18446744073709551615u,a_total=5i" STAMP},
    /* One measurement, and no field that is a float here and an integer there
     */
    {{"h", "swap", "", "swap", "used"},
     {{"value", RMQ_GAUGE, {.gauge = 2}}},
     "swap,host=h,type=swap,type_instance=used value=2" STAMP},
    {{"h", "swap", "", "swap_io", "in"},
     {{"value", RMQ_DERIVE, {.derive = 2}}},
     "swap,host=h,type=swap_io,type_instance=in value_total=2i" STAMP},
    {{"h", "load", "", "load", ""},
     {{"shortterm", RMQ_GAUGE, {.gauge = NOT_A_NUMBER}},
      {"midterm", RMQ_GAUGE, {.gauge = 0.5}},
      {"longterm", RMQ_GAUGE, {.gauge = (double)INFINITY}}},
     "load,host=h,type=load midterm=0.5" STAMP},
    {{"h", "p", "", "gauge", ""},
     {{"value", RMQ_GAUGE, {.gauge = NOT_A_NUMBER}}},
     ""},
    {{"h.x y", "p q,r=s", "i j,k=l", "gauge", "\"m\\n"},
     {{"value", RMQ_GAUGE, {.gauge = 1}}},
     "p\\ q\\,r=s,host=h.x\\ y,instance=i\\ j\\,k\\=l,type=gauge,"
     "type_instance=\"m\\n value=1" STAMP},
    {{"m\xc3\xbcller", "\xe2\x82\xac", "", "gauge", ""},
     {{"value", RMQ_GAUGE, {.gauge = 1}}},
     "\xe2\x82\xac,host=m\xc3\xbcller,type=gauge value=1" STAMP},
    {{LONG, LONG, LONG, LONG, LONG},
     {{"value", RMQ_GAUGE, {.gauge = 1}}},
     LONG ",host=" LONG ",instance=" LONG ",type=" LONG ",type_instance=" LONG
          " value=1" STAMP},
    {{"h", "p", "C:\\", "gauge", ""},
     {{"value", RMQ_GAUGE, {.gauge = 1}}},
     NULL},
    {{"h", "p\\q", "", "gauge", ""},
     {{"value", RMQ_GAUGE, {.gauge = 1}}},
     NULL},
    {{"h", "", "", "gauge", ""}, {{"value", RMQ_GAUGE, {.gauge = 1}}}, NULL},
    {{"h", "p", "a\nb", "gauge", ""},
     {{"value", RMQ_GAUGE, {.gauge = 1}}},
     NULL},
};

static void samples_become_lines(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_sample s = {.id = rows[i].id,
                           .time = {INT64_C(1700000000123456789)},
                           .values = rows[i].values};
    while (s.values_count < 4 && rows[i].values[s.values_count].name != NULL)
      s.values_count++;
    struct rmq_buf out;
    SHOW_ROW("%zu: %s", i, rows[i].id.plugin);
    rmq_buf_init(&out, 10000);
    int rc = rmq_codec_influx.encode(&s, &rmq_codec_style_default, &out);
    assert_int_equal(rc, rows[i].want == NULL ? -1 : 0);
    assert_string_equal(rmq_buf_text(&out),
                        rows[i].want == NULL ? "" : rows[i].want);
    rmq_buf_fini(&out);
  }
}

static void only_counters_become_rates(void **state) {
  (void)state;
  const struct rmq_datum values[] = {{"g", RMQ_GAUGE, {.gauge = 1}},
                                     {"d", RMQ_DERIVE, {.derive = 2}},
                                     {"c", RMQ_COUNTER, {.counter = 3}},
                                     {"a", RMQ_ABSOLUTE, {.absolute = 4}}};
  const double rates[] = {9, -0.5, NOT_A_NUMBER, 12};
  struct rmq_sample s = {.id = {"h", "p", "", "t", ""},
                         .time = {RMQ_NS_PER_S},
                         .values = values,
                         .values_count = 4,
                         .rates = rates};
  struct rmq_buf out;
  rmq_buf_init(&out, 10000);
  assert_int_equal(rmq_codec_influx.encode(&s, &rmq_codec_style_default, &out),
                   0);
  assert_string_equal(rmq_buf_text(&out),
                      "p,host=h,type=t g=1,d=-0.5,a=12 1000000000\n");
  rmq_buf_fini(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(samples_become_lines),
      cmocka_unit_test(only_counters_become_rates),
  };
  return run_all(tests);
}
