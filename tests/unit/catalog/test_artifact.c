/* test_artifact.c - the ELF check on built and damaged headers, and files named by content. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/prng.h"
#include "runtime/catalog/artifact.h"

/* The least that passes: a header, one loaded segment and one dynamic one. */
struct library {
    Elf64_Ehdr header;
    Elf64_Phdr segments[2];
};

static unsigned machine_here(void)
{
    Elf64_Ehdr self;
    FILE *file = fopen("/proc/self/exe", "rb");
    assert_non_null(file);
    assert_int_equal(fread(&self, sizeof self, 1, file), 1);
    fclose(file);
    return self.e_machine;
}

static struct library library_make(void)
{
    struct library library = {.header = {.e_type = ET_DYN,
                                         .e_machine = (Elf64_Half)machine_here(),
                                         .e_phoff = offsetof(struct library, segments),
                                         .e_phentsize = sizeof(Elf64_Phdr),
                                         .e_phnum = 2}};
    memcpy(library.header.e_ident, ELFMAG, SELFMAG);
    library.header.e_ident[EI_CLASS] = ELFCLASS64;
    library.header.e_ident[EI_DATA] = ELFDATA2LSB;
    library.segments[0] = (Elf64_Phdr){.p_type = PT_LOAD, .p_filesz = sizeof library};
    library.segments[1] = (Elf64_Phdr){.p_type = PT_DYNAMIC};
    return library;
}

static void assert_words(struct slice code, const char *part)
{
    struct err err = ERR_INIT;
    assert_int_equal(artifact_check(code, &err), STATUS_ARTIFACT_INVALID);
    if (!strstr(err.text, part)) assert_string_equal(err.text, part);
}

static void a_shared_library_of_this_machine_passes(void **state)
{
    struct library library = library_make();
    struct err err = ERR_INIT;
    assert_int_equal(artifact_check(slice_make(&library, sizeof library), &err), STATUS_OK);
}

static void what_is_no_elf_file_is_told_so(void **state)
{
    assert_words(SLICE_EMPTY, "the code is not an ELF file");
    assert_words(SLICE("#!/bin/sh\necho a script that is longer than an ELF header, which has 64 bytes\n"),
                 "the code is not an ELF file");
}

static void another_architecture_is_named(void **state)
{
    struct library library = library_make();
    library.header.e_machine = machine_here() == EM_AARCH64 ? EM_X86_64 : EM_AARCH64;
    char words[100];
    snprintf(words, sizeof words, "the code was built for %s, this node runs on ",
             machine_here() == EM_AARCH64 ? "x86-64" : "aarch64");
    assert_words(slice_make(&library, sizeof library), words);

    library.header.e_machine = EM_386;
    library.header.e_ident[EI_CLASS] = ELFCLASS32;
    assert_words(slice_make(&library, sizeof library), "the code was built for x86 (32 bit)");

    library = library_make();
    library.header.e_ident[EI_DATA] = ELFDATA2MSB;
    assert_words(slice_make(&library, sizeof library), "another byte order");
}

static void other_kinds_of_files_are_told_how_to_link(void **state)
{
    struct library library = library_make();
    library.header.e_type = ET_REL;
    assert_words(slice_make(&library, sizeof library), "an object file; link it with `cc -shared`");
    library.header.e_type = ET_EXEC;
    assert_words(slice_make(&library, sizeof library), "a program; link it");
    library = library_make();
    library.segments[1].p_type = PT_NOTE;
    assert_words(slice_make(&library, sizeof library), "a static program");
}

static void a_file_that_was_cut_off_is_noticed(void **state)
{
    struct library library = library_make();
    library.segments[0].p_filesz = sizeof library + 1;
    assert_words(slice_make(&library, sizeof library), "is cut off: its segment 0 ends behind the file");
    library.segments[0] = (Elf64_Phdr){.p_type = PT_LOAD, .p_offset = UINT64_MAX, .p_filesz = 2};
    assert_words(slice_make(&library, sizeof library), "is cut off");
    library = library_make();
    library.header.e_shoff =
        sizeof library - 63; /* the sections stand at the end: the last byte is missed there */
    library.header.e_shnum = 1;
    library.header.e_shentsize = 64;
    assert_words(slice_make(&library, sizeof library), "is cut off: its section headers end behind the file");
    library = library_make();
    library.header.e_phnum = 60000;
    assert_words(slice_make(&library, sizeof library), "is cut off or has a damaged ELF header");
    library.header.e_phoff = UINT64_MAX - 8;
    assert_words(slice_make(&library, sizeof library), "is cut off or has a damaged ELF header");
}

static void damaged_bytes_are_never_read_past_their_end(void **state)
{
    struct prng prng;
    prng_init(&prng, 7);
    for (size_t round = 0; round < 20000; round++)
    {
        struct library library = library_make();
        size_t size = prng_below(&prng, sizeof library + 1);
        uint8_t *bytes = malloc(size + 1); /* exactly as long as it is: the sanitizer looks */
        memcpy(bytes, &library, size);
        for (size_t i = 0; i < 3 && size > 0; i++) bytes[prng_below(&prng, size)] = (uint8_t)prng_next(&prng);
        enum status status = artifact_check(slice_make(bytes, size), NULL);
        assert_true(status == STATUS_OK || status == STATUS_ARTIFACT_INVALID);
        free(bytes);
    }
}

/* ---- files ---- */

struct dir {
    char path[64];
    char inner[80];
};

static void dir_make(struct dir *dir)
{
    snprintf(dir->path, sizeof dir->path, "%s", "/tmp/stead-artifact-XXXXXX");
    assert_non_null(mkdtemp(dir->path));
    snprintf(dir->inner, sizeof dir->inner, "%s/artifacts", dir->path);
}

static bool keep_nothing(void *ctx, const struct artifact_id *id)
{
    return false;
}

static bool keep_one(void *ctx, const struct artifact_id *id)
{
    return strcmp(id->hex, ctx) == 0;
}

static void dir_remove(struct dir *dir)
{
    (void)artifact_sweep(dir->inner, keep_nothing, NULL);
    (void)rmdir(dir->inner); /* some tests did not make it */
    assert_int_equal(rmdir(dir->path), 0);
}

static void a_file_is_named_by_its_content_and_cannot_be_written(void **state)
{
    struct dir dir;
    dir_make(&dir);
    struct artifact_id id = artifact_id_of(SLICE("abc"));
    /* BLAKE2b-256 of "abc", as published. */
    assert_string_equal(id.hex, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    assert_int_equal(artifact_put(dir.inner, SLICE("abc"), &id, NULL), STATUS_OK);
    assert_int_equal(artifact_put(dir.inner, SLICE("abc"), &id, NULL), STATUS_OK);
    struct buf path = BUF_INIT;
    artifact_path(&path, dir.inner, &id);
    struct stat stat_of;
    assert_int_equal(stat(buf_cstr(&path), &stat_of), 0);
    assert_int_equal(stat_of.st_size, 3);
    assert_int_equal(stat_of.st_mode & 0777, 0444);
    buf_fini(&path);
    dir_remove(&dir);
}

static void a_sweep_leaves_what_is_claimed_and_what_is_not_ours(void **state)
{
    struct dir dir;
    dir_make(&dir);
    struct artifact_id a = artifact_id_of(SLICE("a")), b = artifact_id_of(SLICE("b"));
    assert_int_equal(artifact_put(dir.inner, SLICE("a"), &a, NULL), STATUS_OK);
    assert_int_equal(artifact_put(dir.inner, SLICE("b"), &b, NULL), STATUS_OK);
    char left_over[120], foreign[120];
    snprintf(left_over, sizeof left_over, "%s/.new-abcdef", dir.inner);
    snprintf(foreign, sizeof foreign, "%s/README", dir.inner);
    fclose(fopen(left_over, "w"));
    fclose(fopen(foreign, "w"));
    assert_int_equal(artifact_sweep(dir.inner, keep_one, a.hex), 2);
    struct buf path = BUF_INIT;
    artifact_path(&path, dir.inner, &a);
    assert_int_equal(access(buf_cstr(&path), R_OK), 0);
    assert_int_equal(access(left_over, F_OK), -1);
    assert_int_equal(unlink(foreign), 0);
    buf_fini(&path);
    dir_remove(&dir);
}

static void a_directory_that_cannot_be_made_is_named(void **state)
{
    struct artifact_id id = artifact_id_of(SLICE("a"));
    struct err err = ERR_INIT;
    assert_int_equal(artifact_put("/proc/nowhere/artifacts", SLICE("a"), &id, &err), STATUS_STORE_IO);
    assert_non_null(strstr(err.text, "create /proc/nowhere/artifacts: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shared_library_of_this_machine_passes),
        cmocka_unit_test(what_is_no_elf_file_is_told_so),
        cmocka_unit_test(another_architecture_is_named),
        cmocka_unit_test(other_kinds_of_files_are_told_how_to_link),
        cmocka_unit_test(a_file_that_was_cut_off_is_noticed),
        cmocka_unit_test(damaged_bytes_are_never_read_past_their_end),
        cmocka_unit_test(a_file_is_named_by_its_content_and_cannot_be_written),
        cmocka_unit_test(a_sweep_leaves_what_is_claimed_and_what_is_not_ours),
        cmocka_unit_test(a_directory_that_cannot_be_made_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
