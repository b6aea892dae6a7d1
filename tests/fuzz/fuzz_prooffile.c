/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A proof that was read is written as the same bytes, and checking it ends, whatever it says. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct office offices[PROOF_LINKS_MAX];
	struct proof *proof = calloc(1, sizeof(*proof));
	struct writer w;
	size_t at;

	assert(proof);
	if (proof_read((struct span){ data, size }, proof) == 0) {
		writer_init_grow(&w);
		proof_write(proof, &w);
		assert(writer_ok(&w) && span_eq(writer_span(&w), (struct span){ data, size }));
		writer_done(&w);
		(void)proof_check(proof, offices, &at);
		assert(at < proof->n_links);
	}
	free(proof);
	return 0;
}
