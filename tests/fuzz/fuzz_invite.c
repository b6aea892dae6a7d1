/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * An invitation that was read is written as the same text. Input is the text, or what is in it: few
 * changed bytes would get past its checksum.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "proto/invite.h"

enum {
	CHECK_LEN = 4,
	CONTENT_MAX = 3 * INVITE_TEXT_MAX / 4 - 32,
};

static int check(struct span text, char ret_text[INVITE_TEXT_MAX]) {
	uint8_t buf[INVITE_TEXT_MAX];
	struct invite invite;

	if (invite_read(text, buf, &invite) != 0)
		return -1;
	assert(invite_write(&invite, ret_text) == 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	char text[INVITE_TEXT_MAX + 64] = "lienthong-", again[INVITE_TEXT_MAX], third[INVITE_TEXT_MAX];
	uint8_t content[CONTENT_MAX + CHECK_LEN];
	struct hash hash;

	if (check((struct span){ data, size }, again) == 0)
		assert(check(span_str(again), third) == 0 && strcmp(again, third) == 0);
	if (size > CONTENT_MAX)
		return 0;
	memcpy(content, data, size);
	sha256((struct span){ data, size }, &hash);
	memcpy(content + size, hash.b, CHECK_LEN);
	base64url_encode((struct span){ content, size + CHECK_LEN }, text + strlen(text));
	if (check(span_str(text), again) == 0)
		assert(strcmp(again, text) == 0);
	return 0;
}
