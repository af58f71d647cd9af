/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/redeliveries.h"

#include <assert.h>
#include <stdlib.h>

int rmq_redeliveries_init(struct rmq_redeliveries *r, size_t messages) {
  assert(messages > 0);
  size_t places = 1;
  while (places * RMQ_REDELIVERIES_WAYS < 2 * messages)
    places *= 2;
  struct rmq_redeliveries_row *rows =
      calloc(places * RMQ_REDELIVERIES_WAYS, sizeof(*rows));
  if (rows == NULL)
    return -1;
  *r = (struct rmq_redeliveries){.rows = rows, .mask = places - 1};
  return 0;
}

void rmq_redeliveries_fini(struct rmq_redeliveries *r) {
  free(r->rows);
  *r = (struct rmq_redeliveries){.rows = NULL};
}

static struct rmq_redeliveries_row *place_of(const struct rmq_redeliveries *r,
                                             uint64_t key) {
  uint64_t mixed = key * UINT64_C(0x9E3779B97F4A7C15);
  return r->rows + ((mixed >> 32) & r->mask) * RMQ_REDELIVERIES_WAYS;
}

static struct rmq_redeliveries_row *find(const struct rmq_redeliveries *r,
                                         uint64_t key) {
  struct rmq_redeliveries_row *row = place_of(r, key);
  for (int i = 0; i < RMQ_REDELIVERIES_WAYS; i++)
    if (row[i].count > 0 && row[i].key == key)
      return &row[i];
  return NULL;
}

uint32_t rmq_redeliveries_count(const struct rmq_redeliveries *r,
                                uint64_t key) {
  const struct rmq_redeliveries_row *row = find(r, key);
  return row == NULL ? 0 : row->count;
}

/* A free row, else the one that was touched longest ago; its count is left to
 * the newcomer, because messages that push each other out must not come round
 * for ever. */
static struct rmq_redeliveries_row *make_room(const struct rmq_redeliveries *r,
                                              uint64_t key) {
  struct rmq_redeliveries_row *row = place_of(r, key), *best = row;
  for (int i = 0; i < RMQ_REDELIVERIES_WAYS; i++) {
    if (row[i].count == 0)
      return &row[i];
    if (row[i].touched < best->touched)
      best = &row[i];
  }
  return best;
}

void rmq_redeliveries_add(struct rmq_redeliveries *r, uint64_t key) {
  struct rmq_redeliveries_row *row = find(r, key);
  if (row == NULL) {
    row = make_room(r, key);
    row->key = key;
  }
  row->touched = ++r->touches;
  if (row->count < UINT32_MAX)
    row->count++;
}

void rmq_redeliveries_forget(struct rmq_redeliveries *r, uint64_t key) {
  struct rmq_redeliveries_row *row = find(r, key);
  if (row != NULL)
    row->count = 0;
}
