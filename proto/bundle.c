/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/bundle.h"

#include <assert.h>

static const char title[] = "lienthong bundle 1\n";
_Static_assert(sizeof(title) - 1 == BUNDLE_TITLE_LEN, "what the file begins with");

enum {
	FROM_AT = BUNDLE_TITLE_LEN,
	TO_AT = FROM_AT + 16,
	RANDOM_AT = TO_AT + 16,
	RANDOM_LEN = 32,
	PLACE_LEN = 9,
};
_Static_assert(RANDOM_AT + RANDOM_LEN == BUNDLE_HEADER_LEN, "nothing follows");

int bundle_unlock(struct bundle *bundle, const uint8_t secret[BOX_KEY_LEN], const uint8_t public[BOX_KEY_LEN]) {
	int r = pair_key(secret, public, (struct span){ bundle->header, sizeof(bundle->header) }, bundle->key);

	return r > 0 ? BUNDLE_BAD_KEY : r;
}

int bundle_begin(const struct id *from, const struct id *to, const uint8_t secret[BOX_KEY_LEN],
	const uint8_t public[BOX_KEY_LEN], struct bundle *ret_bundle) {
	struct bundle bundle = { .from = *from, .to = *to };
	int r;

	memcpy(bundle.header, title, BUNDLE_TITLE_LEN);
	memcpy(bundle.header + FROM_AT, from->b, sizeof(from->b));
	memcpy(bundle.header + TO_AT, to->b, sizeof(to->b));
	r = random_bytes(bundle.header + RANDOM_AT, RANDOM_LEN);
	if (!r)
		r = bundle_unlock(&bundle, secret, public);
	if (!r)
		*ret_bundle = bundle;
	return r;
}

int bundle_read(const uint8_t header[BUNDLE_HEADER_LEN], struct bundle *ret_bundle) {
	if (memcmp(header, title, BUNDLE_TITLE_LEN) != 0)
		return BUNDLE_MALFORMED;
	*ret_bundle = (struct bundle){ 0 };
	memcpy(ret_bundle->header, header, BUNDLE_HEADER_LEN);
	memcpy(ret_bundle->from.b, header + FROM_AT, sizeof(ret_bundle->from.b));
	memcpy(ret_bundle->to.b, header + TO_AT, sizeof(ret_bundle->to.b));
	return 0;
}

/* What a chunk is sealed under: which it is, and whether another follows. */
static void put_place(const struct bundle *bundle, bool last, uint8_t ret_place[PLACE_LEN]) {
	put_be64(ret_place, bundle->n_chunks);
	ret_place[8] = last;
}

int bundle_seal(struct bundle *bundle, bool last, struct span plain, uint8_t *ret_chunk, size_t *ret_len) {
	uint8_t place[PLACE_LEN];
	int r;

	assert(plain.len <= BUNDLE_PLAIN_MAX);
	put_place(bundle, last, place);
	r = seal(bundle->key, (struct span){ place, sizeof(place) }, plain, ret_chunk + BUNDLE_CHUNK_HEADER_LEN);
	if (r)
		return r;
	ret_chunk[0] = last;
	put_be32(ret_chunk + 1, (uint32_t)(plain.len + SEAL_OVERHEAD));
	*ret_len = BUNDLE_CHUNK_HEADER_LEN + plain.len + SEAL_OVERHEAD;
	bundle->n_chunks++;
	return 0;
}

int bundle_chunk_read(const uint8_t header[BUNDLE_CHUNK_HEADER_LEN], struct bundle_chunk *ret_chunk) {
	uint32_t len = get_be32(header + 1);

	if (header[0] > 1 || len < SEAL_OVERHEAD || len > BUNDLE_PLAIN_MAX + SEAL_OVERHEAD)
		return BUNDLE_MALFORMED;
	*ret_chunk = (struct bundle_chunk){ header[0], len };
	return 0;
}

int bundle_open(struct bundle *bundle, const struct bundle_chunk *chunk, const uint8_t *sealed, uint8_t *ret_plain,
	size_t *ret_len) {
	uint8_t place[PLACE_LEN];
	int r;

	put_place(bundle, chunk->last, place);
	r = unseal(bundle->key, (struct span){ place, sizeof(place) }, (struct span){ sealed, chunk->len }, ret_plain);
	if (r)
		return r > 0 ? BUNDLE_ALTERED : r;
	bundle->n_chunks++;
	*ret_len = chunk->len - SEAL_OVERHEAD;
	return 0;
}
