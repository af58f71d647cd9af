/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/poll_private.h"

#include "common/broker/management.h"

#include <math.h>
#include <stdio.h>

enum {
  POLL_URL_SIZE = 2048,
  /* Of a poll's time: a URL is not asked for less than this part of it. */
  POLL_LEAST_PART = 20
};

double rmq_poll_seconds_since(const struct rmq_poll_turn *r,
                              struct rmq_mono then) {
  return rmq_dur_seconds(
      rmq_mono_since(r->poll->mono(r->poll->clock_ctx), then));
}

double rmq_poll_used(const struct rmq_poll_turn *r) {
  return rmq_poll_seconds_since(r, r->start) - r->wasted;
}

int rmq_poll_ask(struct rmq_poll_turn *r, const char *path,
                 struct rmq_error *err) {
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
  struct rmq_mono begun = p->mono(p->clock_ctx);
  enum rmq_http_outcome outcome =
      p->http.get(p->http.ctx, url, left, &p->body, &status, &cause);
  r->bytes += (double)p->body.len;
  r->is_cancelled = outcome == RMQ_HTTP_CANCELLED;
  if (outcome == RMQ_HTTP_ANSWERED)
    return status;
  r->wasted += rmq_poll_seconds_since(r, begun);
  rmq_error_set(err, "%s: %s", r->base, cause.text);
  return 0;
}

void rmq_poll_explain(const struct rmq_poll_turn *r, const char *what,
                      int status, struct rmq_error *err) {
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

static bool is_about_user(int status) { return status == 401 || status == 403; }

/* The first one's, or rather the first that does not pass by itself. */
static void keep_refusal(const struct rmq_poll_turn *r, int status,
                         struct rmq_poll_refusal *refusal) {
  if (refusal->status != 0 &&
      (is_about_user(refusal->status) || !is_about_user(status)))
    return;
  refusal->status = status;
  refusal->url = r->base;
  rmq_management_reason(rmq_buf_bytes(&r->poll->body), r->poll->body.len,
                        refusal->reason, sizeof(refusal->reason));
}

static enum rmq_poll_outcome ask_overview(struct rmq_poll_turn *r,
                                          struct rmq_poll_result *result) {
  struct rmq_error *err = &result->error;
  struct rmq_poll *p = r->poll;
  struct rmq_mono before = p->mono(p->clock_ctx);
  int status = rmq_poll_ask(r, RMQ_MANAGEMENT_OVERVIEW, err);
  if (r->is_cancelled)
    return RMQ_POLL_CANCELLED;
  if (status == 0)
    return RMQ_POLL_UNREACHABLE;
  if (status != 200) {
    rmq_poll_explain(r, "the overview", status, err);
    keep_refusal(r, status, &result->refusal);
    return is_about_user(status) ? RMQ_POLL_REFUSED : RMQ_POLL_UNREACHABLE;
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

static void ask_nodes(struct rmq_poll_turn *r, struct rmq_error *err) {
  struct rmq_poll *p = r->poll;
  int status = rmq_poll_ask(r, RMQ_MANAGEMENT_NODES, err);
  struct rmq_error cause = {.text = ""};
  if (status == 0)
    return;
  if (status != 200)
    rmq_poll_explain(r, "the list of nodes", status, err);
  else if (rmq_management_nodes(rmq_buf_bytes(&p->body), p->body.len,
                                r->snapshot, &cause) != 0)
    rmq_error_set(err, "%s: %s", r->base, cause.text);
}

/* No vhost has series where the budget leaves no queue any. */
static bool wants_vhosts(const struct rmq_snapshot *s) {
  return s->vhosts_max > 0 &&
         (s->detail > RMQ_DETAIL_TOTALS || s->queues_max == 0);
}

/* A broker without statistics has none of them either. */
static void ask_vhosts(struct rmq_poll_turn *r, struct rmq_error *err) {
  struct rmq_poll *p = r->poll;
  if (!wants_vhosts(r->snapshot) || r->snapshot->is_without_statistics)
    return;
  int status = rmq_poll_ask(r, RMQ_MANAGEMENT_VHOSTS, err);
  struct rmq_error cause = {.text = ""};
  if (status == 0)
    return;
  if (status != 200)
    rmq_poll_explain(r, "the list of vhosts", status, err);
  else if (rmq_management_vhosts(rmq_buf_bytes(&p->body), p->body.len,
                                 r->snapshot, &cause) != 0)
    rmq_error_set(err, "%s: %s", r->base, cause.text);
}

/* Where there are streams, wanted or not; the plugin that answers may be
 * missing, which is no fault, and may come. */
static void ask_streams(struct rmq_poll_turn *r, struct rmq_error *err) {
  struct rmq_poll *p = r->poll;
  if (!r->snapshot->has_streams || r->snapshot->is_without_statistics ||
      p->mono(p->clock_ctx).ns < p->streams_at.ns)
    return;
  int status = rmq_poll_ask(r, RMQ_MANAGEMENT_STREAMS, err);
  struct rmq_error cause = {.text = ""};
  if (status == 0)
    return;
  rmq_snapshot_sort(r->snapshot);
  if (status == 404)
    p->streams_at =
        rmq_mono_add(p->mono(p->clock_ctx), rmq_s(RMQ_POLL_PROBE_S));
  else if (status != 200)
    rmq_poll_explain(r, "the list of stream consumers", status, err);
  else if (rmq_management_streams(rmq_buf_bytes(&p->body), p->body.len,
                                  r->snapshot, &cause) != 0)
    rmq_error_set(err, "%s: %s", r->base, cause.text);
}

/* Until when a URL may take that another one is to be asked after: one that
 * hangs has half of what is left. False when that is next to nothing. */
static bool share_time(struct rmq_poll_turn *r, struct rmq_mono deadline,
                       bool is_last) {
  int64_t now = r->poll->mono(r->poll->clock_ctx).ns;
  int64_t share = (deadline.ns - now) / (is_last ? 1 : 2);
  r->deadline.ns = now + share;
  return share >= (deadline.ns - r->start.ns) / POLL_LEAST_PART;
}

/* One URL whose overview answers, or why there is none. Where none does, the
 * next poll begins with the one that was asked last and had the least time. */
static void find_url(struct rmq_poll_turn *r, struct rmq_poll_result *result) {
  struct rmq_poll *p = r->poll;
  struct rmq_mono deadline = r->deadline;
  size_t first = p->current, asked = 0;
  result->outcome = RMQ_POLL_UNREACHABLE;
  while (asked < p->urls->count) {
    size_t url = (first + asked) % p->urls->count;
    bool has_time = share_time(r, deadline, asked + 1 == p->urls->count);
    if (!has_time && asked > 0) {
      if (asked == 1)
        p->current = url;
      break;
    }
    asked++;
    p->current = url;
    r->base = p->urls->items[url];
    enum rmq_poll_outcome outcome = ask_overview(r, result);
    if (outcome == RMQ_POLL_REFUSED)
      result->outcome = RMQ_POLL_REFUSED;
    if (outcome == RMQ_POLL_ANSWERED || outcome == RMQ_POLL_CANCELLED) {
      result->outcome = outcome;
      result->url = r->base;
      break;
    }
  }
  r->deadline = deadline;
}

void rmq_poll_run_management(struct rmq_poll_turn *r,
                             struct rmq_poll_result *result) {
  rmq_snapshot_clear(r->snapshot);
  r->queue_seconds = (double)NAN;
  r->lacks_list = false;
  result->source = RMQ_SOURCE_MANAGEMENT;
  result->detail = &r->poll->details[0];
  find_url(r, result);
  if (r->snapshot->is_without_statistics)
    rmq_error_set(&result->statistics_error,
                  "they are disabled on the broker; a MetricsURL for each node "
                  "and Source auto bring them");
  if (result->outcome == RMQ_POLL_ANSWERED)
    rmq_poll_ask_queues(r, &result->queues_error);
  if (result->outcome == RMQ_POLL_ANSWERED && !r->is_cancelled)
    ask_vhosts(r, &result->vhosts_error);
  if (result->outcome == RMQ_POLL_ANSWERED && !r->is_cancelled)
    ask_streams(r, &result->streams_error);
  if (result->outcome == RMQ_POLL_ANSWERED && !r->is_cancelled)
    ask_nodes(r, &result->nodes_error);
  if (r->is_cancelled)
    result->outcome = RMQ_POLL_CANCELLED;
}
