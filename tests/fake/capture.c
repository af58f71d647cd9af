/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/capture.h"

static _Noreturn void bad_file(const char *path, const char *why) {
  fprintf(stderr, "%s: %s\n", path, why);
  exit(1);
}

static FILE *open_fixture(const char *name, char *path, size_t path_size) {
  const char *top = getenv("top_srcdir");
  snprintf(path, path_size, "%s/tests/fixtures/amqp/%s.hex",
           top != NULL ? top : ".", name);
  FILE *f = fopen(path, "re");
  if (f == NULL)
    bad_file(path, "cannot be read");
  return f;
}

static int hex_digit(char c) {
  static const char digits[] = "0123456789abcdef";
  const char *at = c != '\0' ? strchr(digits, c) : NULL;
  return at != NULL ? (int)(at - digits) : -1;
}

static struct fake_bytes parse_hex(const char *path, const char *text) {
  struct fake_bytes bytes = {0};
  for (; *text != '\0' && *text != '\n'; text += 2) {
    int high = hex_digit(text[0]), low = hex_digit(text[1]);
    if (high < 0 || low < 0)
      bad_file(path, "has a line that is not hex");
    fake_bytes_put_uint(&bytes, (unsigned)(high * 16 + low), 1);
  }
  return bytes;
}

struct fake_capture *fake_capture_new(const char *name) {
  char path[512];
  FILE *f = open_fixture(name, path, sizeof(path));
  struct fake_capture *c = calloc(1, sizeof(*c));
  char *line = NULL;
  size_t size = 0;
  if (c == NULL)
    abort();
  c->name = name;
  while (getline(&line, &size, f) >= 0) {
    if (line[0] != 'C' && line[0] != 'S')
      continue;
    c->frames = realloc(c->frames, (c->count + 1) * sizeof(*c->frames));
    if (c->frames == NULL)
      abort();
    c->frames[c->count++] =
        (struct fake_captured){line[0], parse_hex(path, line + 2)};
  }
  free(line);
  fclose(f);
  return c;
}

void fake_capture_free(struct fake_capture *c) {
  if (c == NULL)
    return;
  for (size_t i = 0; i < c->count; i++)
    fake_bytes_fini(&c->frames[i].frame);
  free(c->frames);
  free(c);
}

const struct fake_bytes *fake_capture_frame(const struct fake_capture *c,
                                            char who, size_t index) {
  for (size_t i = 0; i < c->count; i++)
    if (c->frames[i].who == who && index-- == 0)
      return &c->frames[i].frame;
  return NULL;
}

struct fake_bytes fake_capture_side(const struct fake_capture *c, char who) {
  struct fake_bytes all = {0};
  for (size_t i = 0; i < c->count; i++)
    if (c->frames[i].who == who)
      fake_bytes_put(&all, c->frames[i].frame.data, c->frames[i].frame.len);
  return all;
}
