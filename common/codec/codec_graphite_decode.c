/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/codec_graphite_decode.h"

#include "common/codec/graphite_template.h"
#include "common/codec/number.h"
#include "common/codec/samples.h"

#include <stdlib.h>
#include <string.h>

/* A value list, of which the first filled values have been read. */
struct list {
  struct rmq_sample sample;
  struct rmq_datum values[RMQ_SAMPLE_VALUES_MAX];
  size_t filled, first_line;
};

struct decoding {
  const struct rmq_codec_input *in;
  struct rmq_graphite_template pattern;
  struct rmq_samples *set;
  struct list open; /* filled is 0: there is none */
  struct list fresh;
};

/* What one line says. */
struct point {
  char *path, *value;
  struct rmq_wall time;
  const char *ds;
};

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/* The next word of the line, or NULL. */
static char *next_word(char **at) {
  char *word = *at;
  while (is_blank(*word))
    word++;
  if (*word == '\0')
    return NULL;
  char *end = word;
  while (*end != '\0' && !is_blank(*end))
    end++;
  *at = *end == '\0' ? end : end + 1;
  *end = '\0';
  return word;
}

static int split_line(char *line, struct point *ret_point,
                      struct rmq_error *err) {
  ret_point->path = next_word(&line);
  ret_point->value = next_word(&line);
  const char *time = next_word(&line);
  if (time == NULL || next_word(&line) != NULL)
    return rmq_error_set(err, "not \"path value seconds\"");
  if (rmq_number_get_seconds(time, strlen(time), &ret_point->time.ns) != 0 ||
      ret_point->time.ns < RMQ_NS_PER_MS)
    return rmq_error_set(err, "time \"%.60s\" is not seconds since 1970", time);
  return 0;
}

static int get_value(const char *text, struct rmq_datum *d) {
  size_t len = strlen(text);
  switch (d->kind) {
  case RMQ_GAUGE:
    return rmq_number_get_gauge(text, len, &d->value.gauge);
  case RMQ_DERIVE:
    return rmq_number_get_i64(text, len, &d->value.derive);
  case RMQ_COUNTER:
    return rmq_number_get_u64(text, len, &d->value.counter);
  case RMQ_ABSOLUTE:
    return rmq_number_get_u64(text, len, &d->value.absolute);
  }
  return -1;
}

static int read_value(const char *text, struct rmq_datum *d,
                      struct rmq_error *err) {
  double number = 0;
  if (get_value(text, d) == 0)
    return 0;
  return rmq_error_set(
      err, "\"%.60s\" is not a value of kind %s%s", text,
      rmq_kind_to_str(d->kind),
      d->kind != RMQ_GAUGE &&
              rmq_number_get_double(text, strlen(text), &number) == 0
          ? " (does the sender have StoreRates on?)"
          : "");
}

static bool is_same_list(const struct rmq_sample *a,
                         const struct rmq_identity *id, struct rmq_wall time) {
  return a->time.ns == time.ns && strcmp(a->id.host, id->host) == 0 &&
         strcmp(a->id.plugin, id->plugin) == 0 &&
         strcmp(a->id.plugin_instance, id->plugin_instance) == 0 &&
         strcmp(a->id.type, id->type) == 0 &&
         strcmp(a->id.type_instance, id->type_instance) == 0;
}

/* The list that ended before it had all its values is a bad record. -1: the
 * message has to be given up. */
static int refuse_open(struct decoding *d, struct rmq_error *err) {
  struct rmq_error why = {""};
  if (d->open.filled == 0)
    return 0;
  rmq_error_set(&why, "type \"%s\" has %zu values, %zu are given",
                d->open.sample.id.type, d->open.sample.values_count,
                d->open.filled);
  size_t number = d->open.first_line;
  d->open.filled = 0;
  return rmq_samples_refuse(d->set, "line", number, &why, err);
}

static int begin_list(struct decoding *d, const struct rmq_identity *id,
                      struct rmq_wall time, struct rmq_error *err) {
  struct list *l = &d->fresh;
  l->sample = (struct rmq_sample){.id = *id, .time = time};
  l->filled = 0;
  if (rmq_samples_check_identity(id, false, err) != 0)
    return -1;
  return rmq_samples_find_type(d->set, d->in->types, id->type, l->values,
                               &l->sample.values_count, err);
}

/* p is the next value of l. */
static int fill(struct list *l, const struct point *p, struct rmq_error *err) {
  struct rmq_datum *to = &l->values[l->filled];
  if (p->ds == NULL ? l->sample.values_count != 1
                    : strcmp(p->ds, to->name) != 0)
    return rmq_error_set(err,
                         "type \"%s\" has %zu values, the next is \"%s\" and "
                         "\"%.60s\" is given",
                         l->sample.id.type, l->sample.values_count, to->name,
                         p->ds == NULL ? "" : p->ds);
  if (read_value(p->value, to, err) != 0)
    return -1;
  l->filled++;
  return 0;
}

/* Pushes a complete list; an incomplete one waits for the next line. */
static int keep(struct decoding *d, const struct list *l,
                struct rmq_error *err) {
  if (l->filled < l->sample.values_count) {
    if (l != &d->open)
      d->open = *l;
    return 0;
  }
  struct rmq_sample s = l->sample;
  s.values = l->values;
  d->open.filled = 0;
  return rmq_samples_push(d->set, &s, false, err);
}

/* The next value of the open list, or the first of another one. */
static int add_point(struct decoding *d, struct list *l, const struct point *p,
                     struct rmq_error *err) {
  if (fill(l, p, err) == 0)
    return keep(d, l, err);
  l->filled = 0;
  return -1;
}

/* why: the line is bad; -1: the message has to be given up. */
static int read_line(struct decoding *d, char *line, size_t number,
                     struct rmq_error *why, struct rmq_error *err) {
  struct point p = {.ds = NULL};
  struct rmq_identity id;
  if (line[strspn(line, " \t\r")] == '\0')
    return 0;
  bool is_point =
      split_line(line, &p, why) == 0 &&
      rmq_graphite_template_apply(&d->pattern, p.path, &id, &p.ds, why) == 0;
  if (is_point && d->open.filled > 0 &&
      is_same_list(&d->open.sample, &id, p.time)) {
    add_point(d, &d->open, &p, why);
    return 0;
  }
  if (refuse_open(d, err) != 0)
    return -1;
  d->fresh.first_line = number;
  if (is_point && begin_list(d, &id, p.time, why) == 0)
    add_point(d, &d->fresh, &p, why);
  return 0;
}

static int read_lines(struct decoding *d, char *text, size_t len,
                      struct rmq_error *err) {
  char *end = text + len;
  for (size_t number = 1; text < end; number++) {
    struct rmq_error why = {""};
    char *newline = memchr(text, '\n', (size_t)(end - text));
    char *line_end = newline == NULL ? end : newline;
    *line_end = '\0';
    if (read_line(d, text, number, &why, err) != 0 ||
        (rmq_error_is_set(&why) &&
         rmq_samples_refuse(d->set, "line", number, &why, err) != 0))
      return -1;
    text = line_end + 1;
  }
  if (refuse_open(d, err) != 0)
    return -1;
  return rmq_samples_hand_over(d->set, "no line in the message", err);
}

static int read_message(const struct rmq_codec_input *in, char *text,
                        struct rmq_samples *set, struct rmq_error *err) {
  if (memchr(text, '\0', in->len) != NULL)
    return rmq_error_set(err, "the message has a NUL byte");
  struct decoding *d = calloc(1, sizeof(*d));
  if (d == NULL)
    return rmq_samples_no_memory(err);
  d->in = in;
  d->set = set;
  int rc = 0;
  if (in->graphite != NULL)
    d->pattern = *in->graphite;
  else
    rc = rmq_graphite_template_parse(RMQ_GRAPHITE_TEMPLATE_DEFAULT, &d->pattern,
                                     err);
  if (rc == 0)
    rc = read_lines(d, text, in->len, err);
  free(d);
  return rc;
}

int rmq_codec_graphite_decode(const struct rmq_codec_input *in,
                              const struct rmq_codec_sink *sink,
                              struct rmq_error *err) {
  return rmq_samples_read(in, sink, read_message, err);
}
