/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A note that was read has one encoding: its text and signature, written again, are those that were read. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "proto/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	const uint8_t key[SIGN_PUBLIC_LEN] = { 0 };
	char text[HEAD_TEXT_MAX], note[HEAD_NOTE_MAX];
	struct oplog_id oplog;
	struct head head;
	size_t len, n;

	if (head_note_read((struct span){ data, size }, &oplog, &head, &len))
		return 0;
	assert(len <= size && len < HEAD_NOTE_MAX);
	assert(oplog.lane < LANE_N && oplog.epoch <= EPOCH_MAX);
	n = head_text(&oplog, head.size, &head.root, text);
	assert(n < len && memcmp(text, data, n) == 0);
	assert(head_note(&oplog, &head, key, note) == len);
	/* the first bytes of the signature say which key it is, and are not kept */
	assert(memcmp(note + len - 80, data + len - 80, 80) == 0);
	return 0;
}
