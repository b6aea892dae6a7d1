/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * log - diagnostics for people, on stderr: what must be done, what was gone on with, what changed
 *
 * Under systemd each line carries its priority, otherwise the time. What a neighbour causes again
 * and again is said once a minute, and of such lines there are at most LOG_CAUSES a minute, however
 * many neighbours misbehave.
 */
#include <syslog.h>

#include "proto/base.h"

enum {
	LOG_CAUSES = 64,
	LOG_CAUSE_MS = 60000,
};

struct log {
	bool journal;
	struct {
		uint64_t hash; /* of the line */
		uint64_t until_ms;
	} causes[LOG_CAUSES];
};

void log_init(struct log *log);
/* @priority is syslog's: LOG_ERR somebody must act, LOG_WARNING we went on, LOG_INFO a change. */
__attribute__((format(printf, 3, 4))) void log_write(struct log *log, int priority,
	const char *format, ...);
/* For what others can cause: not if the same line was written less than a minute ago. */
__attribute__((format(printf, 3, 4))) void log_cause(struct log *log, int priority,
	const char *format, ...);
