/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/host_collectd.h"

#include "common/base/names.h"
#include "common/host/host_clock.h"
#include "common/host/host_collectd_recall.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

const char *rmq_collectd_verdict_to_str(enum rmq_collectd_verdict v) {
  switch (v) {
  case RMQ_COLLECTD_ACCEPTED:
    return "accepted";
  case RMQ_COLLECTD_UNKNOWN_TYPE:
    return "unknown_type";
  case RMQ_COLLECTD_WRONG_VALUES:
    return "wrong_values";
  case RMQ_COLLECTD_BAD_NAME:
    return "bad_name";
  case RMQ_COLLECTD_FAILED:
    return "failed";
  }
  return "unknown";
}

struct rmq_wall rmq_collectd_wall(cdtime_t t) {
  return (struct rmq_wall){(int64_t)CDTIME_T_TO_NS(t)};
}

struct rmq_dur rmq_collectd_dur(cdtime_t t) {
  return (struct rmq_dur){(int64_t)CDTIME_T_TO_NS(t)};
}

cdtime_t rmq_collectd_cdtime(int64_t ns) {
  return ns <= 0 ? 0 : NS_TO_CDTIME_T((uint64_t)ns);
}

/* ---- log ---- */

static int syslog_level(enum rmq_level l) {
  switch (l) {
  case RMQ_LOG_ERROR:
    return LOG_ERR;
  case RMQ_LOG_WARNING:
    return LOG_WARNING;
  case RMQ_LOG_NOTICE:
    return LOG_NOTICE;
  case RMQ_LOG_INFO:
    return LOG_INFO;
  case RMQ_LOG_DEBUG:
    return LOG_DEBUG;
  }
  return LOG_ERR;
}

/* Opened for each line: lines are rare, and a rotated file is found again. */
static bool append_to_file(const char *path, struct rmq_buf *line) {
  int fd =
      open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
  if (fd < 0)
    return false;
  bool ok = rmq_buf_append_char(line, '\n') == 0 &&
            write(fd, rmq_buf_bytes(line), line->len) == (ssize_t)line->len;
  close(fd);
  return ok;
}

static void write_line(struct rmq_collectd_host *h, enum rmq_level level,
                       struct rmq_buf *line) {
  if (h->log_file != NULL) {
    size_t len = line->len;
    if (append_to_file(h->log_file, line)) {
      atomic_store(&h->log_file_failed, false);
      return;
    }
    rmq_buf_truncate(line, len);
    if (!atomic_exchange(&h->log_file_failed, true))
      plugin_log(LOG_ERR,
                 "warren: LogFile \"%s\" cannot be written; its lines go to "
                 "collectd's log until it can",
                 h->log_file);
  }
  plugin_log(syslog_level(level), "%s", rmq_buf_text(line));
}

static void host_log(void *ctx, const struct rmq_log_record *record) {
  struct rmq_collectd_host *h = ctx;
  struct rmq_log_record r = *record;
  if (r.time.ns == 0)
    r.time = rmq_host_wall(NULL);
  r.service = h->host.service;
  struct rmq_buf line;
  rmq_buf_init(&line, RMQ_LOG_LINE_MAX + 1);
  rmq_log_render(h->log_format, &r, &line);
  plugin_ctx_t old = plugin_set_ctx(h->ctx);
  write_line(h, r.level, &line);
  plugin_set_ctx(old);
  rmq_buf_fini(&line);
}

/* ---- samples into collectd ---- */

static enum rmq_kind kind_of(const data_source_t *ds) {
  switch (ds->type) {
  case DS_TYPE_COUNTER:
    return RMQ_COUNTER;
  case DS_TYPE_DERIVE:
    return RMQ_DERIVE;
  case DS_TYPE_ABSOLUTE:
    return RMQ_ABSOLUTE;
  }
  return RMQ_GAUGE;
}

static value_t to_collectd(const struct rmq_datum *d) {
  switch (d->kind) {
  case RMQ_GAUGE:
    return (value_t){.gauge = d->value.gauge};
  case RMQ_DERIVE:
    return (value_t){.derive = d->value.derive};
  case RMQ_COUNTER:
    return (value_t){.counter = d->value.counter};
  case RMQ_ABSOLUTE:
    return (value_t){.absolute = d->value.absolute};
  }
  return (value_t){.gauge = 0};
}

/* Of a run of samples of one type only the first is looked up. */
static const data_set_t *find_ds(const char *type,
                                 struct rmq_collectd_tagger *tagger) {
  if (tagger == NULL)
    return plugin_get_ds(type);
  if (tagger->ds == NULL || strcmp(tagger->ds->type, type) != 0)
    tagger->ds = plugin_get_ds(type);
  return tagger->ds;
}

static enum rmq_collectd_verdict fill_values(const struct rmq_sample *s,
                                             struct rmq_collectd_tagger *tagger,
                                             value_t *values) {
  const data_set_t *ds = find_ds(s->id.type, tagger);
  if (ds == NULL)
    return RMQ_COLLECTD_UNKNOWN_TYPE;
  if (ds->ds_num != s->values_count || ds->ds_num > RMQ_SAMPLE_VALUES_MAX)
    return RMQ_COLLECTD_WRONG_VALUES;
  for (size_t i = 0; i < ds->ds_num; i++) {
    if (kind_of(&ds->ds[i]) != s->values[i].kind)
      return RMQ_COLLECTD_WRONG_VALUES;
    values[i] = to_collectd(&s->values[i]);
  }
  return RMQ_COLLECTD_ACCEPTED;
}

/* name goes into a field of collectd's size. */
static bool fill_name(const char *name, bool may_be_empty,
                      char ret_field[DATA_MAX_NAME_LEN]) {
  size_t len = strlen(name);
  if (len == 0 ? !may_be_empty : !rmq_names_are_safe(name, len))
    return false;
  if (len >= DATA_MAX_NAME_LEN)
    return false;
  memcpy(ret_field, name, len + 1);
  return true;
}

static bool fill_names(const struct rmq_collectd_host *h,
                       const struct rmq_identity *id, value_list_t *vl) {
  const char *host = id->host[0] == '\0' ? h->host.hostname : id->host;
  return fill_name(host, false, vl->host) &&
         fill_name(id->plugin, false, vl->plugin) &&
         fill_name(id->plugin_instance, true, vl->plugin_instance) &&
         fill_name(id->type, false, vl->type) &&
         fill_name(id->type_instance, true, vl->type_instance);
}

static int add_meta(meta_data_t *md, const struct rmq_meta *m) {
  switch (m->type) {
  case RMQ_META_STRING:
    return meta_data_add_string(md, m->key, m->value.string);
  case RMQ_META_SIGNED:
    return meta_data_add_signed_int(md, m->key, m->value.signed_int);
  case RMQ_META_UNSIGNED:
    return meta_data_add_unsigned_int(md, m->key, m->value.unsigned_int);
  case RMQ_META_DOUBLE:
    return meta_data_add_double(md, m->key, m->value.number);
  case RMQ_META_BOOLEAN:
    return meta_data_add_boolean(md, m->key, m->value.boolean);
  }
  return -1;
}

/* NULL without memory. */
static meta_data_t *to_meta_data(const struct rmq_meta *meta, size_t count,
                                 const struct rmq_collectd_tagger *tagger) {
  meta_data_t *md = meta_data_create();
  int failed = md == NULL ? -1 : 0;
  for (size_t i = 0; failed == 0 && i < count; i++)
    failed = add_meta(md, &meta[i]);
  if (failed == 0 && tagger != NULL)
    failed = meta_data_add_unsigned_int(md, RMQ_COLLECTD_TAG_KEY, tagger->tag);
  if (failed == 0)
    return md;
  meta_data_destroy(md);
  return NULL;
}

void rmq_collectd_tagger_set(struct rmq_collectd_tagger *t, uint64_t tag) {
  if (t->tag == tag)
    return;
  rmq_collectd_tagger_fini(t);
  t->tag = tag;
}

void rmq_collectd_tagger_fini(struct rmq_collectd_tagger *t) {
  meta_data_destroy(t->meta);
  *t = (struct rmq_collectd_tagger){0};
}

/* 0, or -1 without memory. What is the tagger's stays the tagger's. */
static int fill_meta(const struct rmq_sample *s,
                     struct rmq_collectd_tagger *tagger, value_list_t *vl) {
  if (s->meta_count > 0) {
    vl->meta = to_meta_data(s->meta, s->meta_count, tagger);
    return vl->meta != NULL ? 0 : -1;
  }
  if (tagger == NULL)
    return 0;
  if (tagger->meta == NULL)
    tagger->meta = to_meta_data(NULL, 0, tagger);
  vl->meta = tagger->meta;
  return vl->meta != NULL ? 0 : -1;
}

static int dispatch_in_context(const struct rmq_collectd_host *h,
                               value_list_t *vl) {
  plugin_ctx_t old = plugin_set_ctx(h->ctx);
  if (vl->interval == 0)
    vl->interval = plugin_get_interval();
  int rc = plugin_dispatch_values(vl);
  plugin_set_ctx(old);
  return rc;
}

enum rmq_collectd_verdict
rmq_collectd_dispatch(const struct rmq_collectd_host *h,
                      const struct rmq_sample *s,
                      struct rmq_collectd_tagger *tagger) {
  value_t values[RMQ_SAMPLE_VALUES_MAX];
  value_list_t vl;
  vl.meta = NULL;
  if (!fill_names(h, &s->id, &vl))
    return RMQ_COLLECTD_BAD_NAME;
  enum rmq_collectd_verdict verdict = fill_values(s, tagger, values);
  if (verdict != RMQ_COLLECTD_ACCEPTED)
    return verdict;
  vl.values = values;
  vl.values_len = s->values_count;
  vl.time = rmq_collectd_cdtime(s->time.ns);
  vl.interval = rmq_collectd_cdtime(s->interval.ns);
  if (fill_meta(s, tagger, &vl) != 0)
    return RMQ_COLLECTD_FAILED;
  int rc = dispatch_in_context(h, &vl);
  if (s->meta_count > 0)
    meta_data_destroy(vl.meta);
  return rc == 0 ? RMQ_COLLECTD_ACCEPTED : RMQ_COLLECTD_FAILED;
}

static int host_sample(void *ctx, const struct rmq_sample *sample) {
  const struct rmq_collectd_host *h = ctx;
  return rmq_collectd_dispatch(h, sample, NULL) == RMQ_COLLECTD_ACCEPTED ? 0
                                                                         : -1;
}

/* ---- events into collectd ---- */

static int to_notif_severity(enum rmq_severity s) {
  switch (s) {
  case RMQ_OKAY:
    return NOTIF_OKAY;
  case RMQ_WARNING:
    return NOTIF_WARNING;
  case RMQ_FAILURE:
    return NOTIF_FAILURE;
  }
  return NOTIF_FAILURE;
}

static int add_notification_meta(notification_t *n, const struct rmq_meta *m) {
  switch (m->type) {
  case RMQ_META_STRING:
    return plugin_notification_meta_add_string(n, m->key, m->value.string);
  case RMQ_META_SIGNED:
    return plugin_notification_meta_add_signed_int(n, m->key,
                                                   m->value.signed_int);
  case RMQ_META_UNSIGNED:
    return plugin_notification_meta_add_unsigned_int(n, m->key,
                                                     m->value.unsigned_int);
  case RMQ_META_DOUBLE:
    return plugin_notification_meta_add_double(n, m->key, m->value.number);
  case RMQ_META_BOOLEAN:
    return plugin_notification_meta_add_boolean(n, m->key, m->value.boolean);
  }
  return -1;
}

static void host_event(void *ctx, const struct rmq_event *e) {
  const struct rmq_collectd_host *h = ctx;
  notification_t n = {.severity = to_notif_severity(e->severity),
                      .time = rmq_collectd_cdtime(e->time.ns)};
  if (n.time == 0)
    n.time = rmq_collectd_cdtime(rmq_host_wall(NULL).ns);
  /* Notifications are for people: too long is cut, not refused. */
  sstrncpy(n.message, e->message, sizeof(n.message));
  sstrncpy(n.host, e->id.host[0] == '\0' ? h->host.hostname : e->id.host,
           sizeof(n.host));
  sstrncpy(n.plugin, e->id.plugin, sizeof(n.plugin));
  sstrncpy(n.plugin_instance, e->id.plugin_instance, sizeof(n.plugin_instance));
  sstrncpy(n.type, e->id.type, sizeof(n.type));
  sstrncpy(n.type_instance, e->id.type_instance, sizeof(n.type_instance));
  for (size_t i = 0; i < e->meta_count; i++)
    add_notification_meta(&n, &e->meta[i]);
  plugin_ctx_t old = plugin_set_ctx(h->ctx);
  plugin_dispatch_notification(&n);
  plugin_set_ctx(old);
  plugin_notification_meta_free(n.meta);
}

void rmq_collectd_host_init(struct rmq_collectd_host *h,
                            enum rmq_log_format log_format,
                            const char *log_file) {
  *h = (struct rmq_collectd_host){
      .ctx = plugin_get_ctx(), .log_format = log_format, .log_file = log_file};
  atomic_init(&h->log_file_failed, false);
  h->host = (struct rmq_host){.ctx = h,
                              .service = "collectd",
                              .hostname = hostname_g,
                              .state_dir = global_option_get("BaseDir"),
                              .has_rates = true,
                              .log = host_log,
                              .mono = rmq_host_mono,
                              .wall = rmq_host_wall,
                              .random = rmq_host_random,
                              .recall = rmq_collectd_recall,
                              .instances = rmq_collectd_instances,
                              .sample = host_sample,
                              .event = host_event};
}

static int types_get(void *ctx, const char *type, struct rmq_datum *ret_sources,
                     size_t max) {
  (void)ctx;
  const data_set_t *ds = plugin_get_ds(type);
  if (ds == NULL || ds->ds_num > max)
    return -1;
  for (size_t i = 0; i < ds->ds_num; i++)
    ret_sources[i] =
        (struct rmq_datum){.name = ds->ds[i].name, .kind = kind_of(&ds->ds[i])};
  return (int)ds->ds_num;
}

struct rmq_types rmq_collectd_types(void) {
  return (struct rmq_types){.ctx = NULL, .get = types_get};
}
