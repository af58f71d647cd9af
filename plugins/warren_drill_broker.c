/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "plugins/warren_drill_broker.h"

#include "plugins/warren_drill_child.h"

#include "common/base/buf.h"
#include "common/host/host_clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

enum {
  START_S = 120,
  EPMD_START_S = 10,
  TELL_S = 60, /* rabbitmqctl */
  LOOK_MS = 100,
  ANSWER_S = 2,
  DIR_BYTES_MAX = 200,
  PATH_BYTES_MAX = 512,
  TEXT_BYTES_MAX = 512, /* one variable of the environment */
  TEXTS_MAX = 24,
  TAIL_BYTES_MAX = 300
};
/* Below the ephemeral ones, so that none is taken while the broker is down. */
enum { PORT_MIN = 20000, PORT_SPAN = 12000, PORT_TRIES = 1000 };

struct warren_drill_broker {
  const char *bin;
  const volatile sig_atomic_t *is_stopping;
  struct warren_drill_access access;
  char dir[DIR_BYTES_MAX];
  uint16_t amqp, management, prometheus, distribution, names;
  pid_t beam, epmd; /* 0 = does not run */
  char texts[TEXTS_MAX][TEXT_BYTES_MAX];
  char *env[TEXTS_MAX + 1];
  size_t env_count;
};

static int fail(struct rmq_error *err, const char *what) {
  char why[128];
  return rmq_error_set(err, "%s: %s", what,
                       strerror_r(errno, why, sizeof(why)));
}

/* ---- ports ---- */

static int open_socket(uint16_t port, struct sockaddr_in *ret_address) {
  *ret_address =
      (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
  ret_address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static bool is_free(uint16_t port) {
  struct sockaddr_in address;
  int fd = open_socket(port, &address);
  if (fd < 0)
    return false;
  bool is = bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
  close(fd);
  return is;
}

/* Different ones: each search begins where the last one has ended. */
static int take_ports(struct warren_drill_broker *b, struct rmq_error *err) {
  uint16_t *const ports[] = {&b->amqp, &b->management, &b->prometheus,
                             &b->distribution, &b->names};
  unsigned at = (unsigned)(rmq_host_random(NULL) % PORT_SPAN);
  size_t count = sizeof(ports) / sizeof(ports[0]), found = 0;
  for (unsigned i = 0; i < PORT_TRIES && found < count; i++) {
    uint16_t port = (uint16_t)(PORT_MIN + (at + i) % PORT_SPAN);
    if (is_free(port))
      *ports[found++] = port;
  }
  return found == count ? 0 : rmq_error_set(err, "no free ports");
}

/* Whether it listens; with question, whether its answer begins with want. */
static bool answers(uint16_t port, const char *question, size_t len,
                    char want) {
  struct sockaddr_in address;
  const struct timeval patience = {.tv_sec = ANSWER_S};
  char got = 0;
  int fd = open_socket(port, &address);
  if (fd < 0)
    return false;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  bool is =
      connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
  if (is && question != NULL)
    is = send(fd, question, len, MSG_NOSIGNAL) == (ssize_t)len &&
         recv(fd, &got, 1, 0) == 1 && got == want;
  close(fd);
  return is;
}

static bool is_ready(const struct warren_drill_broker *b) {
  static const char hello[] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};
  return answers(b->management, NULL, 0, 0) &&
         answers(b->prometheus, NULL, 0, 0) &&
         answers(b->amqp, hello, sizeof(hello), 1);
}

/* ---- files ---- */

static void path_of(const struct warren_drill_broker *b, const char *name,
                    char ret_path[PATH_BYTES_MAX]) {
  snprintf(ret_path, PATH_BYTES_MAX, "%s/%s", b->dir, name);
}

/* Only we may read it: passwords are in there. */
static int write_file(const struct warren_drill_broker *b, const char *name,
                      const char *text, struct rmq_error *err) {
  char path[PATH_BYTES_MAX];
  path_of(b, name, path);
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return fail(err, path);
  ssize_t n = write(fd, text, strlen(text));
  if (close(fd) != 0 || n != (ssize_t)strlen(text))
    return fail(err, path);
  return 0;
}

static int write_config(const struct warren_drill_broker *b,
                        struct rmq_error *err) {
  struct rmq_buf text;
  rmq_buf_init(&text, 4096);
  int rc = rmq_buf_appendf(
      &text,
      "listeners.tcp.1 = 127.0.0.1:%u\n"
      "management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = %u\n"
      "prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = %u\n"
      "default_user = %s\ndefault_pass = %s\n"
      "disk_free_limit.absolute = 1MB\n"
      "vm_memory_high_watermark.absolute = 1GB\n"
      "log.console = false\nnum_acceptors.tcp = 2\n"
      "collect_statistics_interval = 1000\n",
      b->amqp, b->management, b->prometheus, b->access.user,
      b->access.password);
  if (rc == 0)
    rc = write_file(b, "rabbitmq.conf", rmq_buf_text(&text), err);
  else
    rmq_error_set(err, "out of memory");
  rmq_buf_fini(&text);
  return rc;
}

static int make_files(struct warren_drill_broker *b, struct rmq_error *err) {
  static const char *const dirs[] = {"mnesia", "log", "schema", "home"};
  char path[PATH_BYTES_MAX];
  const char *tmp = getenv("TMPDIR");
  int len = snprintf(b->dir, sizeof(b->dir), "%s/warren-drill.XXXXXX",
                     tmp != NULL && tmp[0] == '/' ? tmp : "/tmp");
  if (len >= (int)sizeof(b->dir) || mkdtemp(b->dir) == NULL) {
    fail(err, b->dir);
    b->dir[0] = '\0';
    return -1;
  }
  for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
    path_of(b, dirs[i], path);
    if (mkdir(path, 0700) != 0)
      return fail(err, path);
  }
  return write_file(b, "enabled_plugins",
                    "[rabbitmq_management,rabbitmq_prometheus].\n", err) == 0
             ? write_config(b, err)
             : -1;
}

static int remove_one(const char *path, const struct stat *st, int flag,
                      struct FTW *ftw) {
  (void)st, (void)flag, (void)ftw;
  remove(path);
  return 0;
}

/* What its output ends with, as one line. */
static void tail_of(const struct warren_drill_broker *b, const char *name,
                    char ret_tail[TAIL_BYTES_MAX]) {
  char path[PATH_BYTES_MAX];
  path_of(b, name, path);
  ssize_t n = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    if (lseek(fd, -(off_t)(TAIL_BYTES_MAX - 1), SEEK_END) < 0)
      lseek(fd, 0, SEEK_SET);
    n = read(fd, ret_tail, TAIL_BYTES_MAX - 1);
    close(fd);
  }
  ret_tail[n > 0 ? n : 0] = '\0';
  for (char *c = ret_tail; *c != '\0'; c++)
    if ((unsigned char)*c < ' ' || *c == 0x7f)
      *c = ' ';
}

/* ---- processes ---- */

static void add_env(struct warren_drill_broker *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void add_env(struct warren_drill_broker *b, const char *format, ...) {
  va_list list;
  char *text = b->texts[b->env_count];
  va_start(list, format);
  vsnprintf(text, TEXT_BYTES_MAX, format, list);
  va_end(list);
  b->env[b->env_count++] = text;
}

/* Not our own environment: the password is in it, and a setting for another
 * broker may be. */
static void make_env(struct warren_drill_broker *b) {
  const char *d = b->dir;
  add_env(b, "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
  add_env(b, "HOME=%s/home", d);
  add_env(b, "LANG=C.UTF-8");
  add_env(b, "LC_ALL=C.UTF-8");
  add_env(b, "ERL_EPMD_PORT=%u", b->names);
  add_env(b, "ERL_EPMD_ADDRESS=127.0.0.1");
  add_env(b, "RABBITMQ_NODENAME=warren-drill@localhost");
  add_env(b, "RABBITMQ_USE_LONGNAME=false");
  add_env(b, "RABBITMQ_CONF_ENV_FILE=/dev/null");
  add_env(b, "RABBITMQ_CONFIG_FILE=%s/rabbitmq.conf", d);
  add_env(b, "RABBITMQ_ADVANCED_CONFIG_FILE=%s/advanced.config", d);
  add_env(b, "RABBITMQ_ENABLED_PLUGINS_FILE=%s/enabled_plugins", d);
  add_env(b, "RABBITMQ_MNESIA_BASE=%s/mnesia", d);
  add_env(b, "RABBITMQ_LOG_BASE=%s/log", d);
  add_env(b, "RABBITMQ_SCHEMA_DIR=%s/schema", d);
  add_env(b, "RABBITMQ_GENERATED_CONFIG_DIR=%s/schema", d);
  add_env(b, "RABBITMQ_PID_FILE=%s/pid", d);
  add_env(b, "RABBITMQ_DIST_PORT=%u", b->distribution);
  add_env(b, "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+sbwt none "
             "-kernel inet_dist_use_interface {127,0,0,1}");
  add_env(b, "ERL_CRASH_DUMP_SECONDS=0");
  /* The script then execs erl: the pid that we know is the broker's. */
  add_env(b, "detached=1");
}

/* A session of its own: ^C is for us, who end it. */
static int spawn(const struct warren_drill_broker *b, const char *const *argv,
                 const char *output, pid_t *ret_pid, struct rmq_error *err) {
  return warren_drill_child_start(b->dir, b->env, argv, output, ret_pid, err);
}

static struct rmq_mono in_seconds(int seconds) {
  return rmq_mono_add(rmq_host_mono(NULL), rmq_s(seconds));
}

/* Waits a little; false when due is over. */
static bool may_look_again(struct rmq_mono due) {
  poll(NULL, 0, LOOK_MS);
  return rmq_mono_since(due, rmq_host_mono(NULL)).ns > 0;
}

static int start_epmd(struct warren_drill_broker *b, struct rmq_error *err) {
  char port[8];
  snprintf(port, sizeof(port), "%u", b->names);
  const char *const argv[] = {"epmd",     "-port",     port,
                              "-address", "127.0.0.1", NULL};
  if (spawn(b, argv, "epmd.out", &b->epmd, err) != 0)
    return -1;
  const struct rmq_mono due = in_seconds(EPMD_START_S);
  do {
    if (answers(b->names, NULL, 0, 0))
      return 0;
    if (*b->is_stopping || warren_drill_child_has_ended(&b->epmd, NULL))
      break;
  } while (may_look_again(due));
  return rmq_error_set(err, "epmd, Erlang's name server, does not start");
}

static int start_server(struct warren_drill_broker *b, struct rmq_error *err) {
  char path[PATH_BYTES_MAX];
  snprintf(path, sizeof(path), "%s/rabbitmq-server", b->bin);
  const char *const argv[] = {path, NULL};
  if (access(path, X_OK) != 0)
    return fail(err, path);
  return spawn(b, argv, "server.out", &b->beam, err);
}

static int await_server(struct warren_drill_broker *b, struct rmq_error *err) {
  char tail[TAIL_BYTES_MAX];
  const struct rmq_mono due = in_seconds(START_S);
  do {
    if (*b->is_stopping)
      return rmq_error_set(err, "stopped");
    if (warren_drill_child_has_ended(&b->beam, NULL)) {
      tail_of(b, "server.out", tail);
      return rmq_error_set(err, "the private broker ended: %s", tail);
    }
    if (is_ready(b))
      return 0;
  } while (may_look_again(due));
  return rmq_error_set(err, "the private broker was not ready in %d s",
                       START_S);
}

/* ---- faults ---- */

static int say_told(const struct warren_drill_broker *b, const char *command,
                    int status, struct rmq_error *err) {
  char tail[TAIL_BYTES_MAX];
  if (status == 0)
    return 0;
  tail_of(b, "ctl.out", tail);
  return rmq_error_set(err, "rabbitmqctl %s: %s", command, tail);
}

static int await_told(const struct warren_drill_broker *b, pid_t *pid,
                      const char *command, struct rmq_error *err) {
  int status = 0;
  const struct rmq_mono due = in_seconds(TELL_S);
  do {
    if (*b->is_stopping)
      return rmq_error_set(err, "stopped");
    if (warren_drill_child_has_ended(pid, &status))
      return say_told(b, command, status, err);
  } while (may_look_again(due));
  return rmq_error_set(err, "rabbitmqctl %s has not ended in %d s", command,
                       TELL_S);
}

static int tell(struct warren_drill_broker *b, const char *command,
                const char *first, const char *second, struct rmq_error *err) {
  char path[PATH_BYTES_MAX];
  pid_t pid = 0;
  snprintf(path, sizeof(path), "%s/rabbitmqctl", b->bin);
  const char *const argv[] = {path, "-q", command, first, second, NULL};
  if (spawn(b, argv, "ctl.out", &pid, err) != 0)
    return -1;
  int rc = await_told(b, &pid, command, err);
  warren_drill_child_end(&pid);
  return rc;
}

static int act(void *ctx, enum rmq_drill_kind kind, bool is_on,
               struct rmq_error *err) {
  struct warren_drill_broker *b = ctx;
  switch (kind) {
  case RMQ_DRILL_MEMORY_ALARM:
    return tell(b, "set_vm_memory_high_watermark", "absolute",
                is_on ? "10MiB" : "1GiB", err);
  case RMQ_DRILL_DISK_ALARM: /* a petabyte */
    return tell(b, "set_disk_free_limit",
                is_on ? "1000000000000000" : "1000000", NULL, err);
  case RMQ_DRILL_KILL:
    if (!is_on)
      return start_server(b, err);
    warren_drill_child_end(&b->beam);
    return 0;
  case RMQ_DRILL_CLOSED_CONNECTION:
  case RMQ_DRILL_UNROUTABLE:
  case RMQ_DRILL_NACK:
  case RMQ_DRILL_REDELIVERY:
  case RMQ_DRILL_BACKLOG:
    break;
  }
  return rmq_error_set(err, "%s needs no broker of its own",
                       rmq_drill_kind_to_str(kind));
}

struct rmq_drill_owner
warren_drill_broker_owner(struct warren_drill_broker *b) {
  return (struct rmq_drill_owner){.ctx = b, .act = act};
}

const struct warren_drill_access *
warren_drill_broker_get(const struct warren_drill_broker *b) {
  return &b->access;
}

/* ---- life ---- */

static void fill_access(struct warren_drill_broker *b) {
  struct warren_drill_access *a = &b->access;
  snprintf(a->url, sizeof(a->url), "http://127.0.0.1:%u", b->management);
  snprintf(a->metrics_url, sizeof(a->metrics_url), "http://127.0.0.1:%u",
           b->prometheus);
  snprintf(a->amqp, sizeof(a->amqp), "127.0.0.1:%u", b->amqp);
  snprintf(a->user, sizeof(a->user), "drill");
  snprintf(a->password, sizeof(a->password), "%016" PRIx64 "%016" PRIx64,
           rmq_host_random(NULL), rmq_host_random(NULL));
}

struct warren_drill_broker *
warren_drill_broker_start(const char *bin,
                          const volatile sig_atomic_t *is_stopping,
                          struct rmq_error *err) {
  struct warren_drill_broker *b = calloc(1, sizeof(*b));
  if (b == NULL) {
    rmq_error_set(err, "out of memory");
    return NULL;
  }
  b->bin = bin;
  b->is_stopping = is_stopping;
  if (take_ports(b, err) == 0) {
    fill_access(b);
    if (make_files(b, err) == 0) {
      make_env(b);
      if (start_epmd(b, err) == 0 && start_server(b, err) == 0 &&
          await_server(b, err) == 0)
        return b;
    }
  }
  warren_drill_broker_end(b);
  return NULL;
}

void warren_drill_broker_end(struct warren_drill_broker *b) {
  if (b == NULL)
    return;
  warren_drill_child_end(&b->beam);
  warren_drill_child_end(&b->epmd);
  if (b->dir[0] != '\0')
    nftw(b->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  explicit_bzero(b, sizeof(*b));
  free(b);
}
