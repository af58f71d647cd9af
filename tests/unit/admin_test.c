/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/admin.h"
#include "tests/fake/web.h"
#include "tests/testing.h"

#include <string.h>

static struct fake_host host;

static void begin(struct rmq_admin *a, struct fake_web *w,
                  const struct fake_web_rule *rules) {
  fake_host_init(&host);
  *w = (struct fake_web){.rules = rules, .clock = &host};
  struct rmq_http http = fake_web_http(w);
  rmq_admin_init(a, &http, "http://broker/", rmq_s(5));
}

static void join(void *ctx, const char *name) {
  rmq_buf_appendf(ctx, "%s;", name);
}

static void only_vhosts_with_the_prefix_are_found(void **state) {
  static const struct fake_web_rule rules[] = {
      {"/api/vhosts", 200,
       "[{\"name\":\"/\"},{\"name\":\"drill-1\"},{\"name\":\"a-drill-2\"},"
       "{\"name\":\"drill-\\u00e4\"}]",
       0},
      {NULL, 0, NULL, 0}};
  struct fake_web w;
  struct rmq_admin a;
  struct rmq_buf found;
  struct rmq_error err = {.text = ""};
  (void)state;
  begin(&a, &w, rules);
  rmq_buf_init(&found, 1024);
  assert_int_equal(rmq_admin_find_vhosts(&a, "drill-", join, &found, &err), 0);
  assert_string_equal(rmq_buf_text(&found), "drill-1;drill-\u00e4;");
  rmq_buf_fini(&found);
  rmq_admin_fini(&a);
}

static void names_are_encoded_and_every_connection_is_closed(void **state) {
  static const struct fake_web_rule rules[] = {
      {"/api/vhosts/a%2Fb/connections", 200,
       "[{\"name\":\"1.2.3.4:5 -> 6\"},{\"name\":\"x\"}]", 0},
      {"/api/connections/", 404, "gone", 0},
      {NULL, 0, NULL, 0}};
  struct fake_web w;
  struct rmq_admin a;
  size_t count = 0;
  struct rmq_error err = {.text = ""};
  (void)state;
  begin(&a, &w, rules);
  assert_int_equal(rmq_admin_close_connections(&a, "a/b", &count, &err), 0);
  assert_int_equal(count, 2);
  assert_int_equal(w.asked_count, 3);
  assert_string_equal(w.asked[1],
                      "http://broker/api/connections/1.2.3.4%3A5%20-%3E%206");
  rmq_admin_fini(&a);
}

static void what_the_broker_refuses_is_an_error_that_says_it(void **state) {
  static const struct fake_web_rule rules[] = {
      {"/api/whoami", 200, "{\"name\":\"me\",\"tags\":[]}", 0},
      {"/api/vhosts/v", 401, "not authorised", 0},
      {"/api/cluster-name", 200, "{\"nam\":1}", 0},
      {NULL, 0, NULL, 0}};
  struct fake_web w;
  struct rmq_admin a;
  struct rmq_buf name;
  struct rmq_error err = {.text = ""};
  (void)state;
  begin(&a, &w, rules);
  assert_int_equal(rmq_admin_create_vhost(&a, "v", &err), -1);
  assert_non_null(strstr(err.text, "status 401 not authorised"));
  rmq_error_clear(&err);
  rmq_buf_init(&name, 100);
  assert_int_equal(rmq_admin_cluster_name(&a, &name, &err), -1);
  assert_int_equal(name.len, 0);
  rmq_buf_fini(&name);
  rmq_admin_fini(&a);
}

/* As RabbitMQ 3.10 answers when the only queue is full. */
static void that_a_full_queue_rejects_a_message_is_no_error(void **state) {
  static const struct fake_web_rule rules[] = {
      {"/api/exchanges/full/", 400,
       "{\"error\":\"bad_request\",\"reason\":\"rejected Unable to publish "
       "message. Check queue limits.\"}",
       0},
      {"/api/exchanges/bad/", 400,
       "{\"error\":\"bad_request\",\"reason\":\"key_missing\"}", 0},
      {"/api/exchanges/gone/", 404, "{\"error\":\"Object Not Found\"}", 0},
      {"/api/exchanges/away/", 0, "connection refused", 0},
      {NULL, 0, NULL, 0}};
  static const struct {
    const char *vhost;
    int want;
    const char *want_error;
  } rows[] = {{"full", 0, ""},
              {"bad", -1, "key_missing"},
              {"gone", -1, "status 404"},
              {"away", -1, "refused"}};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fake_web w;
    struct rmq_admin a;
    struct rmq_error err = {.text = ""};
    SHOW_ROW("%s", rows[i].vhost);
    begin(&a, &w, rules);
    assert_int_equal(rmq_admin_publish(&a, rows[i].vhost, "q", "x", &err),
                     rows[i].want);
    assert_non_null(strstr(err.text, rows[i].want_error));
    assert_int_equal(rmq_error_is_set(&err), rows[i].want != 0);
    rmq_admin_fini(&a);
  }
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(only_vhosts_with_the_prefix_are_found),
      cmocka_unit_test(names_are_encoded_and_every_connection_is_closed),
      cmocka_unit_test(what_the_broker_refuses_is_an_error_that_says_it),
      cmocka_unit_test(that_a_full_queue_rejects_a_message_is_no_error)};
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
