/* SPDX-License-Identifier: MIT */
/* A connection machine and the brokers it meets, in one thread and without a
 * clock: the rig carries bytes between them until nothing moves, and time
 * stands still unless the test advances it to a deadline.
 *
 *   struct fake_rig *r = fake_rig_new(FAKE_BYTE_BY_BYTE, 1);
 *   struct fake_broker *b = fake_rig_next_broker(r);
 *   fake_script_login(b, NULL); ...
 *   fake_rig_start(r);
 *   ... assert on r->events, counters ...
 *   fake_rig_free(r);   // fails the test when a script was not fulfilled
 */
#ifndef TESTS_FAKE_RIG_H
#define TESTS_FAKE_RIG_H

#include "common/amqp/connection.h"
#include "tests/fake/broker.h"

#define FAKE_RIG_BROKERS 64

struct fake_rig {
  /* To be changed before fake_rig_start. */
  struct rmq_connection_config config;
  struct rmq_endpoint endpoints[3];
  const char *password; /* NULL = cannot be read */

  struct rmq_connection *connection;
  bool is_borrowed; /* the machine */
  struct rmq_mono now;
  enum fake_split split;
  uint32_t seed;

  /* Scripts for the first, second ... link; the one in use. */
  struct fake_broker *brokers[FAKE_RIG_BROKERS];
  size_t brokers_count, brokers_used;
  struct fake_broker *broker;
  /* Instead of the list: who answers the next link (NULL = nobody yet). The
   * broker stays the owner's. */
  struct fake_broker *(*connect)(void *ctx, const struct rmq_endpoint *e);
  void *connect_ctx;
  /* The link that was wanted last and its endpoint. */
  uint64_t link_number;
  const char *link_host;
  size_t links_count; /* links wanted so far */

  /* What the handlers were told, one line each, and how often. */
  struct fake_bytes events;
  size_t changes, readies, losts, acks, nacks, returns, deliveries, cancels;
  uint64_t epoch;
  struct rmq_connection_change last_change; /* texts point to these: */
  char last_reason[512], last_remedy[256];
  struct rmq_delivery last_delivery; /* body: see events */
  struct rmq_returned last_returned;
  size_t output_most;     /* of bytes waiting in the machine's output */
  struct fake_bytes held; /* came, and was not taken in: see _connection_hold */

  /* The test's own handlers, called after the recording; may be NULL. */
  struct rmq_connection_handlers also;
};

struct fake_rig *fake_rig_new(enum fake_split split, uint32_t seed);
/* Finishes the present broker; prints and fails for what was left over. */
void fake_rig_free(struct fake_rig *r);

/* A script for the next link; all are checked when their link ends. */
struct fake_broker *fake_rig_next_broker(struct fake_rig *r);
/* Creates the machine from r->config and starts it. */
void fake_rig_start(struct fake_rig *r);
/* The same with a machine of somebody else, who frees it after the rig. */
void fake_rig_start_with(struct fake_rig *r, struct rmq_connection *c);
/* Carries bytes until nothing moves. Called by the functions below. */
void fake_rig_run(struct fake_rig *r);
/* Lets time pass without reaching a deadline. */
void fake_rig_wait(struct fake_rig *r, struct rmq_dur d);
/* Advances exactly to the next deadline; returns how long that took. */
struct rmq_dur fake_rig_advance(struct fake_rig *r);
/* Advances from deadline to deadline while `d` is not over. */
void fake_rig_pass(struct fake_rig *r, struct rmq_dur d);
/* The link could not be opened. */
void fake_rig_link_fails(struct fake_rig *r, const char *reason);
void fake_rig_stop(struct fake_rig *r);

/* Publishes one message (exchange x, key k) with this id and body; false when
 * the machine cannot publish now. */
bool fake_rig_publish(struct fake_rig *r, const char *id, const char *body);

enum rmq_session_state fake_rig_state(const struct fake_rig *r);
/* Fails, printing the events, unless the state is `want`. */
void fake_rig_must_be(struct fake_rig *r, enum rmq_session_state want);
/* Fails unless the events hold (do not hold) this text. */
void fake_rig_must_say(struct fake_rig *r, const char *text);
void fake_rig_must_not_say(struct fake_rig *r, const char *text);
void fake_rig_forget_events(struct fake_rig *r);

/* Rows of a table of tests: the scenario with its bytes whole, one by one, and
 * in random pieces. The test's state points to the split. */
extern const enum fake_split fake_splits[];
#define FAKE_PRESTATE(split) ((void *)(uintptr_t)&fake_splits[split])
#define WHOLE(f)                                                               \
  { #f, f, NULL, NULL, FAKE_PRESTATE(FAKE_WHOLE) }
#define BYTE_BY_BYTE(f)                                                        \
  { #f "_byte_by_byte", f, NULL, NULL, FAKE_PRESTATE(FAKE_BYTE_BY_BYTE) }
#define IN_PIECES(f)                                                           \
  { #f "_in_random_pieces", f, NULL, NULL, FAKE_PRESTATE(FAKE_RANDOM) }
#define HOWEVER_SPLIT(f) WHOLE(f), BYTE_BY_BYTE(f), IN_PIECES(f)

#endif
