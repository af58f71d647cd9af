/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/silence.h"

static const char *remedy(int status, const struct rmq_role_monitor_config *c) {
  if (status == 404)
    return "; is this the URL of the management plugin?";
  if (status != 401 && status != 403)
    return "";
  if (c->bearer_token_file != NULL)
    return "; check --bearer-token-file";
  if (c->password == NULL && c->password_file == NULL)
    return "; no password was given (--password-file or WARREN_PASSWORD)";
  return "; check --user and its password (--password-file or "
         "WARREN_PASSWORD), and that the user has the tag \"monitoring\"";
}

void rmq_silence_explain(const struct rmq_poll_result *poll,
                         const struct rmq_role_monitor_config *config,
                         struct rmq_error *ret_text) {
  const struct rmq_poll_refusal *f = &poll->refusal;
  rmq_error_clear(ret_text);
  if (poll->outcome == RMQ_POLL_ANSWERED)
    return;
  if (f->url != NULL)
    rmq_error_set(ret_text, "refused: HTTP %d%s%s%s from %s%s", f->status,
                  f->reason[0] == '\0' ? "" : " (", f->reason,
                  f->reason[0] == '\0' ? "" : ")", f->url,
                  remedy(f->status, config));
  else if (f->status != 0)
    rmq_error_set(ret_text, "refused: %s", poll->error.text);
  else
    rmq_error_set(ret_text, "no answer: %s", poll->error.text);
}
