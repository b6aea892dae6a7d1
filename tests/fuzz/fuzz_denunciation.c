/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A file of either half that was read is written as the same bytes; whatever a sealed part has in its box
 * opens to a part that can be kept, or does not open. The key of the corpus is of 32 bytes 7.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "proto/denunciation.h"

static void check_half(enum denunciation_half half, struct span in) {
	char text[DENUNCIATION_FILE_MAX];
	uint8_t key[BOX_KEY_LEN];

	if (denunciation_file_decode(half, in, key) != 0)
		return;
	assert(denunciation_file_encode(half, key, text) == in.len && memcmp(text, in.data, in.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	uint8_t secret[BOX_KEY_LEN], plain[PRIVATE_BOX_PLAIN], bytes[PRIVATE_OPEN_MAX];
	struct private_part part, open;
	struct writer w;

	check_half(DENUNCIATION_PUBLIC, (struct span){ data, size });
	check_half(DENUNCIATION_SECRET, (struct span){ data, size });
	memset(secret, 7, sizeof(secret));
	if (private_decode((struct span){ data, size }, &part) != 0 || part.form != PRIVATE_SEALED ||
		denunciation_open(secret, &part, plain, &open) != 0)
		return 0;
	writer_init(&w, bytes, sizeof(bytes));
	private_encode(&open, &w);
	assert(writer_ok(&w) && open.name.len + open.contact.len + open.address.len > 0);
	return 0;
}
