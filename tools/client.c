/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

struct client {
	void *context;
	void *socket;
	zmq_msg_t message; /* the last answer */
	uint64_t number;
};

/* ZeroMQ connects to nobody without a word, and would wait; so ask the kernel first. */
static int probe(const char *path) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;
	int r;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
	(void)close(fd);
	switch (r) {
	case 0:
	case EAGAIN: /* somebody listens, and is busy */
		return 0;
	case ENOENT:
	case ECONNREFUSED:
		return CLIENT_DOWN;
	case EACCES:
	case EPERM:
		return CLIENT_DENIED;
	default:
		return -r;
	}
}

static int open_socket(struct client *client, const char *path) {
	char address[sizeof(struct sockaddr_un) + 8];
	int64_t frame_max = CONTROL_MAX;
	int linger = 0;

	snprintf(address, sizeof(address), "ipc://%s", path);
	client->context = zmq_ctx_new();
	if (!client->context)
		return -errno;
	client->socket = zmq_socket(client->context, ZMQ_DEALER);
	if (!client->socket)
		return -errno;
	if (zmq_setsockopt(client->socket, ZMQ_LINGER, &linger, sizeof(linger)) < 0 ||
		zmq_setsockopt(client->socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof(frame_max)) < 0 ||
		zmq_connect(client->socket, address) < 0)
		return -errno;
	return 0;
}

int client_open(const struct tool *tool, struct client **ret_client) {
	_cleanup_(client_closep) struct client *client = NULL;
	char *path;
	int r;

	if (asprintf(&path, "%s/control.sock", tool->home) < 0)
		return -ENOMEM;
	r = probe(path);
	if (r == 0) {
		client = calloc(1, sizeof(*client));
		r = client ? 0 : -ENOMEM;
	}
	if (r == 0) {
		zmq_msg_init(&client->message);
		r = open_socket(client, path);
	}
	free(path);
	if (r == 0)
		*ret_client = TAKE(client);
	return r;
}

struct client *client_close(struct client *client) {
	if (!client)
		return NULL;
	zmq_msg_close(&client->message);
	if (client->socket)
		zmq_close(client->socket);
	if (client->context)
		zmq_ctx_term(client->context);
	free(client);
	return NULL;
}

void client_closep(struct client **client) {
	client_close(*client);
}

uint64_t client_number(struct client *client) {
	return ++client->number;
}

static uint64_t monotonic_ms(void) {
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The next answer, whichever it is. */
static int receive(struct client *client, uint64_t until_ms, struct answer *ret_answer) {
	uint64_t now_ms = monotonic_ms();
	int timeout_ms = until_ms > now_ms ? (int)(until_ms - now_ms) : 0;
	int n;

	if (zmq_setsockopt(client->socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof(timeout_ms)) < 0)
		return -errno;
	do {
		n = zmq_msg_recv(&client->message, client->socket, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? CLIENT_SILENT : -errno;
	return control_answer_decode((struct span){ zmq_msg_data(&client->message), (size_t)n },
		       ret_answer) ? CLIENT_STRANGE : 0;
}

int client_ask(struct client *client, const struct writer *request, unsigned timeout_ms,
	struct answer *ret_answer) {
	uint64_t until_ms = monotonic_ms() + timeout_ms;
	struct span bytes = writer_span(request);
	struct answer answer;
	int r;

	if (!writer_ok(request))
		return -ENOMEM;
	if (zmq_send(client->socket, bytes.data, bytes.len, 0) < 0)
		return -errno;
	do {
		r = receive(client, until_ms, &answer);
	} while (r == 0 && answer.number != client->number); /* it came too late for its asker */
	if (r == 0)
		*ret_answer = answer;
	return r;
}

int client_explain(const struct tool *tool, int r) {
	switch (r) {
	case CLIENT_DOWN:
		return fail(_("the node is not running: start it with systemctl start lienthongd"));
	case CLIENT_DENIED:
		return fail(_("the node of %s belongs to another user; use sudo"), tool->home);
	case CLIENT_SILENT:
		return fail(_("the node does not answer; what was asked may or may not have been done: see lienthong status, and journalctl -u lienthongd"));
	case CLIENT_STRANGE:
		return fail(_("the node's answer cannot be read; it is of another version than this tool"));
	case -ENOMEM:
		return fail_memory();
	case -ENAMETOOLONG:
		return fail(_("the name of the directory %s is too long for a socket in it"), tool->home);
	default:
		return fail(_("cannot talk to the node of %s: %s"), tool->home, strerror(-r));
	}
}

/* The detail may be a state or a field, for which there is a word. */
static const char *shown_detail(const struct answer *answer, char *ret_copy, size_t size) {
	snprintf(ret_copy, size, "%.*s", (int)answer->detail.len, (const char *)answer->detail.data);
	return ret_copy[0] ? _(ret_copy) : "";
}

int client_refused(const struct answer *answer, const char *what) {
	char copy[CONTROL_DETAIL_MAX + 1];
	const char *detail = shown_detail(answer, copy, sizeof(copy));

	switch (answer->result) {
	case CONTROL_BAD_REQUEST:
		return fail(_("%s: the node does not understand this; it is of another version than this tool"),
			what);
	case CONTROL_FULL:
		return fail(_("%s: the disk of the node is full or its store has reached its limit; nothing was kept; make room, then try again"),
			what);
	case CONTROL_NO_CASE:
		return refuse(_("%s: there is no such petition at this office"), what);
	case CONTROL_NOT_HOLDER:
		return refuse(_("%s: this office cannot do that now, the next to act is: %s"), what, detail);
	case CONTROL_WRONG_STATE:
		return refuse(_("%s: this step cannot follow, the petition is now: %s"), what, detail);
	case CONTROL_BAD_FIELD:
		return refuse(_("%s: this cannot be kept, something is wrong with: %s"), what, detail);
	case CONTROL_CONFLICT:
		return refuse(_("%s: it was kept before with other content (%s); what is kept cannot be changed, record a step instead"),
			what, detail);
	case CONTROL_NOT_ABOVE:
		return refuse(_("%s: a petition can be handed over only to the office directly above this one"),
			what);
	case CONTROL_TOO_MANY:
		return refuse(_("%s: this petition has as many steps as one can have; record what follows as a new petition that names this one"),
			what);
	case CONTROL_ALREADY:
		return refuse(_("%s: this was done already, and with other keys or another office; the one that is known stays"),
			what);
	case CONTROL_BAD_FILE:
		return refuse(_("%s: the file is damaged or was signed by another office; ask for it again"),
			what);
	case CONTROL_TOO_OLD:
		return refuse(_("%s: those changes are no longer kept, or there is no such number yet; begin with --snapshot"), what);
	case CONTROL_NOT_FOR_US:
		return refuse(_("%s: this answer is for another office; ask for the one to your request"),
			what);
	case CONTROL_NO_ADDRESS:
		return refuse(_("%s: the node has no address for the offices below; set listen in its configuration, or give --address"),
			what);
	case CONTROL_TAKEN:
		return refuse(_("%s: an office below has this code or these keys already: %s; an office that is made anew needs a code of its own"),
			what, detail);
	case CONTROL_FAILED:
		return fail(_("%s: the node cannot go on: %s"), what, detail);
	default:
		return fail(_("%s: the node refused for a reason that only a newer version knows (%llu): %s"),
			what, (unsigned long long)answer->result, detail);
	}
}
