/* SPDX-License-Identifier: MIT */
/*
 * The life of one AMQP session as a table: (state, event) -> next state and
 * what to do. One session lives through many TCP connections. The table is
 * data; who performs the actions is amqp/connection.
 */
#ifndef RMQ_BASE_SESSION_H
#define RMQ_BASE_SESSION_H

#include <stdbool.h>

/* X(enum suffix, number in gauge-state, name, publishing and consuming
 *   possible, meaning) */
#define RMQ_SESSION_STATES(X)                                                  \
  X(STOPPED, 0, "stopped", false, "not started, or ended")                     \
  X(WAITING, 1, "waiting", false, "backing off before the next attempt")       \
  X(CONNECTING, 2, "connecting", false, "resolving, TCP and TLS")              \
  X(LOGIN, 3, "login", false, "AMQP handshake and authentication")             \
  X(OPENING, 4, "opening", false,                                              \
    "opening the channel, declaring the topology")                             \
  X(READY, 5, "ready", true, "publishing or consuming")                        \
  X(BLOCKED, 6, "blocked", true,                                               \
    "connected, the broker has an alarm and takes no messages")                \
  X(REOPENING, 7, "reopening", false,                                          \
    "the broker closed the channel; waiting before opening it again")          \
  X(CLOSING, 8, "closing", false, "close sent, waiting for close-ok")

enum rmq_session_state {
#define RMQ_X(name, number, text, up, meaning) RMQ_SESSION_##name = number,
  RMQ_SESSION_STATES(RMQ_X)
#undef RMQ_X
};
enum { RMQ_SESSION_STATES_COUNT = 9 };
const char *rmq_session_state_to_str(enum rmq_session_state s);
const char *rmq_session_state_meaning(enum rmq_session_state s);
/* A channel is open and configured (READY or BLOCKED). */
bool rmq_session_is_up(enum rmq_session_state s);

/* X(enum suffix, text) */
#define RMQ_SESSION_EVENTS(X)                                                  \
  X(START, "start")                                                            \
  X(RETRY_DUE, "retry due")                                                    \
  X(LINK_UP, "link up")                                                        \
  X(LINK_DOWN, "link down")           /* refused, reset, silent, time-out */   \
  X(LOGIN_REFUSED, "login refused")   /* 403, 530, 504 before open-ok; a       \
                                         connection.close that refuses the     \
                                         topology (503 unknown type) */        \
  X(LOGGED_IN, "logged in")           /* connection.open-ok */                 \
  X(CHANNEL_READY, "channel ready")   /* topology done, mode set */            \
  X(CHANNEL_CLOSED, "channel closed") /* channel.close or consumer cancel */   \
  X(REOPEN_DUE, "reopen due")                                                  \
  X(BLOCKED, "blocked")                                                        \
  X(UNBLOCKED, "unblocked")                                                    \
  X(STOP, "stop")                                                              \
  X(CLOSED, "closed") /* close-ok, or the close deadline */                    \
  X(LEAVE, "leave")   /* our own wish to be at another host */                 \
  X(LEFT, "left")     /* as CLOSED, when the close was for that wish */

enum rmq_session_event {
#define RMQ_X(name, text) RMQ_SESSION_ON_##name,
  RMQ_SESSION_EVENTS(RMQ_X)
#undef RMQ_X
};
enum { RMQ_SESSION_EVENTS_COUNT = 15 };
const char *rmq_session_event_to_str(enum rmq_session_event e);

/* Bits; performed in this order. */
enum rmq_session_action {
  RMQ_DO_NOTHING = 0,
  RMQ_DO_LOSE = 1 << 0,            /* what is in flight or unacked is unknown */
  RMQ_DO_DROP_LINK = 1 << 1,       /* close the socket now */
  RMQ_DO_RETRY = 1 << 2,           /* schedule RETRY_DUE by backoff */
  RMQ_DO_RETRY_LATER = 1 << 3,     /* schedule RETRY_DUE after the long delay */
  RMQ_DO_CONNECT = 1 << 4,         /* open a link to the chosen host */
  RMQ_DO_LOGIN = 1 << 5,           /* send the AMQP header */
  RMQ_DO_OPEN_CHANNEL = 1 << 6,    /* channel.open, then topology */
  RMQ_DO_REOPEN_LATER = 1 << 7,    /* schedule REOPEN_DUE */
  RMQ_DO_RESUME = 1 << 8,          /* the role may publish or consume */
  RMQ_DO_SEND_CLOSE = 1 << 9,      /* connection.close, with a deadline */
  RMQ_DO_RETRY_ELSEWHERE = 1 << 10 /* schedule RETRY_DUE, host and delay being
                                      chosen already */
};

struct rmq_session_step {
  bool is_legal;               /* false: a protocol error or a bug; the
                                  connection is dropped as by LINK_DOWN,
                                  which is legal in every state */
  enum rmq_session_state next; /* meaningful when legal */
  unsigned actions;
};
/* Every pair of state and event has a row. */
struct rmq_session_step rmq_session_step(enum rmq_session_state state,
                                         enum rmq_session_event event);

#endif
