/* SPDX-License-Identifier: MIT */
/* What the fake server stores, confirms and delivers. */
#include "rmq_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/server_impl.h"

/* ---- messages ---- */

static struct fake_stored *store(struct fake_server *s, const char *queue,
                                 const char *id) {
  if (s->stored_count == s->stored_cap) {
    s->stored_cap = s->stored_cap * 2 + 64;
    s->stored = realloc(s->stored, s->stored_cap * sizeof(*s->stored));
    if (s->stored == NULL)
      abort();
  }
  struct fake_stored *m = &s->stored[s->stored_count++];
  *m = (struct fake_stored){.queue = fake_copy_text(queue, strlen(queue)),
                            .id = fake_copy_text(id, strlen(id)),
                            .arrival = SIZE_MAX};
  return m;
}

static void deliver_one(struct fake_server *s, struct fake_stored *m) {
  struct fake_link *l = &s->state->link;
  struct fake_bytes fields = {0};
  m->state = FAKE_UNACKED;
  m->tag = ++l->tag;
  fake_bytes_printf(&fields, "delivery-tag=%llu redelivered=%d consumer-tag=",
                    (unsigned long long)m->tag, m->deliveries > 0);
  fake_quote(l->consumer_tag, &fields);
  fake_bytes_printf(&fields, " exchange=");
  fake_quote(m->exchange, &fields);
  fake_bytes_printf(&fields, " routing-key=");
  fake_quote(m->routing_key, &fields);
  s->redeliveries_count += m->deliveries > 0;
  s->deliveries_count++;
  m->deliveries++;
  if (++l->unacked > s->unacked_most)
    s->unacked_most = l->unacked;
  fake_server_say_content(s, "basic.deliver", fake_bytes_text(&fields),
                          &m->props, &m->body);
  fake_bytes_fini(&fields);
}

void fake_server_deliver(struct fake_server *s) {
  struct fake_link *l = &s->state->link;
  if (!fake_server_is_live(s) || !l->is_open || l->consumer_tag[0] == '\0')
    return;
  for (size_t i = 0; i < s->stored_count; i++) {
    if (l->prefetch != 0 && l->unacked >= l->prefetch)
      return;
    if (s->stored[i].state == FAKE_READY &&
        strcmp(s->stored[i].queue, l->consumed) == 0)
      deliver_one(s, &s->stored[i]);
  }
}

void fake_server_put(struct fake_server *s, const char *queue, const char *id,
                     const char *props, const void *body, size_t len) {
  struct fake_stored *m = store(s, queue, id);
  struct fake_bytes text = {0};
  fake_bytes_printf(&text, "message-id=");
  fake_quote(id, &text);
  fake_bytes_printf(&text, " %s", props != NULL ? props : "");
  fake_props_encode(&m->props, fake_bytes_text(&text));
  fake_bytes_fini(&text);
  m->exchange = fake_copy_text("", 0);
  m->routing_key = fake_copy_text(queue, strlen(queue));
  fake_bytes_put(&m->body, body, len);
  fake_server_deliver(s);
}

size_t fake_server_count(const struct fake_server *s, const char *queue,
                         int state) {
  size_t count = 0;
  for (size_t i = 0; i < s->stored_count; i++)
    count += (int)s->stored[i].state == state &&
             strcmp(s->stored[i].queue, queue) == 0;
  return count;
}
/* ---- confirms ---- */

static void confirm(struct fake_server *s, struct fake_arrival *a,
                    bool is_nack) {
  fake_server_say(s, s->state->link.channel,
                  is_nack ? "basic.nack" : "basic.ack", "delivery-tag=%llu",
                  (unsigned long long)a->seqno);
  if (a->outcome == FAKE_PENDING)
    a->outcome = is_nack ? FAKE_NACKED : FAKE_ACKED;
}

static size_t pending(const struct fake_server *s) {
  size_t count = 0;
  for (size_t i = s->state->link.unconfirmed; i < s->arrivals_count; i++)
    count += s->arrivals[i].outcome == FAKE_PENDING;
  return count;
}

/* All pending up to the newest, in one frame. */
static void confirm_multiple(struct fake_server *s) {
  if (pending(s) == 0)
    return;
  struct fake_arrival *last = &s->arrivals[s->arrivals_count - 1];
  fake_server_say(s, s->state->link.channel, "basic.ack",
                  "delivery-tag=%llu multiple=1",
                  (unsigned long long)last->seqno);
  for (size_t i = s->state->link.unconfirmed; i < s->arrivals_count; i++)
    if (s->arrivals[i].outcome == FAKE_PENDING)
      s->arrivals[i].outcome = FAKE_ACKED;
}

static void confirm_shuffled(struct fake_server *s) {
  size_t left = pending(s);
  for (; left > 0; left--) {
    size_t pick = fake_server_chance(s, (unsigned)left);
    for (size_t i = s->state->link.unconfirmed; i < s->arrivals_count; i++)
      if (s->arrivals[i].outcome == FAKE_PENDING && pick-- == 0) {
        confirm(s, &s->arrivals[i], false);
        break;
      }
  }
}

static void confirm_rest(struct fake_server *s) {
  struct fake_link *l = &s->state->link;
  while (l->unconfirmed < s->arrivals_count &&
         s->arrivals[l->unconfirmed].outcome != FAKE_PENDING)
    l->unconfirmed++;
}

void fake_server_flush(struct fake_server *s) {
  if (!fake_server_is_live(s) || !s->state->link.is_open ||
      !s->state->link.is_confirming)
    return;
  confirm_shuffled(s);
  confirm_rest(s);
}

void fake_server_drop_stored(struct fake_server *s, size_t arrival) {
  for (size_t i = 0; i < s->stored_count; i++)
    if (s->stored[i].arrival == arrival)
      s->stored[i].state = FAKE_DROPPED;
}

/* A basic.return goes out before the ack of the same message. */
static void give_back(struct fake_server *s, struct fake_arrival *a,
                      const struct fake_bytes *props) {
  struct fake_bytes fields = {0};
  fake_bytes_printf(&fields, "reply-code=312 reply-text=NO_ROUTE exchange=");
  fake_quote(a->exchange, &fields);
  fake_bytes_printf(&fields, " routing-key=");
  fake_quote(a->routing_key, &fields);
  a->outcome = FAKE_RETURNED;
  fake_server_say_content(s, "basic.return", fake_bytes_text(&fields), props,
                          &a->body);
  fake_bytes_fini(&fields);
}

static void apply_policy(struct fake_server *s, size_t index,
                         const struct fake_bytes *props) {
  enum fake_policy policy = s->policy;
  unsigned every = s->every > 0 ? s->every : 1;
  struct fake_arrival *a = &s->arrivals[index];
  if (policy == FAKE_CONFIRM_ANYHOW)
    policy = (enum fake_policy)fake_server_chance(s, FAKE_CONFIRM_NOTHING + 1);
  if ((policy == FAKE_NACK_SOME || policy == FAKE_RETURN_SOME) &&
      fake_server_chance(s, every) != 0)
    policy = FAKE_ACK_EACH;
  switch (policy) {
  case FAKE_ACK_EACH:
    confirm(s, a, false);
    break;
  case FAKE_ACK_EVERY:
    if (pending(s) >= every)
      confirm_multiple(s);
    break;
  case FAKE_ACK_SHUFFLED:
    if (pending(s) >= every)
      confirm_shuffled(s);
    break;
  case FAKE_NACK_EACH:
  case FAKE_NACK_SOME:
    fake_server_drop_stored(s, index);
    confirm(s, a, true);
    break;
  case FAKE_RETURN_EACH:
  case FAKE_RETURN_SOME:
    fake_server_drop_stored(s, index);
    give_back(s, a, props);
    confirm(s, a, false);
    break;
  case FAKE_CONFIRM_NOTHING:
  case FAKE_CONFIRM_ANYHOW:
    break;
  }
  confirm_rest(s);
}

/* ---- methods ---- */

void fake_server_on_publish(struct fake_server *s, struct fake_unit *u) {
  struct fake_server_state *st = s->state;
  struct fake_link *l = &st->link;
  if (s->arrivals_count == s->arrivals_cap) {
    s->arrivals_cap = s->arrivals_cap * 2 + 64;
    s->arrivals = realloc(s->arrivals, s->arrivals_cap * sizeof(*s->arrivals));
    if (s->arrivals == NULL)
      abort();
  }
  size_t index = s->arrivals_count;
  struct fake_arrival *a = &s->arrivals[index];
  *a = (struct fake_arrival){
      .id = fake_copy_field(&u->props, "message-id"),
      .exchange = fake_copy_field(&u->fields, "exchange"),
      .routing_key = fake_copy_field(&u->fields, "routing-key"),
      .link = (unsigned)s->links_count,
      .seqno = ++l->seqno};
  s->arrivals_count++;
  fake_bytes_put(&a->body, u->body.data, u->body.len);
  if (a->exchange[0] != '\0' &&
      fake_named_find(st->exchanges, st->exchanges_count, a->exchange) ==
          NULL) {
    fake_server_refuse(s, u, 404, "NOT_FOUND - no exchange in vhost");
    return;
  }
  struct fake_bytes props = {u->header_frame.data + 19,
                             u->header_frame.len - 20, 0};
  bool is_routed = false;
  for (size_t q = 0; q < st->queues_count; q++) {
    const char *queue = st->queues[q].name;
    bool is_hit = a->exchange[0] == '\0' && strcmp(queue, a->routing_key) == 0;
    for (size_t i = 0; i < st->bounds_count; i++)
      is_hit |=
          strcmp(st->bounds[i].queue, queue) == 0 &&
          fake_server_routes(s, &st->bounds[i], a->exchange, a->routing_key);
    if (!is_hit)
      continue;
    struct fake_stored *m = store(s, queue, a->id);
    m->arrival = index;
    m->exchange = fake_copy_text(a->exchange, strlen(a->exchange));
    m->routing_key = fake_copy_text(a->routing_key, strlen(a->routing_key));
    fake_bytes_put(&m->props, props.data, props.len);
    fake_bytes_put(&m->body, a->body.data, a->body.len);
    is_routed = true;
  }
  bool is_mandatory = fake_fields_number(&u->fields, "mandatory") != 0;
  if (!is_routed && is_mandatory)
    give_back(s, a, &props);
  if (!l->is_confirming)
    return;
  if (is_routed)
    apply_policy(s, index, &props);
  else
    confirm(s, a, false);
}

/* basic.ack, nack and reject of the consumer. */
void fake_server_on_settle(struct fake_server *s, struct fake_unit *u) {
  struct fake_link *l = &s->state->link;
  uint64_t tag = fake_fields_number(&u->fields, "delivery-tag");
  bool is_multiple = fake_fields_number(&u->fields, "multiple") != 0;
  bool is_ack = strcmp(u->signature->name, "basic.ack") == 0;
  bool is_requeue = fake_fields_number(&u->fields, "requeue") != 0;
  size_t settled = 0;
  for (size_t i = 0; i < s->stored_count; i++) {
    struct fake_stored *m = &s->stored[i];
    bool is_meant = m->tag == tag || (is_multiple && m->tag < tag);
    if (m->state != FAKE_UNACKED || !is_meant)
      continue;
    m->state = is_ack ? FAKE_DONE : (is_requeue ? FAKE_READY : FAKE_REJECTED);
    l->unacked--;
    settled++;
  }
  s->acks_count += is_ack;
  s->multiple_acks_count += is_ack && is_multiple;
  if (settled == 0 || tag > l->tag)
    fake_broker_fail(l->broker,
                     "PRECONDITION_FAILED - %s of tag %llu, which "
                     "is not unacked",
                     u->signature->name, (unsigned long long)tag);
}
