/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * calendar - days as offices count them: in Asia/Ho_Chi_Minh, which has no summer time
 */
#include "proto/base.h"

enum {
	CALENDAR_DAY_MS = 24 * 3600 * 1000,
};

/* @time_ms and so many days on; working days are Monday to Friday. */
uint64_t calendar_add_days(uint64_t time_ms, uint32_t days, bool working);
/* The last millisecond of the day of @time_ms. */
uint64_t calendar_day_end(uint64_t time_ms);
