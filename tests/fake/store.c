/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "tests/fake/store.h"

#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>

static struct rmq_message *message_of(struct rmq_node *n) {
  return RMQ_ELEMENT(n, struct rmq_message, node);
}

static void free_all(struct rmq_list *messages) {
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(messages)) != NULL)
    rmq_message_free(message_of(n));
}

/* ---- rows ---- */

static void row_free(struct fake_row *r) {
  free(r->key);
  free(r->body);
}

static struct fake_row row_of(const struct rmq_message *m) {
  struct fake_row r = {.seq = m->seq,
                       .values = m->values,
                       .key = strdup(m->key),
                       .body = malloc(m->body_len + 1),
                       .body_len = m->body_len,
                       .is_handed_over = true};
  assert_true(r.key != NULL && r.body != NULL);
  memcpy(r.body, m->body, m->body_len);
  memcpy(r.id, m->id, sizeof(r.id));
  return r;
}

static void insert(struct fake_store *s, const struct rmq_message *m) {
  if (s->rows_count == s->rows_cap) {
    s->rows_cap = s->rows_cap == 0 ? 64 : s->rows_cap * 2;
    s->rows = realloc(s->rows, s->rows_cap * sizeof(*s->rows));
    assert_non_null(s->rows);
  }
  size_t at = s->rows_count++;
  for (; at > 0 && s->rows[at - 1].seq > m->seq; at--)
    s->rows[at] = s->rows[at - 1];
  s->rows[at] = row_of(m);
}

static void remove_at(struct fake_store *s, size_t at) {
  row_free(&s->rows[at]);
  memmove(&s->rows[at], &s->rows[at + 1],
          (--s->rows_count - at) * sizeof(*s->rows));
}

static size_t find(const struct fake_store *s, uint64_t seq) {
  size_t i = 0;
  while (i < s->rows_count && s->rows[i].seq != seq)
    i++;
  return i;
}

bool fake_store_has(const struct fake_store *s, uint64_t seq) {
  return find(s, seq) < s->rows_count;
}

static struct rmq_message *message_from(struct fake_row *r) {
  struct rmq_message *m =
      rmq_message_restore(r->key, "text/collectd", NULL, r->body, r->body_len);
  assert_non_null(m);
  m->seq = r->seq;
  m->values = r->values;
  memcpy(m->id, r->id, sizeof(m->id));
  m->is_stored = m->is_prepared = true;
  r->is_handed_over = true;
  return m;
}

/* ---- the verbs ---- */

static enum rmq_store_put keep(void *ctx, unsigned lane,
                               struct rmq_message *m) {
  struct fake_store *s = ctx;
  assert_int_equal(lane, 0);
  if (s->is_broken)
    return RMQ_STORE_UNUSABLE;
  assert_false(m->is_stored);
  rmq_list_push_back(&s->pending, &m->node);
  return RMQ_STORE_TOOK;
}

static enum rmq_store_put put(void *ctx, unsigned lane, struct rmq_message *m) {
  const struct fake_store *s = ctx;
  return s->is_busy && !s->is_broken ? RMQ_STORE_BUSY : keep(ctx, lane, m);
}

static bool has_room(void *ctx, const struct rmq_message *m) {
  const struct fake_store *s = ctx;
  (void)m;
  return !s->is_full;
}

static void fetch(void *ctx, unsigned lane, uint64_t after_seq,
                  size_t max_messages, size_t max_bytes) {
  struct fake_store *s = ctx;
  assert_int_equal(lane, 0);
  assert_false(s->has_fetch);
  s->has_fetch = true;
  s->fetch_after = after_seq;
  s->fetch_messages = max_messages;
  s->fetch_bytes = max_bytes;
}

static void settle(void *ctx, uint64_t seq) {
  struct fake_store *s = ctx;
  size_t at = find(s, seq);
  assert_true(at < s->rows_count);
  assert_true(s->rows[at].is_handed_over);
  for (size_t i = 0; i < s->settled_count; i++)
    assert_true(s->settled[i] != seq);
  assert_true(s->settled_count < COUNT_OF(s->settled));
  s->settled[s->settled_count++] = seq;
}

static void stats(void *ctx, struct rmq_store_stats *ret) {
  const struct fake_store *s = ctx;
  *ret = (struct rmq_store_stats){.rows = s->rows_count,
                                  .is_usable = !s->is_broken};
}

struct fake_store *fake_store_new(void) {
  struct fake_store *s = calloc(1, sizeof(*s));
  assert_non_null(s);
  s->store = (struct rmq_store){s, put, has_room, keep, fetch, settle, stats};
  rmq_list_init(&s->pending);
  return s;
}

void fake_store_free(struct fake_store *s) {
  if (s == NULL)
    return;
  free_all(&s->pending);
  while (s->rows_count > 0)
    remove_at(s, s->rows_count - 1);
  free(s->rows);
  free(s);
}

/* ---- the thread's work ---- */

static void take_pending(struct fake_store *s, size_t n,
                         struct rmq_list *taken) {
  rmq_list_init(taken);
  struct rmq_node *node;
  while (n-- > 0 && (node = rmq_list_pop_front(&s->pending)) != NULL)
    rmq_list_push_back(taken, node);
}

void fake_store_commit(struct fake_store *s, size_t n) {
  struct rmq_list taken;
  take_pending(s, n, &taken);
  if (rmq_list_is_empty(&taken))
    return;
  if (s->is_broken) {
    s->handlers.failed(s->handlers.ctx, &taken);
    assert_true(rmq_list_is_empty(&taken));
    return;
  }
  for (struct rmq_node *i = rmq_list_first(&taken); i != NULL;
       i = rmq_list_next(&taken, i)) {
    struct rmq_message *m = message_of(i);
    if (!m->is_prepared)
      s->prepare(s->prepare_ctx, m);
    m->is_stored = true;
    insert(s, m);
  }
  s->handlers.stored(s->handlers.ctx, &taken);
  for (struct rmq_node *i = rmq_list_first(&taken); i != NULL;
       i = rmq_list_next(&taken, i))
    s->rows[find(s, message_of(i)->seq)].is_handed_over = false;
  free_all(&taken);
}

static uint64_t read_rows(struct fake_store *s, struct rmq_list *found) {
  uint64_t through = s->fetch_after;
  size_t bytes = 0;
  for (size_t i = 0; i < s->rows_count; i++) {
    struct fake_row *r = &s->rows[i];
    if (r->seq <= s->fetch_after)
      continue;
    assert_false(r->is_handed_over);
    bytes += r->body_len + strlen(r->key) + RMQ_MESSAGE_OVERHEAD;
    if (found->count == s->fetch_messages ||
        (found->count > 0 && bytes > s->fetch_bytes))
      break;
    rmq_list_push_back(found, &message_from(r)->node);
    through = r->seq;
  }
  return through;
}

void fake_store_answer(struct fake_store *s) {
  if (!s->has_fetch)
    return;
  s->has_fetch = false;
  struct rmq_list found;
  rmq_list_init(&found);
  uint64_t through = s->fetch_after;
  if (!s->is_broken)
    through = read_rows(s, &found);
  s->handlers.fetched(s->handlers.ctx, &found, through);
  assert_true(rmq_list_is_empty(&found));
}

void fake_store_delete(struct fake_store *s) {
  for (size_t i = 0; i < s->settled_count; i++)
    remove_at(s, find(s, s->settled[i]));
  s->settled_count = 0;
}

void fake_store_work(struct fake_store *s) {
  while (!rmq_list_is_empty(&s->pending) || s->has_fetch) {
    fake_store_commit(s, SIZE_MAX);
    fake_store_answer(s);
    if (s->is_broken) /* it would be asked again and again */
      break;
  }
  fake_store_delete(s);
}

void fake_store_lose(struct fake_store *s, size_t n, enum rmq_store_loss why) {
  struct rmq_store_lost lost = {.why = why};
  for (size_t i = 0; i < s->rows_count && lost.tally.messages < n;) {
    if (s->rows[i].is_handed_over) {
      i++;
      continue;
    }
    if (lost.tally.messages++ == 0)
      lost.first = s->rows[i].seq;
    lost.last = s->rows[i].seq;
    lost.tally.values += s->rows[i].values;
    remove_at(s, i);
  }
  if (lost.tally.messages > 0)
    s->handlers.lost(s->handlers.ctx, &lost);
}

void fake_store_kill(struct fake_store *s) {
  free_all(&s->pending);
  s->settled_count = 0;
  s->has_fetch = false;
}

void fake_store_open(struct fake_store *s,
                     const struct rmq_store_handlers *handlers) {
  struct rmq_store_tally found = {0};
  s->handlers = *handlers;
  for (size_t i = 0; i < s->rows_count; i++) {
    s->rows[i].is_handed_over = false;
    found.messages++;
    found.values += s->rows[i].values;
  }
  if (found.messages > 0)
    handlers->recovered(handlers->ctx, found);
}
