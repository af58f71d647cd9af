/* SPDX-License-Identifier: MIT */
/*
 * sink: a collectd module that writes down every value list and notification
 * it is given, one line each, at once. Tests compare what one daemon wrote down
 * with what another one did.
 *
 *   <Plugin sink>
 *     File "PATH"
 *     Delay 0            # seconds a write takes, to play a slow writer
 *     DelayCount -1      # so many writes are slow, then no more; -1: all
 *     NotificationDelay 0 # seconds a notification takes
 *     RegisterAt "load"  # or "init", as collectd's network does
 *   </Plugin>
 *
 *   V <time> <host>/<plugin>[-<pi>]/<type>[-<ti>] <value>[:<value>...]
 *   N <time> <severity> <host>/<plugin>/<type> <message>
 */
#include "rmq_config.h"

#include "common/host/collectd_api.h"

#include <fcntl.h>
#include <stdatomic.h>

static int fd = -1;
static char *path;
static double delay_s;
static int delay_count = -1;
static double notification_delay_s;
static char *register_at;
static atomic_int delayed;

/* One write(2) in append mode: lines of several threads never mix. */
static int line_put(const char *line, int length) {
  if (length < 0)
    return -1;
  return write(fd, line, (size_t)length) == length ? 0 : -1;
}

static void values_format(char *out, size_t size, const data_set_t *ds,
                          const value_list_t *vl) {
  size_t used = 0;
  out[0] = '\0';
  for (size_t i = 0; i < vl->values_len && used < size; i++) {
    int n = 0;
    const char *colon = i > 0 ? ":" : "";
    if (ds->ds[i].type == DS_TYPE_GAUGE)
      n = snprintf(out + used, size - used, "%s%.17g", colon,
                   vl->values[i].gauge);
    else if (ds->ds[i].type == DS_TYPE_DERIVE)
      n = snprintf(out + used, size - used, "%s%" PRIi64, colon,
                   vl->values[i].derive);
    else
      n = snprintf(out + used, size - used, "%s%" PRIu64, colon,
                   (uint64_t)vl->values[i].counter);
    used += n > 0 ? (size_t)n : 0;
  }
}

static void rest(double seconds) {
  struct timespec t = CDTIME_T_TO_TIMESPEC(DOUBLE_TO_CDTIME_T(seconds));
  nanosleep(&t, NULL);
}

static void be_slow(void) {
  if (delay_s <= 0 ||
      (delay_count >= 0 && atomic_fetch_add(&delayed, 1) >= delay_count))
    return;
  rest(delay_s);
}

static int sink_write(const data_set_t *ds, const value_list_t *vl,
                      user_data_t *ud) {
  (void)ud;
  char name[6 * DATA_MAX_NAME_LEN], values[1024];
  char line[sizeof(name) + sizeof(values) + 64];
  if (format_name(name, sizeof(name), vl->host, vl->plugin, vl->plugin_instance,
                  vl->type, vl->type_instance) != 0)
    return -1;
  values_format(values, sizeof(values), ds, vl);
  int n = snprintf(line, sizeof(line), "V %.3f %s %s\n",
                   CDTIME_T_TO_DOUBLE(vl->time), name, values);
  be_slow();
  return line_put(line, n);
}

static int sink_notification(const notification_t *n, user_data_t *ud) {
  (void)ud;
  char line[2048];
  int length = snprintf(line, sizeof(line), "N %.3f %d %s/%s/%s %s\n",
                        CDTIME_T_TO_DOUBLE(n->time), n->severity, n->host,
                        n->plugin, n->type, n->message);
  if (notification_delay_s > 0)
    rest(notification_delay_s);
  return line_put(line, length);
}

static int sink_config(oconfig_item_t *ci) {
  for (int i = 0; i < ci->children_num; i++) {
    oconfig_item_t *child = ci->children + i;
    int status = -1;
    if (strcasecmp("File", child->key) == 0)
      status = cf_util_get_string(child, &path);
    else if (strcasecmp("Delay", child->key) == 0)
      status = cf_util_get_double(child, &delay_s);
    else if (strcasecmp("DelayCount", child->key) == 0)
      status = cf_util_get_int(child, &delay_count);
    else if (strcasecmp("NotificationDelay", child->key) == 0)
      status = cf_util_get_double(child, &notification_delay_s);
    else if (strcasecmp("RegisterAt", child->key) == 0)
      status = cf_util_get_string(child, &register_at);
    if (status != 0)
      return -1;
  }
  return 0;
}

/* Then it stands behind all that were registered at load. */
static int sink_init(void) {
  if (register_at != NULL && strcmp(register_at, "init") == 0) {
    plugin_unregister_write("sink");
    plugin_register_write("sink", sink_write, NULL);
  }
  if (path != NULL)
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0)
    ERROR("sink: cannot write to %s", path ? path : "(no File given)");
  return fd < 0 ? -1 : 0;
}

void module_register(void) {
  plugin_register_complex_config("sink", sink_config);
  plugin_register_init("sink", sink_init);
  plugin_register_write("sink", sink_write, NULL);
  plugin_register_notification("sink", sink_notification, NULL);
}
