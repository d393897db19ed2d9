/* SPDX-License-Identifier: Apache-2.0 */
/* Events of a device, on their way to becoming evidence. */
#pragma once

#include "server/service/request.h"
#include "server/store/novel.h"

#define REPORT_EVENTS_MAX 32u

struct report_event {
	uint8_t kind; /* EventKind */
	uint8_t tag;  /* of the build it is about; 0: not known here */
	bool has_signature;
	uint8_t symptom; /* its place in the configuration's table */
	uint64_t build;  /* device_build_hash() */
	uint8_t signature[SIGNATURE_LEN];
};

/*
 * A report that has passed all checks.  Submit `job` to the writer; when done() is called with
 * job.err 0 it is committed.  The caller sets job.done and owns the memory around it.
 */
struct report {
	struct job job;
	struct server *server;
	uint8_t id[ID_LEN];
	fleet_word *word;
	uint32_t first_seq;
	size_t n;
	struct report_event events[REPORT_EVENTS_MAX];
	/* Set when it was run: what to tell the fleet after the commit. */
	bool changed;
	bool stopped_waiting, first_crash;
	uint8_t keep; /* entered bits that stay */
	struct fleet_device device;
	size_t taken; /* events that were not known before */
};

/*
 * In a job of the writer: its events, numbered on from the device's last.  For who numbers them
 * himself; report->job is looked at for its time alone.
 */
void report_take(struct report *r, struct writer *w);
/* Fills everything but job.done; ERR_BAD_RANGE for what no device sends. */
WARN_UNUSED int report_of(
	struct desk *d, const struct request *r, uint64_t now_ms, struct report *out);
/* To be called by done() when the report is committed: fleet and counters. */
void report_taken(struct report *r);
