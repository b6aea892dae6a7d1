/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/address.h"

#include "proto/enrol.h"

enum {
	PORT_MAX = 65535,
};

static bool port_ok(struct span text) {
	unsigned port = 0;

	for (size_t i = 0; i < text.len && port <= PORT_MAX; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		port = port * 10 + (text.data[i] - '0');
	}
	return port > 0 && port <= PORT_MAX;
}

static bool is_name_char(uint8_t c) {
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		c == '.' || c == '-' || c == '_';
}

static bool host_ok(struct span host) {
	bool brackets = host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']';

	/* addresses to listen at, where nobody can be found */
	if (host.len == 0 || span_eq(host, span_str("0.0.0.0")) || span_eq(host, span_str("[::]")))
		return false;
	for (size_t i = brackets; i < host.len - brackets; i++) {
		uint8_t c = host.data[i];

		if (!is_name_char(c) && !(brackets && (c == ':' || c == '%')))
			return false;
	}
	return true;
}

bool address_ok(struct span text) {
	struct span prefix = span_str("tcp://");
	const uint8_t *colon;
	struct span host;

	if (text.len <= prefix.len || text.len > ENROL_ADDRESS_MAX ||
		memcmp(text.data, prefix.data, prefix.len) != 0)
		return false;
	host = (struct span){ text.data + prefix.len, text.len - prefix.len };
	colon = memrchr(host.data, ':', host.len);
	if (!colon)
		return false;
	host.len = (size_t)(colon - host.data);
	return host_ok(host) &&
		port_ok((struct span){ colon + 1, text.len - (size_t)(colon + 1 - text.data) });
}
