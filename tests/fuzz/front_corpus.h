/* SPDX-License-Identifier: Apache-2.0 */
/* First inputs of the fuzzers of the device front; each is given to `put`, behind a first byte if >= 0. */
#pragma once

#include "proto/bytes.h"

typedef void corpus_put(int first, struct bytes rest);

void front_polls(corpus_put *put);
void front_reports(corpus_put *put);
void front_connections(corpus_put *put);
