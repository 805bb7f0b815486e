/* checkpoint.c - the two slots. */
// SPDX-License-Identifier: Apache-2.0
#include "statestore/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/base/hash.h"
#include "statestore/le.h"

/* Where the fields are. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 4,
    AT_ID = 8,
    AT_NUMBER = 24,
    AT_FLAGS = 28,
    AT_BOOT = 32,
    AT_SEQ = 48,
    AT_WALL = 56,
    AT_META = 64,
    AT_CHECKSUM = AT_META + KV_META_BYTES,
};
#define CHECKPOINT_MAGIC 0x504b4353u /* "SCKP" */
#define FLAG_CLEAN 1u

static uint64_t checksum_of(const uint8_t *slot)
{
    return hash_stable(slice_make(slot, AT_CHECKSUM));
}

void checkpoint_encode(uint8_t slot[CHECKPOINT_SLOT_BYTES], const struct checkpoint *checkpoint)
{
    memset(slot, 0, CHECKPOINT_SLOT_BYTES);
    le_put(slot + AT_MAGIC, CHECKPOINT_MAGIC, 4);
    le_put(slot + AT_VERSION, CHECKPOINT_FORMAT_VERSION, 4);
    memcpy(slot + AT_ID, checkpoint->id.bytes, STORE_ID_BYTES);
    le_put(slot + AT_NUMBER, checkpoint->number, 4);
    le_put(slot + AT_FLAGS, checkpoint->clean ? FLAG_CLEAN : 0, 4);
    memcpy(slot + AT_BOOT, checkpoint->boot.bytes, BOOT_ID_BYTES);
    le_put(slot + AT_SEQ, checkpoint->seq, 8);
    le_put(slot + AT_WALL, checkpoint->wall_ms, 8);
    memcpy(slot + AT_META, checkpoint->meta, KV_META_BYTES);
    le_put(slot + AT_CHECKSUM, checksum_of(slot), 8);
}

static bool all_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i]) return false;
    return true;
}

enum slot_state checkpoint_decode(const uint8_t slot[CHECKPOINT_SLOT_BYTES], struct checkpoint *checkpoint)
{
    if (all_zero(slot, CHECKPOINT_SLOT_BYTES)) return SLOT_EMPTY;
    if (le_get(slot + AT_MAGIC, 4) != CHECKPOINT_MAGIC) return SLOT_DAMAGED;
    if (le_get(slot + AT_CHECKSUM, 8) != checksum_of(slot)) return SLOT_DAMAGED;
    if (le_get(slot + AT_VERSION, 4) != CHECKPOINT_FORMAT_VERSION) return SLOT_NEWER;
    checkpoint->number = (uint32_t)le_get(slot + AT_NUMBER, 4);
    checkpoint->clean = le_get(slot + AT_FLAGS, 4) & FLAG_CLEAN;
    memcpy(checkpoint->id.bytes, slot + AT_ID, STORE_ID_BYTES);
    memcpy(checkpoint->boot.bytes, slot + AT_BOOT, BOOT_ID_BYTES);
    checkpoint->seq = le_get(slot + AT_SEQ, 8);
    checkpoint->wall_ms = le_get(slot + AT_WALL, 8);
    memcpy(checkpoint->meta, slot + AT_META, KV_META_BYTES);
    return SLOT_OK;
}

/* ---- the file ---- */

static enum status write_slot(int fd, const struct checkpoint *checkpoint, struct err *err)
{
    uint8_t slot[CHECKPOINT_SLOT_BYTES];
    checkpoint_encode(slot, checkpoint);
    off_t at = (off_t)(checkpoint->number & 1) * CHECKPOINT_SLOT_BYTES;
    ssize_t wrote = pwrite(fd, slot, sizeof slot, at);
    if (wrote == sizeof slot) return STATUS_OK;
    int code = wrote < 0 ? errno : ENOSPC;
    return err_errno(err, code == ENOSPC ? STATUS_STORE_FULL : STATUS_STORE_IO, code, "checkpoint: write");
}

enum status checkpoint_file_write(int fd, const struct checkpoint *checkpoint, struct err *err)
{
    TRY(write_slot(fd, checkpoint, err));
    if (fdatasync(fd) != 0) return err_errno(err, STATUS_STORE_IO, errno, "checkpoint: sync");
    return STATUS_OK;
}

static int open_in(const char *dir, int flags)
{
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s/checkpoint", dir);
    int fd = open(buf_cstr(&path), flags | O_CLOEXEC, 0600);
    buf_fini(&path);
    return fd;
}

static enum status fill_file(int fd, const char *dir, const struct checkpoint *first, struct err *err)
{
    static const uint8_t zeros[2 * CHECKPOINT_SLOT_BYTES];
    ssize_t wrote = pwrite(fd, zeros, sizeof zeros, 0);
    if (wrote != sizeof zeros)
        return err_errno(err, wrote >= 0 || errno == ENOSPC ? STATUS_STORE_FULL : STATUS_STORE_IO,
                         wrote < 0 ? errno : ENOSPC, "checkpoint: write");
    return checkpoint_file_write(fd, first, err);
}

enum status checkpoint_file_create(const char *dir, const struct checkpoint *first, int *fd, struct err *err)
{
    int made = open_in(dir, O_RDWR | O_CREAT | O_TRUNC);
    if (made < 0)
        return err_errno(err, errno == ENOSPC ? STATUS_STORE_FULL : STATUS_STORE_IO, errno,
                         "checkpoint: create");
    enum status status = fill_file(made, dir, first, err);
    if (status != STATUS_OK)
        close(made);
    else
        *fd = made;
    return status;
}

/* Chooses among what the slots hold. */
static enum status choose(const uint8_t *slots, struct checkpoint *newest, struct err *err)
{
    struct checkpoint found[2];
    enum slot_state states[2];
    for (int i = 0; i < 2; i++)
    {
        states[i] = checkpoint_decode(slots + i * CHECKPOINT_SLOT_BYTES, &found[i]);
        if (states[i] == SLOT_NEWER)
            return err_set(err, STATUS_STORE_FORMAT,
                           "checkpoint: offset %d: checkpoint format %u, this program reads %u",
                           i * CHECKPOINT_SLOT_BYTES + AT_VERSION,
                           (unsigned)le_get(slots + i * CHECKPOINT_SLOT_BYTES + AT_VERSION, 4),
                           CHECKPOINT_FORMAT_VERSION);
    }
    bool both = states[0] == SLOT_OK && states[1] == SLOT_OK;
    if (both)
        *newest = found[found[1].number > found[0].number];
    else if (states[0] == SLOT_OK)
        *newest = found[0];
    else if (states[1] == SLOT_OK)
        *newest = found[1];
    else
        return err_set(err, STATUS_STORE_CORRUPT, "checkpoint: both slots, at offsets 0 and %d, are damaged",
                       CHECKPOINT_SLOT_BYTES);
    return STATUS_OK;
}

enum status checkpoint_file_open(const char *dir, struct checkpoint *newest, int *fd, struct err *err)
{
    int opened = open_in(dir, O_RDWR);
    if (opened < 0)
        return err_errno(err, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_STORE_IO, errno,
                         "checkpoint: open");
    uint8_t slots[2 * CHECKPOINT_SLOT_BYTES] = {0};
    ssize_t got = pread(opened, slots, sizeof slots, 0);
    enum status status =
        got < 0 ? err_errno(err, STATUS_STORE_IO, errno, "checkpoint: read") : choose(slots, newest, err);
    if (status != STATUS_OK)
        close(opened);
    else
        *fd = opened;
    return status;
}

/* ---- runs of the operating system ---- */

struct boot_id boot_id_from_text(const char *text)
{
    struct boot_id id;
    uint64_t half = hash_stable(slice_cstr(text));
    le_put(id.bytes, half | 1, 8);
    le_put(id.bytes + 8, hash_stable(slice_make(&half, sizeof half)), 8);
    return id;
}

struct boot_id boot_id_current(void)
{
    struct boot_id none = {{0}};
    char text[64] = {0};
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return none;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    return got > 0 ? boot_id_from_text(text) : none;
}

bool boot_id_same(const struct boot_id *a, const struct boot_id *b)
{
    return memcmp(a->bytes, b->bytes, BOOT_ID_BYTES) == 0 && !all_zero(a->bytes, BOOT_ID_BYTES);
}
