/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Who asks for the private part of a record, and who has it erased: never without a record that says
 * so, in the same commit. A part is opened only here; a key is destroyed only after that commit.
 */
#include "node/core_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/kinds/access.h"
#include "store/private.h"

/* Writes that it was done. It is written before the answer is: both are told after the commit. */
static int note_access(struct core *core, const struct request *request, enum access_action action) {
	const struct access access = { request->record, action, request->who, request->reason };
	struct record rec = { .kind = KIND_ACCESS, .time_ms = core->wall_ms };
	uint8_t body[ACCESS_WHO_MAX + ACCESS_REASON_MAX + 64];
	struct writer w;
	int r;

	writer_init(&w, body, sizeof(body));
	access_encode(&access, &w);
	rec.body = writer_span(&w);
	r = writer_ok(&w) ? author_make_id(&core->author, core->wall_ms, &rec.id) : -ENOBUFS;
	return r ? r : core_write(core, LANE_BULK, &rec, NULL, 0);
}

static int answer_none(struct core *core, struct span client, const struct request *request, int why) {
	return core_answer_failure(core, client, request->number,
		why == STORE_NOT_FOUND ? CONTROL_NO_PRIVATE
			: why == PRIVATE_ERASED ? CONTROL_ERASED : CONTROL_PRIVATE_LOST, 0, span_str(""));
}

int core_read_private(struct core *core, struct span client, const struct request *request) {
	uint8_t salt[PRIVATE_SALT_LEN], part[PRIVATE_MAX];
	struct txn *txn;
	size_t len = 0;
	int r;

	r = core_txn(core, &txn);
	if (!r)
		r = private_get(txn, core->keys->keyring, &request->record, salt, part, &len);
	if (r)
		return r < 0 ? r : answer_none(core, client, request, r);
	r = note_access(core, request, ACCESS_READ);
	if (r)
		return r < 0 ? r : -EIO;
	core_answer_begin(core, client);
	control_write_ok(&core->answers, request->number, 1);
	write_bin(&core->answers, (struct span){ part, len });
	core->told_private = true;
	explicit_bzero(salt, sizeof(salt));
	explicit_bzero(part, sizeof(part));
	return core_answer_end(core);
}

int core_erase_private(struct core *core, struct span client, const struct request *request) {
	struct txn *txn;
	uint32_t *erased;
	uint32_t key;
	int r;

	r = core_txn(core, &txn);
	if (!r)
		r = private_erase(txn, &request->record, &key);
	if (r)
		return r < 0 ? r : answer_none(core, client, request, r);
	erased = realloc(core->erased, (core->n_erased + 1) * sizeof(*erased));
	if (!erased)
		return -ENOMEM;
	core->erased = erased;
	erased[core->n_erased++] = key;
	r = note_access(core, request, ACCESS_ERASED);
	if (r)
		return r < 0 ? r : -EIO;
	core_answer_begin(core, client);
	control_write_ok(&core->answers, request->number, 0);
	return core_answer_end(core);
}

int core_destroy_keys(struct core *core) {
	int r = 0;

	for (; r == 0 && core->n_erased > 0; core->n_erased -= r == 0)
		r = keyring_erase(core->keys->keyring, core->erased[core->n_erased - 1]);
	return r == -ENOSPC ? 0 : r; /* it is tried again in the next turn, and at a start */
}
