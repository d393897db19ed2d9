/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/url.h"

#include <string.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define SIGNS   LETTERS "0123456789-._~:/[]!$&'()*+,;=%"

bool url_is_folder(const char *url)
{
	static const char *const schemes[] = { "https://", "http://" };

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t n = strlen(schemes[i]);
		const char *host = url + n;
		if (strncmp(url, schemes[i], n) == 0)
			return strlen(url) <= URL_MAX && strchr("/:", *host) == NULL &&
				strspn(host, SIGNS) == strlen(host);
	}
	return false;
}

void url_trim(char *url)
{
	size_t n = strlen(url);

	if (n > 0 && url[n - 1] == '/')
		url[n - 1] = '\0';
}
