/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * user - who gave a command, as far as this computer knows
 *
 * The kernel keeps who logged in, through sudo and su, where the login says so to it (pam_loginuid). The
 * environment is only a claim: where there is nothing better, it stands beside the user that is known.
 */
#include <stdbool.h>
#include <sys/types.h>

enum {
	USER_NAME_MAX = 64, /* bytes of a name: what records have room for */
};

struct user {
	uid_t uid;
	bool claims; /* root, whom sudo's environment says to be another */
	uid_t claimed;
};

/* @login: what is in /proc/self/loginuid; @sudo: SUDO_UID; each may be NULL. */
struct user user_find(const char *login, uid_t real, const char *sudo);
/* "lan", "uid 1234", or "root (sudo: lan)". */
void user_name(const struct user *user, char ret_name[USER_NAME_MAX + 1]);
/* This process's, before it becomes the owner of a home. */
struct user user_here(void);
