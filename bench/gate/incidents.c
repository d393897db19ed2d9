/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/gate/rollouts.h"

void bench_incidents(unsigned runs)
{
	(void)runs;
}
