/* SPDX-License-Identifier: MIT */
/*
 * Intrusive doubly linked list: the element carries the node, the list owns
 * nothing. A node is in one list at a time; an unlinked node is all zero.
 */
#ifndef RMQ_BASE_LIST_H
#define RMQ_BASE_LIST_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

struct rmq_node {
  struct rmq_node *prev, *next;
};
struct rmq_list {
  struct rmq_node head; /* a ring through the head */
  size_t count;
};

/* The element of type that contains node as its field. */
#define RMQ_ELEMENT(node, type, field)                                         \
  ((type *)(void *)((char *)(node)-offsetof(type, field)))

static inline void rmq_list_init(struct rmq_list *l) {
  l->head.prev = l->head.next = &l->head;
  l->count = 0;
}
static inline bool rmq_list_is_empty(const struct rmq_list *l) {
  return l->count == 0;
}
/* NULL at the end. */
static inline struct rmq_node *rmq_list_next(const struct rmq_list *l,
                                             const struct rmq_node *n) {
  return n->next == &l->head ? NULL : n->next;
}
static inline struct rmq_node *rmq_list_prev(const struct rmq_list *l,
                                             const struct rmq_node *n) {
  return n->prev == &l->head ? NULL : n->prev;
}
static inline struct rmq_node *rmq_list_first(const struct rmq_list *l) {
  return rmq_list_next(l, &l->head);
}
static inline struct rmq_node *rmq_list_last(const struct rmq_list *l) {
  return rmq_list_prev(l, &l->head);
}
static inline void rmq_list_insert_after(struct rmq_list *l,
                                         struct rmq_node *where,
                                         struct rmq_node *n) {
  assert(where->next != NULL); /* the list is initialised */
  n->prev = where;
  n->next = where->next;
  where->next->prev = n;
  where->next = n;
  l->count++;
}
static inline void rmq_list_push_back(struct rmq_list *l, struct rmq_node *n) {
  rmq_list_insert_after(l, l->head.prev, n);
}
static inline void rmq_list_push_front(struct rmq_list *l, struct rmq_node *n) {
  rmq_list_insert_after(l, &l->head, n);
}
static inline void rmq_list_remove(struct rmq_list *l, struct rmq_node *n) {
  assert(n->prev != NULL); /* it is in a list */
  n->prev->next = n->next;
  n->next->prev = n->prev;
  n->prev = n->next = NULL;
  l->count--;
}
/* NULL when empty. */
static inline struct rmq_node *rmq_list_pop_front(struct rmq_list *l) {
  struct rmq_node *n = rmq_list_first(l);
  if (n != NULL)
    rmq_list_remove(l, n);
  return n;
}

#endif
