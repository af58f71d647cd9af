/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/log.h"

#include "common/base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *rmq_level_to_str(enum rmq_level l) {
  switch (l) {
  case RMQ_LOG_ERROR:
    return "error";
  case RMQ_LOG_WARNING:
    return "warning";
  case RMQ_LOG_NOTICE:
    return "notice";
  case RMQ_LOG_INFO:
    return "info";
  case RMQ_LOG_DEBUG:
    return "debug";
  }
  return "unknown";
}

const char *rmq_log_format_to_str(enum rmq_log_format f) {
  switch (f) {
  case RMQ_LOG_TEXT:
    return "text";
  case RMQ_LOG_JSON:
    return "json";
  }
  return "unknown";
}

struct line {
  char bytes[RMQ_LOG_LINE_MAX];
  size_t len;
  enum rmq_log_format format;
};

/* The most bytes a field may take as it is written, so that with every field
 * at its longest the message keeps about a third of the line. */
enum { SHORT_FIELD = 48, LONG_FIELD = 96 };

static void add(struct line *l, const char *text) {
  size_t len = strlen(text);
  size_t room = sizeof(l->bytes) - l->len;
  if (len > room)
    len = room;
  memcpy(l->bytes + l->len, text, len);
  l->len += len;
}

/* Writes one character as the line's format has it; its length. is_word:
 * nothing that could end a field of the text form stays as it is. */
static size_t escape_char(enum rmq_log_format format, bool is_word,
                          const char *at, size_t len, char ret_text[8],
                          size_t *ret_used) {
  uint32_t c = 0;
  size_t n = rmq_utf8_decode(at, len, &c);
  *ret_used = n == 0 ? 1 : n;
  if (format == RMQ_LOG_JSON && (c == '"' || c == '\\'))
    return (size_t)snprintf(ret_text, 8, "\\%c", (char)c);
  if (n != 0 && !rmq_utf8_is_control(c) &&
      !(is_word && n == 1 && strchr(" \"[]=\\", (int)c) != NULL)) {
    memcpy(ret_text, at, n);
    return n;
  }
  if (format == RMQ_LOG_JSON)
    return (size_t)snprintf(ret_text, 8, "\\u%04x",
                            n == 0 ? (unsigned char)*at : (unsigned)c);
  *ret_used = 1; /* a control character of two bytes is written as two */
  return (size_t)snprintf(ret_text, 8, "\\x%02x", (unsigned char)*at);
}

/* Adds text, escaped, in at most max bytes; "..." stands for what is cut. */
static void add_escaped(struct line *l, const char *text, bool is_word,
                        size_t max) {
  static const char dots[] = "...";
  size_t room = sizeof(l->bytes) - l->len;
  if (room > max)
    room = max;
  size_t fits = l->len; /* end of what leaves room for the dots */
  size_t end = l->len + room;
  for (size_t left = strlen(text); left > 0;) {
    char piece[8];
    size_t used;
    size_t n = escape_char(l->format, is_word, text, left, piece, &used);
    if (l->len + n > end) {
      l->len = fits;
      if (fits + strlen(dots) <= end)
        add(l, dots);
      return;
    }
    memcpy(l->bytes + l->len, piece, n);
    l->len += n;
    if (l->len + strlen(dots) <= end)
      fits = l->len;
    text += used;
    left -= used;
  }
}

/* The rest of the line but for what must follow. */
static size_t room_before(const struct line *l, size_t following) {
  return sizeof(l->bytes) - l->len - following;
}

static void json_key(struct line *l, const char *key) {
  add(l, l->len == 1 ? "\"" : ",\"");
  add(l, key);
  add(l, "\":");
}

static void json_text(struct line *l, const char *key, const char *value,
                      size_t max) {
  if (value == NULL || *value == '\0')
    return;
  json_key(l, key);
  add(l, "\"");
  add_escaped(l, value, /* is_word = */ false, max);
  add(l, "\"");
}

static void json_number(struct line *l, const char *key, const char *digits) {
  if (*digits == '\0')
    return;
  json_key(l, key);
  add(l, digits);
}

static void text_pair(struct line *l, const char *key, const char *value) {
  if (value == NULL || *value == '\0')
    return;
  add(l, l->len == 0 ? " [" : " ");
  add(l, key);
  add(l, "=");
  add_escaped(l, value, /* is_word = */ true, LONG_FIELD);
}

/* As text; "" for 0. */
struct numbers {
  char time_ms[24], delivery_tag[24], seqno[24], reply_code[16];
};

static struct numbers numbers_of(const struct rmq_log_record *r) {
  struct numbers n = {{0}, {0}, {0}, {0}};
  if (r->time.ns != 0)
    snprintf(n.time_ms, sizeof(n.time_ms), "%" PRId64, rmq_wall_ms(r->time));
  if (r->delivery_tag != 0)
    snprintf(n.delivery_tag, sizeof(n.delivery_tag), "%" PRIu64,
             r->delivery_tag);
  if (r->seqno != 0)
    snprintf(n.seqno, sizeof(n.seqno), "%" PRIu64, r->seqno);
  if (r->reply_code != 0)
    snprintf(n.reply_code, sizeof(n.reply_code), "%d", r->reply_code);
  return n;
}

static void render_json(struct line *l, const struct rmq_log_record *r) {
  struct numbers n = numbers_of(r);
  add(l, "{");
  json_number(l, "timestamp", n.time_ms);
  json_text(l, "level", rmq_level_to_str(r->level), SHORT_FIELD);
  json_text(l, "service", r->service, SHORT_FIELD);
  json_text(l, "plugin", r->plugin, SHORT_FIELD);
  json_text(l, "block", r->block, LONG_FIELD);
  json_text(l, "event", r->event, SHORT_FIELD);
  json_text(l, "state", r->state, SHORT_FIELD);
  json_text(l, "trace_id", r->trace_id, SHORT_FIELD);
  json_text(l, "message_id", r->message_id, LONG_FIELD);
  json_number(l, "delivery_tag", n.delivery_tag);
  json_number(l, "seqno", n.seqno);
  json_number(l, "reply_code", n.reply_code);
  json_text(l, "message", r->message,
            room_before(l, strlen(",\"message\":\"\"}")));
  add(l, "}");
}

static void render_text(struct line *l, const struct rmq_log_record *r) {
  struct numbers n = numbers_of(r);
  struct line pairs = {.format = l->format};
  text_pair(&pairs, "state", r->state);
  text_pair(&pairs, "trace_id", r->trace_id);
  text_pair(&pairs, "message_id", r->message_id);
  text_pair(&pairs, "delivery_tag", n.delivery_tag);
  text_pair(&pairs, "seqno", n.seqno);
  text_pair(&pairs, "reply_code", n.reply_code);
  if (pairs.len > 0)
    add(&pairs, "]");

  if (r->plugin != NULL) {
    add_escaped(l, r->plugin, /* is_word = */ false, SHORT_FIELD);
    add(l, " plugin: ");
  }
  if (r->block != NULL) {
    add(l, "block \"");
    add_escaped(l, r->block, /* is_word = */ true, LONG_FIELD);
    add(l, "\": ");
  }
  add_escaped(l,
              r->message != NULL ? r->message
              : r->event != NULL ? r->event
                                 : "",
              /* is_word = */ false, room_before(l, pairs.len));
  memcpy(l->bytes + l->len, pairs.bytes, pairs.len);
  l->len += pairs.len;
}

void rmq_log_render(enum rmq_log_format format, const struct rmq_log_record *r,
                    struct rmq_buf *out) {
  struct line l = {.format = format};
  switch (format) {
  case RMQ_LOG_TEXT:
    render_text(&l, r);
    break;
  case RMQ_LOG_JSON:
    render_json(&l, r);
    break;
  }
  rmq_buf_append(out, l.bytes, l.len);
}
