/* SPDX-License-Identifier: MIT */
/* The FIFO over RAM and a store; what the publisher makes of it in any order
 * of events is publisher_property's. */
#include "rmq_config.h"

#include "common/base/fifo.h"

#include "tests/testing.h"

#include "tests/fake/store.h"

enum { RAM = 3 };

struct fixture {
  struct fake_store *store;
  struct rmq_fifo fifo;
  uint64_t seq;
};

static struct rmq_message *message_of(struct rmq_node *n) {
  return RMQ_ELEMENT(n, struct rmq_message, node);
}

static void free_all(struct rmq_list *l) {
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(l)) != NULL)
    rmq_message_free(message_of(n));
}

static void stored(void *ctx, struct rmq_list *messages) {
  rmq_fifo_stored(ctx, messages);
}

static void fetched(void *ctx, struct rmq_list *messages, uint64_t through) {
  rmq_fifo_fetched(ctx, messages, through);
}

static void failed(void *ctx, struct rmq_list *messages) {
  struct rmq_list dropped;
  rmq_list_init(&dropped);
  rmq_fifo_failed(ctx, messages, &dropped);
  free_all(&dropped);
}

static void lost(void *ctx, enum rmq_store_loss why, bool was_pending,
                 struct rmq_store_tally tally) {
  (void)why;
  rmq_fifo_lost(ctx, was_pending, tally.messages);
}

static void recovered(void *ctx, struct rmq_store_tally tally) {
  rmq_fifo_recovered(ctx, tally.messages);
}

static void prepare(void *ctx, struct rmq_message *m) {
  (void)ctx;
  m->id[0] = 'x';
}

static void set_up(struct fixture *f) {
  *f = (struct fixture){.store = fake_store_new()};
  f->store->prepare = prepare;
  struct rmq_fifo_config config = {.max_messages = RAM,
                                   .max_bytes = 1 << 20,
                                   .mode = RMQ_SPOOL_OVERFLOW,
                                   .store = &f->store->store,
                                   .read_ahead = RAM};
  rmq_fifo_init(&f->fifo, &config);
  struct rmq_store_handlers handlers = {&f->fifo, stored, fetched,
                                        failed,   lost,   recovered};
  fake_store_open(f->store, &handlers);
}

static void tear_down(struct fixture *f) {
  rmq_fifo_fini(&f->fifo);
  fake_store_free(f->store);
}

static void accept(struct fixture *f, unsigned count) {
  struct rmq_list dropped;
  rmq_list_init(&dropped);
  while (count-- > 0) {
    struct rmq_message *m = rmq_message_new("k", "body", 4);
    m->seq = ++f->seq;
    rmq_fifo_accept(&f->fifo, m, &dropped);
  }
  assert_int_equal(dropped.count, 0);
}

/* The oldest have been published and confirmed. */
static void end_oldest(struct fixture *f, unsigned count) {
  while (count-- > 0) {
    struct rmq_message *m = rmq_outbox_pop(&f->fifo.outbox);
    rmq_outbox_release(&f->fifo.outbox, m);
    if (m->is_stored)
      f->store->store.settle(f->store->store.ctx, m->seq);
    rmq_message_free(m);
  }
}

static void read_on(struct fixture *f) {
  assert_true(rmq_fifo_read_on(&f->fifo));
  fake_store_answer(f->store);
}

static void assert_waiting(const struct fixture *f, uint64_t first,
                           size_t count) {
  const struct rmq_list *l = &f->fifo.outbox.waiting;
  assert_int_equal(l->count, count);
  for (struct rmq_node *n = rmq_list_first(l); n != NULL;
       n = rmq_list_next(l, n))
    assert_int_equal(message_of(n)->seq, first++);
}

static void close_fifo(struct fixture *f, size_t want_forgotten) {
  struct rmq_list forgotten;
  rmq_list_init(&forgotten);
  rmq_fifo_close(&f->fifo, &forgotten);
  assert_int_equal(forgotten.count, want_forgotten);
  free_all(&forgotten);
}

/* 4 and 5 were on the disk, 6 never was. */
static void read_back_before_younger(struct fixture *f) {
  accept(f, RAM + 2);
  fake_store_work(f->store);
  end_oldest(f, RAM);
  read_on(f);
  accept(f, 1);
  assert_waiting(f, 4, 3);
  assert_int_equal(rmq_fifo_spooled(&f->fifo), 0);
}

static void
at_the_end_nothing_overtakes_rows_that_were_read_back(void **state) {
  struct fixture f;
  (void)state;
  set_up(&f);
  read_back_before_younger(&f);
  close_fifo(&f, 0);
  assert_waiting(&f, 4, 3);
  assert_int_equal(rmq_fifo_spooled(&f.fifo), 0);
  tear_down(&f);
}

static void at_the_end_rows_with_nothing_behind_them_stay_rows(void **state) {
  struct fixture f;
  (void)state;
  set_up(&f);
  accept(&f, RAM + 2);
  fake_store_work(f.store);
  end_oldest(&f, RAM);
  read_on(&f);
  close_fifo(&f, 2);
  assert_waiting(&f, 0, 0);
  assert_int_equal(rmq_fifo_spooled(&f.fifo), 2);
  assert_int_equal(f.fifo.outbox.bytes, 0);
  assert_true(fake_store_has(f.store, 4) && fake_store_has(f.store, 5));
  tear_down(&f);
}

static void after_the_end_began_younger_messages_become_rows(void **state) {
  struct fixture f;
  (void)state;
  set_up(&f);
  accept(&f, 1);
  close_fifo(&f, 0);
  accept(&f, 1);
  fake_store_work(f.store);
  assert_waiting(&f, 1, 1);
  assert_true(fake_store_has(f.store, 2));
  tear_down(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(at_the_end_nothing_overtakes_rows_that_were_read_back),
      cmocka_unit_test(at_the_end_rows_with_nothing_behind_them_stay_rows),
      cmocka_unit_test(after_the_end_began_younger_messages_become_rows),
  };
  return run_all(tests);
}
