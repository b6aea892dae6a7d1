/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>

#include "proto/enrol.h"
#include "tools/address.h"

Test(address, is_one_that_others_can_connect_to) {
	static const struct {
		const char *text;
		bool ok;
	} cases[] = {
		{ "tcp://1.2.3.4:7401", true },
		{ "tcp://province.example:1", true },
		{ "tcp://a_b-c:65535", true },
		{ "tcp://[fe80::1%eth0]:7401", true },
		{ "foo", false },
		{ "", false },
		{ "tcp://", false },
		{ "tcp://:7401", false },
		{ "tcp://1.2.3.4", false },
		{ "tcp://1.2.3.4:", false },
		{ "tcp://1.2.3.4:0", false },
		{ "tcp://1.2.3.4:65536", false },
		{ "tcp://1.2.3.4:99999", false },
		{ "tcp://1.2.3.4:4294967297", false },
		{ "tcp://1.2.3.4:7401 ", false },
		{ "tcp://1.2.3.4:+1", false },
		{ "tcp://*:7401", false },
		{ "tcp://0.0.0.0:7401", false },
		{ "tcp://[::]:7401", false },
		{ "tcp://[]:7401", false },
		{ "tcp://fe80::1:7401", false },
		{ "tcp://a b:7401", false },
		{ "tcp://a/b:7401", false },
		{ "ipc:///run/x:7401", false },
		{ "TCP://1.2.3.4:7401", false },
	};
	char longest[ENROL_ADDRESS_MAX + 2];

	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		cr_expect_eq(address_ok(span_str(cases[i].text)), cases[i].ok, "%s", cases[i].text);
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "tcp://", 6);
	memcpy(longest + ENROL_ADDRESS_MAX - 2, ":80", 3);
	cr_expect_not(address_ok((struct span){ (uint8_t *)longest, ENROL_ADDRESS_MAX + 1 }));
	memcpy(longest + ENROL_ADDRESS_MAX - 3, ":80", 3);
	cr_expect(address_ok((struct span){ (uint8_t *)longest, ENROL_ADDRESS_MAX }));
}
