/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Nothing that was not made with the two offices' keys opens, however it is cut. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const uint8_t secret[BOX_KEY_LEN] = { 8, 1 };
	static uint8_t plain[BUNDLE_PLAIN_MAX];
	struct bundle_chunk chunk;
	uint8_t public[BOX_KEY_LEN];
	struct bundle bundle;
	size_t at = BUNDLE_HEADER_LEN, len;

	if (size < BUNDLE_HEADER_LEN || bundle_read(data, &bundle) != 0)
		return 0;
	assert(curve_public(secret, public) == 0 && bundle_unlock(&bundle, secret, public) == 0);
	while (size - at >= BUNDLE_CHUNK_HEADER_LEN && bundle_chunk_read(data + at, &chunk) == 0) {
		at += BUNDLE_CHUNK_HEADER_LEN;
		assert(chunk.len <= sizeof(plain) + SEAL_OVERHEAD);
		if (size - at < chunk.len)
			break;
		if (bundle_open(&bundle, &chunk, data + at, plain, &len) == 0)
			assert(len <= sizeof(plain));
		at += chunk.len;
	}
	return 0;
}
