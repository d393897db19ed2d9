/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions on an entity tag: RFC 9110, sections 13.1.2 and 13.1.5. */
#pragma once

#include "proto/bytes.h"

/* If-None-Match is "*", or has `etag` (with its quotes) among its tags, weak or strong. */
bool etag_is_listed(struct bytes value, const char *etag);
/* If-Range is this very tag; dates and weak tags are none. */
bool etag_is_same(struct bytes value, const char *etag);
