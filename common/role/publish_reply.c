/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/publish_reply.h"

#include "common/codec/quote.h"

enum {
  HTTP_OK = 200,
  HTTP_ACCEPTED = 202,
  HTTP_BAD_REQUEST = 400,
  HTTP_TOO_LARGE = 413,
  HTTP_BAD_GATEWAY = 502,
  HTTP_UNAVAILABLE = 503,
  HTTP_TIMEOUT = 504
};

/* ,"NAME":"TEXT" -- the first without the comma; absent where it is not known.
 */
static void add_text(struct rmq_buf *body, const char *name, const char *text) {
  if (text[0] == '\0' || body->len == 0)
    return;
  bool is_first = rmq_buf_bytes(body)[body->len - 1] == '{';
  rmq_buf_appendf(body, "%s\"%s\":", is_first ? "" : ",", name);
  rmq_quote_json(body, text);
}

static void begin(struct rmq_buf *body) { rmq_buf_append_char(body, '{'); }
static void end(struct rmq_buf *body) { rmq_buf_append_text(body, "}\n"); }

bool rmq_publish_reply_is_due(enum rmq_fate fate, bool wants_confirm) {
  return fate != RMQ_FATE_STORED || !wants_confirm;
}

/* A status and its words. */
struct verdict {
  int status;
  const char *error; /* NULL = none */
};

static struct verdict judge(enum rmq_fate fate, bool wants_confirm) {
  switch (fate) {
  case RMQ_FATE_STORED:
    return (struct verdict){HTTP_ACCEPTED, NULL};
  case RMQ_FATE_CONFIRMED:
    return (struct verdict){wants_confirm ? HTTP_OK : HTTP_ACCEPTED, NULL};
  case RMQ_FATE_SENT:
    return (struct verdict){HTTP_BAD_GATEWAY,
                            "sent, and no confirm was asked for"};
  case RMQ_FATE_RETURNED:
    return (struct verdict){HTTP_BAD_GATEWAY, "no queue takes the message"};
  case RMQ_FATE_REJECTED:
    return (struct verdict){HTTP_BAD_GATEWAY, "the broker refuses the message"};
  case RMQ_FATE_EXPIRED:
    return (struct verdict){HTTP_BAD_GATEWAY,
                            "older than its time to live, not published"};
  case RMQ_FATE_DROPPED:
    return (struct verdict){HTTP_UNAVAILABLE, "not kept and not published"};
  case RMQ_FATE_KEPT:
    if (!wants_confirm)
      return (struct verdict){HTTP_ACCEPTED, NULL};
    return (struct verdict){HTTP_TIMEOUT,
                            "not confirmed yet; it is in the spool and will "
                            "be published after the next start"};
  }
  return (struct verdict){HTTP_BAD_GATEWAY, "not known"};
}

int rmq_publish_reply_fate(const struct rmq_fate_report *report,
                           bool wants_confirm, const char *message_id,
                           struct rmq_buf *body) {
  struct verdict v = judge(report->fate, wants_confirm);
  begin(body);
  add_text(body, "message_id", message_id);
  add_text(body, "state", rmq_fate_to_str(report->fate));
  if (v.error != NULL) {
    add_text(body, "error", v.error);
    add_text(body, "cause", report->cause);
    if (report->reply_code != 0)
      rmq_buf_appendf(body, ",\"reply_code\":%u", report->reply_code);
    add_text(body, "reply_text", report->reply_text);
    add_text(body, "exchange", report->exchange);
    add_text(body, "routing_key", report->routing_key);
  }
  end(body);
  return v.status;
}

int rmq_publish_reply_error(int status, const char *reason,
                            struct rmq_buf *body) {
  begin(body);
  add_text(body, "error", reason);
  end(body);
  return status;
}

int rmq_publish_reply_refusal(enum rmq_publish_answer answer,
                              const char *reason, struct rmq_buf *body) {
  switch (answer) {
  case RMQ_PUBLISH_TAKEN: /* its fate will be told */
    break;
  case RMQ_PUBLISH_FULL:
    return rmq_publish_reply_error(
        HTTP_UNAVAILABLE, "queue and spool are full, or cannot be written",
        body);
  case RMQ_PUBLISH_TOO_LARGE:
    return rmq_publish_reply_error(
        HTTP_TOO_LARGE, "the message fits neither queue nor spool", body);
  case RMQ_PUBLISH_INVALID:
    return rmq_publish_reply_error(HTTP_BAD_REQUEST, reason, body);
  case RMQ_PUBLISH_ENDING:
    return rmq_publish_reply_error(HTTP_UNAVAILABLE, "the server is stopping",
                                   body);
  case RMQ_PUBLISH_NO_MEMORY:
    return rmq_publish_reply_error(HTTP_UNAVAILABLE, "out of memory", body);
  }
  return rmq_publish_reply_error(HTTP_UNAVAILABLE, "not taken", body);
}

int rmq_publish_reply_timeout(bool is_stored, const char *message_id,
                              struct rmq_buf *body) {
  begin(body);
  add_text(body, "message_id", message_id);
  add_text(body, "state",
           is_stored ? rmq_fate_to_str(RMQ_FATE_STORED) : "unknown");
  add_text(body, "error",
           is_stored ? "not confirmed in time; it is in the spool and goes on "
                       "being tried, also after a restart"
                     : "not confirmed in time; it is in memory only and goes "
                       "on being tried until this server stops");
  end(body);
  return HTTP_TIMEOUT;
}
