/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/alert_options.h"

#include "common/broker/alert_rule.h"

static const char *const kinds[] = {
#define RMQ_X(name, word) word,
    RMQ_ALERT_KINDS(RMQ_X)
#undef RMQ_X
        NULL};
static const char *const priorities[] = {"P0", "P1", "P2", NULL};

#define FIELD(f) .offset = offsetof(struct rmq_alert_config, f)

const struct rmq_option rmq_alert_option_table[] = {
    {.name = "Kind",
     .type = RMQ_OPT_ENUM,
     FIELD(kind),
     .choices = kinds,
     .help = "What the alert is about; the text behind the word Alert"},
    {.name = "Warning",
     .type = RMQ_OPT_NUMBER,
     FIELD(warning),
     .help = "From which value on it is a WARNING; 0 = never"},
    {.name = "Failure",
     .type = RMQ_OPT_NUMBER,
     FIELD(failure),
     .help = "From which value on it is a FAILURE; 0 = never"},
    {.name = "Hold",
     .type = RMQ_OPT_DURATION,
     FIELD(hold),
     .max = 86400,
     .help = "How long the value must have been there"},
    {.name = "Clear",
     .type = RMQ_OPT_NUMBER,
     FIELD(clear),
     .default_value = "90",
     .min = 1,
     .max = 100,
     .unit = "percent",
     .help = "Share of the limit that the value must be under to end it"},
    {.name = "ClearHold",
     .type = RMQ_OPT_DURATION,
     FIELD(clear_hold),
     .max = 86400,
     .help = "How long it must have been under that share; Hold where only "
             "that is given"},
    {.name = "Priority",
     .type = RMQ_OPT_ENUM,
     FIELD(priority),
     .choices = priorities,
     .help = "P0 wakes somebody, P1 is for working hours, P2 for a digest"},
    {.name = "Queue",
     .type = RMQ_OPT_LIST,
     FIELD(queues),
     .help = "Queues that it is for: /regex/ or a whole name; all where none "
             "is given"},
    {.name = "VHost",
     .type = RMQ_OPT_LIST,
     FIELD(vhosts),
     .help = "Virtual hosts whose queues it is for, likewise"},
    {.name = "Node",
     .type = RMQ_OPT_LIST,
     FIELD(nodes),
     .help = "Nodes that it is for, likewise"},
    {.name = "Resource",
     .type = RMQ_OPT_LIST,
     FIELD(resources),
     .help = "Of <Alert \"resource\">: memory, file-handles, processes, "
             "cpu, host-memory, disk; all where none is given"},
    RMQ_OPTIONS_END};

const struct rmq_option_block rmq_alert_option_block = {
    .table = rmq_alert_option_table,
    .size = sizeof(struct rmq_alert_config),
    .argument = "Kind",
    .max = RMQ_ALERT_RULES_MAX,
    .prepare = rmq_alert_config_prepare,
    .check = rmq_alert_config_check};
