/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/denunciation.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

static const char digits[] = "0123456789abcdef";

static const char *const titles[DENUNCIATION_HALVES] = {
	[DENUNCIATION_PUBLIC] = "lienthong denunciations 1: seals\n",
	[DENUNCIATION_SECRET] = "lienthong denunciations 1: OPENS, keep it off the computer\n",
};

void denunciation_name(const uint8_t public[BOX_KEY_LEN], uint8_t ret_name[PRIVATE_KEY_LEN]) {
	static const char prefix[] = "lienthong denunciation key 1\n";
	uint8_t bytes[sizeof(prefix) - 1 + BOX_KEY_LEN];
	struct hash hash;

	memcpy(bytes, prefix, sizeof(prefix) - 1);
	memcpy(bytes + sizeof(prefix) - 1, public, BOX_KEY_LEN);
	sha256((struct span){ bytes, sizeof(bytes) }, &hash);
	memcpy(ret_name, hash.b, PRIVATE_KEY_LEN);
}

void denunciation_fingerprint(const uint8_t name[PRIVATE_KEY_LEN], char ret_text[DENUNCIATION_FINGERPRINT_LEN]) {
	size_t len = 0;

	for (size_t i = 0; i < PRIVATE_KEY_LEN; i += 2)
		len += (size_t)snprintf(ret_text + len, DENUNCIATION_FINGERPRINT_LEN - len, "%s%04x", i ? " " : "",
			get_be16(name + i));
}

/* u16 length of the part, the part, zeros. */
int denunciation_seal(const uint8_t public[BOX_KEY_LEN], const struct private_part *open, struct writer *w) {
	uint8_t plain[PRIVATE_BOX_PLAIN] = { 0 }, box[PRIVATE_BOX_LEN], name[PRIVATE_KEY_LEN];
	struct writer inner;
	int r;

	assert(open->form == PRIVATE_OPEN);
	writer_init(&inner, plain + 2, sizeof(plain) - 2);
	private_encode(open, &inner);
	if (!writer_ok(&inner)) {
		explicit_bzero(plain, sizeof(plain));
		return -ENOBUFS;
	}
	put_be16(plain, (uint16_t)inner.len);
	r = box_seal(public, (struct span){ plain, sizeof(plain) }, box);
	explicit_bzero(plain, sizeof(plain));
	if (r)
		return r < 0 ? r : DENUNCIATION_BAD_KEY;
	denunciation_name(public, name);
	private_encode(&(struct private_part){ .form = PRIVATE_SEALED, .key = { name, sizeof(name) },
		.box = { box, sizeof(box) } }, w);
	return 0;
}

static bool read_plain(const uint8_t plain[PRIVATE_BOX_PLAIN], struct private_part *ret_open) {
	size_t len = get_be16(plain);

	if (len > PRIVATE_OPEN_MAX || private_decode((struct span){ plain + 2, len }, ret_open) != 0)
		return false;
	for (size_t i = 2 + len; i < PRIVATE_BOX_PLAIN; i++)
		if (plain[i] != 0)
			return false;
	return ret_open->form == PRIVATE_OPEN;
}

int denunciation_open(const uint8_t secret[BOX_KEY_LEN], const struct private_part *sealed,
	uint8_t plain[PRIVATE_BOX_PLAIN], struct private_part *ret_open) {
	uint8_t public[BOX_KEY_LEN], name[PRIVATE_KEY_LEN];
	int r;

	assert(sealed->form == PRIVATE_SEALED && sealed->box.len == PRIVATE_BOX_LEN);
	r = curve_public(secret, public);
	if (r)
		return r;
	denunciation_name(public, name);
	if (!span_eq(sealed->key, (struct span){ name, sizeof(name) }))
		return DENUNCIATION_OTHER_KEY;
	r = box_open(secret, sealed->box, plain);
	if (r)
		return r < 0 ? r : DENUNCIATION_ALTERED;
	/* anybody can seal to a public key, also what is no part */
	return read_plain(plain, ret_open) ? 0 : DENUNCIATION_ALTERED;
}

size_t denunciation_file_encode(enum denunciation_half half, const uint8_t key[BOX_KEY_LEN],
	char ret_text[DENUNCIATION_FILE_MAX]) {
	size_t len = strlen(titles[half]);

	memcpy(ret_text, titles[half], len);
	for (size_t i = 0; i < BOX_KEY_LEN; i++) {
		ret_text[len++] = digits[key[i] >> 4];
		ret_text[len++] = digits[key[i] & 15];
	}
	ret_text[len++] = '\n';
	return len;
}

int denunciation_file_decode(enum denunciation_half half, struct span text, uint8_t ret_key[BOX_KEY_LEN]) {
	const size_t title_len = strlen(titles[half]);
	uint8_t key[BOX_KEY_LEN] = { 0 };
	bool ok = text.len == title_len + 2 * BOX_KEY_LEN + 1 &&
		memcmp(text.data, titles[half], title_len) == 0 && text.data[text.len - 1] == '\n';

	for (size_t i = 0; ok && i < 2 * BOX_KEY_LEN; i++) {
		const char *digit = memchr(digits, text.data[title_len + i], 16);

		ok = digit != NULL;
		if (ok)
			key[i / 2] = (uint8_t)(key[i / 2] << 4 | (digit - digits));
	}
	if (ok)
		memcpy(ret_key, key, sizeof(key));
	explicit_bzero(key, sizeof(key));
	return ok ? 0 : DENUNCIATION_MALFORMED;
}
