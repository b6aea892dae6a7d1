/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/core_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/kinds/petition.h"
#include "store/cursor.h"
#include "store/private.h"

enum {
	OVERDUE_EVERY_MS = 300000, /* deadlines are days */
	CLOCKS_OF_RULE = 4 * LEGAL_N, /* held or not, with a due time or not, of each kind */
	OVERDUE_TURN_MAX = 500,   /* escalations written in one turn; the rest in the next */
	OVERDUE_LOOKS_MAX = 5000, /* and cases looked at */
	READERS_EVERY_MS = 60000,
	FORGET_TURN_MAX = 1000,   /* change rows forgotten in one turn */
	ROOM_SHARE = 32,          /* one in so many bytes of the store is kept for cursors and acks */
	FULL_PAUSE_MS = 10000,    /* after a turn for which there was no room */
	TURN_BATCHES = 128,       /* pushed in one turn, over all links */
	ZSTD_LEVEL = 3,           /* a third fewer bytes than level 1 on petitions, for a little time */
};

/* Keeps the first error of a turn; it ends with it. */
static void core_fail(struct core *core, int r) {
	if (r < 0 && !core->failed)
		core->failed = r;
}

int core_txn(struct core *core, struct txn **ret_txn) {
	int r;

	if (!core->txn) {
		r = store_begin_write(core->store, &core->txn);
		if (r)
			return r;
		author_begin(&core->author);
	}
	*ret_txn = core->txn;
	return 0;
}

static struct held_oplog *find_oplog(struct core *core, uint32_t number) {
	return number > 0 && number <= core->n_oplogs ? core->oplogs[number - 1] : NULL;
}

/* Levels between an oplog's origin and us, or -1 if this link does not push it. */
static int push_distance(const struct core *core, const struct link *link, const struct id *origin) {
	const struct id *own = &core->reg.own->row.office.id;

	return link->up ? register_depth(&core->reg, origin, own) : register_depth(&core->reg, own, origin);
}

/* How far an oplog is passed on. */
static uint64_t pass_on(const struct core *core, const struct oplog_id *id, uint64_t size) {
	uint64_t limit = register_limit(&core->reg, id);

	if (id_eq(&id->office, &core->reg.own->row.office.id) && core->recovery.on)
		return 0; /* it is not known yet which of it the parent has otherwise */
	return size < limit ? size : limit;
}

static int offer(struct core *core, struct txn *txn, struct link *link, struct held_oplog *held) {
	int distance = push_distance(core, link, &held->id.office);
	uint64_t acked;
	int r;

	if (distance < 0)
		return 0;
	r = cursor_get(txn, &link->neighbour, &held->id, &acked);
	return r ? r : link_offer(link, held, distance, acked);
}

static int add_oplog(struct core *core, struct txn *txn, const struct oplog *oplog) {
	struct held_oplog *held;

	if (oplog->number == 0)
		return -EIO;
	if (oplog->number > core->n_oplogs) { /* at the start they come in the order of their ids */
		struct held_oplog **oplogs = realloc(core->oplogs, oplog->number * sizeof(*oplogs));

		if (!oplogs)
			return -ENOMEM;
		memset(oplogs + core->n_oplogs, 0, (oplog->number - core->n_oplogs) * sizeof(*oplogs));
		core->oplogs = oplogs;
		core->n_oplogs = oplog->number;
	}
	if (find_oplog(core, oplog->number))
		return -EIO; /* two of one number */
	held = calloc(1, sizeof(*held));
	if (!held)
		return -ENOMEM;
	*held = (struct held_oplog){ .id = oplog->id, .size = pass_on(core, &oplog->id, oplog->frontier.size),
		.full = oplog->frontier.size, .number = oplog->number };
	core->oplogs[oplog->number - 1] = held;
	for (size_t i = 0; i < core->n_links; i++) {
		int r = offer(core, txn, core->links[i], held);
		if (r)
			return r;
	}
	return 0;
}

static int oplog_grown(void *userdata, const struct oplog *oplog) {
	struct core *core = userdata;
	struct held_oplog *held = find_oplog(core, oplog->number);

	if (!held)
		return add_oplog(core, core->txn, oplog);
	held->full = oplog->frontier.size;
	held->size = pass_on(core, &oplog->id, held->full);
	return 0;
}

/* The place of @neighbour among the links: where it is, or where it belongs. */
static size_t link_place(const struct core *core, const struct id *neighbour) {
	size_t low = 0, high = core->n_links;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (memcmp(core->links[mid]->neighbour.b, neighbour->b, sizeof(neighbour->b)) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct link *core_find_link(struct core *core, const struct id *neighbour) {
	size_t at = link_place(core, neighbour);

	return at < core->n_links && id_eq(&core->links[at]->neighbour, neighbour) ? core->links[at] : NULL;
}

static int meet(struct core *core, struct txn *txn, const struct id *neighbour, bool up) {
	size_t at = link_place(core, neighbour);
	struct link **links, *link;
	int r;

	if (core_find_link(core, neighbour))
		return 0;
	links = realloc(core->links, (core->n_links + 1) * sizeof(*links));
	if (!links)
		return -ENOMEM;
	core->links = links;
	r = link_new(neighbour, up, core->work, core->wall_ms, &link);
	if (r)
		return r;
	memmove(links + at + 1, links + at, (core->n_links - at) * sizeof(*links));
	links[at] = link;
	core->n_links++;
	for (size_t i = 0; r == 0 && i < core->n_oplogs; i++)
		if (core->oplogs[i]) /* one that this turn began, with a later one, is offered when it is done */
			r = offer(core, txn, link, core->oplogs[i]);
	return r;
}

/* Whether there is a link to the office: it is this one's parent (@ret_up), or directly below it. */
static bool is_neighbour(const struct core *core, const struct office *office, bool *ret_up) {
	const struct office *own = &core->reg.own->row.office;

	*ret_up = id_eq(&office->id, &own->parent);
	return *ret_up || (id_eq(&office->parent, &own->id) && office->state != OFFICE_REVOKED &&
			office->state != OFFICE_MOVING);
}

/* Opens a link to the office, if it is a neighbour. */
static int meet_office(struct core *core, struct txn *txn, const struct office *office) {
	bool up;

	return is_neighbour(core, office, &up) ? meet(core, txn, &office->id, up) : 0;
}

/* Takes from a link what it does not push any more. */
static void withdraw(const struct core *core, struct link *link) {
	size_t n = 0;

	for (size_t i = 0; i < link->n_oplogs; i++) {
		struct link_oplog *oplog = &link->oplogs[i];
		int distance = push_distance(core, link, &oplog->held->id.office);

		if (distance < 0 && !id_eq(&oplog->held->id.office, &link->neighbour))
			continue;
		link->oplogs[n] = *oplog;
		link->oplogs[n++].distance = distance < 0 ? 0 : distance;
	}
	link->n_oplogs = n;
}

/* Offers what a link did not push until now, or not any more, and does since an office moved. */
static int offer_again(struct core *core, struct txn *txn, struct link *link) {
	bool *has = calloc(core->n_oplogs + 1, sizeof(*has));
	int r = has ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < link->n_oplogs; i++)
		has[link->oplogs[i].held->number] = true;
	for (size_t i = 0; r == 0 && i < core->n_oplogs; i++)
		if (core->oplogs[i] && !has[core->oplogs[i]->number])
			r = offer(core, txn, link, core->oplogs[i]);
	free(has);
	return r;
}

/*
 * Lets links go to whom this turn made no neighbour any more; not before its end: it works with them. Whoever is
 * below hears of it first, since what says so is not offered to it any more.
 */
static int part(struct core *core, struct link_io *io, struct txn *txn) {
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < core->n_links; i++) {
		const struct register_entry *entry = register_find(&core->reg, &core->links[i]->neighbour);

		if (entry && !core->links[i]->up && entry->row.office.state != OFFICE_REVOKED)
			r = link_flush(core->links[i], io, txn);
	}
	for (size_t i = 0; i < core->n_links; i++) {
		const struct register_entry *entry = register_find(&core->reg, &core->links[i]->neighbour);
		bool up;

		if (entry && is_neighbour(core, &entry->row.office, &up) && up == core->links[i]->up)
			core->links[n++] = core->links[i];
		else
			link_free(core->links[i]);
	}
	core->n_links = n;
	for (size_t i = 0; r == 0 && i < n; i++) {
		withdraw(core, core->links[i]);
		if (core->moved)
			r = offer_again(core, txn, core->links[i]);
	}
	for (size_t i = 0; i < core->n_oplogs; i++)
		if (core->oplogs[i])
			core->oplogs[i]->size = pass_on(core, &core->oplogs[i]->id, core->oplogs[i]->full);
	core->parted = core->moved = false;
	return r;
}

/* The committed turn changed the key. */
static void take_next_signer(struct core *core) {
	signer_free(core->own_signer);
	core->signer = core->own_signer = TAKE(core->next_signer);
	core->io->rotated(core->io->userdata);
}

static int meet_neighbours(struct core *core, struct txn *txn) {
	int r = 0;

	for (size_t i = 0; r == 0 && i < core->reg.n; i++)
		r = meet_office(core, txn, &core->reg.entries[i]->row.office);
	return r;
}

int core_meet_neighbours(struct core *core) {
	struct txn *txn;
	int r = core_txn(core, &txn);

	return r ? r : meet_neighbours(core, txn);
}

/* What is in memory of the store. */

static int load_oplog(void *userdata, const struct oplog *oplog) {
	struct core *core = userdata;

	return add_oplog(core, core->txn, oplog);
}

/* What the core knows from the store. 0 or -errno. */
static int core_load(struct core *core) {
	struct span address;
	int r;

	r = store_begin_read(core->store, &core->txn);
	if (!r)
		r = core_recovery_load(core, core->txn);
	receive_own(core->receive, core->recovery.on);
	if (!r)
		r = register_init(&core->reg, core->txn);
	if (!r)
		r = fold_init(&core->fold, core->txn, &core->fold_sink);
	if (!r)
		r = oplog_each(core->txn, load_oplog, core);
	for (size_t i = 0; r == 0 && i < core->n_oplogs; i++)
		r = core->oplogs[i] ? 0 : -EIO; /* the store numbers oplogs one by one */
	if (!r)
		r = meet_neighbours(core, core->txn);
	if (!r) {
		r = offices_parent_address(core->txn, &address);
		if (r == 0 && address.len <= CONFIG_ADDRESS_MAX) {
			memcpy(core->address, address.data, address.len);
			core->address[address.len] = '\0';
		}
		r = r < 0 ? r : 0;
	}
	if (!r)
		r = core_load_guests(core, core->txn);
	if (!r)
		r = core_disclosures_load(core);
	if (!r)
		r = private_settle(core->txn, core->keys->keyring, &core->shut);
	core->txn = store_abort(core->txn);
	return r > 0 ? -EIO : r;
}

static void core_unload(struct core *core) {
	receive_clear(core->receive);
	core_disclosures_clear(core);
	for (size_t i = 0; i < core->n_links; i++)
		link_free(core->links[i]);
	free(TAKE(core->links));
	core->n_links = 0;
	for (size_t i = 0; i < core->n_oplogs; i++)
		free(core->oplogs[i]);
	free(TAKE(core->oplogs));
	core->n_oplogs = core->shown_next = 0;
	fold_done(&core->fold);
	register_done(&core->reg);
	core->serial_year = 0;
	core->serial_dirty = false;
	core->address[0] = '\0';
}

/* The link to the parent; NULL: there is none. */
static struct link *core_uplink(struct core *core) {
	const struct office *parent = core_parent(core);

	return parent ? core_find_link(core, &parent->id) : NULL;
}

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
	return r ? r : meet_office(core, core->txn, office);
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
static int look_at_clocks(struct core *core) {
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
static int publish_counts(struct core *core) {
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

/* Answers */

void core_answer_begin(struct core *core, struct span client) {
	struct core_answer *answer;

	if (core->n_answers == core->cap_answers) {
		size_t cap = core->cap_answers ? 2 * core->cap_answers : 64;
		struct core_answer *list = realloc(core->answer_list, cap * sizeof(*list));

		if (!list) {
			core_fail(core, -ENOMEM);
			return;
		}
		core->answer_list = list;
		core->cap_answers = cap;
	}
	answer = &core->answer_list[core->n_answers];
	*answer = (struct core_answer){ client, core->answers.len, 0, false };
}

int core_answer_end(struct core *core) {
	struct core_answer *answer = &core->answer_list[core->n_answers];

	if (core->failed)
		return core->failed;
	if (!writer_ok(&core->answers))
		return -ENOMEM;
	answer->frame_len = core->answers.len - answer->frame;
	core->n_answers++;
	return 0;
}

int core_answer_failure(struct core *core, struct span client, uint64_t number,
	enum control_result result, uint64_t index, struct span detail) {
	core_answer_begin(core, client);
	control_write_failure(&core->answers, number, result, index, detail);
	return core_answer_end(core);
}

static void forget_answers(struct core *core) {
	if (core->told_private)
		explicit_bzero(core->answers.data, core->answers.len);
	core->told_private = false;
	core->n_answers = 0;
	core->answers.len = 0;
}

static void give_answers(struct core *core) {
	for (size_t i = 0; i < core->n_answers; i++) {
		const struct core_answer *answer = &core->answer_list[i];

		(answer->to_guest ? core->io->answer_guest : core->io->answer)(core->io->userdata,
			answer->client, (struct span){ core->answers.data + answer->frame, answer->frame_len });
	}
	forget_answers(core);
}

/* What was kept lies sealed in the store now; what was not is no business of ours. */
static void forget_asked(struct core *core) {
	struct draft draft;

	for (size_t i = 0; core->heard_private && i < core->n_asked; i++)
		while (control_draft_next(&core->asked[i].request, &draft))
			if (draft.private.len > 0)
				explicit_bzero((void *)draft.private.data, draft.private.len);
	core->heard_private = false;
	core->n_asked = 0;
}

static int note_asked(struct core *core, struct span client, const struct request *request,
	bool writes) {
	if (core->n_asked == core->cap_asked) {
		size_t cap = core->cap_asked ? 2 * core->cap_asked : 64;
		struct core_asked *asked = realloc(core->asked, cap * sizeof(*asked));

		if (!asked)
			return -ENOMEM;
		core->asked = asked;
		core->cap_asked = cap;
	}
	core->asked[core->n_asked++] = (struct core_asked){ client, *request, writes };
	return 0;
}

/* Events */

void core_turn_begin(struct core *core, uint64_t wall_ms, uint64_t now_ms) {
	uint64_t used, max;

	core->wall_ms = wall_ms;
	core->now_ms = now_ms;
	core->n_records = 0;
	core->first_change = 0;
	core->full = now_ms < core->full_until_ms ||
		(store_usage(core->store, &used, &max) == 0 && max - used < max / ROOM_SHARE);
}

static struct link_io link_surroundings(struct core *core) {
	struct link_io io = { core->io->userdata, core->io->send, &core->reg, core->wall_ms, core->now_ms,
		0, core->config->detail == DETAIL_ESCALATED, core_recovery_asks(core), TURN_BATCHES };

	core_fail(core, core->io->random(core->io->userdata, &io.random, sizeof(io.random)));
	return io;
}

void core_link_open(struct core *core, const struct id *office) {
	struct link_io io = link_surroundings(core);
	struct link *link = core_find_link(core, office);

	if (link)
		link_opened(link, &io);
}

void core_link_lost(struct core *core, const struct id *office, const struct trouble *why) {
	struct link_io io = link_surroundings(core);
	struct link *link = core_find_link(core, office);

	if (link)
		link_lost(link, &io, why);
}

void core_link_ready(struct core *core, const struct id *office) {
	struct link *link = core_find_link(core, office);

	if (link)
		link->blocked = false;
}

/* 0, a refusal that ends the session, or -errno. */
static int take_batch(struct core *core, struct link *link, const struct link_io *io,
	const struct batch *batch) {
	struct span plain;
	struct txn *txn;
	int r;

	r = link_unpack(link, io, batch, &plain);
	if (r < 0)
		return r;
	if (r > 0)
		return r == REFUSAL_MALFORMED ? REFUSAL_OUT_OF_STEP : r;
	if (core->full) {
		core->refusals[REFUSAL_FULL]++;
		return link_refuse(link, &batch->oplog, batch->first, REFUSAL_FULL);
	}
	if (link->up && id_eq(&batch->oplog.office, &core->author.office)) {
		r = core_recovery_shown(core, &batch->oplog, &batch->head);
		if (r)
			return r;
	}
	r = core_txn(core, &txn);
	return r ? r : receive_batch(core->receive, txn, link, batch, plain, core->refusals);
}

static bool is_offered(const struct link *link, const struct held_oplog *held) {
	for (size_t i = 0; i < link->n_oplogs; i++)
		if (link->oplogs[i].held == held)
			return true;
	return false;
}

/* Who says how far it has its own oplogs wants to have back what is here of them. */
static int give_back(struct core *core, struct link *link, struct message message) {
	bool asks = false;
	struct held held;
	int r = 0;

	while (message_held_next(&message, &held))
		asks |= id_eq(&held.oplog.office, &link->neighbour);
	for (size_t i = 0; asks && r == 0 && i < core->n_oplogs; i++)
		if (core->oplogs[i] && id_eq(&core->oplogs[i]->id.office, &link->neighbour) &&
			!is_offered(link, core->oplogs[i]))
			r = link_offer(link, core->oplogs[i], 0, 0);
	return r;
}

void core_message(struct core *core, const struct id *office, struct span frame) {
	struct link *link = core_find_link(core, office);
	struct link_io io = link_surroundings(core);
	struct message message;
	struct txn *txn;
	int r = 0;

	if (!link || core->failed)
		return;
	link->open = true;
	link->last_heard_ms = core->now_ms;
	if (message_decode(frame, &message)) {
		core->refusals[REFUSAL_MALFORMED]++;
		core_fail(core, link_refuse(link, &(struct oplog_id){ 0 }, 0, REFUSAL_MALFORMED));
		return;
	}
	switch (message.type) {
	case MESSAGE_HELLO:
		r = link_hello(link, &io, &message.hello);
		break;
	case MESSAGE_HEADS:
		r = link->up ? core_recovery_heads(core, link, message) : give_back(core, link, message);
		if (r)
			break;
		/* fall through */
	case MESSAGE_ACK:
		r = core_txn(core, &txn);
		if (!r)
			r = link_held(link, &io, txn, &message);
		break;
	case MESSAGE_BATCH:
		r = take_batch(core, link, &io, &message.batch);
		break;
	case MESSAGE_REFUSE:
		link_refused(link, &io, &message.refuse);
		break;
	case MESSAGE_DISCLOSE:
		r = core_take_disclosure(core, link, &message.disclose);
		break;
	case MESSAGE_DISCLOSED:
		r = core_txn(core, &txn);
		if (!r)
			r = disclose_answered(link, &io, txn, &message);
		break;
	case MESSAGE_JOIN: /* a guest's, and what it is answered: not between neighbours */
	case MESSAGE_ENROL:
		r = REFUSAL_MALFORMED;
		break;
	}
	if (r > 0) {
		core->refusals[r]++;
		r = link_reset(link, &io, r);
	}
	core_fail(core, r);
}

static bool command_writes(uint8_t command) {
	switch (command) {
	case COMMAND_SUBMIT:
	case COMMAND_ADD_OFFICE:
	case COMMAND_JOIN:
	case COMMAND_READ:
	case COMMAND_ERASE:
	case COMMAND_INVITE:
	case COMMAND_ACCEPT:
	case COMMAND_DECLINE:
	case COMMAND_CHANGE_OFFICE:
	case COMMAND_ROTATE:
	case COMMAND_ASK:
	case COMMAND_GRANT:
	case COMMAND_DENY:
	case COMMAND_UNFORK:
	case COMMAND_MOVE_OFFICE:
		return true;
	default:
		return false;
	}
}

void core_request(struct core *core, struct span client, struct span frame) {
	struct request request = { 0 }; /* also where it is malformed: a command that nobody knows */
	bool writes;
	int r;

	(void)control_request_decode(frame, &request);
	writes = command_writes(request.command);
	r = note_asked(core, client, &request, writes);
	if (r || core->failed || !writes)
		core_fail(core, r);
	else if (core->barred && request.command != COMMAND_JOIN)
		core_fail(core, core_answer_failure(core, client, request.number, core->barred, 0,
			span_str("")));
	else if (core->full)
		core_fail(core, core_answer_failure(core, client, request.number, CONTROL_FULL, 0,
			span_str("")));
	else if (request.command == COMMAND_SUBMIT)
		core_fail(core, core_submit(core, client, &request));
	else if (request.command == COMMAND_ADD_OFFICE)
		core_fail(core, core_add_office(core, client, &request));
	else if (request.command == COMMAND_CHANGE_OFFICE)
		core_fail(core, core_change_office(core, client, &request));
	else if (request.command == COMMAND_MOVE_OFFICE)
		core_fail(core, core_move_office(core, client, &request));
	else if (request.command == COMMAND_UNFORK)
		core_fail(core, core_unfork(core, client, &request));
	else if (request.command == COMMAND_ASK)
		core_fail(core, core_ask(core, client, &request));
	else if (request.command == COMMAND_GRANT || request.command == COMMAND_DENY)
		core_fail(core, core_answer_request(core, client, &request));
	else if (request.command == COMMAND_ROTATE)
		core_fail(core, core_rotate(core, client, &request));
	else if (request.command == COMMAND_READ)
		core_fail(core, core_read_private(core, client, &request));
	else if (request.command == COMMAND_ERASE)
		core_fail(core, core_erase_private(core, client, &request));
	else if (request.command == COMMAND_INVITE)
		core_fail(core, core_invite(core, client, &request));
	else if (request.command == COMMAND_ACCEPT || request.command == COMMAND_DECLINE)
		core_fail(core, core_decide(core, client, &request));
	else
		core_fail(core, core_join(core, client, &request));
}

size_t core_turn_records(const struct core *core) {
	return core->n_records + receive_waiting(core->receive);
}

/* Everything the turn wrote, in one synced transaction. */
static int turn_commit(struct core *core) {
	uint64_t keep_ms = (uint64_t)core->config->changes_days * 24 * 3600 * 1000;
	int r = 0;

	if (core->txn)
		r = receive_finish(core->receive, core->txn, core->refusals);
	if (r == 0)
		r = core_keep_disclosures(core);
	if (r == 0)
		r = core_recovery_step(core);
	if (r == 0 && core->now_ms >= core->overdue_at_ms) {
		if (core->full || core->barred)
			core->overdue_at_ms = core->now_ms + OVERDUE_EVERY_MS;
		else
			r = look_at_clocks(core);
	}
	if (r == 0)
		r = core_write_receipts(core);
	if (r == 0)
		r = core_look_at_shown(core);
	if (r == 0 && !core->txn)
		r = core_put_disclosures(core); /* the first of a new parent or rule; otherwise nothing is due */
	if (r || !core->txn)
		return r;
	r = publish_counts(core);
	if (r == 0 && core->serial_dirty) {
		char name[32];
		uint8_t value[4];

		snprintf(name, sizeof(name), "serial-%u", core->serial_year);
		put_be32(value, core->serial);
		r = meta_put(core->txn, name, (struct span){ value, sizeof(value) });
		core->serial_dirty = false;
	}
	if (r == 0)
		r = author_finish(&core->author, core->txn, oplog_grown, core);
	if (r == 0)
		r = core_put_disclosures(core);
	if (r == 0 && core->first_change && core->wall_ms > keep_ms)
		r = changes_forget(core->txn, core->wall_ms - keep_ms, FORGET_TURN_MAX);
	return r ? r : store_commit(TAKE(core->txn));
}

static int publish_row(void *userdata, uint64_t number, struct span row) {
	struct core *core = userdata;

	core->io->publish(core->io->userdata, number, row);
	return 0;
}

/* After the commit: everybody is told what is now on disk. */
static int turn_effects(struct core *core) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct link_io io = link_surroundings(core);
	int r = core->failed ? core->failed : core_destroy_keys(core);

	if (core->next_signer)
		take_next_signer(core);
	if (core->recovered) {
		core->recovered = false;
		core->barred = 0;
		receive_own(core->receive, false);
		core->parted = true;
	}
	if (r == 0)
		r = store_begin_read(core->store, &txn);
	if (r == 0 && core->parted)
		r = part(core, &io, txn);
	for (size_t i = 0; r == 0 && i < core->n_asked; i++)
		if (!core->asked[i].writes)
			r = core_query(core, txn, &core->asked[i]);
	if (r == 0)
		give_answers(core);
	/* another one begins each time: none is kept waiting by what the others have to push */
	for (size_t i = 0; r == 0 && i < core->n_links; i++)
		r = link_flush(core->links[(core->first_link + i) % core->n_links], &io, txn);
	core->first_link = core->n_links ? (core->first_link + 1) % core->n_links : 0;
	if (r == 0 && core->first_change)
		r = changes_each(txn, core->first_change - 1, publish_row, core);
	if (r == 0 && core->joined) {
		core->joined = false;
		core->io->joined(core->io->userdata);
	}
	return r;
}

/*
 * There was no room: what the turn wrote is gone, so what is in memory is read again from the store,
 * as at a start. Sessions with neighbours were ahead of that and begin again.
 */
static int give_up_turn(struct core *core) {
	const struct link *up = core_uplink(core);
	bool was_open = up && up->open;
	int r;

	core_unload(core);
	r = core_load(core);
	core->failed = 0;
	forget_answers(core);
	core_keep_keys(core);
	core->first_change = 0;
	core->joined = false;
	core->parted = core->moved = core->recovered = false;
	core->author.epoch = core->fold.epoch;
	core->author.signer = core->signer;
	core->next_signer = signer_free(core->next_signer);
	core->full_until_ms = core->now_ms + FULL_PAUSE_MS;
	for (size_t i = 0; r == 0 && i < core->n_asked; i++)
		if (core->asked[i].writes)
			r = core_answer_failure(core, core->asked[i].client,
				core->asked[i].request.number, CONTROL_FULL, 0, span_str(""));
	if (r == 0 && was_open) /* at once it would only be for nothing again */
		link_reopen(core_uplink(core), core->full_until_ms);
	return r;
}

int core_turn_end(struct core *core) {
	int r = core->failed ? core->failed : turn_commit(core);

	core->txn = store_abort(core->txn);
	if (r == -ENOSPC)
		r = give_up_turn(core);
	if (r == 0)
		r = turn_effects(core);
	forget_asked(core);
	if (r == 0 && core->now_ms >= core->readers_at_ms) {
		core->readers_at_ms = core->now_ms + READERS_EVERY_MS;
		r = store_clear_readers(core->store);
	}
	core->turns++;
	return r > 0 ? -EIO : r;
}

uint64_t core_wakeup_ms(const struct core *core) {
	uint64_t at = core->overdue_at_ms < core->receipts_at_ms ? core->overdue_at_ms : core->receipts_at_ms;

	if (core->shown_at_ms < at)
		at = core->shown_at_ms;
	for (size_t i = 0; i < core->n_links; i++) {
		uint64_t link_at = link_wakeup_ms(core->links[i]);

		if (link_at < at)
			at = link_at;
	}
	return at;
}

bool core_busy(const struct core *core) {
	for (size_t i = 0; i < core->n_links; i++)
		if (link_busy(core->links[i], core->now_ms))
			return true;
	return false;
}

uint64_t core_shut_parts(const struct core *core, char ret_name[KEYRING_NAME_MAX]) {
	keyring_name(core->shut.file, ret_name);
	return core->shut.n;
}

const struct office *core_child_by_curve(const struct core *core, const uint8_t key[OFFICE_CURVE_LEN]) {
	const struct register_entry *entry = register_child_by_curve(&core->reg, key);

	return entry ? &entry->row.office : NULL;
}

const struct office *core_own(const struct core *core) {
	return &core->reg.own->row.office;
}

const struct office *core_parent(const struct core *core) {
	const struct register_entry *parent = register_parent(&core->reg);

	return parent ? &parent->row.office : NULL;
}

const char *core_parent_address(const struct core *core) {
	/* whom this office was handed over to listens elsewhere: its answer says where */
	return core->reg.own->row.office.state == OFFICE_MOVING ? "" : core->address;
}

int core_new(struct store *store, const struct config *config, const struct core_keys *keys,
	const struct core_io *io, uint64_t wall_ms, struct core **ret_core) {
	struct core *core = calloc(1, sizeof(*core));
	int r;

	if (!core)
		return -ENOMEM;
	core->store = store;
	core->config = config;
	core->keys = keys;
	core->io = io;
	core->wall_ms = core->started_ms = wall_ms;
	core->fold_sink = (struct fold_sink){ core, on_case, on_tally, on_office, on_escalation };
	core->receive_sink = (struct receive_sink){ core, on_kept, on_seen, on_forked, oplog_grown };
	writer_init_grow(&core->answers);
	r = receive_new(&core->reg, &core->receive_sink, &core->receive);
	if (!r)
		r = compress_work_new(ZSTD_LEVEL, &core->work);
	if (!r)
		r = core_load(core);
	if (r) {
		core_free(core);
		return r;
	}
	core->author.office = core->reg.own->row.office.id;
	core->author.epoch = core->fold.epoch;
	core->author.signer = core->signer = keys->signer;
	core->author.reg = &core->reg;
	core->author.random = io->random;
	core->author.random_userdata = io->userdata;
	*ret_core = core;
	return 0;
}

struct core *core_free(struct core *core) {
	if (!core)
		return NULL;
	store_abort(core->txn);
	core_unload(core);
	receive_free(core->receive);
	core_disclosures_done(core);
	signer_free(core->own_signer);
	signer_free(core->next_signer);
	compress_work_free(core->work);
	free(core->asked);
	free(core->guests);
	core_recovery_done(core);
	free(core->erased);
	free(core->answer_list);
	writer_done(&core->answers);
	free(core);
	return NULL;
}
