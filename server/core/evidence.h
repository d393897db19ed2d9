/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the devices of a stage tell about its build, and nothing else: per arm and stream, how many
 * are at risk and how many had their first event.
 *
 * One device, one vote: the first later event of a device in a stream counts, all others change
 * nothing.  Events are counted in batches; at-risk numbers are frozen when a batch opens, and an
 * event of a device that entered after that is not compared (its arm's share of the risk set is not
 * in the frozen numbers), though it is in the totals.  Pure; times in unix ms.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum arm { ARM_CANARY, ARM_CONTROL, ARM__COUNT, ARM_NONE };

#define SYMPTOMS 8u /* kinds of symptom a configuration may name */

/* Numbers are on disk. */
enum stream {
	STREAM_CRASH = 0,
	STREAM_CRASH_LOOP = 1,
	STREAM_SYMPTOM = 2,   /* .. 9: the config's table */
	STREAM_COMPARED = 10, /* those below are compared with the control, by age */
	STREAM_SILENT = 10,   /* no contact at a milestone; compared with those judged then */
	STREAM_BOOT = 11,     /* boot failed */
	STREAM_INSTALL = 12,  /* install failed */
	STREAM_ROLLBACK = 13, /* rolled back */
	STREAM_S1 = 14,       /* no boot_ok in time after `installing` */
	STREAM_DOWNLOADED = 15,
	STREAM_INSTALLING = 16,
	STREAM_INSTALLED = 17,
	STREAM_BOOT_OK = 18,
	STREAM_RESOLVED = 19,  /* boot_ok or any failure, whichever came first */
	STREAM_ENTERED = 20,   /* devices that entered their arm */
	STREAM_HELD = 21,      /* polls, not devices: canaries told to wait for admission */
	STREAM_JUDGED = 22,    /* devices whose silence was judged: the first milestone */
	STREAM_S1_DUE = 23,    /* devices whose time for boot_ok after `installing` is over */
	STREAM_SIGNATURE = 24, /* first crash of a device with one new signature */
	STREAM__COUNT = 25
};

/*
 * A device is young until `settle` after it entered (and up to an eighth of it longer, for entries
 * are kept in slots): what a new build stirs up is told from what it goes on doing.  A device
 * entered when the batch did in which it came, and ages change only when a batch opens.
 */
enum age { AGE_STEADY, AGE_YOUNG, AGE__COUNT };
#define EVIDENCE_SLOTS 9u

/*
 * Control devices leave the risk set when their bucket opens.  They are kept in groups by the step
 * of their ring that will open them, so that a whole group leaves at once.
 */
#define EVIDENCE_GROUPS     8u
#define EVIDENCE_MAX_EVENTS 1000u /* a batch closes after so many */

/* One device in one stage. */
struct evidence_device {
	enum arm arm;
	uint32_t group; /* of a control device */
	uint32_t seq;   /* its last event before it entered */
	uint32_t entered_batch;
	uint32_t slot; /* of its entry, for its age */
	uint32_t seen; /* streams that had their first event, a bit each */
	uint64_t entered_ms;
	uint64_t installing_ms; /* when it said so; 0: it did not */
	bool gone;              /* consent withdrawn, or ring changed */
};

/* One stage and stratum (product). */
struct evidence {
	uint32_t batch;                            /* number of the open one, from 0 */
	uint64_t started_ms;                       /* when the first one opened */
	uint64_t settle_ms;                        /* 0: nobody is young */
	uint64_t opened_ms;                        /* when the open one did */
	uint32_t slot;                             /* of those who enter in the open one */
	uint32_t events;                           /* counted in it */
	uint32_t closed_groups;                    /* control groups that left, a bit each */
	uint32_t entered[ARM__COUNT];              /* devices, ever */
	uint32_t total[ARM__COUNT][STREAM__COUNT]; /* devices with a first event, ever */
	uint32_t risk[1 + EVIDENCE_GROUPS][STREAM__COUNT]; /* [0] canary, [1 + group] */
	/* Of risk[], those who are young, by slot. */
	uint32_t young[EVIDENCE_SLOTS][1 + EVIDENCE_GROUPS][STREAM_COMPARED];
	/* At risk when the batch opened, all ages and young; first events in the open batch. */
	uint32_t frozen[ARM__COUNT][STREAM__COUNT];
	uint32_t frozen_young[ARM__COUNT][STREAM_COMPARED];
	uint32_t open[ARM__COUNT][STREAM__COUNT];
	uint32_t open_young[ARM__COUNT][STREAM_COMPARED];
	uint32_t judged[ARM__COUNT]; /* in the open batch, at any milestone */
};

/*
 * One stream of a closed batch.  Rows without events are left out, but STREAM_ENTERED is always
 * there: it tells that, and when, the batch closed.
 */
struct evidence_row {
	uint32_t batch;
	enum stream stream;
	enum age age;       /* of a compared stream */
	uint32_t signature; /* of STREAM_SIGNATURE: order of second sighting in the stage, from 0 */
	uint64_t closed_ms;
	uint32_t xc, xk, ec, ek;
};
#define EVIDENCE_ROWS (STREAM__COUNT + STREAM_COMPARED) /* at most, of one batch */

/* Opens the first batch. */
void evidence_start(struct evidence *e, uint64_t settle_ms, uint64_t now_ms);
/* A device enters its arm; `seq` is the last event number it has used. */
void evidence_enter(struct evidence *e, struct evidence_device *d, enum arm arm, uint32_t group,
	uint32_t seq, uint64_t now_ms);
/* True when this event is the device's first of the stream and was taken. */
bool evidence_event(
	struct evidence *e, struct evidence_device *d, enum stream stream, uint32_t seq);
/*
 * A milestone of silence: counted among those judged the first time.  `silent` takes the event,
 * once a device.  What is heard of a device that does not count any more changes nothing.
 */
void evidence_judge(struct evidence *e, struct evidence_device *d, bool silent);
/* The time for boot_ok after `installing` is over; true when it did not come: a failure. */
bool evidence_s1(struct evidence *e, struct evidence_device *d);
/*
 * Which arm's first crash with some signature this is, ARM_NONE when it does not count: the device
 * is not followed any more or entered in the open batch.  The caller knows that it is the first.
 */
enum arm evidence_signature(const struct evidence *e, const struct evidence_device *d);
/*
 * Its devices are known no longer: nobody is at risk, what was counted stays, and who comes again
 * enters as for the first time.  Between two batches.  False when it was so already.
 */
bool evidence_forget(struct evidence *e);
/* The device is not to be followed any more. */
void evidence_leave(struct evidence *e, struct evidence_device *d);
/*
 * The step of this ring that opens the buckets of `group` has opened.  Right after evidence_close():
 * events that the group had in the open batch stay in it, the devices do not.
 */
void evidence_close_group(struct evidence *e, uint32_t group);

bool evidence_due(const struct evidence *e, uint64_t now_ms, uint64_t batch_ms);
/*
 * Closes the batch and opens the next; returns how many rows it had.  `held` is how many polls of
 * canaries the admission made wait meanwhile.
 */
size_t evidence_close(struct evidence *e, uint64_t now_ms, uint32_t held,
	struct evidence_row rows[EVIDENCE_ROWS]);

/* Devices of the arm that are followed now and had no event of the stream. */
uint32_t evidence_at_risk(const struct evidence *e, enum arm arm, enum stream stream);
