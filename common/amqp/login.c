/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/amqp/connection_private.h"

#include <stdio.h>
#include <string.h>

enum { PASSWORD_MAX = 4096 };

/* The words of mechanisms are separated by spaces. */
static bool offers(struct rmq_span mechanisms, const char *wanted) {
  size_t len = strlen(wanted), start = 0;
  for (size_t i = 0; i <= mechanisms.len; i++) {
    if (i < mechanisms.len && mechanisms.bytes[i] != ' ')
      continue;
    if (i - start == len && memcmp(mechanisms.bytes + start, wanted, len) == 0)
      return true;
    start = i + 1;
  }
  return false;
}

static void refuse(struct rmq_connection *c, struct rmq_mono now) {
  rmq_connection_apply(c, RMQ_SESSION_ON_LOGIN_REFUSED, now);
}

/* RFC 4616: NUL user NUL password. */
static int plain_response(struct rmq_connection *c, struct rmq_buf *response,
                          struct rmq_error *err) {
  if (rmq_buf_append_char(response, '\0') != 0 ||
      rmq_buf_append_text(response, c->config.user) != 0 ||
      rmq_buf_append_char(response, '\0') != 0)
    return rmq_error_set(err, "no memory, or User is too long");
  return c->config.password(c->config.password_ctx, response, err);
}

static void wipe(struct rmq_buf *b) {
  if (b->bytes != NULL)
    explicit_bzero(b->bytes, b->capacity);
  rmq_buf_fini(b);
}

static void send_start_ok(struct rmq_connection *c, const char *mechanism,
                          struct rmq_mono now) {
  struct rmq_buf response;
  struct rmq_error err = {""};
  rmq_buf_init(&response, PASSWORD_MAX);
  if (c->config.auth == RMQ_AUTH_PLAIN &&
      plain_response(c, &response, &err) != 0) {
    rmq_connection_because(c, 0, "make the password readable", "%s", err.text);
    wipe(&response);
    refuse(c, now);
    return;
  }
  struct rmq_wire_start_ok start_ok = {
      .mechanism = mechanism,
      .response = {rmq_buf_bytes(&response), response.len},
      .product = c->config.product,
      .version = c->config.version,
      .connection_name = c->config.connection_name};
  int rc = rmq_wire_put_start_ok(&c->out, &start_ok);
  wipe(&response);
  if (rc != 0)
    rmq_connection_fail(c, "no memory for connection.start-ok", now);
  else
    rmq_connection_await(c, now);
}

static void start(struct rmq_connection *c, const struct rmq_wire_frame *f,
                  struct rmq_mono now) {
  const char *mechanism =
      c->config.auth == RMQ_AUTH_EXTERNAL ? "EXTERNAL" : "PLAIN";
  if (f->u.start.major != 0 || f->u.start.minor != 9) {
    rmq_connection_protocol_error(c, "it does not speak AMQP 0-9", now);
  } else if (!offers(f->u.start.mechanisms, mechanism)) {
    char offered[128];
    rmq_span_copy(f->u.start.mechanisms, offered, sizeof(offered));
    rmq_connection_because(c, 0,
                           "enable the mechanism on the broker or change "
                           "AuthMethod",
                           "the broker does not offer the SASL mechanism %s "
                           "(it offers: %s)",
                           mechanism, offered);
    refuse(c, now);
  } else {
    send_start_ok(c, mechanism, now);
  }
}

static uint32_t negotiate(uint32_t ours, uint32_t theirs) {
  return ours == 0 || (theirs != 0 && theirs < ours) ? theirs : ours;
}

static void tune(struct rmq_connection *c, const struct rmq_wire_frame *f,
                 struct rmq_mono now) {
  uint32_t frame_max =
      negotiate(rmq_connection_frame_max(c), f->u.tune.frame_max);
  if (frame_max < RMQ_WIRE_FRAME_MIN) {
    rmq_connection_protocol_error(c, "frame-max is below 4096", now);
    return;
  }
  uint32_t ours = (uint32_t)(c->config.heartbeat.ns / RMQ_NS_PER_S);
  uint32_t heartbeat = ours == 0 ? 0 : negotiate(ours, f->u.tune.heartbeat);
  c->frame_max = frame_max;
  c->is_tuned = true;
  /* connection.start-ok has left, and its password with it. */
  if (c->out.len == 0 && c->out.bytes != NULL)
    explicit_bzero(c->out.bytes, c->out.capacity);
  rmq_wire_decoder_set_frame_max(c->decoder, frame_max);
  rmq_wire_put_tune_ok(&c->out, RMQ_WIRE_CHANNEL, frame_max,
                       (uint16_t)heartbeat);
  c->heartbeat = rmq_s(heartbeat);
  c->sent_at = now;
  if (rmq_wire_put_open(&c->out, c->config.vhost) != 0)
    rmq_connection_fail(c, "VHost is longer than 255 bytes", now);
  else
    rmq_connection_await(c, now);
}

static void refused(struct rmq_connection *c, const struct rmq_wire_frame *f,
                    struct rmq_mono now) {
  char text[256];
  rmq_span_copy(f->u.close.text, text, sizeof(text));
  uint16_t code = f->u.close.code;
  rmq_wire_put_close_ok(&c->out);
  if (code == 403) {
    rmq_connection_because(
        c, code,
        "check User and Password (or PasswordFile), and that the user may log "
        "in from this host",
        "the broker refused the login of user \"%s\": %u %s", c->config.user,
        code, text);
    refuse(c, now);
  } else if (code == 530) {
    rmq_connection_because(
        c, code,
        "create the vhost, correct VHost, or give the user permissions there",
        "the broker refused the vhost \"%s\": %u %s", c->config.vhost, code,
        text);
    refuse(c, now);
  } else {
    rmq_connection_because(c, code, "",
                           "the broker closed the connection during login: "
                           "%u %s",
                           code, text);
    rmq_connection_apply(c, RMQ_SESSION_ON_LINK_DOWN, now);
  }
}

void rmq_login_method(struct rmq_connection *c, const struct rmq_wire_frame *f,
                      struct rmq_mono now) {
  enum rmq_method m = f->method;
  if (f->channel != 0) {
    rmq_connection_protocol_error(c, "a channel's method during login", now);
  } else if (m == RMQ_METHOD_CONNECTION_START && !c->is_started) {
    c->is_started = true;
    start(c, f, now);
  } else if (m == RMQ_METHOD_CONNECTION_TUNE && c->is_started && !c->is_tuned) {
    tune(c, f, now);
  } else if (m == RMQ_METHOD_CONNECTION_OPEN_OK && c->is_tuned) {
    c->opened++;
    rmq_connection_because(c, 0, "", "logged in");
    rmq_connection_apply(c, RMQ_SESSION_ON_LOGGED_IN, now);
  } else if (m == RMQ_METHOD_CONNECTION_CLOSE) {
    refused(c, f, now);
  } else {
    char what[64];
    snprintf(what, sizeof(what), "unexpected %s during login",
             rmq_method_to_str(m));
    rmq_connection_protocol_error(c, what, now);
  }
}
