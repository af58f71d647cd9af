/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/rkey.h"

#include "tests/testing.h"

#include "common/base/names.h"
#include "common/base/prng.h"
#include "common/base/utf8.h"

#include <string.h>

static const struct rmq_identity cpu = {"web.example.org", "cpu", "0", "cpu",
                                        "idle"};

static void keys_of_samples(void **state) {
  (void)state;
  static const struct rmq_identity bare = {"h", "load", "", "load", ""};
  static const struct rmq_identity slash = {"h", "df", "a/b.c", "df", ""};
  static const struct {
    const char *template;
    const struct rmq_identity *id;
    const char *want;
  } rows[] = {
      {NULL, &cpu, "collectd.web/example/org.cpu.0.cpu.idle"},
      {NULL, &bare, "collectd.h.load..load."},
      {NULL, &slash, "collectd.h.df.a.b/c.df."},
      {"", &cpu, ""},
      {"fixed.key/x", &cpu, "fixed.key/x"},
      {"m.%{host}", &cpu, "m.web/example/org"},
      {"%{plugin}-%{plugin_instance}.%{type}-%{type_instance}%", &cpu,
       "cpu-0.cpu-idle%"},
      {"%{host", &cpu, "%{host"},
      {"%{severity}.%{type}", &cpu, "%{severity}.cpu"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    char key[RMQ_RKEY_MAX + 1];
    SHOW_ROW("%s", rows[i].want);
    rmq_rkey_from_sample(rows[i].template, rows[i].id, key);
    assert_string_equal(key, rows[i].want);
  }
}

static void keys_of_events(void **state) {
  (void)state;
  char key[RMQ_RKEY_MAX + 1];
  struct rmq_event event = {.severity = RMQ_WARNING, .id = cpu};
  rmq_rkey_from_event(NULL, &event, key);
  assert_string_equal(key, "collectd.notification.warning.web/example/org");
  event.id.host = "";
  rmq_rkey_from_event(NULL, &event, key);
  assert_string_equal(key, "collectd.notification.warning.");
  rmq_rkey_from_event("n.%{severity}.%{plugin}", &event, key);
  assert_string_equal(key, "n.warning.cpu");
}

static void templates_with_unknown_fields_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *template;
    int want_sample, want_event;
    const char *want_in_error; /* the sample's */
  } rows[] = {
      {"", 0, 0, ""},
      {"a.%.{x}", 0, 0, ""},
      {"%{host}%{plugin}%{plugin_instance}%{type}%{type_instance}", 0, 0, ""},
      {"%{severity}", -1, 0, "\"%{severity}\""},
      {"a.%{Host}", -1, -1, "\"%{Host}\"; allowed: %{host}, "},
      {"%{}", -1, -1, "\"%{}\""},
      {"%{host}.%{host", -1, -1, "without \"}\""},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_error err = {.text = ""};
    SHOW_ROW("\"%s\"", rows[i].template);
    assert_int_equal(rmq_rkey_check(rows[i].template, &err),
                     rows[i].want_sample);
    assert_non_null(strstr(err.text, rows[i].want_in_error));
    assert_int_equal(rmq_rkey_check_event(rows[i].template, NULL),
                     rows[i].want_event);
  }
}

static void long_keys_end_in_a_hash_of_the_whole(void **state) {
  (void)state;
  char host[400], key[RMQ_RKEY_MAX + 1], want[RMQ_RKEY_MAX + 1];
  struct rmq_identity id = {host, "", "", "", ""};
  memset(host, 'h', sizeof(host));
  host[RMQ_RKEY_MAX] = '\0';
  rmq_rkey_from_sample("%{host}", &id, key);
  assert_string_equal(key, host);

  host[RMQ_RKEY_MAX] = 'h';
  host[RMQ_RKEY_MAX + 1] = '\0';
  rmq_rkey_from_sample("%{host}", &id, key);
  snprintf(want, sizeof(want), "%.238s~%016" PRIx64, host,
           rmq_fnv1a(host, strlen(host)));
  assert_string_equal(key, want);
  assert_int_equal(strlen(key), RMQ_RKEY_MAX);

  memcpy(host + 236, "\xe2\x82\xac", 3); /* bytes 236 to 238 */
  rmq_rkey_from_sample("%{host}", &id, key);
  snprintf(want, sizeof(want), "%.236s~%016" PRIx64, host,
           rmq_fnv1a(host, strlen(host)));
  assert_string_equal(key, want);
}

static void the_hash_is_that_of_text_and_names_alike(void **state) {
  (void)state;
  char template[400], key[RMQ_RKEY_MAX + 1], want[RMQ_RKEY_MAX + 1];
  memset(template, 't', sizeof(template));
  snprintf(template + 300, 100, "%s", "%{type_instance}!");
  rmq_rkey_from_sample(template, &cpu, key);
  snprintf(template + 300, 100, "%s", "idle!");
  snprintf(want, sizeof(want), "%.238s~%016" PRIx64, template,
           rmq_fnv1a(template, strlen(template)));
  assert_string_equal(key, want);
}

static const char *random_name(struct rmq_prng *r, char *name) {
  static const char *const bits[] = {
      "a", ".", "/", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\x87"};
  size_t len = 0;
  for (uint64_t n = rmq_prng_below(r, 60); n > 0; n--) {
    const char *bit = bits[rmq_prng_below(r, COUNT_OF(bits))];
    if (rmq_prng_below(r, 200) == 0)
      bit = "\xe2\x82\xac\xf0\x9f\x90\x87\xc3\xa9"; /* crowds the cut */
    if (len + strlen(bit) > 127)
      break;
    memcpy(name + len, bit, strlen(bit));
    len += strlen(bit);
  }
  name[len] = '\0';
  return name;
}

static void keys_fit_and_stay_valid_utf8(void **state) {
  (void)state;
  struct rmq_prng r = {property_seed(3)};
  size_t cut = 0;
  for (int turn = 0; turn < 20000; turn++) {
    char names[5][128];
    struct rmq_identity id = {
        random_name(&r, names[0]), random_name(&r, names[1]),
        random_name(&r, names[2]), random_name(&r, names[3]),
        random_name(&r, names[4])};
    char key[RMQ_RKEY_MAX + 1];
    memset(key, 'X', sizeof(key));
    rmq_rkey_from_sample(
        rmq_prng_below(&r, 2) == 0 ? NULL : "%{type_instance}\xc3\xa9%{host}",
        &id, key);
    char *end = memchr(key, '\0', sizeof(key));
    assert_non_null(end);
    assert_true(rmq_utf8_is_valid(key, strlen(key)));
    if (strlen(key) > 17 && key[strlen(key) - 17] == '~')
      cut++;
  }
  assert_in_range(cut, 100, 20000); /* both kinds did occur */
}

static void a_template_tells_how_many_keys_there_will_be(void **state) {
  (void)state;
  static const struct {
    const char *template;
    bool want_fixed, want_per_series;
  } rows[] = {
      {NULL, false, true},
      {"", true, false},
      {"metrics", true, false},
      {"100%", true, false},
      {"m.%{host}", false, false},
      {"m.%{host}.%{plugin}", false, false},
      {"m.%{type_instance}", false, false},
      {"%{plugin_instance}.%{type_instance}", false, true},
      {"%{host}.%{plugin}.%{plugin_instance}.%{type}.%{type_instance}", false,
       true},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].template == NULL ? "-" : rows[i].template);
    assert_int_equal(rmq_rkey_is_fixed(rows[i].template), rows[i].want_fixed);
    assert_int_equal(rmq_rkey_is_per_series(rows[i].template),
                     rows[i].want_per_series);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keys_of_samples),
      cmocka_unit_test(keys_of_events),
      cmocka_unit_test(templates_with_unknown_fields_are_refused),
      cmocka_unit_test(long_keys_end_in_a_hash_of_the_whole),
      cmocka_unit_test(the_hash_is_that_of_text_and_names_alike),
      cmocka_unit_test(a_template_tells_how_many_keys_there_will_be),
      cmocka_unit_test(keys_fit_and_stay_valid_utf8),
  };
  return run_all(tests);
}
