/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/session_log.h"

#include "tests/fake/host.h"
#include "tests/testing.h"

#include <string.h>

static struct fake_host fake;
static struct rmq_session_log l;
static struct rmq_endpoint endpoint;

static int begin(void **state) {
  (void)state;
  fake_host_init(&fake);
  endpoint = (struct rmq_endpoint){"rabbit1", 5672};
  rmq_session_log_init(&l, &fake.host, "rabbitmq_publish", "main");
  return 0;
}

static void change(enum rmq_session_state from, enum rmq_session_state to,
                   enum rmq_session_event event, const char *reason,
                   const char *remedy) {
  const struct rmq_connection_change c = {.from = from,
                                          .to = to,
                                          .event = event,
                                          .endpoint = &endpoint,
                                          .reply_code = 403,
                                          .reason = reason,
                                          .remedy = remedy,
                                          .retry_in = rmq_ms(1500)};
  rmq_session_log_changed(&l, &c, fake.now);
}

static void cannot_connect(const char *reason) {
  change(RMQ_SESSION_CONNECTING, RMQ_SESSION_WAITING, RMQ_SESSION_ON_LINK_DOWN,
         reason, "");
}
static void become_ready(void) {
  change(RMQ_SESSION_OPENING, RMQ_SESSION_READY, RMQ_SESSION_ON_CHANNEL_READY,
         "", "");
}
static void lose(const char *reason) {
  change(RMQ_SESSION_READY, RMQ_SESSION_WAITING, RMQ_SESSION_ON_LINK_DOWN,
         reason, "");
}

static const struct fake_line *last(void) {
  assert_true(fake.lines_count > 0);
  return &fake.lines[fake.lines_count - 1];
}
static bool last_says(const char *text) {
  return strstr(last()->message, text) != NULL;
}

/* ------------------------------------------------------------------------ */

static void a_trouble_is_one_line_with_host_reason_remedy_and_wait(void **s) {
  (void)s;
  change(RMQ_SESSION_LOGIN, RMQ_SESSION_WAITING, RMQ_SESSION_ON_LOGIN_REFUSED,
         "the broker refused the login", "check User and Password");
  assert_int_equal(fake.lines_count, 1);
  assert_int_equal(last()->level, RMQ_LOG_ERROR);
  assert_string_equal(last()->event, "login_refused");
  assert_string_equal(last()->state, "waiting");
  assert_string_equal(last()->message,
                      "rabbit1:5672: the broker refused the login; remedy: "
                      "check User and Password; next attempt in 1.5 s");
}

static void each_kind_of_trouble_has_its_word_and_level(void **state) {
  (void)state;
  static const struct {
    enum rmq_session_state from, to;
    enum rmq_session_event event;
    const char *want_word;
    enum rmq_level want_level;
  } rows[] = {
      {RMQ_SESSION_CONNECTING, RMQ_SESSION_WAITING, RMQ_SESSION_ON_LINK_DOWN,
       "connect_failed", RMQ_LOG_WARNING},
      {RMQ_SESSION_LOGIN, RMQ_SESSION_WAITING, RMQ_SESSION_ON_LINK_DOWN,
       "connect_failed", RMQ_LOG_ERROR},
      {RMQ_SESSION_LOGIN, RMQ_SESSION_WAITING, RMQ_SESSION_ON_LOGIN_REFUSED,
       "login_refused", RMQ_LOG_ERROR},
      {RMQ_SESSION_OPENING, RMQ_SESSION_WAITING, RMQ_SESSION_ON_LOGIN_REFUSED,
       "channel_closed", RMQ_LOG_ERROR},
      {RMQ_SESSION_OPENING, RMQ_SESSION_REOPENING,
       RMQ_SESSION_ON_CHANNEL_CLOSED, "channel_closed", RMQ_LOG_ERROR},
      {RMQ_SESSION_READY, RMQ_SESSION_REOPENING, RMQ_SESSION_ON_CHANNEL_CLOSED,
       "channel_closed", RMQ_LOG_WARNING},
      {RMQ_SESSION_READY, RMQ_SESSION_WAITING, RMQ_SESSION_ON_LINK_DOWN,
       "connection_lost", RMQ_LOG_WARNING},
      {RMQ_SESSION_BLOCKED, RMQ_SESSION_WAITING, RMQ_SESSION_ON_LINK_DOWN,
       "connection_lost", RMQ_LOG_WARNING},
      {RMQ_SESSION_BLOCKED, RMQ_SESSION_WAITING, RMQ_SESSION_ON_LEAVE,
       "blocked_timeout", RMQ_LOG_WARNING},
      {RMQ_SESSION_CLOSING, RMQ_SESSION_WAITING, RMQ_SESSION_ON_LEFT,
       "failback", RMQ_LOG_NOTICE},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].want_word);
    begin(NULL);
    change(rows[i].from, rows[i].to, rows[i].event, "because", "");
    assert_int_equal(fake.lines_count, 1);
    assert_string_equal(last()->event, rows[i].want_word);
    assert_int_equal(last()->level, rows[i].want_level);
  }
}

static void moves_to_another_host_are_counted_by_cause(void **state) {
  (void)state;
  change(RMQ_SESSION_READY, RMQ_SESSION_CLOSING, RMQ_SESSION_ON_LEAVE, "", "");
  assert_int_equal(rmq_session_log_failbacks(&l), 0);
  change(RMQ_SESSION_CLOSING, RMQ_SESSION_WAITING, RMQ_SESSION_ON_LEFT, "", "");
  assert_int_equal(rmq_session_log_failbacks(&l), 1);
  assert_int_equal(rmq_session_log_blocked_timeouts(&l), 0);
  change(RMQ_SESSION_BLOCKED, RMQ_SESSION_WAITING, RMQ_SESSION_ON_LEAVE, "",
         "");
  assert_int_equal(rmq_session_log_failbacks(&l), 1);
  assert_int_equal(rmq_session_log_blocked_timeouts(&l), 1);
}

static void the_same_trouble_is_repeated_less_and_less_often(void **state) {
  (void)state;
  size_t lines[4] = {0};
  for (int minute = 0; minute < 120; minute++) {
    for (int i = 0; i < 60; i++) {
      char reason[80]; /* seconds and ports in it make no other trouble */
      snprintf(reason, sizeof(reason), "no connection within %d s", minute);
      cannot_connect(reason);
      fake_host_advance(&fake, rmq_s(1));
    }
    lines[minute / 30] = fake.lines_count;
  }
  assert_int_equal(lines[0], 6); /* 0, 0.5, 1.5, 3.5, 7.5, 15.5 minutes */
  assert_true(lines[3] - lines[0] <= 2);
  assert_true(last_says(" times since the last such line)"));
}

static void another_trouble_or_another_host_is_a_line_at_once(void **state) {
  (void)state;
  cannot_connect("refused");
  cannot_connect("refused");
  assert_int_equal(fake.lines_count, 1);
  cannot_connect("no route");
  assert_int_equal(fake.lines_count, 2);
  endpoint.host = "rabbit2";
  cannot_connect("refused");
  assert_int_equal(fake.lines_count, 3);
  assert_true(last_says("rabbit2:5672: refused"));
  endpoint.port = 5673;
  cannot_connect("refused");
  assert_int_equal(fake.lines_count, 4);
  endpoint = (struct rmq_endpoint){"rabbit1", 5672};
  cannot_connect("refused");
  assert_int_equal(fake.lines_count, 4);
}

static void many_hosts_that_fail_in_turn_do_not_flood_the_log(void **state) {
  (void)state;
  char name[16];
  for (int round = 0; round < 20; round++)
    for (int i = 0; i < RMQ_SESSION_LOG_TROUBLES; i++) {
      snprintf(name, sizeof(name), "rabbit%d", i);
      endpoint.host = name;
      cannot_connect("refused");
    }
  assert_int_equal(fake.lines_count, RMQ_SESSION_LOG_TROUBLES);
}

static void the_end_of_a_trouble_is_told_once(void **state) {
  (void)state;
  cannot_connect("refused");
  cannot_connect("refused");
  become_ready();
  assert_int_equal(fake.lines_count, 2);
  assert_int_equal(last()->level, RMQ_LOG_NOTICE);
  assert_string_equal(last()->event, "connected");
  assert_string_equal(last()->state, "ready");
  assert_string_equal(last()->message,
                      "connected to rabbit1:5672; the trouble is over");
  become_ready();
  assert_int_equal(fake.lines_count, 2);
}

static void the_first_connection_is_told_without_a_trouble(void **state) {
  (void)state;
  become_ready();
  assert_int_equal(fake.lines_count, 1);
  assert_string_equal(last()->message, "connected to rabbit1:5672");
}

static void a_trouble_after_a_recovery_is_told_again(void **state) {
  (void)state;
  become_ready();
  lose("reset");
  become_ready();
  fake_host_advance(&fake, rmq_s(31));
  lose("reset");
  assert_int_equal(fake.lines_count, 4);
  assert_string_equal(last()->event, "connection_lost");
  become_ready();
  assert_int_equal(fake.lines_count, 5);
}

static void a_connection_that_comes_and_goes_does_not_flood_the_log(void **s) {
  (void)s;
  become_ready();
  for (int second = 0; second < 300; second++) {
    lose("reset");
    become_ready();
    fake_host_advance(&fake, rmq_s(1));
  }
  assert_true(fake.lines_count <= 1 + 2 * 10);
  assert_true(fake.lines_count >= 1 + 2 * 9);
}

static void an_alarm_and_its_end_are_told(void **state) {
  (void)state;
  become_ready();
  change(RMQ_SESSION_READY, RMQ_SESSION_BLOCKED, RMQ_SESSION_ON_BLOCKED,
         "low on memory", "free memory");
  assert_string_equal(last()->event, "blocked");
  assert_int_equal(last()->level, RMQ_LOG_WARNING);
  assert_true(last_says("low on memory; remedy: free memory"));
  change(RMQ_SESSION_BLOCKED, RMQ_SESSION_READY, RMQ_SESSION_ON_UNBLOCKED,
         "the alarm is over", "");
  assert_string_equal(last()->event, "unblocked");
  assert_int_equal(last()->level, RMQ_LOG_NOTICE);
  assert_int_equal(fake.lines_count, 3);
}

static void steps_on_the_way_are_no_lines_but_states(void **state) {
  (void)state;
  static const enum rmq_session_state way[] = {
      RMQ_SESSION_CONNECTING, RMQ_SESSION_LOGIN, RMQ_SESSION_OPENING,
      RMQ_SESSION_CLOSING, RMQ_SESSION_STOPPED};
  assert_int_equal(rmq_session_log_state(&l), RMQ_SESSION_STOPPED);
  for (size_t i = 0; i < COUNT_OF(way); i++) {
    change(RMQ_SESSION_WAITING, way[i], RMQ_SESSION_ON_START, "", "");
    assert_int_equal(rmq_session_log_state(&l), way[i]);
  }
  assert_int_equal(fake.lines_count, 0);
}

static void logins_are_counted(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) {
    change(RMQ_SESSION_LOGIN, RMQ_SESSION_OPENING, RMQ_SESSION_ON_LOGGED_IN, "",
           "");
    become_ready();
    lose("reset");
  }
  assert_int_equal(rmq_session_log_opened(&l), 3);
}

/* A reason may hold whatever a broker sends. */
static void a_long_reason_is_cut_and_harms_nobody(void **state) {
  (void)state;
  static char reason[5000];
  memset(reason, '9', sizeof(reason) - 1);
  memset(reason + 1000, 'x', 3000);
  change(RMQ_SESSION_LOGIN, RMQ_SESSION_WAITING, RMQ_SESSION_ON_LOGIN_REFUSED,
         reason, "check the User");
  assert_int_equal(fake.lines_count, 1);
  assert_true(last_says("rabbit1:5672: 999"));
  assert_true(last_says("999; remedy: check the User; next attempt"));
}

#define TEST(f) cmocka_unit_test_setup(f, begin)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_trouble_is_one_line_with_host_reason_remedy_and_wait),
      TEST(each_kind_of_trouble_has_its_word_and_level),
      TEST(moves_to_another_host_are_counted_by_cause),
      TEST(the_same_trouble_is_repeated_less_and_less_often),
      TEST(another_trouble_or_another_host_is_a_line_at_once),
      TEST(many_hosts_that_fail_in_turn_do_not_flood_the_log),
      TEST(the_end_of_a_trouble_is_told_once),
      TEST(the_first_connection_is_told_without_a_trouble),
      TEST(a_trouble_after_a_recovery_is_told_again),
      TEST(a_connection_that_comes_and_goes_does_not_flood_the_log),
      TEST(an_alarm_and_its_end_are_told),
      TEST(steps_on_the_way_are_no_lines_but_states),
      TEST(logins_are_counted),
      TEST(a_long_reason_is_cut_and_harms_nobody),
  };
  return run_all(tests);
}
