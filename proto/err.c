/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/err.h"

#include <stddef.h>
#include <string.h>

static const struct {
	int number;
	const char *name;
	const char *sentence;
} table[] = {
#define ERR(name, number, sentence) { number, #name, sentence },
#include "proto/err.def"
#undef ERR
};

const char *err_str(int err)
{
	if (err == 0)
		return "done";
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].number == err)
			return table[i].sentence;
	if (err < 0 && err > -1000)
		return strerror(-err);
	return "unknown error";
}

const char *err_name(int err)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].number == err)
			return table[i].name;
	return "ERRNO";
}
