/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/admin.h"

#include "common/base/names.h"
#include "common/codec/json.h"
#include "common/codec/quote.h"

#include <stdlib.h>
#include <string.h>

enum {
  BODY_BYTES_MAX = 1024 * 1024,
  PATH_BYTES_MAX = 4096,
  SAID_BYTES_MAX = 200,
  CLOSE_MAX = 100 /* connections at a time */
};

void rmq_admin_init(struct rmq_admin *a, const struct rmq_http *http,
                    const char *url, struct rmq_dur timeout) {
  *a = (struct rmq_admin){.http = *http, .url = url, .timeout = timeout};
  rmq_buf_init(&a->body, BODY_BYTES_MAX);
}

void rmq_admin_fini(struct rmq_admin *a) { rmq_buf_fini(&a->body); }

static bool take(void *ctx, const char *bytes, size_t len) {
  return rmq_buf_append(ctx, bytes, len) == 0;
}

static int ask(struct rmq_admin *a, const char *method, struct rmq_buf *path,
               const char *body, struct rmq_error *err) {
  struct rmq_buf url;
  size_t len = strlen(a->url);
  while (len > 0 && a->url[len - 1] == '/')
    len--;
  rmq_buf_init(&url, PATH_BYTES_MAX);
  rmq_buf_appendf(&url, "%.*s/api/%s", (int)len, a->url, rmq_buf_text(path));
  struct rmq_http_request r = {.url = rmq_buf_text(&url),
                               .max = BODY_BYTES_MAX,
                               .take = take,
                               .ctx = &a->body,
                               .method = method,
                               .body = body};
  rmq_buf_clear(&a->body);
  a->status = 0;
  bool is_done =
      a->http.get_all(a->http.ctx, &r, 1, a->timeout) == RMQ_HTTP_ANSWERED &&
      r.outcome == RMQ_HTTP_ANSWERED;
  if (is_done)
    a->status = r.status;
  if (!is_done)
    rmq_error_set(err, "%s: %s", r.url, r.error.text);
  else if (r.status < 200 || r.status > 299)
    rmq_error_set(err, "%s %s: status %d %.*s", method != NULL ? method : "GET",
                  r.url, r.status, SAID_BYTES_MAX, rmq_buf_text(&a->body));
  rmq_buf_fini(&url);
  rmq_buf_fini(path);
  return is_done && r.status >= 200 && r.status <= 299 ? 0 : -1;
}

/* first/SECOND/third/FOURTH/fifth, names encoded; NULL ends it. */
static struct rmq_buf path_of(const char *first, const char *second,
                              const char *third, const char *fourth,
                              const char *fifth) {
  struct rmq_buf path;
  rmq_buf_init(&path, PATH_BYTES_MAX);
  rmq_buf_append_text(&path, first);
  if (second != NULL)
    rmq_names_encode(&path, second, false);
  if (third != NULL)
    rmq_buf_append_text(&path, third);
  if (fourth != NULL)
    rmq_names_encode(&path, fourth, false);
  if (fifth != NULL)
    rmq_buf_append_text(&path, fifth);
  return path;
}

/* ---- answers ---- */

/* The member "name" of the object that starts here. */
static int read_name(struct rmq_json *j, char **ret_name) {
  struct rmq_json_value key, value;
  int more;
  *ret_name = NULL;
  if (rmq_json_open(j, '{') != 0)
    return -1;
  while ((more = rmq_json_more(j)) == 1) {
    if (rmq_json_key(j, &key) != 0 || rmq_json_value(j, &value) != 0)
      return -1;
    if (strcmp(key.text, "name") == 0 && value.kind == RMQ_JSON_STRING)
      *ret_name = value.text;
  }
  return more;
}

static int get_name(struct rmq_admin *a, const char *path, struct rmq_buf *out,
                    struct rmq_error *err) {
  struct rmq_buf p = path_of(path, NULL, NULL, NULL, NULL);
  struct rmq_json j;
  char *name = NULL;
  if (ask(a, NULL, &p, NULL, err) != 0)
    return -1;
  rmq_json_init(&j, rmq_buf_bytes(&a->body), a->body.len, err);
  if (read_name(&j, &name) != 0 || name == NULL)
    return rmq_error_set(err, "/api/%s does not say a name", path);
  return rmq_buf_append_text(out, name);
}

int rmq_admin_cluster_name(struct rmq_admin *a, struct rmq_buf *out,
                           struct rmq_error *err) {
  return get_name(a, "cluster-name", out, err);
}

/* Each name of a list of objects, which is the body. */
static int each_name(struct rmq_admin *a,
                     void (*found)(void *ctx, const char *name), void *ctx,
                     struct rmq_error *err) {
  struct rmq_json j;
  char *name = NULL;
  int more;
  rmq_json_init(&j, rmq_buf_bytes(&a->body), a->body.len, err);
  if (rmq_json_open(&j, '[') != 0)
    return -1;
  while ((more = rmq_json_more(&j)) == 1) {
    if (read_name(&j, &name) != 0)
      return -1;
    if (name != NULL)
      found(ctx, name);
  }
  return more;
}

/* ---- virtual hosts ---- */

int rmq_admin_create_vhost(struct rmq_admin *a, const char *vhost,
                           struct rmq_error *err) {
  struct rmq_buf user;
  rmq_buf_init(&user, 1024);
  struct rmq_buf path = path_of("vhosts/", vhost, NULL, NULL, NULL);
  int rc = get_name(a, "whoami", &user, err);
  if (rc == 0)
    rc = ask(a, "PUT", &path, "{}", err);
  rmq_buf_fini(&path);
  if (rc == 0) {
    path = path_of("permissions/", vhost, "/", rmq_buf_text(&user), NULL);
    rc = ask(a, "PUT", &path,
             "{\"configure\":\".*\",\"write\":\".*\",\"read\":\".*\"}", err);
  }
  rmq_buf_fini(&user);
  return rc;
}

int rmq_admin_delete_vhost(struct rmq_admin *a, const char *vhost,
                           struct rmq_error *err) {
  struct rmq_buf path = path_of("vhosts/", vhost, NULL, NULL, NULL);
  struct rmq_error cause = {.text = ""};
  if (ask(a, "DELETE", &path, NULL, &cause) == 0 || a->status == 404)
    return 0;
  return rmq_error_set(err, "%s", cause.text);
}

struct wanted {
  const char *prefix;
  void (*found)(void *ctx, const char *name);
  void *ctx;
};

static void take_wanted(void *ctx, const char *name) {
  const struct wanted *w = ctx;
  if (strncmp(name, w->prefix, strlen(w->prefix)) == 0)
    w->found(w->ctx, name);
}

int rmq_admin_find_vhosts(struct rmq_admin *a, const char *prefix,
                          void (*found)(void *ctx, const char *name), void *ctx,
                          struct rmq_error *err) {
  struct wanted wanted = {prefix, found, ctx};
  struct rmq_buf path = path_of("vhosts?columns=name", NULL, NULL, NULL, NULL);
  return ask(a, NULL, &path, NULL, err) == 0
             ? each_name(a, take_wanted, &wanted, err)
             : -1;
}

/* ---- queues and messages ---- */

int rmq_admin_create_queue(struct rmq_admin *a, const char *vhost,
                           const char *queue, unsigned max_length,
                           struct rmq_error *err) {
  struct rmq_buf path = path_of("queues/", vhost, "/", queue, NULL);
  struct rmq_buf body;
  rmq_buf_init(&body, PATH_BYTES_MAX);
  rmq_buf_append_text(&body, "{\"durable\":true");
  if (max_length > 0)
    rmq_buf_appendf(&body,
                    ",\"arguments\":{\"x-queue-type\":\"classic\","
                    "\"x-max-length\":%u,\"x-overflow\":\"reject-publish\"}",
                    max_length);
  rmq_buf_append_char(&body, '}');
  int rc = ask(a, "PUT", &path, rmq_buf_text(&body), err);
  rmq_buf_fini(&body);
  return rc;
}

int rmq_admin_purge(struct rmq_admin *a, const char *vhost, const char *queue,
                    struct rmq_error *err) {
  struct rmq_buf path = path_of("queues/", vhost, "/", queue, "/contents");
  return ask(a, "DELETE", &path, NULL, err);
}

/* 400 with this reason is how the broker says that a queue nacked it. */
static bool is_rejection(struct rmq_admin *a) {
  return strstr(rmq_buf_text(&a->body), "\"reason\":\"rejected") != NULL;
}

int rmq_admin_publish(struct rmq_admin *a, const char *vhost, const char *key,
                      const char *payload, struct rmq_error *err) {
  struct rmq_buf path =
      path_of("exchanges/", vhost, "/amq.default/publish", NULL, NULL);
  struct rmq_buf body;
  rmq_buf_init(&body, PATH_BYTES_MAX);
  rmq_buf_append_text(&body, "{\"properties\":{},\"payload_encoding\":"
                             "\"string\",\"routing_key\":");
  rmq_quote_json(&body, key);
  rmq_buf_append_text(&body, ",\"payload\":");
  rmq_quote_json(&body, payload);
  rmq_buf_append_char(&body, '}');
  struct rmq_error why = {.text = ""};
  int rc = ask(a, "POST", &path, rmq_buf_text(&body), &why);
  rmq_buf_fini(&body);
  return rc == 0 || is_rejection(a) ? 0 : rmq_error_set(err, "%s", why.text);
}

int rmq_admin_requeue(struct rmq_admin *a, const char *vhost, const char *queue,
                      unsigned count, struct rmq_error *err) {
  struct rmq_buf path = path_of("queues/", vhost, "/", queue, "/get");
  struct rmq_buf body;
  rmq_buf_init(&body, PATH_BYTES_MAX);
  rmq_buf_appendf(&body,
                  "{\"count\":%u,\"ackmode\":\"ack_requeue_true\","
                  "\"encoding\":\"auto\",\"truncate\":10}",
                  count);
  int rc = ask(a, "POST", &path, rmq_buf_text(&body), err);
  rmq_buf_fini(&body);
  return rc;
}

/* ---- connections ---- */

struct names {
  char *items[CLOSE_MAX];
  size_t count;
};

static void keep_name(void *ctx, const char *name) {
  struct names *n = ctx;
  char *copy = n->count < CLOSE_MAX ? strdup(name) : NULL;
  if (copy != NULL)
    n->items[n->count++] = copy;
}

/* One that is gone meanwhile is closed, too. */
int rmq_admin_close_connections(struct rmq_admin *a, const char *vhost,
                                size_t *ret_count, struct rmq_error *err) {
  struct names names = {.count = 0};
  struct rmq_buf path =
      path_of("vhosts/", vhost, "/connections?columns=name", NULL, NULL);
  int rc = ask(a, NULL, &path, NULL, err);
  if (rc == 0)
    rc = each_name(a, keep_name, &names, err);
  for (size_t i = 0; i < names.count; i++) {
    struct rmq_error gone = {.text = ""};
    path = path_of("connections/", names.items[i], NULL, NULL, NULL);
    (void)ask(a, "DELETE", &path, NULL, &gone);
    free(names.items[i]);
  }
  if (rc == 0)
    *ret_count = names.count;
  return rc;
}
