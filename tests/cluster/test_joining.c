/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A new office joins with the text its parent made: two commands and a telephone call, whatever is
 * ended or cut off in between, and nobody else with it.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "proto/invite.h"
#include "tests/cluster/cli.h"

#define INVITE "invite", "--code", "09163", "--name", "Đại Đồng", "--level", "commune", "--json"

#define JSON(home, ...) cli_json(home, (const char *const[]){ __VA_ARGS__, NULL })

static const char *text_at(const json_t *object, const char *key) {
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static struct proc *district(void) {
	struct proc *proc = proc_new("Tiên Du", 260, 3, true);

	proc_start(proc);
	return proc;
}

/* The one that was invited, once it is @state. */
static json_t *pending(const struct proc *parent, const char *state) {
	uint64_t until_ms = proc_now_ms() + 30000;

	for (;;) {
		json_t *rows = JSON(parent->home, "office", "pending", "--all", "--json");
		json_t *row = json_incref(json_array_get(rows, json_array_size(rows) - 1));

		json_decref(rows);
		if (strcmp(text_at(row, "state"), state) == 0)
			return row;
		cr_assert_lt(proc_now_ms(), until_ms, "it is \"%s\"", text_at(row, "state"));
		json_decref(row);
		proc_pause_ms(50);
	}
}

static void join_start(struct cli *ret_cli, const struct proc *office, const char *text) {
	cli_start(ret_cli, office->home, NULL, (const char *const[]){ "join", text, "--wait", "30", NULL });
}

/* Ends a join that waits, as a power cut would; until then it has read @row's words out. */
static void cut_off(struct cli *cli, const json_t *row) {
	cr_assert_eq(poll(&(struct pollfd){ .fd = cli->out_fd, .events = POLLIN }, 1, 30000), 1);
	cr_assert_eq(kill(cli->pid, SIGKILL), 0);
	cli_wait(cli, CLI_PATIENT_MS);
	cr_expect_neq(text_at(row, "words_vi")[0], '\0');
	cr_expect(strstr(cli->out, text_at(row, "words_vi")), "%s", cli->out);
	cr_expect(strstr(cli->out, text_at(row, "words_en")), "%s", cli->out);
	cli_done(cli);
}

/* What becomes of a home without an office: nothing is in it but an empty directory. */
static struct proc *new_home(void) {
	struct proc *office = calloc(1, sizeof(*office));

	cr_assert(office);
	proc_directory(office->home);
	return office;
}

/* A command that needs nobody at a terminal: its exit code, and words that are in what it says. */
static void expect(const char *home, int code, const char *words, const char *const *args) {
	struct cli cli;

	cr_expect_eq(cli_run(&cli, home, args), code, "%s: %s", args[0], cli.err);
	cr_expect(strstr(cli.err, words), "%s: no \"%s\" in: %s", args[0], words, cli.err);
	cli_done(&cli);
}
#define EXPECT(home, code, words, ...) expect(home, code, words, (const char *const[]){ __VA_ARGS__, NULL })

static void expect_join(const struct proc *office, const char *text, int code, const char *words) {
	struct cli cli;

	cr_expect_eq(CLI(&cli, office->home, "join", text, "--wait", "30"), code, "%s", cli.err);
	cr_expect(strstr(cli.err, words), "no \"%s\" in: %s", words, cli.err);
	cli_done(&cli);
}

/* The node has said @words to whoever runs it. */
static void expect_logged(const struct proc *proc, const char *words) {
	char path[96], text[8192];
	size_t len;
	FILE *f;

	proc_log_path(proc, path);
	f = fopen(path, "r");
	cr_assert(f);
	len = fread(text, 1, sizeof(text) - 1, f);
	text[len] = '\0';
	fclose(f);
	cr_expect(strstr(text, words), "no \"%s\" in: %s", words, text);
}

/* Its node starts, and what it writes arrives above. */
static void expect_at_work(struct proc *office, const struct proc *parent) {
	uint64_t until_ms = proc_now_ms() + 30000;
	size_t n = 0;

	proc_start(office);
	json_decref(JSON(office->home, "petition", "add", "--category", "land", "--organisation", "front",
		"--text", "x", "--json"));
	while (n == 0 && proc_now_ms() < until_ms) {
		json_t *rows = JSON(parent->home, "petition", "list", "--json");

		n = json_array_size(rows);
		json_decref(rows);
		proc_pause_ms(50);
	}
	cr_expect_eq(n, 1, "%zu petitions came up", n);
}

Test(joining, two_people_compare_five_words_and_the_office_is_at_work, .timeout = 120) {
	_cleanup_(proc_freep) struct proc *parent = district(), *office = new_home(), *thief = new_home();
	json_t *invite = JSON(parent->home, INVITE), *row;
	const char *text = text_at(invite, "text");
	struct cli joining, cli;

	cr_expect_eq(CLI(&cli, parent->home, "office", "accept", "09163"), 3, "%s%s", cli.out, cli.err);
	cli_done(&cli);
	json_decref(pending(parent, "not asked yet"));

	join_start(&joining, office, text);
	row = pending(parent, "asks to be accepted");
	cut_off(&joining, row);
	json_decref(pending(parent, "asks to be accepted"));

	expect_join(thief, text, 3, "another computer");
	join_start(&joining, office, text);
	proc_kill9(parent);
	proc_start(parent);
	cr_expect_eq(CLI(&cli, parent->home, "office", "accept", "09163"), 0, "%s", cli.err);
	cli_done(&cli);
	cli_wait(&joining, CLI_PATIENT_MS);
	cr_assert_eq(cli_code(&joining), 0, "%s", joining.err);
	cli_done(&joining);

	expect_at_work(office, parent);
	expect_join(office, text, 0, "");
	expect_join(thief, text, 3, "another computer");
	expect_logged(parent, "tried by another computer");
	cr_expect_eq(CLI(&cli, parent->home, "office", "accept", "09163"), 3, "it is accepted already");
	cli_done(&cli);
	json_decref(row);
	json_decref(invite);
	/* an invitation that was made is told, though the file for it cannot be written */
	cr_expect_eq(CLI(&cli, parent->home, "invite", "--code", "09166", "--name", "Cảnh Hưng", "--level", "commune",
		"--file", parent->home), 1);
	cr_expect_not_null(strstr(cli.out, "lienthong-"), "%s%s", cli.out, cli.err);
	cli_done(&cli);
}

Test(joining, who_was_accepted_while_it_was_away_hears_of_it_later, .timeout = 120) {
	_cleanup_(proc_freep) struct proc *parent = district(), *office = new_home();
	json_t *invite = JSON(parent->home, INVITE), *row;
	struct cli joining, cli;

	join_start(&joining, office, text_at(invite, "text"));
	row = pending(parent, "asks to be accepted");
	cut_off(&joining, row);
	cr_expect_eq(CLI(&cli, parent->home, "office", "accept", "Đại Đồng"), 0, "%s", cli.err);
	cli_done(&cli);
	proc_kill9(parent);
	proc_start(parent);
	expect_join(office, text_at(invite, "text"), 0, "");
	expect_at_work(office, parent);
	json_decref(row);
	json_decref(invite);
}

Test(joining, who_is_refused_is_told_and_can_be_invited_again, .timeout = 120) {
	_cleanup_(proc_freep) struct proc *parent = district(), *office = new_home(), *other = new_home();
	json_t *invite = JSON(parent->home, INVITE), *again;
	char path[96];
	struct stat st;
	struct cli joining, cli;

	join_start(&joining, office, text_at(invite, "text"));
	json_decref(pending(parent, "asks to be accepted"));
	cr_expect_eq(CLI(&cli, parent->home, "office", "refuse", "09163"), 0, "%s", cli.err);
	cli_done(&cli);
	cli_wait(&joining, CLI_PATIENT_MS);
	cr_expect_eq(cli_code(&joining), 3, "%s", joining.err);
	cr_expect(strstr(joining.err, "has refused"), "%s", joining.err);
	cli_done(&joining);

	json_decref(JSON(parent->home, INVITE, "--auto"));
	EXPECT(parent->home, 0, "", "office", "refuse", "09163");
	EXPECT(parent->home, 3, "nobody", "office", "refuse", "09163");

	snprintf(path, sizeof(path), "%s/text", other->home);
	again = JSON(parent->home, INVITE, "--auto", "--file", path);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600, "whoever can read it can ask");
	expect_join(other, path, 0, "");
	json_decref(pending(parent, "accepted"));
	expect_at_work(other, parent);
	json_decref(again);
	json_decref(invite);
}

Test(joining, where_there_is_an_office_nothing_is_asked_with_its_keys, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *parent = district(), *other = proc_new("Tân Lập", 9200, 5, false);
	json_t *invite = JSON(parent->home, INVITE, "--auto");

	expect_join(parent, text_at(invite, "text"), 3, "there is an office");
	expect_join(other, text_at(invite, "text"), 3, "there is an office");
	json_decref(pending(parent, "not asked yet"));
	json_decref(invite);
}

static void own_fingerprint(const struct proc *office, char ret_text[64]) {
	json_t *rows = JSON(office->home, "office", "list", "--json");
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row)
		if (json_is_true(json_object_get(row, "own")))
			snprintf(ret_text, 64, "%s", text_at(row, "fingerprint"));
	json_decref(rows);
}

static size_t count_offices(const struct proc *office) {
	json_t *rows = JSON(office->home, "office", "list", "--json");
	size_t n = json_array_size(rows);

	json_decref(rows);
	return n;
}

Test(joining, files_are_taken_only_from_whom_they_are_said_to_be, .timeout = 120) {
	_cleanup_(proc_freep) struct proc *parent = district(), *office = new_home();
	char request[96], answer[96], below[64], above[64];

	snprintf(request, sizeof(request), "%s/request", office->home);
	snprintf(answer, sizeof(answer), "%s/answer", office->home);
	EXPECT(office->home, 0, "", "init", "--code", "09163", "--name", "Đại Đồng", "--level", "commune");
	own_fingerprint(office, below);
	own_fingerprint(parent, above);

	EXPECT(parent->home, 2, "over the telephone", "office", "add", request, "--out", answer);
	EXPECT(parent->home, 3, "another one", "office", "add", request, "--out", answer, "--fingerprint", above);
	EXPECT(parent->home, 2, "not a fingerprint", "office", "add", request, "--out", answer, "--fingerprint", "4711");
	cr_expect_eq(count_offices(parent), 1, "nobody is enrolled before it was compared");
	EXPECT(parent->home, 0, "", "office", "add", request, "--out", answer, "--fingerprint", below);
	cr_expect_eq(count_offices(parent), 2);

	proc_start(office);
	EXPECT(office->home, 2, "over the telephone", "join", answer);
	EXPECT(office->home, 3, "another one", "join", answer, "--fingerprint", below);
	cr_expect_eq(count_offices(office), 1);
	EXPECT(office->home, 0, "", "join", answer, "--fingerprint", above);
	cr_expect_eq(count_offices(office), 2);
	EXPECT(office->home, 0, "", "join", answer, "--yes");
	EXPECT(parent->home, 0, "", "office", "add", request, "--out", answer, "--yes");
}

/* @text with another token, or of another day. */
static void alter(const char *text, bool token, char ret_text[INVITE_TEXT_MAX]) {
	uint8_t buf[INVITE_TEXT_MAX];
	struct invite invite;

	cr_assert_eq(invite_read(span_str(text), buf, &invite), 0);
	if (token)
		invite.token[5] ^= 1;
	else
		invite.expires_ms = 1717200000000;
	cr_assert_eq(invite_write(&invite, ret_text), 0);
}

Test(joining, why_nothing_comes_of_it_is_said, .timeout = 120) {
	_cleanup_(proc_freep) struct proc *parent = district(), *office = new_home();
	json_t *invite = JSON(parent->home, INVITE);
	char text[INVITE_TEXT_MAX];
	struct cli cli;

	alter(text_at(invite, "text"), true, text);
	expect_join(office, text, 3, "does not know this invitation");
	proc_kill9(parent);
	alter(text_at(invite, "text"), false, text);
	cr_expect_eq(CLI(&cli, office->home, "join", text, "--wait", "1"), 1);
	cr_expect(strstr(cli.out, "has expired"), "%s%s", cli.out, cli.err);
	cli_done(&cli);
	json_decref(invite);
}

Test(joining, a_text_that_is_no_invitation_is_said, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *parent = district(), *office = new_home();
	json_t *invite = JSON(parent->home, INVITE);
	const char *text = text_at(invite, "text");
	char *wrong = strdup(text), path[96];
	struct cli cli;

	cr_assert(wrong);
	wrong[40] = wrong[40] == 'A' ? 'B' : 'A';
	expect_join(office, wrong, 2, "not a whole invitation");
	wrong[40] = text[40];
	wrong[strlen(wrong) - 1] = '\0';
	expect_join(office, wrong, 2, "not a whole invitation");
	EXPECT(office->home, 2, "no invitation", "join", "lienthong", text + strlen("lienthong-"));
	EXPECT(office->home, 1, "cannot read", "join", "no-such-file");
	snprintf(path, sizeof(path), "%s/pipe", office->home);
	cr_assert_eq(mkfifo(path, 0600), 0);
	EXPECT(office->home, 1, "cannot read", "join", path);
	cr_assert_eq(chmod(office->home, 0707), 0);
	EXPECT(office->home, 1, "others can write to it", "join", text);
	EXPECT(office->home, 1, "others can write to it", "init", "--code", "09163", "--name", "x", "--level", "x");
	cr_expect_eq(CLI(&cli, parent->home, "invite", "--code", "9163", "--name", "x", "--level", "x"), 2);
	cli_done(&cli);
	cr_expect_eq(CLI(&cli, parent->home, INVITE, "--days", "0"), 2);
	cli_done(&cli);
	free(wrong);
	json_decref(invite);
}
