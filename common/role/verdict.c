/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/verdict.h"

#include "common/base/utf8.h"
#include "common/codec/number.h"
#include "common/role/verdict_measure.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODES_BYTES_MAX = 16 * 1024, SAID_MAX = 4 };

/* ---- words ---- */

static const char *const indicator_words[] = {
#define RMQ_X(name, word) word,
    RMQ_VERDICT_INDICATORS(RMQ_X)
#undef RMQ_X
};
enum {
  INDICATORS_COUNT = sizeof(indicator_words) / sizeof(indicator_words[0])
};

const char *rmq_verdict_indicator_to_str(enum rmq_verdict_indicator i) {
  switch (i) {
#define RMQ_X(name, word)                                                      \
  case RMQ_VERDICT_##name:                                                     \
    return word;
    RMQ_VERDICT_INDICATORS(RMQ_X)
#undef RMQ_X
  }
  return "unknown";
}

int rmq_verdict_indicator_from_str(const char *word,
                                   enum rmq_verdict_indicator *ret_indicator) {
  for (int i = 0; i < INDICATORS_COUNT; i++)
    if (strcmp(word, indicator_words[i]) == 0) {
      *ret_indicator = (enum rmq_verdict_indicator)i;
      return 0;
    }
  return -1;
}

bool rmq_verdict_needs_two(enum rmq_verdict_indicator i) {
  switch (i) {
  case RMQ_VERDICT_CONNECTION:
  case RMQ_VERDICT_LAG:
    return false;
  case RMQ_VERDICT_ERRORS:
  case RMQ_VERDICT_RESOURCE: /* CPU */
  case RMQ_VERDICT_THROUGHPUT:
    return true;
  }
  return false;
}

bool rmq_verdict_needs_queues(enum rmq_verdict_indicator i) {
  return i == RMQ_VERDICT_LAG;
}

bool rmq_verdict_needs_checks(enum rmq_verdict_indicator i) {
  return i == RMQ_VERDICT_CONNECTION;
}

const char *rmq_verdict_state_to_str(enum rmq_verdict_state s) {
  switch (s) {
  case RMQ_VERDICT_OK:
    return "OK";
  case RMQ_VERDICT_WARNING:
    return "WARNING";
  case RMQ_VERDICT_CRITICAL:
    return "CRITICAL";
  case RMQ_VERDICT_UNKNOWN:
    return "UNKNOWN";
  }
  return "unknown";
}

/* ---- rows of an indicator ---- */

struct rows {
  const struct rmq_verdict_measure *first;
  size_t count;
};

static struct rows rows_of(enum rmq_verdict_indicator i) {
  struct rows r = {rmq_verdict_measures_table, 0};
  for (size_t k = 0; k < rmq_verdict_measures_count; k++)
    if (rmq_verdict_measures_table[k].indicator == i) {
      if (r.count == 0)
        r.first = &rmq_verdict_measures_table[k];
      r.count++;
    }
  return r;
}

static void append_measures(const struct rows *r, struct rmq_buf *out) {
  for (size_t k = 0; k < r->count; k++)
    if (!r->first[k].is_fact)
      rmq_buf_appendf(out, "%s%s", k == 0 ? "" : ", ", r->first[k].name);
}

static int choose(const struct rows *r, enum rmq_verdict_indicator i,
                  const char *measure, struct rmq_error *err, int *ret_row) {
  struct rmq_buf names;
  for (size_t k = 0; k < r->count; k++)
    if (measure == NULL ||
        (!r->first[k].is_fact && strcmp(measure, r->first[k].name) == 0)) {
      *ret_row = (int)k;
      return 0;
    }
  rmq_buf_init(&names, 1024);
  append_measures(r, &names);
  rmq_error_set(err, "--measure: \"%s\" is nothing that %s has; allowed: %s",
                measure, rmq_verdict_indicator_to_str(i), rmq_buf_text(&names));
  rmq_buf_fini(&names);
  return -1;
}

static int parse_range(const char *option, const char *text,
                       struct rmq_range *ret_range, bool *ret_has,
                       struct rmq_error *err) {
  struct rmq_error why = {.text = ""};
  if (text == NULL)
    return 0;
  if (rmq_range_parse(text, &why, ret_range) != 0)
    return rmq_error_set(err, "%s: %s", option, why.text);
  *ret_has = true;
  return 0;
}

int rmq_verdict_init(struct rmq_verdict *v, enum rmq_verdict_indicator i,
                     const char *measure, const char *warning,
                     const char *critical, struct rmq_error *err) {
  struct rows r = rows_of(i);
  *v = (struct rmq_verdict){.indicator = i, .chosen = -1};
  if (measure != NULL && warning == NULL && critical == NULL)
    return rmq_error_set(err, "--measure: needs --warning or --critical, the "
                              "ranges that it is for");
  if (parse_range("--warning", warning, &v->warning, &v->has_warning, err) !=
          0 ||
      parse_range("--critical", critical, &v->critical, &v->has_critical,
                  err) != 0)
    return -1;
  v->warning_text = warning;
  v->critical_text = critical;
  if ((v->has_warning || v->has_critical) &&
      choose(&r, i, measure, err, &v->chosen) != 0)
    return -1;
  rmq_buf_init(&v->nodes, NODES_BYTES_MAX);
  rmq_verdict_clear(v);
  return 0;
}

void rmq_verdict_fini(struct rmq_verdict *v) { rmq_buf_fini(&v->nodes); }

void rmq_verdict_clear(struct rmq_verdict *v) {
  for (size_t k = 0; k < RMQ_VERDICT_MEASURES_MAX; k++)
    v->tallies[k] = (struct rmq_verdict_tally){0, (double)NAN, 0};
  v->problems_count = 0;
  v->first = (double)NAN;
  v->is_answered = false;
  rmq_buf_clear(&v->nodes);
}

/* ---- judging ---- */

static bool alerts(const char *range, double value) {
  struct rmq_error err = {.text = ""};
  struct rmq_range r;
  return range != NULL && rmq_range_parse(range, &err, &r) == 0 &&
         rmq_range_alerts(&r, value);
}

enum rmq_verdict_state rmq_verdict_limits(enum rmq_verdict_indicator i,
                                          const char *measure, double value) {
  struct rows r = rows_of(i);
  for (size_t k = 0; k < r.count; k++)
    if (strcmp(r.first[k].name, measure) == 0) {
      if (alerts(r.first[k].critical, value))
        return RMQ_VERDICT_CRITICAL;
      return alerts(r.first[k].warning, value) ? RMQ_VERDICT_WARNING
                                               : RMQ_VERDICT_OK;
    }
  return RMQ_VERDICT_UNKNOWN;
}

static enum rmq_verdict_state judge(const struct rmq_verdict *v, size_t row,
                                    const struct rmq_verdict_measure *m,
                                    double value) {
  bool is_chosen = v->chosen == (int)row;
  if (is_chosen ? v->has_critical && rmq_range_alerts(&v->critical, value)
                : alerts(m->critical, value))
    return RMQ_VERDICT_CRITICAL;
  if (is_chosen ? v->has_warning && rmq_range_alerts(&v->warning, value)
                : alerts(m->warning, value))
    return RMQ_VERDICT_WARNING;
  return RMQ_VERDICT_OK;
}

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

static bool is_worse(const struct rmq_verdict_problem *a,
                     const struct rmq_verdict_problem *b) {
  return a->state != b->state ? a->state > b->state : a->badness > b->badness;
}

/* The worst come first and push the least of the named ones out. */
static void keep_problem(struct rmq_verdict *v,
                         const struct rmq_verdict_problem *p) {
  size_t named = v->problems_count < RMQ_VERDICT_PROBLEMS_MAX
                     ? v->problems_count
                     : RMQ_VERDICT_PROBLEMS_MAX;
  size_t at = 0;
  while (at < named && !is_worse(p, &v->problems[at]))
    at++;
  v->problems_count++;
  if (at == RMQ_VERDICT_PROBLEMS_MAX)
    return;
  if (named == RMQ_VERDICT_PROBLEMS_MAX)
    named--;
  memmove(&v->problems[at + 1], &v->problems[at],
          (named - at) * sizeof(v->problems[0]));
  v->problems[at] = *p;
}

static void add_problem(struct rmq_verdict *v, enum rmq_verdict_state state,
                        const struct rmq_verdict_measure *m,
                        const struct rmq_sample *s, double value) {
  struct rmq_verdict_problem p = {
      .state = state, .badness = value, .is_probe = m->is_probe};
  struct rmq_buf text;
  rmq_buf_init(&text, 4096);
  append_object(&text, s);
  append_says(&text, m, value);
  const char *bytes = rmq_buf_text(&text);
  size_t len = rmq_utf8_cut(bytes, strlen(bytes), sizeof(p.text) - 1);
  memcpy(p.text, bytes, len);
  p.text[len] = '\0';
  rmq_buf_fini(&text);
  keep_problem(v, &p);
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

/* 'label'=value[UOM];[warning];[critical] */
static void append_perf(struct rmq_buf *out, const struct rmq_verdict *v,
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

/* ---- the set ---- */

static enum rmq_series_scope scope_of(const struct rmq_sample *s) {
  if (rmq_sample_label(s, "queue") != NULL)
    return RMQ_SERIES_QUEUE;
  if (rmq_sample_label(s, "vhost") != NULL)
    return RMQ_SERIES_VHOST;
  return rmq_sample_label(s, "node") != NULL ? RMQ_SERIES_NODE
                                             : RMQ_SERIES_CLUSTER;
}

static bool is_of(const struct rmq_verdict_measure *m, const char *instance,
                  const struct rmq_sample *s) {
  return strcmp(m->type, s->id.type) == 0 &&
         strcmp(instance, s->id.type_instance) == 0 && m->scope == scope_of(s);
}

static void take(struct rmq_verdict *v, size_t row,
                 const struct rmq_verdict_measure *m,
                 const struct rmq_sample *s, double value) {
  struct rmq_verdict_tally *t = &v->tallies[row];
  enum rmq_verdict_state state = judge(v, row, m, value);
  if (isnan(value))
    return;
  t->seen++;
  t->sum += value;
  if (!(t->worst >= value))
    t->worst = value;
  if (state != RMQ_VERDICT_OK)
    add_problem(v, state, m, s, value);
  if (m->scope == RMQ_SERIES_NODE && !m->is_fact)
    append_perf(&v->nodes, v, row, m, rmq_sample_label(s, "node"), value);
}

void rmq_verdict_see(struct rmq_verdict *v, const struct rmq_sample *sample) {
  struct rows r = rows_of(v->indicator);
  if (sample->values_count != 1)
    return;
  double value = rmq_datum_number(&sample->values[0]);
  if (strcmp(sample->id.type, "bool") == 0 &&
      strcmp(sample->id.type_instance, "reachable") == 0)
    v->is_answered = value > 0;
  for (size_t k = 0; k < r.count; k++) {
    const struct rmq_verdict_measure *m = &r.first[k];
    if (m->plus == NULL && is_of(m, m->type_instance, sample)) {
      take(v, k, m, sample, value);
    } else if (m->plus != NULL && is_of(m, m->type_instance, sample)) {
      v->first = value;
    } else if (m->plus != NULL && is_of(m, m->plus, sample)) {
      take(v, k, m, sample,
           m->is_disk ? rmq_verdict_disk(v->first, value) : v->first + value);
      v->first = (double)NAN;
    }
  }
}

static bool is_one_of(const char *const *events, const char *event) {
  for (; *events != NULL; events++)
    if (strcmp(*events, event) == 0)
      return true;
  return false;
}

bool rmq_verdict_is_part(enum rmq_verdict_indicator i, const char *event) {
  static const char *const of_queues[] = {"queues_missing", "too_many_queues",
                                          "detail_level", NULL};
  static const char *const of_checks[] = {
      "connections_missing", "quorum_missing", "certificates_missing",
      "url_silent", NULL};
  /* Of a node that says nothing nobody tells queues, counters or sizes. */
  if (strcmp(event, "metrics_missing") == 0)
    return true;
  if (rmq_verdict_needs_queues(i))
    return is_one_of(of_queues, event);
  return strcmp(event, "nodes_missing") == 0 ||
         (rmq_verdict_needs_checks(i) && is_one_of(of_checks, event));
}

void rmq_verdict_hear(struct rmq_verdict *v, const char *event) {
  v->is_partial |= rmq_verdict_is_part(v->indicator, event);
}

/* ---- the line ---- */

static bool is_needed(const struct rmq_verdict *v,
                      const struct rmq_verdict_measure *m) {
  return m->is_needed || (m->is_probe && v->is_probed);
}

enum rmq_verdict_state rmq_verdict_judge(const struct rmq_verdict *v) {
  struct rows r = rows_of(v->indicator);
  size_t seen = 0;
  if (!v->is_answered)
    return RMQ_VERDICT_CRITICAL;
  if (v->problems_count > 0)
    return v->problems[0].state;
  for (size_t k = 0; k < r.count; k++) {
    seen += v->tallies[k].seen;
    if (is_needed(v, &r.first[k]) && v->tallies[k].seen == 0)
      return RMQ_VERDICT_UNKNOWN;
  }
  if (seen == 0 || v->is_partial ||
      (v->chosen >= 0 && v->tallies[v->chosen].seen == 0))
    return RMQ_VERDICT_UNKNOWN;
  return RMQ_VERDICT_OK;
}

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
static void say_figures(const struct rmq_verdict *v, const struct rows *r,
                        struct rmq_buf *out) {
  size_t said = 0;
  for (size_t k = 0; k < r->count && said < SAID_MAX; k++) {
    const struct rmq_verdict_measure *m = &r->first[k];
    bool is_quiet = m->is_quiet && v->chosen != (int)k;
    if (m->is_fact || is_quiet || v->tallies[k].seen == 0)
      continue;
    rmq_buf_append_text(out, said == 0 ? "" : ", ");
    said++;
    if (m->is_needed && m->scope == RMQ_SERIES_QUEUE) {
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

static void say_unknown(const struct rmq_verdict *v, const struct rows *r,
                        const char *reason, struct rmq_buf *out) {
  const char *missing = v->is_partial ? "all of it" : "it";
  for (size_t k = 0; k < r->count; k++)
    if (v->tallies[k].seen == 0 &&
        (v->chosen >= 0 ? v->chosen == (int)k : is_needed(v, &r->first[k])))
      missing = r->first[k].name;
  rmq_buf_appendf(out, "the broker does not tell %s", missing);
  rmq_buf_append_text(out, reason[0] != '\0' ? ": " : "");
  append_name(out, reason);
}

static void say_perf(const struct rmq_verdict *v, const struct rows *r,
                     struct rmq_buf *out) {
  size_t before = out->len;
  rmq_buf_append_text(out, " | ");
  size_t start = out->len;
  for (size_t k = 0; k < r->count; k++)
    if (r->first[k].scope != RMQ_SERIES_NODE && !r->first[k].is_fact &&
        v->tallies[k].seen > 0)
      append_perf(out, v, k, &r->first[k], NULL, v->tallies[k].worst);
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
  struct rows r = rows_of(v->indicator);
  if (!v->is_answered) {
    append_name(out, v->silence != NULL ? v->silence : "no answer");
  } else if (v->problems_count > 0) {
    say_problems(v, out);
  } else if (rmq_verdict_judge(v) == RMQ_VERDICT_UNKNOWN) {
    say_unknown(v, &r, reason, out);
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
  struct rows r = rows_of(v->indicator);
  enum rmq_verdict_state state = rmq_verdict_judge(v);
  rmq_verdict_head(v->indicator, state, out);
  rmq_verdict_explain(v, reason, out);
  if (v->is_answered)
    say_perf(v, &r, out);
  return state;
}
