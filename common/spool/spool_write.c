/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/spool/spool_private.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum {
  PAGE = 4096,      /* as a measure of what a transaction writes */
  SLACK_PAGES = 12, /* inner pages, and those of the list of free ones */
  /* A row's leaf, and now and then a neighbour that it is merged with. */
  DELETE_BYTES = PAGE + PAGE / 8,
  TEXT_BYTES = 96, /* of a row besides key and body */
  KEY_BYTES_MAX = 255,
  EXPIRE_MAX = 1024 /* rows per transaction */
};

/* What a transaction may still write, and what it has done. */
struct transaction {
  uint64_t log_bytes;
  int64_t room; /* pages, at least */
  uint64_t first_written;
  size_t written;
  uint64_t deleted;
  uint64_t victim_after;
  size_t ranges_done;
  uint64_t of_next_range;  /* rows, done too */
  struct rmq_list dropped; /* of the batch: no room */
};

static struct rmq_message *message_of(struct rmq_node *n) {
  return RMQ_ELEMENT(n, struct rmq_message, node);
}

static size_t row_bytes(const struct rmq_message *m) {
  return m->body_len + m->key_len + rmq_message_extras_len(m) + TEXT_BYTES;
}

/* Small rows share pages, and half of a page may stay empty. */
static uint64_t log_bytes_of(const struct rmq_spool *s, size_t bytes) {
  return bytes < PAGE / 2 ? 2 * bytes
                          : PAGE * rmq_spool_db_pages_of(s->db, bytes);
}

static uint64_t pages_max(uint64_t frames) { return frames / 2 - SLACK_PAGES; }

static uint64_t log_bytes_max(const struct rmq_spool *s) {
  return pages_max(rmq_spool_db_frames_max(s->db)) * PAGE;
}

uint64_t rmq_spool_body_max(uint64_t max_bytes) {
  uint64_t pages = pages_max(rmq_spool_db_frames_of(max_bytes));
  return (pages - 2) * (PAGE - 4) - TEXT_BYTES - KEY_BYTES_MAX;
}

/* ------------------------------------------------------------------------
 * Deleting */

/* Settled rows, as far as half of what may be written. */
static enum rmq_spool_fault delete_settled(struct rmq_spool *s,
                                           struct transaction *t,
                                           struct rmq_error *err) {
  uint64_t left = t->log_bytes / DELETE_BYTES / 2;
  while (t->ranges_done < s->deleting.count && left > 0) {
    const struct rmq_spool_range *r = &s->deleting.items[t->ranges_done];
    uint64_t n = r->last - r->first + 1, rows = 0;
    if (n > left)
      n = left;
    enum rmq_spool_fault f =
        rmq_spool_db_delete(s->db, r->first, r->first + n - 1, &rows, err);
    if (f != RMQ_SPOOL_FINE)
      return f;
    t->deleted += rows;
    t->log_bytes -= n * DELETE_BYTES;
    left -= n;
    if (r->first + n > r->last)
      t->ranges_done++;
    else
      t->of_next_range = n;
  }
  return RMQ_SPOOL_FINE;
}

/* The oldest row that nobody was handed. */
static enum rmq_spool_fault oldest_unread(struct rmq_spool *s,
                                          struct rmq_spool_row *ret_row,
                                          bool *ret_has,
                                          struct rmq_error *err) {
  bool has = true;
  enum rmq_spool_fault f =
      rmq_spool_db_scan(s->db, s->victim_after, INT64_MAX, err);
  while (f == RMQ_SPOOL_FINE) {
    f = rmq_spool_db_scan_next(s->db, ret_row, &has, err);
    if (f != RMQ_SPOOL_FINE || !has ||
        ret_row->seq > rmq_spool_lane_of(s, ret_row->key_hash)->handed)
      break;
    s->victim_after = ret_row->seq;
  }
  rmq_spool_db_scan_end(s->db);
  *ret_has = f == RMQ_SPOOL_FINE && has;
  return f;
}

/* In a damaged tree a row may turn up that was not there when all were counted,
 * or twice; the lanes know of no more than were counted. */
static bool is_counted(const struct rmq_spool_lane *lane) {
  uint64_t lost = 0;
  for (int why = 0; why < RMQ_STORE_LOSSES_COUNT; why++)
    lost += lane->lost_rows[why].tally.messages;
  return lost < lane->unread.messages;
}

static void remember_lost(struct rmq_spool_lane *lane,
                          const struct rmq_spool_row *row,
                          enum rmq_store_loss why) {
  struct rmq_store_lost *lost = &lane->lost_rows[why];
  if (lost->tally.messages == 0)
    *lost = (struct rmq_store_lost){.why = why, .first = row->seq};
  lost->last = row->seq; /* the oldest unread one goes first */
  rmq_spool_tally(&lost->tally, row->values);
}

static enum rmq_spool_fault lose(struct rmq_spool *s, struct transaction *t,
                                 const struct rmq_spool_row *row,
                                 enum rmq_store_loss why,
                                 struct rmq_error *err) {
  uint64_t rows = 0;
  if (!is_counted(rmq_spool_lane_of(s, row->key_hash))) {
    rmq_error_set(err, "it has more rows than were counted");
    return RMQ_SPOOL_CORRUPT;
  }
  enum rmq_spool_fault f =
      rmq_spool_db_delete(s->db, row->seq, row->seq, &rows, err);
  if (f != RMQ_SPOOL_FINE)
    return f;
  remember_lost(rmq_spool_lane_of(s, row->key_hash), row, why);
  t->deleted += rows;
  t->log_bytes -= t->log_bytes < DELETE_BYTES ? t->log_bytes : DELETE_BYTES;
  s->victim_after = row->seq;
  return RMQ_SPOOL_FINE;
}

static bool is_expired(const struct rmq_spool *s,
                       const struct rmq_spool_row *row, struct rmq_mono now) {
  return s->config.max_age.ns > 0 &&
         rmq_spool_age_of(&s->age, row->seq, row->accepted, now).ns >
             s->config.max_age.ns;
}

static enum rmq_spool_fault expire(struct rmq_spool *s, struct transaction *t,
                                   struct rmq_mono now, struct rmq_error *err) {
  enum rmq_spool_fault f = RMQ_SPOOL_FINE;
  if (s->config.max_age.ns == 0)
    return f;
  for (int i = 0; i < EXPIRE_MAX && t->log_bytes > DELETE_BYTES; i++) {
    struct rmq_spool_row row;
    bool has = false;
    f = oldest_unread(s, &row, &has, err);
    if (f != RMQ_SPOOL_FINE || !has || !is_expired(s, &row, now))
      break;
    f = lose(s, t, &row, RMQ_STORE_EXPIRED, err);
    if (f != RMQ_SPOOL_FINE)
      break;
  }
  return f;
}

/* ------------------------------------------------------------------------
 * Inserting */

enum place { HAS_ROOM, NO_ROOM, NEXT_TRANSACTION };

/* The estimates are too high: where they leave no room, ask. */
static enum rmq_spool_fault has_room(struct rmq_spool *s, struct transaction *t,
                                     int64_t pages, bool *ret_has,
                                     struct rmq_error *err) {
  enum rmq_spool_fault f = RMQ_SPOOL_FINE;
  if (t->room < pages + SLACK_PAGES)
    f = rmq_spool_db_room(s->db, &t->room, err);
  *ret_has = t->room >= pages + SLACK_PAGES;
  return f;
}

/* Drops the oldest until there are so many pages. What this transaction wrote
 * is not its to drop: the lanes have not heard of it. */
static enum rmq_spool_fault make_room(struct rmq_spool *s,
                                      struct transaction *t,
                                      const struct rmq_message *m,
                                      int64_t pages, enum place *ret_place,
                                      struct rmq_error *err) {
  bool has = false;
  *ret_place = NO_ROOM;
  enum rmq_spool_fault f = has_room(s, t, pages, &has, err);
  while (f == RMQ_SPOOL_FINE && !has) {
    struct rmq_spool_row row;
    if (s->config.policy == RMQ_DROP_NEWEST)
      return f;
    f = oldest_unread(s, &row, &has, err);
    bool is_own = t->written > 0 && (!has || row.seq >= t->first_written);
    if (f != RMQ_SPOOL_FINE || is_own || t->log_bytes <= DELETE_BYTES) {
      *ret_place = NEXT_TRANSACTION;
      return f;
    }
    if (!has || row.seq > m->seq)
      return f;
    f = lose(s, t, &row, RMQ_STORE_FULL, err);
    if (f == RMQ_SPOOL_FINE)
      f = has_room(s, t, pages, &has, err);
  }
  *ret_place = HAS_ROOM;
  return f;
}

static enum rmq_spool_fault find_place(struct rmq_spool *s,
                                       struct transaction *t,
                                       const struct rmq_message *m,
                                       enum place *ret_place,
                                       struct rmq_error *err) {
  uint64_t pages = rmq_spool_db_pages_of(s->db, row_bytes(m));
  uint64_t log_bytes = log_bytes_of(s, row_bytes(m));
  *ret_place = NO_ROOM;
  if (log_bytes > log_bytes_max(s) ||
      pages + SLACK_PAGES > rmq_spool_db_pages_max(s->db))
    return RMQ_SPOOL_FINE; /* never */
  *ret_place = NEXT_TRANSACTION;
  if (log_bytes > t->log_bytes)
    return RMQ_SPOOL_FINE;
  return make_room(s, t, m, (int64_t)pages, ret_place, err);
}

static enum rmq_spool_fault insert(struct rmq_spool *s, struct transaction *t,
                                   struct rmq_message *m,
                                   struct rmq_error *err) {
  uint32_t hash = rmq_store_key_hash(m->key);
  enum rmq_spool_fault f = rmq_spool_db_insert(s->db, m, hash, err);
  if (f != RMQ_SPOOL_FINE)
    return f;
  uint64_t log_bytes = log_bytes_of(s, row_bytes(m));
  t->log_bytes -= log_bytes < t->log_bytes ? log_bytes : t->log_bytes;
  t->room -= (int64_t)rmq_spool_db_pages_of(s->db, row_bytes(m));
  if (t->written++ == 0 || m->seq < t->first_written)
    t->first_written = m->seq;
  if (m->seq <= s->victim_after)
    s->victim_after = m->seq - 1;
  rmq_list_remove(&s->batch, &m->node);
  rmq_list_push_back(&rmq_spool_lane_of(s, hash)->written, &m->node);
  return f;
}

static enum rmq_spool_fault insert_batch(struct rmq_spool *s,
                                         struct transaction *t,
                                         struct rmq_error *err) {
  enum rmq_spool_fault f = RMQ_SPOOL_FINE;
  struct rmq_node *n;
  while (f == RMQ_SPOOL_FINE && (n = rmq_list_first(&s->batch)) != NULL) {
    struct rmq_message *m = message_of(n);
    enum place place = NO_ROOM;
    f = find_place(s, t, m, &place, err);
    if (f != RMQ_SPOOL_FINE || place == NEXT_TRANSACTION)
      return f;
    if (place == HAS_ROOM) {
      f = insert(s, t, m, err);
      continue;
    }
    rmq_list_remove(&s->batch, n);
    rmq_list_push_back(&t->dropped, n);
    uint32_t hash = rmq_store_key_hash(m->key);
    rmq_spool_tally(&rmq_spool_lane_of(s, hash)->lost_pending, m->values);
  }
  return f;
}

/* ------------------------------------------------------------------------
 * Answers */

static void free_all(struct rmq_list *l) {
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(l)) != NULL)
    rmq_message_free(message_of(n));
}

static void tell_losses(struct rmq_spool_lane *lane) {
  const struct rmq_store_handlers *h = &lane->handlers;
  /* The oldest first: what has expired before what there was no room for. */
  for (int why = RMQ_STORE_LOSSES_COUNT - 1; why >= 0; why--) {
    const struct rmq_store_lost *lost = &lane->lost_rows[why];
    lane->unread.messages -= lost->tally.messages;
    lane->unread.values -= lost->tally.values < lane->unread.values
                               ? lost->tally.values
                               : lane->unread.values;
    if (lost->tally.messages > 0)
      h->lost(h->ctx, lost);
  }
}

/* What there was no room for. */
static void tell_dropped(struct rmq_spool *s, struct rmq_list *dropped) {
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(dropped)) != NULL) {
    struct rmq_message *m = message_of(n);
    const struct rmq_spool_lane *lane =
        rmq_spool_lane_of(s, rmq_store_key_hash(m->key));
    struct rmq_store_lost lost = {.why = RMQ_STORE_FULL,
                                  .message = m,
                                  .first = m->seq,
                                  .last = m->seq,
                                  .tally = {1, m->values}};
    lane->handlers.lost(lane->handlers.ctx, &lost);
    rmq_message_free(m);
  }
}

static uint64_t values_of(const struct rmq_list *l) {
  uint64_t values = 0;
  for (struct rmq_node *n = rmq_list_first(l); n != NULL;
       n = rmq_list_next(l, n))
    values += message_of(n)->values;
  return values;
}

static void tell_stored(struct rmq_spool_lane *lane) {
  struct rmq_list *l = &lane->written;
  size_t count = l->count;
  if (count == 0)
    return;
  for (struct rmq_node *n = rmq_list_first(l); n != NULL;
       n = rmq_list_next(l, n))
    message_of(n)->is_stored = true;
  uint64_t last = message_of(rmq_list_last(l))->seq;
  if (last > lane->committed)
    lane->committed = last;
  lane->handlers.stored(lane->handlers.ctx, l);
  lane->unread.messages += l->count;
  lane->unread.values += values_of(l);
  if (l->count > 0)
    last = message_of(rmq_list_first(l))->seq - 1;
  if (l->count < count && last > lane->handed)
    lane->handed = last;
  free_all(l);
}

/* After the lanes have heard of it. */
static void complain_if_full(struct rmq_spool *s, struct rmq_mono now) {
  uint64_t dropped = 0;
  for (unsigned i = 0; i < s->config.lanes; i++)
    dropped += s->lanes[i].lost_rows[RMQ_STORE_FULL].tally.messages +
               s->lanes[i].lost_pending.messages;
  s->full_dropped += dropped;
  if (s->rows == 0 && dropped == 0)
    rmq_complain_recover(&s->full);
  if (dropped == 0 || !rmq_complain_report(&s->full, now, NULL))
    return;
  rmq_spool_log(s, RMQ_LOG_ERROR, "spool_full",
                "%s is full, and %" PRIu64 " messages were dropped (%s); see "
                "SpoolMaxBytes and the connection's state",
                s->file.path, s->full_dropped,
                rmq_overflow_to_str(s->config.policy));
  s->full_dropped = 0;
}

static size_t cost_of(const struct rmq_list *l) {
  size_t cost = 0;
  for (struct rmq_node *n = rmq_list_first(l); n != NULL;
       n = rmq_list_next(l, n))
    cost += rmq_message_cost(message_of(n));
  return cost;
}

static size_t cost_of_written(const struct rmq_spool *s) {
  size_t cost = 0;
  for (unsigned i = 0; i < s->config.lanes; i++)
    cost += cost_of(&s->lanes[i].written);
  return cost;
}

static void tell(struct rmq_spool *s, struct transaction *t) {
  rmq_spool_release(s, cost_of(&t->dropped) + cost_of_written(s));
  s->rows += t->written;
  s->rows -= t->deleted;
  rmq_spool_ranges_drop(&s->deleting, t->ranges_done, t->of_next_range);
  for (unsigned i = 0; i < s->config.lanes; i++)
    tell_losses(&s->lanes[i]);
  tell_dropped(s, &t->dropped);
  for (unsigned i = 0; i < s->config.lanes; i++)
    tell_stored(&s->lanes[i]);
}

/* By seq, so that every lane gets its own back in order. */
static void insert_by_seq(struct rmq_list *l, struct rmq_node *n) {
  struct rmq_node *where = rmq_list_last(l);
  while (where != NULL && message_of(where)->seq > message_of(n)->seq)
    where = rmq_list_prev(l, where);
  rmq_list_insert_after(l, where == NULL ? &l->head : where, n);
}

/* Nothing of it has happened. */
static void undo(struct rmq_spool *s, struct transaction *t) {
  struct rmq_node *n;
  s->victim_after = t->victim_after;
  for (unsigned i = 0; i < s->config.lanes; i++)
    while ((n = rmq_list_pop_front(&s->lanes[i].written)) != NULL)
      rmq_list_push_back(&t->dropped, n);
  while ((n = rmq_list_pop_front(&t->dropped)) != NULL)
    insert_by_seq(&s->batch, n);
}

void rmq_spool_fail_batch(struct rmq_spool *s) {
  struct rmq_node *n;
  rmq_spool_release(s, cost_of(&s->batch));
  while ((n = rmq_list_pop_front(&s->batch)) != NULL) {
    uint32_t hash = rmq_store_key_hash(message_of(n)->key);
    rmq_list_push_back(&rmq_spool_lane_of(s, hash)->written, n);
  }
  for (unsigned i = 0; i < s->config.lanes; i++) {
    struct rmq_spool_lane *lane = &s->lanes[i];
    if (!rmq_list_is_empty(&lane->written))
      lane->handlers.failed(lane->handlers.ctx, &lane->written);
    assert(rmq_list_is_empty(&lane->written));
  }
}

/* ------------------------------------------------------------------------ */

static enum rmq_spool_fault start(struct rmq_spool *s, struct transaction *t,
                                  struct rmq_error *err) {
  enum rmq_spool_fault f = RMQ_SPOOL_FINE;
  if (rmq_spool_db_frames_left(s->db) < rmq_spool_db_frames_max(s->db) / 2)
    f = rmq_spool_db_checkpoint(s->db, err);
  if (f == RMQ_SPOOL_FINE)
    f = rmq_spool_db_begin(s->db, err);
  if (f == RMQ_SPOOL_FINE)
    f = rmq_spool_db_room(s->db, &t->room, err);
  t->log_bytes = log_bytes_max(s);
  t->victim_after = s->victim_after;
  rmq_list_init(&t->dropped);
  for (unsigned i = 0; i < s->config.lanes; i++) {
    struct rmq_spool_lane *lane = &s->lanes[i];
    memset(lane->lost_rows, 0, sizeof(lane->lost_rows));
    memset(&lane->lost_pending, 0, sizeof(lane->lost_pending));
  }
  return f;
}

bool rmq_spool_write(struct rmq_spool *s, struct rmq_mono now) {
  struct rmq_error err = {""};
  struct transaction t = {.written = 0};
  enum rmq_spool_fault f = start(s, &t, &err);
  if (f == RMQ_SPOOL_FINE)
    f = delete_settled(s, &t, &err);
  if (f == RMQ_SPOOL_FINE)
    f = expire(s, &t, now, &err);
  if (f == RMQ_SPOOL_FINE)
    f = insert_batch(s, &t, &err);
  if (f == RMQ_SPOOL_FINE)
    f = rmq_spool_db_commit(s->db, &err);
  if (f == RMQ_SPOOL_FINE) {
    s->is_dirty = true;
    tell(s, &t);
    complain_if_full(s, now);
    return true;
  }
  rmq_spool_db_rollback(s->db);
  undo(s, &t);
  rmq_spool_faulted(s, f, &err, now);
  rmq_spool_fail_batch(s);
  return false;
}
