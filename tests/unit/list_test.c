/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/list.h"

#include "tests/testing.h"

#include "common/base/prng.h"

struct element {
  int value;
  struct rmq_node node; /* not first: RMQ_ELEMENT has to find its way back */
};

static int value_of(struct rmq_node *n) {
  return RMQ_ELEMENT(n, struct element, node)->value;
}

/* The list reads like want in both directions. */
static void assert_reads(const struct rmq_list *l, const int *want,
                         size_t count) {
  assert_int_equal(l->count, count);
  assert_int_equal(rmq_list_is_empty(l), count == 0);
  size_t i = 0;
  for (struct rmq_node *n = rmq_list_first(l); n != NULL;
       n = rmq_list_next(l, n))
    assert_int_equal(value_of(n), want[i++]);
  assert_int_equal(i, count);
  for (struct rmq_node *n = rmq_list_last(l); n != NULL;
       n = rmq_list_prev(l, n))
    assert_int_equal(value_of(n), want[--i]);
  assert_int_equal(i, 0);
}
#define READS(l, ...)                                                          \
  assert_reads(l, (const int[]){__VA_ARGS__},                                  \
               sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static void an_empty_list_has_no_ends(void **state) {
  (void)state;
  struct rmq_list l;
  rmq_list_init(&l);
  assert_reads(&l, NULL, 0);
  assert_null(rmq_list_first(&l));
  assert_null(rmq_list_last(&l));
  assert_null(rmq_list_pop_front(&l));
}

static void elements_keep_the_order_they_were_given(void **state) {
  (void)state;
  struct element e[5] = {
      {.value = 0}, {.value = 1}, {.value = 2}, {.value = 3}, {.value = 4}};
  struct rmq_list l;
  rmq_list_init(&l);
  rmq_list_push_back(&l, &e[2].node);
  rmq_list_push_back(&l, &e[4].node);
  rmq_list_push_front(&l, &e[0].node);
  rmq_list_insert_after(&l, &e[0].node, &e[1].node);
  rmq_list_insert_after(&l, &e[2].node, &e[3].node);
  READS(&l, 0, 1, 2, 3, 4);
  rmq_list_remove(&l, &e[2].node);
  READS(&l, 0, 1, 3, 4);
  rmq_list_push_back(&l, &e[2].node);
  READS(&l, 0, 1, 3, 4, 2);
  rmq_list_remove(&l, &e[2].node);
  rmq_list_remove(&l, &e[4].node);
  assert_ptr_equal(rmq_list_pop_front(&l), &e[0].node);
  READS(&l, 1, 3);
}

static void an_unlinked_node_is_all_zero(void **state) {
  (void)state;
  struct element e = {.value = 7};
  struct rmq_list l;
  rmq_list_init(&l);
  rmq_list_push_back(&l, &e.node);
  assert_non_null(e.node.next);
  rmq_list_remove(&l, &e.node);
  assert_null(e.node.next);
  assert_null(e.node.prev);
  rmq_list_push_front(&l, &e.node);
  READS(&l, 7);
}

static void any_sequence_reads_like_an_array(void **state) {
  (void)state;
  enum { ELEMENTS = 12 };
  struct rmq_prng r = {property_seed(4)};
  struct element e[ELEMENTS];
  int model[ELEMENTS] = {0};
  size_t count = 0;
  struct rmq_list l;
  rmq_list_init(&l);
  for (int i = 0; i < ELEMENTS; i++)
    e[i] = (struct element){.value = i};
  for (int turn = 0; turn < 20000; turn++) {
    int which = (int)rmq_prng_below(&r, ELEMENTS);
    size_t at = 0;
    while (at < count && model[at] != which)
      at++;
    bool is_in = at < count;
    if (is_in) {
      rmq_list_remove(&l, &e[which].node);
      count--;
      for (; at < count; at++)
        model[at] = model[at + 1];
    } else {
      /* Behind the element at place - 1, or at the front. */
      size_t place = (size_t)rmq_prng_below(&r, count + 1);
      if (place == 0)
        rmq_list_push_front(&l, &e[which].node);
      else
        rmq_list_insert_after(&l, &e[model[place - 1]].node, &e[which].node);
      for (size_t i = count; i > place; i--)
        model[i] = model[i - 1];
      model[place] = which;
      count++;
    }
    assert_reads(&l, model, count);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_empty_list_has_no_ends),
      cmocka_unit_test(elements_keep_the_order_they_were_given),
      cmocka_unit_test(an_unlinked_node_is_all_zero),
      cmocka_unit_test(any_sequence_reads_like_an_array),
  };
  return run_all(tests);
}
