/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/spool/spool_private.h"

#ifdef HAVE_MALLOC_TRIM
#include <malloc.h>
#endif

/* Rows looked at per request, so that a lane with few rows among many does not
 * hold up the others. */
enum { SCAN_MAX = 20000 };
/* Read between two trims of the heap. */
enum { TRIM_BYTES = 4 << 20 };

struct reading {
  struct rmq_spool_lane *lane;
  const struct rmq_spool_fetch *wanted;
  struct rmq_mono now;
  struct rmq_list messages;
  size_t bytes;
  uint64_t through;
};

/* The row ends here, and leaves the file with the next transaction. */
static void lose(struct rmq_spool *s, struct reading *r,
                 const struct rmq_spool_row *row, enum rmq_store_loss why) {
  const struct rmq_store_handlers *h = &r->lane->handlers;
  struct rmq_store_lost lost = {.why = why,
                                .first = row->seq,
                                .last = row->seq,
                                .tally = {1, row->values}};
  rmq_spool_untally(&r->lane->unread, row->values);
  rmq_spool_ranges_add(&s->deleting, row->seq);
  h->lost(h->ctx, &lost);
}

static void damaged(struct rmq_spool *s, struct reading *r,
                    const struct rmq_spool_row *row,
                    const struct rmq_error *err) {
  s->failures++;
  if (rmq_complain_report(&s->trouble, r->now, NULL))
    rmq_spool_log(s, RMQ_LOG_ERROR, "spool_damaged",
                  "a message in %s cannot be read back (%s) and is lost; check "
                  "the disk",
                  s->file.path, err->text);
  lose(s, r, row, RMQ_STORE_DAMAGED);
}

/* False when the request has its fill. */
static bool take(struct rmq_spool *s, struct reading *r,
                 const struct rmq_spool_row *row, enum rmq_spool_fault *ret_f,
                 struct rmq_error *err) {
  struct rmq_error of_row = {""};
  struct rmq_message *m = NULL;
  enum rmq_spool_fault f = rmq_spool_db_read(s->db, row->seq, &m, &of_row);
  if (f == RMQ_SPOOL_CORRUPT) {
    damaged(s, r, row, &of_row);
    return true;
  }
  if (m == NULL) { /* no memory, or the disk */
    *ret_f = f;
    rmq_error_set(err, "%s", of_row.text);
    return false;
  }
  size_t cost = rmq_message_cost(m);
  if (r->messages.count > 0 && (r->bytes >= r->wanted->max_bytes ||
                                cost > r->wanted->max_bytes - r->bytes)) {
    rmq_message_free(m);
    return false;
  }
  struct rmq_dur age = rmq_spool_age_of(&s->age, m->seq, m->time, r->now);
  m->born = (struct rmq_mono){r->now.ns - age.ns};
  r->bytes += cost;
  rmq_list_push_back(&r->messages, &m->node);
  rmq_spool_untally(&r->lane->unread, m->values);
  return true;
}

static bool is_expired(const struct rmq_spool *s,
                       const struct rmq_spool_row *row, struct rmq_mono now) {
  return s->config.max_age.ns > 0 &&
         rmq_spool_age_of(&s->age, row->seq, row->accepted, now).ns >
             s->config.max_age.ns;
}

static enum rmq_spool_fault read_rows(struct rmq_spool *s, struct reading *r,
                                      struct rmq_error *err) {
  enum rmq_spool_fault f =
      rmq_spool_db_scan(s->db, r->through, r->lane->committed, err);
  for (int looked = 0; f == RMQ_SPOOL_FINE && looked < SCAN_MAX; looked++) {
    struct rmq_spool_row row;
    bool has = false;
    if (r->messages.count >= r->wanted->max_messages)
      break;
    f = rmq_spool_db_scan_next(s->db, &row, &has, err);
    if (f != RMQ_SPOOL_FINE)
      break;
    if (!has) {
      r->through = r->lane->committed;
      break;
    }
    if (rmq_spool_lane_of(s, row.key_hash) == r->lane) {
      if (r->lane->unread.messages == 0) {
        rmq_error_set(err, "it has more rows than were counted");
        f = RMQ_SPOOL_CORRUPT;
        break;
      }
      if (is_expired(s, &row, r->now))
        lose(s, r, &row, RMQ_STORE_EXPIRED);
      else if (!take(s, r, &row, &f, err))
        break;
    }
    r->through = row.seq;
  }
  rmq_spool_db_scan_end(s->db);
  return f;
}

/* What is read comes from this thread's arena, while what it takes the place of
 * was freed into the arenas of the host's write threads, where nobody allocates
 * any more: without this the process would keep both, nearly twice
 * SendQueueBytes. Before the first reading, then every TRIM_BYTES. */
static void trim_heap(struct rmq_spool *s) {
  if (s->trim_after > 0)
    return;
  s->trim_after = TRIM_BYTES;
#ifdef HAVE_MALLOC_TRIM
  malloc_trim(0);
#endif
}

void rmq_spool_answer(struct rmq_spool *s, struct rmq_spool_lane *lane,
                      const struct rmq_spool_fetch *wanted,
                      struct rmq_mono now) {
  const struct rmq_store_handlers *h = &lane->handlers;
  struct rmq_error err = {""};
  struct reading r = {.lane = lane, .wanted = wanted, .now = now};
  enum rmq_spool_fault f = RMQ_SPOOL_FINE;
  rmq_list_init(&r.messages);
  trim_heap(s);
  /* A row that was handed over is not handed over again. */
  r.through =
      wanted->after_seq > lane->handed ? wanted->after_seq : lane->handed;
  if (s->db != NULL && r.through < lane->committed)
    f = read_rows(s, &r, &err);
  lane->handed = r.through;
  s->trim_after -= r.bytes < s->trim_after ? r.bytes : s->trim_after;
  h->fetched(h->ctx, &r.messages, r.through);
  /* Afterwards: it may lose all that was not handed over. */
  if (f != RMQ_SPOOL_FINE)
    rmq_spool_faulted(s, f, &err, now);
}
