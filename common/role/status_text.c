/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/status_text.h"

#include "common/role/status_cell.h"
#include "common/role/status_table.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
  NAME_COLUMNS = 10,  /* "throughput" */
  STATE_COLUMNS = 7,  /* "FAILURE", "UNKNOWN" */
  SPARK_COLUMNS = 20, /* at most; a quarter of the width */
  OBJECT_COLUMNS_MAX = 60,
  LINE_BYTES_MAX = 8192
};

struct layout {
  const struct rmq_status_report *report;
  const struct rmq_status_style *style;
  struct rmq_buf *out;
};

const char *rmq_status_word(enum rmq_verdict_state s) {
  return s == RMQ_VERDICT_CRITICAL ? "FAILURE" : rmq_verdict_state_to_str(s);
}

/* ---- pieces ---- */

static void begin_colour(const struct layout *l, enum rmq_verdict_state s) {
  if (l->style->has_colour)
    rmq_buf_append_text(l->out, rmq_status_cell_colour(s));
}

static void end_colour(const struct layout *l) {
  if (l->style->has_colour)
    rmq_buf_append_text(l->out, "\033[0m");
}

static void put_state(const struct layout *l, enum rmq_verdict_state s,
                      size_t columns) {
  begin_colour(l, s);
  rmq_status_cell_left(l->out, rmq_status_word(s), columns, true);
  end_colour(l);
}

static void append_clock(struct rmq_buf *out, struct rmq_wall t,
                         int64_t utc_offset_s, bool has_date) {
  time_t s = (time_t)(t.ns / RMQ_NS_PER_S + utc_offset_s);
  char text[64] = "";
  struct tm tm;
  if (gmtime_r(&s, &tm) == NULL ||
      strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm) == 0)
    return;
  const char *time = strrchr(text, ' ');
  rmq_buf_append_text(out, has_date || time == NULL ? text : time + 1);
}

static void end_line(const struct layout *l) {
  rmq_buf_append_char(l->out, '\n');
}

/* ---- the headline ---- */

static void append_problem(const struct rmq_status_indicator *x,
                           int64_t utc_offset_s, bool has_cause,
                           struct rmq_buf *out) {
  rmq_buf_appendf(out, "%s %s since %s",
                  rmq_verdict_indicator_to_str(x->indicator),
                  rmq_status_word(x->state), x->is_older ? "before " : "");
  append_clock(out, x->since, utc_offset_s, false);
  if (has_cause)
    rmq_buf_appendf(out, ": %s", x->text);
}

/* "; also errors, resource" of those in that state besides the first. */
static void append_others(const struct rmq_status_report *r,
                          const struct rmq_status_indicator *but,
                          enum rmq_verdict_state s, const char *words,
                          struct rmq_buf *out) {
  bool has_one = false;
  for (int i = 0; i < RMQ_STATUS_INDICATORS; i++) {
    const struct rmq_status_indicator *x = &r->indicators[i];
    if (x == but || x->state != s)
      continue;
    rmq_buf_appendf(out, "%s%s", has_one ? ", " : words,
                    rmq_verdict_indicator_to_str(x->indicator));
    has_one = true;
  }
}

/* No limit is about it, and yet a person wants to know. */
static void append_abandoned(const struct rmq_status_report *r,
                             struct rmq_buf *out) {
  if (r->queues_abandoned > 0)
    rmq_buf_appendf(out, "; messages wait without a consumer in %zu %s",
                    r->queues_abandoned,
                    r->queues_abandoned == 1 ? "queue" : "queues");
}

static void append_verdict(const struct rmq_status_report *r,
                           int64_t utc_offset_s, bool has_cause,
                           struct rmq_buf *out) {
  const struct rmq_status_indicator *worst = NULL;
  if (r->state == RMQ_VERDICT_OK) {
    rmq_buf_append_text(out, "all five are well");
    return;
  }
  if (r->state == RMQ_VERDICT_UNKNOWN) {
    rmq_buf_append_text(out, "nothing is known to be wrong");
    append_others(r, NULL, RMQ_VERDICT_UNKNOWN, "; not known: ", out);
    return;
  }
  for (int i = 0; worst == NULL && i < RMQ_STATUS_INDICATORS; i++)
    if (r->indicators[i].state == r->state)
      worst = &r->indicators[i];
  append_problem(worst, utc_offset_s, has_cause, out);
  append_others(r, worst, RMQ_VERDICT_CRITICAL, "; also FAILURE: ", out);
  append_others(r, worst, RMQ_VERDICT_WARNING, "; also WARNING: ", out);
  append_others(r, worst, RMQ_VERDICT_UNKNOWN, "; not known: ", out);
}

void rmq_status_headline(const struct rmq_status_report *r,
                         int64_t utc_offset_s, struct rmq_buf *out) {
  append_verdict(r, utc_offset_s, true, out);
  append_abandoned(r, out);
}

/* What is left of the width behind used columns; 0 = no bound. */
static size_t rest_of(const struct layout *l, size_t used) {
  if (l->style->width == 0)
    return 0;
  return l->style->width > used ? l->style->width - used : 1;
}

/* Words in lines of the width, which begin behind indent columns, the first one
 * there already; one that is too long for any is cut. */
static void put_wrapped(const struct layout *l, const char *text,
                        size_t indent) {
  size_t width = l->style->width, used = indent;
  while (*text != '\0') {
    size_t len = strcspn(text, " ");
    char word[1024];
    snprintf(word, sizeof(word), "%.*s", (int)len, text);
    size_t columns = rmq_status_cell_width(word, l->style->is_utf8);
    if (used > indent && width > 0 && used + 1 + columns > width) {
      end_line(l);
      rmq_status_cell_left(l->out, "", indent, true);
      used = indent;
    }
    if (used > indent) {
      rmq_buf_append_char(l->out, ' ');
      used++;
    }
    used += rmq_status_cell_text(l->out, word, rest_of(l, indent),
                                 l->style->is_utf8);
    text += len + strspn(text + len, " ");
  }
  end_line(l);
}

static void put_headline(const struct layout *l) {
  const struct rmq_status_report *r = l->report;
  struct rmq_buf text;
  rmq_buf_init(&text, LINE_BYTES_MAX);
  append_clock(l->out, r->time, l->style->utc_offset_s, true);
  rmq_buf_append_text(l->out, "  cluster ");
  rmq_status_cell_text(l->out, r->cluster, OBJECT_COLUMNS_MAX,
                       l->style->is_utf8);
  end_line(l);
  /* The line of the connection has it whole. */
  append_verdict(r, l->style->utc_offset_s, r->is_answered, &text);
  append_abandoned(r, &text);
  begin_colour(l, r->state);
  put_wrapped(l, rmq_buf_text(&text), 0);
  end_colour(l);
  end_line(l);
  rmq_buf_fini(&text);
}

/* ---- the five ---- */

static size_t spark_columns(const struct layout *l) {
  size_t quarter = l->style->width / 4;
  if (!l->style->has_history)
    return 0;
  return l->style->width > 0 && quarter < SPARK_COLUMNS ? quarter
                                                        : SPARK_COLUMNS;
}

static void put_indicator(const struct layout *l,
                          const struct rmq_status_indicator *x) {
  size_t spark = spark_columns(l);
  size_t used = NAME_COLUMNS + 2 + STATE_COLUMNS + 2;
  rmq_status_cell_left(l->out, rmq_verdict_indicator_to_str(x->indicator),
                       NAME_COLUMNS, true);
  rmq_buf_append_text(l->out, "  ");
  put_state(l, x->state, STATE_COLUMNS);
  rmq_buf_append_text(l->out, "  ");
  if (spark > 0) {
    rmq_status_cell_sparkline(l->out, x->history, x->history_count, spark,
                              l->style->is_utf8);
    rmq_buf_append_text(l->out, "  ");
    used += spark + 2;
  }
  if (!l->report->is_answered || x->state == RMQ_VERDICT_UNKNOWN) {
    put_wrapped(l, x->text, used);
    return;
  }
  rmq_status_cell_text(l->out, x->text, rest_of(l, used), l->style->is_utf8);
  end_line(l);
}

/* How many rows there is room for: title, empty line and notes are to fit. */
static size_t queue_rows(const struct layout *l, size_t lines_used) {
  size_t others = lines_used + 4 + l->report->notes_count;
  if (l->style->height == 0)
    return l->report->queues_count;
  size_t room = l->style->height > others ? l->style->height - others : 0;
  return room < l->report->queues_count ? room : l->report->queues_count;
}

static void put_queue_count(const struct layout *l, size_t rows) {
  const struct rmq_status_report *r = l->report;
  char text[160];
  if (!r->is_answered || r->queues_seen == 0)
    return;
  if (r->queues_filled == 0) {
    snprintf(text, sizeof(text),
             r->queues_seen == 1 ? "%zu queue, which is empty"
                                 : "%zu queues, all of them empty",
             r->queues_seen);
    end_line(l);
  } else if (r->queues_filled > rows) {
    snprintf(text, sizeof(text), "and %zu more with messages, of %zu queues",
             r->queues_filled - rows, r->queues_seen);
  } else {
    snprintf(text, sizeof(text), "%zu of %zu queue%s %s messages",
             r->queues_filled, r->queues_seen, r->queues_seen == 1 ? "" : "s",
             r->queues_filled == 1 ? "has" : "have");
  }
  rmq_status_cell_text(l->out, text, l->style->width, true);
  end_line(l);
}

static void put_notes(const struct layout *l) {
  const struct rmq_status_report *r = l->report;
  bool has_one = false;
  for (size_t i = 0; i < r->notes_count; i++) {
    if (strstr(r->indicators[RMQ_VERDICT_CONNECTION].text, r->notes[i].text) !=
        NULL)
      continue; /* said already */
    if (!has_one)
      end_line(l);
    has_one = true;
    rmq_buf_append_text(l->out, "! ");
    rmq_status_cell_text(l->out, r->notes[i].text, rest_of(l, 2),
                         l->style->is_utf8);
    end_line(l);
  }
}

static size_t count_lines(struct rmq_buf *out) {
  size_t count = 0;
  for (const char *c = rmq_buf_text(out); *c != '\0'; c++)
    count += *c == '\n';
  return count;
}

void rmq_status_text(const struct rmq_status_report *r,
                     const struct rmq_status_style *style,
                     struct rmq_buf *out) {
  const struct layout l = {r, style, out};
  put_headline(&l);
  for (int i = 0; i < RMQ_STATUS_INDICATORS; i++)
    put_indicator(&l, &r->indicators[i]);
  rmq_status_table_nodes(r, style, out);
  size_t rows = queue_rows(&l, count_lines(out));
  rmq_status_table_queues(r, style, rows, out);
  put_queue_count(&l, rows);
  put_notes(&l);
}
