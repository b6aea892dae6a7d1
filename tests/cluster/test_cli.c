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

static const char *text_of(json_t *object, const char *key) {
	json_t *value = json_object_get(object, key);

	cr_assert(value, "%s is not there", key);
	return json_is_null(value) ? "null" : json_string_value(value);
}

Test(cli, why_nothing_moves_is_a_word_for_programs, .timeout = 60) {
	_cleanup_(tree_done) struct tree tree = { 0 };
	const struct proc *child;
	json_t *rows, *row;

	tree_add(&tree, "Tiên Du", 260, 3, -1, true);
	tree_add(&tree, "Đại Đồng", 9163, 5, 0, false);
	child = tree.procs[1];
	proc_stop(tree.procs[0]);
	for (unsigned i = 0; i < 200; i++) { /* the link is lost first, then nobody answers */
		bool there;

		rows = JSON(child->home, "queue");
		there = strcmp(text_of(json_array_get(rows, 0), "why"), "no-answer") == 0;
		if (there)
			break;
		json_decref(rows);
		rows = NULL;
		proc_pause_ms(50);
	}
	cr_assert(rows, "the word never came");
	row = json_array_get(rows, 0);
	cr_expect_str_eq(text_of(row, "why_detail"), tree.procs[0]->listen);
	json_decref(rows);
	proc_stop(tree.procs[1]);
	rows = JSON(child->home, "queue");
	row = json_array_get(rows, 0);
	cr_expect_str_eq(text_of(row, "why"), "node-down");
	cr_expect_str_eq(text_of(row, "why_detail"), "null");
	json_decref(rows);
}

static char *said(const char *home, const char *language, const char *const *args) {
	struct cli cli;
	char *out;

	(void)setenv("LC_ALL", "C.UTF-8", 1);
	(void)setenv("LANGUAGE", language, 1);
	(void)setenv("LD_PRELOAD", getenv("LIENTHONG_TEXTS_MODULE"), 1);
	(void)cli_run(&cli, home, args);
	(void)unsetenv("LD_PRELOAD");
	out = cli.out;
	cli.out = NULL;
	cli_done(&cli);
	return out;
}

/* What changes from one second to the next is asked for again. */
static bool same_in_both(const char *home, const char *const *args) {
	bool same = false;

	for (unsigned i = 0; i < 3 && !same; i++) {
		char *english = said(home, "en", args), *vietnamese = said(home, "vi", args);

		same = english[0] && strcmp(english, vietnamese) == 0;
		free(english);
		free(vietnamese);
	}
	return same;
}

Test(cli, a_program_reads_the_same_in_every_language, .timeout = 120) {
	static const char *const commands[][3] = {
		{ "status" }, { "queue" }, { "log" }, { "verify" }, { "petition", "list" },
		{ "office", "list" }, { "tally" }, { "escalations" },
	};
	_cleanup_(tree_done) struct tree tree = { 0 };
	const char *home;
	char path[96];

	if (getenv("LIENTHONGD_SANITIZED"))
		cr_skip_test("nothing may be loaded before a sanitizer");
	tree_add(&tree, "Tiên Du", 260, 3, -1, true);
	tree_add(&tree, "Đại Đồng", 9163, 5, 0, false);
	proc_stop(tree.procs[0]);
	ctl_take_petitions(tree.procs[1], 50, 10);
	proc_stop(tree.procs[1]);
	home = tree.procs[1]->home;
	for (size_t i = 0; i < N_ELEMENTS(commands); i++) {
		const char *json[] = { "--json", commands[i][0], commands[i][1], NULL };
		const char *table[] = { commands[i][0], commands[i][1], NULL };

		cr_expect(same_in_both(home, json), "%s --json", commands[i][0]);
		cr_expect_not(same_in_both(home, table), "%s is not translated", commands[i][0]);
	}
	snprintf(path, sizeof(path), "%s/store/data.mdb", home);
	cr_assert_eq(truncate(path, 16 * 4096), 0);
	cr_expect(same_in_both(home, (const char *const[]){ "verify", "--json", NULL }));
}

static void start_adding(struct cli *ret_cli, const struct proc *proc, const char *text) {
	cli_start(ret_cli, proc->home, NULL, (const char *const[]){ ADD, text, NULL });
}

Test(cli, a_node_that_is_held_up_is_waited_for_with_a_word, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = running_office();
	struct cli cli;

	cr_assert_eq(kill(proc->pid, SIGSTOP), 0);
	start_adding(&cli, proc, "một");
	proc_pause_ms(4000);
	cr_assert_eq(kill(proc->pid, SIGCONT), 0);
	cli_wait(&cli, CLI_PATIENT_MS);
	cr_expect_eq(cli_code(&cli), 0, "%d %s", cli.status, cli.err);
	cr_expect_str_eq(cli.err, "lienthong: waiting for the node ...\n");
	cr_expect_eq(strncmp(cli.out, "09163-", 6), 0, "%s", cli.out);
	cli_done(&cli);
	cr_expect_eq(count(proc->home, "petition"), 1);
}

Test(cli, what_a_killed_node_may_have_kept_is_not_asserted, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = running_office();
	struct cli cli;
	uint64_t killed_ms;

	cr_assert_eq(kill(proc->pid, SIGSTOP), 0);
	start_adding(&cli, proc, "một");
	proc_pause_ms(1000);
	proc_kill9(proc);
	killed_ms = proc_now_ms();
	cli_wait(&cli, CLI_PATIENT_MS);
	cr_expect_eq(cli_code(&cli), 1, "%d %s", cli.status, cli.err);
	cr_expect_lt(proc_now_ms() - killed_ms, 15000, "it waits for a node that is not there");
	cr_expect(strstr(cli.err, "whether the petition is kept is not known"), "%s", cli.err);
	cr_expect(strstr(cli.err, "lienthong petition list"), "%s", cli.err);
	cli_done(&cli);
}

Test(cli, a_node_that_comes_back_is_asked_again, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = running_office();
	struct cli cli;

	cr_assert_eq(kill(proc->pid, SIGSTOP), 0);
	start_adding(&cli, proc, "một");
	proc_pause_ms(500);
	proc_kill9(proc);
	proc_pause_ms(1000);
	proc_start(proc);
	cli_wait(&cli, CLI_PATIENT_MS);
	cr_expect_eq(cli_code(&cli), 0, "%d %s", cli.status, cli.err);
	cr_expect(strstr(cli.err, "waiting for it to come back"), "%s", cli.err);
	cr_expect_lt(cli.took_ms, 10000);
	cli_done(&cli);
	cr_expect_eq(count(proc->home, "petition"), 1);
}

Test(cli, the_change_stream_outlives_its_node, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = running_office();
	struct cli cli;

	cli_start(&cli, proc->home, NULL, (const char *const[]){ "stream", NULL });
	proc_pause_ms(500);
	proc_kill9(proc);
	proc_start(proc);
	ctl_take_petitions(proc, 1, 1);
	proc_pause_ms(7000); /* it asks when nothing came for a while */
	cli_wait(&cli, 0);
	cr_expect_eq(cli.status, -1, "it ended: %s", cli.err);
	cr_expect(strstr(cli.out, "\"type\":\"tally\""), "%s", cli.out);
	cli_done(&cli);
}
