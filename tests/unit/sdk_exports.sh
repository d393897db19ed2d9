#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What libhuidu.so exports is what huidu.h declares, no more and no less.
# usage: sdk_exports.sh LIBRARY HEADER
set -eu
exported=$(nm -D --defined-only "$1" | sed -n 's/.* [A-Z] \(.*\)@@HUIDU_1.0$/\1/p' | sort)
others=$(nm -D --defined-only "$1" | grep -cv '@@HUIDU_1.0$\| A HUIDU_1.0$' || true)
declared=$(tr '\n' ' ' <"$2" | grep -o 'HUIDU_API [^(]*(' | sed 's/.*[ *]\(huidu_[a-z0-9_]*\)($/\1/' |
	grep '^huidu_' | sort)
[ -n "$declared" ] && [ "$exported" = "$declared" ] && [ "$others" = 0 ] && exit 0
printf 'exported:\n%s\n\ndeclared:\n%s\n\nothers: %s\n' "$exported" "$declared" "$others"
exit 1
