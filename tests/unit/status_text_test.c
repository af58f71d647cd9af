/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/utf8.h"
#include "common/role/status_cell.h"
#include "common/role/status_text.h"
#include "tests/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 2026-11-23 02:10:05 UTC */
#define NOW_S INT64_C(1795399805)

static struct rmq_status_report *new_report(void) {
  struct rmq_status_report *r = calloc(1, sizeof(*r));
  static const char *const texts[] = {
      "the management API answers in 0.01 s, 12 connections, 3 nodes run",
      "11 messages ready or unacknowledged in the worst queue",
      "0 % of the operations failed", "memory at 41 % of the limit",
      "120 messages published per second, 118 delivered"};
  assert_non_null(r);
  snprintf(r->cluster, sizeof(r->cluster), "main");
  r->time.ns = NOW_S * RMQ_NS_PER_S;
  r->is_answered = true;
  for (int i = 0; i < RMQ_STATUS_INDICATORS; i++) {
    struct rmq_status_indicator *x = &r->indicators[i];
    x->indicator = (enum rmq_verdict_indicator)i;
    x->since.ns = (NOW_S - 60) * RMQ_NS_PER_S;
    snprintf(x->text, sizeof(x->text), "%s", texts[i]);
  }
  return r;
}

static void set(struct rmq_status_report *r, enum rmq_verdict_indicator i,
                enum rmq_verdict_state state, bool is_older, const char *text) {
  struct rmq_status_indicator *x = &r->indicators[i];
  x->state = state;
  x->is_older = is_older;
  snprintf(x->text, sizeof(x->text), "%s", text);
  r->state = rmq_status_worse(r->state, state);
}

static void add_node(struct rmq_status_report *r, const char *name,
                     double running, double memory) {
  struct rmq_status_node *n = &r->nodes[r->nodes_count++];
  *n = (struct rmq_status_node){.running = running,
                                .memory = memory,
                                .memory_limit = 1 << 30,
                                .disk_free = 20.0 * (1 << 30),
                                .disk_limit = 5e7,
                                .file_handles = 3,
                                .processes = 1,
                                .cpu = NAN};
  if (running <= 0)
    n->memory_limit = n->disk_free = n->file_handles = n->processes = NAN;
  snprintf(n->name, sizeof(n->name), "%s", name);
}

static void add_queue(struct rmq_status_report *r, const char *vhost,
                      const char *name, double ready, double growth,
                      double drain, double consumers) {
  struct rmq_status_queue *q = &r->queues[r->queues_count++];
  *q = (struct rmq_status_queue){.ready = ready,
                                 .unacked = 4,
                                 .growth = growth,
                                 .drain = drain,
                                 .consumers = consumers,
                                 .head_age = NAN};
  snprintf(q->vhost, sizeof(q->vhost), "%s", vhost);
  snprintf(q->name, sizeof(q->name), "%s", name);
  r->queues_seen = 12;
  r->queues_filled = r->queues_count;
}

static void expect(const struct rmq_status_report *r,
                   struct rmq_status_style style, const char *want) {
  struct rmq_buf out;
  rmq_buf_init(&out, 64 * 1024);
  rmq_status_text(r, &style, &out);
  assert_string_equal(rmq_buf_text(&out), want);
  rmq_buf_fini(&out);
}

static void all_is_well_in_plain_text(void **state) {
  struct rmq_status_report *r = new_report();
  (void)state;
  r->queues_seen = 12;
  expect(
      r, (struct rmq_status_style){.utc_offset_s = 3600},
      "2026-11-23 03:10:05  cluster main\n"
      "all five are well\n"
      "\n"
      "connection  OK       the management API answers in 0.01 s, 12 "
      "connections, 3 nodes run\n"
      "lag         OK       11 messages ready or unacknowledged in the worst "
      "queue\n"
      "errors      OK       0 % of the operations failed\n"
      "resource    OK       memory at 41 % of the limit\n"
      "throughput  OK       120 messages published per second, 118 "
      "delivered\n"
      "\n"
      "12 queues, all of them empty\n");
  free(r);
}

static void what_is_wrong_stands_in_the_headline_and_the_tables(void **state) {
  struct rmq_status_report *r = new_report();
  (void)state;
  set(r, RMQ_VERDICT_LAG, RMQ_VERDICT_CRITICAL, false,
      "queue orders in vhost /: 61234 messages ready or unacknowledged");
  set(r, RMQ_VERDICT_ERRORS, RMQ_VERDICT_UNKNOWN, true,
      "the broker does not tell it");
  set(r, RMQ_VERDICT_RESOURCE, RMQ_VERDICT_WARNING, true,
      "node rabbit@a: memory at 81 % of the limit");
  add_node(r, "rabbit@a", 1, 81);
  add_node(r, "rabbit@b", 0, NAN);
  add_queue(r, "/", "orders", 61230, 20, NAN, 0);
  add_queue(r, "shop", "mails", 17, -1, 17, 3);
  add_queue(r, "shops", "unknown", NAN, NAN, NAN, NAN);
  r->queues_filled = 5;
  r->notes_count = 1;
  snprintf(r->notes[0].text, sizeof(r->notes[0].text),
           "node rabbit@b: no answer");
  /* clang-format off */
  expect(r, (struct rmq_status_style){.width = 80, .is_utf8 = true},
      "2026-11-23 02:10:05  cluster main\n"
      "lag FAILURE since 02:09:05: queue orders in vhost /: 61234 messages ready or\n"
      "unacknowledged; also WARNING: resource; not known: errors\n"
      "\n"
      "connection  OK       the management API answers in 0.01 s, 12 connections, 3 no\u2026\n"
      "lag         FAILURE  queue orders in vhost /: 61234 messages ready or unacknowl\u2026\n"
      "errors      UNKNOWN  the broker does not tell it\n"
      "resource    WARNING  node rabbit@a: memory at 81 % of the limit\n"
      "throughput  OK       120 messages published per second, 118 delivered\n"
      "\n"
      "NODE            STATE  MEMORY        OF  DISK FREE    FDS  PROCS    CPU\n"
      "rabbit@a         runs    81 %   1.0 GiB     20 GiB    3 %    1 %      -\n"
      "rabbit@b         down       -         -          -      -      -      -\n"
      "\n"
      "WORST QUEUES         READY   UNACKED   PER MIN  DRAINED  CONSUMERS   OLDEST\n"
      "orders in /          61230         4     +1200    never          0        -\n"
      "mails in shop           17         4       -60     17 s          3        -\n"
      "unknown in shops         -         4         -        -          -        -\n"
      "and 2 more with messages, of 12 queues\n"
      "\n"
      "! node rabbit@b: no answer\n");
  /* clang-format on */
  free(r);
}

/* The one line that a person needs is never cut, nor said twice. */
static void a_cause_stands_once_and_whole(void **state) {
  struct rmq_status_report *r = new_report();
  (void)state;
  r->is_answered = false;
  set(r, RMQ_VERDICT_CONNECTION, RMQ_VERDICT_CRITICAL, true,
      "refused: HTTP 401 (Login failed) from http://rabbit1:15672; no password "
      "was given (--password-file or WARREN_PASSWORD)");
  for (int i = RMQ_VERDICT_LAG; i < RMQ_STATUS_INDICATORS; i++)
    set(r, (enum rmq_verdict_indicator)i, RMQ_VERDICT_UNKNOWN, true,
        "not known: see connection");
  /* clang-format off */
  expect(r, (struct rmq_status_style){.width = 80},
      "2026-11-23 02:10:05  cluster main\n"
      "connection FAILURE since before 02:09:05; not known: lag, errors, resource,\n"
      "throughput\n"
      "\n"
      "connection  FAILURE  refused: HTTP 401 (Login failed) from http://rabbit1:15672;\n"
      "                     no password was given (--password-file or WARREN_PASSWORD)\n"
      "lag         UNKNOWN  not known: see connection\n"
      "errors      UNKNOWN  not known: see connection\n"
      "resource    UNKNOWN  not known: see connection\n"
      "throughput  UNKNOWN  not known: see connection\n");
  /* clang-format on */
  free(r);
}

static void why_a_part_is_not_known_is_not_cut(void **state) {
  struct rmq_status_report *r = new_report();
  struct rmq_buf out;
  (void)state;
  set(r, RMQ_VERDICT_RESOURCE, RMQ_VERDICT_UNKNOWN, true,
      "the broker does not tell memory: http://rabbit1:15672: the list of "
      "nodes was answered with HTTP status 401 (Not monitor user)");
  rmq_buf_init(&out, 4096);
  rmq_status_text(r, &(struct rmq_status_style){.width = 80}, &out);
  assert_non_null(strstr(rmq_buf_text(&out), " monitor user)\n"));
  rmq_buf_fini(&out);
  free(r);
}

static void one_queue_is_not_one_queues(void **state) {
  static const struct {
    size_t filled, seen;
    const char *want;
  } rows[] = {{0, 1, "\n1 queue, which is empty\n"},
              {1, 1, "\n1 of 1 queue has messages\n"},
              {1, 2, "\n1 of 2 queues has messages\n"}};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_status_report *r = new_report();
    struct rmq_buf out;
    if (rows[i].filled > 0)
      add_queue(r, "/", "q", 1, 0, NAN, 1);
    r->queues_seen = rows[i].seen;
    rmq_buf_init(&out, 4096);
    rmq_status_text(r, &(struct rmq_status_style){.width = 80}, &out);
    assert_non_null(strstr(rmq_buf_text(&out), rows[i].want));
    rmq_buf_fini(&out);
    free(r);
  }
}

static void a_queue_without_a_consumer_is_told_where_all_is_well(void **state) {
  struct rmq_status_report *r = new_report();
  struct rmq_buf out;
  (void)state;
  rmq_buf_init(&out, 4096);
  r->queues_abandoned = 2;
  rmq_status_headline(r, 0, &out);
  assert_string_equal(rmq_buf_text(&out),
                      "all five are well; messages wait without a consumer in "
                      "2 queues");
  rmq_buf_fini(&out);
  free(r);
}

static void colour_marks_the_states_only(void **state) {
  struct rmq_status_report *r = new_report();
  struct rmq_buf out;
  const struct rmq_status_style style = {.has_colour = true};
  (void)state;
  set(r, RMQ_VERDICT_ERRORS, RMQ_VERDICT_WARNING, false, "so-so");
  add_node(r, "rabbit@a", 1, 96);
  rmq_buf_init(&out, 64 * 1024);
  rmq_status_text(r, &style, &out);
  const char *text = rmq_buf_text(&out);
  assert_non_null(strstr(
      text, "\n\033[33merrors WARNING since 02:09:05: so-so\n\033[0m\n"));
  assert_non_null(strstr(text, "lag         \033[32mOK     \033[0m  11 mess"));
  assert_non_null(strstr(text, "errors      \033[33mWARNING\033[0m  so-so\n"));
  assert_non_null(strstr(text, "     runs  \033[1;31m  96 %\033[0m   1.0 GiB"));
  rmq_buf_fini(&out);
  free(r);
}

static void sparklines_stand_between_state_and_words(void **state) {
  struct rmq_status_report *r = new_report();
  struct rmq_buf out;
  struct rmq_status_style style = {
      .width = 64, .has_history = true, .is_utf8 = true};
  (void)state;
  r->indicators[1].history[0] = 1;
  r->indicators[1].history[1] = 8;
  r->indicators[1].history_count = 2;
  rmq_buf_init(&out, 64 * 1024);
  rmq_status_text(r, &style, &out);
  assert_non_null(strstr(rmq_buf_text(&out),
                         "lag         OK                     \u2582\u2588  11 "
                         "messages ready or una\u2026\n"));
  style.is_utf8 = false;
  rmq_buf_clear(&out);
  rmq_status_text(r, &style, &out);
  assert_non_null(strstr(rmq_buf_text(&out),
                         "lag         OK                     .#  11 messages "
                         "ready or u...\n"));
  rmq_buf_fini(&out);
  free(r);
}

/* As many queues as the screen has lines for, and nothing is wider than it. */
static void nothing_exceeds_the_screen(void **state) {
  struct rmq_status_report *r = new_report();
  (void)state;
  set(r, RMQ_VERDICT_LAG, RMQ_VERDICT_CRITICAL, false,
      "queue a_name_that_goes_on_and_on_and_on_and_on_and_on_and_on_and_on_"
      "and_on_and_on_and_on_and_on in vhost /: 61234 messages");
  add_node(r, "rabbit@a-host-with-a-name.that.is.long.example.org", 1, 81);
  for (int i = 0; i < 40; i++)
    add_queue(r, "a virtual host", "\u961f\u5217\u961f\u5217\u961f\u5217", i, 1,
              NAN, 1);
  for (size_t width = 76; width < 140; width += 7)
    for (size_t height = 20; height < 60; height += 9) {
      const struct rmq_status_style style = {
          .width = width, .height = height, .is_utf8 = true};
      struct rmq_buf out;
      size_t lines = 0;
      rmq_buf_init(&out, 64 * 1024);
      rmq_status_text(r, &style, &out);
      const char *text = rmq_buf_text(&out);
      for (const char *at = text; *at != '\0'; lines++) {
        size_t len = strcspn(at, "\n");
        char line[1024];
        snprintf(line, sizeof(line), "%.*s", (int)len, at);
        assert_true(rmq_status_cell_width(line, true) <= width);
        at += len + 1;
      }
      assert_true(lines <= height);
      rmq_buf_fini(&out);
    }
  free(r);
}

/* Whatever the broker calls its objects: no byte of it is a control. */
static void names_cannot_speak_to_the_terminal(void **state) {
  struct rmq_status_report *r = new_report();
  struct rmq_buf out;
  const struct rmq_status_style style = {.width = 100, .is_utf8 = true};
  static const char bad[] = "\033]0;owned\a\xc2\x9b"
                            "2J\r\n\xff\u202e";
  (void)state;
  snprintf(r->cluster, sizeof(r->cluster), "%s", bad);
  set(r, RMQ_VERDICT_LAG, RMQ_VERDICT_CRITICAL, false, bad);
  add_node(r, bad, 1, 5);
  add_queue(r, bad, bad, 1, 1, 1, 1);
  r->notes_count = 1;
  snprintf(r->notes[0].text, sizeof(r->notes[0].text), "%s", bad);
  rmq_buf_init(&out, 64 * 1024);
  rmq_status_text(r, &style, &out);
  const char *text = rmq_buf_text(&out);
  assert_null(strpbrk(text, "\033\a\r\x7f"));
  assert_null(strstr(text, "\xc2\x9b"));
  assert_null(strstr(text, "\u202e"));
  assert_true(rmq_utf8_is_valid(text, strlen(text)));
  assert_non_null(strstr(text, "?]0;owned??2J"));
  rmq_buf_fini(&out);
  free(r);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_is_well_in_plain_text),
      cmocka_unit_test(what_is_wrong_stands_in_the_headline_and_the_tables),
      cmocka_unit_test(a_cause_stands_once_and_whole),
      cmocka_unit_test(why_a_part_is_not_known_is_not_cut),
      cmocka_unit_test(one_queue_is_not_one_queues),
      cmocka_unit_test(a_queue_without_a_consumer_is_told_where_all_is_well),
      cmocka_unit_test(colour_marks_the_states_only),
      cmocka_unit_test(sparklines_stand_between_state_and_words),
      cmocka_unit_test(nothing_exceeds_the_screen),
      cmocka_unit_test(names_cannot_speak_to_the_terminal)};
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
