/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A crypto library that gets no memory ends the process, as all else that gets none does: otherwise
 * it says of a good signature that it is wrong, and that would be remembered.
 */
#pragma once

#include <stdbool.h>

/* At the start of the program; false when something has used the library before. */
bool cryptomem_must(void);
