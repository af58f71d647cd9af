/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/http_target.h"
#include "common/host/http_listen_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What is answered without a handler. */
enum {
  HTTP_BAD_REQUEST = 400,
  HTTP_FORBIDDEN = 403,
  HTTP_WRONG_METHOD = 405,
  HTTP_TOO_LARGE = 413,
  HTTP_UNAVAILABLE = 503
};

/* ---- answers ---- */

static struct rmq_http_reply make_reply(const struct rmq_http_answer *a) {
  struct rmq_http_reply reply = {.status = a->status};
  struct MHD_Response *r = MHD_create_response_from_buffer(
      a->body_len, (void *)(uintptr_t)a->body, MHD_RESPMEM_MUST_COPY);
  if (r == NULL)
    return reply;
  if (a->body_len > 0)
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE,
                            a->content_type == NULL ? "application/json"
                                                    : a->content_type);
  for (size_t i = 0; i < sizeof(a->headers) / sizeof(a->headers[0]); i++) {
    if (a->headers[i].name == NULL)
      break;
    MHD_add_response_header(r, a->headers[i].name, a->headers[i].value);
  }
  if (a->status == HTTP_UNAVAILABLE)
    MHD_add_response_header(r, MHD_HTTP_HEADER_RETRY_AFTER, "1");
  reply.response = r;
  return reply;
}

static void drop_reply(struct rmq_http_reply *reply) {
  if (reply->response != NULL)
    MHD_destroy_response(reply->response);
  reply->response = NULL;
}

static void count_answer(struct rmq_http_request *q, int status) {
  struct rmq_http_listen *l = q->l;
  pthread_mutex_lock(&l->lock);
  l->stats.answers[status]++;
  l->stats.counted += q->is_counted;
  l->stats.counted_failed += q->is_counted && status >= 500;
  pthread_mutex_unlock(&l->lock);
}

static enum MHD_Result send_reply(struct rmq_http_request *q,
                                  struct rmq_http_reply *reply) {
  enum MHD_Result rc = MHD_NO;
  if (reply->response != NULL)
    rc = MHD_queue_response(q->connection, (unsigned)reply->status,
                            reply->response);
  if (rc == MHD_YES && reply->status < RMQ_HTTP_STATUS_END)
    count_answer(q, reply->status);
  rmq_http_client_next(q->l, q->client);
  drop_reply(reply);
  return rc;
}

struct rmq_http_reply rmq_http_request_refusal(int status, const char *text) {
  struct rmq_buf body;
  rmq_buf_init(&body, 512);
  rmq_buf_appendf(&body, "{\"error\":\"%s\"}\n", text);
  const struct rmq_http_answer a = {
      .status = status, .body = rmq_buf_bytes(&body), .body_len = body.len};
  struct rmq_http_reply reply = make_reply(&a);
  rmq_buf_fini(&body);
  return reply;
}

/* With the lock held: whether the caller is to free it, without the lock. */
static bool leave_request(struct rmq_http_request *q) {
  return --q->owners == 0;
}

static void request_free(struct rmq_http_request *q) {
  drop_reply(&q->reply);
  drop_reply(&q->expiry);
  rmq_buf_fini(&q->body);
  free(q->target);
  free(q);
}

/* ---- a request until its handler has it ---- */

void *rmq_http_request_on_target(void *ctx, const char *target,
                                 struct MHD_Connection *connection) {
  struct rmq_http_listen *l = ctx;
  struct rmq_http_request *q = calloc(1, sizeof(*q));
  if (q == NULL)
    return NULL;
  rmq_buf_init(&q->body, l->config.body_max);
  q->l = l;
  q->connection = connection;
  q->owners = 1;
  q->client = rmq_http_client_of(connection);
  q->deadline = RMQ_NEVER;
  q->target = strdup(target);
  q->is_counted =
      l->config.counted != NULL &&
      strncmp(target, l->config.counted, strlen(l->config.counted)) == 0;
  l->active++;
  rmq_http_client_next(l, q->client);
  return q;
}

/* What was read of a head. */
struct head {
  size_t lengths, encodings; /* headers that say how long the body is */
  const char *length, *host;
  bool is_from_page, has_expect;
};

static enum MHD_Result on_header(void *ctx, enum MHD_ValueKind kind,
                                 const char *name, const char *value) {
  struct head *h = ctx;
  (void)kind;
  if (value == NULL)
    value = "";
  if (strcasecmp(name, "Content-Length") == 0) {
    h->lengths++;
    h->length = value;
  } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
    h->encodings++;
  } else if (strcasecmp(name, "Host") == 0) {
    h->host = value;
  } else if (strcasecmp(name, "Expect") == 0) {
    h->has_expect = true;
  } else if (strcasecmp(name, "Origin") == 0) {
    h->is_from_page = true;
  } else if (strcasecmp(name, "Sec-Fetch-Site") == 0) {
    h->is_from_page = h->is_from_page || strcmp(value, "none") != 0;
  }
  return MHD_YES;
}

/* -1 where it is no number; saturates. */
static int length_of(const char *text, size_t *ret_length) {
  size_t digits = strspn(text, "0123456789");
  if (digits == 0 || text[digits] != '\0')
    return -1;
  *ret_length = digits > 18 ? SIZE_MAX / 2 : (size_t)strtoull(text, NULL, 10);
  return 0;
}

static void refuse(struct rmq_http_request *q, int status, const char *text) {
  if (q->refusal != 0)
    return;
  q->refusal = status;
  q->refusal_text = text;
  rmq_http_request_forget_body(q);
}

static const char too_large[] = "the body is too large";

/* False when there is no room, and the request is refused. */
static bool charge(struct rmq_http_request *q, size_t bytes) {
  struct rmq_http_listen *l = q->l;
  if (bytes > l->config.body_max - q->charged)
    refuse(q, HTTP_TOO_LARGE, too_large);
  else if (l->bodies + bytes > l->config.bodies_max)
    refuse(q, HTTP_UNAVAILABLE, "too many bytes are being received at once");
  if (q->refusal != 0)
    return false;
  q->charged += bytes;
  l->bodies += bytes;
  return true;
}

static void judge(struct rmq_http_request *q, const struct head *h,
                  size_t *ret_length) {
  if (q->l->is_over)
    refuse(q, HTTP_UNAVAILABLE, "the server is stopping");
  if (h->lengths + h->encodings > 1 ||
      (h->length != NULL && length_of(h->length, ret_length) != 0))
    refuse(q, HTTP_BAD_REQUEST, "the head does not say how long it is");
  if (q->l->has_own_names && !rmq_http_host_is_own(h->host))
    refuse(q, HTTP_FORBIDDEN,
           "the Host header is neither localhost nor an address");
  if (h->is_from_page)
    refuse(q, HTTP_FORBIDDEN, "web pages have no access");
  if (*ret_length > q->l->config.body_max)
    refuse(q, HTTP_TOO_LARGE, too_large);
}

/* An answer before the body is read costs the connection, and a client that
 * sends on may never see it: the body is read and forgotten, unless the client
 * waits to be told, or has very much of it. */
static enum MHD_Result begin(struct rmq_http_request *q, const char *method) {
  struct head h = {.length = NULL};
  size_t length = 0;
  MHD_get_connection_values(q->connection, MHD_HEADER_KIND, on_header, &h);
  q->has_head = true;
  if (strlen(method) < sizeof(q->method))
    memcpy(q->method, method, strlen(method) + 1);
  judge(q, &h, &length);
  if (q->refusal == 0 || (!h.has_expect && length / 8 < q->l->config.body_max))
    return MHD_YES;
  struct rmq_http_reply reply =
      rmq_http_request_refusal(q->refusal, q->refusal_text);
  return send_reply(q, &reply);
}

static enum MHD_Result take_piece(struct rmq_http_request *q, const char *bytes,
                                  size_t len) {
  if (q->refusal != 0)
    return MHD_YES;
  /* What came, not what was announced: that costs its sender nothing. */
  if (!charge(q, len))
    return MHD_YES;
  if (rmq_buf_append(&q->body, bytes, len) != 0)
    refuse(q, HTTP_UNAVAILABLE, "out of memory");
  return MHD_YES;
}

/* ---- a request with its handler ---- */

static enum MHD_Result hand_over(struct rmq_http_request *q) {
  struct rmq_http_listen *l = q->l;
  pthread_mutex_lock(&l->lock);
  q->is_handed_over = true;
  q->owners++;
  l->owners++;
  l->stats.requests++;
  pthread_mutex_unlock(&l->lock);
  l->config.request(l->config.ctx, q);
  pthread_mutex_lock(&l->lock);
  bool is_answered = q->is_answered;
  if (!is_answered) {
    MHD_suspend_connection(q->connection);
    q->is_suspended = true;
    rmq_http_client_rest(l, q->client);
    rmq_list_push_back(&l->waiting, &q->node);
    l->next_expiry = rmq_mono_min(l->next_expiry, q->deadline);
  }
  pthread_mutex_unlock(&l->lock);
  return is_answered ? send_reply(q, &q->reply) : MHD_YES;
}

static enum MHD_Result end_of_body(struct rmq_http_request *q) {
  if (q->refusal == 0 && q->l->is_over)
    refuse(q, HTTP_UNAVAILABLE, "the server is stopping");
  if (q->refusal == 0)
    return hand_over(q);
  struct rmq_http_reply reply =
      rmq_http_request_refusal(q->refusal, q->refusal_text);
  return send_reply(q, &reply);
}

enum MHD_Result rmq_http_request_on_part(void *ctx,
                                         struct MHD_Connection *connection,
                                         const char *url, const char *method,
                                         const char *version, const char *piece,
                                         size_t *piece_len, void **request) {
  struct rmq_http_request *q = *request;
  (void)ctx, (void)connection, (void)url, (void)version;
  if (q == NULL || q->target == NULL)
    return MHD_NO;
  if (!q->has_head)
    return begin(q, method);
  if (q->is_handed_over) /* and resumed, so it is answered */
    return send_reply(q, &q->reply);
  if (*piece_len == 0)
    return end_of_body(q);
  size_t len = *piece_len;
  *piece_len = 0;
  return take_piece(q, piece, len);
}

void rmq_http_request_on_end(void *ctx, struct MHD_Connection *connection,
                             void **request,
                             enum MHD_RequestTerminationCode code) {
  struct rmq_http_listen *l = ctx;
  struct rmq_http_request *q = *request;
  (void)connection, (void)code;
  if (q == NULL)
    return;
  *request = NULL;
  l->active--;
  rmq_http_client_next(l, q->client);
  l->bodies -= q->charged;
  pthread_mutex_lock(&l->lock);
  assert(!q->is_suspended);
  if (q->refusal != 0)
    l->stats.refused++;
  q->is_answered = true; /* nobody is there any more */
  bool is_last = leave_request(q);
  pthread_mutex_unlock(&l->lock);
  if (is_last)
    request_free(q);
}

void rmq_http_request_answer(struct rmq_http_request *q,
                             const struct rmq_http_answer *answer) {
  struct rmq_http_listen *l = q->l;
  struct rmq_http_reply reply = make_reply(answer);
  pthread_mutex_lock(&l->lock);
  if (q->is_answered) {
    l->stats.late++;
  } else {
    q->is_answered = true;
    q->reply = reply;
    reply.response = NULL;
    if (q->is_suspended) {
      rmq_list_remove(&l->waiting, &q->node);
      rmq_list_push_back(&l->ready, &q->node);
      if (l->ready.count == 1)
        rmq_http_listen_wake(l);
    }
  }
  bool is_last = leave_request(q);
  rmq_http_listen_leave(l);
  drop_reply(&reply);
  if (is_last)
    request_free(q);
}

void rmq_http_request_wrong_method(struct rmq_http_request *q,
                                   const char *allowed) {
  static const char body[] = "{\"error\":\"the path has no such method\"}\n";
  struct rmq_http_answer a = {
      .status = HTTP_WRONG_METHOD, .body = body, .body_len = sizeof(body) - 1};
  a.headers[0] = (struct rmq_http_header){MHD_HTTP_HEADER_ALLOW, allowed};
  rmq_http_request_answer(q, &a);
}

void rmq_http_request_expire(struct rmq_http_request *q,
                             struct rmq_mono deadline,
                             const struct rmq_http_answer *answer) {
  rmq_http_request_reword(q, answer);
  q->deadline = deadline;
}

void rmq_http_request_reword(struct rmq_http_request *q,
                             const struct rmq_http_answer *answer) {
  struct rmq_http_reply reply = make_reply(answer);
  pthread_mutex_lock(&q->l->lock);
  struct rmq_http_reply before = q->expiry;
  q->expiry = reply;
  pthread_mutex_unlock(&q->l->lock);
  drop_reply(&before);
}

const char *rmq_http_request_method(const struct rmq_http_request *q) {
  return q->method;
}

const char *rmq_http_request_target(const struct rmq_http_request *q) {
  return q->target;
}

void rmq_http_request_forget_body(struct rmq_http_request *q) {
  q->l->bodies -= q->charged;
  q->charged = 0;
  rmq_buf_fini(&q->body);
}

const char *rmq_http_request_body(const struct rmq_http_request *q,
                                  size_t *ret_len) {
  *ret_len = q->body.len;
  return q->body.len == 0 ? "" : rmq_buf_bytes(&q->body);
}

struct visit {
  void (*found)(void *ctx, const char *name, const char *value);
  void *ctx;
};

static enum MHD_Result on_visit(void *ctx, enum MHD_ValueKind kind,
                                const char *name, const char *value) {
  const struct visit *v = ctx;
  (void)kind;
  v->found(v->ctx, name, value == NULL ? "" : value);
  return MHD_YES;
}

void rmq_http_request_headers(const struct rmq_http_request *q,
                              void (*found)(void *ctx, const char *name,
                                            const char *value),
                              void *ctx) {
  struct visit v = {found, ctx};
  MHD_get_connection_values(q->connection, MHD_HEADER_KIND, on_visit, &v);
}
