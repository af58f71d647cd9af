/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/quarantine_item.h"

#include "common/role/delivery_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void rmq_quarantine_item_stamp(struct rmq_wall t,
                               char ret_text[RMQ_QUARANTINE_STAMP]) {
  struct tm tm;
  time_t seconds = (time_t)(t.ns / RMQ_NS_PER_S);
  char text[RMQ_QUARANTINE_STAMP - 8];
  if (gmtime_r(&seconds, &tm) == NULL ||
      strftime(text, sizeof(text), "%Y%m%dT%H%M%S", &tm) == 0)
    text[0] = '\0';
  snprintf(ret_text, RMQ_QUARANTINE_STAMP, "%s.%03dZ", text,
           (int)(t.ns / RMQ_NS_PER_MS % 1000));
}

static void put_body(struct rmq_delivery_json *m, const struct rmq_delivery *d,
                     const char *name) {
  if (d->body.len > 0) {
    char file[256];
    snprintf(file, sizeof(file), "%.200s.body", name);
    rmq_delivery_json_text(m, "body", file);
    return;
  }
  rmq_delivery_json_begin(m, "body");
  rmq_buf_append_text(m->out, "null");
  if (d->is_oversized)
    rmq_delivery_json_text(m, "body_note",
                           "larger than MaxMessageBytes, so it is not kept");
}

int rmq_quarantine_item_json(const struct rmq_quarantine_item *item,
                             const char *block, const char *name,
                             struct rmq_buf *out) {
  const struct rmq_delivery *d = item->delivery;
  char when[RMQ_QUARANTINE_STAMP];
  rmq_quarantine_item_stamp(item->now, when);
  struct rmq_delivery_json m = {.out = out, .indent = "  "};
  rmq_buf_append_char(out, '{');
  rmq_delivery_json_text(&m, "time", when);
  rmq_delivery_json_text(&m, "block", block);
  rmq_delivery_json_text(&m, "cause", item->cause);
  rmq_delivery_json_text(&m, "reason", item->reason);
  rmq_delivery_json_text(&m, "exchange", d->exchange);
  rmq_delivery_json_text(&m, "routing_key", d->routing_key);
  rmq_delivery_json_begin(&m, "redelivered");
  rmq_buf_append_text(out, d->is_redelivered ? "true" : "false");
  if (d->delivery_count >= 0)
    rmq_delivery_json_number(&m, "delivery_count", d->delivery_count);
  rmq_delivery_json_begin(&m, "size");
  rmq_buf_appendf(out, "%" PRIu64, d->body_size);
  put_body(&m, d, name);
  rmq_delivery_json_begin(&m, "properties");
  struct rmq_delivery_json inner = {.out = out, .indent = "    "};
  rmq_buf_append_char(out, '{');
  rmq_delivery_json_properties(&inner, d);
  if (d->kept != NULL) {
    rmq_delivery_json_begin(&inner, "headers");
    rmq_delivery_json_headers(d->kept, "      ", out);
    if (d->kept->is_cut)
      rmq_delivery_json_text(&inner, "headers_note",
                             "there were more, which are not kept");
  }
  rmq_buf_append_char(out, '}');
  rmq_buf_append_text(out, "\n}\n");
  return out->failed ? -1 : 0;
}
