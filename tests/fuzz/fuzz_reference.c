/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A reference that was read, written and read again is the same; and so is any number that can be
 * written at all.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "proto/reference.h"

static void check_number(uint64_t reference) {
	char text[REFERENCE_TEXT_MAX];
	uint64_t again;

	reference_format(reference, text);
	if (strcmp(text, "-") == 0)
		return;
	assert(reference_parse(span_str(text), &again) == 0 && again == reference);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	char text[REFERENCE_TEXT_MAX];
	uint64_t reference;

	if (reference_parse((struct span){ data, size }, &reference) == 0) {
		reference_format(reference, text);
		assert(strcmp(text, "-") != 0);
		check_number(reference);
	}
	if (size >= sizeof(reference)) {
		memcpy(&reference, data, sizeof(reference));
		check_number(reference);
		check_number(reference % 4000000000000000); /* where most references are */
	}
	return 0;
}
