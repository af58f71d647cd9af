/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/verdict_private.h"

#include "common/base/utf8.h"

#include <math.h>
#include <string.h>

enum { NODES_BYTES_MAX = 16 * 1024 };

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

/* ---- what the user wants ---- */

static void append_measures(const struct rmq_verdict_rows *r,
                            struct rmq_buf *out) {
  for (size_t k = 0; k < r->count; k++)
    if (!r->first[k].is_fact)
      rmq_buf_appendf(out, "%s%s", k == 0 ? "" : ", ", r->first[k].name);
}

static int choose(const struct rmq_verdict_rows *r,
                  enum rmq_verdict_indicator i, const char *measure,
                  struct rmq_error *err, int *ret_row) {
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
  struct rmq_verdict_rows r = rmq_verdict_rows_of(i);
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
  struct rmq_verdict_rows r = rmq_verdict_rows_of(i);
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
  rmq_verdict_append_problem(&text, m, s, value);
  const char *bytes = rmq_buf_text(&text);
  size_t len = rmq_utf8_cut(bytes, strlen(bytes), sizeof(p.text) - 1);
  memcpy(p.text, bytes, len);
  p.text[len] = '\0';
  rmq_buf_fini(&text);
  keep_problem(v, &p);
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
    rmq_verdict_append_perf(&v->nodes, v, row, m, rmq_sample_label(s, "node"),
                            value);
}

void rmq_verdict_see(struct rmq_verdict *v, const struct rmq_sample *sample) {
  struct rmq_verdict_rows r = rmq_verdict_rows_of(v->indicator);
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
                                          "streams_missing", "detail_level",
                                          NULL};
  static const char *const of_checks[] = {
      "connections_missing",  "quorum_missing", "health_missing",
      "certificates_missing", "url_silent",     NULL};
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

const struct rmq_verdict_measure *
rmq_verdict_lacks(const struct rmq_verdict *v) {
  struct rmq_verdict_rows r = rmq_verdict_rows_of(v->indicator);
  const struct rmq_verdict_measure *first = NULL;
  bool is_decided = false;
  if (v->chosen >= 0 && v->tallies[v->chosen].seen == 0)
    return r.first + v->chosen;
  for (size_t k = 0; k < r.count; k++) {
    const struct rmq_verdict_measure *m = r.first + k;
    bool is_seen = v->tallies[k].seen > 0;
    if (m->is_probe && v->is_probed && !is_seen)
      return m;
    is_decided |= m->is_needed && is_seen;
    if (m->is_needed && first == NULL)
      first = m;
  }
  return is_decided ? NULL : first;
}

enum rmq_verdict_state rmq_verdict_judge(const struct rmq_verdict *v) {
  struct rmq_verdict_rows r = rmq_verdict_rows_of(v->indicator);
  size_t seen = 0;
  if (!v->is_answered)
    return RMQ_VERDICT_CRITICAL;
  if (v->problems_count > 0)
    return v->problems[0].state;
  for (size_t k = 0; k < r.count; k++)
    seen += v->tallies[k].seen;
  if (seen == 0 || v->is_partial || rmq_verdict_lacks(v) != NULL)
    return RMQ_VERDICT_UNKNOWN;
  return RMQ_VERDICT_OK;
}
