/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on phones: the real SDK, over real sockets, against a repository that lies. */
#include "tests/attack/cases.h"
#include "tests/attack/lab.h"

#include <stdio.h>

static const char graph[] =
	"no delegation graph: a Snapshot names four directors, they name the rest";

/* What of the 110 client cases has no meaning here: 24 and 2. */
static const struct attack_void voids[] = {
	{ "test_graph_traversal", graph, 12 },
	{ "test_targetfile_search", graph, 9 },
	{ "test_static_repository", "files of other tools, in JSON", 2 },
	{ "test_keytype_and_scheme[rsa/rsassa-pss-sha256]",
		"RSA is not in the format: Ed25519 and P-256 are", 1 },
	{ "test_download_with_hash_algorithms[sha512|both]", "only SHA-256 is in the format", 2 },
};

static void print_conformance(void)
{
	size_t n = tuf_basic.n + tuf_content.n + tuf_expiration.n + tuf_keys.n + tuf_files.n;

	(void)printf("TUF conformance: %zu of 84: [sha512] and [both] of "
		     "test_download_with_hash_algorithms are not there, only SHA-256 is in the "
		     "format\n",
		n);
}

int main(int argc, char **argv)
{
	const struct attack_group groups[] = { slow_sdk, tuf_basic, tuf_content, tuf_expiration,
		tuf_keys, tuf_files, cr_signatures, cr_names, cr_lengths, ra_offers, ra_log,
		ra_time, flip_sdk, drawer_sdk };
	const struct suite suite = { groups, sizeof(groups) / sizeof(groups[0]), voids,
		sizeof(voids) / sizeof(voids[0]), lab_stage };

	if (argc <= 1)
		print_conformance();
	return suite_main(&suite, argc, argv);
}
