/* apply.h - the entries of a write set into the open transaction of a data file. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "statestore/kv/kv.h"

/* In their order. After a failure the transaction must be aborted. */
MUST_CHECK enum status apply_entries(struct kv *kv, struct slice entries, struct err *err);
