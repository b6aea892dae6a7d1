/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Receipts: now and then this office says, in records of its own, how far it holds the oplogs of those below it.
 * So each of them hears, under a signature, since when its records are safe, from every office above it. It says
 * the same of those above it, upward; and compares as often what those below were shown, as their newest receipts say
 * it, with what is here. Nothing is remembered of it but how far they were looked at: what is not here yet is looked
 * at again.
 */
#include "node/core_internal.h"

#include <errno.h>
#include <stdio.h>

#include "node/evidence.h"
#include "proto/kinds/receipt.h"
#include "store/cursor.h"

enum {
	RECEIPTS_TURN_MAX = 64, /* records in one turn; the rest in the next */
	SHOWN_LEAVES_MAX = 1024, /* of the oplog with an office's receipts: the newest */
	SHOWN_OPLOGS_MAX = 16,   /* that one office was shown */
	SHOWN_TURN_MAX = 1024,   /* offices and receipts looked at in one turn; the rest in the next */
	COMPARE_COSTS = 16,      /* as so many of those */
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

/* An oplog of an office above, as an office below says that it was shown it. */
struct shown {
	struct oplog oplog; /* as it is here; number 0: it is not */
	uint64_t limit;
	struct head head;   /* the newest that is all here; size 0: none is */
	uint64_t at;        /* in this receipt */
	uint64_t waits;     /* the first receipt of it with what is not here; UINT64_MAX: there is none */
};

struct shown_to {
	struct core *core;
	const struct id *by;
	struct shown oplogs[SHOWN_OPLOGS_MAX];
	size_t n;
	size_t work;
};

/* NULL: there is no place for it. */
static int find_shown(struct shown_to *to, const struct oplog_id *id, struct shown **ret_shown) {
	struct shown *shown;
	int r;

	*ret_shown = NULL;
	for (size_t i = 0; i < to->n; i++)
		if (oplog_id_eq(&to->oplogs[i].oplog.id, id)) {
			*ret_shown = &to->oplogs[i];
			return 0;
		}
	if (to->n == SHOWN_OPLOGS_MAX)
		return 0;
	shown = &to->oplogs[to->n++];
	*shown = (struct shown){ .limit = register_limit(&to->core->reg, id), .waits = UINT64_MAX };
	r = oplog_load(to->core->txn, id, &shown->oplog);
	if (r == STORE_NOT_FOUND)
		shown->oplog = (struct oplog){ .id = *id };
	*ret_shown = shown;
	return r < 0 ? r : 0;
}

/* Who is between: what is shown to those below it comes through its hands, and should have come here too. */
static bool is_between(const struct core *core, const struct id *by, const struct id *office) {
	return !id_eq(office, by) && !id_eq(office, &core->author.office) && register_is_within(&core->reg, by, office) &&
		register_is_within(&core->reg, office, &core->author.office);
}

static int note_receipt(struct shown_to *to, uint64_t at, const struct leaf *leaf) {
	struct receipt_entry entries[RECEIPT_MAX];
	struct record rec;
	size_t n = 0;
	int r = 0;

	if (leaf->withheld || record_kind(leaf->bytes) != KIND_RECEIPT || record_decode(leaf->bytes, &rec) ||
		receipt_decode(rec.body, entries, &n))
		return 0;
	to->work++;
	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct receipt_entry *entry = &entries[i];
		struct shown *shown;

		if (!is_between(to->core, to->by, &entry->oplog.office) || entry->oplog.lane == LANE_BULK)
			continue;
		r = find_shown(to, &entry->oplog, &shown);
		if (r || !shown || entry->head.size > shown->limit)
			continue; /* what lies beyond an end counts nowhere */
		if (entry->head.size <= shown->oplog.frontier.size) {
			shown->head = entry->head;
			shown->at = at;
		} else if (shown->waits == UINT64_MAX) {
			shown->waits = at;
		}
	}
	return r;
}

/* 0 or -errno. */
static int compare_shown(struct core *core, struct shown *shown) {
	struct fork fork;
	int r;

	if (shown->head.size == 0 || !register_would_prove(&core->reg, &shown->oplog, shown->head.size))
		return 0;
	r = receive_verify(core->receive, &shown->oplog.id, &shown->head);
	if (r > 0 && shown->at < shown->waits)
		shown->waits = shown->at; /* nobody here can say whether it was shown that */
	if (r)
		return r < 0 ? r : 0;
	r = oplog_compare(core->txn, &shown->oplog, &shown->head);
	if (r != OPLOG_DIFFERS)
		return r < 0 ? r : 0;
	r = evidence_of_head(core->txn, &shown->oplog, shown->limit, &shown->head, &fork);
	if (r == 0)
		r = core_take_fork(core, &fork);
	return r < 0 ? r : 0;
}

/*
 * Nothing proves what is not here. But what is between sends all that it writes to here before the receipts of those
 * below it: where it has still not come a while later, it is kept from here, or is not what it was there.
 */
static void tell(struct core *core, const struct id *by, const struct id *office) {
	const struct register_entry *below = register_find(&core->reg, by), *between = register_find(&core->reg, office);
	char detail[TROUBLE_DETAIL_MAX + 1];

	(void)snprintf(detail, sizeof(detail), "%0*u %.*s \u2192 %0*u", between->row.office.code_digits,
		between->row.office.code, (int)between->row.office.name.len, (const char *)between->row.office.name.data,
		below->row.office.code_digits, below->row.office.code);
	for (size_t i = 0; i < core->n_links; i++) {
		struct link *link = core->links[i];

		if (!link->up && register_is_within(&core->reg, by, &link->neighbour))
			link->shown = trouble_of(TROUBLE_SHOWN_BELOW, 0, detail);
	}
}

/* What one office was shown, as its newest receipts say. 0 or -errno. */
static int look_at(struct core *core, struct held_oplog *held, size_t *work) {
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	struct shown_to to = { .core = core, .by = &held->id.office, .work = 1 };
	const struct shown *late = NULL;
	struct oplog oplog;
	struct leaf leaf;
	uint64_t index, arrival, from;
	int r = oplog_load(core->txn, &held->id, &oplog);

	if (r)
		return r < 0 ? r : 0;
	from = oplog.frontier.size > SHOWN_LEAVES_MAX ? oplog.frontier.size - SHOWN_LEAVES_MAX : 0;
	r = oplog_walk_open(core->txn, &oplog, from > held->shown_from ? from : held->shown_from, &walk);
	while (r == 0 && (r = oplog_walk_next(walk, &index, &leaf, &arrival)) == 0)
		r = note_receipt(&to, index, &leaf);
	r = r == STORE_NOT_FOUND ? 0 : r;
	held->shown_from = oplog.frontier.size;
	for (size_t i = 0; r == 0 && i < to.n; i++) {
		struct shown *shown = &to.oplogs[i];

		if (register_is_quarantined(&core->reg, &shown->oplog.id))
			continue;
		r = compare_shown(core, shown);
		to.work += COMPARE_COSTS;
		if (shown->waits < held->shown_from) {
			held->shown_from = shown->waits;
			late = shown->waits < held->shown_to ? shown : late;
		}
	}
	held->shown_to = oplog.frontier.size;
	*work += to.work;
	if (r == 0 && late)
		tell(core, to.by, &late->oplog.id.office);
	return r;
}

static void forget_told(struct core *core) {
	for (size_t i = 0; i < core->n_links; i++)
		core->links[i]->shown = trouble_of(TROUBLE_NONE, 0, "");
}

int core_look_at_shown(struct core *core) {
	const uint64_t every_ms = core->config->receipt_seconds * UINT64_C(1000);
	const struct id *own = &core->author.office;
	struct txn *txn;
	size_t work = 0;
	int r;

	if (core->now_ms < core->shown_at_ms)
		return 0;
	if (core->shown_at_ms == 0 || core->full || core->barred) {
		core->shown_at_ms = core->now_ms + every_ms;
		return 0;
	}
	r = core_txn(core, &txn);
	if (core->shown_next == 0)
		forget_told(core);
	for (; r == 0 && core->shown_next < core->n_oplogs && work < SHOWN_TURN_MAX; core->shown_next++) {
		struct held_oplog *held = core->oplogs[core->shown_next];

		if (!held || held->id.lane != LANE_BULK || id_eq(&held->id.office, own) ||
			!register_is_within(&core->reg, &held->id.office, own))
			continue;
		r = look_at(core, held, &work);
	}
	if (core->shown_next >= core->n_oplogs) {
		core->shown_next = 0;
		core->shown_at_ms = core->now_ms + every_ms;
	}
	return r;
}
