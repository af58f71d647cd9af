/* SPDX-License-Identifier: MIT */
/* contrib's alert rules and dashboards tell of everything that goes wrong with
 * a message, as the series tables have it: a new cause cannot be forgotten. */
#include "rmq_config.h"

#include "common/broker/report.h"
#include "common/role/role_consume.h"
#include "common/role/role_publish.h"

#include "tests/manual.h"
#include "tests/testing.h"

#include <ctype.h>
#include <string.h>

static const char rules[] = "contrib/prometheus/rules.yml";
static const char overview[] = "contrib/grafana/overview.json";
static const char clients[] = "contrib/grafana/clients.json";

/* What a file says from one text up to another; the caller's to free. */
static char *part_of(const char *file, const char *from, const char *to) {
  char *text = manual_read(file);
  const char *begin = strstr(text, from);
  const char *end = begin == NULL ? NULL : strstr(begin + strlen(from), to);
  if (end == NULL)
    fail_msg("%s has no %s with %s behind it", file, from, to);
  char *copy = strndup(begin, (size_t)(end - begin));
  assert_non_null(copy);
  free(text);
  return copy;
}

static char *panel_of(const char *file, const char *title) {
  char from[100];
  snprintf(from, sizeof(from), "\"title\": \"%s\"", title);
  return part_of(file, from, "\"title\": ");
}

static bool has_word(const char *text, const char *word) {
  const size_t len = strlen(word);
  for (const char *at = text; (at = strstr(at, word)) != NULL; at += len)
    if (!isalnum((unsigned char)at[len]) && at[len] != '_')
      return true;
  return false;
}

struct kind {
  const char *plugin, *type;
  enum rmq_series_scope scope;
  const struct rmq_series *table;
  const char *indicator;     /* NULL = any */
  const char *const *others; /* instances that are about something else */
};

static bool is_of(const struct rmq_series *row, const struct kind *k) {
  if (row->scope != k->scope || strcmp(row->type, k->type) != 0 ||
      (k->indicator != NULL &&
       (row->indicator == NULL || strcmp(row->indicator, k->indicator) != 0)))
    return false;
  for (size_t i = 0; k->others[i] != NULL; i++)
    if (strcmp(row->type_instance, k->others[i]) == 0)
      return false;
  return true;
}

/* Frees text. least: of names, lest a table that changed its words passes. */
static void names_each(char *text, const char *where, const struct kind *k,
                       size_t least) {
  size_t found = 0;
  struct rmq_buf name;
  rmq_buf_init(&name, 300);
  for (const struct rmq_series *row = k->table; row->type != NULL; row++) {
    for (size_t i = 0; is_of(row, k) && i < rmq_series_names_count(row); i++) {
      const char *cause = row->causes == NULL ? NULL : row->causes[i];
      rmq_buf_clear(&name);
      assert_int_equal(rmq_series_prometheus(k->plugin, row, cause, &name), 0);
      rmq_buf_append_char(&name, '\0');
      if (!has_word(text, rmq_buf_bytes(&name)))
        fail_msg("%s does not have %s", where, rmq_buf_bytes(&name));
      found++;
    }
  }
  if (found < least)
    fail_msg("%s: the table has %zu of these", where, found);
  rmq_buf_fini(&name);
  free(text);
}

/* Every end of a message but the good ones. */
static const char *const good_ends[] = {
    "accepted",  "recovered",   "published", "republished",
    "confirmed", "unconfirmed", NULL};
static const struct kind given_up = {.plugin = "rabbitmq_publish",
                                     .type = "total_operations",
                                     .scope = RMQ_SERIES_BLOCK,
                                     .table = rmq_publish_series_table,
                                     .others = good_ends};

static void an_alert_tells_of_every_loss_of_a_publisher(void **state) {
  (void)state;
  names_each(part_of(rules, "- record: warren:publish_refused:", "- alert:"),
             "WarrenPublisherLoses", &given_up, 7);
}

static void a_panel_tells_of_every_loss_of_a_publisher(void **state) {
  (void)state;
  names_each(panel_of(clients, "Lost"), "the panel Lost", &given_up, 7);
}

static void a_panel_tells_of_everything_that_a_consumer_refuses(void **state) {
  static const char *const others[] = {"delivered", "redelivered", "acked",
                                       "deduplicated", NULL};
  static const struct kind not_taken = {.plugin = "rabbitmq_consume",
                                        .type = "total_operations",
                                        .scope = RMQ_SERIES_BLOCK,
                                        .table = rmq_consume_series_table,
                                        .others = others};
  (void)state;
  names_each(panel_of(clients, "Refused"), "the panel Refused", &not_taken, 13);
}

static void a_panel_tells_of_every_part_of_the_error_rate(void **state) {
  static const char *const others[] = {"auth_failed", "channel_closed", NULL};
  static const struct kind errors = {.plugin = "rabbitmq_monitor",
                                     .type = "total_events",
                                     .scope = RMQ_SERIES_CLUSTER,
                                     .table = rmq_report_series,
                                     .indicator = "errors",
                                     .others = others};
  (void)state;
  names_each(panel_of(overview, "Errors by kind"), "the panel Errors by kind",
             &errors, 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_alert_tells_of_every_loss_of_a_publisher),
      cmocka_unit_test(a_panel_tells_of_every_loss_of_a_publisher),
      cmocka_unit_test(a_panel_tells_of_everything_that_a_consumer_refuses),
      cmocka_unit_test(a_panel_tells_of_every_part_of_the_error_rate),
  };
  return run_all(tests);
}
