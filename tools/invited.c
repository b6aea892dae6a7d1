/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * No node runs yet: there is no office before it is enrolled. So this speaks to the parent itself, with
 * the invitation's key, and makes the store once it has the answer. What was asked is kept (keys,
 * request), so that the same command goes on where it was ended.
 */
#include "tools/invited.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

#include "proto/enrol.h"
#include "proto/invite.h"
#include "proto/message.h"
#include "tools/dates.h"
#include "tools/enrolment.h"
#include "tools/files.h"
#include "tools/home.h"
#include "tools/newoffice.h"

enum {
	ASK_EVERY_MS = 5000,
	CONNECT_MS = 10000,
	ANSWER_MS = 2000, /* the parent drops what comes too often, and a line what it likes */
	ASK_TRIES = 5,
};

/* What becomes of asking once. */
enum {
	NO_ANSWER = 1,
	KEY_REFUSED, /* the invitation's: it does not let anybody in there */
};

struct asking {
	struct invite invite;
	uint8_t bytes[INVITE_TEXT_MAX];
	struct newoffice made;
	struct writer request;
	void *context;
	void *socket;
	void *monitor;
	unsigned n_connections;
	uint8_t answer[MESSAGE_MAX];
	size_t answer_len;
	bool told_words;   /* once is enough */
	bool told_silence;
	bool told_expired;
	bool told_later;
};

bool is_invitation(struct span bytes) {
	/* an answer begins with an array of msgpack, as no text does */
	return bytes.len > 0 && (bytes.data[0] & 0xf0) != 0x90 &&
		memmem(bytes.data, bytes.len, "lienthong-", strlen("lienthong-"));
}

/* The request that was made before, with the keys that are here; false: there is none. */
static bool old_request(const struct tool *tool, struct asking *asking) {
	char *path = home_path(tool, "request");
	struct office office;
	uint8_t *bytes = NULL;
	size_t len = 0;
	bool same;

	same = path && file_read(path, ENROL_FILE_MAX, &bytes, &len) == 0 &&
		enrol_request_read((struct span){ bytes, len }, &office) == 0 &&
		id_eq(&office.id, &asking->invite.office) &&
		memcmp(office.sign_key, asking->made.office.sign_key, SIGN_PUBLIC_LEN) == 0;
	if (same)
		write_raw(&asking->request, (struct span){ bytes, len });
	free(bytes);
	free(path);
	return same;
}

/* Nothing is written and nobody is asked, with keys that are another office's. */
static int check_home(const struct tool *tool, const struct asking *asking, bool *ret_made) {
	struct id office;
	int ending = newoffice_present(tool, &office);

	*ret_made = id_eq(&office, &asking->invite.office);
	if (ending == DONE && !*ret_made && !id_is_nil(&office))
		return refuse(_("there is an office in %s already; it stays as it is. The invitation was not used: take it to an empty directory, named with --home"),
			tool->home);
	return ending;
}

static int prepare(const struct tool *tool, struct asking *asking) {
	const struct invite *invite = &asking->invite;
	struct office *office = &asking->made.office;
	int ending;

	office->id = invite->office;
	office->code = invite->code;
	office->code_digits = invite->code_digits;
	office->level = invite->level;
	office->name = invite->name;
	ending = newoffice_keys(tool, &asking->made);
	if (ending || old_request(tool, asking))
		return ending;
	return newoffice_request(tool, &asking->made, &asking->request);
}

static bool set(void *socket, int option, int value) {
	return zmq_setsockopt(socket, option, &value, sizeof(value)) == 0;
}

static void close_sockets(struct asking *asking) {
	if (asking->socket)
		(void)zmq_close(TAKE(asking->socket));
	if (asking->monitor)
		(void)zmq_close(TAKE(asking->monitor));
}

/* A connection anew: libzmq may have given up the one before for good. 0 or -errno. */
static int connect_parent(struct asking *asking) {
	const struct invite *invite = &asking->invite;
	char address[ENROL_ADDRESS_MAX + 1];
	uint8_t public[OFFICE_CURVE_LEN];
	char watch[32];
	int r;

	close_sockets(asking);
	snprintf(watch, sizeof(watch), "inproc://join-%u", asking->n_connections++);
	r = curve_public(invite->token, public);
	if (r)
		return r;
	snprintf(address, sizeof(address), "%.*s", (int)invite->address.len,
		(const char *)invite->address.data);
	asking->socket = zmq_socket(asking->context, ZMQ_DEALER);
	asking->monitor = zmq_socket(asking->context, ZMQ_PAIR);
	if (!asking->socket || !asking->monitor || !set(asking->socket, ZMQ_LINGER, 0) || !set(asking->socket, ZMQ_IMMEDIATE, 1) ||
		!set(asking->socket, ZMQ_CONNECT_TIMEOUT, CONNECT_MS) ||
		!set(asking->socket, ZMQ_IPV6, address[strcspn(address, "[")] == '[') ||
		zmq_setsockopt(asking->socket, ZMQ_MAXMSGSIZE, &(int64_t){ MESSAGE_MAX }, sizeof(int64_t)) < 0 ||
		zmq_setsockopt(asking->socket, ZMQ_CURVE_SERVERKEY, invite->parent_curve_key, 32) < 0 ||
		zmq_setsockopt(asking->socket, ZMQ_CURVE_PUBLICKEY, public, 32) < 0 ||
		zmq_setsockopt(asking->socket, ZMQ_CURVE_SECRETKEY, invite->token, 32) < 0 ||
		zmq_socket_monitor(asking->socket, watch, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) < 0 ||
		zmq_connect(asking->monitor, watch) < 0 || zmq_connect(asking->socket, address) < 0)
		return -errno;
	return 0;
}

/* That there is an answer to read (or room to send): 0, or an outcome. */
static int await(struct asking *asking, short events, long timeout_ms) {
	zmq_pollitem_t items[] = {
		{ .socket = asking->socket, .events = events },
		{ .socket = asking->monitor, .events = ZMQ_POLLIN },
	};

	if (zmq_poll(items, N_ELEMENTS(items), timeout_ms) <= 0)
		return NO_ANSWER;
	return items[1].revents ? KEY_REFUSED : 0; /* the monitor says nothing else */
}

/* Sends the request until something comes back. 0, an outcome, or -errno. */
static int send_request(struct asking *asking) {
	uint8_t frame[MESSAGE_MAX];
	struct writer w;
	int r = NO_ANSWER;

	writer_init(&w, frame, sizeof(frame));
	message_write_join(&w, writer_span(&asking->request));
	if (!writer_ok(&w))
		return -EMSGSIZE;
	while (zmq_recv(asking->socket, asking->answer, sizeof(asking->answer), ZMQ_DONTWAIT) >= 0)
		; /* a second answer to what was asked before */
	for (unsigned i = 0; r == NO_ANSWER && i < ASK_TRIES; i++) {
		r = await(asking, ZMQ_POLLOUT, ANSWER_MS);
		if (r)
			continue;
		if (zmq_send(asking->socket, w.data, w.len, ZMQ_DONTWAIT) < 0 && errno != EAGAIN)
			return -errno;
		r = await(asking, ZMQ_POLLIN, ANSWER_MS);
	}
	return r;
}

/* Asks once. 0 with a message, an outcome, or -errno. */
static int ask_once(struct asking *asking, struct message *ret_message) {
	int r = send_request(asking);
	int n;

	if (r)
		return r;
	n = zmq_recv(asking->socket, asking->answer, sizeof(asking->answer), ZMQ_DONTWAIT);
	if (n < 0 || (size_t)n > sizeof(asking->answer))
		return NO_ANSWER;
	asking->answer_len = (size_t)n;
	if (message_decode((struct span){ asking->answer, asking->answer_len }, ret_message) ||
		ret_message->type != MESSAGE_ENROL)
		return NO_ANSWER;
	return 0;
}

static void tell_words(struct asking *asking) {
	struct office parent = { .id = asking->invite.parent };
	char english[WORDS_MAX], vietnamese[WORDS_MAX];

	if (asking->told_words)
		return;
	asking->told_words = true;
	memcpy(parent.curve_key, asking->invite.parent_curve_key, OFFICE_CURVE_LEN);
	enrolment_words(&asking->made.office, &parent, false, english);
	enrolment_words(&asking->made.office, &parent, true, vietnamese);
	say(_("The office above has the request. Read these five words to it over the telephone:"));
	say("\n    %s\n    %s\n", vietnamese, english);
	say(_("Waiting until it accepts. This may be ended; the same command goes on later."));
	(void)fflush(stdout); /* to be read while it waits, also where stdout is no terminal */
}

/* Only from the office that invited, and about this one, with its keys. */
static bool answer_fits(const struct asking *asking, const struct enrol_answer *answer) {
	const struct office *me = &answer->chain[answer->n_chain - 1].office;
	const struct office *parent = &answer->chain[answer->n_chain - 2].office;

	return id_eq(&me->id, &asking->invite.office) &&
		memcmp(me->sign_key, asking->made.office.sign_key, SIGN_PUBLIC_LEN) == 0 &&
		memcmp(me->curve_key, asking->made.office.curve_key, OFFICE_CURVE_LEN) == 0 &&
		id_eq(&parent->id, &asking->invite.parent) &&
		memcmp(parent->curve_key, asking->invite.parent_curve_key, OFFICE_CURVE_LEN) == 0;
}

static int enrolled(const struct tool *tool, struct asking *asking, struct span file) {
	struct enrol_answer answer;
	const struct office *parent;
	int ending;

	if (enrol_answer_read(file, &answer) || !answer_fits(asking, &answer))
		return refuse(_("what the office above answered is not for this invitation; ask it to invite again"));
	ending = newoffice_store(tool, answer.chain, answer.n_chain, answer.address);
	if (ending)
		return ending;
	parent = &answer.chain[answer.n_chain - 2].office;
	say(_("This office is made in %s, and belongs to %.*s. Now start its node: systemctl start lienthongd"),
		tool->home, (int)parent->name.len, (const char *)parent->name.data);
	return DONE;
}

/* DONE or an ending, or -1: ask again. */
static int take_answer(const struct tool *tool, struct asking *asking, const struct message *message) {
	switch (message->outcome) {
	case ENROL_OUTCOME_ENROLLED:
		return enrolled(tool, asking, message->file);
	case ENROL_OUTCOME_WAITING:
		tell_words(asking);
		return -1;
	case ENROL_OUTCOME_LATER:
		if (!asking->told_later)
			say(_("The office above has no room for this now; asking again."));
		asking->told_later = true;
		return -1;
	case ENROL_OUTCOME_REFUSED:
		return refuse(_("the office above has refused; ask it why, and to invite again"));
	case ENROL_OUTCOME_EXPIRED:
		return refuse(_("the invitation has expired; ask the office above for another"));
	case ENROL_OUTCOME_USED:
		return refuse(_("another computer has used this invitation already; tell the office above, and ask for another"));
	case ENROL_OUTCOME_NOT_INVITED:
		return refuse(_("the office above does not know this invitation as it is; ask for another"));
	default:
		return refuse(_("the office above answered what only a newer version knows; install that"));
	}
}

static void tell_silence(struct asking *asking) {
	char day[DATE_TEXT_MAX];

	if (!asking->told_silence)
		say(_("No answer yet from %.*s; asking again."), (int)asking->invite.address.len,
			(const char *)asking->invite.address.data);
	asking->told_silence = true;
	if (asking->told_expired || date_now_ms() < asking->invite.expires_ms)
		return;
	date_format_time(asking->invite.expires_ms, day);
	say(_("By the clock of this computer the invitation has expired (%s); if that is so, ask for another."), day);
	asking->told_expired = true;
}

static int wait_for_parent(const struct tool *tool, struct asking *asking, unsigned wait_s) {
	uint64_t until_ms = date_now_ms() + (uint64_t)wait_s * 1000;
	struct message message;
	int ending = -1;

	while (ending < 0) {
		int r = asking->socket ? 0 : connect_parent(asking);

		if (r == 0)
			r = ask_once(asking, &message);
		if (r < 0)
			return fail(_("%.*s cannot be reached: %s"), (int)asking->invite.address.len,
				(const char *)asking->invite.address.data, zmq_strerror(-r));
		if (r == 0) {
			ending = take_answer(tool, asking, &message);
		} else if (r == KEY_REFUSED) {
			return refuse(_("the office above does not know this invitation, or not any more; ask it for another"));
		} else {
			close_sockets(asking);
			tell_silence(asking);
		}
		if (ending < 0 && date_now_ms() >= until_ms)
			return fail(_("not enrolled yet; the same command goes on later"));
		if (ending < 0)
			(void)zmq_poll(NULL, 0, ASK_EVERY_MS);
	}
	return ending;
}

static int ask_for_office(const struct tool *tool, struct asking *asking, unsigned wait_s) {
	int ending = prepare(tool, asking);

	if (ending)
		return ending;
	asking->context = zmq_ctx_new();
	return asking->context ? wait_for_parent(tool, asking, wait_s) : fail_memory();
}

int join_invited(const struct tool *tool, struct span text, unsigned wait_s) {
	struct asking *asking = calloc(1, sizeof(*asking));
	bool made = false;
	int ending;

	if (!asking)
		return fail_memory();
	writer_init_grow(&asking->request);
	if (invite_read(text, asking->bytes, &asking->invite))
		ending = misuse(_("this is not a whole invitation: a part is missing, or a letter was misread; copy all of it"));
	else
		ending = check_home(tool, asking, &made);
	if (ending == DONE && made)
		say(_("This office is made in %s already. Now start its node: systemctl start lienthongd"), tool->home);
	else if (ending == DONE)
		ending = ask_for_office(tool, asking, wait_s);
	close_sockets(asking);
	if (asking->context)
		(void)zmq_ctx_term(asking->context);
	newoffice_done(&asking->made);
	writer_done(&asking->request);
	explicit_bzero(asking, sizeof(*asking));
	free(asking);
	return ending;
}
