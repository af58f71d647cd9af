/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/poll.h"

#include "common/broker/management.h"

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

void rmq_poll_init(struct rmq_poll *p) {
  p->current = 0;
  rmq_buf_init(&p->body, RMQ_POLL_BODY_MAX);
}

void rmq_poll_fini(struct rmq_poll *p) { rmq_buf_fini(&p->body); }

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

/* False when there is nothing more to ask; then err says what went wrong. */
static bool ask_page(struct run *r, size_t page, struct rmq_error *err) {
  struct rmq_poll *p = r->poll;
  char path[POLL_URL_SIZE / 2];
  size_t pages = 0;
  snprintf(path, sizeof(path), RMQ_MANAGEMENT_QUEUES, page,
           (size_t)RMQ_POLL_PAGE);
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
      result->url = p->current = url;
      return;
    }
    if (outcome == RMQ_POLL_REFUSED)
      result->outcome = RMQ_POLL_REFUSED;
  }
}

void rmq_poll_run(struct rmq_poll *p, struct rmq_mono deadline,
                  struct rmq_snapshot *s, struct rmq_poll_result *ret_result) {
  struct rmq_poll_result result = {.url = 0};
  struct run r = {.poll = p, .snapshot = s, .deadline = deadline};
  struct rmq_mono start = p->mono(p->clock_ctx);
  rmq_snapshot_clear(s);
  find_url(&r, &result);
  if (result.outcome == RMQ_POLL_ANSWERED)
    ask_queues(&r, &result.queues_error);
  if (result.outcome == RMQ_POLL_ANSWERED && !r.is_cancelled)
    ask_nodes(&r, &result.nodes_error);
  if (r.is_cancelled)
    result.outcome = RMQ_POLL_CANCELLED;
  else
    result.seconds =
        rmq_dur_seconds(rmq_mono_since(p->mono(p->clock_ctx), start));
  result.bytes = r.bytes;
  rmq_buf_clear(&p->body);
  rmq_buf_shrink(&p->body, POLL_KEEP_BYTES);
  *ret_result = result;
}
