/* SPDX-License-Identifier: MIT */
/*
 * Outbox and confirms driven as a publisher drives them. After every event
 *   accepted = confirmed + returned + rejected + expired + dropped
 *              + outbox + in flight,
 * no bound is exceeded and every message has ended at most once.
 */
#include "rmq_config.h"

#include "common/base/confirms.h"
#include "common/base/outbox.h"

#include "tests/prop.h"
#include "tests/testing.h"

#include <string.h>

enum { SEQUENCES = 300, STEPS = 600, MESSAGES_MAX = STEPS + 1 };
enum end { NOT_ENDED, CONFIRMED, RETURNED, REJECTED, EXPIRED, DROPPED, ENDS };

static struct {
  struct prop *p;
  struct rmq_outbox outbox;
  struct rmq_confirms confirms;
  uint64_t epoch;
  uint32_t max_refusals;
  bool is_calm; /* nothing is refused: order must be kept */
  uint64_t last_on_channel;
  uint64_t accepted;
  size_t ended[ENDS];
  enum end end_of[MESSAGES_MAX]; /* [seq] */
} t;

static struct rmq_message *message_of(struct rmq_node *n) {
  return RMQ_ELEMENT(n, struct rmq_message, node);
}

static void end(struct rmq_message *m, enum end how) {
  assert_int_equal(t.end_of[m->seq], NOT_ENDED);
  t.end_of[m->seq] = how;
  t.ended[how]++;
  rmq_message_free(m);
}

/* A message that the outbox still charges has ended. */
static void release(struct rmq_message *m, enum end how) {
  rmq_outbox_release(&t.outbox, m);
  end(m, how);
}

static void accept_message(void) {
  struct rmq_message *m = rmq_message_new(
      "a.key", "................................", prop_below(t.p, 32));
  assert_non_null(m);
  m->seq = ++t.accepted;
  snprintf(m->id, sizeof(m->id), "instance:%" PRIu64, m->seq);
  struct rmq_list dropped;
  rmq_list_init(&dropped);
  uint64_t seq = m->seq;
  bool kept = rmq_outbox_push(&t.outbox, m, &dropped);
  PROP_TRACE(t.p, "accept %" PRIu64 ", %s, %zu dropped", seq,
             kept ? "kept" : "not kept", dropped.count);
  assert_true(kept || dropped.count == 1);
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(&dropped)) != NULL) {
    if (t.outbox.policy == RMQ_DROP_NEWEST)
      assert_int_equal(message_of(n)->seq, seq);
    end(message_of(n), DROPPED);
  }
  assert_int_equal(t.end_of[seq] == NOT_ENDED, kept);
}

static void publish(void) {
  if (t.epoch == 0 || !rmq_confirms_has_room(&t.confirms))
    return;
  struct rmq_message *m = rmq_outbox_pop(&t.outbox);
  if (m == NULL)
    return;
  if (prop_chance(t.p, 3)) {
    release(m, EXPIRED);
    return;
  }
  if (prop_chance(t.p, 5)) { /* the socket took nothing */
    rmq_outbox_unpop(&t.outbox, m);
    return;
  }
  PROP_TRACE(t.p, "publish %" PRIu64, m->seq);
  if (t.is_calm)
    assert_true(m->seq > t.last_on_channel);
  t.last_on_channel = m->seq;
  m->attempts++;
  rmq_confirms_add(&t.confirms, m, (struct rmq_mono){1});
}

static void sink(void *ctx, struct rmq_message *m, enum rmq_outcome outcome,
                 struct rmq_mono published) {
  (void)ctx;
  (void)published;
  PROP_TRACE(t.p, "%" PRIu64 " is %s", m->seq, rmq_outcome_to_str(outcome));
  if (outcome == RMQ_CONFIRMED) {
    release(m, CONFIRMED);
    return;
  }
  bool gives_up = ++m->refusals > t.max_refusals;
  if (outcome == RMQ_NACKED) {
    if (gives_up)
      release(m, REJECTED);
    else
      rmq_outbox_unpop(&t.outbox, m);
    return;
  }
  assert_int_equal(outcome, RMQ_RETURNED);
  if (gives_up)
    release(m, RETURNED);
  else
    rmq_outbox_requeue_back(&t.outbox, m);
}

static void settle(void) {
  uint64_t next = rmq_confirms_next_seqno(&t.confirms);
  uint64_t epoch = t.epoch - (prop_chance(t.p, 3) ? 1 : 0);
  bool is_nack = !t.is_calm && prop_chance(t.p, 20);
  rmq_confirms_settle(&t.confirms, epoch, prop_below(t.p, next + 1),
                      prop_chance(t.p, 50), is_nack, sink, NULL);
}

static void give_back(void) {
  if (t.is_calm)
    return;
  char id[RMQ_MESSAGE_ID_SIZE];
  int len =
      snprintf(id, sizeof(id), "instance:%zu", prop_below(t.p, t.accepted + 1));
  rmq_confirms_mark_returned(&t.confirms, t.epoch, id, (size_t)len, NULL);
}

static void lose(void) {
  PROP_TRACE(t.p, "lose");
  struct rmq_list lost;
  rmq_list_init(&lost);
  rmq_confirms_lose(&t.confirms, &lost);
  size_t waiting = rmq_outbox_count(&t.outbox);
  size_t count = lost.count;
  struct rmq_node *first = rmq_list_first(&lost);
  rmq_outbox_unpop_all(&t.outbox, &lost);
  assert_int_equal(rmq_outbox_count(&t.outbox), waiting + count);
  if (first != NULL)
    assert_ptr_equal(rmq_outbox_peek(&t.outbox), message_of(first));
  t.last_on_channel = 0;
  t.epoch++;
  rmq_confirms_begin(&t.confirms, t.epoch);
}

static size_t waiting_bytes(void) {
  size_t bytes = 0;
  for (struct rmq_node *n = rmq_list_first(&t.outbox.waiting); n != NULL;
       n = rmq_list_next(&t.outbox.waiting, n))
    bytes += rmq_message_cost(message_of(n));
  return bytes;
}

static void check_balance(void) {
  size_t held = rmq_outbox_count(&t.outbox) + t.confirms.count;
  size_t all = held;
  for (size_t i = NOT_ENDED + 1; i < ENDS; i++)
    all += t.ended[i];
  assert_int_equal(t.accepted, all);
  assert_true(held <= t.outbox.max_messages + t.confirms.window);
  assert_true(t.outbox.bytes <= t.outbox.max_bytes);
  assert_int_equal(t.outbox.bytes, waiting_bytes() + t.confirms.bytes);
  assert_int_equal(t.outbox.waiting_bytes, waiting_bytes());
  assert_true(t.confirms.count <= t.confirms.window);
}

static void step(void) {
  size_t dice = prop_below(t.p, 100);
  if (dice < 40)
    accept_message();
  else if (dice < 70)
    publish();
  else if (dice < 92)
    settle();
  else if (dice < 98)
    give_back();
  else if (prop_chance(t.p, 60))
    lose();
}

/* The broker is healthy and confirms everything. */
static void drain(void) {
  t.is_calm = true;
  t.last_on_channel = 0;
  lose();
  while (rmq_outbox_count(&t.outbox) + t.confirms.count > 0) {
    t.last_on_channel = 0; /* refused ones may be anywhere */
    publish();
    rmq_confirms_settle(&t.confirms, t.epoch,
                        rmq_confirms_next_seqno(&t.confirms) - 1, true, false,
                        sink, NULL);
    check_balance();
  }
}

static void sequence(struct prop *p) {
  memset(&t, 0, sizeof(t));
  t.p = p;
  t.max_refusals = (uint32_t)prop_below(p, 4);
  t.is_calm = prop_chance(p, 30);
  rmq_outbox_init(&t.outbox, 1 + prop_below(p, 30), 300 + prop_below(p, 9000),
                  prop_chance(p, 50) ? RMQ_DROP_OLDEST : RMQ_DROP_NEWEST);
  assert_int_equal(rmq_confirms_init(&t.confirms, 1 + prop_below(p, 20)), 0);
  t.epoch = 1;
  rmq_confirms_begin(&t.confirms, t.epoch);
  for (int i = 0; i < STEPS; i++) {
    step();
    check_balance();
  }
  drain();
  for (uint64_t seq = 1; seq <= t.accepted; seq++)
    assert_int_not_equal(t.end_of[seq], NOT_ENDED);
  rmq_confirms_fini(&t.confirms);
  rmq_outbox_fini(&t.outbox);
}

static void every_accepted_message_is_accounted_for(void **state) {
  (void)state;
  prop_run(SEQUENCES, sequence);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_accepted_message_is_accounted_for),
  };
  return run_all(tests);
}
