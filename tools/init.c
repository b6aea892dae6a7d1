/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "tools/enrolment.h"
#include "tools/newoffice.h"

static int initialise(const struct tool *tool, struct newoffice *made, FILE *copy) {
	_cleanup_(writer_done) struct writer w;
	struct id present;
	int r;

	writer_init_grow(&w);
	r = newoffice_keys(tool, made);
	if (r == DONE)
		r = newoffice_present(tool, &present);
	if (r == DONE && !id_is_nil(&present))
		r = refuse(_("there is an office in %s already; it stays as it is"), tool->home);
	if (r == DONE)
		r = newoffice_id(made);
	if (r == DONE) /* first: once there is an office, none is made again */
		r = newoffice_request(tool, made, &w);
	if (r == DONE)
		r = newoffice_store(tool, &(struct enrol_office){ .office = made->office }, 1, (struct span){ 0 });
	if (r == DONE && copy && (fwrite(w.data, 1, w.len, copy) != w.len || fflush(copy) != 0))
		r = fail(_("cannot write the request: %s"), strerror(errno));
	return r;
}

static void next_steps(const struct tool *tool, const struct newoffice *made, const char *code) {
	char fingerprint[FINGERPRINT_MAX];

	enrolment_fingerprint(&made->office, fingerprint);
	say(_("The office %s %.*s is made in %s."), code, (int)made->office.name.len,
		(const char *)made->office.name.data, tool->home);
	say(_("Its fingerprint, to compare over the telephone: %s"), fingerprint);
	say(_("Next: carry %s/request to the office above; there: lienthong office add FILE"), tool->home);
	say(_("Then start the node here, and hand it the answer: lienthong join ANSWER"));
	say(_("The topmost office has nothing to join: just start its node."));
}

int command_init(struct tool *tool, int argc, char **argv) {
	_cleanup_(newoffice_done) struct newoffice made = { 0 };
	const char *code = NULL, *name = NULL, *level = NULL;
	const char *request = NULL;
	const struct option_def options[] = {
		{ "code", N_("DIGITS"), N_("official code: 2 digits (province), 3 (district), 5 (commune)"),
			.value = &code },
		{ "name", N_("NAME"), N_("of the office"), .value = &name },
		{ "level", N_("WORD"), N_("commune, district, province, or what your levels are called"),
			.value = &level },
		{ "request", N_("FILE"), N_("write the request for the office above here too"),
			.value = &request },
	};
	const struct usage usage = { "init", NULL,
		N_("Makes a new office on this computer: its keys, its empty store, and the request with which the office above enrols it. To be done once, before the node is first started."),
		options, N_ELEMENTS(options), 0, 0 };
	FILE *copy = NULL;
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	if (!code || !name || !level)
		return misuse(_("say who the office is, for example: lienthong init --code 09163 --name \"Phường Vũ Ninh\" --level commune"));
	ending = newoffice_describe(&made, code, name, level);
	if (ending)
		return ending;
	if (request) { /* opened now, since the owner of the home may not be allowed to */
		copy = fopen(request, "wxe");
		if (!copy)
			return fail(_("cannot write %s: %s"), request, strerror(errno));
	}
	ending = initialise(tool, &made, copy);
	if (copy) {
		(void)fclose(copy);
		if (ending)
			(void)unlink(request);
	}
	if (ending == DONE)
		next_steps(tool, &made, code);
	return ending;
}
