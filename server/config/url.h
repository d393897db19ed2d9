/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses to which a file's name is added. */
#pragma once

#include <stdbool.h>

#define URL_MAX 1024u

/*
 * "https://HOST/PATH" or http, of the signs a URL may have, so that it can stand in a header:
 * no user, query or fragment, for what comes behind it is a path.
 */
bool url_is_folder(const char *url);
/* Takes a slash from its end. */
void url_trim(char *url);
