/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/influx.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define GAUGE(k, v)                                                            \
  {                                                                            \
    .key = (k), .kind = RMQ_GAUGE, .value = {.gauge = (v) }                    \
  }
#define DERIVE(k, v)                                                           \
  {                                                                            \
    .key = (k), .kind = RMQ_DERIVE, .value = {.derive = (v) }                  \
  }
#define COUNTER(k, v)                                                          \
  {                                                                            \
    .key = (k), .kind = RMQ_COUNTER, .value = {.counter = (v) }                \
  }
#define ABSOLUTE(k, v)                                                         \
  {                                                                            \
    .key = (k), .kind = RMQ_ABSOLUTE, .value = {.absolute = (v) }              \
  }

static const struct rmq_wall time_of_all = {INT64_C(1700000000123456789)};
#define STAMP " 1700000000123456789\n"

struct line_case {
  const char *name;
  const char *measurement;
  struct rmq_influx_tag tags[3];
  struct rmq_influx_field fields[4];
  const char *want; /* NULL: refused */
};

static const struct line_case cases[] = {
    {
        .name = "tags and one float",
        .measurement = "rabbitmq_monitor",
        .tags = {{"cluster", "main"}, {"queue", "orders"}},
        .fields = {GAUGE("queue_length_ready", 12.5)},
        .want = "rabbitmq_monitor,cluster=main,queue=orders "
                "queue_length_ready=12.5" STAMP,
    },
    {
        .name = "no tags",
        .measurement = "m",
        .fields = {GAUGE("f", 1)},
        .want = "m f=1" STAMP,
    },
    {
        .name = "integers have a suffix",
        .measurement = "m",
        .fields = {DERIVE("d", INT64_MIN), COUNTER("c", INT64_MAX),
                   ABSOLUTE("a", 0), COUNTER("big", UINT64_MAX)},
        .want = "m d=-9223372036854775808i,c=9223372036854775807i,a=0i,"
                "big=18446744073709551615u" STAMP,
    },
    {
        .name = "names are escaped",
        .measurement = "a b,c=d",
        .tags = {{"k ey,=", "v al,u=e"}},
        .fields = {GAUGE("f ,=", 1)},
        .want = "a\\ b\\,c=d,k\\ ey\\,\\==v\\ al\\,u\\=e f\\ \\,\\==1" STAMP,
    },
    {
        .name = "UTF-8 and quotes stand as they are",
        .measurement = "m",
        .tags = {{"queue", "bestell\xc3\xbcngen \"x\""}},
        .fields = {GAUGE("f", 1)},
        .want = "m,queue=bestell\xc3\xbcngen\\ \"x\" f=1" STAMP,
    },
    {
        .name = "a backslash inside a tag stands for itself",
        .measurement = "m",
        .tags = {{"queue", "a\\b\\,c"}},
        .fields = {GAUGE("f", 1)},
        .want = "m,queue=a\\b\\\\,c f=1" STAMP,
    },
    {
        .name = "an empty tag is left out",
        .measurement = "m",
        .tags = {{"node", ""}, {"queue", "q"}},
        .fields = {GAUGE("f", 1)},
        .want = "m,queue=q f=1" STAMP,
    },
    {
        .name = "what is not finite is left out",
        .measurement = "m",
        .fields = {GAUGE("x", NAN), GAUGE("f", 1), GAUGE("y", INFINITY),
                   GAUGE("z", -INFINITY)},
        .want = "m f=1" STAMP,
    },
    {
        .name = "no field left, no line",
        .measurement = "m",
        .fields = {GAUGE("x", NAN)},
        .want = "",
    },
    {
        .name = "newline in a tag",
        .measurement = "m",
        .tags = {{"queue", "a\nb"}},
        .fields = {GAUGE("f", 1)},
    },
    {
        .name = "control character in a tag key",
        .measurement = "m",
        .tags = {{"a\tb", "v"}},
        .fields = {GAUGE("f", 1)},
    },
    {
        .name = "tag that ends in a backslash",
        .measurement = "m",
        .tags = {{"queue", "a\\"}},
        .fields = {GAUGE("f", 1)},
    },
    {
        .name = "measurement that is a comment",
        .measurement = "#m",
        .fields = {GAUGE("f", 1)},
    },
    {
        .name = "empty measurement",
        .measurement = "",
        .fields = {GAUGE("f", 1)},
    },
    {
        .name = "field key with a newline",
        .measurement = "m",
        .fields = {GAUGE("f\n", 1)},
    },
};

static int encode_case(struct rmq_buf *out, const struct line_case *c) {
  size_t tags = 0;
  size_t fields = 0;
  while (tags < COUNT(c->tags) && c->tags[tags].key != NULL)
    tags++;
  while (fields < COUNT(c->fields) && c->fields[fields].key != NULL)
    fields++;
  return rmq_influx_encode(out, c->measurement, c->tags, tags, c->fields,
                           fields, time_of_all);
}

static void lines_are_what_telegraf_reads(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(cases); i++) {
    struct rmq_buf out;
    rmq_buf_init(&out, 1000);
    rmq_buf_append_text(&out, "before\n");
    int rc = encode_case(&out, &cases[i]);
    char want[600];
    snprintf(want, sizeof(want), "before\n%s",
             cases[i].want == NULL ? "" : cases[i].want);
    if (rc != (cases[i].want == NULL ? -1 : 0) ||
        strcmp(rmq_buf_text(&out), want) != 0)
      fail_msg("%s: rc %d, \"%s\"", cases[i].name, rc, rmq_buf_text(&out));
    assert_false(out.failed);
    rmq_buf_fini(&out);
  }
}

static void a_full_buffer_keeps_only_whole_lines(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(cases); i++) {
    size_t want_len = cases[i].want == NULL ? 0 : strlen(cases[i].want);
    for (size_t max = 0; max < want_len; max++) {
      struct rmq_buf out;
      rmq_buf_init(&out, max);
      assert_int_equal(encode_case(&out, &cases[i]), -1);
      assert_int_equal(out.len, 0);
      assert_true(out.failed);
      rmq_buf_fini(&out);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_are_what_telegraf_reads),
      cmocka_unit_test(a_full_buffer_keeps_only_whole_lines),
  };
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
