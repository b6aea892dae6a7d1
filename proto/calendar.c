/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/calendar.h"

enum {
	ZONE_MS = 7 * 3600 * 1000,
};

/* 0 Monday to 6 Sunday; the first day of 1970 was a Thursday. */
static unsigned weekday(uint64_t time_ms) {
	return ((time_ms + ZONE_MS) / CALENDAR_DAY_MS + 3) % 7;
}

uint64_t calendar_add_days(uint64_t time_ms, uint32_t days, bool working) {
	if (!working)
		return time_ms + (uint64_t)days * CALENDAR_DAY_MS;
	time_ms += (uint64_t)(days / 5) * 7 * CALENDAR_DAY_MS;
	for (days %= 5; days > 0; days--)
		do
			time_ms += CALENDAR_DAY_MS;
		while (weekday(time_ms) >= 5);
	while (weekday(time_ms) >= 5)
		time_ms += CALENDAR_DAY_MS;
	return time_ms;
}

uint64_t calendar_day_end(uint64_t time_ms) {
	uint64_t local = time_ms + ZONE_MS;

	return local - local % CALENDAR_DAY_MS + CALENDAR_DAY_MS - 1 - ZONE_MS;
}
