/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * meeting - a dialogue, reception or voter contact that was held, and what became of its opinions
 *
 * Body: [type, date_ms, attendance, attendance_accuracy, opinions, on_the_spot, later, pending,
 * number, host, topic]. Opinions must balance: opinions = on the spot + later + pending.
 */
#include "proto/codec.h"

enum meeting_type {
	MEETING_DIALOGUE = 1,
	MEETING_RECEPTION = 2,
	MEETING_VOTER_CONTACT = 3,
	MEETING_OTHER = 4,
	MEETING_TYPE_N,
};

/* Official figures say "over", "nearly": a number carries how sure it is. */
enum accuracy {
	ACCURACY_EXACT = 0,
	ACCURACY_AT_LEAST = 1,
	ACCURACY_ABOUT = 2,
	ACCURACY_N,
};

enum {
	MEETING_NUMBER_MAX = 32,
	MEETING_HOST_MAX = 256,
	MEETING_TOPIC_MAX = 1024,
	MEETING_COUNT_MAX = 1000000,
	MEETING_FIELDS = 11,
};

enum {
	MEETING_MALFORMED = 1,
};

struct meeting {
	uint8_t type;
	uint8_t attendance_accuracy;
	uint64_t date_ms;
	uint32_t attendance;
	uint32_t opinions;
	uint32_t on_the_spot;
	uint32_t later;
	uint32_t pending;
	struct span number; /* of the office's own book; may be empty */
	struct span host;   /* a role, not a name */
	struct span topic;
};

void meeting_encode(const struct meeting *meeting, struct writer *w);
int meeting_decode(struct span body, struct meeting *ret_meeting); /* also if it does not balance */
