/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Requests that only read, answered from what the turn has committed. */
#include "node/core_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int answer_status(struct core *core, const struct core_asked *query) {
	struct control_status status = {
		.pid = (uint64_t)getpid(),
		.started_ms = core->started_ms,
		.version = span_str(LIENTHONG_VERSION),
		.turns = core->turns,
	};
	struct link_report *reports = calloc(core->n_links + 1, sizeof(*reports));

	if (!reports)
		return -ENOMEM;
	status.line = core_line_report(core);
	memcpy(status.refusals, core->refusals, sizeof(status.refusals));
	for (size_t i = 0; i < core->n_links; i++) {
		const struct link *link = core->links[i];
		bool moving = core->reg.own->row.office.state == OFFICE_MOVING;

		reports[i] = (struct link_report){
			.office = link->neighbour,
			.up = link->up,
			.state = (uint8_t)link->state, /* the two enumerations agree */
			.since_ms = link->since_ms,
			.last_progress_ms = link->last_progress_ms,
			.trouble = link->up && moving ? trouble_of(TROUBLE_HANDED_OVER, 0, "")
				: link->trouble.code ? link->trouble : link->shown,
			.clock_skew_ms = link->clock_skew_ms,
		};
	}
	core_answer_begin(core, query->client);
	control_write_ok(&core->answers, query->request.number, CONTROL_STATUS_VALUES);
	control_write_status_values(&core->answers, &status, reports, core->n_links);
	free(reports);
	return core_answer_end(core);
}

/* Rows of one answer: written apart, since their number is only known at the end. */
struct rows {
	struct core *core;
	struct writer w;
	uint64_t n, max;
	uint64_t last;
	uint8_t key[TALLIES_KEY_LEN];
};

static int add_row(void *userdata, uint64_t number, struct span row) {
	struct rows *rows = userdata;

	if (rows->n == rows->max)
		return 1;
	write_array(&rows->w, 2);
	write_uint(&rows->w, number);
	write_raw(&rows->w, row);
	rows->n++;
	rows->last = number;
	return 0;
}

static int answer_since(struct core *core, struct txn *txn, const struct core_asked *query) {
	struct rows rows = { .core = core, .max = query->request.max, .last = query->request.since };
	uint64_t last;
	int r;

	if (rows.max == 0 || rows.max > CONTROL_ROWS_MAX)
		rows.max = CONTROL_ROWS_MAX;
	r = changes_last(txn, &last);
	if (r)
		return r;
	writer_init_grow(&rows.w);
	r = query->request.since > last ? CHANGES_FORGOTTEN
					: changes_each(txn, query->request.since, add_row, &rows);
	if (r == CHANGES_FORGOTTEN && rows.n == 0) {
		r = core_answer_failure(core, query->client, query->request.number, CONTROL_TOO_OLD, 0,
			span_str(""));
	} else if (r >= 0) {
		core_answer_begin(core, query->client);
		control_write_ok(&core->answers, query->request.number, 2);
		write_array(&core->answers, rows.n);
		write_raw(&core->answers, writer_span(&rows.w));
		write_uint(&core->answers, last);
		r = core_answer_end(core);
	}
	writer_done(&rows.w);
	return r;
}

static int add_tally(void *userdata, const struct tally_entry *entry) {
	struct rows *rows = userdata;
	const struct register_entry *office = register_by_number(&rows->core->reg, entry->office);

	if (rows->n == rows->max)
		return 1;
	tallies_key(entry->office, &entry->row, rows->key);
	rows->n++;
	write_array(&rows->w, 6);
	write_id(&rows->w, office ? &office->row.office.id : &(struct id){ { 0 } });
	write_uint(&rows->w, entry->row.period);
	write_uint(&rows->w, entry->row.category);
	write_uint(&rows->w, entry->row.organisation);
	write_uint(&rows->w, entry->row.measure);
	write_uint(&rows->w, entry->row.n);
	return 0;
}

static int answer_snapshot(struct core *core, struct txn *txn, const struct core_asked *query) {
	struct rows rows = { .core = core, .max = CONTROL_ROWS_MAX };
	uint64_t last;
	int r;

	r = changes_last(txn, &last);
	if (r)
		return r;
	writer_init_grow(&rows.w);
	r = tallies_after(txn, query->request.after, add_tally, &rows);
	if (r >= 0) {
		core_answer_begin(core, query->client);
		control_write_ok(&core->answers, query->request.number, 3);
		write_array(&core->answers, rows.n);
		write_raw(&core->answers, writer_span(&rows.w));
		write_uint(&core->answers, last);
		if (r > 0)
			write_bin(&core->answers, (struct span){ rows.key, sizeof(rows.key) });
		else
			write_nil(&core->answers);
		r = core_answer_end(core);
	}
	writer_done(&rows.w);
	return r;
}

int core_query(struct core *core, struct txn *txn, const struct core_asked *query) {
	switch (query->request.command) {
	case COMMAND_STATUS:
		return answer_status(core, query);
	case COMMAND_SINCE:
		return answer_since(core, txn, query);
	case COMMAND_SNAPSHOT:
		return answer_snapshot(core, txn, query);
	case COMMAND_EXPORT:
		return core_export(core, txn, query);
	default:
		return core_answer_failure(core, query->client, query->request.number, CONTROL_BAD_REQUEST,
			0, span_str(""));
	}
}
