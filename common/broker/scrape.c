/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/scrape.h"

#include "common/broker/longest.h"
#include "common/broker/management.h"
#include "common/broker/vhosts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  SCRAPE_URL_SIZE = 2048,
  SCRAPE_LONGEST_OF = 200000 /* queues among which the longest are found */
};

struct rmq_scrape_target {
  char url[SCRAPE_URL_SIZE];           /* of the request that runs */
  char node[RMQ_METRICS_NAME_MAX + 1]; /* that answered there last; "" = none */
  unsigned silent;                     /* polls in a row */
  bool has_answered;                   /* in this one */
  struct rmq_metrics metrics;
};

void rmq_scrape_init(struct rmq_scrape *x) {
  x->targets = NULL;
  x->requests = NULL;
  x->has_many = false;
}

void rmq_scrape_fini(struct rmq_scrape *x) {
  free(x->targets);
  free(x->requests);
  rmq_scrape_init(x);
}

/* One run. */
struct run {
  struct rmq_scrape *scrape;
  struct rmq_snapshot *snapshot;
  struct rmq_mono deadline;
  struct rmq_scrape_result result;
  /* The answer that was not what was asked for: the first one's, or rather the
   * first about the user. */
  int refused_status; /* HTTP's; 0 = none */
  struct rmq_error refusal;
  char nodes_url[SCRAPE_URL_SIZE];
};

static int allocate(struct rmq_scrape *x) {
  size_t count = x->urls->count;
  if (x->targets != NULL)
    return 0;
  struct rmq_scrape_target *targets = calloc(count, sizeof(*targets));
  struct rmq_http_request *requests = calloc(count + 1, sizeof(*requests));
  if (targets == NULL || requests == NULL) {
    free(targets);
    free(requests);
    return -1;
  }
  x->targets = targets;
  x->requests = requests;
  return 0;
}

/* The share of what is left until the deadline, at most the timeout. */
static struct rmq_dur take_time(const struct run *r, int64_t share) {
  const struct rmq_scrape *x = r->scrape;
  struct rmq_dur left = rmq_mono_since(r->deadline, x->mono(x->clock_ctx));
  left.ns /= share;
  return left.ns > x->timeout.ns ? x->timeout : left;
}

static bool feed(void *ctx, const char *bytes, size_t len) {
  struct rmq_metrics *m = ctx;
  rmq_exposition_feed(&m->reader, bytes, len);
  return true;
}

static bool feed_buf(void *ctx, const char *bytes, size_t len) {
  return rmq_buf_append(ctx, bytes, len) == 0;
}

/* Where the URL has no path it is the plugin's usual one. */
static int set_url(struct rmq_scrape_target *t, const char *base,
                   const char *rest) {
  const char *host = strstr(base, "://");
  bool has_path = host != NULL && strchr(host + 3, '/') != NULL;
  return (size_t)snprintf(t->url, sizeof(t->url), "%s%s%s", base,
                          has_path ? "" : "/metrics", rest) < sizeof(t->url)
             ? 0
             : -1;
}

static struct rmq_http_request request(struct rmq_scrape_target *t) {
  return (struct rmq_http_request){.url = t->url,
                                   .max = RMQ_SCRAPE_BODY_MAX,
                                   .take = feed,
                                   .ctx = &t->metrics};
}

/* What a request that did not bring what was asked for means to the reader of
 * the log. */
static void explain(const struct rmq_http_request *r, const char *not_found,
                    struct rmq_error *err) {
  int len = (int)strcspn(r->url, "?"); /* without fields and families */
  if (r->outcome != RMQ_HTTP_ANSWERED) {
    rmq_error_set(err, "%.*s: %s", len, r->url, r->error.text);
    return;
  }
  const char *remedy = "";
  if (r->status == 401 || r->status == 403)
    remedy = "; check User and Password, or BearerTokenFile";
  if (r->status == 404)
    remedy = not_found;
  rmq_error_set(err, "%.*s was answered with HTTP status %d%s", len, r->url,
                r->status, remedy);
}

/* ---- the nodes ---- */

static bool is_about_user(int status) { return status == 401 || status == 403; }

static void read_list(struct run *r, const struct rmq_http_request *q) {
  struct rmq_buf *body = r->scrape->body;
  struct rmq_error cause = {.text = ""};
  if (q->outcome != RMQ_HTTP_ANSWERED || q->status != 200)
    explain(q, "", &r->result.list_error);
  else if (rmq_management_nodes(rmq_buf_bytes(body), body->len, r->snapshot,
                                &cause) != 0)
    rmq_error_set(&r->result.list_error, "%s: %s", q->url, cause.text);
  r->result.has_list = r->snapshot->has_nodes;
  if (r->result.has_list)
    r->snapshot->response_time = q->seconds;
  r->result.is_refused |=
      q->outcome == RMQ_HTTP_ANSWERED && is_about_user(q->status);
}

static void explain_node(struct run *r, const struct rmq_http_request *q) {
  static const char not_found[] =
      "; is the plugin rabbitmq_prometheus enabled?";
  explain(q, not_found, &r->result.error);
  if (q->outcome != RMQ_HTTP_ANSWERED)
    return;
  r->result.is_refused |= is_about_user(q->status);
  if (r->refused_status != 0 &&
      (is_about_user(r->refused_status) || !is_about_user(q->status)))
    return;
  r->refused_status = q->status;
  rmq_error_clear(&r->refusal);
  explain(q, not_found, &r->refusal);
}

static void read_node(struct run *r, struct rmq_scrape_target *t,
                      const struct rmq_http_request *q) {
  struct rmq_error cause = {.text = ""};
  if (q->outcome != RMQ_HTTP_ANSWERED || q->status != 200) {
    explain_node(r, q);
  } else if (rmq_metrics_end_node(&t->metrics, &cause) != 0) {
    rmq_error_set(&r->result.error, "%s: %s", q->url, cause.text);
  } else if (!rmq_metrics_put_node(&t->metrics.node, r->snapshot)) {
    /* Without a list another node may be behind the URL, and missing. */
    rmq_error_set(r->result.has_list ? &r->result.twice : &r->result.error,
                  "%s: %s answers at another MetricsURL, too", q->url,
                  t->metrics.node.name);
  } else {
    t->has_answered = true;
  }
  if (!t->has_answered)
    return;
  memcpy(t->node, t->metrics.node.name, sizeof(t->node));
  t->silent = 0;
  if (r->result.answered++ == 0)
    r->result.url = r->scrape->urls->items[t - r->scrape->targets];
  r->snapshot->metrics_time = fmax(r->snapshot->metrics_time, q->seconds);
}

/* Seconds that only those that did not answer were waited for. */
static double find_wasted(const struct rmq_scrape *x, size_t count,
                          struct rmq_mono begun) {
  bool is_whole = true;
  double longest = 0;
  for (size_t i = 0; i < count; i++) {
    if (x->requests[i].outcome == RMQ_HTTP_ANSWERED)
      longest = fmax(longest, x->requests[i].seconds);
    else
      is_whole = false;
  }
  double all = rmq_dur_seconds(rmq_mono_since(x->mono(x->clock_ctx), begun));
  return is_whole ? 0 : fmax(0, all - longest);
}

/* All of them at once; the list of nodes is one more request. */
static void ask_nodes(struct run *r, const char *management) {
  struct rmq_scrape *x = r->scrape;
  size_t count = x->urls->count;
  for (size_t i = 0; i < count; i++) {
    struct rmq_scrape_target *t = &x->targets[i];
    t->has_answered = false;
    rmq_metrics_begin_node(&t->metrics);
    set_url(t, x->urls->items[i], "");
    x->requests[i] = request(t);
  }
  if (management != NULL) {
    rmq_buf_clear(x->body);
    snprintf(r->nodes_url, sizeof(r->nodes_url), "%s%s", management,
             RMQ_MANAGEMENT_NODES);
    x->requests[count] = (struct rmq_http_request){.url = r->nodes_url,
                                                   .max = x->body->max,
                                                   .take = feed_buf,
                                                   .ctx = x->body};
  }
  size_t all = count + (management != NULL);
  struct rmq_mono begun = x->mono(x->clock_ctx);
  /* One that hangs must leave time for the others' queues. */
  if (x->http.get_all(x->http.ctx, x->requests, all, take_time(r, 2)) ==
      RMQ_HTTP_CANCELLED) {
    r->result.is_cancelled = true;
    return;
  }
  r->result.wasted = find_wasted(x, all, begun);
  r->snapshot->taken = x->mono(x->clock_ctx);
  r->snapshot->time = x->wall(x->clock_ctx);
  if (management != NULL)
    read_list(r, &x->requests[count]);
  for (size_t i = 0; i < all; i++)
    r->result.bytes += x->requests[i].bytes;
  for (size_t i = 0; i < count; i++)
    read_node(r, &x->targets[i], &x->requests[i]);
  if (r->result.answered > 0 || r->refused_status == 0)
    return;
  r->result.status = r->refused_status;
  r->result.error = r->refusal;
}

static struct rmq_snapshot_node *find(const struct rmq_snapshot *s,
                                      const char *name) {
  for (size_t i = 0; i < s->nodes_count; i++)
    if (strcmp(s->nodes[i].name, name) == 0)
      return &s->nodes[i];
  return NULL;
}

/* Of the node there is its name; without a list it is not known whether it
 * runs. One that another URL answered for is not silent. */
static void add_silent(struct run *r, const struct rmq_scrape_target *t) {
  if (t->node[0] == '\0')
    return;
  struct rmq_snapshot_node *n = find(r->snapshot, t->node);
  if (n == NULL && !r->result.has_list)
    n = rmq_snapshot_add_node(r->snapshot, t->node);
  if (n != NULL && !n->has_counters)
    n->scraped = 0;
}

/* Nodes that have no counters and are not known to be down. A list of nodes
 * says which are; without one, time has to. */
static void count_silent(struct run *r) {
  const struct rmq_scrape *x = r->scrape;
  struct rmq_snapshot *s = r->snapshot;
  const struct rmq_error *why =
      rmq_error_is_set(&r->result.error) ? &r->result.error : &r->result.twice;
  for (size_t i = 0; r->result.has_list && i < s->nodes_count; i++)
    if (s->nodes[i].running > 0 && !s->nodes[i].has_counters) {
      s->silent++;
      rmq_error_set(
          &r->result.lacks, "%s runs and does not answer at any MetricsURL%s%s",
          s->nodes[i].name, why->text[0] != '\0' ? "; " : "", why->text);
    }
  for (size_t i = 0; i < x->urls->count; i++) {
    struct rmq_scrape_target *t = &x->targets[i];
    if (t->has_answered)
      continue;
    t->silent++;
    if (!r->result.has_list)
      s->silent += t->silent <= RMQ_SCRAPE_SILENT_MAX;
    add_silent(r, t);
  }
}

static bool knows_all(const struct rmq_scrape *x) {
  for (size_t i = 0; i < x->urls->count; i++)
    if (x->targets[i].node[0] == '\0')
      return false;
  return true;
}

/* ---- their queues ---- */

static double count_queues(const struct rmq_scrape *x) {
  double queues = 0;
  for (size_t i = 0; i < x->urls->count; i++)
    if (x->targets[i].has_answered && x->targets[i].metrics.node.queues > 0)
      queues += x->targets[i].metrics.node.queues;
  return queues;
}

/* Few of them are asked for more than many, with some room between the two. */
static enum rmq_detail_level choose(struct run *r) {
  struct rmq_scrape *x = r->scrape;
  double queues = count_queues(x);
  x->has_many = queues > (x->has_many ? 0.8 : 1) * RMQ_METRICS_FEW;
  r->snapshot->queues_total = queues;
  struct rmq_mono now = x->mono(x->clock_ctx);
  return rmq_detail_choose(
      x->detail, x->has_many ? RMQ_DETAIL_LENGTHS : RMQ_DETAIL_ALL, queues,
      rmq_dur_seconds(rmq_mono_since(now, x->start)) - r->result.wasted,
      rmq_dur_seconds(rmq_mono_since(r->deadline, now)));
}

static const char *families(enum rmq_detail_level level) {
  switch (level) {
  case RMQ_DETAIL_ALL:
    return RMQ_METRICS_QUEUES_FEW;
  case RMQ_DETAIL_LENGTHS:
    return RMQ_METRICS_QUEUES_MANY;
  case RMQ_DETAIL_TOP:
  case RMQ_DETAIL_TOTALS:
    return RMQ_METRICS_QUEUES_LENGTHS;
  }
  return RMQ_METRICS_QUEUES_LENGTHS;
}

static void read_queues(struct run *r, struct rmq_scrape_target *t,
                        const struct rmq_http_request *q) {
  r->result.bytes += q->bytes;
  if (q->outcome != RMQ_HTTP_ANSWERED || q->status != 200) {
    explain(q, "; RabbitMQ before 3.9.8 does not have it",
            &r->result.queues_error);
    rmq_error_set(&r->result.lacks, "%s", r->result.queues_error.text);
    r->snapshot->silent_of_queues++;
    return;
  }
  rmq_metrics_end_queues(&t->metrics);
  r->result.with_queues++;
  if (t->metrics.reader.malformed > 0)
    rmq_error_set(&r->result.queues_error,
                  "%s: %llu lines cannot be read, since RabbitMQ before 3.11 "
                  "does not escape names",
                  t->url, (unsigned long long)t->metrics.reader.malformed);
}

static void ask_queues(struct run *r) {
  struct rmq_scrape *x = r->scrape;
  struct rmq_metrics_queues queues;
  size_t count = 0;
  rmq_metrics_queues_init(&queues, r->snapshot);
  queues.want = x->want;
  queues.want_ctx = x->want_ctx;
  for (size_t i = 0; i < x->urls->count; i++) {
    struct rmq_scrape_target *t = &x->targets[i];
    if (!t->has_answered)
      continue;
    set_url(t, x->urls->items[i], families(r->snapshot->detail));
    rmq_metrics_begin_queues(&t->metrics, &queues);
    x->requests[count++] = request(t);
  }
  struct rmq_dur left = take_time(r, 1);
  if (left.ns <= 0) {
    rmq_error_set(&r->result.queues_error, "no time left in this interval");
    r->snapshot->silent_of_queues += count;
  } else if (x->http.get_all(x->http.ctx, x->requests, count, left) ==
             RMQ_HTTP_CANCELLED) {
    r->result.is_cancelled = true;
  } else {
    for (size_t i = 0, at = 0; i < x->urls->count; i++)
      if (x->targets[i].has_answered)
        read_queues(r, &x->targets[i], &x->requests[at++]);
  }
  rmq_metrics_queues_end(&queues);
  if (queues.is_out_of_memory)
    rmq_error_set(&r->result.queues_error, "no memory for the list of queues");
  r->snapshot->silent_of_queues += queues.is_out_of_memory;
  rmq_metrics_queues_fini(&queues);
}

/* All of them, to know which are the longest. */
static void ask_longest(struct run *r) {
  struct rmq_snapshot *s = r->snapshot;
  size_t most = s->queues_max;
  s->queues_max = SCRAPE_LONGEST_OF;
  ask_queues(r);
  s->queues_max = most;
  s->queues_left_out = 0;
  rmq_longest_keep(r->scrape->top_queues, s);
}

static void ask_at_level(struct run *r) {
  struct rmq_scrape *x = r->scrape;
  struct rmq_mono begun = x->mono(x->clock_ctx);
  r->snapshot->detail = choose(r);
  if (r->snapshot->detail == RMQ_DETAIL_TOP && x->top_queues == 0)
    r->snapshot->detail = RMQ_DETAIL_TOTALS; /* none would be kept */
  if (r->snapshot->detail == RMQ_DETAIL_TOTALS)
    return;
  if (r->snapshot->detail == RMQ_DETAIL_TOP)
    ask_longest(r);
  else
    ask_queues(r);
  r->result.queue_seconds =
      rmq_dur_seconds(rmq_mono_since(x->mono(x->clock_ctx), begun));
}

void rmq_scrape_run(struct rmq_scrape *x, const char *management,
                    struct rmq_mono deadline, struct rmq_snapshot *s,
                    struct rmq_scrape_result *ret_result) {
  struct run r = {
      .scrape = x,
      .snapshot = s,
      .deadline = deadline,
      .result = {.url = x->urls->items[0], .queue_seconds = (double)NAN}};
  if (allocate(x) != 0) {
    rmq_error_set(&r.result.error, "out of memory");
    *ret_result = r.result;
    return;
  }
  s->is_per_node = true;
  ask_nodes(&r, management);
  if (!r.result.is_cancelled) {
    count_silent(&r);
    s->has_nodes =
        r.result.has_list ||
        (rmq_listed_compare(x->listed, s, &r.result.lacks) && knows_all(x));
  }
  if (s->silent > 0)
    s->ready = s->unacked = s->connections = s->unconfirmed = (double)NAN;
  if (s->queues_max == 0)
    s->detail = RMQ_DETAIL_TOTALS;
  else if (!r.result.is_cancelled && r.result.answered > 0)
    ask_at_level(&r);
  s->has_all_queues =
      s->queues_max == 0 ||
      (s->silent == 0 && !rmq_error_is_set(&r.result.queues_error));
  bool is_whole = s->silent == 0 && s->silent_of_queues == 0 &&
                  !rmq_error_is_set(&r.result.queues_error);
  if (!is_whole) {
    rmq_vhosts_forget(s);
    s->stream_lag = (double)NAN;
  }
  s->are_stream_consumers_known = is_whole && s->detail >= RMQ_DETAIL_LENGTHS &&
                                  rmq_metrics_tells_streams(s->version);
  if (r.result.answered == 0)
    rmq_error_set(&r.result.lacks, "%s", r.result.error.text);
  *ret_result = r.result;
}
