/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/prepare.h"

#include "tests/alloc.h"
#include "tests/testing.h"

#include <string.h>

static const char body[] = "PUTVAL h/p/gauge-a 1.000:1\nPUTVAL h/p/gauge-a "
                           "1.000:1\nPUTVAL h/p/gauge-a 1.000:1\n";

static struct rmq_message *message(const char *text) {
  struct rmq_message *m = rmq_message_new("key", text, strlen(text));
  assert_non_null(m);
  m->seq = 7;
  return m;
}

static void message_gets_its_id_and_keeps_it(void **state) {
  (void)state;
  struct rmq_prepare p;
  rmq_prepare_init(&p, (struct rmq_uuid){1, 2}, RMQ_ENCODING_IDENTITY);
  struct rmq_message *m = message(body);
  rmq_prepare_message(&p, m);
  assert_string_equal(m->id, "00000000000000010000000000000002:7");
  assert_string_equal(m->body, body);
  assert_null(m->content_encoding);
  assert_true(m->is_prepared);
  rmq_message_free(m);

  m = message(body);
  snprintf(m->id, sizeof(m->id), "of an earlier run");
  rmq_prepare_message(&p, m);
  assert_string_equal(m->id, "of an earlier run");
  rmq_message_free(m);
  rmq_prepare_fini(&p);
}

static void body_is_compressed_once(void **state) {
  (void)state;
  struct rmq_prepare p;
  rmq_prepare_init(&p, (struct rmq_uuid){1, 2}, RMQ_ENCODING_GZIP);
  struct rmq_message *m = message(body);
  rmq_prepare_message(&p, m);
  assert_string_equal(m->content_encoding, "gzip");
  assert_true(m->body_len < strlen(body));
  assert_memory_equal(m->body, "\x1f\x8b", 2);
  const char *packed = m->body;
  rmq_prepare_message(&p, m);
  assert_ptr_equal(m->body, packed);
  /* Nor is it when it comes from the store, whose flag is not there. */
  m->is_prepared = false;
  rmq_prepare_message(&p, m);
  assert_ptr_equal(m->body, packed);
  assert_true(m->is_prepared);
  rmq_message_free(m);
  rmq_prepare_fini(&p);
}

static void what_does_not_become_smaller_stays_as_it_is(void **state) {
  (void)state;
  struct rmq_prepare p;
  rmq_prepare_init(&p, (struct rmq_uuid){1, 2}, RMQ_ENCODING_GZIP);
  struct rmq_message *m = message("short");
  rmq_prepare_message(&p, m);
  assert_null(m->content_encoding);
  assert_string_equal(m->body, "short");
  assert_true(m->is_prepared);
  rmq_message_free(m);
  rmq_prepare_fini(&p);
}

static void without_memory_the_body_stays_as_it_is(void **state) {
  (void)state;
  for (size_t nth = 1; nth <= 2; nth++) {
    struct rmq_prepare p;
    rmq_prepare_init(&p, (struct rmq_uuid){1, 2}, RMQ_ENCODING_GZIP);
    struct rmq_message *m = message(body);
    alloc_fail_at(nth);
    rmq_prepare_message(&p, m);
    assert_true(alloc_works_again());
    assert_null(m->content_encoding);
    assert_string_equal(m->body, body);
    assert_true(m->is_prepared);
    rmq_message_free(m);
    rmq_prepare_fini(&p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(message_gets_its_id_and_keeps_it),
      cmocka_unit_test(body_is_compressed_once),
      cmocka_unit_test(what_does_not_become_smaller_stays_as_it_is),
      cmocka_unit_test(without_memory_the_body_stays_as_it_is),
  };
  return run_all(tests);
}
