/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/confirms.h"

#include "tests/alloc.h"
#include "tests/testing.h"

#include <stdbool.h>
#include <string.h>

static const struct rmq_mono NOW = {1000000};

struct ended {
  uint64_t seq;
  enum rmq_outcome outcome;
  int64_t published;
};
struct fixture {
  struct rmq_confirms c;
  struct ended ended[64];
  size_t count;
};

static void sink(void *ctx, struct rmq_message *m, enum rmq_outcome outcome,
                 struct rmq_mono published) {
  struct fixture *f = ctx;
  assert_true(f->count < COUNT_OF(f->ended));
  f->ended[f->count++] = (struct ended){m->seq, outcome, published.ns};
  rmq_message_free(m);
}

static void set_up(struct fixture *f, size_t window) {
  *f = (struct fixture){0};
  assert_int_equal(rmq_confirms_init(&f->c, window), 0);
  rmq_confirms_begin(&f->c, 1);
}

static void tear_down(struct fixture *f) { rmq_confirms_fini(&f->c); }

/* Message ids are "id-SEQ". */
static uint64_t publish(struct fixture *f, uint64_t seq) {
  struct rmq_message *m = rmq_message_new("key", "body", 4);
  assert_non_null(m);
  m->seq = seq;
  snprintf(m->id, sizeof(m->id), "id-%" PRIu64, seq);
  assert_true(rmq_confirms_has_room(&f->c));
  return rmq_confirms_add(&f->c, m, rmq_mono_add(NOW, rmq_ms((int64_t)seq)));
}

static void publish_range(struct fixture *f, uint64_t first, uint64_t last) {
  for (uint64_t seq = first; seq <= last; seq++)
    publish(f, seq);
}

static size_t ack(struct fixture *f, uint64_t seqno, bool multiple) {
  return rmq_confirms_settle(&f->c, f->c.epoch, seqno, multiple, false, sink,
                             f);
}

static size_t nack(struct fixture *f, uint64_t seqno, bool multiple) {
  return rmq_confirms_settle(&f->c, f->c.epoch, seqno, multiple, true, sink, f);
}

static const struct rmq_message *give_back(struct fixture *f, const char *id) {
  return rmq_confirms_mark_returned(&f->c, f->c.epoch, id, strlen(id), NULL);
}

static void assert_ended(const struct fixture *f, size_t i, uint64_t seq,
                         enum rmq_outcome outcome) {
  assert_true(i < f->count);
  assert_int_equal(f->ended[i].seq, seq);
  assert_int_equal(f->ended[i].outcome, outcome);
  assert_int_equal(f->ended[i].published, NOW.ns + rmq_ms((int64_t)seq).ns);
}

static void seqnos_start_at_one_with_every_channel(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 4);
  assert_int_equal(rmq_confirms_next_seqno(&f.c), 1);
  assert_int_equal(publish(&f, 7), 1);
  assert_int_equal(publish(&f, 8), 2);
  ack(&f, 2, true);
  rmq_confirms_begin(&f.c, 2);
  assert_int_equal(publish(&f, 9), 1);
  tear_down(&f);
}

static void a_single_ack_settles_exactly_one(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 4);
  publish_range(&f, 1, 3);
  assert_int_equal(ack(&f, 2, false), 1);
  assert_int_equal(f.count, 1);
  assert_ended(&f, 0, 2, RMQ_CONFIRMED);
  assert_int_equal(f.c.count, 2);
  tear_down(&f);
}

static void a_multiple_ack_settles_all_open_ones_up_to_it(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 8);
  publish_range(&f, 1, 5);
  ack(&f, 2, false);
  assert_int_equal(ack(&f, 4, true), 3);
  assert_ended(&f, 1, 1, RMQ_CONFIRMED);
  assert_ended(&f, 2, 3, RMQ_CONFIRMED);
  assert_ended(&f, 3, 4, RMQ_CONFIRMED);
  assert_int_equal(f.c.count, 1);
  assert_int_equal(f.c.bytes, RMQ_MESSAGE_OVERHEAD + 7);
  tear_down(&f);
}

static void a_nack_out_of_order_leaves_earlier_ones_open(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 8);
  publish_range(&f, 1, 3);
  assert_int_equal(nack(&f, 3, false), 1);
  assert_ended(&f, 0, 3, RMQ_NACKED);
  assert_int_equal(ack(&f, 2, true), 2);
  assert_int_equal(f.c.count, 0);
  assert_int_equal(f.c.bytes, 0);
  tear_down(&f);
}

static void returned_then_acked_is_returned(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 8);
  publish_range(&f, 1, 3);
  const struct rmq_message *m = give_back(&f, "id-2");
  assert_non_null(m);
  assert_int_equal(m->seq, 2);
  assert_int_equal(f.c.count, 3);
  assert_int_equal(ack(&f, 3, true), 3);
  assert_ended(&f, 0, 1, RMQ_CONFIRMED);
  assert_ended(&f, 1, 2, RMQ_RETURNED);
  assert_ended(&f, 2, 3, RMQ_CONFIRMED);
  tear_down(&f);
}

static void returned_then_nacked_is_nacked(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 8);
  publish_range(&f, 1, 1);
  assert_non_null(give_back(&f, "id-1"));
  assert_int_equal(nack(&f, 1, false), 1);
  assert_ended(&f, 0, 1, RMQ_NACKED);
  tear_down(&f);
}

static void returned_then_lost_is_unknown_and_starts_clean(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 8);
  publish_range(&f, 1, 1);
  assert_non_null(give_back(&f, "id-1"));
  struct rmq_list lost;
  rmq_list_init(&lost);
  rmq_confirms_lose(&f.c, &lost);
  assert_int_equal(lost.count, 1);
  rmq_confirms_begin(&f.c, 2);
  struct rmq_node *n = rmq_list_pop_front(&lost);
  rmq_confirms_add(&f.c, RMQ_ELEMENT(n, struct rmq_message, node),
                   rmq_mono_add(NOW, rmq_ms(1)));
  assert_int_equal(ack(&f, 1, false), 1);
  assert_ended(&f, 0, 1, RMQ_CONFIRMED);
  tear_down(&f);
}

static void a_return_of_what_is_not_in_flight_is_a_stray(void **state) {
  (void)state;
  static const char *const ids[] = {"", "id", "id-", "id-1", "id-22", "id-2 "};
  struct fixture f;
  set_up(&f, 8);
  publish_range(&f, 1, 2);
  ack(&f, 1, false);
  for (size_t i = 0; i < COUNT_OF(ids); i++) {
    SHOW_ROW("\"%s\"", ids[i]);
    assert_null(give_back(&f, ids[i]));
    assert_int_equal(f.c.strays, i + 1);
  }
  assert_null(rmq_confirms_mark_returned(&f.c, 1, "id-2\0x", 6, NULL));
  assert_null(rmq_confirms_mark_returned(&f.c, 2, "id-2", 4, NULL));
  assert_non_null(give_back(&f, "id-2"));
  assert_null(give_back(&f, "id-2"));
  assert_int_equal(f.c.strays, COUNT_OF(ids) + 3);
  tear_down(&f);
}

static void a_stray_confirm_settles_nothing(void **state) {
  (void)state;
  static const struct {
    const char *what;
    uint64_t epoch, seqno;
    bool multiple;
  } cases[] = {
      {"the epoch before", 1, 3, true},
      {"an epoch to come", 3, 3, true},
      {"no epoch", 0, 3, true},
      {"tag 0", 2, 0, false},
      {"tag 0, multiple", 2, 0, true},
      {"never published", 2, 4, false},
      {"never published, multiple", 2, 4, true},
      {"the largest tag", 2, UINT64_MAX, false},
      {"the largest tag, multiple", 2, UINT64_MAX, true},
      {"settled before", 2, 1, false},
      {"settled before, multiple", 2, 1, true},
      {"one ring away", 2, 3 + 32, false},
  };
  struct fixture f;
  set_up(&f, 8);
  rmq_confirms_begin(&f.c, 2);
  publish_range(&f, 1, 3);
  ack(&f, 1, false);
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    SHOW_ROW("%s", cases[i].what);
    for (int is_nack = 0; is_nack <= 1; is_nack++)
      assert_int_equal(rmq_confirms_settle(&f.c, cases[i].epoch, cases[i].seqno,
                                           cases[i].multiple, is_nack, sink,
                                           &f),
                       0);
    assert_int_equal(f.c.strays, 2 * (i + 1));
  }
  assert_int_equal(f.count, 1);
  assert_int_equal(f.c.count, 2);
  tear_down(&f);
}

static void
losing_the_channel_hands_back_all_in_order_of_publish(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 8);
  publish_range(&f, 1, 5);
  ack(&f, 3, false);
  struct rmq_list lost;
  rmq_list_init(&lost);
  rmq_confirms_lose(&f.c, &lost);
  static const uint64_t want[] = {1, 2, 4, 5};
  assert_int_equal(lost.count, COUNT_OF(want));
  for (size_t i = 0; i < COUNT_OF(want); i++) {
    struct rmq_node *n = rmq_list_pop_front(&lost);
    struct rmq_message *m = RMQ_ELEMENT(n, struct rmq_message, node);
    assert_int_equal(m->seq, want[i]);
    rmq_message_free(m);
  }
  assert_int_equal(f.count, 1);
  assert_int_equal(f.c.count, 0);
  assert_int_equal(f.c.bytes, 0);
  assert_true(rmq_mono_is_never(rmq_confirms_oldest(&f.c)));
  tear_down(&f);
}

static void a_confirm_that_comes_after_the_loss_is_a_stray(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 8);
  publish_range(&f, 1, 2);
  struct rmq_list lost;
  rmq_list_init(&lost);
  rmq_confirms_lose(&f.c, &lost);
  assert_int_equal(ack(&f, 2, true), 0);
  assert_int_equal(f.c.strays, 1);
  rmq_message_free(
      RMQ_ELEMENT(rmq_list_pop_front(&lost), struct rmq_message, node));
  rmq_message_free(
      RMQ_ELEMENT(rmq_list_pop_front(&lost), struct rmq_message, node));
  tear_down(&f);
}

static void the_window_bounds_what_is_in_flight(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 3);
  publish_range(&f, 1, 3);
  assert_false(rmq_confirms_has_room(&f.c));
  ack(&f, 2, false);
  assert_true(rmq_confirms_has_room(&f.c));
  publish(&f, 4);
  assert_false(rmq_confirms_has_room(&f.c));
  tear_down(&f);
}

static void a_window_of_one_is_strict(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 1);
  for (uint64_t seq = 1; seq <= 20; seq++) {
    publish(&f, seq);
    assert_false(rmq_confirms_has_room(&f.c));
    assert_int_equal(ack(&f, seq, false), 1);
  }
  tear_down(&f);
}

static void
one_slow_confirm_holds_publishing_back_after_four_windows(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 4);
  publish(&f, 1);
  for (uint64_t seqno = 2; seqno <= 16; seqno++) {
    publish(&f, seqno);
    assert_int_equal(ack(&f, seqno, false), 1);
  }
  assert_int_equal(f.c.count, 1);
  assert_false(rmq_confirms_has_room(&f.c));
  assert_int_equal(ack(&f, 1, false), 1);
  publish_range(&f, 17, 20);
  assert_int_equal(ack(&f, 20, true), 4);
  tear_down(&f);
}

static void the_oldest_is_the_one_published_first(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 8);
  assert_true(rmq_mono_is_never(rmq_confirms_oldest(&f.c)));
  publish_range(&f, 1, 3);
  ack(&f, 2, false);
  assert_int_equal(rmq_confirms_oldest(&f.c).ns, NOW.ns + rmq_ms(1).ns);
  ack(&f, 1, false);
  assert_int_equal(rmq_confirms_oldest(&f.c).ns, NOW.ns + rmq_ms(3).ns);
  tear_down(&f);
}

static void fini_frees_what_is_in_flight(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 8);
  publish_range(&f, 1, 5);
  ack(&f, 3, false);
  tear_down(&f);
  assert_int_equal(f.c.count, 0);
  assert_false(rmq_confirms_has_room(&f.c));
}

static void init_without_memory_changes_nothing(void **state) {
  (void)state;
  struct rmq_confirms c, before;
  memset(&c, 0x5a, sizeof(c));
  memcpy(&before, &c, sizeof(c));
  alloc_fail_at(1);
  assert_int_equal(rmq_confirms_init(&c, 100), -1);
  assert_true(alloc_works_again());
  assert_memory_equal(&c, &before, sizeof(c));
  assert_int_equal(rmq_confirms_init(&c, SIZE_MAX), -1);
  assert_memory_equal(&c, &before, sizeof(c));
}

static void outcomes_have_names(void **state) {
  (void)state;
  assert_string_equal(rmq_outcome_to_str(RMQ_CONFIRMED), "confirmed");
  assert_string_equal(rmq_outcome_to_str(RMQ_NACKED), "nacked");
  assert_string_equal(rmq_outcome_to_str(RMQ_RETURNED), "returned");
  assert_string_equal(rmq_outcome_to_str(RMQ_UNKNOWN), "unknown");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(seqnos_start_at_one_with_every_channel),
      cmocka_unit_test(a_single_ack_settles_exactly_one),
      cmocka_unit_test(a_multiple_ack_settles_all_open_ones_up_to_it),
      cmocka_unit_test(a_nack_out_of_order_leaves_earlier_ones_open),
      cmocka_unit_test(returned_then_acked_is_returned),
      cmocka_unit_test(returned_then_nacked_is_nacked),
      cmocka_unit_test(returned_then_lost_is_unknown_and_starts_clean),
      cmocka_unit_test(a_return_of_what_is_not_in_flight_is_a_stray),
      cmocka_unit_test(a_stray_confirm_settles_nothing),
      cmocka_unit_test(losing_the_channel_hands_back_all_in_order_of_publish),
      cmocka_unit_test(a_confirm_that_comes_after_the_loss_is_a_stray),
      cmocka_unit_test(the_window_bounds_what_is_in_flight),
      cmocka_unit_test(a_window_of_one_is_strict),
      cmocka_unit_test(
          one_slow_confirm_holds_publishing_back_after_four_windows),
      cmocka_unit_test(the_oldest_is_the_one_published_first),
      cmocka_unit_test(fini_frees_what_is_in_flight),
      cmocka_unit_test(init_without_memory_changes_nothing),
      cmocka_unit_test(outcomes_have_names),
  };
  return run_all(tests);
}
