/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/feed.h"

#include <errno.h>
#include <stdio.h>

#include "proto/codec.h"
#include "proto/text.h"
#include "store/changes.h"

static bool set(void *socket, int option, int value) {
	return zmq_setsockopt(socket, option, &value, sizeof(value)) == 0;
}

int feed_init(struct feed *feed, void *context, const char *address, const char *home,
	struct log *log) {
	char own[256];

	*feed = (struct feed){ .log = log };
	if ((size_t)snprintf(own, sizeof(own), "ipc://%s/stream.sock", home) >= sizeof(own))
		return -ENAMETOOLONG;
	feed->socket = zmq_socket(context, ZMQ_XPUB);
	if (!feed->socket ||
		!set(feed->socket, ZMQ_SNDHWM, FEED_ROWS_MAX) || !set(feed->socket, ZMQ_RCVHWM, 1000) ||
		zmq_setsockopt(feed->socket, ZMQ_MAXMSGSIZE, &(int64_t){ 256 }, sizeof(int64_t)) < 0)
		return -errno;
	return zmq_bind(feed->socket, address[0] ? address : own) < 0 ? -errno : 0;
}

void feed_done(struct feed *feed) {
	if (feed->socket)
		(void)zmq_close(TAKE(feed->socket));
}

void feed_publish(struct feed *feed, uint64_t number, struct span row) {
	static const char topic[] = "change";
	uint8_t bytes[CHANGE_MAX + 16];
	struct writer w;

	writer_init(&w, bytes, sizeof(bytes));
	write_array(&w, 2);
	write_uint(&w, number);
	write_raw(&w, row);
	if (!writer_ok(&w) ||
		zmq_send(feed->socket, topic, sizeof(topic) - 1, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0 ||
		zmq_send(feed->socket, w.data, w.len, ZMQ_DONTWAIT) < 0)
		log_cause(feed->log, LOG_WARNING, _("change rows could not be published"));
}
