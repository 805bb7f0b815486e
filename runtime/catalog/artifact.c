/* artifact.c - BLAKE2b names, the ELF check, and files that appear whole. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/catalog/artifact.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"

enum { HASH_BYTES = 32, FILE_NAME_BYTES = 64 + 3 };

struct artifact_id artifact_id_of_parts(const struct slice *parts, size_t count)
{
    uint8_t hash[HASH_BYTES];
    crypto_generichash_state state;
    CHECK(sodium_init() >= 0);
    CHECK(crypto_generichash_init(&state, NULL, 0, sizeof hash) == 0);
    for (size_t i = 0; i < count; i++)
        CHECK(crypto_generichash_update(&state, parts[i].data, parts[i].size) == 0);
    CHECK(crypto_generichash_final(&state, hash, sizeof hash) == 0);
    struct artifact_id id;
    sodium_bin2hex(id.hex, sizeof id.hex, hash, sizeof hash);
    return id;
}

struct artifact_id artifact_id_of(struct slice code)
{
    return artifact_id_of_parts(&code, 1);
}

/* ---- the ELF check ---- */

#if defined(__x86_64__)
enum { MACHINE_HERE = EM_X86_64 };
#elif defined(__aarch64__)
enum { MACHINE_HERE = EM_AARCH64 };
#elif defined(__riscv)
enum { MACHINE_HERE = EM_RISCV };
#elif defined(__powerpc64__)
enum { MACHINE_HERE = EM_PPC64 };
#elif defined(__s390x__)
enum { MACHINE_HERE = EM_S390 };
#else
#error "name this machine's ELF number here"
#endif

static const struct {
    unsigned number;
    const char *name;
} machines[] = {
    {EM_386, "x86 (32 bit)"}, {EM_X86_64, "x86-64"},       {EM_ARM, "arm (32 bit)"}, {EM_AARCH64, "aarch64"},
    {EM_RISCV, "risc-v"},     {EM_PPC64, "powerpc64"},     {EM_S390, "s390"},        {EM_MIPS, "mips"},
    {EM_SPARCV9, "sparc64"},  {EM_LOONGARCH, "loongarch"},
};

static const char *machine_name(unsigned number)
{
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++)
        if (machines[i].number == number) return machines[i].name;
    return "an unknown machine";
}

static const char *type_name(unsigned type)
{
    switch (type)
    {
    case ET_REL:
        return "an object file; link it with `cc -shared`";
    case ET_EXEC:
        return "a program; link it with `cc -shared -fPIC`";
    case ET_CORE:
        return "a core dump";
    default:
        return "an unknown kind of ELF file";
    }
}

/* The fields at the same place in 32-bit and 64-bit files, in the byte order of this machine. */
static enum status check_ident(struct slice code, struct err *err)
{
    const uint8_t *bytes = code.data;
    if (code.size < sizeof(Elf64_Ehdr) || memcmp(bytes, ELFMAG, SELFMAG) != 0)
        return err_set(err, STATUS_ARTIFACT_INVALID,
                       "the code is not an ELF file; build it with `cc -shared -fPIC`");
    if (bytes[EI_DATA] != (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB))
        return err_set(err, STATUS_ARTIFACT_INVALID,
                       "the code is for a machine with another byte order, this one is %s",
                       machine_name(MACHINE_HERE));
    if (bytes[EI_CLASS] != ELFCLASS64 && bytes[EI_CLASS] != ELFCLASS32)
        return err_set(err, STATUS_ARTIFACT_INVALID, "the code has a damaged ELF header");
    return STATUS_OK;
}

static bool within(uint64_t offset, uint64_t count, uint64_t size, uint64_t total)
{
    return offset <= total && (count == 0 || size <= (total - offset) / count);
}

/* A file that was cut off would be found by the loader only when it touches a missing page. */
static enum status check_segments(struct slice code, const Elf64_Ehdr *header, struct err *err)
{
    bool dynamic = false;
    for (size_t i = 0; i < header->e_phnum; i++)
    {
        Elf64_Phdr segment;
        memcpy(&segment, (const char *)code.data + header->e_phoff + i * sizeof segment, sizeof segment);
        dynamic |= segment.p_type == PT_DYNAMIC;
        if (segment.p_type == PT_LOAD && !within(segment.p_offset, 1, segment.p_filesz, code.size))
            return err_set(err, STATUS_ARTIFACT_INVALID,
                           "the code is cut off: its segment %zu ends behind the file", i);
    }
    if (!dynamic)
        return err_set(err, STATUS_ARTIFACT_INVALID,
                       "the code is a static program; link it with `cc -shared`");
    return STATUS_OK;
}

enum status artifact_check(struct slice code, struct err *err)
{
    if (code.size > BOUND_ARTIFACT_BYTES_MAX)
        return err_set(err, STATUS_ARTIFACT_INVALID, "the code has %zu bytes, at most %llu are allowed",
                       code.size, BOUND_ARTIFACT_BYTES_MAX);
    TRY(check_ident(code, err));
    Elf64_Ehdr header; /* copied: uploaded bytes are not aligned */
    memcpy(&header, code.data, sizeof header);
    if (header.e_machine != MACHINE_HERE || header.e_ident[EI_CLASS] != ELFCLASS64)
        return err_set(err, STATUS_ARTIFACT_INVALID, "the code was built for %s, this node runs on %s",
                       machine_name(header.e_machine), machine_name(MACHINE_HERE));
    if (header.e_type != ET_DYN)
        return err_set(err, STATUS_ARTIFACT_INVALID, "the code is no shared library but %s",
                       type_name(header.e_type));
    if (!within(header.e_shoff, header.e_shnum, header.e_shentsize, code.size))
        return err_set(err, STATUS_ARTIFACT_INVALID,
                       "the code is cut off: its section headers end behind the file");
    if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 ||
        !within(header.e_phoff, header.e_phnum, sizeof(Elf64_Phdr), code.size))
        return err_set(err, STATUS_ARTIFACT_INVALID, "the code is cut off or has a damaged ELF header");
    return check_segments(code, &header, err);
}

uint64_t artifact_data_bytes(struct slice code)
{
    Elf64_Ehdr header;
    memcpy(&header, code.data, sizeof header);
    uint64_t sum = 0;
    for (size_t i = 0; i < header.e_phnum; i++)
    {
        Elf64_Phdr segment;
        memcpy(&segment, (const char *)code.data + header.e_phoff + i * sizeof segment, sizeof segment);
        if (segment.p_type != PT_LOAD || !(segment.p_flags & PF_W)) continue;
        sum = segment.p_memsz > UINT64_MAX - sum ? UINT64_MAX : sum + segment.p_memsz;
    }
    return sum;
}

/* ---- files ---- */

void artifact_path(struct buf *path, const char *dir, const struct artifact_id *id)
{
    buf_printf(path, "%s/%s.so", dir, id->hex);
}

static enum status disk_status(int error)
{
    switch (error)
    {
    case EACCES:
    case EPERM:
    case EROFS:
        return STATUS_STORE_UNWRITABLE;
    case ENOSPC:
    case EDQUOT:
        return STATUS_STORE_FULL;
    default:
        return STATUS_STORE_IO;
    }
}

static enum status write_all(int fd, struct slice bytes)
{
    const char *next = bytes.data;
    for (size_t left = bytes.size; left > 0;)
    {
        ssize_t wrote = write(fd, next, left);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return disk_status(errno);
        next += wrote;
        left -= (size_t)wrote;
    }
    return STATUS_OK;
}

static enum status dir_sync(const char *dir, struct err *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return err_errno(err, disk_status(errno), errno, "open %s", dir);
    int failed = fsync(fd);
    int error = errno;
    close(fd);
    if (failed) return err_errno(err, disk_status(error), error, "sync %s", dir);
    return STATUS_OK;
}

/* The temporary file, written, synced and read-only; `path` ends with the XXXXXX of mkstemp. */
static enum status temporary_write(char *path, struct slice code, struct err *err)
{
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) return err_errno(err, disk_status(errno), errno, "create %s", path);
    enum status status = write_all(fd, code);
    if (status == STATUS_OK && (fchmod(fd, 0444) != 0 || fsync(fd) != 0)) status = disk_status(errno);
    if (status != STATUS_OK) (void)err_errno(err, status, errno, "write %s", path);
    close(fd);
    if (status != STATUS_OK) (void)unlink(path); /* the next sweep takes it otherwise */
    return status;
}

enum status artifact_put(const char *dir, struct slice code, const struct artifact_id *id, struct err *err)
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return err_errno(err, disk_status(errno), errno, "create %s", dir);
    struct buf path = BUF_INIT, temporary = BUF_INIT;
    artifact_path(&path, dir, id);
    enum status status = STATUS_OK;
    if (access(buf_cstr(&path), R_OK) == 0) goto free_paths;
    buf_printf(&temporary, "%s/.new-XXXXXX", dir);
    (void)buf_cstr(&temporary);
    status = temporary_write((char *)temporary.data, code, err);
    if (status != STATUS_OK) goto free_paths;
    if (rename(buf_cstr(&temporary), buf_cstr(&path)) != 0)
    {
        status = err_errno(err, disk_status(errno), errno, "rename to %s", buf_cstr(&path));
        (void)unlink(buf_cstr(&temporary));
        goto free_paths;
    }
    status = dir_sync(dir, err);
free_paths:
    buf_fini(&path);
    buf_fini(&temporary);
    return status;
}

/* "<64 hex digits>.so" into an id; anything else is nobody's. */
static bool file_id(const char *name, struct artifact_id *id)
{
    if (strlen(name) != FILE_NAME_BYTES || strcmp(name + 64, ".so") != 0) return false;
    if (strspn(name, "0123456789abcdef") != 64) return false;
    memcpy(id->hex, name, 64);
    id->hex[64] = 0;
    return true;
}

size_t artifact_sweep(const char *dir, artifact_keep_fn keep, void *ctx)
{
    DIR *open_dir = opendir(dir);
    if (!open_dir) return 0; /* nothing was ever put */
    size_t removed = 0;
    for (struct dirent *entry; (entry = readdir(open_dir));)
    {
        struct artifact_id id;
        bool temporary = strncmp(entry->d_name, ".new-", 5) == 0;
        bool artifact = file_id(entry->d_name, &id);
        if (!temporary && !(artifact && !keep(ctx, &id))) continue;
        removed += unlinkat(dirfd(open_dir), entry->d_name, 0) == 0;
    }
    closedir(open_dir);
    return removed;
}
