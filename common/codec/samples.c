/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/samples.h"

#include "common/base/names.h"
#include "common/base/utf8.h"
#include "common/codec/number.h"

#include <stdlib.h>
#include <string.h>

/* The arrays grow, so an entry remembers where its parts are, not pointers. */
struct rmq_samples_entry {
  union {
    struct rmq_sample sample;
    struct rmq_event event;
  } record;
  bool is_event;
  size_t values_at;
  size_t meta_at;
};

/* Texts stay where they are, so a full chunk is followed by another one. */
enum { CHUNK_SIZE = 4096 };
struct rmq_samples_chunk {
  struct rmq_samples_chunk *next;
  size_t used, size;
  char bytes[];
};

static bool is_safe(const char *name, bool may_be_empty) {
  return (may_be_empty && name[0] == '\0') ||
         rmq_names_are_safe(name, strlen(name));
}

bool rmq_samples_can_be_said(const struct rmq_sample *s) {
  return s->time.ns >= RMQ_NS_PER_MS &&
         s->time.ns <= RMQ_NUMBER_SECONDS_MAX * RMQ_NS_PER_S &&
         s->interval.ns >= 0 &&
         s->interval.ns <= RMQ_NUMBER_SECONDS_MAX * RMQ_NS_PER_S &&
         s->values_count > 0 && s->values_count <= RMQ_SAMPLE_VALUES_MAX &&
         is_safe(s->id.host, false) && is_safe(s->id.plugin, false) &&
         is_safe(s->id.plugin_instance, true) && is_safe(s->id.type, false) &&
         is_safe(s->id.type_instance, true);
}

bool rmq_samples_is_line(const char *text, size_t len) {
  for (size_t at = 0; at < len;) {
    uint32_t c = 0;
    size_t n = rmq_utf8_decode(text + at, len - at, &c);
    if (n == 0 || rmq_utf8_is_control(c))
      return false;
    at += n;
  }
  return true;
}

bool rmq_samples_key_is_safe(const char *key, size_t len) {
  return len > 0 && len <= RMQ_NAME_MAX && rmq_samples_is_line(key, len);
}

const char *rmq_samples_meta_text(const struct rmq_meta *m, char *scratch) {
  size_t n = 0;
  switch (m->type) {
  case RMQ_META_STRING:
    return m->value.string;
  case RMQ_META_BOOLEAN:
    return m->value.boolean ? "true" : "false";
  case RMQ_META_SIGNED:
    n = rmq_number_put_i64(scratch, m->value.signed_int);
    break;
  case RMQ_META_UNSIGNED:
    n = rmq_number_put_u64(scratch, m->value.unsigned_int);
    break;
  case RMQ_META_DOUBLE:
    n = rmq_number_put_gauge(scratch, m->value.number);
    break;
  }
  scratch[n] = '\0';
  return scratch;
}

int rmq_samples_check_name(const char *field, const char *name, size_t len,
                           bool may_be_empty, struct rmq_error *err) {
  if ((len == 0 && may_be_empty) || rmq_names_are_safe(name, len))
    return 0;
  if (len == 0)
    return rmq_error_set(err, "%s is empty", field);
  if (len > RMQ_NAME_MAX)
    return rmq_error_set(err, "%s has %zu bytes, %d are allowed", field, len,
                         RMQ_NAME_MAX);
  return rmq_error_set(err,
                       "%s \"%.*s\" is not a safe name (valid UTF-8, no "
                       "control character, no '/', no leading '.')",
                       field, (int)len, name);
}

int rmq_samples_check_identity(const struct rmq_identity *id, bool may_be_empty,
                               struct rmq_error *err) {
  const struct {
    const char *field, *name;
    bool may_be_empty;
  } parts[] = {
      {"host", id->host, may_be_empty},
      {"plugin", id->plugin, may_be_empty},
      {"plugin_instance", id->plugin_instance, true},
      {"type", id->type, may_be_empty},
      {"type_instance", id->type_instance, true},
  };
  for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
    if (rmq_samples_check_name(parts[i].field, parts[i].name,
                               strlen(parts[i].name), parts[i].may_be_empty,
                               err) != 0)
      return -1;
  return 0;
}

/* Of a run of samples of one type only the first is looked up. */
static bool copy_sources(const struct rmq_samples *set, const char *type,
                         struct rmq_datum *ret_sources, size_t *ret_count) {
  if (set->entries_count == 0)
    return false;
  const struct rmq_samples_entry *e = &set->entries[set->entries_count - 1];
  if (e->is_event || strcmp(e->record.sample.id.type, type) != 0)
    return false;
  *ret_count = e->record.sample.values_count;
  memcpy(ret_sources, set->values + e->values_at,
         *ret_count * sizeof(*ret_sources));
  return true;
}

int rmq_samples_find_type(const struct rmq_samples *set,
                          const struct rmq_types *types, const char *type,
                          struct rmq_datum *ret_sources, size_t *ret_count,
                          struct rmq_error *err) {
  if (copy_sources(set, type, ret_sources, ret_count))
    return 0;
  int n = types->get(types->ctx, type, ret_sources, RMQ_SAMPLE_VALUES_MAX);
  if (n <= 0)
    return rmq_error_set(err, "type \"%s\" is not known (is it in types.db?)",
                         type);
  *ret_count = (size_t)n;
  return 0;
}

void rmq_samples_clean_text(char *text, size_t len) {
  for (size_t at = 0; at < len;) {
    uint32_t c = 0;
    size_t n = rmq_utf8_decode(text + at, len - at, &c);
    if (n == 0 || rmq_utf8_is_control(c))
      memset(text + at, ' ', n == 0 ? 1 : n);
    at += n == 0 ? 1 : n;
  }
}

/* ------------------------------------------------------------------------
 * Memory */

int rmq_samples_no_memory(struct rmq_error *err) {
  rmq_error_set(err, "out of memory");
  return RMQ_CODEC_NO_MEMORY;
}

int rmq_samples_run_short(struct rmq_samples *set, struct rmq_error *err) {
  set->gives_up = set->is_short = true;
  return rmq_error_set(err, "out of memory");
}

static void free_chunks(struct rmq_samples *set) {
  while (set->chunks != NULL) {
    struct rmq_samples_chunk *next = set->chunks->next;
    free(set->chunks);
    set->chunks = next;
  }
}

void rmq_samples_fini(struct rmq_samples *set) {
  free_chunks(set);
  free(set->text);
  free(set->entries);
  free(set->values);
  free(set->meta);
  *set = (struct rmq_samples){.sink = NULL};
}

/* Allocating a lot for every message makes the allocator put the host's small
 * blocks together each time, only to cut them again: what is usual is kept. */
static void *keep_usual(void *array, size_t *capacity, size_t size) {
  if (*capacity <= RMQ_SAMPLES_KEPT_BYTES / size)
    return array;
  free(array);
  *capacity = 0;
  return NULL;
}

static void forget(struct rmq_samples *set) {
  free_chunks(set);
  set->text = keep_usual(set->text, &set->text_capacity, 1);
  set->entries =
      keep_usual(set->entries, &set->entries_capacity, sizeof(*set->entries));
  set->values =
      keep_usual(set->values, &set->values_capacity, sizeof(*set->values));
  set->meta = keep_usual(set->meta, &set->meta_capacity, sizeof(*set->meta));
  set->records_count = set->entries_count = 0;
  set->values_count = set->meta_count = 0;
  set->gives_up = set->is_short = false;
  rmq_error_clear(&set->first_bad);
}

static char *copy_text(struct rmq_samples *set, const char *bytes, size_t len) {
  if (set->text_capacity <= len) {
    free(set->text);
    set->text = malloc(len + 1);
    set->text_capacity = set->text == NULL ? 0 : len + 1;
  }
  if (set->text == NULL)
    return NULL;
  memcpy(set->text, bytes, len);
  set->text[len] = '\0';
  return set->text;
}

int rmq_samples_read(const struct rmq_codec_input *in,
                     const struct rmq_codec_sink *sink,
                     int (*reader)(const struct rmq_codec_input *in, char *text,
                                   struct rmq_samples *set,
                                   struct rmq_error *err),
                     struct rmq_error *err) {
  struct rmq_samples own = {.sink = NULL};
  struct rmq_samples *set = in->samples == NULL ? &own : in->samples;
  if (in->len == 0)
    return rmq_error_set(err, "the message is empty");
  set->sink = sink;
  char *text = copy_text(set, in->bytes, in->len);
  int rc =
      text == NULL ? rmq_samples_no_memory(err) : reader(in, text, set, err);
  if (rc != 0 && set->is_short)
    rc = RMQ_CODEC_NO_MEMORY;
  if (set == &own)
    rmq_samples_fini(&own);
  else
    forget(set);
  return rc;
}

/* ------------------------------------------------------------------------
 * Records */

const char *rmq_samples_keep(struct rmq_samples *set, const char *text) {
  size_t len = strlen(text) + 1;
  struct rmq_samples_chunk *c = set->chunks;
  if (c == NULL || c->size - c->used < len) {
    size_t size = len > CHUNK_SIZE ? len : CHUNK_SIZE;
    c = malloc(sizeof(*c) + size);
    if (c == NULL) {
      set->gives_up = set->is_short = true;
      return NULL;
    }
    *c = (struct rmq_samples_chunk){.next = set->chunks, .size = size};
    set->chunks = c;
  }
  char *copy = c->bytes + c->used;
  memcpy(copy, text, len);
  c->used += len;
  return copy;
}

/* The array with room for extra more elements, or NULL with all as it was. */
static void *with_room(void *array, size_t count, size_t *capacity,
                       size_t extra, size_t size) {
  if (array != NULL && extra <= *capacity - count)
    return array;
  size_t want = *capacity * 2 + extra + 7;
  void *grown = realloc(array, want * size);
  if (grown != NULL)
    *capacity = want;
  return grown;
}

static int make_room(struct rmq_samples *set, size_t values, size_t meta) {
  void *a = with_room(set->entries, set->entries_count, &set->entries_capacity,
                      1, sizeof(*set->entries));
  if (a == NULL)
    return -1;
  set->entries = a;
  a = with_room(set->values, set->values_count, &set->values_capacity, values,
                sizeof(*set->values));
  if (a == NULL)
    return -1;
  set->values = a;
  a = with_room(set->meta, set->meta_count, &set->meta_capacity, meta,
                sizeof(*set->meta));
  if (a == NULL)
    return -1;
  set->meta = a;
  return 0;
}

static struct rmq_samples_entry *add_entry(struct rmq_samples *set,
                                           size_t values_count,
                                           const struct rmq_meta *meta,
                                           size_t meta_count,
                                           struct rmq_error *err) {
  if (make_room(set, values_count, meta_count) != 0) {
    rmq_samples_run_short(set, err);
    return NULL;
  }
  struct rmq_samples_entry *e = &set->entries[set->entries_count++];
  e->values_at = set->values_count;
  e->meta_at = set->meta_count;
  if (meta_count > 0)
    memcpy(set->meta + set->meta_count, meta, meta_count * sizeof(*meta));
  set->values_count += values_count;
  set->meta_count += meta_count;
  return e;
}

static int count_record(struct rmq_samples *set, struct rmq_error *err) {
  if (++set->records_count <= RMQ_SAMPLES_MAX)
    return 0;
  set->gives_up = true;
  return rmq_error_set(err, "more than %d records in one message",
                       RMQ_SAMPLES_MAX);
}

int rmq_samples_push(struct rmq_samples *set, struct rmq_sample *s,
                     bool shares_meta, struct rmq_error *err) {
  const struct rmq_codec_sink *sink = set->sink;
  if (sink->check != NULL && !sink->check(sink->ctx, s, err))
    return rmq_error_set(err, "not wanted");
  if (count_record(set, err) != 0)
    return -1;
  struct rmq_samples_entry *e = add_entry(set, s->values_count, s->meta,
                                          shares_meta ? 0 : s->meta_count, err);
  if (e == NULL)
    return -1;
  e->is_event = false;
  e->record.sample = *s;
  if (shares_meta)
    e->meta_at = e[-1].meta_at;
  memcpy(set->values + e->values_at, s->values,
         s->values_count * sizeof(*s->values));
  return 0;
}

int rmq_samples_push_event(struct rmq_samples *set, struct rmq_event *ev,
                           struct rmq_error *err) {
  const struct rmq_codec_sink *sink = set->sink;
  if (sink->event == NULL)
    return rmq_error_set(err, "notifications are not taken from messages");
  if (sink->check_event != NULL && !sink->check_event(sink->ctx, ev, err))
    return rmq_error_set(err, "not wanted");
  if (count_record(set, err) != 0)
    return -1;
  struct rmq_samples_entry *e =
      add_entry(set, 0, ev->meta, ev->meta_count, err);
  if (e == NULL)
    return -1;
  e->is_event = true;
  e->record.event = *ev;
  return 0;
}

void rmq_samples_rewind(struct rmq_samples *set, size_t count) {
  if (set->entries_count <= count)
    return;
  set->values_count = set->entries[count].values_at;
  set->meta_count = set->entries[count].meta_at;
  set->entries_count = count;
}

int rmq_samples_refuse(struct rmq_samples *set, const char *what, size_t number,
                       const struct rmq_error *why, struct rmq_error *err) {
  struct rmq_error full = {""};
  struct rmq_error too_many = {""};
  if (!set->gives_up && count_record(set, &too_many) != 0)
    why = &too_many;
  rmq_error_set(&full, "%s %zu: %s", what, number, why->text);
  if (set->sink->bad == NULL || set->gives_up)
    return rmq_error_set(err, "%s", full.text);
  rmq_error_set(&set->first_bad, "%s", full.text);
  set->sink->bad(set->sink->ctx, &full);
  return 0;
}

static void hand_over(const struct rmq_samples *set,
                      const struct rmq_samples_entry *e) {
  const struct rmq_meta *meta = set->meta + e->meta_at;
  if (e->is_event) {
    struct rmq_event event = e->record.event;
    event.meta = meta;
    set->sink->event(set->sink->ctx, &event);
    return;
  }
  struct rmq_sample sample = e->record.sample;
  sample.values = set->values + e->values_at;
  sample.meta = meta;
  set->sink->sample(set->sink->ctx, &sample);
}

int rmq_samples_hand_over(const struct rmq_samples *set,
                          const char *nothing_text, struct rmq_error *err) {
  if (set->entries_count == 0)
    return rmq_error_set(err, "%s",
                         rmq_error_is_set(&set->first_bad) ? set->first_bad.text
                                                           : nothing_text);
  for (size_t i = 0; i < set->entries_count; i++)
    hand_over(set, &set->entries[i]);
  return 0;
}
