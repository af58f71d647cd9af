/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "plugins/warren_publish_page.h"

#include "common/base/series.h"
#include "common/host/host_execd.h"
#include "common/host/host_execd_format.h"

#include <stdlib.h>
#include <string.h>

/* Of which answers are counted one by one; the last stands for all others. */
#define ANSWERS(X)                                                             \
  X(200) X(202) X(400) X(403) X(404) X(405) X(413) X(502) X(503) X(504)

#define CODE(code) code,
#define CAUSE(code) #code,
static const int codes[] = {ANSWERS(CODE)};
static const char *const causes[] = {ANSWERS(CAUSE) "other", NULL};

enum {
  PAGE_CODES = sizeof(codes) / sizeof(codes[0]),
  PAGE_INTERVAL_S = 10 /* what scrapes are expected to be apart */
};

static const char plugin[] = "rabbitmq_publish";

struct http_report {
  double connections, waiting;
  int64_t accepted, at_bound, requests, refused, expired, late;
  int64_t publish, publish_failed;
  int64_t answers[PAGE_CODES + 1];
};

#define ROW(ty, ti, kin, member, un, text)                                     \
  {                                                                            \
    .type = ty, .type_instance = ti, .kind = kin, .scope = RMQ_SERIES_BLOCK,   \
    .offset = offsetof(struct http_report, member), .max = INFINITY,           \
    .unit = un, .help = text                                                   \
  }

static const struct rmq_series http_table[] = {
    ROW("current_connections", "http", RMQ_GAUGE, connections, "connections",
        "Clients of --listen that are connected."),
    ROW("queue_length", "http_waiting", RMQ_GAUGE, waiting, "requests",
        "Requests that wait for their answer."),
    ROW("total_connections", "http", RMQ_DERIVE, accepted, "connections",
        "Clients of --listen that came."),
    ROW("total_requests", "http", RMQ_DERIVE, requests, "requests",
        "Requests that were whole and allowed, of any path."),
    ROW("total_requests", "http_refused", RMQ_DERIVE, refused, "requests",
        "Requests refused before their path was looked at."),
    ROW("total_requests", "http_publish", RMQ_DERIVE, publish, "requests",
        "Requests below /publish that were answered, refused ones included."),
    ROW("total_requests", "http_publish_failed", RMQ_DERIVE, publish_failed,
        "requests", "Of them, answered 502, 503 or 504."),
    ROW("total_events", "http_connections_bound", RMQ_DERIVE, at_bound,
        "events", "Times that --listen-connections was reached."),
    ROW("total_events", "http_expired", RMQ_DERIVE, expired, "events",
        "Requests answered 504 because their time was over."),
    ROW("total_events", "http_late", RMQ_DERIVE, late, "events",
        "Answers that nobody waited for any more."),
    {.type = "http_response_codes",
     .type_instance = "",
     .causes = causes,
     .kind = RMQ_DERIVE,
     .scope = RMQ_SERIES_BLOCK,
     .offset = offsetof(struct http_report, answers),
     .max = INFINITY,
     .unit = "answers",
     .help = "Answers given, by their status; other = all that are not "
             "listed."},
    RMQ_SERIES_END};

struct warren_publish_page {
  struct rmq_execd execd; /* without a descriptor */
  struct rmq_execd_format format;
  struct rmq_series_object object;
  struct rmq_series *table; /* the role's rows, then those of the server */
};

static size_t rows_of(const struct rmq_series *table) {
  size_t count = 0;
  while (table[count].type != NULL)
    count++;
  return count;
}

static struct rmq_series *both_tables(void) {
  size_t role = rows_of(rmq_publish_series_table), http = rows_of(http_table);
  struct rmq_series *table = calloc(role + http + 1, sizeof(*table));
  if (table == NULL)
    return NULL;
  memcpy(table, rmq_publish_series_table, role * sizeof(*table));
  memcpy(table + role, http_table, http * sizeof(*table));
  return table;
}

struct warren_publish_page *warren_publish_page_new(const char *block) {
  struct warren_publish_page *p = calloc(1, sizeof(*p));
  if (p == NULL)
    return NULL;
  rmq_execd_init(&p->execd, -1, -1, RMQ_LOG_TEXT);
  p->table = both_tables();
  if (p->table != NULL &&
      rmq_series_object_init(RMQ_SERIES_BLOCK, plugin, block, NULL, NULL, NULL,
                             &p->object) == 0 &&
      rmq_execd_format_init(&p->format, &p->execd, RMQ_EXECD_PROMETHEUS, plugin,
                            p->table, "") == 0)
    return p;
  warren_publish_page_free(p);
  return NULL;
}

void warren_publish_page_free(struct warren_publish_page *p) {
  if (p == NULL)
    return;
  rmq_execd_fini(&p->execd);
  rmq_execd_format_fini(&p->format);
  free(p->table);
  free(p);
}

int warren_publish_page_sample(struct warren_publish_page *p,
                               const struct rmq_sample *s) {
  return p->execd.host.sample(p->execd.host.ctx, s);
}

static void fill(struct http_report *r, const struct rmq_http_listen_stats *s) {
  uint64_t all = 0, listed = 0;
  *r = (struct http_report){.connections = (double)s->connections,
                            .waiting = (double)s->waiting,
                            .accepted = (int64_t)s->accepted,
                            .at_bound = (int64_t)s->at_bound,
                            .requests = (int64_t)s->requests,
                            .refused = (int64_t)s->refused,
                            .expired = (int64_t)s->expired,
                            .late = (int64_t)s->late,
                            .publish = (int64_t)s->counted,
                            .publish_failed = (int64_t)s->counted_failed};
  for (size_t i = 0; i < RMQ_HTTP_STATUS_END; i++)
    all += s->answers[i];
  for (size_t i = 0; i < PAGE_CODES; i++) {
    r->answers[i] = (int64_t)s->answers[codes[i]];
    listed += s->answers[codes[i]];
  }
  r->answers[PAGE_CODES] = (int64_t)(all - listed);
}

const struct rmq_buf *
warren_publish_page_make(struct warren_publish_page *p,
                         struct rmq_role_publish *role,
                         const struct rmq_http_listen_stats *server) {
  const struct rmq_host *host = &p->execd.host;
  struct http_report values;
  const struct rmq_series_report to = {.host = host,
                                       .object = &p->object,
                                       .time = host->wall(host->ctx),
                                       .interval = rmq_s(PAGE_INTERVAL_S)};
  rmq_buf_clear(&p->execd.bytes);
  rmq_role_publish_report(role, to.interval);
  fill(&values, server);
  rmq_series_emit_all(&to, http_table, RMQ_SERIES_BLOCK, &values);
  return rmq_execd_take(&p->execd);
}

const char *warren_publish_page_content_type(void) {
  return RMQ_EMIT_PROMETHEUS_TYPE;
}
