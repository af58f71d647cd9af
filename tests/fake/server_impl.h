/* SPDX-License-Identifier: MIT */
/* Shared by the files of the fake server. */
#ifndef TESTS_FAKE_SERVER_IMPL_H
#define TESTS_FAKE_SERVER_IMPL_H

#include "tests/fake/broker_impl.h"
#include "tests/fake/server.h"

enum { FAKE_NAMES_MAX = 32 };

struct fake_named {
  char name[256], type[32];
  struct fake_bytes properties; /* flags and arguments that must be repeated */
};

struct fake_bound {
  char queue[256], exchange[256], key[256];
};

/* What dies with a link. */
struct fake_link {
  struct fake_broker *broker;
  int login_step;
  unsigned channel;
  bool is_open, is_confirming, is_closing;
  uint64_t seqno, tag;
  unsigned prefetch, unacked;
  char consumer_tag[256], consumed[256];
  size_t unconfirmed; /* first arrival that may be pending */
  uint64_t heartbeat_s;
  int64_t heard_ns, said_ns;
  uint64_t bytes_heard;
};

struct fake_server_state {
  enum fake_split split;
  uint32_t random;
  bool is_down;
  struct fake_link link;
  struct fake_named exchanges[FAKE_NAMES_MAX], queues[FAKE_NAMES_MAX];
  size_t exchanges_count, queues_count, bounds_count;
  struct fake_bound bounds[FAKE_NAMES_MAX];
  unsigned names_given;
  struct fake_broker *retired[1024]; /* pieces handed out must stay valid */
  size_t retired_count;
  char *failure;
};

char *fake_copy_text(const void *bytes, size_t len);
char *fake_copy_field(const struct fake_fields *f, const char *name);
void fake_field_to(const struct fake_fields *f, const char *name,
                   char *ret_text, size_t size);
/* Appends a text as codec.h reads it, whatever it holds. */
void fake_quote(const char *text, struct fake_bytes *out);

/* 0 ... n - 1 */
unsigned fake_server_chance(struct fake_server *s, unsigned n);
bool fake_server_is_live(const struct fake_server *s);
void fake_server_say(struct fake_server *s, unsigned channel, const char *name,
                     const char *format, ...) FAKE_PRINTF(4, 5);
void fake_server_say_content(struct fake_server *s, const char *name,
                             const char *fields, const struct fake_bytes *props,
                             const struct fake_bytes *body);
/* channel.close, as RabbitMQ words it. */
void fake_server_refuse(struct fake_server *s, const struct fake_unit *u,
                        unsigned code, const char *text);
void fake_server_end_channel(struct fake_server *s);

/* server_topology.c */
struct fake_named *fake_named_find(struct fake_named *list, size_t count,
                                   const char *name);
bool fake_server_routes(const struct fake_server *s, const struct fake_bound *b,
                        const char *exchange, const char *key);
void fake_server_on_exchange_declare(struct fake_server *s,
                                     struct fake_unit *u);
void fake_server_on_queue_declare(struct fake_server *s, struct fake_unit *u);
void fake_server_on_queue_bind(struct fake_server *s, struct fake_unit *u);
void fake_server_on_queue_delete(struct fake_server *s, struct fake_unit *u);

/* server_messages.c */
void fake_server_on_publish(struct fake_server *s, struct fake_unit *u);
void fake_server_on_settle(struct fake_server *s, struct fake_unit *u);
void fake_server_deliver(struct fake_server *s);
void fake_server_drop_stored(struct fake_server *s, size_t arrival);

#endif
