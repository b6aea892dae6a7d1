/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/cluster/ctl.h"

#include <errno.h>
#include <zmq.h>

#include "proto/enrol.h"

enum {
	SLICE_MS = 20,
};

struct ctl {
	void *context;
	void *socket;
	zmq_msg_t message;
	uint64_t number;
	struct writer w;
};

struct ctl *ctl_new(const struct proc *proc) {
	struct ctl *ctl = calloc(1, sizeof(*ctl));
	char address[96];
	int linger = 0;

	must(ctl, "no memory");
	ctl->number = 1;
	writer_init_grow(&ctl->w);
	(void)zmq_msg_init(&ctl->message);
	ctl->context = zmq_ctx_new();
	ctl->socket = zmq_socket(ctl->context, ZMQ_DEALER);
	must(ctl->socket, "%s", zmq_strerror(errno));
	snprintf(address, sizeof(address), "ipc://%s/control.sock", proc->home);
	must(zmq_setsockopt(ctl->socket, ZMQ_LINGER, &linger, sizeof(linger)) == 0 &&
		zmq_connect(ctl->socket, address) == 0, "%s: %s", address, zmq_strerror(errno));
	return ctl;
}

struct ctl *ctl_free(struct ctl *ctl) {
	if (!ctl)
		return NULL;
	(void)zmq_msg_close(&ctl->message);
	(void)zmq_close(ctl->socket);
	(void)zmq_ctx_term(ctl->context);
	writer_done(&ctl->w);
	free(ctl);
	return NULL;
}

void ctl_freep(struct ctl **ctl) {
	ctl_free(*ctl);
}

struct writer *ctl_writer(struct ctl *ctl) {
	writer_done(&ctl->w);
	writer_init_grow(&ctl->w);
	return &ctl->w;
}

uint64_t ctl_number(const struct ctl *ctl) {
	return ctl->number;
}

int ctl_ask(struct ctl *ctl, unsigned timeout_ms, bool (*gave_up)(void *userdata), void *userdata,
	struct answer *ret_answer) {
	uint64_t until_ms = proc_now_ms() + timeout_ms, number = ctl->number++;
	bool over = false;

	must(writer_ok(&ctl->w), "no memory");
	must(zmq_send(ctl->socket, ctl->w.data, ctl->w.len, 0) >= 0, "%s", zmq_strerror(errno));
	for (;;) {
		zmq_pollitem_t item = { .socket = ctl->socket, .events = ZMQ_POLLIN };

		if (zmq_poll(&item, 1, over ? 0 : SLICE_MS) > 0) {
			must(zmq_msg_recv(&ctl->message, ctl->socket, ZMQ_DONTWAIT) >= 0, "%s",
				zmq_strerror(errno));
			must(control_answer_decode((struct span){ zmq_msg_data(&ctl->message),
				zmq_msg_size(&ctl->message) }, ret_answer) == 0, "not an answer");
			if (ret_answer->number == number)
				return 0;
		} else if (over) {
			return CTL_SILENT;
		} else { /* then one more look: the answer may have come meanwhile */
			over = proc_now_ms() >= until_ms || (gave_up && gave_up(userdata));
		}
	}
}

int ctl_status(struct ctl *ctl, unsigned timeout_ms, struct control_status *ret_status) {
	struct answer answer;
	int r;

	control_write_status(ctl_writer(ctl), ctl_number(ctl));
	r = ctl_ask(ctl, timeout_ms, NULL, NULL, &answer);
	if (r)
		return r;
	must(answer.result == CONTROL_OK && control_status_read(&answer, ret_status) == 0,
		"STATUS: %d", (int)answer.result);
	return 0;
}

uint64_t ctl_refusals(const struct proc *proc, unsigned reason) {
	_cleanup_(ctl_freep) struct ctl *ctl = ctl_new(proc);
	struct control_status status;
	uint64_t n = 0;

	must(ctl_status(ctl, CTL_PATIENT_MS, &status) == 0, "STATUS is not answered");
	if (reason)
		return status.refusals[reason];
	for (unsigned i = 0; i < REFUSAL_N; i++)
		n += status.refusals[i];
	return n;
}

int ctl_link_state(const struct proc *proc, const struct id *office) {
	_cleanup_(ctl_freep) struct ctl *ctl = ctl_new(proc);
	struct control_status status;
	struct link_report link;

	must(ctl_status(ctl, CTL_PATIENT_MS, &status) == 0, "STATUS is not answered");
	while (control_link_next(&status, &link))
		if (id_eq(&link.office, office))
			return link.state;
	return -1;
}

size_t ctl_add_office(const struct proc *parent, const struct office *office,
	const struct keyfile *keys, uint8_t ret_answer[16384]) {
	_cleanup_(ctl_freep) struct ctl *ctl = ctl_new(parent);
	_cleanup_(signer_freep) struct signer *signer = NULL;
	uint8_t request[ENROL_FILE_MAX];
	struct answer answer;
	struct span file;
	struct writer w;

	must(signer_new(keys->seed, &signer) == 0, "signer");
	writer_init(&w, request, sizeof(request));
	must(enrol_request_write(office, signer, &w) == 0 && writer_ok(&w), "request");
	control_write_add_office(ctl_writer(ctl), ctl_number(ctl), writer_span(&w), span_str(""));
	must(ctl_ask(ctl, CTL_PATIENT_MS, NULL, NULL, &answer) == 0 && answer.result == CONTROL_OK,
		"ADD_OFFICE: %d", (int)answer.result);
	file = read_bin(&answer.values, 1, ENROL_FILE_MAX);
	memcpy(ret_answer, file.data, file.len);
	return file.len;
}

void ctl_join(const struct proc *child, struct span file) {
	_cleanup_(ctl_freep) struct ctl *ctl = ctl_new(child);
	struct answer answer;

	control_write_join(ctl_writer(ctl), ctl_number(ctl), file);
	must(ctl_ask(ctl, CTL_PATIENT_MS, NULL, NULL, &answer) == 0 && answer.result == CONTROL_OK,
		"JOIN: %d", (int)answer.result);
}

void ctl_enrol(const struct proc *parent, const struct proc *child) {
	uint8_t file[ENROL_FILE_MAX];
	size_t len = ctl_add_office(parent, &child->office, &child->keys, file);

	ctl_join(child, (struct span){ file, len });
}

struct draft ctl_petition(uint8_t *buf, size_t len, unsigned n, uint32_t people, bool urgent) {
	char text[64];
	struct petition petition = {
		.legal_kind = LEGAL_PETITION,
		.category = (uint8_t)(1 + n % (CATEGORY_N - 1)),
		.channel = CHANNEL_LETTER,
		.people = people,
		.urgent = urgent,
		.received_ms = proc_wall_ms(),
		.village = span_str("Dương Húc"),
		.asked_of = span_str("UBND xã"),
	};
	struct writer w;

	snprintf(text, sizeof(text), CTL_PETITION_TEXT, n);
	petition.text = span_str(text);
	writer_init(&w, buf, len);
	petition_encode(&petition, &w);
	must(writer_ok(&w), "no room for a petition");
	return (struct draft){ .kind = KIND_PETITION, .organisation = ORGANISATION_FRONT,
		.lane = urgent ? LANE_URGENT : LANE_NORMAL, .body = writer_span(&w) };
}

struct draft ctl_step(uint8_t *buf, size_t len, const struct id *petition, uint8_t action) {
	struct step step = {
		.petition = *petition,
		.action = action,
		.date_ms = proc_wall_ms(),
		.to = span_str(action == ACTION_FORWARDED ? "UBND huyện" : ""),
		.text = span_str("Đã xử lý xong."),
	};
	struct writer w;

	writer_init(&w, buf, len);
	step_encode(&step, &w);
	must(writer_ok(&w), "no room for a step");
	return (struct draft){ .kind = KIND_STEP, .organisation = ORGANISATION_FRONT,
		.lane = LANE_NORMAL, .body = writer_span(&w) };
}

void ctl_take_petitions(const struct proc *proc, unsigned n, unsigned in_each) {
	_cleanup_(ctl_freep) struct ctl *ctl = ctl_new(proc);
	struct answer answer;

	for (unsigned done = 0; done < n;) {
		unsigned now = n - done < in_each ? n - done : in_each;
		struct writer *w = ctl_writer(ctl);

		control_write_submit(w, ctl_number(ctl), false, now);
		for (unsigned i = 0; i < now; i++) {
			uint8_t body[512];
			struct draft draft = ctl_petition(body, sizeof(body), done + i, 3, false);

			control_write_draft(w, &draft);
		}
		must(ctl_ask(ctl, CTL_PATIENT_MS, NULL, NULL, &answer) == 0 &&
			answer.result == CONTROL_OK, "SUBMIT: %d", (int)answer.result);
		done += now;
	}
}
