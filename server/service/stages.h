/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stages that collect evidence: the open ones, and those passed that are still watched.
 * Owned by the writer; control opens and closes them with jobs.
 */
#pragma once

#include <stdatomic.h>

#include "server/core/hearing.h"
#include "server/service/fleet.h"
#include "server/service/silence.h"

/*
 * What workers and the writer share of a stage without a lock.  Lives until the server ends.
 */
struct stage_live {
	_Atomic uint32_t granted; /* tokens taken: devices offered to */
	_Atomic uint32_t allowed; /* tokens there are in all */
	_Atomic uint32_t admit_ppm;
	_Atomic uint32_t held;          /* polls made to wait since the batch opened */
	_Atomic uint32_t boot_ok;       /* canaries, as committed */
	_Atomic uint32_t judged, heard; /* of them, after the first milestone of silence */
};

/* Takes one if there is one. */
bool stage_take_token(struct stage_live *live);

struct stratum {
	uint16_t product;
	uint64_t build; /* device_build_hash() of the stage's build for this product */
	struct evidence evidence;
	bool dirty;
};

struct stage {
	struct stage *next;
	struct stage_key key;
	size_t line;
	enum ring ring;
	unsigned slot;
	uint64_t batch_ms, settle_ms;
	uint64_t novel_ms;    /* a signature first seen from here on is new */
	uint16_t line_number; /* in the store */
	struct silence silence;
	struct stage_live *live;
	size_t n_strata;
	struct stratum strata[];
};

struct stages {
	struct stage *list;
	bool stale; /* they could not be reloaded */
	const struct fleet *fleet;
	struct hearing hearing; /* of this process */
};

struct stage *stages_find(const struct stages *s, struct stage_key key);
struct stratum *stage_stratum(struct stage *s, uint16_t product);

/* Takes the stage; reads its evidence, or starts it, as of `now_ms`. */
void stages_add(struct stages *s, struct stage *stage, struct store_txn *t, uint64_t now_ms);
/* Stops following; what was collected stays in the store. */
void stages_remove(struct stages *s, struct stage_key key);
void stage_free(struct stage *stage);
/* Closes the stage's open batch. */
void stages_close_batch(struct stage *stage, struct store_txn *t, uint64_t now_ms);
/* Judges silence, and closes the batches that are due. */
void stages_close_due(struct stages *s, struct store_txn *t, uint64_t now_ms);
/* Writes what changed; goes into every commit. */
void stages_save(struct stages *s, struct store_txn *t);
/* Publishes committed numbers in stage_live. */
void stages_show(struct stages *s);
/* After a failed commit: back to what is in the store, now or when it can be read again. */
void stages_reload(struct stages *s, struct store *store);
/* Before a commit: 0 when they are what is in the store. */
WARN_UNUSED int stages_refresh(struct stages *s, struct store *store);
void stages_release(struct stages *s);
