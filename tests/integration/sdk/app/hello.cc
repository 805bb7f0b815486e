/* hello.cc - the same in C++. */
// SPDX-License-Identifier: Apache-2.0
#include <stead/stead.h>

#include <string>

STEAD_FUNCTION(hello)
{
    std::string name = stead_query(ctx, "name") ? stead_query(ctx, "name") : "world";
    return stead_reply(ctx, "hello %s\n", name.c_str());
}
