/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* When this office keeps the line to its parent closed. Intake goes on; what waits is in the oplogs. */
#include "node/core_internal.h"

#include "proto/calendar.h"

enum {
	VALUE_LEN = 32,
	MINUTE_MS = 60000,
	LINGER_MS = 10000, /* after the last urgent batch either way: the next one needs no handshake */
};

/* u64 each: since when it is paused, until when; the end of a day, and bytes on that day. */
static const char line_name[] = "line";

int core_line_load(struct core *core, struct txn *txn) {
	struct span value;
	int r = meta_get(txn, line_name, &value);

	core->line = (struct core_line){ 0 };
	if (r == 0 && value.len == VALUE_LEN)
		core->line = (struct core_line){ get_be64(value.data), get_be64(value.data + 8),
			get_be64(value.data + 16), get_be64(value.data + 24), false };
	return r < 0 ? r : 0;
}

static int put_line(struct core *core) {
	const struct core_line *line = &core->line;
	uint8_t value[VALUE_LEN];

	put_be64(value, line->paused_ms);
	put_be64(value + 8, line->until_ms);
	put_be64(value + 16, line->day_end_ms);
	put_be64(value + 24, line->n_bytes);
	core->line.counted = false;
	return meta_put(core->txn, line_name, (struct span){ value, sizeof(value) });
}

/* What went over it after the last commit before a crash is not counted: it is as much as one turn says. */
int core_line_keep(struct core *core) {
	return core->line.counted ? put_line(core) : 0;
}

void core_line_count(struct core *core) {
	struct core_line *line = &core->line;
	struct link *up = core_uplink(core);

	if (!up || !core->config->link_daily_bytes)
		return;
	if (line->day_end_ms != calendar_day_end(core->wall_ms)) {
		line->day_end_ms = calendar_day_end(core->wall_ms);
		line->n_bytes = 0;
	}
	line->n_bytes += up->n_bytes;
	line->counted |= up->n_bytes > 0;
	up->n_bytes = 0;
}

static bool is_paused(const struct core *core) {
	const struct core_line *line = &core->line;

	return line->paused_ms && (!line->until_ms || core->wall_ms < line->until_ms);
}

int core_hold_line(struct core *core, struct span client, const struct request *request) {
	struct txn *txn;
	int r = core_txn(core, &txn);

	if (r)
		return r;
	if (!request->held)
		core->line.paused_ms = 0;
	else if (!is_paused(core)) /* otherwise it still is, with another end */
		core->line.paused_ms = core->wall_ms;
	core->line.until_ms = request->until_ms;
	r = put_line(core);
	if (r)
		return r;
	core_answer_begin(core, client);
	control_write_ok(&core->answers, request->number, 0);
	return core_answer_end(core);
}

/* Whether it is not one of the hours that are set, and until when. */
static bool is_outside(const struct core *core, uint64_t *ret_until_ms) {
	const uint64_t minute_ms = core->wall_ms - core->wall_ms % MINUTE_MS;
	const uint64_t left = (calendar_day_end(core->wall_ms) + 1 - minute_ms) / MINUTE_MS; /* of the day */
	const unsigned now = 24 * 60 - (unsigned)left;
	unsigned wait = UINT16_MAX;

	for (size_t i = 0; i < CONFIG_HOURS_MAX; i++) {
		const struct hours *hours = &core->config->link_hours[i];
		unsigned until = (hours->from + 24 * 60 - now) % (24 * 60); /* it begins */

		if (hours->from == hours->to)
			break;
		if (hours->from < hours->to ? now >= hours->from && now < hours->to : now >= hours->from || now < hours->to)
			return false;
		if (until < wait)
			wait = until;
	}
	*ret_until_ms = minute_ms + (uint64_t)wait * MINUTE_MS;
	return wait != UINT16_MAX;
}

struct line_report core_line_report(const struct core *core) {
	const struct core_line *line = &core->line;
	const uint64_t day_end_ms = calendar_day_end(core->wall_ms);
	uint64_t until_ms;

	if (is_paused(core))
		return (struct line_report){ TROUBLE_PAUSED, line->paused_ms, line->until_ms };
	if (core->recovery.on) /* an office that may not write until its store is whole cannot wait */
		return (struct line_report){ 0 };
	if (is_outside(core, &until_ms))
		return (struct line_report){ TROUBLE_HOURS, 0, until_ms };
	if (core->config->link_daily_bytes && line->day_end_ms == day_end_ms &&
		line->n_bytes >= core->config->link_daily_bytes)
		return (struct line_report){ TROUBLE_BUDGET, 0, day_end_ms + 1 };
	return (struct line_report){ 0 };
}

/*
 * Whether something urgent needs the line. What was refused waits for the hours, like all else: it would open the line
 * again and again for nothing.
 */
static bool urgent_waits(struct core *core) {
	const struct link *up = core_uplink(core);

	if (!up)
		return false;
	if (up->urgent && up->state == LINK_STREAMING && core->wall_ms >= up->last_progress_ms &&
		core->wall_ms - up->last_progress_ms < LINGER_MS)
		return true;
	for (size_t i = 0; i < up->n_oplogs && up->oplogs[i].held->id.lane == LANE_URGENT; i++)
		if (up->oplogs[i].acked < up->oplogs[i].held->size && !up->oplogs[i].aside_until_ms)
			return true;
	return false;
}

bool core_line_closed(struct core *core, struct line_report *ret_why) {
	const struct line_report why = core_line_report(core);

	if (ret_why)
		*ret_why = why;
	return why.why == TROUBLE_PAUSED || (why.why != TROUBLE_NONE && !urgent_waits(core));
}
