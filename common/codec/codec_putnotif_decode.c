/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/codec_putnotif_decode.h"

#include "common/codec/number.h"
#include "common/codec/samples.h"

#include <string.h>
#include <strings.h>

struct notification {
  struct rmq_event event;
  struct rmq_meta meta[RMQ_SAMPLE_META_MAX];
  bool has_severity;
};

static int set_text(const char **to, const char *key, const char *value,
                    struct rmq_error *err) {
  if (*to[0] != '\0')
    return rmq_error_set(err, "option %s is given twice", key);
  *to = value;
  return 0;
}

static int set_severity(struct notification *n, const char *value,
                        struct rmq_error *err) {
  static const enum rmq_severity all[] = {RMQ_OKAY, RMQ_WARNING, RMQ_FAILURE};
  if (n->has_severity)
    return rmq_error_set(err, "option severity is given twice");
  for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
    if (strcasecmp(value, rmq_severity_to_str(all[i])) == 0) {
      n->event.severity = all[i];
      n->has_severity = true;
      return 0;
    }
  return rmq_error_set(err, "severity \"%.60s\" is not known", value);
}

static int set_time(struct notification *n, const char *value,
                    struct rmq_error *err) {
  if (n->event.time.ns != 0)
    return rmq_error_set(err, "option time is given twice");
  if (rmq_number_get_seconds(value, strlen(value), &n->event.time.ns) != 0 ||
      n->event.time.ns < RMQ_NS_PER_MS)
    return rmq_error_set(err, "time \"%.60s\" is not seconds since 1970",
                         value);
  return 0;
}

/* "s:NAME" or "n:NAME". */
static int add_meta(struct notification *n, const char *key, char *value,
                    struct rmq_error *err) {
  bool is_text = key[0] == 's' || key[0] == 'S';
  const char *name = key + 2;
  if (n->event.meta_count == RMQ_SAMPLE_META_MAX)
    return rmq_error_set(err, "more than %d meta data", RMQ_SAMPLE_META_MAX);
  if (!rmq_samples_key_is_safe(name, strlen(name)))
    return rmq_error_set(err,
                         "a meta key is empty, longer than %d bytes or no text",
                         RMQ_NAME_MAX);
  for (size_t i = 0; i < n->event.meta_count; i++)
    if (strcmp(n->meta[i].key, name) == 0)
      return rmq_error_set(err, "option %s is given twice", key);
  struct rmq_meta *m = &n->meta[n->event.meta_count];
  *m = (struct rmq_meta){.key = name,
                         .type = is_text ? RMQ_META_STRING : RMQ_META_DOUBLE};
  if (is_text) {
    rmq_samples_clean_text(value, strlen(value));
    m->value.string = value;
  } else if (rmq_number_get_double(value, strlen(value), &m->value.number) !=
             0) {
    return rmq_error_set(err, "%s \"%.60s\" is not a number", key, value);
  }
  n->event.meta_count++;
  return 0;
}

static int set_option(struct notification *n, const char *key, char *value,
                      struct rmq_error *err) {
  struct rmq_identity *id = &n->event.id;
  const struct {
    const char *key, **to;
  } texts[] = {{"host", &id->host},
               {"plugin", &id->plugin},
               {"plugin_instance", &id->plugin_instance},
               {"type", &id->type},
               {"type_instance", &id->type_instance},
               {"message", &n->event.message}};
  if (strcasecmp(key, "severity") == 0)
    return set_severity(n, value, err);
  if (strcasecmp(key, "time") == 0)
    return set_time(n, value, err);
  if (strncasecmp(key, "s:", 2) == 0 || strncasecmp(key, "n:", 2) == 0)
    return add_meta(n, key, value, err);
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
    if (strcasecmp(key, texts[i].key) == 0) {
      if (texts[i].to == &n->event.message)
        rmq_samples_clean_text(value, strlen(value));
      return set_text(texts[i].to, key, value, err);
    }
  return rmq_error_set(err, "option %.60s is not known", key);
}

static int read_options(struct notification *n, struct rmq_command_line *l,
                        struct rmq_error *err) {
  char *text = NULL;
  int rc = 0;
  while ((rc = rmq_command_next(l, &text, err)) == 1) {
    char *value = rmq_command_split(text, '=');
    if (value == NULL)
      return rmq_error_set(err, "\"%.60s\" is not option=value", text);
    if (set_option(n, text, value, err) != 0)
      return -1;
  }
  return rc;
}

int rmq_codec_putnotif_read(struct rmq_command_line *l, struct rmq_samples *set,
                            struct rmq_error *err) {
  struct notification n = {
      .event = {.id = {"", "", "", "", ""}, .message = "", .meta = n.meta}};
  if (set->sink->event == NULL)
    return rmq_samples_push_event(set, &n.event, err);
  if (read_options(&n, l, err) != 0)
    return -1;
  if (!n.has_severity || n.event.time.ns == 0 || n.event.message[0] == '\0')
    return rmq_error_set(err, "PUTNOTIF needs severity, time and message");
  return rmq_samples_check_identity(&n.event.id, true, err) == 0
             ? rmq_samples_push_event(set, &n.event, err)
             : -1;
}
