/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * hex - bytes written down in tests as the documents write them
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "proto/base.h"

/* Fills @ret, which has room for @cap bytes, from @text; returns how many there are. */
static inline size_t from_hex(const char *text, void *ret, size_t cap) {
	uint8_t *bytes = ret;
	size_t len = strlen(text) / 2;

	cr_assert(strlen(text) % 2 == 0 && len <= cap);
	for (size_t i = 0; i < len; i++)
		cr_assert_eq(sscanf(text + 2 * i, "%2hhx", &bytes[i]), 1);
	return len;
}
