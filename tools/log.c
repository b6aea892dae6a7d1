/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "proto/kinds/access.h"
#include "proto/kinds/fork.h"
#include "proto/kinds/receipt.h"
#include "proto/kinds/escalation.h"
#include "proto/kinds/inquiry.h"
#include "proto/kinds/reply.h"
#include "proto/kinds/meeting.h"
#include "proto/kinds/petition.h"
#include "proto/kinds/step.h"
#include "proto/kinds/tally.h"
#include "proto/reference.h"
#include "store/cases.h"
#include "tools/home.h"

enum {
	SUMMARY_WIDTH = 72,
	HASH_SHOWN = 8, /* bytes of a withheld leaf's hash */
};

struct dump {
	const struct home *home;
	bool json;
	struct id office;
	bool has_lane;
	uint8_t lane;
	uint64_t from;
	uint64_t count;
	bool hex;
	struct listing listing;
};

static const struct column columns[] = {
	{ .key = "office" },
	{ .key = "epoch" },
	{ .key = "lane", .title = N_("Lane") },
	{ .key = "number", .title = N_("Number"), .right = true },
	{ .key = "time", .title = N_("Time") },
	{ .key = "kind", .title = N_("Kind") },
	{ .key = "id" },
	{ .key = "withheld" },
	{ .key = "hash" },
	{ .key = "summary", .title = N_("What it says"), .width_max = SUMMARY_WIDTH },
	{ .key = "hex" }, /* with --hex only: the last */
};

static const struct column columns_hex[] = {
	{ .key = "office" },
	{ .key = "epoch" },
	{ .key = "lane", .title = N_("Lane") },
	{ .key = "number", .title = N_("Number"), .right = true },
	{ .key = "time" },
	{ .key = "kind", .title = N_("Kind") },
	{ .key = "id" },
	{ .key = "withheld" },
	{ .key = "hash" },
	{ .key = "summary" },
	{ .key = "hex", .title = N_("Bytes") },
};

static char *to_hex(struct span bytes) {
	static const char digits[] = "0123456789abcdef";
	char *text = malloc(2 * bytes.len + 1);

	if (!text)
		return NULL;
	for (size_t i = 0; i < bytes.len; i++) {
		text[2 * i] = digits[bytes.data[i] >> 4];
		text[2 * i + 1] = digits[bytes.data[i] & 0xf];
	}
	text[2 * bytes.len] = '\0';
	return text;
}

static void reference_of(const struct home *home, const struct id *id,
	char ret_text[REFERENCE_TEXT_MAX]) {
	struct case_row row = { 0 };

	if (cases_get(home->txn, id, &row) == 0)
		reference_format(row.reference, ret_text);
	else
		snprintf(ret_text, REFERENCE_TEXT_MAX, "?");
}

static const char *word(const struct dump *dump, const struct words *words, uint64_t value) {
	const char *name = words_name(words, value);

	return name ? for_reader(dump->json, name) : "?";
}

static void summarise_petition(FILE *f, const struct record *record) {
	char reference[REFERENCE_TEXT_MAX];
	struct petition petition;

	if (petition_decode(record->body, &petition))
		return;
	reference_format(petition.reference, reference);
	fprintf(f, "%s: %.*s", reference, (int)petition.text.len, (const char *)petition.text.data);
}

static void summarise_step(FILE *f, const struct dump *dump, const struct record *record) {
	char reference[REFERENCE_TEXT_MAX];
	struct step step;

	if (step_decode(record->body, &step))
		return;
	reference_of(dump->home, &step.petition, reference);
	fprintf(f, "%s, %u: %s %.*s %.*s", reference, step.sequence, word(dump, &words_action, step.action),
		(int)step.to.len, (const char *)step.to.data, (int)step.text.len,
		(const char *)step.text.data);
}

static void summarise_meeting(FILE *f, const struct dump *dump, const struct record *record) {
	struct meeting meeting;

	if (meeting_decode(record->body, &meeting))
		return;
	fprintf(f, "%s: %.*s, %u = %u + %u + %u", word(dump, &words_meeting_type, meeting.type),
		(int)meeting.topic.len, (const char *)meeting.topic.data, meeting.opinions,
		meeting.on_the_spot, meeting.later, meeting.pending);
}

static void summarise_tally(FILE *f, const struct dump *dump, const struct record *record) {
	struct reader r;

	reader_init(&r, record->body);
	fprintf(f, for_reader(dump->json, N_("%llu counts")),
		(unsigned long long)read_array(&r, 0, UINT64_MAX));
}

static void summarise_office(FILE *f, const struct dump *dump, const struct record *record) {
	struct office office;
	char code[16];

	if (office_decode(record->body, &office))
		return;
	office_code(&office, code);
	fprintf(f, "%s %.*s: %s", code, (int)office.name.len, (const char *)office.name.data,
		word(dump, &words_office_state, office.state));
	if (office.has_end)
		fprintf(f, for_reader(dump->json, N_(", what came before ends in epoch %u at %llu, %llu, %llu")), office.end.epoch,
			(unsigned long long)office.end.sizes[0], (unsigned long long)office.end.sizes[1],
			(unsigned long long)office.end.sizes[2]);
}

static void summarise_receipt(FILE *f, const struct dump *dump, const struct record *record) {
	struct receipt_entry entries[RECEIPT_MAX];
	size_t n;

	if (receipt_decode(record->body, entries, &n))
		return;
	for (size_t i = 0; i < n; i++) {
		const struct office_row *row = home_office_by_id(dump->home, &entries[i].oplog.office);
		char label[OFFICE_LABEL_MAX] = "?";

		if (row)
			office_label(row, label);
		fprintf(f, "%s%s %u/%s: %llu", i ? "; " : "", label, entries[i].oplog.epoch,
			word(dump, &words_lane, entries[i].oplog.lane), (unsigned long long)entries[i].head.size);
	}
}

static void summarise_fork(FILE *f, const struct dump *dump, const struct record *record) {
	const struct office_row *row;
	struct fork fork;
	char label[OFFICE_LABEL_MAX] = "?";

	if (fork_decode(record->body, &fork))
		return;
	row = home_office_by_id(dump->home, &fork.oplog.office);
	if (row)
		office_label(row, label);
	if (fork.state == FORK_SETTLED)
		fprintf(f, for_reader(dump->json, N_("%s: settled; a later life than %u is accepted")), label,
			fork.oplog.epoch);
	else
		fprintf(f, for_reader(dump->json, N_("%s signed two histories of the first %llu of %u/%s")), label,
			(unsigned long long)fork.small.size, fork.oplog.epoch, word(dump, &words_lane, fork.oplog.lane));
}

static void summarise_escalation(FILE *f, const struct dump *dump, const struct record *record) {
	struct escalation escalation;
	char reference[REFERENCE_TEXT_MAX];

	if (escalation_decode(record->body, &escalation))
		return;
	reference_format(escalation.reference, reference);
	fprintf(f, "%s: %s, %.*s", reference, word(dump, &words_cause, escalation.cause),
		(int)escalation.rule.len, (const char *)escalation.rule.data);
}

static void summarise_access(FILE *f, const struct dump *dump, const struct record *record) {
	char reference[REFERENCE_TEXT_MAX];
	struct access access;

	if (access_decode(record->body, &access))
		return;
	reference_of(dump->home, &access.record, reference);
	fprintf(f, access.action == ACCESS_ERASED
			? for_reader(dump->json, N_("%s: who brought it was erased by %.*s: %.*s"))
			: for_reader(dump->json, N_("%s: who brought it was read by %.*s: %.*s")),
		reference, (int)access.who.len, (const char *)access.who.data, (int)access.reason.len,
		(const char *)access.reason.data);
}

static void summarise_request(FILE *f, const struct dump *dump, const struct record *record) {
	char reference[REFERENCE_TEXT_MAX];
	struct inquiry inquiry;

	if (inquiry_decode(record->body, &inquiry))
		return;
	if (inquiry.reference)
		reference_format(inquiry.reference, reference);
	else
		reference_of(dump->home, &inquiry.petition, reference);
	fprintf(f, for_reader(dump->json, N_("%s: %.*s asks for it: %.*s")), reference, (int)inquiry.who.len,
		(const char *)inquiry.who.data, (int)inquiry.reason.len, (const char *)inquiry.reason.data);
}

static void summarise_reply(FILE *f, const struct dump *dump, const struct record *record) {
	char reference[REFERENCE_TEXT_MAX];
	struct reply reply;

	if (reply_decode(record->body, &reply))
		return;
	reference_of(dump->home, &reply.petition, reference);
	fprintf(f, reply.outcome == REPLY_GRANTED ? for_reader(dump->json, N_("%s: granted by %.*s"))
						   : for_reader(dump->json, N_("%s: refused by %.*s: %.*s")),
		reference, (int)reply.who.len, (const char *)reply.who.data, (int)reply.reason.len,
		(const char *)reply.reason.data);
}

/* One line of what a record says; heap, NULL without memory. */
static char *summarise(const struct dump *dump, const struct record *record) {
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	switch (record->kind) {
	case KIND_PETITION:
		summarise_petition(f, record);
		break;
	case KIND_STEP:
		summarise_step(f, dump, record);
		break;
	case KIND_MEETING:
		summarise_meeting(f, dump, record);
		break;
	case KIND_TALLY:
	case KIND_CARRIED:
		summarise_tally(f, dump, record);
		break;
	case KIND_OFFICE:
		summarise_office(f, dump, record);
		break;
	case KIND_ESCALATION:
		summarise_escalation(f, dump, record);
		break;
	case KIND_RECEIPT:
		summarise_receipt(f, dump, record);
		break;
	case KIND_FORK:
		summarise_fork(f, dump, record);
		break;
	case KIND_REQUEST:
		summarise_request(f, dump, record);
		break;
	case KIND_REPLY:
		summarise_reply(f, dump, record);
		break;
	case KIND_ACCESS:
		summarise_access(f, dump, record);
		break;
	}
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

static void cell_owned(struct listing *listing, char *text) {
	if (text)
		cell_str(listing, text);
	else
		listing->failed = true;
	free(text);
}

static void dump_withheld(struct listing *listing, const struct hash *hash) {
	char *text = to_hex((struct span){ hash->b, sizeof(hash->b) });

	cell_none(listing);
	cell_none(listing);
	cell_none(listing);
	cell(listing, json_true(), "%s", "");
	cell(listing, text ? json_string(text) : NULL, "%s", "");
	cell(listing, json_null(), _("withheld (%.*s…)"), 2 * HASH_SHOWN, text ? text : "");
	free(text);
}

static void dump_record(struct dump *dump, struct span bytes) {
	struct listing *listing = &dump->listing;
	struct record record;
	struct hash hash;

	leaf_hash_of(bytes, &hash);
	if (record_decode(bytes, &record)) {
		cell_none(listing);
		cell_none(listing);
		cell_none(listing);
	} else {
		cell_time(listing, record.time_ms);
		cell_word(listing, &words_kind, record.kind);
		cell_id(listing, &record.id);
	}
	cell(listing, json_false(), "%s", "");
	cell_owned(listing, to_hex((struct span){ hash.b, sizeof(hash.b) }));
	if (record_decode(bytes, &record))
		cell(listing, json_null(), "%s", _("cannot be read: not a record, or of a newer version"));
	else
		cell_owned(listing, summarise(dump, &record));
}

static void dump_leaf(struct dump *dump, const struct oplog *oplog, uint64_t index,
	const struct leaf *leaf) {
	struct listing *listing = &dump->listing;

	cell_id(listing, &oplog->id.office);
	cell_count(listing, oplog->id.epoch);
	cell_word(listing, &words_lane, oplog->id.lane);
	cell_count(listing, index);
	if (leaf->withheld)
		dump_withheld(listing, &leaf->hash);
	else
		dump_record(dump, leaf->bytes);
	if (dump->hex && !leaf->withheld)
		cell_owned(listing, to_hex(leaf->bytes));
	else
		cell_none(listing);
}

static int dump_oplog(void *userdata, const struct oplog *oplog) {
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	struct dump *dump = userdata;
	struct leaf leaf;
	uint64_t arrival;
	uint64_t index;
	int r;

	if (!id_eq(&oplog->id.office, &dump->office) ||
		(dump->has_lane && oplog->id.lane != dump->lane) || dump->from >= oplog->frontier.size)
		return 0;
	r = oplog_walk_open(dump->home->txn, oplog, dump->from, &walk);
	for (uint64_t n = 0; r == 0 && n < dump->count; n++) {
		r = oplog_walk_next(walk, &index, &leaf, &arrival);
		if (r == 0)
			dump_leaf(dump, oplog, index, &leaf);
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

static int dump_office(const struct tool *tool, struct dump *dump, const char *name) {
	const struct office_row *office = name ? home_find_office(dump->home, name, OFFICES_KNOWN) : dump->home->own;
	const struct column *shown = dump->hex ? columns_hex : columns;
	int ending;
	int r;

	if (!office)
		return home_no_office(dump->home, name, OFFICES_KNOWN);
	dump->office = office->office.id;
	listing_init(&dump->listing, shown, N_ELEMENTS(columns));
	r = oplog_each(dump->home->txn, dump_oplog, dump);
	ending = r ? home_failed(r) : listing_show(&dump->listing, tool->json, _("No records."));
	listing_done(&dump->listing);
	return ending;
}

int command_log(struct tool *tool, int argc, char **argv) {
	struct dump dump = { .count = UINT64_MAX };
	const char *lane = NULL;
	const char *from = NULL;
	const char *count = NULL;
	const struct option_def options[] = {
		{ "lane", N_("WORD"), N_("only urgent, normal or bulk"), .value = &lane },
		{ "from", N_("NUMBER"), N_("begin here; default 0"), .value = &from },
		{ "count", N_("NUMBER"), N_("at most so many of each lane"), .value = &count },
		{ "hex", NULL, N_("the bytes of each record"), .flag = &dump.hex },
	};
	const struct usage usage = { "log", "[OFFICE]",
		N_("Shows the records of an office (by its code; default: this one) as they are kept here. What may not be read here is shown as withheld. Works with the node down."),
		options, N_ELEMENTS(options), 0, 1 };
	struct home home;
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending) ||
		!option_word("lane", lane, &words_lane, &dump.lane, &ending) ||
		!option_number("from", from, &dump.from, &ending) ||
		!option_number("count", count, &dump.count, &ending))
		return ending;
	dump.json = tool->json;
	dump.has_lane = lane != NULL;
	ending = home_open(tool, &home);
	if (ending)
		return ending;
	dump.home = &home;
	ending = dump_office(tool, &dump, n_args > 0 ? args[0] : NULL);
	home_close(&home);
	return ending;
}
