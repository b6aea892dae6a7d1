/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/backlog.h"
#include "tools/dates.h"
#include "tools/nodestate.h"

static const struct column columns[] = {
	{ .key = "neighbour", .title = N_("Neighbour") },
	{ .key = "neighbour_id" },
	{ .key = "direction", .title = N_("Direction") },
	{ .key = "lane", .title = N_("Lane") },
	{ .key = "records", .title = N_("Records"), .right = true },
	{ .key = "bytes", .title = N_("Size"), .right = true },
	{ .key = "oldest_seconds", .title = N_("Oldest"), .right = true },
	{ .key = "state", .title = N_("Link") },
	{ .key = "why", .title = N_("Why it does not move") },
	{ .key = "why_detail" },
};

static void list_row(struct listing *listing, const struct home *home,
	const struct nodestate *state, const struct backlog_row *row, uint64_t now_ms) {
	const struct id *id = &row->neighbour->office.id;
	struct link_report link;
	bool up = !home_is_child(home, row->neighbour);

	cell_office(listing, home, row->neighbour->number);
	cell_id(listing, id);
	cell(listing, json_string(up ? "up" : "down"), "%s", up ? _("upward") : _("downward"));
	cell_word(listing, &words_lane, row->lane);
	cell_count(listing, row->records);
	cell_bytes(listing, row->bytes);
	if (row->oldest_ms)
		cell_age(listing, now_ms > row->oldest_ms ? now_ms - row->oldest_ms : 0);
	else
		cell_none(listing);
	if (nodestate_link(state, id, &link))
		cell_word(listing, &words_link_state, link.state);
	else
		cell(listing, json_null(), "%s", "-");
	cell_why(listing, state, id, row->lane);
}

static int list_backlog(const struct tool *tool, const struct home *home,
	const struct nodestate *state, const struct backlog *backlog) {
	uint64_t now_ms = date_now_ms();
	struct listing listing;
	int ending;

	listing_init(&listing, columns, N_ELEMENTS(columns));
	for (size_t i = 0; i < backlog->n_rows; i++) {
		if (backlog->rows[i].records > 0 || tool->json)
			list_row(&listing, home, state, &backlog->rows[i], now_ms);
	}
	ending = listing_show(&listing, tool->json,
		backlog->n_rows ? _("Nothing is waiting: every neighbour has acknowledged all.") :
				  _("This office has no neighbours yet: see lienthong join and lienthong office add."));
	listing_done(&listing);
	if (ending == DONE && state->down && !tool->json)
		say(_("The node is not running or cannot be asked; these numbers are from the store."));
	return ending;
}

int command_queue(struct tool *tool, int argc, char **argv) {
	const struct usage usage = { "queue", NULL,
		N_("Shows what waits for each neighbour, by lane: how much, how old the oldest is, and why it does not move. Works with the node down."),
		NULL, 0, 0, 0 };
	_cleanup_(nodestate_done) struct nodestate state = { 0 };
	struct backlog backlog;
	struct home home;
	char **args;
	int n_args;
	int ending;
	int r;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	ending = home_open(tool, &home);
	if (ending)
		return ending;
	nodestate_init(&state, tool);
	r = backlog_init(&backlog, &home);
	ending = r ? home_failed(r) : list_backlog(tool, &home, &state, &backlog);
	backlog_done(&backlog);
	home_close(&home);
	return ending;
}
