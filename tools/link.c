/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The line to the office above, kept closed as long as somebody here wants that. */
#include <stdlib.h>

#include "tools/client.h"
#include "tools/dates.h"

enum {
	DAYS_MAX = 366,
};

/* "30m", "8h", "2d". */
static bool read_duration(const char *text, uint64_t *ret_ms) {
	static const struct { char unit; uint64_t ms; } units[] = {
		{ 'm', 60000 }, { 'h', 3600000 }, { 'd', DATE_DAY_MS },
	};
	unsigned long n;
	char *end;

	if (text[0] < '1' || text[0] > '9')
		return false;
	n = strtoul(text, &end, 10);
	for (size_t i = 0; i < N_ELEMENTS(units); i++)
		if (end[0] == units[i].unit && end[1] == '\0' && n <= (uint64_t)DAYS_MAX * DATE_DAY_MS / units[i].ms) {
			*ret_ms = n * units[i].ms;
			return true;
		}
	return false;
}

static int hold_line(const struct tool *tool, bool held, uint64_t until_ms) {
	_cleanup_(client_closep) struct client *client = NULL;
	_cleanup_(writer_done) struct writer w;
	struct answer answer;
	int ending;

	writer_init_grow(&w);
	ending = client_reach(tool, &client);
	if (ending)
		return ending;
	control_write_hold_line(&w, client_number(client), held, until_ms);
	return client_order(tool, client, &w, _("the line to the office above"), &answer);
}

int command_link_pause(struct tool *tool, int argc, char **argv) {
	const char *duration = NULL;
	const struct option_def options[] = {
		{ "for", N_("DURATION"), N_("for so long only, such as 30m, 8h or 2d; default: until link resume"),
			.value = &duration },
	};
	const struct usage usage = { "link pause", NULL,
		N_("Closes the line to the office above, also over a restart. Work goes on here; what is written waits, what is urgent too."),
		options, N_ELEMENTS(options), 0, 0 };
	char text[DATE_TEXT_MAX];
	uint64_t until_ms = 0;
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	if (duration && !read_duration(duration, &until_ms))
		return misuse(_("--for: write a number with m (minutes), h (hours) or d (days), at most %dd"), DAYS_MAX);
	if (until_ms)
		until_ms += date_now_ms();
	ending = hold_line(tool, true, until_ms);
	if (ending)
		return ending;
	date_format_iso(until_ms, text);
	if (tool->json)
		return json_show(json_pack("{s:b, s:s?}", "paused", 1, "until", until_ms ? text : NULL));
	date_format_time(until_ms, text);
	if (until_ms)
		say(_("The line to the office above is closed until %s, or until: lienthong link resume"), text);
	else
		say(_("The line to the office above is closed until: lienthong link resume"));
	return DONE;
}

int command_link_resume(struct tool *tool, int argc, char **argv) {
	static const struct usage usage = { "link resume", NULL,
		N_("Opens the line to the office above again, after link pause."), NULL, 0, 0, 0 };
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	ending = hold_line(tool, false, 0);
	if (ending)
		return ending;
	if (tool->json)
		return json_show(json_pack("{s:b, s:n}", "paused", 0, "until"));
	say(_("The line to the office above is not paused any more."));
	return DONE;
}
