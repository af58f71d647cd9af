/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "tests/manual.h"

#include "common/base/session.h"
#include "tests/testing.h"

#include <string.h>
#include <strings.h>

enum { MANUAL_FILE_MAX = 512 * 1024 };

static void path_of(const char *name, char *path, size_t size) {
  const char *top = getenv("top_srcdir");
  snprintf(path, size, "%s/%s", top == NULL ? "." : top, name);
}

char *manual_read(const char *name) {
  char path[600];
  path_of(name, path, sizeof(path));
  FILE *f = fopen(path, "rb");
  if (f == NULL)
    fail_msg("there is no %s", path);
  char *text = calloc(1, MANUAL_FILE_MAX);
  assert_non_null(text);
  size_t len = fread(text, 1, MANUAL_FILE_MAX - 1, f);
  fclose(f);
  assert_true(len > 0 && len < MANUAL_FILE_MAX - 1);
  return text;
}

/* Where the part between the two marks begins, and its length. */
static char *part(char *text, const char *what, size_t *ret_len) {
  char begin[80], end[80];
  snprintf(begin, sizeof(begin), "\n=for warren %s begin\n", what);
  snprintf(end, sizeof(end), "\n=for warren %s end\n", what);
  char *from = strstr(text, begin);
  char *to = strstr(text, end);
  if (from == NULL || to == NULL || to < from)
    fail_msg("the marks \"=for warren %s begin\" and \"end\" are missing",
             what);
  from += strlen(begin);
  *ret_len = to < from ? 0 : (size_t)(to - from);
  return from;
}

/* ---- options ---- */

/* Text from "=item B<NAME>" up to the next item; the caller's to free. */
static char *paragraph_of(const char *text, const struct rmq_option *o) {
  char item[100];
  snprintf(item, sizeof(item), "=item B<%s>", o->name);
  const char *at = strstr(text, item);
  if (at == NULL) {
    fail_msg("the manual has no \"%s\"", item);
    return NULL;
  }
  const char *next = strstr(at + 1, "\n=item ");
  char *copy = next == NULL ? strdup(at) : strndup(at, (size_t)(next - at));
  assert_non_null(copy);
  return copy;
}

static void says(const char *paragraph, const struct rmq_option *o,
                 const char *want) {
  if (strstr(paragraph, want) == NULL)
    fail_msg("the paragraph of %s does not say \"%s\"", o->name, want);
}

static void says_default(const char *paragraph, const struct rmq_option *o) {
  char want[300] = "Default: empty";
  if (o->default_value == NULL)
    return;
  if (o->default_value[0] != '\0')
    snprintf(want, sizeof(want), "Default: B<%s>", o->default_value);
  says(paragraph, o, want);
}

void manual_has_options(const char *page, const char *what,
                        const struct rmq_option *table) {
  char *text = manual_read(page);
  size_t len;
  char *options = part(text, what, &len);
  options[len] = '\0';
  for (const struct rmq_option *o = table; o->name != NULL; o++) {
    char *paragraph = paragraph_of(options, o);
    says_default(paragraph, o);
    free(paragraph);
  }
  for (const char *at = options; (at = strstr(at, "=item B<")) != NULL; at++) {
    char name[80] = "";
    sscanf(at, "=item B<%79[A-Za-z0-9]>", name);
    if (rmq_options_find(table, name) == NULL)
      fail_msg("the manual explains \"%s\", which is no option", name);
  }
  free(text);
}

static void says_range(const char *paragraph, const struct rmq_option *o) {
  char want[200];
  const char *unit = o->type == RMQ_OPT_DURATION ? "seconds"
                     : o->type == RMQ_OPT_BYTES  ? "bytes"
                                                 : o->unit;
  if (o->max <= 0)
    return;
  snprintf(want, sizeof(want), "Range: %.15g to %.15g%s%s.", o->min, o->max,
           unit == NULL ? "" : " ", unit == NULL ? "" : unit);
  says(paragraph, o, want);
}

static void says_word(const char *paragraph, const struct rmq_option *o,
                      const char *word) {
  char want[100];
  snprintf(want, sizeof(want), "B<%s>", word);
  says(paragraph, o, want);
}

void manual_has_ranges(const char *page, const char *what,
                       const struct rmq_option *table) {
  char *text = manual_read(page);
  size_t len;
  char *options = part(text, what, &len);
  options[len] = '\0';
  for (const struct rmq_option *o = table; o->name != NULL; o++) {
    char *paragraph = paragraph_of(options, o);
    says_range(paragraph, o);
    for (const char *const *c = o->choices; c != NULL && *c != NULL; c++)
      says_word(paragraph, o, *c);
    if (o->type == RMQ_OPT_BOOLEAN)
      says_word(paragraph, o, "true");
    if (o->alias != NULL)
      says_word(paragraph, o, o->alias);
    free(paragraph);
  }
  free(text);
}

static bool has_default(const struct rmq_option *o) {
  return o->default_value != NULL && o->default_value[0] != '\0';
}

/* "  #Option value" or "  Option value": the option's name, or "", and what
 * stands behind it, without quotes. */
static void take_line_apart(const char *line, char ret_name[80],
                            char ret_value[200]) {
  line += strspn(line, " \t#");
  ret_name[0] = ret_value[0] = '\0';
  int len = 0;
  if (sscanf(line, "%79[A-Za-z]%n", ret_name, &len) != 1)
    return;
  line += len;
  line += strspn(line, " \t");
  snprintf(ret_value, 200, "%s", line);
  len = (int)strlen(ret_value);
  if (len >= 2 && ret_value[0] == '"' && ret_value[len - 1] == '"') {
    memmove(ret_value, ret_value + 1, (size_t)len - 2);
    ret_value[len - 2] = '\0';
  }
}

static bool is_commented_out(const char *line) {
  return line[strspn(line, " \t")] == '#';
}

static bool is_prose(const char *line) {
  line += strspn(line, " \t");
  return line[0] == '#' && (line[1] == ' ' || line[1] == '\0');
}

/* <Name ...> of a block within the block, commented out or not: the options
 * that stand inside, else NULL. */
static const struct rmq_option *
opened_by(const char *line, const struct rmq_option *table, bool *seen) {
  char name[80] = "";
  sscanf(line + strspn(line, " \t#"), "<%79[A-Za-z]", name);
  const struct rmq_option *o = rmq_options_find(table, name);
  if (o == NULL || o->type != RMQ_OPT_BLOCKS)
    return NULL;
  seen[o - table] = true;
  return o->block->table;
}

/* An example: any values, but of options that there are. */
static void inner_line_is_right(const char *sample, const char *line,
                                const struct rmq_option *table) {
  char name[80], value[200];
  take_line_apart(line, name, value);
  if (name[0] != '\0' && !is_prose(line) &&
      rmq_options_find(table, name) == NULL)
    fail_msg("%s has \"%s\", which is no option there", sample, name);
}

static bool closes(const char *line) {
  line += strspn(line, " \t#");
  return line[0] == '<' && line[1] == '/';
}

/* Outside of every block: collectd's own. */
static bool is_of_the_daemon(const char *line, const char *name) {
  return line == strstr(line, name) &&
         (strcmp(name, "LoadPlugin") == 0 || strcmp(name, "WriteThreads") == 0);
}

static void line_is_right(const char *sample, const char *line,
                          const struct rmq_option *table, bool *seen) {
  char name[80], value[200];
  take_line_apart(line, name, value);
  if (name[0] == '\0' || is_prose(line) || is_of_the_daemon(line, name))
    return;
  const struct rmq_option *o = rmq_options_find(table, name);
  if (o == NULL) {
    fail_msg("%s has \"%s\", which is no option", sample, name);
    return;
  }
  seen[o - table] = true;
  if (is_commented_out(line) && has_default(o) &&
      strcmp(value, o->default_value) != 0)
    fail_msg("%s shows %s with \"%s\"; the default is \"%s\"", sample, name,
             value, o->default_value);
}

void sample_has_options(const char *sample, const struct rmq_option *table,
                        const char *plugin, const char *block) {
  char *text = manual_read(sample), *rest = text, *line;
  char load[100], open[100];
  bool seen[200] = {false};
  assert_true(text[strlen(text) - 1] == '\n'); /* else collectd skips it */
  snprintf(load, sizeof(load), "LoadPlugin %s\n", plugin);
  snprintf(open, sizeof(open), "<%s \"", block);
  assert_non_null(strstr(text, load));
  assert_non_null(strstr(text, open));
  const struct rmq_option *inner = NULL;
  while ((line = strsep(&rest, "\n")) != NULL) {
    const struct rmq_option *opened = opened_by(line, table, seen);
    if (opened != NULL)
      inner = opened;
    else if (inner != NULL && closes(line))
      inner = NULL;
    else if (inner != NULL)
      inner_line_is_right(sample, line, inner);
    else
      line_is_right(sample, line, table, seen);
  }
  for (const struct rmq_option *o = table; o->name != NULL; o++)
    if (!seen[o - table])
      fail_msg("%s has no line for %s", sample, o->name);
  free(text);
}

/* ---- series ---- */

static void write_row(const char *plugin, const struct rmq_series *row,
                      const char *cause, struct rmq_buf *out) {
  struct rmq_buf instance;
  rmq_buf_init(&instance, 256);
  rmq_series_type_instance(row, cause, &instance);
  const char *ti = rmq_buf_text(&instance);
  size_t len = strlen(row->help);
  int help_len = (int)(row->help[len - 1] == '.' ? len - 1 : len);
  rmq_buf_appendf(out, "=item B<%s%s%s>\n\n%.*s. %s", row->type,
                  ti[0] == '\0' ? "" : "-", ti, help_len, row->help,
                  row->kind == RMQ_GAUGE ? "Gauge" : "Counter");
  if (strcmp(row->unit, "1") != 0)
    rmq_buf_appendf(out, " in %s", row->unit);
  rmq_buf_append_text(out, "; Influx C<");
  rmq_series_field(row->type, ti, out);
  rmq_buf_append_text(out, ">, Prometheus C<");
  rmq_series_prometheus(plugin, row, cause, out);
  rmq_buf_append_text(out, ">.\n\n");
  rmq_buf_fini(&instance);
}

static void write_scope(const char *plugin, const struct rmq_series *table,
                        enum rmq_series_scope scope, struct rmq_buf *out) {
  bool is_open = false;
  for (const struct rmq_series *row = table; row->type != NULL; row++) {
    if (row->scope != scope)
      continue;
    if (!is_open)
      rmq_buf_appendf(out, "\n=head2 Series of a %s\n\n=over 4\n\n",
                      rmq_series_scope_to_str(scope));
    is_open = true;
    for (size_t i = 0; i < rmq_series_names_count(row); i++)
      write_row(plugin, row, row->causes == NULL ? NULL : row->causes[i], out);
  }
  if (is_open)
    rmq_buf_append_text(out, "=back\n");
}

static void update(const char *page, const char *before, size_t before_len,
                   struct rmq_buf *want, const char *after) {
  char path[600];
  path_of(page, path, sizeof(path));
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  fwrite(before, 1, before_len, f);
  fwrite(rmq_buf_bytes(want), 1, want->len, f);
  fputs(after, f);
  fclose(f);
}

/* The generated part is what it should be; or it is written. */
static void part_is(const char *page, const char *what, struct rmq_buf *want) {
  char *text = manual_read(page);
  size_t len;
  char *have = part(text, what, &len);
  assert_false(want->failed);
  if (getenv("UPDATE_MANUALS") != NULL)
    update(page, text, (size_t)(have - text), want, have + len);
  else if (len != want->len || memcmp(have, rmq_buf_bytes(want), len) != 0)
    fail_msg("the %s in %s are not those of the table; the test with "
             "UPDATE_MANUALS=1 in the environment writes them",
             what, page);
  free(text);
}

void manual_has_series(const char *page, const char *plugin,
                       const struct rmq_series *table) {
  struct rmq_buf want;
  rmq_buf_init(&want, MANUAL_FILE_MAX);
  write_scope(plugin, table, RMQ_SERIES_BLOCK, &want);
  write_scope(plugin, table, RMQ_SERIES_CLUSTER, &want);
  write_scope(plugin, table, RMQ_SERIES_NODE, &want);
  write_scope(plugin, table, RMQ_SERIES_VHOST, &want);
  write_scope(plugin, table, RMQ_SERIES_QUEUE, &want);
  part_is(page, "series", &want);
  rmq_buf_fini(&want);
}

/* ---- states ---- */

void manual_has_states(const char *page) {
  struct rmq_buf want;
  rmq_buf_init(&want, MANUAL_FILE_MAX);
  rmq_buf_append_text(&want, "\n=over 4\n");
  for (int i = 0; i < RMQ_SESSION_STATES_COUNT; i++) {
    enum rmq_session_state s = (enum rmq_session_state)i;
    rmq_buf_appendf(&want, "\n=item B<%d> C<%s>\n\n%s\n", i,
                    rmq_session_state_to_str(s), rmq_session_state_meaning(s));
  }
  rmq_buf_append_text(&want, "\n=back\n");
  part_is(page, "states", &want);
  rmq_buf_fini(&want);
}
