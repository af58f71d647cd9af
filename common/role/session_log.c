/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/session_log.h"

#include "common/base/names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { REPEAT_AFTER_S = 30 };

void rmq_session_log_init(struct rmq_session_log *l,
                          const struct rmq_host *host, const char *plugin,
                          const char *block) {
  memset(l, 0, sizeof(*l));
  l->host = host;
  l->plugin = plugin;
  l->block = block;
  atomic_init(&l->state, RMQ_SESSION_STOPPED);
  atomic_init(&l->opened, 0);
  atomic_init(&l->failbacks, 0);
  atomic_init(&l->blocked_timeouts, 0);
}

enum rmq_session_state rmq_session_log_state(const struct rmq_session_log *l) {
  return (enum rmq_session_state)atomic_load(&l->state);
}

uint64_t rmq_session_log_opened(const struct rmq_session_log *l) {
  return atomic_load(&l->opened);
}

uint64_t rmq_session_log_failbacks(const struct rmq_session_log *l) {
  return atomic_load(&l->failbacks);
}

uint64_t rmq_session_log_blocked_timeouts(const struct rmq_session_log *l) {
  return atomic_load(&l->blocked_timeouts);
}

void rmq_session_log_write(struct rmq_session_log *l,
                           const struct rmq_log_record *r) {
  struct rmq_log_record full = *r;
  full.time = l->host->wall(l->host->ctx);
  full.service = l->host->service;
  full.plugin = l->plugin;
  full.block = l->block;
  if (full.state == NULL)
    full.state = rmq_session_state_to_str(rmq_session_log_state(l));
  l->host->log(l->host->ctx, &full);
}

/* The same trouble with the same host, whatever the seconds and addresses in
 * its reason. */
static uint64_t kind_of(const struct rmq_connection_change *c) {
  char reason[768], where[320];
  size_t n = 0;
  for (const char *p = c->reason; *p != '\0' && n < sizeof(reason); p++)
    if (!isdigit((unsigned char)*p))
      reason[n++] = *p;
  snprintf(where, sizeof(where), "%s:%u|%d|", c->endpoint->host,
           c->endpoint->port, c->to);
  uint64_t hash = rmq_fnv1a(where, strlen(where));
  return rmq_fnv1a_more(hash, reason, n) | 1;
}

static struct rmq_complain *trouble(struct rmq_session_log *l, uint64_t kind) {
  for (size_t i = 0; i < RMQ_SESSION_LOG_TROUBLES; i++)
    if (l->troubles[i].kind == kind)
      return &l->troubles[i].complain;
  size_t slot = l->next_trouble++ % RMQ_SESSION_LOG_TROUBLES;
  l->troubles[slot].kind = kind;
  rmq_complain_init(&l->troubles[slot].complain, rmq_s(REPEAT_AFTER_S));
  return &l->troubles[slot].complain;
}

static const char *event_word(const struct rmq_connection_change *c) {
  bool is_refused = c->event == RMQ_SESSION_ON_LOGIN_REFUSED;
  if (c->event == RMQ_SESSION_ON_LEAVE)
    return "blocked_timeout";
  if (is_refused && c->from == RMQ_SESSION_LOGIN)
    return "login_refused";
  if (is_refused || c->to == RMQ_SESSION_REOPENING)
    return "channel_closed";
  return rmq_session_is_up(c->from) ? "connection_lost" : "connect_failed";
}

/* A broker that is down passes by itself; what has a remedy waits for somebody
 * to read of it. */
static enum rmq_level level_of(const struct rmq_connection_change *c) {
  bool may_pass = c->remedy[0] == '\0' && (c->from == RMQ_SESSION_CONNECTING ||
                                           rmq_session_is_up(c->from));
  return may_pass ? RMQ_LOG_WARNING : RMQ_LOG_ERROR;
}

static void describe(const struct rmq_connection_change *c, uint64_t missed,
                     char *ret_text, size_t size) {
  struct rmq_buf b;
  rmq_buf_init(&b, size - 1);
  /* Bounded, so that remedy and wait have room. */
  rmq_buf_appendf(&b, "%.255s:%u: %.500s", c->endpoint->host, c->endpoint->port,
                  c->reason);
  if (c->remedy[0] != '\0')
    rmq_buf_appendf(&b, "; remedy: %s", c->remedy);
  if (c->retry_in.ns > 0)
    rmq_buf_appendf(&b, "; next attempt in %.1f s",
                    rmq_dur_seconds(c->retry_in));
  if (missed > 0)
    rmq_buf_appendf(&b, " (%llu times since the last such line)",
                    (unsigned long long)missed);
  snprintf(ret_text, size, "%s", rmq_buf_text(&b));
  rmq_buf_fini(&b);
}

static void log_trouble(struct rmq_session_log *l,
                        const struct rmq_connection_change *c,
                        struct rmq_mono now) {
  uint64_t missed = 0;
  if (!rmq_complain_report(trouble(l, kind_of(c)), now, &missed))
    return;
  char text[1024];
  describe(c, missed, text, sizeof(text));
  rmq_session_log_write(l, &(struct rmq_log_record){.level = level_of(c),
                                                    .event = event_word(c),
                                                    .reply_code = c->reply_code,
                                                    .message = text});
}

/* True when a trouble is over that somebody has read of. */
static bool recover(struct rmq_session_log *l) {
  bool is_over = false;
  for (size_t i = 0; i < RMQ_SESSION_LOG_TROUBLES; i++)
    is_over |= l->troubles[i].kind != 0 &&
               rmq_complain_recover(&l->troubles[i].complain);
  return is_over;
}

static void log_ready(struct rmq_session_log *l,
                      const struct rmq_connection_change *c) {
  char text[512];
  bool is_over = recover(l);
  if (l->was_up && !is_over)
    return;
  l->was_up = true;
  snprintf(text, sizeof(text), "connected to %s:%u%s", c->endpoint->host,
           c->endpoint->port, is_over ? "; the trouble is over" : "");
  rmq_session_log_write(l, &(struct rmq_log_record){.level = RMQ_LOG_NOTICE,
                                                    .event = "connected",
                                                    .message = text});
}

static void log_simply(struct rmq_session_log *l, enum rmq_level level,
                       const char *event,
                       const struct rmq_connection_change *c) {
  char text[1024];
  describe(c, 0, text, sizeof(text));
  rmq_session_log_write(l, &(struct rmq_log_record){.level = level,
                                                    .event = event,
                                                    .message = text});
}

void rmq_session_log_changed(struct rmq_session_log *l,
                             const struct rmq_connection_change *c,
                             struct rmq_mono now) {
  atomic_store(&l->state, (int)c->to);
  if (c->event == RMQ_SESSION_ON_LOGGED_IN)
    atomic_fetch_add(&l->opened, 1);
  if (c->event == RMQ_SESSION_ON_LEAVE && c->to == RMQ_SESSION_WAITING)
    atomic_fetch_add(&l->blocked_timeouts, 1);
  if (c->event == RMQ_SESSION_ON_LEFT) {
    atomic_fetch_add(&l->failbacks, 1);
    log_simply(l, RMQ_LOG_NOTICE, "failback", c);
    return;
  }
  switch (c->to) {
  case RMQ_SESSION_WAITING:
  case RMQ_SESSION_REOPENING:
    log_trouble(l, c, now);
    return;
  case RMQ_SESSION_READY:
    if (c->from == RMQ_SESSION_BLOCKED)
      log_simply(l, RMQ_LOG_NOTICE, "unblocked", c);
    else
      log_ready(l, c);
    return;
  case RMQ_SESSION_BLOCKED:
    log_simply(l, RMQ_LOG_WARNING, "blocked", c);
    return;
  case RMQ_SESSION_STOPPED:
  case RMQ_SESSION_CONNECTING:
  case RMQ_SESSION_LOGIN:
  case RMQ_SESSION_OPENING:
  case RMQ_SESSION_CLOSING:
    return;
  }
}
