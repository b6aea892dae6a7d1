/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/head.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

static const char digits[] = "0123456789abcdef";

void id_format(const struct id *id, char ret_text[OFFICE_ID_TEXT_LEN + 1]) {
	hex_format((struct span){ id->b, sizeof(id->b) }, ret_text);
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

void oplog_id_write(struct writer *w, const struct oplog_id *oplog) {
	write_id(w, &oplog->office);
	write_uint(w, oplog->epoch);
	write_uint(w, oplog->lane);
}

void oplog_id_read(struct reader *r, struct oplog_id *ret_oplog) {
	read_id(r, &ret_oplog->office);
	ret_oplog->epoch = read_uint(r, EPOCH_MAX);
	ret_oplog->lane = read_uint(r, LANE_N - 1);
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

/* The line at *@pos without its end, which it passes; false: there is no whole line. */
static bool next_line(struct span text, size_t *pos, struct span *ret_line) {
	const uint8_t *end = memchr(text.data + *pos, '\n', text.len - *pos);

	if (!end)
		return false;
	*ret_line = (struct span){ text.data + *pos, (size_t)(end - text.data) - *pos };
	*pos += ret_line->len + 1;
	return true;
}

/* A number in decimal, as it is written in one way only, that ends where @end stands or the line does. */
static bool read_number(struct span *line, char end, uint64_t max, uint64_t *ret_number) {
	uint64_t n = 0;
	size_t i = 0;

	for (; i < line->len && line->data[i] >= '0' && line->data[i] <= '9'; i++) {
		unsigned digit = line->data[i] - '0';

		if (digit > max || n > (max - digit) / 10 || (i > 0 && n == 0))
			return false;
		n = 10 * n + digit;
	}
	if (i == 0 || (end ? i == line->len || line->data[i] != end : i != line->len))
		return false;
	*line = (struct span){ line->data + i + (end != 0), line->len - i - (end != 0) };
	*ret_number = n;
	return true;
}

static bool starts(struct span *line, const char *with) {
	size_t len = strlen(with);

	if (line->len < len || memcmp(line->data, with, len) != 0)
		return false;
	*line = (struct span){ line->data + len, line->len - len };
	return true;
}

static bool read_origin(struct span line, struct oplog_id *ret_oplog) {
	uint64_t epoch, lane;

	if (!starts(&line, "lienthong/") || line.len < OFFICE_ID_TEXT_LEN ||
		!id_parse((struct span){ line.data, OFFICE_ID_TEXT_LEN }, &ret_oplog->office))
		return false;
	line = (struct span){ line.data + OFFICE_ID_TEXT_LEN, line.len - OFFICE_ID_TEXT_LEN };
	if (!starts(&line, "/") || !read_number(&line, '/', EPOCH_MAX, &epoch) ||
		!read_number(&line, 0, LANE_N - 1, &lane))
		return false;
	ret_oplog->epoch = epoch;
	ret_oplog->lane = lane;
	return true;
}

int head_note_read(struct span text, struct oplog_id *ret_oplog, struct head *ret_head, size_t *ret_len) {
	uint8_t signature[KEY_HASH_LEN + SIGN_SIGNATURE_LEN];
	struct span origin, size, root, none, line;
	size_t pos = 0;

	if (!next_line(text, &pos, &origin) || !read_origin(origin, ret_oplog) ||
		!next_line(text, &pos, &size) || !read_number(&size, 0, UINT64_MAX, &ret_head->size) ||
		!next_line(text, &pos, &root) || !base64_decode(root, ret_head->root.b, sizeof(ret_head->root.b)) ||
		!next_line(text, &pos, &none) || none.len > 0 ||
		!next_line(text, &pos, &line) || !starts(&line, "\u2014 ") || line.len < origin.len ||
		memcmp(line.data, origin.data, origin.len) != 0)
		return HEAD_MALFORMED;
	line = (struct span){ line.data + origin.len, line.len - origin.len };
	if (!starts(&line, " ") || !base64_decode(line, signature, sizeof(signature)))
		return HEAD_MALFORMED;
	memcpy(ret_head->signature, signature + KEY_HASH_LEN, SIGN_SIGNATURE_LEN);
	*ret_len = pos;
	return 0;
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
