/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/graphite_template.h"

#include "tests/testing.h"

#include <string.h>

static const struct {
  const char *text, *want_error; /* a part; NULL: good */
} parse_rows[] = {
    {"host.plugin.type.ds", NULL},
    {"_.host.plugin", NULL},
    {"host.plugin.plugin_instance.type.type_instance*", NULL},
    {"type.plugin.host*", NULL},
    {"", "\"\" is no word"},
    {"*", "\"\" is no word"},
    {"host", "host and plugin are needed"},
    {"plugin.type", "host and plugin are needed"},
    {"host.plugin.", "\"\" is no word"},
    {"host..plugin", "\"\" is no word"},
    {"host.plugin.measurement", "\"measurement\" is no word; allowed are"},
    {"host*.plugin", "\"host*\" is no word"},
    {"Host.plugin", "\"Host\" is no word"},
    {"host.plugin.host", "\"host\" is there twice"},
    {"host.plugin.ds.type", "\"ds\" must be the last"},
    {"host.plugin.type.ds*", "\"ds\" needs a type and takes one part"},
    {"host.plugin.ds", "\"ds\" needs a type and takes one part"},
    {"_._._._._._._._._._._._._._.host.plugin", NULL},
    {"_._._._._._._._._._._._._._._.host.plugin", "more than 16 words"},
};

static void a_template_that_makes_no_sense_is_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(parse_rows); i++) {
    struct rmq_graphite_template t;
    struct rmq_error err = {""};
    SHOW_ROW("%s", parse_rows[i].text);
    int rc = rmq_graphite_template_parse(parse_rows[i].text, &t, &err);
    if (parse_rows[i].want_error == NULL)
      assert_string_equal(err.text, "");
    assert_int_equal(rc, parse_rows[i].want_error == NULL ? 0 : -1);
    if (rc != 0 && strstr(err.text, parse_rows[i].want_error) == NULL)
      fail_msg("%s", err.text);
  }
}

static const struct {
  const char *pattern, *path;
  const char *want; /* host|plugin|instance|type|instance|ds, or an error */
} apply_rows[] = {
    {"host.plugin.type.ds", "h.cpu-0.cpu-idle", "h|cpu|0|cpu|idle|NULL"},
    {"host.plugin.type.ds", "h.load.load.shortterm", "h|load||load||shortterm"},
    {"host.plugin.type.ds", "h.p-a-b.t-c-d.x", "h|p|a-b|t|c-d|x"},
    {"host.plugin.type.ds", "h.p", "its path has fewer parts"},
    {"host.plugin.type.ds", "h.p.t.d.x", "its path has more parts"},
    {"_.host.plugin.type", "collectd.h.p.t-i", "h|p||t|i|NULL"},
    {"host.plugin.plugin_instance.type.type_instance", "h.a-b.c.d-e.f",
     "h|a-b|c|d-e|f|NULL"},
    {"host.plugin.type_instance*", "h.p.a.b-c.d", "h|p||gauge|a.b-c.d|NULL"},
    {"host.plugin.type_instance*", "h.p", "its path has fewer parts"},
    {"type.plugin.host*", "t.p.www.example.org", "www.example.org|p||t||NULL"},
    {"host.plugin._", "h.p.x", "h|p||gauge||NULL"},
    {"host.plugin._*", "h.p.x.y.z", "h|p||gauge||NULL"},
    {"host.plugin", "h..", "its path has more parts"},
    {"host.plugin", ".", "|||gauge||NULL"},
};

static void a_path_is_taken_apart(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(apply_rows); i++) {
    struct rmq_graphite_template t;
    struct rmq_identity id;
    struct rmq_error err = {""};
    const char *ds = NULL;
    char path[100], got[200];
    SHOW_ROW("%s %s", apply_rows[i].pattern, apply_rows[i].path);
    assert_int_equal(
        rmq_graphite_template_parse(apply_rows[i].pattern, &t, NULL), 0);
    snprintf(path, sizeof(path), "%s", apply_rows[i].path);
    if (rmq_graphite_template_apply(&t, path, &id, &ds, &err) != 0) {
      if (strstr(err.text, apply_rows[i].want) == NULL)
        fail_msg("%s", err.text);
      continue;
    }
    snprintf(got, sizeof(got), "%s|%s|%s|%s|%s|%s", id.host, id.plugin,
             id.plugin_instance, id.type, id.type_instance,
             ds == NULL ? "NULL" : ds);
    assert_string_equal(got, apply_rows[i].want);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_template_that_makes_no_sense_is_refused),
      cmocka_unit_test(a_path_is_taken_apart),
  };
  return run_all(tests);
}
