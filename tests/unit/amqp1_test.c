/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/amqp1.h"

#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>

#define NO_SECTION "AMQP 1.0: it is not a section with a value"
#define NO_TEXT "AMQP 1.0: it is neither binary nor string"
#define SHORT "AMQP 1.0: it ends too early"
#define SECOND "AMQP 1.0: it has more than one section"
#define BYTES(text) (text), sizeof(text) - 1

static const struct {
  const char *bytes;
  size_t len;
  const char *want, *want_error;
} rows[] = {
    {BYTES("\0\x53\x77\xa0\2hi"), "hi", ""},
    {BYTES("\0\x53\x77\xa1\2hi"), "hi", ""},
    {BYTES("\0\x53\x77\xb0\0\0\0\2hi"), "hi", ""},
    {BYTES("\0\x53\x77\xb1\0\0\0\2hi"), "hi", ""},
    {BYTES("\0\x53\x75\xa0\2hi"), "hi", ""},
    {BYTES("\0\x80\0\0\0\0\0\0\0\x77\xa0\2hi"), "hi", ""},
    {BYTES("\0\x53\x77\xa0\0"), "", ""},
    {BYTES("\0\x80\1\0\0\0\0\0\0\x77\xa0\2hi"), NULL, NO_SECTION},
    {BYTES("\0\x53\x76\xa0\2hi"), NULL, NO_SECTION}, /* amqp-sequence */
    {BYTES("\0\x54\x77\xa0\2hi"), NULL, NO_SECTION},
    {BYTES("\1\x53\x77\xa0\2hi"), NULL, NO_SECTION},
    {BYTES("PUTVAL h/p/gauge 1:1"), NULL, NO_SECTION},
    {BYTES(""), NULL, NO_SECTION},
    {BYTES("\0\x53\x77\x40"), NULL, NO_TEXT},           /* null */
    {BYTES("\0\x53\x77\xa3\2hi"), NULL, NO_TEXT},       /* symbol */
    {BYTES("\0\x53\x77\xc0\3\1\xa0\0"), NULL, NO_TEXT}, /* list */
    {BYTES("\0\x53\x77\xa0\3hi"), NULL, SHORT},
    {BYTES("\0\x53\x77\xb0\xff\xff\xff\xffhi"), NULL, SHORT},
    {BYTES("\0\x53\x77\xa0\1hi"), NULL, SECOND},
    {BYTES("\0\x53\x75\xa0\1h\0\x53\x75\xa0\1i"), NULL, SECOND},
};

static void a_section_of_text_or_bytes_is_unwrapped(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    const char *bytes = rows[i].bytes;
    size_t len = rows[i].len;
    struct rmq_error err = {""};
    SHOW_ROW("%zu", i);
    int rc = rmq_amqp1_unwrap(&bytes, &len, &err);
    assert_int_equal(rc, rows[i].want == NULL ? -1 : 0);
    assert_string_equal(err.text, rows[i].want_error);
    if (rc != 0) {
      assert_ptr_equal(bytes, rows[i].bytes);
      assert_int_equal(len, rows[i].len);
    } else {
      assert_int_equal(len, strlen(rows[i].want));
      assert_memory_equal(bytes, rows[i].want, len);
    }
  }
}

/* In memory of its own length, so that a sanitizer sees a byte too far. */
static void what_is_cut_off_is_never_taken(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); i++)
    for (size_t len = 1; len < rows[i].len; len++) {
      char *own = malloc(len);
      assert_non_null(own);
      memcpy(own, rows[i].bytes, len);
      const char *bytes = own;
      size_t got = len;
      int rc = rmq_amqp1_unwrap(&bytes, &got, NULL);
      free(own);
      if (rows[i].want != NULL)
        assert_int_equal(rc, -1);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_section_of_text_or_bytes_is_unwrapped),
      cmocka_unit_test(what_is_cut_off_is_never_taken),
  };
  return run_all(tests);
}
