/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files are still needed, and which may go.  A function of the state and the time: what names a
 * file is listed, and a file that nothing names may go once it is old enough for nobody to be about to
 * publish it.
 *
 * A file cannot be lost to a publish at the same moment: looking, removing, uploads and commands are
 * all control's thread, one after the other; and who asks if a file is there before publishing makes it
 * young again (artifact_touch).
 */
#pragma once

#include "server/artifact/artifact.h"
#include "server/service/state.h"

#define GARBAGE_FILE_MS   86400000ull       /* since it came, or somebody asked for it */
#define GARBAGE_UPLOAD_MS (7 * 86400000ull) /* since its last byte came */

enum garbage_need {
	NEED_SIGNED,  /* an envelope of the build has not expired */
	NEED_ROLLOUT, /* a rollout of it goes on, or could */
	NEED_NAMED,   /* a build that is needed goes back to it, or is a delta on it */
	NEED_WAITING, /* a command that waits for more signatures */
};

struct garbage {
	struct garbage_keep {
		uint8_t sha256[SHA256_LEN];
		enum garbage_need need;
		const struct build *build; /* NULL: of NEED_WAITING */
	} * keep;
	size_t n;
};

/* Release with garbage_release(); valid while the state does not change.  ERR_ when it is damaged. */
WARN_UNUSED int garbage_look(
	const struct state *s, uint64_t now_ms, struct arena *a, struct garbage *out);
void garbage_release(struct garbage *g);
/* NULL: nothing names it. */
const struct garbage_keep *garbage_find(const struct garbage *g, const uint8_t sha256[SHA256_LEN]);
/* When it may go, unix ms; UINT64_MAX while it is needed.  An unfinished upload is never needed. */
uint64_t garbage_due_ms(const struct garbage *g, const struct artifact_file *f);
