/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/status_cell.h"

#include "common/base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Characters without a width of their own, or that turn what follows round. */
static bool is_invisible(uint32_t c) {
  return rmq_utf8_is_control(c) || c == 0xad || c == 0x61c || c == 0xfeff ||
         (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2060 && c <= 0x206f) || (c >= 0x300 && c <= 0x36f) ||
         (c >= 0xfe00 && c <= 0xfe0f) || (c >= 0xfff0 && c <= 0xfffb) ||
         (c >= 0xe0000 && c <= 0xe0fff);
}

/* East Asian wide and full width forms, and pictures. */
static bool is_wide(uint32_t c) {
  return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) ||
         (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
         (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
         (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x1f300 && c <= 0x1faff) ||
         (c >= 0x20000 && c <= 0x3fffd);
}

/* One character as it is shown. */
struct glyph {
  size_t len, columns;
  bool is_shown; /* as it is; else '?' */
};

static struct glyph next_glyph(const char *text, size_t len, bool is_utf8) {
  uint32_t c = 0;
  size_t n = rmq_utf8_decode(text, len, &c);
  if (n == 0)
    return (struct glyph){1, 1, false};
  if (is_invisible(c) || (!is_utf8 && c >= 0x80))
    return (struct glyph){n, 1, false};
  return (struct glyph){n, is_wide(c) ? 2 : 1, true};
}

size_t rmq_status_cell_width(const char *text, bool is_utf8) {
  size_t columns = 0, len = strlen(text);
  for (size_t i = 0; i < len;) {
    struct glyph g = next_glyph(text + i, len - i, is_utf8);
    columns += g.columns;
    i += g.len;
  }
  return columns;
}

size_t rmq_status_cell_text(struct rmq_buf *out, const char *text,
                            size_t columns, bool is_utf8) {
  const char *ellipsis = is_utf8 ? "\u2026" : "...";
  size_t dots = is_utf8 ? 1 : 3;
  size_t len = strlen(text), used = 0, room = columns;
  bool is_cut = columns > 0 && rmq_status_cell_width(text, is_utf8) > columns;
  if (is_cut)
    room = columns > dots ? columns - dots : 0;
  for (size_t i = 0; i < len;) {
    struct glyph g = next_glyph(text + i, len - i, is_utf8);
    if (columns > 0 && used + g.columns > room)
      break;
    if (g.is_shown)
      rmq_buf_append(out, text + i, g.len);
    else
      rmq_buf_append_char(out, '?');
    used += g.columns;
    i += g.len;
  }
  if (is_cut && columns >= dots) {
    rmq_buf_append_text(out, ellipsis);
    used += dots;
  }
  return used;
}

static void pad(struct rmq_buf *out, size_t count) {
  for (size_t i = 0; i < count; i++)
    rmq_buf_append_char(out, ' ');
}

void rmq_status_cell_left(struct rmq_buf *out, const char *text, size_t columns,
                          bool is_utf8) {
  size_t used = rmq_status_cell_text(out, text, columns, is_utf8);
  if (used < columns)
    pad(out, columns - used);
}

void rmq_status_cell_right(struct rmq_buf *out, const char *text,
                           size_t columns) {
  size_t len = strlen(text);
  if (len < columns)
    pad(out, columns - len);
  rmq_buf_append_text(out, text);
}

const char *rmq_status_cell_colour(enum rmq_verdict_state s) {
  switch (s) {
  case RMQ_VERDICT_OK:
    return "\033[32m";
  case RMQ_VERDICT_WARNING:
    return "\033[33m";
  case RMQ_VERDICT_CRITICAL:
    return "\033[1;31m";
  case RMQ_VERDICT_UNKNOWN:
    return "\033[35m";
  }
  return "";
}

/* ---- figures ---- */

static bool is_unknown(double value, char ret_text[RMQ_STATUS_FIGURE_SIZE]) {
  if (!isnan(value))
    return false;
  snprintf(ret_text, RMQ_STATUS_FIGURE_SIZE, "-");
  return true;
}

void rmq_status_cell_count(double value, bool is_change,
                           char ret_text[RMQ_STATUS_FIGURE_SIZE]) {
  static const char units[] = "MGTPE";
  size_t unit = 0;
  double scaled = value / 1e6;
  if (is_unknown(value, ret_text))
    return;
  if (fabs(value) < 999999.5) {
    bool is_zero = fabs(value) < 0.5;
    snprintf(ret_text, RMQ_STATUS_FIGURE_SIZE,
             is_change && !is_zero ? "%+.0f" : "%.0f", is_zero ? 0 : value);
    return;
  }
  for (; fabs(scaled) >= 999.5 && unit + 2 < sizeof(units); unit++)
    scaled /= 1000;
  snprintf(ret_text, RMQ_STATUS_FIGURE_SIZE, is_change ? "%+.3g%c" : "%.3g%c",
           scaled, units[unit]);
}

void rmq_status_cell_time(double seconds,
                          char ret_text[RMQ_STATUS_FIGURE_SIZE]) {
  static const struct {
    double below, per;
    const char *unit;
  } steps[] = {{600, 1, "s"},
               {7200, 60, "min"},
               {172800, 3600, "h"},
               {(double)INFINITY, 86400, "d"}};
  size_t i = 0;
  if (is_unknown(seconds, ret_text))
    return;
  while (i < 3 && seconds >= steps[i].below)
    i++;
  double amount = seconds / steps[i].per;
  snprintf(ret_text, RMQ_STATUS_FIGURE_SIZE,
           amount < 99999.5 ? "%.0f %s" : "%.2g %s", amount, steps[i].unit);
}

void rmq_status_cell_bytes(double bytes,
                           char ret_text[RMQ_STATUS_FIGURE_SIZE]) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  if (is_unknown(bytes, ret_text))
    return;
  for (; bytes >= 999.5 && unit < 5; unit++)
    bytes /= 1024;
  snprintf(ret_text, RMQ_STATUS_FIGURE_SIZE, "%.*f %s",
           bytes < 9.95 && unit > 0 ? 1 : 0, bytes, units[unit]);
}

void rmq_status_cell_percent(double percent,
                             char ret_text[RMQ_STATUS_FIGURE_SIZE]) {
  if (!is_unknown(percent, ret_text))
    snprintf(ret_text, RMQ_STATUS_FIGURE_SIZE, "%.0f %%", percent);
}

/* ---- sparklines ---- */

void rmq_status_cell_sparkline(struct rmq_buf *out, const double *values,
                               size_t count, size_t columns, bool is_utf8) {
  static const char *const blocks[] = {"\u2581", "\u2582", "\u2583", "\u2584",
                                       "\u2585", "\u2586", "\u2587", "\u2588"};
  static const char *const signs[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
  size_t first = count > columns ? count - columns : 0;
  double largest = 0;
  for (size_t i = first; i < count; i++)
    if (isfinite(values[i]) && values[i] > largest)
      largest = values[i];
  pad(out, columns - (count - first));
  for (size_t i = first; i < count; i++) {
    if (!isfinite(values[i])) {
      rmq_buf_append_char(out, ' ');
      continue;
    }
    double share = largest > 0 && values[i] > 0 ? values[i] / largest : 0;
    size_t level = (size_t)lrint(share * 7);
    rmq_buf_append_text(out, is_utf8 ? blocks[level] : signs[level]);
  }
}
