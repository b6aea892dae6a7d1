/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/kinds/meeting.h"

void meeting_encode(const struct meeting *meeting, struct writer *w) {
	write_array(w, MEETING_FIELDS);
	write_uint(w, meeting->type);
	write_uint(w, meeting->date_ms);
	write_uint(w, meeting->attendance);
	write_uint(w, meeting->attendance_accuracy);
	write_uint(w, meeting->opinions);
	write_uint(w, meeting->on_the_spot);
	write_uint(w, meeting->later);
	write_uint(w, meeting->pending);
	write_str(w, meeting->number);
	write_str(w, meeting->host);
	write_str(w, meeting->topic);
}

int meeting_decode(struct span body, struct meeting *ret_meeting) {
	struct meeting meeting;
	struct reader r;

	reader_init(&r, body);
	read_array(&r, MEETING_FIELDS, UINT64_MAX);
	meeting.type = read_uint(&r, UINT8_MAX);
	meeting.date_ms = read_uint(&r, TIME_MAX_MS);
	meeting.attendance = read_uint(&r, MEETING_COUNT_MAX);
	meeting.attendance_accuracy = read_uint(&r, UINT8_MAX);
	meeting.opinions = read_uint(&r, MEETING_COUNT_MAX);
	meeting.on_the_spot = read_uint(&r, MEETING_COUNT_MAX);
	meeting.later = read_uint(&r, MEETING_COUNT_MAX);
	meeting.pending = read_uint(&r, MEETING_COUNT_MAX);
	meeting.number = read_line(&r, 0, MEETING_NUMBER_MAX);
	meeting.host = read_line(&r, 0, MEETING_HOST_MAX);
	meeting.topic = read_text(&r, 0, MEETING_TOPIC_MAX);
	read_end(&r);
	if (reader_done(&r) != 0)
		return MEETING_MALFORMED;
	if (meeting.opinions != meeting.on_the_spot + meeting.later + meeting.pending)
		return MEETING_MALFORMED;
	*ret_meeting = meeting;
	return 0;
}
