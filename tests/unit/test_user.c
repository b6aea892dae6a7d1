/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>

#include "tools/user.h"

Test(user, is_who_logged_in_and_the_environment_is_only_a_claim) {
	static const struct {
		const char *login;
		uid_t real;
		const char *sudo;
		const char *want;
	} cases[] = {
		{ "4000001", 4000002, NULL, "uid 4000001" },
		{ "4000001\n", 0, "4000001", "uid 4000001" },
		{ "4000001", 0, "4000003", "uid 4000001" },
		{ "0", 0, "4000003", "root" },
		{ "4294967295", 4000002, NULL, "uid 4000002" },
		{ "4294967295", 4000002, "4000003", "uid 4000002" },
		{ "4294967295", 0, NULL, "root" },
		{ "4294967295", 0, "4000003", "root (sudo: uid 4000003)" },
		{ NULL, 0, "4000003", "root (sudo: uid 4000003)" },
		{ "", 0, "0", "root" },
		{ NULL, 0, "4294967295", "root" },
		{ NULL, 0, "-3", "root" },
		{ NULL, 0, "3x", "root" },
		{ "x", 0, "99999999999999999999", "root" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct user user = user_find(cases[i].login, cases[i].real, cases[i].sudo);
		char name[USER_NAME_MAX + 1];

		user_name(&user, name);
		cr_expect_str_eq(name, cases[i].want, "case %zu: %s", i, name);
	}
}
