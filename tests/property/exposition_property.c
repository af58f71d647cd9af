/* SPDX-License-Identifier: MIT */
/*
 * What a correct server writes is read as it was meant, however it is cut into
 * pieces; and a body with bytes changed at random costs the changed lines at
 * most.
 */
#include "rmq_config.h"

#include "common/codec/exposition.h"
#include "common/codec/number.h"

#include "tests/prop.h"
#include "tests/testing.h"

#include <string.h>

enum { SAMPLES_MAX = 20, VALUE_MAX = 40, BODY_MAX = 16 * 1024 };

struct meant {
  int family;
  char queue[VALUE_MAX];
  size_t queue_len;
  double value;
};

struct run {
  struct meant meant[SAMPLES_MAX];
  size_t count, next, wrong;
  char body[BODY_MAX];
  size_t len;
};

static struct run run;
static struct rmq_exposition x;

static int find(void *ctx, struct rmq_exposition_text name) {
  (void)ctx;
  return name.len == 2 && name.bytes[0] == 'f' ? name.bytes[1] - '0' : -1;
}

static void take(void *ctx, const struct rmq_exposition_sample *s) {
  struct run *r = ctx;
  const struct rmq_exposition_text *queue = rmq_exposition_label(s, "queue");
  const struct meant *m = &r->meant[r->next];
  bool is_meant = r->next < r->count && queue != NULL &&
                  s->family == m->family && s->value == m->value &&
                  queue->len == m->queue_len &&
                  memcmp(queue->bytes, m->queue, queue->len) == 0;
  if (is_meant)
    r->next++;
  else
    r->wrong++;
}

static void put(const char *text) {
  size_t len = strlen(text);
  assert_true(run.len + len < BODY_MAX);
  memcpy(run.body + run.len, text, len);
  run.len += len;
}

static void put_value(const struct meant *m) {
  for (size_t i = 0; i < m->queue_len; i++) {
    const char one[2] = {m->queue[i], '\0'};
    if (one[0] == '\n')
      put("\\n");
    else if (one[0] == '"' || one[0] == '\\')
      put("\\");
    if (one[0] != '\n')
      put(one);
  }
}

static void make_body(struct prop *p) {
  static const char letters[] = "ab\"\\\n{}, =#\xc3\xbc"
                                "1n";
  run.count = prop_below(p, SAMPLES_MAX);
  run.len = run.next = run.wrong = 0;
  for (size_t i = 0; i < run.count; i++) {
    struct meant *m = &run.meant[i];
    char number[RMQ_NUMBER_MAX + 1];
    m->family = (int)prop_below(p, 3);
    m->value = (double)prop_below(p, 100000) / 8;
    m->queue_len = prop_below(p, VALUE_MAX);
    for (size_t k = 0; k < m->queue_len; k++)
      m->queue[k] = letters[prop_below(p, sizeof(letters) - 1)];
    if (prop_chance(p, 30))
      put("# HELP f0 text\nother{queue=\"x\"} 1\n\n");
    const char name[3] = {'f', (char)('0' + m->family), '\0'};
    put(name);
    put(prop_chance(p, 50) ? "{vhost=\"/\",queue=\"" : "{queue=\"");
    put_value(m);
    number[rmq_number_put_double(number, m->value)] = '\0';
    put("\"} ");
    put(number);
    put(prop_chance(p, 20) ? " 1700000000000\n" : "\n");
  }
}

static void feed(struct prop *p) {
  const struct rmq_exposition_sink sink = {&run, find, take};
  rmq_exposition_init(&x, &sink, false);
  for (size_t at = 0; at < run.len;) {
    size_t piece = 1 + prop_below(p, prop_chance(p, 50) ? 5 : 500);
    piece = piece > run.len - at ? run.len - at : piece;
    rmq_exposition_feed(&x, run.body + at, piece);
    at += piece;
  }
  rmq_exposition_end(&x);
}

static void correct(struct prop *p) {
  make_body(p);
  feed(p);
  assert_int_equal(run.wrong, 0);
  assert_int_equal(run.next, run.count);
  assert_int_equal(x.taken, run.count);
  assert_int_equal(x.malformed, 0);
}

static void damaged(struct prop *p) {
  make_body(p);
  size_t lines = 0;
  for (size_t i = prop_below(p, 10); run.len > 0 && i > 0; i--)
    run.body[prop_below(p, run.len)] = (char)prop_below(p, 256);
  for (size_t i = 0; i < run.len; i++)
    lines += run.body[i] == '\n';
  feed(p);
  assert_true(x.taken + x.malformed <= lines + 1);
  assert_int_equal(x.taken, run.next + run.wrong);
}

static void what_is_written_is_read_however_it_is_cut(void **state) {
  (void)state;
  prop_run(2000, correct);
}

static void damage_is_a_matter_of_lines(void **state) {
  (void)state;
  prop_run(2000, damaged);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_written_is_read_however_it_is_cut),
      cmocka_unit_test(damage_is_a_matter_of_lines),
  };
  return run_all(tests);
}
