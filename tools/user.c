/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/user.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define UNSET ((uid_t)-1) /* what the kernel says where nobody logged in: a service, a container */

static uid_t parse(const char *text) {
	unsigned long n;
	char *end;

	if (!text || *text < '0' || *text > '9')
		return UNSET;
	n = strtoul(text, &end, 10);
	return (*end == '\0' || *end == '\n') && n < UNSET ? (uid_t)n : UNSET;
}

struct user user_find(const char *login, uid_t real, const char *sudo) {
	uid_t logged_in = parse(login), claimed = parse(sudo);

	if (logged_in != UNSET)
		return (struct user){ .uid = logged_in };
	return (struct user){ real, real == 0 && claimed != UNSET && claimed != 0, claimed };
}

static void one_name(uid_t uid, char ret_name[USER_NAME_MAX + 1]) {
	const struct passwd *user = getpwuid(uid);

	if (user && user->pw_name[0])
		snprintf(ret_name, USER_NAME_MAX + 1, "%s", user->pw_name);
	else
		snprintf(ret_name, USER_NAME_MAX + 1, "uid %u", (unsigned)uid);
}

void user_name(const struct user *user, char ret_name[USER_NAME_MAX + 1]) {
	char known[USER_NAME_MAX + 1], claimed[USER_NAME_MAX + 1];

	one_name(user->uid, known);
	snprintf(ret_name, USER_NAME_MAX + 1, "%s", known);
	if (!user->claims)
		return;
	one_name(user->claimed, claimed);
	snprintf(ret_name, USER_NAME_MAX + 1, "%.16s (sudo: %.32s)", known, claimed);
}

struct user user_here(void) {
	int fd = open("/proc/self/loginuid", O_RDONLY | O_CLOEXEC);
	char login[16] = "";
	ssize_t n = fd < 0 ? 0 : read(fd, login, sizeof(login) - 1);

	if (fd >= 0)
		(void)close(fd);
	return user_find(n > 0 ? login : NULL, getuid(), getenv("SUDO_UID"));
}
