/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/offsets.h"

#include "tests/fake/host.h"
#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct fake_host host;
static struct rmq_session_log session;
static char directory[] = "/tmp/offsets.XXXXXX";
static char name[] = "x-stream-offset", first[] = "first";

struct fixture {
  struct rmq_offsets o;
  struct rmq_argument argument;
};

static int begin(void **state) {
  (void)state;
  fake_host_init(&host);
  rmq_session_log_init(&session, &host.host, "rabbitmq_consume", "b");
  memcpy(directory + strlen(directory) - 6, "XXXXXX", 6);
  return mkdtemp(directory) == NULL ? -1 : 0;
}

static char *path(void) {
  static char text[300];
  snprintf(text, sizeof(text), "%s/rabbitmq_consume-b-a%%2Fq.offset",
           directory);
  return text;
}

static int end(void **state) {
  (void)state;
  unlink(path());
  return rmdir(directory); /* nothing else was left there */
}

static void start(struct fixture *f) {
  struct rmq_error err = {""};
  f->argument = (struct rmq_argument){
      .name = name, .type = RMQ_ARG_STRING, .string = first};
  assert_int_equal(rmq_offsets_init(&f->o, directory, "b", "/", "a/q",
                                    &f->argument, &session, &err),
                   0);
  rmq_offsets_load(&f->o);
  rmq_offsets_ready(&f->o, host.now);
}

static struct rmq_mono step(struct fixture *f, int64_t next, int seconds) {
  fake_host_advance(&host, rmq_s(seconds));
  return rmq_offsets_step(&f->o, next, host.now);
}

static int64_t stored(void) {
  struct fixture f;
  start(&f);
  rmq_offsets_fini(&f.o);
  return f.o.next;
}

static void reading_goes_on_where_it_was_left(void **state) {
  (void)state;
  struct fixture f;
  start(&f);
  assert_string_equal(f.argument.string, "first");
  step(&f, 5, 1);
  rmq_offsets_fini(&f.o);
  start(&f);
  assert_int_equal(fake_host_count(&host, "offset_loaded"), 1);
  assert_int_equal(f.argument.type, RMQ_ARG_INTEGER);
  assert_int_equal(f.argument.integer, 4); /* the last that is done */
  assert_int_equal(rmq_offsets_judge(&f.o, 4), RMQ_OFFSET_DONE);
  assert_int_equal(rmq_offsets_judge(&f.o, 5), RMQ_OFFSET_NEW);
  assert_int_equal(rmq_offsets_judge(&f.o, 9), RMQ_OFFSET_NEW);
  rmq_offsets_fini(&f.o);
}

static void file_is_written_once_a_second_and_at_the_end(void **state) {
  (void)state;
  struct fixture f;
  start(&f);
  step(&f, 1, 1);
  assert_int_equal(stored(), 1);
  struct rmq_mono due = step(&f, 2, 0);
  assert_int_equal(stored(), 1);
  assert_int_equal(due.ns, rmq_mono_add(host.now, rmq_s(1)).ns);
  assert_true(rmq_mono_is_never(step(&f, 3, 1)));
  assert_int_equal(stored(), 3);
  assert_true(rmq_mono_is_never(step(&f, -1, 1))); /* not known: as before */
  assert_int_equal(stored(), 3);
  step(&f, 4, 0);
  step(&f, 5, 0);
  rmq_offsets_flush(&f.o, host.now);
  assert_int_equal(stored(), 5);
  rmq_offsets_fini(&f.o);
}

static void stream_that_stays_silent_was_made_anew(void **state) {
  (void)state;
  struct fixture f;
  start(&f);
  /* where nothing was stored, silence says nothing */
  assert_false(rmq_offsets_is_beyond(&f.o, rmq_s(60), host.now));
  step(&f, 5, 1);
  rmq_offsets_ready(&f.o, host.now);
  assert_int_equal(rmq_offsets_deadline(&f.o, rmq_s(60), host.now).ns,
                   rmq_mono_add(host.now, rmq_s(60)).ns);
  fake_host_advance(&host, rmq_s(59));
  assert_false(rmq_offsets_is_beyond(&f.o, rmq_s(60), host.now));
  fake_host_advance(&host, rmq_s(1));
  assert_true(rmq_offsets_is_beyond(&f.o, rmq_s(60), host.now));
  assert_false(rmq_offsets_is_beyond(&f.o, rmq_s(0), host.now));
  rmq_offsets_begin_anew(&f.o);
  assert_int_equal(f.argument.integer, 0);
  assert_int_equal(rmq_offsets_judge(&f.o, 0), RMQ_OFFSET_NEW);
  assert_false(rmq_offsets_is_beyond(&f.o, rmq_s(60), host.now));
  step(&f, 1, 1);
  assert_int_equal(stored(), 1);
  rmq_offsets_fini(&f.o);
}

/* Else slow writers would have the whole stream read again. */
static void silence_says_nothing_while_nobody_listens(void **state) {
  (void)state;
  struct fixture f;
  start(&f);
  step(&f, 5, 1);
  rmq_offsets_ready(&f.o, host.now);
  for (int i = 0; i < 300; i++) {
    fake_host_advance(&host, rmq_s(1));
    rmq_offsets_hold(&f.o, host.now);
    assert_false(rmq_offsets_is_beyond(&f.o, rmq_s(60), host.now));
  }
  fake_host_advance(&host, rmq_s(59));
  assert_false(rmq_offsets_is_beyond(&f.o, rmq_s(60), host.now));
  fake_host_advance(&host, rmq_s(1));
  assert_true(rmq_offsets_is_beyond(&f.o, rmq_s(60), host.now));
  rmq_offsets_fini(&f.o);
}

static void message_from_before_shows_another_stream(void **state) {
  (void)state;
  struct fixture f;
  start(&f);
  step(&f, 100, 1);
  rmq_offsets_ready(&f.o, host.now);
  assert_int_equal(rmq_offsets_judge(&f.o, 51), RMQ_OFFSET_FOREIGN);
  rmq_offsets_fini(&f.o);
}

static void damaged_file_is_said_and_the_option_holds(void **state) {
  (void)state;
  struct fixture f;
  FILE *file = fopen(path(), "w");
  assert_non_null(file);
  fputs("warren-stream-offset 1 %2F a%2Fq 7 0000000000000000\n", file);
  fclose(file);
  start(&f);
  assert_int_equal(fake_host_count(&host, "offset_error"), 1);
  assert_string_equal(f.argument.string, "first");
  step(&f, 1, 1);
  assert_int_equal(stored(), 1);
  rmq_offsets_fini(&f.o);
}

static void file_that_cannot_be_written_is_said_once(void **state) {
  (void)state;
  struct fixture f;
  start(&f);
  free(f.o.temporary);
  f.o.temporary = strdup("/nonexistent/x");
  step(&f, 1, 1);
  assert_false(rmq_mono_is_never(step(&f, 2, 1))); /* and tried again */
  assert_int_equal(fake_host_count(&host, "offset_error"), 1);
  assert_int_equal(stored(), -1);
  rmq_offsets_fini(&f.o);
}

static void queue_that_is_no_stream_has_no_file(void **state) {
  (void)state;
  struct rmq_offsets o;
  struct rmq_error err = {""};
  assert_int_equal(
      rmq_offsets_init(&o, directory, "b", "/", "q", NULL, &session, &err), 0);
  rmq_offsets_load(&o);
  assert_int_equal(rmq_offsets_judge(&o, 3), RMQ_OFFSET_NEW);
  assert_true(rmq_mono_is_never(rmq_offsets_step(&o, 4, host.now)));
  rmq_offsets_flush(&o, host.now);
  assert_false(rmq_offsets_is_beyond(&o, rmq_s(1), host.now));
  rmq_offsets_fini(&o);
}

int main(void) {
#define FILED(f) cmocka_unit_test_setup_teardown(f, begin, end)
  const struct CMUnitTest tests[] = {
      FILED(reading_goes_on_where_it_was_left),
      FILED(file_is_written_once_a_second_and_at_the_end),
      FILED(stream_that_stays_silent_was_made_anew),
      FILED(silence_says_nothing_while_nobody_listens),
      FILED(message_from_before_shows_another_stream),
      FILED(damaged_file_is_said_and_the_option_holds),
      FILED(file_that_cannot_be_written_is_said_once),
      FILED(queue_that_is_no_stream_has_no_file),
  };
  return run_all(tests);
}
