/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What becomes of a record that was kept: it is folded, rules judge what it made, and counts leave as records. */
#include <errno.h>
#include <stdlib.h>

#include "node/core_internal.h"
#include "proto/kinds/petition.h"

enum {
	OVERDUE_EVERY_MS = 300000, /* deadlines are days */
	CLOCKS_OF_RULE = 4 * LEGAL_N, /* held or not, with a due time or not, of each kind */
	OVERDUE_TURN_MAX = 500,   /* escalations written in one turn; the rest in the next */
	OVERDUE_LOOKS_MAX = 5000, /* and cases looked at */
};

/* What folding reports. */

static int on_case(void *userdata, const struct id *id, const struct case_row *row) {
	struct core *core = userdata;

	core->changed_row = *row;
	core->changed = true;
	return 0;
}

static int add_change(struct core *core, const struct change *change) {
	uint8_t buf[CHANGE_MAX];
	struct writer w;
	uint64_t number;
	int r;

	writer_init(&w, buf, sizeof(buf));
	change_encode(change, &w);
	if (!writer_ok(&w))
		return -ENOBUFS;
	r = changes_append(core->txn, writer_span(&w), &number);
	if (r == 0 && core->first_change == 0)
		core->first_change = number;
	return r;
}

static int on_tally(void *userdata, const struct tally_entry *entry) {
	struct core *core = userdata;
	const struct register_entry *office = register_by_number(&core->reg, entry->office);

	if (!office)
		return -EIO;
	return add_change(core, &(struct change){ .type = CHANGE_TALLY, .time_ms = core->wall_ms,
		.office = office->row.office.id, .tally = entry->row });
}

static int on_escalation(void *userdata, const struct id *finder, const struct escalation *escalation) {
	struct core *core = userdata;

	return add_change(core, &(struct change){ .type = CHANGE_ESCALATION, .time_ms = core->wall_ms,
		.office = *finder, .escalation = *escalation });
}

static int on_office(void *userdata, const struct office *office, uint32_t number) {
	struct core *core = userdata;
	const struct register_entry *held = register_find(&core->reg, &office->id);
	bool moved = held && !id_eq(&held->row.office.parent, &office->parent);
	int r = register_refresh(&core->reg, core->txn, &office->id);

	core->parted = true;
	core->moved |= moved;
	core->joined |= moved && held == core->reg.own;
	if (r)
		return r;
	/* the office above this one may be another from now on */
	return held && held == core->reg.own ? core_meet_neighbours(core) : core_meet_office(core, core->txn, office);
}

/* Judging: what a rule finds becomes a record of our own. */

static int escalate(struct core *core, const struct id *id, const struct case_row *row,
	const struct finding *finding) {
	const struct register_entry *origin = register_by_number(&core->reg, row->origin);
	const struct escalation escalation = {
		.petition = *id,
		.reference = row->reference,
		.cause = finding->rule->cause,
		.rule = span_str(finding->rule->name),
		.state = row->state,
		.clock_step = row->clock_step,
		.measured = finding->measured,
		.threshold = finding->threshold,
		.people = row->people,
		.category = row->category,
	};
	struct record rec = { .kind = KIND_ESCALATION, .organisation = row->organisation };
	uint8_t body[256];
	struct writer w;
	bool own = origin == core->reg.own;
	int r, known;

	writer_init(&w, body, sizeof(body));
	escalation_encode(&escalation, &w);
	rec.body = writer_span(&w);
	rec.time_ms = core->wall_ms;
	r = author_make_id(&core->author, core->wall_ms, &rec.id);
	if (r == 0 && (!writer_ok(&w) || !origin))
		r = -ENOBUFS;
	known = r ? r : escalations_by(core->txn, id, core->fold.own);
	/* the office whose petition it is hears of it too */
	r = known < 0 ? known : core_write(core, finding->rule->lane, &rec, &origin->row.office.id, own ? 0 : 1);
	return r || known ? r : core_disclose_case(core, id);
}

/*
 * What an office above sent down is its own to escalate: the fold would not count it, and ask each time. And of
 * what was done by an office that is neither above nor below nothing comes here: a former parent of the origin.
 */
static bool may_escalate(const struct core *core, const struct case_row *row) {
	const struct register_entry *origin = register_by_number(&core->reg, row->origin);
	const struct id *own = &core->reg.own->row.office.id;

	return origin && register_is_within(&core->reg, &origin->row.office.id, own) &&
		(id_is_nil(&row->handed_to) || register_is_within(&core->reg, &row->handed_to, own) ||
			register_is_within(&core->reg, own, &row->handed_to));
}

static bool is_held(const struct core *core, const struct case_row *row) {
	return case_is_held_by(row, core->fold.own, &core->fold.own_id);
}

static int judge(struct core *core, const struct id *id, const struct case_row *row) {
	struct finding findings[CONFIG_RULES_MAX];
	size_t n = rules_on_record(core->config, row, is_held(core, row), findings);
	int r = 0;

	if (!may_escalate(core, row) || core->barred)
		return 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = escalate(core, id, row, &findings[i]);
	return r;
}

/* Folds one record that was just kept, and judges what it made. */
static int fold_and_judge(struct core *core, const struct oplog_id *origin, uint64_t index, uint32_t origin_number,
	uint64_t arrival, const struct record *rec) {
	struct case_row row;
	int r;

	core->changed = false;
	r = fold_apply(&core->fold, core->txn, origin, index, origin_number, arrival, rec);
	if (r)
		return r < 0 ? r : 0; /* set aside: kept and forwarded all the same */
	r = core_disclose_record(core, origin_number, arrival, rec);
	if (r || rec->kind != KIND_PETITION || !core->changed)
		return r;
	row = core->changed_row; /* judging folds records of its own */
	return judge(core, &rec->id, &row);
}

int core_write(struct core *core, enum lane lane, const struct record *rec, const struct id *audience,
	size_t n_audience) {
	const struct oplog_id own = { core->author.office, core->author.epoch, lane };
	struct record kept = *rec;
	struct span bytes;
	struct txn *txn;
	uint64_t arrival;
	int r;

	r = core_txn(core, &txn);
	if (!r)
		r = author_write(&core->author, txn, lane, rec, audience, n_audience, &arrival, &bytes);
	return r ? r : fold_and_judge(core, &own, core->author.oplogs[lane].frontier.size - 1, core->fold.own, arrival,
			       &kept);
}

int core_kept(struct core *core, const struct oplog_id *oplog, uint64_t index, uint64_t arrival, struct span bytes) {
	const struct register_entry *origin = register_find(&core->reg, &oplog->office);
	struct record rec;

	if (!origin || record_decode(bytes, &rec))
		return 0; /* not a record as we know them: kept and forwarded */
	return fold_and_judge(core, oplog, index, origin->row.number, arrival, &rec);
}

/* What was given in full for its hash is put there, as what is disclosed. */
static int on_own_kept(struct core *core, const struct oplog_id *oplog, uint64_t index, uint64_t arrival,
	const struct leaf *leaf) {
	struct recovery_given *given = core_recovery_take(core, leaf);
	struct span bytes = given ? (struct span){ given->bytes, given->len } : leaf->bytes;
	struct record rec;
	bool here = given || !leaf->withheld;
	bool known = here && record_decode(bytes, &rec) == 0;
	int r = given ? oplog_disclose(core->txn, arrival, bytes) : 0;

	if (r == 0)
		r = core_recovery_kept(core, core->txn, known ? &rec : NULL);
	if (r == 0 && here)
		r = core_kept(core, oplog, index, arrival, bytes);
	free(given);
	return r;
}

static int on_kept(void *userdata, const struct oplog_id *oplog, uint64_t index, uint64_t arrival,
	const struct leaf *leaf) {
	struct core *core = userdata;

	core->n_records++;
	if (id_eq(&oplog->office, &core->author.office))
		return on_own_kept(core, oplog, index, arrival, leaf);
	return leaf->withheld ? 0 : core_kept(core, oplog, index, arrival, leaf->bytes);
}

static void on_seen(void *userdata, const struct oplog_id *oplog, uint64_t size) {
	core_recovery_seen(userdata, oplog, size);
}

/* A record of ours proves it to everybody above and below, and folding it sets the office aside. */
int core_take_fork(struct core *core, const struct fork *fork) {
	const struct register_entry *office = register_find(&core->reg, &fork->oplog.office);

	if (!office)
		return -EIO; /* its head was verified */
	/* where nothing may be written, it is found again later; and a record must convince everybody */
	return core->barred || fold_check_fork(&office->row, fork) ? 0 : core_write_fork(core, fork);
}

static int on_forked(void *userdata, const struct fork *fork, uint64_t at) {
	struct core *core = userdata;

	if (!id_eq(&fork->oplog.office, &core->author.office))
		return core_take_fork(core, fork);
	core_recovery_parted(core, &fork->oplog, at);
	return 0;
}

struct overdue {
	struct core *core;
	const struct rule *rule;
	struct {
		struct id id;
		struct case_row row;
		struct finding finding;
	} found[OVERDUE_TURN_MAX];
	size_t n;
	size_t n_looks;
	uint64_t last_ms;
};

static int check_overdue(void *userdata, uint64_t time_ms, const struct id *id) {
	struct overdue *overdue = userdata;
	struct core *core = overdue->core;
	struct case_row row;
	struct finding finding;
	int r;

	/* Enough for one turn. What was found leaves the index, so each turn gets further even when all
	 * entries have one time; otherwise it ends between two times. */
	if (overdue->n == OVERDUE_TURN_MAX ||
		(overdue->n_looks++ >= OVERDUE_LOOKS_MAX && time_ms != overdue->last_ms)) {
		core->overdue_from_ms = time_ms;
		return 1;
	}
	overdue->last_ms = time_ms;
	r = cases_get(core->txn, id, &row);
	if (r)
		return r < 0 ? r : -EIO;
	if (!rules_overdue(overdue->rule, &row, is_held(core, &row), core->wall_ms, &finding))
		return 0;
	if (may_escalate(core, &row)) {
		overdue->found[overdue->n].id = *id;
		overdue->found[overdue->n].row = row;
		overdue->found[overdue->n++].finding = finding;
	}
	return 0;
}

/* Finds what became overdue, all first and then one by one: writing moves the index. */
static int find_overdue(struct core *core) {
	struct overdue *overdue;
	struct txn *txn;
	bool more = false;
	int r = core_txn(core, &txn);

	if (r)
		return r;
	overdue = malloc(sizeof(*overdue));
	if (!overdue)
		return -ENOMEM;
	for (; r >= 0 && !more && core->overdue_rule < CLOCKS_OF_RULE * core->config->n_rules;
		core->overdue_rule += !more) {
		const struct rule *rule = &core->config->rules[core->overdue_rule / CLOCKS_OF_RULE];
		const size_t which = core->overdue_rule % CLOCKS_OF_RULE;
		const struct clock from = { which % 2, (uint8_t)(which / 4), which / 2 % 2, rule->state,
			core->overdue_from_ms };

		core->overdue_from_ms = 0;
		if (rule->cause != CAUSE_OVERDUE || (rule->scope == RULE_HELD && !from.held) ||
			(rule->legal_kind && rule->legal_kind != from.legal_kind))
			continue;
		overdue->core = core;
		overdue->rule = rule;
		overdue->n = overdue->n_looks = 0;
		r = clocks_each(txn, &from, rules_horizon_ms(rule, from.has_due, core->wall_ms), check_overdue, overdue);
		more = r > 0;
		for (size_t k = 0; r >= 0 && k < overdue->n; k++)
			r = escalate(core, &overdue->found[k].id, &overdue->found[k].row,
				&overdue->found[k].finding);
	}
	free(overdue);
	if (!more)
		core->overdue_rule = 0;
	core->overdue_at_ms = core->now_ms + (more ? 0 : OVERDUE_EVERY_MS);
	return r < 0 ? r : 0;
}

int core_look_at_clocks(struct core *core) {
	if (core->now_ms < core->overdue_at_ms)
		return 0;
	if (!core->full && !core->barred)
		return find_overdue(core);
	core->overdue_at_ms = core->now_ms + OVERDUE_EVERY_MS;
	return 0;
}

/* Without any it says that there are none. */
int core_write_counts(struct core *core, uint8_t kind, const struct tally_entry *entries, size_t n_entries) {
	struct tally_row rows[TALLY_ROWS_MAX];
	size_t at = 0;
	int r;

	do {
		struct record rec = { .kind = kind, .time_ms = core->wall_ms };
		uint8_t body[RECORD_MAX / 2];
		struct writer w;
		size_t n = 0;

		for (; n < 256 && at < n_entries; n++, at++)
			rows[n] = entries[at].row;
		writer_init(&w, body, sizeof(body));
		tally_encode(rows, n, &w);
		rec.body = writer_span(&w);
		r = writer_ok(&w) ? author_make_id(&core->author, core->wall_ms, &rec.id) : -ENOBUFS;
		if (r == 0)
			r = core_write(core, LANE_NORMAL, &rec, NULL, 0);
	} while (r == 0 && at < n_entries);
	return r;
}

/* This office's changed counts leave as a tally record: absolute, so that nothing counts twice. */
int core_publish_counts(struct core *core) {
	const struct tally_entry *entries;
	size_t n_entries;
	int r = fold_finish(&core->fold, core->txn, &entries, &n_entries);

	return r || n_entries == 0 || core->barred ? r : core_write_counts(core, KIND_TALLY, entries, n_entries);
}

struct all_counts {
	struct tally_entry *entries;
	size_t n, cap;
};

static int list_count(void *userdata, const struct tally_entry *entry) {
	struct all_counts *all = userdata;

	if (all->n == all->cap) {
		size_t cap = all->cap ? 2 * all->cap : 64;
		struct tally_entry *entries = realloc(all->entries, cap * sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		all->entries = entries;
		all->cap = cap;
	}
	all->entries[all->n++] = *entry;
	return 0;
}

int core_publish_all_counts(struct core *core) {
	struct all_counts all = { 0 };
	const struct tally_entry *changed;
	size_t n;
	int r = fold_finish(&core->fold, core->txn, &changed, &n);

	if (r == 0)
		r = tallies_of(core->txn, core->fold.own, list_count, &all);
	if (r == 0 && all.n > 0) {
		/* who follows the stream has numbers that this store has forgotten: it must see that */
		r = changes_jump(core->txn);
		core->first_change = 0; /* those before the gap are not published one by one any more */
		if (r == 0)
			r = on_tally(core, &all.entries[0]);
	}
	if (r == 0)
		r = core_write_counts(core, KIND_TALLY, all.entries, all.n);
	free(all.entries);
	return r;
}

struct fold_sink core_fold_sink(struct core *core) {
	return (struct fold_sink){ core, on_case, on_tally, on_office, on_escalation };
}

struct receive_sink core_receive_sink(struct core *core) {
	return (struct receive_sink){ core, on_kept, on_seen, on_forked, core_oplog_grown };
}
