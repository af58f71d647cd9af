/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "plugins/warren_publish_fates.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int warren_fates_init(struct warren_fates *f) {
  memset(f, 0, sizeof(*f));
  f->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (f->wake_fd < 0)
    return -1;
  pthread_mutex_init(&f->lock, NULL);
  return 0;
}

void warren_fates_fini(struct warren_fates *f) {
  close(f->wake_fd);
  pthread_mutex_destroy(&f->lock);
}

void warren_fates_begin(struct warren_fates *f) {
  pthread_mutex_lock(&f->lock);
  f->begun++;
  pthread_mutex_unlock(&f->lock);
}

void warren_fates_cancel(struct warren_fates *f) {
  pthread_mutex_lock(&f->lock);
  f->begun--;
  pthread_mutex_unlock(&f->lock);
}

uint64_t warren_fates_ended(struct warren_fates *f, uint64_t *ret_open) {
  pthread_mutex_lock(&f->lock);
  uint64_t ended = f->ended;
  *ret_open = f->begun - ended;
  pthread_mutex_unlock(&f->lock);
  return ended;
}

static void cause_of(const struct rmq_fate_report *r,
                     char text[WARREN_CAUSE_SIZE]) {
  char code[16] = "", where[560] = "";
  if (r->reply_code != 0)
    snprintf(code, sizeof(code), "%u ", r->reply_code);
  if (r->message_id[0] != '\0' || r->routing_key[0] != '\0')
    snprintf(where, sizeof(where), ", exchange \"%s\", routing key \"%s\"",
             r->exchange, r->routing_key);
  const char *why = "";
  switch (r->fate) {
  case RMQ_FATE_STORED:
  case RMQ_FATE_CONFIRMED:
  case RMQ_FATE_SENT:
    break;
  case RMQ_FATE_RETURNED:
  case RMQ_FATE_REJECTED:
    why = r->reply_code == 0 ? "the broker could not take it (nack)"
                             : r->reply_text;
    break;
  case RMQ_FATE_EXPIRED:
    why = "older than its time to live";
    break;
  case RMQ_FATE_DROPPED:
    why = r->cause;
    break;
  case RMQ_FATE_KEPT:
    why = "in the spool for the next start";
    break;
  }
  snprintf(text, WARREN_CAUSE_SIZE, "%s: %s%s%s", rmq_fate_to_str(r->fate),
           code, why, where);
}

/* Under the lock. */
static void count_cause(struct warren_fates *f, const char *text) {
  for (size_t i = 0; i < f->causes_count; i++)
    if (strcmp(f->causes[i].text, text) == 0) {
      f->causes[i].messages++;
      return;
    }
  if (f->causes_count == WARREN_CAUSES_MAX) {
    f->others++;
    return;
  }
  struct warren_cause *c = &f->causes[f->causes_count++];
  memcpy(c->text, text, strlen(text) + 1);
  c->messages = 1;
}

void warren_fates_tell(void *ctx, const struct rmq_fate_report *report) {
  struct warren_fates *f = ctx;
  char text[WARREN_CAUSE_SIZE];
  if (!rmq_fate_is_final(report->fate))
    return;
  bool is_confirmed = report->fate == RMQ_FATE_CONFIRMED;
  if (!is_confirmed)
    cause_of(report, text);
  pthread_mutex_lock(&f->lock);
  f->ended++;
  if (is_confirmed)
    f->confirmed++;
  else
    count_cause(f, text);
  bool is_last = f->ended == f->begun;
  pthread_mutex_unlock(&f->lock);
  if (is_last)
    eventfd_write(f->wake_fd, 1);
}

bool warren_fates_print(struct warren_fates *f,
                        const struct warren_voice *voice) {
  static const char event[] = "not_arrived";
  pthread_mutex_lock(&f->lock);
  for (size_t i = 0; i < f->causes_count; i++)
    warren_say(voice, RMQ_LOG_ERROR, event, "%" PRIu64 " %s",
               f->causes[i].messages, f->causes[i].text);
  if (f->others > 0)
    warren_say(voice, RMQ_LOG_ERROR, event,
               "%" PRIu64 " did not arrive for other causes", f->others);
  uint64_t open = f->begun - f->ended;
  if (open > 0)
    warren_say(voice, RMQ_LOG_ERROR, event, "%" PRIu64 " %s an unknown end",
               open, open == 1 ? "has" : "have");
  bool is_all = f->confirmed == f->begun;
  pthread_mutex_unlock(&f->lock);
  return is_all;
}
