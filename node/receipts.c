/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Receipts: now and then this office says, in records of its own, how far it holds the oplogs of those below it.
 * So each of them hears, under a signature, since when its records are safe, from every office above it. It says
 * the same of those above it, upward: whoever holds another history than those below were shown has the proof.
 */
#include "node/core_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "node/evidence.h"
#include "proto/kinds/receipt.h"
#include "store/cursor.h"

enum {
	RECEIPTS_TURN_MAX = 64, /* records in one turn; the rest in the next */
	SHOWN_MAX = 4096,       /* heads that wait for what they cover */
	SHOWN_OFFICE_MAX = 16,  /* of those, told by one office */
};

/* Those of one office that have grown since the last receipt. */
struct growth {
	struct core *core;
	bool above; /* of an office above: not its bulk lane, where receipts are, which would follow each other */
	struct receipt_entry entries[RECEIPT_MAX];
	size_t n;
};

static int add_growth(void *userdata, const struct oplog *oplog) {
	struct growth *growth = userdata;
	uint64_t told;
	int r = cursor_get(growth->core->txn, &growth->core->author.office, &oplog->id, &told);

	if (r || oplog->head.size <= told || growth->n == RECEIPT_MAX ||
		(growth->above && oplog->id.lane == LANE_BULK))
		return r;
	growth->entries[growth->n++] = (struct receipt_entry){ oplog->id, oplog->head };
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
		r = core_write(core, LANE_BULK, &rec, office, growth->above ? 0 : 1);
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
		struct growth growth = { .core = core, .above = register_is_within(&core->reg, own, &office) };

		if (id_eq(&office, own) || (!growth.above && !register_is_within(&core->reg, &office, own)))
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

/* What others were shown */

static bool is_known(const struct core *core, const struct id *by, const struct oplog_id *oplog, size_t *ret_n) {
	*ret_n = 0;
	for (size_t i = 0; i < core->n_shown; i++) {
		const struct core_shown *shown = &core->shown[i];

		if (!id_eq(&shown->by, by))
			continue;
		if (oplog_id_eq(&shown->oplog, oplog))
			return true; /* the first that waits: a later one could run ahead of us for ever */
		++*ret_n;
	}
	return false;
}

int core_note_shown(struct core *core, const struct id *by, const struct record *rec) {
	struct receipt_entry entries[RECEIPT_MAX];
	size_t n, n_office;

	if (receipt_decode(rec->body, entries, &n))
		return 0;
	for (size_t i = 0; i < n && core->n_shown < SHOWN_MAX; i++) {
		const struct receipt_entry *entry = &entries[i];

		if (id_eq(&entry->oplog.office, by) || id_eq(&entry->oplog.office, &core->author.office) ||
			is_known(core, by, &entry->oplog, &n_office) || n_office == SHOWN_OFFICE_MAX)
			continue;
		if (core->n_shown == core->cap_shown) {
			size_t cap = core->cap_shown ? 2 * core->cap_shown : 16;
			struct core_shown *shown = realloc(core->shown, cap * sizeof(*shown));

			if (!shown)
				return -ENOMEM;
			core->shown = shown;
			core->cap_shown = cap;
		}
		core->shown[core->n_shown++] = (struct core_shown){ *by, entry->oplog, entry->head };
	}
	return 0;
}

/* Whether it was looked at; it waits for what it covers. 0 (no), 1 or -errno. */
static int look_at_shown(struct core *core, const struct core_shown *shown) {
	struct oplog oplog;
	struct fork fork;
	int r = oplog_load(core->txn, &shown->oplog, &oplog);

	if (r)
		return r < 0 ? r : 0;
	if (register_is_quarantined(&core->reg, &shown->oplog))
		return 1;
	if (oplog.head.size < shown->head.size)
		return 0;
	if (!register_would_prove(&core->reg, &oplog, shown->head.size))
		return 1;
	r = oplog_compare(core->txn, &oplog, &shown->head);
	if (r != OPLOG_DIFFERS)
		return r < 0 ? r : 1;
	r = receive_verify(core->receive, &shown->oplog, &shown->head); /* before the whole log is read for a proof */
	if (r == 0)
		r = evidence_of_head(core->txn, &oplog, register_limit(&core->reg, &shown->oplog), &shown->head, &fork);
	if (r == 0)
		r = core_take_fork(core, &fork);
	return r < 0 ? r : 1; /* who said what the office did not sign said nothing */
}

int core_look_at_shown(struct core *core) {
	size_t n = 0;
	int r = 0;

	if (!core->txn || core->barred)
		return 0;
	for (size_t i = 0; r >= 0 && i < core->n_shown; i++) {
		r = look_at_shown(core, &core->shown[i]);
		if (r == 0)
			core->shown[n++] = core->shown[i];
	}
	if (r >= 0)
		core->n_shown = n;
	return r < 0 ? r : 0;
}
