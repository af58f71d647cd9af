/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/spool/spool_private.h"

#include <inttypes.h>
#include <string.h>

/* A file smaller than this is not worth being shrunk. */
enum { SHRINK_BYTES = 4 << 20 };

static struct rmq_wall wall(const struct rmq_spool *s) {
  return s->config.host->wall(s->config.host->ctx);
}

static void set_usable(struct rmq_spool *s, bool is_usable) {
  pthread_mutex_lock(&s->lock);
  s->is_usable = is_usable;
  pthread_mutex_unlock(&s->lock);
}

/* ------------------------------------------------------------------------
 * Trouble */

static const char *remedy_of(enum rmq_spool_fault f) {
  switch (f) {
  case RMQ_SPOOL_LOCKED:
    return "; another process has it open, end that or give one of the two "
           "another SpoolDir";
  case RMQ_SPOOL_DISK:
    return "; make room on the file system, or see the kernel's log for what "
           "is wrong with it";
  case RMQ_SPOOL_FINE:
  case RMQ_SPOOL_CORRUPT:
  case RMQ_SPOOL_NEWER:
    return "";
  }
  return "";
}

/* Until the retry everything is refused. */
static void give_up_for_now(struct rmq_spool *s, const char *text,
                            const char *remedy, struct rmq_mono now) {
  s->failures++;
  s->retry_at = rmq_mono_add(now, s->config.retry_interval);
  set_usable(s, false);
  if (rmq_complain_report(&s->trouble, now, NULL))
    rmq_spool_log(s, RMQ_LOG_ERROR, "spool_unusable",
                  "cannot spool: %s%s; until then messages wait in memory "
                  "only, tried again every %.0f s",
                  text, remedy, rmq_dur_seconds(s->config.retry_interval));
}

static void works_again(struct rmq_spool *s) {
  set_usable(s, true);
  if (rmq_complain_recover(&s->trouble))
    rmq_spool_log(s, RMQ_LOG_NOTICE, "spool_usable", "%s can be written again",
                  s->file.path);
}

static void disk_fails(struct rmq_spool *s, enum rmq_spool_fault f,
                       const struct rmq_error *err, struct rmq_mono now) {
  struct rmq_error text = {""};
  rmq_error_set(&text, "%.300s: %.180s", s->file.path, err->text);
  s->disk_fails = true;
  give_up_for_now(s, text.text, remedy_of(f), now);
}

/* ------------------------------------------------------------------------
 * Setting aside */

static void lose_unread(struct rmq_spool *s) {
  for (unsigned i = 0; i < s->config.lanes; i++) {
    struct rmq_spool_lane *lane = &s->lanes[i];
    struct rmq_store_lost lost = {
        .why = RMQ_STORE_DAMAGED, .last = UINT64_MAX, .tally = lane->unread};
    memset(&lane->unread, 0, sizeof(lane->unread));
    lane->handed = lane->committed;
    if (lost.tally.messages > 0)
      lane->handlers.lost(lane->handlers.ctx, &lost);
  }
  s->rows = 0;
  rmq_spool_ranges_drop(&s->deleting, s->deleting.count, 0);
}

/* The file is closed. False when even that fails. */
static bool set_aside(struct rmq_spool *s, const char *why, const char *cause,
                      struct rmq_mono now) {
  char aside[PATH_MAX];
  struct rmq_error err = {""};
  if (rmq_spool_file_set_aside(&s->file, why, wall(s), aside, &err) != 0) {
    give_up_for_now(s, err.text, "", now);
    return false;
  }
  rmq_spool_log(s, RMQ_LOG_ERROR, "spool_set_aside",
                "%s is of no use (%s); it is kept as %s (see warren spool "
                "export), and a fresh one is begun",
                s->file.path, cause, aside);
  return true;
}

void rmq_spool_faulted(struct rmq_spool *s, enum rmq_spool_fault f,
                       const struct rmq_error *err, struct rmq_mono now) {
  if (f != RMQ_SPOOL_CORRUPT) {
    disk_fails(s, f, err, now);
    return;
  }
  s->failures++;
  set_usable(s, false);
  rmq_spool_db_close(s->db, false);
  s->db = NULL;
  bool is_aside = set_aside(s, "corrupt", err->text, now);
  lose_unread(s);
  if (is_aside)
    rmq_spool_try_open(s, now);
}

/* ------------------------------------------------------------------------
 * Opening */

struct count {
  uint64_t rows, last;
};

/* Far above what one can count to, and room enough to go on counting. */
static const uint64_t highest_seq = UINT64_C(1) << 62;

/* Every lane's rows; that every one of them can be looked at and stands where
 * it should is also the quick check of the file. */
static enum rmq_spool_fault count_rows(struct rmq_spool *s, struct count *c,
                                       struct rmq_error *err) {
  /* From the least number on: those below 1 are of no row of ours. */
  enum rmq_spool_fault f =
      rmq_spool_db_scan(s->db, (uint64_t)INT64_MIN, INT64_MAX, err);
  for (unsigned i = 0; i < s->config.lanes; i++)
    memset(&s->lanes[i].unread, 0, sizeof(s->lanes[i].unread));
  while (f == RMQ_SPOOL_FINE) {
    struct rmq_spool_row row;
    bool has = false;
    f = rmq_spool_db_scan_next(s->db, &row, &has, err);
    if (f != RMQ_SPOOL_FINE || !has)
      break;
    if ((int64_t)row.seq <= (int64_t)c->last || row.seq > highest_seq) {
      rmq_error_set(err, "its rows are not in order");
      f = RMQ_SPOOL_CORRUPT;
      break;
    }
    c->rows++;
    c->last = row.seq;
    rmq_spool_tally(&rmq_spool_lane_of(s, row.key_hash)->unread, row.values);
  }
  rmq_spool_db_scan_end(s->db);
  return f;
}

/* Rows from a time before this process are below all that it numbers. */
static bool is_clash(const struct rmq_spool *s, const struct count *c) {
  return c->rows > 0 &&
         (s->was_open || (s->first_seq > 0 && c->last >= s->first_seq));
}

/* One attempt. On a fault that calls for setting aside, ret_why says how. */
static enum rmq_spool_fault open_once(struct rmq_spool *s, struct count *c,
                                      const char **ret_why,
                                      struct rmq_error *err) {
  *c = (struct count){0};
  enum rmq_spool_fault f =
      rmq_spool_db_open(s->file.path, s->file.is_empty, s->config.max_bytes,
                        s->config.sync, &s->db, err);
  if (f == RMQ_SPOOL_FINE)
    f = count_rows(s, c, err);
  *ret_why = f == RMQ_SPOOL_NEWER ? "newer" : "corrupt";
  if (f == RMQ_SPOOL_FINE && is_clash(s, c)) {
    rmq_error_set(err, "it came while this process was running, and its "
                       "messages have numbers that are in use");
    *ret_why = "foreign";
    f = RMQ_SPOOL_CORRUPT;
  }
  if (f != RMQ_SPOOL_FINE) {
    rmq_spool_db_close(s->db, false);
    s->db = NULL;
  }
  return f;
}

static void tell_recovered(struct rmq_spool *s, const struct count *c) {
  for (unsigned i = 0; i < s->config.lanes && c->rows > 0; i++) {
    struct rmq_spool_lane *lane = &s->lanes[i];
    lane->committed = c->last;
    if (lane->unread.messages > 0)
      lane->handlers.recovered(lane->handlers.ctx, lane->unread);
  }
  if (c->rows > 0)
    rmq_spool_log(s, RMQ_LOG_NOTICE, "spool_recovered",
                  "%" PRIu64 " messages of an earlier run are in %s", c->rows,
                  s->file.path);
}

static void opened(struct rmq_spool *s, const struct count *c) {
  s->rows = c->rows;
  s->victim_after = 0;
  s->disk_fails = s->is_gone = s->is_unsafe = false;
  tell_recovered(s, c);
  if (s->first_seq == 0)
    s->first_seq = c->last + 1;
  s->was_open = true;
}

/* What a dead process left there. On a disk without room for moving it the rows
 * are read and delivered all the same; that they are wanted is a promise. */
static void move_log(struct rmq_spool *s, struct rmq_mono now) {
  struct rmq_error err = {""};
  enum rmq_spool_fault f = rmq_spool_db_checkpoint(s->db, &err);
  if (f == RMQ_SPOOL_FINE)
    works_again(s);
  else
    rmq_spool_faulted(s, f, &err, now);
}

bool rmq_spool_try_open(struct rmq_spool *s, struct rmq_mono now) {
  /* The second time for the fresh file. */
  for (int i = 0; i < 2; i++) {
    struct rmq_error err = {""};
    struct count c;
    const char *why;
    if (rmq_spool_file_prepare(s->config.dir, s->config.block, &s->file,
                               &err) != 0) {
      give_up_for_now(s, err.text, "", now);
      return false;
    }
    enum rmq_spool_fault f = open_once(s, &c, &why, &err);
    if (f == RMQ_SPOOL_FINE) {
      opened(s, &c);
      move_log(s, now);
      return true;
    }
    if (f != RMQ_SPOOL_CORRUPT && f != RMQ_SPOOL_NEWER) {
      disk_fails(s, f, &err, now);
      return false;
    }
    if (!set_aside(s, why, err.text, now))
      return false;
  }
  return false;
}

/* ------------------------------------------------------------------------
 * Looking after it */

static enum rmq_spool_fault open_whole(const struct rmq_spool *s,
                                       const char *path,
                                       struct rmq_spool_db **ret_db,
                                       struct rmq_error *err) {
  struct rmq_spool_db *db = NULL;
  enum rmq_spool_fault f = rmq_spool_db_open(path, false, s->config.max_bytes,
                                             s->config.sync, &db, err);
  if (f == RMQ_SPOOL_FINE)
    f = rmq_spool_db_checkpoint(db, err);
  if (f == RMQ_SPOOL_FINE)
    *ret_db = db;
  else
    rmq_spool_db_close(db, false);
  return f;
}

/* Into a fresh file under the old name, from what the open handle still has. */
static enum rmq_spool_fault move_house(struct rmq_spool *s,
                                       struct rmq_error *err) {
  struct rmq_spool_file file;
  struct rmq_spool_db *db = NULL;
  if (rmq_spool_file_prepare(s->config.dir, s->config.block, &file, err) != 0)
    return RMQ_SPOOL_DISK;
  if (!file.is_empty) {
    rmq_error_set(err, "another file has taken its name; move that away");
    return RMQ_SPOOL_DISK;
  }
  enum rmq_spool_fault f = rmq_spool_db_copy(s->db, file.path, err);
  if (f == RMQ_SPOOL_FINE)
    f = open_whole(s, file.path, &db, err);
  if (f != RMQ_SPOOL_FINE) {
    rmq_spool_file_remove(&file);
    return f;
  }
  /* Not "good": its log has the name of the new one's. */
  rmq_spool_db_close(s->db, false);
  s->db = db;
  s->file = file;
  return f;
}

/* Without its log the file is whole only after a checkpoint, and SQLite makes a
 * log anew only when it opens the file. */
static enum rmq_spool_fault reopen(struct rmq_spool *s, struct rmq_error *err) {
  enum rmq_spool_fault f = rmq_spool_db_checkpoint(s->db, err);
  if (f != RMQ_SPOOL_FINE)
    return f;
  rmq_spool_db_close(s->db, true);
  s->db = NULL;
  return open_whole(s, s->file.path, &s->db, err);
}

static void tell_vanished(struct rmq_spool *s, bool is_anew,
                          const struct rmq_error *err, struct rmq_mono now) {
  if (is_anew) {
    rmq_complain_recover(&s->vanished);
    rmq_spool_log(s, RMQ_LOG_ERROR, "spool_vanished",
                  "somebody removed %s or its log while it was in use; it has "
                  "been made anew with all %" PRIu64 " messages",
                  s->file.path, s->rows);
  } else if (rmq_complain_report(&s->vanished, now, NULL)) {
    rmq_spool_log(s, RMQ_LOG_ERROR, "spool_vanished",
                  "somebody removed %s or its log while it was in use, and it "
                  "cannot be made anew: %s; its %" PRIu64 " messages will not "
                  "survive the end of this process",
                  s->file.path, err->text, s->rows);
  }
}

/* It lies under its path again, whoever moved it. */
static void tell_back(struct rmq_spool *s) {
  s->is_gone = s->is_unsafe = false;
  if (rmq_complain_recover(&s->vanished))
    rmq_spool_log(s, RMQ_LOG_NOTICE, "spool_usable", "%s is back in its place",
                  s->file.path);
}

static void follow_file(struct rmq_spool *s, struct rmq_mono now) {
  struct rmq_error err = {""};
  bool is_there = rmq_spool_file_is_there(&s->file);
  if (is_there && rmq_spool_file_has_log(&s->file)) {
    tell_back(s);
    return;
  }
  s->failures += s->is_unsafe ? 0 : 1;
  s->is_gone = !is_there;
  enum rmq_spool_fault f = is_there ? reopen(s, &err) : move_house(s, &err);
  s->is_unsafe = f != RMQ_SPOOL_FINE;
  if (!s->is_unsafe)
    s->is_gone = false;
  tell_vanished(s, f == RMQ_SPOOL_FINE, &err, now);
  if (s->db == NULL) { /* what lies there is no longer known to be ours */
    lose_unread(s);
    disk_fails(s, f, &err, now);
  }
}

static void shrink(struct rmq_spool *s, struct rmq_mono now) {
  struct rmq_error err = {""};
  if (s->rows > 0) {
    s->may_shrink = true;
    return;
  }
  if (!s->may_shrink || rmq_spool_file_bytes(&s->file) < SHRINK_BYTES)
    return;
  s->may_shrink = false; /* once per time that it has run empty */
  enum rmq_spool_fault f = rmq_spool_db_shrink(s->db, &err);
  if (f == RMQ_SPOOL_CORRUPT)
    rmq_spool_faulted(s, f, &err, now);
}

static void look_after_open(struct rmq_spool *s, struct rmq_mono now) {
  struct rmq_error err = {""};
  if (s->is_dirty && s->config.sync == RMQ_SPOOL_SYNC_INTERVAL) {
    enum rmq_spool_fault f = rmq_spool_db_checkpoint(s->db, &err);
    if (f != RMQ_SPOOL_FINE) {
      rmq_spool_faulted(s, f, &err, now);
      return;
    }
    s->is_dirty = false;
  }
  follow_file(s, now);
  shrink(s, now);
}

/* Every row has been handed over and has ended. */
static bool is_over(struct rmq_spool *s) {
  for (unsigned i = 0; i < s->config.lanes; i++)
    if (s->lanes[i].unread.messages > 0)
      return false;
  pthread_mutex_lock(&s->lock);
  uint64_t ended = s->settled.seqs + s->deleting.seqs;
  pthread_mutex_unlock(&s->lock);
  return s->rows > 0 && ended == s->rows;
}

/* On a disk that the spool itself has filled nothing can be deleted, because
 * that needs room in the log first. A file of which nothing is wanted any more
 * can be thrown away. */
static void begin_anew(struct rmq_spool *s, struct rmq_mono now) {
  rmq_spool_log(s, RMQ_LOG_NOTICE, "spool_anew",
                "all %" PRIu64 " messages of %s have been delivered, and the "
                "disk has no room for deleting them: the file is begun anew",
                s->rows, s->file.path);
  rmq_spool_db_close(s->db, false);
  s->db = NULL;
  rmq_spool_file_discard(&s->file);
  pthread_mutex_lock(&s->lock);
  rmq_spool_ranges_drop(&s->settled, s->settled.count, 0);
  pthread_mutex_unlock(&s->lock);
  rmq_spool_ranges_drop(&s->deleting, s->deleting.count, 0);
  s->rows = 0;
  rmq_spool_try_open(s, now);
}

static void retry(struct rmq_spool *s, struct rmq_mono now) {
  struct rmq_error err = {""};
  if (!s->is_gone && is_over(s)) {
    begin_anew(s, now);
    return;
  }
  enum rmq_spool_fault f = rmq_spool_db_probe(s->db, &err);
  if (f != RMQ_SPOOL_FINE) {
    rmq_spool_faulted(s, f, &err, now);
    return;
  }
  s->disk_fails = false;
  works_again(s);
}

void rmq_spool_tick(struct rmq_spool *s, struct rmq_mono now) {
  pthread_mutex_lock(&s->lock);
  uint64_t next_seq = s->newest_seq + 1;
  pthread_mutex_unlock(&s->lock);
  rmq_spool_age_see(&s->age, next_seq, now, wall(s));
  bool may_retry = rmq_mono_reached(now, s->retry_at);
  if (s->db == NULL) {
    if (may_retry)
      rmq_spool_try_open(s, now);
  } else if (s->disk_fails) {
    if (may_retry)
      retry(s, now);
  } else {
    look_after_open(s, now);
  }
}
