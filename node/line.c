/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* When this office keeps the line to its parent closed. Intake goes on; what waits is in the oplogs. */
#include "node/core_internal.h"

static const char line_name[] = "line"; /* u64 each: since when it is paused, and until when */

int core_line_load(struct core *core, struct txn *txn) {
	struct span value;
	int r = meta_get(txn, line_name, &value);

	core->line = (struct core_line){ 0 };
	if (r == 0 && value.len == 16)
		core->line = (struct core_line){ get_be64(value.data), get_be64(value.data + 8) };
	return r < 0 ? r : 0;
}

int core_hold_line(struct core *core, struct span client, const struct request *request) {
	struct core_line *line = &core->line;
	uint8_t value[16];
	struct txn *txn;
	int r = core_txn(core, &txn);

	if (r)
		return r;
	if (!request->held)
		line->paused_ms = 0;
	else if (!core_line_closed(core, NULL)) /* otherwise it still is, with another end */
		line->paused_ms = core->wall_ms;
	line->until_ms = request->until_ms;
	put_be64(value, line->paused_ms);
	put_be64(value + 8, line->until_ms);
	r = meta_put(txn, line_name, (struct span){ value, sizeof(value) });
	if (r)
		return r;
	core_answer_begin(core, client);
	control_write_ok(&core->answers, request->number, 0);
	return core_answer_end(core);
}

bool core_line_closed(const struct core *core, struct line_report *ret_why) {
	const struct core_line *line = &core->line;
	struct line_report why = { 0 };

	if (line->paused_ms && (!line->until_ms || core->wall_ms < line->until_ms))
		why = (struct line_report){ TROUBLE_PAUSED, line->paused_ms, line->until_ms };
	if (ret_why)
		*ret_why = why;
	return why.why != TROUBLE_NONE;
}
