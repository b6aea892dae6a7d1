/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * dates - times as people write and read them, in Asia/Ho_Chi_Minh (UTC+7, no summer time)
 */
#include "proto/base.h"

enum {
	DATE_DAY_MS = 24 * 60 * 60 * 1000,
	DATE_TEXT_MAX = 40,
};

/* "2024-05-31" or "31/5/2024", years 1971 to 2199: the first millisecond of that day. */
bool date_parse(struct span text, uint64_t *ret_ms);
unsigned date_year(uint64_t ms);
uint64_t date_day(uint64_t ms); /* the first millisecond of its day */

void date_format(uint64_t ms, char ret_text[DATE_TEXT_MAX]);     /* 2024-05-31 */
void date_format_time(uint64_t ms, char ret_text[DATE_TEXT_MAX]); /* 2024-05-31 14:00 */
void date_format_iso(uint64_t ms, char ret_text[DATE_TEXT_MAX]);  /* 2024-05-31T14:00:00.000+07:00 */

uint64_t date_now_ms(void);
