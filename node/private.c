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

/* Why there is nothing to give; of what was erased that it is gone only where its key is. */
static int answer_none(struct core *core, struct txn *txn, struct span client, const struct request *request, int why) {
	struct keyring_key key = { 0 };
	char name[KEYRING_NAME_MAX];
	enum control_result result;

	if (why == STORE_NOT_FOUND)
		return core_answer_failure(core, client, request->number, CONTROL_NO_PRIVATE, 0, span_str(""));
	why = private_state(txn, &request->record, &key) == PRIVATE_ERASED ? PRIVATE_ERASED : why;
	result = why != PRIVATE_ERASED ? CONTROL_PRIVATE_LOST
		: private_key_is_left(core->keys->keyring, &key) ? CONTROL_KEY_LEFT : CONTROL_ERASED;
	keyring_name(key.file, name);
	return core_answer_failure(core, client, request->number, result, 0,
		span_str(result == CONTROL_ERASED ? "" : name));
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
		return r < 0 ? r : answer_none(core, txn, client, request, r);
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
	struct core_erased *erased;
	struct keyring_key key;
	struct txn *txn;
	int r;

	r = core_txn(core, &txn);
	if (!r)
		r = private_erase(txn, &request->record, &key);
	if (r)
		return r < 0 ? r : answer_none(core, txn, client, request, r);
	erased = realloc(core->erased, (core->n_erased + 1) * sizeof(*erased));
	if (!erased)
		return -ENOMEM;
	core->erased = erased;
	erased[core->n_erased++] = (struct core_erased){ key, client, request->number, false };
	r = note_access(core, request, ACCESS_ERASED);
	return r > 0 ? -EIO : r; /* answered by core_destroy_keys() */
}

static int answer_erased(struct core *core, const struct core_erased *erased, bool left) {
	char name[KEYRING_NAME_MAX];

	if (!left) {
		core_answer_begin(core, erased->client);
		control_write_ok(&core->answers, erased->number, 0);
		return core_answer_end(core);
	}
	keyring_name(erased->key.file, name);
	return core_answer_failure(core, erased->client, erased->number, CONTROL_KEY_LEFT, 0, span_str(name));
}

int core_destroy_keys(struct core *core) {
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < core->n_erased; i++) {
		struct core_erased *erased = &core->erased[i];
		int destroyed = keyring_erase(core->keys->keyring, &erased->key);
		/* no room where the file system writes a copy, or somebody put a file there that is not the node's */
		bool left = destroyed == -ENOSPC || destroyed == KEYRING_EXPOSED || destroyed == KEYRING_MALFORMED;

		r = destroyed < 0 && !left ? destroyed : 0;
		if (r == 0 && !erased->answered)
			r = answer_erased(core, erased, left);
		erased->answered = true;
		if (left)
			core->erased[n++] = *erased; /* tried again in the next turn, and at a start */
	}
	core->n_erased = r ? core->n_erased : n;
	return r;
}

void core_keep_keys(struct core *core) {
	while (core->n_erased > 0 && !core->erased[core->n_erased - 1].answered)
		core->n_erased--;
}
