/* SPDX-License-Identifier: MIT */
/* A small broker without a script, on the same strict reading of the wire as
 * tests/fake/broker.h: logs clients in, keeps topology and messages over
 * connections, confirms by a policy, delivers within the prefetch and puts
 * back what was not acked when a link ends. For property tests: it remembers
 * everything, so that a test can compare sets.
 *
 *   struct fake_server *s = fake_server_new(FAKE_RANDOM, seed);
 *   rig->connect = fake_server_connect, rig->connect_ctx = s;
 *
 * One channel, one consumer and one queue of messages per name. What the real
 * broker answers to a mistake it answers too (404, 406 ...); a mistake that
 * no client of ours may make (ack of an unknown tag) fails the test. */
#ifndef TESTS_FAKE_SERVER_H
#define TESTS_FAKE_SERVER_H

#include "tests/fake/broker.h"

enum fake_policy {
  FAKE_ACK_EACH,        /* at once, one by one */
  FAKE_ACK_EVERY,       /* every n-th, with multiple */
  FAKE_ACK_SHUFFLED,    /* in batches of n, in any order */
  FAKE_NACK_EACH,       /* could not take it: not stored */
  FAKE_RETURN_EACH,     /* returned as unroutable, then acked */
  FAKE_NACK_SOME,       /* one in n, the others acked each */
  FAKE_RETURN_SOME,     /* likewise */
  FAKE_CONFIRM_NOTHING, /* until the policy changes */
  FAKE_CONFIRM_ANYHOW,  /* any of the above, by chance */
};

/* A basic.publish that arrived, in order. */
struct fake_arrival {
  char *id, *exchange, *routing_key; /* id: message-id, "" without one */
  struct fake_bytes body;
  unsigned link; /* which connection brought it, from 1 */
  uint64_t seqno;
  enum {
    FAKE_PENDING,
    FAKE_ACKED, /* the broker took responsibility */
    FAKE_NACKED,
    FAKE_RETURNED,    /* and acked: it is gone */
    FAKE_UNCONFIRMED, /* the link ended first */
  } outcome;
};

/* A message in a queue. */
struct fake_stored {
  char *queue, *id, *exchange, *routing_key;
  struct fake_bytes props, body; /* props: flags and properties, encoded */
  enum {
    FAKE_READY,
    FAKE_UNACKED,
    FAKE_DONE,
    FAKE_REJECTED,
    FAKE_DROPPED
  } state;
  uint64_t tag; /* while UNACKED */
  unsigned deliveries;
  size_t arrival; /* its index; SIZE_MAX for fake_server_put */
};

struct fake_server {
  /* May be changed at any time. */
  struct fake_login login;
  enum fake_policy policy;
  unsigned every; /* n of the policies, 1 or more */
  /* A link that ends takes unconfirmed messages along with this chance in
   * percent; the others stay stored, unknown to the publisher. */
  unsigned forgets_percent;

  struct fake_arrival *arrivals;
  size_t arrivals_count, arrivals_cap;
  struct fake_stored *stored;
  size_t stored_count, stored_cap;
  uint64_t links_count, deliveries_count, redeliveries_count;
  uint64_t acks_count, multiple_acks_count; /* of the consumer */
  unsigned unacked_most;

  struct fake_server_state *state; /* private */
};

struct fake_server *fake_server_new(enum fake_split split, uint32_t seed);
/* NULL, or the first failure of any of its links. */
const char *fake_server_failure(const struct fake_server *s);
void fake_server_free(struct fake_server *s);

/* A new link; what the one before left unacked is put back. The broker is the
 * server's. Refused (NULL) while fake_server_is_down. */
struct fake_broker *fake_server_connect(void *server, const void *endpoint);
void fake_server_set_down(struct fake_server *s, bool is_down);

/* Topology from outside: an exchange of this type, a queue, a binding. */
void fake_server_exchange(struct fake_server *s, const char *name,
                          const char *type);
void fake_server_queue(struct fake_server *s, const char *name);
void fake_server_bind(struct fake_server *s, const char *queue,
                      const char *exchange, const char *key);
/* A message for the queue, as if somebody had published it. */
void fake_server_put(struct fake_server *s, const char *queue, const char *id,
                     const char *props, const void *body, size_t len);

/* Gives the confirms that the policy still holds back. */
void fake_server_flush(struct fake_server *s);
/* Sends heartbeats that are due and closes the link of a client that was
 * silent for two intervals. */
void fake_server_tick(struct fake_server *s, int64_t now_ns);

/* Faults, done now; without a link they do nothing. */
void fake_server_drop(struct fake_server *s, bool is_reset);
void fake_server_close(struct fake_server *s, unsigned code, const char *text);
void fake_server_close_channel(struct fake_server *s, unsigned code,
                               const char *text);
void fake_server_block(struct fake_server *s, bool is_blocked);
/* basic.cancel: the queue was deleted. */
void fake_server_cancel(struct fake_server *s);

bool fake_server_has_consumer(const struct fake_server *s);
size_t fake_server_count(const struct fake_server *s, const char *queue,
                         int state);

#endif
