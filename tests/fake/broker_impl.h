/* SPDX-License-Identifier: MIT */
/* Shared by the files of the fake broker: steps and the engine's state. */
#ifndef TESTS_FAKE_BROKER_IMPL_H
#define TESTS_FAKE_BROKER_IMPL_H

#include "tests/fake/broker.h"

enum fake_step_type {
  /* wait for the client */
  FAKE_STEP_PROTOCOL,
  FAKE_STEP_METHOD,
  FAKE_STEP_SKIP_UNTIL,
  FAKE_STEP_PUBLISH,
  FAKE_STEP_PUBLISHES,
  FAKE_STEP_HEARTBEAT,
  FAKE_STEP_EOF,
  /* wait for the test */
  FAKE_STEP_NOTHING,
  FAKE_STEP_PAUSE,
  /* done at once */
  FAKE_STEP_SEND,
  FAKE_STEP_HOLD,
  FAKE_STEP_RELEASE,
  FAKE_STEP_CLOSE,
  FAKE_STEP_RESET,
  FAKE_STEP_SILENCE,
};

/* Owns its strings and bytes, except `where` (a literal). */
struct fake_step {
  enum fake_step_type type;
  const char *where;
  unsigned channel;
  char *name, *fields, *props, *exchange, *routing_key;
  struct fake_bytes bytes; /* to send, or the wanted body */
  bool is_body_wanted;
  unsigned frames;
  size_t count; /* publishes, bytes to hold, repetitions */
};

#define FAKE_LOG_LINES 24

struct fake_broker {
  struct fake_intake intake;
  enum fake_split split;
  uint32_t random;

  struct fake_step *steps;
  size_t steps_count, steps_cap, step;
  unsigned channel; /* of the steps being declared */

  struct fake_bytes out, piece;
  size_t out_taken;
  size_t hold; /* bytes that may still go out, SIZE_MAX: all */
  bool is_resumed, is_silent, is_closed, is_reset, is_client_closed;
  bool allows_heartbeats;
  uint64_t heartbeats;

  /* The server without a script, see server.h. */
  void (*on_unit)(void *arg, struct fake_unit *unit);
  void *arg;

  struct fake_bytes log[FAKE_LOG_LINES];
  size_t log_next;
  struct fake_bytes failure;
};

struct fake_step *fake_broker_add(struct fake_broker *b, const char *where,
                                  enum fake_step_type type);
/* Say it now: frames that are whole, their methods noted by the intake. */
void fake_broker_say(struct fake_broker *b, const void *bytes, size_t len);
void fake_broker_fail(struct fake_broker *b, const char *format, ...)
    FAKE_PRINTF(2, 3);
/* The conversation, of which a failure shows the end: a new line to be
 * filled, or one for a frame. who: C or S. */
struct fake_bytes *fake_broker_log_line(struct fake_broker *b, const char *who);
void fake_broker_log_frame(struct fake_broker *b, const char *who,
                           const uint8_t *frame, size_t len);
void fake_content_encode(struct fake_bytes *out, unsigned channel,
                         const char *name, const char *fields,
                         const char *props, const void *body, size_t len,
                         const struct fake_content *c);

#endif
