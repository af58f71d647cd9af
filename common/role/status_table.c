/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/status_table.h"

#include "common/role/status_cell.h"
#include "common/role/verdict_measure.h"

#include <math.h>
#include <stdio.h>

enum {
  OBJECT_COLUMNS_MIN = 12,
  OBJECT_COLUMNS_MAX = 60,
  COUNT_COLUMNS = 8,
  STATE_COLUMNS = 7,
  LINE_BYTES_MAX = 8192
};

struct layout {
  const struct rmq_status_style *style;
  struct rmq_buf *out;
};

static void end_line(const struct layout *l) {
  rmq_buf_append_char(l->out, '\n');
}

static void begin_colour(const struct layout *l, enum rmq_verdict_state s) {
  if (l->style->has_colour)
    rmq_buf_append_text(l->out, rmq_status_cell_colour(s));
}

static void end_colour(const struct layout *l) {
  if (l->style->has_colour)
    rmq_buf_append_text(l->out, "\033[0m");
}

/* In red what is in a state that is not OK. */
static void put_figure(const struct layout *l, const char *text, size_t columns,
                       enum rmq_verdict_state s) {
  rmq_buf_append_text(l->out, "  ");
  if (s != RMQ_VERDICT_OK)
    begin_colour(l, s);
  rmq_status_cell_right(l->out, text, columns);
  if (s != RMQ_VERDICT_OK)
    end_colour(l);
}

/* ---- tables ---- */

struct column {
  const char *title;
  size_t columns;
};

/* Columns of the object's name, so that the others fit. */
static size_t object_columns(const struct layout *l, size_t longest,
                             size_t others) {
  size_t room = l->style->width > others + OBJECT_COLUMNS_MIN
                    ? l->style->width - others
                    : OBJECT_COLUMNS_MIN;
  size_t most = l->style->width == 0 ? OBJECT_COLUMNS_MAX : room;
  if (longest < OBJECT_COLUMNS_MIN)
    longest = OBJECT_COLUMNS_MIN;
  return longest < most ? longest : most;
}

static size_t sum_of(const struct column *columns, size_t count) {
  size_t sum = 0;
  for (size_t i = 0; i < count; i++)
    sum += 2 + columns[i].columns;
  return sum;
}

static void put_titles(const struct layout *l, const char *object,
                       size_t object_width, const struct column *columns,
                       size_t count) {
  rmq_status_cell_left(l->out, object, object_width, true);
  for (size_t i = 0; i < count; i++)
    put_figure(l, columns[i].title, columns[i].columns, RMQ_VERDICT_OK);
  end_line(l);
}

static const struct column node_columns[] = {{"STATE", STATE_COLUMNS},
                                             {"MEMORY", 6},
                                             {"OF", 8},
                                             {"DISK FREE", 9},
                                             {"FDS", 5},
                                             {"PROCS", 5},
                                             {"CPU", 5}};
enum { NODE_COLUMNS = sizeof(node_columns) / sizeof(node_columns[0]) };

static enum rmq_verdict_state share_state(const char *measure, double value) {
  return rmq_verdict_limits(RMQ_VERDICT_RESOURCE, measure, value);
}

static const char *node_word(const struct rmq_status_node *n) {
  if (isnan(n->running))
    return "?";
  if (n->running <= 0)
    return "down";
  if (n->memory_alarm > 0 || n->disk_alarm > 0)
    return "alarm";
  return "runs";
}

static void put_share(const struct layout *l, const char *measure,
                      double percent, size_t column) {
  char text[RMQ_STATUS_FIGURE_SIZE];
  rmq_status_cell_percent(percent, text);
  put_figure(l, text, node_columns[column].columns,
             share_state(measure, percent));
}

static void put_node(const struct layout *l, const struct rmq_status_node *n,
                     size_t object_width) {
  char text[RMQ_STATUS_FIGURE_SIZE];
  bool is_well = n->running > 0 && !(n->memory_alarm > 0 || n->disk_alarm > 0);
  bool is_unknown = isnan(n->running);
  rmq_status_cell_left(l->out, n->name, object_width, l->style->is_utf8);
  put_figure(l, node_word(n), node_columns[0].columns,
             is_well || is_unknown ? RMQ_VERDICT_OK : RMQ_VERDICT_CRITICAL);
  put_share(l, "memory", n->memory, 1);
  rmq_status_cell_bytes(n->memory_limit, text);
  put_figure(l, text, node_columns[2].columns, RMQ_VERDICT_OK);
  rmq_status_cell_bytes(n->disk_free, text);
  put_figure(
      l, text, node_columns[3].columns,
      n->disk_alarm > 0
          ? RMQ_VERDICT_CRITICAL
          : rmq_verdict_limits(RMQ_VERDICT_RESOURCE, "disk",
                               rmq_verdict_disk(n->disk_free, n->disk_limit)));
  put_share(l, "file_handles", n->file_handles, 4);
  put_share(l, "processes", n->processes, 5);
  put_share(l, "cpu", n->cpu, 6);
  end_line(l);
}

void rmq_status_table_nodes(const struct rmq_status_report *r,
                            const struct rmq_status_style *style,
                            struct rmq_buf *out) {
  const struct layout layout = {style, out}, *l = &layout;
  size_t longest = 0;
  if (r->nodes_count == 0)
    return;
  for (size_t i = 0; i < r->nodes_count; i++) {
    size_t n = rmq_status_cell_width(r->nodes[i].name, l->style->is_utf8);
    longest = n > longest ? n : longest;
  }
  size_t width = object_columns(l, longest, sum_of(node_columns, NODE_COLUMNS));
  end_line(l);
  put_titles(l, "NODE", width, node_columns, NODE_COLUMNS);
  for (size_t i = 0; i < r->nodes_count; i++)
    put_node(l, &r->nodes[i], width);
}

static const struct column queue_columns[] = {
    {"READY", COUNT_COLUMNS},   {"UNACKED", COUNT_COLUMNS},
    {"PER MIN", COUNT_COLUMNS}, {"DRAINED", 7},
    {"CONSUMERS", 9},           {"OLDEST", 7}};
enum { QUEUE_COLUMNS = sizeof(queue_columns) / sizeof(queue_columns[0]) };

static void name_queue(const struct rmq_status_queue *q, struct rmq_buf *out) {
  rmq_buf_clear(out);
  rmq_buf_appendf(out, "%s in %s", q->name, q->vhost);
}

/* How long at this pace; one that does not shrink is not drained. */
static void drain_text(const struct rmq_status_queue *q,
                       char ret_text[RMQ_STATUS_FIGURE_SIZE]) {
  if (isnan(q->drain) && q->growth >= 0 && q->ready > 0)
    snprintf(ret_text, RMQ_STATUS_FIGURE_SIZE, "never");
  else
    rmq_status_cell_time(q->drain, ret_text);
}

static void put_queue(const struct layout *l, const struct rmq_status_queue *q,
                      size_t object_width, struct rmq_buf *name) {
  char text[RMQ_STATUS_FIGURE_SIZE];
  const struct column *c = queue_columns;
  name_queue(q, name);
  rmq_status_cell_left(l->out, rmq_buf_text(name), object_width,
                       l->style->is_utf8);
  rmq_status_cell_count(q->ready, false, text);
  put_figure(l, text, c[0].columns,
             rmq_verdict_limits(RMQ_VERDICT_LAG, "queue_backlog",
                                q->ready + q->unacked));
  rmq_status_cell_count(q->unacked, false, text);
  put_figure(l, text, c[1].columns, RMQ_VERDICT_OK);
  rmq_status_cell_count(q->growth * 60, true, text);
  put_figure(l, text, c[2].columns, RMQ_VERDICT_OK);
  drain_text(q, text);
  put_figure(l, text, c[3].columns, RMQ_VERDICT_OK);
  rmq_status_cell_count(q->consumers, false, text);
  put_figure(l, text, c[4].columns,
             rmq_status_is_abandoned(q) ? RMQ_VERDICT_WARNING : RMQ_VERDICT_OK);
  rmq_status_cell_time(q->head_age, text);
  put_figure(l, text, c[5].columns,
             rmq_verdict_limits(RMQ_VERDICT_LAG, "head_age", q->head_age));
  end_line(l);
}

void rmq_status_table_queues(const struct rmq_status_report *r,
                             const struct rmq_status_style *style, size_t rows,
                             struct rmq_buf *out) {
  const struct layout layout = {style, out}, *l = &layout;
  struct rmq_buf name;
  size_t longest = 0;
  if (rows == 0)
    return;
  rmq_buf_init(&name, LINE_BYTES_MAX);
  for (size_t i = 0; i < rows; i++) {
    name_queue(&r->queues[i], &name);
    size_t n = rmq_status_cell_width(rmq_buf_text(&name), l->style->is_utf8);
    longest = n > longest ? n : longest;
  }
  size_t width =
      object_columns(l, longest, sum_of(queue_columns, QUEUE_COLUMNS));
  end_line(l);
  put_titles(l, "WORST QUEUES", width, queue_columns, QUEUE_COLUMNS);
  for (size_t i = 0; i < rows; i++)
    put_queue(l, &r->queues[i], width, &name);
  rmq_buf_fini(&name);
}
