/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Sums of tallies over the offices from this one downward. Facts are counted in the month in which
 * they happened, so what is open is counted from the beginning up to the end of the period.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/kinds/petition.h"
#include "store/cases.h"
#include "store/fold.h"
#include "store/tallies.h"
#include "tools/home.h"

enum {
	MEASURE_SLOTS = 32, /* measures beyond belong to a newer version, and are passed over */
	PERIOD_MAX = 999912,
	SHARE_MAX = 32,
};

enum by {
	BY_NOTHING,
	BY_OFFICE,
	BY_CATEGORY,
	BY_ORGANISATION,
	BY_PERIOD,
	BY_VILLAGE,
	BY_MEASURE,
	BY_N,
};

static const char *const by_names[BY_N] = {
	[BY_OFFICE] = "office",
	[BY_CATEGORY] = "category",
	[BY_ORGANISATION] = "organisation",
	[BY_PERIOD] = "period",
	[BY_VILLAGE] = "village",
	[BY_MEASURE] = "measure",
};

static const struct words words_by = { by_names, BY_N };

struct group {
	uint64_t key; /* a number of office, category, organisation, period */
	struct span village;
	uint64_t n[MEASURE_SLOTS];
	uint64_t open_in;  /* received up to the end of the period */
	uint64_t open_out; /* answered, withdrawn or merged up to then */
};

struct tallying {
	const struct home *home;
	enum by by;
	uint32_t from; /* months, as year * 100 + month */
	uint32_t to;
	struct group *groups;
	size_t n;
	size_t cap;
	uint64_t *unseen; /* per office: petitions that it counted and that cannot be read here */
};

static int compare_keys(uint64_t key, struct span village, const struct group *group) {
	size_t len = village.len < group->village.len ? village.len : group->village.len;
	int r;

	if (key != group->key)
		return key < group->key ? -1 : 1;
	r = len ? memcmp(village.data, group->village.data, len) : 0;
	return r ? r : (village.len > group->village.len) - (village.len < group->village.len);
}

/* Groups are kept sorted: there are at most some thousands, and each is found thousands of times. */
static struct group *find_group(struct tallying *tallying, uint64_t key, struct span village) {
	size_t low = 0;
	size_t high = tallying->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare_keys(key, village, &tallying->groups[middle]);

		if (order == 0)
			return &tallying->groups[middle];
		if (order > 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (tallying->n == tallying->cap) {
		size_t cap = tallying->cap ? 2 * tallying->cap : 64;
		struct group *groups = reallocarray(tallying->groups, cap, sizeof(*groups));

		if (!groups)
			return NULL;
		tallying->groups = groups;
		tallying->cap = cap;
	}
	memmove(&tallying->groups[low + 1], &tallying->groups[low],
		(tallying->n - low) * sizeof(*tallying->groups));
	tallying->n++;
	tallying->groups[low] = (struct group){ .key = key, .village = village };
	return &tallying->groups[low];
}

static int add(struct tallying *tallying, uint64_t key, struct span village, uint32_t period,
	uint8_t measure, uint64_t n) {
	struct group *group;

	if (n == 0 || period > tallying->to || measure >= MEASURE_SLOTS)
		return 0;
	group = find_group(tallying, key, village);
	if (!group)
		return -ENOMEM;
	if (period >= tallying->from)
		group->n[measure] += n;
	if (measure == MEASURE_RECEIVED)
		group->open_in += n;
	else if (measure == MEASURE_ANSWERED || measure == MEASURE_WITHDRAWN ||
		measure == MEASURE_MERGED)
		group->open_out += n;
	return 0;
}

static uint64_t open_of(const struct group *group) {
	return group->open_in > group->open_out ? group->open_in - group->open_out : 0;
}

static int add_tally(void *userdata, const struct tally_entry *entry) {
	struct tallying *tallying = userdata;
	const struct home *home = tallying->home;
	const struct office_row *office = home_office(home, entry->office);
	uint64_t key = 0;

	if (!office || !home_is_within(home, &office->office.id, &home->own->office.id))
		return 0;
	switch (tallying->by) {
	case BY_OFFICE:
		key = entry->office;
		break;
	case BY_CATEGORY:
		key = entry->row.category;
		break;
	case BY_ORGANISATION:
		key = entry->row.organisation;
		break;
	case BY_PERIOD:
		key = entry->row.period;
		break;
	case BY_VILLAGE: /* tallies know no villages: only how many petitions there should be */
		if (entry->row.measure == MEASURE_RECEIVED && entry->row.period >= tallying->from &&
			entry->row.period <= tallying->to)
			tallying->unseen[office - home->offices] += entry->row.n;
		return 0;
	default:
		break;
	}
	return add(tallying, key, (struct span){ 0 }, entry->row.period, entry->row.measure,
		entry->row.n);
}

/* One petition as fold.c counts it, under its village. */
static int add_case(void *userdata, const struct id *id, const struct case_row *row) {
	struct tallying *tallying = userdata;
	const struct office_row *origin = home_office(tallying->home, row->origin);
	uint32_t received = fold_period(row->received_ms);
	struct petition petition;
	struct record record;
	int r;

	if (row->kind != KIND_PETITION || !origin)
		return 0;
	r = home_record(tallying->home, row->arrival, &record);
	if (r || petition_decode(record.body, &petition))
		return r < 0 ? r : 0;
	const struct {
		uint64_t ms;
		uint8_t measure;
		uint64_t n;
	} facts[] = {
		{ row->received_ms, MEASURE_RECEIVED, 1 },
		{ row->received_ms, MEASURE_PEOPLE, row->people },
		{ row->received_ms, MEASURE_ESCALATED, row->escalated },
		{ row->accepted_ms, MEASURE_ACCEPTED, row->accepted_ms != 0 },
		{ row->since_ms, MEASURE_RETURNED, row->state == CASE_RETURNED },
		{ row->forwarded_ms, MEASURE_FORWARDED, row->forwarded_ms != 0 },
		{ row->resolved_ms, MEASURE_RESOLVED, row->resolved_ms != 0 },
		{ row->answered_ms, MEASURE_ANSWERED, row->answered_ms != 0 },
		{ row->since_ms, MEASURE_WITHDRAWN, row->state == CASE_WITHDRAWN },
		{ row->since_ms, MEASURE_MERGED, row->state == CASE_MERGED },
		{ row->since_ms, MEASURE_CLOSED, row->state == CASE_CLOSED },
	};
	for (size_t i = 0; i < N_ELEMENTS(facts) && r == 0; i++)
		r = add(tallying, row->origin, petition.village, fold_period(facts[i].ms),
			facts[i].measure, facts[i].n);
	if (received >= tallying->from && received <= tallying->to &&
		tallying->unseen[origin - tallying->home->offices] > 0)
		tallying->unseen[origin - tallying->home->offices]--;
	return r;
}

static void cell_share(struct listing *listing, uint64_t part, uint64_t whole, bool applies) {
	char text[SHARE_MAX] = "";

	if (applies)
		format_share(part, whole, text, sizeof(text));
	cell(listing, applies ? json_share(part, whole) : json_null(), "%s", text);
}

static const struct column funnel_columns[] = {
	{ .key = "measure", .title = N_("Petitions") },
	{ .key = "count", .title = N_("Count"), .right = true },
	{ .key = "percent_of_received", .title = N_("of received"), .right = true },
	{ .key = "percent_of_forwarded", .title = N_("of forwarded"), .right = true },
};

static const struct column meeting_columns[] = {
	{ .key = "measure", .title = N_("Meetings") },
	{ .key = "count", .title = N_("Count"), .right = true },
	{ .key = "percent_of_opinions", .title = N_("of opinions"), .right = true },
};

static void list_funnel(struct listing *listing, const struct group *sum) {
	static const struct {
		uint8_t measure;
		bool of_received;
		bool of_forwarded;
	} lines[] = {
		{ MEASURE_RECEIVED, false, false },
		{ MEASURE_ACCEPTED, true, false },
		{ MEASURE_FORWARDED, true, false },
		{ MEASURE_RESOLVED, true, true },
		{ MEASURE_ANSWERED, true, true },
		{ MEASURE_CLOSED, true, false },
		{ MEASURE_WITHDRAWN, true, false },
		{ MEASURE_MERGED, true, false },
		{ MEASURE_ESCALATED, true, false },
		{ MEASURE_RETURNED, false, false },
		{ MEASURE_PEOPLE, false, false },
	};

	for (size_t i = 0; i < N_ELEMENTS(lines); i++) {
		uint64_t n = sum->n[lines[i].measure];

		cell_word(listing, &words_measure, lines[i].measure);
		cell_count(listing, n);
		cell_share(listing, n, sum->n[MEASURE_RECEIVED], lines[i].of_received);
		cell_share(listing, n, sum->n[MEASURE_FORWARDED], lines[i].of_forwarded);
	}
	cell(listing, json_string("open"), "%s", _("open at the end of the period"));
	cell_count(listing, open_of(sum));
	cell_none(listing);
	cell_none(listing);
}

static void list_meetings(struct listing *listing, const struct group *sum) {
	static const struct {
		uint8_t measure;
		bool of_opinions;
	} lines[] = {
		{ MEASURE_MEETINGS, false },
		{ MEASURE_ATTENDANCE, false },
		{ MEASURE_OPINIONS, false },
		{ MEASURE_ON_THE_SPOT, true },
		{ MEASURE_LATER, true },
		{ MEASURE_PENDING, true },
	};

	for (size_t i = 0; i < N_ELEMENTS(lines); i++) {
		uint64_t n = sum->n[lines[i].measure];

		cell_word(listing, &words_measure, lines[i].measure);
		cell_count(listing, n);
		cell_share(listing, n, sum->n[MEASURE_OPINIONS], lines[i].of_opinions);
	}
}

static bool balances(const struct group *sum) {
	return sum->n[MEASURE_OPINIONS] ==
		sum->n[MEASURE_ON_THE_SPOT] + sum->n[MEASURE_LATER] + sum->n[MEASURE_PENDING];
}

static void say_balance(const struct group *sum) {
	say(balances(sum) ? _("Opinions balance: %llu = %llu on the spot + %llu later + %llu pending.") :
			    _("OPINIONS DO NOT BALANCE: %llu, but %llu on the spot + %llu later + %llu pending."),
		(unsigned long long)sum->n[MEASURE_OPINIONS],
		(unsigned long long)sum->n[MEASURE_ON_THE_SPOT],
		(unsigned long long)sum->n[MEASURE_LATER], (unsigned long long)sum->n[MEASURE_PENDING]);
}

static int show_summary(const struct tool *tool, const struct group *sum) {
	_cleanup_(listing_done) struct listing funnel, meetings;

	listing_init(&funnel, funnel_columns, N_ELEMENTS(funnel_columns));
	listing_init(&meetings, meeting_columns, N_ELEMENTS(meeting_columns));
	list_funnel(&funnel, sum);
	list_meetings(&meetings, sum);
	if (funnel.failed || meetings.failed)
		return fail_memory();
	if (tool->json)
		return json_show(json_pack("{s:o?, s:o?, s:b}", "petitions", listing_rows(&funnel),
			"meetings", listing_rows(&meetings), "opinions_balance", balances(sum)));
	listing_table(&funnel);
	say("%s", "");
	listing_table(&meetings);
	say_balance(sum);
	return DONE;
}

static const struct column measure_columns[] = {
	{ .key = "measure", .title = N_("Measure") },
	{ .key = "count", .title = N_("Count"), .right = true },
};

static int show_measures(const struct tool *tool, const struct group *sum) {
	_cleanup_(listing_done) struct listing listing;

	listing_init(&listing, measure_columns, N_ELEMENTS(measure_columns));
	for (unsigned measure = 0; measure < MEASURE_SLOTS; measure++) {
		if (!sum->n[measure] && !words_name(&words_measure, measure))
			continue;
		cell_word(&listing, &words_measure, measure);
		cell_count(&listing, sum->n[measure]);
	}
	return listing_show(&listing, tool->json, _("No counts."));
}

static const struct column group_columns[] = {
	{ .key = "group", .title = N_("Divided by") },
	{ .key = "village", .title = N_("Village") },
	{ .key = "received", .title = N_("Received"), .right = true },
	{ .key = "accepted" },
	{ .key = "forwarded", .title = N_("Forwarded"), .right = true },
	{ .key = "forwarded_percent_of_received", .title = N_("of received"), .right = true },
	{ .key = "resolved", .title = N_("Resolved"), .right = true },
	{ .key = "resolved_percent_of_received", .title = N_("of received"), .right = true },
	{ .key = "resolved_percent_of_forwarded", .title = N_("of forwarded"), .right = true },
	{ .key = "answered", .title = N_("Answered"), .right = true },
	{ .key = "withdrawn" },
	{ .key = "merged" },
	{ .key = "closed" },
	{ .key = "open", .title = N_("Open"), .right = true },
	{ .key = "escalated", .title = N_("Escalated"), .right = true },
	{ .key = "people" },
	{ .key = "meetings", .title = N_("Meetings"), .right = true },
	{ .key = "opinions", .title = N_("Opinions"), .right = true },
};

static void cell_group(struct listing *listing, const struct tallying *tallying,
	const struct group *group) {
	switch (tallying->by) {
	case BY_OFFICE:
	case BY_VILLAGE:
		cell_office(listing, tallying->home, (uint32_t)group->key);
		break;
	case BY_CATEGORY:
		cell_word(listing, &words_category, group->key);
		break;
	case BY_ORGANISATION:
		cell_word(listing, &words_organisation, group->key);
		break;
	default:
		cell(listing, json_sprintf("%04u-%02u", (unsigned)(group->key / 100),
			(unsigned)(group->key % 100)), "%04u-%02u", (unsigned)(group->key / 100),
			(unsigned)(group->key % 100));
		break;
	}
}

static void list_group(struct listing *listing, const struct tallying *tallying,
	const struct group *group) {
	const uint64_t *n = group->n;

	cell_group(listing, tallying, group);
	if (tallying->by == BY_VILLAGE)
		cell_text(listing, group->village);
	else
		cell_none(listing);
	cell_count(listing, n[MEASURE_RECEIVED]);
	cell_count(listing, n[MEASURE_ACCEPTED]);
	cell_count(listing, n[MEASURE_FORWARDED]);
	cell_share(listing, n[MEASURE_FORWARDED], n[MEASURE_RECEIVED], true);
	cell_count(listing, n[MEASURE_RESOLVED]);
	cell_share(listing, n[MEASURE_RESOLVED], n[MEASURE_RECEIVED], true);
	cell_share(listing, n[MEASURE_RESOLVED], n[MEASURE_FORWARDED], true);
	cell_count(listing, n[MEASURE_ANSWERED]);
	cell_count(listing, n[MEASURE_WITHDRAWN]);
	cell_count(listing, n[MEASURE_MERGED]);
	cell_count(listing, n[MEASURE_CLOSED]);
	cell_count(listing, open_of(group));
	cell_count(listing, n[MEASURE_ESCALATED]);
	cell_count(listing, n[MEASURE_PEOPLE]);
	cell_count(listing, n[MEASURE_MEETINGS]);
	cell_count(listing, n[MEASURE_OPINIONS]);
}

static const struct column unseen_columns[] = {
	{ .key = "office", .title = N_("Villages that cannot be seen here") },
	{ .key = "petitions", .title = N_("Petitions"), .right = true },
	{ .key = "ask", .title = N_("Who can see them") },
};

/* Detail goes one level up, so the parent of the office can see it, and the office itself. */
static void list_unseen(struct listing *listing, const struct tallying *tallying) {
	const struct home *home = tallying->home;

	for (size_t i = 0; i < home->n_offices; i++) {
		const struct office_row *row = &home->offices[i];
		const struct office_row *ask = home_office_by_id(home, &row->office.parent);

		if (!tallying->unseen[i])
			continue;
		if (!ask || ask == home->own)
			ask = row;
		cell_office(listing, home, row->number);
		cell_count(listing, tallying->unseen[i]);
		cell_office(listing, home, ask->number);
	}
}

static int show_groups(const struct tool *tool, const struct tallying *tallying) {
	_cleanup_(listing_done) struct listing groups, unseen;
	struct column columns[N_ELEMENTS(group_columns)];
	bool village = tallying->by == BY_VILLAGE;

	memcpy(columns, group_columns, sizeof(columns));
	if (!village)
		columns[1] = (struct column){ 0 };
	listing_init(&groups, columns, N_ELEMENTS(columns));
	listing_init(&unseen, unseen_columns, N_ELEMENTS(unseen_columns));
	for (size_t i = 0; i < tallying->n; i++)
		list_group(&groups, tallying, &tallying->groups[i]);
	if (village)
		list_unseen(&unseen, tallying);
	if (groups.failed || unseen.failed)
		return fail_memory();
	if (tool->json && village)
		return json_show(json_pack("{s:o?, s:o?}", "villages", listing_rows(&groups),
			"not_visible", listing_rows(&unseen)));
	if (unseen.n_cells == 0)
		return listing_show(&groups, tool->json, _("No counts."));
	if (groups.n_cells > 0) {
		listing_table(&groups);
		say("%s", "");
	}
	listing_table(&unseen);
	return DONE;
}

/* "2024", "2024-05", "2024-Q2", "2024-H1" */
static bool parse_period(const char *text, uint32_t *ret_from, uint32_t *ret_to) {
	unsigned year;
	unsigned part;
	char letter;
	int len = 0;

	if (sscanf(text, "%4u%n", &year, &len) == 1 && len == 4 && text[len] == '\0') {
		*ret_from = year * 100 + 1;
		*ret_to = year * 100 + 12;
		return true;
	}
	if (sscanf(text, "%4u-%2u%n", &year, &part, &len) == 2 && len == 7 && text[len] == '\0' &&
		part >= 1 && part <= 12) {
		*ret_from = *ret_to = year * 100 + part;
		return true;
	}
	if (sscanf(text, "%4u-%c%1u%n", &year, &letter, &part, &len) == 3 && len == 7 &&
		text[len] == '\0' && part >= 1 && part <= (letter == 'Q' ? 4u : 2u) &&
		(letter == 'Q' || letter == 'H')) {
		unsigned months = letter == 'Q' ? 3 : 6;

		*ret_from = year * 100 + (part - 1) * months + 1;
		*ret_to = year * 100 + part * months;
		return true;
	}
	return false;
}

static int sum_up(struct tallying *tallying) {
	int r;

	tallying->unseen = calloc(tallying->home->n_offices, sizeof(*tallying->unseen));
	if (!tallying->unseen)
		return -ENOMEM;
	r = tallies_each(tallying->home->txn, add_tally, tallying);
	if (r == 0 && tallying->by == BY_VILLAGE)
		r = cases_each(tallying->home->txn, add_case, tallying);
	return r;
}

static int tally(const struct tool *tool, struct tallying *tallying) {
	static const struct group nothing;
	const struct group *sum;
	int r;

	r = sum_up(tallying);
	if (r)
		return home_failed(r);
	sum = tallying->n > 0 ? &tallying->groups[0] : &nothing;
	switch (tallying->by) {
	case BY_NOTHING:
		return show_summary(tool, sum);
	case BY_MEASURE:
		return show_measures(tool, sum);
	default:
		return show_groups(tool, tallying);
	}
}

int command_tally(struct tool *tool, int argc, char **argv) {
	struct tallying tallying = { .to = PERIOD_MAX };
	const char *by = NULL;
	const char *period = NULL;
	const struct option_def options[] = {
		{ "by", N_("WORD"), N_("divided by office, category, organisation, period, village or measure"),
			.value = &by },
		{ "period", N_("PERIOD"), N_("2024, 2024-05, 2024-Q2 or 2024-H1; default: all"),
			.value = &period },
	};
	const struct usage usage = { "tally", NULL,
		N_("Adds up the counts of this office and all below it. A fact counts in the month in which it happened; shares say of what they are. Works with the node down."),
		options, N_ELEMENTS(options), 0, 0 };
	struct home home;
	uint8_t by_value;
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending) ||
		!option_word("by", by, &words_by, &by_value, &ending))
		return ending;
	if (period && !parse_period(period, &tallying.from, &tallying.to))
		return misuse(_("--period: \"%s\" is not a period; write 2024, 2024-05, 2024-Q2 or 2024-H1"),
			period);
	tallying.by = by_value;
	ending = home_open(tool, &home);
	if (ending)
		return ending;
	tallying.home = &home;
	ending = tally(tool, &tallying);
	free(tallying.groups);
	free(tallying.unseen);
	home_close(&home);
	return ending;
}
