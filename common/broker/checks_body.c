/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/checks_body.h"

#include "common/codec/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool is_text(const struct rmq_json_value *v, const char *text) {
  return v->kind == RMQ_JSON_STRING && v->len == strlen(text) &&
         memcmp(v->text, text, v->len) == 0;
}

static const char *text_of(const struct rmq_json_value *v) {
  return v->kind == RMQ_JSON_STRING ? v->text : "";
}

/* ---- queues ---- */

void rmq_checks_queues_fini(struct rmq_checks_queues *q) {
  free(q->hashes);
  *q = (struct rmq_checks_queues){.hashes = NULL};
}

static int add_hash(struct rmq_checks_queues *q, uint64_t hash) {
  if (q->count >= RMQ_CHECKS_QUEUES_MAX)
    return -1;
  if (q->count == q->capacity) {
    size_t capacity = q->capacity == 0 ? 64 : q->capacity * 2;
    uint64_t *hashes = realloc(q->hashes, capacity * sizeof(*hashes));
    if (hashes == NULL)
      return -1;
    q->hashes = hashes;
    q->capacity = capacity;
  }
  q->hashes[q->count++] = hash;
  return 0;
}

static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

size_t rmq_checks_queues_count(struct rmq_checks_queues *q) {
  size_t kept = 0;
  if (q->count > 0)
    qsort(q->hashes, q->count, sizeof(*q->hashes), compare);
  for (size_t i = 0; i < q->count; i++)
    if (kept == 0 || q->hashes[kept - 1] != q->hashes[i])
      q->hashes[kept++] = q->hashes[i];
  q->count = kept;
  return kept;
}

/* FNV-1a, a NUL behind each text. */
static uint64_t add_text(uint64_t h, const struct rmq_json_value *v) {
  for (size_t i = 0; i < v->len; i++)
    h = (h ^ (unsigned char)v->text[i]) * UINT64_C(0x100000001b3);
  return h * UINT64_C(0x100000001b3);
}

/* ---- lists ---- */

/* Reads one element of a list. */
struct reader {
  int (*item)(struct reader *r, struct rmq_json *j);
  void *out;
  struct rmq_error *err;
  size_t items; /* that were read */
};

static int read_list(struct reader *r, struct rmq_json *j) {
  int more;
  if (rmq_json_open(j, '[') != 0)
    return -1;
  while ((more = rmq_json_more(j)) == 1) {
    if (r->item(r, j) != 0)
      return -1;
    r->items++;
  }
  return more;
}

enum verdict { NO_VERDICT, WELL, UNWELL };

/* An object with a status, and a list under that key unless all is well. */
static int read_verdict(struct reader *r, struct rmq_json *j, const char *key,
                        enum verdict *ret_verdict) {
  struct rmq_json_value name, value = {.kind = RMQ_JSON_NULL};
  int more;
  if (rmq_json_open(j, '{') != 0)
    return -1;
  while ((more = rmq_json_more(j)) == 1) {
    if (rmq_json_key(j, &name) != 0)
      return -1;
    bool is_list = is_text(&name, key) && rmq_json_peek(j) == '[';
    bool is_status = is_text(&name, "status");
    if (is_list ? read_list(r, j) != 0 : rmq_json_value(j, &value) != 0)
      return -1;
    if (is_status)
      *ret_verdict = is_text(&value, "ok")       ? WELL
                     : is_text(&value, "failed") ? UNWELL
                                                 : NO_VERDICT;
  }
  return more;
}

static int read_check(struct reader *r, char *text, size_t len,
                      const char *key) {
  struct rmq_error cause = {.text = ""};
  struct rmq_json j;
  enum verdict verdict = NO_VERDICT;
  rmq_json_init(&j, text, len, &cause);
  int rc = read_verdict(r, &j, key, &verdict);
  /* Not none: how many it has failed for is unknown. */
  if (rc == 0 && verdict == UNWELL && r->items == 0)
    return rmq_error_set(r->err,
                         "the health check failed and says not of what");
  if (rc == 0 && verdict != NO_VERDICT)
    return rmq_error_is_set(r->err) ? -1 : 0;
  return rmq_error_set(r->err, "the answer is not that of a health check%s%s",
                       cause.text[0] == '\0' ? "" : ": ", cause.text);
}

/* ---- connections ---- */

struct states {
  size_t all, known, blocked;
};

static int read_connection(struct reader *r, struct rmq_json *j) {
  struct states *s = r->out;
  struct rmq_json_value key, value;
  int more;
  if (rmq_json_open(j, '{') != 0)
    return -1;
  s->all++;
  while ((more = rmq_json_more(j)) == 1) {
    if (rmq_json_key(j, &key) != 0)
      return -1;
    bool is_state = is_text(&key, "state");
    if (rmq_json_value(j, &value) != 0)
      return -1;
    if (!is_state || value.kind != RMQ_JSON_STRING)
      continue;
    s->known++;
    s->blocked += is_text(&value, "blocked") || is_text(&value, "blocking");
  }
  return more;
}

int rmq_checks_body_connections(char *text, size_t len, double *ret_blocked,
                                struct rmq_error *err) {
  struct rmq_error cause = {.text = ""};
  struct states s = {0};
  struct reader r = {.item = read_connection, .out = &s, .err = err};
  struct rmq_json j;
  rmq_json_init(&j, text, len, &cause);
  if (read_list(&r, &j) != 0)
    return rmq_error_set(err, "the answer is not a list of connections: %s",
                         cause.text);
  *ret_blocked = s.all > 0 && s.known == 0 ? (double)NAN : (double)s.blocked;
  return 0;
}

/* ---- queues of a health check ---- */

static int read_queue(struct reader *r, struct rmq_json *j) {
  struct rmq_json_value key, value, name = {.len = 0}, vhost = {.len = 0};
  int more;
  if (rmq_json_open(j, '{') != 0)
    return -1;
  while ((more = rmq_json_more(j)) == 1) {
    if (rmq_json_key(j, &key) != 0)
      return -1;
    bool is_name = is_text(&key, "name");
    bool is_vhost = is_text(&key, "virtual_host");
    if (rmq_json_value(j, &value) != 0)
      return -1;
    if (is_name)
      name = value;
    if (is_vhost)
      vhost = value;
  }
  if (more != 0)
    return -1;
  uint64_t hash = add_text(UINT64_C(0xcbf29ce484222325), &vhost);
  if (add_hash(r->out, add_text(hash, &name)) != 0)
    rmq_error_set(r->err, "more than %d queues, or no memory for them",
                  RMQ_CHECKS_QUEUES_MAX);
  return 0;
}

int rmq_checks_body_queues(char *text, size_t len, struct rmq_checks_queues *q,
                           struct rmq_error *err) {
  struct reader r = {.item = read_queue, .out = q, .err = err};
  return read_check(&r, text, len, "queues");
}

/* ---- virtual hosts ---- */

static int read_vhost(struct reader *r, struct rmq_json *j) {
  struct rmq_json_value name;
  if (rmq_json_value(j, &name) != 0)
    return -1;
  if (name.kind != RMQ_JSON_STRING ||
      add_hash(r->out, add_text(UINT64_C(0xcbf29ce484222325), &name)) != 0)
    rmq_error_set(r->err,
                  "a name that is none, more than %d virtual hosts, or "
                  "no memory for them",
                  RMQ_CHECKS_QUEUES_MAX);
  return 0;
}

int rmq_checks_body_vhosts(char *text, size_t len, struct rmq_checks_queues *v,
                           struct rmq_error *err) {
  struct reader r = {.item = read_vhost, .out = v, .err = err};
  return read_check(&r, text, len, "virtual-hosts");
}

/* ---- certificates ---- */

void rmq_checks_certificate_add(struct rmq_checks_certificate *c,
                                int64_t expires_s, const char *where) {
  if (expires_s <= 0 || (c->expires_s > 0 && expires_s >= c->expires_s))
    return;
  c->expires_s = expires_s;
  snprintf(c->where, sizeof(c->where), "%s", where);
}

/* "2026-12-23 8:01:20", UTC; 0 = it is none, or before 1970. */
static int64_t read_date(const char *text) {
  struct tm t = {.tm_isdst = 0};
  int end = 0;
  if (sscanf(text, "%4d-%2d-%2d %2d:%2d:%2d%n", &t.tm_year, &t.tm_mon,
             &t.tm_mday, &t.tm_hour, &t.tm_min, &t.tm_sec, &end) != 6 ||
      text[end] != '\0' || t.tm_year < 1970)
    return 0;
  t.tm_year -= 1900;
  t.tm_mon -= 1;
  time_t s = timegm(&t);
  return s > 0 ? (int64_t)s : 0;
}

/* The first text of a list, or nothing. */
static int read_first(struct rmq_json *j, struct rmq_json_value *ret_first) {
  struct rmq_json_value value;
  bool has_first = false;
  int more;
  if (rmq_json_peek(j) != '[')
    return rmq_json_value(j, &value);
  if (rmq_json_open(j, '[') != 0)
    return -1;
  while ((more = rmq_json_more(j)) == 1) {
    if (rmq_json_value(j, &value) != 0)
      return -1;
    if (!has_first)
      *ret_first = value;
    has_first = true;
  }
  return more;
}

struct listener {
  struct rmq_json_value node, port, protocol, expires;
};

static int read_listener_fields(struct rmq_json *j, struct listener *l) {
  struct rmq_json_value key, value;
  int more;
  if (rmq_json_open(j, '{') != 0)
    return -1;
  while ((more = rmq_json_more(j)) == 1) {
    if (rmq_json_key(j, &key) != 0)
      return -1;
    struct rmq_json_value *field = is_text(&key, "node")       ? &l->node
                                   : is_text(&key, "port")     ? &l->port
                                   : is_text(&key, "protocol") ? &l->protocol
                                                               : &value;
    int rc = is_text(&key, "certfile_expires_on") ? read_first(j, &l->expires)
                                                  : rmq_json_value(j, field);
    if (rc != 0)
      return -1;
  }
  return more;
}

static int read_listener(struct reader *r, struct rmq_json *j) {
  struct listener l = {{.kind = RMQ_JSON_NULL},
                       {.kind = RMQ_JSON_NULL},
                       {.kind = RMQ_JSON_NULL},
                       {.kind = RMQ_JSON_NULL}};
  char where[RMQ_CHECKS_WHERE_SIZE];
  if (read_listener_fields(j, &l) != 0)
    return -1;
  snprintf(where, sizeof(where), "the listener %s, port %.*s, of %s",
           text_of(&l.protocol),
           l.port.kind == RMQ_JSON_INTEGER ? (int)l.port.len : 0,
           l.port.kind == RMQ_JSON_INTEGER ? l.port.text : "",
           text_of(&l.node));
  int64_t expires_s = read_date(text_of(&l.expires));
  if (expires_s == 0)
    rmq_error_set(r->err, "no date for the certificate of %s", where);
  rmq_checks_certificate_add(r->out, expires_s, where);
  return 0;
}

int rmq_checks_body_certificates(char *text, size_t len,
                                 struct rmq_checks_certificate *c,
                                 struct rmq_error *err) {
  struct reader r = {.item = read_listener, .out = c, .err = err};
  return read_check(&r, text, len, "expired");
}
