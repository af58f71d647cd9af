/* SPDX-License-Identifier: MIT */
/*
 * Replays inputs to a fuzz target without a fuzzer, so that whatever was once
 * found stays tested by any compiler. Without arguments: the corpus of the
 * target, tests/fuzz/corpus/STEM for a program named fuzz_STEM. Arguments are
 * files or directories. Speaks TAP.
 */
#include "rmq_config.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PATH_SIZE = 4096 };

static size_t inputs_count;

static int replay_bytes(FILE *f, size_t size) {
  /* Of exactly that size, so that reading past its end is seen. */
  uint8_t *data = malloc(size == 0 ? 1 : size);
  if (data == NULL || fread(data, 1, size, f) != size) {
    free(data);
    return -1;
  }
  LLVMFuzzerTestOneInput(data, size);
  free(data);
  inputs_count++;
  return 0;
}

static int replay_file(const char *path, size_t size) {
  /* The last one named in the log is the one that failed. */
  printf("# %s\n", path);
  fflush(stdout);
  FILE *f = fopen(path, "rb");
  if (f == NULL)
    return -1;
  int rc = replay_bytes(f, size);
  fclose(f);
  return rc;
}

static int replay(const char *path) {
  struct stat info;
  if (stat(path, &info) != 0)
    return -1;
  if (!S_ISDIR(info.st_mode))
    return replay_file(path, (size_t)info.st_size);
  DIR *d = opendir(path);
  if (d == NULL)
    return -1;
  int rc = 0;
  for (struct dirent *e = readdir(d); rc == 0 && e != NULL; e = readdir(d)) {
    char below[PATH_SIZE];
    if (e->d_name[0] == '.')
      continue;
    snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
    rc = replay(below);
  }
  closedir(d);
  return rc;
}

static int replay_corpus(const char *program) {
  const char *top = getenv("top_srcdir");
  const char *stem = strstr(program, "fuzz_");
  for (const char *s = stem; s != NULL; s = strstr(s + 1, "fuzz_"))
    stem = s;
  char path[PATH_SIZE];
  snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s",
           top == NULL ? "." : top, stem == NULL ? "" : stem + strlen("fuzz_"));
  return replay(path);
}

int main(int argc, char **argv) {
  int rc = argc < 2 ? replay_corpus(argv[0]) : 0;
  for (int i = 1; rc == 0 && i < argc; i++)
    rc = replay(argv[i]);
  if (inputs_count == 0)
    rc = -1;
  printf("1..1\n%s 1 - every input is survived (%zu)\n",
         rc == 0 ? "ok" : "not ok", inputs_count);
  return rc == 0 ? 0 : 1;
}
