/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/verdict_private.h"

#include "common/codec/number.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAID_MAX = 4 };

/* ---- words and figures ---- */

/* A figure for a person. */
static void append_figure(struct rmq_buf *out, double value) {
  if (fabs(value) >= 100 || rint(value) == value)
    rmq_buf_appendf(out, "%.0f", value);
  else
    rmq_buf_appendf(out, "%.3g", value);
}

/* "%s node{|s}": what is before the bar is for one. */
static void append_says(struct rmq_buf *out,
                        const struct rmq_verdict_measure *m, double value) {
  bool is_one = !(value > 1) && !(value < 1), is_hidden = false;
  for (const char *at = m->says; *at != '\0'; at++) {
    if (strchr("{|}", *at) != NULL) {
      is_hidden = *at == '{' ? !is_one : *at == '|' && is_one;
      continue;
    }
    if (is_hidden)
      continue;
    if (at[0] == '%' && at[1] == 's')
      append_figure(out, value);
    else
      rmq_buf_append_char(out, *at);
    at += *at == '%';
  }
}

/* A name from the broker within the line: '|' would begin performance data. */
static void append_name(struct rmq_buf *out, const char *name) {
  for (; *name != '\0'; name++)
    rmq_buf_append_char(
        out, *name == '|' || iscntrl((unsigned char)*name) ? '?' : *name);
}

static void append_object(struct rmq_buf *out, const struct rmq_sample *s) {
  const char *node = rmq_sample_label(s, "node");
  const char *queue = rmq_sample_label(s, "queue");
  const char *vhost = rmq_sample_label(s, "vhost");
  if (node != NULL) {
    rmq_buf_append_text(out, "node ");
    append_name(out, node);
    rmq_buf_append_text(out, ": ");
  }
  if (queue != NULL && vhost != NULL) {
    rmq_buf_append_text(out, "queue ");
    append_name(out, queue);
    rmq_buf_append_text(out, " in vhost ");
    append_name(out, vhost);
    rmq_buf_append_text(out, ": ");
  }
}

void rmq_verdict_append_problem(struct rmq_buf *out,
                                const struct rmq_verdict_measure *m,
                                const struct rmq_sample *s, double value) {
  append_object(out, s);
  append_says(out, m, value);
}

/* ---- performance data ---- */

/* More than six digits are noise, but what is counted stays exact. */
static double round_figure(double value) {
  char text[RMQ_NUMBER_MAX];
  if (rint(value) == value)
    return value;
  if (fabs(value) >= 1e6)
    return rint(value);
  snprintf(text, sizeof(text), "%.6g", value);
  return strtod(text, NULL);
}

void rmq_verdict_append_perf(struct rmq_buf *out, const struct rmq_verdict *v,
                             size_t row, const struct rmq_verdict_measure *m,
                             const char *object, double value) {
  char number[RMQ_NUMBER_MAX];
  size_t len = rmq_number_put_general(number, round_figure(value));
  rmq_buf_append_char(out, '\'');
  rmq_buf_append_text(out, m->name);
  for (const char *c = object; c != NULL && *c != '\0'; c++) {
    if (c == object)
      rmq_buf_append_char(out, ' ');
    rmq_buf_append_char(
        out,
        strchr("'=|", *c) != NULL || iscntrl((unsigned char)*c) ? '_' : *c);
  }
  bool is_chosen = v->chosen == (int)row;
  const char *warning = is_chosen ? v->warning_text : m->warning;
  const char *critical = is_chosen ? v->critical_text : m->critical;
  rmq_buf_appendf(out, "'=%.*s%s;%s;%s ", (int)len, number, m->uom,
                  warning != NULL ? warning : "",
                  critical != NULL ? critical : "");
}

/* ---- the line ---- */

static void say_problems(const struct rmq_verdict *v, struct rmq_buf *out) {
  size_t named = v->problems_count < RMQ_VERDICT_PROBLEMS_MAX
                     ? v->problems_count
                     : RMQ_VERDICT_PROBLEMS_MAX;
  for (size_t k = 0; k < named; k++) {
    rmq_buf_appendf(out, "%s%s", k == 0 ? "" : "; ", v->problems[k].text);
    if (v->problems[k].is_probe && v->probe_reason != NULL) {
      rmq_buf_append_text(out, " (");
      append_name(out, v->probe_reason);
      rmq_buf_append_char(out, ')');
    }
  }
  if (v->problems_count > named)
    rmq_buf_appendf(out, "; and %zu more", v->problems_count - named);
}

/* Of all queues that were looked at. */
static void say_queues(const struct rmq_verdict_tally *t, struct rmq_buf *out) {
  append_figure(out, t->sum);
  rmq_buf_appendf(out, " message%s in %zu queue%s", t->sum == 1 ? "" : "s",
                  t->seen, t->seen == 1 ? "" : "s");
  if (t->seen == 1 || !(t->worst > 0))
    return;
  rmq_buf_append_text(out, ", ");
  append_figure(out, t->worst);
  rmq_buf_append_text(out, " of them in the longest");
}

/* Some figures, where all is well: the first that are known. */
static void say_figures(const struct rmq_verdict *v,
                        const struct rmq_verdict_rows *r, struct rmq_buf *out) {
  size_t said = 0;
  for (size_t k = 0; k < r->count && said < SAID_MAX; k++) {
    const struct rmq_verdict_measure *m = &r->first[k];
    bool is_quiet = m->is_quiet && v->chosen != (int)k;
    if (m->is_fact || is_quiet || v->tallies[k].seen == 0)
      continue;
    rmq_buf_append_text(out, said == 0 ? "" : ", ");
    said++;
    if (m->plus != NULL && m->scope == RMQ_SERIES_QUEUE) {
      say_queues(&v->tallies[k], out);
      continue;
    }
    append_says(out, m, v->tallies[k].worst);
    if (m->scope == RMQ_SERIES_QUEUE)
      rmq_buf_append_text(out, " in the worst queue");
  }
  if (said == 0)
    rmq_buf_append_text(out, "nothing happened");
}

static void say_unknown(const struct rmq_verdict *v, const char *reason,
                        struct rmq_buf *out) {
  const struct rmq_verdict_measure *lacking = rmq_verdict_lacks(v);
  const char *missing = v->is_partial ? "all of it" : "it";
  rmq_buf_appendf(out, "the broker does not tell %s",
                  lacking != NULL ? lacking->name : missing);
  rmq_buf_append_text(out, reason[0] != '\0' ? ": " : "");
  append_name(out, reason);
}

static void say_perf(const struct rmq_verdict *v,
                     const struct rmq_verdict_rows *r, struct rmq_buf *out) {
  size_t before = out->len;
  rmq_buf_append_text(out, " | ");
  size_t start = out->len;
  for (size_t k = 0; k < r->count; k++)
    if (r->first[k].scope != RMQ_SERIES_NODE && !r->first[k].is_fact &&
        v->tallies[k].seen > 0)
      rmq_verdict_append_perf(out, v, k, &r->first[k], NULL,
                              v->tallies[k].worst);
  rmq_buf_append(out, rmq_buf_bytes(&v->nodes), v->nodes.len);
  /* Without the space after the last one. */
  rmq_buf_truncate(out, out->len > start ? out->len - 1 : before);
}

static void append_upper(struct rmq_buf *out, const char *word) {
  for (; *word != '\0'; word++)
    rmq_buf_append_char(out, (char)toupper((unsigned char)*word));
}

void rmq_verdict_explain(const struct rmq_verdict *v, const char *reason,
                         struct rmq_buf *out) {
  struct rmq_verdict_rows r = rmq_verdict_rows_of(v->indicator);
  if (!v->is_answered) {
    append_name(out, v->silence != NULL ? v->silence : "no answer");
  } else if (v->problems_count > 0) {
    say_problems(v, out);
  } else if (rmq_verdict_judge(v) == RMQ_VERDICT_UNKNOWN) {
    say_unknown(v, reason, out);
  } else {
    say_figures(v, &r, out);
  }
}

void rmq_verdict_head(enum rmq_verdict_indicator i, enum rmq_verdict_state s,
                      struct rmq_buf *out) {
  rmq_buf_append_text(out, "RABBITMQ ");
  append_upper(out, rmq_verdict_indicator_to_str(i));
  rmq_buf_appendf(out, " %s - ", rmq_verdict_state_to_str(s));
}

enum rmq_verdict_state rmq_verdict_say(struct rmq_verdict *v,
                                       const char *reason,
                                       struct rmq_buf *out) {
  struct rmq_verdict_rows r = rmq_verdict_rows_of(v->indicator);
  enum rmq_verdict_state state = rmq_verdict_judge(v);
  rmq_verdict_head(v->indicator, state, out);
  rmq_verdict_explain(v, reason, out);
  if (v->is_answered)
    say_perf(v, &r, out);
  return state;
}
