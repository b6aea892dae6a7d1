/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/dates.h"

#include <stdio.h>
#include <time.h>

#define YEAR_9999_END INT64_C(253402300799)

enum {
	OFFSET_S = 7 * 60 * 60,
	YEAR_MIN = 1971, /* times are counted from 1970 in UTC, and cannot be before */
	YEAR_MAX = 2199,
};

/* Reads digits, at most @digits_max of them, up to @end or the end of the text. */
static bool take_number(struct span *text, unsigned digits_max, char end, unsigned *ret_n) {
	unsigned n = 0;
	unsigned digits = 0;

	while (digits < text->len && text->data[digits] >= '0' && text->data[digits] <= '9') {
		if (digits == digits_max)
			return false;
		n = n * 10 + (text->data[digits++] - '0');
	}
	if (digits == 0)
		return false;
	text->data += digits;
	text->len -= digits;
	*ret_n = n;
	if (!end)
		return text->len == 0;
	if (text->len == 0 || *text->data != end)
		return false;
	text->data++;
	text->len--;
	return true;
}

bool date_parse(struct span text, uint64_t *ret_ms) {
	struct span iso = text;
	struct span spoken = text;
	unsigned year, month, day;
	struct tm tm = { 0 };
	int64_t seconds;

	if (!(take_number(&iso, 4, '-', &year) && take_number(&iso, 2, '-', &month) &&
			take_number(&iso, 2, '\0', &day)) &&
		!(take_number(&spoken, 2, '/', &day) && take_number(&spoken, 2, '/', &month) &&
			take_number(&spoken, 4, '\0', &year)))
		return false;
	if (year < YEAR_MIN || year > YEAR_MAX)
		return false;
	tm.tm_year = (int)year - 1900;
	tm.tm_mon = (int)month - 1;
	tm.tm_mday = (int)day;
	seconds = timegm(&tm);
	/* timegm() turns 31 February into March */
	if (tm.tm_mon != (int)month - 1 || tm.tm_mday != (int)day)
		return false;
	*ret_ms = (uint64_t)(seconds - OFFSET_S) * 1000;
	return true;
}

static void split(uint64_t ms, struct tm *ret_tm) {
	time_t seconds = (time_t)(ms / 1000) + OFFSET_S;

	/* what came from outside may be any number; gmtime_r() would refuse some */
	if (seconds > YEAR_9999_END)
		seconds = YEAR_9999_END;
	gmtime_r(&seconds, ret_tm);
}

unsigned date_year(uint64_t ms) {
	struct tm tm;

	split(ms, &tm);
	return (unsigned)tm.tm_year + 1900;
}

uint64_t date_day(uint64_t ms) {
	uint64_t offset_ms = OFFSET_S * UINT64_C(1000);

	/* what is on the first day of 1970 begins at 0, since nothing can be before */
	return ms < DATE_DAY_MS - offset_ms ? 0 : ms - (ms + offset_ms) % DATE_DAY_MS;
}

void date_format(uint64_t ms, char ret_text[DATE_TEXT_MAX]) {
	struct tm tm;

	split(ms, &tm);
	strftime(ret_text, DATE_TEXT_MAX, "%Y-%m-%d", &tm);
}

void date_format_time(uint64_t ms, char ret_text[DATE_TEXT_MAX]) {
	struct tm tm;

	split(ms, &tm);
	strftime(ret_text, DATE_TEXT_MAX, "%Y-%m-%d %H:%M", &tm);
}

void date_format_iso(uint64_t ms, char ret_text[DATE_TEXT_MAX]) {
	struct tm tm;
	size_t len;

	split(ms, &tm);
	len = strftime(ret_text, DATE_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret_text + len, DATE_TEXT_MAX - len, ".%03u+07:00", (unsigned)(ms % 1000));
}

uint64_t date_now_ms(void) {
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
