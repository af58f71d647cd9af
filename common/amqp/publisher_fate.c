/* SPDX-License-Identifier: MIT */
/* Who is told what became of a message: its tag hears STORED at most once, then
 * one final fate. In memory a message carries its tag; while it is a row and
 * nothing else, p->rows does. */
#include "rmq_config.h"

#include "common/amqp/publisher_private.h"

#include <stdio.h>
#include <string.h>

enum { ROWS_AT_ONCE = 1024 };

static void report(struct rmq_publisher *p, const struct rmq_fate_report *r) {
  if (rmq_fate_is_final(r->fate)) {
    pthread_mutex_lock(&p->lock);
    p->tagged--;
    pthread_mutex_unlock(&p->lock);
  }
  p->handlers.fate(p->handlers.ctx, r);
}

static bool has_reply(enum rmq_fate fate) {
  return fate == RMQ_FATE_RETURNED || fate == RMQ_FATE_REJECTED;
}

/* The text is that of the last reply: good enough where the codes agree. */
static const char *reply_text(const struct rmq_publisher *p,
                              const struct rmq_message *m, enum rmq_fate fate) {
  return has_reply(fate) && m->reply_code != 0 && m->reply_code == p->reply_code
             ? p->reply_text
             : "";
}

void rmq_publisher_tell(struct rmq_publisher *p, const struct rmq_message *m,
                        enum rmq_fate fate) {
  if (m->tag == 0 || p->handlers.fate == NULL)
    return;
  struct rmq_fate_report r = {
      .tag = m->tag,
      .fate = fate,
      .cause = m->cause == NULL ? "" : m->cause,
      .reply_code = has_reply(fate) ? m->reply_code : 0,
      .reply_text = reply_text(p, m, fate),
      .exchange = m->to_alternate ? p->config.alternate_exchange
                                  : rmq_message_exchange(m, p->config.exchange),
      .routing_key = m->key,
      .message_id = rmq_message_id(m)};
  report(p, &r);
}

void rmq_publisher_file_tags(struct rmq_publisher *p,
                             const struct rmq_list *messages) {
  for (struct rmq_node *n = rmq_list_first(messages); n != NULL;
       n = rmq_list_next(messages, n)) {
    const struct rmq_message *m = rmq_publisher_message(n);
    if (m->tag != 0)
      rmq_tags_add(&p->rows, m->seq, m->tag);
  }
}

void rmq_publisher_find_tags(struct rmq_publisher *p,
                             const struct rmq_list *messages) {
  for (struct rmq_node *n = rmq_list_first(messages);
       n != NULL && p->rows.count > 0; n = rmq_list_next(messages, n)) {
    struct rmq_message *m = rmq_publisher_message(n);
    m->tag = rmq_tags_take(&p->rows, m->seq);
  }
}

static void tell_row(struct rmq_publisher *p, uint64_t tag, enum rmq_fate fate,
                     const char *cause) {
  struct rmq_fate_report r = {.tag = tag,
                              .fate = fate,
                              .cause = cause,
                              .reply_text = "",
                              .exchange = "",
                              .routing_key = "",
                              .message_id = ""};
  report(p, &r);
}

/* One look through all rows; whether there were any. */
static bool tell_some(struct rmq_publisher *p, uint64_t first, uint64_t last,
                      enum rmq_fate fate, const char *cause) {
  struct rmq_tag tags[ROWS_AT_ONCE];
  size_t cursor = 0, found;
  bool has_any = false;
  do {
    pthread_mutex_lock(&p->lock);
    found =
        rmq_tags_take_range(&p->rows, first, last, &cursor, tags, ROWS_AT_ONCE);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < found; i++)
      tell_row(p, tags[i].tag, fate, cause);
    has_any = has_any || found > 0;
  } while (found == ROWS_AT_ONCE);
  return has_any;
}

void rmq_publisher_tell_rows(struct rmq_publisher *p, uint64_t first,
                             uint64_t last, enum rmq_fate fate,
                             const char *cause) {
  while (tell_some(p, first, last, fate, cause) && first != last)
    continue;
}

void rmq_publisher_tell_kept(struct rmq_publisher *p) {
  rmq_publisher_tell_rows(p, 0, UINT64_MAX, RMQ_FATE_KEPT, "");
}

void rmq_publisher_remember_reply(struct rmq_publisher *p,
                                  struct rmq_message *m, int code,
                                  const char *text) {
  m->reply_code = (uint16_t)code;
  p->reply_code = (uint16_t)code;
  snprintf(p->reply_text, sizeof(p->reply_text), "%s", text);
}
