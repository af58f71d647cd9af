/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_monitor.h"

#include "common/base/filter.h"
#include "common/base/log.h"
#include "common/broker/alert_rule.h"
#include "common/broker/longest.h"
#include "common/broker/poll.h"
#include "common/broker/vhosts.h"
#include "common/broker/week.h"
#include "common/role/alert_options.h"
#include "common/role/baseline_options.h"
#include "common/role/probe_options.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const sources[] = {"auto", "management", "prometheus", NULL};
static const char *const log_formats[] = {"text", "json", NULL};

enum { PROBES_MAX = 1 };

static int check_probe(const void *object, struct rmq_buf *errors) {
  return rmq_probe_options_check(object, errors);
}

static const struct rmq_option_block probe_block = {
    .table = rmq_probe_option_table,
    .size = sizeof(struct rmq_probe_options),
    .max = PROBES_MAX,
    .check = check_probe};

#define FIELD(f) .offset = offsetof(struct rmq_role_monitor_config, f)

const struct rmq_option rmq_role_monitor_options[] = {
    {.name = "URL",
     .type = RMQ_OPT_LIST,
     FIELD(urls),
     .default_value = "http://localhost:15672",
     .help = "Management API of the cluster, http or https; several are tried "
             "in turn"},
    {.name = "MetricsURL",
     .type = RMQ_OPT_LIST,
     FIELD(metrics_urls),
     .help = "Prometheus plugin of each node, http://HOST:15692, all that the "
             "cluster has"},
    {.name = "Source",
     .type = RMQ_OPT_ENUM,
     FIELD(source),
     .default_value = "auto",
     .choices = sources,
     .help = "Whom to ask; auto asks the nodes where every one that runs "
             "answers at a MetricsURL, else the management API"},
    {.name = "User",
     .alias = "Username",
     .type = RMQ_OPT_STRING,
     FIELD(user),
     .default_value = "guest",
     .help = "User with the tag \"monitoring\" and read permission on the "
             "vhosts to be seen"},
    {.name = "Password",
     .type = RMQ_OPT_SECRET,
     FIELD(password),
     .help = "Its password; guest where neither this nor PasswordFile is "
             "given"},
    {.name = "PasswordFile",
     .type = RMQ_OPT_STRING,
     FIELD(password_file),
     .help = "File whose first line is the password; read again when the "
             "broker refuses it"},
    {.name = "BearerTokenFile",
     .type = RMQ_OPT_STRING,
     FIELD(bearer_token_file),
     .help = "File whose first line is an OAuth 2 token to show instead of "
             "user and password; read before every poll"},
    {.name = "Interval",
     .type = RMQ_OPT_DURATION,
     FIELD(interval),
     .default_value = "10",
     .min = 1,
     .max = 86400,
     .unit = "seconds",
     .help = "Time between two polls, and the interval of every series; one "
             "poll never takes longer"},
    {.name = "Timeout",
     .type = RMQ_OPT_DURATION,
     FIELD(timeout),
     .default_value = "5",
     .min = 0.1,
     .max = 3600,
     .unit = "seconds",
     .help = "Longest time of one request; then the next URL is tried"},
    {.name = "ConnectTimeout",
     .type = RMQ_OPT_DURATION,
     FIELD(connect_timeout),
     .default_value = "5",
     .min = 0.1,
     .max = 3600,
     .unit = "seconds",
     .help = "Longest time until TCP and TLS are connected"},
    {.name = "VerifyPeer",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(verify_peer),
     .default_value = "true",
     .help = "Whether the server's certificate must come from a known CA"},
    {.name = "VerifyHost",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(verify_host),
     .default_value = "true",
     .help = "Whether the certificate must be for the URL's host"},
    {.name = "CACert",
     .type = RMQ_OPT_STRING,
     FIELD(ca_cert),
     .help = "PEM file of CAs to trust instead of the system's"},
    {.name = "ClientCert",
     .type = RMQ_OPT_STRING,
     FIELD(client_cert),
     .help = "PEM file of a certificate to show to the server"},
    {.name = "ClientKey",
     .type = RMQ_OPT_STRING,
     FIELD(client_key),
     .help = "PEM file of its key"},
    {.name = "IncludeQueue",
     .type = RMQ_OPT_LIST,
     FIELD(include_queue),
     .help = "Queues to report one by one: /regex/ or a whole name; all where "
             "none is given"},
    {.name = "ExcludeQueue",
     .type = RMQ_OPT_LIST,
     FIELD(exclude_queue),
     .help = "Queues not to report one by one: /regex/ or a whole name"},
    {.name = "IncludeVHost",
     .type = RMQ_OPT_LIST,
     FIELD(include_vhost),
     .help = "Virtual hosts to report, and their queues: /regex/ or a whole "
             "name; all where none is given"},
    {.name = "ExcludeVHost",
     .type = RMQ_OPT_LIST,
     FIELD(exclude_vhost),
     .help = "Virtual hosts not to report, nor their queues: /regex/ or a "
             "whole name"},
    {.name = "HealthCheck",
     .type = RMQ_OPT_LIST,
     FIELD(health_checks),
     .help = "More of RabbitMQ's own health checks than those that are asked "
             "for anyway: virtual-hosts"},
    {.name = "CollectConnections",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(collect_connections),
     .default_value = "true",
     .help = "Whether connections are listed, to count those that are blocked"},
    {.name = "PageSize",
     .type = RMQ_OPT_INTEGER,
     FIELD(page_size),
     .default_value = "500",
     .min = 10,
     .max = RMQ_POLL_PAGE,
     .unit = "queues",
     .help = "Queues in one answer of the management API"},
    {.name = "QueueType",
     .type = RMQ_OPT_LIST,
     FIELD(queue_types),
     .help = "Types of queues to report one by one: classic, quorum, stream; "
             "all where none is given"},
    {.name = "ExcludeExclusive",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(exclude_exclusive),
     .default_value = "false",
     .help = "Whether queues that belong to one connection are not reported "
             "one by one; by the management API only"},
    {.name = "MaxQueues",
     .type = RMQ_OPT_INTEGER,
     FIELD(max_queues),
     .default_value = "5000",
     .min = 0,
     .max = 1000000,
     .unit = "queues",
     .help = "Queues reported one by one at most; 0 asks for no queue at all"},
    {.name = "MaxVHosts",
     .type = RMQ_OPT_INTEGER,
     FIELD(max_vhosts),
     .default_value = "100",
     .min = 0,
     .max = RMQ_VHOSTS_MAX,
     .unit = "virtual hosts",
     .help = "Virtual hosts with series of their own at most; 0 asks for none"},
    {.name = "Publisher",
     .type = RMQ_OPT_LIST,
     FIELD(publishers),
     .help = "Blocks of rabbitmq_publish that publish to this cluster; all, "
             "where there is one Cluster block and none is given"},
    {.name = "Consumer",
     .type = RMQ_OPT_LIST,
     FIELD(consumers),
     .help = "Blocks of rabbitmq_consume that consume from this cluster, "
             "likewise"},
    {.name = "TopQueues",
     .type = RMQ_OPT_INTEGER,
     FIELD(top_queues),
     .default_value = "20",
     .min = 0,
     .max = RMQ_LONGEST_MAX,
     .unit = "queues",
     .help = "Queues with most messages that stay reported in full where "
             "TimeBudget, or their number, does not allow it for all"},
    {.name = "TimeBudget",
     .type = RMQ_OPT_DURATION,
     FIELD(time_budget),
     .min = 0.1,
     .max = 86400,
     .unit = "seconds",
     .help = "Longest time that a poll is meant to take: before it takes "
             "longer, less is asked for; half of Interval where this is not "
             "given"},
    {.name = "Probe",
     .type = RMQ_OPT_BLOCKS,
     FIELD(probes),
     .block = &probe_block,
     .help =
         "Sends a message through the broker again and again: is it usable, "
         "and how fast"},
    {.name = "Alert",
     .type = RMQ_OPT_BLOCKS,
     FIELD(alerts),
     .block = &rmq_alert_option_block,
     .help = "Notifications when something is wrong, and when it is over"},
    {.name = "Baseline",
     .type = RMQ_OPT_BLOCKS,
     FIELD(baselines),
     .block = &rmq_baseline_option_block,
     .help = "What the publish rate is compared with"},
    {.name = "LogFormat",
     .type = RMQ_OPT_ENUM,
     FIELD(log_format),
     .default_value = "text",
     .choices = log_formats,
     .help = "Sentences, or one JSON object per line"},
    {.name = "LogFile",
     .type = RMQ_OPT_STRING,
     FIELD(log_file),
     .help = "File for this block's lines instead of collectd's log"},
    {.name = "ShutdownTimeout",
     .type = RMQ_OPT_DURATION,
     FIELD(shutdown_timeout),
     .default_value = "5",
     .min = 0,
     .max = 3600,
     .unit = "seconds",
     .help = "Longest time that the end of a running request is waited for at "
             "shutdown"},
    RMQ_OPTIONS_END};

/* ---- what no single option can say ---- */

static void add_error(struct rmq_buf *errors, const char *option,
                      const char *text) {
  rmq_buf_appendf(errors, "option %s: %s\n", option, text);
}

static void check_url(const char *option, const char *url,
                      struct rmq_buf *errors) {
  const char *at = strstr(url, "://");
  bool is_http = strncasecmp(url, "http://", 7) == 0 ||
                 strncasecmp(url, "https://", 8) == 0;
  struct rmq_error e = {.text = ""};
  /* Before the URL is repeated: it may hold a password. */
  if (strchr(url, '@') != NULL)
    rmq_error_set(&e, "a user or password inside the URL is not allowed, since "
                      "URLs are logged; use User and PasswordFile");
  else if (!is_http || at[3] == '\0' || at[3] == '/')
    rmq_error_set(&e,
                  "\"%.200s\" is not a URL; wanted is http://HOST:PORT or "
                  "https://HOST:PORT, with a path prefix if need be",
                  url);
  else if (strpbrk(url, "?# \t\r\n") != NULL || strlen(url) > 1000)
    rmq_error_set(&e,
                  "\"%.200s\" has a query, a fragment or a space, or is longer "
                  "than 1000 bytes; wanted is http://HOST:PORT or "
                  "https://HOST:PORT, with a path prefix if need be",
                  url);
  if (rmq_error_is_set(&e))
    add_error(errors, option, e.text);
}

static void check_sources(const struct rmq_role_monitor_config *c,
                          struct rmq_buf *errors) {
  char text[80];
  for (size_t i = 0; i < c->metrics_urls.count; i++)
    check_url("MetricsURL", c->metrics_urls.items[i], errors);
  snprintf(text, sizeof(text), "at most %d are allowed", RMQ_SCRAPE_NODES_MAX);
  if (c->metrics_urls.count > RMQ_SCRAPE_NODES_MAX)
    add_error(errors, "MetricsURL", text);
  if (c->source == RMQ_SOURCE_PROMETHEUS && c->metrics_urls.count == 0)
    add_error(errors, "MetricsURL",
              "one per node is needed with Source prometheus");
  if (c->bearer_token_file != NULL &&
      (c->password != NULL || c->password_file != NULL))
    add_error(errors, "BearerTokenFile",
              "a password is given too; only one of them is allowed");
}

static void check_health(const struct rmq_role_monitor_config *c,
                         struct rmq_buf *errors) {
  for (size_t i = 0; i < c->health_checks.count; i++)
    if (strcasecmp(c->health_checks.items[i], "virtual-hosts") != 0)
      add_error(errors, "HealthCheck", "allowed: virtual-hosts");
  if (c->health_checks.count > 0 && c->source == RMQ_SOURCE_PROMETHEUS)
    add_error(errors, "HealthCheck",
              "with Source prometheus the management API is not asked");
}

static void check_queues(const struct rmq_role_monitor_config *c,
                         struct rmq_buf *errors) {
  for (size_t i = 0; i < c->queue_types.count; i++) {
    const char *word = c->queue_types.items[i];
    if (strcasecmp(word, "classic") != 0 && strcasecmp(word, "quorum") != 0 &&
        strcasecmp(word, "stream") != 0)
      add_error(errors, "QueueType", "allowed: classic, quorum, stream");
  }
  bool is_of_nodes =
      c->source == RMQ_SOURCE_PROMETHEUS ||
      (c->source == RMQ_SOURCE_AUTO && c->metrics_urls.count > 0);
  if (c->exclude_exclusive && is_of_nodes)
    add_error(errors, "ExcludeExclusive",
              "the Prometheus plugin does not tell which queues are exclusive; "
              "it needs Source management, or no MetricsURL");
}

/* With MaxQueues 0 no queue is looked at. */
static void check_alerts(const struct rmq_role_monitor_config *c,
                         struct rmq_buf *errors) {
  for (size_t i = 0; i < c->alerts.count && c->max_queues == 0; i++) {
    const struct rmq_alert_config *alert = c->alerts.items[i];
    if (rmq_alert_config_needs_queues(alert))
      rmq_buf_appendf(
          errors,
          "option MaxQueues: with 0 no queue is looked at, so <Alert "
          "\"%s\"> would never be raised\n",
          rmq_alert_kind_to_str((enum rmq_alert_kind)alert->kind));
  }
}

/* An hour of which there are no three polls is never learned. */
static void check_baseline(const struct rmq_role_monitor_config *c,
                           struct rmq_buf *errors) {
  const struct rmq_baseline_options *b =
      c->baselines.count > 0 ? c->baselines.items[0] : NULL;
  if (b != NULL && b->hour_of_week &&
      c->interval.ns > rmq_s(RMQ_WEEK_INTERVAL_S).ns)
    add_error(errors, "Interval",
              "must be at most 900 seconds with HourOfWeek");
}

int rmq_role_monitor_check(const void *config, struct rmq_buf *errors) {
  const struct rmq_role_monitor_config *c = config;
  size_t before = errors->len;
  if (c->urls.count == 0)
    add_error(errors, "URL", "at least one is needed");
  for (size_t i = 0; i < c->urls.count; i++)
    check_url("URL", c->urls.items[i], errors);
  check_sources(c, errors);
  if (c->interval.ns > 0 && c->time_budget.ns > c->interval.ns)
    add_error(errors, "TimeBudget",
              "it is longer than Interval, in which a poll has to be over");
  if (c->password != NULL && c->password_file != NULL)
    add_error(errors, "PasswordFile",
              "Password is given too; only one of them is allowed");
  if ((c->client_cert == NULL) != (c->client_key == NULL))
    add_error(errors, c->client_cert == NULL ? "ClientKey" : "ClientCert",
              "ClientCert and ClientKey are allowed together only");
  rmq_filter_check("IncludeQueue", &c->include_queue, errors);
  rmq_filter_check("ExcludeQueue", &c->exclude_queue, errors);
  rmq_filter_check("IncludeVHost", &c->include_vhost, errors);
  rmq_filter_check("ExcludeVHost", &c->exclude_vhost, errors);
  check_health(c, errors);
  check_queues(c, errors);
  check_alerts(c, errors);
  check_baseline(c, errors);
  return errors->len == before ? 0 : -1;
}
