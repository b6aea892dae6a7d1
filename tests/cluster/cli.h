/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * cli - runs the command line on a home, as a clerk or a program does, and keeps what it said
 */
#include <jansson.h>

#include "tests/cluster/proc.h"

enum {
	CLI_PATIENT_MS = 60000,
	CLI_ARGS_MAX = 32,
};

struct cli {
	pid_t pid;     /* 0: it has ended */
	int status;    /* as waitpid() says; -1: it had to be killed */
	unsigned took_ms;
	char *out;     /* what it wrote, with a zero behind it */
	char *err;
	int out_fd;
	int err_fd;
	uint64_t start_ms;
};

/* With stdout at @sink (NULL: kept in @ret_cli). Arguments end with NULL. */
void cli_start(struct cli *ret_cli, const char *home, const char *sink, const char *const *args);
void cli_wait(struct cli *cli, unsigned timeout_ms);
void cli_done(struct cli *cli);
/* Both; the arguments as words. @home NULL: none is named. Its exit code, or -1 where it did not end by itself. */
int cli_run(struct cli *ret_cli, const char *home, const char *const *args);
#define CLI(cli, home, ...) cli_run(cli, home, (const char *const[]){ __VA_ARGS__, NULL })
/* What it prints for programs, @args saying --json; it must end with 0. The caller's to json_decref(). */
json_t *cli_json(const char *home, const char *const *args);
/* The exit code, or -1 where it did not end by itself. */
int cli_code(const struct cli *cli);
