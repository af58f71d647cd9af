/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/amqp/connection_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  OUT_MAX = 256 << 20,        /* hard limit: one message of the largest size */
  OUT_HIGH_WATER = 512 << 10, /* no more publishing above this */
  REOPEN_SOON_MS = 20         /* no busy loop, and nobody notices */
};
/* A topology error waits, and a failed host is shunned, this many times longer
 * than a broken link. */
enum { TOPOLOGY_DELAY_FACTOR = 5 };

const char *rmq_auth_to_str(enum rmq_auth a) {
  switch (a) {
  case RMQ_AUTH_PLAIN:
    return "plain";
  case RMQ_AUTH_EXTERNAL:
    return "external";
  }
  return "unknown";
}

const char *rmq_backlog_to_str(enum rmq_backlog b) {
  switch (b) {
  case RMQ_BACKLOG_OURS:
    return "ours";
  case RMQ_BACKLOG_OTHERS:
    return "others";
  case RMQ_BACKLOG_UNTOLD:
    return "untold";
  }
  return "unknown";
}

static struct rmq_dur longer(struct rmq_dur d, int factor) {
  return (struct rmq_dur){d.ns * factor};
}

static struct rmq_dur larger(struct rmq_dur a, struct rmq_dur b) {
  return a.ns > b.ns ? a : b;
}

struct rmq_connection *
rmq_connection_new(const struct rmq_connection_config *config,
                   const struct rmq_connection_handlers *handlers,
                   uint64_t seed) {
  struct rmq_connection *c = calloc(1, sizeof(*c));
  if (c == NULL)
    return NULL;
  c->config = *config;
  c->handlers = *handlers;
  c->prng.state = seed;
  c->remedy = "";
  c->deadline = RMQ_NEVER;
  c->frame_max = RMQ_WIRE_FRAME_MAX;
  rmq_failback_reset(c);
  rmq_idle_reset(c);
  rmq_buf_init(&c->out, OUT_MAX);
  rmq_backoff_init(&c->retry, config->retry_min, config->retry_max);
  struct rmq_dur first = longer(config->retry_min, TOPOLOGY_DELAY_FACTOR);
  rmq_backoff_init(&c->topology, first, larger(first, config->refused_delay));
  c->decoder = rmq_wire_decoder_new();
  if (rmq_content_init(&c->content, config) != 0 || c->decoder == NULL ||
      rmq_hosts_init(&c->hosts, config->endpoints_count,
                     config->is_random_order, first,
                     larger(first, config->retry_max)) != 0) {
    rmq_connection_free(c);
    return NULL;
  }
  return c;
}

void rmq_connection_free(struct rmq_connection *c) {
  if (c == NULL)
    return;
  rmq_wire_decoder_free(c->decoder);
  rmq_hosts_fini(&c->hosts);
  rmq_content_fini(&c->content);
  rmq_buf_fini(&c->out);
  free(c);
}

void rmq_connection_because(struct rmq_connection *c, int reply_code,
                            const char *remedy, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(c->reason, sizeof(c->reason), format, args);
  va_end(args);
  c->reply_code = reply_code;
  c->refused_method = 0;
  c->remedy = remedy;
}

void rmq_connection_blame(struct rmq_connection *c,
                          const struct rmq_wire_frame *close) {
  c->refused_method =
      RMQ_WIRE_ID((uint32_t)close->u.close.class_id, close->u.close.method_id);
}

void rmq_connection_await(struct rmq_connection *c, struct rmq_mono now) {
  c->deadline = rmq_mono_add(now, c->config.rpc_timeout);
}

uint32_t rmq_connection_frame_max(const struct rmq_connection *c) {
  return c->config.frame_max == 0 ? RMQ_WIRE_FRAME_MAX : c->config.frame_max;
}

static const struct rmq_endpoint *current(const struct rmq_connection *c) {
  return &c->config.endpoints[c->hosts.current];
}

/* ------------------------------------------------------------------------
 * Choice of the host: every host once per round, then the back-off. */

static struct rmq_dur later(struct rmq_dur a, struct rmq_mono at,
                            struct rmq_mono now) {
  return larger(a, rmq_mono_since(at, now));
}

/* The delay before the next attempt: none while hosts of this round are left,
 * unless a connection was lost, and many others may have lost theirs. A new
 * round waits for the back-off, and until a host may be asked at all. */
static struct rmq_dur next_attempt(struct rmq_connection *c, bool is_hasty,
                                   struct rmq_mono now) {
  bool has_more = rmq_hosts_has_more(&c->hosts, now);
  if (has_more && is_hasty)
    return rmq_s(0);
  if (!has_more)
    rmq_hosts_begin_round(&c->hosts);
  struct rmq_dur delay = {0};
  if (has_more || rmq_hosts_has_more(&c->hosts, now))
    delay = rmq_backoff_next(&c->retry, rmq_prng_next(&c->prng));
  return later(delay, rmq_hosts_free_at(&c->hosts), now);
}

/* A host that lost us is tried last for a while; when it had worked, all others
 * are worth a try. */
static struct rmq_dur after_failure(struct rmq_connection *c, bool was_up,
                                    struct rmq_mono now) {
  rmq_hosts_failed(&c->hosts, &c->prng, now);
  if (was_up && c->has_progress)
    rmq_hosts_begin_round(&c->hosts);
  return next_attempt(c, !was_up, now);
}

/* The same host again between half of the long delay and the whole: jitter
 * without a hurry. */
static struct rmq_dur after_refusal(struct rmq_connection *c,
                                    struct rmq_mono now) {
  uint64_t half = (uint64_t)c->config.refused_delay.ns / 2;
  struct rmq_dur bar = {(int64_t)(half + rmq_prng_below(&c->prng, half + 1))};
  rmq_hosts_refused(&c->hosts, rmq_mono_add(now, bar));
  return next_attempt(c, true, now);
}

static bool is_fault_of_chooser(const struct rmq_connection *c) {
  int code = c->reply_code;
  return c->has_choosers && c->refused_method == RMQ_WIRE_BASIC_PUBLISH &&
         (code == 403 || code == 404 || code == 406);
}

static struct rmq_dur reopen_delay(struct rmq_connection *c, bool was_up) {
  if (was_up && is_fault_of_chooser(c))
    return rmq_ms(REOPEN_SOON_MS);
  struct rmq_backoff *b = was_up ? &c->retry : &c->topology;
  return rmq_backoff_next(b, rmq_prng_next(&c->prng));
}

/* ------------------------------------------------------------------------
 * Actions */

static void want_link(struct rmq_connection *c, bool wanted) {
  c->wants_link = wanted;
  c->link_number++;
}

static void connect_now(struct rmq_connection *c, struct rmq_mono now) {
  rmq_buf_clear(&c->out);
  rmq_wire_decoder_reset(c->decoder);
  rmq_content_reset(&c->content);
  c->frame_max = RMQ_WIRE_FRAME_MAX;
  c->heartbeat = rmq_s(0);
  c->is_started = false;
  c->is_tuned = false;
  c->is_blocked = false;
  c->awaits_close_ok = false;
  rmq_hosts_choose(&c->hosts, &c->prng, now);
  want_link(c, true);
  c->deadline = rmq_mono_add(now, c->config.connect_timeout);
}

static void send_close(struct rmq_connection *c, struct rmq_mono now) {
  rmq_wire_put_close(&c->out, 200, "goodbye");
  rmq_connection_await(c, now);
}

static void perform(struct rmq_connection *c, unsigned actions, bool was_up,
                    struct rmq_dur *ret_delay, struct rmq_mono now) {
  if ((actions & RMQ_DO_LOSE) != 0) {
    rmq_content_reset(&c->content);
    rmq_failback_reset(c);
    rmq_idle_reset(c);
    c->is_cancelling = false;
    c->consumer_tag[0] = '\0';
    c->has_choosers = false;
    c->handlers.lost(c->handlers.ctx, now);
  }
  if ((actions & RMQ_DO_DROP_LINK) != 0)
    want_link(c, false);
  if ((actions & RMQ_DO_RETRY) != 0)
    *ret_delay = after_failure(c, was_up, now);
  if ((actions & RMQ_DO_RETRY_LATER) != 0)
    *ret_delay = after_refusal(c, now);
  if ((actions & RMQ_DO_RETRY_ELSEWHERE) != 0)
    *ret_delay = c->leave_delay;
  if ((actions & RMQ_DO_REOPEN_LATER) != 0)
    *ret_delay = reopen_delay(c, was_up);
  if (ret_delay->ns >= 0)
    c->deadline = c->reopen_at = rmq_mono_add(now, *ret_delay);
  if ((actions & RMQ_DO_CONNECT) != 0)
    connect_now(c, now);
  if ((actions & RMQ_DO_LOGIN) != 0) {
    rmq_wire_put_protocol_header(&c->out);
    rmq_connection_await(c, now);
  }
  if ((actions & RMQ_DO_SEND_CLOSE) != 0)
    send_close(c, now);
}

struct rmq_mono rmq_connection_blocked_deadline(const struct rmq_connection *c,
                                                struct rmq_mono now) {
  unsigned doublings = c->blocked_moves < 4 ? c->blocked_moves : 4;
  struct rmq_dur limit = c->config.blocked_timeout;
  return limit.ns == 0 ? RMQ_NEVER
                       : rmq_mono_add(now, longer(limit, 1 << doublings));
}

/* What follows once the new state is visible to everybody. */
static void perform_after(struct rmq_connection *c, unsigned actions,
                          struct rmq_mono now) {
  if ((actions & RMQ_DO_OPEN_CHANNEL) != 0)
    rmq_channel_open(c, now);
  if ((actions & RMQ_DO_RESUME) == 0)
    return;
  rmq_failback_ready(c, now);
  if (c->is_blocked)
    rmq_connection_apply(c, RMQ_SESSION_ON_BLOCKED, now);
}

static void set_state(struct rmq_connection *c, enum rmq_session_state next,
                      enum rmq_session_event event,
                      const struct rmq_endpoint *endpoint,
                      struct rmq_dur retry_in, struct rmq_mono now) {
  if (next == c->state)
    return;
  struct rmq_connection_change change = {.from = c->state,
                                         .to = next,
                                         .event = event,
                                         .endpoint = endpoint,
                                         .reply_code = c->reply_code,
                                         .refused_method = c->refused_method,
                                         .reason = c->reason,
                                         .remedy = c->remedy,
                                         .retry_in = retry_in};
  c->state = next;
  c->state_since = now;
  c->handlers.changed(c->handlers.ctx, &change, now);
  rmq_connection_because(c, 0, "", "%s", "");
}

/* The end of a connection that is closed for another host is not the end. */
static enum rmq_session_event meaning(const struct rmq_connection *c,
                                      enum rmq_session_event event) {
  bool is_end = event == RMQ_SESSION_ON_CLOSED ||
                event == RMQ_SESSION_ON_LINK_DOWN ||
                event == RMQ_SESSION_ON_LOGIN_REFUSED;
  return is_end && c->failback.phase == RMQ_FAILBACK_LEAVING
             ? RMQ_SESSION_ON_LEFT
             : event;
}

void rmq_connection_apply(struct rmq_connection *c,
                          enum rmq_session_event event, struct rmq_mono now) {
  event = meaning(c, event);
  struct rmq_session_step step = rmq_session_step(c->state, event);
  if (!step.is_legal) {
    rmq_connection_because(c, 0, "", "protocol error: %s while %s",
                           rmq_session_event_to_str(event),
                           rmq_session_state_to_str(c->state));
    event = meaning(c, RMQ_SESSION_ON_LINK_DOWN);
    step = rmq_session_step(c->state, event);
  }
  if (step.next == c->state && step.actions == RMQ_DO_NOTHING)
    return;
  if (event == RMQ_SESSION_ON_LEFT)
    rmq_failback_explain(c);
  bool was_up = rmq_session_is_up(c->state);
  struct rmq_dur delay = {-1};
  if (step.next != c->state)
    c->deadline = RMQ_NEVER;
  perform(c, step.actions, was_up, &delay, now);
  if (step.next == RMQ_SESSION_BLOCKED && step.next != c->state)
    c->deadline = rmq_connection_blocked_deadline(c, now);
  set_state(c, step.next, event, current(c), delay.ns < 0 ? rmq_s(0) : delay,
            now);
  perform_after(c, step.actions, now);
}

void rmq_connection_protocol_error(struct rmq_connection *c, const char *what,
                                   struct rmq_mono now) {
  rmq_connection_because(c, 0, "", "the server broke the protocol: %s", what);
  rmq_connection_apply(c, RMQ_SESSION_ON_LINK_DOWN, now);
}

bool rmq_connection_may_answer(struct rmq_connection *c, struct rmq_mono now) {
  if (c->out.len < OUT_HIGH_WATER)
    return true;
  rmq_connection_protocol_error(c, "it asks without reading our answers", now);
  return false;
}

/* ------------------------------------------------------------------------
 * What the owner says */

void rmq_connection_has_choosers(struct rmq_connection *c) {
  c->has_choosers = true;
}

void rmq_connection_start(struct rmq_connection *c, struct rmq_mono now) {
  rmq_hosts_begin_round(&c->hosts);
  rmq_connection_apply(c, RMQ_SESSION_ON_START, now);
}

void rmq_connection_stop(struct rmq_connection *c, struct rmq_mono now) {
  rmq_failback_reset(c);
  rmq_connection_because(c, 0, "", "shutting down");
  rmq_connection_apply(c, RMQ_SESSION_ON_STOP, now);
}

void rmq_connection_fail(struct rmq_connection *c, const char *reason,
                         struct rmq_mono now) {
  rmq_connection_because(c, 0, "", "%s", reason);
  rmq_connection_apply(c, RMQ_SESSION_ON_LINK_DOWN, now);
}

void rmq_connection_reopen(struct rmq_connection *c, const char *reason,
                           struct rmq_mono now) {
  if (!rmq_session_is_up(c->state))
    return;
  rmq_connection_because(c, 0, "", "%s", reason);
  rmq_channel_abandon(c, "opened anew", now);
}

struct rmq_link_wish rmq_connection_link_wish(const struct rmq_connection *c) {
  return (struct rmq_link_wish){c->link_number,
                                c->wants_link ? current(c) : NULL};
}

void rmq_connection_link_up(struct rmq_connection *c, struct rmq_mono now) {
  c->heard_at = c->sent_at = now;
  rmq_connection_apply(c, RMQ_SESSION_ON_LINK_UP, now);
}

void rmq_connection_link_down(struct rmq_connection *c, const char *reason,
                              struct rmq_mono now) {
  const char *remedy = "";
  if (c->state == RMQ_SESSION_LOGIN && c->is_started)
    remedy = c->is_tuned ? "the vhost may be missing or closed to this user: "
                           "see the broker's log"
                         : "the broker may have refused the login: check User "
                           "and Password, and see the broker's log";
  rmq_connection_because(c, 0, remedy, "%s", reason);
  rmq_connection_apply(c, RMQ_SESSION_ON_LINK_DOWN, now);
}

void rmq_connection_link_refused(struct rmq_connection *c, const char *reason,
                                 const char *remedy, struct rmq_mono now) {
  rmq_connection_because(c, 0, remedy, "%s", reason);
  rmq_connection_apply(c, RMQ_SESSION_ON_LINK_DOWN, now);
}

struct rmq_buf *rmq_connection_output(struct rmq_connection *c) {
  return &c->out;
}

enum rmq_session_state rmq_connection_state(const struct rmq_connection *c) {
  return c->state;
}

struct rmq_mono rmq_connection_state_since(const struct rmq_connection *c) {
  return c->state_since;
}

bool rmq_connection_is_blocked(const struct rmq_connection *c) {
  return c->state == RMQ_SESSION_BLOCKED;
}

uint64_t rmq_connection_idle_restarts(const struct rmq_connection *c) {
  return c->idle.restarts;
}

uint64_t rmq_connection_opened_count(const struct rmq_connection *c) {
  return c->opened;
}

void rmq_connection_progress(struct rmq_connection *c) {
  if (c->has_progress)
    return;
  c->has_progress = true;
  c->blocked_moves = 0;
  rmq_hosts_worked(&c->hosts);
  rmq_backoff_reset(&c->retry);
  rmq_backoff_reset(&c->topology);
}

/* ------------------------------------------------------------------------
 * Frames */

static void connection_closed(struct rmq_connection *c,
                              const struct rmq_wire_frame *f,
                              struct rmq_mono now) {
  char text[256];
  rmq_span_copy(f->u.close.text, text, sizeof(text));
  rmq_wire_put_close_ok(&c->out);
  if (c->state == RMQ_SESSION_OPENING && rmq_channel_is_refusal(c, f)) {
    rmq_channel_refused(c, f, now);
    return;
  }
  rmq_connection_because(c, f->u.close.code, "",
                         "the broker closed the connection: %u %s",
                         f->u.close.code, text);
  rmq_connection_blame(c, f);
  rmq_connection_apply(c, RMQ_SESSION_ON_LINK_DOWN, now);
}

static void blocked(struct rmq_connection *c, const struct rmq_wire_frame *f,
                    struct rmq_mono now) {
  char text[256];
  rmq_span_copy(f->u.reason, text, sizeof(text));
  c->is_blocked = true;
  rmq_connection_because(c, 0, "free memory or disk space on the broker",
                         "the broker has an alarm and takes no messages: %s",
                         text);
  rmq_connection_apply(c, RMQ_SESSION_ON_BLOCKED, now);
}

/* Methods of the connection itself, after the login. */
static void connection_method(struct rmq_connection *c,
                              const struct rmq_wire_frame *f,
                              struct rmq_mono now) {
  enum rmq_method m = f->method;
  if (m == RMQ_METHOD_CONNECTION_CLOSE) {
    connection_closed(c, f, now);
  } else if (m == RMQ_METHOD_CONNECTION_CLOSE_OK) {
    rmq_connection_because(c, 0, "", "closed");
    rmq_connection_apply(c, RMQ_SESSION_ON_CLOSED, now);
  } else if (m == RMQ_METHOD_CONNECTION_BLOCKED) {
    blocked(c, f, now);
  } else if (m == RMQ_METHOD_CONNECTION_UNBLOCKED) {
    c->is_blocked = false;
    rmq_connection_because(c, 0, "", "the broker's alarm is over");
    rmq_connection_apply(c, RMQ_SESSION_ON_UNBLOCKED, now);
  } else {
    char what[64];
    snprintf(what, sizeof(what), "unexpected %s", rmq_method_to_str(m));
    rmq_connection_protocol_error(c, what, now);
  }
}

static void handle_frame(struct rmq_connection *c,
                         const struct rmq_wire_frame *f, struct rmq_mono now) {
  switch (f->kind) {
  case RMQ_FRAME_HEARTBEAT:
    return;
  case RMQ_FRAME_HEADER:
    rmq_content_header(c, f, now);
    return;
  case RMQ_FRAME_BODY:
    rmq_content_body(c, f, now);
    return;
  case RMQ_FRAME_METHOD:
    if (c->state == RMQ_SESSION_LOGIN)
      rmq_login_method(c, f, now);
    else if (f->channel == 0)
      connection_method(c, f, now);
    else
      rmq_channel_method(c, f, now);
    return;
  }
}

size_t rmq_connection_input(struct rmq_connection *c, const char *bytes,
                            size_t len, struct rmq_mono now) {
  struct rmq_span input = {bytes, len};
  uint64_t link = c->link_number;
  c->heard_at = now;
  while (c->wants_link && c->link_number == link) {
    if (rmq_connection_is_held(c))
      return input.len;
    struct rmq_wire_frame frame;
    struct rmq_error err = {""};
    int rc = rmq_wire_decode(c->decoder, &input, &frame, &err);
    if (rc == 0)
      return 0;
    if (rc < 0) {
      rmq_connection_protocol_error(c, err.text, now);
      return 0;
    }
    handle_frame(c, &frame, now);
  }
  return 0;
}

void rmq_connection_hold(struct rmq_connection *c, bool is_held) {
  c->wants_hold = is_held;
}

bool rmq_connection_is_held(const struct rmq_connection *c) {
  return c->wants_hold && rmq_session_is_up(c->state);
}

/* ------------------------------------------------------------------------
 * Sending */

bool rmq_connection_can_publish(const struct rmq_connection *c) {
  return c->state == RMQ_SESSION_READY && c->out.len < OUT_HIGH_WATER &&
         c->failback.phase != RMQ_FAILBACK_DRAINING;
}

int rmq_connection_publish(struct rmq_connection *c,
                           const struct rmq_wire_publish *p) {
  return rmq_wire_put_publish(&c->out, c->frame_max, p);
}

void rmq_connection_ack(struct rmq_connection *c, uint64_t tag, bool multiple) {
  if (rmq_session_is_up(c->state) &&
      rmq_wire_put_ack(&c->out, tag, multiple) != 0)
    c->has_unsent = true;
}

void rmq_connection_reject(struct rmq_connection *c, uint64_t tag,
                           bool requeue) {
  if (rmq_session_is_up(c->state) &&
      rmq_wire_put_reject(&c->out, tag, requeue) != 0)
    c->has_unsent = true;
}

void rmq_connection_nack(struct rmq_connection *c, uint64_t tag) {
  if (rmq_session_is_up(c->state) && rmq_wire_put_nack(&c->out, tag) != 0)
    c->has_unsent = true;
}

bool rmq_connection_cancel(struct rmq_connection *c) {
  if (!rmq_session_is_up(c->state) || c->consumer_tag[0] == '\0')
    return false;
  c->is_cancelling = true;
  return rmq_wire_put_cancel(&c->out, c->consumer_tag) == 0;
}
