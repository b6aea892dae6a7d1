/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/invite.h"

#include <errno.h>

#include "proto/reference.h"

enum {
	INVITE_VERSION = 1,
	INVITE_FIELDS = 11,
	CHECK_LEN = 4,
	BYTES_MAX = 3 * INVITE_TEXT_MAX / 4,
};

static const char prefix[] = "lienthong-";

static void check_bytes(struct span bytes, uint8_t ret_check[CHECK_LEN]) {
	struct hash hash;

	sha256(bytes, &hash);
	memcpy(ret_check, hash.b, CHECK_LEN);
}

int invite_write(const struct invite *invite, char ret_text[INVITE_TEXT_MAX]) {
	uint8_t bytes[BYTES_MAX];
	struct writer w;

	writer_init(&w, bytes, sizeof(bytes) - CHECK_LEN - sizeof(prefix));
	write_array(&w, INVITE_FIELDS);
	write_uint(&w, INVITE_VERSION);
	write_id(&w, &invite->office);
	write_uint(&w, invite->code);
	write_uint(&w, invite->code_digits);
	write_str(&w, invite->level);
	write_str(&w, invite->name);
	write_id(&w, &invite->parent);
	write_bin(&w, (struct span){ invite->parent_curve_key, OFFICE_CURVE_LEN });
	write_str(&w, invite->address);
	write_uint(&w, invite->expires_ms);
	write_bin(&w, (struct span){ invite->token, INVITE_TOKEN_LEN });
	if (!writer_ok(&w))
		return -EMSGSIZE;
	check_bytes(writer_span(&w), bytes + w.len);
	memcpy(ret_text, prefix, sizeof(prefix) - 1);
	base64url_encode((struct span){ bytes, w.len + CHECK_LEN }, ret_text + sizeof(prefix) - 1);
	return 0;
}

static void read_key(struct reader *r, uint8_t ret_key[32]) {
	struct span key = read_bin(r, 32, 32);

	if (key.len == 32)
		memcpy(ret_key, key.data, key.len);
}

/* What follows the prefix, and nothing else. 0 or INVITE_MALFORMED. */
static int read_content(struct span text, uint8_t buf[INVITE_TEXT_MAX], struct invite *ret_invite) {
	struct invite invite = { 0 };
	uint8_t check[CHECK_LEN];
	struct reader r;
	size_t len;

	if (!base64url_decode(text, buf, BYTES_MAX, &len) || len < CHECK_LEN)
		return INVITE_MALFORMED;
	len -= CHECK_LEN;
	check_bytes((struct span){ buf, len }, check);
	if (memcmp(check, buf + len, CHECK_LEN) != 0)
		return INVITE_MALFORMED;
	reader_init(&r, (struct span){ buf, len });
	read_array(&r, INVITE_FIELDS, INVITE_FIELDS);
	if (read_uint(&r, UINT8_MAX) != INVITE_VERSION)
		reader_fail(&r);
	read_id(&r, &invite.office);
	invite.code = read_uint(&r, REFERENCE_CODE_MAX);
	invite.code_digits = read_uint(&r, UINT8_MAX);
	invite.level = read_line(&r, 1, OFFICE_LEVEL_MAX);
	invite.name = read_line(&r, 1, OFFICE_NAME_MAX);
	read_id(&r, &invite.parent);
	read_key(&r, invite.parent_curve_key);
	invite.address = read_line(&r, 1, ENROL_ADDRESS_MAX);
	invite.expires_ms = read_uint(&r, TIME_MAX_MS);
	read_key(&r, invite.token);
	read_end(&r);
	if (reader_done(&r) || id_is_nil(&invite.office) || id_is_nil(&invite.parent) ||
		!reference_code_ok(invite.code, invite.code_digits))
		return INVITE_MALFORMED;
	*ret_invite = invite;
	return 0;
}

/* Of letters of base64url from @at on; those of spaces and line breaks if @gap. */
static size_t run_len(struct span text, size_t at, bool gap) {
	size_t len = 0;

	for (; at + len < text.len; len++) {
		uint8_t c = text.data[at + len];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			c == '-' || c == '_';

		if (gap ? c != ' ' && c != '\t' && c != '\r' && c != '\n' : !letter)
			break;
	}
	return len;
}

/* The words behind may be of the text, broken by whoever sent it, or no more: the check tells. */
static int read_from(struct span text, uint8_t buf[INVITE_TEXT_MAX], struct invite *ret_invite) {
	size_t len = 0, word;

	while (len < 2 * INVITE_TEXT_MAX) {
		size_t gap = run_len(text, len, true);

		word = run_len(text, len + gap, false);
		if (word == 0)
			break;
		len += gap + word;
		if (read_content((struct span){ text.data, len }, buf, ret_invite) == 0)
			return 0;
	}
	return INVITE_MALFORMED;
}

int invite_read(struct span text, uint8_t buf[INVITE_TEXT_MAX], struct invite *ret_invite) {
	const uint8_t *at;

	while (text.len > 0 && (at = memmem(text.data, text.len, prefix, sizeof(prefix) - 1))) {
		at += sizeof(prefix) - 1;
		text.len -= (size_t)(at - text.data);
		text.data = at;
		if (read_from(text, buf, ret_invite) == 0)
			return 0;
	}
	return INVITE_MALFORMED;
}
