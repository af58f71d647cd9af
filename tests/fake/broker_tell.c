/* SPDX-License-Identifier: MIT */
/* What the fake broker tells when a test goes wrong. */
#include "rmq_config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/fake/broker_impl.h"

struct fake_bytes *fake_broker_log_line(struct fake_broker *b,
                                        const char *who) {
  struct fake_bytes *line = &b->log[b->log_next++ % FAKE_LOG_LINES];
  line->len = 0;
  fake_bytes_printf(line, "    %s ", who);
  return line;
}

void fake_broker_log_frame(struct fake_broker *b, const char *who,
                           const uint8_t *frame, size_t len) {
  struct fake_bytes dump = {0};
  fake_frame_dump(frame, len, &dump);
  const char *text = fake_bytes_text(&dump);
  size_t line_len = strcspn(text, "\n");
  fake_bytes_put(fake_broker_log_line(b, who), text + 2,
                 line_len > 202 ? 200 : line_len - 2);
  fake_bytes_fini(&dump);
}

static const char *step_text(const struct fake_step *s) {
  switch (s->type) {
  case FAKE_STEP_PROTOCOL:
    return "the protocol header";
  case FAKE_STEP_METHOD:
  case FAKE_STEP_SKIP_UNTIL:
    return s->name;
  case FAKE_STEP_PUBLISH:
  case FAKE_STEP_PUBLISHES:
    return "basic.publish";
  case FAKE_STEP_HEARTBEAT:
    return "a heartbeat";
  case FAKE_STEP_EOF:
    return "the client to close";
  case FAKE_STEP_NOTHING:
    return "nothing";
  case FAKE_STEP_PAUSE:
    return "the test to resume";
  case FAKE_STEP_SEND:
  case FAKE_STEP_HOLD:
  case FAKE_STEP_RELEASE:
  case FAKE_STEP_CLOSE:
  case FAKE_STEP_RESET:
  case FAKE_STEP_SILENCE:
    return "an action of the broker";
  }
  return "?";
}

static void tell_position(struct fake_broker *b) {
  if (b->on_unit != NULL)
    return;
  if (b->step >= b->steps_count) {
    fake_bytes_printf(&b->failure, "  after the last of %zu steps\n",
                      b->steps_count);
    return;
  }
  const struct fake_step *s = &b->steps[b->step];
  fake_bytes_printf(&b->failure,
                    "  at step %zu of %zu (%s), which wants %s on channel %u "
                    "%s %s\n",
                    b->step + 1, b->steps_count, s->where, step_text(s),
                    s->channel, s->fields != NULL ? s->fields : "",
                    s->props != NULL ? s->props : "");
}

static void tell_log(struct fake_broker *b) {
  fake_bytes_printf(&b->failure, "  conversation so far (C client):\n");
  size_t first =
      b->log_next > FAKE_LOG_LINES ? b->log_next - FAKE_LOG_LINES : 0;
  for (size_t i = first; i < b->log_next; i++)
    fake_bytes_printf(&b->failure, "%s\n",
                      fake_bytes_text(&b->log[i % FAKE_LOG_LINES]));
}

/* The frame that broke a rule still lies in `in`; one that the script did not
 * want is in the unit. */
static void tell_frame(struct fake_broker *b) {
  const struct fake_intake *in = &b->intake;
  size_t len = in->in.len;
  if (in->why[0] == '\0') {
    fake_frame_dump(in->unit.frame.data, in->unit.frame.len, &b->failure);
    if (in->unit.type == FAKE_UNIT_CONTENT)
      fake_frame_dump(in->unit.header_frame.data, in->unit.header_frame.len,
                      &b->failure);
    return;
  }
  if (in->is_past_protocol && len >= 7) {
    size_t size = FAKE_FRAME_OVERHEAD + ((size_t)in->in.data[3] << 24) +
                  ((size_t)in->in.data[4] << 16) +
                  ((size_t)in->in.data[5] << 8) + in->in.data[6];
    len = size < len ? size : len;
  }
  if (len > 0)
    fake_frame_dump(in->in.data, len, &b->failure);
}

void fake_broker_fail(struct fake_broker *b, const char *format, ...) {
  if (b->failure.len > 0)
    return;
  char text[600];
  va_list ap;
  va_start(ap, format);
  vsnprintf(text, sizeof(text), format, ap);
  va_end(ap);
  fake_bytes_printf(&b->failure, "fake broker: %s\n", text);
  tell_position(b);
  tell_frame(b);
  tell_log(b);
  fake_bytes_text(&b->failure); /* ends it with a NUL */
  b->is_closed = true;
}

bool fake_tell(const char *failure) {
  for (const char *line = failure; line != NULL && *line != '\0';) {
    size_t len = strcspn(line, "\n");
    printf("# %.*s\n", (int)len, line);
    line += len + (line[len] == '\n');
  }
  return failure != NULL;
}
