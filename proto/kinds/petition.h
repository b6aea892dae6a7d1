/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * petition - what a citizen asked, of whom, in which village; never who asked
 *
 * Body: [legal_kind, category, channel, people, urgent, received_ms, reference, number, village,
 * text, asked_of]. The categories describe the matter, never the petitioner.
 */
#include "proto/codec.h"

/* Law on Complaints 02/2011/QH13, Law on Denunciations 2018: the kind decides clock and secrecy. */
enum legal_kind {
	LEGAL_REFLECTION = 1,
	LEGAL_PETITION = 2,
	LEGAL_COMPLAINT = 3,
	LEGAL_DENUNCIATION = 4,
	LEGAL_DATA_REQUEST = 5, /* of a person, about what is kept of him: Law 91/2025/QH15 */
	LEGAL_N,
};

enum category {
	CATEGORY_NONE = 0,
	CATEGORY_SOCIO_ECONOMIC = 1,
	CATEGORY_PUBLIC_OPINION = 2,
	CATEGORY_DAILY_LIFE = 3,
	CATEGORY_LAND = 4,
	CATEGORY_LETTERS = 5, /* letters, complaints, denunciations about officials' work */
	CATEGORY_FACILITIES = 6,
	CATEGORY_PERSONAL_INTEREST = 7,
	CATEGORY_N,
};

enum channel {
	CHANNEL_IN_PERSON = 1,
	CHANNEL_LETTER = 2,
	CHANNEL_PHONE = 3,
	CHANNEL_MEETING = 4,
	CHANNEL_ZALO = 5,
	CHANNEL_FACEBOOK = 6,
	CHANNEL_FANPAGE = 7,
	CHANNEL_PRESS = 8,
	CHANNEL_LOUDSPEAKER = 9,
	CHANNEL_N,
};

enum {
	PETITION_NUMBER_MAX = 32, /* bytes, as all lengths here */
	PETITION_VILLAGE_MAX = 96,
	PETITION_TEXT_MAX = 8192,
	PETITION_ASKED_OF_MAX = 256,
	PETITION_PEOPLE_MAX = 1000000,
	PETITION_FIELDS = 11,
	DATA_REQUEST_DAYS = 2, /* working days to answer one: Decree 356/2025/ND-CP */
};

enum {
	PETITION_MALFORMED = 1,
};

struct petition {
	uint8_t legal_kind;
	uint8_t category;
	uint8_t channel;
	bool urgent;
	uint32_t people;      /* concerned by the matter, at least 1 */
	uint64_t received_ms; /* when the citizen brought it, since 1970 */
	uint64_t reference;   /* see reference.h; 0 until the office has given one */
	struct span number;   /* of the office's own paper register; may be empty */
	struct span village;
	struct span text;
	struct span asked_of;
};

void petition_encode(const struct petition *petition, struct writer *w);
/* 0 or PETITION_MALFORMED. Values of enums beyond those known here are accepted: a newer node's. */
int petition_decode(struct span body, struct petition *ret_petition);
/* Until when the law wants one of that kind answered; 0: it does not say. */
uint64_t petition_due_ms(uint8_t legal_kind, uint64_t received_ms);
