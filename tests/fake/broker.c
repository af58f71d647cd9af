/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/broker_impl.h"

#define WHY_SIZE 200

struct fake_broker *fake_broker_new(enum fake_split split, uint32_t seed) {
  struct fake_broker *b = calloc(1, sizeof(*b));
  if (b == NULL)
    abort();
  fake_intake_init(&b->intake);
  b->split = split;
  b->random = seed != 0 ? seed : 1;
  b->channel = 1;
  b->hold = SIZE_MAX;
  return b;
}

static void step_fini(struct fake_step *s) {
  free(s->name);
  free(s->fields);
  free(s->props);
  free(s->exchange);
  free(s->routing_key);
  fake_bytes_fini(&s->bytes);
}

void fake_broker_free(struct fake_broker *b) {
  if (b == NULL)
    return;
  for (size_t i = 0; i < b->steps_count; i++)
    step_fini(&b->steps[i]);
  free(b->steps);
  for (size_t i = 0; i < FAKE_LOG_LINES; i++)
    fake_bytes_fini(&b->log[i]);
  fake_intake_fini(&b->intake);
  fake_bytes_fini(&b->out);
  fake_bytes_fini(&b->piece);
  fake_bytes_fini(&b->failure);
  free(b);
}

void fake_broker_set_split(struct fake_broker *b, enum fake_split split) {
  b->split = split;
}

struct fake_step *fake_broker_add(struct fake_broker *b, const char *where,
                                  enum fake_step_type type) {
  if (b->steps_count == b->steps_cap) {
    b->steps_cap = b->steps_cap * 2 + 16;
    b->steps = realloc(b->steps, b->steps_cap * sizeof(*b->steps));
    if (b->steps == NULL)
      abort();
  }
  struct fake_step *s = &b->steps[b->steps_count++];
  *s = (struct fake_step){.type = type, .where = where, .count = 1};
  s->channel = b->channel;
  return s;
}

const char *fake_broker_failure(const struct fake_broker *b) {
  return b->failure.len > 0 ? (const char *)b->failure.data : NULL;
}

/* ---- saying ---- */

void fake_broker_say(struct fake_broker *b, const void *bytes, size_t len) {
  fake_bytes_put(&b->out, bytes, len);
  const uint8_t *at = bytes, *end = at + len;
  while (end - at >= FAKE_FRAME_OVERHEAD && *at >= 1 && *at <= 8) {
    size_t size = ((size_t)at[3] << 24) + ((size_t)at[4] << 16) +
                  ((size_t)at[5] << 8) + at[6];
    if ((size_t)(end - at) < size + FAKE_FRAME_OVERHEAD)
      break;
    unsigned channel = (unsigned)at[1] << 8 | at[2];
    fake_broker_log_frame(b, "S", at, size + FAKE_FRAME_OVERHEAD);
    if (*at == FAKE_FRAME_METHOD)
      fake_intake_sent(&b->intake, channel, at + 7, size);
    at += size + FAKE_FRAME_OVERHEAD;
  }
  if (at != end)
    fake_bytes_printf(fake_broker_log_line(b, "S"),
                      "%zu bytes that are no frame", (size_t)(end - at));
}

static uint32_t next_random(struct fake_broker *b) {
  b->random ^= b->random << 13; /* xorshift32 */
  b->random ^= b->random >> 17;
  b->random ^= b->random << 5;
  return b->random;
}

static void advance(struct fake_broker *b);

bool fake_broker_output(struct fake_broker *b, const uint8_t **ret_bytes,
                        size_t *ret_len) {
  advance(b);
  size_t len = b->out.len - b->out_taken;
  if (b->is_reset || b->failure.len > 0 || len == 0)
    return false;
  len = len < b->hold ? len : b->hold;
  if (len > 0 && b->split == FAKE_BYTE_BY_BYTE)
    len = 1;
  if (len > 1 && b->split == FAKE_RANDOM)
    len = 1 + next_random(b) % (len < 64 ? len : 64);
  if (len == 0)
    return false;
  /* A heap block of just this size: reading over its end is seen. */
  fake_bytes_fini(&b->piece);
  b->piece.data = malloc(len);
  if (b->piece.data == NULL)
    abort();
  memcpy(b->piece.data, b->out.data + b->out_taken, len);
  b->out_taken += len;
  if (b->hold != SIZE_MAX)
    b->hold -= len;
  if (b->out_taken == b->out.len)
    b->out.len = b->out_taken = 0;
  *ret_bytes = b->piece.data;
  *ret_len = len;
  return true;
}

bool fake_broker_is_eof(const struct fake_broker *b) {
  bool is_drained = b->out.len == b->out_taken || b->hold == 0;
  return b->is_reset || b->failure.len > 0 || (b->is_closed && is_drained);
}

bool fake_broker_is_reset(const struct fake_broker *b) { return b->is_reset; }

/* ---- the script ---- */

/* Do what needs no input. */
static void advance(struct fake_broker *b) {
  for (; b->step < b->steps_count && b->failure.len == 0; b->step++) {
    struct fake_step *s = &b->steps[b->step];
    switch (s->type) {
    case FAKE_STEP_EOF:
      if (!b->is_client_closed)
        return;
      break;
    case FAKE_STEP_PROTOCOL:
    case FAKE_STEP_METHOD:
    case FAKE_STEP_SKIP_UNTIL:
    case FAKE_STEP_PUBLISH:
    case FAKE_STEP_HEARTBEAT:
      return;
    case FAKE_STEP_PUBLISHES:
      if (s->count > 0)
        return;
      break;
    case FAKE_STEP_NOTHING:
    case FAKE_STEP_PAUSE:
      if (!b->is_resumed)
        return;
      b->is_resumed = false;
      break;
    case FAKE_STEP_SEND:
      for (size_t i = 0; i < s->count; i++)
        fake_broker_say(b, s->bytes.data, s->bytes.len);
      break;
    case FAKE_STEP_HOLD:
      b->hold = b->out.len - b->out_taken + s->count;
      break;
    case FAKE_STEP_RELEASE:
      b->hold = SIZE_MAX;
      break;
    case FAKE_STEP_CLOSE:
      b->is_closed = true;
      break;
    case FAKE_STEP_RESET:
      b->is_reset = true;
      break;
    case FAKE_STEP_SILENCE:
      b->is_silent = true;
      break;
    }
  }
}

bool fake_broker_is_paused(const struct fake_broker *b) {
  return b->step < b->steps_count && !b->is_resumed &&
         (b->steps[b->step].type == FAKE_STEP_PAUSE ||
          b->steps[b->step].type == FAKE_STEP_NOTHING);
}

static bool method_fits(const struct fake_step *s, const struct fake_unit *u,
                        char *why) {
  bool is_method = u->type == FAKE_UNIT_METHOD || u->type == FAKE_UNIT_CONTENT;
  if (!is_method || strcmp(u->signature->name, s->name) != 0) {
    snprintf(why, WHY_SIZE, "unexpected unit");
    return false;
  }
  if (u->channel != s->channel) {
    snprintf(why, WHY_SIZE, "%s on channel %u", s->name, u->channel);
    return false;
  }
  return fake_fields_match(&u->fields, s->fields, why);
}

static bool name_fits(const struct fake_unit *u, const char *field,
                      const char *want, char *why) {
  if (want == NULL || fake_fields_equal(&u->fields, field, want))
    return true;
  snprintf(why, WHY_SIZE, "%s differs, wanted '%s'", field, want);
  return false;
}

static bool publish_fits(const struct fake_step *s, const struct fake_unit *u,
                         char *why) {
  if (!method_fits(s, u, why) || !name_fits(u, "exchange", s->exchange, why) ||
      !name_fits(u, "routing-key", s->routing_key, why) ||
      !fake_fields_match(&u->props, s->props, why))
    return false;
  if (s->is_body_wanted &&
      (u->body.len != s->bytes.len ||
       (u->body.len > 0 &&
        memcmp(u->body.data, s->bytes.data, u->body.len) != 0))) {
    snprintf(why, WHY_SIZE, "the body differs (%zu bytes, wanted %zu)",
             u->body.len, s->bytes.len);
    return false;
  }
  if (s->frames != 0 && s->frames != u->body_frames) {
    snprintf(why, WHY_SIZE, "%u body frames, wanted %u", u->body_frames,
             s->frames);
    return false;
  }
  return true;
}

static bool type_fits(const struct fake_unit *u, enum fake_unit_type type,
                      char *why) {
  snprintf(why, WHY_SIZE, "unexpected unit");
  return u->type == type;
}

/* One unit against the step that waits. True: the step is done. */
static bool step_takes(struct fake_broker *b, struct fake_step *s,
                       const struct fake_unit *u, char *why) {
  switch (s->type) {
  case FAKE_STEP_PROTOCOL:
    return type_fits(u, FAKE_UNIT_PROTOCOL, why);
  case FAKE_STEP_METHOD:
    return method_fits(s, u, why);
  case FAKE_STEP_SKIP_UNTIL:
    if (u->type == FAKE_UNIT_METHOD && strcmp(u->signature->name, s->name) == 0)
      return method_fits(s, u, why);
    b->step--; /* stay: the caller steps on */
    return true;
  case FAKE_STEP_PUBLISH:
    return publish_fits(s, u, why);
  case FAKE_STEP_PUBLISHES:
    if (!publish_fits(s, u, why))
      return false;
    if (--s->count > 0)
      b->step--;
    return true;
  case FAKE_STEP_HEARTBEAT:
    return type_fits(u, FAKE_UNIT_HEARTBEAT, why);
  case FAKE_STEP_EOF:
  case FAKE_STEP_NOTHING:
  case FAKE_STEP_PAUSE:
  case FAKE_STEP_SEND:
  case FAKE_STEP_HOLD:
  case FAKE_STEP_RELEASE:
  case FAKE_STEP_CLOSE:
  case FAKE_STEP_RESET:
  case FAKE_STEP_SILENCE:
    break;
  }
  snprintf(why, WHY_SIZE, "unexpected unit");
  return false;
}

static void on_script_unit(struct fake_broker *b, struct fake_unit *u) {
  char why[WHY_SIZE] = "";
  advance(b);
  if (b->is_silent)
    return;
  bool is_wanted =
      b->step < b->steps_count && b->steps[b->step].type == FAKE_STEP_HEARTBEAT;
  if (u->type == FAKE_UNIT_HEARTBEAT && b->allows_heartbeats && !is_wanted)
    return;
  if (b->step >= b->steps_count)
    fake_broker_fail(b, "a unit behind the end of the script");
  else if (step_takes(b, &b->steps[b->step], u, why))
    b->step++;
  else
    fake_broker_fail(b, "%s", why);
}

static bool is_reading(const struct fake_broker *b) {
  bool is_stalled = b->step < b->steps_count && !b->is_resumed &&
                    b->steps[b->step].type == FAKE_STEP_PAUSE;
  return b->failure.len == 0 && !is_stalled && !b->is_silent && !b->is_reset;
}

static void read_on(struct fake_broker *b) {
  advance(b);
  while (is_reading(b)) {
    struct fake_unit *u = &b->intake.unit;
    enum fake_intake_result result = fake_intake_next(&b->intake);
    if (result == FAKE_INTAKE_MORE)
      return;
    if (result == FAKE_INTAKE_BAD) {
      fake_broker_fail(b, "%s", b->intake.why);
      return;
    }
    if (u->type == FAKE_UNIT_HEARTBEAT) {
      b->heartbeats++;
      u->frame.len = 0;
      fake_frame_encode(&u->frame, FAKE_FRAME_HEARTBEAT, 0, "", 0);
    }
    fake_broker_log_frame(b, "C", u->frame.data, u->frame.len);
    if (b->on_unit != NULL)
      b->on_unit(b->arg, u);
    else
      on_script_unit(b, u);
    advance(b);
  }
}

void fake_broker_input(struct fake_broker *b, const void *bytes, size_t len) {
  if (b->is_client_closed) {
    fake_broker_fail(b, "%zu bytes after the client closed", len);
    return;
  }
  if (b->failure.len > 0 || b->is_silent || b->is_reset)
    return;
  fake_intake_put(&b->intake, bytes, len);
  read_on(b);
}

void fake_broker_client_closed(struct fake_broker *b) {
  b->is_client_closed = true;
  advance(b);
}

void fake_broker_resume(struct fake_broker *b) {
  b->is_resumed = true;
  read_on(b);
}

const char *fake_broker_finish(struct fake_broker *b) {
  advance(b);
  bool is_cut = b->is_silent || b->is_reset || b->is_client_closed;
  if (b->step < b->steps_count)
    fake_broker_fail(b, "the script did not come to its end");
  else if (b->intake.in.len > 0 && !is_cut)
    fake_broker_fail(b, "%zu bytes of a frame without its rest",
                     b->intake.in.len);
  else if (b->intake.has_content_pending && !is_cut)
    fake_broker_fail(b, "a basic.publish without all of its content");
  else if (b->out.len > b->out_taken && b->hold != 0 && !is_cut)
    fake_broker_fail(b, "%zu bytes that the client did not take",
                     b->out.len - b->out_taken);
  return fake_broker_failure(b);
}

const struct fake_intake *fake_broker_intake(const struct fake_broker *b) {
  return &b->intake;
}

uint64_t fake_broker_heartbeats(const struct fake_broker *b) {
  return b->heartbeats;
}

void fake_allow_heartbeats(struct fake_broker *b) {
  b->allows_heartbeats = true;
}
