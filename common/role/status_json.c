/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/status_json.h"

#include "common/codec/number.h"
#include "common/codec/quote.h"
#include "common/role/status_text.h"

#include <math.h>

enum { HEADLINE_BYTES_MAX = 8192 };

/* Members of one object. */
struct members {
  struct rmq_buf *out;
  bool has_one;
};

static struct members open_object(struct rmq_buf *out, bool is_first) {
  rmq_buf_append_text(out, is_first ? "{" : ",{");
  return (struct members){out, false};
}

static void put_key(struct members *m, const char *key) {
  if (m->has_one)
    rmq_buf_append_char(m->out, ',');
  m->has_one = true;
  rmq_quote_json(m->out, key);
  rmq_buf_append_char(m->out, ':');
}

static void put_text(struct members *m, const char *key, const char *text) {
  put_key(m, key);
  rmq_quote_json(m->out, text);
}

static void put_number(struct members *m, const char *key, double value) {
  char number[RMQ_NUMBER_MAX];
  if (!isfinite(value))
    return;
  put_key(m, key);
  rmq_buf_append(m->out, number, rmq_number_put_double(number, value));
}

static void put_truth(struct members *m, const char *key, bool truth) {
  put_key(m, key);
  rmq_buf_append_text(m->out, truth ? "true" : "false");
}

/* Of a value that is 0 or 1. */
static void put_known_truth(struct members *m, const char *key, double value) {
  if (!isnan(value))
    put_truth(m, key, value > 0);
}

static void put_time(struct members *m, const char *key, struct rmq_wall t) {
  char number[RMQ_NUMBER_MAX];
  put_key(m, key);
  rmq_buf_append(m->out, number, rmq_number_put_seconds(number, t.ns));
}

static void put_indicators(struct members *m,
                           const struct rmq_status_report *r) {
  put_key(m, "indicators");
  rmq_buf_append_char(m->out, '[');
  for (int i = 0; i < RMQ_STATUS_INDICATORS; i++) {
    const struct rmq_status_indicator *x = &r->indicators[i];
    struct members o = open_object(m->out, i == 0);
    put_text(&o, "name", rmq_verdict_indicator_to_str(x->indicator));
    put_text(&o, "state", rmq_status_word(x->state));
    put_time(&o, "since", x->since);
    put_truth(&o, "since_before", x->is_older);
    if (x->history_count > 0)
      put_number(&o, "figure", x->history[x->history_count - 1]);
    put_text(&o, "text", x->text);
    rmq_buf_append_char(m->out, '}');
  }
  rmq_buf_append_char(m->out, ']');
}

static void put_queues(struct members *m, const struct rmq_status_report *r) {
  if (r->is_answered) {
    put_number(m, "queues_total", (double)r->queues_seen);
    put_number(m, "queues_with_messages", (double)r->queues_filled);
  }
  put_key(m, "worst_queues");
  rmq_buf_append_char(m->out, '[');
  for (size_t i = 0; i < r->queues_count; i++) {
    const struct rmq_status_queue *q = &r->queues[i];
    struct members o = open_object(m->out, i == 0);
    put_text(&o, "vhost", q->vhost);
    put_text(&o, "name", q->name);
    put_text(&o, "state", rmq_status_word(q->state));
    put_number(&o, "ready", q->ready);
    put_number(&o, "unacked", q->unacked);
    put_number(&o, "consumers", q->consumers);
    put_number(&o, "growth_per_minute", q->growth * 60);
    put_number(&o, "drain_s", q->drain);
    put_number(&o, "head_age_s", q->head_age);
    rmq_buf_append_char(m->out, '}');
  }
  rmq_buf_append_char(m->out, ']');
}

static void put_nodes(struct members *m, const struct rmq_status_report *r) {
  put_key(m, "nodes");
  rmq_buf_append_char(m->out, '[');
  for (size_t i = 0; i < r->nodes_count; i++) {
    const struct rmq_status_node *n = &r->nodes[i];
    struct members o = open_object(m->out, i == 0);
    put_text(&o, "name", n->name);
    put_known_truth(&o, "running", n->running);
    put_known_truth(&o, "memory_alarm", n->memory_alarm);
    put_known_truth(&o, "disk_alarm", n->disk_alarm);
    put_number(&o, "memory_percent", n->memory);
    put_number(&o, "memory_limit", n->memory_limit);
    put_number(&o, "disk_free", n->disk_free);
    put_number(&o, "disk_limit", n->disk_limit);
    put_number(&o, "file_handles_percent", n->file_handles);
    put_number(&o, "processes_percent", n->processes);
    put_number(&o, "cpu_percent", n->cpu);
    rmq_buf_append_char(m->out, '}');
  }
  rmq_buf_append_char(m->out, ']');
}

static void put_notes(struct members *m, const struct rmq_status_report *r) {
  put_key(m, "notes");
  rmq_buf_append_char(m->out, '[');
  for (size_t i = 0; i < r->notes_count; i++) {
    rmq_buf_append_text(m->out, i == 0 ? "" : ",");
    rmq_quote_json(m->out, r->notes[i].text);
  }
  rmq_buf_append_char(m->out, ']');
}

void rmq_status_json(const struct rmq_status_report *r, int64_t utc_offset_s,
                     struct rmq_buf *out) {
  struct rmq_buf headline;
  rmq_buf_init(&headline, HEADLINE_BYTES_MAX);
  rmq_status_headline(r, utc_offset_s, &headline);
  struct members m = open_object(out, true);
  put_text(&m, "cluster", r->cluster);
  put_time(&m, "time", r->time);
  put_truth(&m, "answered", r->is_answered);
  put_text(&m, "state", rmq_status_word(r->state));
  put_text(&m, "headline", rmq_buf_text(&headline));
  put_indicators(&m, r);
  put_nodes(&m, r);
  put_queues(&m, r);
  put_notes(&m, r);
  rmq_buf_append_char(out, '}');
  rmq_buf_fini(&headline);
}
