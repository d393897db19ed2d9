/* SPDX-License-Identifier: Apache-2.0 */
/* What each row of the command table runs. */
#pragma once

#include "server/ctl/ctl.h"

int cmd_init(struct ctl *c);
int cmd_build_publish(struct ctl *c);
int cmd_build_sign(struct ctl *c);
int cmd_build_list(struct ctl *c);
int cmd_rollout_create(struct ctl *c);
int cmd_rollout_approve(struct ctl *c);
int cmd_rollout_start(struct ctl *c);
int cmd_rollout_pause(struct ctl *c);
int cmd_rollout_halt(struct ctl *c);
int cmd_rollout_get(struct ctl *c);
int cmd_rollout_watch(struct ctl *c);
int cmd_rollout_status(struct ctl *c);
int cmd_rollout_list(struct ctl *c);
int cmd_rollout_history(struct ctl *c);
int cmd_gate_explain(struct ctl *c);
int cmd_gate_replay(struct ctl *c);
int cmd_plan_simulate(struct ctl *c);
int cmd_device_why(struct ctl *c);
int cmd_ring_show(struct ctl *c);
int cmd_log_checkpoint(struct ctl *c);
int cmd_version(struct ctl *c);
int cmd_help(struct ctl *c);
/* Nothing was asked for: the help, as an error, so that a script notices. */
int cmd_nothing(struct ctl *c);
