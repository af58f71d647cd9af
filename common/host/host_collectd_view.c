/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/host_collectd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int fill_values(struct rmq_collectd_view *v, const data_set_t *ds,
                       const value_list_t *vl) {
  if (ds->ds_num != vl->values_len || ds->ds_num > RMQ_SAMPLE_VALUES_MAX)
    return -1;
  for (size_t i = 0; i < ds->ds_num; i++) {
    struct rmq_datum *d = &v->values[i];
    d->name = ds->ds[i].name;
    switch (ds->ds[i].type) {
    case DS_TYPE_GAUGE:
      d->kind = RMQ_GAUGE;
      d->value.gauge = vl->values[i].gauge;
      break;
    case DS_TYPE_DERIVE:
      d->kind = RMQ_DERIVE;
      d->value.derive = vl->values[i].derive;
      break;
    case DS_TYPE_COUNTER:
      d->kind = RMQ_COUNTER;
      d->value.counter = vl->values[i].counter;
      break;
    case DS_TYPE_ABSOLUTE:
      d->kind = RMQ_ABSOLUTE;
      d->value.absolute = vl->values[i].absolute;
      break;
    default: /* an int of collectd's, not an enum of ours */
      return -1;
    }
  }
  return 0;
}

/* Takes key when it becomes part of the view. */
static bool fill_meta(struct rmq_meta *m, meta_data_t *md, char *key) {
  char *text = NULL;
  m->key = key;
  switch (meta_data_type(md, key)) {
  case MD_TYPE_STRING:
    m->type = RMQ_META_STRING;
    if (meta_data_get_string(md, key, &text) != 0)
      return false;
    m->value.string = text;
    return true;
  case MD_TYPE_SIGNED_INT:
    m->type = RMQ_META_SIGNED;
    return meta_data_get_signed_int(md, key, &m->value.signed_int) == 0;
  case MD_TYPE_UNSIGNED_INT:
    m->type = RMQ_META_UNSIGNED;
    return meta_data_get_unsigned_int(md, key, &m->value.unsigned_int) == 0;
  case MD_TYPE_DOUBLE:
    m->type = RMQ_META_DOUBLE;
    return meta_data_get_double(md, key, &m->value.number) == 0;
  case MD_TYPE_BOOLEAN:
    m->type = RMQ_META_BOOLEAN;
    return meta_data_get_boolean(md, key, &m->value.boolean) == 0;
  default: /* an int of collectd's, not an enum of ours */
    return false;
  }
}

static void copy_meta(struct rmq_collectd_view *v, meta_data_t *md) {
  char **toc = NULL;
  int count = meta_data_toc(md, &toc);
  size_t used = 0;
  for (int i = 0; i < count; i++) {
    if (used < RMQ_SAMPLE_META_MAX &&
        strcmp(toc[i], RMQ_COLLECTD_TAG_KEY) != 0 &&
        fill_meta(&v->meta[used], md, toc[i]))
      used++;
    else
      free(toc[i]);
  }
  free(toc);
  v->sample.meta = v->meta;
  v->sample.meta_count = used;
}

int rmq_collectd_view_init(struct rmq_collectd_view *v, const data_set_t *ds,
                           const value_list_t *vl) {
  if (fill_values(v, ds, vl) != 0)
    return -1;
  v->sample = (struct rmq_sample){.id = {.host = vl->host,
                                         .plugin = vl->plugin,
                                         .plugin_instance = vl->plugin_instance,
                                         .type = vl->type,
                                         .type_instance = vl->type_instance},
                                  .time = rmq_collectd_wall(vl->time),
                                  .interval = rmq_collectd_dur(vl->interval),
                                  .values = v->values,
                                  .values_count = vl->values_len};
  if (vl->meta != NULL)
    copy_meta(v, vl->meta);
  return 0;
}

void rmq_collectd_view_add_rates(struct rmq_collectd_view *v,
                                 const data_set_t *ds, const value_list_t *vl) {
  gauge_t *rates = uc_get_rate(ds, vl);
  for (size_t i = 0; i < v->sample.values_count; i++)
    v->rates[i] = rates == NULL ? NAN : rates[i];
  free(rates);
  v->sample.rates = v->rates;
}

void rmq_collectd_view_fini(struct rmq_collectd_view *v) {
  for (size_t i = 0; i < v->sample.meta_count; i++) {
    free((void *)(uintptr_t)v->meta[i].key);
    if (v->meta[i].type == RMQ_META_STRING)
      free((void *)(uintptr_t)v->meta[i].value.string);
  }
  v->sample.meta_count = 0;
}

bool rmq_collectd_tag(const value_list_t *vl, uint64_t *ret_tag) {
  return vl->meta != NULL && meta_data_get_unsigned_int(
                                 vl->meta, RMQ_COLLECTD_TAG_KEY, ret_tag) == 0;
}

static enum rmq_severity to_severity(int severity) {
  if (severity == NOTIF_OKAY)
    return RMQ_OKAY;
  return severity == NOTIF_WARNING ? RMQ_WARNING : RMQ_FAILURE;
}

static struct rmq_meta to_meta(const notification_meta_t *m) {
  struct rmq_meta meta = {.key = m->name};
  switch (m->type) {
  case NM_TYPE_STRING:
    meta.type = RMQ_META_STRING;
    meta.value.string = m->nm_value.nm_string;
    break;
  case NM_TYPE_SIGNED_INT:
    meta.type = RMQ_META_SIGNED;
    meta.value.signed_int = m->nm_value.nm_signed_int;
    break;
  case NM_TYPE_UNSIGNED_INT:
    meta.type = RMQ_META_UNSIGNED;
    meta.value.unsigned_int = m->nm_value.nm_unsigned_int;
    break;
  case NM_TYPE_DOUBLE:
    meta.type = RMQ_META_DOUBLE;
    meta.value.number = m->nm_value.nm_double;
    break;
  case NM_TYPE_BOOLEAN:
    meta.type = RMQ_META_BOOLEAN;
    meta.value.boolean = m->nm_value.nm_boolean;
    break;
  }
  return meta;
}

void rmq_collectd_notice_init(struct rmq_collectd_notice *e,
                              const notification_t *n) {
  e->event = (struct rmq_event){.severity = to_severity(n->severity),
                                .time = rmq_collectd_wall(n->time),
                                .id = {.host = n->host,
                                       .plugin = n->plugin,
                                       .plugin_instance = n->plugin_instance,
                                       .type = n->type,
                                       .type_instance = n->type_instance},
                                .message = n->message,
                                .meta = e->meta};
  for (const notification_meta_t *m = n->meta;
       m != NULL && e->event.meta_count < RMQ_SAMPLE_META_MAX; m = m->next)
    e->meta[e->event.meta_count++] = to_meta(m);
}
