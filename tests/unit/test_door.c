/* SPDX-License-Identifier: Apache-2.0 */
/* Who is let in, under which epoch, and what a report of somebody else's does: nothing. */
#include "unit.h"
int main(void) { return 0; }
