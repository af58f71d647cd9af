/* SPDX-License-Identifier: MIT */
/*
 * HTTP by libcurl, for one thread at a time; only cancel may come from any
 * thread. Redirects are not followed, .netrc is not read, only http and https
 * are spoken, a loopback address is never asked through a proxy, and sizes are
 * counted where the bytes arrive.
 */
#ifndef RMQ_BROKER_HTTP_CURL_H
#define RMQ_BROKER_HTTP_CURL_H

#include "common/base/error.h"
#include "common/broker/http.h"

#include <stdbool.h>

struct rmq_http_curl; /* opaque: libcurl's handles */

/* Strings are copied; NULL where there is none. Without a user nothing is shown
 * until there is a login or a token. */
struct rmq_http_curl_config {
  const char *user, *password;
  struct rmq_dur connect_timeout;
  bool verify_peer, verify_host;
  const char *ca_cert;                  /* NULL = the system's */
  const char *client_cert, *client_key; /* PEM files */
};

/* In the init callback or later: libcurl is initialised here. NULL with err. */
struct rmq_http_curl *
rmq_http_curl_new(const struct rmq_http_curl_config *config,
                  struct rmq_error *err);
void rmq_http_curl_free(struct rmq_http_curl *h);
/* Valid as long as h. */
struct rmq_http rmq_http_curl_http(struct rmq_http_curl *h);
/* Any thread: the running request, and every later one, is cancelled. */
void rmq_http_curl_cancel(struct rmq_http_curl *h);
/* Likewise as soon as there is something to read from this descriptor, which is
 * borrowed and never read: for signal handlers, which may call nothing of this.
 * Before the first request. */
void rmq_http_curl_set_end(struct rmq_http_curl *h, int fd);
/* For the next request; copied. */
int rmq_http_curl_set_login(struct rmq_http_curl *h, const char *user,
                            const char *password);
/* Instead of user and password. */
int rmq_http_curl_set_token(struct rmq_http_curl *h, const char *token);

#endif
