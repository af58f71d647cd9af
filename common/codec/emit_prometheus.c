/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/emit_prometheus.h"

#include "common/base/utf8.h"
#include "common/codec/number.h"

#include <stdlib.h>
#include <string.h>

enum {
  PROM_NAME_BYTES = 512,
  PROM_HELP_BYTES = 8 * 1024,
  PROM_LABELS_BYTES = 16 * 1024,
  PROM_FAMILY_BYTES = 512 * 1024 * 1024
};

/* All rows of the table that share a name; they differ in their labels. */
struct family {
  const char *type;
  enum rmq_kind kind;
  struct rmq_buf type_instance, name, help;
  struct rmq_buf lines; /* of the set that is being made */
};

/* The labels are those of its last event; the key is the same but for what may
 * change from one to the next. */
struct alert {
  char *key, *labels;
  enum rmq_severity severity;
};

struct rmq_emit_prometheus {
  struct rmq_buf alert_name;
  struct family *families;
  size_t families_count;
  size_t next; /* the family that the next sample is likely of */
  struct alert alerts[RMQ_EMIT_ALERTS_MAX];
  size_t alerts_count;
  size_t unsayable_count;
};

/* ---- families ---- */

static bool is_of(struct family *f, const char *type,
                  const char *type_instance) {
  return strcmp(f->type, type) == 0 &&
         strcmp(rmq_buf_text(&f->type_instance), type_instance) == 0;
}

static struct family *find(struct rmq_emit_prometheus *p, const char *type,
                           const char *type_instance) {
  for (size_t i = 0; i < p->families_count; i++) {
    size_t at = (p->next + i) % p->families_count;
    if (is_of(&p->families[at], type, type_instance)) {
      p->next = at + 1;
      return &p->families[at];
    }
  }
  return NULL;
}

/* In HELP a backslash and a newline have a backslash before them. */
static void append_help(struct rmq_buf *out, const char *text) {
  for (; *text != '\0'; text++) {
    if (*text == '\\' || *text == '\n')
      rmq_buf_append_char(out, '\\');
    rmq_buf_append_char(out, *text == '\n' ? 'n' : *text);
  }
}

/* Of several rows each says what it is about. */
static int add_help(struct family *f, const struct rmq_series *row,
                    bool is_alone) {
  if (f->help.len > 0)
    rmq_buf_append_text(&f->help, "; ");
  if (!is_alone)
    rmq_buf_appendf(&f->help, "of a %s: ", rmq_series_scope_to_str(row->scope));
  append_help(&f->help, row->help);
  if (strcmp(row->unit, "1") != 0)
    rmq_buf_appendf(&f->help, " (%s)", row->unit);
  return f->help.failed ? -1 : 0;
}

static bool is_alone(const struct rmq_series *table,
                     const struct rmq_series *row) {
  const char *name = row->type_instance == NULL ? "" : row->type_instance;
  for (const struct rmq_series *r = table; r->type != NULL; r++)
    if (r != row && strcmp(r->type, row->type) == 0 &&
        strcmp(r->type_instance == NULL ? "" : r->type_instance, name) == 0)
      return false;
  return true;
}

static void family_init(struct family *f, const struct rmq_series *row) {
  *f = (struct family){.type = row->type, .kind = row->kind};
  rmq_buf_init(&f->type_instance, PROM_NAME_BYTES);
  rmq_buf_init(&f->name, PROM_NAME_BYTES);
  rmq_buf_init(&f->help, PROM_HELP_BYTES);
  rmq_buf_init(&f->lines, PROM_FAMILY_BYTES);
}

static void family_fini(struct family *f) {
  rmq_buf_fini(&f->type_instance);
  rmq_buf_fini(&f->name);
  rmq_buf_fini(&f->help);
  rmq_buf_fini(&f->lines);
}

/* A row with one of its causes. */
static int add_name(struct rmq_emit_prometheus *p, const char *plugin,
                    const struct rmq_series *table,
                    const struct rmq_series *row, const char *cause) {
  struct family *f = &p->families[p->families_count];
  family_init(f, row);
  int rc = rmq_series_type_instance(row, cause, &f->type_instance);
  struct family *same =
      rc == 0 ? find(p, row->type, rmq_buf_text(&f->type_instance)) : NULL;
  if (rc != 0 || same != NULL) {
    family_fini(f);
    return rc == 0 ? add_help(same, row, false) : -1;
  }
  p->families_count++;
  return rmq_series_prometheus(plugin, row, cause, &f->name) == 0
             ? add_help(f, row, is_alone(table, row))
             : -1;
}

static int add_families(struct rmq_emit_prometheus *p, const char *plugin,
                        const struct rmq_series *table) {
  size_t count = 0;
  for (const struct rmq_series *row = table; row->type != NULL; row++)
    count += rmq_series_names_count(row);
  p->families = calloc(count + 1, sizeof(*p->families));
  if (p->families == NULL)
    return -1;
  for (const struct rmq_series *row = table; row->type != NULL; row++)
    for (size_t i = 0; i < rmq_series_names_count(row); i++)
      if (add_name(p, plugin, table, row,
                   row->causes == NULL ? NULL : row->causes[i]) != 0)
        return -1;
  return 0;
}

struct rmq_emit_prometheus *
rmq_emit_prometheus_new(const char *plugin, const struct rmq_series *table) {
  static const struct rmq_series alert = {
      .type = "gauge", .type_instance = "alert", .kind = RMQ_GAUGE};
  struct rmq_emit_prometheus *p = calloc(1, sizeof(*p));
  if (p == NULL)
    return NULL;
  rmq_buf_init(&p->alert_name, PROM_NAME_BYTES);
  if (rmq_series_prometheus(plugin, &alert, NULL, &p->alert_name) == 0 &&
      add_families(p, plugin, table) == 0)
    return p;
  rmq_emit_prometheus_free(p);
  return NULL;
}

static void alert_fini(struct alert *a) {
  free(a->key);
  free(a->labels);
}

void rmq_emit_prometheus_free(struct rmq_emit_prometheus *p) {
  if (p == NULL)
    return;
  for (size_t i = 0; i < p->families_count; i++)
    family_fini(&p->families[i]);
  for (size_t i = 0; i < p->alerts_count; i++)
    alert_fini(&p->alerts[i]);
  rmq_buf_fini(&p->alert_name);
  free(p->families);
  free(p);
}

/* ---- lines ---- */

/* -1 for what is no UTF-8, which would cost the reader the whole document. */
static int append_value(struct rmq_buf *out, const char *text) {
  size_t len = strlen(text);
  for (size_t at = 0; at < len;) {
    uint32_t c = 0;
    size_t n = rmq_utf8_decode(text + at, len - at, &c);
    int rc = -1;
    if (n == 0)
      return -1;
    if (c == '\n')
      rc = rmq_buf_append_text(out, "\\n");
    else if (c == '"' || c == '\\')
      rc = rmq_buf_appendf(out, "\\%c", (int)c);
    else
      rc = rmq_buf_append(out, text + at, n);
    if (rc != 0)
      return -1;
    at += n;
  }
  return 0;
}

static int append_label(struct rmq_buf *out, const char *key,
                        const char *value) {
  bool is_first = out->len == 0 || rmq_buf_bytes(out)[out->len - 1] == '{';
  if ((!is_first && rmq_buf_append_char(out, ',') != 0) ||
      rmq_buf_append_text(out, key) != 0 ||
      rmq_buf_append_text(out, "=\"") != 0 || append_value(out, value) != 0)
    return -1;
  return rmq_buf_append_char(out, '"');
}

/* All texts but that of one key, which may be NULL. */
static int append_labels(struct rmq_buf *out, const struct rmq_meta *meta,
                         size_t count, const char *without) {
  for (size_t i = 0; i < count; i++)
    if (meta[i].type == RMQ_META_STRING && meta[i].value.string[0] != '\0' &&
        (without == NULL || strcmp(meta[i].key, without) != 0) &&
        append_label(out, meta[i].key, meta[i].value.string) != 0)
      return -1;
  return 0;
}

static int append_sample(struct family *f, const struct rmq_sample *s) {
  char text[RMQ_NUMBER_MAX];
  size_t n = rmq_emit_put_value(text, &s->values[0]);
  struct rmq_buf *out = &f->lines;
  if (n == 0 || rmq_buf_append(out, rmq_buf_bytes(&f->name), f->name.len) != 0)
    return -1;
  if (rmq_buf_append_char(out, '{') != 0 ||
      append_labels(out, s->meta, s->meta_count, NULL) != 0 ||
      rmq_buf_append_text(out, "} ") != 0 || rmq_buf_append(out, text, n) != 0)
    return -1;
  return rmq_buf_append_char(out, '\n');
}

static int add_sample(void *ctx, const struct rmq_sample *s,
                      struct rmq_buf *out) {
  struct rmq_emit_prometheus *p = ctx;
  struct family *f =
      s->values_count == 1 ? find(p, s->id.type, s->id.type_instance) : NULL;
  (void)out;
  size_t before = f == NULL ? 0 : f->lines.len;
  if (f != NULL && f->kind == s->values[0].kind && append_sample(f, s) == 0)
    return 0;
  if (f != NULL)
    rmq_buf_truncate(&f->lines, before);
  p->unsayable_count++;
  return -1;
}

/* ---- alerts ---- */

static struct alert *find_alert(struct rmq_emit_prometheus *p,
                                const char *key) {
  for (size_t i = 0; i < p->alerts_count; i++)
    if (strcmp(p->alerts[i].key, key) == 0)
      return &p->alerts[i];
  return NULL;
}

/* The place of a new one: free, or that of one that is over. */
static struct alert *place_alert(struct rmq_emit_prometheus *p) {
  if (p->alerts_count < RMQ_EMIT_ALERTS_MAX)
    return &p->alerts[p->alerts_count++];
  for (size_t i = 0; i < p->alerts_count; i++)
    if (p->alerts[i].severity == RMQ_OKAY) {
      alert_fini(&p->alerts[i]);
      return &p->alerts[i];
    }
  return NULL;
}

/* The texts that the event has but that of one key, and its series. */
static int build_labels(const struct rmq_event *e, const char *without,
                        struct rmq_buf *out) {
  struct rmq_buf field;
  rmq_buf_init(&field, PROM_NAME_BYTES);
  int rc = rmq_series_field(e->id.type, e->id.type_instance, &field);
  if (rc == 0)
    rc = append_labels(out, e->meta, e->meta_count, without);
  if (rc == 0)
    rc = append_label(out, "series", rmq_buf_text(&field));
  rmq_buf_fini(&field);
  return rc;
}

/* Takes over what is in it, or leaves all as it was. */
static int store_alert(struct rmq_emit_prometheus *p, const struct alert *new) {
  if (new->key == NULL || new->labels == NULL)
    return -1;
  struct alert *a = find_alert(p, new->key);
  if (a != NULL)
    alert_fini(a);
  else
    a = place_alert(p);
  if (a == NULL)
    return -1;
  *a = *new;
  return 0;
}

static int add_event(void *ctx, const struct rmq_event *e,
                     struct rmq_buf *out) {
  struct rmq_emit_prometheus *p = ctx;
  struct rmq_buf key, labels;
  (void)out;
  rmq_buf_init(&key, PROM_LABELS_BYTES);
  rmq_buf_init(&labels, PROM_LABELS_BYTES);
  /* Of an alert of many objects the priority is the most urgent one's. */
  int rc = build_labels(e, "priority", &key);
  if (rc == 0)
    rc = build_labels(e, NULL, &labels);
  if (rc == 0) {
    struct alert new = {.key = strdup(rmq_buf_text(&key)),
                        .labels = strdup(rmq_buf_text(&labels)),
                        .severity = e->severity};
    rc = store_alert(p, &new);
    if (rc != 0)
      alert_fini(&new);
  }
  if (rc != 0)
    p->unsayable_count++;
  rmq_buf_fini(&key);
  rmq_buf_fini(&labels);
  return rc;
}

static int append_alerts(struct rmq_emit_prometheus *p, struct rmq_buf *out) {
  const char *name = rmq_buf_text(&p->alert_name);
  if (p->alerts_count > 0)
    rmq_buf_appendf(out,
                    "# HELP %s What an alert told last: 0 okay, 1 warning, 2 "
                    "failure\n# TYPE %s gauge\n",
                    name, name);
  for (size_t i = 0; i < p->alerts_count; i++) {
    rmq_buf_append_text(out, name);
    rmq_buf_append_char(out, '{');
    rmq_buf_append_text(out, p->alerts[i].labels);
    rmq_buf_appendf(out, "} %d\n", (int)p->alerts[i].severity);
  }
  return out->failed ? -1 : 0;
}

/* ---- the document ---- */

static void append_family(struct family *f, struct rmq_buf *out) {
  const char *name = rmq_buf_text(&f->name);
  rmq_buf_appendf(out, "# HELP %s %s\n# TYPE %s %s\n", name,
                  rmq_buf_text(&f->help), name,
                  f->kind == RMQ_GAUGE ? "gauge" : "counter");
  rmq_buf_append(out, rmq_buf_bytes(&f->lines), f->lines.len);
}

static int end_set(void *ctx, struct rmq_buf *out) {
  struct rmq_emit_prometheus *p = ctx;
  for (size_t i = 0; i < p->families_count; i++) {
    if (p->families[i].lines.len > 0)
      append_family(&p->families[i], out);
    rmq_buf_clear(&p->families[i].lines);
  }
  p->next = 0;
  return append_alerts(p, out);
}

static size_t left_out(const void *ctx) {
  const struct rmq_emit_prometheus *p = ctx;
  return p->unsayable_count;
}

struct rmq_emit rmq_emit_prometheus_emit(struct rmq_emit_prometheus *p) {
  return (struct rmq_emit){.ctx = p,
                           .sample = add_sample,
                           .event = add_event,
                           .end = end_set,
                           .left_out = left_out,
                           .is_document = true};
}
