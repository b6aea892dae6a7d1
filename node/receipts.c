/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Receipts: now and then this office says, in records of its own, how far it holds the oplogs of those below it.
 * So each of them hears, under a signature, since when its records are safe, from every office above it.
 */
#include "node/core_internal.h"

#include <errno.h>

#include "proto/kinds/receipt.h"
#include "store/cursor.h"

enum {
	RECEIPTS_TURN_MAX = 64, /* records in one turn; the rest in the next */
};

/* Those of one office that have grown since the last receipt. */
struct growth {
	struct core *core;
	struct receipt_entry entries[RECEIPT_MAX];
	size_t n;
};

static int add_growth(void *userdata, const struct oplog *oplog) {
	struct growth *growth = userdata;
	uint64_t told;
	int r = cursor_get(growth->core->txn, &growth->core->author.office, &oplog->id, &told);

	if (r || oplog->head.size <= told || growth->n == RECEIPT_MAX)
		return r;
	growth->entries[growth->n++] = (struct receipt_entry){ oplog->id, oplog->head.size, oplog->head.root };
	return cursor_put(growth->core->txn, &growth->core->author.office, &oplog->id, oplog->head.size);
}

static int write_receipt(struct core *core, const struct id *office, const struct growth *growth) {
	struct record rec = { .kind = KIND_RECEIPT, .time_ms = core->wall_ms };
	uint8_t body[RECORD_MAX / 2 + RECORD_MAX / 4];
	struct writer w;
	int r;

	writer_init(&w, body, sizeof(body));
	receipt_encode(growth->entries, growth->n, &w);
	rec.body = writer_span(&w);
	r = writer_ok(&w) ? author_make_id(&core->author, core->wall_ms, &rec.id) : -ENOBUFS;
	if (r == 0)
		r = core_write(core, LANE_BULK, &rec, office, 1);
	return r > 0 ? -EIO : r;
}

int core_write_receipts(struct core *core) {
	const struct id *own = &core->reg.own->row.office.id;
	const uint64_t every_ms = core->config->receipt_seconds * UINT64_C(1000);
	struct txn *txn;
	unsigned n = 0;
	int r;

	if (core->now_ms < core->receipts_at_ms)
		return 0;
	if (core->receipts_at_ms == 0 || core->full || core->barred) { /* the first turn, or not now */
		core->receipts_at_ms = core->now_ms + every_ms;
		return 0;
	}
	r = core_txn(core, &txn);
	for (size_t i = 0; r == 0 && i < core->reg.n && n < RECEIPTS_TURN_MAX; i++) {
		const struct id office = core->reg.entries[i]->row.office.id;
		struct growth growth = { .core = core };

		if (id_eq(&office, own) || !register_is_within(&core->reg, &office, own))
			continue;
		r = oplog_each_of(txn, &office, add_growth, &growth);
		if (r == 0 && growth.n > 0) {
			r = write_receipt(core, &office, &growth);
			n++;
		}
	}
	if (n < RECEIPTS_TURN_MAX)
		core->receipts_at_ms = core->now_ms + every_ms;
	return r;
}
