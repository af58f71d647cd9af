/* SPDX-License-Identifier: MIT */
/*
 * faulty: a collectd module that commits the fault it is told to, so that the
 * test of the sanitizers can show that they would have seen one of ours.
 *
 *   <Plugin faulty>
 *     Fault "leak"       # or overflow, race
 *   </Plugin>
 */
#include "rmq_config.h"

#include "common/host/collectd_api.h"

static char *fault;
static char *volatile held; /* volatile: neither compiler nor linter sees it */
static int shared;

static void leak(void) {
  held = malloc(1000);
  held = NULL;
}

static void overflow(void) {
  volatile size_t size = 10;
  held = malloc(size);
  if (held != NULL)
    held[size] = 'x';
  free(held);
}

static void *increment(void *arg) {
  (void)arg;
  for (int i = 0; i < 1000; i++)
    shared++;
  return NULL;
}

static void race(void) {
  pthread_t threads[2];
  for (size_t i = 0; i < 2; i++)
    plugin_thread_create(&threads[i], increment, NULL, "faulty");
  for (size_t i = 0; i < 2; i++)
    pthread_join(threads[i], NULL);
}

static int faulty_config(oconfig_item_t *ci) {
  for (int i = 0; i < ci->children_num; i++)
    if (strcasecmp("Fault", ci->children[i].key) != 0 ||
        cf_util_get_string(&ci->children[i], &fault) != 0)
      return -1;
  return 0;
}

static int faulty_init(void) {
  if (fault == NULL)
    return -1;
  if (strcmp(fault, "leak") == 0)
    leak();
  else if (strcmp(fault, "overflow") == 0)
    overflow();
  else if (strcmp(fault, "race") == 0)
    race();
  return 0;
}

void module_register(void) {
  plugin_register_complex_config("faulty", faulty_config);
  plugin_register_init("faulty", faulty_init);
}
