/* SPDX-License-Identifier: MIT */
/* Reads the conversations recorded by tests/fixtures/amqp/capture.py. */
#ifndef TESTS_FAKE_CAPTURE_H
#define TESTS_FAKE_CAPTURE_H

#include "tests/fake/codec.h"

struct fake_captured {
  char who; /* 'C' client, 'S' server */
  struct fake_bytes frame;
};

struct fake_capture {
  const char *name;
  struct fake_captured *frames;
  size_t count;
};

/* tests/fixtures/amqp/NAME.hex below $top_srcdir (or the working directory);
 * a file that cannot be read ends the test program. */
struct fake_capture *fake_capture_new(const char *name);
void fake_capture_free(struct fake_capture *c);
/* Frame `index` of one side. NULL when there are not as many. */
const struct fake_bytes *fake_capture_frame(const struct fake_capture *c,
                                            char who, size_t index);
/* All that one side said, in one piece; the caller's to fini. */
struct fake_bytes fake_capture_side(const struct fake_capture *c, char who);

#endif
