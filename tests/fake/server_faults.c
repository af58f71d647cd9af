/* SPDX-License-Identifier: MIT */
/* What a test can make the fake server do to its client. */
#include "rmq_config.h"

#include <string.h>

#include "tests/fake/server_impl.h"

void fake_server_drop(struct fake_server *s, bool is_reset) {
  if (!fake_server_is_live(s))
    return;
  s->state->link.broker->is_closed = true;
  s->state->link.broker->is_reset = is_reset;
  fake_server_end_channel(s);
}

void fake_server_close(struct fake_server *s, unsigned code, const char *text) {
  if (!fake_server_is_live(s) || s->state->link.login_step < 3)
    return;
  fake_server_say(s, 0, "connection.close", "reply-code=%u reply-text='%s'",
                  code, text);
  fake_server_end_channel(s);
}

void fake_server_close_channel(struct fake_server *s, unsigned code,
                               const char *text) {
  if (!fake_server_is_live(s) || !s->state->link.is_open)
    return;
  fake_server_say(s, s->state->link.channel, "channel.close",
                  "reply-code=%u reply-text='%s'", code, text);
  fake_server_end_channel(s);
}

void fake_server_block(struct fake_server *s, bool is_blocked) {
  if (!fake_server_is_live(s) || s->state->link.login_step < 3)
    return;
  if (is_blocked)
    fake_server_say(s, 0, "connection.blocked", "reason='low on memory'");
  else
    fake_server_say(s, 0, "connection.unblocked", "%s", "");
}

void fake_server_cancel(struct fake_server *s) {
  struct fake_link *l = &s->state->link;
  struct fake_bytes quoted = {0};
  if (!fake_server_is_live(s) || l->consumer_tag[0] == '\0')
    return;
  fake_quote(l->consumer_tag, &quoted);
  fake_server_say(s, l->channel, "basic.cancel", "no-wait=1 consumer-tag=%s",
                  fake_bytes_text(&quoted));
  l->consumer_tag[0] = '\0';
  fake_bytes_fini(&quoted);
}

void fake_server_tick(struct fake_server *s, int64_t now_ns) {
  struct fake_link *l = &s->state->link;
  int64_t interval = (int64_t)l->heartbeat_s * 1000000000;
  if (!fake_server_is_live(s) || interval == 0)
    return;
  if (l->broker->intake.bytes_count != l->bytes_heard || l->heard_ns == 0) {
    l->bytes_heard = l->broker->intake.bytes_count;
    l->heard_ns = now_ns;
  }
  if (now_ns - l->heard_ns > 2 * interval) {
    fake_server_drop(s, false);
  } else if (now_ns - l->said_ns >= interval / 2) {
    struct fake_bytes frame = {0};
    fake_frame_encode(&frame, FAKE_FRAME_HEARTBEAT, 0, "", 0);
    fake_broker_say(l->broker, frame.data, frame.len);
    fake_bytes_fini(&frame);
    l->said_ns = now_ns;
  }
}

bool fake_server_has_consumer(const struct fake_server *s) {
  return s->state->link.consumer_tag[0] != '\0';
}
