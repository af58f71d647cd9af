/* SPDX-License-Identifier: MIT */
/* The client's bytes, taken apart into units (a method, a published content,
 * a heartbeat), and every rule of AMQP 0-9-1 checked that does not depend on
 * what a test wants: frame type, end and size, channel states, negotiated
 * limits, reserved values, body frames that sum up. A broken rule is a
 * sentence, and the intake stays broken. */
#ifndef TESTS_FAKE_INTAKE_H
#define TESTS_FAKE_INTAKE_H

#include "tests/fake/codec.h"

#define FAKE_CHANNELS 8
#define FAKE_FRAME_MAX_BEFORE_TUNE 4096

enum fake_unit_type {
  FAKE_UNIT_PROTOCOL, /* AMQP 0 0 9 1 */
  FAKE_UNIT_METHOD,   /* without content */
  FAKE_UNIT_CONTENT,  /* basic.publish, header and body */
  FAKE_UNIT_HEARTBEAT,
};

/* Valid until the intake takes the next bytes. */
struct fake_unit {
  enum fake_unit_type type;
  unsigned channel;
  const struct fake_signature *signature;
  struct fake_fields fields, props;
  struct fake_bytes frame;        /* the method's frame, for dumps */
  struct fake_bytes header_frame; /* what props points into */
  struct fake_bytes body;
  uint64_t body_size; /* announced */
  unsigned body_frames;
};

enum fake_channel_state {
  FAKE_CHANNEL_CLOSED,
  FAKE_CHANNEL_OPEN,
  FAKE_CHANNEL_CLOSED_BY_US,     /* channel.close sent, close-ok awaited */
  FAKE_CHANNEL_CLOSED_BY_CLIENT, /* its close read, ours-ok not yet sent */
};

struct fake_intake {
  struct fake_bytes in;
  struct fake_unit unit;
  bool has_content_pending;
  bool is_past_protocol;
  bool is_closed_by_us, is_closed_by_client, is_over;
  uint64_t channel_max, frame_max, heartbeat; /* negotiated */
  uint64_t offered_channel_max, offered_frame_max;
  enum fake_channel_state channels[FAKE_CHANNELS];
  uint64_t ignored_count; /* in flight when we closed */
  uint64_t frames_count, bytes_count;
  char why[400]; /* empty while no rule is broken */
};

enum fake_intake_result { FAKE_INTAKE_MORE, FAKE_INTAKE_UNIT, FAKE_INTAKE_BAD };

void fake_intake_init(struct fake_intake *in);
void fake_intake_fini(struct fake_intake *in);
void fake_intake_put(struct fake_intake *in, const void *bytes, size_t len);
/* The next unit is in in->unit. */
enum fake_intake_result fake_intake_next(struct fake_intake *in);
/* What the broker says changes what the client may say. `payload` is a
 * method frame's payload. */
void fake_intake_sent(struct fake_intake *in, unsigned channel,
                      const uint8_t *payload, size_t len);

#endif
