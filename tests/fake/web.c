/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "tests/fake/web.h"

#include "tests/testing.h"

#include <string.h>

static const struct fake_web_rule *ask(struct fake_web *w, const char *url) {
  const struct fake_web_rule *r = w->rules;
  assert_true(w->asked_count < COUNT_OF(w->asked));
  snprintf(w->asked[w->asked_count++], sizeof(w->asked[0]), "%s", url);
  while (r->in_url != NULL && strstr(url, r->in_url) == NULL)
    r++;
  if (r->in_url == NULL)
    fail_msg("no rule for %s", url);
  return r;
}

static enum rmq_http_outcome get(void *ctx, const char *url,
                                 struct rmq_dur timeout, struct rmq_buf *body,
                                 int *ret_status, struct rmq_error *err) {
  struct fake_web *w = ctx;
  assert_true(timeout.ns > 0);
  const struct fake_web_rule *r = ask(w, url);
  struct rmq_dur took = rmq_dur_from_seconds(r->seconds);
  rmq_buf_clear(body);
  fake_host_advance(w->clock, took.ns > timeout.ns ? timeout : took);
  if (r->status < 0)
    return RMQ_HTTP_CANCELLED;
  if (r->status == 0 || took.ns > timeout.ns) {
    rmq_error_set(err, "%s", r->status == 0 ? r->body : "timed out");
    return RMQ_HTTP_FAILED;
  }
  if (rmq_buf_append_text(body, r->body) != 0) {
    rmq_error_set(err, "the answer is larger than %zu bytes", body->max);
    return RMQ_HTTP_FAILED;
  }
  *ret_status = r->status;
  return RMQ_HTTP_ANSWERED;
}

/* Two pieces, so that a line is cut. */
static void answer(const struct fake_web *w, struct rmq_http_request *q,
                   const struct fake_web_rule *r, struct rmq_dur timeout) {
  size_t len = strlen(r->body), cut = len / 2;
  rmq_error_clear(&q->error);
  q->bytes = 0;
  q->certificate_expires_s = 0;
  q->status = 0;
  q->seconds = r->seconds;
  q->outcome = RMQ_HTTP_FAILED;
  if (r->status == 0) {
    rmq_error_set(&q->error, "%s", r->body);
  } else if (rmq_dur_from_seconds(r->seconds).ns > timeout.ns) {
    rmq_error_set(&q->error, "timed out");
  } else if (len > q->max || !q->take(q->ctx, r->body, cut) ||
             !q->take(q->ctx, r->body + cut, len - cut)) {
    rmq_error_set(&q->error, "the answer is larger than %zu bytes", q->max);
  } else {
    q->bytes = (double)len;
    q->status = r->status;
    if (q->wants_certificate)
      q->certificate_expires_s = w->certificate_expires_s;
    q->outcome = RMQ_HTTP_ANSWERED;
  }
}

/* As long as the slowest takes. */
static enum rmq_http_outcome get_all(void *ctx,
                                     struct rmq_http_request *requests,
                                     size_t count, struct rmq_dur timeout) {
  struct fake_web *w = ctx;
  struct rmq_dur longest = {0};
  assert_true(timeout.ns > 0);
  for (size_t i = 0; i < count; i++) {
    const struct fake_web_rule *r = ask(w, requests[i].url);
    struct rmq_dur took = rmq_dur_from_seconds(r->seconds);
    if (r->status < 0)
      return RMQ_HTTP_CANCELLED;
    if (took.ns > longest.ns)
      longest = took;
    answer(w, &requests[i], r, timeout);
  }
  fake_host_advance(w->clock, longest.ns > timeout.ns ? timeout : longest);
  return RMQ_HTTP_ANSWERED;
}

struct rmq_http fake_web_http(struct fake_web *w) {
  return (struct rmq_http){.ctx = w, .get = get, .get_all = get_all};
}
