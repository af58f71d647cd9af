/* SPDX-License-Identifier: MIT */
/* Whatever a web server says to a health check, the parser survives it, a
 * number is one, and a queue counts once. The first byte says which question it
 * answers. */
#include "rmq_config.h"

#include "common/broker/checks_body.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <string.h>

static void read_connections(char *text, size_t len) {
  struct rmq_error err = {.text = ""};
  double blocked = -1;
  int rc = rmq_checks_body_connections(text, len, &blocked, &err);
  fuzz_must((rc == 0) != rmq_error_is_set(&err));
  fuzz_must(rc == 0 ? isnan(blocked) || blocked >= 0 : blocked == -1);
}

/* What one body names is no more when it is said twice. */
static void read_queues(char *text, char *again, size_t len) {
  struct rmq_error err = {.text = ""};
  struct rmq_checks_queues q = {.hashes = NULL};
  int rc = rmq_checks_body_queues(text, len, &q, &err);
  fuzz_must((rc == 0) != rmq_error_is_set(&err));
  size_t count = rmq_checks_queues_count(&q);
  fuzz_must(count <= RMQ_CHECKS_QUEUES_MAX);
  rmq_error_clear(&err);
  fuzz_must(rmq_checks_body_queues(again, len, &q, &err) == rc);
  fuzz_must(rmq_checks_queues_count(&q) == count);
  rmq_checks_queues_fini(&q);
}

static void read_certificates(char *text, size_t len) {
  struct rmq_error err = {.text = ""};
  struct rmq_checks_certificate c = {.expires_s = 0};
  rmq_checks_body_certificates(text, len, &c, &err);
  fuzz_must(memchr(c.where, '\0', sizeof(c.where)) != NULL);
  fuzz_must(c.expires_s != 0 || c.where[0] == '\0');
}

/* Of exactly that size, since it is written to. */
static char *copy_of(const uint8_t *bytes, size_t len) {
  char *copy = malloc(len == 0 ? 1 : len);
  if (copy != NULL && len > 0)
    memcpy(copy, bytes, len);
  return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  size_t len = size - 1;
  char *text = copy_of(data + 1, len), *again = copy_of(data + 1, len);
  if (text != NULL && again != NULL) {
    switch (data[0] % 3) {
    case 0:
      read_connections(text, len);
      break;
    case 1:
      read_queues(text, again, len);
      break;
    default:
      read_certificates(text, len);
      break;
    }
  }
  free(text);
  free(again);
  return 0;
}
