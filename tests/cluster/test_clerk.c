/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a clerk types: the petition, office, number, date or file that was meant, or words on what is
 * wrong with it.
 */
#include <criterion/criterion.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/cluster/cli.h"

#define ADD "petition", "add", "--category", "land", "--organisation", "front"
#define HEADER "number,received,organisation,kind,village,category,channel,people,urgent,text,asked_of\n"

static struct proc *running_office(void) {
	struct proc *proc = proc_new("Đại Đồng", 9163, 5, false);

	proc_start(proc);
	return proc;
}

/* That a command ends with @code and says @words on stderr. */
static void expect(const char *home, int code, const char *words, const char *const *args) {
	struct cli cli;

	cr_expect_eq(cli_run(&cli, home, args), code, "%s %s: %s", args[0], args[1], cli.err);
	cr_expect(strstr(cli.err, words), "%s %s: no \"%s\" in: %s", args[0], args[1], words, cli.err);
	cli_done(&cli);
}
#define EXPECT(home, code, words, ...)                                                             \
	expect(home, code, words, (const char *const[]){ __VA_ARGS__, NULL })

#define JSON(home, ...) cli_json(home, (const char *const[]){ __VA_ARGS__, NULL })

static json_int_t get(const json_t *object, const char *key) {
	return json_integer_value(json_object_get(object, key));
}

/* A file of petitions beside the store. */
static void write_rows(const struct proc *proc, const char *rows, char ret_path[96]) {
	FILE *f;

	snprintf(ret_path, 96, "%s/rows.csv", proc->home);
	f = fopen(ret_path, "w");
	cr_assert(f);
	cr_assert(fputs(HEADER, f) >= 0 && fputs(rows, f) >= 0);
	cr_assert_eq(fclose(f), 0);
}

Test(clerk, names_a_petition_by_what_is_at_hand, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = running_office();
	json_t *added = JSON(proc->home, ADD, "--text", "x", "--number", "12/2024", "--json");
	const char *id = json_string_value(json_object_get(added, "id"));
	const char *reference = json_string_value(json_object_get(added, "reference"));

	EXPECT(proc->home, 0, "", "petition", "show", id);
	EXPECT(proc->home, 0, "", "petition", "show", reference);
	EXPECT(proc->home, 0, "", "petition", "step", id, "accepted");
	EXPECT(proc->home, 3, "no petition here", "petition", "show", "13/2024");
	EXPECT(proc->home, 3, "no petition here", "petition", "step", "13/2024", "closed");
	EXPECT(proc->home, 3, "no petition here", "petition", "step", id, "merged", "--to",
		"13/2024");
	EXPECT(proc->home, 3, "--office: ", "petition", "step", id, "handed-over", "--office",
		"09163");
	EXPECT(proc->home, 3, "no office known here", "petition", "step", id, "handed-over",
		"--office", "27");
	EXPECT(proc->home, 2, "--office: ", "petition", "step", id, "forwarded", "--office", "27");
	EXPECT(proc->home, 2, "--date: ", "petition", "step", id, "forwarded", "--to", "x",
		"--date", "2001-01-01");
	json_decref(added);
}

Test(clerk, has_one_petition_under_a_number, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = running_office();
	char path[96];
	json_t *done;

	EXPECT(proc->home, 0, "", ADD, "--text", "x", "--number", "1", "--received", "2024-05-31");
	EXPECT(proc->home, 3, "(09163-24-00001-", ADD, "--text", "y", "--number", "1",
		"--received", "2024-01-01");
	EXPECT(proc->home, 0, "", ADD, "--text", "y", "--number", "1", "--received", "2025-01-01");
	EXPECT(proc->home, 2, "is in the future", ADD, "--text", "z", "--received", "2099-12-31");
	write_rows(proc, "1,2024-05-31,front,petition,,land,in-person,,No,x,\n", path);
	done = JSON(proc->home, "import", "petitions", path, "--json");
	cr_expect_eq(get(done, "held"), 1);
	cr_expect_eq(get(done, "added"), 0);
	json_decref(done);
	write_rows(proc, "1,2024-05-30,front,petition,,land,in-person,,,x,\n", path);
	EXPECT(proc->home, 3, ":2: received: 1 of 2024 is kept already (09163-24-00001-", "import",
		"petitions", path);
	EXPECT(proc->home, 1, "Is a directory", "import", "petitions", proc->home);
}

Test(clerk, counts_what_was_merged_as_no_longer_open, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = running_office();
	json_t *rows;

	EXPECT(proc->home, 0, "", ADD, "--text", "x", "--number", "1");
	EXPECT(proc->home, 0, "", ADD, "--text", "y", "--number", "2");
	EXPECT(proc->home, 0, "", "petition", "step", "2", "merged", "--to", "1");
	rows = JSON(proc->home, "tally", "--by", "office", "--json");
	cr_expect_eq(get(json_array_get(rows, 0), "received"), 2);
	cr_expect_eq(get(json_array_get(rows, 0), "merged"), 1);
	cr_expect_eq(get(json_array_get(rows, 0), "open"), 1);
	json_decref(rows);
}

Test(clerk, is_told_what_is_wrong_with_an_option, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = running_office();
	char request[96];
	json_t *rows;

	snprintf(request, sizeof(request), "%s/request", proc->home);
	EXPECT(proc->home, 2, "tcp://HOST:PORT", "office", "add", request, "--address", "foo");
	EXPECT(proc->home, 2, "needs a value", "--home");
	EXPECT(proc->home, 2, "needs a value", "petition", "--home");
	EXPECT(proc->home, 2, "--code: ", "init", "--code", "00000", "--name", "x", "--level", "x");
	EXPECT(proc->home, 2, "--text: character 2 ", ADD, "--text", "x\u202ey");
	rows = JSON(proc->home, "petition", "--json", "list");
	cr_expect_eq(json_array_size(rows), 0);
	json_decref(rows);
}

static json_t *json_at(json_t *object, const char *a, const char *b) {
	return json_object_get(json_object_get(object, a), b);
}

/* The newest record is that @user looked something up. */
static void expect_read_by(const struct proc *proc, const char *user) {
	json_t *rows = JSON(proc->home, "log", "--json");
	const char *summary = "";
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row)
		if (strcmp(json_string_value(json_object_get(row, "kind")), "access") == 0)
			summary = json_string_value(json_object_get(row, "summary"));
	cr_expect(strstr(summary, user), "no \"%s\" in: %s", user, summary);
	json_decref(rows);
}

/* Who runs this test, as the kernel knows. */
static const char *known_user(void) {
	FILE *f = fopen("/proc/self/loginuid", "r");
	unsigned login = -1u;

	if (f && fscanf(f, "%u", &login) != 1)
		login = -1u;
	if (f)
		fclose(f);
	return getpwuid(login == -1u ? getuid() : login)->pw_name;
}

Test(clerk, can_look_up_who_brought_a_petition_and_forget_it, .timeout = 60) {
	static const char header[] = "number,received,organisation,kind,village,category,channel,people,"
		"urgent,text,asked_of,petitioner,contact\n"
		"7,2024-05-31,front,petition,,land,in-person,,,y,,Lê Thị Sen,0900 777 888\n";
	_cleanup_(proc_freep) struct proc *proc = running_office();
	char path[96];
	json_t *shown;
	FILE *f;

	EXPECT(proc->home, 0, "", ADD, "--text", "x", "--number", "1", "--petitioner", "Nguyễn Văn Ba",
		"--contact", "0900 111 222", "--address", "thôn Đông");
	EXPECT(proc->home, 0, "", ADD, "--text", "x", "--number", "2");
	shown = JSON(proc->home, "petition", "show", "1", "--json");
	cr_expect_str_eq(json_string_value(json_at(shown, "petition", "petitioner")), "kept");
	cr_expect(json_is_null(json_object_get(shown, "private")), "not without being asked");
	json_decref(shown);
	EXPECT(proc->home, 2, "--reason", "petition", "show", "1", "--private");
	EXPECT(proc->home, 2, "--reason", "petition", "show", "1", "--private", "--reason", "");
	EXPECT(proc->home, 3, "nobody has recorded", "petition", "show", "2", "--private", "--reason", "z");
	shown = JSON(proc->home, "petition", "show", "1", "--private", "--reason", "báo kết quả", "--json");
	cr_expect_str_eq(json_string_value(json_at(shown, "private", "petitioner")), "Nguyễn Văn Ba");
	cr_expect_str_eq(json_string_value(json_at(shown, "private", "contact")), "0900 111 222");
	cr_expect_str_eq(json_string_value(json_at(shown, "private", "address")), "thôn Đông");
	json_decref(shown);
	expect_read_by(proc, known_user());
	(void)setenv("SUDO_UID", "1", 1); /* who is root can say so, and is still root */
	EXPECT(proc->home, 0, "", "petition", "show", "1", "--private", "--reason", "z");
	expect_read_by(proc, known_user());
	(void)unsetenv("SUDO_UID");
	EXPECT(proc->home, 2, "--reason", "petition", "erase", "1");
	EXPECT(proc->home, 0, "", "petition", "erase", "1", "--reason", "bà yêu cầu");
	EXPECT(proc->home, 3, "was erased", "petition", "erase", "1", "--reason", "bà yêu cầu");
	EXPECT(proc->home, 3, "was erased", "petition", "show", "1", "--private", "--reason", "z");
	shown = JSON(proc->home, "petition", "show", "1", "--json");
	cr_expect_str_eq(json_string_value(json_at(shown, "petition", "petitioner")), "erased");
	json_decref(shown);

	snprintf(path, sizeof(path), "%s/who", proc->home);
	f = fopen(path, "w");
	cr_assert(f && fputs("Trần Thị Tư\r\n0900 333 444\n", f) >= 0 && fclose(f) == 0);
	EXPECT(proc->home, 2, "either", ADD, "--text", "x", "--contact", "1", "--petitioner-file", path);
	EXPECT(proc->home, 0, "", ADD, "--text", "x", "--number", "3", "--petitioner-file", path);
	shown = JSON(proc->home, "petition", "show", "3", "--private", "--reason", "z", "--json");
	cr_expect_str_eq(json_string_value(json_at(shown, "private", "petitioner")), "Trần Thị Tư");
	cr_expect_str_eq(json_string_value(json_at(shown, "private", "contact")), "0900 333 444");
	json_decref(shown);
	f = fopen(path, "w");
	cr_assert(f && fputs("a\nb\nc\nd\n", f) >= 0 && fclose(f) == 0);
	EXPECT(proc->home, 2, "three lines", ADD, "--text", "x", "--petitioner-file", path);

	snprintf(path, sizeof(path), "%s/private.csv", proc->home);
	f = fopen(path, "w");
	cr_assert(f && fputs(header, f) >= 0 && fclose(f) == 0);
	EXPECT(proc->home, 0, "", "import", "petitions", path);
	shown = JSON(proc->home, "petition", "show", "7", "--private", "--reason", "z", "--json");
	cr_expect_str_eq(json_string_value(json_at(shown, "private", "petitioner")), "Lê Thị Sen");
	json_decref(shown);
	EXPECT(proc->home, 0, "", "verify");
}
