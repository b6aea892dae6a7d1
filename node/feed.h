/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * feed - the change stream, live: an XPUB at HOME/stream.sock, or where the configuration says
 *
 * A message is two frames: the topic "change", and msgpack [number, row], row being that of
 * store/changes.h, as it is. It may lose messages and promises nothing. Who must miss none first
 * subscribes, then asks SINCE its last number on the control socket until nothing comes, and from
 * then on drops live rows with numbers it has; a number that is not the next means: ask again.
 */
#include <zmq.h>

#include "node/log.h"
#include "proto/base.h"

enum {
	FEED_ROWS_MAX = 10000, /* queued for a reader; what is more, it misses */
};

struct feed {
	void *socket;
	struct log *log;
};

/* @address: of the configuration; empty: in @home. 0 or -errno. */
int feed_init(struct feed *feed, void *context, const char *address, const char *home,
	struct log *log);
void feed_done(struct feed *feed);
/* As core_io.publish(). */
void feed_publish(struct feed *feed, uint64_t number, struct span row);
