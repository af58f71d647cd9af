/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/status.h"

#include "common/base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rmq_status {
  struct rmq_status_report report;
  struct rmq_verdict verdicts[RMQ_STATUS_INDICATORS];
  size_t top;
  char silence[RMQ_STATUS_TEXT_SIZE]; /* of this look; "" = not known */
  struct rmq_status_queue queue;      /* that is being read */
  bool has_queue;
  double figures[RMQ_STATUS_INDICATORS];
};

static void copy_text(char *to, size_t size, const char *from) {
  size_t len = rmq_utf8_cut(from, strlen(from), size - 1);
  memcpy(to, from, len);
  to[len] = '\0';
}

struct rmq_status *rmq_status_new(const char *cluster, size_t top) {
  struct rmq_status *s = calloc(1, sizeof(*s));
  struct rmq_error err = {.text = ""};
  if (s == NULL)
    return NULL;
  for (int i = 0; i < RMQ_STATUS_INDICATORS; i++) {
    enum rmq_verdict_indicator indicator = (enum rmq_verdict_indicator)i;
    rmq_verdict_init(&s->verdicts[i], indicator, NULL, NULL, NULL, &err);
    s->report.indicators[i].indicator = indicator;
    s->report.indicators[i].state = RMQ_VERDICT_UNKNOWN;
  }
  s->top = top < RMQ_STATUS_QUEUES_MAX ? top : RMQ_STATUS_QUEUES_MAX;
  s->report.state = RMQ_VERDICT_UNKNOWN;
  copy_text(s->report.cluster, sizeof(s->report.cluster), cluster);
  return s;
}

void rmq_status_free(struct rmq_status *s) {
  if (s == NULL)
    return;
  for (int i = 0; i < RMQ_STATUS_INDICATORS; i++)
    rmq_verdict_fini(&s->verdicts[i]);
  free(s);
}

void rmq_status_expect_probe(struct rmq_status *s) {
  s->verdicts[RMQ_VERDICT_CONNECTION].is_probed = true;
}

const struct rmq_status_report *rmq_status_get(const struct rmq_status *s) {
  return &s->report;
}

/* ---- the look ---- */

void rmq_status_begin(struct rmq_status *s) {
  struct rmq_status_report *r = &s->report;
  r->queues_count = r->queues_seen = 0;
  r->queues_filled = r->queues_abandoned = 0;
  r->nodes_count = 0;
  r->is_answered = false;
  s->has_queue = false;
  s->silence[0] = '\0';
  for (int i = 0; i < RMQ_STATUS_INDICATORS; i++) {
    rmq_verdict_clear(&s->verdicts[i]);
    s->verdicts[i].is_partial = false;
    s->figures[i] = (double)NAN;
  }
}

static void drop_note(struct rmq_status_report *r, const char *event) {
  for (size_t i = 0; i < r->notes_count; i++)
    if (strcmp(r->notes[i].event, event) == 0) {
      r->notes_count--;
      memmove(&r->notes[i], &r->notes[i + 1],
              (r->notes_count - i) * sizeof(r->notes[0]));
      return;
    }
}

/* What is over with that event. */
static void drop_notes(struct rmq_status_report *r, const char *event) {
  static const struct {
    const char *event, *ended;
  } endings[] = {
      {"connected", "connect_failed"},  {"connected", "login_refused"},
      {"connected", "connection_lost"}, {"connected", "blocked"},
      {"connected", "channel_closed"},  {"unblocked", "blocked"}};
  for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
    if (strcmp(event, endings[i].event) == 0)
      drop_note(r, endings[i].ended);
  drop_note(r, event);
}

void rmq_status_hear(struct rmq_status *s,
                     const struct rmq_log_record *record) {
  struct rmq_status_report *r = &s->report;
  if (record->event == NULL || record->message == NULL)
    return;
  /* Of one look; a lower level that lasts is told by its series. */
  if (strcmp(record->event, "detail_level") == 0)
    rmq_verdict_hear(&s->verdicts[RMQ_VERDICT_LAG], record->event);
  /* The text of the connection says it, look by look. */
  if (strcmp(record->event, "refused") == 0 ||
      strcmp(record->event, "unreachable") == 0)
    return;
  drop_notes(r, record->event);
  if (record->level > RMQ_LOG_WARNING || r->notes_count == RMQ_STATUS_NOTES_MAX)
    return;
  struct rmq_status_note *note = &r->notes[r->notes_count++];
  copy_text(note->event, sizeof(note->event), record->event);
  copy_text(note->text, sizeof(note->text), record->message);
}

/* ---- queues ---- */

bool rmq_status_is_abandoned(const struct rmq_status_queue *q) {
  return q->ready > 0 && q->consumers == 0;
}

static double messages_of(const struct rmq_status_queue *q) {
  return (isnan(q->ready) ? 0 : q->ready) +
         (isnan(q->unacked) ? 0 : q->unacked);
}

/* Over a limit, then without a consumer, then the longest. */
static bool is_worse(const struct rmq_status_queue *a,
                     const struct rmq_status_queue *b) {
  double messages_a = messages_of(a), messages_b = messages_of(b);
  if (a->state != b->state)
    return a->state > b->state;
  if (rmq_status_is_abandoned(a) != rmq_status_is_abandoned(b))
    return rmq_status_is_abandoned(a);
  if (messages_a > messages_b || messages_a < messages_b)
    return messages_a > messages_b;
  int by_vhost = strcmp(a->vhost, b->vhost);
  return by_vhost != 0 ? by_vhost < 0 : strcmp(a->name, b->name) < 0;
}

static void keep_queue(struct rmq_status *s, const struct rmq_status_queue *q) {
  struct rmq_status_report *r = &s->report;
  size_t at = 0;
  while (at < r->queues_count && !is_worse(q, &r->queues[at]))
    at++;
  if (at == s->top)
    return;
  if (r->queues_count == s->top)
    r->queues_count--;
  memmove(&r->queues[at + 1], &r->queues[at],
          (r->queues_count - at) * sizeof(r->queues[0]));
  r->queues[at] = *q;
  r->queues_count++;
}

static void finish_queue(struct rmq_status *s) {
  struct rmq_status_queue *q = &s->queue;
  if (!s->has_queue)
    return;
  s->has_queue = false;
  s->report.queues_seen++;
  if (messages_of(q) <= 0)
    return;
  s->report.queues_filled++;
  s->report.queues_abandoned += rmq_status_is_abandoned(q);
  q->state = rmq_status_worse(
      rmq_verdict_limits(RMQ_VERDICT_LAG, "queue_backlog", messages_of(q)),
      rmq_verdict_limits(RMQ_VERDICT_LAG, "head_age", q->head_age));
  keep_queue(s, q);
}

/* Samples of one queue come one after the other. */
static void choose_queue(struct rmq_status *s, const char *vhost,
                         const char *name) {
  struct rmq_status_queue *q = &s->queue;
  if (s->has_queue && strcmp(q->name, name) == 0 &&
      strcmp(q->vhost, vhost) == 0)
    return;
  finish_queue(s);
  *q = (struct rmq_status_queue){.state = RMQ_VERDICT_OK};
  q->ready = q->unacked = q->consumers = q->growth = q->drain = q->head_age =
      (double)NAN;
  copy_text(q->vhost, sizeof(q->vhost), vhost);
  copy_text(q->name, sizeof(q->name), name);
  s->has_queue = true;
}

/* ---- where a sample belongs ---- */

struct place {
  const char *type, *type_instance;
  size_t offset;
};

static const struct place queue_places[] = {
#define PLACE(type, instance, field)                                           \
  { type, instance, offsetof(struct rmq_status_queue, field) }
    PLACE("queue_length", "ready", ready),
    PLACE("queue_length", "unacked", unacked),
    PLACE("gauge", "consumers", consumers),
    PLACE("gauge", "growth", growth),
    PLACE("duration", "drain", drain),
    PLACE("duration", "head_age", head_age),
    {NULL, NULL, 0}
#undef PLACE
};

static const struct place node_places[] = {
#define PLACE(type, instance, field)                                           \
  { type, instance, offsetof(struct rmq_status_node, field) }
    PLACE("bool", "running", running),
    PLACE("bool", "memory_alarm", memory_alarm),
    PLACE("bool", "disk_alarm", disk_alarm),
    PLACE("percent", "memory", memory),
    PLACE("bytes", "memory_limit", memory_limit),
    PLACE("bytes", "disk_free", disk_free),
    PLACE("bytes", "disk_limit", disk_limit),
    PLACE("percent", "file_handles", file_handles),
    PLACE("percent", "processes", processes),
    PLACE("percent", "cpu", cpu),
    {NULL, NULL, 0}
#undef PLACE
};

static bool is_named(const struct rmq_sample *s, const char *type,
                     const char *type_instance) {
  return strcmp(s->id.type, type) == 0 &&
         strcmp(s->id.type_instance, type_instance) == 0;
}

static void put(const struct place *places, void *row,
                const struct rmq_sample *sample, double value) {
  for (const struct place *p = places; p->type != NULL; p++)
    if (is_named(sample, p->type, p->type_instance))
      memcpy((char *)row + p->offset, &value, sizeof(value));
}

static struct rmq_status_node *get_node(struct rmq_status *s,
                                        const char *name) {
  struct rmq_status_report *r = &s->report;
  struct rmq_status_node *n = &r->nodes[r->nodes_count];
  if (r->nodes_count > 0 && strcmp(n[-1].name, name) == 0)
    return n - 1;
  if (r->nodes_count == RMQ_STATUS_NODES_MAX)
    return NULL;
  n->running = n->memory_alarm = n->disk_alarm = n->memory = n->memory_limit =
      n->disk_free = n->disk_limit = n->file_handles = n->processes = n->cpu =
          (double)NAN;
  copy_text(n->name, sizeof(n->name), name);
  r->nodes_count++;
  return n;
}

/* ---- the figure of each indicator ---- */

static void see_cluster(struct rmq_status *s, const struct rmq_sample *sample,
                        double value) {
  static const struct {
    enum rmq_verdict_indicator indicator;
    const char *type, *type_instance;
    bool is_sum;
  } figures[] = {{RMQ_VERDICT_CONNECTION, "response_time", "management", false},
                 {RMQ_VERDICT_LAG, "queue_length", "ready", true},
                 {RMQ_VERDICT_LAG, "queue_length", "unacked", true},
                 {RMQ_VERDICT_ERRORS, "percent", "error_rate", false},
                 {RMQ_VERDICT_THROUGHPUT, "gauge", "publish_rate", false}};
  if (is_named(sample, "bool", "reachable"))
    s->report.is_answered = value > 0;
  for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
    double *figure = &s->figures[figures[i].indicator];
    if (!is_named(sample, figures[i].type, figures[i].type_instance))
      continue;
    *figure = figures[i].is_sum && !isnan(*figure) ? *figure + value : value;
  }
}

static void see_node(struct rmq_status *s, const struct rmq_sample *sample,
                     const char *name, double value) {
  double *figure = &s->figures[RMQ_VERDICT_RESOURCE];
  struct rmq_status_node *n = get_node(s, name);
  if (n != NULL)
    put(node_places, n, sample, value);
  if (is_named(sample, "percent", "memory") && !(*figure >= value))
    *figure = value;
}

void rmq_status_see(struct rmq_status *s, const struct rmq_sample *sample) {
  const char *queue = rmq_sample_label(sample, "queue");
  const char *vhost = rmq_sample_label(sample, "vhost");
  const char *node = rmq_sample_label(sample, "node");
  if (sample->values_count != 1)
    return;
  double value = rmq_datum_number(&sample->values[0]);
  for (int i = 0; i < RMQ_STATUS_INDICATORS; i++)
    rmq_verdict_see(&s->verdicts[i], sample);
  if (queue != NULL && vhost != NULL) {
    choose_queue(s, vhost, queue);
    put(queue_places, &s->queue, sample, value);
  } else if (node != NULL) {
    see_node(s, sample, node, value);
  } else if (vhost == NULL) {
    see_cluster(s, sample, value);
  }
}

/* ---- the end of a look ---- */

enum rmq_verdict_state rmq_status_worse(enum rmq_verdict_state a,
                                        enum rmq_verdict_state b) {
  static const int ranks[] = {[RMQ_VERDICT_OK] = 0,
                              [RMQ_VERDICT_UNKNOWN] = 1,
                              [RMQ_VERDICT_WARNING] = 2,
                              [RMQ_VERDICT_CRITICAL] = 3};
  return ranks[a] >= ranks[b] ? a : b;
}

static void remember(struct rmq_status_indicator *x, double figure) {
  if (x->history_count == RMQ_STATUS_HISTORY_MAX) {
    x->history_count--;
    memmove(x->history, x->history + 1,
            x->history_count * sizeof(x->history[0]));
  }
  x->history[x->history_count++] = figure;
}

/* Why there was not the whole of the answer; "" = nothing was said. A
 * part that is missing for longer than a look was said to the log once. */
static const char *find_reason(const struct rmq_status *s,
                               enum rmq_verdict_indicator indicator) {
  const char *reason = NULL;
  for (size_t i = 0; reason == NULL && i < s->report.notes_count; i++)
    if (rmq_verdict_is_part(indicator, s->report.notes[i].event))
      reason = s->report.notes[i].text;
  return reason != NULL ? reason : "";
}

/* The same, or which line has it already: one cause may lack for several. */
static const char *say_reason(const struct rmq_status *s,
                              enum rmq_verdict_indicator indicator,
                              char ret_text[RMQ_STATUS_NAME_SIZE]) {
  const char *reason = find_reason(s, indicator);
  for (int i = 0; i < (int)indicator && reason[0] != '\0'; i++) {
    const struct rmq_status_indicator *x = &s->report.indicators[i];
    if (strstr(x->text, reason) == NULL)
      continue;
    snprintf(ret_text, RMQ_STATUS_NAME_SIZE, "see %s",
             rmq_verdict_indicator_to_str(x->indicator));
    return ret_text;
  }
  return reason;
}

/* What no verdict knows: that there is nothing to compare with yet, and that
 * four of five are not known of a cluster that does not answer. */
static enum rmq_verdict_state judge(const struct rmq_status *s,
                                    enum rmq_verdict_indicator i,
                                    struct rmq_buf *text) {
  const struct rmq_verdict *v = &s->verdicts[i];
  enum rmq_verdict_state state = rmq_verdict_judge(v);
  if (!s->report.is_answered && i != RMQ_VERDICT_CONNECTION) {
    rmq_buf_append_text(text, "not known: see connection");
    return RMQ_VERDICT_UNKNOWN;
  }
  if (s->report.looks == 1 && v->problems_count == 0 &&
      (i == RMQ_VERDICT_ERRORS || i == RMQ_VERDICT_THROUGHPUT)) {
    rmq_buf_append_text(text, "not known before the second look");
    return RMQ_VERDICT_UNKNOWN;
  }
  char where[RMQ_STATUS_NAME_SIZE];
  rmq_verdict_explain(v, say_reason(s, i, where), text);
  return state;
}

static void end_indicator(struct rmq_status *s, enum rmq_verdict_indicator i) {
  struct rmq_status_indicator *x = &s->report.indicators[i];
  struct rmq_buf text;
  rmq_buf_init(&text, 16 * 1024);
  for (size_t k = 0; k < s->report.notes_count; k++)
    rmq_verdict_hear(&s->verdicts[i], s->report.notes[k].event);
  s->verdicts[i].silence = s->silence[0] != '\0' ? s->silence : NULL;
  enum rmq_verdict_state state = judge(s, i, &text);
  if (s->report.looks == 1 || state != x->state) {
    x->since = s->report.time;
    x->is_older = s->report.looks == 1 || x->state == RMQ_VERDICT_UNKNOWN;
  }
  x->state = state;
  copy_text(x->text, sizeof(x->text), rmq_buf_text(&text));
  remember(x, s->figures[i]);
  s->report.state = rmq_status_worse(s->report.state, state);
  rmq_buf_fini(&text);
}

void rmq_status_fall_silent(struct rmq_status *s, const char *why) {
  copy_text(s->silence, sizeof(s->silence), why);
}

void rmq_status_end(struct rmq_status *s, struct rmq_wall now) {
  finish_queue(s);
  s->report.time = now;
  s->report.looks++;
  s->report.state = RMQ_VERDICT_OK;
  for (int i = 0; i < RMQ_STATUS_INDICATORS; i++)
    end_indicator(s, (enum rmq_verdict_indicator)i);
}
