/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A computer is lost and its office put back from a copy, or runs twice; a key is changed while the node is
 * ended at any moment; an office moves. Nothing that was acknowledged is lost, and everybody goes on believing
 * the office.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/cluster/cli.h"
#include "tests/cluster/ctl.h"

enum {
	PATIENT_MS = 60000,
	BEFORE = 40,
	AFTER = 25,
};

#define JSON(home, ...) cli_json(home, (const char *const[]){ __VA_ARGS__, NULL })
#define RUN(home, code, ...) run(home, code, (const char *const[]){ __VA_ARGS__, NULL })

static void run(const char *home, int code, const char *const *args) {
	struct cli cli;

	cr_assert_eq(cli_run(&cli, home, args), code, "%s: %s%s", args[0], cli.out, cli.err);
	cli_done(&cli);
}

static void pair(struct proc **ret_district, struct proc **ret_commune) {
	*ret_district = proc_new("Tiên Du", 260, 3, true);
	*ret_commune = proc_new("Đại Đồng", 9163, 5, false);
	proc_start(*ret_district);
	proc_start(*ret_commune);
	ctl_enrol(*ret_district, *ret_commune);
}

/* Petitions received, as an office's own tables have them of all below it. */
static json_int_t received(const struct proc *at) {
	json_t *rows = JSON(at->home, "tally", "--json");
	json_t *row;
	json_int_t n = -1;
	size_t i;

	json_array_foreach (json_object_get(rows, "petitions"), i, row)
		if (strcmp(json_string_value(json_object_get(row, "measure")), "received") == 0)
			n = json_integer_value(json_object_get(row, "count"));
	json_decref(rows);
	return n;
}

static void wait_received(const struct proc *at, json_int_t n) {
	uint64_t until_ms = proc_now_ms() + PATIENT_MS;

	while (received(at) != n) {
		cr_assert_lt(proc_now_ms(), until_ms, "%lld petitions, not %lld", received(at), n);
		proc_pause_ms(100);
	}
}

/* It is refused until the office above has all that this one has of the other. */
static void wait_moved(const struct proc *from, const char *to) {
	uint64_t until_ms = proc_now_ms() + PATIENT_MS;
	struct cli cli;

	while (CLI(&cli, from->home, "office", "move", "09163", "--to", to) == 3) {
		cr_assert_lt(proc_now_ms(), until_ms, "%s", cli.err);
		cli_done(&cli);
		proc_pause_ms(100);
	}
	cr_assert_eq(cli_code(&cli), 0, "%s", cli.err);
	cli_done(&cli);
}

/* Until its queue gives that reason for what waits. */
static void wait_why(const struct proc *office, const char *why) {
	uint64_t until_ms = proc_now_ms() + PATIENT_MS;
	bool is_it = false;

	while (!is_it) {
		json_t *rows = JSON(office->home, "queue", "--json");
		const char *said = json_string_value(json_object_get(json_array_get(rows, 0), "why"));

		is_it = said && strcmp(said, why) == 0;
		cr_assert_lt(proc_now_ms(), until_ms, "%s", said ? said : "nothing");
		json_decref(rows);
		if (!is_it)
			proc_pause_ms(100);
	}
}

/* For who trusts the register, and for who has but the topmost office's fingerprint. */
static void expect_in_order(const struct proc *office) {
	json_t *rows = JSON(office->home, "office", "list", "--json"), *row;
	size_t i;

	RUN(office->home, 0, "verify");
	json_array_foreach (rows, i, row)
		if (json_is_null(json_object_get(row, "parent")))
			RUN(office->home, 0, "verify", "--root", json_string_value(json_object_get(row, "root_fingerprint")));
	json_decref(rows);
}

static void wait_epoch(const struct proc *office, json_int_t epoch) {
	uint64_t until_ms = proc_now_ms() + PATIENT_MS;

	for (json_int_t now = 0; now != epoch; proc_pause_ms(100)) {
		json_t *status = JSON(office->home, "status", "--json");

		now = json_integer_value(json_object_get(json_object_get(status, "office"), "epoch"));
		json_decref(status);
		cr_assert_lt(proc_now_ms(), until_ms, "epoch %lld", now);
	}
}

Test(copies, a_lost_office_is_put_back_from_a_backup_that_was_taken_while_it_worked, .timeout = 300) {
	struct proc *district, *commune;
	char copy[96], lost[96], command[512];
	struct stat st;

	pair(&district, &commune);
	ctl_take_petitions(commune, BEFORE, 2);
	RUN(commune->home, 0, "petition", "add", "--category", "land", "--organisation", "front", "--text", "Đường hỏng",
		"--petitioner", "Nguyễn Thị Hồng Nhung", "--contact", "0912345678");
	snprintf(copy, sizeof(copy), "%s.copy", commune->home);
	RUN(commune->home, 0, "backup", copy);
	RUN(commune->home, 3, "backup", copy);
	cr_assert_eq(stat(copy, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0700);

	/* the keys to who asked are not in it, and so nothing is there to read */
	snprintf(command, sizeof(command), "! grep -rqaE 'Hồng Nhung|0912345678' '%s' '%s'", copy, district->home);
	cr_expect_eq(system(command), 0);
	snprintf(command, sizeof(command), "ls '%s' | grep -q '^private-'", copy);
	cr_expect_neq(system(command), 0);

	ctl_take_petitions(commune, AFTER, 2);
	wait_received(district, BEFORE + 1 + AFTER);
	proc_kill9(commune);
	snprintf(lost, sizeof(lost), "%s.lost", commune->home);
	cr_assert_eq(rename(commune->home, lost), 0);
	cr_assert_eq(mkdir(commune->home, 0700), 0);
	snprintf(command, sizeof(command), "cd '%s' && mkdir -p restore.part/store && cp '%s/keys' . && head -c 5000 '%s/store/data.mdb' >restore.part/store/data.mdb",
		commune->home, copy, copy);
	cr_assert_eq(system(command), 0); /* as a power cut leaves it */
	RUN(commune->home, 0, "restore", copy);
	RUN(commune->home, 3, "restore", copy);
	proc_start(commune);
	wait_epoch(commune, 2);
	cr_expect_eq(received(commune), BEFORE + 1 + AFTER);
	RUN(commune->home, 3, "petition", "show", "09163-24-00001-00", "--private", "--reason", "?");
	ctl_take_petitions(commune, 5, 1);
	wait_received(district, BEFORE + 1 + AFTER + 5);
	expect_in_order(commune);
	expect_in_order(district);

	/* the lost disk is found: it is told that it is old, and what it alone took in is not lost */
	proc_stop(commune);
	proc_remove(copy);
	cr_assert_eq(rename(commune->home, copy), 0);
	cr_assert_eq(rename(lost, commune->home), 0);
	RUN(commune->home, 0, "restore", "--here");
	proc_start(commune);
	wait_epoch(commune, 3);
	ctl_take_petitions(commune, 1, 1);
	wait_received(district, BEFORE + 1 + AFTER + 6);
	expect_in_order(commune);
	expect_in_order(district);
	proc_remove(copy);
	proc_free(commune);
	proc_free(district);
}

/* What had not reached the office above was written again: there it is proved, and there is a receipt for it. */
Test(copies, what_was_written_again_is_proved_where_it_is, .timeout = 300) {
	const char *const add[] = { "petition", "add", "--category", "land", "--organisation", "front", "--text", "Đường hỏng", NULL };
	struct proc *district, *commune;
	char reference[32], file[96];
	json_t *proof;
	struct cli cli;

	pair(&district, &commune);
	ctl_take_petitions(commune, 5, 1);
	wait_received(district, 5);
	proc_stop(district);
	cr_assert_eq(cli_run(&cli, commune->home, add), 0);
	snprintf(reference, sizeof(reference), "%.*s", (int)strcspn(cli.out, "\n"), cli.out);
	cli_done(&cli);
	proc_stop(commune);
	RUN(commune->home, 0, "restore", "--here");
	proc_start(district);
	proc_start(commune);
	wait_epoch(commune, 2);
	wait_received(district, 6);
	snprintf(file, sizeof(file), "%s.proof", commune->home);
	RUN(commune->home, 0, "prove", reference, "--out", file);
	proof = JSON(district->home, "verify", file, "--json");
	cr_expect(json_is_true(json_object_get(proof, "ok")));
	json_decref(proof);
	RUN(commune->home, 0, "receipt", reference);
	RUN(district->home, 0, "prove", reference, "--out", file);
	/* there is more of the old life than counts: its head is that where it ended */
	RUN(commune->home, 0, "checkpoint");
	RUN(commune->home, 0, "checkpoint", "--since", "1");
	(void)unlink(file);
	proc_free(commune);
	proc_free(district);
}

Test(copies, a_key_is_changed_whenever_the_node_is_ended, .timeout = 300) {
	struct proc *district, *commune;
	unsigned n = 0;

	pair(&district, &commune);
	for (unsigned i = 0; i < 12; i++) {
		const char *const args[] = { "key", "rotate", NULL };
		struct cli cli;

		ctl_take_petitions(commune, 2, 1);
		n += 2;
		cli_start(&cli, commune->home, NULL, args);
		proc_pause_ms(4 * i); /* before it asks, while it is done, after */
		proc_kill9(commune);
		cli_wait(&cli, CLI_PATIENT_MS);
		cli_done(&cli);
		proc_start(commune);
	}
	wait_received(district, n);
	RUN(commune->home, 0, "key", "rotate");
	ctl_take_petitions(commune, 1, 1);
	wait_received(district, n + 1);
	expect_in_order(commune);
	expect_in_order(district);
	proc_free(commune);
	proc_free(district);
}

Test(copies, an_office_moves_from_one_district_to_another, .timeout = 300) {
	struct proc *province = proc_new("Bắc Ninh", 27, 2, true), *from = proc_new("Tiên Du", 260, 3, true),
		    *to = proc_new("Quế Võ", 259, 3, true), *commune = proc_new("Đại Đồng", 9163, 5, false);
	struct proc *const all[] = { province, from, to, commune };
	uint8_t answer[16384];
	size_t len;

	for (size_t i = 0; i < N_ELEMENTS(all); i++)
		proc_start(all[i]);
	ctl_enrol(province, from);
	ctl_enrol(province, to);
	ctl_enrol(from, commune);
	ctl_take_petitions(commune, 10, 2);
	wait_received(province, 10);
	RUN(from->home, 3, "office", "move", "9163", "--to", "260");
	wait_moved(from, "259");
	RUN(from->home, 0, "office", "move", "09163", "--to", "260"); /* taken back */
	wait_moved(from, "259");
	expect_in_order(from); /* the new parent has not said so yet */
	wait_why(commune, "handed-over");
	ctl_take_petitions(commune, 5, 1);
	len = ctl_add_office(to, &commune->office, &commune->keys, answer);
	ctl_join(commune, (struct span){ answer, len });
	ctl_take_petitions(commune, 1, 1);
	wait_received(province, 16);
	wait_received(to, 16);
	for (size_t i = 0; i < N_ELEMENTS(all); i++) {
		expect_in_order(all[i]);
		proc_free(all[i]);
	}
}
