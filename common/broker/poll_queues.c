/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/poll_private.h"

#include "common/broker/longest.h"
#include "common/broker/management.h"

#include <stdio.h>

enum { POLL_PATH_SIZE = 1024 };

bool rmq_poll_want_queue(void *ctx, const char *vhost, const char *name) {
  const struct rmq_poll *p = ctx;
  return rmq_filter_wants(p->vhosts, vhost) &&
         rmq_filter_wants(p->queues, name);
}

/* A list of queues; the status, which is 0 when it was not read. */
static int ask_list(struct rmq_poll_turn *r, const char *path,
                    size_t *ret_pages, struct rmq_error *err) {
  struct rmq_poll *p = r->poll;
  int status = rmq_poll_ask(r, path, err);
  struct rmq_error cause = {.text = ""};
  if (status != 200 ||
      rmq_management_queues(rmq_buf_bytes(&p->body), p->body.len,
                            rmq_poll_want_queue, p, r->snapshot, ret_pages,
                            &cause) == 0)
    return status;
  rmq_error_set(err, "%s: %s", r->base, cause.text);
  return 0;
}

static void explain_list(const struct rmq_poll_turn *r, int status,
                         struct rmq_error *err) {
  if (status != 0 && status != 200)
    rmq_poll_explain(r, "the list of queues", status, err);
}

/* False when there is nothing more to ask; then err says what went wrong. */
static bool ask_page(struct rmq_poll_turn *r, size_t page, size_t *ret_pages,
                     struct rmq_error *err) {
  char path[POLL_PATH_SIZE];
  size_t size = r->poll->page_size;
  snprintf(path, sizeof(path), RMQ_MANAGEMENT_QUEUES "%s", page,
           size == 0 ? (size_t)RMQ_POLL_PAGE : size,
           r->snapshot->is_without_statistics ? RMQ_MANAGEMENT_TOTALS : "");
  int status = ask_list(r, path, ret_pages, err);
  r->snapshot->has_pages = page > 1;
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
static double too_slow(const struct rmq_poll_turn *r, size_t page,
                       size_t pages) {
  const struct rmq_snapshot *s = r->snapshot;
  if (s->queues_count > 0) { /* until there are as many as may be */
    double needed =
        (double)(s->queues_max * page) / (double)s->queues_count + 1;
    pages = needed < (double)pages ? (size_t)needed : pages;
  }
  double so_far = rmq_poll_seconds_since(r, r->queues_begun);
  double all = so_far / (double)page * (double)pages;
  bool is_over = r->poll->budget.ns > 0 && rmq_poll_used(r) - so_far + all >
                                               rmq_dur_seconds(r->poll->budget);
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
static double ask_pages(struct rmq_poll_turn *r, struct rmq_error *err) {
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

static void ask_lengths(struct rmq_poll_turn *r, struct rmq_error *err) {
  size_t pages = 0;
  int status = ask_list(r, RMQ_MANAGEMENT_LENGTHS, &pages, err);
  explain_list(r, status, err);
  r->snapshot->has_all_queues = status == 200;
  add_up(r->snapshot);
}

/* More than are wanted, since there may be filters. */
static void ask_longest(struct rmq_poll_turn *r, struct rmq_error *err) {
  struct rmq_snapshot *s = r->snapshot;
  size_t pages = 0, most = s->queues_max;
  s->queues_max = RMQ_POLL_PAGE;
  explain_list(r, ask_list(r, RMQ_MANAGEMENT_LONGEST, &pages, err), err);
  s->queues_max = most;
  rmq_longest_keep(r->poll->top_queues, s);
}

static enum rmq_longest_answer ask_one(void *ctx, const char *path) {
  struct rmq_poll_turn *r = ctx;
  double budget = rmq_dur_seconds(r->poll->budget);
  if (budget > 0 && rmq_poll_used(r) > budget)
    return RMQ_LONGEST_STOP;
  int status = rmq_poll_ask(r, path, &r->details_error);
  if (status == 200)
    return RMQ_LONGEST_ANSWERED;
  if (status != 0 && status != 404)
    rmq_poll_explain(r, "the question about one queue", status,
                     &r->details_error);
  return status == 0 ? RMQ_LONGEST_STOP : RMQ_LONGEST_GONE;
}

double rmq_poll_ask_details(struct rmq_poll_turn *r) {
  struct rmq_snapshot *s = r->snapshot;
  double before = rmq_poll_used(r);
  const struct rmq_longest longest = {
      .count = s->is_without_statistics ? 0 : r->poll->top_queues,
      .ask = ask_one,
      .ctx = r,
      .body = &r->poll->body};
  if (s->detail < RMQ_DETAIL_ALL && !r->is_cancelled)
    rmq_longest_complete(&longest, s);
  return rmq_poll_used(r) - before;
}

/* The seconds that the level would take where that is too long, else 0. */
static double ask_queues_at(struct rmq_poll_turn *r,
                            enum rmq_detail_level level,
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

struct rmq_mono rmq_poll_queues_deadline(const struct rmq_poll_turn *r) {
  double all = rmq_dur_seconds(rmq_mono_since(r->deadline, r->start));
  double budget = rmq_dur_seconds(r->poll->budget), left = all - r->wasted;
  double share = (1 + budget / all) / 2;
  if (!(budget > 0 && share < 1 && left > 0))
    return r->deadline;
  return rmq_mono_add(r->start, rmq_dur_from_seconds(r->wasted + share * left));
}

/* Lengths are not asked for where no queue would be kept. */
static enum rmq_detail_level useful(const struct rmq_poll_turn *r,
                                    enum rmq_detail_level level) {
  return level == RMQ_DETAIL_TOP && r->poll->top_queues == 0 ? RMQ_DETAIL_TOTALS
                                                             : level;
}

/* Lists, at a level that is not too slow. A list that does not come is what
 * queues cost. */
static void ask_lists(struct rmq_poll_turn *r, struct rmq_error *err) {
  struct rmq_snapshot *s = r->snapshot;
  double wasted = r->wasted;
  for (;;) {
    r->queues_begun = r->poll->mono(r->poll->clock_ctx);
    double seconds = ask_queues_at(r, s->detail, err);
    if (seconds <= 0)
      break;
    r->abandoned += rmq_poll_seconds_since(r, r->queues_begun);
    rmq_snapshot_drop_queues(s);
    s->detail = useful(r, rmq_detail_give_up(&r->poll->details[0], seconds));
  }
  r->wasted = wasted;
  r->lacks_list = rmq_error_is_set(err);
  if (s->detail > RMQ_DETAIL_TOTALS)
    r->queue_seconds = rmq_poll_seconds_since(r, r->queues_begun);
}

void rmq_poll_ask_queues(struct rmq_poll_turn *r, struct rmq_error *err) {
  struct rmq_poll *p = r->poll;
  struct rmq_snapshot *s = r->snapshot;
  struct rmq_mono deadline = r->deadline;
  if (s->queues_max == 0) {
    s->has_all_queues = true;
    s->detail = RMQ_DETAIL_TOTALS;
    return;
  }
  r->deadline = rmq_poll_queues_deadline(r);
  s->detail = rmq_detail_choose(&p->details[0], RMQ_DETAIL_ALL, s->queues_total,
                                rmq_poll_used(r),
                                -rmq_poll_seconds_since(r, r->deadline));
  s->detail = useful(r, s->detail);
  ask_lists(r, err);
  r->queue_seconds += rmq_poll_ask_details(r);
  r->deadline = deadline;
}
