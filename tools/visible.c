/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The command that shows which offices can read a record. */
#include <stdio.h>

#include "tools/place.h"
#include "tools/visibility.h"

static const struct column columns[] = {
	{ .key = "office", .title = N_("Office") },
	{ .key = "level", .title = N_("Level") },
	{ .key = "holds", .title = N_("Has") },
	{ .key = "why", .title = N_("Why") },
	{ .key = "by" },
	{ .key = "known", .title = N_("Known here") },
};

enum {
	WHY_MAX = OFFICE_LABEL_MAX + 128,
};

static const char *const reasons[SIGHT_N] = {
	[SIGHT_ORIGIN] = N_("it wrote it"),
	[SIGHT_ONE_LEVEL_UP] = N_("detail goes one level up"),
	[SIGHT_ALL_LEVELS] = N_("records of this kind go to all levels"),
	[SIGHT_AUDIENCE] = N_("it is addressed to it or to an office below it"),
	[SIGHT_RULE] = N_("withheld: detail goes one level up"),
	[SIGHT_WITHHELD] = N_("withheld: it is addressed to others"),
	[SIGHT_STAYS] = N_("withheld: records of this kind stay in their office"),
	[SIGHT_DISCLOSING] = N_("is being disclosed to it"),
	[SIGHT_NOT_YET] = N_("it has not arrived there yet"),
};

static void why_text(const struct level *level, char ret_text[WHY_MAX]) {
	char label[OFFICE_LABEL_MAX] = "?";

	if (level->by)
		office_label(level->by, label);
	switch (level->why) {
	case SIGHT_ESCALATED:
		snprintf(ret_text, WHY_MAX, _("disclosed by the escalation of %s"), label);
		break;
	case SIGHT_GRANTED:
		snprintf(ret_text, WHY_MAX, _("granted by %s"), label);
		break;
	case SIGHT_HANDED_OVER:
		snprintf(ret_text, WHY_MAX, _("handed over by %s"), label);
		break;
	case SIGHT_DISCLOSED:
		snprintf(ret_text, WHY_MAX, _("disclosed by %s"), label);
		break;
	case SIGHT_CONFIGURATION:
		snprintf(ret_text, WHY_MAX, _("withheld by %s, which is set so or keeps such records to itself"), label);
		break;
	default:
		snprintf(ret_text, WHY_MAX, "%s", _(reasons[level->why]));
	}
}

static void list_level(struct listing *listing, const struct home *home, const struct level *level) {
	char why[WHY_MAX];

	cell_office_id(listing, home, &level->office->office.id);
	cell_text(listing, level->office->office.level);
	cell_word(listing, &words_holding, level->holds);
	why_text(level, why);
	cell(listing, json_string(words_name(&words_sight, level->why)), "%s", why);
	if (level->by)
		cell_office_id(listing, home, &level->by->office.id);
	else
		cell_none(listing);
	cell(listing, json_boolean(level->known), "%s", level->known ? _("yes") : _("no, by rule"));
}

static int show_visibility(const struct tool *tool, const struct home *home, const char *name) {
	struct level levels[VISIBILITY_LEVELS_MAX];
	struct listing listing;
	struct place place;
	int ending;
	size_t n;
	int r;

	ending = place_find(home, name, &place);
	if (ending)
		return ending;
	r = visibility_of(home, &place, levels, &n);
	if (r)
		return home_failed(r);
	listing_init(&listing, columns, N_ELEMENTS(columns));
	for (size_t i = 0; i < n; i++)
		list_level(&listing, home, &levels[i]);
	ending = listing_show(&listing, tool->json, "");
	listing_done(&listing);
	return ending;
}

int command_visibility(struct tool *tool, int argc, char **argv) {
	const struct usage usage = { "visibility", "REF|PLACE",
		N_("Shows which office, from the one that wrote it up to the topmost, has a petition in full, which only its hash, which nothing yet, and why. Of offices that this one has no line to it says what the rule gives. A PLACE is office/epoch/lane/number, also of a record of which only the hash is here. Works with the node down."),
		NULL, 0, 1, 1 };
	struct home home;
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	ending = home_open(tool, &home);
	if (ending)
		return ending;
	ending = show_visibility(tool, &home, args[0]);
	home_close(&home);
	return ending;
}
