/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/poll.h"

#include "common/broker/management.h"
#include "common/broker/vhosts.h"

#include <stdio.h>
#include <string.h>

enum { POLL_URL_SIZE = 2048, POLL_KEEP_BYTES = 256 * 1024 };

const char *rmq_poll_outcome_to_str(enum rmq_poll_outcome o) {
  switch (o) {
  case RMQ_POLL_ANSWERED:
    return "answered";
  case RMQ_POLL_UNREACHABLE:
    return "unreachable";
  case RMQ_POLL_REFUSED:
    return "refused";
  case RMQ_POLL_CANCELLED:
    return "cancelled";
  }
  return "unknown";
}

const char *rmq_source_to_str(enum rmq_source s) {
  switch (s) {
  case RMQ_SOURCE_AUTO:
    return "auto";
  case RMQ_SOURCE_MANAGEMENT:
    return "management";
  case RMQ_SOURCE_PROMETHEUS:
    return "prometheus";
  }
  return "unknown";
}

void rmq_poll_init(struct rmq_poll *p) {
  p->current = 0;
  p->taken = RMQ_SOURCE_AUTO;
  p->version[0] = '\0';
  p->probe_at.ns = 0;
  p->streams_at.ns = 0;
  p->lacking = 0;
  rmq_buf_init(&p->body, RMQ_POLL_BODY_MAX);
  rmq_scrape_init(&p->scrape);
}

void rmq_poll_fini(struct rmq_poll *p) {
  rmq_scrape_fini(&p->scrape);
  rmq_buf_fini(&p->body);
}

/* One poll while it runs. */
struct run {
  struct rmq_poll *poll;
  struct rmq_snapshot *snapshot;
  struct rmq_mono deadline;
  const char *base; /* URL that is asked */
  bool is_cancelled;
  double bytes;
};

/* The status, or 0 with err when there was none. */
static int ask(struct run *r, const char *path, struct rmq_error *err) {
  struct rmq_poll *p = r->poll;
  char url[POLL_URL_SIZE];
  int status = 0;
  struct rmq_dur left = rmq_mono_since(r->deadline, p->mono(p->clock_ctx));
  if (left.ns <= 0) {
    rmq_error_set(err, "%s: no time left in this interval", r->base);
    return 0;
  }
  if (left.ns > p->timeout.ns)
    left = p->timeout;
  if ((size_t)snprintf(url, sizeof(url), "%s%s", r->base, path) >=
      sizeof(url)) {
    rmq_error_set(err, "the URL is too long");
    return 0;
  }
  struct rmq_error cause = {.text = ""};
  enum rmq_http_outcome outcome =
      p->http.get(p->http.ctx, url, left, &p->body, &status, &cause);
  r->bytes += (double)p->body.len;
  r->is_cancelled = outcome == RMQ_HTTP_CANCELLED;
  if (outcome == RMQ_HTTP_ANSWERED)
    return status;
  rmq_error_set(err, "%s: %s", r->base, cause.text);
  return 0;
}

/* What a status other than 200 means to the reader of the log. */
static void explain(const struct run *r, const char *what, int status,
                    struct rmq_error *err) {
  char reason[128];
  rmq_management_reason(rmq_buf_bytes(&r->poll->body), r->poll->body.len,
                        reason, sizeof(reason));
  const char *remedy = "";
  if (status == 401 || status == 403)
    remedy = "; check User and Password, and that the user has the tag "
             "\"monitoring\"";
  if (status == 404)
    remedy = "; is this the URL of the management plugin?";
  rmq_error_set(err, "%s: %s was answered with HTTP status %d%s%s%s%s", r->base,
                what, status, reason[0] == '\0' ? "" : " (", reason,
                reason[0] == '\0' ? "" : ")", remedy);
}

static enum rmq_poll_outcome ask_overview(struct run *r,
                                          struct rmq_error *err) {
  struct rmq_poll *p = r->poll;
  struct rmq_mono before = p->mono(p->clock_ctx);
  int status = ask(r, RMQ_MANAGEMENT_OVERVIEW, err);
  if (r->is_cancelled)
    return RMQ_POLL_CANCELLED;
  if (status == 0)
    return RMQ_POLL_UNREACHABLE;
  if (status != 200) {
    explain(r, "the overview", status, err);
    return status == 401 || status == 403 ? RMQ_POLL_REFUSED
                                          : RMQ_POLL_UNREACHABLE;
  }
  struct rmq_error cause = {.text = ""};
  if (rmq_management_overview(rmq_buf_bytes(&p->body), p->body.len, r->snapshot,
                              &cause) != 0) {
    rmq_error_set(err, "%s: %s", r->base, cause.text);
    return RMQ_POLL_UNREACHABLE;
  }
  r->snapshot->taken = p->mono(p->clock_ctx);
  r->snapshot->time = p->wall(p->clock_ctx);
  r->snapshot->response_time =
      rmq_dur_seconds(rmq_mono_since(r->snapshot->taken, before));
  return RMQ_POLL_ANSWERED;
}

static bool want_queue(void *ctx, const char *vhost, const char *name) {
  const struct rmq_poll *p = ctx;
  return rmq_filter_wants(p->vhosts, vhost) &&
         rmq_filter_wants(p->queues, name);
}

static bool want_vhost(void *ctx, const char *name) {
  const struct rmq_poll *p = ctx;
  return rmq_filter_wants(p->vhosts, name);
}

/* False when there is nothing more to ask; then err says what went wrong. */
static bool ask_page(struct run *r, size_t page, struct rmq_error *err) {
  struct rmq_poll *p = r->poll;
  char path[POLL_URL_SIZE / 2];
  size_t pages = 0;
  snprintf(path, sizeof(path), RMQ_MANAGEMENT_QUEUES "%s", page,
           (size_t)RMQ_POLL_PAGE,
           r->snapshot->is_without_statistics ? RMQ_MANAGEMENT_TOTALS : "");
  int status = ask(r, path, err);
  if (status == 400 && page > 1) { /* queues went away meanwhile */
    r->snapshot->has_all_queues = true;
    return false;
  }
  if (status != 200) {
    if (status != 0)
      explain(r, "the list of queues", status, err);
    return false;
  }
  struct rmq_error cause = {.text = ""};
  if (rmq_management_queues(rmq_buf_bytes(&p->body), p->body.len, want_queue, p,
                            r->snapshot, &pages, &cause) != 0) {
    rmq_error_set(err, "%s: %s", r->base, cause.text);
    return false;
  }
  bool is_last = page >= pages || r->snapshot->queues_left_out > 0;
  r->snapshot->has_all_queues = is_last;
  return !is_last;
}

static void ask_queues(struct run *r, struct rmq_error *err) {
  if (r->snapshot->queues_max == 0) {
    r->snapshot->has_all_queues = true;
    return;
  }
  size_t page = 1;
  while (ask_page(r, page, err))
    page++;
  struct rmq_snapshot *s = r->snapshot;
  if (s->is_without_statistics && s->has_all_queues &&
      s->queues_left_out == 0) {
    s->ready = s->listed_ready;
    s->unacked = s->listed_unacked;
  }
}

static void ask_nodes(struct run *r, struct rmq_error *err) {
  struct rmq_poll *p = r->poll;
  int status = ask(r, RMQ_MANAGEMENT_NODES, err);
  struct rmq_error cause = {.text = ""};
  if (status == 0)
    return;
  if (status != 200)
    explain(r, "the list of nodes", status, err);
  else if (rmq_management_nodes(rmq_buf_bytes(&p->body), p->body.len,
                                r->snapshot, &cause) != 0)
    rmq_error_set(err, "%s: %s", r->base, cause.text);
}

/* A broker without statistics has none of them either. */
static void ask_vhosts(struct run *r, struct rmq_error *err) {
  struct rmq_poll *p = r->poll;
  if (r->snapshot->vhosts_max == 0 || r->snapshot->is_without_statistics)
    return;
  int status = ask(r, RMQ_MANAGEMENT_VHOSTS, err);
  struct rmq_error cause = {.text = ""};
  if (status == 0)
    return;
  if (status != 200)
    explain(r, "the list of vhosts", status, err);
  else if (rmq_management_vhosts(rmq_buf_bytes(&p->body), p->body.len,
                                 r->snapshot, &cause) != 0)
    rmq_error_set(err, "%s: %s", r->base, cause.text);
}

static bool has_stream(const struct rmq_snapshot *s) {
  for (size_t i = 0; i < s->queues_count; i++)
    if (s->queues[i].is_stream)
      return true;
  return false;
}

/* Where there are streams; the plugin that answers may be missing, which is no
 * fault, and may come. */
static void ask_streams(struct run *r, struct rmq_error *err) {
  struct rmq_poll *p = r->poll;
  if (!has_stream(r->snapshot) || r->snapshot->is_without_statistics ||
      p->mono(p->clock_ctx).ns < p->streams_at.ns)
    return;
  int status = ask(r, RMQ_MANAGEMENT_STREAMS, err);
  struct rmq_error cause = {.text = ""};
  if (status == 0)
    return;
  rmq_snapshot_sort(r->snapshot);
  if (status == 404)
    p->streams_at =
        rmq_mono_add(p->mono(p->clock_ctx), rmq_s(RMQ_POLL_PROBE_S));
  else if (status != 200)
    explain(r, "the list of stream consumers", status, err);
  else if (rmq_management_streams(rmq_buf_bytes(&p->body), p->body.len,
                                  r->snapshot, &cause) != 0)
    rmq_error_set(err, "%s: %s", r->base, cause.text);
}

/* One URL whose overview answers, or why there is none. */
static void find_url(struct run *r, struct rmq_poll_result *result) {
  struct rmq_poll *p = r->poll;
  size_t first = p->current;
  result->outcome = RMQ_POLL_UNREACHABLE;
  for (size_t i = 0; i < p->urls->count; i++) {
    size_t url = (first + i) % p->urls->count;
    r->base = p->urls->items[url];
    enum rmq_poll_outcome outcome = ask_overview(r, &result->error);
    if (outcome == RMQ_POLL_ANSWERED || outcome == RMQ_POLL_CANCELLED) {
      result->outcome = outcome;
      p->current = url;
      result->url = r->base;
      return;
    }
    if (outcome == RMQ_POLL_REFUSED)
      result->outcome = RMQ_POLL_REFUSED;
  }
}

/* ---- sources ---- */

static void run_management(struct run *r, struct rmq_poll_result *result) {
  rmq_snapshot_clear(r->snapshot);
  result->source = RMQ_SOURCE_MANAGEMENT;
  find_url(r, result);
  if (r->snapshot->is_without_statistics)
    rmq_error_set(&result->statistics_error,
                  "they are disabled on the broker; a MetricsURL for each node "
                  "and Source auto bring them");
  if (result->outcome == RMQ_POLL_ANSWERED)
    ask_queues(r, &result->queues_error);
  if (result->outcome == RMQ_POLL_ANSWERED && !r->is_cancelled)
    ask_vhosts(r, &result->vhosts_error);
  if (result->outcome == RMQ_POLL_ANSWERED && !r->is_cancelled)
    ask_streams(r, &result->streams_error);
  if (result->outcome == RMQ_POLL_ANSWERED && !r->is_cancelled)
    ask_nodes(r, &result->nodes_error);
  if (r->is_cancelled)
    result->outcome = RMQ_POLL_CANCELLED;
}

static struct rmq_scrape_result scrape(struct run *r, const char *management) {
  struct rmq_poll *p = r->poll;
  struct rmq_scrape_result got;
  p->scrape.urls = p->metrics_urls;
  p->scrape.timeout = p->timeout;
  p->scrape.http = p->http;
  p->scrape.clock_ctx = p->clock_ctx;
  p->scrape.mono = p->mono;
  p->scrape.wall = p->wall;
  p->scrape.want = want_queue;
  p->scrape.want_ctx = p;
  p->scrape.body = &p->body;
  rmq_scrape_run(&p->scrape, management, r->deadline, r->snapshot, &got);
  r->bytes += got.bytes;
  return got;
}

/* The nodes' answers are the poll's result. */
static void use(const struct rmq_scrape_result *got,
                struct rmq_poll_result *result) {
  result->source = RMQ_SOURCE_PROMETHEUS;
  result->url = got->url;
  result->nodes_error = got->list_error;
  result->queues_error = got->queues_error;
  result->metrics_error = got->error;
  result->outcome = RMQ_POLL_ANSWERED;
  if (got->is_cancelled)
    result->outcome = RMQ_POLL_CANCELLED;
  else if (got->answered == 0)
    result->outcome = got->is_refused ? RMQ_POLL_REFUSED : RMQ_POLL_UNREACHABLE;
  if (got->answered == 0)
    result->error = got->error;
}

/* The other list of URLs answers first from the next poll on. */
static void take(struct rmq_poll *p, enum rmq_source source, const char *why,
                 struct rmq_poll_result *result) {
  result->is_switched = p->taken != source;
  rmq_error_set(&result->reason, "%s", why);
  p->taken = source;
  p->lacking = 0;
  p->probe_at = rmq_mono_add(p->mono(p->clock_ctx), rmq_s(RMQ_POLL_PROBE_S));
}

/* True when the nodes' answers are good enough. */
static bool try_prometheus(struct run *r, struct rmq_poll_result *result) {
  struct rmq_poll *p = r->poll;
  bool was_taken = p->taken == RMQ_SOURCE_PROMETHEUS;
  struct rmq_scrape_result got = scrape(r, p->urls->items[p->current]);
  bool is_enough = !rmq_error_is_set(&got.lacks);
  if (!got.is_cancelled && !got.has_list) /* perhaps another one knows */
    p->current = (p->current + 1) % p->urls->count;
  /* What was good before may come back in a moment. */
  bool is_patient =
      was_taken && got.answered > 0 && ++p->lacking < RMQ_POLL_PATIENCE;
  if (got.is_cancelled || is_enough || is_patient) {
    use(&got, result);
    if (is_enough && !got.is_cancelled && (was_taken || got.has_list))
      take(p, RMQ_SOURCE_PROMETHEUS,
           "every running node answers at a MetricsURL", result);
    return true;
  }
  take(p, RMQ_SOURCE_MANAGEMENT, got.lacks.text, result);
  return false;
}

static bool is_time_to_try(struct rmq_poll *p) {
  return p->taken != RMQ_SOURCE_MANAGEMENT ||
         p->mono(p->clock_ctx).ns >= p->probe_at.ns;
}

static void run_auto(struct run *r, struct rmq_poll_result *result) {
  struct rmq_poll *p = r->poll;
  bool was_taken = p->taken == RMQ_SOURCE_MANAGEMENT;
  bool has_choice = p->metrics_urls != NULL && p->metrics_urls->count > 0;
  if (has_choice && is_time_to_try(p) && try_prometheus(r, result))
    return;
  run_management(r, result);
  /* An upgrade, or no answer at all: the next poll finds out anew. */
  bool is_upgraded = result->outcome == RMQ_POLL_ANSWERED && was_taken &&
                     strcmp(p->version, r->snapshot->version) != 0;
  if (is_upgraded || result->outcome == RMQ_POLL_UNREACHABLE)
    p->probe_at = p->mono(p->clock_ctx);
  if (result->outcome == RMQ_POLL_ANSWERED)
    memcpy(p->version, r->snapshot->version, sizeof(p->version));
}

void rmq_poll_run(struct rmq_poll *p, struct rmq_mono deadline,
                  struct rmq_snapshot *s, struct rmq_poll_result *ret_result) {
  struct rmq_poll_result result = {.url = p->urls->items[0]};
  struct run r = {.poll = p, .snapshot = s, .deadline = deadline};
  struct rmq_mono start = p->mono(p->clock_ctx);
  rmq_snapshot_clear(s);
  switch (p->source) {
  case RMQ_SOURCE_AUTO:
    run_auto(&r, &result);
    break;
  case RMQ_SOURCE_MANAGEMENT:
    run_management(&r, &result);
    break;
  case RMQ_SOURCE_PROMETHEUS: {
    const struct rmq_scrape_result got = scrape(&r, NULL);
    use(&got, &result);
    break;
  }
  }
  rmq_vhosts_end(s, want_vhost, p);
  if (s->vhosts_failed)
    rmq_error_set(&result.vhosts_error, "no memory for the list of vhosts");
  if (result.outcome != RMQ_POLL_CANCELLED)
    result.seconds =
        rmq_dur_seconds(rmq_mono_since(p->mono(p->clock_ctx), start));
  result.bytes = r.bytes;
  rmq_buf_clear(&p->body);
  rmq_buf_shrink(&p->body, POLL_KEEP_BYTES);
  *ret_result = result;
}
