/* SPDX-License-Identifier: MIT */
/* The publishing job where its threads do not start, or do not end. They are
 * those of the test, which do nothing. */
#include "rmq_config.h"

#include "common/role/role_publish.h"

#include "common/amqp/thread.h"

#include "tests/testing.h"

#include "tests/fake/host.h"

static unsigned threads_left; /* that the machine gives */

static void *say_nothing(void *arg) { return arg; }

/* In place of amqp/thread.c: threads that never say that they have ended. */
int rmq_thread_start(pthread_t *ret_thread, bool is_detached, const char *name,
                     void *(*run)(void *), void *arg, struct rmq_error *err) {
  (void)is_detached, (void)name, (void)run;
  if (threads_left == 0)
    return rmq_error_set(err, "no thread is left");
  threads_left--;
  return pthread_create(ret_thread, NULL, say_nothing, arg);
}

static struct fake_host host;
static struct rmq_publish_options options;
/* What is left behind stays: these say where. */
static struct rmq_role_publish *roles[3];

static void what_a_thread_may_use_is_left_behind_and_said(void **state) {
  (void)state;
  static const struct {
    unsigned threads;
    int want_start;
    bool want_left_behind;
  } rows[] = {{0, -1, false}, {1, -1, true}, {2, 0, true}};
  struct rmq_error err = {.text = ""};
  fake_host_init(&host);
  host.now = (struct rmq_mono){0}; /* so that every deadline has passed */
  assert_int_equal(rmq_options_init(rmq_publish_option_table, &options, &err),
                   0);
  assert_int_equal(rmq_options_set_text(rmq_publish_option_table, &options,
                                        "Connections", "2", NULL, &err),
                   0);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%u threads", rows[i].threads);
    roles[i] = rmq_role_publish_new(&options, "b", &host.host, &err);
    assert_non_null(roles[i]);
    threads_left = rows[i].threads;
    assert_int_equal(rmq_role_publish_start(roles[i], &err),
                     rows[i].want_start);
    if (rows[i].want_start == 0) {
      assert_false(rmq_role_publish_is_left_behind(roles[i]));
      rmq_role_publish_stop(roles[i], host.now);
      assert_false(rmq_role_publish_join(roles[i], host.now));
    }
    assert_int_equal(rmq_role_publish_is_left_behind(roles[i]),
                     rows[i].want_left_behind);
    rmq_role_publish_free(roles[i]);
    if (rows[i].want_left_behind) { /* and is there */
      struct rmq_publish_totals totals;
      rmq_role_publish_totals(roles[i], &totals);
    } else {
      roles[i] = NULL;
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_a_thread_may_use_is_left_behind_and_said),
  };
  return run_all(tests);
}
