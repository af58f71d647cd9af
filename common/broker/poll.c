/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/poll.h"

#include "common/broker/longest.h"
#include "common/broker/management.h"
#include "common/broker/vhosts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
  POLL_URL_SIZE = 2048,
  POLL_KEEP_BYTES = 256 * 1024,
  /* Of a poll's time: a URL is not asked for less than this part of it. */
  POLL_LEAST_PART = 20
};

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
}

void rmq_poll_fini(struct rmq_poll *p) {
  rmq_scrape_fini(&p->scrape);
  rmq_buf_fini(&p->body);
}

/* One poll while it runs. */
struct run {
  struct rmq_poll *poll;
  struct rmq_snapshot *snapshot;
  struct rmq_mono start, deadline;
  const char *base; /* URL that is asked */
  bool is_cancelled;
  double bytes;
  struct rmq_error details_error; /* of questions about one queue */
  double queue_seconds;           /* NaN = none were asked for */
  bool lacks_list;                /* of queues, or a part of it */
  struct rmq_mono queues_begun;
  /* Seconds that somebody was waited for who did not answer, lists of queues
   * left out: asking for fewer queues would not have saved them. */
  double wasted;
  double abandoned; /* seconds, of lists that were not read to their end */
};

static double seconds_since(const struct run *r, struct rmq_mono then) {
  return rmq_dur_seconds(
      rmq_mono_since(r->poll->mono(r->poll->clock_ctx), then));
}

/* What the poll has cost so far. */
static double used(const struct run *r) {
  return seconds_since(r, r->start) - r->wasted;
}

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
  struct rmq_mono begun = p->mono(p->clock_ctx);
  enum rmq_http_outcome outcome =
      p->http.get(p->http.ctx, url, left, &p->body, &status, &cause);
  r->bytes += (double)p->body.len;
  r->is_cancelled = outcome == RMQ_HTTP_CANCELLED;
  if (outcome == RMQ_HTTP_ANSWERED)
    return status;
  r->wasted += seconds_since(r, begun);
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

static bool is_about_user(int status) { return status == 401 || status == 403; }

/* The first one's, or rather the first that does not pass by itself. */
static void keep_refusal(const struct run *r, int status,
                         struct rmq_poll_refusal *refusal) {
  if (refusal->status != 0 &&
      (is_about_user(refusal->status) || !is_about_user(status)))
    return;
  refusal->status = status;
  refusal->url = r->base;
  rmq_management_reason(rmq_buf_bytes(&r->poll->body), r->poll->body.len,
                        refusal->reason, sizeof(refusal->reason));
}

static enum rmq_poll_outcome ask_overview(struct run *r,
                                          struct rmq_poll_result *result) {
  struct rmq_error *err = &result->error;
  struct rmq_poll *p = r->poll;
  struct rmq_mono before = p->mono(p->clock_ctx);
  int status = ask(r, RMQ_MANAGEMENT_OVERVIEW, err);
  if (r->is_cancelled)
    return RMQ_POLL_CANCELLED;
  if (status == 0)
    return RMQ_POLL_UNREACHABLE;
  if (status != 200) {
    explain(r, "the overview", status, err);
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

static bool want_queue(void *ctx, const char *vhost, const char *name) {
  const struct rmq_poll *p = ctx;
  return rmq_filter_wants(p->vhosts, vhost) &&
         rmq_filter_wants(p->queues, name);
}

static bool want_vhost(void *ctx, const char *name) {
  const struct rmq_poll *p = ctx;
  return rmq_filter_wants(p->vhosts, name);
}

/* A list of queues; the status, which is 0 when it was not read. */
static int ask_list(struct run *r, const char *path, size_t *ret_pages,
                    struct rmq_error *err) {
  struct rmq_poll *p = r->poll;
  int status = ask(r, path, err);
  struct rmq_error cause = {.text = ""};
  if (status != 200 ||
      rmq_management_queues(rmq_buf_bytes(&p->body), p->body.len, want_queue, p,
                            r->snapshot, ret_pages, &cause) == 0)
    return status;
  rmq_error_set(err, "%s: %s", r->base, cause.text);
  return 0;
}

static void explain_list(const struct run *r, int status,
                         struct rmq_error *err) {
  if (status != 0 && status != 200)
    explain(r, "the list of queues", status, err);
}

/* False when there is nothing more to ask; then err says what went wrong. */
static bool ask_page(struct run *r, size_t page, size_t *ret_pages,
                     struct rmq_error *err) {
  char path[POLL_URL_SIZE / 2];
  size_t size = r->poll->page_size;
  snprintf(path, sizeof(path), RMQ_MANAGEMENT_QUEUES "%s", page,
           size == 0 ? (size_t)RMQ_POLL_PAGE : size,
           r->snapshot->is_without_statistics ? RMQ_MANAGEMENT_TOTALS : "");
  int status = ask_list(r, path, ret_pages, err);
  if (status == 400 && page > 1) { /* queues went away meanwhile */
    r->snapshot->has_all_queues = true;
    return false;
  }
  if (status != 200) {
    explain_list(r, status, err);
    return false;
  }
  bool is_last = page >= *ret_pages || r->snapshot->queues_left_out > 0;
  r->snapshot->has_all_queues = is_last;
  return !is_last;
}

/* What all pages would take when those so far are like the others; 0 when it is
 * not worth while to stop. */
static double too_slow(const struct run *r, size_t page, size_t pages) {
  const struct rmq_snapshot *s = r->snapshot;
  if (s->queues_count > 0) { /* until there are as many as may be */
    double needed =
        (double)(s->queues_max * page) / (double)s->queues_count + 1;
    pages = needed < (double)pages ? (size_t)needed : pages;
  }
  double so_far = seconds_since(r, r->queues_begun);
  double all = so_far / (double)page * (double)pages;
  bool is_over = r->poll->budget.ns > 0 &&
                 used(r) - so_far + all > rmq_dur_seconds(r->poll->budget);
  return is_over && page * 2 < pages ? all : 0;
}

/* A broker without statistics has no sums of its own. */
static void add_up(struct rmq_snapshot *s) {
  if (s->is_without_statistics && s->has_all_queues &&
      s->queues_left_out == 0) {
    s->ready = s->listed_ready;
    s->unacked = s->listed_unacked;
  }
}

/* The seconds that it would take where that is too long, else 0. */
static double ask_pages(struct run *r, struct rmq_error *err) {
  size_t page = 1, pages = 0;
  struct rmq_snapshot *s = r->snapshot;
  while (ask_page(r, page, &pages, err)) {
    double seconds = too_slow(r, page, pages);
    if (seconds > 0)
      return seconds;
    page++;
  }
  add_up(s);
  return 0;
}

static void ask_lengths(struct run *r, struct rmq_error *err) {
  size_t pages = 0;
  int status = ask_list(r, RMQ_MANAGEMENT_LENGTHS, &pages, err);
  explain_list(r, status, err);
  r->snapshot->has_all_queues = status == 200;
  add_up(r->snapshot);
}

/* More than are wanted, since there may be filters. */
static void ask_longest(struct run *r, struct rmq_error *err) {
  struct rmq_snapshot *s = r->snapshot;
  size_t pages = 0, most = s->queues_max;
  s->queues_max = RMQ_POLL_PAGE;
  explain_list(r, ask_list(r, RMQ_MANAGEMENT_LONGEST, &pages, err), err);
  s->queues_max = most;
  rmq_longest_keep(r->poll->top_queues, s);
}

static enum rmq_longest_answer ask_one(void *ctx, const char *path) {
  struct run *r = ctx;
  double budget = rmq_dur_seconds(r->poll->budget);
  if (budget > 0 && used(r) > budget)
    return RMQ_LONGEST_STOP;
  int status = ask(r, path, &r->details_error);
  if (status == 200)
    return RMQ_LONGEST_ANSWERED;
  if (status != 0 && status != 404)
    explain(r, "the question about one queue", status, &r->details_error);
  return status == 0 ? RMQ_LONGEST_STOP : RMQ_LONGEST_GONE;
}

/* Where the lists have lengths only. What it has cost in seconds. */
static double ask_details(struct run *r) {
  struct rmq_snapshot *s = r->snapshot;
  double before = used(r);
  const struct rmq_longest longest = {
      .count = s->is_without_statistics ? 0 : r->poll->top_queues,
      .ask = ask_one,
      .ctx = r,
      .body = &r->poll->body};
  if (s->detail < RMQ_DETAIL_ALL && !r->is_cancelled)
    rmq_longest_complete(&longest, s);
  return used(r) - before;
}

/* The seconds that the level would take where that is too long, else 0. */
static double ask_queues_at(struct run *r, enum rmq_detail_level level,
                            struct rmq_error *err) {
  switch (level) {
  case RMQ_DETAIL_TOTALS:
    return 0;
  case RMQ_DETAIL_TOP:
    ask_longest(r, err);
    return 0;
  case RMQ_DETAIL_LENGTHS:
    ask_lengths(r, err);
    return 0;
  case RMQ_DETAIL_ALL:
    return ask_pages(r, err);
  }
  return 0;
}

/* When queues have to be there, so that there is time for the rest: half of
 * what the budget leaves, of the time in which nobody was waited for in vain.
 */
static struct rmq_mono queues_deadline(const struct run *r) {
  double all = rmq_dur_seconds(rmq_mono_since(r->deadline, r->start));
  double budget = rmq_dur_seconds(r->poll->budget), left = all - r->wasted;
  double share = (1 + budget / all) / 2;
  if (!(budget > 0 && share < 1 && left > 0))
    return r->deadline;
  return rmq_mono_add(r->start, rmq_dur_from_seconds(r->wasted + share * left));
}

/* Lengths are not asked for where no queue would be kept. */
static enum rmq_detail_level useful(const struct run *r,
                                    enum rmq_detail_level level) {
  return level == RMQ_DETAIL_TOP && r->poll->top_queues == 0 ? RMQ_DETAIL_TOTALS
                                                             : level;
}

/* Lists, at a level that is not too slow. A list that does not come is what
 * queues cost. */
static void ask_lists(struct run *r, struct rmq_error *err) {
  struct rmq_snapshot *s = r->snapshot;
  double wasted = r->wasted;
  for (;;) {
    r->queues_begun = r->poll->mono(r->poll->clock_ctx);
    double seconds = ask_queues_at(r, s->detail, err);
    if (seconds <= 0)
      break;
    r->abandoned += seconds_since(r, r->queues_begun);
    rmq_snapshot_drop_queues(s);
    s->detail = useful(r, rmq_detail_give_up(&r->poll->details[0], seconds));
  }
  r->wasted = wasted;
  r->lacks_list = rmq_error_is_set(err);
  if (s->detail > RMQ_DETAIL_TOTALS)
    r->queue_seconds = seconds_since(r, r->queues_begun);
}

static void ask_queues(struct run *r, struct rmq_error *err) {
  struct rmq_poll *p = r->poll;
  struct rmq_snapshot *s = r->snapshot;
  struct rmq_mono deadline = r->deadline;
  if (s->queues_max == 0) {
    s->has_all_queues = true;
    s->detail = RMQ_DETAIL_TOTALS;
    return;
  }
  r->deadline = queues_deadline(r);
  s->detail = rmq_detail_choose(&p->details[0], RMQ_DETAIL_ALL, s->queues_total,
                                used(r), -seconds_since(r, r->deadline));
  s->detail = useful(r, s->detail);
  ask_lists(r, err);
  r->queue_seconds += ask_details(r);
  r->deadline = deadline;
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

/* No vhost has series where the budget leaves no queue any. */
static bool wants_vhosts(const struct rmq_snapshot *s) {
  return s->vhosts_max > 0 &&
         (s->detail > RMQ_DETAIL_TOTALS || s->queues_max == 0);
}

/* A broker without statistics has none of them either. */
static void ask_vhosts(struct run *r, struct rmq_error *err) {
  struct rmq_poll *p = r->poll;
  if (!wants_vhosts(r->snapshot) || r->snapshot->is_without_statistics)
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

/* Where there are streams, wanted or not; the plugin that answers may be
 * missing, which is no fault, and may come. */
static void ask_streams(struct run *r, struct rmq_error *err) {
  struct rmq_poll *p = r->poll;
  if (!r->snapshot->has_streams || r->snapshot->is_without_statistics ||
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

/* Until when a URL may take that another one is to be asked after: one that
 * hangs has half of what is left. False when that is next to nothing. */
static bool share_time(struct run *r, struct rmq_mono deadline, bool is_last) {
  int64_t now = r->poll->mono(r->poll->clock_ctx).ns;
  int64_t share = (deadline.ns - now) / (is_last ? 1 : 2);
  r->deadline.ns = now + share;
  return share >= (deadline.ns - r->start.ns) / POLL_LEAST_PART;
}

/* One URL whose overview answers, or why there is none. Where none does, the
 * next poll begins with the one that was asked last and had the least time. */
static void find_url(struct run *r, struct rmq_poll_result *result) {
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

/* ---- sources ---- */

static void run_management(struct run *r, struct rmq_poll_result *result) {
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
  p->scrape.detail = &p->details[1];
  p->scrape.top_queues = p->top_queues;
  p->scrape.start = r->start;
  rmq_scrape_run(&p->scrape, management, r->deadline, r->snapshot, &got);
  r->bytes += got.bytes;
  r->queue_seconds = got.queue_seconds;
  r->lacks_list = r->snapshot->silent_of_queues > 0;
  r->wasted = got.wasted;
  return got;
}

/* What the nodes leave out; where the management API has just answered. */
static void add_details(struct run *r, const char *management) {
  r->base = management;
  r->deadline = queues_deadline(r);
  r->queue_seconds += ask_details(r);
}

/* The nodes' answers are the poll's result. */
static void use(struct run *r, const struct rmq_scrape_result *got,
                struct rmq_poll_result *result) {
  result->source = RMQ_SOURCE_PROMETHEUS;
  result->detail = &r->poll->details[1];
  result->url = got->url;
  result->nodes_error = got->list_error;
  result->queues_error = got->queues_error;
  result->metrics_error = got->error;
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
static bool try_prometheus(struct run *r, struct rmq_poll_result *result) {
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

static void run_auto(struct run *r, struct rmq_poll_result *result) {
  struct rmq_poll *p = r->poll;
  bool was_taken = p->taken == RMQ_SOURCE_MANAGEMENT;
  bool has_choice = p->metrics_urls != NULL && p->metrics_urls->count > 0;
  if (has_choice && is_time_to_try(p) && try_prometheus(r, result))
    return;
  r->wasted = seconds_since(r, r->start);
  run_management(r, result);
  /* An upgrade, or no answer at all: the next poll finds out anew. */
  bool is_upgraded = result->outcome == RMQ_POLL_ANSWERED && was_taken &&
                     strcmp(p->version, r->snapshot->version) != 0;
  if (is_upgraded || result->outcome == RMQ_POLL_UNREACHABLE)
    p->probe_at = p->mono(p->clock_ctx);
  if (result->outcome == RMQ_POLL_ANSWERED)
    memcpy(p->version, r->snapshot->version, sizeof(p->version));
}

static void end_detail(const struct run *r, size_t index, double seconds) {
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
  struct run r = {.poll = p,
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
    run_management(&r, &result);
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
    result.seconds = seconds_since(&r, r.start);
  if (result.outcome == RMQ_POLL_ANSWERED)
    end_detail(&r, result.detail == &p->details[1], result.seconds);
  result.bytes = r.bytes;
  rmq_buf_clear(&p->body);
  rmq_buf_shrink(&p->body, POLL_KEEP_BYTES);
  *ret_result = result;
}
