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

enum {
	SAY_AFTER_MS = 3000, /* of silence, that we wait */
	LOOK_EVERY_MS = 200, /* whether a node is back */
};

#define MONITOR "inproc://monitor"

struct client {
	char *path;
	void *context;
	void *socket;
	void *monitor;     /* tells what becomes of the connection */
	bool said;         /* that we wait */
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

static int open_socket(struct client *client) {
	char address[sizeof(struct sockaddr_un) + 8];
	int64_t frame_max = CONTROL_MAX;
	int linger = 0;

	snprintf(address, sizeof(address), "ipc://%s", client->path);
	client->context = zmq_ctx_new();
	if (!client->context)
		return -errno;
	client->socket = zmq_socket(client->context, ZMQ_DEALER);
	client->monitor = zmq_socket(client->context, ZMQ_PAIR);
	if (!client->socket || !client->monitor)
		return -errno;
	if (zmq_setsockopt(client->socket, ZMQ_LINGER, &linger, sizeof(linger)) < 0 ||
		zmq_setsockopt(client->monitor, ZMQ_LINGER, &linger, sizeof(linger)) < 0 ||
		zmq_setsockopt(client->socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof(frame_max)) < 0 ||
		zmq_socket_monitor(client->socket, MONITOR,
			ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CONNECT_RETRIED) < 0 ||
		zmq_connect(client->monitor, MONITOR) < 0 ||
		zmq_connect(client->socket, address) < 0)
		return -errno;
	return 0;
}

static void close_sockets(struct client *client) {
	if (client->socket)
		zmq_close(client->socket);
	if (client->monitor)
		zmq_close(client->monitor);
	if (client->context)
		zmq_ctx_term(client->context);
	client->socket = client->monitor = client->context = NULL;
}

int client_open(const struct tool *tool, struct client **ret_client) {
	_cleanup_(client_closep) struct client *client = calloc(1, sizeof(*client));
	int r;

	if (!client)
		return -ENOMEM;
	zmq_msg_init(&client->message);
	if (asprintf(&client->path, "%s/control.sock", tool->home) < 0) {
		client->path = NULL;
		return -ENOMEM;
	}
	r = probe(client->path);
	if (r == 0)
		r = open_socket(client);
	if (r == 0)
		*ret_client = TAKE(client);
	return r;
}

struct client *client_close(struct client *client) {
	if (!client)
		return NULL;
	zmq_msg_close(&client->message);
	close_sockets(client);
	free(client->path);
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

static bool readable(void *socket, long timeout_ms) {
	zmq_pollitem_t item = { socket, 0, ZMQ_POLLIN, 0 };

	return zmq_poll(&item, 1, timeout_ms) > 0;
}

/* Takes what the monitor has to say: whether nobody is there any more. */
static bool is_gone(struct client *client) {
	uint8_t frame[sizeof(uint16_t) + sizeof(uint32_t)];
	bool gone = false;
	uint16_t event;

	while (zmq_recv(client->monitor, frame, sizeof(frame), ZMQ_DONTWAIT) == sizeof(frame)) {
		memcpy(&event, frame, sizeof(event));
		(void)zmq_recv(client->monitor, NULL, 0, ZMQ_DONTWAIT); /* the address */
		gone = gone || event == ZMQ_EVENT_DISCONNECTED || probe(client->path) == CLIENT_DOWN;
	}
	return gone;
}

/* Until there is something to read. 0, CLIENT_SILENT, CLIENT_GONE or -errno. */
static int await(struct client *client, uint64_t since_ms, uint64_t until_ms) {
	zmq_pollitem_t items[] = {
		{ client->socket, 0, ZMQ_POLLIN, 0 },
		{ client->monitor, 0, ZMQ_POLLIN, 0 },
	};
	uint64_t say_ms = since_ms + SAY_AFTER_MS;

	for (;;) {
		uint64_t now_ms = monotonic_ms();
		uint64_t next_ms = client->said || until_ms < say_ms ? until_ms : say_ms;

		if (now_ms >= until_ms)
			return CLIENT_SILENT;
		if (now_ms >= next_ms) {
			client->said = true;
			(void)fail(_("waiting for the node ..."));
			continue;
		}
		if (zmq_poll(items, N_ELEMENTS(items), (long)(next_ms - now_ms)) < 0 && errno != EINTR)
			return -errno;
		if (items[0].revents)
			return 0;
		if (items[1].revents && is_gone(client)) /* after its answer, perhaps */
			return readable(client->socket, 0) ? 0 : CLIENT_GONE;
	}
}

/* The next answer, whichever it is. */
static int receive(struct client *client, uint64_t since_ms, uint64_t until_ms,
	struct answer *ret_answer) {
	int n;
	int r;

	r = await(client, since_ms, until_ms);
	if (r)
		return r;
	do {
		n = zmq_msg_recv(&client->message, client->socket, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return control_answer_decode((struct span){ zmq_msg_data(&client->message), (size_t)n },
		       ret_answer) ? CLIENT_STRANGE : 0;
}

int client_ask(struct client *client, const struct writer *request, unsigned timeout_ms,
	struct answer *ret_answer) {
	uint64_t since_ms = monotonic_ms();
	struct span bytes = writer_span(request);
	struct answer answer;
	int r;

	if (!writer_ok(request))
		return -ENOMEM;
	if (zmq_send(client->socket, bytes.data, bytes.len, 0) < 0)
		return -errno;
	do {
		r = receive(client, since_ms, since_ms + timeout_ms, &answer);
	} while (r == 0 && answer.number != client->number); /* it came too late for its asker */
	if (r == 0)
		*ret_answer = answer;
	return r;
}

/* 0, CLIENT_DOWN, CLIENT_DENIED or -errno. */
static int reopen(struct client *client, unsigned back_ms) {
	uint64_t until_ms = monotonic_ms() + back_ms;
	int r;

	close_sockets(client);
	while ((r = probe(client->path)) == CLIENT_DOWN && monotonic_ms() < until_ms)
		(void)nanosleep(&(struct timespec){ .tv_nsec = LOOK_EVERY_MS * 1000000L }, NULL);
	return r ? r : open_socket(client);
}

int client_ask_again(struct client *client, const struct writer *request, unsigned timeout_ms,
	unsigned back_ms, struct answer *ret_answer) {
	int r;

	r = client_ask(client, request, timeout_ms, ret_answer);
	if (r != CLIENT_GONE)
		return r;
	(void)fail(_("the node stopped while it worked on this; waiting for it to come back ..."));
	r = reopen(client, back_ms);
	if (r == 0)
		r = client_ask(client, request, timeout_ms, ret_answer);
	return r == CLIENT_DOWN ? CLIENT_GONE : r;
}

int client_explain(const struct tool *tool, int r) {
	switch (r) {
	case CLIENT_DOWN:
		return fail(_("the node is not running: start it with systemctl start lienthongd"));
	case CLIENT_DENIED:
		return fail(_("the node of %s belongs to another user; use sudo"), tool->home);
	case CLIENT_SILENT:
		return fail(_("the node does not answer; what was asked may or may not have been done: see lienthong status, and journalctl -u lienthongd"));
	case CLIENT_GONE:
		return fail(_("the node stopped while it worked on this; whether it was done is not known: see journalctl -u lienthongd, start it, then do it again"));
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

int client_reach(const struct tool *tool, struct client **ret_client) {
	int r = client_open(tool, ret_client);

	return r ? client_explain(tool, r) : DONE;
}

int client_order(const struct tool *tool, struct client *client, const struct writer *request, const char *what,
	struct answer *ret_answer) {
	int r = client_ask(client, request, CLIENT_PATIENT_MS, ret_answer);

	if (r)
		return client_explain(tool, r);
	return ret_answer->result == CONTROL_OK ? DONE : client_refused(ret_answer, what);
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
		return refuse(_("%s: there are as many of these already as there can be: of a petition's steps, record what follows as a new one that names it; of an office's keys and lives of its store, have the office above revoke it and enrol it anew; an office moves seven times at most, so revoke it and enrol it anew where it belongs"),
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
		return refuse(_("%s: %s has this code or these keys already; an office that is made anew needs a code of its own"),
			what, detail);
	case CONTROL_NO_PRIVATE:
		return refuse(_("%s: nobody has recorded who brought it; it would be in the office that took it in"),
			what);
	case CONTROL_ERASED:
		return refuse(_("%s: who brought it was erased"), what);
	case CONTROL_PRIVATE_LOST:
		return refuse(_("%s: the key to who brought it is in the file %s, which is not in the home of this office, or not whole; put that one back from where it was kept safe, beside the others, for the user of the node and mode 0600"),
			what, detail);
	case CONTROL_KEY_LEFT:
		return fail(_("%s: who brought it is taken out of the store, but its key in %s could not be destroyed yet; make room on the disk, and see that this file belongs to the user of the node; the node tries again, and once it is done says here: erased"),
			what, detail);
	case CONTROL_NOT_BELOW:
		return refuse(_("%s: only the office directly above can change that"), what);
	case CONTROL_REVOKED:
		return refuse(_("%s: it was revoked, which is for ever; enrol the office anew, with other keys"), what);
	case CONTROL_NOT_THERE:
		return refuse(_("%s: it cannot move there: only to an office above this one, below it, or directly below the same office as this one, and not below itself; see lienthong office list"),
			what);
	case CONTROL_HOLDS_CASES:
		return refuse(_("%s: this office still holds petitions that it took in; answer them first: what is done here would not reach it any more"),
			what);
	case CONTROL_FORKED:
		return refuse(_("%s: it ran twice, or from an old copy, and only this office can settle that; first: lienthong office unfork"),
			what);
	case CONTROL_BEHIND:
		return refuse(_("%s: the office above does not have all yet that is here of it and of those below it, which would be lost with its computer; wait until nothing of them is left in lienthong queue, then try again"),
			what);
	case CONTROL_NO_REQUEST:
		return refuse(_("%s: the office above has not asked this of this office; see: lienthong requests"), what);
	case CONTROL_ANSWERED:
		return refuse(_("%s: this was answered already; see: lienthong requests"), what);
	case CONTROL_READABLE:
		return refuse(_("%s: it can be read here already"), what);
	case CONTROL_NOT_NEIGHBOUR:
		return refuse(_("%s: this is not the office above, nor one directly below this one; see lienthong office list"), what);
	case CONTROL_SEVERAL:
		return refuse(_("%s: several petitions here have that reference; refuse the request, and let the office above ask for the place of the record, such as 09163/1/normal/0"),
			what);
	case CONTROL_NOT_FORKED:
		return refuse(_("%s: that office has not forked, or it is settled"), what);
	case CONTROL_RESTORING:
		return refuse(_("%s: this office's store was put back from a copy; first what the office above has must come back: see lienthong status"),
			what);
	case CONTROL_OLD_COPY:
		return refuse(_("%s: the office above has shown more of this office than is here: this is an old copy; stop the node, then: lienthong restore --here"),
			what);
	case CONTROL_OLD_KEYS:
		return refuse(_("%s: this office changed its key after the copy was made; put back the file keys from where the newest is kept safe"),
			what);
	case CONTROL_OTHER_KEY:
		return refuse(_("%s: this office ran twice, and changed its key on this computer alone, so nobody believes this one any more; go on with the other computer, or have the office above revoke this office (lienthong office revoke) and enrol it anew"),
			what);
	case CONTROL_CLOSED:
		return refuse(_("%s: this office was closed by the one above it; it brings what it has to an end and takes nothing new in"),
			what);
	case CONTROL_TOO_DEEP:
		return refuse(_("%s: too many levels are above this office already; none can be enrolled below it"), what);
	case CONTROL_NO_MORE_BELOW:
		return refuse(_("%s: so many offices were enrolled below this one, or below one above it, that the others would not keep one more; nothing was changed"),
			what);
	case CONTROL_UNSEALED:
		return refuse(_("%s: who brings a denunciation must be sealed before the node gets it, and this program did not; enter it with lienthong of the node's version"),
			what);
	case CONTROL_NOT_ASKED:
		return refuse(_("%s: nobody waits to be accepted as that office; see: lienthong office pending"), what);
	case CONTROL_FAILED:
		return fail(_("%s: the node cannot go on: %s"), what, detail);
	default:
		return fail(_("%s: the node refused for a reason that only a newer version knows (%llu): %s"),
			what, (unsigned long long)answer->result, detail);
	}
}
