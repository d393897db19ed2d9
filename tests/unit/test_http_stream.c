/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/mem.h"
#include "tmpdir.h"
#include "unit.h"
