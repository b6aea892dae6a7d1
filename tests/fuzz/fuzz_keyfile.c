/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Keys that were read are written as the same bytes. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "proto/keyfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	char text[KEYFILE_LEN];
	struct keyfile keys;

	if (keyfile_decode((struct span){ data, size }, &keys) != 0)
		return 0;
	keyfile_encode(&keys, text);
	assert(size == sizeof(text) && memcmp(text, data, size) == 0);
	return 0;
}
