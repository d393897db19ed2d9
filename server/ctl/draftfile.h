/* SPDX-License-Identifier: Apache-2.0 */
/* The next root as a file on its way between the people who sign it. */
#pragma once

#include "server/ctl/ctl.h"
#include "server/trust/draft.h"

struct draftfile {
	char *path;
	bool was_there, was_signed;
	struct draft d;
};

/*
 * The one named by --draft, else root-N.env beside the root in force, N being the next version; made
 * from the root in force when it is not there.  An exit code, spoken.  Release it either way.
 */
WARN_UNUSED int draftfile_open(struct ctl *c, struct draftfile *f);
/* Writes it without signatures; tells what it changes, what is missing, and what is next. */
WARN_UNUSED int draftfile_save(struct ctl *c, const struct draftfile *f);
void draftfile_release(struct draftfile *f);

/*
 * The envelope in a file and the Root in it, whoever signed it: to look at, not to believe.  An exit
 * code, spoken.
 */
WARN_UNUSED int draftfile_read(struct ctl *c, const char *path, struct arena *a,
	struct bytes *envelope, const Pb__Root **out);
