/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The command line as it is documented: how it ends, what it prints for programs, and what it says
 * where something is in its way.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <signal.h>
#include <unistd.h>

#include "tests/cluster/cli.h"
#include "tests/cluster/ctl.h"
#include "tests/cluster/tree.h"

#define ADD "petition", "add", "--category", "land", "--organisation", "front", "--text"

static struct proc *running_office(void) {
	struct proc *proc = proc_new("Đại Đồng", 9163, 5, false);

	proc_start(proc);
	return proc;
}

/* What it prints for programs; it must end with 0. */
static json_t *json_of(const char *home, const char *const *args) {
	struct cli cli;
	json_error_t error;
	json_t *value;

	cr_assert_eq(cli_run(&cli, home, args), 0, "%s: %d %s", args[0], cli.status, cli.err);
	value = json_loads(cli.out, 0, &error);
	cr_assert(value, "%s: %s: %s", args[0], error.text, cli.out);
	cli_done(&cli);
	return value;
}
#define JSON(home, ...) json_of(home, (const char *const[]){ __VA_ARGS__, "--json", NULL })

static size_t count(const char *home, const char *group) {
	json_t *rows = JSON(home, group, "list");
	size_t n = json_array_size(rows);

	json_decref(rows);
	return n;
}

Test(cli, what_is_kept_is_said_to_be_also_where_it_cannot_be_shown, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = running_office();
	static const char *const adds[][10] = {
		{ ADD, "một" },
		{ ADD, "hai", "--json" },
		{ "meeting", "add", "--type", "other", "--organisation", "front", "--attendance", "5" },
	};

	for (size_t i = 0; i < N_ELEMENTS(adds); i++) {
		struct cli cli;

		cli_start(&cli, proc->home, "/dev/full", adds[i]);
		cli_wait(&cli, CLI_PATIENT_MS);
		cr_expect_eq(cli_code(&cli), 1, "%s: %d", adds[i][0], cli.status);
		cr_expect(strstr(cli.err, "No space left on device"), "%s", cli.err);
		cr_expect_null(strstr(cli.err, "memory"), "%s", cli.err);
		cr_expect(strstr(cli.err, i < 2 ? "it is kept all the same, as 09163-" :
						  "it is kept all the same, as "), "%s", cli.err);
		cli_done(&cli);
	}
	cr_expect_eq(count(proc->home, "petition"), 2);
	cr_expect_eq(count(proc->home, "meeting"), 1);
}

Test(cli, what_is_only_looked_at_says_why_it_cannot_be_shown, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = proc_new("Đại Đồng", 9163, 5, false);
	struct cli cli;

	cli_start(&cli, proc->home, "/dev/full", (const char *const[]){ "status", "--json", NULL });
	cli_wait(&cli, CLI_PATIENT_MS);
	cr_expect_eq(cli_code(&cli), 1);
	cr_expect(strstr(cli.err, "No space left on device"), "%s", cli.err);
	cr_expect_null(strstr(cli.err, "kept"), "%s", cli.err);
	cli_done(&cli);
}
