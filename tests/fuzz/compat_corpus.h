/* SPDX-License-Identifier: Apache-2.0 */
/* First inputs of the fuzzers of other servers' protocols, as front_corpus.h has them. */
#pragma once

#include "front_corpus.h"

void compat_ddi(corpus_put *put);
void compat_omaha(corpus_put *put);
void compat_mender(corpus_put *put);
