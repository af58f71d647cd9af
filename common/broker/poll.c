/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/poll_private.h"

#include "common/broker/management.h"
#include "common/broker/vhosts.h"

#include <math.h>
#include <string.h>

enum { POLL_KEEP_BYTES = 256 * 1024 };

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
  for (size_t i = 0; i < 2; i++)
    rmq_detail_init(&p->details[i], rmq_dur_seconds(p->budget));
  rmq_buf_init(&p->body, RMQ_POLL_BODY_MAX);
  rmq_scrape_init(&p->scrape);
  rmq_listed_init(&p->listed);
}

void rmq_poll_fini(struct rmq_poll *p) {
  rmq_listed_fini(&p->listed);
  rmq_scrape_fini(&p->scrape);
  rmq_buf_fini(&p->body);
}
static bool want_vhost(void *ctx, const char *name) {
  const struct rmq_poll *p = ctx;
  return rmq_filter_wants(p->vhosts, name);
}

static struct rmq_scrape_result scrape(struct rmq_poll_turn *r,
                                       const char *management) {
  struct rmq_poll *p = r->poll;
  struct rmq_scrape_result got;
  p->scrape.urls = p->metrics_urls;
  p->scrape.timeout = p->timeout;
  p->scrape.http = p->http;
  p->scrape.clock_ctx = p->clock_ctx;
  p->scrape.mono = p->mono;
  p->scrape.wall = p->wall;
  p->scrape.want = rmq_poll_want_queue;
  p->scrape.want_ctx = p;
  p->scrape.body = &p->body;
  p->scrape.listed = &p->listed;
  p->scrape.detail = &p->details[1];
  p->scrape.top_queues = p->top_queues;
  p->scrape.start = r->start;
  rmq_scrape_run(&p->scrape, management, r->deadline, r->snapshot, &got);
  r->bytes += got.bytes;
  r->queue_seconds = got.queue_seconds;
  r->lacks_list = r->snapshot->silent_of_queues > 0;
  r->wasted = got.wasted;
  if (got.has_list)
    rmq_listed_keep(&p->listed, r->snapshot);
  return got;
}

/* What the nodes leave out; where the management API has just answered. */
static void add_details(struct rmq_poll_turn *r, const char *management) {
  r->base = management;
  r->deadline = rmq_poll_queues_deadline(r);
  r->queue_seconds += rmq_poll_ask_details(r);
}

/* The nodes' answers are the poll's result. */
static void use(struct rmq_poll_turn *r, const struct rmq_scrape_result *got,
                struct rmq_poll_result *result) {
  result->source = RMQ_SOURCE_PROMETHEUS;
  result->detail = &r->poll->details[1];
  result->url = got->url;
  result->nodes_error = got->list_error;
  result->queues_error = got->queues_error;
  result->metrics_error = got->error;
  result->twice = got->twice;
  result->is_user_refused = got->is_refused;
  result->outcome = RMQ_POLL_ANSWERED;
  if (got->is_cancelled)
    result->outcome = RMQ_POLL_CANCELLED;
  else if (got->answered == 0)
    result->outcome = got->is_refused ? RMQ_POLL_REFUSED : RMQ_POLL_UNREACHABLE;
  if (got->answered > 0)
    return;
  result->error = got->error;
  result->refusal.status = got->status;
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
static bool try_prometheus(struct rmq_poll_turn *r,
                           struct rmq_poll_result *result) {
  struct rmq_poll *p = r->poll;
  bool was_taken = p->taken == RMQ_SOURCE_PROMETHEUS;
  const char *management = p->urls->items[p->current];
  struct rmq_scrape_result got = scrape(r, management);
  bool is_enough = !rmq_error_is_set(&got.lacks);
  if (!got.is_cancelled && !got.has_list) /* perhaps another one knows */
    p->current = (p->current + 1) % p->urls->count;
  /* What was good before may come back in a moment. */
  bool is_patient =
      was_taken && got.answered > 0 && ++p->lacking < RMQ_POLL_PATIENCE;
  if (got.is_cancelled || is_enough || is_patient) {
    if (got.has_list && !got.is_cancelled)
      add_details(r, management);
    use(r, &got, result);
    if (r->is_cancelled)
      result->outcome = RMQ_POLL_CANCELLED;
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

static void run_auto(struct rmq_poll_turn *r, struct rmq_poll_result *result) {
  struct rmq_poll *p = r->poll;
  bool was_taken = p->taken == RMQ_SOURCE_MANAGEMENT;
  bool has_choice = p->metrics_urls != NULL && p->metrics_urls->count > 0;
  if (has_choice && is_time_to_try(p) && try_prometheus(r, result))
    return;
  r->wasted = rmq_poll_seconds_since(r, r->start);
  rmq_poll_run_management(r, result);
  if (result->outcome == RMQ_POLL_ANSWERED && r->snapshot->has_nodes)
    rmq_listed_keep(&p->listed, r->snapshot);
  /* An upgrade, or no answer at all: the next poll finds out anew. */
  bool is_upgraded = result->outcome == RMQ_POLL_ANSWERED && was_taken &&
                     strcmp(p->version, r->snapshot->version) != 0;
  if (is_upgraded || result->outcome == RMQ_POLL_UNREACHABLE)
    p->probe_at = p->mono(p->clock_ctx);
  if (result->outcome == RMQ_POLL_ANSWERED)
    memcpy(p->version, r->snapshot->version, sizeof(p->version));
}

static void end_detail(const struct rmq_poll_turn *r, size_t index,
                       double seconds) {
  struct rmq_detail *d = &r->poll->details[index];
  double queues = isnan(r->queue_seconds) ? 0 : r->queue_seconds;
  d->report = r->poll->report_seconds;
  /* What was abandoned told its level's cost and is no one else's. */
  rmq_detail_end(d, r->queue_seconds, !r->lacks_list,
                 seconds - r->wasted - r->abandoned - queues +
                     r->poll->extra_seconds);
}

void rmq_poll_run(struct rmq_poll *p, struct rmq_mono deadline,
                  struct rmq_snapshot *s, struct rmq_poll_result *ret_result) {
  struct rmq_poll_result result = {.url = p->urls->items[0]};
  struct rmq_poll_turn r = {.poll = p,
                            .snapshot = s,
                            .start = p->mono(p->clock_ctx),
                            .deadline = deadline,
                            .queue_seconds = (double)NAN};
  rmq_snapshot_clear(s);
  s->vhosts_want = want_vhost;
  s->vhosts_want_ctx = p;
  switch (p->source) {
  case RMQ_SOURCE_AUTO:
    run_auto(&r, &result);
    break;
  case RMQ_SOURCE_MANAGEMENT:
    rmq_poll_run_management(&r, &result);
    break;
  case RMQ_SOURCE_PROMETHEUS: {
    const struct rmq_scrape_result got = scrape(&r, NULL);
    use(&r, &got, &result);
    break;
  }
  }
  if (rmq_error_is_set(&r.details_error))
    rmq_error_set(&result.queues_error, "%s", r.details_error.text);
  rmq_management_forget_zeroed(s);
  rmq_vhosts_end(s);
  if (s->vhosts_failed)
    rmq_error_set(&result.vhosts_error, "no memory for the list of vhosts");
  if (result.outcome != RMQ_POLL_CANCELLED)
    result.seconds = rmq_poll_seconds_since(&r, r.start);
  if (result.outcome == RMQ_POLL_ANSWERED)
    end_detail(&r, result.detail == &p->details[1], result.seconds);
  result.bytes = r.bytes;
  rmq_buf_clear(&p->body);
  rmq_buf_shrink(&p->body, POLL_KEEP_BYTES);
  *ret_result = result;
}
