/* SPDX-License-Identifier: MIT */
/*
 * bare: the shortest publisher that a collectd module can be. It counts write
 * calls under a mutex, publishes a constant body for every Batch of them, with
 * confirms and a window, and waits for the confirms. No encoding, no order, no
 * account, no reconnection: the ceiling for what has all of it.
 *
 *   <Plugin bare>
 *     Host "127.0.0.1"
 *     Port 5672
 *     VHost "/"
 *     Queue "bench"      # through the default exchange
 *     Batch 1            # write calls to a message
 *     BodyBytes 100      # of a message
 *     Window 256         # most unconfirmed messages
 *     Properties false   # with the properties that rabbitmq_publish sets
 *     Total 100000       # values after which the result is written
 *     Result "FILE"      # one JSON object, when all values are confirmed
 *   </Plugin>
 */
#include "rmq_config.h"

#include "common/host/collectd_api.h"

#include "tests/bench/plain.h"

static char *host, *vhost, *queue, *result_path;
static int port = 5672, batch = 1, body_bytes = 100, window = 256;
static int total = 100000;
static bool has_properties;

static struct plain *plain;
static char *body;
static pthread_t thread;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static uint64_t written; /* under lock, as is_idle and is_ended */
static bool is_idle, is_ended;

static int bare_write(const data_set_t *ds, const value_list_t *vl,
                      user_data_t *ud) {
  (void)ds;
  (void)vl;
  (void)ud;
  pthread_mutex_lock(&lock);
  written++;
  bool wakes = is_idle && written % (uint64_t)batch == 0;
  pthread_mutex_unlock(&lock);
  if (wakes)
    pthread_cond_signal(&arrived);
  return 0;
}

/* How many messages the values so far make; sleeps while there is nothing to
 * publish and nothing to confirm. */
static uint64_t messages_due(void) {
  pthread_mutex_lock(&lock);
  while (!is_ended && written / (uint64_t)batch == plain_published(plain) &&
         plain_confirmed(plain) == plain_published(plain)) {
    is_idle = true;
    pthread_cond_wait(&arrived, &lock);
  }
  is_idle = false;
  uint64_t due = written / (uint64_t)batch;
  pthread_mutex_unlock(&lock);
  return due;
}

static void result_write(void) {
  FILE *f = result_path ? fopen(result_path, "w") : NULL;
  if (f == NULL)
    return;
  fprintf(f, "{\"confirmed\": %" PRIu64 ", \"end\": %.6f}\n",
          plain_confirmed(plain), plain_now_s());
  fclose(f);
}

/* Publishes what is due and takes confirms as they come. -1: broken. */
static int turn(void) {
  uint64_t due = messages_due();
  while (plain_published(plain) < due && plain_has_room(plain))
    if (plain_publish(plain, has_properties ? PLAIN_FULL : PLAIN_FEW, queue,
                      body, (size_t)body_bytes) != 0)
      return -1;
  if (plain_published(plain) == plain_confirmed(plain))
    return 0;
  int rc = plain_wait(plain, plain_has_room(plain) ? 1 : -1);
  if (plain_confirmed(plain) * (uint64_t)batch == (uint64_t)total)
    result_write();
  return rc;
}

static bool has_ended(void) {
  pthread_mutex_lock(&lock);
  bool answer = is_ended;
  pthread_mutex_unlock(&lock);
  return answer;
}

static void *run(void *arg) {
  while (!has_ended())
    if (turn() != 0) {
      ERROR("bare: the connection broke");
      return arg;
    }
  return arg;
}

static int bare_config(oconfig_item_t *ci) {
  for (int i = 0; i < ci->children_num; i++) {
    oconfig_item_t *child = ci->children + i;
    int status = -1;
    if (strcasecmp("Host", child->key) == 0)
      status = cf_util_get_string(child, &host);
    else if (strcasecmp("Port", child->key) == 0)
      status = cf_util_get_int(child, &port);
    else if (strcasecmp("VHost", child->key) == 0)
      status = cf_util_get_string(child, &vhost);
    else if (strcasecmp("Queue", child->key) == 0)
      status = cf_util_get_string(child, &queue);
    else if (strcasecmp("Batch", child->key) == 0)
      status = cf_util_get_int(child, &batch);
    else if (strcasecmp("BodyBytes", child->key) == 0)
      status = cf_util_get_int(child, &body_bytes);
    else if (strcasecmp("Window", child->key) == 0)
      status = cf_util_get_int(child, &window);
    else if (strcasecmp("Properties", child->key) == 0)
      status = cf_util_get_boolean(child, &has_properties);
    else if (strcasecmp("Total", child->key) == 0)
      status = cf_util_get_int(child, &total);
    else if (strcasecmp("Result", child->key) == 0)
      status = cf_util_get_string(child, &result_path);
    if (status != 0) {
      ERROR("bare: cannot use option %s", child->key);
      return -1;
    }
  }
  return 0;
}

static int bare_init(void) {
  body = malloc((size_t)body_bytes);
  if (body == NULL || queue == NULL)
    return -1;
  memset(body, 'x', (size_t)body_bytes);
  plain = plain_new(host ? host : "127.0.0.1", port, vhost ? vhost : "/",
                    (size_t)window);
  if (plain == NULL || plugin_thread_create(&thread, run, NULL, "bare") != 0)
    return -1;
  plugin_register_write("bare", bare_write, NULL);
  return 0;
}

static int bare_shutdown(void) {
  pthread_mutex_lock(&lock);
  is_ended = true;
  pthread_mutex_unlock(&lock);
  pthread_cond_signal(&arrived);
  if (plain != NULL)
    pthread_join(thread, NULL);
  plain_free(plain);
  free(body);
  return 0;
}

void module_register(void) {
  plugin_register_complex_config("bare", bare_config);
  plugin_register_init("bare", bare_init);
  plugin_register_shutdown("bare", bare_shutdown);
}
