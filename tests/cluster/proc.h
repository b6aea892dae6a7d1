/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * proc - real daemons for tests: each in a scratch home, with keys, a store and a port of its own
 *
 * A daemon never outlives the process that started it: the kernel kills it. So start them from the
 * main thread only. What cannot go wrong in a sound tree ends the test, with the daemon's log.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include "proto/keyfile.h"
#include "proto/kinds/office.h"
#include "store/store.h"

enum {
	PROC_MAP = 1 << 30,
	PROC_STARTS_MS = 20000,
	PROC_STOPS_MS = 10000,
};

/* Ends the test, saying why. Not an assertion of a framework: the storm has none. */
#define must(condition, ...)                                                                       \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);            \
			fprintf(stderr, __VA_ARGS__);                                              \
			fputc('\n', stderr);                                                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct proc {
	char home[64];
	char listen[64]; /* empty: nowhere */
	pid_t pid;       /* 0: not running */
	struct office office;
	struct keyfile keys;
};

uint64_t proc_now_ms(void);  /* a clock that only goes forward */
uint64_t proc_wall_ms(void);
void proc_pause_ms(unsigned ms); /* between two looks at something that has to happen */

/* Keys, and an office that has them. @name lives as long as @ret_office. */
void proc_identity(const char *name, uint32_t code, uint8_t code_digits, struct keyfile *ret_keys,
	struct office *ret_office);
/* A port of 127.0.0.1 that nobody uses, as tcp://127.0.0.1:PORT. */
void proc_address(char ret_address[64]);
/* A new directory, and its removal with everything in it. */
void proc_directory(char ret_path[64]);
void proc_remove(const char *path);

/* Makes a home; nothing runs yet. */
struct proc *proc_new(const char *name, uint32_t code, uint8_t code_digits, bool listens);
void proc_configure(const struct proc *proc, const char *text); /* lienthong.yaml is that */
/* Stops the daemon if need be, and removes the home. */
struct proc *proc_free(struct proc *proc);
void proc_freep(struct proc **proc);

void proc_spawn(struct proc *proc); /* without waiting */
void proc_start(struct proc *proc); /* until it answers on its control socket */
/* Waits until it has ended. Returns what waitpid() says, or -1 if it still runs. */
int proc_wait(struct proc *proc, unsigned timeout_ms);
void proc_kill9(struct proc *proc);
void proc_stop(struct proc *proc); /* SIGTERM; it must end well within PROC_STOPS_MS */
/* The file that gets its stderr, from its last start on. */
void proc_log_path(const struct proc *proc, char ret_path[96]);
uint64_t proc_rss(const struct proc *proc); /* bytes */

/* Its store, to look at while it runs or after. */
struct store *proc_store(const struct proc *proc, enum store_mode mode);
