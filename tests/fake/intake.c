/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/fake/intake.h"

static const uint8_t PROTOCOL[8] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};

void fake_intake_init(struct fake_intake *in) {
  *in = (struct fake_intake){
      .channel_max = FAKE_CHANNELS - 1,
      .frame_max = FAKE_FRAME_MAX_BEFORE_TUNE,
  };
}

void fake_intake_fini(struct fake_intake *in) {
  fake_bytes_fini(&in->in);
  fake_bytes_fini(&in->unit.frame);
  fake_bytes_fini(&in->unit.header_frame);
  fake_bytes_fini(&in->unit.body);
}

void fake_intake_put(struct fake_intake *in, const void *bytes, size_t len) {
  fake_bytes_put(&in->in, bytes, len);
  in->bytes_count += len;
}

__attribute__((format(printf, 2, 3))) static enum fake_intake_result
broken(struct fake_intake *in, const char *format, ...) {
  va_list ap;
  va_start(ap, format);
  if (in->why[0] == '\0')
    vsnprintf(in->why, sizeof(in->why), format, ap);
  va_end(ap);
  return FAKE_INTAKE_BAD;
}

static bool is_method(const struct fake_signature *s, const char *name) {
  return strcmp(s->name, name) == 0;
}

static enum fake_intake_result take_protocol(struct fake_intake *in) {
  if (in->in.len < sizeof(PROTOCOL))
    return FAKE_INTAKE_MORE;
  fake_bytes_put(&in->unit.frame, in->in.data, sizeof(PROTOCOL));
  if (memcmp(in->in.data, PROTOCOL, sizeof(PROTOCOL)) != 0)
    return broken(in, "does not begin with AMQP 0 0 9 1");
  in->unit.type = FAKE_UNIT_PROTOCOL;
  in->unit.channel = 0;
  in->is_past_protocol = true;
  fake_bytes_drop(&in->in, sizeof(PROTOCOL));
  return FAKE_INTAKE_UNIT;
}

static bool tune_fits(struct fake_intake *in, const char *name,
                      uint64_t offered, uint64_t chosen, uint64_t least) {
  bool is_over = offered != 0 && (chosen == 0 || chosen > offered);
  if (is_over || (chosen != 0 && chosen < least)) {
    broken(in, "connection.tune-ok: %s %llu does not fit the offer of %llu",
           name, (unsigned long long)chosen, (unsigned long long)offered);
    return false;
  }
  return true;
}

static bool check_tune(struct fake_intake *in) {
  const struct fake_fields *f = &in->unit.fields;
  uint64_t channel_max = fake_fields_number(f, "channel-max");
  uint64_t frame_max = fake_fields_number(f, "frame-max");
  if (!tune_fits(in, "channel-max", in->offered_channel_max, channel_max, 1) ||
      !tune_fits(in, "frame-max", in->offered_frame_max, frame_max, 4096))
    return false;
  in->channel_max = channel_max != 0 ? channel_max : 65535;
  in->frame_max = frame_max != 0 ? frame_max : UINT32_MAX;
  in->heartbeat = fake_fields_number(f, "heartbeat");
  return true;
}

/* In flight when we closed: the real broker drops it too. */
static bool is_ignored(const struct fake_intake *in) {
  const struct fake_signature *s = in->unit.signature;
  if (in->is_closed_by_us)
    return !is_method(s, "connection.close-ok") &&
           !is_method(s, "connection.close");
  return in->channels[in->unit.channel] == FAKE_CHANNEL_CLOSED_BY_US &&
         in->unit.channel != 0 && !is_method(s, "channel.close-ok") &&
         !is_method(s, "channel.close");
}

static enum fake_intake_result check_connection_method(struct fake_intake *in) {
  const struct fake_signature *s = in->unit.signature;
  if (is_method(s, "connection.close-ok")) {
    if (!in->is_closed_by_us)
      return broken(in, "connection.close-ok without connection.close");
    in->is_over = true;
  } else if (in->is_closed_by_client) {
    return broken(in, "%s after connection.close", s->name);
  }
  if (is_method(s, "connection.close"))
    in->is_closed_by_client = true;
  if (is_method(s, "connection.tune-ok") && !check_tune(in))
    return FAKE_INTAKE_BAD;
  return FAKE_INTAKE_UNIT;
}

static enum fake_intake_result check_channel_method(struct fake_intake *in) {
  const struct fake_signature *s = in->unit.signature;
  enum fake_channel_state *state = &in->channels[in->unit.channel];
  if (in->is_closed_by_client)
    return broken(in, "%s after connection.close", s->name);
  switch (*state) {
  case FAKE_CHANNEL_CLOSED:
    if (!is_method(s, "channel.open"))
      return broken(in, "%s on channel %u, which is not open", s->name,
                    in->unit.channel);
    *state = FAKE_CHANNEL_OPEN;
    break;
  case FAKE_CHANNEL_OPEN:
    if (is_method(s, "channel.open") || is_method(s, "channel.close-ok"))
      return broken(in, "%s on channel %u, which is open", s->name,
                    in->unit.channel);
    if (is_method(s, "channel.close"))
      *state = FAKE_CHANNEL_CLOSED_BY_CLIENT;
    break;
  case FAKE_CHANNEL_CLOSED_BY_US:
    if (is_method(s, "channel.close-ok"))
      *state = FAKE_CHANNEL_CLOSED;
    break;
  case FAKE_CHANNEL_CLOSED_BY_CLIENT:
    return broken(in, "%s on channel %u after its own channel.close", s->name,
                  in->unit.channel);
  }
  return FAKE_INTAKE_UNIT;
}

static enum fake_intake_result take_method(struct fake_intake *in,
                                           const uint8_t *payload, size_t len) {
  struct fake_unit *u = &in->unit;
  char why[200];
  if (in->has_content_pending)
    return broken(in, "a method frame where content was announced");
  if (fake_method_decode(payload, len, &u->signature, &u->fields, why) != 0)
    return broken(in, "%s", why);
  if (u->signature->from == 'S')
    return broken(in, "%s is not for a client to send", u->signature->name);
  if ((u->signature->class_id == 10) != (u->channel == 0))
    return broken(in, "%s on channel %u", u->signature->name, u->channel);
  if (u->channel >= FAKE_CHANNELS || u->channel > in->channel_max)
    return broken(in, "channel %u is over the negotiated %llu", u->channel,
                  (unsigned long long)in->channel_max);
  u->type = FAKE_UNIT_METHOD;
  if (u->signature->has_content) {
    in->has_content_pending = true;
    u->header_frame.len = u->body.len = 0;
    u->body_frames = 0;
    u->type = FAKE_UNIT_CONTENT;
  }
  enum fake_intake_result result = FAKE_INTAKE_UNIT;
  if (is_ignored(in))
    in->ignored_count++;
  else
    result = u->channel == 0 ? check_connection_method(in)
                             : check_channel_method(in);
  if (result == FAKE_INTAKE_UNIT && (in->has_content_pending || is_ignored(in)))
    return FAKE_INTAKE_MORE;
  return result;
}

static enum fake_intake_result content_done(struct fake_intake *in) {
  in->has_content_pending = false;
  return is_ignored(in) ? FAKE_INTAKE_MORE : FAKE_INTAKE_UNIT;
}

static enum fake_intake_result check_props(struct fake_intake *in) {
  const struct fake_fields *p = &in->unit.props;
  const struct fake_field *mode = fake_fields_get(p, "delivery-mode");
  if (mode != NULL && mode->number != 1 && mode->number != 2)
    return broken(in, "delivery-mode %u is neither 1 nor 2",
                  (unsigned)mode->number);
  if (fake_fields_get(p, "reserved-cluster-id") != NULL)
    return broken(in, "sets the reserved property cluster-id");
  return in->unit.body_size == 0 ? content_done(in) : FAKE_INTAKE_MORE;
}

static enum fake_intake_result take_header(struct fake_intake *in,
                                           const uint8_t *frame, size_t len) {
  struct fake_unit *u = &in->unit;
  char why[200];
  if (!in->has_content_pending || u->header_frame.len > 0)
    return broken(in, "a header frame that no method announced");
  if (len < FAKE_FRAME_OVERHEAD + 14)
    return broken(in, "a header frame of %zu bytes", len);
  fake_bytes_put(&u->header_frame, frame, len);
  const uint8_t *payload = u->header_frame.data + 7;
  if (fake_be(payload, 2) != 60 || fake_be(payload + 2, 2) != 0)
    return broken(in, "header of class %u, weight %u",
                  (unsigned)fake_be(payload, 2),
                  (unsigned)fake_be(payload + 2, 2));
  u->body_size = fake_be(payload + 4, 8);
  if (fake_props_decode(payload + 12, len - FAKE_FRAME_OVERHEAD - 12, &u->props,
                        why) != 0)
    return broken(in, "%s", why);
  return check_props(in);
}

static enum fake_intake_result take_body(struct fake_intake *in,
                                         const uint8_t *payload, size_t len) {
  struct fake_unit *u = &in->unit;
  if (!in->has_content_pending || u->header_frame.len == 0)
    return broken(in, "a body frame that no header announced");
  if (len == 0)
    return broken(in, "an empty body frame");
  if (len > u->body_size - u->body.len)
    return broken(in, "body frames of %zu bytes where the header said %llu",
                  u->body.len + len, (unsigned long long)u->body_size);
  fake_bytes_put(&u->body, payload, len);
  u->body_frames++;
  return u->body.len == u->body_size ? content_done(in) : FAKE_INTAKE_MORE;
}

static enum fake_intake_result take_heartbeat(struct fake_intake *in,
                                              unsigned channel, size_t len) {
  if (channel != 0 || len != 0)
    return broken(in, "a heartbeat on channel %u with %zu bytes", channel, len);
  if (in->is_closed_by_us)
    return FAKE_INTAKE_MORE;
  if (in->has_content_pending) /* allowed between frames; not a unit */
    return FAKE_INTAKE_MORE;
  in->unit.type = FAKE_UNIT_HEARTBEAT;
  in->unit.channel = 0;
  return FAKE_INTAKE_UNIT;
}

static enum fake_intake_result take_frame(struct fake_intake *in,
                                          const uint8_t *frame, size_t len) {
  struct fake_unit *u = &in->unit;
  unsigned channel = (unsigned)fake_be(frame + 1, 2);
  size_t size = len - FAKE_FRAME_OVERHEAD;
  in->frames_count++;
  if (frame[len - 1] != FAKE_FRAME_END)
    return broken(in, "a frame that ends with 0x%02x", frame[len - 1]);
  if (in->is_over)
    return broken(in, "a frame after connection.close-ok");
  if (frame[0] == FAKE_FRAME_HEARTBEAT)
    return take_heartbeat(in, channel, size);
  if (in->has_content_pending && channel != u->channel)
    return broken(in, "a frame of channel %u inside content of channel %u",
                  channel, u->channel);
  u->channel = channel;
  if (frame[0] == FAKE_FRAME_METHOD) {
    u->frame.len = 0; /* else kept: the dump shows the method as well */
    fake_bytes_put(&u->frame, frame, len);
    return take_method(in, u->frame.data + 7, size);
  }
  if (frame[0] == FAKE_FRAME_HEADER)
    return take_header(in, frame, len);
  if (frame[0] == FAKE_FRAME_BODY)
    return take_body(in, frame + 7, size);
  return broken(in, "a frame of type %u", frame[0]);
}

enum fake_intake_result fake_intake_next(struct fake_intake *in) {
  if (in->why[0] != '\0')
    return FAKE_INTAKE_BAD;
  if (!in->is_past_protocol)
    return take_protocol(in);
  enum fake_intake_result result = FAKE_INTAKE_MORE;
  while (result == FAKE_INTAKE_MORE && in->in.len >= 7) {
    uint64_t size = fake_be(in->in.data + 3, 4);
    if (size + FAKE_FRAME_OVERHEAD > in->frame_max)
      return broken(in, "a frame of %llu bytes, negotiated are %llu",
                    (unsigned long long)(size + FAKE_FRAME_OVERHEAD),
                    (unsigned long long)in->frame_max);
    if (in->in.len < size + FAKE_FRAME_OVERHEAD)
      return FAKE_INTAKE_MORE;
    result = take_frame(in, in->in.data, size + FAKE_FRAME_OVERHEAD);
    if (result != FAKE_INTAKE_BAD)
      fake_bytes_drop(&in->in, size + FAKE_FRAME_OVERHEAD);
  }
  return result;
}

void fake_intake_sent(struct fake_intake *in, unsigned channel,
                      const uint8_t *payload, size_t len) {
  const struct fake_signature *s;
  struct fake_fields f;
  char why[200];
  if (channel >= FAKE_CHANNELS ||
      fake_method_decode(payload, len, &s, &f, why) != 0)
    return;
  if (is_method(s, "connection.tune")) {
    in->offered_channel_max = fake_fields_number(&f, "channel-max");
    in->offered_frame_max = fake_fields_number(&f, "frame-max");
  } else if (is_method(s, "connection.close")) {
    in->is_closed_by_us = true;
  } else if (is_method(s, "channel.close") &&
             in->channels[channel] == FAKE_CHANNEL_OPEN) {
    in->channels[channel] = FAKE_CHANNEL_CLOSED_BY_US;
  } else if (is_method(s, "channel.close-ok")) {
    in->channels[channel] = FAKE_CHANNEL_CLOSED;
  }
}
