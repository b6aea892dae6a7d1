/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * kinds - for tests: one sample body of every kind, and decode then encode for all of them
 *
 * The samples are the examples of PROTOCOL.md: change one there and here.
 */
#include "proto/kinds/access.h"
#include "proto/kinds/fork.h"
#include "proto/kinds/escalation.h"
#include "proto/kinds/inquiry.h"
#include "proto/kinds/meeting.h"
#include "proto/kinds/office.h"
#include "proto/kinds/petition.h"
#include "proto/kinds/private.h"
#include "proto/kinds/receipt.h"
#include "proto/kinds/reply.h"
#include "proto/kinds/step.h"
#include "proto/kinds/tally.h"
#include "proto/record.h"
#include "proto/reference.h"

#define SAMPLE_OFFICE ((struct id){ { 0x01, 0x8f, 0x3a, 0x00, [6] = 0x70, [8] = 0x80, [15] = 1 } })
#define SAMPLE_PARENT ((struct id){ { 0x01, 0x8f, 0x39, 0x00, [6] = 0x70, [8] = 0x80, [15] = 2 } })
/* The leaf hash of the sample petition's record, as PROTOCOL.md has it. */
#define SAMPLE_FOLLOWS ((struct hash){ { 0x1e, 0x9c, 0xca, 0x11, 0x21, 0xe4, 0xa9, 0x2e, 0x39, 0x46, 0xc5, 0x67, 0x1b, \
	0xd4, 0xc9, 0x91, 0xfd, 0xf1, 0x07, 0x97, 0x7a, 0xe8, 0x21, 0xc2, 0xd0, 0x08, 0xfb, 0x7b, 0x75, 0xb5, 0xf1, 0x40 } })
#define SAMPLE_CASE ((struct id){ { 0x01, 0x8f, 0x3b, 0x00, [6] = 0x70, [8] = 0x80, [15] = 3 } })

/* Not a kind of record: the private part of one. */
#define SAMPLE_PRIVATE 200

static const uint8_t sample_kinds[] = {
	KIND_PETITION, KIND_STEP, KIND_MEETING, KIND_TALLY, KIND_OFFICE, KIND_ESCALATION, KIND_ACCESS,
	KIND_FORK, KIND_REQUEST, KIND_REPLY, KIND_RECEIPT, KIND_CARRIED,
};

static inline struct petition sample_petition(void) {
	return (struct petition){
		.legal_kind = LEGAL_PETITION,
		.category = CATEGORY_FACILITIES,
		.channel = CHANNEL_IN_PERSON,
		.people = 120,
		.urgent = true,
		.received_ms = 1717200000000,
		.reference = reference_make(9163, 5, 2024, 42),
		.number = span_str("17/TN"),
		.village = span_str("Thôn Đông"),
		.text = span_str("Cầu qua kênh bị sập."),
		.asked_of = span_str("UBND xã"),
	};
}

static inline struct step sample_step(void) {
	return (struct step){
		.petition = SAMPLE_CASE,
		.sequence = 1,
		.action = ACTION_FORWARDED,
		.date_ms = 1717286400000,
		.due_ms = 1718150400000,
		.to = span_str("UBND huyện"),
		.text = span_str("Vượt thẩm quyền của xã."),
		.follows = SAMPLE_FOLLOWS,
	};
}

static inline struct meeting sample_meeting(void) {
	return (struct meeting){
		.type = MEETING_DIALOGUE,
		.date_ms = 1717372800000,
		.attendance = 150,
		.attendance_accuracy = ACCURACY_AT_LEAST,
		.opinions = 12,
		.on_the_spot = 7,
		.later = 3,
		.pending = 2,
		.number = span_str("03/ĐT"),
		.host = span_str("Chủ tịch Mặt trận"),
		.topic = span_str("Đường liên thôn"),
	};
}

static const struct tally_row sample_tally[] = {
	{ 202406, CATEGORY_LAND, ORGANISATION_FRONT, MEASURE_RECEIVED, 31 },
	{ 202406, CATEGORY_LAND, ORGANISATION_FRONT, MEASURE_RESOLVED, 24 },
	{ 202406, CATEGORY_FACILITIES, ORGANISATION_WOMEN, MEASURE_PEOPLE, 1200 },
};

static inline struct office sample_office(void) {
	struct office office = {
		.id = SAMPLE_OFFICE,
		.parent = SAMPLE_PARENT,
		.level = span_str("commune"),
		.code = 9163,
		.code_digits = 5,
		.name = span_str("Xã Tân Lập"),
		.valid_from_ms = 1704067200000,
		.state = OFFICE_ACTIVE,
	};

	memset(office.sign_key, 0xa1, sizeof(office.sign_key));
	memset(office.curve_key, 0xb2, sizeof(office.curve_key));
	return office;
}

static inline struct escalation sample_escalation(void) {
	return (struct escalation){
		.petition = SAMPLE_CASE,
		.reference = reference_make(9163, 5, 2024, 42),
		.cause = CAUSE_OVERDUE,
		.rule = span_str("overdue-30"),
		.state = 2,
		.clock_step = 1,
		.measured = 33,
		.threshold = 30,
		.people = 120,
		.category = CATEGORY_FACILITIES,
	};
}

static inline struct access sample_access(void) {
	return (struct access){
		.record = SAMPLE_CASE,
		.action = ACCESS_READ,
		.who = span_str("lan"),
		.reason = span_str("Gọi báo kết quả."),
	};
}

static inline struct fork sample_fork(void) {
	struct fork fork = {
		.oplog = { SAMPLE_OFFICE, 1, LANE_NORMAL },
		.state = FORK_FOUND,
		.small.size = 1,
		.large.size = 2,
		.path.n = 1,
	};

	memset(fork.small.root.b, 0xa0, sizeof(fork.small.root.b));
	memset(fork.small.signature, 0xb0, sizeof(fork.small.signature));
	memset(fork.large.root.b, 0xa1, sizeof(fork.large.root.b));
	memset(fork.large.signature, 0xb1, sizeof(fork.large.signature));
	memset(fork.other.b, 0xc0, sizeof(fork.other.b));
	memset(fork.path.node[0].b, 0xd0, sizeof(fork.path.node[0].b));
	return fork;
}

static inline struct inquiry sample_inquiry(void) {
	return (struct inquiry){
		.asked = SAMPLE_OFFICE,
		.petition = SAMPLE_CASE,
		.reference = reference_make(9163, 5, 2024, 42),
		.oplog = { SAMPLE_OFFICE, 1, LANE_NORMAL },
		.index = 0,
		.who = span_str("minh"),
		.reason = span_str("Dân hỏi tỉnh."),
	};
}

static inline struct reply sample_reply(void) {
	return (struct reply){
		.request = { { 0x01, 0x8f, 0x3b, 0x00, [6] = 0x70, [8] = 0x80, [15] = 3 + KIND_REQUEST } },
		.petition = SAMPLE_CASE,
		.outcome = REPLY_REFUSED,
		.who = span_str("lan"),
		.reason = span_str("Đã trả lời dân."),
	};
}

static inline struct receipt_entry sample_receipt(void) {
	struct receipt_entry entry = { { SAMPLE_OFFICE, 1, LANE_NORMAL }, { .size = 40000 } };

	memset(entry.head.root.b, 0xe0, sizeof(entry.head.root.b));
	memset(entry.head.signature, 0xf0, sizeof(entry.head.signature));
	return entry;
}

static inline void sample_body(uint8_t kind, struct writer *w) {
	struct petition petition = sample_petition();
	struct step step = sample_step();
	struct meeting meeting = sample_meeting();
	struct office office = sample_office();
	struct escalation escalation = sample_escalation();
	struct access access = sample_access();
	struct inquiry inquiry = sample_inquiry();
	struct reply reply = sample_reply();
	struct fork fork = sample_fork();
	struct receipt_entry receipt = sample_receipt();

	switch (kind) {
	case KIND_PETITION:
		petition_encode(&petition, w);
		break;
	case KIND_STEP:
		step_encode(&step, w);
		break;
	case KIND_MEETING:
		meeting_encode(&meeting, w);
		break;
	case KIND_TALLY:
	case KIND_CARRIED:
		tally_encode(sample_tally, N_ELEMENTS(sample_tally), w);
		break;
	case KIND_OFFICE:
		office_encode(&office, w);
		break;
	case KIND_ESCALATION:
		escalation_encode(&escalation, w);
		break;
	case KIND_ACCESS:
		access_encode(&access, w);
		break;
	case KIND_REQUEST:
		inquiry_encode(&inquiry, w);
		break;
	case KIND_REPLY:
		reply_encode(&reply, w);
		break;
	case KIND_FORK:
		fork_encode(&fork, w);
		break;
	case KIND_RECEIPT:
		receipt_encode(&receipt, 1, w);
		break;
	}
}

/* Writes what was read of @body. False if it is malformed, or no kind known here. */
static inline bool reencode_body(uint8_t kind, struct span body, struct writer *w) {
	struct receipt_entry entries[RECEIPT_MAX];
	struct tally_row rows[TALLY_ROWS_MAX];
	struct escalation escalation;
	struct petition petition;
	struct private_part part;
	struct inquiry inquiry;
	struct meeting meeting;
	struct reply reply;
	struct access access;
	struct office office;
	struct fork fork;
	struct step step;
	size_t n_rows;

	switch (kind) {
	case KIND_PETITION:
		if (petition_decode(body, &petition) != 0)
			return false;
		petition_encode(&petition, w);
		return true;
	case KIND_STEP:
		if (step_decode(body, &step) != 0)
			return false;
		step_encode(&step, w);
		return true;
	case KIND_MEETING:
		if (meeting_decode(body, &meeting) != 0)
			return false;
		meeting_encode(&meeting, w);
		return true;
	case KIND_TALLY:
	case KIND_CARRIED:
		if (tally_decode(body, rows, &n_rows) != 0)
			return false;
		tally_encode(rows, n_rows, w);
		return true;
	case KIND_OFFICE:
		if (office_decode(body, &office) != 0)
			return false;
		office_encode(&office, w);
		return true;
	case KIND_ESCALATION:
		if (escalation_decode(body, &escalation) != 0)
			return false;
		escalation_encode(&escalation, w);
		return true;
	case KIND_ACCESS:
		if (access_decode(body, &access) != 0)
			return false;
		access_encode(&access, w);
		return true;
	case KIND_REQUEST:
		if (inquiry_decode(body, &inquiry) != 0)
			return false;
		inquiry_encode(&inquiry, w);
		return true;
	case KIND_REPLY:
		if (reply_decode(body, &reply) != 0)
			return false;
		reply_encode(&reply, w);
		return true;
	case KIND_FORK:
		if (fork_decode(body, &fork) != 0)
			return false;
		fork_encode(&fork, w);
		return true;
	case KIND_RECEIPT:
		if (receipt_decode(body, entries, &n_rows) != 0)
			return false;
		receipt_encode(entries, n_rows, w);
		return true;
	case SAMPLE_PRIVATE:
		if (private_decode(body, &part) != 0)
			return false;
		private_encode(&part, w);
		return true;
	default:
		return false;
	}
}
