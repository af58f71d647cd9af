/* SPDX-License-Identifier: MIT */
/* Declaring the steps of a script; broker.c runs them. */
#include "rmq_config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/broker_impl.h"

#define BODY_PER_FRAME (4096 - FAKE_FRAME_OVERHEAD)

static char *copy(const char *text) {
  char *s = text != NULL ? strdup(text) : NULL;
  if (text != NULL && s == NULL)
    abort();
  return s;
}

FAKE_PRINTF(1, 0)
static char *format_fields(const char *format, va_list ap) {
  char *text = NULL;
  if (vasprintf(&text, format, ap) < 0)
    abort();
  return text;
}

/* Methods of class connection are for channel 0. */
static unsigned channel_for(const struct fake_broker *b, const char *name) {
  return strncmp(name, "connection.", 11) == 0 ? 0 : b->channel;
}

static struct fake_step *last_sent(struct fake_broker *b) {
  struct fake_step *s = &b->steps[b->steps_count - 1];
  if (b->steps_count == 0 || s->type != FAKE_STEP_SEND) {
    fprintf(stderr, "fake broker: nothing was declared to be sent\n");
    abort();
  }
  return s;
}

void fake_on_channel(struct fake_broker *b, unsigned channel) {
  b->channel = channel;
}

void fake_expect_protocol_at(struct fake_broker *b, const char *where) {
  fake_broker_add(b, where, FAKE_STEP_PROTOCOL)->channel = 0;
}

static void add_method(struct fake_broker *b, const char *where,
                       enum fake_step_type type, const char *name,
                       char *fields) {
  if (fake_signature_by_name(name) == NULL) {
    fprintf(stderr, "%s: there is no method %s\n", where, name);
    abort();
  }
  struct fake_step *s = fake_broker_add(b, where, type);
  s->channel = channel_for(b, name);
  s->name = copy(name);
  s->fields = fields;
}

void fake_expect_at(struct fake_broker *b, const char *where, const char *name,
                    const char *format, ...) {
  va_list ap;
  va_start(ap, format);
  char *fields = format_fields(format, ap);
  va_end(ap);
  add_method(b, where, FAKE_STEP_METHOD, name, fields);
}

void fake_skip_until_at(struct fake_broker *b, const char *where,
                        const char *name, const char *format, ...) {
  va_list ap;
  va_start(ap, format);
  char *fields = format_fields(format, ap);
  va_end(ap);
  add_method(b, where, FAKE_STEP_SKIP_UNTIL, name, fields);
}

void fake_expect_publish_at(struct fake_broker *b, const char *where,
                            const struct fake_content *want) {
  add_method(b, where, FAKE_STEP_PUBLISH, "basic.publish", copy(want->fields));
  struct fake_step *s = &b->steps[b->steps_count - 1];
  s->exchange = copy(want->exchange);
  s->routing_key = copy(want->routing_key);
  s->props = copy(want->props);
  s->frames = want->frames;
  s->is_body_wanted = want->body != NULL || want->is_empty;
  if (want->body != NULL)
    fake_bytes_put(&s->bytes, want->body,
                   want->body_len != 0 ? want->body_len : strlen(want->body));
}

void fake_expect_publishes_at(struct fake_broker *b, const char *where,
                              size_t count) {
  add_method(b, where, FAKE_STEP_PUBLISHES, "basic.publish", NULL);
  b->steps[b->steps_count - 1].count = count;
}

void fake_expect_heartbeat_at(struct fake_broker *b, const char *where) {
  fake_broker_add(b, where, FAKE_STEP_HEARTBEAT)->channel = 0;
}

void fake_expect_nothing_at(struct fake_broker *b, const char *where) {
  fake_broker_add(b, where, FAKE_STEP_NOTHING);
}

void fake_expect_eof_at(struct fake_broker *b, const char *where) {
  fake_broker_add(b, where, FAKE_STEP_EOF);
}

void fake_pause_at(struct fake_broker *b, const char *where) {
  fake_broker_add(b, where, FAKE_STEP_PAUSE);
}

static void put_method_frame(struct fake_bytes *out, unsigned channel,
                             const char *name, const char *fields) {
  struct fake_bytes payload = {0};
  fake_method_encode(&payload, name, fields);
  fake_frame_encode(out, FAKE_FRAME_METHOD, channel, payload.data, payload.len);
  fake_bytes_fini(&payload);
}

void fake_send_at(struct fake_broker *b, const char *where, const char *name,
                  const char *format, ...) {
  va_list ap;
  va_start(ap, format);
  char *fields = format_fields(format, ap);
  va_end(ap);
  struct fake_step *s = fake_broker_add(b, where, FAKE_STEP_SEND);
  s->channel = channel_for(b, name);
  put_method_frame(&s->bytes, s->channel, name, fields);
  free(fields);
}

/* `c` only for how the body is framed and what the header claims. */
void fake_content_encode(struct fake_bytes *out, unsigned channel,
                         const char *name, const char *fields,
                         const char *props, const void *body, size_t len,
                         const struct fake_content *c) {
  put_method_frame(out, channel, name, fields);
  struct fake_bytes header = {0};
  uint64_t announced = len;
  if (c->announced != 0 || c->announces_zero)
    announced = c->announced;
  fake_bytes_put_uint(&header, 60, 2);
  fake_bytes_put_uint(&header, 0, 2);
  fake_bytes_put_uint(&header, announced, 8);
  fake_props_encode(&header, props);
  fake_frame_encode(out, FAKE_FRAME_HEADER, channel, header.data, header.len);
  fake_bytes_fini(&header);
  size_t most = c->body_per_frame != 0 ? c->body_per_frame : BODY_PER_FRAME;
  const uint8_t *at = body;
  for (size_t left = len; left > 0;) {
    size_t take = left < most ? left : most;
    fake_frame_encode(out, FAKE_FRAME_BODY, channel, at, take);
    at += take;
    left -= take;
  }
}

/* A string as quoted text. */
static void put_quoted(struct fake_bytes *out, const char *name,
                       const char *text) {
  if (text == NULL)
    return;
  fake_bytes_printf(out, "%s='", name);
  for (; *text != '\0'; text++)
    fake_bytes_printf(out, *text == '\'' || *text == '\\' ? "\\%c" : "%c",
                      *text);
  fake_bytes_printf(out, "' ");
}

void fake_send_content_at(struct fake_broker *b, const char *where,
                          const char *name, const struct fake_content *c) {
  struct fake_step *s = fake_broker_add(b, where, FAKE_STEP_SEND);
  struct fake_bytes fields = {0};
  size_t len = c->body_len;
  if (len == 0 && c->body != NULL)
    len = strlen(c->body);
  put_quoted(&fields, "exchange", c->exchange);
  put_quoted(&fields, "routing-key", c->routing_key);
  fake_bytes_printf(&fields, "%s", c->fields != NULL ? c->fields : "");
  fake_content_encode(&s->bytes, s->channel, name, fake_bytes_text(&fields),
                      c->props, c->body, len, c);
  fake_bytes_fini(&fields);
}

void fake_send_raw_at(struct fake_broker *b, const char *where,
                      const void *bytes, size_t len) {
  fake_bytes_put(&fake_broker_add(b, where, FAKE_STEP_SEND)->bytes, bytes, len);
}

void fake_send_frame_at(struct fake_broker *b, const char *where, unsigned type,
                        unsigned channel, const void *payload, size_t len) {
  fake_frame_encode(&fake_broker_add(b, where, FAKE_STEP_SEND)->bytes, type,
                    channel, payload, len);
}

void fake_repeat_last(struct fake_broker *b, size_t count) {
  last_sent(b)->count = count;
}

void fake_flip_last(struct fake_broker *b, size_t bit) {
  struct fake_bytes *bytes = &last_sent(b)->bytes;
  bytes->data[bit / 8 % bytes->len] ^= (uint8_t)(1U << bit % 8);
}

void fake_cut_last(struct fake_broker *b, size_t len) {
  struct fake_bytes *bytes = &last_sent(b)->bytes;
  bytes->len = len < bytes->len ? len : bytes->len;
}

void fake_hold_at(struct fake_broker *b, const char *where, size_t len) {
  fake_broker_add(b, where, FAKE_STEP_HOLD)->count = len;
}

void fake_release_at(struct fake_broker *b, const char *where) {
  fake_broker_add(b, where, FAKE_STEP_RELEASE);
}

void fake_close_at(struct fake_broker *b, const char *where) {
  fake_broker_add(b, where, FAKE_STEP_CLOSE);
}

void fake_reset_at(struct fake_broker *b, const char *where) {
  fake_broker_add(b, where, FAKE_STEP_RESET);
}

void fake_silence_at(struct fake_broker *b, const char *where) {
  fake_broker_add(b, where, FAKE_STEP_SILENCE);
}

const char fake_server_properties[] =
    "{capabilities=F:{publisher_confirms=t:1,exchange_exchange_bindings=t:1,"
    "basic.nack=t:1,consumer_cancel_notify=t:1,connection.blocked=t:1,"
    "consumer_priorities=t:1,authentication_failure_close=t:1,"
    "per_consumer_qos=t:1,direct_reply_to=t:1},"
    "cluster_name=S:warren,"
    "copyright=S:'Copyright (c) 2007-2022 VMware, Inc. or its affiliates.',"
    "information=S:'Licensed under the MPL 2.0. Website: "
    "https://rabbitmq.com',"
    "platform=S:'Erlang/OTP 25.2.3',product=S:RabbitMQ,version=S:3.10.8}";

static const char CAPABILITIES[] =
    "{capabilities=F:{connection.blocked=t:1,consumer_cancel_notify=t:1,"
    "basic.nack=t:1,publisher_confirms=t:1,"
    "authentication_failure_close=t:1}}";

/* PLAIN: NUL user NUL password; any other mechanism: not looked at. */
static void expect_start_ok(struct fake_broker *b, const char *where,
                            const struct fake_login *l) {
  struct fake_bytes want = {0};
  bool is_plain = l->mechanism == NULL || strcmp(l->mechanism, "PLAIN") == 0;
  fake_bytes_printf(&want, "mechanism=%s locale=en_US client-properties>=%s",
                    l->mechanism != NULL ? l->mechanism : "PLAIN",
                    l->capabilities != NULL ? l->capabilities : CAPABILITIES);
  if (is_plain)
    fake_bytes_printf(&want, " response='\\x00%s\\x00%s'",
                      l->user != NULL ? l->user : "guest",
                      l->password != NULL ? l->password : "guest");
  fake_expect_at(b, where, "connection.start-ok", "%s", fake_bytes_text(&want));
  fake_bytes_fini(&want);
}

static void send_tune(struct fake_broker *b, const char *where,
                      const struct fake_login *l) {
  unsigned heartbeat = l->heartbeat != 0 ? l->heartbeat : 60;
  fake_send_at(b, where, "connection.tune",
               "channel-max=%u frame-max=%u heartbeat=%u",
               l->channel_max != 0 ? l->channel_max : 2047,
               l->frame_max != 0 ? l->frame_max : 131072,
               l->offers_no_heartbeat ? 0 : heartbeat);
}

void fake_script_login_at(struct fake_broker *b, const char *where, int steps,
                          const struct fake_login *login) {
  static const struct fake_login usual;
  const struct fake_login *l = login != NULL ? login : &usual;
  for (int i = 0; i < (steps != 0 ? steps : FAKE_LOGIN_STEPS); i++)
    switch (i) {
    case 0:
      fake_expect_protocol_at(b, where);
      break;
    case 1:
      fake_send_at(b, where, "connection.start",
                   "version-minor=9 server-properties=%s mechanisms='%s' "
                   "locales=en_US",
                   fake_server_properties,
                   l->mechanisms != NULL ? l->mechanisms : "PLAIN AMQPLAIN");
      break;
    case 2:
      expect_start_ok(b, where, l);
      break;
    case 3:
      send_tune(b, where, l);
      break;
    case 4:
      fake_expect_at(b, where, "connection.tune-ok", "%s",
                     l->tune_ok != NULL ? l->tune_ok : "");
      break;
    case 5:
      fake_expect_at(b, where, "connection.open", "virtual-host='%s'",
                     l->vhost != NULL ? l->vhost : "/");
      break;
    case 6:
      fake_send_at(b, where, "connection.open-ok", "%s", "");
      break;
    }
}

void fake_rpc_at(struct fake_broker *b, const char *where, const char *name,
                 const char *want, const char *reply) {
  char ok[64];
  snprintf(ok, sizeof(ok), "%s-ok", name);
  fake_expect_at(b, where, name, "%s", want);
  fake_send_at(b, where, ok, "%s", reply);
}

void fake_script_channel_at(struct fake_broker *b, const char *where) {
  fake_rpc_at(b, where, "channel.open", "", "");
}

void fake_script_bye_at(struct fake_broker *b, const char *where) {
  fake_rpc_at(b, where, "connection.close", "reply-code=200", "");
  fake_close_at(b, where);
}
