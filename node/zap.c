/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/zap.h"

#include <errno.h>
#include <stdio.h>

#include "proto/head.h"
#include "proto/text.h"

#define ZAP_DOMAIN "lienthong"

enum {
	/* Debian's zmq.h hides it among the drafts, the library has it. */
	ENFORCE_DOMAIN = 93,
	SELF_TEST_MS = 900,
};

int zap_init(struct zap *zap, void *context, const struct core *core, struct log *log) {
	*zap = (struct zap){ .core = core, .log = log };
	zap->socket = zmq_socket(context, ZMQ_REP);
	if (!zap->socket || zmq_bind(zap->socket, "inproc://zeromq.zap.01") < 0)
		return -errno;
	return 0;
}

void zap_done(struct zap *zap) {
	if (zap->socket)
		(void)zmq_close(TAKE(zap->socket));
}

int zap_secure(void *socket, const uint8_t secret[32]) {
	int one = 1;

	if (zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &one, sizeof(one)) < 0 ||
		zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, 32) < 0 ||
		zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN, strlen(ZAP_DOMAIN)) < 0 ||
		zmq_setsockopt(socket, ENFORCE_DOMAIN, &one, sizeof(one)) < 0)
		return -errno;
	return 0;
}

static bool part_is(zmq_msg_t *part, const char *text) {
	return span_eq((struct span){ zmq_msg_data(part), zmq_msg_size(part) }, span_str(text));
}

static void log_stranger(struct zap *zap, const uint8_t *key) {
	char hex[2 * OFFICE_CURVE_LEN + 1];

	for (size_t i = 0; i < ZAP_REFUSED_MAX && i < zap->n_refused; i++)
		if (memcmp(zap->refused[i], key, OFFICE_CURVE_LEN) == 0)
			return;
	memcpy(zap->refused[zap->n_refused++ % ZAP_REFUSED_MAX], key, OFFICE_CURVE_LEN);
	hex_format((struct span){ key, OFFICE_CURVE_LEN }, hex);
	log_cause(zap->log, LOG_WARNING,
		_("a connection was refused: its key %s is of no office below this one"), hex);
}

static void answer(struct zap *zap, zmq_msg_t *request_id, const char *status, const char *text,
	const char *user) {
	const struct span parts[] = {
		span_str("1.0"),
		{ zmq_msg_data(request_id), zmq_msg_size(request_id) },
		span_str(status),
		span_str(text),
		span_str(user),
		span_str(""), /* no metadata of our own */
	};

	/* an answer that cannot be sent refuses the client: it will ask again */
	for (size_t i = 0; i < N_ELEMENTS(parts); i++)
		if (zmq_send(zap->socket, parts[i].data, parts[i].len,
			    ZMQ_DONTWAIT | (i + 1 < N_ELEMENTS(parts) ? ZMQ_SNDMORE : 0)) < 0)
			break;
}

void zap_question(struct zap *zap, zmq_msg_t *parts, size_t n_parts) {
	/* version, request id, domain, address, routing id, mechanism, key */
	char user[sizeof(ZAP_GUEST) + OFFICE_ID_TEXT_LEN] = ZAP_GUEST;
	const struct office *office = NULL;
	const struct id *guest = NULL;
	const uint8_t *key;

	if (n_parts != ZAP_PARTS || !part_is(&parts[0], "1.0") || !part_is(&parts[5], "CURVE") ||
		zmq_msg_size(&parts[6]) != OFFICE_CURVE_LEN) {
		/* only libzmq itself can ask; a REP socket must answer whatever it was */
		zmq_msg_t none;

		(void)zmq_msg_init(&none);
		answer(zap, n_parts > 1 ? &parts[1] : &none, "500", "Not a question", "");
		return;
	}
	key = zmq_msg_data(&parts[6]);
	if (part_is(&parts[2], ZAP_DOMAIN)) {
		office = core_child_by_curve(zap->core, key);
		guest = office ? NULL : core_guest_by_curve(zap->core, key);
	}
	if (!office && !guest) {
		log_stranger(zap, key);
		answer(zap, &parts[1], "400", "No office below this one has this key", "");
		return;
	}
	id_format(office ? &office->id : guest, office ? user : user + sizeof(ZAP_GUEST) - 1);
	answer(zap, &parts[1], "200", "OK", user);
}

/* Answers what is asked. */
static void answer_questions(struct zap *zap) {
	for (;;) {
		zmq_msg_t parts[ZAP_PARTS];
		size_t n = 0;
		bool more = true;

		while (more && n < ZAP_PARTS) {
			(void)zmq_msg_init(&parts[n]);
			if (zmq_msg_recv(&parts[n], zap->socket, ZMQ_DONTWAIT) < 0)
				break;
			more = zmq_msg_more(&parts[n++]);
		}
		if (n > 0)
			zap_question(zap, parts, n);
		for (size_t i = 0; i < n; i++)
			(void)zmq_msg_close(&parts[i]);
		if (n == 0)
			return;
	}
}

/* What became of the stranger: a ZMQ_EVENT_*, or 0 if nothing yet. */
static int stranger_event(void *monitor) {
	uint8_t event[6];
	uint16_t number;
	int more;
	size_t len = sizeof(more);

	if (zmq_recv(monitor, event, sizeof(event), ZMQ_DONTWAIT) != sizeof(event))
		return 0;
	if (zmq_getsockopt(monitor, ZMQ_RCVMORE, &more, &len) == 0 && more)
		(void)zmq_recv(monitor, NULL, 0, ZMQ_DONTWAIT);
	memcpy(&number, event, sizeof(number));
	return number;
}

static int wait_for_verdict(struct zap *zap, void *monitor) {
	zmq_pollitem_t items[] = {
		{ .socket = zap->socket, .events = ZMQ_POLLIN },
		{ .socket = monitor, .events = ZMQ_POLLIN },
	};

	for (int left_ms = SELF_TEST_MS; left_ms > 0; left_ms -= 10) {
		if (zmq_poll(items, N_ELEMENTS(items), 10) < 0)
			return -errno;
		answer_questions(zap);
		switch (stranger_event(monitor)) {
		case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
			return 0;
		case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
			return ZAP_ADMITS_STRANGERS;
		}
	}
	return -ETIMEDOUT;
}

int zap_self_test(struct zap *zap, void *context, const uint8_t secret[32]) {
	static const char watch[] = "inproc://zap-self-test";
	char address[64], own_public[41], own_text[41], public_text[41], secret_text[41];
	void *server = zmq_socket(context, ZMQ_ROUTER);
	void *stranger = zmq_socket(context, ZMQ_DEALER);
	void *monitor = zmq_socket(context, ZMQ_PAIR);
	uint64_t name = 0;
	int r;

	r = server && stranger && monitor ? 0 : -errno;
	if (!r)
		r = random_bytes(&name, sizeof(name));
	/* a name outside of the file system, so that nothing is left behind */
	(void)snprintf(address, sizeof(address), "ipc://@lienthong-%016llx", (unsigned long long)name);
	if (!r)
		r = zap_secure(server, secret);
	if (!r && (zmq_curve_keypair(public_text, secret_text) < 0 ||
			  !zmq_z85_encode(own_text, secret, 32) ||
			  zmq_curve_public(own_public, own_text) < 0 ||
			  !zmq_z85_decode(zap->refused[0], public_text) ||
			  zmq_setsockopt(stranger, ZMQ_CURVE_SERVERKEY, own_public, 41) < 0 ||
			  zmq_setsockopt(stranger, ZMQ_CURVE_PUBLICKEY, public_text, 41) < 0 ||
			  zmq_setsockopt(stranger, ZMQ_CURVE_SECRETKEY, secret_text, 41) < 0 ||
			  zmq_socket_monitor(stranger, watch,
				  ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) < 0 ||
			  zmq_connect(monitor, watch) < 0 || zmq_bind(server, address) < 0 ||
			  zmq_connect(stranger, address) < 0))
		r = -errno;
	zap->n_refused = 1; /* this stranger is no news */
	if (!r)
		r = wait_for_verdict(zap, monitor);
	zap->n_refused = 0;

	explicit_bzero(own_text, sizeof(own_text));
	if (stranger) {
		(void)zmq_socket_monitor(stranger, NULL, 0);
		(void)zmq_close(stranger);
	}
	if (monitor)
		(void)zmq_close(monitor);
	if (server)
		(void)zmq_close(server);
	return r;
}
