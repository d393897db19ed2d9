/* SPDX-License-Identifier: Apache-2.0 */
/* Status codes in words. */
#pragma once

/* "Not Found"; the status must be one that is used here. */
const char *status_str(unsigned status);
