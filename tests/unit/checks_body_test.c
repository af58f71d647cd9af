/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/checks_body.h"

#include "tests/testing.h"

#include <math.h>
#include <string.h>

/* A whole fixture, which may be written to; the test's to free. */
static char *read_fixture(const char *name, size_t *ret_len) {
  const char *top = getenv("top_srcdir");
  char path[600];
  snprintf(path, sizeof(path), "%s/tests/fixtures/mgmt/%s",
           top == NULL ? "." : top, name);
  FILE *f = fopen(path, "rb");
  if (f == NULL)
    fail_msg("no %s", path);
  char *bytes = calloc(1, 10000);
  *ret_len = fread(bytes, 1, 9999, f);
  fclose(f);
  return bytes;
}

static int add_queues(const char *text, struct rmq_checks_queues *q,
                      struct rmq_error *err) {
  size_t len = strlen(text);
  char *copy = strdup(text);
  int rc = rmq_checks_body_queues(copy, len, q, err);
  free(copy);
  return rc;
}

static void
a_connection_is_blocked_or_would_be_with_its_next_publish(void **state) {
  (void)state;
  static const char *const names[] = {"3.10.8/connections.json",
                                      "4.0.5/connections.json"};
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    SHOW_ROW("%s", names[i]);
    size_t len;
    char *text = read_fixture(names[i], &len);
    struct rmq_error err = {.text = ""};
    double blocked = -1;
    assert_int_equal(rmq_checks_body_connections(text, len, &blocked, &err), 0);
    assert_true(blocked == 2);
    free(text);
  }
}

static void connections_are_counted_by_their_state(void **state) {
  (void)state;
  static const struct {
    const char *text;
    double want; /* NaN = not known, -1 = not such a list */
  } rows[] = {
      {"[]", 0},
      {"[{\"state\":\"running\"},{\"state\":\"flow\"}]", 0},
      {" [ {\"name\":\"x\",\"state\":\"blocked\"} , {} ] ", 1},
      {"[{\"pid\":[1,{\"state\":\"blocked\"}]},{\"name\":\"b\"}]", NAN},
      {"[{\"state\":null},{\"state\":5}]", NAN},
      {"{\"error\":\"x\"}", -1},
      {"[{\"state\":\"blocked\"}", -1},
      {"[5]", -1},
      {"", -1},
      {"<html>", -1},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].text);
    size_t len = strlen(rows[i].text);
    char *text = strdup(rows[i].text);
    struct rmq_error err = {.text = ""};
    double blocked = -1;
    int rc = rmq_checks_body_connections(text, len, &blocked, &err);
    assert_int_equal(rc, rows[i].want == -1 ? -1 : 0);
    assert_int_equal(rmq_error_is_set(&err), rc != 0);
    assert_true(isnan(rows[i].want) ? isnan(blocked) : blocked == rows[i].want);
    free(text);
  }
}

static void virtual_hosts_are_counted_by_name(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int want; /* -1 = not such an answer */
  } rows[] = {
      {"{\"status\":\"ok\"}", 0},
      {"{\"status\":\"failed\",\"reason\":\"Some virtual hosts are down\","
       "\"virtual-hosts\":[\"a\",\"/\",\"a\"]}",
       2},
      {"{\"status\":\"failed\",\"virtual-hosts\":[]}", -1},
      {"{\"status\":\"failed\",\"virtual-hosts\":[5]}", -1},
      {"{\"status\":\"failed\",\"virtual-hosts\":[\"a\"", -1},
      {"<html>", -1},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].text);
    size_t len = strlen(rows[i].text);
    char *text = strdup(rows[i].text);
    struct rmq_checks_queues v = {.hashes = NULL};
    struct rmq_error err = {.text = ""};
    int rc = rmq_checks_body_vhosts(text, len, &v, &err);
    assert_int_equal(rc, rows[i].want < 0 ? -1 : 0);
    if (rows[i].want >= 0)
      assert_int_equal(rmq_checks_queues_count(&v), rows[i].want);
    rmq_checks_queues_fini(&v);
    free(text);
  }
}

static void a_queue_that_two_nodes_name_counts_once(void **state) {
  (void)state;
  static const struct {
    const char *version;
    size_t critical;
  } rows[] = {{"3.10.8", 2}, {"4.0.5", 1}};
  static const char *const names[] = {"ok", "critical-alone", "critical-1",
                                      "critical-2"};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_checks_queues q = {.hashes = NULL};
    for (size_t k = 0; k < COUNT_OF(names); k++) {
      size_t len;
      char name[64];
      snprintf(name, sizeof(name), "%s/quorum-%s.json", rows[i].version,
               names[k]);
      SHOW_ROW("%s", name);
      char *text = read_fixture(name, &len);
      struct rmq_error err = {.text = ""};
      assert_int_equal(rmq_checks_body_queues(text, len, &q, &err), 0);
      assert_int_equal(rmq_checks_queues_count(&q),
                       k < 2 ? 0 : rows[i].critical);
      free(text);
    }
    rmq_checks_queues_fini(&q);
  }
}

static void queues_of_one_name_in_two_vhosts_are_two(void **state) {
  (void)state;
  struct rmq_checks_queues q = {.hashes = NULL};
  struct rmq_error err = {.text = ""};
  assert_int_equal(
      add_queues("{\"queues\":[{\"name\":\"q\",\"virtual_host\":\"a\"},"
                 "{\"virtual_host\":\"b\",\"name\":\"q\"},"
                 "{\"virtual_host\":\"aq\",\"name\":\"\"}],"
                 "\"status\":\"failed\"}",
                 &q, &err),
      0);
  assert_int_equal(rmq_checks_queues_count(&q), 3);
  rmq_checks_queues_fini(&q);
}

static void what_is_no_health_check_is_an_error(void **state) {
  (void)state;
  static const char *const texts[] = {"",
                                      "{}",
                                      "[]",
                                      "{\"queues\":[]}",
                                      "{\"status\":\"unwell\"}",
                                      "{\"status\":\"failed\",\"queues\":[5]}",
                                      "{\"status\":\"failed\",\"queues\":[{}",
                                      "<html>503 Service Unavailable</html>"};
  for (size_t i = 0; i < COUNT_OF(texts); i++) {
    SHOW_ROW("%s", texts[i]);
    struct rmq_checks_queues q = {.hashes = NULL};
    struct rmq_error err = {.text = ""};
    assert_int_equal(add_queues(texts[i], &q, &err), -1);
    assert_non_null(strstr(err.text, "not that of a health check"));
    rmq_checks_queues_fini(&q);
  }
}

static void a_check_that_failed_and_names_nothing_is_not_zero(void **state) {
  (void)state;
  static const char *const texts[] = {
      "{\"status\":\"failed\"}", "{\"status\":\"failed\",\"queues\":[]}",
      "{\"status\":\"failed\",\"queues\":null}",
      "{\"queues\":{\"name\":\"q\"},\"status\":\"failed\"}",
      "{\"status\":\"failed\",\"names\":[{\"name\":\"q\"}]}"};
  for (size_t i = 0; i < COUNT_OF(texts); i++) {
    SHOW_ROW("%s", texts[i]);
    struct rmq_checks_queues q = {.hashes = NULL};
    struct rmq_error err = {.text = ""};
    assert_int_equal(add_queues(texts[i], &q, &err), -1);
    assert_non_null(strstr(err.text, "says not of what"));
    rmq_checks_queues_fini(&q);
  }
}

static void a_certificate_has_the_date_that_the_broker_says(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int64_t want;
  } rows[] = {
      {"3.10.8/certificates.json", 1798014124}, /* 2026-12-23 8:22:04 UTC */
      {"4.0.5/certificates.json", 1798067570},  /* 2026-12-23 23:12:50 UTC */
      {"3.10.8/certificates-ok.json", 0},
      {"4.0.5/certificates-ok.json", 0}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].name);
    size_t len;
    char *text = read_fixture(rows[i].name, &len);
    struct rmq_error err = {.text = ""};
    struct rmq_checks_certificate c = {.expires_s = 0};
    assert_int_equal(rmq_checks_body_certificates(text, len, &c, &err), 0);
    assert_int_equal(c.expires_s, rows[i].want);
    if (rows[i].want > 0) {
      assert_non_null(strstr(c.where, "the listener amqp/ssl, port "));
      assert_non_null(strstr(c.where, " of warren@localhost"));
    }
    free(text);
  }
}

#define LISTENER(port, dates)                                                  \
  "{\"port\":" port ",\"protocol\":\"https\",\"node\":\"r@a\","                \
  "\"certfile_expires_on\":" dates "}"

static void
the_first_to_expire_counts_and_what_is_no_date_is_said(void **state) {
  (void)state;
  static const struct {
    const char *listeners;
    int64_t want;
    const char *want_where, *want_error;
  } rows[] = {
      {"", 0, "", "says not of what"},
      {LISTENER("1", "[\"2030-01-02 3:04:05\"]"), 1893553445, "port 1,", NULL},
      {LISTENER("1", "[\"2030-01-02 3:04:05\"]") "," LISTENER(
           "2", "[\"2030-01-02 03:04:04\",\"2020-01-01 0:00:00\"]"),
       1893553444, "port 2,", NULL},
      {LISTENER(
           "1",
           "{\"error\":\"Certificate is not yet valid\"}") "," LISTENER("2",
                                                                        "[\"203"
                                                                        "0-01-"
                                                                        "02 "
                                                                        "03:04:"
                                                                        "04\""
                                                                        "]"),
       1893553444, "port 2,",
       "no date for the certificate of the listener "
       "https, port 1, of r@a"},
      {LISTENER("1", "[]"), 0, "", "no date"},
      {LISTENER("1", "[\"tomorrow\"]"), 0, "", "no date"},
      {LISTENER("1", "[\"1969-12-31 0:00:00\"]"), 0, "", "no date"},
      {LISTENER("1", "[\"2030-01-02 3:04:05 +1\"]"), 0, "", "no date"},
      {"{}", 0, "", "no date"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].listeners);
    char text[1000];
    snprintf(text, sizeof(text), "{\"status\":\"failed\",\"expired\":[%s]}",
             rows[i].listeners);
    struct rmq_error err = {.text = ""};
    struct rmq_checks_certificate c = {.expires_s = 0};
    int rc = rmq_checks_body_certificates(text, strlen(text), &c, &err);
    assert_int_equal(rc, rows[i].want_error == NULL ? 0 : -1);
    assert_int_equal(c.expires_s, rows[i].want);
    assert_non_null(strstr(c.where, rows[i].want_where));
    if (rows[i].want_error != NULL)
      assert_non_null(strstr(err.text, rows[i].want_error));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(
          a_connection_is_blocked_or_would_be_with_its_next_publish),
      cmocka_unit_test(connections_are_counted_by_their_state),
      cmocka_unit_test(virtual_hosts_are_counted_by_name),
      cmocka_unit_test(a_queue_that_two_nodes_name_counts_once),
      cmocka_unit_test(queues_of_one_name_in_two_vhosts_are_two),
      cmocka_unit_test(what_is_no_health_check_is_an_error),
      cmocka_unit_test(a_check_that_failed_and_names_nothing_is_not_zero),
      cmocka_unit_test(a_certificate_has_the_date_that_the_broker_says),
      cmocka_unit_test(the_first_to_expire_counts_and_what_is_no_date_is_said),
  };
  return run_all(tests);
}
