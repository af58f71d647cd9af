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

struct rmq_http_curl {
  CURLM *multi;
  CURL *easy;
  atomic_bool is_cancelled;
  char reason[CURL_ERROR_SIZE]; /* of the running request */
  struct rmq_buf *body;         /* of the running request, borrowed */
  size_t headers_bytes;
  bool is_too_large;
};

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx) {
  struct rmq_http_curl *h = ctx;
  size_t len = size * count;
  if (rmq_buf_append(h->body, bytes, len) == 0)
    return len;
  h->is_too_large = true;
  return 0;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *ctx) {
  struct rmq_http_curl *h = ctx;
  (void)bytes;
  h->headers_bytes += size * count;
  if (h->headers_bytes <= HTTP_HEADERS_MAX)
    return size * count;
  h->is_too_large = true;
  return 0;
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
  set_text(s, CURLOPT_CAINFO, config->ca_cert);
  set_text(s, CURLOPT_SSLCERT, config->client_cert);
  set_text(s, CURLOPT_SSLKEY, config->client_key);
}

static CURLcode configure(struct rmq_http_curl *h,
                          const struct rmq_http_curl_config *config) {
  struct setter s = {.easy = h->easy, .failed = CURLE_OK};
  set_limits(&s, config);
  set_identity(&s, config);
  if (s.failed == CURLE_OK)
    s.failed = curl_easy_setopt(h->easy, CURLOPT_WRITEFUNCTION, on_body);
  if (s.failed == CURLE_OK)
    s.failed = curl_easy_setopt(h->easy, CURLOPT_WRITEDATA, h);
  if (s.failed == CURLE_OK)
    s.failed = curl_easy_setopt(h->easy, CURLOPT_HEADERFUNCTION, on_header);
  if (s.failed == CURLE_OK)
    s.failed = curl_easy_setopt(h->easy, CURLOPT_HEADERDATA, h);
  if (s.failed == CURLE_OK)
    s.failed = curl_easy_setopt(h->easy, CURLOPT_ERRORBUFFER, h->reason);
  return s.failed;
}

struct rmq_http_curl *
rmq_http_curl_new(const struct rmq_http_curl_config *config,
                  struct rmq_error *err) {
  CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);
  struct rmq_http_curl *h = rc == CURLE_OK ? calloc(1, sizeof(*h)) : NULL;
  if (h != NULL) {
    atomic_init(&h->is_cancelled, false);
    h->multi = curl_multi_init();
    h->easy = curl_easy_init();
    rc = h->multi == NULL || h->easy == NULL ? CURLE_OUT_OF_MEMORY
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
  if (h->easy != NULL)
    curl_easy_cleanup(h->easy);
  if (h->multi != NULL)
    curl_multi_cleanup(h->multi);
  free(h);
}

void rmq_http_curl_cancel(struct rmq_http_curl *h) {
  atomic_store(&h->is_cancelled, true);
#if HTTP_CAN_WAKE
  curl_multi_wakeup(h->multi);
#endif
}

int rmq_http_curl_set_password(struct rmq_http_curl *h, const char *password) {
  return curl_easy_setopt(h->easy, CURLOPT_PASSWORD, password) == CURLE_OK ? 0
                                                                           : -1;
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

static CURLcode prepare(struct rmq_http_curl *h, const char *url,
                        struct rmq_dur timeout, struct rmq_buf *body) {
  rmq_buf_clear(body);
  h->body = body;
  h->headers_bytes = 0;
  h->is_too_large = false;
  h->reason[0] = '\0';
  struct setter s = {.easy = h->easy, .failed = CURLE_OK};
  set_text(&s, CURLOPT_URL, url);
  set_long(&s, CURLOPT_TIMEOUT_MS, (long)(timeout.ns / RMQ_NS_PER_MS) + 1);
  if (s.failed == CURLE_OK) /* NULL is a value here */
    s.failed = curl_easy_setopt(h->easy, CURLOPT_NOPROXY, no_proxy_for(url));
  return s.failed;
}

/* CURL_LAST: cancelled. */
static CURLcode run(struct rmq_http_curl *h) {
  int running = 1;
  while (running > 0) {
    if (atomic_load(&h->is_cancelled))
      return CURL_LAST;
    if (curl_multi_perform(h->multi, &running) != CURLM_OK)
      return CURLE_FAILED_INIT;
    if (running == 0)
      break;
#if HTTP_CAN_WAKE
    if (curl_multi_poll(h->multi, NULL, 0, HTTP_WAIT_MS, NULL) != CURLM_OK)
#else
    if (curl_multi_wait(h->multi, NULL, 0, HTTP_WAIT_MS, NULL) != CURLM_OK)
#endif
      return CURLE_FAILED_INIT;
  }
  int left = 0;
  const CURLMsg *m = curl_multi_info_read(h->multi, &left);
  return m != NULL && m->msg == CURLMSG_DONE ? m->data.result
                                             : CURLE_FAILED_INIT;
}

static void explain(const struct rmq_http_curl *h, CURLcode rc,
                    struct rmq_error *err) {
  if (h->is_too_large)
    rmq_error_set(err, "the answer is larger than %zu bytes", h->body->max);
  else
    rmq_error_set(err, "%s",
                  h->reason[0] != '\0' ? h->reason : curl_easy_strerror(rc));
}

static enum rmq_http_outcome get(void *ctx, const char *url,
                                 struct rmq_dur timeout, struct rmq_buf *body,
                                 int *ret_status, struct rmq_error *err) {
  struct rmq_http_curl *h = ctx;
  CURLcode rc = prepare(h, url, timeout, body);
  if (rc == CURLE_OK) {
    if (curl_multi_add_handle(h->multi, h->easy) != CURLM_OK)
      rc = CURLE_OUT_OF_MEMORY;
    else
      rc = run(h);
    curl_multi_remove_handle(h->multi, h->easy);
  }
  if (rc == CURL_LAST)
    return RMQ_HTTP_CANCELLED;
  if (rc != CURLE_OK) {
    explain(h, rc, err);
    return RMQ_HTTP_FAILED;
  }
  long status = 0;
  curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
  *ret_status = (int)status;
  return RMQ_HTTP_ANSWERED;
}

struct rmq_http rmq_http_curl_http(struct rmq_http_curl *h) {
  return (struct rmq_http){.ctx = h, .get = get};
}
