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

static void lost(void *ctx, const struct rmq_store_lost *l) {
  rmq_fifo_lost(ctx, l->message != NULL, l->tally.messages);
}

static void recovered(void *ctx, struct rmq_store_tally tally) {
  rmq_fifo_recovered(ctx, tally.messages);
}

static void prepare(void *ctx, struct rmq_message *m) {
  (void)ctx;
  m->id[0] = 'x';
}

static const struct rmq_fifo_config overflow = {.max_messages = RAM,
                                                .max_bytes = 1 << 20,
                                                .policy = RMQ_DROP_NEWEST,
                                                .mode = RMQ_SPOOL_OVERFLOW,
                                                .read_ahead = RAM};

static void set_up_as(struct fixture *f, struct rmq_fifo_config config) {
  *f = (struct fixture){.store = fake_store_new()};
  f->store->prepare = prepare;
  config.store = &f->store->store;
  rmq_fifo_init(&f->fifo, &config);
  struct rmq_store_handlers handlers = {&f->fifo, stored, fetched,
                                        failed,   lost,   recovered};
  fake_store_open(f->store, &handlers);
}

static void set_up(struct fixture *f) { set_up_as(f, overflow); }

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

/* ---- reading ahead ---- */

static struct rmq_message *make(struct fixture *f, size_t size) {
  static const char body[1 << 16];
  struct rmq_message *m = rmq_message_new("k", body, size);
  assert_non_null(m);
  m->seq = ++f->seq;
  return m;
}

static enum rmq_fifo_place place(struct fixture *f, size_t size) {
  struct rmq_list dropped;
  rmq_list_init(&dropped);
  enum rmq_fifo_place p = rmq_fifo_accept(&f->fifo, make(f, size), &dropped);
  free_all(&dropped);
  return p;
}

static void reading_ahead_keeps_to_the_bounds_of_ram(void **state) {
  static const struct {
    size_t max_messages, held, read_ahead, want_messages;
  } rows[] = {
      {10, 0, 100, 10}, {10, 0, 4, 4}, {10, 9, 100, 1},
      {1, 0, 100, 1},   {10, 3, 7, 7}, {10, 4, 7, 6},
  };
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fixture f;
    struct rmq_fifo_config config = overflow;
    SHOW_ROW("%zu", i);
    config.max_messages = rows[i].max_messages;
    config.read_ahead = rows[i].read_ahead;
    set_up_as(&f, config);
    f.fifo.outbox.held = rows[i].held;
    accept(&f, 30);
    fake_store_commit(f.store, SIZE_MAX);
    end_oldest(&f, (unsigned)rmq_outbox_count(&f.fifo.outbox));
    assert_true(rmq_fifo_read_on(&f.fifo));
    assert_false(rmq_fifo_read_on(&f.fifo)); /* one at a time */
    assert_int_equal(f.store->fetch_messages, rows[i].want_messages);
    assert_int_equal(f.store->fetch_bytes, config.max_bytes / 4);
    fake_store_answer(f.store);
    assert_int_equal(rmq_outbox_count(&f.fifo.outbox), rows[i].want_messages);
    tear_down(&f);
  }
}

static void nothing_is_read_while_ram_is_taken(void **state) {
  static const struct {
    size_t waiting, held, size;
    bool want;
  } rows[] = {
      {5, 0, 10, true},   {6, 0, 10, false},   {5, 14, 10, true},
      {5, 15, 10, false}, {5, 0, 9000, false},
  };
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fixture f;
    struct rmq_fifo_config config = overflow;
    SHOW_ROW("%zu", i);
    config.max_messages = 20;
    config.read_ahead = 10;
    config.max_bytes = 64 << 10;
    set_up_as(&f, config);
    for (size_t n = 0; n < rows[i].waiting; n++)
      assert_int_equal(place(&f, rows[i].size), RMQ_FIFO_WAITS);
    assert_int_equal(place(&f, 65000), RMQ_FIFO_SPOOLED);
    fake_store_commit(f.store, SIZE_MAX);
    f.fifo.outbox.held = rows[i].held;
    assert_int_equal(rmq_fifo_read_on(&f.fifo), rows[i].want);
    tear_down(&f);
  }
}

static void message_larger_than_ram_goes_round_by_the_disk(void **state) {
  struct fixture f;
  struct rmq_fifo_config config = overflow;
  (void)state;
  config.max_bytes = 4096;
  set_up_as(&f, config);
  assert_int_equal(place(&f, 60000), RMQ_FIFO_SPOOLED);
  assert_int_equal(place(&f, 10), RMQ_FIFO_SPOOLED);
  fake_store_commit(f.store, SIZE_MAX);
  for (int i = 0; i < 2; i++) {
    read_on(&f);
    assert_int_equal(rmq_outbox_count(&f.fifo.outbox), 1);
    end_oldest(&f, 1);
  }
  assert_int_equal(rmq_fifo_spooled(&f.fifo), 0);
  assert_int_equal(place(&f, 10), RMQ_FIFO_WAITS);
  tear_down(&f);
}

static void busy_store_drops_but_keeps_at_the_end(void **state) {
  struct fixture f;
  struct rmq_fifo_config config = overflow;
  (void)state;
  config.mode = RMQ_SPOOL_ALWAYS;
  set_up_as(&f, config);
  assert_int_equal(place(&f, 10), RMQ_FIFO_SPOOLED);
  f.store->is_busy = true;
  assert_int_equal(place(&f, 10), RMQ_FIFO_DROPPED);
  assert_int_equal(rmq_fifo_spooled(&f.fifo), 1);
  assert_true(rmq_fifo_keep(&f.fifo, make(&f, 10)));
  assert_int_equal(rmq_fifo_spooled(&f.fifo), 2);
  tear_down(&f);
}

/* Refused messages make room for others only while no store does. */
static void fifo_is_alone_while_the_store_refuses(void **state) {
  struct fixture f;
  (void)state;
  set_up(&f);
  assert_false(f.fifo.is_alone);
  accept(&f, RAM);
  f.store->is_broken = true;
  assert_int_equal(place(&f, 10), RMQ_FIFO_DROPPED);
  assert_true(f.fifo.is_alone);
  f.store->is_broken = false;
  assert_int_equal(place(&f, 10), RMQ_FIFO_SPOOLED);
  assert_false(f.fifo.is_alone);
  tear_down(&f);
}

static void store_that_brings_nothing_is_not_asked_again_at_once(void **state) {
  struct fixture f;
  (void)state;
  set_up(&f);
  accept(&f, RAM + 1);
  fake_store_commit(f.store, SIZE_MAX);
  end_oldest(&f, RAM);
  f.store->is_broken = true;
  read_on(&f);
  assert_false(rmq_fifo_read_on(&f.fifo));
  f.store->is_broken = false;
  f.fifo.is_stalled = false; /* as the owner does after a while */
  read_on(&f);
  assert_waiting(&f, RAM + 1, 1);
  assert_int_equal(rmq_fifo_spooled(&f.fifo), 0);
  tear_down(&f);
}

static void stored_is_taken_only_while_nothing_older_is_on_the_disk(void **s) {
  struct fixture f;
  struct rmq_fifo_config config = overflow;
  (void)s;
  config.mode = RMQ_SPOOL_ALWAYS;
  set_up_as(&f, config);
  accept(&f, RAM + 2);
  fake_store_commit(f.store, SIZE_MAX);
  assert_waiting(&f, 1, RAM); /* not read back, as there is room for these */
  assert_int_equal(rmq_fifo_spooled(&f.fifo), 2);
  end_oldest(&f, RAM);
  accept(&f, 1);
  fake_store_commit(f.store, SIZE_MAX);
  assert_waiting(&f, 0, 0);
  read_on(&f);
  assert_waiting(&f, RAM + 1, 3);
  tear_down(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(at_the_end_nothing_overtakes_rows_that_were_read_back),
      cmocka_unit_test(at_the_end_rows_with_nothing_behind_them_stay_rows),
      cmocka_unit_test(after_the_end_began_younger_messages_become_rows),
      cmocka_unit_test(reading_ahead_keeps_to_the_bounds_of_ram),
      cmocka_unit_test(nothing_is_read_while_ram_is_taken),
      cmocka_unit_test(message_larger_than_ram_goes_round_by_the_disk),
      cmocka_unit_test(busy_store_drops_but_keeps_at_the_end),
      cmocka_unit_test(fifo_is_alone_while_the_store_refuses),
      cmocka_unit_test(store_that_brings_nothing_is_not_asked_again_at_once),
      cmocka_unit_test(stored_is_taken_only_while_nothing_older_is_on_the_disk),
  };
  return run_all(tests);
}
