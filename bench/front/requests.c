/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/front/load.h"

#define BODY_MAX 4096u
#define HEAD_MAX 256u

static void add(struct load *d, const char *head, const uint8_t *body, size_t n)
{
	size_t head_n = strlen(head);
	uint8_t *whole = malloc(head_n + n);

	d->requests = realloc(d->requests, (d->n_requests + 1) * sizeof(*d->requests));
	if (whole == NULL || d->requests == NULL)
		die("out of memory");
	memcpy(whole, head, head_n);
	if (n > 0)
		memcpy(whole + head_n, body, n);
	d->requests[d->n_requests++] = bytes_of(whole, head_n + n);
}

void requests_read(struct load *d, const char *file)
{
	uint8_t body[BODY_MAX];
	char head[HEAD_MAX];
	uint32_t n;
	FILE *f = fopen(file, "rb");

	if (f == NULL)
		die(file);
	while (fread(&n, sizeof(n), 1, f) == 1) {
		n = ntohl(n);
		if (n > sizeof(body) || fread(body, 1, n, f) != n)
			die("the file of requests is cut off");
		(void)snprintf(head, sizeof(head),
			"POST /v1/poll HTTP/1.1\r\nHost: localhost\r\n"
			"Content-Type: application/x-protobuf\r\nContent-Length: %u\r\n\r\n",
			n);
		add(d, head, body, n);
	}
	(void)fclose(f); /* it was read */
	if (d->n_requests == 0)
		die("there are no requests in the file");
}

void requests_get(struct load *d, const char *path)
{
	char head[HEAD_MAX];

	(void)snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
	add(d, head, NULL, 0);
}

void requests_release(struct load *d)
{
	for (size_t i = 0; i < d->n_requests; i++) {
		union {
			const uint8_t *p;
			void *owned; /* made by add() */
		} u = { d->requests[i].p };
		free(u.owned);
	}
	free(d->requests);
}
