/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * place - which record is meant by REF|PLACE: a petition that can be read here, or office/epoch/lane/number
 */
#include "tools/home.h"

/* Whether it is written as a place. */
bool place_is(const char *name);
/* Whether it lies beyond the end of a life of its office's store: nobody passes it on. */
bool place_is_void(const struct office_row *office, const struct place *place);
/* Of what was written again in a later life, the place there. DONE, or an ending, having said why. */
int place_find(const struct home *home, const char *name, struct place *ret_place);
