/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/head.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

static const char digits[] = "0123456789abcdef";

void id_format(const struct id *id, char ret_text[OFFICE_ID_TEXT_LEN + 1]) {
	for (size_t i = 0; i < sizeof(id->b); i++) {
		ret_text[2 * i] = digits[id->b[i] >> 4];
		ret_text[2 * i + 1] = digits[id->b[i] & 0x0f];
	}
	ret_text[OFFICE_ID_TEXT_LEN] = '\0';
}

bool id_parse(struct span text, struct id *ret_id) {
	struct id id = { 0 };

	if (text.len != OFFICE_ID_TEXT_LEN)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		const char *digit = memchr(digits, text.data[i], sizeof(digits) - 1);

		if (!digit)
			return false;
		id.b[i / 2] = id.b[i / 2] << 4 | (digit - digits);
	}
	*ret_id = id;
	return true;
}

/* Writes what names the oplog, without the newline; returns its length. */
static size_t origin_line(const struct oplog_id *oplog, char *ret_text, size_t cap) {
	char office[OFFICE_ID_TEXT_LEN + 1];
	int n;

	id_format(&oplog->office, office);
	n = snprintf(ret_text, cap, "lienthong/%s/%" PRIu32 "/%u", office, oplog->epoch,
		(unsigned)oplog->lane);
	assert(n > 0 && (size_t)n < cap);
	return n;
}

size_t head_text(const struct oplog_id *oplog, uint64_t size, const struct hash *root,
	char ret_text[HEAD_TEXT_MAX]) {
	char base64[BASE64_MAX(sizeof(root->b))];
	size_t len = origin_line(oplog, ret_text, HEAD_TEXT_MAX);
	int n;

	base64_encode((struct span){ root->b, sizeof(root->b) }, base64);
	n = snprintf(ret_text + len, HEAD_TEXT_MAX - len, "\n%" PRIu64 "\n%s\n", size, base64);
	assert(n > 0 && (size_t)n < HEAD_TEXT_MAX - len);
	return len + n;
}

int head_sign(struct signer *signer, const struct oplog_id *oplog, struct head *head) {
	char text[HEAD_TEXT_MAX];
	size_t len = head_text(oplog, head->size, &head->root, text);

	return signer_sign(signer, (struct span){ (uint8_t *)text, len }, head->signature);
}

int head_verify(struct verifier *key, const struct oplog_id *oplog, const struct head *head) {
	char text[HEAD_TEXT_MAX];
	size_t len = head_text(oplog, head->size, &head->root, text);

	return verifier_check(key, (struct span){ (uint8_t *)text, len }, head->signature);
}

void head_write(struct writer *w, const struct head *head) {
	write_uint(w, head->size);
	write_hash(w, &head->root);
	write_bin(w, (struct span){ head->signature, SIGN_SIGNATURE_LEN });
}

void head_read(struct reader *r, struct head *ret_head) {
	struct span signature;

	ret_head->size = read_uint(r, UINT64_MAX);
	read_hash(r, &ret_head->root);
	signature = read_bin(r, SIGN_SIGNATURE_LEN, SIGN_SIGNATURE_LEN);
	if (signature.len == SIGN_SIGNATURE_LEN)
		memcpy(ret_head->signature, signature.data, SIGN_SIGNATURE_LEN);
}

enum {
	KEY_HASH_LEN = 4,
	KEY_ED25519 = 0x01, /* the algorithm's byte in front of a key */
};

/* Which of the keys of that name it is, as c2sp.org/signed-note says. */
static void key_hash(struct span name, const uint8_t key[SIGN_PUBLIC_LEN], uint8_t ret_hash[KEY_HASH_LEN]) {
	uint8_t named_key[HEAD_TEXT_MAX + 2 + SIGN_PUBLIC_LEN];
	struct hash hash;

	memcpy(named_key, name.data, name.len);
	named_key[name.len] = '\n';
	named_key[name.len + 1] = KEY_ED25519;
	memcpy(named_key + name.len + 2, key, SIGN_PUBLIC_LEN);
	sha256((struct span){ named_key, name.len + 2 + SIGN_PUBLIC_LEN }, &hash);
	memcpy(ret_hash, hash.b, KEY_HASH_LEN);
}

size_t head_note(const struct oplog_id *oplog, const struct head *head,
	const uint8_t key[SIGN_PUBLIC_LEN], char ret_note[HEAD_NOTE_MAX]) {
	uint8_t signature[KEY_HASH_LEN + SIGN_SIGNATURE_LEN];
	char base64[BASE64_MAX(sizeof(signature))];
	char name[HEAD_TEXT_MAX];
	size_t name_len = origin_line(oplog, name, sizeof(name));
	size_t len = head_text(oplog, head->size, &head->root, ret_note);
	int n;

	key_hash((struct span){ (uint8_t *)name, name_len }, key, signature);
	memcpy(signature + KEY_HASH_LEN, head->signature, SIGN_SIGNATURE_LEN);
	base64_encode((struct span){ signature, sizeof(signature) }, base64);
	n = snprintf(ret_note + len, HEAD_NOTE_MAX - len, "\n\u2014 %s %s\n", name, base64);
	assert(n > 0 && (size_t)n < HEAD_NOTE_MAX - len);
	return len + n;
}

size_t head_vkey(const struct oplog_id *oplog, const uint8_t key[SIGN_PUBLIC_LEN],
	char ret_vkey[HEAD_NOTE_MAX]) {
	uint8_t hash[KEY_HASH_LEN], typed_key[1 + SIGN_PUBLIC_LEN] = { KEY_ED25519 };
	char base64[BASE64_MAX(sizeof(typed_key))];
	char name[HEAD_TEXT_MAX];
	size_t name_len = origin_line(oplog, name, sizeof(name));
	int n;

	key_hash((struct span){ (uint8_t *)name, name_len }, key, hash);
	memcpy(typed_key + 1, key, SIGN_PUBLIC_LEN);
	base64_encode((struct span){ typed_key, sizeof(typed_key) }, base64);
	n = snprintf(ret_vkey, HEAD_NOTE_MAX, "%s+%02x%02x%02x%02x+%s", name, hash[0], hash[1], hash[2],
		hash[3], base64);
	assert(n > 0 && n < HEAD_NOTE_MAX);
	return n;
}
