/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	LINE_MAX_LEN = 1024,
};

void log_init(struct log *log) {
	const char *stream = getenv("JOURNAL_STREAM"); /* "device:inode" of the journal's socket */
	unsigned long long device, inode;
	struct stat st;

	*log = (struct log){ 0 };
	log->journal = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
		       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

/* One write() a line, so that lines of several processes do not mix. */
static void write_line(const struct log *log, int priority, const char *line) {
	time_t now = time(NULL);
	char stamp[32];
	struct tm tm;

	if (log->journal)
		(void)dprintf(STDERR_FILENO, "<%d>%s\n", priority, line);
	else if (localtime_r(&now, &tm) && strftime(stamp, sizeof(stamp), "%F %T", &tm) > 0)
		(void)dprintf(STDERR_FILENO, "%s lienthongd: %s\n", stamp, line);
}

void log_write(struct log *log, int priority, const char *format, ...) {
	char line[LINE_MAX_LEN];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	write_line(log, priority, line);
}

/* FNV-1a: two lines that collide cost one line of diagnostics. */
static uint64_t line_hash(const char *line) {
	uint64_t hash = 0xcbf29ce484222325;

	for (; *line; line++)
		hash = (hash ^ (uint8_t)*line) * 0x100000001b3;
	return hash;
}

void log_cause(struct log *log, int priority, const char *format, ...) {
	char line[LINE_MAX_LEN];
	struct timespec ts;
	size_t place = LOG_CAUSES;
	uint64_t now_ms, hash;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	hash = line_hash(line);
	(void)clock_gettime(CLOCK_BOOTTIME, &ts);
	now_ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	for (size_t i = 0; i < LOG_CAUSES; i++) {
		if (log->causes[i].until_ms <= now_ms)
			place = i;
		else if (log->causes[i].hash == hash)
			return;
	}
	if (place == LOG_CAUSES)
		return;
	log->causes[place].hash = hash;
	log->causes[place].until_ms = now_ms + LOG_CAUSE_MS;
	write_line(log, priority, line);
}
