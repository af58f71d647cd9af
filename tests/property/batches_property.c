/* SPDX-License-Identifier: MIT */
/*
 * Batches against a model: a list of open batches per key. Every value ends in
 * exactly one message, those of a key in order, and no bound is ever exceeded.
 */
#include "rmq_config.h"

#include "common/codec/batches.h"

#include "tests/prop.h"
#include "tests/testing.h"

#include <string.h>

enum { SEQUENCES = 300, STEPS = 600, KEYS = 12, VALUE_MAX = 120 };

/* What one key has open; values are numbered from 0 for each key. */
struct lane {
  unsigned next;   /* value to be appended */
  unsigned sealed; /* values that came out */
  size_t bytes;    /* of the open body, without close */
  int64_t opened;  /* -1: nothing is open */
  uint64_t order;  /* of opening */
};

static struct {
  struct rmq_batches *b;
  struct rmq_batches_config config;
  struct prop *p;
  struct lane lanes[KEYS];
  int64_t now;
  uint64_t order;
  size_t messages;
  size_t last_len; /* of the newest message */
  uint32_t last_values;
} t;

static const char *key_of(size_t lane) {
  static char text[16];
  snprintf(text, sizeof(text), "key%zu", lane);
  return text;
}

/* Few different hashes, so that keys share buckets. */
static uint32_t hash_of(size_t lane) { return (uint32_t)(lane % 5) << 3; }

static struct lane *oldest(void) {
  struct lane *first = NULL;
  for (size_t i = 0; i < KEYS; i++) {
    struct lane *l = &t.lanes[i];
    if (l->opened >= 0 && (first == NULL || l->order < first->order))
      first = l;
  }
  return first;
}

static size_t open_batches(void) {
  size_t n = 0;
  for (size_t i = 0; i < KEYS; i++)
    n += t.lanes[i].opened >= 0;
  return n;
}

/* "<NUMBER:xxx>", of at least 12 bytes. */
static size_t value_text(unsigned number, size_t len, char *to) {
  int n = snprintf(to, 16, "<%u:", number);
  memset(to + n, 'x', len);
  memcpy(to + n + len, ">", 2);
  return (size_t)n + len + 1;
}

/* ---- what comes out ---- */

static unsigned check_body(const struct rmq_message *m, unsigned first) {
  const char *at = m->body;
  assert_memory_equal(at, t.config.open, strlen(t.config.open));
  at += strlen(t.config.open);
  unsigned count = 0;
  for (; count < m->values; count++) {
    unsigned number = 0;
    if (count > 0) {
      assert_memory_equal(at, t.config.separator, strlen(t.config.separator));
      at += strlen(t.config.separator);
    }
    assert_int_equal(sscanf(at, "<%u:", &number), 1);
    assert_int_equal(number, first + count);
    at = strchr(at, '>') + 1;
  }
  assert_string_equal(at, t.config.close);
  return count;
}

static void take(void *ctx, struct rmq_message *m) {
  size_t lane = KEYS;
  (void)ctx;
  assert_int_equal(sscanf(m->key, "key%zu", &lane), 1);
  struct lane *l = &t.lanes[lane];
  PROP_TRACE(t.p, "sealed %s: %u values, %zu bytes", m->key, m->values,
             m->body_len);
  assert_true(m->values > 0 && m->values <= t.config.values_max);
  assert_true(m->body_len <= t.config.bytes_max || m->values == 1);
  assert_int_equal(strlen(m->body), m->body_len);
  l->sealed += check_body(m, l->sealed);
  l->opened = -1;
  t.messages++;
  t.last_len = m->body_len;
  t.last_values = m->values;
  rmq_message_free(m);
}

/* A batch went because nothing more, or not the next value, had room. */
static void must_have_been_full(size_t next_len) {
  assert_true(t.last_values == t.config.values_max ||
              t.last_len + strlen(t.config.separator) + next_len >
                  t.config.bytes_max);
}

/* ---- what is done ---- */

static void append(size_t lane) {
  char text[VALUE_MAX + 32];
  struct lane *l = &t.lanes[lane];
  bool was_open = l->opened >= 0;
  unsigned sealed_before = l->sealed;
  const struct lane *pushed_out =
      !was_open && open_batches() == t.config.open_max ? oldest() : NULL;
  size_t len = value_text(l->next, prop_below(t.p, VALUE_MAX), text);
  size_t messages = t.messages;
  PROP_TRACE(t.p, "append %zu bytes to %zu at %" PRId64, len, lane, t.now);
  assert_int_equal(rmq_batches_append(t.b, key_of(lane), hash_of(lane), text,
                                      len, (struct rmq_mono){t.now}),
                   0);
  l->next++;
  if (pushed_out != NULL)
    assert_int_equal(pushed_out->opened, -1);
  if (l->sealed == l->next) {
    l->opened = -1;
    must_have_been_full(1);
    return;
  }
  if (l->sealed > sealed_before)
    must_have_been_full(len);
  assert_int_equal(t.messages - messages,
                   (l->sealed > sealed_before) + (pushed_out != NULL));
  if (!was_open || l->sealed > sealed_before) {
    l->opened = t.now;
    l->order = ++t.order;
  }
}

static void seal_aged(int64_t age) {
  PROP_TRACE(t.p, "seal what is %" PRId64 " old at %" PRId64, age, t.now);
  rmq_batches_seal_aged(t.b, (struct rmq_dur){age}, (struct rmq_mono){t.now});
  for (size_t i = 0; i < KEYS; i++)
    assert_true(t.lanes[i].opened < 0 || t.lanes[i].opened + age > t.now);
}

static void seal_key(size_t lane, int64_t age) {
  bool want = t.lanes[lane].opened >= 0 && t.lanes[lane].opened + age <= t.now;
  size_t messages = t.messages;
  rmq_batches_seal_key(t.b, key_of(lane), hash_of(lane), (struct rmq_dur){age},
                       (struct rmq_mono){t.now});
  assert_int_equal(t.messages - messages, want);
}

static void check_all(void) {
  size_t values = 0;
  for (size_t i = 0; i < KEYS; i++) {
    values += t.lanes[i].next - t.lanes[i].sealed;
    assert_int_equal(t.lanes[i].opened >= 0,
                     t.lanes[i].next > t.lanes[i].sealed);
  }
  const struct lane *first = oldest();
  assert_int_equal(rmq_batches_open_values(t.b), values);
  assert_int_equal(rmq_batches_open_count(t.b), open_batches());
  assert_true(open_batches() <= t.config.open_max);
  assert_int_equal(rmq_batches_next_deadline(t.b).ns,
                   first == NULL ? RMQ_NEVER.ns
                                 : first->opened + t.config.age_max.ns);
}

static void step(void) {
  size_t lane = prop_below(t.p, KEYS);
  t.now += (int64_t)prop_below(t.p, 3);
  switch (prop_below(t.p, 20)) {
  case 0:
    seal_aged(t.config.age_max.ns);
    break;
  case 1:
    seal_aged((int64_t)prop_below(t.p, 20));
    break;
  case 2:
    seal_key(lane, (int64_t)prop_below(t.p, 10));
    break;
  case 3:
    if (prop_chance(t.p, 10))
      rmq_batches_seal_all(t.b);
    break;
  default:
    append(lane);
  }
  check_all();
}

static void sequence(struct prop *p) {
  static const char *const frames[][3] = {
      {"", "\n", ""}, {"[", ",", "]"}, {"", "", ""}};
  const char *const *frame = frames[prop_below(p, 3)];
  memset(&t, 0, sizeof(t));
  t.p = p;
  t.config =
      (struct rmq_batches_config){.open = frame[0],
                                  .separator = frame[1],
                                  .close = frame[2],
                                  .values_max = 1 + prop_below(p, 10),
                                  .bytes_max = 20 + prop_below(p, 400),
                                  .open_max = 1 + prop_below(p, KEYS + 2),
                                  .age_max = {5 + (int64_t)prop_below(p, 50)}};
  for (size_t i = 0; i < KEYS; i++)
    t.lanes[i].opened = -1;
  t.b = rmq_batches_new(&t.config, take, NULL);
  assert_non_null(t.b);
  for (int i = 0; i < STEPS; i++)
    step();
  rmq_batches_seal_all(t.b);
  check_all();
  for (size_t i = 0; i < KEYS; i++)
    assert_int_equal(t.lanes[i].sealed, t.lanes[i].next);
  rmq_batches_free(t.b);
}

static void every_value_ends_in_one_message_in_order(void **state) {
  (void)state;
  prop_run(SEQUENCES, sequence);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_value_ends_in_one_message_in_order),
  };
  return run_all(tests);
}
