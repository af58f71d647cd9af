/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/alert_text.h"

#include "common/base/utf8.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_NAME_MAX = 60 }; /* bytes of one name */

void rmq_alert_text_name(struct rmq_buf *out, const char *name, size_t max) {
  size_t len = strlen(name);
  size_t most = len <= max ? len : rmq_utf8_cut(name, len, max - 3);
  for (size_t i = 0; i < most;) {
    uint32_t c = 0;
    size_t n = rmq_utf8_decode(name + i, most - i, &c);
    if (n == 0 || rmq_utf8_is_control(c))
      rmq_buf_append_char(out, '?');
    else
      rmq_buf_append(out, name + i, n);
    i += n == 0 ? 1 : n;
  }
  if (most < len)
    rmq_buf_append_text(out, "...");
}

static void append_name(struct rmq_buf *out, const char *name) {
  rmq_alert_text_name(out, name, TEXT_NAME_MAX);
}

static void append_object(struct rmq_buf *out, const struct rmq_alert_text *t) {
  const struct rmq_alert_event *e = t->event;
  rmq_buf_appendf(out, "cluster %s", t->cluster);
  if (e->node != NULL) {
    rmq_buf_append_text(out, ", node ");
    append_name(out, e->node);
  }
  if (e->queue != NULL) {
    rmq_buf_append_text(out, ", queue ");
    append_name(out, e->queue);
    rmq_buf_append_text(out, " in vhost ");
    append_name(out, e->vhost);
  }
  rmq_buf_append_text(out, ": ");
}

/* "35 min" */
static void append_duration(struct rmq_buf *out, struct rmq_dur d) {
  double s = rmq_dur_seconds(d);
  if (s < 120)
    rmq_buf_appendf(out, "%.0f s", s);
  else if (s < 7200)
    rmq_buf_appendf(out, "%.0f min", s / 60);
  else
    rmq_buf_appendf(out, "%.0f h", s / 3600);
}

static void append_number(struct rmq_buf *out, double value) {
  rmq_buf_appendf(out, value >= 100 ? "%.0f" : "%.3g", value);
}

static void append_value(struct rmq_buf *out, const struct rmq_alert_text *t) {
  const struct rmq_alert_event *e = t->event;
  const struct rmq_alert_quantity *q = e->quantity;
  rmq_buf_appendf(out, "%s ", q->counts);
  append_number(out, e->value);
  rmq_buf_append_text(out, q->unit);
  if (e->severity == RMQ_OKAY)
    rmq_buf_append_text(out, ", clear of the limit ");
  else
    rmq_buf_append_text(out, ", limit ");
  append_number(out, e->threshold);
}

static const char *plural(enum rmq_series_scope scope) {
  return scope == RMQ_SERIES_NODE ? "nodes" : "queues";
}

static void append_group(struct rmq_buf *out, const struct rmq_alert_text *t) {
  const struct rmq_alert_quantity *q = t->event->quantity;
  const char *kind = rmq_alert_kind_to_str(q->kind);
  if (t->event->severity == RMQ_OKAY)
    rmq_buf_appendf(out, "%s: none of the other %s any more", kind,
                    plural(q->scope));
  else
    rmq_buf_appendf(out, "%s: and %zu more %s, which are not named one by one",
                    kind, t->group_count, plural(q->scope));
}

static void append_fact(struct rmq_buf *out, const struct rmq_alert_text *t) {
  const struct rmq_alert_event *e = t->event;
  if (e->is_group)
    append_group(out, t);
  else if (t->is_gone)
    rmq_buf_appendf(out, "%s: it is gone, or no longer reported",
                    rmq_alert_kind_to_str(e->quantity->kind));
  else if (e->quantity->counts != NULL)
    append_value(out, t);
  else if (t->is_refused && e->severity != RMQ_OKAY &&
           e->quantity->if_refused != NULL)
    rmq_buf_append_text(out, e->quantity->if_refused);
  else
    rmq_buf_append_text(out, e->severity == RMQ_OKAY ? e->quantity->is_good
                                                     : e->quantity->is_bad);
  if (e->severity != RMQ_OKAY)
    return;
  rmq_buf_append_text(out, ", after ");
  append_duration(out, t->raised_for);
}

void rmq_alert_text(const struct rmq_alert_text *t,
                    char ret_text[RMQ_ALERTS_TEXT_SIZE]) {
  struct rmq_buf out;
  rmq_buf_init(&out, 2048);
  append_object(&out, t);
  append_fact(&out, t);
  const char *text = rmq_buf_text(&out);
  size_t len = rmq_utf8_cut(text, strlen(text), RMQ_ALERTS_TEXT_SIZE - 1);
  memcpy(ret_text, text, len);
  ret_text[len] = '\0';
  rmq_buf_fini(&out);
}
