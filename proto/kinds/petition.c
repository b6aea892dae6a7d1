/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/kinds/petition.h"

#include "proto/calendar.h"

void petition_encode(const struct petition *petition, struct writer *w) {
	write_array(w, PETITION_FIELDS);
	write_uint(w, petition->legal_kind);
	write_uint(w, petition->category);
	write_uint(w, petition->channel);
	write_uint(w, petition->people);
	write_bool(w, petition->urgent);
	write_uint(w, petition->received_ms);
	write_uint(w, petition->reference);
	write_str(w, petition->number);
	write_str(w, petition->village);
	write_str(w, petition->text);
	write_str(w, petition->asked_of);
}

int petition_decode(struct span body, struct petition *ret_petition) {
	struct petition petition;
	struct reader r;

	reader_init(&r, body);
	read_array(&r, PETITION_FIELDS, UINT64_MAX);
	petition.legal_kind = read_uint(&r, UINT8_MAX);
	petition.category = read_uint(&r, UINT8_MAX);
	petition.channel = read_uint(&r, UINT8_MAX);
	petition.people = read_uint(&r, PETITION_PEOPLE_MAX);
	petition.urgent = read_bool(&r);
	petition.received_ms = read_uint(&r, TIME_MAX_MS);
	petition.reference = read_uint(&r, UINT64_MAX);
	petition.number = read_line(&r, 0, PETITION_NUMBER_MAX);
	petition.village = read_line(&r, 0, PETITION_VILLAGE_MAX);
	petition.text = read_text(&r, 0, PETITION_TEXT_MAX);
	petition.asked_of = read_line(&r, 0, PETITION_ASKED_OF_MAX);
	read_end(&r);
	if (reader_done(&r) != 0 || petition.people == 0)
		return PETITION_MALFORMED;
	*ret_petition = petition;
	return 0;
}

uint64_t petition_due_ms(uint8_t legal_kind, uint64_t received_ms) {
	return legal_kind == LEGAL_DATA_REQUEST ? calendar_day_end(calendar_add_days(received_ms, DATA_REQUEST_DAYS, true))
						: 0;
}
