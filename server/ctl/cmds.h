/* SPDX-License-Identifier: Apache-2.0 */
/* What each row of the command table runs. */
#pragma once

#include "server/ctl/ctl.h"

int cmd_init(struct ctl *c);
int cmd_build_publish(struct ctl *c);
int cmd_build_renew(struct ctl *c);
int cmd_build_sign(struct ctl *c);
int cmd_build_list(struct ctl *c);
int cmd_artifact_list(struct ctl *c);
int cmd_artifact_gc(struct ctl *c);
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
int cmd_device_export(struct ctl *c);
int cmd_device_erase(struct ctl *c);
int cmd_fleet_import(struct ctl *c);
int cmd_fleet_export(struct ctl *c);
int cmd_ring_show(struct ctl *c);
int cmd_log_checkpoint(struct ctl *c);
int cmd_key_create(struct ctl *c);
int cmd_key_show(struct ctl *c);
int cmd_key_list(struct ctl *c);
int cmd_root_add(struct ctl *c);
int cmd_root_revoke(struct ctl *c);
int cmd_root_threshold(struct ctl *c);
int cmd_root_rotate(struct ctl *c);
int cmd_root_renew(struct ctl *c);
int cmd_root_profile(struct ctl *c);
int cmd_root_sign(struct ctl *c);
int cmd_root_show(struct ctl *c);
int cmd_root_publish(struct ctl *c);
int cmd_root_update(struct ctl *c);
int cmd_pending(struct ctl *c);
int cmd_decode(struct ctl *c);
int cmd_countersign(struct ctl *c);
int cmd_withdraw(struct ctl *c);
int cmd_ring_invite(struct ctl *c);
int cmd_ring_remove(struct ctl *c);
int cmd_clock_confirm(struct ctl *c);
int cmd_doctor(struct ctl *c);
int cmd_log_verify(struct ctl *c);
int cmd_log_tail(struct ctl *c);
int cmd_log_show(struct ctl *c);
int cmd_log_export(struct ctl *c);
int cmd_store_stat(struct ctl *c);
int cmd_store_check(struct ctl *c);
int cmd_store_dump(struct ctl *c);
int cmd_store_backup(struct ctl *c);
int cmd_store_restore(struct ctl *c);
int cmd_version(struct ctl *c);
int cmd_help(struct ctl *c);
/* Nothing was asked for: the help, as an error, so that a script notices. */
int cmd_nothing(struct ctl *c);

/* QUERY_LOG: entries of the log from there on, as many as fit. */
WARN_UNUSED int log_page(struct ctl *c, uint64_t from, struct reply *r);
/* The role a word names; an exit code, spoken, when none does or `word` is NULL. */
WARN_UNUSED int role_arg(struct ctl *c, const char *word, enum key_role *out);
/* Signs `command` with a key of one of `roles`, sends it and says that it was `did`. */
WARN_UNUSED int send_simple(
	struct ctl *c, Pb__AdminCommand *command, unsigned roles, const char *did);
