/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/session.h"

#include "tests/testing.h"

#include <stdbool.h>
#include <string.h>

enum { STATES = RMQ_SESSION_STATES_COUNT, EVENTS = RMQ_SESSION_EVENTS_COUNT };

static const enum rmq_session_state states[] = {
#define X(name, number, text, up, meaning) RMQ_SESSION_##name,
    RMQ_SESSION_STATES(X)
#undef X
};
static const enum rmq_session_event events[] = {
#define X(name, text) RMQ_SESSION_ON_##name,
    RMQ_SESSION_EVENTS(X)
#undef X
};

/* One letter per state: S stopped, W waiting, C connecting, L login, O opening,
 * R ready, B blocked, A reopening (again), E closing (end). Upper case = the
 * next state, '.' = legal and nothing changes, '!' = illegal. */
static const char letters[] = "SWCLORBAE";

static const char *const want_next[STATES] = {
    /* START, RETRY_DUE, LINK_UP, LINK_DOWN, LOGIN_REFUSED, LOGGED_IN,
     * CHANNEL_READY, CHANNEL_CLOSED, REOPEN_DUE, BLOCKED, UNBLOCKED, STOP,
     * CLOSED, LEAVE, LEFT */
    [RMQ_SESSION_STOPPED] = "C.!.!!!!.!!....",
    [RMQ_SESSION_WAITING] = ".C!.!!!!.!!S...",
    [RMQ_SESSION_CONNECTING] = "..LW!!!!.!!S...",
    [RMQ_SESSION_LOGIN] = "..!WWO!!.!!S!.!",
    [RMQ_SESSION_OPENING] = "..!WW!RA...E!.!",
    [RMQ_SESSION_READY] = "..!W!!!A.B.E!E!",
    [RMQ_SESSION_BLOCKED] = "..!W!!!A..RE!W!",
    [RMQ_SESSION_REOPENING] = "..!W!!!.O..E!.!",
    [RMQ_SESSION_CLOSING] = "!.!SS!......S.W",
};

/* Every step that does something; all others do nothing. */
static const struct {
  enum rmq_session_state state;
  enum rmq_session_event event;
  unsigned want;
} want_actions[] = {
    {RMQ_SESSION_STOPPED, RMQ_SESSION_ON_START, RMQ_DO_CONNECT},
    {RMQ_SESSION_WAITING, RMQ_SESSION_ON_RETRY_DUE, RMQ_DO_CONNECT},
    {RMQ_SESSION_CONNECTING, RMQ_SESSION_ON_LINK_UP, RMQ_DO_LOGIN},
    {RMQ_SESSION_CONNECTING, RMQ_SESSION_ON_LINK_DOWN,
     RMQ_DO_DROP_LINK | RMQ_DO_RETRY},
    {RMQ_SESSION_CONNECTING, RMQ_SESSION_ON_STOP, RMQ_DO_DROP_LINK},
    {RMQ_SESSION_LOGIN, RMQ_SESSION_ON_LINK_DOWN,
     RMQ_DO_DROP_LINK | RMQ_DO_RETRY},
    {RMQ_SESSION_LOGIN, RMQ_SESSION_ON_LOGIN_REFUSED,
     RMQ_DO_DROP_LINK | RMQ_DO_RETRY_LATER},
    {RMQ_SESSION_LOGIN, RMQ_SESSION_ON_LOGGED_IN, RMQ_DO_OPEN_CHANNEL},
    {RMQ_SESSION_LOGIN, RMQ_SESSION_ON_STOP, RMQ_DO_DROP_LINK},
    {RMQ_SESSION_OPENING, RMQ_SESSION_ON_LINK_DOWN,
     RMQ_DO_LOSE | RMQ_DO_DROP_LINK | RMQ_DO_RETRY},
    {RMQ_SESSION_OPENING, RMQ_SESSION_ON_LOGIN_REFUSED,
     RMQ_DO_LOSE | RMQ_DO_DROP_LINK | RMQ_DO_RETRY_LATER},
    {RMQ_SESSION_OPENING, RMQ_SESSION_ON_CHANNEL_READY, RMQ_DO_RESUME},
    {RMQ_SESSION_OPENING, RMQ_SESSION_ON_CHANNEL_CLOSED,
     RMQ_DO_LOSE | RMQ_DO_REOPEN_LATER},
    {RMQ_SESSION_OPENING, RMQ_SESSION_ON_STOP, RMQ_DO_SEND_CLOSE},
    {RMQ_SESSION_READY, RMQ_SESSION_ON_LINK_DOWN,
     RMQ_DO_LOSE | RMQ_DO_DROP_LINK | RMQ_DO_RETRY},
    {RMQ_SESSION_READY, RMQ_SESSION_ON_CHANNEL_CLOSED,
     RMQ_DO_LOSE | RMQ_DO_REOPEN_LATER},
    {RMQ_SESSION_READY, RMQ_SESSION_ON_STOP, RMQ_DO_SEND_CLOSE},
    {RMQ_SESSION_BLOCKED, RMQ_SESSION_ON_LINK_DOWN,
     RMQ_DO_LOSE | RMQ_DO_DROP_LINK | RMQ_DO_RETRY},
    {RMQ_SESSION_BLOCKED, RMQ_SESSION_ON_CHANNEL_CLOSED,
     RMQ_DO_LOSE | RMQ_DO_REOPEN_LATER},
    {RMQ_SESSION_BLOCKED, RMQ_SESSION_ON_UNBLOCKED, RMQ_DO_RESUME},
    {RMQ_SESSION_BLOCKED, RMQ_SESSION_ON_STOP, RMQ_DO_SEND_CLOSE},
    {RMQ_SESSION_REOPENING, RMQ_SESSION_ON_LINK_DOWN,
     RMQ_DO_DROP_LINK | RMQ_DO_RETRY},
    {RMQ_SESSION_REOPENING, RMQ_SESSION_ON_REOPEN_DUE, RMQ_DO_OPEN_CHANNEL},
    {RMQ_SESSION_REOPENING, RMQ_SESSION_ON_STOP, RMQ_DO_SEND_CLOSE},
    {RMQ_SESSION_CLOSING, RMQ_SESSION_ON_LINK_DOWN,
     RMQ_DO_LOSE | RMQ_DO_DROP_LINK},
    {RMQ_SESSION_CLOSING, RMQ_SESSION_ON_LOGIN_REFUSED,
     RMQ_DO_LOSE | RMQ_DO_DROP_LINK},
    {RMQ_SESSION_CLOSING, RMQ_SESSION_ON_CLOSED,
     RMQ_DO_LOSE | RMQ_DO_DROP_LINK},
    {RMQ_SESSION_READY, RMQ_SESSION_ON_LEAVE, RMQ_DO_SEND_CLOSE},
    {RMQ_SESSION_BLOCKED, RMQ_SESSION_ON_LEAVE,
     RMQ_DO_LOSE | RMQ_DO_DROP_LINK | RMQ_DO_RETRY_ELSEWHERE},
    {RMQ_SESSION_CLOSING, RMQ_SESSION_ON_LEFT,
     RMQ_DO_LOSE | RMQ_DO_DROP_LINK | RMQ_DO_RETRY_ELSEWHERE},
};

static unsigned want_actions_of(enum rmq_session_state s,
                                enum rmq_session_event e) {
  for (size_t i = 0; i < COUNT_OF(want_actions); i++) {
    if (want_actions[i].state == s && want_actions[i].event == e)
      return want_actions[i].want;
  }
  return RMQ_DO_NOTHING;
}

static void show(enum rmq_session_state s, enum rmq_session_event e) {
  SHOW_ROW("%s + %s", rmq_session_state_to_str(s), rmq_session_event_to_str(e));
}

static void the_counts_match_the_lists(void **state) {
  (void)state;
  assert_int_equal(COUNT_OF(states), STATES);
  assert_int_equal(COUNT_OF(events), EVENTS);
  assert_int_equal(strlen(letters), STATES);
  for (size_t i = 0; i < STATES; i++) {
    assert_int_equal(states[i], i);
    assert_int_equal(strlen(want_next[i]), EVENTS);
  }
}

static void every_state_and_event_is_as_expected(void **state) {
  (void)state;
  for (size_t s = 0; s < STATES; s++) {
    for (size_t e = 0; e < EVENTS; e++) {
      show(states[s], events[e]);
      struct rmq_session_step step = rmq_session_step(states[s], events[e]);
      char want = want_next[s][e];
      char stay = letters[s];
      assert_int_equal(step.is_legal, want != '!');
      assert_int_equal(letters[step.next],
                       want == '.' || want == '!' ? stay : want);
      assert_int_equal(step.actions, want_actions_of(states[s], events[e]));
    }
  }
}

/* The reaction to an illegal event is that to LINK_DOWN. */
static void a_link_may_go_down_in_every_state(void **state) {
  (void)state;
  for (size_t s = 0; s < STATES; s++) {
    show(states[s], RMQ_SESSION_ON_LINK_DOWN);
    struct rmq_session_step step =
        rmq_session_step(states[s], RMQ_SESSION_ON_LINK_DOWN);
    assert_true(step.is_legal);
    bool ends =
        states[s] == RMQ_SESSION_STOPPED || states[s] == RMQ_SESSION_CLOSING;
    assert_int_equal(step.next,
                     ends ? RMQ_SESSION_STOPPED : RMQ_SESSION_WAITING);
  }
}

static bool has_link(enum rmq_session_state s) {
  return s != RMQ_SESSION_STOPPED && s != RMQ_SESSION_WAITING;
}

/* In flight or unacked there may be something. */
static bool has_channel(enum rmq_session_state s) {
  return s == RMQ_SESSION_OPENING || rmq_session_is_up(s) ||
         s == RMQ_SESSION_CLOSING;
}

static void leaving_a_channel_always_loses_what_was_on_it(void **state) {
  (void)state;
  for (size_t s = 0; s < STATES; s++) {
    for (size_t e = 0; e < EVENTS; e++) {
      struct rmq_session_step step = rmq_session_step(states[s], events[e]);
      show(states[s], events[e]);
      bool leaves =
          step.is_legal && has_channel(states[s]) && !has_channel(step.next);
      assert_int_equal((step.actions & RMQ_DO_LOSE) != 0, leaves);
    }
  }
}

static void a_link_is_dropped_exactly_when_it_is_no_longer_used(void **state) {
  (void)state;
  for (size_t s = 0; s < STATES; s++) {
    for (size_t e = 0; e < EVENTS; e++) {
      struct rmq_session_step step = rmq_session_step(states[s], events[e]);
      show(states[s], events[e]);
      bool drops = has_link(states[s]) && !has_link(step.next);
      assert_int_equal((step.actions & RMQ_DO_DROP_LINK) != 0, drops);
    }
  }
}

static void who_waits_has_a_timer_and_only_who_waits(void **state) {
  (void)state;
  const unsigned retry =
      RMQ_DO_RETRY | RMQ_DO_RETRY_LATER | RMQ_DO_RETRY_ELSEWHERE;
  for (size_t s = 0; s < STATES; s++) {
    for (size_t e = 0; e < EVENTS; e++) {
      struct rmq_session_step step = rmq_session_step(states[s], events[e]);
      show(states[s], events[e]);
      bool moves = step.next != states[s];
      assert_int_equal((step.actions & retry) != 0,
                       moves && step.next == RMQ_SESSION_WAITING);
      unsigned timers = step.actions & retry;
      assert_int_equal(timers & (timers - 1), 0); /* one at most */
      assert_int_equal((step.actions & RMQ_DO_REOPEN_LATER) != 0,
                       moves && step.next == RMQ_SESSION_REOPENING);
      assert_int_equal((step.actions & RMQ_DO_SEND_CLOSE) != 0,
                       moves && step.next == RMQ_SESSION_CLOSING);
    }
  }
}

static void stop_ends_every_session_and_asks_only_who_can_answer(void **state) {
  (void)state;
  static const enum rmq_session_state want[STATES] = {
      [RMQ_SESSION_STOPPED] = RMQ_SESSION_STOPPED,
      [RMQ_SESSION_WAITING] = RMQ_SESSION_STOPPED,
      [RMQ_SESSION_CONNECTING] = RMQ_SESSION_STOPPED,
      [RMQ_SESSION_LOGIN] = RMQ_SESSION_STOPPED,
      [RMQ_SESSION_OPENING] = RMQ_SESSION_CLOSING,
      [RMQ_SESSION_READY] = RMQ_SESSION_CLOSING,
      [RMQ_SESSION_BLOCKED] = RMQ_SESSION_CLOSING,
      [RMQ_SESSION_REOPENING] = RMQ_SESSION_CLOSING,
      [RMQ_SESSION_CLOSING] = RMQ_SESSION_CLOSING,
  };
  for (size_t s = 0; s < STATES; s++) {
    struct rmq_session_step step =
        rmq_session_step(states[s], RMQ_SESSION_ON_STOP);
    show(states[s], RMQ_SESSION_ON_STOP);
    assert_true(step.is_legal);
    assert_int_equal(step.next, want[s]);
  }
}

static void late_timers_change_nothing(void **state) {
  (void)state;
  for (size_t s = 0; s < STATES; s++) {
    static const struct {
      enum rmq_session_event timer;
      enum rmq_session_state waiting;
    } timers[] = {
        {RMQ_SESSION_ON_RETRY_DUE, RMQ_SESSION_WAITING},
        {RMQ_SESSION_ON_REOPEN_DUE, RMQ_SESSION_REOPENING},
    };
    for (size_t t = 0; t < COUNT_OF(timers); t++) {
      if (states[s] == timers[t].waiting)
        continue;
      show(states[s], timers[t].timer);
      struct rmq_session_step step =
          rmq_session_step(states[s], timers[t].timer);
      assert_true(step.is_legal);
      assert_int_equal(step.next, states[s]);
      assert_int_equal(step.actions, RMQ_DO_NOTHING);
    }
  }
}

static bool reaches(enum rmq_session_state from, enum rmq_session_state to) {
  bool seen[STATES] = {false};
  seen[from] = true;
  for (size_t round = 0; round < STATES; round++) {
    for (size_t s = 0; s < STATES; s++) {
      for (size_t e = 0; seen[s] && e < EVENTS; e++) {
        struct rmq_session_step step = rmq_session_step(states[s], events[e]);
        if (step.is_legal)
          seen[step.next] = true;
      }
    }
  }
  return seen[to];
}

static void no_state_is_a_trap(void **state) {
  (void)state;
  for (size_t from = 0; from < STATES; from++) {
    for (size_t to = 0; to < STATES; to++) {
      SHOW_ROW("%s -> %s", rmq_session_state_to_str(states[from]),
               rmq_session_state_to_str(states[to]));
      assert_true(reaches(states[from], states[to]));
    }
  }
}

/* Seen from the role: LOSE comes before the next RESUME, always. */
static void a_channel_is_resumed_only_after_the_old_one_was_lost(void **state) {
  (void)state;
  for (size_t s = 0; s < STATES; s++) {
    for (size_t e = 0; e < EVENTS; e++) {
      struct rmq_session_step step = rmq_session_step(states[s], events[e]);
      show(states[s], events[e]);
      bool resumes = step.actions & RMQ_DO_RESUME;
      assert_int_equal(resumes, step.next == RMQ_SESSION_READY &&
                                    states[s] != RMQ_SESSION_READY);
      if (step.actions & RMQ_DO_OPEN_CHANNEL)
        assert_false(has_channel(states[s]));
    }
  }
}

static void every_state_and_event_has_its_own_text(void **state) {
  (void)state;
  for (size_t a = 0; a < STATES; a++) {
    assert_true(strlen(rmq_session_state_to_str(states[a])) > 0);
    assert_true(strlen(rmq_session_state_meaning(states[a])) > 0);
    for (size_t b = 0; b < a; b++) {
      assert_string_not_equal(rmq_session_state_to_str(states[a]),
                              rmq_session_state_to_str(states[b]));
      assert_string_not_equal(rmq_session_state_meaning(states[a]),
                              rmq_session_state_meaning(states[b]));
    }
  }
  for (size_t a = 0; a < EVENTS; a++) {
    assert_true(strlen(rmq_session_event_to_str(events[a])) > 0);
    for (size_t b = 0; b < a; b++)
      assert_string_not_equal(rmq_session_event_to_str(events[a]),
                              rmq_session_event_to_str(events[b]));
  }
}

static void only_ready_and_blocked_are_up(void **state) {
  (void)state;
  for (size_t s = 0; s < STATES; s++)
    assert_int_equal(rmq_session_is_up(states[s]),
                     states[s] == RMQ_SESSION_READY ||
                         states[s] == RMQ_SESSION_BLOCKED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_counts_match_the_lists),
      cmocka_unit_test(every_state_and_event_is_as_expected),
      cmocka_unit_test(a_link_may_go_down_in_every_state),
      cmocka_unit_test(leaving_a_channel_always_loses_what_was_on_it),
      cmocka_unit_test(a_link_is_dropped_exactly_when_it_is_no_longer_used),
      cmocka_unit_test(who_waits_has_a_timer_and_only_who_waits),
      cmocka_unit_test(stop_ends_every_session_and_asks_only_who_can_answer),
      cmocka_unit_test(late_timers_change_nothing),
      cmocka_unit_test(no_state_is_a_trap),
      cmocka_unit_test(a_channel_is_resumed_only_after_the_old_one_was_lost),
      cmocka_unit_test(every_state_and_event_has_its_own_text),
      cmocka_unit_test(only_ready_and_blocked_are_up),
  };
  return run_all(tests);
}
