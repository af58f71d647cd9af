/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/http.h"

const char *rmq_http_outcome_to_str(enum rmq_http_outcome o) {
  switch (o) {
  case RMQ_HTTP_ANSWERED:
    return "answered";
  case RMQ_HTTP_FAILED:
    return "failed";
  case RMQ_HTTP_CANCELLED:
    return "cancelled";
  }
  return "unknown";
}
