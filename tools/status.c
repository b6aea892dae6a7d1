/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/cases.h"
#include "tools/backlog.h"
#include "tools/dates.h"
#include "tools/nodestate.h"

struct summary {
	uint64_t records;
	uint64_t oplogs;
	uint64_t quarantined;
	uint64_t used;
	uint64_t max;
	uint64_t open;       /* petitions that are not answered */
	uint64_t overdue;
	uint64_t escalated;  /* of the open ones */
	uint64_t waiting;
	uint64_t waiting_bytes;
	uint64_t oldest_ms;
	uint64_t disclosures;
};

static const struct column office_columns[] = {
	{ .key = "office", .title = N_("Office") },
	{ .key = "id" },
	{ .key = "level", .title = N_("Level") },
	{ .key = "epoch" },
	{ .key = "parent", .title = N_("Belongs to") },
	{ .key = "parent_address", .title = N_("Reached at") },
	{ .key = "running" },
	{ .key = "node", .title = N_("Node") },
	{ .key = "node_started", .title = N_("Running since") },
	{ .key = "node_pid" },
	{ .key = "node_version", .title = N_("Version") },
	{ .key = "records", .title = N_("Records") },
	{ .key = "oplogs", .title = N_("Oplogs") },
	{ .key = "offices_forked", .title = N_("FORKED") },
	{ .key = "restoring", .title = N_("RESTORING") },
	{ .key = "restored", .title = N_("Put back") },
	{ .key = "store_bytes", .title = N_("Store") },
	{ .key = "store_bytes_max" },
	{ .key = "petitions_open", .title = N_("Open petitions") },
	{ .key = "petitions_overdue", .title = N_("Found overdue") },
	{ .key = "escalations_open", .title = N_("Open escalations") },
	{ .key = "waiting_records", .title = N_("Waiting to be sent") },
	{ .key = "waiting_bytes" },
	{ .key = "waiting_oldest_seconds", .title = N_("Oldest of these") },
	{ .key = "waiting_disclosures", .title = N_("To be disclosed") },
};

static const struct column link_columns[] = {
	{ .key = "neighbour", .title = N_("Neighbour") },
	{ .key = "neighbour_id" },
	{ .key = "direction", .title = N_("Direction") },
	{ .key = "state", .title = N_("Link") },
	{ .key = "since", .title = N_("Since") },
	{ .key = "last_progress", .title = N_("Last progress") },
	{ .key = "waiting_records", .title = N_("Waiting"), .right = true },
	{ .key = "waiting_oldest_seconds", .title = N_("Oldest"), .right = true },
	{ .key = "clock_skew_ms" },
	{ .key = "why", .title = N_("Why") },
	{ .key = "why_detail" },
};

static const struct column refusal_columns[] = {
	{ .key = "reason", .title = N_("Refused since the start") },
	{ .key = "count", .title = N_("Count"), .right = true },
};

static int count_case(void *userdata, const struct id *id, const struct case_row *row) {
	struct summary *summary = userdata;

	if (row->kind != KIND_PETITION || row->state >= CASE_ANSWERED)
		return 0;
	summary->open++;
	summary->overdue += row->overdue;
	summary->escalated += row->escalated;
	return 0;
}

static int count_oplog(void *userdata, const struct oplog *oplog) {
	struct summary *summary = userdata;

	summary->oplogs++;
	return 0;
}

static void add_waiting(struct summary *summary, const struct backlog_row *row) {
	summary->waiting += row->records;
	summary->waiting_bytes += row->bytes;
	if (row->oldest_ms && (!summary->oldest_ms || row->oldest_ms < summary->oldest_ms))
		summary->oldest_ms = row->oldest_ms;
}

static int summarise(const struct home *home, const struct backlog *backlog,
	struct summary *ret_summary) {
	int r;

	*ret_summary = (struct summary){ 0 };
	for (size_t i = 0; i < backlog->n_rows; i++)
		add_waiting(ret_summary, &backlog->rows[i]);
	r = txn_count(home->txn, TABLE_RECORDS, &ret_summary->records);
	if (r == 0)
		r = txn_count(home->txn, TABLE_DISCLOSURES, &ret_summary->disclosures);
	if (r == 0)
		r = store_usage(home->store, &ret_summary->used, &ret_summary->max);
	if (r == 0)
		r = oplog_each(home->txn, count_oplog, ret_summary);
	for (size_t i = 0; i < home->n_offices; i++)
		ret_summary->quarantined += home->offices[i].forks.settled < home->offices[i].forks.found;
	return r ? r : cases_each(home->txn, count_case, ret_summary);
}

static void cell_age_since(struct listing *listing, uint64_t since_ms) {
	uint64_t now_ms = date_now_ms();

	if (since_ms)
		cell_age(listing, now_ms > since_ms ? now_ms - since_ms : 0);
	else
		cell_none(listing);
}

static void fill_node(struct listing *listing, const struct nodestate *state) {
	bool running = !state->down;
	const char *node = running ? N_("running") : nodestate_down(state);

	cell_bool(listing, running);
	cell(listing, json_string(node), "%s", _(node));
	cell_time(listing, running ? state->status.started_ms : 0);
	if (running)
		cell_count(listing, state->status.pid);
	else
		cell_none(listing);
	cell_text(listing, running ? state->status.version : span_str(""));
}

/* Whether the store was put back, and what came of that: see node/recovery.c. */
static int fill_restored(struct listing *listing, const struct home *home) {
	struct span going_on, done;
	char date[DATE_TEXT_MAX], iso[DATE_TEXT_MAX];
	int r = meta_get(home->txn, "recover", &going_on);

	if (r < 0)
		return r;
	if (r == 0 && going_on.len == 12 && home->own->former.n == OFFICE_FORMER_MAX)
		cell(listing, json_integer(get_be32(going_on.data)), "%s",
			_("from a copy; it takes nothing in any more: its key was changed, or it was put back, as often as can be; have the office above revoke it and enrol it anew"));
	else if (r == 0 && going_on.len == 12)
		cell(listing, json_integer(get_be32(going_on.data)),
			_("from a copy; %u records have come back from the office above; nothing is taken in until all are here"),
			get_be32(going_on.data));
	else
		cell_none(listing);
	r = meta_get(home->txn, "recovered", &done);
	if (r < 0)
		return r;
	if (r > 0 || done.len != 24) {
		cell_none(listing);
		return 0;
	}
	date_format_time(get_be64(done.data), date);
	date_format_iso(get_be64(done.data), iso);
	cell(listing, json_pack("{s:s, s:i, s:i, s:i, s:i}", "time", iso, "came_back",
		     (int)get_be32(done.data + 8), "as_hashes", (int)get_be32(done.data + 12), "petitioners_lost",
		     (int)get_be32(done.data + 16), "written_again", (int)get_be32(done.data + 20)),
		_("%s: %u records came back from the office above (%u only as hashes), of %u it is not known here any more who asked; %u were written again"),
		date, get_be32(done.data + 8), get_be32(done.data + 12), get_be32(done.data + 16),
		get_be32(done.data + 20));
	return 0;
}

static int fill_office(struct listing *listing, const struct home *home,
	const struct nodestate *state, const struct summary *summary) {
	char max[32];
	char used[32];
	struct span address = { 0 };
	int r;

	r = offices_parent_address(home->txn, &address);
	if (r < 0)
		return r;
	cell_office(listing, home, home->own->number);
	cell_id(listing, &home->own->office.id);
	cell_text(listing, home->own->office.level);
	cell_count(listing, home->epoch);
	if (home_parent(home))
		cell_office(listing, home, home_parent(home)->number);
	else
		cell(listing, json_null(), "%s", _("none: the topmost, or not joined yet"));
	cell_text(listing, home->own->office.state == OFFICE_MOVING ? (struct span){ 0 } : address);
	fill_node(listing, state);
	cell_count(listing, summary->records);
	cell_count(listing, summary->oplogs);
	if (summary->quarantined)
		cell(listing, json_integer((json_int_t)summary->quarantined),
			_("%llu offices: each of them runs twice, or from an old copy, and nothing more is accepted from it; see lienthong office list"),
			(unsigned long long)summary->quarantined);
	else
		cell(listing, json_integer(0), "%s", "");
	r = fill_restored(listing, home);
	if (r)
		return r;
	format_bytes(summary->used, used, sizeof(used));
	format_bytes(summary->max, max, sizeof(max));
	cell(listing, json_integer((json_int_t)summary->used), _("%s of at most %s"), used, max);
	cell_bytes(listing, summary->max);
	cell_count(listing, summary->open);
	cell_count(listing, summary->overdue);
	cell_count(listing, summary->escalated);
	format_bytes(summary->waiting_bytes, used, sizeof(used));
	cell(listing, json_integer((json_int_t)summary->waiting), _("%llu records, %s"),
		(unsigned long long)summary->waiting, used);
	cell_bytes(listing, summary->waiting_bytes);
	cell_age_since(listing, summary->oldest_ms);
	cell_count(listing, summary->disclosures);
	return 0;
}

static void fill_link(struct listing *listing, const struct home *home,
	const struct nodestate *state, const struct backlog_row rows[LANE_N]) {
	const struct id *id = &rows->neighbour->office.id;
	bool up = !home_is_child(home, rows->neighbour);
	struct link_report link = { 0 };
	struct summary waiting = { 0 };

	for (unsigned lane = 0; lane < LANE_N; lane++)
		add_waiting(&waiting, &rows[lane]);
	cell_office(listing, home, rows->neighbour->number);
	cell_id(listing, id);
	cell(listing, json_string(up ? "up" : "down"), "%s", up ? _("upward") : _("downward"));
	if (nodestate_link(state, id, &link))
		cell_word(listing, &words_link_state, link.state);
	else
		cell(listing, json_null(), "%s", "-");
	cell_time(listing, link.since_ms);
	cell_time(listing, link.last_progress_ms);
	cell_count(listing, waiting.waiting);
	cell_age_since(listing, waiting.oldest_ms);
	cell(listing, json_integer(link.clock_skew_ms), "%s", "");
	cell_why(listing, state, id, LANE_NORMAL);
}

static void fill_refusals(struct listing *listing, const struct nodestate *state) {
	for (unsigned reason = 0; reason < REFUSAL_N && !state->down; reason++) {
		if (!state->status.refusals[reason])
			continue;
		cell(listing, json_string(refusal_name(reason)), "%s", _(refusal_name(reason)));
		cell_count(listing, state->status.refusals[reason]);
	}
}

static void show(const struct listing *office, const struct listing *links,
	const struct listing *refusals) {
	listing_cards(office);
	if (links->n_cells > 0) {
		say("%s", "");
		listing_table(links);
	}
	if (refusals->n_cells > 0) {
		say("%s", "");
		listing_table(refusals);
	}
}

static int show_json(const struct listing *office, const struct listing *links,
	const struct listing *refusals) {
	return json_show(json_pack("{s:o?, s:o?, s:o?}", "office", listing_object(office), "links",
		listing_rows(links), "refusals", listing_rows(refusals)));
}

static int status(const struct tool *tool, const struct home *home, const struct nodestate *state) {
	_cleanup_(listing_done) struct listing office, links, refusals;
	_cleanup_(backlog_done) struct backlog backlog;
	struct summary summary;
	int r;

	listing_init(&office, office_columns, N_ELEMENTS(office_columns));
	listing_init(&links, link_columns, N_ELEMENTS(link_columns));
	listing_init(&refusals, refusal_columns, N_ELEMENTS(refusal_columns));
	r = backlog_init(&backlog, home);
	if (r == 0)
		r = summarise(home, &backlog, &summary);
	if (r == 0)
		r = fill_office(&office, home, state, &summary);
	if (r)
		return home_failed(r);
	for (size_t i = 0; i < backlog.n_rows; i += LANE_N)
		fill_link(&links, home, state, &backlog.rows[i]);
	fill_refusals(&refusals, state);
	if (office.failed || links.failed || refusals.failed)
		return fail_memory();
	if (tool->json)
		return show_json(&office, &links, &refusals);
	show(&office, &links, &refusals);
	return DONE;
}

int command_status(struct tool *tool, int argc, char **argv) {
	const struct usage usage = { "status", NULL,
		N_("Shows how this office stands: its node, its store, its links and what waits for them, and what needs somebody."),
		NULL, 0, 0, 0 };
	_cleanup_(nodestate_done) struct nodestate state = { 0 };
	struct home home;
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	ending = home_open(tool, &home);
	if (ending)
		return ending;
	nodestate_init(&state, tool);
	ending = status(tool, &home, &state);
	home_close(&home);
	return ending;
}
