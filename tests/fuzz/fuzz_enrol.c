/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A file that is accepted is refused with any one bit changed. So that inputs get past the
 * signature, each is also taken as what is signed, by the key that the corpus names; what is then
 * accepted gives the same file when it is written again, unless an office has elements of a later
 * version.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "proto/enrol.h"

/* The seed of the corpus: 31 zeroes and this. */
enum {
	SEED_LAST = 42,
};

static bool is_outcome(int r) {
	return r == 0 || r == ENROL_MALFORMED || r == ENROL_BAD_SIGNATURE;
}

static void check_chain(const struct enrol_answer *answer) {
	assert(answer->n_chain >= 2 && answer->n_chain <= ENROL_CHAIN_MAX);
	assert(answer->address.len >= 1 && answer->address.len <= ENROL_ADDRESS_MAX);
	assert(id_is_nil(&answer->chain[0].office.parent));
	for (size_t i = 1; i < answer->n_chain; i++)
		assert(id_eq(&answer->chain[i].office.parent, &answer->chain[i - 1].office.id));
}

/* Changes one bit, another one for each file, and puts it back. */
static void check_flipped(uint8_t *file, size_t len, bool is_answer) {
	struct enrol_answer answer;
	struct office office;
	struct hash hash;
	struct span span = { file, len };
	uint64_t bit;

	sha256(span, &hash);
	bit = get_be64(hash.b) % (8 * len);
	file[bit / 8] ^= 1 << bit % 8;
	if (is_answer)
		assert(enrol_answer_read(span, &answer) != 0);
	else
		assert(enrol_request_read(span, &office) != 0);
	file[bit / 8] ^= 1 << bit % 8;
}

/* @signer: who signed it, where it is to be written again. */
static void check_file(uint8_t *file, size_t len, struct signer *signer) {
	uint8_t again[ENROL_FILE_MAX];
	struct enrol_answer answer;
	struct span span = { file, len };
	struct office office;
	struct writer w;
	int r;

	writer_init(&w, again, sizeof(again));
	r = enrol_request_read(span, &office);
	assert(is_outcome(r));
	if (r == 0) {
		assert(id_is_nil(&office.parent) && !id_is_nil(&office.id));
		if (signer)
			assert(enrol_request_write(&office, signer, &w) == 0);
		check_flipped(file, len, false);
	}
	r = enrol_answer_read(span, &answer);
	assert(is_outcome(r));
	if (r == 0) {
		check_chain(&answer);
		if (signer)
			assert(enrol_answer_write(&answer, signer, &w) == 0);
		check_flipped(file, len, true);
	}
	assert(w.len == 0 || w.len < len || span_eq(writer_span(&w), span));
}

static void check_signed(struct signer *signer, const char *domain, struct span content) {
	uint8_t text[ENROL_FILE_MAX + 32], file[ENROL_FILE_MAX], signature[SIGN_SIGNATURE_LEN];
	size_t len = strlen(domain);
	struct writer w;

	memcpy(text, domain, len);
	memcpy(text + len, content.data, content.len);
	assert(signer_sign(signer, (struct span){ text, len + content.len }, signature) == 0);
	writer_init(&w, file, sizeof(file));
	write_array(&w, 2);
	write_bin(&w, content);
	write_bin(&w, (struct span){ signature, sizeof(signature) });
	if (writer_ok(&w))
		check_file(file, w.len, signer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const uint8_t seed[SIGN_SEED_LEN] = { [SIGN_SEED_LEN - 1] = SEED_LAST };
	_cleanup_(signer_freep) struct signer *signer = NULL;
	uint8_t copy[ENROL_FILE_MAX + 1];

	if (size == 0 || size > sizeof(copy))
		return 0;
	memcpy(copy, data, size);
	check_file(copy, size, NULL);
	if (size > ENROL_FILE_MAX)
		return 0;
	assert(signer_new(seed, &signer) == 0);
	check_signed(signer, "lienthong request 1\n", (struct span){ data, size });
	check_signed(signer, "lienthong answer 1\n", (struct span){ data, size });
	return 0;
}
