/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/status.h"

#include <assert.h>
#include <stddef.h>

static const char *const words[] = {
	[200] = "OK",
	[201] = "Created",
	[202] = "Accepted",
	[204] = "No Content",
	[206] = "Partial Content",
	[301] = "Moved Permanently",
	[302] = "Found",
	[304] = "Not Modified",
	[307] = "Temporary Redirect",
	[308] = "Permanent Redirect",
	[400] = "Bad Request",
	[401] = "Unauthorized",
	[403] = "Forbidden",
	[404] = "Not Found",
	[405] = "Method Not Allowed",
	[408] = "Request Timeout",
	[409] = "Conflict",
	[410] = "Gone",
	[412] = "Precondition Failed",
	[413] = "Content Too Large",
	[415] = "Unsupported Media Type",
	[416] = "Range Not Satisfiable",
	[417] = "Expectation Failed",
	[422] = "Unprocessable Content",
	[429] = "Too Many Requests",
	[431] = "Request Header Fields Too Large",
	[500] = "Internal Server Error",
	[501] = "Not Implemented",
	[502] = "Bad Gateway",
	[503] = "Service Unavailable",
	[505] = "HTTP Version Not Supported",
};

const char *status_str(unsigned status)
{
	assert(status < sizeof(words) / sizeof(words[0]) && words[status] != NULL);
	return words[status];
}
