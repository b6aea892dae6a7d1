/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * address - where an office can be found by those below it
 */
#include "proto/base.h"

/* "tcp://HOST:PORT", with a host that one can connect to: as `announce` in lienthong.yaml. */
bool address_ok(struct span text);
