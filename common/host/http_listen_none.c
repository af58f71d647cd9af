/* SPDX-License-Identifier: MIT */
/*
 * In place of the HTTP server where Warren is built without libmicrohttpd:
 * none is ever made, so that nothing else is ever called.
 */
#include "rmq_config.h"

#include "common/host/http_listen.h"

#include <assert.h>

struct rmq_http_listen *
rmq_http_listen_new(const struct rmq_http_listen_config *config,
                    struct rmq_error *err) {
  rmq_error_set(err,
                "cannot listen on %s: this warren was built without "
                "libmicrohttpd; install its headers (libmicrohttpd-dev) and "
                "configure with --with-microhttpd",
                config->address);
  return NULL;
}

const char *rmq_http_listen_address(const struct rmq_http_listen *l) {
  (void)l;
  return "";
}

int rmq_http_listen_start(struct rmq_http_listen *l, struct rmq_error *err) {
  assert(l == NULL);
  return rmq_error_set(err, "there is no HTTP server");
}

void rmq_http_listen_stats(struct rmq_http_listen *l,
                           struct rmq_http_listen_stats *ret_stats) {
  assert(l == NULL);
  *ret_stats = (struct rmq_http_listen_stats){.connections = 0};
}

void rmq_http_listen_stop(struct rmq_http_listen *l, struct rmq_mono deadline) {
  (void)l, (void)deadline;
}

void rmq_http_listen_join(struct rmq_http_listen *l) { (void)l; }

void rmq_http_listen_free(struct rmq_http_listen *l) { assert(l == NULL); }

const char *rmq_http_request_method(const struct rmq_http_request *q) {
  (void)q;
  return "";
}

const char *rmq_http_request_target(const struct rmq_http_request *q) {
  (void)q;
  return "";
}

void rmq_http_request_headers(const struct rmq_http_request *q,
                              void (*found)(void *ctx, const char *name,
                                            const char *value),
                              void *ctx) {
  (void)q, (void)found, (void)ctx;
}

const char *rmq_http_request_body(const struct rmq_http_request *q,
                                  size_t *ret_len) {
  (void)q;
  *ret_len = 0;
  return "";
}

void rmq_http_request_forget_body(struct rmq_http_request *q) { (void)q; }

void rmq_http_request_wrong_method(struct rmq_http_request *q,
                                   const char *allowed) {
  (void)q, (void)allowed;
}

void rmq_http_request_expire(struct rmq_http_request *q,
                             struct rmq_mono deadline,
                             const struct rmq_http_answer *answer) {
  (void)q, (void)deadline, (void)answer;
}

void rmq_http_request_reword(struct rmq_http_request *q,
                             const struct rmq_http_answer *answer) {
  (void)q, (void)answer;
}

void rmq_http_request_answer(struct rmq_http_request *q,
                             const struct rmq_http_answer *answer) {
  (void)q, (void)answer;
}
