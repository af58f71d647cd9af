/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/session.h"

#include <stddef.h>

#define STEP(next, actions)                                                    \
  { true, RMQ_SESSION_##next, actions }
#define STAY(state)                                                            \
  { true, RMQ_SESSION_##state, RMQ_DO_NOTHING }
#define ILLEGAL(state)                                                         \
  { false, RMQ_SESSION_##state, RMQ_DO_NOTHING }

/*
 * Read it with these rules in mind:
 * - LINK_DOWN is legal everywhere, because it is also the answer to an illegal
 *   event.
 * - A timer may fire late: RETRY_DUE and REOPEN_DUE change nothing where nobody
 *   waits for them, nor does the close deadline (CLOSED) where no link is.
 * - The broker may block and unblock from connection.open-ok on; the connection
 *   remembers it until the channel is ready.
 * - LOSE wherever a channel may have carried something: leaving OPENING, READY,
 *   BLOCKED and, since confirms still count while closing, CLOSING.
 * - LEAVE closes in good order where the broker reads; one with an alarm does
 *   not, and the link is dropped.
 * - Before connection.open-ok there is nobody who would answer a close: STOP
 *   just drops the link.
 */
static const struct rmq_session_step
    steps[RMQ_SESSION_STATES_COUNT][RMQ_SESSION_EVENTS_COUNT] = {
        [RMQ_SESSION_STOPPED] =
            {
                [RMQ_SESSION_ON_START] = STEP(CONNECTING, RMQ_DO_CONNECT),
                [RMQ_SESSION_ON_RETRY_DUE] = STAY(STOPPED),
                [RMQ_SESSION_ON_LINK_UP] = ILLEGAL(STOPPED),
                [RMQ_SESSION_ON_LINK_DOWN] = STAY(STOPPED),
                [RMQ_SESSION_ON_LOGIN_REFUSED] = ILLEGAL(STOPPED),
                [RMQ_SESSION_ON_LOGGED_IN] = ILLEGAL(STOPPED),
                [RMQ_SESSION_ON_CHANNEL_READY] = ILLEGAL(STOPPED),
                [RMQ_SESSION_ON_CHANNEL_CLOSED] = ILLEGAL(STOPPED),
                [RMQ_SESSION_ON_REOPEN_DUE] = STAY(STOPPED),
                [RMQ_SESSION_ON_BLOCKED] = ILLEGAL(STOPPED),
                [RMQ_SESSION_ON_UNBLOCKED] = ILLEGAL(STOPPED),
                [RMQ_SESSION_ON_STOP] = STAY(STOPPED),
                [RMQ_SESSION_ON_CLOSED] = STAY(STOPPED),
                [RMQ_SESSION_ON_LEAVE] = STAY(STOPPED),
                [RMQ_SESSION_ON_LEFT] = STAY(STOPPED),
            },
        [RMQ_SESSION_WAITING] =
            {
                [RMQ_SESSION_ON_START] = STAY(WAITING),
                [RMQ_SESSION_ON_RETRY_DUE] = STEP(CONNECTING, RMQ_DO_CONNECT),
                [RMQ_SESSION_ON_LINK_UP] = ILLEGAL(WAITING),
                [RMQ_SESSION_ON_LINK_DOWN] = STAY(WAITING),
                [RMQ_SESSION_ON_LOGIN_REFUSED] = ILLEGAL(WAITING),
                [RMQ_SESSION_ON_LOGGED_IN] = ILLEGAL(WAITING),
                [RMQ_SESSION_ON_CHANNEL_READY] = ILLEGAL(WAITING),
                [RMQ_SESSION_ON_CHANNEL_CLOSED] = ILLEGAL(WAITING),
                [RMQ_SESSION_ON_REOPEN_DUE] = STAY(WAITING),
                [RMQ_SESSION_ON_BLOCKED] = ILLEGAL(WAITING),
                [RMQ_SESSION_ON_UNBLOCKED] = ILLEGAL(WAITING),
                [RMQ_SESSION_ON_STOP] = STEP(STOPPED, RMQ_DO_NOTHING),
                [RMQ_SESSION_ON_CLOSED] = STAY(WAITING),
                [RMQ_SESSION_ON_LEAVE] = STAY(WAITING),
                [RMQ_SESSION_ON_LEFT] = STAY(WAITING),
            },
        [RMQ_SESSION_CONNECTING] =
            {
                [RMQ_SESSION_ON_START] = STAY(CONNECTING),
                [RMQ_SESSION_ON_RETRY_DUE] = STAY(CONNECTING),
                [RMQ_SESSION_ON_LINK_UP] = STEP(LOGIN, RMQ_DO_LOGIN),
                [RMQ_SESSION_ON_LINK_DOWN] =
                    STEP(WAITING, RMQ_DO_DROP_LINK | RMQ_DO_RETRY),
                [RMQ_SESSION_ON_LOGIN_REFUSED] = ILLEGAL(CONNECTING),
                [RMQ_SESSION_ON_LOGGED_IN] = ILLEGAL(CONNECTING),
                [RMQ_SESSION_ON_CHANNEL_READY] = ILLEGAL(CONNECTING),
                [RMQ_SESSION_ON_CHANNEL_CLOSED] = ILLEGAL(CONNECTING),
                [RMQ_SESSION_ON_REOPEN_DUE] = STAY(CONNECTING),
                [RMQ_SESSION_ON_BLOCKED] = ILLEGAL(CONNECTING),
                [RMQ_SESSION_ON_UNBLOCKED] = ILLEGAL(CONNECTING),
                [RMQ_SESSION_ON_STOP] = STEP(STOPPED, RMQ_DO_DROP_LINK),
                [RMQ_SESSION_ON_CLOSED] = STAY(CONNECTING),
                [RMQ_SESSION_ON_LEAVE] = STAY(CONNECTING),
                [RMQ_SESSION_ON_LEFT] = STAY(CONNECTING),
            },
        [RMQ_SESSION_LOGIN] =
            {
                [RMQ_SESSION_ON_START] = STAY(LOGIN),
                [RMQ_SESSION_ON_RETRY_DUE] = STAY(LOGIN),
                [RMQ_SESSION_ON_LINK_UP] = ILLEGAL(LOGIN),
                [RMQ_SESSION_ON_LINK_DOWN] =
                    STEP(WAITING, RMQ_DO_DROP_LINK | RMQ_DO_RETRY),
                [RMQ_SESSION_ON_LOGIN_REFUSED] =
                    STEP(WAITING, RMQ_DO_DROP_LINK | RMQ_DO_RETRY_LATER),
                [RMQ_SESSION_ON_LOGGED_IN] = STEP(OPENING, RMQ_DO_OPEN_CHANNEL),
                [RMQ_SESSION_ON_CHANNEL_READY] = ILLEGAL(LOGIN),
                [RMQ_SESSION_ON_CHANNEL_CLOSED] = ILLEGAL(LOGIN),
                [RMQ_SESSION_ON_REOPEN_DUE] = STAY(LOGIN),
                [RMQ_SESSION_ON_BLOCKED] = ILLEGAL(LOGIN),
                [RMQ_SESSION_ON_UNBLOCKED] = ILLEGAL(LOGIN),
                [RMQ_SESSION_ON_STOP] = STEP(STOPPED, RMQ_DO_DROP_LINK),
                [RMQ_SESSION_ON_CLOSED] = ILLEGAL(LOGIN),
                [RMQ_SESSION_ON_LEAVE] = STAY(LOGIN),
                [RMQ_SESSION_ON_LEFT] = ILLEGAL(LOGIN),
            },
        [RMQ_SESSION_OPENING] =
            {
                [RMQ_SESSION_ON_START] = STAY(OPENING),
                [RMQ_SESSION_ON_RETRY_DUE] = STAY(OPENING),
                [RMQ_SESSION_ON_LINK_UP] = ILLEGAL(OPENING),
                [RMQ_SESSION_ON_LINK_DOWN] =
                    STEP(WAITING, RMQ_DO_LOSE | RMQ_DO_DROP_LINK |
                                      RMQ_DO_RETRY),
                [RMQ_SESSION_ON_LOGIN_REFUSED] =
                    STEP(WAITING, RMQ_DO_LOSE | RMQ_DO_DROP_LINK |
                                      RMQ_DO_RETRY_LATER),
                [RMQ_SESSION_ON_LOGGED_IN] = ILLEGAL(OPENING),
                [RMQ_SESSION_ON_CHANNEL_READY] = STEP(READY, RMQ_DO_RESUME),
                [RMQ_SESSION_ON_CHANNEL_CLOSED] =
                    STEP(REOPENING, RMQ_DO_LOSE | RMQ_DO_REOPEN_LATER),
                [RMQ_SESSION_ON_REOPEN_DUE] = STAY(OPENING),
                [RMQ_SESSION_ON_BLOCKED] = STAY(OPENING),
                [RMQ_SESSION_ON_UNBLOCKED] = STAY(OPENING),
                [RMQ_SESSION_ON_STOP] = STEP(CLOSING, RMQ_DO_SEND_CLOSE),
                [RMQ_SESSION_ON_CLOSED] = ILLEGAL(OPENING),
                [RMQ_SESSION_ON_LEAVE] = STAY(OPENING),
                [RMQ_SESSION_ON_LEFT] = ILLEGAL(OPENING),
            },
        [RMQ_SESSION_READY] =
            {
                [RMQ_SESSION_ON_START] = STAY(READY),
                [RMQ_SESSION_ON_RETRY_DUE] = STAY(READY),
                [RMQ_SESSION_ON_LINK_UP] = ILLEGAL(READY),
                [RMQ_SESSION_ON_LINK_DOWN] =
                    STEP(WAITING, RMQ_DO_LOSE | RMQ_DO_DROP_LINK |
                                      RMQ_DO_RETRY),
                [RMQ_SESSION_ON_LOGIN_REFUSED] = ILLEGAL(READY),
                [RMQ_SESSION_ON_LOGGED_IN] = ILLEGAL(READY),
                [RMQ_SESSION_ON_CHANNEL_READY] = ILLEGAL(READY),
                [RMQ_SESSION_ON_CHANNEL_CLOSED] =
                    STEP(REOPENING, RMQ_DO_LOSE | RMQ_DO_REOPEN_LATER),
                [RMQ_SESSION_ON_REOPEN_DUE] = STAY(READY),
                [RMQ_SESSION_ON_BLOCKED] = STEP(BLOCKED, RMQ_DO_NOTHING),
                [RMQ_SESSION_ON_UNBLOCKED] = STAY(READY),
                [RMQ_SESSION_ON_STOP] = STEP(CLOSING, RMQ_DO_SEND_CLOSE),
                [RMQ_SESSION_ON_CLOSED] = ILLEGAL(READY),
                [RMQ_SESSION_ON_LEAVE] = STEP(CLOSING, RMQ_DO_SEND_CLOSE),
                [RMQ_SESSION_ON_LEFT] = ILLEGAL(READY),
            },
        [RMQ_SESSION_BLOCKED] =
            {
                [RMQ_SESSION_ON_START] = STAY(BLOCKED),
                [RMQ_SESSION_ON_RETRY_DUE] = STAY(BLOCKED),
                [RMQ_SESSION_ON_LINK_UP] = ILLEGAL(BLOCKED),
                [RMQ_SESSION_ON_LINK_DOWN] =
                    STEP(WAITING, RMQ_DO_LOSE | RMQ_DO_DROP_LINK |
                                      RMQ_DO_RETRY),
                [RMQ_SESSION_ON_LOGIN_REFUSED] = ILLEGAL(BLOCKED),
                [RMQ_SESSION_ON_LOGGED_IN] = ILLEGAL(BLOCKED),
                [RMQ_SESSION_ON_CHANNEL_READY] = ILLEGAL(BLOCKED),
                [RMQ_SESSION_ON_CHANNEL_CLOSED] =
                    STEP(REOPENING, RMQ_DO_LOSE | RMQ_DO_REOPEN_LATER),
                [RMQ_SESSION_ON_REOPEN_DUE] = STAY(BLOCKED),
                [RMQ_SESSION_ON_BLOCKED] = STAY(BLOCKED),
                [RMQ_SESSION_ON_UNBLOCKED] = STEP(READY, RMQ_DO_RESUME),
                [RMQ_SESSION_ON_STOP] = STEP(CLOSING, RMQ_DO_SEND_CLOSE),
                [RMQ_SESSION_ON_CLOSED] = ILLEGAL(BLOCKED),
                [RMQ_SESSION_ON_LEAVE] =
                    STEP(WAITING, RMQ_DO_LOSE | RMQ_DO_DROP_LINK |
                                      RMQ_DO_RETRY_ELSEWHERE),
                [RMQ_SESSION_ON_LEFT] = ILLEGAL(BLOCKED),
            },
        [RMQ_SESSION_REOPENING] =
            {
                [RMQ_SESSION_ON_START] = STAY(REOPENING),
                [RMQ_SESSION_ON_RETRY_DUE] = STAY(REOPENING),
                [RMQ_SESSION_ON_LINK_UP] = ILLEGAL(REOPENING),
                [RMQ_SESSION_ON_LINK_DOWN] =
                    STEP(WAITING, RMQ_DO_DROP_LINK | RMQ_DO_RETRY),
                [RMQ_SESSION_ON_LOGIN_REFUSED] = ILLEGAL(REOPENING),
                [RMQ_SESSION_ON_LOGGED_IN] = ILLEGAL(REOPENING),
                [RMQ_SESSION_ON_CHANNEL_READY] = ILLEGAL(REOPENING),
                /* a cancel and the broker's channel.close can cross */
                [RMQ_SESSION_ON_CHANNEL_CLOSED] = STAY(REOPENING),
                [RMQ_SESSION_ON_REOPEN_DUE] =
                    STEP(OPENING, RMQ_DO_OPEN_CHANNEL),
                [RMQ_SESSION_ON_BLOCKED] = STAY(REOPENING),
                [RMQ_SESSION_ON_UNBLOCKED] = STAY(REOPENING),
                [RMQ_SESSION_ON_STOP] = STEP(CLOSING, RMQ_DO_SEND_CLOSE),
                [RMQ_SESSION_ON_CLOSED] = ILLEGAL(REOPENING),
                [RMQ_SESSION_ON_LEAVE] = STAY(REOPENING),
                [RMQ_SESSION_ON_LEFT] = ILLEGAL(REOPENING),
            },
        /* What the broker wrote before it read our close still arrives. */
        [RMQ_SESSION_CLOSING] =
            {
                [RMQ_SESSION_ON_START] = ILLEGAL(CLOSING),
                [RMQ_SESSION_ON_RETRY_DUE] = STAY(CLOSING),
                [RMQ_SESSION_ON_LINK_UP] = ILLEGAL(CLOSING),
                [RMQ_SESSION_ON_LINK_DOWN] =
                    STEP(STOPPED, RMQ_DO_LOSE | RMQ_DO_DROP_LINK),
                [RMQ_SESSION_ON_LOGIN_REFUSED] =
                    STEP(STOPPED, RMQ_DO_LOSE | RMQ_DO_DROP_LINK),
                [RMQ_SESSION_ON_LOGGED_IN] = ILLEGAL(CLOSING),
                [RMQ_SESSION_ON_CHANNEL_READY] = STAY(CLOSING),
                [RMQ_SESSION_ON_CHANNEL_CLOSED] = STAY(CLOSING),
                [RMQ_SESSION_ON_REOPEN_DUE] = STAY(CLOSING),
                [RMQ_SESSION_ON_BLOCKED] = STAY(CLOSING),
                [RMQ_SESSION_ON_UNBLOCKED] = STAY(CLOSING),
                [RMQ_SESSION_ON_STOP] = STAY(CLOSING),
                [RMQ_SESSION_ON_CLOSED] =
                    STEP(STOPPED, RMQ_DO_LOSE | RMQ_DO_DROP_LINK),
                [RMQ_SESSION_ON_LEAVE] = STAY(CLOSING),
                [RMQ_SESSION_ON_LEFT] =
                    STEP(WAITING, RMQ_DO_LOSE | RMQ_DO_DROP_LINK |
                                      RMQ_DO_RETRY_ELSEWHERE),
            },
};

struct rmq_session_step rmq_session_step(enum rmq_session_state state,
                                         enum rmq_session_event event) {
  return steps[state][event];
}

const char *rmq_session_state_to_str(enum rmq_session_state s) {
  switch (s) {
#define RMQ_X(name, number, text, up, meaning)                                 \
  case RMQ_SESSION_##name:                                                     \
    return text;
    RMQ_SESSION_STATES(RMQ_X)
#undef RMQ_X
  }
  return "unknown";
}

const char *rmq_session_state_meaning(enum rmq_session_state s) {
  switch (s) {
#define RMQ_X(name, number, text, up, meaning)                                 \
  case RMQ_SESSION_##name:                                                     \
    return meaning;
    RMQ_SESSION_STATES(RMQ_X)
#undef RMQ_X
  }
  return "unknown";
}

bool rmq_session_is_up(enum rmq_session_state s) {
  switch (s) {
#define RMQ_X(name, number, text, up, meaning)                                 \
  case RMQ_SESSION_##name:                                                     \
    return up;
    RMQ_SESSION_STATES(RMQ_X)
#undef RMQ_X
  }
  return false;
}

const char *rmq_session_event_to_str(enum rmq_session_event e) {
  switch (e) {
#define RMQ_X(name, text)                                                      \
  case RMQ_SESSION_ON_##name:                                                  \
    return text;
    RMQ_SESSION_EVENTS(RMQ_X)
#undef RMQ_X
  }
  return "unknown";
}
