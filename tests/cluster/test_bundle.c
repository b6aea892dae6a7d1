/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Two offices without a line, and what the clerks of both carry to and fro in files. */
#include <criterion/criterion.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/cluster/cli.h"
#include "tests/cluster/ctl.h"

enum {
	PETITIONS = 30,
};

#define RUN(home, code, ...) run(home, code, (const char *const[]){ __VA_ARGS__, NULL })

static void run(const char *home, int code, const char *const *args) {
	struct cli cli;

	cr_assert_eq(cli_run(&cli, home, args), code, "%s %s: %s%s", args[0], args[1], cli.out, cli.err);
	cli_done(&cli);
}

static json_int_t number(const char *home, const char *key, const char *const *args) {
	json_t *object = cli_json(home, args);
	json_int_t n = json_integer_value(json_object_get(object, key));

	json_decref(object);
	return n;
}
#define NUMBER(home, key, ...) number(home, key, (const char *const[]){ __VA_ARGS__, "--json", NULL })

static json_int_t waiting(const char *home) {
	json_t *rows = cli_json(home, (const char *const[]){ "queue", "--json", NULL }), *row;
	json_int_t n = 0;
	size_t i;

	json_array_foreach (rows, i, row)
		n += json_integer_value(json_object_get(row, "records"));
	json_decref(rows);
	return n;
}

Test(bundle, two_offices_and_no_line) {
	_cleanup_(proc_freep) struct proc *district = proc_new("Tiên Du", 260, 3, true);
	_cleanup_(proc_freep) struct proc *commune = proc_new("Đại Đồng", 9163, 5, false);
	_cleanup_(proc_freep) struct proc *other = proc_new("Phật Tích", 9164, 5, false);
	char folder[64], up[96], down[96];
	json_int_t n;

	proc_directory(folder);
	snprintf(up, sizeof(up), "%s/up", folder);
	snprintf(down, sizeof(down), "%s/down", folder);
	proc_start(district);
	proc_start(commune);
	proc_start(other);
	ctl_enrol(district, commune);
	ctl_enrol(district, other);
	proc_stop(district);
	ctl_take_petitions(commune, PETITIONS, PETITIONS);
	n = waiting(commune->home);
	cr_assert_geq(n, PETITIONS);

	RUN(commune->home, 2, "bundle", "export", up);
	RUN(commune->home, 2, "bundle", "export", "--to", "260", "--size", "1000", up);
	RUN(commune->home, 3, "bundle", "export", "--to", "09163", up);
	cr_assert_eq(NUMBER(commune->home, "records", "bundle", "export", "--to", "260", up), n);
	cr_expect_eq(waiting(commune->home), n, "what was exported waits until it is acknowledged");
	proc_stop(commune); /* so that there is no line */

	proc_start(district);
	RUN(other->home, 3, "bundle", "import", up);
	RUN(district->home, 1, "bundle", "import", commune->home);
	cr_assert_eq(NUMBER(district->home, "records", "bundle", "import", up), n);
	cr_assert_eq(NUMBER(district->home, "records", "bundle", "import", up), 0, "twice");
	RUN(district->home, 0, "verify");
	RUN(district->home, 0, "bundle", "export", "--to", "09163", down);
	cr_assert_eq(truncate(up, 200), 0);
	RUN(district->home, 1, "bundle", "import", up);
	proc_stop(district);

	proc_start(commune);
	RUN(commune->home, 0, "bundle", "import", down);
	cr_expect_eq(waiting(commune->home), 0);
	RUN(commune->home, 0, "verify");
	proc_remove(folder);
}
