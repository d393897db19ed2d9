/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl as the http hook of libhuidu: HTTPS, one request at a time, answered before
 * the hook returns.  Three redirects of a GET are followed, with the Range it has, but from
 * https to https alone: nothing is sent in the clear unless the server's address says http.  Times out after
 * 10 s without a connection; ends with HUIDU_ESLOW when less than 1 KiB/s comes for 60 s, or an
 * answer that is not a file takes 120 s.
 */
#ifndef HUIDU_CURL_H
#define HUIDU_CURL_H

#include <huidu/huidu.h>

struct huidu_curl;

/*
 * `server` is "https://host:port", `ca_file` the PEM file of those who may vouch for it
 * (NULL: the system's).  Both are copied.  NULL when memory is out or the address is
 * not one.
 */
struct huidu_curl *huidu_curl_new(const char *server, const char *ca_file);
void huidu_curl_free(struct huidu_curl *c);
/* An answer that brings less than this for so many seconds is given up; 1 KiB/s and 60 s at first. */
void huidu_curl_least_rate(struct huidu_curl *c, uint32_t bytes_s, uint32_t over_s);

/* For the http hook: sends `request`, and gives `h` the answer. */
int huidu_curl_http(struct huidu_curl *c, huidu_t *h, const struct huidu_request *request);

#endif
