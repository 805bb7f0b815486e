/* bundle.h - what `stead deploy` sends: manifest and files as one msgpack map, {"manifest": bin, "files": {name: bin}}. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

enum { BUNDLE_FILES_MAX = 16 };

struct bundle_file {
    struct slice name; /* as in the manifest */
    struct slice content;
};

struct bundle {
    struct slice manifest;
    struct bundle_file files[BUNDLE_FILES_MAX];
    size_t file_count;
};

void bundle_encode(struct buf *out, const struct bundle *bundle);
/* The slices point into `bytes`. INVALID_ARGUMENT. */
MUST_CHECK enum status bundle_decode(struct slice bytes, struct bundle *bundle, struct err *err);
/* NULL when there is none of this name. */
const struct bundle_file *bundle_find(const struct bundle *bundle, struct slice name);
