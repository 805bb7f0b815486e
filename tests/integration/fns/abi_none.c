/* abi_none.c - a shared object that has nothing to do with Stead. */
// SPDX-License-Identifier: Apache-2.0
__attribute__((visibility("default"))) int answer(void);
int answer(void)
{
    return 42;
}
