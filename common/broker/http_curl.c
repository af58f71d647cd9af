/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/http_curl.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#if LIBCURL_VERSION_NUM >= 0x074400 /* 7.68.0 */
#define HTTP_CAN_WAKE 1
#else
#define HTTP_CAN_WAKE 0
#endif

enum {
  HTTP_WAIT_MS = HTTP_CAN_WAKE ? 60000 : 100, /* without a wake-up: look */
  HTTP_HEADERS_MAX = 256 * 1024
};

/* A request while it runs, and the handle for the next one. */
struct transfer {
  CURL *easy;
  struct rmq_http_request *request; /* borrowed while it runs */
  char reason[CURL_ERROR_SIZE];
  size_t headers_bytes, body_bytes;
  bool is_too_large;
};

struct rmq_http_curl {
  CURLM *multi;
  CURL *model; /* with what all requests have in common; never runs */
  struct curl_slist *json;     /* headers of a body */
  struct transfer **transfers; /* as many as ever ran at once */
  size_t transfers_count;
  atomic_bool is_cancelled;
  int end_fd; /* -1 = none */
};

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx) {
  struct transfer *t = ctx;
  size_t len = size * count;
  t->is_too_large = len > t->request->max - t->body_bytes;
  if (t->is_too_large)
    return 0;
  t->body_bytes += len;
  return t->request->take(t->request->ctx, bytes, len) ? len : 0;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *ctx) {
  struct transfer *t = ctx;
  (void)bytes;
  t->headers_bytes += size * count;
  t->is_too_large = t->headers_bytes > HTTP_HEADERS_MAX;
  return t->is_too_large ? 0 : size * count;
}

/* Zero when all of it is accepted; the first refusal counts. */
struct setter {
  CURL *easy;
  CURLcode failed;
};

static void set_long(struct setter *s, CURLoption option, long value) {
  if (s->failed == CURLE_OK)
    s->failed = curl_easy_setopt(s->easy, option, value);
}

static void set_text(struct setter *s, CURLoption option, const char *value) {
  if (s->failed == CURLE_OK && value != NULL)
    s->failed = curl_easy_setopt(s->easy, option, value);
}

static void set_protocols(struct setter *s) {
#if LIBCURL_VERSION_NUM >= 0x075500 /* 7.85.0 */
  set_text(s, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  set_long(s, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
}

static void set_limits(struct setter *s,
                       const struct rmq_http_curl_config *config) {
  set_long(s, CURLOPT_NOSIGNAL, 1);
  set_long(s, CURLOPT_FOLLOWLOCATION, 0);
  set_long(s, CURLOPT_NETRC, CURL_NETRC_IGNORED);
  set_long(s, CURLOPT_CONNECTTIMEOUT_MS,
           (long)(config->connect_timeout.ns / RMQ_NS_PER_MS));
  set_protocols(s);
#if LIBCURL_VERSION_NUM >= 0x075700 /* 7.87.0 */
  /* A resolver that hangs must not hold up the end of the process. */
  set_long(s, CURLOPT_QUICK_EXIT, 1);
#endif
}

/* Instead of the system's: libcurl may have a file and a directory of those. A
 * TLS library that has no directories says so. */
static void set_authorities(struct setter *s, const char *ca_cert) {
  if (ca_cert == NULL)
    return;
  set_text(s, CURLOPT_CAINFO, ca_cert);
  if (s->failed != CURLE_OK)
    return;
  s->failed = curl_easy_setopt(s->easy, CURLOPT_CAPATH, NULL);
  if (s->failed == CURLE_NOT_BUILT_IN || s->failed == CURLE_UNKNOWN_OPTION)
    s->failed = CURLE_OK;
}

static void set_identity(struct setter *s,
                         const struct rmq_http_curl_config *config) {
  set_text(s, CURLOPT_USERAGENT, "warren/" RMQ_VERSION);
  if (config->user != NULL)
    set_long(s, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
  set_text(s, CURLOPT_USERNAME, config->user);
  set_text(s, CURLOPT_PASSWORD, config->password);
  set_long(s, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  set_long(s, CURLOPT_SSL_VERIFYPEER, config->verify_peer ? 1 : 0);
  set_long(s, CURLOPT_SSL_VERIFYHOST, config->verify_host ? 2 : 0);
  set_authorities(s, config->ca_cert);
  set_text(s, CURLOPT_SSLCERT, config->client_cert);
  set_text(s, CURLOPT_SSLKEY, config->client_key);
}

static CURLcode configure(struct rmq_http_curl *h,
                          const struct rmq_http_curl_config *config) {
  struct setter s = {.easy = h->model, .failed = CURLE_OK};
  set_limits(&s, config);
  set_identity(&s, config);
  if (s.failed == CURLE_OK)
    s.failed = curl_easy_setopt(h->model, CURLOPT_WRITEFUNCTION, on_body);
  if (s.failed == CURLE_OK)
    s.failed = curl_easy_setopt(h->model, CURLOPT_HEADERFUNCTION, on_header);
  return s.failed;
}

struct rmq_http_curl *
rmq_http_curl_new(const struct rmq_http_curl_config *config,
                  struct rmq_error *err) {
  CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);
  struct rmq_http_curl *h = rc == CURLE_OK ? calloc(1, sizeof(*h)) : NULL;
  if (h != NULL) {
    atomic_init(&h->is_cancelled, false);
    h->end_fd = -1;
    h->multi = curl_multi_init();
    h->model = curl_easy_init();
    h->json = curl_slist_append(NULL, "Content-Type: application/json");
    rc = h->multi == NULL || h->model == NULL || h->json == NULL
             ? CURLE_OUT_OF_MEMORY
             : configure(h, config);
  } else if (rc == CURLE_OK) {
    rc = CURLE_OUT_OF_MEMORY;
  }
  if (rc == CURLE_OK)
    return h;
  rmq_error_set(err, "libcurl: %s", curl_easy_strerror(rc));
  rmq_http_curl_free(h);
  return NULL;
}

void rmq_http_curl_free(struct rmq_http_curl *h) {
  if (h == NULL)
    return;
  for (size_t i = 0; i < h->transfers_count; i++) {
    curl_easy_cleanup(h->transfers[i]->easy);
    free(h->transfers[i]);
  }
  free(h->transfers);
  if (h->model != NULL)
    curl_easy_cleanup(h->model);
  if (h->multi != NULL)
    curl_multi_cleanup(h->multi);
  curl_slist_free_all(h->json);
  free(h);
}

void rmq_http_curl_cancel(struct rmq_http_curl *h) {
  atomic_store(&h->is_cancelled, true);
#if HTTP_CAN_WAKE
  curl_multi_wakeup(h->multi);
#endif
}

void rmq_http_curl_set_end(struct rmq_http_curl *h, int fd) { h->end_fd = fd; }

/* For the requests to come, which are copies of the model. */
static int set_secret(struct rmq_http_curl *h, CURLoption option,
                      const char *value, long auth) {
  for (size_t i = 0; i <= h->transfers_count; i++) {
    struct setter s = {.easy = i == 0 ? h->model : h->transfers[i - 1]->easy,
                       .failed = CURLE_OK};
    set_text(&s, option, value);
    set_long(&s, CURLOPT_HTTPAUTH, auth);
    if (s.failed != CURLE_OK)
      return -1;
  }
  return 0;
}

int rmq_http_curl_set_login(struct rmq_http_curl *h, const char *user,
                            const char *password) {
  if (set_secret(h, CURLOPT_USERNAME, user, (long)CURLAUTH_BASIC) != 0)
    return -1;
  return set_secret(h, CURLOPT_PASSWORD, password, (long)CURLAUTH_BASIC);
}

int rmq_http_curl_set_token(struct rmq_http_curl *h, const char *token) {
  return set_secret(h, CURLOPT_XOAUTH2_BEARER, token, (long)CURLAUTH_BEARER);
}

/* A proxy of the environment is for the world, not for this machine. */
static const char *no_proxy_for(const char *url) {
  static const char *const local[] = {"://localhost", "://127.", "://[::1]"};
  for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
    const char *at = strstr(url, "://");
    if (at != NULL && strncasecmp(at, local[i], strlen(local[i])) == 0)
      return "*";
  }
  return NULL;
}

/* At least so many handles; connections are the multi handle's. */
static CURLcode grow(struct rmq_http_curl *h, size_t count) {
  if (count <= h->transfers_count)
    return CURLE_OK;
  struct transfer **transfers =
      realloc(h->transfers, count * sizeof(struct transfer *));
  if (transfers == NULL)
    return CURLE_OUT_OF_MEMORY;
  h->transfers = transfers;
  while (h->transfers_count < count) {
    struct transfer *t = calloc(1, sizeof(*t));
    CURL *easy = t == NULL ? NULL : curl_easy_duphandle(h->model);
    if (easy == NULL) {
      free(t);
      return CURLE_OUT_OF_MEMORY;
    }
    t->easy = easy;
    h->transfers[h->transfers_count++] = t;
  }
  return CURLE_OK;
}

static CURLcode set_pointer(struct transfer *t) {
  static const CURLoption options[] = {CURLOPT_WRITEDATA, CURLOPT_HEADERDATA,
                                       CURLOPT_PRIVATE};
  CURLcode rc = curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->reason);
  for (size_t i = 0; rc == CURLE_OK && i < 3; i++)
    rc = curl_easy_setopt(t->easy, options[i], (void *)t);
  return rc;
}

/* The handle is used again for requests of the other kind. A TLS library that
 * cannot tell the certificate does without. */
static void set_freshness(struct setter *s, bool wants_certificate) {
  long is_fresh = wants_certificate ? 1 : 0;
  set_long(s, CURLOPT_FRESH_CONNECT, is_fresh);
  set_long(s, CURLOPT_FORBID_REUSE, is_fresh);
  if (s->failed == CURLE_OK)
    (void)curl_easy_setopt(s->easy, CURLOPT_CERTINFO, is_fresh);
}

/* NULL is a value here: the handle may have had another request before. */
static void set_method(struct setter *s, const struct rmq_http_request *r,
                       struct curl_slist *json) {
  struct curl_slist *headers = r->body != NULL ? json : NULL;
  set_long(s, CURLOPT_HTTPGET, 1);
  if (s->failed == CURLE_OK)
    s->failed = curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, headers);
  set_text(s, CURLOPT_POSTFIELDS, r->body);
  if (r->body != NULL)
    set_long(s, CURLOPT_POSTFIELDSIZE, (long)strlen(r->body));
  if (s->failed == CURLE_OK)
    s->failed = curl_easy_setopt(s->easy, CURLOPT_CUSTOMREQUEST, r->method);
}

static CURLcode prepare(const struct rmq_http_curl *h, struct transfer *t,
                        struct rmq_http_request *request,
                        struct rmq_dur timeout) {
  t->request = request;
  t->headers_bytes = t->body_bytes = 0;
  t->is_too_large = false;
  t->reason[0] = '\0';
  struct setter s = {.easy = t->easy, .failed = set_pointer(t)};
  set_text(&s, CURLOPT_URL, request->url);
  set_method(&s, request, h->json);
  set_freshness(&s, request->wants_certificate);
  set_long(&s, CURLOPT_TIMEOUT_MS, (long)(timeout.ns / RMQ_NS_PER_MS) + 1);
  if (s.failed == CURLE_OK) /* NULL is a value here */
    s.failed =
        curl_easy_setopt(t->easy, CURLOPT_NOPROXY, no_proxy_for(request->url));
  return s.failed;
}

static void explain(struct rmq_http_request *r, CURLcode rc,
                    const struct transfer *t) {
  r->outcome = RMQ_HTTP_FAILED;
  if (t != NULL && t->is_too_large)
    rmq_error_set(&r->error, "the answer is larger than %zu bytes", r->max);
  else
    rmq_error_set(&r->error, "%s",
                  t != NULL && t->reason[0] != '\0' ? t->reason
                                                    : curl_easy_strerror(rc));
}

/* "Expire date:Dec 23 08:01:21 2026 GMT", in one form or another; 0 = none. */
static int64_t get_certificate_end(CURL *easy) {
  static const char label[] = "Expire date:";
  struct curl_certinfo *chain = NULL;
  if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &chain) != CURLE_OK ||
      chain == NULL || chain->num_of_certs < 1)
    return 0;
  const struct curl_slist *line = chain->certinfo[0]; /* the server's own */
  while (line != NULL && strncmp(line->data, label, strlen(label)) != 0)
    line = line->next;
  time_t end =
      line == NULL ? -1 : curl_getdate(line->data + strlen(label), NULL);
  return end > 0 ? (int64_t)end : 0;
}

/* What became of a request that has ended. */
static void finish(const CURLMsg *m) {
  struct transfer *t = NULL;
  long status = 0;
  curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
  curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &status);
  struct rmq_http_request *r = t->request;
  curl_easy_getinfo(m->easy_handle, CURLINFO_TOTAL_TIME, &r->seconds);
  r->bytes = (double)t->body_bytes;
  r->status = (int)status;
  if (r->wants_certificate)
    r->certificate_expires_s = get_certificate_end(m->easy_handle);
  if (m->data.result == CURLE_OK)
    r->outcome = RMQ_HTTP_ANSWERED;
  else
    explain(r, m->data.result, t);
}

/* For a socket, a wake-up, a time-out or the end. */
static CURLMcode wait_for_more(struct rmq_http_curl *h) {
  struct curl_waitfd end = {.fd = h->end_fd, .events = CURL_WAIT_POLLIN};
  unsigned count = h->end_fd < 0 ? 0 : 1;
#if HTTP_CAN_WAKE
  CURLMcode rc = curl_multi_poll(h->multi, &end, count, HTTP_WAIT_MS, NULL);
#else
  CURLMcode rc = curl_multi_wait(h->multi, &end, count, HTTP_WAIT_MS, NULL);
#endif
  if (end.revents != 0)
    atomic_store(&h->is_cancelled, true);
  return rc;
}

/* CURL_LAST: cancelled. */
static CURLcode run(struct rmq_http_curl *h) {
  int running = 1, left = 0;
  const CURLMsg *m = NULL;
  while (running > 0) {
    if (atomic_load(&h->is_cancelled))
      return CURL_LAST;
    if (curl_multi_perform(h->multi, &running) != CURLM_OK)
      return CURLE_FAILED_INIT;
    while ((m = curl_multi_info_read(h->multi, &left)) != NULL)
      if (m->msg == CURLMSG_DONE)
        finish(m);
    if (running > 0 && wait_for_more(h) != CURLM_OK)
      return CURLE_FAILED_INIT;
  }
  return CURLE_OK;
}

/* Each request has failed until it has ended otherwise. */
static void start(struct rmq_http_curl *h, struct rmq_http_request *requests,
                  size_t count, struct rmq_dur timeout) {
  CURLcode rc = grow(h, count);
  for (size_t i = 0; i < count; i++) {
    struct rmq_http_request *r = &requests[i];
    struct transfer *t = rc == CURLE_OK ? h->transfers[i] : NULL;
    CURLcode one = t == NULL ? rc : prepare(h, t, r, timeout);
    r->outcome = RMQ_HTTP_FAILED;
    r->status = 0;
    r->bytes = r->seconds = 0;
    r->certificate_expires_s = 0;
    rmq_error_clear(&r->error);
    if (one == CURLE_OK && t != NULL &&
        curl_multi_add_handle(h->multi, t->easy) != CURLM_OK)
      one = CURLE_OUT_OF_MEMORY;
    if (one != CURLE_OK)
      explain(r, one, t);
  }
}

static enum rmq_http_outcome get_all(void *ctx,
                                     struct rmq_http_request *requests,
                                     size_t count, struct rmq_dur timeout) {
  struct rmq_http_curl *h = ctx;
  if (count == 0)
    return RMQ_HTTP_ANSWERED;
  start(h, requests, count, timeout);
  CURLcode rc = run(h);
  for (size_t i = 0; i < h->transfers_count; i++)
    curl_multi_remove_handle(h->multi, h->transfers[i]->easy);
  for (size_t i = 0; i < count; i++)
    if (requests[i].outcome == RMQ_HTTP_FAILED &&
        !rmq_error_is_set(&requests[i].error))
      explain(&requests[i], rc == CURL_LAST ? CURLE_ABORTED_BY_CALLBACK : rc,
              NULL);
  return rc == CURL_LAST ? RMQ_HTTP_CANCELLED : RMQ_HTTP_ANSWERED;
}

static bool take_into_buf(void *ctx, const char *bytes, size_t len) {
  return rmq_buf_append(ctx, bytes, len) == 0;
}

static enum rmq_http_outcome get(void *ctx, const char *url,
                                 struct rmq_dur timeout, struct rmq_buf *body,
                                 int *ret_status, struct rmq_error *err) {
  struct rmq_http_request r = {
      .url = url, .max = body->max, .take = take_into_buf, .ctx = body};
  rmq_buf_clear(body);
  if (get_all(ctx, &r, 1, timeout) == RMQ_HTTP_CANCELLED)
    return RMQ_HTTP_CANCELLED;
  if (r.outcome == RMQ_HTTP_ANSWERED)
    *ret_status = r.status;
  else
    rmq_error_set(err, "%s", r.error.text);
  return r.outcome;
}

struct rmq_http rmq_http_curl_http(struct rmq_http_curl *h) {
  return (struct rmq_http){.ctx = h, .get = get, .get_all = get_all};
}
