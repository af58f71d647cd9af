/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/server_impl.h"

enum { BODY_PER_FRAME = 4096 - FAKE_FRAME_OVERHEAD };

char *fake_copy_text(const void *bytes, size_t len) {
  char *s = malloc(len + 1);
  if (s == NULL)
    abort();
  if (len > 0)
    memcpy(s, bytes, len);
  s[len] = '\0';
  return s;
}

char *fake_copy_field(const struct fake_fields *f, const char *name) {
  const struct fake_field *field = fake_fields_get(f, name);
  return field != NULL ? fake_copy_text(field->bytes, field->len)
                       : fake_copy_text("", 0);
}

void fake_field_to(const struct fake_fields *f, const char *name,
                   char *ret_text, size_t size) {
  char *text = fake_copy_field(f, name);
  snprintf(ret_text, size, "%s", text);
  free(text);
}

/* 0 ... n - 1 */
unsigned fake_server_chance(struct fake_server *s, unsigned n) {
  struct fake_server_state *st = s->state;
  st->random ^= st->random << 13;
  st->random ^= st->random >> 17;
  st->random ^= st->random << 5;
  return st->random % n;
}

struct fake_server *fake_server_new(enum fake_split split, uint32_t seed) {
  struct fake_server *s = calloc(1, sizeof(*s));
  struct fake_server_state *st = calloc(1, sizeof(*st));
  if (s == NULL || st == NULL)
    abort();
  s->state = st;
  s->every = 1;
  st->split = split;
  st->random = seed != 0 ? seed : 1;
  return s;
}

static void keep_failure(struct fake_server *s) {
  struct fake_server_state *st = s->state;
  const char *text =
      st->link.broker != NULL ? fake_broker_failure(st->link.broker) : NULL;
  if (text != NULL && st->failure == NULL)
    st->failure = fake_copy_text(text, strlen(text));
}

const char *fake_server_failure(const struct fake_server *s) {
  const struct fake_link *l = &s->state->link;
  if (s->state->failure != NULL)
    return s->state->failure;
  return l->broker != NULL ? fake_broker_failure(l->broker) : NULL;
}

void fake_server_free(struct fake_server *s) {
  if (s == NULL)
    return;
  struct fake_server_state *st = s->state;
  for (size_t i = 0; i < st->retired_count; i++)
    fake_broker_free(st->retired[i]);
  for (size_t i = 0; i < st->exchanges_count; i++)
    fake_bytes_fini(&st->exchanges[i].properties);
  for (size_t i = 0; i < st->queues_count; i++)
    fake_bytes_fini(&st->queues[i].properties);
  for (size_t i = 0; i < s->arrivals_count; i++) {
    struct fake_arrival *a = &s->arrivals[i];
    free(a->id), free(a->exchange), free(a->routing_key);
    fake_bytes_fini(&a->body);
  }
  for (size_t i = 0; i < s->stored_count; i++) {
    struct fake_stored *m = &s->stored[i];
    free(m->queue), free(m->id), free(m->exchange), free(m->routing_key);
    fake_bytes_fini(&m->props), fake_bytes_fini(&m->body);
  }
  free(s->arrivals), free(s->stored);
  free(st->failure);
  free(st);
  free(s);
}

/* ---- saying ---- */

__attribute__((format(printf, 4, 5))) void
fake_server_say(struct fake_server *s, unsigned channel, const char *name,
                const char *format, ...) {
  struct fake_bytes payload = {0}, frame = {0};
  char *fields = NULL;
  va_list ap;
  va_start(ap, format);
  if (vasprintf(&fields, format, ap) < 0)
    abort();
  va_end(ap);
  fake_method_encode(&payload, name, fields);
  fake_frame_encode(&frame, FAKE_FRAME_METHOD, channel, payload.data,
                    payload.len);
  fake_broker_say(s->state->link.broker, frame.data, frame.len);
  fake_bytes_fini(&payload);
  fake_bytes_fini(&frame);
  free(fields);
}

bool fake_server_is_live(const struct fake_server *s) {
  const struct fake_link *l = &s->state->link;
  return l->broker != NULL && !l->broker->is_closed && !l->broker->is_reset &&
         !l->broker->is_client_closed && l->broker->failure.len == 0;
}

void fake_server_say_content(struct fake_server *s, const char *name,
                             const char *fields, const struct fake_bytes *props,
                             const struct fake_bytes *body) {
  struct fake_bytes out = {0}, header = {0};
  struct fake_link *l = &s->state->link;
  struct fake_bytes payload = {0};
  fake_method_encode(&payload, name, fields);
  fake_frame_encode(&out, FAKE_FRAME_METHOD, l->channel, payload.data,
                    payload.len);
  fake_bytes_put_uint(&header, 60, 2);
  fake_bytes_put_uint(&header, 0, 2);
  fake_bytes_put_uint(&header, body->len, 8);
  fake_bytes_put(&header, props->data, props->len);
  fake_frame_encode(&out, FAKE_FRAME_HEADER, l->channel, header.data,
                    header.len);
  for (size_t at = 0; at < body->len; at += BODY_PER_FRAME) {
    size_t len = body->len - at;
    fake_frame_encode(&out, FAKE_FRAME_BODY, l->channel, body->data + at,
                      len < BODY_PER_FRAME ? len : BODY_PER_FRAME);
  }
  fake_broker_say(l->broker, out.data, out.len);
  fake_bytes_fini(&payload);
  fake_bytes_fini(&header);
  fake_bytes_fini(&out);
}

void fake_quote(const char *text, struct fake_bytes *out) {
  fake_bytes_printf(out, "'");
  for (; *text != '\0'; text++)
    fake_bytes_printf(out, "\\x%02x", (unsigned char)*text);
  fake_bytes_printf(out, "'");
}

/* ---- the end of a link ---- */

static void requeue(struct fake_server *s) {
  for (size_t i = 0; i < s->stored_count; i++)
    if (s->stored[i].state == FAKE_UNACKED)
      s->stored[i].state = FAKE_READY;
  s->state->link.unacked = 0;
  s->state->link.consumer_tag[0] = '\0';
}

/* Unconfirmed messages are stored or not: nobody knows. */
void fake_server_end_channel(struct fake_server *s) {
  struct fake_link *l = &s->state->link;
  for (size_t i = 0; i < s->arrivals_count; i++) {
    if (s->arrivals[i].outcome != FAKE_PENDING)
      continue;
    s->arrivals[i].outcome = FAKE_UNCONFIRMED;
    if (fake_server_chance(s, 100) < s->forgets_percent)
      fake_server_drop_stored(s, i);
  }
  requeue(s);
  l->is_open = l->is_confirming = false;
  l->seqno = l->tag = 0;
  l->prefetch = 0;
  l->unconfirmed = s->arrivals_count;
}

/* channel.close, as RabbitMQ words it. */
void fake_server_refuse(struct fake_server *s, const struct fake_unit *u,
                        unsigned code, const char *text) {
  struct fake_bytes quoted = {0};
  fake_quote(text, &quoted);
  fake_server_say(s, u->channel, "channel.close",
                  "reply-code=%u reply-text=%s class-id=%u method-id=%u", code,
                  fake_bytes_text(&quoted), u->signature->class_id,
                  u->signature->method_id);
  fake_bytes_fini(&quoted);
  fake_server_end_channel(s);
}

static void on_consume(struct fake_server *s, struct fake_unit *u) {
  struct fake_server_state *st = s->state;
  struct fake_link *l = &st->link;
  struct fake_bytes quoted = {0};
  fake_field_to(&u->fields, "queue", l->consumed, sizeof(l->consumed));
  fake_field_to(&u->fields, "consumer-tag", l->consumer_tag,
                sizeof(l->consumer_tag));
  if (fake_named_find(st->queues, st->queues_count, l->consumed) == NULL) {
    fake_server_refuse(s, u, 404, "NOT_FOUND - no queue to consume");
    return;
  }
  if (l->consumer_tag[0] == '\0')
    snprintf(l->consumer_tag, sizeof(l->consumer_tag), "amq.ctag-%u",
             ++st->names_given);
  fake_quote(l->consumer_tag, &quoted);
  fake_server_say(s, u->channel, "basic.consume-ok", "consumer-tag=%s",
                  fake_bytes_text(&quoted));
  fake_bytes_fini(&quoted);
}

/* ---- login and the rest ---- */

static bool is_password(const struct fake_server *s,
                        const struct fake_unit *u) {
  char want[512];
  const char *user = s->login.user != NULL ? s->login.user : "guest";
  const char *word = s->login.password != NULL ? s->login.password : "guest";
  int len = snprintf(want, sizeof(want), "%c%s%c%s", 0, user, 0, word);
  const struct fake_field *f = fake_fields_get(&u->fields, "response");
  return f != NULL && f->len == (size_t)len &&
         memcmp(f->bytes, want, f->len) == 0;
}

static void on_connection(struct fake_server *s, struct fake_unit *u) {
  struct fake_link *l = &s->state->link;
  const char *name = u->signature->name;
  const struct fake_login *g = &s->login;
  static const char *const order[] = {"connection.start-ok",
                                      "connection.tune-ok", "connection.open"};
  if (strcmp(name, "connection.close") == 0) {
    fake_server_end_channel(s);
    fake_server_say(s, 0, "connection.close-ok", "%s", "");
    l->broker->is_closed = true;
  } else if (strcmp(name, "connection.close-ok") == 0) {
    l->broker->is_closed = true;
  } else if (l->login_step > 2 || strcmp(name, order[l->login_step]) != 0) {
    fake_broker_fail(l->broker, "%s in step %d of the login", name,
                     l->login_step);
  } else if (l->login_step == 0 && !is_password(s, u)) {
    fake_server_say(
        s, 0, "connection.close",
        "reply-code=403 reply-text='ACCESS_REFUSED - Login was refused'");
  } else if (l->login_step++ == 0) {
    fake_server_say(s, 0, "connection.tune",
                    "channel-max=2047 frame-max=%u heartbeat=%u",
                    g->frame_max != 0 ? g->frame_max : 131072,
                    g->heartbeat != 0 ? g->heartbeat : 60);
  } else if (l->login_step == 2) {
    l->heartbeat_s = l->broker->intake.heartbeat;
  } else if (!fake_fields_equal(&u->fields, "virtual-host",
                                g->vhost != NULL ? g->vhost : "/")) {
    fake_server_say(s, 0, "connection.close",
                    "reply-code=530 reply-text='NOT_ALLOWED - vhost not found' "
                    "class-id=10 method-id=40");
  } else {
    fake_server_say(s, 0, "connection.open-ok", "%s", "");
  }
}

static void on_channel_open(struct fake_server *s, struct fake_unit *u) {
  s->state->link.channel = u->channel;
  s->state->link.is_open = true;
  fake_server_say(s, u->channel, "channel.open-ok", "%s", "");
}

static void on_channel_close(struct fake_server *s, struct fake_unit *u) {
  fake_server_end_channel(s);
  fake_server_say(s, u->channel, "channel.close-ok", "%s", "");
}

static void on_channel_close_ok(struct fake_server *s, struct fake_unit *u) {
  (void)s, (void)u;
}

static void on_confirm_select(struct fake_server *s, struct fake_unit *u) {
  s->state->link.is_confirming = true;
  fake_server_say(s, u->channel, "confirm.select-ok", "%s", "");
}

static void on_qos(struct fake_server *s, struct fake_unit *u) {
  s->state->link.prefetch =
      (unsigned)fake_fields_number(&u->fields, "prefetch-count");
  fake_server_say(s, u->channel, "basic.qos-ok", "%s", "");
}

static void on_cancel(struct fake_server *s, struct fake_unit *u) {
  struct fake_bytes quoted = {0};
  fake_quote(s->state->link.consumer_tag, &quoted);
  fake_server_say(s, u->channel, "basic.cancel-ok", "consumer-tag=%s",
                  fake_bytes_text(&quoted));
  s->state->link.consumer_tag[0] = '\0';
  fake_bytes_fini(&quoted);
}

static const struct {
  const char *name;
  void (*handle)(struct fake_server *s, struct fake_unit *u);
} HANDLERS[] = {
    {"basic.publish", fake_server_on_publish},
    {"basic.ack", fake_server_on_settle},
    {"basic.nack", fake_server_on_settle},
    {"basic.reject", fake_server_on_settle},
    {"basic.qos", on_qos},
    {"basic.consume", on_consume},
    {"basic.cancel", on_cancel},
    {"channel.open", on_channel_open},
    {"channel.close", on_channel_close},
    {"channel.close-ok", on_channel_close_ok},
    {"confirm.select", on_confirm_select},
    {"exchange.declare", fake_server_on_exchange_declare},
    {"queue.declare", fake_server_on_queue_declare},
    {"queue.bind", fake_server_on_queue_bind},
    {"queue.delete", fake_server_on_queue_delete},
};

static void on_unit(void *arg, struct fake_unit *u) {
  struct fake_server *s = arg;
  struct fake_link *l = &s->state->link;
  if (u->type == FAKE_UNIT_HEARTBEAT)
    return;
  if (u->type == FAKE_UNIT_PROTOCOL) {
    fake_server_say(
        s, 0, "connection.start",
        "version-minor=9 server-properties=%s mechanisms='%s' locales=en_US",
        fake_server_properties,
        s->login.mechanisms != NULL ? s->login.mechanisms : "PLAIN AMQPLAIN");
    return;
  }
  if (u->channel == 0) {
    on_connection(s, u);
    return;
  }
  if (l->login_step < 3) {
    fake_broker_fail(l->broker, "%s before the login", u->signature->name);
    return;
  }
  for (size_t i = 0; i < sizeof(HANDLERS) / sizeof(HANDLERS[0]); i++)
    if (strcmp(u->signature->name, HANDLERS[i].name) == 0) {
      HANDLERS[i].handle(s, u);
      fake_server_deliver(s);
      return;
    }
  fake_broker_fail(l->broker, "the fake server does not know %s",
                   u->signature->name);
}

/* ---- links ---- */

void fake_server_set_down(struct fake_server *s, bool is_down) {
  s->state->is_down = is_down;
}

struct fake_broker *fake_server_connect(void *server, const void *endpoint) {
  struct fake_server *s = server;
  struct fake_server_state *st = s->state;
  (void)endpoint;
  keep_failure(s);
  fake_server_end_channel(s);
  if (st->is_down)
    return NULL;
  if (st->retired_count == sizeof(st->retired) / sizeof(st->retired[0])) {
    fprintf(stderr, "fake server: the client connects without end\n");
    abort();
  }
  s->links_count++;
  st->link = (struct fake_link){.unconfirmed = s->arrivals_count};
  st->link.broker = fake_broker_new(st->split, st->random);
  st->link.broker->on_unit = on_unit;
  st->link.broker->arg = s;
  st->retired[st->retired_count++] = st->link.broker;
  return st->link.broker;
}
