/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "plugins/warren_monitor_serve.h"

#include "common/base/http_target.h"
#include "common/host/host_execd_format.h"
#include "common/host/http_listen.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
  SERVE_CONNECTIONS_MAX = 16,
  SERVE_BODY_MAX = 1024, /* of a request, which has none */
  SERVE_IDLE_S = 30,
  SERVE_STOP_S = 2
};

struct warren_serve {
  const struct rmq_host *host;
  struct rmq_dur max_age;
  struct rmq_http_listen_config config;
  struct rmq_http_listen *listen;
  bool is_started;

  pthread_mutex_t lock; /* protects what follows */
  char *bytes;          /* NULL = no document */
  size_t len;
  struct rmq_mono made;
};

/* Under the lock. */
static void answer_document(struct warren_serve *s,
                            struct rmq_http_request *q) {
  static const char none[] = "there is no set of samples, or none that is "
                             "young enough\n";
  struct rmq_dur age = rmq_mono_since(s->host->mono(s->host->ctx), s->made);
  bool is_there = s->bytes != NULL && age.ns <= s->max_age.ns;
  rmq_http_request_answer(
      q, &(struct rmq_http_answer){
             .status = is_there ? 200 : 503,
             .content_type = is_there ? RMQ_EMIT_PROMETHEUS_TYPE : "text/plain",
             .body = is_there ? s->bytes : none,
             .body_len = is_there ? s->len : strlen(none)});
}

static void answer_not_here(struct rmq_http_request *q) {
  static const char text[] = "only /metrics is here\n";
  rmq_http_request_answer(
      q, &(struct rmq_http_answer){.status = 404,
                                   .content_type = "text/plain",
                                   .body = text,
                                   .body_len = sizeof(text) - 1});
}

static void take_request(void *ctx, struct rmq_http_request *q) {
  struct warren_serve *s = ctx;
  static const char path[] = "/metrics";
  const char *target = rmq_http_request_target(q);
  char end =
      strncmp(target, path, strlen(path)) == 0 ? target[strlen(path)] : '/';
  if (end != '\0' && end != '?') {
    answer_not_here(q);
  } else if (!rmq_http_method_reads(rmq_http_request_method(q))) {
    rmq_http_request_wrong_method(q, "GET, HEAD");
  } else {
    pthread_mutex_lock(&s->lock);
    answer_document(s, q);
    pthread_mutex_unlock(&s->lock);
  }
}

struct warren_serve *warren_serve_new(const struct rmq_host *host,
                                      const char *address,
                                      bool is_anywhere_allowed,
                                      struct rmq_dur max_age,
                                      struct rmq_error *err) {
  struct warren_serve *s = calloc(1, sizeof(*s));
  if (s == NULL) {
    rmq_error_set(err, "out of memory");
    return NULL;
  }
  s->host = host;
  s->max_age = max_age;
  s->config = (struct rmq_http_listen_config){
      .host = host,
      .plugin = "rabbitmq_monitor",
      .address = address,
      .is_anywhere_allowed = is_anywhere_allowed,
      .socket_mode = 0660,
      .connections_max = SERVE_CONNECTIONS_MAX,
      .body_max = SERVE_BODY_MAX,
      .bodies_max = (size_t)SERVE_BODY_MAX * SERVE_CONNECTIONS_MAX,
      .idle_timeout = rmq_s(SERVE_IDLE_S),
      .ctx = s,
      .request = take_request};
  pthread_mutex_init(&s->lock, NULL);
  s->listen = rmq_http_listen_new(&s->config, err);
  if (s->listen != NULL && rmq_http_listen_start(s->listen, err) == 0) {
    s->is_started = true;
    return s;
  }
  warren_serve_free(s);
  return NULL;
}

int warren_serve_put(struct warren_serve *s, const char *bytes, size_t len) {
  char *copy = malloc(len + 1);
  if (copy != NULL) {
    memcpy(copy, bytes, len);
    copy[len] = '\0';
  }
  pthread_mutex_lock(&s->lock);
  free(s->bytes);
  s->bytes = copy;
  s->len = len;
  s->made = s->host->mono(s->host->ctx);
  pthread_mutex_unlock(&s->lock);
  return copy == NULL ? -1 : 0;
}

void warren_serve_free(struct warren_serve *s) {
  if (s == NULL)
    return;
  if (s->is_started) {
    rmq_http_listen_stop(s->listen, rmq_mono_add(s->host->mono(s->host->ctx),
                                                 rmq_s(SERVE_STOP_S)));
    rmq_http_listen_join(s->listen);
  }
  if (s->listen != NULL)
    rmq_http_listen_free(s->listen);
  pthread_mutex_destroy(&s->lock);
  free(s->bytes);
  free(s);
}
