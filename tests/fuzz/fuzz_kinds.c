/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The first byte is the kind, the rest a body. What was read, written again, gives the same bytes,
 * or fewer where a newer node had added something; and then the same ever after.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "tests/kinds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct writer once, twice;
	struct span body;

	if (size == 0)
		return 0;
	body = (struct span){ data + 1, size - 1 };
	writer_init_grow(&once);
	writer_init_grow(&twice);
	if (reencode_body(data[0], body, &once)) {
		assert(writer_ok(&once) && once.len <= body.len);
		assert(once.len < body.len || span_eq(writer_span(&once), body));
		assert(reencode_body(data[0], writer_span(&once), &twice));
		assert(span_eq(writer_span(&once), writer_span(&twice)));
	}
	writer_done(&once);
	writer_done(&twice);
	return 0;
}
