/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_filter.h"
#include "tests/testing.h"

#include <string.h>

/* 2023-11-14, in ns */
#define NOW_NS (INT64_C(1700000000) * RMQ_NS_PER_S)
static const struct rmq_wall now = {NOW_NS};

static char text_a[300], text_b[300];

static struct rmq_strings list_of(char **items, size_t count) {
  return (struct rmq_strings){.items = items, .count = count};
}

static struct rmq_consume_filter *make(const struct rmq_trust_options *o) {
  struct rmq_error err = {""};
  struct rmq_consume_filter *f = rmq_consume_filter_new(o, &err);
  assert_non_null(f);
  return f;
}

/* The delivery is borrowed while its records are asked about. */
static struct rmq_delivery delivery;

static void begin_as(struct rmq_consume_filter *f, const char *user) {
  delivery = (struct rmq_delivery){.tag = 1};
  snprintf(delivery.user_id, sizeof(delivery.user_id), "%s", user);
  rmq_consume_filter_begin(f, &delivery, now);
}

static enum rmq_refusal ask(struct rmq_consume_filter *f, const char *host,
                            const char *plugin, int64_t time_ns) {
  struct rmq_error err = {""};
  struct rmq_identity id = {.host = host,
                            .plugin = plugin,
                            .plugin_instance = "",
                            .type = "gauge",
                            .type_instance = ""};
  enum rmq_refusal r =
      rmq_consume_filter_check(f, &id, (struct rmq_wall){time_ns}, &err);
  assert_int_equal(rmq_error_is_set(&err), r != RMQ_REFUSAL_none);
  return r;
}

static void listed_hosts_and_plugins_pass(void **state) {
  (void)state;
  static const struct {
    const char *hosts, *plugins, *host, *plugin;
    enum rmq_refusal want;
  } rows[] = {
      {NULL, NULL, "any", "any", RMQ_REFUSAL_none},
      {"a", NULL, "a", "any", RMQ_REFUSAL_none},
      {"a", NULL, "ab", "any", RMQ_REFUSAL_not_allowed},
      {"/a/", NULL, "bab", "any", RMQ_REFUSAL_none},
      {"/^a$/", NULL, "bab", "any", RMQ_REFUSAL_not_allowed},
      {"/^web[0-9]+\\.example\\.org$/", NULL, "web17.example.org", "cpu",
       RMQ_REFUSAL_none},
      {"/^web[0-9]+\\.example\\.org$/", NULL, "web17xexample.org", "cpu",
       RMQ_REFUSAL_not_allowed},
      {NULL, "cpu", "any", "cpu", RMQ_REFUSAL_none},
      {NULL, "cpu", "any", "exec", RMQ_REFUSAL_not_allowed},
      {NULL, "cpu", "any", "", RMQ_REFUSAL_not_allowed},
      {"a", "cpu", "b", "cpu", RMQ_REFUSAL_not_allowed},
      {"a", "cpu", "a", "mem", RMQ_REFUSAL_not_allowed},
      {"a", "cpu", "a", "cpu", RMQ_REFUSAL_none},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    char *hosts[] = {text_a}, *plugins[] = {text_b};
    struct rmq_trust_options o = {.max_clock_skew = {0}};
    SHOW_ROW("%zu %s/%s", i, rows[i].host, rows[i].plugin);
    if (rows[i].hosts != NULL) {
      snprintf(text_a, sizeof(text_a), "%s", rows[i].hosts);
      o.allow_host = list_of(hosts, 1);
    }
    if (rows[i].plugins != NULL) {
      snprintf(text_b, sizeof(text_b), "%s", rows[i].plugins);
      o.allow_plugin = list_of(plugins, 1);
    }
    struct rmq_consume_filter *f = make(&o);
    begin_as(f, "");
    assert_int_equal(ask(f, rows[i].host, rows[i].plugin, NOW_NS),
                     rows[i].want);
    /* The answer is remembered, and only for this name. */
    assert_int_equal(ask(f, rows[i].host, rows[i].plugin, NOW_NS),
                     rows[i].want);
    if (rows[i].hosts != NULL)
      assert_int_equal(ask(f, "nobody", "cpu", NOW_NS),
                       RMQ_REFUSAL_not_allowed);
    rmq_consume_filter_free(f);
  }
}

static void times_pass_between_max_age_and_max_clock_skew(void **state) {
  (void)state;
  static const struct {
    int64_t age_s, skew_s, from_now_s;
    enum rmq_refusal want;
  } rows[] = {
      {0, 0, -1000000000, RMQ_REFUSAL_none},
      {0, 0, 7000000000, RMQ_REFUSAL_none},
      {60, 0, -60, RMQ_REFUSAL_none},
      {60, 0, -61, RMQ_REFUSAL_too_old},
      {0, 300, 300, RMQ_REFUSAL_none},
      {0, 300, 301, RMQ_REFUSAL_future},
      {0, 300, 7000000000, RMQ_REFUSAL_future}, /* the year 2245 */
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_trust_options o = {.max_age = rmq_s(rows[i].age_s),
                                  .max_clock_skew = rmq_s(rows[i].skew_s)};
    SHOW_ROW("%zu", i);
    struct rmq_consume_filter *f = make(&o);
    begin_as(f, "");
    assert_int_equal(
        ask(f, "h", "p", NOW_NS + rows[i].from_now_s * RMQ_NS_PER_S),
        rows[i].want);
    assert_int_equal(ask(f, "h", "p", 0), RMQ_REFUSAL_none); /* 0 is now */
    rmq_consume_filter_free(f);
  }
}

static void a_host_is_rewritten_or_refused(void **state) {
  (void)state;
  static char long_host[128];
  memset(long_host, 'h', 127);
  static const struct {
    const char *template, *user, *host;
    const char *want; /* NULL = bad_name */
  } rows[] = {
      {"fixed", "", "h", "fixed"},
      {"%{host}", "", "h", "h"},
      {"%{user_id}.%{host}", "alice", "h", "alice.h"},
      {"%{host}.eu%%", "", "h", "h.eu%"},
      {"%{user_id}", "", "h", NULL},
      {"%{user_id}x", "../", "h", NULL},
      {"x%{host}", "", long_host, NULL},
      {"%{host}", "", long_host, long_host},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    snprintf(text_a, sizeof(text_a), "%s", rows[i].template);
    struct rmq_trust_options o = {.rewrite_host = text_a};
    SHOW_ROW("%zu %s", i, rows[i].template);
    struct rmq_consume_filter *f = make(&o);
    begin_as(f, rows[i].user);
    assert_int_equal(ask(f, rows[i].host, "p", NOW_NS),
                     rows[i].want == NULL ? RMQ_REFUSAL_bad_name
                                          : RMQ_REFUSAL_none);
    if (rows[i].want != NULL)
      assert_string_equal(rmq_consume_filter_host(f, rows[i].host),
                          rows[i].want);
    rmq_consume_filter_free(f);
  }
}

static void the_own_host_is_what_allow_host_sees(void **state) {
  (void)state;
  char *hosts[] = {text_b};
  snprintf(text_a, sizeof(text_a), "%%{user_id}.%%{host}");
  snprintf(text_b, sizeof(text_b), "h");
  struct rmq_trust_options o = {.rewrite_host = text_a,
                                .allow_host = list_of(hosts, 1)};
  struct rmq_consume_filter *f = make(&o);
  begin_as(f, "alice");
  assert_int_equal(ask(f, "h", "p", NOW_NS), RMQ_REFUSAL_none);
  assert_string_equal(rmq_consume_filter_host(f, "h"), "alice.h");
  begin_as(f, "bob"); /* nothing of the one before */
  assert_int_equal(ask(f, "h", "p", NOW_NS), RMQ_REFUSAL_none);
  assert_string_equal(rmq_consume_filter_host(f, "h"), "bob.h");
  assert_int_equal(ask(f, "alice.h", "p", NOW_NS), RMQ_REFUSAL_not_allowed);
  rmq_consume_filter_free(f);
}

static struct rmq_wire_header header(const char *name, const char *text,
                                     size_t len) {
  return (struct rmq_wire_header){.name = rmq_span_of(name),
                                  .type = text == NULL ? RMQ_HEADER_INTEGER
                                                       : RMQ_HEADER_STRING,
                                  .string = {text, len}};
}

static void a_host_is_taken_from_the_header(void **state) {
  (void)state;
  static char long_name[128];
  memset(long_name, 'h', sizeof(long_name));
#define TEXT(t) t, sizeof(t) - 1
  static const struct {
    const char *name, *text; /* of the header; NULL text: a number */
    size_t len;
    enum rmq_refusal want;
    const char *want_host;
  } rows[] = {
      {"agent", TEXT("web1"), RMQ_REFUSAL_none, "x.web1"},
      {"agent", TEXT("web1.example.org"), RMQ_REFUSAL_none,
       "x.web1.example.org"},
      {"agent", TEXT("db1"), RMQ_REFUSAL_not_allowed, ""},
      {"agent", NULL, 0, RMQ_REFUSAL_no_host, ""},
      {"Agent", TEXT("web1"), RMQ_REFUSAL_no_host, ""},
      {"agen", TEXT("web1"), RMQ_REFUSAL_no_host, ""},
      {"agent", TEXT(""), RMQ_REFUSAL_bad_name, ""},
      {"agent", TEXT("web1/../x"), RMQ_REFUSAL_bad_name, ""},
      {"agent", TEXT(".web1"), RMQ_REFUSAL_bad_name, ""},
      {"agent", TEXT("web1\0"), RMQ_REFUSAL_bad_name, ""},
      {"agent", TEXT("web1\n"), RMQ_REFUSAL_bad_name, ""},
      {"agent", TEXT("web\xff"), RMQ_REFUSAL_bad_name, ""},
      {"agent", long_name, sizeof(long_name), RMQ_REFUSAL_bad_name, ""},
  };
  char name[] = "agent", template[] = "x.%{host}", allowed[] = "/^web/";
  char *hosts[] = {allowed};
  const struct rmq_trust_options o = {.host_from_header = name,
                                      .rewrite_host = template,
                                      .allow_host = list_of(hosts, 1)};
  struct rmq_consume_filter *f = make(&o);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_kept kept = {.headers_count = 2};
    const struct rmq_delivery d = {.kept = &kept};
    SHOW_ROW("%zu", i);
    kept.headers[0] = header("other", TEXT("webx"));
    kept.headers[1] = header(rows[i].name, rows[i].text, rows[i].len);
    rmq_consume_filter_begin(f, &d, now);
    /* Neither the own host nor its being allowed matters. */
    assert_int_equal(ask(f, "web9", "p", NOW_NS), rows[i].want);
    assert_int_equal(ask(f, "own", "p", NOW_NS), rows[i].want);
    if (rows[i].want == RMQ_REFUSAL_none)
      assert_string_equal(rmq_consume_filter_host(f, "own"), rows[i].want_host);
  }
  /* Nothing of the message before. */
  begin_as(f, "");
  assert_int_equal(ask(f, "web9", "p", NOW_NS), RMQ_REFUSAL_no_host);
  rmq_consume_filter_free(f);
}

static void without_a_template_the_header_s_host_stays(void **state) {
  (void)state;
  char name[] = "agent";
  const struct rmq_trust_options o = {.host_from_header = name};
  struct rmq_consume_filter *f = make(&o);
  struct rmq_kept kept = {.headers_count = 1};
  const struct rmq_delivery d = {.kept = &kept};
  kept.headers[0] = header(name, TEXT("web1"));
  rmq_consume_filter_begin(f, &d, now);
  assert_int_equal(ask(f, "own", "p", NOW_NS), RMQ_REFUSAL_none);
  assert_string_equal(rmq_consume_filter_host(f, "own"), "web1");
  rmq_consume_filter_free(f);
}

static void wrong_templates_are_named(void **state) {
  (void)state;
  static const char *const wrong[] = {"",       "%{hosts}", "a/b", "100%",
                                      "%{host", ".%{host}", "a\nb"};
  struct rmq_error err = {""};
  for (size_t i = 0; i < COUNT_OF(wrong); i++) {
    SHOW_ROW("%zu", i);
    rmq_error_clear(&err);
    assert_int_equal(rmq_consume_filter_check_template(wrong[i], &err), -1);
    assert_non_null(strstr(err.text, "%{host} and %{user_id}"));
  }
  assert_int_equal(rmq_consume_filter_check_template("%{user_id}-%%", &err), 0);
}

static void only_listed_users_are_taken(void **state) {
  (void)state;
  char alice[] = "alice", bob[] = "bob";
  char *users[] = {alice, bob};
  struct rmq_trust_options o = {.require_user_id = list_of(users, 2)};
  struct rmq_consume_filter *f = make(&o);
  assert_true(rmq_consume_filter_takes_user(f, "alice"));
  assert_true(rmq_consume_filter_takes_user(f, "bob"));
  assert_false(rmq_consume_filter_takes_user(f, "Alice"));
  assert_false(rmq_consume_filter_takes_user(f, ""));
  rmq_consume_filter_free(f);
  o.require_user_id.count = 0;
  f = make(&o);
  assert_true(rmq_consume_filter_takes_user(f, ""));
  rmq_consume_filter_free(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(listed_hosts_and_plugins_pass),
      cmocka_unit_test(times_pass_between_max_age_and_max_clock_skew),
      cmocka_unit_test(a_host_is_rewritten_or_refused),
      cmocka_unit_test(the_own_host_is_what_allow_host_sees),
      cmocka_unit_test(a_host_is_taken_from_the_header),
      cmocka_unit_test(without_a_template_the_header_s_host_stays),
      cmocka_unit_test(wrong_templates_are_named),
      cmocka_unit_test(only_listed_users_are_taken),
  };
  return run_all(tests);
}
