/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on the server's judgement: its real services and its real signer, in one process. */
#include "tests/attack/cases.h"

static void stage(const struct attack *a)
{
	a->run(NULL, a);
}

int main(int argc, char **argv)
{
	const struct attack_group groups[] = { cr_server, cr_http, ra_votes, ra_people };
	const struct suite suite = {
		.groups = groups, .n_groups = sizeof(groups) / sizeof(groups[0]), .stage = stage
	};

	return suite_main(&suite, argc, argv);
}
