/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "tests/bench/plain.h"

#ifdef HAVE_RABBITMQ_C_AMQP_H
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#endif

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

enum { CHANNEL = 1, FRAME_MAX = 131072, PERSISTENT = 2 };

struct plain {
  amqp_connection_state_t connection;
  size_t window;
  const char *content_type;
  /* Tags run from 1; all up to low are confirmed, of those above it those that
   * are marked. A ring of size tags. */
  uint64_t published, confirmed, low;
  bool *is_marked;
  size_t size;
  amqp_envelope_t envelope;
  bool has_envelope;
};

double plain_now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool is_fine(amqp_rpc_reply_t reply, const char *what) {
  if (reply.reply_type == AMQP_RESPONSE_NORMAL)
    return true;
  fprintf(stderr, "bench: %s failed\n", what);
  return false;
}

static bool open_channel(struct plain *p, const char *host, int port,
                         const char *vhost) {
  amqp_socket_t *socket = amqp_tcp_socket_new(p->connection);
  if (socket == NULL || amqp_socket_open(socket, host, port) != 0) {
    fprintf(stderr, "bench: cannot connect to %s:%d\n", host, port);
    return false;
  }
  if (!is_fine(amqp_login(p->connection, vhost, 0, FRAME_MAX, 0,
                          AMQP_SASL_METHOD_PLAIN, "guest", "guest"),
               "login"))
    return false;
  amqp_channel_open(p->connection, CHANNEL);
  if (!is_fine(amqp_get_rpc_reply(p->connection), "channel.open"))
    return false;
  if (p->window == 0)
    return true;
  amqp_confirm_select(p->connection, CHANNEL);
  return is_fine(amqp_get_rpc_reply(p->connection), "confirm.select");
}

struct plain *plain_new(const char *host, int port, const char *vhost,
                        size_t window) {
  struct plain *p = calloc(1, sizeof(*p));
  if (p == NULL)
    return NULL;
  p->window = window;
  p->content_type = "text/plain";
  p->size = 4 * window + 4;
  p->is_marked = calloc(p->size, sizeof(*p->is_marked));
  p->connection = amqp_new_connection();
  if (p->is_marked != NULL && p->connection != NULL &&
      open_channel(p, host, port, vhost))
    return p;
  plain_free(p);
  return NULL;
}

void plain_free(struct plain *p) {
  if (p == NULL)
    return;
  if (p->has_envelope)
    amqp_destroy_envelope(&p->envelope);
  if (p->connection != NULL) {
    /* With the handshake: the broker has seen the last ack when it answers. */
    amqp_connection_close(p->connection, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(p->connection);
  }
  free(p->is_marked);
  free(p);
}

/* ------------------------------------------------------------------------ */

static void add_properties(amqp_basic_properties_t *props, uint64_t number,
                           char *id, size_t id_size,
                           amqp_table_entry_t headers[2]) {
  int n = snprintf(id, id_size, "0af7651916cd43dd8448eb211c80319c:%llu",
                   (unsigned long long)number);
  headers[0] = (amqp_table_entry_t){
      .key = amqp_cstring_bytes("timestamp_in_ms"),
      .value = {.kind = AMQP_FIELD_KIND_I64, .value.i64 = 1700000000123}};
  headers[1] = (amqp_table_entry_t){
      .key = amqp_cstring_bytes("traceparent"),
      .value = {
          .kind = AMQP_FIELD_KIND_UTF8,
          .value.bytes = amqp_cstring_bytes(
              "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")}};
  props->_flags |= AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TIMESTAMP_FLAG |
                   AMQP_BASIC_APP_ID_FLAG | AMQP_BASIC_HEADERS_FLAG;
  props->message_id = (amqp_bytes_t){(size_t)n, id};
  props->timestamp = 1700000000;
  props->app_id = amqp_cstring_bytes("collectd");
  props->headers = (amqp_table_t){2, headers};
}

void plain_set_content_type(struct plain *p, const char *type) {
  p->content_type = type;
}

int plain_publish(struct plain *p, enum plain_properties properties,
                  const char *queue, const char *body, size_t size) {
  amqp_basic_properties_t props = {
      ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_CONTENT_TYPE_FLAG,
      .delivery_mode = PERSISTENT,
      .content_type = amqp_cstring_bytes(p->content_type)};
  amqp_table_entry_t headers[2];
  char id[64];
  p->published++;
  if (properties == PLAIN_FULL)
    add_properties(&props, p->published, id, sizeof(id), headers);
  return amqp_basic_publish(
             p->connection, CHANNEL, amqp_empty_bytes,
             amqp_cstring_bytes(queue), properties == PLAIN_FULL, 0, &props,
             (amqp_bytes_t){size, (void *)(uintptr_t)body}) == AMQP_STATUS_OK
             ? 0
             : -1;
}

bool plain_has_room(const struct plain *p) {
  return p->published - p->confirmed < p->window &&
         p->published - p->low + 1 < p->size;
}

static void mark(struct plain *p, uint64_t tag) {
  if (tag <= p->low || tag > p->published || p->is_marked[tag % p->size])
    return;
  p->is_marked[tag % p->size] = true;
  p->confirmed++;
}

static void take_ack(struct plain *p, const amqp_basic_ack_t *ack) {
  uint64_t from = ack->multiple ? p->low + 1 : ack->delivery_tag;
  for (uint64_t tag = from; tag <= ack->delivery_tag; tag++)
    mark(p, tag);
  while (p->low < p->published && p->is_marked[(p->low + 1) % p->size])
    p->is_marked[++p->low % p->size] = false;
}

/* By poll, because rabbitmq-c rounds a wait below a millisecond down to none
 * and spins. */
static bool has_input(const struct plain *p, int wait_ms) {
  if (amqp_frames_enqueued(p->connection) || amqp_data_in_buffer(p->connection))
    return true;
  struct pollfd fd = {.fd = amqp_get_sockfd(p->connection), .events = POLLIN};
  return poll(&fd, 1, wait_ms) != 0;
}

int plain_wait(struct plain *p, int wait_ms) {
  amqp_frame_t frame;
  struct timeval none = {0, 0};
  if (!has_input(p, wait_ms))
    return 0;
  int status = amqp_simple_wait_frame_noblock(p->connection, &frame, &none);
  if (status == AMQP_STATUS_TIMEOUT)
    return 0;
  if (status != AMQP_STATUS_OK || frame.frame_type != AMQP_FRAME_METHOD ||
      frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
    return -1; /* a nack too: nobody measures a broker in trouble */
  take_ack(p, frame.payload.method.decoded);
  amqp_maybe_release_buffers(p->connection);
  return 0;
}

uint64_t plain_published(const struct plain *p) { return p->published; }

uint64_t plain_confirmed(const struct plain *p) { return p->confirmed; }

/* ------------------------------------------------------------------------ */

int plain_consume(struct plain *p, const char *queue, int prefetch) {
  amqp_basic_qos(p->connection, CHANNEL, 0, (uint16_t)prefetch, 0);
  if (!is_fine(amqp_get_rpc_reply(p->connection), "basic.qos"))
    return -1;
  amqp_basic_consume(p->connection, CHANNEL, amqp_cstring_bytes(queue),
                     amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
  return is_fine(amqp_get_rpc_reply(p->connection), "basic.consume") ? 0 : -1;
}

int plain_take(struct plain *p, int wait_ms, struct plain_delivery *ret) {
  struct timeval limit = {.tv_sec = wait_ms / 1000,
                          .tv_usec = (suseconds_t)(wait_ms % 1000) * 1000};
  if (p->has_envelope)
    amqp_destroy_envelope(&p->envelope);
  amqp_maybe_release_buffers(p->connection);
  amqp_rpc_reply_t reply = amqp_consume_message(p->connection, &p->envelope,
                                                wait_ms < 0 ? NULL : &limit, 0);
  p->has_envelope = reply.reply_type == AMQP_RESPONSE_NORMAL;
  if (!p->has_envelope)
    return reply.library_error == AMQP_STATUS_TIMEOUT ? 0 : -1;
  const amqp_message_t *m = &p->envelope.message;
  bool has_id = (m->properties._flags & AMQP_BASIC_MESSAGE_ID_FLAG) != 0;
  *ret = (struct plain_delivery){
      .tag = p->envelope.delivery_tag,
      .message_id = has_id ? m->properties.message_id.bytes : "",
      .message_id_len = has_id ? m->properties.message_id.len : 0,
      .body = m->body.bytes,
      .size = m->body.len};
  return 1;
}

int plain_ack(struct plain *p, uint64_t tag) {
  return amqp_basic_ack(p->connection, CHANNEL, tag, 1) == 0 ? 0 : -1;
}
