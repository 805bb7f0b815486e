/* loader.c - the artifact: copy, look at its head, dlopen, dlsym. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/zygote/loader.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/bounds.h"

/* ---- what kind of file it is ---- */

#if defined(__x86_64__)
enum { OUR_MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { OUR_MACHINE = EM_AARCH64 };
#else
#error "name this machine's ELF number here"
#endif

static const char *machine_name(unsigned machine)
{
    switch (machine)
    {
    case EM_386:
        return "i386";
    case EM_X86_64:
        return "x86-64";
    case EM_ARM:
        return "arm";
    case EM_AARCH64:
        return "aarch64";
    case EM_RISCV:
        return "riscv";
    case EM_PPC64:
        return "ppc64";
    case EM_S390:
        return "s390";
    default:
        return "another machine";
    }
}

/* The dynamic linker's own words for these are hard to understand. */
static enum status check_head(int fd, const char *name, struct err *err)
{
    Elf64_Ehdr head;
    ssize_t size = pread(fd, &head, sizeof head, 0);
    if (size < (ssize_t)sizeof head || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
        return err_set(err, STATUS_ARTIFACT_INVALID,
                       "`%s` is not a shared object (it has no ELF header); build it with cc -shared -fPIC",
                       name);
    if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_ident[EI_DATA] != ELFDATA2LSB ||
        head.e_machine != OUR_MACHINE)
        return err_set(err, STATUS_ARTIFACT_INVALID, "`%s` is built for %s%s; this node runs on %s", name,
                       machine_name(head.e_machine), head.e_ident[EI_CLASS] == ELFCLASS64 ? "" : " (32 bits)",
                       machine_name(OUR_MACHINE));
    if (head.e_type != ET_DYN)
        return err_set(err, STATUS_ARTIFACT_INVALID,
                       "`%s` is not a shared object but %s; build it with cc -shared -fPIC", name,
                       head.e_type == ET_EXEC  ? "a program"
                       : head.e_type == ET_REL ? "an object file"
                                               : "another kind of ELF file");
    return STATUS_OK;
}

/* ---- copy ---- */

static enum status copy_bytes(int from, int to, size_t size, const char *name, struct err *err)
{
    off_t offset = 0;
    while ((size_t)offset < size)
    {
        ssize_t count = sendfile(to, from, &offset, size - (size_t)offset);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return err_errno(err, STATUS_IO, errno, "read `%s`", name);
        if (count == 0) return err_set(err, STATUS_IO, "read `%s`: it became shorter meanwhile", name);
    }
    return STATUS_OK;
}

static enum status copy_to_memory(int fd, size_t size, const char *name, int *copy, struct err *err)
{
    int memory = memfd_create("stead-artifact", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory < 0) return err_errno(err, STATUS_NO_RESOURCES, errno, "memory for `%s`", name);
    enum status status = copy_bytes(fd, memory, size, name, err);
    if (status == STATUS_OK &&
        fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        status = err_errno(err, STATUS_NO_RESOURCES, errno, "seal the memory of `%s`", name);
    if (status == STATUS_OK)
        *copy = memory;
    else
        close(memory);
    return status;
}

/* No descriptor stays: one that may write would keep the root from becoming read-only. */
static enum status copy_to_root(int fd, size_t size, const char *name, int root, struct err *err)
{
    int file = openat(root, SANDBOX_ARTIFACT + 1, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (file < 0) return err_errno(err, STATUS_NO_RESOURCES, errno, "room for `%s`", name);
    enum status status = copy_bytes(fd, file, size, name, err);
    close(file);
    return status;
}

enum status loader_copy(int fd, const char *name, int root, int *copy, struct err *err)
{
    struct stat file;
    if (fstat(fd, &file) != 0) return err_errno(err, STATUS_IO, errno, "read `%s`", name);
    if (file.st_size > (off_t)BOUND_ARTIFACT_BYTES_MAX)
        return err_set(err, STATUS_ARTIFACT_INVALID, "`%s` has %lld bytes; at most %llu are allowed", name,
                       (long long)file.st_size, BOUND_ARTIFACT_BYTES_MAX);
    TRY(check_head(fd, name, err));
    *copy = -1;
    if (root >= 0) return copy_to_root(fd, (size_t)file.st_size, name, root, err);
    return copy_to_memory(fd, (size_t)file.st_size, name, copy, err);
}

/* ---- load ---- */

/* The linker's words begin with the path of our copy, which says nothing to users. */
static enum status linker_failed(const char *path, const char *name, struct err *err)
{
    const char *words = dlerror();
    if (!words) words = "the dynamic linker gives no reason";
    size_t prefix = strlen(path);
    if (strncmp(words, path, prefix) == 0)
    {
        words += prefix;
        while (*words == ':' || *words == ' ') words++;
    }
    return err_set(err, STATUS_ARTIFACT_INVALID, "`%s` cannot be loaded: %s", name, words);
}

static enum status check_abi(void *object, const char *name, struct err *err)
{
    const uint32_t *version = dlsym(object, "stead_abi_version");
    if (!version)
        return err_set(err, STATUS_ARTIFACT_INVALID,
                       "`%s` has no symbol stead_abi_version: compile it with #include <stead/stead.h>",
                       name);
    if (*version == STEAD_ABI_VERSION) return STATUS_OK;
    return err_set(err, STATUS_ARTIFACT_INVALID,
                   "`%s` was built for version %u of the SDK's ABI; this node has version %d: build it "
                   "again with this node's stead.h",
                   name, *version, STEAD_ABI_VERSION);
}

static enum status find_handler(void *object, const char *name, const char *function,
                                stead__handler_fn *handler, struct err *err)
{
    char symbol[sizeof "stead_fn_" + BOUND_NAME_BYTES_MAX];
    snprintf(symbol, sizeof symbol, "stead_fn_%s", function);
    void *address = dlsym(object, symbol);
    if (!address)
        return err_set(err, STATUS_ARTIFACT_INVALID,
                       "`%s` has no symbol %s: define the function with STEAD_FUNCTION(%s)", name, symbol,
                       function);
    memcpy(handler, &address, sizeof address); /* ISO C has no cast from an object to a function */
    return STATUS_OK;
}

enum status loader_load(int copy, const char *name, const struct control_function *functions, size_t count,
                        stead__handler_fn *handlers, struct err *err)
{
    char path[64] = SANDBOX_ARTIFACT;
    if (copy >= 0) snprintf(path, sizeof path, "/proc/self/fd/%d", copy);
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!object) return linker_failed(path, name, err);
    /* Never closed again: the handlers live as long as the process. */
    TRY(check_abi(object, name, err));
    for (size_t i = 0; i < count; i++) TRY(find_handler(object, name, functions[i].name, &handlers[i], err));
    return STATUS_OK;
}
