/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "tests/fake/collectd.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake_collectd fake_collectd;
static char host_name[] = "fake.example.org";
char *hostname_g = host_name;

const char *global_option_get(const char *option) {
  return strcmp(option, "BaseDir") == 0 ? "/var/lib/fake" : NULL;
}

void fake_collectd_clear(void) {
  memset(&fake_collectd, 0, sizeof(fake_collectd));
}

bool fake_collectd_said(const char *text) {
  for (size_t i = 0; i < fake_collectd.lines_count; i++)
    if (strstr(fake_collectd.lines[i], text) != NULL)
      return true;
  return false;
}

void plugin_log(int level, const char *format, ...) {
  if (fake_collectd.lines_count >= FAKE_COLLECTD_LINES)
    return;
  size_t i = fake_collectd.lines_count++;
  va_list args;
  va_start(args, format);
  vsnprintf(fake_collectd.lines[i], sizeof(fake_collectd.lines[i]), format,
            args);
  va_end(args);
  fake_collectd.levels[i] = level;
}

/* ---- types ---- */

const data_set_t *plugin_get_ds(const char *name) {
  static data_source_t one[] = {{"value", DS_TYPE_GAUGE, 0, 0}};
  static data_source_t four[] = {{"g", DS_TYPE_GAUGE, 0, 0},
                                 {"d", DS_TYPE_DERIVE, 0, 0},
                                 {"c", DS_TYPE_COUNTER, 0, 0},
                                 {"a", DS_TYPE_ABSOLUTE, 0, 0}};
  static const data_set_t sets[] = {{"gauge", 1, one}, {"four", 4, four}};
  for (size_t i = 0; i < 2; i++)
    if (strcmp(sets[i].type, name) == 0)
      return &sets[i];
  return NULL;
}

/* ---- context ---- */

static plugin_ctx_t context = {.interval = 7};

plugin_ctx_t plugin_get_ctx(void) { return context; }

plugin_ctx_t plugin_set_ctx(plugin_ctx_t ctx) {
  plugin_ctx_t before = context;
  context = ctx;
  return before;
}

gauge_t *uc_get_rate(const data_set_t *ds,
                     const value_list_t *vl __attribute__((unused))) {
  if (fake_collectd.rates == NULL)
    return NULL;
  gauge_t *copy = calloc(ds->ds_num, sizeof(*copy));
  if (copy != NULL)
    memcpy(copy, fake_collectd.rates, ds->ds_num * sizeof(*copy));
  return copy;
}

int uc_get_value_by_name(const char *name, value_t **ret_values,
                         size_t *ret_values_num) {
  const struct fake_cached *c = fake_collectd.cache;
  while (c != NULL && c->name != NULL && strcmp(c->name, name) != 0)
    c++;
  if (c == NULL || c->name == NULL)
    return -1;
  *ret_values = malloc(sizeof(**ret_values));
  **ret_values = c->value;
  *ret_values_num = 1;
  return 0;
}

struct uc_iter_s {
  const struct fake_cached *next;
};

uc_iter_t *uc_get_iterator(void) {
  uc_iter_t *iter = calloc(1, sizeof(*iter));
  iter->next = fake_collectd.cache;
  return iter;
}

int uc_iterator_next(uc_iter_t *iter, char **ret_name) {
  union {
    const char *in;
    char *out;
  } name;
  if (iter->next == NULL || iter->next->name == NULL)
    return -1;
  name.in = (iter->next++)->name;
  *ret_name = name.out;
  return 0;
}

void uc_iterator_destroy(uc_iter_t *iter) { free(iter); }

cdtime_t plugin_get_interval(void) { return context.interval; }

/* ---- meta data: a list ---- */

struct entry {
  struct entry *next;
  char *key, *string;
  int type;
  union {
    int64_t i;
    uint64_t u;
    double d;
    bool b;
  } value;
};
struct meta_data_s {
  struct entry *first;
};

meta_data_t *meta_data_create(void) { return calloc(1, sizeof(meta_data_t)); }

void meta_data_destroy(meta_data_t *md) {
  while (md != NULL && md->first != NULL) {
    struct entry *e = md->first;
    md->first = e->next;
    free(e->key);
    free(e->string);
    free(e);
  }
  free(md);
}

static struct entry *find(meta_data_t *md, const char *key, int type) {
  struct entry *e = md->first;
  while (e != NULL && (strcmp(e->key, key) != 0 || (type && e->type != type)))
    e = e->next;
  return e;
}

static struct entry *add(meta_data_t *md, const char *key, int type) {
  struct entry *e = calloc(1, sizeof(*e));
  struct entry **end = &md->first;
  e->key = strdup(key);
  e->type = type;
  while (*end != NULL)
    end = &(*end)->next;
  *end = e;
  return e;
}

int meta_data_add_string(meta_data_t *md, const char *key, const char *value) {
  add(md, key, MD_TYPE_STRING)->string = strdup(value);
  return 0;
}
int meta_data_add_signed_int(meta_data_t *md, const char *key, int64_t value) {
  add(md, key, MD_TYPE_SIGNED_INT)->value.i = value;
  return 0;
}
int meta_data_add_unsigned_int(meta_data_t *md, const char *key,
                               uint64_t value) {
  add(md, key, MD_TYPE_UNSIGNED_INT)->value.u = value;
  return 0;
}
int meta_data_add_double(meta_data_t *md, const char *key, double value) {
  add(md, key, MD_TYPE_DOUBLE)->value.d = value;
  return 0;
}
int meta_data_add_boolean(meta_data_t *md, const char *key, bool value) {
  add(md, key, MD_TYPE_BOOLEAN)->value.b = value;
  return 0;
}

int meta_data_type(meta_data_t *md, const char *key) {
  const struct entry *e = find(md, key, 0);
  return e == NULL ? 0 : e->type;
}

int meta_data_toc(meta_data_t *md, char ***toc) {
  int count = 0;
  for (const struct entry *e = md->first; e != NULL; e = e->next)
    count++;
  *toc = calloc((size_t)count + 1, sizeof(**toc));
  count = 0;
  for (const struct entry *e = md->first; e != NULL; e = e->next)
    (*toc)[count++] = strdup(e->key);
  return count;
}

int meta_data_get_string(meta_data_t *md, const char *key, char **value) {
  const struct entry *e = find(md, key, MD_TYPE_STRING);
  if (e == NULL)
    return -1;
  *value = strdup(e->string);
  return 0;
}
#define GETTER(function, c_type, md_type, field)                               \
  int function(meta_data_t *md, const char *key, c_type *value) {              \
    const struct entry *e = find(md, key, md_type);                            \
    if (e == NULL)                                                             \
      return -1;                                                               \
    *value = e->value.field;                                                   \
    return 0;                                                                  \
  }
GETTER(meta_data_get_signed_int, int64_t, MD_TYPE_SIGNED_INT, i)
GETTER(meta_data_get_unsigned_int, uint64_t, MD_TYPE_UNSIGNED_INT, u)
GETTER(meta_data_get_double, double, MD_TYPE_DOUBLE, d)
GETTER(meta_data_get_boolean, bool, MD_TYPE_BOOLEAN, b)

/* ---- what is dispatched ---- */

int plugin_dispatch_values(value_list_t const *vl) {
  fake_collectd.dispatched++;
  fake_collectd.vl = *vl;
  memcpy(fake_collectd.values, vl->values,
         vl->values_len * sizeof(fake_collectd.values[0]));
  fake_collectd.vl.values = fake_collectd.values;
  fake_collectd.vl.meta = NULL;
  fake_collectd.context_interval = context.interval;
  char *out = fake_collectd.meta;
  size_t left = sizeof(fake_collectd.meta);
  *out = '\0';
  for (const struct entry *e = vl->meta == NULL ? NULL : vl->meta->first;
       e != NULL; e = e->next) {
    int n = e->type == MD_TYPE_STRING
                ? snprintf(out, left, "%s=%s;", e->key, e->string)
                : snprintf(out, left, "%s=%llu;", e->key,
                           (unsigned long long)e->value.u);
    out += n;
    left -= (size_t)n;
  }
  return fake_collectd.dispatch_result;
}

int plugin_dispatch_notification(const notification_t *n) {
  fake_collectd.notified++;
  fake_collectd.notification = *n;
  fake_collectd.notification.meta = NULL;
  fake_collectd.notification_meta[0] = '\0';
  for (const notification_meta_t *m = n->meta; m != NULL; m = m->next) {
    size_t used = strlen(fake_collectd.notification_meta);
    snprintf(fake_collectd.notification_meta + used,
             sizeof(fake_collectd.notification_meta) - used, "%s:%d;", m->name,
             (int)m->type);
  }
  return 0;
}

static int add_notification_meta(notification_t *n, const char *name,
                                 enum notification_meta_type_e type,
                                 notification_meta_t value) {
  notification_meta_t *m = malloc(sizeof(*m));
  notification_meta_t **end = &n->meta;
  *m = value;
  m->type = type;
  m->next = NULL;
  sstrncpy(m->name, name, sizeof(m->name));
  while (*end != NULL)
    end = &(*end)->next;
  *end = m;
  return 0;
}
#define ADDER(function, c_type, nm_type, field)                                \
  int function(notification_t *n, const char *name, c_type value) {            \
    return add_notification_meta(                                              \
        n, name, nm_type, (notification_meta_t){.nm_value.field = value});     \
  }
ADDER(plugin_notification_meta_add_string, const char *, NM_TYPE_STRING,
      nm_string)
ADDER(plugin_notification_meta_add_signed_int, int64_t, NM_TYPE_SIGNED_INT,
      nm_signed_int)
ADDER(plugin_notification_meta_add_unsigned_int, uint64_t, NM_TYPE_UNSIGNED_INT,
      nm_unsigned_int)
ADDER(plugin_notification_meta_add_double, double, NM_TYPE_DOUBLE, nm_double)
ADDER(plugin_notification_meta_add_boolean, bool, NM_TYPE_BOOLEAN, nm_boolean)

int plugin_notification_meta_free(notification_meta_t *m) {
  while (m != NULL) {
    notification_meta_t *next = m->next;
    free(m);
    m = next;
  }
  return 0;
}

char *sstrncpy(char *to, const char *from, size_t size) {
  snprintf(to, size, "%s", from);
  return to;
}
