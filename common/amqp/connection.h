/* SPDX-License-Identifier: MIT */
/*
 * One AMQP session as a pure machine: bytes in, bytes out, deadlines, events.
 * It lives through many TCP connections: it chooses the host, waits between
 * attempts, logs in, opens its one channel, declares the topology, and starts
 * over when anything breaks. It reads no clock and touches no socket; a worker
 * (or a test with a fake broker) moves the bytes and tells the time.
 *
 * Not thread-safe: everything is called by the thread that owns it, and the
 * handlers are called from inside these calls. A handler may call the verbs for
 * sending; it must not call rmq_connection_input, _tick or _fini.
 */
#ifndef RMQ_AMQP_CONNECTION_H
#define RMQ_AMQP_CONNECTION_H

#include "common/amqp/wire.h"
#include "common/base/backoff.h"
#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/rmqtime.h"
#include "common/base/session.h"

struct rmq_endpoint {
  const char *host;
  uint16_t port;
};

struct rmq_binding {
  const char *exchange, *routing_key;
};

/* What messages that wait in the queue say about a consumer that gets none. */
enum rmq_backlog {
  RMQ_BACKLOG_OURS,   /* it should get them */
  RMQ_BACKLOG_OTHERS, /* another one may have them all; it stands by */
  RMQ_BACKLOG_UNTOLD  /* a stream's counts are of no consumer */
};
const char *rmq_backlog_to_str(enum rmq_backlog b);

enum rmq_auth { RMQ_AUTH_PLAIN, RMQ_AUTH_EXTERNAL };
const char *rmq_auth_to_str(enum rmq_auth a);

/* Everything is borrowed and outlives the connection. */
struct rmq_connection_config {
  const struct rmq_endpoint *endpoints; /* in order of preference */
  size_t endpoints_count;
  bool is_random_order;
  const char *vhost;
  enum rmq_auth auth;
  const char *user;
  /* Appends the password; asked at every login, so that a rotated one is
   * found. -1 = unreadable, err says why. */
  int (*password)(void *ctx, struct rmq_buf *ret_password,
                  struct rmq_error *err);
  void *password_ctx;
  const char *connection_name, *product, *version;
  struct rmq_dur heartbeat;       /* 0 = none; else whole seconds */
  struct rmq_dur connect_timeout; /* resolving, TCP and TLS */
  struct rmq_dur rpc_timeout;     /* each answer of the broker */
  struct rmq_dur retry_min, retry_max;
  struct rmq_dur refused_delay; /* longest wait after a refused login or a
                                   topology error */
  /* Blocked for longer: on to another host, if there is one. Doubles, up to 16
   * times, until a host shows progress, for alarms concern whole clusters.
   * 0 = stay. */
  struct rmq_dur blocked_timeout;
  /* After so long at a host that is not the preferred one, and again and again,
   * it is looked whether a better one listens; 0 = never. */
  struct rmq_dur failback_interval;
  uint32_t frame_max; /* largest that we accept; 0 = 131072 */
  /* Topology; NULL and 0 where there is none. */
  const char *alternate_exchange; /* has to exist; checked, not declared */
  const struct rmq_wire_exchange *exchange;
  const struct rmq_wire_queue *queue;
  const struct rmq_binding *bindings;
  size_t bindings_count;
  bool wants_confirms;
  /* Consumer: subscribes to queue when prefetch > 0. */
  uint16_t prefetch;
  const char *consumer_tag;
  const struct rmq_arguments *consumer_arguments;
  size_t max_message_bytes; /* larger bodies are skipped, not stored */
  /* After so long without a delivery and with nothing unacked the broker is
   * asked for the queue; when it does not know us as a consumer, or messages
   * wait that should be ours, the channel is opened anew. Otherwise the
   * bindings are declared again. 0 = never. */
  struct rmq_dur idle_check;
  enum rmq_backlog backlog;
  bool keeps_properties; /* deliveries have their struct rmq_kept */
};

enum { RMQ_KEPT_HEADERS_BYTES = 4096 }; /* their names and texts in all */

/* Properties that nobody needs to handle a message, for who files it away. */
struct rmq_kept {
  char app_id[256], correlation_id[256], type[256], reply_to[256];
  char expiration[256];  /* milliseconds, as the sender wrote them */
  uint8_t delivery_mode; /* 1 transient, 2 persistent, 0 = not given */
  int priority;          /* -1 = not given */
  struct rmq_wire_header headers[RMQ_WIRE_HEADERS_MAX];
  size_t headers_count;
  bool is_cut; /* there were more headers */
};

/* A message from the broker. Texts are cut to their size; AMQP's own limit is
 * 255 bytes. */
struct rmq_delivery {
  uint64_t tag;
  bool is_redelivered;
  bool is_oversized; /* body over max_message_bytes: body is empty */
  bool is_malformed; /* properties could not be decoded */
  bool is_amqp1; /* property type "amqp-1.0": a body that was encoded for it */
  uint64_t body_size;   /* as announced */
  struct rmq_span body; /* borrowed for the call */
  char exchange[256], routing_key[256];
  char content_type[256], content_encoding[256], message_id[256];
  char user_id[256]; /* checked by the broker; "" = absent */
  char traceparent[64];
  bool has_timestamp;
  int64_t timestamp_ms;   /* header timestamp_in_ms, else timestamp * 1000 */
  int64_t delivery_count; /* header x-delivery-count; -1 = absent */
  int64_t stream_offset;  /* header x-stream-offset; -1 = absent */
  /* NULL unless keeps_properties is set; borrowed for the call. */
  const struct rmq_kept *kept;
};

struct rmq_returned {
  uint16_t code; /* 312 NO_ROUTE */
  char text[256], exchange[256], routing_key[256], message_id[256];
};

struct rmq_connection_change {
  enum rmq_session_state from, to;
  enum rmq_session_event event;
  const struct rmq_endpoint *endpoint; /* the one tried or left */
  int reply_code;                      /* AMQP's, 0 = none */
  /* RMQ_WIRE_ID(class, method) of ours that a close names as its cause, as
   * RMQ_WIRE_BASIC_PUBLISH for a message that is too large; 0 = none. The
   * handler lost, if it is due, was called before. */
  uint32_t refused_method;
  const char *reason;      /* what happened; may hold wire bytes */
  const char *remedy;      /* what to do about it; "" = nothing */
  struct rmq_dur retry_in; /* of WAITING and REOPENING */
};

/* All are set; ctx is passed back. */
struct rmq_connection_handlers {
  void *ctx;
  /* The one place where a change of state is seen: log, metric, event. */
  void (*changed)(void *ctx, const struct rmq_connection_change *change,
                  struct rmq_mono now);
  /* The channel is open and configured; seqnos and delivery tags start at 1. */
  void (*ready)(void *ctx, uint64_t epoch, struct rmq_mono now);
  /* The channel is gone: in flight is unknown, unacked cannot be settled. */
  void (*lost)(void *ctx, struct rmq_mono now);
  void (*confirmed)(void *ctx, uint64_t epoch, uint64_t seqno, bool multiple,
                    bool is_nack, struct rmq_mono now);
  void (*returned)(void *ctx, uint64_t epoch, const struct rmq_returned *r,
                   struct rmq_mono now);
  void (*delivered)(void *ctx, uint64_t epoch, const struct rmq_delivery *d,
                    struct rmq_mono now);
  /* basic.cancel-ok to our own cancel: no delivery follows. */
  void (*cancelled)(void *ctx, struct rmq_mono now);
  /* Nothing is in flight or unacked: leaving now costs no duplicate. Asked
   * while the connection wants to go back to a better host, and before an idle
   * check. */
  bool (*is_settled)(void *ctx);
};

struct rmq_connection;
/* seed: 64 random bits for jitter and host order. NULL without memory. */
struct rmq_connection *
rmq_connection_new(const struct rmq_connection_config *config,
                   const struct rmq_connection_handlers *handlers,
                   uint64_t seed);
void rmq_connection_free(struct rmq_connection *c);

/* Begins; the first attempt is due at once. */
void rmq_connection_start(struct rmq_connection *c, struct rmq_mono now);
/* Closes in good order: output is to be flushed, the state ends in STOPPED
 * after close-ok, a broken link or the rpc_timeout. Immediate when not
 * connected. */
void rmq_connection_stop(struct rmq_connection *c, struct rmq_mono now);
/* The owner is about to stop and finishes what it has: no better host is gone
 * to from now on, and publishing is not held back for one. */
void rmq_connection_stay(struct rmq_connection *c);
/* Gives the current link up, as if it had broken; reason is a sentence. */
void rmq_connection_fail(struct rmq_connection *c, const char *reason,
                         struct rmq_mono now);

/* While the handler lost runs: of what was in flight some chose the exchange
 * themselves. If the channel was closed over such a message, it is opened again
 * at once: everybody else's need not wait for one that names a wrong one. */
void rmq_connection_has_choosers(struct rmq_connection *c);

/* Closes the channel, as for a consumer that was cancelled, and opens another;
 * reason is a sentence. Nothing when no channel is up. */
void rmq_connection_reopen(struct rmq_connection *c, const char *reason,
                           struct rmq_mono now);

/* The link that the machine wants. A new number means: drop the old link, if
 * any, after one last attempt to send what is in the output; then, when
 * endpoint is not NULL, open one to it. */
struct rmq_link_wish {
  uint64_t number;
  const struct rmq_endpoint *endpoint;
};
struct rmq_link_wish rmq_connection_link_wish(const struct rmq_connection *c);
void rmq_connection_link_up(struct rmq_connection *c, struct rmq_mono now);
void rmq_connection_link_down(struct rmq_connection *c, const char *reason,
                              struct rmq_mono now);
/* The link never came up, or the server refused us below AMQP. remedy (static
 * text): what a person has to do about it; "" when it may pass by itself. */
void rmq_connection_link_refused(struct rmq_connection *c, const char *reason,
                                 const char *remedy, struct rmq_mono now);

/* A TCP connection to be tried besides the link, and closed again: does a
 * better host listen? As with the link, a new number ends the last trial. */
struct rmq_link_wish rmq_connection_probe_wish(const struct rmq_connection *c);
void rmq_connection_probed(struct rmq_connection *c, bool is_listening,
                           struct rmq_mono now);

/* Bytes from the link. The rest is ignored once the machine has given the link
 * up. Returns how many at their end were not taken in, because they are held:
 * to be given again, before others, when they are not any more. */
size_t rmq_connection_input(struct rmq_connection *c, const char *bytes,
                            size_t len, struct rmq_mono now);
/* The owner has no room for more deliveries: what the broker sends is not taken
 * in, and waits in the link or behind it (ahead.h). The machine's own work
 * (login, closing) goes on, and silence is not held against a broker that is
 * not listened to. A handler may call this. */
void rmq_connection_hold(struct rmq_connection *c, bool is_held);
/* Whether it is so now; never while it logs in or closes. */
bool rmq_connection_is_held(const struct rmq_connection *c);
/* Bytes for the link; the caller consumes what it sent. */
struct rmq_buf *rmq_connection_output(struct rmq_connection *c);

/* Does what is due. */
void rmq_connection_tick(struct rmq_connection *c, struct rmq_mono now);
/* When to tick next; RMQ_NEVER when nothing is due. */
struct rmq_mono rmq_connection_next_deadline(const struct rmq_connection *c);

enum rmq_session_state rmq_connection_state(const struct rmq_connection *c);
struct rmq_mono rmq_connection_state_since(const struct rmq_connection *c);
bool rmq_connection_is_blocked(const struct rmq_connection *c);
/* Channels opened anew because an idle check found them dead. */
uint64_t rmq_connection_idle_restarts(const struct rmq_connection *c);
/* TCP connections that got as far as connection.open-ok. */
uint64_t rmq_connection_opened_count(const struct rmq_connection *c);

/* READY, and the output is short enough that one more message makes sense. */
bool rmq_connection_can_publish(const struct rmq_connection *c);
/* 0, or -1 when the message cannot be encoded (too long a name, no memory):
 * nothing was sent, and no seqno was used. Needs can_publish. */
int rmq_connection_publish(struct rmq_connection *c,
                           const struct rmq_wire_publish *p);
/* Settle a delivery of the current epoch. */
void rmq_connection_ack(struct rmq_connection *c, uint64_t tag, bool multiple);
void rmq_connection_reject(struct rmq_connection *c, uint64_t tag,
                           bool requeue);
/* Back to its queue; from RabbitMQ 4.3 on that is no failed delivery. */
void rmq_connection_nack(struct rmq_connection *c, uint64_t tag);
/* basic.cancel, answered by the handler cancelled; false when no consumer is
 * subscribed. */
bool rmq_connection_cancel(struct rmq_connection *c);
/* A first confirm or delivery has shown that the broker works: the next failure
 * backs off from the beginning. */
void rmq_connection_progress(struct rmq_connection *c);

#endif
