/* cmd_sdk.c - where the SDK is, so that a Makefile works from the build tree and from an installation alike. */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "runtime/cli/cli.h"
#include "runtime/cli/place.h"

enum cli_exit cmd_sdk(struct cli_line *line)
{
    struct sdk_place place;
    sdk_place_find(&place);
    if (cli_option(line, "cflags"))
        printf("-I%s\n", place.include);
    else if (cli_option(line, "include-dir"))
        printf("%s\n", place.include);
    else if (cli_option(line, "testkit-cflags"))
        printf("-I%s -I%s\n", place.include, place.testkit_include);
    else if (cli_option(line, "testkit-libs"))
        printf("-L%s -lstead-testkit -Wl,-rpath,%s\n", place.testkit_lib, place.testkit_lib);
    else if (line->json)
        printf("{\"include_dir\":\"%s\",\"testkit_include_dir\":\"%s\",\"testkit_lib_dir\":\"%s\"}\n",
               place.include, place.testkit_include, place.testkit_lib);
    else
        printf("header   %s/stead/stead.h\ntestkit  %s/libstead-testkit.so\n\n"
               "cc -shared -fPIC -O2 $(stead sdk --cflags) app.c -o app.so\n",
               place.include, place.testkit_lib);
    sdk_place_fini(&place);
    return EXIT_DONE;
}
