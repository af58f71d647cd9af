/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "plugins/warren_voice.h"

#include <stdarg.h>
#include <stdio.h>

enum { VOICE_TEXT_MAX = 1280 }; /* more than a line of the log takes */

/* Telegraf's prefixes. */
static char prefix(enum rmq_level level) {
  switch (level) {
  case RMQ_LOG_ERROR:
    return 'E';
  case RMQ_LOG_WARNING:
    return 'W';
  case RMQ_LOG_NOTICE:
  case RMQ_LOG_INFO:
    return 'I';
  case RMQ_LOG_DEBUG:
    return 'D';
  }
  return 'E';
}

/* What came over the wire, or from standard input, fit for a terminal; an
 * object has its own way. */
static void make_printable(char *text) {
  for (; *text != '\0'; text++)
    if ((unsigned char)*text < ' ' || *text == 0x7f)
      *text = '?';
}

void warren_say(const struct warren_voice *v, enum rmq_level level,
                const char *event, const char *format, ...) {
  const struct rmq_host *host = &v->execd->host;
  char text[VOICE_TEXT_MAX];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  if (v->execd->log_format == RMQ_LOG_TEXT) {
    make_printable(text);
    fprintf(stderr, "%c! %s: %s\n", prefix(level), v->command, text);
    return;
  }
  host->log(host->ctx, &(struct rmq_log_record){.level = level,
                                                .time = host->wall(host->ctx),
                                                .service = host->service,
                                                .plugin = v->plugin,
                                                .block = v->block,
                                                .event = event,
                                                .message = text});
}
